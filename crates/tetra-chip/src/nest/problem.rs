//! An op as loops over ranks and tensors indexed by them (an extended Einsum: Odemuyiwa et al., arXiv 2404.11591, restricted to affine
//! indices): what is computed, not how.
//!
//! A dimension of a tensor is a sum of strides times ranks: `stride·p + dilation·r` for a convolution's input rows. Leaves out: sparsity.

use crate::nest::machine::{Machine, Roles};

/// Most ranks of an op.
pub const MOST_RANKS: usize = 8;
/// Most tensors of an op.
pub const MOST_TENSORS: usize = 4;
/// Sizes of all ranks of an op: unused ones are 1.
pub type Sizes = [u64; MOST_RANKS];

/// What one point of the iteration space costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// One multiply-accumulate on the array.
    Mac,
    /// That many operations on the vector lanes.
    Vector(u64),
}

/// A rank: one loop of the untiled op.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rank {
    /// Name.
    pub name: String,
    /// Trips.
    pub extent: u64,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// Role, by which levels take it in.
    pub role: Roles,
    /// Bits of a value, of an output when it is finished.
    pub bits: u64,
    /// Bits of a partial sum of an output; those of a value otherwise.
    pub sum_bits: u64,
    /// Dimensions: each a list of (rank, stride), at most two.
    pub dims: Vec<Vec<(usize, u64)>>,
}

/// An op to be mapped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Name, as asked for.
    pub name: String,
    /// Ranks, at most `MOST_RANKS`.
    pub ranks: Vec<Rank>,
    /// Tensors, at most `MOST_TENSORS`, one of them the output.
    pub tensors: Vec<Tensor>,
    /// Work of a point.
    pub work: Work,
}

impl Tensor {
    /// Ranks that index the tensor, as bits.
    pub fn relevant(&self) -> u32 {
        self.dims.iter().flatten().fold(0, |m, &(r, _)| m | 1 << r)
    }

    /// Ranks of dimensions with two ranks, whose neighbouring tiles overlap, as bits.
    pub fn overlapping(&self) -> u32 {
        self.dims.iter().filter(|d| d.len() > 1).flatten().fold(0, |m, &(r, _)| m | 1 << r)
    }

    /// Whether it is written.
    pub fn is_output(&self) -> bool {
        self.role == Roles::OUTPUT
    }

    /// Values of a tile of those sizes.
    pub fn footprint(&self, tile: &Sizes) -> u64 {
        self.dims.iter().fold(1, |n: u64, d| n.saturating_mul(width(d, tile)))
    }

    /// Values of all tiles of those sizes together, edges cut, each value as often as a tile holds it.
    pub fn footprints(&self, whole: &Sizes, tile: &Sizes) -> u64 {
        self.dims.iter().fold(1, |n: u64, d| n.saturating_mul(widths(d, whole, tile)))
    }
}

/// Different values that one dimension of a tile takes: with strides `s` and `d` without a common factor the pair `(i + d, j)` is the
/// same as `(i, j + s)`, so that of `a·b` pairs `(a − d)(b − s)` are met before.
fn width(dim: &[(usize, u64)], tile: &Sizes) -> u64 {
    match *dim {
        [] => 1,
        [(r, _)] => tile[r],
        [(a, sa), (b, sb), ..] => {
            let common = divisor(sa, sb);
            let met = tile[a].saturating_sub(sb / common).saturating_mul(tile[b].saturating_sub(sa / common));
            tile[a].saturating_mul(tile[b]).saturating_sub(met)
        }
    }
}

/// Greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { divisor(b, a % b) }
}

fn widths(dim: &[(usize, u64)], whole: &Sizes, tile: &Sizes) -> u64 {
    match *dim {
        [] => 1,
        [(r, _)] => whole[r],
        [(a, _), (b, _), ..] => {
            let mut sum: u64 = 0;
            for (times_a, size_a) in parts(whole[a], tile[a]) {
                for (times_b, size_b) in parts(whole[b], tile[b]) {
                    let mut t = *tile;
                    (t[a], t[b]) = (size_a, size_b);
                    if times_a > 0 && times_b > 0 {
                        sum = sum.saturating_add(width(dim, &t).saturating_mul(times_a).saturating_mul(times_b));
                    }
                }
            }
            sum
        }
    }
}

/// Full tiles and the cut one: how many of which size.
pub(crate) fn parts(whole: u64, tile: u64) -> [(u64, u64); 2] {
    let rest = whole % tile;
    [(whole / tile, tile), (u64::from(rest > 0), rest)]
}

impl Problem {
    /// Extents of all ranks.
    pub fn extents(&self) -> Sizes {
        let mut out = [1; MOST_RANKS];
        for (slot, r) in out.iter_mut().zip(&self.ranks) {
            *slot = r.extent;
        }
        out
    }

    /// Points of the iteration space.
    pub fn points(&self) -> u64 {
        self.ranks.iter().fold(1, |n: u64, r| n.saturating_mul(r.extent))
    }

    /// Ranks that index no output: summed over.
    pub fn reduced(&self) -> u32 {
        let kept = self.tensors.iter().filter(|t| t.is_output()).fold(0, |m, t| m | t.relevant());
        ((1u32 << self.ranks.len()) - 1) & !kept
    }
}

impl Machine {
    /// The part of the machine that does a kind of work: without the array's levels for the vector lanes.
    pub fn for_work(&self, work: Work) -> Self {
        let mut out = self.clone();
        if matches!(work, Work::Vector(_)) {
            out.levels.truncate(self.compute.vector_level + 1);
            if let Some(last) = out.levels.last_mut() {
                last.fanouts.clear();
            }
        }
        out
    }
}
