//! Runs `studies/first` from the files of the workspace and prints what the search finds and how long each part takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tetra_quantity::TableText;
use tetra_study::{InputTexts, Inputs, Progress, read_study};

struct Clock(Instant);

impl Progress for Clock {
    fn start(&self, stage: &str, total: u64) {
        eprintln!("{:7.2} s  {stage}: {total}", self.0.elapsed().as_secs_f64());
    }
    fn step(&self, _: u64) {}
    fn at(&self, _: u64) {}
}

fn texts(folder: &Path, extension: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let named = entries.filter(|p| p.extension().is_some_and(|e| e == extension));
    let stem = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    named.filter_map(|p| Some((stem(&p), std::fs::read_to_string(&p).ok()?))).collect()
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let clock = Clock(Instant::now());
    let (tables, tomls) = (texts(&root.join("data"), "csv"), texts(&root.join("data"), "toml"));
    let (chips, models) = (texts(&root.join("data/chips"), "toml"), texts(&root.join("models"), "json"));
    let folder = std::env::args().nth(1).unwrap_or_else(|| "studies/first".into());
    let text = std::fs::read_to_string(root.join(folder).join("study.toml")).unwrap_or_default();
    let read = |name: &str| tomls.get(name).map_or("", String::as_str);
    let inputs = InputTexts {
        tables: tables.iter().map(|(name, text)| TableText { name, text }).collect(),
        sources: read("sources"),
        sites: read("sites"),
        grids: read("grids"),
        suppliers: read("suppliers"),
        outages: read("outages"),
        scenarios: read("scenarios"),
        probes: read("probes"),
        chips: chips.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
        models: models.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
    };
    let study = match read_study("study.toml", &text) {
        Ok(study) => study,
        Err(e) => return eprintln!("{}", e.lines().join("\n")),
    };
    let inputs = match Inputs::read("study.toml", &text, &study, &inputs) {
        Ok(inputs) => inputs,
        Err(e) => return eprintln!("{}", e.lines().join("\n")),
    };
    eprintln!("{:7.2} s  read", clock.0.elapsed().as_secs_f64());
    let answer = match tetra_study::run("first", &study, &inputs, &clock) {
        Ok(answer) => answer,
        Err(e) => return eprintln!("{e}"),
    };
    eprintln!("{:7.2} s  done", clock.0.elapsed().as_secs_f64());
    let r = &answer.report;
    println!("{}", r.verdict.sentence);
    for o in &r.options {
        println!("{}", serde_json::to_string(o).unwrap_or_default());
    }
    println!("{:?}", (r.search.grid, r.search.evaluated, r.search.excluded_by_bound, r.search.misfit, &r.search.misfits));
    if let Some(key) = std::env::args().nth(2) {
        match tetra_study::explain(&answer.explanations, &key) {
            Ok(node) => println!("{}", node.text()),
            Err(keys) => println!("{}", keys.join("\n")),
        }
    }
    if let Some(path) = std::env::args().nth(3) {
        let json = serde_json::to_string_pretty(r).unwrap_or_default();
        eprintln!("{} designs, {} bytes of report", answer.designs.len(), json.len());
        let _ = std::fs::write(path, json);
    }
}
