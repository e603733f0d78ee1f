//! The main job on a small grid: the same answer for any number of threads, explanations that add up, laws of money.

#![allow(clippy::unwrap_used, clippy::panic)]

mod shipped;

use tetra_study::{Answer, Node, Study};

use shipped::{GAP, Texts};

#[test]
fn the_same_bytes_for_any_number_of_threads() {
    let texts = Texts::shipped();
    let study = texts.study();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| serde_json::to_string(&texts.answer(&study).report).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

fn adds_up(node: &Node) {
    if node.how.starts_with("sum") {
        let sum: f64 = node.parts.iter().map(|p| p.value).sum();
        assert!((sum - node.value).abs() <= 1e-9 * node.value.abs().max(1e-9), "{}: {sum} {}", node.name, node.value);
    }
    node.parts.iter().for_each(adds_up);
}

#[test]
fn explanations_add_up_to_the_figures() {
    let texts = Texts::shipped();
    let answer = texts.answer(&texts.study());
    assert!(answer.explanations.len() > 10);
    answer.explanations.iter().for_each(adds_up);
    for option in &answer.report.options {
        let key = |what: &str| format!("{}.{what}", option.name.to_lowercase().replace(' ', "_"));
        let found = |what: &str| tetra_study::explain(&answer.explanations, &key(what)).unwrap().value;
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-6 * b.abs(), "{} {a} {b}", option.name);
        near(found("usd_per_million_output_tokens"), option.usd_per_million_output_tokens.value);
        near(found("capex_usd"), option.capex_usd.value);
        near(found("chips"), option.chips.value);
        near(found("frontier.days"), option.training_days.value);
        assert!(option.training_days.value <= 90.0 && option.misfits.is_empty());
    }
    let root = |nodes: &[tetra_study::Node]| tetra_study::explain(nodes, "usd_per_million_output_tokens").unwrap().key.clone();
    assert_eq!(root(&answer.explanations), "build.usd_per_million_output_tokens");
    let bought: Vec<_> = answer.explanations.iter().filter(|n| !n.key.starts_with("build.")).cloned().collect();
    let costs = bought.iter().filter(|n| n.key.ends_with(".usd_per_million_output_tokens"));
    let cheapest = costs.min_by(|a, b| a.value.total_cmp(&b.value)).unwrap();
    assert_eq!(root(&bought), cheapest.key, "without Build the cheapest option is meant");
    assert!(!answer.report.model_error.is_empty() && answer.report.model_error.iter().all(|m| m.half_width > 0.0 && !m.basis.is_empty()));
    assert!(tetra_study::explain(&answer.explanations, "nothing").unwrap_err().contains(&"build.capex_usd"));
}

#[test]
fn every_chip_of_the_grid_has_a_fate() {
    let texts = Texts::shipped();
    let answer = texts.answer(&texts.study());
    let s = &answer.report.search;
    assert_eq!(s.grid, s.evaluated + s.excluded_by_bound + s.misfit);
    assert_eq!(answer.designs.len() as u64, s.grid);
    assert_eq!(s.misfits.iter().map(|m| m.1).sum::<u64>(), s.misfit);
    assert_eq!(s.bounds.iter().map(|b| b.1).sum::<u64>(), s.excluded_by_bound);
    let flows = &answer.report.money;
    let total =
        |to_all: bool| flows.iter().filter(move |f| if to_all { f.to == "all payments" } else { f.from == "all payments" }).map(|f| f.usd);
    assert!((total(true).sum::<f64>() - total(false).sum::<f64>()).abs() < 1e-6 * total(true).sum::<f64>());
}

#[test]
fn all_money_twice_as_dear_doubles_every_cost_and_leaves_the_verdict() {
    let texts = Texts::shipped();
    let mut study = texts.study();
    let plain = texts.answer(&study);
    let inputs = texts.inputs(&study).unwrap();
    let dollars = inputs.tables.rows().iter().filter(|r| ["USD", "EUR"].iter().any(|c| r.unit.contains(c)) && r.item != "currency");
    study.overrides = dollars.map(|r| (r.key(), 2.0 * r.value)).collect();
    let dear = texts.answer(&study);
    let word = |a: &Answer| a.report.verdict.sentence.split(':').next().unwrap().to_owned();
    assert_eq!(word(&plain), word(&dear));
    for (a, b) in plain.report.options.iter().zip(&dear.report.options) {
        let ratio = b.usd_per_million_output_tokens.value / a.usd_per_million_output_tokens.value;
        assert!((ratio - 2.0).abs() < 0.03, "{}: {ratio}", a.name);
        assert_eq!(a.training_days, b.training_days);
    }
}

#[test]
fn names_that_nothing_carries_are_all_told_with_their_places() {
    let mut texts = Texts::shipped();
    texts.study = texts
        .study
        .replace("\"Frankfurt\"", "\"Frankfort\"")
        .replace("\"B200\"", "\"B2000\"")
        .replace("\"DeepSeek-V3\"", "\"DeepSeek-V9\"");
    let lines = texts.inputs(&texts.study()).unwrap_err();
    for wanted in ["no model \"DeepSeek-V9\"", "no site \"Frankfort\"", "no chip \"B2000\"", "no candidate site lies in \"EU\""] {
        assert!(lines.iter().any(|l| l.contains(wanted) && l.starts_with("study.toml:")), "{wanted} in {lines:#?}");
    }
}

#[test]
fn an_impossible_limit_is_an_answer_with_reasons() {
    let mut texts = Texts::shipped();
    texts.study = texts.study.replacen("tpot         = \"30 ms\"", "tpot         = \"1 us\"", 1);
    let answer = texts.answer(&texts.study());
    assert!(answer.report.verdict.sentence.starts_with("Undecided"), "{}", answer.report.verdict.sentence);
    assert!(answer.report.options.iter().all(|o| !o.misfits.is_empty()));
}

fn without_training() -> Texts {
    let mut texts = Texts::shipped();
    let (before, rest) = texts.study.split_once("[training.frontier]").unwrap();
    let (_, after) = rest.split_once("[sites]").unwrap();
    texts.study = format!("{before}[sites]{after}");
    texts
}

#[test]
fn dearer_gpus_never_make_building_worse_against_them() {
    let texts = Texts::shipped();
    let mut study = texts.study();
    let plain = texts.answer(&study);
    let inputs = texts.inputs(&study).unwrap();
    let prices = inputs.tables.rows().iter().filter(|r| r.item == "price_server" || r.item == "price_module");
    study.overrides = prices.map(|r| (r.key(), 2.0 * r.value)).collect();
    let dear = texts.answer(&study);
    let cost = |a: &Answer, i: usize| a.report.options[i].usd_per_million_output_tokens.value;
    let bought = |i: &usize| !plain.report.options[*i].name.starts_with("Rent");
    for i in (1..plain.report.options.len()).filter(bought) {
        assert!(cost(&dear, i) > cost(&plain, i), "{}", plain.report.options[i].name);
        let (before, after) = (cost(&plain, 0) / cost(&plain, i), cost(&dear, 0) / cost(&dear, i));
        assert!(after <= before * (1.0 + GAP), "{}: {before} {after}", plain.report.options[i].name);
    }
}

#[test]
fn a_residency_rule_never_pays() {
    let (bound, free) = (Texts::shipped().costs(), Texts::with(&[("process_in   = \"EU\"", "#")]).costs());
    assert!(bound.iter().zip(&free).all(|(a, b)| b <= &(a * (1.0 + GAP))), "{bound:?} {free:?}");
}

#[test]
fn fewer_sites_never_pay() {
    let one = Texts::with(&[("\"Northern Virginia (Ashburn)\", ", ""), (", \"Toronto (Ontario)\"", "")]).costs();
    let all = Texts::shipped().costs();
    assert!(one.iter().zip(&all).all(|(a, b)| b <= &(a * (1.0 + GAP))), "{one:?} {all:?}");
}

#[test]
fn a_tenth_of_the_demand_makes_own_chips_dearer() {
    let fewer = Texts::with(&[("2 M tokens/s", "200 k tokens/s"), ("20 M tokens/s", "2 M tokens/s"), ("40 M tokens/s", "4 M tokens/s")]);
    let (few, many) = (fewer.costs()[0], Texts::shipped().costs()[0]);
    assert!(few > 1.05 * many, "design cost is spread over fewer tokens: {few} {many}");
}

#[test]
fn money_up_front_weighs_more_at_a_higher_discount_rate() {
    let at = |rate: &str| Texts::with(&[("10 %/year", rate)]).costs();
    let (low, middle, high) = (at("2 %/year"), at("10 %/year"), at("25 %/year"));
    // Build, four GPUs and successors; rents are paid as they are used.
    for i in 0..6 {
        assert!(low[i] < middle[i] && middle[i] < high[i], "{i}: {} {} {}", low[i], middle[i], high[i]);
    }
}

#[test]
fn tokens_and_training_runs_carry_all_payments() {
    let texts = Texts::shipped();
    let study = texts.study();
    let answer = texts.answer(&study);
    let (build, rate) = (&answer.report.options[0], study.frame.discount_rate);
    let tokens = tetra_study::discounted_tokens(rate, study.services.iter().map(|s| s.demand.as_slice()));
    // Runs start in months 12, 18, … 54: one from month 60 could not end within the study.
    let runs: f64 = (11..58).step_by(6).map(|m| rate.discount(m)).sum();
    let carried = build.usd_per_million_output_tokens.value * tokens / 1e6 + build.training_usd_per_run.value * runs;
    let paid = answer.report.money.iter().find(|f| f.from == "net cost").unwrap().usd;
    assert!((carried / paid - 1.0).abs() < 1e-9, "{carried} {paid}");
}

#[test]
fn what_is_at_risk_is_part_of_what_is_funded_and_that_of_all_payments() {
    let texts = Texts::shipped();
    let answer = texts.answer(&texts.study());
    let cash = answer.report.cash.unwrap();
    let all: f64 = cash.quarters.iter().map(|q| q.1).sum();
    assert!(0.0 < cash.at_risk_usd && cash.at_risk_usd < cash.peak_funding_usd.value && cash.peak_funding_usd.value <= all * (1.0 + 1e-9));
    assert!(cash.quarters.iter().all(|q| q.1 <= cash.peak_quarter.1) && cash.quarters.contains(&cash.peak_quarter));
    assert!(cash.stranded.iter().all(|s| s.1 >= 0.0) && cash.stranded_usd < all);
    // The same, re-added from the table of payments.
    let until = cash.own_month.unwrap_or(u32::MAX);
    let lines = answer.cashflow.lines().filter(|l| l.starts_with("\"Build\",") && (l.contains(",capex,") || l.contains(",opex,")));
    let paid = lines.map(|l| l.rsplit(',').collect::<Vec<_>>()[3].parse::<f64>().unwrap() * f64::from(month_of(l) < until));
    assert!((paid.sum::<f64>() / cash.peak_funding_usd.value - 1.0).abs() < 1e-9);
}

fn month_of(line: &str) -> u32 {
    line.split("\",").nth(1).and_then(|rest| rest.split(',').next()).and_then(|m| m.parse().ok()).unwrap()
}

#[test]
fn a_study_without_training_says_nothing_of_it() {
    let texts = without_training();
    let answer = texts.answer(&texts.study());
    assert!(!answer.report.verdict.sentence.contains("train"), "{}", answer.report.verdict.sentence);
    assert!(answer.report.options.iter().all(|o| o.training_days.value.is_nan() && o.training_usd_per_run.value.is_nan()));
    assert!(answer.report.services.iter().all(|s| s.service != "frontier"));
}

#[test]
fn a_small_service_gets_a_small_worker() {
    let mut texts = without_training();
    for old in ["2 M tokens/s", "20 M tokens/s", "40 M tokens/s"] {
        texts.study = texts.study.replacen(old, "500 tokens/s", 1);
    }
    let answer = texts.answer(&texts.study());
    for option in &answer.report.options[1..] {
        assert!(option.chips.value <= 64.0, "{}: {} chips for 560 tokens/s", option.name, option.chips.value);
    }
}

#[cfg(feature = "plan")]
#[test]
fn a_demand_that_nothing_can_meet_is_named_with_a_way_out() {
    let texts = Texts::with(&[("process_in   = \"EU\"", "process_in   = \"EU\"\nmet_from     = 1")]);
    let answer = texts.answer(&texts.study());
    for option in &answer.report.options {
        let why = option.misfits.join(" ");
        assert!(why.starts_with("No plan meets demand of long_context") && why.contains("The cheapest way out"), "{}: {why}", option.name);
    }
    let later = Texts::with(&[("process_in   = \"EU\"", "process_in   = \"EU\"\nmet_from     = 12")]);
    let answer = later.answer(&later.study());
    assert!(answer.report.options.iter().all(|o| o.misfits.is_empty()), "a year is enough to rent or buy");
}

const SCENARIOS: &str = include_str!("../../../data/scenarios.toml");

#[test]
fn a_scenario_that_changes_nothing_is_the_study_and_the_shipped_ones_change_something() {
    let mut texts = Texts::shipped();
    texts.tomls.insert("scenarios".into(), format!("{SCENARIOS}\n[same]\nname = \"Same\"\n"));
    let report = texts.answer(&texts.study()).report;
    let shown =
        |s: &tetra_study::report::ScenarioReport| (s.build_usd_per_million, s.other.clone(), s.other_usd_per_million, s.sentence.clone());
    let (own, same) = (&report.scenarios[0], report.scenarios.last().unwrap());
    assert_eq!(shown(own), shown(same));
    assert_eq!(own.build_usd_per_million, report.options[0].usd_per_million_output_tokens.value);
    assert!(report.scenarios.len() <= 13);
    for s in &report.scenarios[1..report.scenarios.len() - 1] {
        assert!(!s.changed.is_empty() && !s.sentence.is_empty(), "{s:?}");
        // The chip of the study's own world is one of those that could be built.
        assert!(s.kept_usd_per_million.is_nan() || s.kept_usd_per_million >= s.build_usd_per_million, "{s:?}");
    }
    // Own chips are not worth making in this study: what is about them alone changes nothing.
    let moved = report.scenarios[1..].iter().filter(|s| shown(s) != shown(own)).count();
    assert!(moved >= 7, "{:?}", report.scenarios);
    let cost = |name: &str| report.scenarios.iter().find(|s| s.name == name).unwrap();
    let (quarter, four) = (cost("A quarter of the demand"), cost("Four times the demand"));
    assert!(quarter.build_usd_per_million > own.build_usd_per_million && own.build_usd_per_million > four.build_usd_per_million);
    assert!(cost("The next GPU a year early").other_usd_per_million < own.other_usd_per_million);
    assert!(cost("Electricity doubled").other_usd_per_million > own.other_usd_per_million);
}

#[test]
fn broken_scenarios_are_told_with_their_cause() {
    let mistakes = [
        ("[a]\nname = \"A\"\ntimes = { \"H100 SXM5 80GB.hbm\" = 2 }", "is no row that a scenario may move"),
        ("[a]\nname = \"A\"\noutages = [\"mars\"]", "which outages.toml lacks"),
        ("[a]\nname = \"A\"\ndemand = -1", "`demand` is -1"),
        ("[a]\nname = \"A\"\ntimes = { electricity = nan }", "moves by NaN"),
        ("[a]\nname = \"A\"\ndemandd = 2", "scenarios.toml:"),
        ("[a]\ndemand = 2", "name"),
    ];
    for (text, cause) in mistakes {
        let mut texts = Texts::shipped();
        texts.tomls.insert("scenarios".into(), text.to_owned());
        let lines = texts.inputs(&texts.study()).unwrap_err().join("\n");
        assert!(lines.contains(cause), "{lines}");
    }
}

/// Tables without any range.
fn certain(texts: &mut Texts) {
    for text in texts.tables.values_mut() {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.split(',').collect();
            let value = cells.get(2).and_then(|v| v.parse::<f64>().ok());
            let exact = |v: f64, cells: &[&str]| -> String {
                let mut cells: Vec<String> = cells.iter().map(|c| (*c).to_owned()).collect();
                let v = if cells[0] == "discrepancy" && cells[1] != "unseen_chip" { 0.0 } else { v };
                cells[2..5].fill(v.to_string());
                cells.join(",")
            };
            lines.push(match value {
                Some(v) if cells.len() > 9 && !line.starts_with('#') => exact(v, &cells),
                _ => line.to_owned(),
            });
        }
        *text = lines.join("\n") + "\n";
    }
}

/// Both ends are the value but for rounding.
fn near_all(f: &tetra_study::report::Figure) {
    assert!([f.low, f.high].iter().all(|x| (x / f.value - 1.0).abs() < 1e-12), "{f:?}");
}

#[test]
fn draws_without_ranges_are_the_base_case() {
    let mut texts = Texts::shipped();
    certain(&mut texts);
    let rows = texts.tables.get_mut("draws").unwrap();
    *rows = rows
        .lines()
        .map(|l| {
            if l.starts_with("disruption,probability") {
                "disruption,probability,0,0,0,1/year,2026,tetra_judgement,,".to_owned()
            } else {
                l.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
        + "\n";
    let report = texts.answer(&texts.study()).report;
    for o in &report.options {
        for f in [&o.usd_per_million_output_tokens, &o.capex_usd, &o.opex_usd_per_year, &o.chips, &o.training_days, &o.kg_co2e] {
            assert_eq!((f.low, f.high), (f.value, f.value), "{} {}", o.name, f.unit);
        }
        near_all(&o.training_usd_per_run);
        assert_eq!((o.first_month.low, o.first_month.high), (o.first_month.value, o.first_month.value));
    }
    near_all(&report.cash.unwrap().peak_funding_usd);
    let p = report.verdict.probability_build_cheaper.unwrap();
    assert!(p == 0.0 || p == 1.0);
}

#[test]
fn two_seeds_agree_within_the_error_that_is_printed() {
    let texts = Texts::shipped();
    let study = texts.study();
    let of = |seed: u64| texts.answer(&Study { frame: tetra_study::Frame { seed, ..study.frame }, ..study.clone() }).report.verdict;
    let (a, b) = (of(1), of(2));
    let error = a.probability_error.unwrap().hypot(b.probability_error.unwrap());
    let apart = (a.probability_build_cheaper.unwrap() - b.probability_build_cheaper.unwrap()).abs();
    assert!(apart <= 4.0 * error.max(1.0 / 2000.0), "{apart} against {error}");
}

#[test]
fn dearer_gpus_never_make_build_less_likely() {
    let likely = |factor: f64| {
        let mut texts = Texts::shipped();
        let rows = texts.tables.get_mut("market").unwrap();
        let dearer = |line: &str| -> String {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            if cells[0].starts_with("price_") || cells[0] == "rent" {
                cells[2..5].iter_mut().for_each(|c| *c = c.parse::<f64>().map_or(c.clone(), |v| (v * factor).to_string()));
            }
            cells.join(",")
        };
        *rows = rows.lines().map(dearer).collect::<Vec<_>>().join("\n") + "\n";
        texts.answer(&texts.study()).report.verdict.probability_build_cheaper.unwrap()
    };
    assert!(likely(2.0) >= likely(1.0));
}
