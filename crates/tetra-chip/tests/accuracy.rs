//! Predicted against published kernel times, per op and accelerator. The kernel constants were fitted on this table: these are
//! residuals, not forecasts.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use tetra_chip::{KernelColumns, KernelRefusal, Launch, kernel_time, op_of};

/// Mean absolute error in per cent by op and accelerator, and rows refused by reason.
fn scores(scale: f64, rename: bool) -> (BTreeMap<String, f64>, usize) {
    let (constants, set) = (common::constants(), common::chips());
    let config = std::fs::read_to_string(common::root().join("models/GPT-3-175B.json")).unwrap();
    let model = tetra_workload::hf::read_config("GPT-3-175B", &config).unwrap();
    let mut reader = csv::Reader::from_path(common::root().join("validation/kernel_measured.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut collectives = 0;
    for record in reader.records() {
        let record = record.unwrap();
        let get = |name: &str| record[at(name)].to_owned();
        let (op_name, notes) = (get("op"), get("notes"));
        let count = |name: &str| get(name).parse().ok();
        let columns = KernelColumns {
            op: &op_name,
            m: count("m"),
            n: count("n"),
            k: count("k"),
            precision: &get("precision"),
            notes: &notes,
            model: op_name.starts_with("gpt3-layer").then_some(&model),
        };
        let op = match op_of(&columns) {
            Ok(op) => op,
            Err(e) => {
                assert_eq!(e, KernelRefusal::Collective, "{op_name}");
                collectives += 1;
                continue;
            }
        };
        let mut chip = set.find(&get("accelerator")).unwrap().clone();
        if rename {
            chip.name = "x".into();
            chip.aliases.clear();
            chip.source.clear();
        }
        let measured = get("value").parse::<f64>().unwrap() * scale;
        let predicted = kernel_time(&op, &chip, &constants, Launch::of_notes(&notes)).value();
        let family = op_name.split(':').next().unwrap_or_default().to_owned();
        let sum = sums.entry(format!("{family} {}", get("accelerator"))).or_default();
        sum.0 += 100.0 * (predicted / measured - 1.0).abs();
        sum.1 += 1.0;
    }
    (sums.into_iter().map(|(k, (e, n))| (k, e / n)).collect(), collectives)
}

#[test]
fn kernels_are_predicted_within_ten_per_cent() {
    let (scores, collectives) = scores(1.0, false);
    assert!(scores.len() >= 9 && collectives == 36, "{scores:?} {collectives}");
    for (family, mape) in &scores {
        assert!(*mape < 10.0, "{family}: {mape:.1} %");
    }
    let mean = scores.values().sum::<f64>() / scores.len() as f64;
    assert!(mean < 6.0, "mean over families {mean:.1} %");
}

#[test]
fn predictions_know_neither_names_nor_measured_values() {
    assert_eq!(scores(1.0, false), scores(1.0, true));
}
