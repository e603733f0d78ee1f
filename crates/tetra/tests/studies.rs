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

fn verdict(study: &str, work: &Path) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(work.join(study).join("out/report.json")).unwrap()).unwrap();
    report["verdict"].clone()
}

#[test]
fn buying_wins_where_little_is_asked() {
    let work = tempfile::tempdir().unwrap();
    assert_eq!(run("buy-wins", work.path()).status.code(), Some(0));
    let verdict = verdict("buy-wins", work.path());
    assert!(verdict["sentence"].as_str().unwrap().starts_with("Buy "), "{verdict}");
    assert!(verdict["probability_build_cheaper"].as_f64().unwrap() <= 0.2);
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
