//! Convergence as an input: laws of blocks and evaluations, and published runs.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use proptest::prelude::*;
use tetra_cluster::Convergence;
use tetra_quantity::Seconds;

fn of(item: &str) -> Convergence {
    Convergence::from_tables(&support::tables(), item).unwrap()
}

const PLAIN: Convergence = Convergence {
    samples_min: 1000.0,
    critical_batch: 100.0,
    block_samples: 300.0,
    evaluation_samples: 50.0,
    skipped: [0.0, 0.0],
    spread: 0.0,
};

#[test]
fn a_run_without_spread_takes_whole_blocks() {
    // 1000·(1 + 100/100) = 2000 samples lie in the seventh block of 300.
    let blocks = PLAIN.blocks(100);
    assert_eq!((blocks.blocks, blocks.evaluations), (7.0, 7.0));
    // 7·300/100 = 21 steps of 2 s, 7 evaluations of one round of 1 s.
    assert_eq!(PLAIN.time(100, Seconds(2.0), Seconds(1.0)).value(), 49.0);
    let late = Convergence { skipped: [0.0, 9.0], ..PLAIN }.blocks(100);
    assert_eq!((late.blocks, late.evaluations), (10.0, 1.0), "the first evaluation is the tenth");
}

#[test]
fn the_405b_runs_of_mlperf_take_six_or_seven_blocks() {
    // Logs of v5.0: at batches of 1120 and 1152 the target is met at the sixth evaluation, at 1216 and 1536 at the seventh.
    for (batch, blocks) in [(1120, 6.0), (1152, 6.0), (1216, 7.0), (1536, 7.0)] {
        let found = of("mlperf_llama31_405b").blocks(batch).blocks;
        assert!((found - blocks).abs() < 0.25, "{batch}: {found}");
    }
}

#[test]
fn adapters_skip_as_many_evaluations_as_the_rules_say() {
    // floor(0.125·batch + 2): 3 at a batch of 8, 10 at 64.
    for (batch, skipped) in [(8, 3.0), (64, 10.0)] {
        let b = of("mlperf_llama2_70b_lora").blocks(batch);
        assert!((b.blocks - b.evaluations - skipped).abs() < 1e-9, "{b:?}");
    }
}

proptest! {
    #[test]
    fn larger_batches_take_more_samples_and_fewer_steps(batch in 1u64..4000, spread in 0.0..0.3f64) {
        let c = Convergence { spread, ..of("mlperf_stable_diffusion") };
        prop_assert!(c.samples(batch + 1) > c.samples(batch));
        prop_assert!(c.samples(batch + 1) / (batch + 1) as f64 <= c.samples(batch) / batch as f64);
        let blocks = c.blocks(batch).blocks;
        // On average half a block is waited, and never a whole one more than the spread explains.
        let least = c.samples(batch) / c.block_samples;
        prop_assert!(blocks >= least * (1.0 - spread) && blocks <= least * (1.0 + spread) + 1.0 + 1e-6, "{} {}", blocks, least);
    }
}
