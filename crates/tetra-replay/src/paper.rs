//! A certificate as it is written: machine, op, mapping, cost, words moved and bound, read from JSON into plain types.
//!
//! Fields that are not known are ignored. Sizes are limited here, so that no later sum can run over or run long.

use serde::Deserialize;

/// Most levels, ranks, tensors and steps that are read.
const MOST_LEVELS: usize = 16;
const MOST_RANKS: usize = 12;
const MOST_TENSORS: usize = 8;
const MOST_STEPS: usize = 256;
/// Largest size of anything that is counted.
const MOST: u64 = 1 << 40;
const MOST_STRIDE: u64 = 1 << 12;

/// A certificate.
#[derive(Debug, Clone, Deserialize)]
pub struct Certificate {
    /// The machine.
    pub machine: Machine,
    /// The op.
    pub problem: Problem,
    /// Assumptions of time and capacity.
    pub mode: Mode,
    /// What was to be least.
    pub objective: Objective,
    /// The mapping.
    pub nest: Nest,
    /// What it is said to cost.
    pub cost: Cost,
    /// What it is said to move, by level and tensor, in bits.
    pub moved: Vec<Vec<Bits>>,
    /// What no mapping is said to go below.
    pub bound: Bound,
}

/// What a level is said to move of a tensor, in bits.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Bits {
    /// Read by all instances.
    pub read: f64,
    /// Written by all instances.
    pub written: f64,
    /// Read by the busiest instance.
    pub read_busiest: f64,
    /// Written by the busiest instance.
    pub written_busiest: f64,
}

/// Costs as they are claimed.
#[derive(Debug, Clone, Deserialize)]
pub struct Cost {
    /// Joules.
    pub energy_j: f64,
    /// Cycles.
    pub cycles: f64,
    /// Steps of the busiest lane.
    pub steps: f64,
    /// Cycles of the array.
    pub array_cycles: f64,
    /// Cycles of every level's busiest port.
    pub port_cycles: Vec<f64>,
    /// Cycles that nothing hides.
    pub exposed_cycles: f64,
    /// Joules of every level.
    pub level_j: Vec<f64>,
    /// Joules of the work itself.
    pub compute_j: f64,
}

/// A lower bound as it is claimed.
#[derive(Debug, Clone, Deserialize)]
pub struct Bound {
    /// Joules.
    pub energy_j: f64,
    /// Cycles.
    pub cycles: f64,
    /// Least traffic across every boundary between levels.
    #[serde(default)]
    pub boundaries: Vec<Boundary>,
}

/// Least traffic across one boundary.
#[derive(Debug, Clone, Deserialize)]
pub struct Boundary {
    /// Level above the boundary.
    pub below_level: usize,
    /// Bits that all levels below hold together; none: no limit.
    pub capacity_bits: Option<f64>,
    /// Least bits that cross.
    pub least_bits: f64,
}

/// Assumptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything overlaps, one buffer per tile.
    Ideal,
    /// Two buffers, exposed ends, array fills and drains.
    Real,
}

/// Objectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Cycles.
    Time,
    /// Joules.
    Energy,
    /// Their product.
    Edp,
}

/// Roles of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Activations.
    Input,
    /// Weights.
    Weight,
    /// Results.
    Output,
}

/// The machine.
#[derive(Debug, Clone, Deserialize)]
pub struct Machine {
    /// Levels, the outermost first.
    pub levels: Vec<Level>,
    /// What computes.
    pub compute: Compute,
}

/// A memory level.
#[derive(Debug, Clone, Deserialize)]
pub struct Level {
    /// Name.
    pub name: String,
    /// Bits of one instance; none: no limit.
    pub capacity_bits: Option<u64>,
    /// Joules per bit read.
    pub read_j_per_bit: f64,
    /// Joules per bit written.
    pub write_j_per_bit: f64,
    /// Bits per cycle; none: no limit. With a shared port: reads and writes together.
    pub read_bits_per_cycle: Option<f64>,
    /// Bits per cycle; none: no limit.
    pub write_bits_per_cycle: Option<f64>,
    /// One port for both.
    pub shared_port: bool,
    /// Fewest bits of an access.
    pub granule_bits: u64,
    /// Roles that must stay.
    pub keep: Vec<Role>,
    /// Roles that may stay.
    pub may_keep: Vec<Role>,
    /// Two buffers per tile in real mode.
    pub double_buffer: bool,
    /// Share of the bandwidth that streams reach in real mode.
    pub efficiency: f64,
    /// Fan-outs below, the outer first.
    pub fanouts: Vec<Fanout>,
}

/// Equal instances side by side.
#[derive(Debug, Clone, Deserialize)]
pub struct Fanout {
    /// Name.
    pub name: String,
    /// Instances.
    pub size: u64,
    /// Roles whose ranks may not be spread here.
    pub must_reuse: Vec<Role>,
    /// Roles of which one read serves all instances.
    pub multicast: Vec<Role>,
    /// Whether sums of instances are added on their way up.
    pub reduces: bool,
}

/// What computes.
#[derive(Debug, Clone, Deserialize)]
pub struct Compute {
    /// Joules per multiply-accumulate.
    pub mac_j: f64,
    /// Joules per vector operation.
    pub vector_j: f64,
    /// Vector operations per cycle of one instance.
    pub vector_ops_per_cycle: f64,
    /// Level whose instances carry vector lanes.
    pub vector_level: usize,
    /// `lanes` or `systolic`.
    pub dataflow: String,
    /// Whether held operands load in the shadow.
    pub shadow: bool,
    /// Cycles of a launch.
    pub launch_cycles: f64,
}

/// The op.
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    /// Name.
    pub name: String,
    /// Ranks.
    pub ranks: Vec<Rank>,
    /// Tensors.
    pub tensors: Vec<Tensor>,
    /// Work of a point.
    pub work: Work,
}

/// A rank.
#[derive(Debug, Clone, Deserialize)]
pub struct Rank {
    /// Name.
    pub name: String,
    /// Trips.
    pub extent: u64,
}

/// A tensor.
#[derive(Debug, Clone, Deserialize)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// One role.
    pub role: Vec<Role>,
    /// Bits of a value.
    pub bits: u64,
    /// Bits of a partial sum.
    pub sum_bits: u64,
    /// Dimensions: sums of (rank, stride).
    pub dims: Vec<Vec<(usize, u64)>>,
}

/// Work of a point.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// One multiply-accumulate.
    Mac,
    /// Vector operations.
    Vector(u64),
}

/// The mapping.
#[derive(Debug, Clone, Deserialize)]
pub struct Nest {
    /// Steps, the outermost first.
    pub steps: Vec<Step>,
}

/// One step inward.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A tensor lies in a level from here on.
    Store {
        /// Level.
        level: usize,
        /// Tensor.
        tensor: usize,
    },
    /// Tiles one after the other.
    Loop {
        /// Rank.
        rank: usize,
        /// Size of a tile.
        tile: u64,
    },
    /// Tiles side by side.
    Spread {
        /// Level above the fan-out.
        level: usize,
        /// Fan-out.
        fanout: usize,
        /// Rank.
        rank: usize,
        /// Size of a tile.
        tile: u64,
        /// Instances.
        lanes: u64,
    },
}

impl Step {
    /// Rank, tile and lanes (none: in time) of a loop.
    pub(crate) fn split(self) -> Option<(usize, u64, Option<u64>)> {
        match self {
            Self::Store { .. } => None,
            Self::Loop { rank, tile } => Some((rank, tile, None)),
            Self::Spread { rank, tile, lanes, .. } => Some((rank, tile, Some(lanes))),
        }
    }
}

impl Tensor {
    /// Whether it is written.
    pub fn is_output(&self) -> bool {
        self.role.contains(&Role::Output)
    }

    /// Whether a rank indexes it.
    pub fn indexed_by(&self, rank: usize) -> bool {
        self.dims.iter().flatten().any(|&(r, _)| r == rank)
    }
}

impl Fanout {
    /// Whether one access serves (takes in) all instances that share a word of the tensor.
    pub fn joins(&self, t: &Tensor) -> bool {
        if t.is_output() { self.reduces } else { t.role.iter().all(|r| self.multicast.contains(r)) }
    }
}

fn counted(what: &str, n: u64, faults: &mut Vec<String>) {
    if n == 0 || n > MOST {
        faults.push(format!("{what} is {n}"));
    }
}

fn measured(what: &str, x: f64, faults: &mut Vec<String>) {
    if !x.is_finite() || x < 0.0 {
        faults.push(format!("{what} is {x}"));
    }
}

impl Certificate {
    /// What makes the text no certificate: empty where every index and every number can be used.
    pub fn faults(&self) -> Vec<String> {
        let mut out = Vec::new();
        let (levels, tensors) = (self.machine.levels.len(), self.problem.tensors.len());
        let few = [(levels, MOST_LEVELS), (tensors, MOST_TENSORS), (self.problem.ranks.len(), MOST_RANKS)];
        if few.iter().any(|&(n, most)| n == 0 || n > most) || self.nest.steps.len() > MOST_STEPS {
            return vec!["there are no or too many levels, tensors, ranks or steps".into()];
        }
        self.machine.faults(&mut out);
        self.problem.faults(&mut out);
        for s in &self.nest.steps {
            self.step_faults(*s, &mut out);
        }
        if self.moved.len() < levels || self.moved.iter().any(|m| m.len() < tensors) {
            out.push("moved does not name every level and tensor".into());
        }
        if self.cost.port_cycles.len() < levels || self.cost.level_j.len() < levels {
            out.push("cost does not name every level".into());
        }
        out
    }

    fn step_faults(&self, s: Step, out: &mut Vec<String>) {
        let level_there = |l: usize| self.machine.levels.get(l);
        match s {
            Step::Store { level, tensor } if level_there(level).is_none() || tensor >= self.problem.tensors.len() => {
                out.push("a step stores a tensor or names a level that is not there".into());
            }
            Step::Spread { level, fanout, .. } if level_there(level).is_none_or(|l| fanout >= l.fanouts.len()) => {
                out.push("a step spreads over a fan-out that is not there".into());
            }
            _ => {}
        }
        if let Some((rank, tile, lanes)) = s.split() {
            if rank >= self.problem.ranks.len() {
                out.push("a step loops over a rank that is not there".into());
            }
            counted("a tile", tile, out);
            counted("a number of lanes", lanes.unwrap_or(1), out);
        }
    }
}

impl Machine {
    fn faults(&self, out: &mut Vec<String>) {
        for l in &self.levels {
            let rates = [l.read_bits_per_cycle, l.write_bits_per_cycle];
            if rates.into_iter().flatten().any(|b| !b.is_finite() || b <= 0.0) || !l.efficiency.is_finite() || l.efficiency <= 0.0 {
                out.push(format!("a bandwidth of {} is no number above zero", l.name));
            }
            measured("a read energy", l.read_j_per_bit, out);
            measured("a write energy", l.write_j_per_bit, out);
            counted("a granule", l.granule_bits, out);
            if l.fanouts.len() > MOST_LEVELS {
                out.push(format!("{} has too many fan-outs", l.name));
            }
            l.fanouts.iter().for_each(|f| counted("a fan-out", f.size, out));
        }
        let c = &self.compute;
        for x in [c.mac_j, c.vector_j, c.vector_ops_per_cycle, c.launch_cycles] {
            measured("a figure of the computing unit", x, out);
        }
        if c.vector_level >= self.levels.len() {
            out.push("the level of the vector lanes is not there".into());
        }
    }
}

impl Problem {
    fn faults(&self, out: &mut Vec<String>) {
        self.ranks.iter().for_each(|r| counted("the extent of a rank", r.extent, out));
        if self.tensors.iter().filter(|t| t.is_output()).count() != 1 {
            out.push("an op has one output".into());
        }
        for t in &self.tensors {
            counted("bits of a value", t.bits, out);
            counted("bits of a sum", t.sum_bits, out);
            let mut seen = Vec::new();
            for &(r, stride) in t.dims.iter().flatten() {
                counted("a stride", stride, out);
                if r >= self.ranks.len() || seen.contains(&r) || stride > MOST_STRIDE {
                    out.push(format!("{} is indexed by a rank that is not there or comes twice", t.name));
                }
                seen.push(r);
            }
            if t.role.len() != 1 || t.dims.len() > MOST_RANKS || t.dims.iter().any(|d| d.is_empty() || d.len() > 2) {
                out.push(format!("{} has no single role, or a dimension of none or more than two ranks", t.name));
            }
        }
    }
}
