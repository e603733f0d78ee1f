//! A machine as the exact mapper sees it: a chain of memory levels from the outermost to the registers, spatial fan-outs below levels,
//! and a MAC at the end. Numbers only: what technology they come from is said where the machine is made.
//!
//! A level that holds only some tensors stands beside its neighbours in effect, so that per-operand buffers and shared ones are both
//! written as one chain. Leaves out: bank conflicts, links between lanes of one fan-out.

use tetra_quantity::Hertz;

/// Most levels of a machine.
pub const MOST_LEVELS: usize = 8;
/// Most fan-outs of a machine.
pub const MOST_FANOUTS: usize = 8;

/// A set of roles that tensors play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(pub u8);

impl Roles {
    /// Activations, queries.
    pub const INPUT: Self = Self(1);
    /// Weights, keys, values.
    pub const WEIGHT: Self = Self(2);
    /// Results and their partial sums.
    pub const OUTPUT: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether every role of `other` is in this set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names, as files write them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |(_, r)| self.has(*r)).map(|(n, _)| n)
    }

    /// The role of that name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::ALL),
            _ => NAMES.iter().find(|(n, _)| *n == name).map(|&(_, r)| r),
        }
    }
}

const NAMES: [(&str, Roles); 3] = [("input", Roles::INPUT), ("weight", Roles::WEIGHT), ("output", Roles::OUTPUT)];

impl serde::Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.names())
    }
}

/// A machine.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Machine {
    /// Name.
    pub name: String,
    /// Cycles per second.
    #[serde(rename = "clock_hz", serialize_with = "hertz")]
    pub clock: Hertz,
    /// Memory levels, the outermost first; it holds every tensor whole.
    pub levels: Vec<Level>,
    /// What stands below the last level and its fan-outs.
    pub compute: ComputeUnit,
}

fn hertz<S: serde::Serializer>(clock: &Hertz, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(clock.value())
}

/// One memory level.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Level {
    /// Name.
    pub name: String,
    /// Bits that one instance holds; none: no limit.
    pub capacity_bits: Option<u64>,
    /// Joules per bit read.
    pub read_j_per_bit: f64,
    /// Joules per bit written.
    pub write_j_per_bit: f64,
    /// Bits that one instance reads per cycle; none: no limit. With a shared port: reads and writes together.
    pub read_bits_per_cycle: Option<f64>,
    /// Bits that one instance writes per cycle; none: no limit.
    pub write_bits_per_cycle: Option<f64>,
    /// Whether reads and writes share the port.
    pub shared_port: bool,
    /// Fewest bits that one access moves.
    pub granule_bits: u64,
    /// Tensors that must stay here on their way.
    pub keep: Roles,
    /// Tensors that may.
    pub may_keep: Roles,
    /// Whether the next tile is loaded while the present one is used, so that a tile may take half of the capacity.
    pub double_buffer: bool,
    /// Whether the level is a cache. A cache is mapped as a buffer of that size.
    pub cache: bool,
    /// Share of the bandwidth that a stream reaches (refresh, page misses, turn-round).
    pub efficiency: f64,
    /// Fan-outs below this level, the outer first.
    pub fanouts: Vec<Fanout>,
}

/// Equal instances of everything below.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Fanout {
    /// Name, for example `columns`.
    pub name: String,
    /// Instances.
    pub size: u64,
    /// Tensors that all instances must share: ranks that index them may not be spread here.
    pub must_reuse: Roles,
    /// Read tensors whose word one access gives to all instances that want it.
    pub multicast: Roles,
    /// Whether partial sums of instances are added on their way up.
    pub reduces: bool,
}

/// How an array holds and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataflow {
    /// No systolic array: nothing fills or drains.
    Lanes,
    /// Operands stream through the rows and columns of the last two fan-outs past what the last level holds.
    Systolic,
}

/// What computes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ComputeUnit {
    /// Joules per MAC.
    pub mac_j: f64,
    /// Joules per operation of a vector lane.
    pub vector_j: f64,
    /// Vector operations per cycle of one instance of the level that `vector_level` names.
    pub vector_ops_per_cycle: f64,
    /// Index of the level that feeds the vector lanes.
    pub vector_level: usize,
    /// Whether the array is systolic.
    pub dataflow: Dataflow,
    /// Whether the next fold's held operand loads in the shadow of the present fold.
    pub shadow: bool,
    /// Cycles to start an op and to see its end; counted in real mode.
    pub launch_cycles: f64,
    /// Watts of leakage and clocks, added to the energy of an op in real mode; none: not known, not added.
    pub static_w: Option<f64>,
    /// Bits of an operand and of a finished result, unless the op names a type.
    pub operand_bits: u64,
    /// Bits of a partial sum; in ideal mode partial sums are as wide as operands.
    pub sum_bits: u64,
    /// Most watts; none: no cap.
    pub power_cap_w: Option<f64>,
}

impl Machine {
    /// Instances of a level: the product of all fan-outs above it.
    pub fn instances(&self, level: usize) -> u64 {
        self.levels.iter().take(level).flat_map(|l| &l.fanouts).fold(1, |n, f| n.saturating_mul(f.size))
    }

    /// Instances of a level that may share a word on its way: fan-outs that neither multicast nor sum do not count.
    pub fn sharing_instances(&self, level: usize) -> u64 {
        let fanouts = self.levels.iter().take(level).flat_map(|l| &l.fanouts).filter(|f| f.reduces || f.multicast != Roles::NONE);
        fanouts.fold(1, |n, f| n.saturating_mul(f.size))
    }

    /// Multipliers in all.
    pub fn lanes(&self) -> u64 {
        self.instances(self.levels.len())
    }

    /// Rows and columns of a systolic array: the last two fan-outs above the MACs; (0, 0) for other arrays.
    pub fn array(&self) -> (u64, u64) {
        if self.compute.dataflow == Dataflow::Lanes {
            return (0, 0);
        }
        let sizes: Vec<u64> = self.levels.iter().flat_map(|l| &l.fanouts).map(|f| f.size).collect();
        match sizes[..] {
            [.., a, b] => (a, b),
            [a] => (a, 1),
            [] => (0, 0),
        }
    }
}
