//! Time to map and time every op of the layers of GPT-3, Mixtral and DiT-XL/2 on 100,000 chips that were never seen. By default every fiftieth chip
//! is run and the time for all is printed as fifty times that; `cargo bench -p tetra-chip --bench search -- --all` runs all of them.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::time::Instant;

use tetra_chip::{Chip, OpTimer, Timer};
use tetra_workload::{AttentionOp, DataType, Gemm, Op, Phase, Precision, Shard, VectorKind, VectorOp, Work, graph};

const CHIPS: u64 = 100_000;
const EVERY: u64 = 50;

/// Ops of one layer of each kind, prefill and decode.
fn language_ops(name: &str, ops: &mut BTreeSet<Op>) {
    let json = std::fs::read_to_string(common::root().join(format!("models/{name}.json"))).unwrap();
    let model = tetra_workload::hf::read_config(name, &json).unwrap();
    let prefill = Work { phase: Phase::Prefill, sequences: 8, new_tokens: 2048, context: 0, logit_tokens: 1 };
    let decode = Work { phase: Phase::Decode, sequences: 64, new_tokens: 1, context: 2047, logit_tokens: 1 };
    for work in [prefill, decode] {
        let graph = graph(&model, &work, &Shard::ONE, &Precision::uniform(DataType::Bf16)).unwrap();
        ops.extend(graph.layers.iter().flat_map(|l| &l.nodes).map(|n| n.op));
    }
}

/// DiT-XL/2 (Peebles and Xie 2023), 256 latent tokens, 32 images with guidance: width 1152, 16 heads.
fn diffusion_ops(ops: &mut BTreeSet<Op>) {
    let (images, tokens, width, format) = (64, 256, 1152, DataType::Bf16);
    let rows = images * tokens;
    for (m, n, k) in
        [(rows, 3 * width, width), (rows, width, width), (rows, 4 * width, width), (rows, width, 4 * width), (images, 6 * width, width)]
    {
        ops.insert(Op::Gemm(Gemm { batch: 1, m, n, k, a: format, b: format, out: format }));
    }
    ops.insert(Op::Attention(AttentionOp {
        sequences: images,
        heads: 16,
        kv_heads: 16,
        q_len: tokens,
        kv_len: tokens,
        d_qk: 72,
        d_v: 72,
        causal: false,
        window: 0,
        a: format,
        kv: format,
        shared_kv: false,
        backward: false,
    }));
    for (kind, cols) in [(VectorKind::LayerNorm, width), (VectorKind::Gelu, 4 * width), (VectorKind::Add, width)] {
        let bytes = 2 * rows * cols;
        ops.insert(Op::Vector(VectorOp { kind, rows, cols, read_bytes: bytes, write_bytes: bytes }));
    }
}

/// The chip of that number: mixed radix over its structure.
fn chip(base: &Chip, mut number: u64) -> Chip {
    let mut digit = |radix: u64| {
        let d = number % radix;
        number /= radix;
        d
    };
    let mut chip = base.clone();
    let c = &mut chip.compute;
    c.arrays_per_core = 1 << digit(4);
    c.array_rows = 16 << digit(4);
    c.array_columns = 8 << digit(5);
    c.multicast = 1 + digit(2);
    c.tile_rows_max = 128 << digit(2);
    c.cores = 16 + 8 * digit(10);
    c.shadow_weights = digit(2) == 1;
    chip.memory.global = base.memory.global * (1.0 + digit(4) as f64);
    chip.memory.hbm_bandwidth = base.memory.hbm_bandwidth * (0.5 + 0.25 * digit(8) as f64);
    chip.silicon.cores_built = chip.compute.cores;
    chip
}

fn main() {
    let every = if std::env::args().any(|a| a == "--all") { 1 } else { EVERY };
    let (constants, set) = (common::constants(), common::chips());
    let mut ops = BTreeSet::new();
    language_ops("GPT-3-175B", &mut ops);
    language_ops("Mixtral-8x7B-v0.1", &mut ops);
    diffusion_ops(&mut ops);
    let base = set.find("H100").unwrap();
    let (start, mut chips, mut predicted) = (Instant::now(), 0, 0.0);
    for number in (0..CHIPS).step_by(every as usize) {
        let chip = chip(base, number * 7919 % (4 * 4 * 5 * 2 * 2 * 10 * 2 * 4 * 8));
        let timer = Timer::new(&chip, &constants);
        predicted += ops.iter().map(|op| timer.cost(op).time.value()).sum::<f64>();
        chips += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{chips} chips x {} ops in {seconds:.1} s on one core: {:.2} us per op ({predicted:.1} s predicted)",
        ops.len(),
        seconds * 1e6 / (chips as f64 * ops.len() as f64)
    );
    if every > 1 {
        println!("{CHIPS} chips: {:.0} s on one core, extrapolated from every {EVERY}th", seconds * every as f64);
    }
}
