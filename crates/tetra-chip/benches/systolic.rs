//! Nanoseconds per GEMM of the cycle rules of systolic arrays.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use tetra_chip::systolic::{Dataflow, Systolic};

fn main() {
    const ROUNDS: u64 = 10_000_000;
    for dataflow in [Dataflow::Weights, Dataflow::Sums, Dataflow::Inputs] {
        let array = Systolic { rows: 128, columns: 128, dataflow };
        let start = Instant::now();
        let mut sum = 0u64;
        for i in 0..ROUNDS {
            sum = sum.wrapping_add(black_box(array).cycles(black_box([512 + i % 7, 512, 512])));
        }
        let each = start.elapsed().as_secs_f64() / ROUNDS as f64 * 1e9;
        println!("{dataflow:?}: {each:.1} ns per GEMM, 512x512x512 takes {} cycles ({sum})", array.cycles([512, 512, 512]));
    }
}
