//! Op and chip (structure only) → mapping and counts: tiles, waves, folds on the arrays, bytes through every memory level.
//!
//! GEMM: every tile `Tm × Tn` of powers of two within the accumulators and every split of `K` is tried; the cheapest by structural
//! peak rates is kept. On an array of `R × C` MACs a tile takes `ceil(Kc/R)·ceil(Tn/C)` folds of `max(Tm, R)` cycles when the next
//! weights load in the shadow of the present ones, `Tm + R` otherwise, and `R + C` to fill and drain (Samajdar et al., SCALE-Sim,
//! arXiv 1811.02883). Off-chip re-reads follow the block of tiles that run together. No constant of technology or calibration enters.
//! Leaves out: layouts, bank conflicts, fusion over op boundaries.

use tetra_workload::{Gemm, GroupedGemm, MacType, Op, VectorKind, VectorOp};

use crate::attention::map_attention;
use crate::chip::Chip;
use crate::machine::{Machine, SUM_BYTES};
use crate::mapping::{MOST, RIVALS, ROWS_MIN, SPLIT_MIN};

pub use crate::machine::mac_of;
pub use crate::mapping::{Counts, Mapping, Plan};

/// Share of the global memory's peak by which mappings are compared, in quarters.
const GLOBAL_QUARTERS: u64 = 3;
const QUARTERS: u64 = 4;
/// Summed-dimension slab that is loaded at once, in 16-bit elements; the summed dimension is padded to half of it.
const SLAB: u64 = 64;
/// Lane operations per widened weight by which mappings are compared (timing uses the calibrated number).
const WIDEN_OPS: u64 = 4;
/// Fewest columns of a tile.
const COLUMNS_MIN: u64 = 32;
/// A tile below this fraction of the largest one is not tried when larger ones already give this many waves.
const SMALL_TILE: u64 = 16;
const MANY_WAVES: u64 = 8;
/// Splits of the summed dimension.
const SPLITS: [u64; 10] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16];
/// Threads of the largest block and threads that a core holds: rows longer than a block are passed over again.
const BLOCK: u64 = 1024;
const THREADS: u64 = 2048;

/// Maps one op onto the cores of a chip.
pub fn map(op: &Op, chip: &Chip) -> Mapping {
    match op {
        Op::Gemm(g) => map_gemm(Shape::of_gemm(g), chip),
        Op::GroupedGemm(g) => map_gemm(Shape::of_grouped(g), chip),
        Op::Attention(a) => map_attention(a, chip),
        Op::Vector(v) => map_vector(v, chip),
        Op::Collective(_) => Mapping::default(),
    }
}

/// A matrix product in the mapper's terms.
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

/// One candidate and its estimated cycles.
#[derive(Clone, Copy)]
struct Candidate {
    tm: u64,
    tn: u64,
    split: u64,
    mt: u64,
    nt: u64,
    kc: u64,
    cycles: f64,
}

fn map_gemm(shape: Shape, chip: &Chip) -> Mapping {
    let (mac_index, rate) = mac_of(shape.mac, chip);
    let s = &Shape { widens: widens(shape.b, mac_index), ..shape };
    let machine = Machine::of(chip, rate);
    let side = chip.compute.tile_rows_max.max(chip.compute.tile_columns_max).max(COLUMNS_MIN);
    let mut best = [None; RIVALS + 1];
    let mut tm = ROWS_MIN;
    while tm <= side && (tm == ROWS_MIN || tm < s.m.saturating_mul(2)) {
        let mut tn = COLUMNS_MIN;
        while tn <= side && (tn == COLUMNS_MIN || tn < s.n.saturating_mul(2)) {
            if tm * tn <= machine.area_max || (tm, tn) == (ROWS_MIN, COLUMNS_MIN) {
                let grows = (tm < s.m && tm < side) || (tn < s.n && tn < side);
                try_tile(s, &machine, (tm, tn), grows, &mut best);
            }
            tn *= 2;
        }
        tm *= 2;
    }
    let plans = best.map(|c| c.map(|c| gemm_plan(s, &machine, &c, mac_index)));
    Mapping { best: plans[0].unwrap_or_default(), rivals: [plans[1], plans[2], plans[3]] }
}

/// Keeps the cheapest candidates in order; the earlier of two equals stays first.
fn keep(best: &mut [Option<Candidate>; RIVALS + 1], new: Candidate) {
    let mut carried = Some(new);
    for slot in best {
        match (carried, *slot) {
            (Some(c), Some(held)) if c.cycles >= held.cycles => {}
            (None, _) => return,
            _ => std::mem::swap(&mut carried, slot),
        }
    }
}

fn try_tile(s: &Shape, machine: &Machine, (tm, tn): (u64, u64), grows: bool, best: &mut [Option<Candidate>; RIVALS + 1]) {
    let (mt, nt) = (s.m.div_ceil(tm), s.n.div_ceil(tn));
    let base = mt as f64 * nt as f64 * s.batch;
    if grows && tm * tn * SMALL_TILE < machine.area_max && base > MANY_WAVES as f64 * machine.cores {
        return;
    }
    for split in SPLITS {
        if split > 1 && (s.k / split < SPLIT_MIN || 2.0 * base > machine.cores) {
            break;
        }
        let kc = s.k.div_ceil(split).next_multiple_of(SLAB / 2);
        let mut c = Candidate { tm, tn, split, mt, nt, kc, cycles: 0.0 };
        c.cycles = estimate(s, machine, &c, base * split as f64);
        if best[RIVALS].is_none_or(|b| c.cycles < b.cycles) {
            keep(best, c);
        }
    }
}

/// Rows and columns of a tile that hold data, rounded up to the smallest tile.
fn filled(s: &Shape, c: &Candidate) -> (u64, u64) {
    (c.tm.min(s.m.next_multiple_of(ROWS_MIN)), c.tn.min(s.n.next_multiple_of(ROWS_MIN)))
}

fn resident(machine: &Machine, c: &Candidate) -> u64 {
    (machine.area_max / (c.tm * c.tn).max(1)).clamp(1, 4)
}

fn global_bytes(s: &Shape, machine: &Machine, c: &Candidate, rows: u64, columns: u64) -> f64 {
    let (a, b) = (rows as f64 * s.a, columns as f64 * s.b);
    c.kc as f64 * (a.max(b) / machine.multicast + a.min(b))
}

/// Bytes read from off-chip memory: operands once, and again for every block of tiles that run together unless they stay.
fn hbm_read(s: &Shape, machine: &Machine, c: &Candidate, tiles: f64) -> f64 {
    let together = (tiles.min(machine.cores * resident(machine, c) as f64) / c.split as f64).max(1.0);
    let (mt, nt) = (c.mt as f64, c.nt as f64);
    let mut a = (together * c.tn as f64 / c.tm as f64).sqrt().clamp(1.0, mt);
    let b = (together / a).clamp(1.0, nt);
    a = (together / b).clamp(1.0, mt);
    let bytes_a = s.rows * s.k as f64 * s.a;
    let bytes_b = s.n as f64 * s.k as f64 * s.b;
    let again = |bytes: f64, trips: f64| if 2.0 * bytes < machine.global { bytes } else { bytes * trips.max(1.0) };
    s.batch * (again(bytes_a, nt / b) + again(bytes_b, mt / a))
}

/// Fourth-power norm: nearly the maximum, a little more where two are close.
fn soft_max(a: f64, b: f64, c: f64) -> f64 {
    let fourth = |x: f64| (x * x) * (x * x);
    (fourth(a) + fourth(b) + fourth(c)).sqrt().sqrt()
}

/// Cycles by structural peak rates: waves of tiles, each bound by arrays, scratchpad, global or off-chip memory, plus fill and drain.
fn estimate(s: &Shape, machine: &Machine, c: &Candidate, tiles: f64) -> f64 {
    let (rows, columns) = filled(s, c);
    let arrays = machine.array_cycles(rows, columns, c.kc);
    let local = machine.local_bytes(rows, columns, c.kc as f64, s.a, s.b) / machine.local;
    let global = QUARTERS as f64 / GLOBAL_QUARTERS as f64 * global_bytes(s, machine, c, rows, columns) / machine.global_per_core;
    let read = hbm_read(s, machine, c, tiles);
    let widening = if s.widens { c.kc as f64 * columns as f64 * WIDEN_OPS as f64 / machine.lanes } else { 0.0 };
    let inner = soft_max(arrays.max(widening) + 0.5 * arrays.min(widening), local, global);
    let waves = (tiles / machine.cores).floor();
    let tail = tiles - waves * machine.cores;
    let share = read / tiles / machine.hbm;
    let wave = |active: f64| soft_max(inner, share * active, 0.0);
    let others = resident(machine, c) as f64 - 1.0;
    let later = waves + if tail > 0.0 { 1.0 } else { 0.0 } - 1.0;
    let exposed = later.max(0.0) * (machine.trip - others * inner).max(0.0) / (others + 1.0);
    let fill = (machine.rows + machine.columns) as f64 + machine.trip;
    let mut cycles = waves * wave(machine.cores) + if tail > 0.0 { wave(tail) } else { 0.0 } + exposed + fill;
    let out = s.rows * s.n as f64 * s.batch;
    cycles = cycles.max((read + out * s.out) / machine.hbm);
    if c.split > 1 {
        let sums = out * SUM_BYTES as f64 * c.split as f64;
        cycles += sums / (machine.global_per_core * machine.cores) + out * s.out / machine.hbm + machine.trip;
    }
    cycles
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
    let resident = resident(machine, c);
    let counts = Counts {
        macs: s.macs,
        mac_index,
        tiles: tiles as u64,
        resident,
        split: c.split,
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
    let reduces = matches!(v.kind, VectorKind::Softmax | VectorKind::LayerNorm | VectorKind::CrossEntropy);
    let threads = match v.kind {
        VectorKind::Softmax | VectorKind::CrossEntropy => (columns / 8).clamp(32, BLOCK),
        VectorKind::RmsNorm => columns.clamp(32, BLOCK),
        _ => BLOCK / 4,
    };
    let rows_at_once = chip.compute.cores.max(1).saturating_mul(THREADS / threads);
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
    Mapping::one(Plan { tile_rows: 1, tile_columns: columns, split: 1, tiles: rows, resident: 1, counts })
}
