//! Published silicon: a weight-stationary array that waits for its weights, a row-stationary one, power at full rate.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use proptest::prelude::*;
use tetra_chip::facts::full_rate;
use tetra_chip::row_stationary::{Convolution, RowStationary};
use tetra_chip::weight_stationary::{Application, Counters, WeightStationary};

fn tpu() -> (WeightStationary, Vec<Application>) {
    let tables = common::tables();
    let machine = WeightStationary::from_tables(&tables, "tpu_v1", common::constants().kernels.trip_s).unwrap();
    (machine, Application::all(&tables, "tpu_app").unwrap())
}

fn counters(name: &str) -> Vec<Counters> {
    let (machine, apps) = tpu();
    let app = apps.iter().find(|a| a.name == name).unwrap();
    app.shapes().iter().map(|s| machine.run(app, s)).collect()
}

fn middle(all: &[Counters], figure: fn(&Counters) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One counter as a share of all cycles.
type Share = fn(&Counters) -> f64;

#[test]
fn the_counters_of_mlp0_are_those_of_jouppi_table_3() {
    let all = counters("MLP0");
    assert!((middle(&all, |c| c.ops) / 12.3e12 - 1.0).abs() < 0.15);
    let published: [(Share, f64); 5] =
        [(|c| c.active, 12.7), (|c| c.useful, 12.5), (|c| c.stall, 53.9), (|c| c.shift, 15.9), (|c| c.other, 17.5)];
    for (figure, percent) in published {
        let found = middle(&all, figure) * 100.0;
        assert!((found - percent).abs() <= 5.0, "{found} against {percent}");
    }
}

#[test]
fn eyeriss_draws_what_it_drew_on_alexnet() {
    let tables = common::tables();
    let run = RowStationary::from_tables(&tables, "eyeriss").unwrap().run(&Convolution::all(&tables, "alexnet").unwrap(), 4);
    assert!((run.joules / run.seconds / 0.278 - 1.0).abs() < 0.15);
    assert!((run.dram_bytes / 15.4e6 - 1.0).abs() < 0.1);
    assert!((run.buffer_bytes / 208.5e6 - 1.0).abs() < 0.1);
    assert!((4.0 / run.seconds / 34.7 - 1.0).abs() < 0.15);
}

#[test]
fn power_at_full_matrix_rate_brackets_the_cap() {
    let tables = common::tables();
    let draws: Vec<_> = (0..200).map(|d| tetra_chip::ChipConstants::from_tables(&tables.sample(0, d)).unwrap()).collect();
    let all = full_rate(common::chips().iter(), &common::constants(), &draws);
    for name in ["A100 SXM4 80GB", "H100 SXM5 80GB", "TPU v4"] {
        let f = all.iter().find(|f| f.chip == name).unwrap();
        assert!(f.cap_inside && f.spread <= 1.8, "{name}: cap {} W, P10 {} W, P90 {} W", f.cap, f.low, f.high);
    }
}

proptest! {
    /// Every cycle has one cause, and faster weights never slow an application down.
    #[test]
    fn cycles_add_up_and_bandwidth_never_hurts(which in 0usize..6, faster in 1.0f64..8.0) {
        let (machine, apps) = tpu();
        let app = &apps[which];
        let quick = WeightStationary { tile_cycles: machine.tile_cycles / faster, ..machine };
        for shape in app.shapes() {
            let (a, b) = (machine.run(app, &shape), quick.run(app, &shape));
            prop_assert!((a.active + a.stall + a.shift + a.other - 1.0).abs() < 1e-9);
            prop_assert!(a.useful <= a.active * (1.0 + 1e-9));
            prop_assert!(b.seconds <= a.seconds * (1.0 + 1e-9));
        }
    }
}
