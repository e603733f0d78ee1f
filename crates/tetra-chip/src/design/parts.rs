//! The blocks of a design description as types: a value and where it comes from in every field.

use tetra_quantity::{Bytes, BytesPerSecond, Celsius, Hertz, KelvinPerWatt, Metres, Quantity, Seconds, SquareMetres, Watts};

use super::{Block, quoted};
use crate::write::text;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Arithmetic over values of the description and data rows, in base units.
    Formula(String),
    /// A procedure that is no single formula.
    Rule(&'static str),
    /// How the template is made.
    Choice(&'static str),
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Said<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub from: Origin,
}

/// What a description writes as one value of TOML.
pub(super) trait Written {
    /// The TOML.
    fn toml(&self) -> String;
    /// The value in its base unit, where it is one number.
    fn base(&self) -> Option<f64>;
}

macro_rules! written {
    ($($type:ty: |$x:ident| $toml:expr, $base:expr;)*) => {$(
        impl Written for $type {
            fn toml(&self) -> String { let $x = self; $toml }
            fn base(&self) -> Option<f64> { let $x = self; $base }
        }
    )*};
}

written! {
    u64: |x| x.to_string(), Some(*x as f64);
    f64: |x| format!("{x}"), Some(*x);
    bool: |x| x.to_string(), { let _ = x; None };
    &'static str: |x| text(x), { let _ = x; None };
    String: |x| text(x), { let _ = x; None };
    Vec<&'static str>: |x| format!("[{}]", x.iter().map(|w| text(w)).collect::<Vec<_>>().join(", ")), { let _ = x; None };
    Vec<f64>: |x| format!("[{}]", x.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")), { let _ = x; None };
    Bytes: |x| quoted(*x), Some(x.value());
    BytesPerSecond: |x| quoted(*x), Some(x.value());
    Hertz: |x| quoted(*x), Some(x.value());
    Seconds: |x| quoted(*x), Some(x.value());
    Watts: |x| quoted(*x), Some(x.value());
    Celsius: |x| quoted(*x), Some(x.value());
    KelvinPerWatt: |x| quoted(*x), Some(x.value());
    Metres: |x| quoted(*x), Some(Quantity::value(*x));
    SquareMetres: |x| quoted(*x), Some(x.value());
}

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident $section:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, serde::Serialize)]
            pub struct $name { $($(#[$field_doc])* pub $field: Said<$type>,)* }
        )*
        /// All blocks.
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct Parts { $($(#[$doc])* pub $section: $name,)* }
        impl Parts {
            pub(super) fn blocks(&self) -> Vec<Block> {
                vec![$((stringify!($section), vec![
                    $((stringify!($field), self.$section.$field.value.toml(), self.$section.$field.value.base(), self.$section.$field.from.clone()),)*
                ]),)*]
            }
        }
    };
}

parts! {
    /// Clock domains and their resets.
    Clocks clocks {
        /// Cores, their scratchpads, the network and the global memory.
        core: Hertz,
        /// Controllers of off-chip memory.
        memory: Hertz,
        /// Domains of a reset each.
        resets: Vec<&'static str>,
        /// How a reset is let go.
        reset_kind: &'static str,
        /// Pairs of domains between which words cross.
        crossings: Vec<&'static str>,
    }
    /// Cores.
    Cores cores {
        /// Cores that must work.
        working: u64,
        /// Cores laid out.
        built: u64,
        /// Cores that share one fetch.
        multicast: u64,
        /// Groups of them.
        groups: u64,
    }
    /// PE arrays.
    PeArray pe_array {
        /// Arrays of a core.
        per_core: u64,
        /// Rows of PEs: the summed dimension.
        rows: u64,
        /// Columns of PEs: output features.
        columns: u64,
        /// What stays in the array.
        dataflow: &'static str,
        /// Bits of the operands by which rows and columns are counted.
        operand_bits: u64,
        /// Rate of 16-bit floats.
        rate_bf16: f64,
        /// Rate of 32-bit floats.
        rate_fp32: f64,
        /// Rate of 8-bit floats.
        rate_fp8: f64,
        /// Rate of 8-bit integers.
        rate_int8: f64,
        /// Rate of 4-bit floats.
        rate_fp4: f64,
        /// Bits of a sum.
        sum_bits: u64,
        /// Whether the next weights load behind the present ones.
        shadow_weights: bool,
        /// Bits of shadow registers of an array.
        shadow_bits: u64,
        /// Cycles from the first row in to the last one out, beyond the rows themselves.
        fill_and_drain_cycles: u64,
        /// 16-bit MACs per core and cycle.
        macs_per_cycle: u64,
        /// Rows of the largest tile that a core's arrays work on together.
        tile_rows: u64,
        /// Columns of that tile.
        tile_columns: u64,
    }
    /// Vector unit of a core.
    VectorUnit vector_unit {
        /// Lanes.
        lanes: u64,
        /// Bits of a lane.
        lane_bits: u64,
        /// Sums that a lane's registers hold.
        sums_per_lane: u64,
        /// Register file of the core's lanes.
        registers: Bytes,
        /// Functions.
        functions: Vec<&'static str>,
        /// Lane operations per element of each function.
        operations: Vec<f64>,
    }
    /// Scratchpad of a core.
    Scratchpad scratchpad {
        /// Capacity.
        capacity: Bytes,
        /// Width of a bank's word.
        word: Bytes,
        /// Banks.
        banks: u64,
        /// Words of a bank.
        depth: u64,
        /// Ports of a bank.
        ports: &'static str,
        /// Bytes per cycle that it feeds to the arrays.
        bytes_per_cycle: u64,
        /// The same per second.
        bandwidth: BytesPerSecond,
        /// Bytes of a slab of a tile's summed dimension, per row of the tile.
        slab: Bytes,
        /// Copies of a slab that are held.
        slabs: u64,
    }
    /// Memory shared by all cores.
    GlobalMemory global_memory {
        /// Capacity.
        capacity: Bytes,
        /// Whether it is a cache.
        cache: bool,
        /// Width of a bank's word.
        word: Bytes,
        /// Banks.
        banks: u64,
        /// Words of a bank.
        depth: u64,
        /// Ports of a bank.
        ports: &'static str,
        /// Bytes per cycle that a core asks for at full tiles.
        demand_per_core: f64,
        /// Bytes per cycle, all banks together.
        bytes_per_cycle: f64,
        /// The same per second.
        bandwidth: BytesPerSecond,
    }
    /// Network between the cores and the global memory.
    Network network {
        /// Topology.
        topology: &'static str,
        /// Switches: one per die.
        switches: u64,
        /// Width of a flit.
        flit: Bytes,
        /// Ports to groups of cores.
        core_ports: u64,
        /// Flits per cycle of such a port.
        port_flits: u64,
        /// Ports to banks of the global memory, a flit per cycle each.
        memory_ports: u64,
        /// Clock.
        clock: Hertz,
        /// What it carries.
        bandwidth: BytesPerSecond,
        /// Between dies.
        die_to_die: BytesPerSecond,
        /// Rate of a lane between dies.
        die_to_die_lane: BytesPerSecond,
        /// Lanes between dies.
        die_to_die_lanes: u64,
    }
    /// DMA engines, which move tiles between off-chip memory, global memory and scratchpads.
    Dma dma {
        /// Engines: one per group of cores that share fetches.
        engines: u64,
        /// Bytes of a burst: one row of a slab.
        burst: Bytes,
        /// Time from a request to its data.
        latency: Seconds,
        /// Bytes on their way at full bandwidth (Little's law).
        outstanding: Bytes,
        /// Bursts of an engine on their way.
        bursts_per_engine: u64,
    }
    /// Controllers of off-chip memory.
    Hbm hbm {
        /// Kind.
        kind: String,
        /// Stacks.
        stacks: u64,
        /// Data pins of a stack.
        interface: u64,
        /// Channels of a stack, a controller each.
        channels: u64,
        /// Pseudo-channels of a channel.
        pseudo_channels: u64,
        /// Controllers.
        controllers: u64,
        /// Data pins of a pseudo-channel.
        pseudo_channel_pins: u64,
        /// Transfers of an access.
        burst_length: u64,
        /// Bytes of an access.
        access: Bytes,
        /// Rate of a pin.
        pin_rate: BytesPerSecond,
        /// Capacity, all stacks.
        capacity: Bytes,
        /// Bandwidth, all stacks.
        bandwidth: BytesPerSecond,
        /// Accesses of a controller on their way.
        accesses_per_controller: u64,
    }
    /// Links between packages.
    LinkPorts links {
        /// Scale-up bandwidth per direction.
        scale_up: BytesPerSecond,
        /// Chips of a scale-up domain.
        scale_up_domain: u64,
        /// Whether a switch joins the domain.
        scale_up_switched: bool,
        /// Scale-out bandwidth per direction.
        scale_out: BytesPerSecond,
        /// Payload of a lane.
        lane: BytesPerSecond,
        /// Lanes per direction, scale-up.
        scale_up_lanes: u64,
        /// Lanes per direction, scale-out.
        scale_out_lanes: u64,
    }
    /// Power envelope.
    Power power {
        /// Leakage and clocks under load.
        standing: Watts,
        /// Arrays at full rate, the edges of their arrays with them.
        arrays: Watts,
        /// Scratchpads at half their bandwidth.
        scratchpads: Watts,
        /// Global memory at half its bandwidth.
        global_memory: Watts,
        /// Off-chip memory at its bandwidth.
        hbm: Watts,
        /// Scale-up links at their bandwidth.
        links: Watts,
        /// What a kernel draws that keeps all of it busy: the compute side or the memory side in full, the other by half, and the links.
        sustained: Watts,
        /// Most that cooling carries off.
        limit: Watts,
        /// Most power that the package may draw.
        cap: Watts,
        /// Power when idle.
        idle: Watts,
        /// Highest temperature of the junction.
        junction: Celsius,
        /// Coolant.
        coolant: Celsius,
        /// Junction to coolant.
        resistance: KelvinPerWatt,
    }
    /// Silicon: area of every block, all dies together.
    Floor silicon {
        /// Process.
        node: String,
        /// Compute dies.
        dies: u64,
        /// Package.
        package: String,
        /// PE arrays.
        pe_array: SquareMetres,
        /// Scratchpads.
        scratchpad: SquareMetres,
        /// Vector units.
        vector_unit: SquareMetres,
        /// Sequencers and load-store units.
        control: SquareMetres,
        /// Global memory.
        global_memory: SquareMetres,
        /// Network.
        network: SquareMetres,
        /// PHYs of off-chip memory.
        hbm_phy: SquareMetres,
        /// Controllers of off-chip memory.
        hbm_controller: SquareMetres,
        /// PHYs of links.
        link_phy: SquareMetres,
        /// Controllers of links.
        link_controller: SquareMetres,
        /// Die-to-die PHYs.
        die_to_die: SquareMetres,
        /// Host interface, test, fuses, pads.
        other: SquareMetres,
        /// All of them.
        total: SquareMetres,
        /// Width of a die.
        die_width: Metres,
        /// Height of a die.
        die_height: Metres,
    }
}
