//! A small copy of an op and its mapping: every loop keeps two or three trips, and its cut edge where it has one.

use crate::paper::{Problem, Step};

/// Most points that are carried out.
const MOST_POINTS: f64 = 16384.0;
/// Most trips of a loop.
const TRIPS: u64 = 3;

struct Chain {
    /// Index of the step, its trips in the copy.
    links: Vec<(usize, u64)>,
    /// Whether the outermost loop ends in a cut tile.
    cut: bool,
}

impl Chain {
    fn of(problem: &Problem, steps: &[Step], rank: usize) -> Self {
        let mut size = problem.ranks[rank].extent;
        let mut links = Vec::new();
        let first = steps.iter().filter_map(|s| s.split()).find(|s| s.0 == rank);
        for (i, s) in steps.iter().enumerate() {
            let Some((r, tile, _)) = s.split() else { continue };
            if r == rank {
                links.push((i, size.div_ceil(tile).min(TRIPS)));
                size = tile;
            }
        }
        Self { links, cut: first.is_some_and(|f| !problem.ranks[rank].extent.is_multiple_of(f.1)) }
    }

    /// Tiles of the links, the outermost first, and the extent.
    fn sizes(&self) -> (Vec<u64>, u64) {
        let mut tiles = vec![1; self.links.len()];
        for i in (0..self.links.len().saturating_sub(1)).rev() {
            tiles[i] = tiles[i + 1] * self.links[i + 1].1;
        }
        let Some((&tile, &(_, trips))) = tiles.first().zip(self.links.first()) else { return (tiles, 1) };
        let rest = if self.cut && tile > 1 { tile.div_ceil(2) } else { tile };
        (tiles, tile * (trips - 1) + rest)
    }
}

/// The copy.
pub fn shrink(problem: &Problem, steps: &[Step]) -> (Problem, Vec<Step>) {
    let (mut p, mut s) = (problem.clone(), steps.to_vec());
    let mut chains: Vec<Chain> = (0..p.ranks.len()).map(|r| Chain::of(problem, steps, r)).collect();
    let points = |c: &[Chain]| c.iter().map(|c| c.sizes().1 as f64).product::<f64>();
    while points(&chains) > MOST_POINTS {
        // The most trips, and among them the outermost, give way.
        let most = chains.iter_mut().flat_map(|c| &mut c.links).max_by_key(|l| (l.1, std::cmp::Reverse(l.0)));
        match most {
            Some(link) if link.1 > 1 => link.1 -= 1,
            _ => break,
        }
    }
    for (rank, chain) in chains.iter().enumerate() {
        let (tiles, extent) = chain.sizes();
        p.ranks[rank].extent = extent;
        for (&(i, trips), &size) in chain.links.iter().zip(&tiles) {
            match &mut s[i] {
                Step::Loop { tile, .. } => *tile = size,
                Step::Spread { tile, lanes, .. } => (*tile, *lanes) = (size, trips),
                Step::Store { .. } => {}
            }
        }
    }
    (p, s)
}
