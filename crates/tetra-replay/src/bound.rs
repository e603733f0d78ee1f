//! A lower bound of its own: whatever the mapping, this much crosses a boundary between levels.
//!
//! Every word comes once. With all levels below as one buffer of their capacities together, and three tensors of which no two lack the
//! same rank: one tensor comes once and holds a tile of `a` by `b`; the second comes once for each of the `⌈A/a⌉` tiles along the ranks
//! that it lacks, the third for each of `⌈B/b⌉` (Huang et al., Mind the Gap, ISCA 2024). The least over tensor and tile shape is taken.

use crate::paper::{Machine, Problem, Work};
use crate::price::{instances, point_j, points};

/// Largest number of different tile sizes that are tried.
const MOST_SIZES: u64 = 1 << 34;

/// What crosses at least.
#[derive(Debug, Clone, PartialEq)]
pub struct Least {
    /// Joules of the op.
    pub energy_j: f64,
    /// Cycles of the op.
    pub cycles: f64,
    /// Bits across the boundary below each level.
    pub bits: Vec<f64>,
}

/// Instances of a level that may share a word: where a fan-out neither multicasts nor sums, one instance could do the parts of all others
/// one after the other with the same traffic.
fn sharing(machine: &Machine, level: usize) -> f64 {
    let all = machine.levels.iter().take(level).flat_map(|l| &l.fanouts);
    all.filter(|f| f.reduces || !f.multicast.is_empty()).map(|f| f.size as f64).product()
}

/// Bits that the levels below one hold together.
fn below(machine: &Machine, level: usize) -> Option<f64> {
    let levels = machine.levels.iter().enumerate().skip(level + 1);
    levels.map(|(i, l)| l.capacity_bits.map(|c| c as f64 * sharing(machine, i))).sum()
}

fn lacks(problem: &Problem, tensor: usize) -> Vec<usize> {
    let live = (0..problem.ranks.len()).filter(|&r| problem.ranks[r].extent > 1);
    live.filter(|&r| !problem.tensors[tensor].indexed_by(r)).collect()
}

fn crossing(machine: &Machine, problem: &Problem, level: usize) -> f64 {
    let whole: Vec<f64> = (0..problem.tensors.len()).map(|t| whole(problem, t)).collect();
    let once: f64 = whole.iter().zip(&problem.tensors).map(|(w, t)| w * t.bits as f64).sum();
    let Some(capacity) = below(machine, level) else { return once };
    let sets: Vec<Vec<usize>> = (0..problem.tensors.len()).map(|t| lacks(problem, t)).collect();
    let meet = (0..sets.len()).any(|a| (0..a).any(|b| sets[a].iter().any(|r| sets[b].contains(r))));
    let live = |r: usize| problem.ranks[r].extent > 1;
    let windows = problem.tensors.iter().flat_map(|t| &t.dims).any(|d| d.len() > 1 && d.iter().any(|x| live(x.0)));
    if sets.len() != 3 || meet || windows {
        return once;
    }
    let extent = |t: usize| sets[t].iter().fold(1u64, |n, &r| n.saturating_mul(problem.ranks[r].extent));
    // A result that comes again is read and written as a sum; where instances sum apart, it is only written.
    let sums = if instances(machine, level) > 1.0 { 1.0 } else { 2.0 };
    let more = |t: usize| {
        let x = &problem.tensors[t];
        whole[t] * if x.is_output() { x.sum_bits as f64 * sums } else { x.bits as f64 }
    };
    let mut least = f64::INFINITY;
    for held in 0..3 {
        let (mut a, mut b) = ((held + 1) % 3, (held + 2) % 3);
        if extent(a) > extent(b) {
            (a, b) = (b, a);
        }
        let lanes = sharing(machine, machine.levels.len());
        let room = (capacity / problem.tensors[held].bits as f64).floor() + lanes;
        least = least.min(once + again(extent(a), extent(b), room, more(a), more(b)));
    }
    least.max(once)
}

fn whole(problem: &Problem, tensor: usize) -> f64 {
    let extents: Vec<u64> = problem.ranks.iter().map(|r| r.extent).collect();
    crate::price::footprint(problem, tensor, &extents)
}

/// Least words that come again: over tiles of `xa` in `n` pieces.
fn again(xa: u64, xb: u64, room: f64, more_a: f64, more_b: f64) -> f64 {
    if xa > MOST_SIZES {
        return 0.0;
    }
    let mut least = f64::INFINITY;
    let mut pieces = 1;
    while pieces <= xa {
        let size = xa.div_ceil(pieces);
        let b = (room / size as f64).floor().min(xb as f64);
        let trips = xa.div_ceil(size);
        if b >= 1.0 {
            least = least.min((trips - 1) as f64 * more_a + ((xb as f64 / b).ceil() - 1.0) * more_b);
        }
        // The fewest pieces of the next smaller size.
        pieces = if size > 1 { xa.div_ceil(size - 1).max(pieces + 1) } else { xa + 1 };
    }
    if least.is_finite() { least } else { 0.0 }
}

/// The bound of an op on a machine.
pub fn least(machine: &Machine, problem: &Problem) -> Least {
    let bits: Vec<f64> = (0..machine.levels.len()).map(|l| crossing(machine, problem, l)).collect();
    let top = &machine.levels[0];
    let unlimited = f64::INFINITY;
    let (read, write) = (top.read_bits_per_cycle.unwrap_or(unlimited), top.write_bits_per_cycle.unwrap_or(unlimited));
    let port = if top.shared_port { read } else { read + write };
    let c = &machine.compute;
    let rate = match problem.work {
        Work::Mac => instances(machine, machine.levels.len()),
        Work::Vector(n) if c.vector_ops_per_cycle > 0.0 => c.vector_ops_per_cycle * instances(machine, c.vector_level) / n as f64,
        Work::Vector(n) => instances(machine, machine.levels.len()) / n as f64,
    };
    let points = points(problem);
    Least {
        energy_j: points * point_j(machine, problem) + bits[0] * top.read_j_per_bit.min(top.write_j_per_bit),
        cycles: (points / rate).max(bits[0] / port),
        bits,
    }
}
