//! Op and chip (structure only) → the plans worth pricing, each with its counts: tiles, waves, folds on the arrays, bytes through every memory level.
//!
//! **Mapspace of a matrix product.** Tiles `Tm × Tn`, both powers of two, `Tm` from 16 up to the first that covers the rows, `Tn` from 32 up to the first
//! that covers the columns, within the accumulators (`Tm·Tn` at most `tile_rows_max · tile_columns_max`, no side beyond the larger of them); `K` whole,
//! or in 2, 3, 4, 5, 6, 8, 10, 12 or 16 parts of at least 256 where the tiles would fill at most half of the cores. Nothing else is left out: all of it is
//! handed to timing, which takes the plan that is fastest at the nominal clock. So no constant of technology or calibration enters here, and yet
//! the choice is exact for whatever constants are drawn (`the_chosen_plan_is_the_best_of_the_whole_mapspace`).
//!
//! Clusters of cores lie along the rows of the result: a product with fewer tiles of rows is launched in smaller ones, which always find a place.
//!
//! On an array of `R × C` MACs a tile takes `ceil(Kc/R)·ceil(Tn/C)` folds of `max(Tm, R)` cycles when the next
//! weights load in the shadow of the present ones, `Tm + R` otherwise, and `R + C` to fill and drain (Samajdar et al., SCALE-Sim,
//! arXiv 1811.02883). Off-chip re-reads follow the block of tiles that run together.
//! Leaves out: layouts, bank conflicts, fusion over op boundaries.

use tetra_workload::{Gemm, GroupedGemm, MacType, Op, VectorKind, VectorOp};

use crate::attention::map_attention;
use crate::chip::Chip;
use crate::machine::{Machine, SUM_BYTES};
use crate::mapping::{MOST, ROWS_MIN, SPLIT_MIN};

pub use crate::machine::mac_of;
pub use crate::mapping::{Counts, Mapping, Plan, Tiles};

/// Summed-dimension slab that is loaded at once, in 16-bit elements; the summed dimension is padded to half of it.
const SLAB: u64 = 64;
/// Fewest columns of a tile.
const COLUMNS_MIN: u64 = 32;
/// Splits of the summed dimension.
const SPLITS: [u64; 10] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16];
/// Threads of the largest block and threads that a core holds: rows longer than a block are passed over again.
const BLOCK: u64 = 1024;
const THREADS: u64 = 2048;
/// Threads per lane of wider cores: they work on as many rows at once as cores of the usual width with as many lanes.
const THREADS_PER_LANE: u64 = 16;

/// Maps one op onto the cores of a chip.
pub fn map(op: &Op, chip: &Chip) -> Mapping {
    match op {
        Op::Gemm(g) => Mapping::Tiles(Tiles(Space::of(Shape::of_gemm(g), chip))),
        Op::GroupedGemm(g) => Mapping::Tiles(Tiles(Space::of(Shape::of_grouped(g), chip))),
        Op::Attention(a) => map_attention(a, chip),
        Op::Vector(v) => map_vector(v, chip),
        Op::Collective(_) => Mapping::One(Plan::default()),
    }
}

/// A matrix product in the mapper's terms.
#[derive(Debug, Clone, Copy)]
struct Shape {
    batch: f64,
    /// Rows that tiles must cover; of experts, midway between the mean and the fullest.
    m: u64,
    /// Rows that hold data, on the mean.
    rows: f64,
    n: u64,
    k: u64,
    /// Bytes per element of A, B and C.
    a: f64,
    b: f64,
    out: f64,
    mac: MacType,
    macs: u64,
    /// Whether B is widened on the lanes.
    widens: bool,
}

impl Shape {
    fn of_gemm(g: &Gemm) -> Self {
        let (m, n, k, batch) = (g.m.clamp(1, MOST), g.n.clamp(1, MOST), g.k.clamp(1, MOST), g.batch.max(1));
        let macs = batch.saturating_mul(m).saturating_mul(n).saturating_mul(k);
        Self {
            batch: batch as f64,
            m,
            rows: m as f64,
            n,
            k,
            a: g.a.bytes(),
            b: g.b.bytes(),
            out: g.out.bytes(),
            mac: g.a.mac(),
            macs,
            widens: false,
        }
    }

    fn of_grouped(g: &GroupedGemm) -> Self {
        let (experts, n, k) = (g.experts.clamp(1, g.rows.max(1)), g.n.clamp(1, MOST), g.k.clamp(1, MOST));
        let all = g.rows.clamp(1, MOST);
        let mean = all.div_ceil(experts);
        let m = (mean + g.rows_max.clamp(mean, all)).div_ceil(2);
        let macs = g.rows.max(1).saturating_mul(n).saturating_mul(k);
        Self {
            batch: experts as f64,
            m,
            rows: all as f64 / experts as f64,
            n,
            k,
            a: g.a.bytes(),
            b: g.b.bytes(),
            out: g.out.bytes(),
            mac: g.a.mac(),
            macs,
            widens: false,
        }
    }
}

/// One candidate.
#[derive(Clone, Copy)]
struct Candidate {
    tm: u64,
    tn: u64,
    split: u64,
    mt: u64,
    nt: u64,
    kc: u64,
}

/// All plans of a matrix product on a chip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    shape: Shape,
    machine: Machine,
    mac_index: usize,
    side: u64,
}

impl Space {
    fn of(shape: Shape, chip: &Chip) -> Self {
        let (mac_index, rate) = mac_of(shape.mac, chip);
        let shape = Shape { widens: widens(shape.b, mac_index), ..shape };
        let side = chip.compute.tile_rows_max.max(chip.compute.tile_columns_max).max(COLUMNS_MIN);
        Self { shape, machine: Machine::of(chip, rate), mac_index, side }
    }

    /// Every plan of the mapspace, small tiles first.
    pub(crate) fn each(&self, mut visit: impl FnMut(Plan)) {
        let (s, machine) = (&self.shape, &self.machine);
        for tm in sizes(ROWS_MIN, self.side, s.m) {
            for tn in sizes(COLUMNS_MIN, self.side, s.n) {
                if tm * tn > machine.area_max && (tm, tn) != (ROWS_MIN, COLUMNS_MIN) {
                    continue;
                }
                let (mt, nt) = (s.m.div_ceil(tm), s.n.div_ceil(tn));
                let base = mt as f64 * nt as f64 * s.batch;
                for split in SPLITS {
                    if split > 1 && (s.k / split < SPLIT_MIN || 2.0 * base > machine.cores) {
                        break;
                    }
                    let kc = s.k.div_ceil(split).next_multiple_of(SLAB / 2);
                    visit(gemm_plan(s, machine, &Candidate { tm, tn, split, mt, nt, kc }, self.mac_index));
                }
            }
        }
    }
}

/// Powers of two from `least` to the first that covers `extent`, none beyond `side`.
fn sizes(least: u64, side: u64, extent: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(least), |t| t.checked_mul(2)).take_while(move |&t| t == least || (t <= side && t < extent.saturating_mul(2)))
}

/// Rows and columns of a tile that hold data, rounded up to the smallest tile.
fn filled(s: &Shape, c: &Candidate) -> (u64, u64) {
    (c.tm.min(s.m.next_multiple_of(ROWS_MIN)), c.tn.min(s.n.next_multiple_of(ROWS_MIN)))
}

/// Tiles that a core holds at once: as many as its accumulators and, with one slab at work and one on its way, its scratchpad hold.
fn resident(s: &Shape, machine: &Machine, c: &Candidate) -> u64 {
    let (rows, columns) = filled(s, c);
    let slabs = 2.0 * SLAB as f64 * (rows as f64 * s.a + columns as f64 * s.b);
    (machine.area_max / (c.tm * c.tn).max(1)).min((machine.local / slabs) as u64).clamp(1, 4)
}

fn global_bytes(s: &Shape, machine: &Machine, c: &Candidate, rows: u64, columns: u64) -> f64 {
    let (a, b) = (rows as f64 * s.a, columns as f64 * s.b);
    c.kc as f64 * (a.max(b) / machine.multicast + a.min(b))
}

/// Bytes read from off-chip memory: operands once, and again for every block of tiles that run together unless they stay.
fn hbm_read(s: &Shape, machine: &Machine, c: &Candidate, tiles: f64) -> f64 {
    let together = (tiles.min(machine.cores * resident(s, machine, c) as f64) / c.split as f64).max(1.0);
    let (mt, nt) = (c.mt as f64, c.nt as f64);
    let mut a = (together * c.tn as f64 / c.tm as f64).sqrt().clamp(1.0, mt);
    let b = (together / a).clamp(1.0, nt);
    a = (together / b).clamp(1.0, mt);
    let bytes_a = s.rows * s.k as f64 * s.a;
    let bytes_b = s.n as f64 * s.k as f64 * s.b;
    let again = |bytes: f64, trips: f64| if 2.0 * bytes < machine.global { bytes } else { bytes * trips.max(1.0) };
    s.batch * (again(bytes_a, nt / b) + again(bytes_b, mt / a))
}

/// Bits of an operand as multiplied, by type index.
const BYTE_BITS: u64 = 8;
const OPERAND_BITS: [u64; 5] = [32, 16, 8, 8, 4];

/// Whether stored weights must be widened before they are multiplied: scales alone do not make a format wider.
fn widens(stored_bytes: f64, mac_index: usize) -> bool {
    let multiplied = OPERAND_BITS[mac_index] as f64 / (BYTE_BITS as f64);
    stored_bytes + stored_bytes * 0.5 < multiplied
}

fn gemm_plan(s: &Shape, machine: &Machine, c: &Candidate, mac_index: usize) -> Plan {
    let (rows, columns) = filled(s, c);
    let tiles = c.mt as f64 * c.nt as f64 * s.batch * c.split as f64;
    let fill = (machine.rows + machine.columns) as f64;
    let out = s.rows * s.n as f64 * s.batch;
    let macs = s.macs as f64;
    let edge = macs * machine.edge_bytes(rows, s.a, s.b);
    let resident = resident(s, machine, c);
    let counts = Counts {
        macs: s.macs,
        mac_index,
        tiles: tiles as u64,
        resident,
        split: c.split,
        cluster: machine.cluster.min(c.mt),
        tile_array_cycles: (machine.array_cycles(rows, columns, c.kc) + fill) as u64,
        tile_local_bytes: machine.local_bytes(rows, columns, c.kc as f64, s.a, s.b) as u64,
        tile_global_bytes: global_bytes(s, machine, c, rows, columns) as u64,
        tile_store_bytes: ((rows * columns) as f64 * if c.split > 1 { SUM_BYTES as f64 } else { s.out }) as u64,
        edge_bytes: edge as u64,
        hbm_read: hbm_read(s, machine, c, tiles) as u64,
        hbm_write: (out * s.out) as u64,
        reduce_bytes: if c.split > 1 { (out * SUM_BYTES as f64 * c.split as f64) as u64 } else { 0 },
        elements: if s.widens { (tiles * columns as f64 * c.kc as f64) as u64 } else { 0 },
        ..Counts::default()
    };
    Plan { tile_rows: c.tm, tile_columns: c.tn, split: c.split, tiles: counts.tiles, resident, counts }
}

fn map_vector(v: &VectorOp, chip: &Chip) -> Mapping {
    let (rows, columns) = (v.rows.max(1), v.cols.max(1));
    // What a loss reads again stands in its bytes.
    let reduces = matches!(v.kind, VectorKind::Softmax | VectorKind::LayerNorm);
    let threads = match v.kind {
        VectorKind::Softmax | VectorKind::CrossEntropy => (columns / 8).clamp(32, BLOCK),
        VectorKind::RmsNorm => columns.clamp(32, BLOCK),
        _ => BLOCK / 4,
    };
    let held = THREADS.max(chip.compute.lanes_per_core.saturating_mul(THREADS_PER_LANE));
    let rows_at_once = chip.compute.cores.max(1).saturating_mul(held / threads);
    let row_bytes = v.read_bytes / rows;
    let counts = Counts {
        tiles: rows,
        resident: 1,
        split: 1,
        hbm_read: v.read_bytes,
        hbm_write: v.write_bytes,
        elements: rows.saturating_mul(columns),
        rows,
        row_elements: columns,
        rows_at_once,
        reread_bytes: if reduces && columns > BLOCK { v.read_bytes.saturating_mul(2) } else { 0 },
        working_set: row_bytes.saturating_mul(rows.min(rows_at_once)),
        ..Counts::default()
    };
    Mapping::One(Plan { tile_rows: 1, tile_columns: columns, split: 1, tiles: rows, resident: 1, counts })
}
