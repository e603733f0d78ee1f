//! A mapping: the loops of an op and the places of its tensors, from the outermost to the innermost.
//!
//! A tensor stored below a loop holds what the loops further in index; it is filled anew on each trip of the loops above. Every tile is
//! a whole number of tiles of the next loop; the last tile of a rank is cut at the edge (imperfect sizes).

use crate::nest::machine::Machine;
use crate::nest::problem::{MOST_RANKS, Problem, Sizes};

/// One step inward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The tensor lies in a level from here on inward.
    Store {
        /// Index of the level.
        level: usize,
        /// Index of the tensor.
        tensor: usize,
    },
    /// Tiles of a rank one after the other.
    Loop {
        /// Index of the rank.
        rank: usize,
        /// Size of one tile.
        tile: u64,
    },
    /// Tiles of a rank side by side on the instances of a fan-out.
    Spread {
        /// Index of the level above the fan-out.
        level: usize,
        /// Index of the fan-out in its level.
        fanout: usize,
        /// Index of the rank.
        rank: usize,
        /// Size of one instance's tile.
        tile: u64,
        /// Instances.
        lanes: u64,
    },
}

/// A mapping of one op on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Nest {
    /// Steps, the outermost first. The MAC stands at the end.
    pub steps: Vec<Step>,
}

/// A spread as seen by one rank: pieces of `piece` side by side in tiles of `tile`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spreading {
    pub(crate) tile: u64,
    pub(crate) piece: u64,
}

/// Steps in time over `whole` in tiles of `inner`, where the given spreads (the outermost first) run side by side: the longest lane counts.
pub(crate) fn steps(whole: u64, spreads: &[Spreading], inner: u64) -> u64 {
    let Some((first, rest)) = spreads.split_first() else { return whole.div_ceil(inner) };
    let full = whole / first.tile;
    let edge = whole % first.tile;
    let mut n = if full > 0 { full * steps(first.piece, rest, inner) } else { 0 };
    if edge > 0 {
        n += steps(edge.min(first.piece), rest, inner);
    }
    n
}

/// What the busiest instance below the spreads sees of `whole`.
pub(crate) fn share(whole: u64, spreads: &[Spreading]) -> u64 {
    spreads.iter().fold(whole, |e, s| e / s.tile * s.piece + (e % s.tile).min(s.piece))
}

/// Instances below the spreads that see anything: the lane at a cut edge may need fewer lanes below it.
pub(crate) fn copies(whole: u64, spreads: &[Spreading]) -> u64 {
    let Some((first, rest)) = spreads.split_first() else { return 1 };
    let seen = whole.min(first.tile);
    let edge = seen % first.piece;
    let full = (seen / first.piece).saturating_mul(if seen >= first.piece { copies(first.piece, rest) } else { 0 });
    full.saturating_add(if edge > 0 { copies(edge, rest) } else { 0 })
}

impl Nest {
    /// Trips of every loop: tiles of the size before it in tiles of its own (the first one of a cut rank may run fewer).
    pub fn trips(&self, problem: &Problem) -> Vec<u64> {
        let mut size: Sizes = problem.extents();
        self.steps
            .iter()
            .map(|s| match *s {
                Step::Loop { rank, tile } | Step::Spread { rank, tile, .. } => {
                    let n = size[rank].div_ceil(tile);
                    size[rank] = tile;
                    n
                }
                Step::Store { .. } => 1,
            })
            .collect()
    }

    /// Tile of every rank at the step of that index, cut to the op where a tile is larger.
    pub fn tile_at(&self, problem: &Problem, step: usize) -> Sizes {
        let mut tile = problem.extents();
        for s in self.steps.iter().take(step) {
            if let Step::Loop { rank, tile: t } | Step::Spread { rank, tile: t, .. } = *s {
                tile[rank] = t.min(tile[rank]);
            }
        }
        tile
    }

    /// Whether the mapping can be carried out: places, sizes, instances and capacities.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, problem: &Problem, machine: &Machine) -> Result<(), String> {
        let mut size = problem.extents();
        let mut lanes: Vec<Vec<u64>> = machine.levels.iter().map(|l| vec![1; l.fanouts.len()]).collect();
        let mut level_now = 0;
        for (i, s) in self.steps.iter().enumerate() {
            match *s {
                Step::Store { level, tensor } => {
                    let l = machine.levels.get(level).ok_or("a level that is not there")?;
                    let t = problem.tensors.get(tensor).ok_or("a tensor that is not there")?;
                    if level < level_now || !l.may_keep.has(t.role) {
                        return Err(format!("{} may not lie in {} here", t.name, l.name));
                    }
                    level_now = level;
                }
                Step::Loop { rank, tile } | Step::Spread { rank, tile, .. } => {
                    if rank >= MOST_RANKS || tile == 0 || (!size[rank].is_multiple_of(tile) && tile < size[rank] && !self.first_of(rank, i))
                    {
                        return Err(format!("tile {tile} of rank {rank} is no part of the tile around it"));
                    }
                    size[rank] = tile;
                    if let Step::Spread { level, fanout, lanes: n, .. } = *s {
                        *lanes.get_mut(level).and_then(|l| l.get_mut(fanout)).ok_or("a fan-out that is not there")? *= n;
                    }
                }
            }
        }
        for (l, used) in machine.levels.iter().zip(&lanes) {
            if let Some(f) = l.fanouts.iter().zip(used).find(|(f, n)| **n > f.size) {
                return Err(format!("{} lanes on {}", f.1, f.0.name));
            }
        }
        self.check_capacity(problem, machine)
    }

    fn first_of(&self, rank: usize, step: usize) -> bool {
        !self.steps.iter().take(step).any(|s| matches!(*s, Step::Loop { rank: r, .. } | Step::Spread { rank: r, .. } if r == rank))
    }

    fn check_capacity(&self, problem: &Problem, machine: &Machine) -> Result<(), String> {
        for (l, level) in machine.levels.iter().enumerate() {
            let held = self.held_bits(problem, l);
            if let Some(capacity) = level.capacity_bits.filter(|c| held > *c) {
                return Err(format!("{} would hold {held} of {capacity} bits", level.name));
            }
        }
        Ok(())
    }

    /// Bits that all tiles of one instance of a level take, one buffer each.
    pub fn held_bits(&self, problem: &Problem, level: usize) -> u64 {
        let stores = self.steps.iter().enumerate();
        stores
            .filter_map(|(i, s)| match *s {
                Step::Store { level: l, tensor } if l == level => {
                    let t = &problem.tensors[tensor];
                    Some(t.footprint(&self.tile_at(problem, i)).saturating_mul(t.bits.max(t.sum_bits)))
                }
                _ => None,
            })
            .fold(0, u64::saturating_add)
    }
}
