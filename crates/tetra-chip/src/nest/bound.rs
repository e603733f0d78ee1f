//! Least traffic across a boundary between levels for the capacity below it, whatever the mapping (the Orojenesis curve: Huang et al.,
//! Mind the Gap, ISCA 2024, here for ops in which no rank is left out by two tensors).
//!
//! All levels below the boundary are taken as one buffer of their capacities together, of one instance where instances share nothing.
//! The tensor whose place lies outermost moves once; it holds a tile of `a` by `b`, where `a` counts the ranks that the second tensor lacks and `b` those that the third lacks, and these
//! move `⌈X_a/a⌉` and `⌈X_b/b⌉` times: least over the tensor held, `a`, and the largest `b` that fits.

use crate::nest::machine::{MOST_LEVELS, Machine};
use crate::nest::price::Mode;
use crate::nest::problem::{MOST_TENSORS, Problem};
use crate::nest::space::{Space, ranks_of, smaller};

/// Least traffic across the boundary below one level.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Boundary {
    /// Index of the level above the boundary.
    pub below_level: usize,
    /// Bits of all levels below, all instances; none: no limit.
    pub capacity_bits: Option<u64>,
    /// Least bits that cross it, results as wide as finished ones.
    pub least_bits: f64,
}

/// Weights by which crossing words are summed: joules, or bits.
pub(crate) type Weights = [f64; MOST_TENSORS];

/// Bits that the levels below one hold, all instances that may share a word.
pub(crate) fn capacity_below(space: &Space<'_>, level: usize) -> Option<u64> {
    let levels = space.machine.levels.iter().enumerate().skip(level + 1);
    levels
        .map(|(l, one)| one.capacity_bits.map(|c| c.saturating_mul(space.machine.sharing_instances(l))))
        .try_fold(0u64, |sum, c| c.map(|c| sum.saturating_add(c)))
}

/// Least weighted words across the boundary below a level; `again` are the weights of a result that comes a second time.
pub(crate) fn least_crossing(space: &Space<'_>, level: usize, weights: &Weights, again: &Weights) -> f64 {
    let compulsory: f64 = (0..space.tensors).map(|t| space.operands[t].whole * weights[t]).sum();
    let Some(capacity) = capacity_below(space, level) else { return compulsory };
    let all: u32 = space.live;
    let lacks: [u32; MOST_TENSORS] = std::array::from_fn(|t| if t < space.tensors { all & !space.operands[t].relevant } else { 0 });
    let twice = (0..space.tensors).any(|a| (0..a).any(|b| lacks[a] & lacks[b] != 0));
    let overlaps = space.problem.tensors.iter().any(|t| t.overlapping() & all != 0);
    if space.tensors != 3 || twice || overlaps {
        return compulsory;
    }
    let extent = |set: u32| ranks_of(set).fold(1u64, |n, r| n.saturating_mul(space.whole[r]));
    let mut least = f64::INFINITY;
    for held in 0..space.tensors {
        let (second, third) = ((held + 1) % 3, (held + 2) % 3);
        let (xa, xb) = (extent(lacks[second]), extent(lacks[third]));
        // Ranks that every tensor has run outside: the tile need not hold them.
        // A word on its way to many lanes takes no room.
        let room = (capacity / space.problem.tensors[held].bits.max(1))
            .saturating_add(space.machine.sharing_instances(space.machine.levels.len()));
        let cost = |t: usize, trips: u64| space.operands[t].whole * (weights[t] + (trips as f64 - 1.0) * again[t]);
        let mut a = xa;
        while a > 0 {
            let b = (room / a).min(xb);
            if b > 0 {
                let sum = cost(held, 1) + cost(second, xa.div_ceil(a)) + cost(third, xb.div_ceil(b));
                least = least.min(sum);
            }
            a = smaller(xa, a);
        }
    }
    least.max(compulsory)
}

/// Least bits across every boundary.
pub(crate) fn boundaries(space: &Space<'_>) -> Vec<Boundary> {
    let mut bits = [0.0; MOST_TENSORS];
    for (b, o) in bits.iter_mut().zip(&space.operands) {
        *b = o.bits;
    }
    let least = |l: usize| {
        let mut again = bits;
        for (b, o) in again.iter_mut().zip(&space.operands).filter(|(_, o)| o.output) {
            // Instances that sum apart begin with nothing: only above all fan-outs does every later sum come back.
            *b = if space.instances[l] > 1.0 { o.sum_bits } else { o.sum_bits + o.sum_bits };
        }
        least_crossing(space, l, &bits, &again)
    };
    let all = 0..space.machine.levels.len();
    all.map(|l| Boundary { below_level: l, capacity_bits: capacity_below(space, l), least_bits: least(l) }).collect()
}

/// Joules that crossing the boundary below each level costs at least, beyond the cheapest access further in.
pub(crate) fn least_joules(space: &Space<'_>) -> [f64; MOST_LEVELS] {
    let mut out = [0.0; MOST_LEVELS];
    for (l, joules) in out.iter_mut().enumerate().take(space.machine.levels.len()) {
        let step = steps_down(space, l);
        let mut again = step;
        if l == 0 {
            for (x, o) in again.iter_mut().zip(&space.operands).filter(|(_, o)| o.output) {
                *x += o.sum_bits * space.machine.levels[0].read_j_per_bit;
            }
        }
        *joules = least_crossing(space, l, &step, &again);
    }
    out
}

/// Joules by which the cheapest access to a word of each tensor falls from a level to the next one.
pub(crate) fn steps_down(space: &Space<'_>, level: usize) -> Weights {
    let mut out = [0.0; MOST_TENSORS];
    for (x, o) in out.iter_mut().zip(&space.operands).take(space.tensors) {
        let next = if level + 1 < space.machine.levels.len() { o.least[level + 1] } else { o.least[level] };
        *x = (o.least[level] - next).max(0.0);
    }
    out
}

/// Joules and cycles that no mapping of an op undercuts; nothing is searched.
pub(crate) fn least_of(problem: &Problem, machine: &Machine, mode: Mode) -> (f64, f64) {
    let space = Space::new(problem, machine, mode);
    let (mut read, mut written) = (0.0, 0.0);
    for o in space.operands.iter().take(space.tensors) {
        if o.output { written += o.whole * o.bits } else { read += o.whole * o.bits }
    }
    let cycles = (problem.points() as f64 / machine.lanes() as f64).max(space.least_port_cycles(0, read, written));
    (space.base_j + least_joules(&space).iter().sum::<f64>(), cycles + space.launch)
}
