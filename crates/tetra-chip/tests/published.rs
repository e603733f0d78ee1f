//! Published kernel speeds that were not fitted: fused attention and large matrix products.
#![allow(clippy::unwrap_used)]

mod common;

use tetra_chip::{OpTimer, Timer};
use tetra_workload::{AttentionOp, DataType, Gemm, Op};

fn attention(sequences: u64, seq: u64, d: u64, causal: bool) -> (Op, f64) {
    let heads = 2048 / d;
    let op = AttentionOp {
        sequences,
        heads,
        kv_heads: heads,
        q_len: seq,
        kv_len: seq,
        d_qk: d,
        d_v: d,
        causal,
        window: 0,
        a: DataType::Fp16,
        kv: DataType::Fp16,
        shared_kv: false,
        backward: false,
    };
    let flop = 4.0 * (sequences * heads * seq * seq * d) as f64 * if causal { 0.5 } else { 1.0 };
    (Op::Attention(op), flop)
}

/// TFLOP/s of the figures of FlashAttention-2 (Dao 2023, A100) and FlashAttention-3 (Shah et al. 2024, H100), forward, 16-bit; recalled, not looked up.
#[test]
fn fused_attention() {
    let (constants, set) = (common::constants(), common::chips());
    for (chip, seq, d, causal, tflops) in [
        ("A100", 16384, 128, false, 224.0),
        ("A100", 16384, 128, true, 203.0),
        ("A100", 2048, 128, true, 180.0),
        ("H100", 16384, 128, false, 648.0),
        ("H100", 16384, 128, true, 616.0),
        ("H100", 16384, 64, false, 497.0),
    ] {
        let (op, flop) = attention(16384 / seq, seq, d, causal);
        let found = flop / Timer::new(set.find(chip).unwrap(), &constants).cost(&op).time.value() / 1e12;
        assert!((found / tflops - 1.0).abs() < 0.2, "{chip} {seq} {d} {causal}: {found} TFLOP/s, published {tflops}");
    }
}

/// An 8192-cubed product stays between half and all of the peak, and the power cap is what holds it back on the 16-bit GPUs.
#[test]
fn large_products_reach_most_of_the_peak() {
    let (constants, set) = (common::constants(), common::chips());
    for chip in ["A100", "H100", "H200", "B200", "MI300X", "TPU v4", "TPU v5p", "Gaudi3"] {
        let chip = set.find(chip).unwrap();
        let op = Op::Gemm(Gemm { batch: 1, m: 8192, n: 8192, k: 8192, a: DataType::Bf16, b: DataType::Bf16, out: DataType::Bf16 });
        let share = Timer::new(chip, &constants).cost(&op).flop.value() / 2.0 / chip.compute.macs_per_second();
        let share = share / Timer::new(chip, &constants).cost(&op).time.value();
        assert!((0.5..1.0).contains(&share), "{}: {share}", chip.name);
    }
}
