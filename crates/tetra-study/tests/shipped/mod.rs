//! The shipped study on the small grid, with texts that a test may change.

#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use tetra_quantity::TableText;
use tetra_study::{Answer, InputTexts, Inputs, Quiet, Study, read_study, run};

/// Texts of all inputs.
pub struct Texts {
    pub tables: BTreeMap<String, String>,
    pub tomls: BTreeMap<String, String>,
    pub chips: BTreeMap<String, String>,
    pub models: BTreeMap<String, String>,
    pub study: String,
}

pub fn folder(path: &str, extension: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let files = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == extension));
    files.map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(p).unwrap())).collect()
}

impl Texts {
    pub fn shipped() -> Self {
        let study = include_str!("../../../../studies/first/study.toml").replace("grid = \"wide\"", "grid = \"small\"");
        assert!(study.contains("\"small\""));
        // Scenarios work the study out again: only the tests that are about them read any.
        let tomls = folder("data", "toml").into_iter().chain([("scenarios".to_owned(), String::new())]).collect();
        Self { tables: folder("data", "csv"), tomls, chips: folder("data/chips", "toml"), models: folder("models", "json"), study }
    }

    pub fn study(&self) -> Study {
        read_study("study.toml", &self.study).map_err(|e| e.lines()).unwrap()
    }

    pub fn inputs(&self, study: &Study) -> Result<Inputs, Vec<String>> {
        let pairs = |m: &'_ BTreeMap<String, String>| m.iter().map(|(n, t)| (n.clone(), t.clone())).collect::<Vec<_>>();
        let (chips, models) = (pairs(&self.chips), pairs(&self.models));
        let texts = InputTexts {
            tables: self.tables.iter().map(|(name, text)| TableText { name, text }).collect(),
            sources: &self.tomls["sources"],
            sites: &self.tomls["sites"],
            grids: &self.tomls["grids"],
            suppliers: &self.tomls["suppliers"],
            outages: &self.tomls["outages"],
            scenarios: &self.tomls["scenarios"],
            probes: &self.tomls["probes"],
            chips: chips.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
            models: models.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
        };
        Inputs::read("study.toml", &self.study, study, &texts).map_err(|e| e.lines())
    }

    pub fn answer(&self, study: &Study) -> Answer {
        run("first", study, &self.inputs(study).unwrap(), &Quiet).unwrap()
    }
}

impl Texts {
    /// The shipped study with some lines replaced.
    pub fn with(changes: &[(&str, &str)]) -> Self {
        let mut texts = Self::shipped();
        for (old, new) in changes {
            assert!(texts.study.contains(old), "{old}");
            texts.study = texts.study.replacen(old, new, 1);
        }
        texts
    }

    /// Levelised cost by option; none may be missing.
    pub fn costs(&self) -> Vec<f64> {
        let answer = self.answer(&self.study());
        let costs: Vec<f64> = answer.report.options.iter().map(|o| o.usd_per_million_output_tokens.value).collect();
        assert!(costs.iter().all(|c| c.is_finite() && *c > 0.0), "{costs:?}");
        costs
    }
}

/// Plans end within a hundredth of the best possible one.
pub const GAP: f64 = 0.011;
