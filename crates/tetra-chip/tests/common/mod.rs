//! Tables and chips for tests, read from the data folder.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod kernels;

use std::path::PathBuf;

use tetra_chip::{ChipConstants, ChipSet};
use tetra_quantity::{TableText, Tables};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn tables() -> Tables {
    let read = |name: &str| std::fs::read_to_string(root().join("data").join(name)).unwrap();
    let (a, b, c, d) = (read("calibration.csv"), read("technology.csv"), read("ranges.csv"), read("silicon.csv"));
    let e = read("design.csv");
    let files = [
        TableText { name: "calibration.csv", text: &a },
        TableText { name: "technology.csv", text: &b },
        TableText { name: "ranges.csv", text: &c },
        TableText { name: "silicon.csv", text: &d },
        TableText { name: "design.csv", text: &e },
    ];
    Tables::parse(&files, &read("sources.toml")).unwrap()
}

pub fn constants() -> ChipConstants {
    ChipConstants::from_tables(&tables()).unwrap()
}

pub fn chips() -> ChipSet {
    let mut files: Vec<(String, String)> = std::fs::read_dir(root().join("data/chips"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&p).unwrap()))
        .collect();
    files.sort();
    ChipSet::parse(files.iter().map(|(a, b)| (a.as_str(), b.as_str()))).unwrap()
}
