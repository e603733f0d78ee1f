//! Accuracy as committed is accuracy as computed, and a prediction sees neither names nor answers.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tetra_chip::ChipSet;
use tetra_quantity::{TableText, Tables};
use tetra_study::validate::{Bench, Prediction, predict, read};
use tetra_workload::{Aliases, UNet, hf::read_config};

/// Figures are committed with one decimal; the last one may round differently.
const TOLERANCE: f64 = 0.1001;
const MEASURED: [&str; 3] = ["value", "ttft_ms", "tpot_ms"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Files of a folder of the repository in the order of their names.
fn folder(name: &str, ending: &str) -> Vec<(String, String)> {
    let mut paths: Vec<_> = fs::read_dir(root().join(name)).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().filter(|p| p.is_file() && name(p).ends_with(ending)).map(|p| (name(p), fs::read_to_string(p).unwrap())).collect()
}

fn differences(path: &str, committed: &Value, computed: &Value, out: &mut Vec<String>) {
    match (committed, computed) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            if (a - b).abs() > TOLERANCE {
                out.push(format!("{path}: committed {a}, computed {b:.1}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{i}]"), a, b, out);
            }
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (key, a) in a {
                differences(&format!("{path}.{key}"), a, &b[key], out);
            }
        }
        (a, b) if a == b => {}
        _ => out.push(format!("{path}: another shape or text")),
    }
}

#[test]
fn committed_validation_is_what_is_computed() {
    let output = Command::new(env!("CARGO_BIN_EXE_tetra")).args(["validate", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let computed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let committed: Value = serde_json::from_str(&fs::read_to_string(root().join("validation/score.json")).unwrap()).unwrap();
    let tables = |v: &Value| v["tables"].as_array().unwrap().clone();
    let by_name: BTreeMap<String, Value> = tables(&computed).into_iter().map(|t| (t["file"].to_string(), t)).collect();
    let mut worse = Vec::new();
    for table in tables(&committed) {
        let now = by_name.get(&table["file"].to_string()).unwrap_or_else(|| panic!("table {} is not computed any more", table["file"]));
        for key in ["mape_pct", "refused"] {
            let (before, after) = (table[key].as_f64().unwrap_or(0.0), now[key].as_f64().unwrap_or(f64::INFINITY));
            if after > before + TOLERANCE {
                worse.push(format!("{} {key}: {before} before, {after:.1} now", table["file"]));
            }
        }
    }
    assert!(worse.is_empty(), "worse than committed:\n{}", worse.join("\n"));
    let mut changed = Vec::new();
    differences("score", &committed, &computed, &mut changed);
    assert!(changed.is_empty(), "not worse, but changed: run scripts/book and commit what it writes. {} figures:\n{}", changed.len(), {
        changed.truncate(10);
        changed.join("\n")
    });
}

/// What a row was called before anything was renamed, by its metric; and its prediction.
type Predictions = BTreeMap<(usize, String), Option<Prediction>>;

/// A bench whose models and chips may bear other names, in another order; and what each of them is called now.
struct Names {
    bench: Bench,
    models: BTreeMap<String, String>,
    chips: BTreeMap<String, String>,
    benchmarks: BTreeMap<String, String>,
}

fn bench(renamed: bool) -> Names {
    let data = folder("data", ".csv");
    let texts: Vec<_> = data.iter().map(|(name, text)| TableText { name, text }).collect();
    let tables = Tables::parse(&texts, &fs::read_to_string(root().join("data/sources.toml")).unwrap()).unwrap();
    let (mut models, mut model_names) = (BTreeMap::new(), BTreeMap::new());
    let configs = folder("models", ".json");
    for (i, (file, text)) in configs.iter().enumerate() {
        let before = file.trim_end_matches(".json").to_owned();
        let name = if renamed { format!("M{:03}", 999 - i) } else { before.clone() };
        models.insert(name.clone(), read_config(&name, text).unwrap());
        model_names.insert(before, name);
    }
    let (mut chips, mut chip_names) = (Vec::new(), BTreeMap::new());
    for (i, (file, text)) in folder("data/chips", ".toml").into_iter().enumerate() {
        let mut chip: toml::Table = text.parse().unwrap();
        let before = chip["name"].as_str().unwrap().to_owned();
        let name = if renamed { format!("C{:03}", 999 - i) } else { before.clone() };
        if renamed {
            chip.insert("name".into(), name.clone().into());
            chip.remove("aliases");
            chip.insert("source".into(), "another".into());
        }
        chips.push((if renamed { format!("{name}.toml") } else { file }, chip.to_string()));
        chip_names.insert(before, name);
    }
    if renamed {
        chips.reverse();
    }
    let set = ChipSet::parse(chips.iter().map(|(n, t)| (n.as_str(), t.as_str()))).unwrap();
    let aliases = Aliases::parse(&if renamed { String::new() } else { fs::read_to_string(root().join("models/aliases.csv")).unwrap() });
    let mut benchmark_names = BTreeMap::new();
    let [training, serving] = ["benchmarks", "services"].map(|file| {
        let mut all: toml::Table = fs::read_to_string(root().join(format!("data/{file}.toml"))).unwrap().parse().unwrap();
        for (key, benchmark) in all.iter_mut() {
            let named = benchmark.as_table_mut().unwrap();
            let model = named["model"].as_str().unwrap().to_owned();
            for name in named["names"].as_array_mut().unwrap() {
                let before = name.as_str().unwrap().to_owned();
                if renamed {
                    *name = format!("renamed {key}").into();
                }
                benchmark_names.insert(before, name.as_str().unwrap().to_owned());
            }
            if let Some(now) = model_names.get(&model) {
                named.insert("model".into(), now.clone().into());
            }
        }
        all.to_string()
    });
    let mut bench = Bench::new(&tables, set, models, aliases).unwrap().with_benchmarks(&training, &serving).unwrap();
    for (file, text) in folder("data/diffusion", ".json") {
        bench.unets.insert(file.trim_end_matches(".json").to_owned(), UNet::from_json(&file, &text).unwrap());
    }
    Names { bench, models: model_names, chips: chip_names, benchmarks: benchmark_names }
}

/// A cell of the altered table: other ids, sources, engines, models and chips, and a measured value 1.7 times as large.
fn altered(column: &str, cell: &str, before: &Names, after: &Names) -> String {
    let model = |name: &str| before.bench.model(name).map(|m| after.models[&m.name].clone());
    match column {
        "source_url" | "source_where" | "engine" | "engine_version" => "elsewhere".into(),
        "model" => after.benchmarks.get(cell).cloned().or_else(|| model(cell)).unwrap_or_else(|| cell.to_owned()),
        "accelerator" => before.bench.chips.told(cell).map_or_else(|| cell.to_owned(), |c| after.chips[&c.name].clone()),
        // The words before those of a process name the chip.
        "architecture" => {
            let ends = cell.match_indices(' ').map(|(i, _)| i).chain([cell.len()]);
            let chip = ends.filter_map(|i| before.bench.chips.find(&cell[..i]).map(|c| (i, after.chips[&c.name].clone()))).next_back();
            chip.map_or_else(|| cell.to_owned(), |(i, name)| format!("{name}{}", &cell[i..]))
        }
        "op" => match cell.split_once("-layer:").and_then(|(name, part)| model(name).map(|m| format!("{m}-layer:{part}"))) {
            Some(op) => op,
            None => cell.to_owned(),
        },
        // A note's first words name the model; what follows is shape.
        "notes" => cell.strip_prefix("GPT-3 175B ").unwrap_or(cell).to_owned(),
        c if MEASURED.contains(&c) => cell.parse::<f64>().map_or_else(|_| cell.to_owned(), |v| (v * 1.7).to_string()),
        _ => cell.to_owned(),
    }
}

/// Predicts the rows of a table in `order`, each cell as `cell` writes it.
fn predictions(file: &str, text: &str, order: &[usize], bench: &Bench, cell: impl Fn(&str, &str) -> String) -> Predictions {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).unwrap();
    for &i in order {
        let cells = header.iter().zip(&records[i]).map(|(column, text)| if column == "id" { format!("r{i}") } else { cell(column, text) });
        writer.write_record(cells).unwrap();
    }
    let table = read(file, &String::from_utf8(writer.into_inner().unwrap()).unwrap()).unwrap();
    let rows = predict(&table, bench);
    rows.into_iter().map(|r| ((r.id[1..].parse().unwrap(), r.metric.clone()), r.prediction.ok())).collect()
}

#[test]
fn predictions_do_not_see_names_or_answers() {
    let (before, after) = (bench(false), bench(true));
    for (file, text) in folder("validation", "_measured.csv") {
        let rows = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes()).records().count();
        let sample: Vec<usize> = (0..rows).step_by(rows.div_ceil(300)).collect();
        let mut shuffled = sample.clone();
        shuffled.sort_by_key(|i| i * 48_271 % 65_537);
        let plain = predictions(&file, &text, &sample, &before.bench, |_, cell| cell.to_owned());
        let other = predictions("another.csv", &text, &shuffled, &after.bench, |column, cell| altered(column, cell, &before, &after));
        assert!(plain.values().flatten().count() > plain.len() / 3, "{file}: most rows are refused");
        let changed: Vec<_> = plain.iter().filter(|(key, p)| other.get(key) != Some(p)).collect();
        assert!(changed.is_empty(), "{file}: {} of {} predictions changed, first {:?}", changed.len(), plain.len(), changed.first());
    }
}
