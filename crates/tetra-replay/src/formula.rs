//! Words of a mapping in closed form: every rank's tiles are followed inward as a list of (size, how many), at most one size being cut.
//!
//! Ranks do not know each other, so that words of all tiles are a product over ranks and dimensions. Where lanes do the same thing
//! together only the first of them, which is never the shorter one, is followed.

use crate::paper::{Machine, Problem, Step, Tensor};
use crate::tally::{Transfer, places};

/// Tiles of one rank: sizes and how many of each.
type Tiles = Vec<(u64, f64)>;

/// Which lanes of a spread are followed.
#[derive(Clone, Copy, PartialEq)]
enum Lanes {
    All,
    First,
    Second,
}

/// The mapping whose words are counted.
pub struct Formula<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The op.
    pub problem: &'a Problem,
    /// The mapping.
    pub steps: &'a [Step],
}

fn add(list: &mut Tiles, size: u64, times: f64) {
    if size == 0 || times <= 0.0 {
        return;
    }
    match list.iter_mut().find(|(s, _)| *s == size) {
        Some((_, n)) => *n += times,
        None => list.push((size, times)),
    }
}

/// Different values of `sa·i + sb·j` for i below `a`, j below `b`.
pub fn distinct(a: u64, b: u64, sa: u64, sb: u64) -> f64 {
    let (mut g, mut rest) = (sa, sb);
    while rest > 0 {
        (g, rest) = (rest, g % rest);
    }
    let (period_a, period_b) = (sb / g, sa / g);
    let (a, b, pa, pb) = (a as f64, b as f64, period_a as f64, period_b as f64);
    if a > pa && b > pb { a * pb + b * pa - pa * pb } else { a * b }
}

impl Formula<'_> {
    /// Tiles of a rank at a step.
    fn tiles(&self, rank: usize, step: usize, lanes: impl Fn(usize) -> Lanes) -> Tiles {
        let mut list = vec![(self.problem.ranks[rank].extent, 1.0)];
        for (i, s) in self.steps[..step].iter().enumerate() {
            let Some((r, tile, side)) = s.split() else { continue };
            if r != rank {
                continue;
            }
            let mut next = Tiles::new();
            for (size, times) in list {
                match (side, lanes(i)) {
                    (Some(_), Lanes::First) => add(&mut next, size.min(tile), times),
                    (Some(_), Lanes::Second) => add(&mut next, size.saturating_sub(tile).min(tile), times),
                    _ => {
                        add(&mut next, tile, times * (size / tile) as f64);
                        add(&mut next, size % tile, times);
                    }
                }
            }
            list = next;
        }
        list
    }

    fn words(&self, t: &Tensor, step: usize, lanes: impl Fn(usize) -> Lanes) -> f64 {
        let tiles: Vec<Tiles> = (0..self.problem.ranks.len()).map(|r| self.tiles(r, step, &lanes)).collect();
        let mut words = 1.0;
        for d in &t.dims {
            words *= match d[..] {
                [(a, sa), (b, sb)] => {
                    let pairs = tiles[a].iter().flat_map(|x| tiles[b].iter().map(move |y| (x, y)));
                    pairs.map(|(x, y)| x.1 * y.1 * distinct(x.0, y.0, sa, sb)).sum::<f64>()
                }
                [(a, _), ..] => tiles[a].iter().map(|x| x.1 * x.0 as f64).sum(),
                [] => 1.0,
            };
        }
        let others = tiles.iter().enumerate().filter(|(r, _)| !t.indexed_by(*r));
        others.fold(words, |w, (_, list)| w * list.iter().map(|x| x.1).sum::<f64>())
    }

    /// Lane tuples of a rank's spreads before a step that see anything.
    fn instances(&self, rank: usize, size: u64, from: usize, to: usize) -> f64 {
        if size == 0 {
            return 0.0;
        }
        let Some(i) = (from..to).find(|&i| self.steps[i].split().is_some_and(|s| s.0 == rank)) else { return 1.0 };
        let Some((_, tile, side)) = self.steps[i].split() else { return 1.0 };
        let inner = |size| self.instances(rank, size, i + 1, to);
        if side.is_none() || size <= tile {
            return inner(size.min(tile));
        }
        (size / tile) as f64 * inner(tile) + inner(size % tile)
    }

    /// Different words of an output at a place: of all instances, and of the busiest one.
    fn begun(&self, t: &Tensor, place: usize) -> [f64; 2] {
        let whole = self.words_of(t, |r| self.problem.ranks[r].extent as f64);
        let others = (0..self.problem.ranks.len()).filter(|&r| !t.indexed_by(r));
        let apart = others.fold(1.0, |n, r| n * self.instances(r, self.problem.ranks[r].extent, 0, place));
        let share = |r: usize| self.tiles(r, place, |_| Lanes::First).iter().map(|x| x.0 as f64 * x.1).sum::<f64>();
        [whole * apart, self.words_of(t, share)]
    }

    fn words_of(&self, t: &Tensor, size: impl Fn(usize) -> f64) -> f64 {
        t.dims.iter().flatten().fold(1.0, |n, &(r, _)| n * size(r))
    }

    /// Spreads between two steps over a rank that does not index the tensor, and whether their lanes are joined.
    fn shared(&self, t: &Tensor, from: usize, to: usize) -> Vec<(usize, bool)> {
        let found = |i: usize| match self.steps[i] {
            Step::Spread { level, fanout, rank, .. } if !t.indexed_by(rank) => {
                Some((i, self.machine.levels[level].fanouts[fanout].joins(t)))
            }
            _ => None,
        };
        (from..to).filter_map(found).collect()
    }

    fn transfer(&self, tensor: usize, parent: usize, child: Option<usize>) -> Transfer {
        let t = &self.problem.tensors[tensor];
        let to = child.unwrap_or(self.steps.len());
        let shared = self.shared(t, parent, to);
        let joined = |i: usize| shared.contains(&(i, true));
        let all = |i: usize| if joined(i) { Lanes::First } else { Lanes::All };
        let busy = |i: usize| if i < parent || joined(i) { Lanes::First } else { Lanes::All };
        let up = [self.words(t, to, all), self.words(t, to, busy)];
        let down = [self.words(t, to, |_| Lanes::All), self.words(t, to, |_| Lanes::First)];
        let (mut again, mut taken) = ([0.0; 2], [0.0; 2]);
        if t.is_output() {
            let begun = self.begun(t, parent);
            again = [0, 1].map(|i| (up[i] - begun[i]).max(0.0));
            // Where lanes are not summed, the second one finds what the first one began.
            let apart = shared.iter().filter(|s| !s.1);
            let second = apart.map(|&(i, _)| self.words(t, to, |j| if i == j { Lanes::Second } else { Lanes::First }));
            taken = [again[0], second.fold(down[1] - self.begun(t, to)[1], f64::max)];
        }
        Transfer {
            tensor,
            parent,
            child,
            up,
            down: if child.is_some() { down } else { [0.0; 2] },
            again,
            taken: if child.is_some() { taken } else { [0.0; 2] },
        }
    }

    /// All transfers, tensor by tensor.
    pub fn transfers(&self) -> Vec<Transfer> {
        let mut out = Vec::new();
        for tensor in 0..self.problem.tensors.len() {
            let list = places(self.steps, tensor);
            for (i, &parent) in list.iter().enumerate() {
                out.push(self.transfer(tensor, parent, list.get(i + 1).copied()));
            }
        }
        out
    }

    /// Steps in time of the first lane below a step: per visit, as (steps, visits), every rank on its own.
    pub(crate) fn visits(&self, held: usize) -> Vec<Tiles> {
        let ranks = 0..self.problem.ranks.len();
        ranks
            .map(|r| {
                let mut out = Tiles::new();
                for (size, times) in self.tiles(r, held, |_| Lanes::First) {
                    add(&mut out, self.longest(r, size, held), times);
                }
                out
            })
            .collect()
    }

    /// Steps of the first lane over a tile of a rank from a step inward.
    fn longest(&self, rank: usize, size: u64, from: usize) -> u64 {
        let Some(i) = (from..self.steps.len()).find(|&i| self.steps[i].split().is_some_and(|s| s.0 == rank)) else { return size };
        let Some((_, tile, side)) = self.steps[i].split() else { return size };
        if side.is_some() {
            return self.longest(rank, size.min(tile), i + 1);
        }
        let rest = if !size.is_multiple_of(tile) { self.longest(rank, size % tile, i + 1) } else { 0 };
        if size < tile { rest } else { (size / tile).saturating_mul(self.longest(rank, tile, i + 1)).saturating_add(rest) }
    }
}
