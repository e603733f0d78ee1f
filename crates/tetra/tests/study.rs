//! The main job on a small study: same bytes for any thread count, and the answer's structure.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

fn tetra(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_tetra")).args(arguments).output().unwrap()
}

fn run(study: &Path, threads: &str) -> Vec<(String, Vec<u8>)> {
    let out = study.join("out");
    let _ = fs::remove_dir_all(&out);
    let done = tetra(&["run", study.to_str().unwrap(), "--threads", threads]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut files: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&p).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn any_thread_count_gives_the_same_bytes() {
    let work = tempfile::tempdir().unwrap();
    let study = work.path().join("small");
    assert!(tetra(&["new", study.to_str().unwrap()]).status.success());
    let (one, two) = (run(&study, "1"), run(&study, "3"));
    let names: Vec<_> = one.iter().map(|f| f.0.as_str()).collect();
    assert_eq!(names, ["cashflow.csv", "designs.parquet", "explain.json", "report.html", "report.json"]);
    for (a, b) in one.iter().zip(&two) {
        assert!(a == b, "{} differs between one thread and three", a.0);
    }
}

#[test]
fn the_answer_has_every_figure_with_value_range_and_unit() {
    let work = tempfile::tempdir().unwrap();
    let study = work.path().join("small");
    assert!(tetra(&["new", study.to_str().unwrap()]).status.success());
    run(&study, "2");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(study.join("out/report.json")).unwrap()).unwrap();
    assert!(!report["verdict"]["sentence"].as_str().unwrap().is_empty());
    assert!(report["verdict"].as_object().unwrap().contains_key("probability_build_cheaper"));
    const FIGURES: [&str; 10] = [
        "usd_per_million_output_tokens",
        "capex_usd",
        "opex_usd_per_year",
        "chips",
        "it_mw",
        "training_days",
        "first_month",
        "full_month",
        "kg_co2e",
        "export_class",
    ];
    let options = report["options"].as_array().unwrap();
    assert_eq!(
        options.iter().map(|o| o["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["Build", "H100", "B200", "B200 and successors", "Rent H100", "Rent B200"]
    );
    for option in options {
        for figure in FIGURES {
            for part in ["value", "low", "high", "unit"] {
                assert!(option[figure].as_object().is_some_and(|f| f.contains_key(part)), "{}: {figure}.{part}", option["name"]);
            }
        }
    }
    let search = &report["search"];
    let sum = ["evaluated", "excluded_by_bound", "misfit"].map(|k| search[k].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!(sum, search["grid"].as_u64().unwrap(), "every chip of the grid has one fate");
}

#[test]
fn what_an_explanation_shows_adds_up() {
    let work = tempfile::tempdir().unwrap();
    let study = work.path().join("small");
    assert!(tetra(&["new", study.to_str().unwrap()]).status.success());
    run(&study, "2");
    let nodes: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(study.join("out/explain.json")).unwrap()).unwrap();
    let mut stack: Vec<&serde_json::Value> = nodes.iter().collect();
    let mut sums = 0;
    while let Some(node) = stack.pop() {
        let parts: Vec<&serde_json::Value> = node["parts"].as_array().unwrap().iter().collect();
        if node["how"] == "sum" && !parts.is_empty() {
            let total: f64 = parts.iter().map(|p| p["value"].as_f64().unwrap()).sum();
            let value = node["value"].as_f64().unwrap();
            assert!((total - value).abs() <= 1e-6 * value.abs().max(1.0), "{}: {total} against {value}", node["name"]);
            sums += 1;
        }
        stack.extend(parts);
    }
    assert!(sums > 0, "some explanation is a sum");
}

#[test]
fn the_table_of_payments_adds_up_to_the_levelised_cost() {
    let work = tempfile::tempdir().unwrap();
    let study = work.path().join("small");
    assert!(tetra(&["new", study.to_str().unwrap()]).status.success());
    run(&study, "2");
    let text = fs::read_to_string(study.join("out/cashflow.csv")).unwrap();
    let nodes: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(study.join("out/explain.json")).unwrap()).unwrap();
    let mut sums: std::collections::BTreeMap<String, f64> = Default::default();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        // The name of a line may hold commas.
        let [usd, factor, share, tokens] = [4, 3, 2, 1].map(|i| cells[cells.len() - i].parse::<f64>().unwrap());
        let month: f64 = cells[1].parse().unwrap();
        assert!((factor - 1.1f64.powf(-(month - 1.0) / 12.0)).abs() < 1e-9);
        *sums.entry(cells[0].trim_matches('"').to_lowercase().replace(' ', "_")).or_default() += usd * factor * share / tokens * 1e6;
    }
    assert!(sums.len() > 2);
    for (name, sum) in sums {
        let key = format!("{name}.usd_per_million_output_tokens");
        let told = nodes.iter().find(|n| n["key"] == key.as_str()).unwrap()["value"].as_f64().unwrap();
        assert!((sum / told - 1.0).abs() < 1e-6, "{name}: {sum} against {told}");
    }
}
