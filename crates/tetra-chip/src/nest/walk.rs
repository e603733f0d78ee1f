//! The walk of a pair's outer loops over its tiles: how many tiles of each size are worked on, how often rows and keys come.
//!
//! Tiles stand on a grid and are cut at the ends of both ranks. Under a mask a block of rows works on all tiles that hold a key which
//! one of its rows sees; such a tile is worked on whole, as kernels do (Dao et al., arXiv 2307.08691). A tile of an outer tensor stays
//! until the loops want another one of it. Counts are exact, block of rows by block of rows.

use crate::nest::problem::parts;

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Mask {
    /// Whether later keys are hidden; the last position stands at the last key, with fewer keys than positions the first at the first.
    pub causal: bool,
    /// Keys seen at most; 0: all.
    pub window: u64,
    /// Query rows of one position (heads that share keys).
    pub rows_per_position: u64,
}

/// Blocks of rows: their rows, the first key that one of them sees, the key behind the last.
pub(crate) type Spans = Vec<(u64, u64, u64)>;

impl Mask {
    /// Blocks of so many rows out of `whole` rows and keys.
    pub(crate) fn spans(&self, whole: [u64; 2], tile: u64) -> Spans {
        let [rows, keys] = whole;
        let per = self.rows_per_position.max(1);
        let offset = keys.saturating_sub(rows.div_ceil(per));
        // The key behind the last one that a position sees.
        let behind = |position: u64| if self.causal { (offset + position + 1).min(keys) } else { keys };
        let block = |i: u64| {
            let (from, to) = (i * tile, ((i + 1) * tile).min(rows));
            let start = if self.window > 0 { behind(from / per).saturating_sub(self.window) } else { 0 };
            (to - from, start, behind((to - 1) / per))
        };
        (0..rows.div_ceil(tile)).map(block).collect()
    }
}

/// What the outer loops do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Walk {
    /// Tiles: how many, and their sizes.
    pub(crate) tiles: Vec<(f64, [u64; 2])>,
    /// Rows and keys of all visits of tiles together.
    pub(crate) seen: [f64; 2],
    /// Rows and keys that come in: once, or again after others.
    pub(crate) come: [f64; 2],
    /// Rows and keys that are wanted at all.
    pub(crate) once: [f64; 2],
}

impl Walk {
    /// Visits without a mask.
    pub(crate) fn all(whole: [u64; 2], tiles: [u64; 2], rows_outside: bool) -> Self {
        let [trips_rows, trips_keys] = [0, 1].map(|s| whole[s].div_ceil(tiles[s]) as f64);
        let [rows, keys] = whole.map(|w| w as f64);
        // A tile stays while its own loop stands still: the other loop must run around it and take more than one trip.
        let again = |stays: bool, own: f64, other: f64| if stays || own <= 1.0 { 1.0 } else { other };
        let columns = parts(whole[1], tiles[1]);
        let sizes = parts(whole[0], tiles[0]).into_iter().flat_map(|(n, a)| columns.map(|(m, b)| ((n * m) as f64, [a, b])));
        Self {
            tiles: sizes.filter(|t| t.0 > 0.0).collect(),
            seen: [rows * trips_keys, keys * trips_rows],
            come: [rows * again(rows_outside, trips_rows, trips_keys), keys * again(!rows_outside, trips_keys, trips_rows)],
            once: [rows, keys],
        }
    }

    /// Visits of blocks of rows that see those keys, in tiles of `tile` out of `keys` keys.
    pub(crate) fn masked(spans: &Spans, keys: u64, tile: u64, rows_outside: bool) -> Self {
        let mut counts = [[0u64; 2]; 2];
        let (mut seen, mut saved, mut once) = ([0u64; 2], [0u64; 2], [0u64; 2]);
        let full_rows = spans.first().map_or(0, |s| s.0);
        let first_and_end = |s: &(u64, u64, u64)| (s.1 / tile, s.2.div_ceil(tile));
        let upto = |end: u64| (end * tile).min(keys);
        let cut = !keys.is_multiple_of(tile);
        // Tiles behind those of the block before, and the first one of the block behind.
        let mut before = 0;
        for (i, span) in spans.iter().enumerate() {
            let (first, end) = first_and_end(span);
            let next = spans.get(i + 1).map_or(u64::MAX, |s| first_and_end(s).0);
            let (rows, tiles) = (span.0, end - first);
            let at_edge = u64::from(cut && end * tile > keys);
            let kind = usize::from(rows < full_rows);
            counts[kind][0] += tiles - at_edge;
            counts[kind][1] += at_edge;
            seen[0] += rows * tiles;
            seen[1] += upto(end) - first * tile;
            once[0] += rows;
            once[1] += upto(end).saturating_sub(upto(before.max(first)));
            // Rows outside: the first tile of keys may still be there from the block before.
            saved[1] += if i > 0 && first + 1 == before { upto(before) - first * tile } else { 0 };
            // Keys outside: rows stay from one tile to the next where no other block works on either after and before them.
            let (low, high) = (first.max(before.saturating_sub(1)), (end - 1).min(next));
            saved[0] += rows * high.saturating_sub(low);
            before = end;
        }
        let edges = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let edge_rows = spans.last().map_or(0, |s| s.0);
        let size = |(r, k): (usize, usize)| [if r == 0 { full_rows } else { edge_rows }, if k == 0 { tile } else { keys % tile }];
        let tiles = edges.into_iter().map(|e| (counts[e.0][e.1] as f64, size(e))).filter(|t| t.0 > 0.0).collect();
        let come = if rows_outside { [once[0], seen[1] - saved[1]] } else { [seen[0] - saved[0], once[1]] };
        let floats = |x: [u64; 2]| x.map(|n| n as f64);
        Self { tiles, seen: floats(seen), come: floats(come), once: floats(once) }
    }

    /// Values of the middle tensor of all visits.
    pub(crate) fn area(&self) -> f64 {
        self.tiles.iter().map(|(n, [a, b])| n * (a * b) as f64).sum()
    }
}
