//! What the search may choose from, made ready for one op on one machine: ranks that matter, roles, sizes of loops, bounds of energy.
//!
//! **The mapspace.** At every level: any set of the tensors that may lie there (those that must do), one below the other in any order;
//! between two places any loops. A loop's tile is a whole number of the tiles further in, as many as the fewest trips around it need:
//! for each number of remaining trips the smallest size (imperfect sizes, the last tile cut). Where runs of a rank are rounded up to whole
//! accesses, every size of up to 64 tiles, beyond also those that end with a whole access. On a fan-out up to two ranks side by side,
//! each on as few lanes as some number of rounds needs, on any number where sums of instances are not added on their way up or runs are rounded up.
//!
//! **Nothing is lost** by leaving out a loop directly above a place of a tensor that it does not index (below it, the tile stays: fewer
//! fills), and a loop directly below a place of a tensor that it does index (above it, the tile is smaller, and as many words move)
//! unless neighbouring tiles overlap, short runs are rounded up, or a systolic array fills and drains per fold. Between neighbouring places only ranks remain that do not index the
//! upper tensor and index the lower one.

use crate::nest::count::cut;
use crate::nest::machine::{Dataflow, Level, MOST_LEVELS, Machine, Roles};
use crate::nest::price::{Mode, buffers, point_j, port, rows_and_columns};
use crate::nest::problem::{MOST_RANKS, MOST_TENSORS, Problem, Sizes, Tensor, Work};

/// A tensor as the search needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    /// Ranks that index it.
    pub(crate) relevant: u32,
    /// Ranks that may stand directly below its place although they index it: tiles overlap or runs are short.
    pub(crate) sticky: u32,
    /// Whether neighbouring tiles overlap.
    pub(crate) overlaps: bool,
    pub(crate) output: bool,
    pub(crate) role: Roles,
    pub(crate) bits: f64,
    pub(crate) sum_bits: f64,
    /// Bits of capacity that a value takes below the outermost level.
    pub(crate) held_bits: u64,
    /// Words of the whole tensor.
    pub(crate) whole: f64,
    /// Least joules to read a partial sum back from any level up to the index that may hold it.
    pub(crate) least_again: [f64; MOST_LEVELS],
    /// Least joules to bring a word down (for outputs: up) from any level up to the index that may hold it.
    pub(crate) least: [f64; MOST_LEVELS],
}

/// One op on one machine, ready to be searched.
pub(crate) struct Space<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) machine: &'a Machine,
    pub(crate) mode: Mode,
    pub(crate) whole: Sizes,
    pub(crate) ranks: usize,
    pub(crate) operands: [Operand; MOST_TENSORS],
    pub(crate) tensors: usize,
    /// Ranks with more than one trip.
    pub(crate) live: u32,
    /// Values and accesses in bits, where runs along a rank are rounded up.
    runs: [Vec<(u64, u64)>; MOST_RANKS],
    /// Tensors that must and may lie in a level, as bits.
    pub(crate) must: [u8; MOST_LEVELS],
    pub(crate) may: [u8; MOST_LEVELS],
    /// Bits of a level that tiles may fill with one buffer each.
    pub(crate) capacity: [u64; MOST_LEVELS],
    pub(crate) instances: [f64; MOST_LEVELS],
    /// Cycles per bit read and written of all instances of a level together; 0: no limit.
    cycles_per_bit: [(f64, f64); MOST_LEVELS],
    /// Cycles that every mapping spends to start and end.
    pub(crate) launch: f64,
    /// Joules that every mapping spends: the work of all points.
    pub(crate) base_j: f64,
    /// Cycles of a step: none where vector lanes have a rate of their own, and the cycles that they then take for all points.
    pub(crate) step_cycles: f64,
    pub(crate) base_cycles: f64,
}

const EMPTY: Operand = Operand {
    relevant: 0,
    sticky: 0,
    overlaps: false,
    output: false,
    role: Roles::NONE,
    bits: 0.0,
    sum_bits: 0.0,
    held_bits: 0,
    whole: 0.0,
    least: [0.0; MOST_LEVELS],
    least_again: [0.0; MOST_LEVELS],
};

impl<'a> Space<'a> {
    pub(crate) fn new(problem: &'a Problem, machine: &'a Machine, mode: Mode) -> Self {
        let (whole, ranks, tensors) = (problem.extents(), problem.ranks.len(), problem.tensors.len());
        let live = (0..ranks).filter(|&r| whole[r] > 1).fold(0, |m, r| m | 1 << r);
        let mut space = Self {
            problem,
            machine,
            mode,
            whole,
            ranks,
            operands: [EMPTY; MOST_TENSORS],
            tensors,
            live,
            runs: std::array::from_fn(|r| runs(problem, machine, r)),
            must: [0; MOST_LEVELS],
            may: [0; MOST_LEVELS],
            capacity: [u64::MAX; MOST_LEVELS],
            instances: [1.0; MOST_LEVELS],
            cycles_per_bit: [(0.0, 0.0); MOST_LEVELS],
            launch: if mode == Mode::Real { machine.compute.launch_cycles } else { 0.0 },
            base_j: problem.points() as f64 * point_j(problem, machine),
            step_cycles: 1.0,
            base_cycles: 0.0,
        };
        if let Work::Vector(ops) = problem.work {
            let rate = machine.compute.vector_ops_per_cycle * machine.instances(machine.compute.vector_level) as f64;
            let all = problem.points() as f64 * ops as f64;
            (space.step_cycles, space.base_cycles) = if rate > 0.0 { (0.0, all / rate) } else { (ops as f64, 0.0) };
        }
        for (l, level) in machine.levels.iter().enumerate() {
            space.capacity[l] = level.capacity_bits.map_or(u64::MAX, |c| c / buffers(level, mode));
            space.instances[l] = machine.instances(l) as f64;
            space.cycles_per_bit[l] = (port(level, 1.0, 0.0, mode) / space.instances[l], port(level, 0.0, 1.0, mode) / space.instances[l]);
            for (t, tensor) in problem.tensors.iter().enumerate() {
                space.must[l] |= u8::from(level.keep.has(tensor.role)) << t;
                space.may[l] |= u8::from(level.may_keep.has(tensor.role)) << t;
            }
        }
        (0..tensors).for_each(|t| space.operands[t] = space.operand(t));
        space
    }

    fn operand(&self, t: usize) -> Operand {
        let tensor = &self.problem.tensors[t];
        let granular = self.machine.levels.iter().any(|l| l.granule_bits > tensor.bits);
        let last = tensor.dims.last().map_or(0, |d| d.iter().fold(0, |m, &(r, _)| m | 1 << r));
        let (bits, sum_bits) = (tensor.bits as f64, tensor.sum_bits as f64);
        let cost = |l: &Level| if tensor.is_output() { l.write_j_per_bit } else { l.read_j_per_bit } * bits;
        let mut least = [f64::INFINITY; MOST_LEVELS];
        let mut least_again = [0.0; MOST_LEVELS];
        let (mut low, mut low_again) = (f64::INFINITY, f64::INFINITY);
        for (l, level) in self.machine.levels.iter().enumerate() {
            if self.may[l] & 1 << t != 0 {
                low = low.min(cost(level));
                low_again = low_again.min(level.read_j_per_bit * sum_bits);
            }
            (least[l], least_again[l]) = (low, low_again);
        }
        Operand {
            relevant: tensor.relevant() & self.live,
            sticky: (tensor.overlapping() | if granular { last } else { 0 }) & self.live,
            overlaps: tensor.overlapping() & self.live != 0,
            output: tensor.is_output(),
            role: tensor.role,
            bits,
            sum_bits,
            held_bits: tensor.bits.max(tensor.sum_bits),
            whole: tensor.footprint(&self.whole) as f64,
            least,
            least_again,
        }
    }

    /// The next smaller number of tiles of `inner` in a loop over a rank; 0 at the end.
    pub(crate) fn smaller(&self, rank: usize, inner: u64, f: u64) -> u64 {
        let n = self.whole[rank].div_ceil(inner);
        smaller_in_runs(n, inner, f, &self.runs[rank])
    }

    /// Whether runs along a rank are rounded up to whole accesses.
    pub(crate) fn rounds_up(&self, rank: usize) -> bool {
        !self.runs[rank].is_empty()
    }

    /// Cycles per step of the array when the held operand stays for the steps of those tiles: a systolic one fills and drains per fold.
    pub(crate) fn per_step(&self, time: &Sizes) -> f64 {
        let c = &self.machine.compute;
        if self.mode == Mode::Ideal || c.dataflow == Dataflow::Lanes || self.problem.work != Work::Mac {
            return 1.0;
        }
        let stream = ranks_of(self.live).fold(1.0, |n, r| n * time[r] as f64);
        let (rows, columns) = rows_and_columns(self.machine);
        if c.shadow { (rows as f64 / stream).max(1.0) } else { 1.0 + (2 * rows + columns).saturating_sub(2) as f64 / stream }
    }

    /// Cycles of a level's ports when all instances share its bits evenly: the busiest takes no less.
    pub(crate) fn least_port_cycles(&self, level: usize, read: f64, written: f64) -> f64 {
        let (per_read, per_written) = self.cycles_per_bit[level];
        if self.machine.levels[level].shared_port { (read + written) * per_read } else { (read * per_read).max(written * per_written) }
    }

    /// Whether results are summed over a rank.
    pub(crate) fn sums(&self, rank: usize) -> bool {
        self.operands[..self.tensors].iter().any(|o| o.output && o.relevant & 1 << rank == 0)
    }

    /// Bits that a tile takes.
    pub(crate) fn tile_bits(&self, t: usize, tile: &Sizes) -> u64 {
        let o = &self.operands[t];
        if o.overlaps {
            return self.problem.tensors[t].footprint(&cut(tile, &self.whole)).saturating_mul(o.held_bits);
        }
        ranks_of(o.relevant).fold(o.held_bits, |n, r| n.saturating_mul(tile[r].min(self.whole[r])))
    }

    /// Ranks of loops that may stand between a place of tensor `upper` and the next one further in (`None`: the MAC).
    pub(crate) fn between(&self, upper: usize, lower: Option<usize>) -> u32 {
        // Below the innermost place of a systolic array a larger tile makes fewer folds to fill and drain.
        let array = self.machine.compute.dataflow == Dataflow::Systolic && self.problem.work == Work::Mac;
        let folds = if self.mode == Mode::Real && array && lower.is_none() { u32::MAX } else { 0 };
        let allowed = !self.operands[upper].relevant | self.operands[upper].sticky | folds;
        self.live & allowed & lower.map_or(u32::MAX, |p| self.operands[p].relevant)
    }
}

/// The next smaller number of inner tiles in a loop over `n` of them that is the smallest for its number of trips around; 0 at the end.
pub(crate) fn smaller(n: u64, f: u64) -> u64 {
    if f <= 1 { 0 } else { n.div_ceil(n.div_ceil(f - 1)) }
}

/// Tiles up to which every number of them is tried where runs are rounded up.
const EVERY_SIZE: u64 = 64;

/// The same where runs of values of so many bits are rounded up to accesses of so many.
pub(crate) fn smaller_in_runs(n: u64, inner: u64, f: u64, runs: &[(u64, u64)]) -> u64 {
    if runs.is_empty() || f <= 1 {
        return smaller(n, f);
    }
    if n <= EVERY_SIZE {
        return f - 1;
    }
    let whole_accesses = runs.iter().map(|&(bits, access)| {
        let step = access / common_divisor(access, inner.saturating_mul(bits));
        (f - 1) / step * step
    });
    whole_accesses.fold(smaller(n, f), u64::max)
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { common_divisor(b, a % b) }
}

/// Bits of values and of accesses by which runs along a rank are rounded up.
fn runs(problem: &Problem, machine: &Machine, rank: usize) -> Vec<(u64, u64)> {
    let last = |t: &&Tensor| t.dims.last().is_some_and(|d| d.iter().any(|x| x.0 == rank));
    let pairs = problem.tensors.iter().filter(last).flat_map(|t| machine.levels.iter().map(move |l| (t.bits, l.granule_bits)));
    let mut out: Vec<_> = pairs.filter(|(bits, access)| access > bits).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Iterates the bits of a set of ranks.
pub(crate) fn ranks_of(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let r = set.trailing_zeros() as usize;
        set &= set - 1;
        Some(r.min(MOST_RANKS - 1))
    })
}
