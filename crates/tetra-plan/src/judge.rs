//! Judges of the solver: published optima, a second solver of foreign make, and the plan's own arithmetic.

use microlp::{ComparisonOp, OptimizationDirection, Problem};
use proptest::prelude::*;

#[path = "../tests/case/mod.rs"]
mod case;

use crate::highs;
use crate::input::{Effort, Outage, PlanInput, Stage};
use crate::model::{KILO, Model, discount};
use crate::programme::{Answer, Programme, Solution};

const EXACT: Effort = Effort { gap: 0.0, nodes: 10_000 };

fn solved(p: &Programme) -> Solution {
    match highs::solve(p, &EXACT, &[]) {
        Answer::Solved(s) => s,
        other => panic!("{other:?}"),
    }
}

/// Dantzig's transport problem (1963, chapter 3.3; GAMS model library `trnsport`): 153.675 kUSD.
#[test]
fn dantzig_transport() {
    let mut p = Programme::default();
    let distance = [[2.5, 1.7, 1.8], [2.5, 1.8, 1.4]];
    let columns: Vec<Vec<usize>> = distance.iter().map(|row| row.iter().map(|_| p.column(0.0, f64::INFINITY, false)).collect()).collect();
    for (i, j) in (0..2).flat_map(|i| (0..3).map(move |j| (i, j))) {
        p.cost[columns[i][j]] = 90.0 * distance[i][j] / 1000.0;
    }
    for (i, capacity) in [350.0, 600.0].into_iter().enumerate() {
        let entries: Vec<_> = columns[i].iter().map(|&c| (c, 1.0)).collect();
        p.row(f64::NEG_INFINITY, capacity, &entries);
    }
    for (j, demand) in [325.0, 300.0, 275.0].into_iter().enumerate() {
        p.row(demand, f64::INFINITY, &[(columns[0][j], 1.0), (columns[1][j], 1.0)]);
    }
    assert!((solved(&p).objective - 153.675).abs() < 1e-9);
}

/// Lot sizes of Wagner and Whitin in the instance of Snyder and Shen, example 3.9: 1380.
#[test]
fn wagner_whitin_lots() {
    let (fixed, holding, demand) = (500.0, 2.0, [90.0, 120.0, 80.0, 70.0]);
    let mut p = Programme::default();
    let mut before = None;
    for need in demand {
        let (lot, set_up, stock) = (p.column(0.0, f64::INFINITY, false), p.column(0.0, 1.0, true), p.column(0.0, f64::INFINITY, false));
        (p.cost[set_up], p.cost[stock]) = (fixed, holding);
        p.row(f64::NEG_INFINITY, 0.0, &[(lot, 1.0), (set_up, -360.0)]);
        let mut entries = vec![(lot, 1.0), (stock, -1.0)];
        entries.extend(before.map(|b| (b, 1.0)));
        p.row(need, need, &entries);
        before = Some(stock);
    }
    assert!((solved(&p).objective - 1380.0).abs() < 1e-6);
}

/// The same programme solved by microlp.
fn microlp(p: &Programme) -> Option<f64> {
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let columns: Vec<_> = (0..p.columns())
        .map(|c| match p.integer[c] {
            true => problem.add_integer_var(p.cost[c], (p.lower[c] as i32, p.upper[c] as i32)),
            false => problem.add_var(p.cost[c], (p.lower[c], p.upper[c])),
        })
        .collect();
    for r in 0..p.rows() {
        let entries: Vec<_> = p.entries(r).map(|(c, v)| (columns[c], v)).collect();
        if p.row_lower[r] == p.row_upper[r] {
            problem.add_constraint(entries, ComparisonOp::Eq, p.row_lower[r]);
            continue;
        }
        if p.row_lower[r].is_finite() {
            problem.add_constraint(entries.clone(), ComparisonOp::Ge, p.row_lower[r]);
        }
        if p.row_upper[r].is_finite() {
            problem.add_constraint(entries, ComparisonOp::Le, p.row_upper[r]);
        }
    }
    match problem.solve() {
        Ok(microlp::SolveOutcome::Solution(s)) => Some(s.objective()),
        _ => None,
    }
}

fn agree(input: &PlanInput) {
    let model = Model::of(input);
    let other = microlp(&model.programme);
    match (highs::solve(&model.programme, &EXACT, &[]), other) {
        (Answer::Solved(a), Some(b)) => {
            assert!((a.objective - b).abs() <= 1e-6 * b.abs().max(1.0), "HiGHS {} microlp {b}", a.objective);
            let nre: f64 = input.product.iter().flat_map(|p| &p.nre).map(|&(m, usd)| usd * discount(input, m)).sum();
            let plan = crate::solution::plan(input, &model, &a);
            let objective = a.objective * model.scale * KILO + nre;
            assert!((plan.cost_usd - objective).abs() <= 1e-5 * objective.abs().max(1.0), "{} {objective}", plan.cost_usd);
        }
        (Answer::Infeasible, None) => {}
        (a, b) => panic!("HiGHS {a:?} microlp {b:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_second_solver_agrees(seed in any::<u64>()) {
        agree(&case::small(seed));
        agree(&struck(seed));
    }

    #[test]
    fn a_conflict_holds_and_every_row_of_it_is_needed(seed in any::<u64>()) {
        let mut input = case::small(seed);
        input.demands.iter_mut().for_each(|d| d.met_from = Some(4));
        let p = Model::of(&input).programme;
        if matches!(highs::solve(&p, &EXACT, &[]), Answer::Infeasible) {
            let iis = highs::conflict(&p, &EXACT);
            prop_assert!(infeasible(&only(&p, &iis, usize::MAX)));
            for row in &iis.rows {
                prop_assert!(!infeasible(&only(&p, &iis, row.at)), "row {} is not needed", row.at);
            }
        }
    }

    #[test]
    fn the_cheapest_way_out_leads_out(seed in any::<u64>()) {
        let mut input = case::small(seed);
        input.demands.iter_mut().for_each(|d| d.met_from = Some(4));
        let model = Model::of(&input);
        let mut p = model.programme.clone();
        if matches!(highs::solve(&p, &EXACT, &[]), Answer::Infeasible) {
            let conflict = crate::conflict::conflict(&input, &model);
            prop_assert!(!conflict.relaxation.is_empty(), "{}", conflict.text);
            let value = crate::conflict::cheapest(&input, &model).expect("demand can always give way");
            for r in 0..p.rows() {
                let activity: f64 = p.entries(r).map(|(c, v)| v * value[c]).sum();
                prop_assert!(model.row_limit[r].is_some() || (p.row_lower[r] - 1e-6..=p.row_upper[r] + 1e-6).contains(&activity));
                (p.row_lower[r], p.row_upper[r]) = (p.row_lower[r].min(activity - 1e-6), p.row_upper[r].max(activity + 1e-6));
            }
            p.upper.iter_mut().zip(&value).for_each(|(u, v)| *u = u.max(*v));
            prop_assert!(!infeasible(&p));
        }
    }
}

/// The same plan with a known outage.
fn struck(seed: u64) -> PlanInput {
    let stages = vec![Stage::Wafer, Stage::Packaging];
    let from_month = (seed % 7) as usize;
    let outage = Outage {
        name: "o".into(),
        country: "TW".into(),
        stages,
        from_month,
        months: 2,
        recovery_months: 1,
        lost_in_process: 0.5,
        bought: false,
    };
    PlanInput { outages: vec![outage], ..case::small(seed) }
}

/// Whether the relaxation has no answer, by microlp.
fn infeasible(p: &Programme) -> bool {
    let relaxed = Programme { integer: vec![false; p.columns()], ..p.clone() };
    microlp(&relaxed).is_none()
}

/// The programme with only the bounds of a conflict, without those of one row.
fn only(p: &Programme, iis: &highs::Iis, without: usize) -> Programme {
    let free = vec![f64::INFINITY; p.columns()];
    let mut out = Programme { lower: free.iter().map(|f| -f).collect(), upper: free, ..p.only_rows(&[]) };
    for b in &iis.columns {
        out.lower[b.at] = if b.lower { p.lower[b.at] } else { f64::NEG_INFINITY };
        out.upper[b.at] = if b.upper { p.upper[b.at] } else { f64::INFINITY };
    }
    for b in iis.rows.iter().filter(|b| b.at != without) {
        let entries: Vec<_> = p.entries(b.at).collect();
        let (lower, upper) = (p.row_lower[b.at], p.row_upper[b.at]);
        out.row(if b.lower { lower } else { f64::NEG_INFINITY }, if b.upper { upper } else { f64::INFINITY }, &entries);
    }
    out.cost.fill(0.0);
    out
}
