//! Yield models and harvesting against published figures and laws.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use tetra_foundry::harvest::{Clustering, sellable};
use tetra_foundry::yields::{Learning, YieldModel, escapes, perfect};

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

/// 8.14 cm2 at 0.1 per cm2, each model's formula worked by hand.
#[test]
fn models_at_0814_expected_defects() {
    for (model, y) in [
        (YieldModel::Poisson, 0.443),
        (YieldModel::Murphy, 0.468),
        (YieldModel::Seeds, 0.551),
        (YieldModel::NegativeBinomial { alpha: 10.0 }, 0.457),
        (YieldModel::NegativeBinomial { alpha: 3.0 }, 0.487),
        (YieldModel::NegativeBinomial { alpha: 2.0 }, 0.505),
    ] {
        assert!(near(perfect(model, 0.814), y, 6e-4), "{model:?} {}", perfect(model, 0.814));
    }
}

/// 144 cores of which 132 must work, 30 % of the area without spares, 0.814 expected defects: 0.783 without clustering to 0.794 at alpha 2.
#[test]
fn harvest_of_132_of_144() {
    for (alpha, y) in [(f64::INFINITY, 0.783), (2.0, 0.794)] {
        let p = sellable(&Clustering::new(alpha), 144, 132, 0.814 * 0.7 / 144.0, 0.814 * 0.3);
        assert!(near(p, y, 6e-4), "{alpha} {p}");
    }
}

/// With no spare the quadrature must give the negative binomial formula.
#[test]
fn no_spare_is_the_closed_form() {
    for alpha in [0.3, 0.5, 1.0, 2.0, 3.0, 6.5, 10.0, 40.0] {
        for l in [0.01, 0.3, 0.814, 2.0, 5.0] {
            let p = sellable(&Clustering::new(alpha), 144, 144, l * 0.7 / 144.0, l * 0.3);
            let exact = perfect(YieldModel::NegativeBinomial { alpha }, l);
            // For alpha < 1 the density is singular at zero and the rule converges more slowly.
            let tolerance = if alpha < 1.0 { 1e-3 } else { 1e-9 };
            assert!(near(p, exact, tolerance), "{alpha} {l}: {p} {exact}");
        }
    }
}

/// A mean over a fine grid of the gamma density, and binomial terms from logarithms of factorials.
#[test]
fn harvest_equals_direct_integration() {
    let (alpha, n, k, core, other) = (3.0f64, 20u64, 17u64, 0.02, 0.3);
    let ln_choose = |i: u64| (1..=i).map(|j| ((n - j + 1) as f64 / j as f64).ln()).sum::<f64>();
    let step = 1e-3;
    let direct: f64 = (0..20_000)
        .map(|i| {
            let x = (f64::from(i) + 0.5) * step;
            let density = alpha.powf(alpha) / 2.0 * x.powf(alpha - 1.0) * (-alpha * x).exp();
            let p = (-core * x).exp();
            let tail: f64 = (0..=n - k).map(|bad| (ln_choose(bad)).exp() * (1.0 - p).powf(bad as f64) * p.powf((n - bad) as f64)).sum();
            density * (-other * x).exp() * tail * step
        })
        .sum();
    let p = sellable(&Clustering::new(alpha), n, k, core, other);
    assert!(near(p, direct, 1e-6), "{p} {direct}");
}

#[test]
fn learning_passes_through_the_published_points() {
    let l = Learning { start_per_cm2: 0.142, floor_per_cm2: 0.07, years: 0.585, volume_year: 2018.6 };
    assert!(near(l.density_per_cm2(2018.6 + 0.75), 0.09, 0.002));
    assert!(near(l.density_per_cm2(2018.6), 0.142, 1e-9));
    assert!(near(l.density_per_cm2(2030.0), 0.07, 1e-6));
}

#[test]
fn tests_that_find_all_let_nothing_escape() {
    assert!(near(escapes(0.8, 1.0), 0.0, 1e-12));
    assert!(near(escapes(0.8, 0.0), 0.2, 1e-12));
}

proptest! {
    #[test]
    fn probabilities_stay_probabilities(
        alpha in 0.2..30.0f64, n in 0u64..600, spare in 0u64..60, core in 0.0..20.0f64, other in 0.0..50.0f64,
    ) {
        let p = sellable(&Clustering::new(alpha), n, n.saturating_sub(spare), core, other);
        prop_assert!((0.0..=1.0).contains(&p), "{}", p);
    }

    #[test]
    fn more_spares_and_fewer_defects_never_hurt(n in 1u64..300, spare in 0u64..20, core in 0.0..0.05f64, other in 0.0..1.0f64) {
        let c = Clustering::new(3.0);
        let needed = n.saturating_sub(spare);
        let base = sellable(&c, n, needed, core, other);
        prop_assert!(sellable(&c, n, needed.saturating_sub(1), core, other) >= base - 1e-12);
        prop_assert!(sellable(&c, n, needed, core * 1.1, other) <= base + 1e-12);
        prop_assert!(sellable(&c, n, needed, core, other * 1.1) <= base + 1e-12);
    }

    #[test]
    fn clustering_helps_dies_without_spares(l in 0.0..5.0f64, alpha in 0.5..20.0f64) {
        let nb = perfect(YieldModel::NegativeBinomial { alpha }, l);
        prop_assert!(nb >= perfect(YieldModel::Poisson, l) - 1e-12);
        let smoother = perfect(YieldModel::NegativeBinomial { alpha: alpha * 2.0 }, l);
        prop_assert!(nb >= smoother - 1e-12);
    }
}
