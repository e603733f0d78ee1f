//! Goodput and fleets against published examples and laws.

mod support;

use proptest::prelude::*;
use tetra_cluster::fleet::{ServiceDemand, TrainingDemand, poisson_quantile, size_fleet};
use tetra_cluster::goodput::{best_interval, daly, goodput, mean_time_to_interruption, of_job, of_job_in_tiers};
use tetra_cluster::{ClusterConstants, FailureConstants};
use tetra_quantity::{Bytes, Seconds, TokensPerSecond, Watts};

fn constants() -> FailureConstants {
    ClusterConstants::from_tables(&support::tables()).expect("rows exist").failures
}

#[test]
fn intervals_of_daly_2006_are_met() {
    let minutes = |m: f64| Seconds(m * 60.0);
    for (mtti, answer) in [(24.0 * 60.0, 117.0), (6.0 * 60.0, 57.0), (15.0, 9.1)] {
        let tau = daly(minutes(5.0), minutes(mtti)).value() / 60.0;
        assert!((tau - answer).abs() < 0.5, "{mtti} min: {tau} where {answer} is published");
        let exact = best_interval(minutes(5.0), minutes(mtti)).value() / 60.0;
        assert!((exact / tau - 1.0).abs() < 0.05, "{mtti} min: exact {exact} against {tau}");
    }
}

#[test]
fn sixteen_thousand_chips_of_the_llama_3_run_fail_every_three_hours() {
    let c = constants();
    let m = mean_time_to_interruption(16_384, Seconds(c.chip_time_per_interruption_s));
    assert!((m.value() / 3600.0 - 3.09).abs() < 0.01, "{m}");
    let eff = |chips, checkpoint, restart| {
        let m = mean_time_to_interruption(chips, Seconds(c.chip_time_per_interruption_s));
        goodput(best_interval(Seconds(checkpoint), m), Seconds(checkpoint), Seconds(restart), m)
    };
    for (chips, checkpoint, restart, answer) in
        [(16_384, 10.0, 300.0, 0.933), (16_384, 60.0, 600.0, 0.853), (16_384, 300.0, 900.0, 0.725), (100_000, 60.0, 600.0, 0.551)]
    {
        let g = eff(chips, checkpoint, restart);
        assert!((g - answer).abs() < 0.006, "{chips} chips, {checkpoint} s, {restart} s: {g} where {answer} follows by hand");
    }
}

#[test]
fn the_llama_3_run_was_effective_for_over_ninety_percent_of_the_time() {
    // 405e9 parameters at 14 bytes of state over 16,384 chips.
    let g = of_job(16_384, Bytes(405e9 * 14.0 / 16_384.0), &constants());
    assert!(g.goodput > 0.88 && g.goodput < 0.96, "{g:?}");
    assert!((g.goodput + g.checkpoint_share + g.failure_share - 1.0).abs() < 1e-12);
}

#[test]
fn a_second_tier_is_worth_what_it_saves() {
    let state = Bytes(405e9 * 14.0 / 16_384.0);
    let both = of_job_in_tiers(16_384, state, &constants());
    assert!((both.goodput + both.checkpoint_share + both.failure_share - 1.0).abs() < 1e-12);
    assert!(both.goodput > of_job(16_384, state, &constants()).goodput);
    // Where every interruption takes the copies in memory, storage alone counts; where none does, memory alone.
    let all = of_job_in_tiers(16_384, state, &FailureConstants { memory_lost: 1.0, ..constants() });
    assert!((all.goodput / of_job(16_384, state, &constants()).goodput - 1.0).abs() < 1e-3, "{all:?}");
    let c = constants();
    let alone = FailureConstants { checkpoint_bytes_per_second: c.memory_bytes_per_second, restart_s: c.memory_restart_s, ..c };
    let none = of_job_in_tiers(16_384, state, &FailureConstants { memory_lost: 0.0, ..c });
    assert!((none.goodput / of_job(16_384, state, &alone).goodput - 1.0).abs() < 1e-3, "{none:?}");
}

proptest! {
    /// A second tier is used where it helps, and helps more the seldomer its copies are lost.
    #[test]
    fn a_second_tier_never_hurts(chips in 8u64..200_000, bytes in 1e6..1e11f64, lost in 0.0..1.0f64) {
        let at = |memory_lost| of_job_in_tiers(chips, Bytes(bytes), &FailureConstants { memory_lost, ..constants() });
        let (alone, both) = (of_job(chips, Bytes(bytes), &constants()), at(lost));
        prop_assert!(both.goodput >= alone.goodput && both.goodput <= at(0.0).goodput + 1e-9);
        prop_assert!((both.goodput + both.checkpoint_share + both.failure_share - 1.0).abs() < 1e-9);
    }
}

#[test]
fn poisson_quantiles_match_tables() {
    // R: qpois(c(.99,.95,.999), c(1,10,95)).
    assert_eq!(poisson_quantile(1.0, 0.99), 4);
    assert_eq!(poisson_quantile(10.0, 0.95), 15);
    assert_eq!(poisson_quantile(0.0, 0.99), 0);
    let big = poisson_quantile(1e6, 0.99);
    assert!((big as f64 - (1e6 + 2.326 * 1e3)).abs() < 10.0, "{big}");
}

fn demand(mean: Vec<f64>, peak: f64) -> ServiceDemand {
    ServiceDemand {
        name: "chat".into(),
        mean: mean.into_iter().map(TokensPerSecond).collect(),
        peak_to_mean: peak,
        per_replica: TokensPerSecond(1000.0),
        replica_chips: 4,
        busy: Watts(700.0),
        idle: Watts(100.0),
    }
}

#[test]
fn a_fleet_is_the_sum_of_its_parts() {
    let run = TrainingDemand { name: "train".into(), chips: 512, months: 2.5, starts: vec![1, 3], busy: Watts(650.0), idle: Watts(100.0) };
    let fleet = size_fleet(&[demand(vec![10_500.0; 6], 2.0)], &[run], 6, &constants());
    assert_eq!(fleet.parts[0].chips, vec![84; 6]);
    assert_eq!(fleet.parts[1].chips, vec![0, 512, 512, 1024, 512, 512]);
    for m in 0..6 {
        assert_eq!(fleet.total[m], fleet.parts.iter().map(|p| p.chips[m] + p.spares[m]).sum::<u64>());
    }
    assert!((fleet.parts[0].load.duty - 0.5).abs() < 1e-9);
    let mean: f64 = fleet.parts.iter().map(|p| p.chips.iter().sum::<u64>() as f64 * p.load.mean().value()).sum::<f64>()
        / fleet.parts.iter().map(|p| p.chips.iter().sum::<u64>()).sum::<u64>() as f64;
    assert!((mean - fleet.load.mean().value()).abs() < 1e-6);
}

proptest! {
    #[test]
    fn no_input_panics(mean in prop::collection::vec(prop::num::f64::ANY, 0..4), peak in prop::num::f64::ANY, months in 0usize..5) {
        let fleet = size_fleet(&[demand(mean, peak)], &[], months, &constants());
        prop_assert_eq!(fleet.total.len(), months);
    }

    #[test]
    fn goodput_falls_with_chips_and_never_leaves_zero_to_one(chips in 1u64..1_000_000, bytes in 0.0f64..1e12) {
        let a = of_job(chips, Bytes(bytes), &constants());
        let b = of_job(chips * 2, Bytes(bytes), &constants());
        prop_assert!((0.0..=1.0).contains(&a.goodput) && b.goodput <= a.goodput);
    }
}
