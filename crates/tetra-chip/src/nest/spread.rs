//! Which ranks run side by side on which fan-outs, and what that alone says about steps and sharing.

use crate::nest::machine::{MOST_FANOUTS, MOST_LEVELS};
use crate::nest::problem::{MOST_RANKS, MOST_TENSORS};
use crate::nest::space::{Space, ranks_of, smaller};

/// Most ranks side by side on one fan-out.
const RANKS_PER_FANOUT: usize = 2;
/// Most spreads of an assignment.
pub(crate) const MOST_SPREADS: usize = MOST_FANOUTS;

/// One rank on one fan-out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OnFanout {
    pub(crate) level: usize,
    pub(crate) fanout: usize,
    pub(crate) rank: usize,
    pub(crate) lanes: u64,
}

/// Ranks on fan-outs, the innermost first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assignment {
    pub(crate) spreads: [OnFanout; MOST_SPREADS],
    pub(crate) len: usize,
    /// Lanes above a level that share words of a tensor, and that sum apart.
    shared: [[f64; MOST_TENSORS]; MOST_LEVELS + 1],
    apart: [[f64; MOST_TENSORS]; MOST_LEVELS + 1],
    lanes: [Lanes; MOST_LEVELS + 1],
}

/// Lanes by rank.
type Lanes = [u64; MOST_RANKS];

impl Default for Assignment {
    fn default() -> Self {
        let ones = [[1.0; MOST_TENSORS]; MOST_LEVELS + 1];
        Self { spreads: [OnFanout::default(); MOST_SPREADS], len: 0, shared: ones, apart: ones, lanes: [[1; MOST_RANKS]; MOST_LEVELS + 1] }
    }
}

impl Assignment {
    /// Lanes of fan-outs above the level of that index that one fetch of a tensor's word may serve.
    pub(crate) fn shared_above(&self, level: usize, tensor: usize) -> f64 {
        self.shared[level][tensor]
    }

    /// Instances above the level of that index that sum parts of one result apart, at most.
    pub(crate) fn apart_above(&self, level: usize, tensor: usize) -> f64 {
        self.apart[level][tensor]
    }

    /// Lanes of each rank on fan-outs above the level of that index.
    pub(crate) fn lanes_above(&self, level: usize) -> &Lanes {
        &self.lanes[level]
    }

    /// Whether any fan-out above the level of that index is in use.
    pub(crate) fn spreads_above(&self, level: usize) -> bool {
        self.lanes[level].iter().any(|&l| l > 1)
    }

    /// Least steps in time.
    pub(crate) fn least_steps(&self, space: &Space<'_>) -> f64 {
        let mut n = space.step_cycles;
        for r in 0..space.ranks {
            n *= space.whole[r].div_ceil(self.lanes[MOST_LEVELS][r]) as f64;
        }
        n
    }

    fn push(&mut self, space: &Space<'_>, s: OnFanout) {
        self.spreads[self.len] = s;
        self.len += 1;
        let f = &space.machine.levels[s.level].fanouts[s.fanout];
        for lanes in &mut self.lanes[s.level + 1..] {
            lanes[s.rank] = lanes[s.rank].saturating_mul(s.lanes);
        }
        for t in 0..space.tensors {
            let o = &space.operands[t];
            if o.relevant & 1 << s.rank == 0 {
                let shares = if o.output { f.reduces } else { f.multicast.has(o.role) };
                for above in s.level + 1..=MOST_LEVELS {
                    if shares {
                        self.shared[above][t] *= s.lanes as f64;
                    }
                    self.apart[above][t] *= s.lanes as f64;
                }
            }
        }
    }
}

/// Who is told of assignments.
pub(crate) trait Visitor {
    /// Whether the bound let the assignment through.
    fn visit(&mut self, assignment: &Assignment) -> bool;
    /// Whether nothing more is wanted.
    fn ended(&self) -> bool;
    /// Whether no mapping that takes at least so many steps can be better.
    fn hopeless(&mut self, steps: f64) -> bool;
}

/// All ways to fill the fan-outs of a machine.
pub(crate) struct Choice<'a, V> {
    pub(crate) space: &'a Space<'a>,
    pub(crate) visitor: &'a mut V,
}

impl<V: Visitor> Choice<'_, V> {
    /// Visits all assignments, those with the most lanes first.
    pub(crate) fn all(&mut self) {
        let mut fanouts = Vec::new();
        for (level, l) in self.space.machine.levels.iter().enumerate().rev() {
            fanouts.extend((0..l.fanouts.len()).rev().map(|f| (level, f)));
        }
        self.next(&fanouts, &Assignment::default());
    }

    fn next(&mut self, fanouts: &[(usize, usize)], so_far: &Assignment) -> bool {
        let Some((&(level, fanout), rest)) = fanouts.split_first() else { return self.visitor.visit(so_far) };
        let room = fanouts.iter().fold(1.0, |n, &(l, f)| n * self.space.machine.levels[l].fanouts[f].size as f64);
        if self.visitor.hopeless(so_far.least_steps(self.space) / room) {
            return false;
        }
        let f = &self.space.machine.levels[level].fanouts[fanout];
        let operands = &self.space.operands[..self.space.tensors];
        let barred = operands.iter().filter(|o| f.must_reuse.0 & o.role.0 != 0).fold(0, |m, o| m | o.relevant);
        self.fill((level, fanout), f.size, self.space.live & !barred, RANKS_PER_FANOUT, so_far, rest)
    }

    /// Puts ranks of `set` on one fan-out with `room` lanes left, most lanes first, then goes on to the next fan-out. False when the
    /// bound excluded everything.
    fn fill(&mut self, at: (usize, usize), room: u64, set: u32, more: usize, so_far: &Assignment, rest: &[(usize, usize)]) -> bool {
        let mut through = false;
        if more > 0 && so_far.len < MOST_SPREADS {
            for rank in ranks_of(set) {
                let taken = so_far.spreads[..so_far.len].iter().filter(|s| s.rank == rank).fold(1u64, |l, s| l.saturating_mul(s.lanes));
                let n = self.space.whole[rank].div_ceil(taken);
                let others = if more == 1 { 0 } else { set & !((2 << rank) - 1) };
                // Where sums of instances are not added, one more instance begins one more sum from nothing: every number counts.
                let apart = !self.space.machine.levels[at.0].fanouts[at.1].reduces && self.space.sums(rank);
                let every = apart || self.space.rounds_up(rank);
                let mut lanes = if every || n <= room { n.min(room) } else { n.div_ceil(n.div_ceil(room)) };
                while lanes > 1 && !self.visitor.ended() {
                    let mut next = *so_far;
                    next.push(self.space, OnFanout { level: at.0, fanout: at.1, rank, lanes });
                    let good = self.fill(at, room / lanes, others, more - 1, &next, rest);
                    through |= good;
                    // Fewer lanes only raise the bound; with other ranks or fan-outs to fill they may make room.
                    if !good && others == 0 && rest.is_empty() {
                        break;
                    }
                    lanes = if every { lanes - 1 } else { smaller(n, lanes) };
                }
            }
        }
        self.next(rest, so_far) || through
    }
}
