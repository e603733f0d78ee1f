//! The cycle rules of systolic arrays against SCALE-Sim's own simulation: 1,008 random GEMMs whose cycles were counted by the
//! installed package (`bench/rivals/scalesim/run.py reference`), published figures, and laws.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tetra_chip::systolic::{Dataflow, Systolic};

const REFERENCE: &str = include_str!("systolic_reference.csv");

fn array(rows: u64, columns: u64, dataflow: Dataflow) -> Systolic {
    Systolic { rows, columns, dataflow }
}

#[test]
fn simulated_cycles_are_met_to_the_cycle() {
    let mut reader = csv::Reader::from_reader(REFERENCE.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["m", "n", "k", "rows", "columns", "dataflow", "compute_cycles"]);
    let (mut seen, mut flows) = (0, [0; 3]);
    for row in reader.deserialize() {
        let (m, n, k, rows, columns, dataflow, cycles): (u64, u64, u64, u64, u64, Dataflow, u64) = row.unwrap();
        assert_eq!(array(rows, columns, dataflow).cycles([m, n, k]), cycles, "{m}x{n}x{k} on {rows}x{columns} {dataflow:?}");
        (seen, flows[dataflow as usize]) = (seen + 1, flows[dataflow as usize] + 1);
    }
    assert!(seen >= 1000 && flows.iter().all(|&f| f >= 300), "{seen} {flows:?}");
}

#[test]
fn published_points() {
    assert_eq!(array(128, 128, Dataflow::Weights).cycles([512, 512, 512]), 14_303);
    // SCALE-Sim's look-up table for GEMMs of one fold: K + R + C - 3.
    for (k, cycles) in [(4096, 4349), (2048, 2301), (512, 765)] {
        assert_eq!(array(128, 128, Dataflow::Sums).cycles([64, 16, k]), cycles);
    }
    // 2048x12288x12288 by the same rule; with shadow registers the array never waits.
    assert_eq!(array(128, 128, Dataflow::Weights).cycles([2048, 12288, 12288]), 22_394_879);
    assert_eq!(array(128, 128, Dataflow::Weights).cycles_shadowed([2048, 12288, 12288]), 96 * 96 * 2048 + 255);
}

/// Counts line by line what the array's output port sees: lead, skewed results, then the next fold.
fn counted(a: Systolic, [m, n, k]: [u64; 3]) -> u64 {
    let (down, across, streamed) = match a.dataflow {
        Dataflow::Weights => (k, n, m),
        Dataflow::Sums => (m, n, k),
        Dataflow::Inputs => (k, m, n),
    };
    let mut lines = 0;
    for _ in (0..down).step_by(a.rows as usize) {
        for _ in (0..across).step_by(a.columns as usize) {
            let (lead, results) = match a.dataflow {
                Dataflow::Sums => (streamed - 1, a.rows),
                _ => (2 * a.rows - 1, streamed),
            };
            lines += lead + results + (a.columns - 1);
        }
    }
    lines - 1
}

proptest! {
    #[test]
    fn the_rule_counts_lines(m in 1u64..90, n in 1u64..90, k in 1u64..90, r in 1u64..20, c in 1u64..20, flow in 0usize..3) {
        let dataflow = [Dataflow::Weights, Dataflow::Sums, Dataflow::Inputs][flow];
        prop_assert_eq!(array(r, c, dataflow).cycles([m, n, k]), counted(array(r, c, dataflow), [m, n, k]));
    }

    #[test]
    fn no_size_overflows_and_more_work_never_takes_less(
        m in any::<u64>(), n in any::<u64>(), k in any::<u64>(), r in any::<u64>(), c in any::<u64>(), more in 0u64..1 << 40
    ) {
        for dataflow in [Dataflow::Weights, Dataflow::Sums, Dataflow::Inputs] {
            let a = array(r, c, dataflow);
            prop_assert!(a.cycles([m.saturating_add(more), n, k]) >= a.cycles([m, n, k]));
            prop_assert!(a.cycles_shadowed([m, n, k.saturating_add(more)]) >= a.cycles_shadowed([m, n, k]));
        }
    }

    #[test]
    fn shadow_registers_never_lose_two_folds(m in 1u64..4096, n in 1u64..4096, k in 1u64..4096, r in 1u64..300, c in 1u64..300) {
        // What they cannot hide is one fill and drain; both rules do at least the MACs that one fold's PEs can.
        let a = array(r, c, Dataflow::Weights);
        let floor = (m as u128 * n as u128 * k as u128).div_ceil(r as u128 * c as u128);
        prop_assert!(a.cycles_shadowed([m, n, k]) as u128 >= floor && a.cycles([m, n, k]) as u128 >= floor);
        prop_assert!(a.cycles_shadowed([m, n, k]) <= a.cycles([m, n, k]) + 2);
    }
}
