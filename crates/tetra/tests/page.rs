//! The report page in a real browser: every chart draws and the console stays clean.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

const CHROMIUM: &str = "/usr/bin/chromium";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn browse(page: &Path, profile: &Path, more: &[&str]) -> (String, String) {
    let out = Command::new(CHROMIUM)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--window-size=1280,2000", "--virtual-time-budget=8000"])
        .args(["--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("Chromium is installed by `make setup`");
    (String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn attribute<'a>(dom: &'a str, name: &str) -> Option<&'a str> {
    let at = dom.find(&format!("{name}=\""))? + name.len() + 2;
    dom[at..].split('"').next()
}

#[test]
fn every_chart_draws_and_the_console_is_clean() {
    let work = tempfile::tempdir().unwrap();
    let study = work.path().join("first");
    std::fs::create_dir(&study).unwrap();
    std::fs::copy(root().join("studies/first/study.toml"), study.join("study.toml")).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_tetra")).arg("run").arg(&study).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let page = study.join("out/report.html");
    let (dom, log) = browse(&page, &work.path().join("profile"), &["--dump-dom"]);
    let console: Vec<_> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:#?}");
    let (charts, expected) = (attribute(&dom, "data-charts"), attribute(&dom, "data-expected"));
    assert!(charts.is_some(), "the page's script did not reach its end");
    assert_eq!(charts, expected, "charts drawn against charts on the page");
    assert!(dom.matches("<svg").count() >= 10, "{} pictures", dom.matches("<svg").count());
    let shown = dom.split_once("<main").and_then(|(_, rest)| rest.split_once("</main>")).map(|(main, _)| main).unwrap();
    assert!(!shown.contains("NaN") && !shown.contains("undefined"), "a number on the page is not a number");
    assert!(!shown.contains("src=\"http"), "the page must not load anything");
}
