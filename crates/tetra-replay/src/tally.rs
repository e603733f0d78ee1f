//! Words that a mapping moves, transfer by transfer, and the bits of them that every level reads and writes.
//!
//! A transfer goes between a place of a tensor and the next one further in (or the computing unit): the parent reads or writes `up`
//! words, the children together `down`; of an output `again` words are read back because their sum was begun before.

use crate::paper::{Bits, Certificate, Machine, Problem, Step, Tensor};

/// Words between two places of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Tensor.
    pub tensor: usize,
    /// Step of the outer place.
    pub parent: usize,
    /// Step of the inner place; none: the computing unit.
    pub child: Option<usize>,
    /// Words that all parents read (of an output: write), and that the busiest one does.
    pub up: [f64; 2],
    /// Words that all children write (of an output: read), and the busiest one.
    pub down: [f64; 2],
    /// Partial sums that all parents read back, and the busiest one.
    pub again: [f64; 2],
    /// Partial sums that all children take in, and the busiest one.
    pub taken: [f64; 2],
}

impl Transfer {
    /// Figures with their names.
    pub fn figures(&self) -> [(&'static str, f64); 8] {
        [
            ("words at the outer place", self.up[0]),
            ("words at the busiest outer place", self.up[1]),
            ("words at the inner places", self.down[0]),
            ("words at the busiest inner place", self.down[1]),
            ("sums read back", self.again[0]),
            ("sums read back at the busiest outer place", self.again[1]),
            ("sums taken in", self.taken[0]),
            ("sums taken in at the busiest inner place", self.taken[1]),
        ]
    }
}

/// Places of a tensor: steps of the nest, the outermost first.
pub(crate) fn places(steps: &[Step], tensor: usize) -> Vec<usize> {
    let wanted = |s: &Step| matches!(*s, Step::Store { tensor: t, .. } if t == tensor);
    steps.iter().enumerate().filter(|(_, s)| wanted(s)).map(|(i, _)| i).collect()
}

/// Level of a place.
pub(crate) fn level_of(steps: &[Step], place: usize) -> usize {
    match steps[place] {
        Step::Store { level, .. } | Step::Spread { level, .. } => level,
        Step::Loop { .. } => 0,
    }
}

/// Sizes of every rank before a step, no larger than the op.
pub(crate) fn sizes_at(problem: &Problem, steps: &[Step], step: usize) -> Vec<u64> {
    let mut out: Vec<u64> = problem.ranks.iter().map(|r| r.extent).collect();
    for (rank, tile, _) in steps[..step].iter().filter_map(|s| s.split()) {
        out[rank] = out[rank].min(tile);
    }
    out
}

/// Bits moved for a bit wanted: the run along the last dimension is rounded up to whole accesses.
fn rounding(machine: &Machine, problem: &Problem, steps: &[Step], t: &Tensor, parent: usize, child: usize) -> f64 {
    let granule = machine.levels[level_of(steps, parent)].granule_bits as f64;
    let Some(&(rank, _)) = t.dims.last().and_then(|d| d.first()) else { return 1.0 };
    let length = sizes_at(problem, steps, child)[rank];
    let run = length as f64 * t.bits as f64;
    if granule <= t.bits as f64 || length >= problem.ranks[rank].extent { 1.0 } else { (run / granule).ceil() * granule / run }
}

/// Bits by level and tensor.
pub fn bits(machine: &Machine, problem: &Problem, steps: &[Step], transfers: &[Transfer]) -> Vec<Vec<Bits>> {
    let mut out = vec![vec![Bits::default(); problem.tensors.len()]; machine.levels.len()];
    for x in transfers {
        let t = &problem.tensors[x.tensor];
        let sum = t.sum_bits as f64;
        let width = if t.is_output() && x.again[0] > 0.0 { sum } else { t.bits as f64 };
        let waste = x.child.map_or(1.0, |c| rounding(machine, problem, steps, t, x.parent, c));
        let mut add = |place: usize, (all, busiest): (f64, f64), written: bool| {
            let at = &mut out[level_of(steps, place)][x.tensor];
            let (a, b) = if written { (&mut at.written, &mut at.written_busiest) } else { (&mut at.read, &mut at.read_busiest) };
            *a += all;
            *b += busiest;
        };
        add(x.parent, (x.up[0] * width * waste, x.up[1] * width * waste), t.is_output());
        add(x.parent, (x.again[0] * sum * waste, x.again[1] * sum * waste), false);
        if let Some(c) = x.child {
            add(c, (x.down[0] * width, x.down[1] * width), !t.is_output());
            add(c, (x.taken[0] * sum, x.taken[1] * sum), true);
        }
    }
    out
}

impl Certificate {
    /// Bits that transfers of the certificate's nest move.
    pub fn bits(&self, transfers: &[Transfer]) -> Vec<Vec<Bits>> {
        bits(&self.machine, &self.problem, &self.nest.steps, transfers)
    }
}
