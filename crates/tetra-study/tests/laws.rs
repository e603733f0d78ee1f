//! Laws of time, supply and power: waiting never pays, what binds nothing is worth nothing, no site holds more than its cap, and no chip of the grid
//! that is best for a model costs more than the chosen one.

#![allow(clippy::unwrap_used, clippy::panic)]

mod shipped;

use std::sync::OnceLock;

use shipped::{GAP, Texts};
use tetra_quantity::Row;
use tetra_study::Answer;

/// The answer of the shipped study.
fn plain() -> &'static Answer {
    static PLAIN: OnceLock<Answer> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let texts = Texts::shipped();
        texts.answer(&texts.study())
    })
}

/// The answer with the rows that `which` picks multiplied; there must be some.
fn with_rows(factor: f64, which: impl Fn(&Row) -> bool) -> Answer {
    let texts = Texts::shipped();
    let mut study = texts.study();
    let inputs = texts.inputs(&study).unwrap();
    study.overrides = inputs.tables.rows().iter().filter(|r| which(r)).map(|r| (r.key(), factor * r.value)).collect();
    assert!(!study.overrides.is_empty());
    texts.answer(&study)
}

fn cost(a: &Answer, option: usize) -> f64 {
    a.report.options[option].usd_per_million_output_tokens.value
}

fn is_time(row: &Row) -> bool {
    ["weeks", "months"].contains(&row.unit.as_str())
}

#[test]
fn waiting_longer_for_everything_never_pays() {
    const TIMES: [&str; 5] = ["lead_time", "rent_lead_time", "qualification_time", "fab_time", "physical_design"];
    let slow = with_rows(1.5, |r| is_time(r) && (r.item == "programme" || TIMES.contains(&r.parameter.as_str())));
    for i in 0..6 {
        assert!(cost(&slow, i) >= cost(plain(), i) * (1.0 - GAP), "{}", plain().report.options[i].name);
    }
    assert!(cost(&slow, 1) > cost(plain(), 1) && cost(&slow, 0) > cost(plain(), 0));
}

#[test]
fn a_longer_programme_never_makes_build_more_likely() {
    let slow = with_rows(1.5, |r| is_time(r) && r.item == "programme");
    let likely = |a: &Answer| a.report.verdict.probability_build_cheaper.unwrap();
    assert!(likely(plain()) > 0.0, "nothing to lose");
    // The plan is made anew for the base case alone, so that its luck in the draws may change a little.
    let error = plain().report.verdict.probability_error.unwrap();
    assert!(likely(&slow) <= likely(plain()) + error, "{} {}", likely(plain()), likely(&slow));
    assert!(cost(&slow, 0) >= cost(plain(), 0) * (1.0 - GAP));
}

#[test]
fn the_best_chip_of_a_model_costs_no_more_than_the_chosen_one() {
    let regret = &plain().report.architect.as_ref().unwrap().regret;
    assert!(regret.iter().any(|r| r.best_usd_per_million < r.chosen_usd_per_million), "all alike: {regret:?}");
    for r in regret.iter().filter(|r| r.chosen_usd_per_million.is_finite()) {
        assert!(r.best_usd_per_million <= r.chosen_usd_per_million, "{r:?}");
    }
}

#[test]
fn more_of_what_binds_nothing_is_worth_nothing() {
    let tested = |r: &Row| r.item.starts_with("supply_test_") && r.parameter == "capacity";
    let bottlenecks = &plain().report.plan.as_ref().unwrap().bottlenecks;
    assert!(!bottlenecks.iter().any(|b| b.to_lowercase().contains("test")), "{bottlenecks:?}");
    let more = with_rows(1.1, tested);
    assert!((cost(&more, 0) / cost(plain(), 0) - 1.0).abs() < GAP, "{} {}", cost(&more, 0), cost(plain(), 0));
}

#[test]
fn no_site_holds_more_than_its_cap_in_any_month() {
    let old = "cap        = { \"Dallas (Texas, ERCOT)\" = \"300 MW\" }";
    let sites = ["Northern Virginia (Ashburn)", "Dallas (Texas, ERCOT)", "Phoenix (Arizona)", "Toronto (Ontario)"];
    let caps: Vec<String> = sites.iter().map(|s| format!("\"{s}\" = \"30 MW\"")).collect();
    let texts = Texts::with(&[(old, &format!("cap        = {{ {} }}", caps.join(", ")))]);
    let power = texts.answer(&texts.study()).report.planner.unwrap().power;
    let capped: Vec<_> = power.iter().filter_map(|(site, cap, mw)| Some((site, (*cap)?, mw))).collect();
    assert_eq!(capped.len(), sites.len());
    let used = |mw: &[f64]| mw.iter().copied().fold(0.0, f64::max);
    assert!(capped.iter().any(|(_, cap, mw)| used(mw) > 0.99 * cap), "no cap binds: {power:?}");
    capped.iter().for_each(|(site, cap, mw)| assert!(used(mw) <= cap * (1.0 + 1e-6), "{site}: {} over {cap}", used(mw)));
}
