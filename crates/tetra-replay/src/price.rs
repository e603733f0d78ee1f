//! Words moved → joules and cycles, by the rules that a certificate's mode names.
//!
//! *Ideal*: `cycles = max(steps, bits / bandwidth of every port)`. *Real*: stream efficiency, the first tiles' way in and the last ones'
//! way out, launch; a systolic array takes `2R + C + T − 2` cycles for a fold of `T` steps, `max(T, R)` with shadow weights.

use crate::formula::Formula;
use crate::paper::{Bits, Cost, Level, Machine, Mode, Problem, Role, Step, Work};
use crate::tally::{bits, level_of, places, sizes_at};

fn port(level: &Level, read: f64, written: f64, mode: Mode) -> f64 {
    let share = if mode == Mode::Real { level.efficiency } else { 1.0 };
    let cycles = |bits: f64, rate: Option<f64>| rate.map_or(0.0, |r| bits / (r * share));
    if level.shared_port {
        return cycles(read + written, level.read_bits_per_cycle);
    }
    cycles(read, level.read_bits_per_cycle).max(cycles(written, level.write_bits_per_cycle))
}

/// Joules of a point.
pub(crate) fn point_j(machine: &Machine, problem: &Problem) -> f64 {
    match problem.work {
        Work::Mac => machine.compute.mac_j,
        Work::Vector(n) => machine.compute.vector_j * n as f64,
    }
}

/// Points of an op.
pub(crate) fn points(problem: &Problem) -> f64 {
    problem.ranks.iter().map(|r| r.extent as f64).product()
}

/// Instances of a level.
pub(crate) fn instances(machine: &Machine, level: usize) -> f64 {
    machine.levels.iter().take(level).flat_map(|l| &l.fanouts).map(|f| f.size as f64).product()
}

/// Rows, over which sums run, and columns of the array.
fn array(machine: &Machine) -> (f64, f64) {
    let all: Vec<_> = machine.levels.iter().flat_map(|l| &l.fanouts).collect();
    let Some((last, rest)) = all.split_last() else { return (1.0, 1.0) };
    let Some(before) = rest.last() else { return (last.size as f64, 1.0) };
    if last.must_reuse.contains(&Role::Output) { (last.size as f64, before.size as f64) } else { (before.size as f64, last.size as f64) }
}

fn array_cycles(f: &Formula<'_>, steps: f64, mode: Mode) -> f64 {
    let c = &f.machine.compute;
    if let Work::Vector(n) = f.problem.work {
        let lanes = c.vector_ops_per_cycle * instances(f.machine, c.vector_level);
        return if lanes > 0.0 { points(f.problem) * n as f64 / lanes } else { steps * n as f64 };
    }
    if mode == Mode::Ideal || c.dataflow != "systolic" {
        return steps;
    }
    let (rows, columns) = array(f.machine);
    let held = f.steps.iter().rposition(|s| s.split().is_none()).map_or(0, |i| i + 1);
    let mut folds = vec![(1.0, 1.0)];
    for list in f.visits(held) {
        folds = folds.iter().flat_map(|&(n, t)| list.iter().map(move |&(size, times)| (n * times, t * size as f64))).collect();
    }
    let sum = |cycles: &dyn Fn(f64) -> f64| folds.iter().map(|&(n, t)| n * cycles(t)).sum::<f64>();
    if c.shadow { sum(&|t| t.max(rows)) + rows + columns } else { sum(&|t| t + (2.0 * rows + columns - 2.0).max(0.0)) }
}

/// The first tiles' way in, the last result's way out, the launch.
fn exposed(machine: &Machine, problem: &Problem, steps: &[Step]) -> f64 {
    let mut cycles = machine.compute.launch_cycles;
    for (i, t) in problem.tensors.iter().enumerate() {
        for pair in places(steps, i).windows(2) {
            let tile = sizes_at(problem, steps, pair[1]);
            let bits = footprint(problem, i, &tile) * t.bits as f64;
            let (mut from, mut to) = (&machine.levels[level_of(steps, pair[0])], &machine.levels[level_of(steps, pair[1])]);
            if t.is_output() {
                (from, to) = (to, from);
            }
            cycles += port(from, bits, 0.0, Mode::Real).max(port(to, 0.0, bits, Mode::Real));
        }
    }
    cycles
}

/// Words of one tile.
pub(crate) fn footprint(problem: &Problem, tensor: usize, tile: &[u64]) -> f64 {
    let dims = problem.tensors[tensor].dims.iter();
    dims.map(|d| match d[..] {
        [(a, sa), (b, sb)] => crate::formula::distinct(tile[a], tile[b], sa, sb),
        _ => d.iter().map(|&(r, _)| tile[r] as f64).product(),
    })
    .product()
}

/// What a mapping costs, and the bits it moves by level and tensor.
pub fn price(machine: &Machine, problem: &Problem, steps: &[Step], mode: Mode) -> (Cost, Vec<Vec<Bits>>) {
    let f = Formula { machine, problem, steps };
    let moved = bits(machine, problem, steps, &f.transfers());
    let (mut level_j, mut port_cycles) = (Vec::new(), Vec::new());
    for (l, row) in machine.levels.iter().zip(&moved) {
        let sum = |x: fn(&Bits) -> f64| row.iter().map(x).sum::<f64>();
        level_j.push(sum(|b| b.read) * l.read_j_per_bit + sum(|b| b.written) * l.write_j_per_bit);
        port_cycles.push(port(l, sum(|b| b.read_busiest), sum(|b| b.written_busiest), mode));
    }
    let time = f.visits(0).iter().map(|list| list.iter().map(|x| x.0 as f64 * x.1).sum::<f64>()).product();
    let compute_j = points(problem) * point_j(machine, problem);
    let array_cycles = array_cycles(&f, time, mode);
    let exposed_cycles = if mode == Mode::Real { exposed(machine, problem, steps) } else { 0.0 };
    let cycles = port_cycles.iter().copied().fold(array_cycles, f64::max) + exposed_cycles;
    let energy_j = level_j.iter().sum::<f64>() + compute_j;
    (Cost { energy_j, cycles, steps: time, array_cycles, port_cycles, exposed_cycles, level_j, compute_j }, moved)
}
