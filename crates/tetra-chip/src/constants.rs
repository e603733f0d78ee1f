//! Constants of technology (sourced) and of kernels (calibrated), read once from the tables into plain numbers.
//!
//! Per node: energy and density relative to N7, the node of the anchors. SRAM energy per byte follows capacity between two anchors in
//! log-log. Leaves out: temperature, voltage bins.

use tetra_quantity::{
    Bytes, BytesPerSecond, Celsius, DataError, Fraction, Joules, JoulesPerByte, Metres, Seconds, SquareMetres, Tables, Watts,
};
use tetra_workload::VectorKind;

/// Everything that timing, energy, area and the template take from the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipConstants {
    /// How kernels run on cores.
    pub kernels: KernelConstants,
    /// Energy at N7.
    pub energy: EnergyConstants,
    /// Process nodes by name.
    pub nodes: Vec<(String, NodeConstants)>,
    /// Off-chip memories by kind.
    pub memories: Vec<(String, MemoryConstants)>,
    /// Areas at N7.
    pub area: AreaConstants,
    /// Rules of the template.
    pub template: TemplateConstants,
}

/// How kernels run.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelConstants {
    /// Share of peak MACs that a full main loop reaches.
    pub array_fraction: f64,
    /// Share of peak bandwidth when off-chip memory is mostly read.
    pub hbm_read_fraction: f64,
    /// Share of peak bandwidth when reads and writes mix.
    pub hbm_mixed_fraction: f64,
    /// Share of the global memory's peak bandwidth.
    pub global_fraction: f64,
    /// Share of the shorter of array and lane work in one kernel that the longer does not hide.
    pub lanes_exposed: f64,
    /// Latency of a dependent trip to memory with its barrier, in seconds: prologue, epilogue and split reduction each take one.
    pub trip_s: f64,
    /// Time from one kernel's start to the next one's on the device, in seconds.
    pub launch_s: f64,
    /// Time that the host adds to a matrix product that is launched alone and waited for, in seconds.
    pub host_matrix_s: f64,
    /// The same for a vector op of a library, in seconds.
    pub host_vector_s: f64,
    /// Host time of a compiled vector op, behind which device work hides, in seconds.
    pub host_compiled_s: f64,
    /// Part of it that passes before the device starts, in seconds.
    pub host_compiled_start_s: f64,
    /// Further host time of a normalisation, in seconds.
    pub host_statistics_s: f64,
    /// Latency of one pass over a row, in seconds.
    pub pass_s: f64,
    /// Latency of one dependent step of a row that is loaded block by block, in cycles.
    pub row_step_cycles: f64,
    /// Share of the global memory beyond which rows in work no longer stay.
    pub stay_fraction: f64,
    /// Power of the clock tree and leakage under load, as a share of the cap.
    pub static_fraction: f64,
    /// Lane operations per score of fused attention.
    pub attention_lane_ops: f64,
    /// Lane operations per weight that is widened before it is multiplied.
    pub widen_lane_ops: f64,
    /// Lane operations per element of each vector kind.
    pub lane_ops: [f64; VECTOR_KINDS.len()],
}

/// Vector kinds in table order with the name of their row.
pub const VECTOR_KINDS: [(VectorKind, &str); 14] = [
    (VectorKind::Softmax, "softmax"),
    (VectorKind::LayerNorm, "layer_norm"),
    (VectorKind::RmsNorm, "rms_norm"),
    (VectorKind::Gelu, "gelu"),
    (VectorKind::GatedSilu, "gated_silu"),
    (VectorKind::Add, "add"),
    (VectorKind::Rope, "rope"),
    (VectorKind::Gather, "gather"),
    (VectorKind::TopK, "top_k"),
    (VectorKind::Permute, "permute"),
    (VectorKind::Quantise, "quantise"),
    (VectorKind::CrossEntropy, "cross_entropy"),
    (VectorKind::Optimizer, "optimizer"),
    (VectorKind::Dropout, "dropout"),
];

/// Index of a kind in `VECTOR_KINDS`.
pub(crate) fn kind_index(kind: VectorKind) -> usize {
    match kind {
        VectorKind::Softmax => 0,
        VectorKind::LayerNorm => 1,
        VectorKind::RmsNorm => 2,
        VectorKind::Gelu => 3,
        VectorKind::GatedSilu => 4,
        VectorKind::Add => 5,
        VectorKind::Rope => 6,
        VectorKind::Gather => 7,
        VectorKind::TopK => 8,
        VectorKind::Permute => 9,
        VectorKind::Quantise => 10,
        VectorKind::CrossEntropy => 11,
        VectorKind::Optimizer => 12,
        VectorKind::Dropout => 13,
    }
}

/// Energies at N7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyConstants {
    /// Joules per MAC: fp32, fp16, fp8, int8, fp4.
    pub mac_j: [f64; 5],
    /// Joules per byte at the edge of an array: register file, operand delivery, partial sums.
    pub edge_j_per_byte: f64,
    /// Joules per byte of a core's scratchpad.
    pub local_j_per_byte: f64,
    /// Joules per byte of a small global memory, and its size in bytes.
    pub small: (f64, f64),
    /// Joules per byte of a large global memory, and its size in bytes.
    pub large: (f64, f64),
    /// Joules per lane operation.
    pub lane_j: f64,
    /// Joules per byte over a link between packages.
    pub link_j_per_byte: f64,
}

/// A process node relative to N7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeConstants {
    /// Energy of logic and wires.
    pub energy: f64,
    /// Area of logic.
    pub logic_area: f64,
    /// Area of SRAM.
    pub sram_area: f64,
    /// Clock at equal design effort.
    pub speed: f64,
}

/// An off-chip memory kind, one stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryConstants {
    /// Joules per byte, PHY included.
    pub j_per_byte: f64,
    /// Capacity.
    pub capacity: Bytes,
    /// Bandwidth as shipped.
    pub bandwidth: BytesPerSecond,
    /// PHY of one stack on the compute die in mm² (does not shrink).
    pub phy_mm2: f64,
}

/// Areas at N7 in mm².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AreaConstants {
    /// One 16-bit MAC of an array with its registers.
    pub mac_mm2: f64,
    /// A byte of a software-managed buffer.
    pub buffer_mm2_per_byte: f64,
    /// A byte of a cache shared by all cores.
    pub cache_mm2_per_byte: f64,
    /// A vector lane.
    pub lane_mm2: f64,
    /// Sequencer, registers and load-store units beside one array.
    pub control_mm2: f64,
    /// A byte per cycle of the network between cores and global memory.
    pub noc_mm2_per_byte_cycle: f64,
    /// Memory controller per mm² of PHY.
    pub memory_controller_share: f64,
    /// Link PHY per byte per second (does not shrink).
    pub link_phy_mm2_per_byte_s: f64,
    /// Link controller per byte per second.
    pub link_controller_mm2_per_byte_s: f64,
    /// Die-to-die PHY per byte per second of bisection (does not shrink).
    pub die_to_die_mm2_per_byte_s: f64,
    /// Host interface, test, fuses, clocks, pads per die.
    pub other_mm2: f64,
}

/// Rules of the template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemplateConstants {
    /// Width of the exposure field.
    pub reticle_width: Metres,
    /// Height of the exposure field.
    pub reticle_height: Metres,
    /// Die edge that one memory stack takes.
    pub stack_edge: Metres,
    /// Link bandwidth per metre of die edge, in bytes per second.
    pub link_edge_bytes_s_per_m: f64,
    /// Margin of the power cap over the mean at full load.
    pub power_margin: f64,
    /// Watts per package that liquid carries off.
    pub liquid_limit: Watts,
    /// Watts per package that air carries off.
    pub air_limit: Watts,
    /// Leakage and clock power per mm² at N7, in watts.
    pub static_w_per_mm2: f64,
    /// Highest clock at N7 for an array of this class, in hertz.
    pub clock_max_hz: f64,
    /// Cores laid out in excess of those that must work.
    pub spare_cores: f64,
    /// Scale-out bandwidth per chip and direction, in bytes per second.
    pub scale_out_bytes_s: f64,
    /// Air temperature at the inlet of an air-cooled package.
    pub air_c: f64,
    /// Liquid temperature at the cold plate.
    pub coolant_c: f64,
    /// Highest junction temperature.
    pub junction_c: f64,
    /// Share of static power that remains when idle (clocks gated).
    pub idle_share: f64,
    /// MAC rates relative to 16-bit floats: fp32, fp8, int8, fp4.
    pub rates: [f64; 4],
}

fn number(tables: &Tables, item: &str, parameter: &str) -> Result<f64, DataError> {
    Ok(tables.quantity::<Fraction>(item, parameter)?.value())
}

fn seconds(tables: &Tables, item: &str, parameter: &str) -> Result<f64, DataError> {
    Ok(tables.quantity::<Seconds>(item, parameter)?.value())
}

fn joules(tables: &Tables, parameter: &str) -> Result<f64, DataError> {
    Ok(tables.quantity::<Joules>("energy", parameter)?.value())
}

fn per_byte(tables: &Tables, parameter: &str) -> Result<f64, DataError> {
    Ok(tables.quantity::<JoulesPerByte>("energy", parameter)?.value())
}

fn square(tables: &Tables, parameter: &str) -> Result<f64, DataError> {
    Ok(tables.quantity::<SquareMetres>("area", parameter)?.value() * 1e6)
}

impl ChipConstants {
    /// Reads all constants.
    ///
    /// # Errors
    /// The first row that is missing or has a wrong unit.
    pub fn from_tables(tables: &Tables) -> Result<Self, DataError> {
        Ok(Self {
            kernels: KernelConstants::from_tables(tables)?,
            energy: EnergyConstants::from_tables(tables)?,
            nodes: nodes(tables)?,
            memories: memories(tables)?,
            area: AreaConstants::from_tables(tables)?,
            template: TemplateConstants::from_tables(tables)?,
        })
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeConstants> {
        self.nodes.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, c)| c)
    }

    /// The memory of that kind.
    pub fn memory(&self, kind: &str) -> Option<&MemoryConstants> {
        self.memories.iter().find(|(n, _)| n.eq_ignore_ascii_case(kind)).map(|(_, c)| c)
    }
}

impl KernelConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let k = "kernels";
        let mut lane_ops = [0.0; VECTOR_KINDS.len()];
        for (slot, (_, name)) in lane_ops.iter_mut().zip(VECTOR_KINDS) {
            *slot = number(t, "lane_ops", name)?;
        }
        Ok(Self {
            array_fraction: number(t, k, "array_fraction")?,
            hbm_read_fraction: number(t, k, "hbm_read_fraction")?,
            hbm_mixed_fraction: number(t, k, "hbm_mixed_fraction")?,
            global_fraction: number(t, k, "global_fraction")?,
            lanes_exposed: number(t, k, "lanes_exposed")?,
            trip_s: seconds(t, k, "trip")?,
            launch_s: seconds(t, k, "launch")?,
            host_matrix_s: seconds(t, k, "host_matrix")?,
            host_vector_s: seconds(t, k, "host_vector")?,
            host_compiled_s: seconds(t, k, "host_compiled")?,
            host_compiled_start_s: seconds(t, k, "host_compiled_start")?,
            host_statistics_s: seconds(t, k, "host_statistics")?,
            pass_s: seconds(t, k, "pass")?,
            row_step_cycles: number(t, k, "row_step_cycles")?,
            stay_fraction: number(t, k, "stay_fraction")?,
            static_fraction: number(t, k, "static_fraction")?,
            widen_lane_ops: number(t, "lane_ops", "widen")?,
            attention_lane_ops: number(t, "lane_ops", "attention_score")?,
            lane_ops,
        })
    }
}

impl EnergyConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let size = |p: &str| Ok::<f64, DataError>(t.quantity::<Bytes>("energy", p)?.value());
        Ok(Self {
            mac_j: [joules(t, "mac_fp32")?, joules(t, "mac_fp16")?, joules(t, "mac_fp8")?, joules(t, "mac_int8")?, joules(t, "mac_fp4")?],
            edge_j_per_byte: per_byte(t, "array_edge")?,
            local_j_per_byte: per_byte(t, "scratchpad")?,
            small: (per_byte(t, "sram_small")?, size("sram_small_size")?),
            large: (per_byte(t, "sram_large")?, size("sram_large_size")?),
            lane_j: joules(t, "lane_op")?,
            link_j_per_byte: per_byte(t, "link")?,
        })
    }

    /// Joules per byte of a global memory of that many bytes, at N7.
    pub fn global_j_per_byte(&self, bytes: f64) -> f64 {
        let ((e0, s0), (e1, s1)) = (self.small, self.large);
        let slope = (e1 / e0).ln() / (s1 / s0).ln();
        (e0 * (bytes.max(1.0) / s0).powf(slope)).max(self.local_j_per_byte)
    }
}

fn nodes(t: &Tables) -> Result<Vec<(String, NodeConstants)>, DataError> {
    const SUFFIX: &str = "_energy";
    let names: Vec<String> = t.item("node").filter_map(|r| r.parameter.strip_suffix(SUFFIX).map(str::to_owned)).collect();
    names
        .into_iter()
        .map(|n| {
            let get = |what: &str| number(t, "node", &format!("{n}_{what}"));
            let c = NodeConstants {
                energy: get("energy")?,
                logic_area: get("logic_area")?,
                sram_area: get("sram_area")?,
                speed: get("speed")?,
            };
            Ok((n, c))
        })
        .collect()
}

fn memories(t: &Tables) -> Result<Vec<(String, MemoryConstants)>, DataError> {
    const SUFFIX: &str = "_energy";
    let names: Vec<String> = t.item("memory").filter_map(|r| r.parameter.strip_suffix(SUFFIX).map(str::to_owned)).collect();
    names
        .into_iter()
        .map(|n| {
            let c = MemoryConstants {
                j_per_byte: t.quantity::<JoulesPerByte>("memory", &format!("{n}_energy"))?.value(),
                capacity: t.quantity("memory", &format!("{n}_capacity"))?,
                bandwidth: t.quantity("memory", &format!("{n}_bandwidth"))?,
                phy_mm2: t.quantity::<SquareMetres>("memory", &format!("{n}_phy_area"))?.value() * 1e6,
            };
            Ok((n, c))
        })
        .collect()
}

impl AreaConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        /// Bytes in the MiB and bytes per second in the GB/s by which the rows are stated.
        const MIB: f64 = 1024.0 * 1024.0;
        Ok(Self {
            mac_mm2: square(t, "mac")?,
            buffer_mm2_per_byte: square(t, "buffer_per_mib")? / MIB,
            cache_mm2_per_byte: square(t, "cache_per_mib")? / MIB,
            lane_mm2: square(t, "lane")?,
            control_mm2: square(t, "control")?,
            noc_mm2_per_byte_cycle: square(t, "noc_per_byte_cycle")?,
            memory_controller_share: number(t, "area", "memory_controller_share")?,
            link_phy_mm2_per_byte_s: square(t, "link_phy_per_gb_s")? / 1e9,
            link_controller_mm2_per_byte_s: square(t, "link_controller_per_gb_s")? / 1e9,
            die_to_die_mm2_per_byte_s: square(t, "die_to_die_per_gb_s")? / 1e9,
            other_mm2: square(t, "other")?,
        })
    }
}

impl TemplateConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let k = "template";
        Ok(Self {
            reticle_width: t.quantity(k, "reticle_width")?,
            reticle_height: t.quantity(k, "reticle_height")?,
            stack_edge: t.quantity(k, "stack_edge")?,
            link_edge_bytes_s_per_m: t.quantity::<BytesPerSecond>(k, "link_per_mm_of_edge")?.value() * 1e3,
            power_margin: number(t, k, "power_margin")?,
            liquid_limit: t.quantity(k, "liquid_limit")?,
            air_limit: t.quantity(k, "air_limit")?,
            static_w_per_mm2: t.quantity::<Watts>(k, "static_per_mm2")?.value(),
            clock_max_hz: t.quantity::<tetra_quantity::Hertz>(k, "clock_max")?.value(),
            spare_cores: number(t, k, "spare_cores")?,
            scale_out_bytes_s: t.quantity::<BytesPerSecond>(k, "scale_out")?.value(),
            air_c: t.quantity::<Celsius>(k, "air")?.value(),
            coolant_c: t.quantity::<Celsius>(k, "coolant")?.value(),
            junction_c: t.quantity::<Celsius>(k, "junction")?.value(),
            idle_share: number(t, k, "idle_share")?,
            rates: [number(t, k, "rate_fp32")?, number(t, k, "rate_fp8")?, number(t, k, "rate_int8")?, number(t, k, "rate_fp4")?],
        })
    }
}
