//! Mapping → words read and written at every level and steps in time, in closed form, exact at cut edges.
//!
//! A tile is filled on each trip of the loops above it: words into a child = Σ tiles' footprints × trips of the ranks that do not index
//! the tensor; a parent reads a word once for all lanes that it is multicast to, and is written once for all lanes that are summed. A
//! partial sum that comes for the first time is not read back. Two counts are kept: of all instances (energy) and of the busiest (time).

use crate::nest::loops::{Nest, Spreading, Step, copies, share, steps};
use crate::nest::machine::{MOST_LEVELS, Machine};
use crate::nest::problem::{MOST_RANKS, MOST_TENSORS, Problem, Sizes};

/// Bits that one tensor moves through one level.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Moved {
    /// Bits read, all instances.
    pub read: f64,
    /// Bits written, all instances.
    pub written: f64,
    /// Bits read by the busiest instance.
    pub read_busiest: f64,
    /// Bits written by the busiest instance.
    pub written_busiest: f64,
}

/// What a mapping moves and computes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NestCounts {
    /// By level and tensor.
    pub moved: [[Moved; MOST_TENSORS]; MOST_LEVELS],
    /// Points of the iteration space.
    pub points: u64,
    /// Steps in time of the busiest lane.
    pub steps: u64,
}

/// A place in the nest: of a tensor in a level, or of the MAC.
#[derive(Clone, Copy)]
struct Place {
    level: usize,
    step: usize,
}

struct Walk<'a> {
    problem: &'a Problem,
    machine: &'a Machine,
    nest: &'a Nest,
    whole: Sizes,
}

/// Counts of a mapping that `Nest::check` accepts.
pub fn count(problem: &Problem, machine: &Machine, nest: &Nest) -> NestCounts {
    let walk = Walk { problem, machine, nest, whole: problem.extents() };
    let mut out = NestCounts { points: problem.points(), ..NestCounts::default() };
    for tensor in 0..problem.tensors.len().min(MOST_TENSORS) {
        let places: Vec<Place> = walk.places(tensor).collect();
        for (i, &parent) in places.iter().enumerate() {
            walk.transfer(tensor, parent, places.get(i + 1).copied(), &mut out);
        }
    }
    let last = nest.steps.len();
    out.steps = (0..problem.ranks.len()).fold(1, |n: u64, r| {
        let (list, len) = walk.spreads(r, 0, last, |_, _| true);
        n.saturating_mul(steps(walk.whole[r], &list[..len], 1))
    });
    out
}

type Spreads = ([Spreading; MOST_LEVELS], usize);

impl Walk<'_> {
    fn places(&self, tensor: usize) -> impl Iterator<Item = Place> {
        self.nest.steps.iter().enumerate().filter_map(move |(step, s)| match *s {
            Step::Store { level, tensor: t } if t == tensor => Some(Place { level, step }),
            _ => None,
        })
    }

    /// Spreads of a rank between two steps that fulfil a condition on (level, fan-out), the outermost first.
    fn spreads(&self, rank: usize, from: usize, to: usize, wanted: impl Fn(usize, usize) -> bool) -> Spreads {
        let mut out = ([Spreading::default(); MOST_LEVELS], 0);
        for s in &self.nest.steps[from.min(to)..to] {
            if let Step::Spread { level, fanout, rank: r, tile, lanes } = *s
                && r == rank
                && wanted(level, fanout)
                && out.1 < MOST_LEVELS
            {
                out.0[out.1] = Spreading { tile: tile.saturating_mul(lanes), piece: tile };
                out.1 += 1;
            }
        }
        out
    }

    /// Extents that the busiest instance at a step sees, and instances that see parts of the sum apart.
    fn seen(&self, step: usize) -> Sizes {
        let mut e = self.whole;
        for (r, x) in e.iter_mut().enumerate().take(self.problem.ranks.len()) {
            let (list, len) = self.spreads(r, 0, step, |_, _| true);
            *x = share(*x, &list[..len]);
        }
        e
    }

    /// Words of all fills of a child tile out of extents `seen`; lanes below `from` that share a word count once when `joined`.
    fn fills(&self, tensor: usize, seen: &Sizes, tile: &Sizes, from: usize, to: usize, joined: bool) -> f64 {
        let t = &self.problem.tensors[tensor];
        let relevant = t.relevant();
        let mut words = t.footprints(seen, &cut(tile, seen)) as f64;
        for r in (0..self.problem.ranks.len()).filter(|r| relevant & 1 << r == 0) {
            let shares = |level: usize, fanout: usize| {
                let f = &self.machine.levels[level].fanouts[fanout];
                joined && if t.is_output() { f.reduces } else { f.multicast.has(t.role) }
            };
            let (list, len) = self.spreads(r, from, to, shares);
            words *= steps(seen[r], &list[..len], tile[r]) as f64;
        }
        words
    }

    fn transfer(&self, tensor: usize, parent: Place, child: Option<Place>, out: &mut NestCounts) {
        let t = &self.problem.tensors[tensor];
        let to = child.map_or(self.nest.steps.len(), |c| c.step);
        let tile = if child.is_some() { self.nest.tile_at(self.problem, to) } else { [1; MOST_RANKS] };
        let up = self.fills(tensor, &self.whole, &tile, parent.step, to, true);
        let seen = self.seen(parent.step);
        let up_busiest = self.fills(tensor, &seen, &tile, parent.step, to, true);
        let waste = if child.is_some() { self.waste(tensor, parent.level, &tile) } else { 1.0 };
        let (first, first_busiest) = (self.first(tensor, parent.step), t.footprint(&seen) as f64);
        let at = &mut out.moved[parent.level][tensor];
        let width = width(t, up > first);
        if t.is_output() {
            at.written += up * width * waste;
            at.written_busiest += up_busiest * width * waste;
            at.read += (up - first).max(0.0) * t.sum_bits as f64 * waste;
            at.read_busiest += (up_busiest - first_busiest).max(0.0) * t.sum_bits as f64 * waste;
        } else {
            at.read += up * width * waste;
            at.read_busiest += up_busiest * width * waste;
        }
        let Some(child) = child else { return };
        let down = self.fills(tensor, &self.whole, &tile, to, to, false);
        let seen = self.seen(child.step);
        let down_busiest = self.fills(tensor, &seen, &tile, to, to, false);
        let taken = self.taken_busiest(tensor, (parent.step, to), &tile, &seen, down_busiest);
        let at = &mut out.moved[child.level][tensor];
        if t.is_output() {
            at.read += down * width;
            at.read_busiest += down_busiest * width;
            at.written += (up - first).max(0.0) * t.sum_bits as f64;
            at.written_busiest += taken * t.sum_bits as f64;
        } else {
            at.written += down * width;
            at.written_busiest += down_busiest * width;
        }
    }

    /// Partial sums that the busiest child takes in: where lanes are not summed, the second one finds what the first one began.
    fn taken_busiest(&self, tensor: usize, (from, to): (usize, usize), tile: &Sizes, seen: &Sizes, down: f64) -> f64 {
        let t = &self.problem.tensors[tensor];
        let mut most = (down - t.footprint(seen) as f64).max(0.0);
        for (i, s) in self.nest.steps.iter().enumerate().take(to).skip(from) {
            let Step::Spread { level, fanout, rank, .. } = *s else { continue };
            if t.relevant() & 1 << rank == 0 && !self.machine.levels[level].fanouts[fanout].reduces {
                let mut second = *seen;
                second[rank] = self.second(rank, i, to);
                most = most.max(self.fills(tensor, &second, tile, to, to, false));
            }
        }
        most
    }

    /// What the second lane of the spread at a step sees of a rank, first in all others.
    fn second(&self, rank: usize, step: usize, to: usize) -> u64 {
        self.nest.steps.iter().enumerate().take(to).fold(self.whole[rank], |e, (i, s)| match *s {
            Step::Spread { rank: r, tile, lanes, .. } if r == rank => {
                let around = tile.saturating_mul(lanes);
                let before = if i == step { tile } else { 0 };
                let full = if i == step && lanes < 2 { 0 } else { tile };
                e / around * full + (e % around).saturating_sub(before).min(tile)
            }
            _ => e,
        })
    }

    /// Words of an output that come to a place for the first time: once for every instance that sums a part of its own.
    fn first(&self, tensor: usize, step: usize) -> f64 {
        let t = &self.problem.tensors[tensor];
        let relevant = t.relevant();
        let apart = (0..self.problem.ranks.len()).filter(|r| relevant & 1 << r == 0).fold(1.0, |n, r| {
            let (list, len) = self.spreads(r, 0, step, |_, _| true);
            n * copies(self.whole[r], &list[..len]) as f64
        });
        t.footprint(&self.whole) as f64 * apart
    }

    /// Bits moved for a bit wanted where runs of a tile are shorter than an access.
    fn waste(&self, tensor: usize, level: usize, tile: &Sizes) -> f64 {
        waste(self.problem, tensor, self.machine.levels[level].granule_bits, tile)
    }
}

/// Bits of a word of a transfer: a sum that is not finished is wider than a result.
pub(crate) fn width(t: &crate::nest::problem::Tensor, unfinished: bool) -> f64 {
    (if t.is_output() && unfinished { t.sum_bits } else { t.bits }) as f64
}

/// A tile no larger than what there is.
pub(crate) fn cut(tile: &Sizes, whole: &Sizes) -> Sizes {
    let mut out = *tile;
    for (t, w) in out.iter_mut().zip(whole) {
        *t = (*t).min(*w);
    }
    out
}

/// Bits moved for a bit wanted: a run along the last dimension is rounded up to whole accesses.
pub(crate) fn waste(problem: &Problem, tensor: usize, granule: u64, tile: &Sizes) -> f64 {
    let t = &problem.tensors[tensor];
    let whole = problem.extents();
    let Some(&(rank, _)) = t.dims.last().and_then(|d| d.first()) else { return 1.0 };
    if granule <= t.bits || tile[rank] >= whole[rank] {
        return 1.0;
    }
    let run = tile[rank] * t.bits;
    (run.div_ceil(granule) * granule) as f64 / run as f64
}
