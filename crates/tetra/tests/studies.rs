//! The shipped studies run and give the verdict that they are shipped for.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn run(study: &str, work: &Path) -> Output {
    let folder = work.join(study);
    std::fs::create_dir(&folder).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies").join(study).join("study.toml");
    std::fs::copy(shipped, folder.join("study.toml")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tetra")).arg("run").arg(&folder).output().unwrap()
}

fn report(study: &str, work: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(work.join(study).join("out/report.json")).unwrap()).unwrap()
}

fn verdict(study: &str, work: &Path) -> serde_json::Value {
    report(study, work)["verdict"].clone()
}

#[test]
fn buying_wins_where_little_is_asked() {
    let work = tempfile::tempdir().unwrap();
    assert_eq!(run("buy-wins", work.path()).status.code(), Some(0));
    let verdict = verdict("buy-wins", work.path());
    assert!(verdict["sentence"].as_str().unwrap().starts_with("Buy "), "{verdict}");
    assert!(verdict["probability_build_cheaper"].as_f64().unwrap() <= 0.2);
    let report = report("buy-wins", work.path());
    owned_and_rented_add_up(&report["planner"]["tenure"]);
    // The sentence and the figure beside it are the same demand.
    let said = verdict["sentence"].as_str().unwrap().split("beyond ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    let found = verdict["break_even_volume"]["value"].as_f64().unwrap();
    assert!((said / found - 1.0).abs() < 0.01, "{said} against {found}");
    // A grid of sixteen chips is searched to its end: every best chip is proven, and none costs more than the chosen one.
    for r in report["architect"]["regret"].as_array().unwrap() {
        assert_eq!(r["proven"], true, "{r}");
        assert!(r["best_usd_per_million"].as_f64().unwrap() <= r["chosen_usd_per_million"].as_f64().unwrap_or(f64::INFINITY), "{r}");
    }
}

#[test]
fn building_wins_where_much_is_asked_of_a_second_chip() {
    let work = tempfile::tempdir().unwrap();
    assert_eq!(run("build-wins", work.path()).status.code(), Some(0));
    let report = report("build-wins", work.path());
    let verdict = &report["verdict"];
    assert!(verdict["sentence"].as_str().unwrap().starts_with("Build: "), "{verdict}");
    assert!(verdict["probability_build_cheaper"].as_f64().unwrap() >= 0.8);
    // The premises are told: every row that the study replaces is marked.
    let study = include_str!("../../../studies/build-wins/study.toml");
    let premises = study.rsplit("[override]").next().unwrap().lines().filter(|l| l.starts_with('"')).count();
    let marked = report["numbers"].as_array().unwrap().iter().filter(|n| n["overridden"] == true).count();
    assert_eq!(marked, premises);
    assert!(report["options"][0]["first_month"]["value"].is_u64());
}

/// The mechanisms of confidential computing are a part of each service's rent, and the whole lies between its services.
fn owned_and_rented_add_up(tenure: &serde_json::Value) {
    let lines: Vec<(&str, f64, f64)> =
        tenure.as_array().unwrap().iter().map(|l| (l[0].as_str().unwrap(), l[1].as_f64().unwrap(), l[2].as_f64().unwrap())).collect();
    let services: Vec<_> = lines.iter().filter(|l| lines.iter().any(|p| p.0 == format!("{}: of it delay of each copy", l.0))).collect();
    assert!(!services.is_empty(), "{lines:#?}");
    for (name, owned, rented) in &services {
        let parts: f64 = lines.iter().filter(|l| l.0.starts_with(&format!("{name}: of it "))).map(|l| l.2).sum();
        assert!(*owned > 0.0 && parts > 0.0 && parts < 0.3 * rented, "{name}: {parts} of {rented}");
    }
    let whole = lines.iter().find(|l| l.0.ends_with(", all services")).unwrap();
    let between = |whole: f64, of: &dyn Fn(&(&str, f64, f64)) -> f64| {
        let all: Vec<f64> = services.iter().map(|s| of(s)).collect();
        let (low, high) = (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max));
        assert!(low * 0.999 <= whole && whole <= high * 1.001, "{whole} outside {low} to {high}");
    };
    between(whole.1, &|s| s.1);
    between(whole.2, &|s| s.2);
    assert!(lines.iter().any(|l| l.0.starts_with("halls built against leased, ")), "{lines:#?}");
}

#[test]
fn data_stays_home_wafers_come_from_two_countries_and_the_export_rule_has_a_price() {
    let work = tempfile::tempdir().unwrap();
    assert_eq!(run("sovereign", work.path()).status.code(), Some(0));
    let report = report("sovereign", work.path());
    assert!(!report["verdict"]["sentence"].as_str().unwrap().is_empty());
    let texts = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
    };
    // Services of one kind that ask 4 : 2 : 1 at home take power 4 : 2 : 1 there, as far as demand is met; all power lies in one of the three.
    let power = |names: &[&str]| -> f64 {
        let sites = report["sites"].as_array().unwrap().iter().filter(|s| names.contains(&s["name"].as_str().unwrap()));
        sites.map(|s| s["it_mw"].as_f64().unwrap()).sum()
    };
    let (us, eu) = (power(&["Northern Virginia (Ashburn)", "Phoenix (Arizona)"]), power(&["Frankfurt", "Stockholm"]));
    let gulf = power(&["Abu Dhabi / Dubai"]);
    assert!(gulf > 0.0 && (1.6..2.4).contains(&(us / eu)) && (1.6..2.4).contains(&(eu / gulf)), "{us} {eu} {gulf}");
    let bars = report["plan"]["bars"].as_array().unwrap();
    // Wafers come from Taiwan and from the United States, at most 70 % from one of them.
    let wafers: Vec<(bool, f64)> = bars.iter().filter(|b| b["lane"] == "wafers").map(|b| ordered(b["label"].as_str().unwrap())).collect();
    let total: f64 = wafers.iter().map(|w| w.1).sum();
    let taiwan: f64 = wafers.iter().filter(|w| w.0).map(|w| w.1).sum();
    assert!(total > 0.0 && taiwan > 0.0 && taiwan <= 0.7001 * total, "{taiwan} of {total} wafers from Taiwan");
    // GPUs that may not stand in the Emirates say so, and the rules have a price.
    let option = |name: &str| report["options"].as_array().unwrap().iter().find(|o| o["name"] == name).unwrap().clone();
    for gpu in ["H200", "GB300"] {
        let why = texts(&option(gpu)["misfits"]);
        assert!(why.iter().any(|w| w.contains("3A090.a need a licence for Abu Dhabi / Dubai")), "{gpu}: {why:?}");
    }
    let limits = texts(&report["planner"]["limits"]);
    let told = |start: &str, part: &str| limits.iter().any(|l| l.starts_with(start) && l.contains(part) && l.contains(" M USD in all"));
    assert!(told("The export rule (at most 3A090.b at Abu Dhabi / Dubai) makes Build cost", "instead of"), "{limits:#?}");
    assert!(
        limits.iter().any(|l| l.starts_with("Two kinds of GPUs") && l.contains("H20 and successors where the export rule holds")),
        "{limits:#?}"
    );
    let worlds = report["scenarios"].as_array().unwrap();
    assert!(worlds.iter().any(|s| s["name"] == "Export rule tightened"), "{worlds:#?}");
    assert!(told("at most 70 % of a year's wafers from one country: ", "the same sources qualified"), "{limits:#?}");
}

/// Whether the label of a bar of orders names Taiwan, and how many units it says.
fn ordered(label: &str) -> (bool, f64) {
    let number = label.rsplit(": ").next().unwrap().split(' ').next().unwrap().replace(',', "");
    (label.contains("Taiwan"), number.parse().unwrap())
}

#[test]
fn demands_that_contradict_each_other_are_named_with_a_way_out() {
    let work = tempfile::tempdir().unwrap();
    let done = run("infeasible", work.path());
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("No plan meets demand of long_context (EU) in month 1"), "{said}");
    assert!(said.contains("The cheapest way out: demand of long_context (EU) gives way"), "{said}");
}
