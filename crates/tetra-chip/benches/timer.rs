//! Microseconds per op that a timer has not seen (mapping and timing, exact over the mapspace), over designs of the template; and per op that it has.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Instant;

use tetra_chip::template::{Design, build};
use tetra_chip::{OpTimer, Timer};
use tetra_quantity::{Bytes, BytesPerSecond, Hertz};
use tetra_workload::{AttentionOp, DataType, Gemm, Op, VectorKind, VectorOp};

fn ops() -> Vec<Op> {
    let mut ops = Vec::new();
    for m in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048, 8192] {
        for (n, k) in [(10240, 8192), (8192, 8192), (57344, 8192), (8192, 28672), (2560, 8192), (128256, 8192)] {
            ops.push(Op::Gemm(Gemm { batch: 1, m, n, k, a: DataType::Fp8, b: DataType::Fp8, out: DataType::Bf16 }));
        }
        for context in [512, 2048, 8192] {
            ops.push(Op::Attention(AttentionOp {
                sequences: m,
                heads: 64,
                kv_heads: 8,
                q_len: 1,
                kv_len: context,
                d_qk: 128,
                d_v: 128,
                causal: true,
                window: 0,
                a: DataType::Bf16,
                kv: DataType::Fp8,
                shared_kv: false,
                backward: false,
            }));
        }
        for kind in [VectorKind::RmsNorm, VectorKind::GatedSilu, VectorKind::Rope] {
            ops.push(Op::Vector(VectorOp { kind, rows: m, cols: 8192, read_bytes: m * 16384, write_bytes: m * 16384 }));
        }
    }
    ops
}

fn main() {
    let constants = common::constants();
    let mut chips = Vec::new();
    for cores in [16, 32, 64, 128] {
        for side in [16, 32, 64, 128] {
            for arrays in [1, 2, 4] {
                let design = Design {
                    node: "N3E".into(),
                    cores,
                    arrays_per_core: arrays,
                    array_rows: side,
                    array_columns: side,
                    lanes: 128,
                    local: Bytes(512e3),
                    global: Bytes(64e6),
                    hbm_kind: "HBM3E".into(),
                    hbm_stacks: 6,
                    scale_up: BytesPerSecond(450e9),
                    scale_up_domain: 64,
                    clock: Hertz(1.6e9),
                    dies: 2,
                    power_cap: None,
                };
                chips.extend(build(&design, &constants));
            }
        }
    }
    let ops = ops();
    let start = Instant::now();
    let mut total = 0.0;
    for chip in &chips {
        let timer = Timer::new(chip, &constants);
        for op in &ops {
            total += black_box(timer.cost(op)).time.value();
        }
    }
    let misses = (chips.len() * ops.len()) as f64;
    println!(
        "{} chips, {} ops: {:.3} us per miss ({total:.3} s predicted)",
        chips.len(),
        ops.len(),
        start.elapsed().as_secs_f64() * 1e6 / misses
    );
    let timer = Timer::new(&chips[0], &constants);
    for op in &ops {
        timer.cost(op);
    }
    let start = Instant::now();
    for _ in 0..100 {
        for op in &ops {
            black_box(timer.cost(op));
        }
    }
    println!("{:.3} us per hit", start.elapsed().as_secs_f64() * 1e6 / (100 * ops.len()) as f64);
    let design_time = Instant::now();
    for _ in 0..100 {
        black_box(tetra_chip::area::breakdown(&chips[0], &constants));
    }
    println!("{:.3} us per area", design_time.elapsed().as_secs_f64() * 1e6 / 100.0);
}
