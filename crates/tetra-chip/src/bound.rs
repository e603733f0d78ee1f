//! The compulsory roofline: no mapping and no constant within its range of validity does an op faster or with less.
//!
//! `t ≥ max(MACs / peak, compulsory bytes / peak bandwidth)`; compulsory bytes touch every operand once.

use tetra_quantity::Seconds;
use tetra_workload::{AttentionOp, Op};

use crate::attention::{key_bytes, keys_read, mean_keys};
use crate::chip::Chip;
use crate::machine::mac_of;

/// MACs that an op asks for.
pub fn macs(op: &Op) -> f64 {
    match op {
        Op::Gemm(g) => g.batch as f64 * g.m as f64 * g.n as f64 * g.k as f64,
        Op::GroupedGemm(g) => g.rows as f64 * g.n as f64 * g.k as f64,
        Op::Attention(a) => {
            // Backward: five products instead of two.
            let products = if a.backward { (2 + 3) as f64 / 2.0 } else { 1.0 };
            a.sequences as f64 * a.heads as f64 * a.q_len as f64 * mean_keys(a) * a.d_qk.saturating_add(a.d_v) as f64 * products
        }
        Op::Vector(_) | Op::Collective(_) => 0.0,
    }
}

/// Bytes that must cross the off-chip interface when nothing stays on chip between ops.
pub fn compulsory_bytes(op: &Op) -> f64 {
    match op {
        Op::Gemm(g) => {
            let (m, n, k) = (g.m as f64, g.n as f64, g.k as f64);
            g.batch as f64 * (m * k * g.a.bytes() + k * n * g.b.bytes() + m * n * g.out.bytes())
        }
        Op::GroupedGemm(g) => {
            let (rows, n, k) = (g.rows as f64, g.n as f64, g.k as f64);
            rows * k * g.a.bytes() + g.experts as f64 * k * n * g.b.bytes() + rows * n * g.out.bytes()
        }
        Op::Attention(a) => attention_bytes(a),
        Op::Vector(v) => v.read_bytes as f64 + v.write_bytes as f64,
        Op::Collective(_) => 0.0,
    }
}

fn attention_bytes(a: &AttentionOp) -> f64 {
    let cache = a.sequences as f64 * a.kv_heads as f64 * keys_read(a) * key_bytes(a);
    let queries = a.sequences as f64 * a.heads as f64 * a.q_len as f64;
    cache + queries * a.d_qk.saturating_add(a.d_v) as f64 * a.a.bytes()
}

/// A time below which no mapping of the op on this chip falls.
pub fn lower_bound(op: &Op, chip: &Chip) -> Seconds {
    let asked = match op {
        Op::Gemm(g) => g.a.mac(),
        Op::GroupedGemm(g) => g.a.mac(),
        Op::Attention(a) => a.a.mac(),
        Op::Vector(_) | Op::Collective(_) => tetra_workload::MacType::Fp16,
    };
    let peak = chip.compute.macs_per_second() * mac_of(asked, chip).1;
    let compute = if peak > 0.0 { macs(op) / peak } else { 0.0 };
    let bandwidth = chip.memory.hbm_bandwidth.value();
    let memory = if bandwidth > 0.0 { compulsory_bytes(op) / bandwidth } else { 0.0 };
    Seconds(compute.max(memory))
}
