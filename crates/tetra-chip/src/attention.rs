//! Fused attention → mapping and counts: tiles of query rows pass over the keys, scores never leave the core.
//!
//! Query heads that share keys form one tile's rows. A causal tile passes over its mean number of keys and half a tile more, where the
//! mask cuts through it. With fewer tiles than cores the keys are split and partial results reduced (Dao et al., FlashAttention-2,
//! arXiv 2307.08691; Flash-Decoding 2023). Backward: five products instead of two, everything read twice. Leaves out: ragged batches.

use tetra_workload::AttentionOp;

use crate::chip::Chip;
use crate::machine::{Machine, SUM_BYTES, mac_of};
use crate::mapping::{Counts, MOST, Mapping, Plan, ROWS_MIN, SPLIT_MIN};

/// Query tiles that a core holds: one loads while the other computes.
const RESIDENT: u64 = 2;

/// Mean number of keys that a query sees.
pub(crate) fn mean_keys(a: &AttentionOp) -> f64 {
    let (q, kv) = (a.q_len.max(1) as f64, a.kv_len.max(1) as f64);
    if !a.causal {
        return if a.window > 0 { kv.min(a.window as f64) } else { kv };
    }
    let first = (kv - q + 1.0).max(1.0);
    let w = a.window as f64;
    if a.window == 0 || w >= kv {
        return (first + kv) / 2.0;
    }
    // Queries whose reach is cut by the window see `w` keys, those before see all of theirs.
    let short = (w - first).clamp(0.0, q);
    ((first + first + short) / 2.0 * short + w * (q - short)) / q
}

/// Keys of one sequence that any query of the op reads.
pub(crate) fn keys_read(a: &AttentionOp) -> f64 {
    let kv = a.kv_len.max(1) as f64;
    if a.window == 0 { kv } else { kv.min(a.window as f64 + a.q_len.max(1) as f64) }
}

/// Bytes of one key and its value in the cache.
pub(crate) fn key_bytes(a: &AttentionOp) -> f64 {
    let width = if a.shared_kv { a.d_qk.max(a.d_v) } else { a.d_qk.saturating_add(a.d_v) };
    width as f64 * a.kv.bytes()
}

/// How the query rows lie on the cores.
struct Tiles {
    rows: u64,
    per_head: u64,
    split: u64,
    tiles: u64,
    part: u64,
}

impl Tiles {
    fn of(a: &AttentionOp, chip: &Chip) -> Self {
        let kv_heads = a.kv_heads.max(1);
        let group_rows = a.heads.max(1).div_ceil(kv_heads).saturating_mul(a.q_len.max(1)).min(MOST);
        let rows = (chip.compute.tile_rows_max / 2).max(ROWS_MIN).min(group_rows.next_multiple_of(ROWS_MIN));
        let per_head = group_rows.div_ceil(rows);
        let base = a.sequences.max(1).saturating_mul(kv_heads).saturating_mul(per_head);
        let keys = keys_per_tile(a, rows, group_rows);
        let split = (chip.compute.cores / base.max(1)).clamp(1, ((keys as u64) / SPLIT_MIN).max(1));
        let part = ((keys / split as f64).ceil() as u64).clamp(1, MOST).next_multiple_of(ROWS_MIN);
        Self { rows, per_head, split, tiles: base.saturating_mul(split), part }
    }
}

/// Keys that a tile of query rows passes over.
fn keys_per_tile(a: &AttentionOp, rows: u64, group_rows: u64) -> f64 {
    let mean = mean_keys(a);
    if !a.causal || a.q_len <= 1 {
        return mean;
    }
    let positions = rows as f64 * a.q_len as f64 / group_rows.max(1) as f64;
    (mean + positions / 2.0).min(a.kv_len as f64).max(1.0)
}

pub(crate) fn map_attention(a: &AttentionOp, chip: &Chip) -> Mapping {
    let (mac_index, rate) = mac_of(a.a.mac(), chip);
    let machine = Machine::of(chip, rate);
    let t = Tiles::of(a, chip);
    let bytes = a.a.bytes();
    let (products, sweeps) = if a.backward { ((2 + 3) as f64 / 2.0, 2.0) } else { (1.0, 1.0) };
    let (d_qk, d_v) = (a.d_qk.clamp(1, MOST), a.d_v.clamp(1, MOST));
    let cycles = machine.array_cycles(t.rows, t.part, d_qk) + machine.array_cycles(t.rows, d_v, t.part);
    let local =
        machine.local_bytes(t.rows, t.part, d_qk as f64, bytes, bytes) + machine.local_bytes(t.rows, d_v, t.part as f64, bytes, bytes);
    // Cores that work on query tiles of one head share the fetch of its keys.
    let shared = machine.multicast.min(t.per_head as f64);
    let sum_bytes = if t.split > 1 { SUM_BYTES as f64 } else { bytes };
    let counts = Counts {
        mac_index,
        tiles: t.tiles,
        resident: RESIDENT,
        split: t.split,
        tile_array_cycles: (cycles * products) as u64,
        tile_local_bytes: (local * products) as u64,
        tile_global_bytes: (t.part as f64 * key_bytes(a) * products / shared) as u64,
        tile_store_bytes: (t.rows as f64 * a.d_v as f64 * sum_bytes) as u64,
        ..totals(a, &machine, &t, products, sweeps)
    };
    Mapping::One(Plan { tile_rows: t.rows, tile_columns: t.part, split: t.split, tiles: t.tiles, resident: RESIDENT, counts })
}

/// What all tiles do together.
fn totals(a: &AttentionOp, machine: &Machine, t: &Tiles, products: f64, sweeps: f64) -> Counts {
    let queries = a.sequences.max(1) as f64 * a.heads.max(1) as f64 * a.q_len.max(1) as f64;
    let pairs = queries * mean_keys(a);
    let macs = pairs * a.d_qk.saturating_add(a.d_v) as f64 * products;
    let (inward, outward) = (queries * a.d_qk as f64 * a.a.bytes(), queries * a.d_v as f64 * a.a.bytes());
    let cache = a.sequences.max(1) as f64 * a.kv_heads.max(1) as f64 * keys_read(a) * key_bytes(a);
    let gradients = if a.backward { 2.0 * outward } else { 0.0 };
    let sums = queries * a.d_v as f64 * SUM_BYTES as f64 * t.split as f64;
    Counts {
        macs: macs as u64,
        edge_bytes: (macs * machine.edge_bytes(t.rows, a.a.bytes(), a.a.bytes())) as u64,
        hbm_read: ((cache + inward) * sweeps + gradients) as u64,
        hbm_write: if a.backward { (inward + cache) as u64 } else { outward as u64 },
        reduce_bytes: if t.split > 1 { sums as u64 } else { 0 },
        elements: (pairs * sweeps) as u64,
        ..Counts::default()
    }
}
