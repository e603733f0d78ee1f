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

/// Sections in the order of the argument.
const ORDER: [&str; 17] = [
    "id=\"sentence\"",
    "id=\"chart-bar-cost\"",
    "id=\"chart-bar-date\"",
    "id=\"chart-bar-risk\"",
    "id=\"chart-cost\"",
    "id=\"chart-even\"",
    "id=\"tornado\"",
    "In other worlds",
    "id=\"options\"",
    "id=\"chart-money\"",
    "id=\"chart-plan\"",
    "id=\"bottlenecks\"",
    "id=\"chart-sites\"",
    "id=\"chart-floor\"",
    "Model error",
    "Not modelled",
    "Numbers and sources",
];

/// Charts that the page of a report must have: eleven always, and one for each part that is there.
fn charts_of(report: &serde_json::Value) -> usize {
    let there = |part: &str, list: &str| report[part][list].as_array().is_some_and(|l| !l.is_empty());
    let more = [!report["risk"].is_null(), there("cash", "quarters"), there("scaling", "points"), there("scaling", "points")];
    11 + more.iter().filter(|yes| **yes).count()
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
    let report = serde_json::from_slice(&std::fs::read(study.join("out/report.json")).unwrap()).unwrap();
    assert_eq!(charts.unwrap(), charts_of(&report).to_string(), "charts on the page against parts of the report");
    let at = ORDER.map(|mark| dom.find(mark).unwrap_or_else(|| panic!("{mark} is not on the page")));
    assert!(at.is_sorted(), "the argument is out of order: {at:?}");
    let shown = dom.split_once("<main").and_then(|(_, rest)| rest.split_once("</main>")).map(|(main, _)| main).unwrap();
    assert!(!shown.contains("NaN") && !shown.contains("undefined"), "a number on the page is not a number");
    assert!(!shown.contains("src=\"http"), "the page must not load anything");
    let silent: Vec<_> =
        dom.match_indices("class=\"chart").filter(|(at, _)| !dom[*at..].split('>').next().unwrap().contains("aria-label")).collect();
    assert!(silent.is_empty(), "charts without words for those who cannot see them: {silent:?}");
    assert_narrow(&page, &work.path().join("narrow"));
}

/// In a narrow window nothing but what scrolls by itself is wider than the window.
fn assert_narrow(page: &Path, profile: &Path) {
    let text = std::fs::read_to_string(page).unwrap();
    let measure = "<script>document.body.dataset.wide = String(document.documentElement.scrollWidth > innerWidth)</script></body>";
    let measured = page.with_file_name("narrow.html");
    let (before, after) = text.rsplit_once("</body>").unwrap();
    std::fs::write(&measured, [before, measure, after].concat()).unwrap();
    let (dom, log) = browse(&measured, profile, &["--dump-dom", "--window-size=400,2000"]);
    assert!(!log.contains("CONSOLE"), "{log}");
    assert_eq!(attribute(&dom, "data-wide"), Some("false"), "the page is wider than a narrow window");
}
