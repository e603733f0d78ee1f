//! The one type for every accelerator: a GPU that is on sale and a chip of the custom template alike. Structure only; constants of
//! nature and of technology come from the tables.

use tetra_quantity::{Bytes, BytesPerSecond, Celsius, Hertz, KelvinPerWatt, Metres, SquareMetres, Watts};

/// An accelerator package as programmers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chip {
    /// Name.
    pub name: String,
    /// Other names under which published tables list it.
    pub aliases: Vec<String>,
    /// Year of first volume; 0 for a chip of the template.
    pub year: u16,
    /// Key of the source in `data/sources.toml`.
    pub source: String,
    /// Whether figures are a maker's (`datasheet`), ours for a design (`template`), or only announced (`assumption`).
    pub kind: ChipKind,
    /// Processors.
    pub compute: Compute,
    /// On-chip and off-chip memories.
    pub memory: Memory,
    /// Links between chips.
    pub links: Links,
    /// Power envelope.
    pub power: PowerEnvelope,
    /// Silicon and package.
    pub silicon: Silicon,
}

/// Where a chip's figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChipKind {
    /// Published by its maker.
    Datasheet,
    /// Announced or inferred.
    Assumption,
    /// A design of the custom template.
    Template,
}

/// Processors of all dies together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compute {
    /// Cores (streaming multiprocessors, compute units, tensor cores with their own memory).
    pub cores: u64,
    /// Clock at which the arrays run under load without a power cap.
    pub clock: Hertz,
    /// Highest clock, reached while power allows: short and memory-bound kernels run at it.
    pub clock_max: Hertz,
    /// PE arrays per core.
    pub arrays_per_core: u64,
    /// Rows of a PE array (summed dimension), in MACs of 16-bit floats.
    pub array_rows: u64,
    /// Columns of a PE array (output features), in MACs of 16-bit floats.
    pub array_columns: u64,
    /// Whether weights of the next tile load while the present one computes.
    pub shadow_weights: bool,
    /// MACs per core and cycle by type, relative to 16-bit floats; 0 where the type is not supported.
    pub rate: MacRates,
    /// Vector lanes per core (32-bit operations per cycle).
    pub lanes_per_core: u64,
    /// Rows of a tile of the result that one core's arrays work on together when the matrix is large (register or accumulator bound).
    pub tile_rows_max: u64,
    /// Columns of that tile.
    pub tile_columns_max: u64,
    /// Cores that share one fetch of an operand tile (thread-block clusters, multicast).
    pub multicast: u64,
    /// Cores that a matrix product's tiles are launched on together; all of a cluster lie in one group.
    pub cluster: u64,
    /// Groups of cores on all dies.
    pub groups: u64,
    /// Whether arrays read 8-bit operands along the summed dimension only, so that training keeps a turned copy of each for its other products.
    pub narrow_one_way: bool,
}

impl Compute {
    /// Highest clock over the rated one, at least 1.
    pub fn boost(&self) -> f64 {
        (self.clock_max.value() / self.clock.value()).max(1.0)
    }

    /// Peak 16-bit MACs per second.
    pub fn macs_per_second(&self) -> f64 {
        self.cores as f64 * self.arrays_per_core as f64 * self.array_rows as f64 * self.array_columns as f64 * self.clock.value()
    }
}

/// MAC rate of each type relative to 16-bit floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacRates {
    /// 32-bit float.
    pub fp32: f64,
    /// 8-bit float.
    pub fp8: f64,
    /// 8-bit integer.
    pub int8: f64,
    /// 4-bit float.
    pub fp4: f64,
}

/// Memories.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Scratchpad of one core (shared memory, local buffer).
    pub local: Bytes,
    /// Bytes per cycle that a core's scratchpad feeds its arrays.
    pub local_bytes_per_cycle: f64,
    /// Memory shared by all cores (L2 cache or global buffer).
    pub global: Bytes,
    /// Bytes per cycle of that memory, all ports together.
    pub global_bytes_per_cycle: f64,
    /// Whether it is a cache (what stays is not chosen).
    pub global_is_cache: bool,
    /// HBM or other off-chip memory: kind, for example `HBM3`.
    pub hbm_kind: String,
    /// Stacks.
    pub hbm_stacks: u64,
    /// Capacity, all stacks.
    pub hbm: Bytes,
    /// Peak bandwidth, all stacks.
    pub hbm_bandwidth: BytesPerSecond,
}

/// Links between packages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Links {
    /// Scale-up bandwidth per chip and direction.
    pub scale_up: BytesPerSecond,
    /// Chips in one scale-up domain.
    pub scale_up_domain: u64,
    /// Whether a switch joins the domain (any pair at full rate) or neighbours are wired to each other.
    pub scale_up_switched: bool,
    /// Whether switches reduce in flight.
    pub scale_up_reduces: bool,
    /// Scale-out bandwidth per chip and direction.
    pub scale_out: BytesPerSecond,
}

/// Power and heat as given by the board.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerEnvelope {
    /// Most power that the package may draw.
    pub cap: Watts,
    /// Power when idle.
    pub idle: Watts,
    /// Coolant (or inlet air) temperature.
    pub coolant: Celsius,
    /// Junction to coolant resistance.
    pub resistance: KelvinPerWatt,
}

/// Silicon of the package.
#[derive(Debug, Clone, PartialEq)]
pub struct Silicon {
    /// Process row in the foundry tables, for example `N4`.
    pub node: String,
    /// Compute dies in the package.
    pub dies: u64,
    /// Width and height of one compute die; zero when unknown.
    pub die_width: Metres,
    /// Height of one compute die.
    pub die_height: Metres,
    /// Logic area of all dies (what export rules count); zero when unknown.
    pub area: SquareMetres,
    /// Cores laid out on all dies, of which `compute.cores` must work.
    pub cores_built: u64,
    /// Package kind, for example `CoWoS-S`.
    pub package: String,
}
