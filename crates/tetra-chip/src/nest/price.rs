//! Counts → energy and cycles of a mapping, in two modes.
//!
//! *Ideal*: all levels and the MACs overlap perfectly, `cycles = max(steps, bits/bandwidth of every port)`, one buffer per tile, partial
//! sums as wide as operands: the assumptions of AccelForge. *Real*: two buffers where a level has them, wide partial sums, shared ports,
//! stream efficiency, the first load and the last store exposed, filling and draining of a systolic array per fold
//! (`2R + C + T − 2` cycles per fold of `T` rows, `max(T, R)` with shadow weights: Samajdar et al., arXiv 1811.02883), launch.
//! Leaves out: bank conflicts, refresh as events.

use crate::nest::count::{Moved, NestCounts, count};
use crate::nest::loops::{Nest, Spreading, Step, share, steps as lane_steps};
use crate::nest::machine::{Dataflow, Level, MOST_LEVELS, Machine, Roles};
use crate::nest::problem::{MOST_TENSORS, Problem, Work, parts};

/// Assumptions of time and capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Perfect overlap, single buffers.
    Ideal,
    /// What a machine of that description does.
    Real,
}

/// What a mapping costs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct NestCost {
    /// Joules of all accesses and operations at nominal voltage.
    pub energy_j: f64,
    /// Cycles at the nominal clock.
    pub cycles: f64,
    /// Steps of the busiest lane.
    pub steps: u64,
    /// Cycles of the array, filling and draining included.
    pub array_cycles: f64,
    /// Cycles of every level's busiest port.
    pub port_cycles: Vec<f64>,
    /// Cycles before the first and after the last step, launch included.
    pub exposed_cycles: f64,
    /// Joules of every level.
    pub level_j: Vec<f64>,
    /// Joules of the MACs or lanes.
    pub compute_j: f64,
}

impl NestCost {
    /// Energy times delay, in joule-cycles.
    pub fn edp(&self) -> f64 {
        self.energy_j * self.cycles
    }
}

/// Buffers that a tile takes in a level.
pub(crate) fn buffers(level: &Level, mode: Mode) -> u64 {
    if mode == Mode::Real && level.double_buffer { 2 } else { 1 }
}

/// Cycles of the busiest port of a level.
pub(crate) fn port(level: &Level, read: f64, written: f64, mode: Mode) -> f64 {
    let share = if mode == Mode::Real { level.efficiency } else { 1.0 };
    let at = |bits: f64, rate: Option<f64>| rate.map_or(0.0, |b| bits / (b * share));
    if level.shared_port {
        at(read + written, level.read_bits_per_cycle)
    } else {
        at(read, level.read_bits_per_cycle).max(at(written, level.write_bits_per_cycle))
    }
}

/// Joules per point and points per step of the unit that does the work.
pub(crate) fn point_j(problem: &Problem, machine: &Machine) -> f64 {
    match problem.work {
        Work::Mac => machine.compute.mac_j,
        Work::Vector(ops) => machine.compute.vector_j * ops as f64,
    }
}

/// Price of a mapping that `Nest::check` accepts.
pub fn price(problem: &Problem, machine: &Machine, nest: &Nest, mode: Mode) -> NestCost {
    price_counts(problem, machine, nest, &count(problem, machine, nest), mode)
}

pub(crate) fn price_counts(problem: &Problem, machine: &Machine, nest: &Nest, c: &NestCounts, mode: Mode) -> NestCost {
    let mut level_j = Vec::with_capacity(MOST_LEVELS);
    let mut port_cycles = Vec::with_capacity(MOST_LEVELS);
    for (level, moved) in machine.levels.iter().zip(&c.moved) {
        let sum = |f: fn(&Moved) -> f64| moved.iter().take(MOST_TENSORS).map(f).sum::<f64>();
        level_j.push(sum(|m| m.read) * level.read_j_per_bit + sum(|m| m.written) * level.write_j_per_bit);
        port_cycles.push(port(level, sum(|m| m.read_busiest), sum(|m| m.written_busiest), mode));
    }
    let compute_j = c.points as f64 * point_j(problem, machine);
    let array_cycles = array_cycles(problem, machine, nest, c.steps, mode);
    let exposed_cycles = if mode == Mode::Real { exposed(problem, machine, nest) + machine.compute.launch_cycles } else { 0.0 };
    let busiest = port_cycles.iter().copied().fold(array_cycles, f64::max);
    NestCost {
        energy_j: level_j.iter().sum::<f64>() + compute_j,
        cycles: busiest + exposed_cycles,
        steps: c.steps,
        array_cycles,
        port_cycles,
        exposed_cycles,
        level_j,
        compute_j,
    }
}

/// Cycles of the computing unit: steps, and in real mode what a systolic array needs to fill and drain.
fn array_cycles(problem: &Problem, machine: &Machine, nest: &Nest, steps: u64, mode: Mode) -> f64 {
    if let Work::Vector(ops) = problem.work {
        let rate = machine.compute.vector_ops_per_cycle;
        let lanes = machine.instances(machine.compute.vector_level) as f64;
        let alone = steps as f64 * ops as f64;
        return if rate > 0.0 { problem.points() as f64 * ops as f64 / (rate * lanes) } else { alone };
    }
    if mode == Mode::Ideal || machine.compute.dataflow == Dataflow::Lanes {
        return steps as f64;
    }
    let (rows, columns) = rows_and_columns(machine);
    let held = nest.steps.iter().rposition(|s| matches!(s, Step::Store { .. })).unwrap_or(0);
    let (folds, full, least) = folds(problem, nest, held, steps, rows);
    if machine.compute.shadow { least + (rows + columns) as f64 } else { full + folds * (2 * rows + columns).saturating_sub(2) as f64 }
}

/// Rows (summed) and columns of a systolic array: of its last two fan-outs the one over which sums run is the rows.
pub(crate) fn rows_and_columns(machine: &Machine) -> (u64, u64) {
    let list: Vec<_> = machine.levels.iter().flat_map(|l| &l.fanouts).collect();
    match list[..] {
        [.., a, b] if b.must_reuse.has(Roles::OUTPUT) => (b.size, a.size),
        [.., a, b] => (a.size, b.size),
        [a] => (a.size, 1),
        [] => (1, 1),
    }
}

/// Folds (visits of the first lane to what the array holds), their steps, and their steps where each takes no fewer than `rows`.
fn folds(problem: &Problem, nest: &Nest, held: usize, steps: u64, rows: u64) -> (f64, f64, f64) {
    let outer = nest.tile_at(problem, held + 1);
    let whole = problem.extents();
    // Full tiles and those cut at an edge, rank by rank: how many, and steps in time below the held operand.
    let mut streams: Vec<(f64, f64)> = vec![(1.0, 1.0)];
    for r in 0..problem.ranks.len() {
        let seen = share(whole[r], &spreads(nest, r, 0, held));
        let below = spreads(nest, r, held, nest.steps.len());
        let cut = parts(seen, outer[r].max(1)).map(|(times, size)| (times as f64, lane_steps(size, &below, 1) as f64));
        streams = streams.iter().flat_map(|&(n, t)| cut.iter().map(move |&(times, s)| (n * times, t * s))).filter(|s| s.0 > 0.0).collect();
    }
    let folds = streams.iter().map(|s| s.0).sum();
    let least = streams.iter().map(|s| s.0 * s.1.max(rows as f64)).sum();
    (folds, steps as f64, least)
}

/// Spreads of a rank between two steps, the outermost first.
fn spreads(nest: &Nest, rank: usize, from: usize, to: usize) -> Vec<Spreading> {
    let found = |s: &Step| match *s {
        Step::Spread { rank: r, tile, lanes, .. } if r == rank => Some(Spreading { tile: tile.saturating_mul(lanes), piece: tile }),
        _ => None,
    };
    nest.steps[from..to].iter().filter_map(found).collect()
}

/// Cycles of the first tiles' way in and the last result's way out: nothing overlaps them.
fn exposed(problem: &Problem, machine: &Machine, nest: &Nest) -> f64 {
    let mut above = [0usize; MOST_TENSORS];
    let mut cycles = 0.0;
    for (i, s) in nest.steps.iter().enumerate() {
        let Step::Store { level, tensor } = *s else { continue };
        if level > 0 {
            let t = &problem.tensors[tensor];
            let bits = t.footprint(&nest.tile_at(problem, i)) as f64 * t.bits as f64;
            let (parent, own) = (&machine.levels[above[tensor]], &machine.levels[level]);
            let (from, to) = if t.is_output() { (own, parent) } else { (parent, own) };
            cycles += port(from, bits, 0.0, Mode::Real).max(port(to, 0.0, bits, Mode::Real));
        }
        above[tensor] = level;
    }
    cycles
}
