//! Every command that the README and the book show runs, and their tables are what the program says.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command line as shown; the one that takes long is marked with a comment.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    page: String,
    words: Vec<String>,
    long: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn pages(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            pages(&path, out);
        } else if path.extension().is_some_and(|e| e == "md") {
            out.push(path);
        }
    }
}

/// Words of a command line; double quotes hold a word together.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => out.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

/// Command lines of `console` blocks in the order of the pages, each once.
fn shown() -> Vec<Shown> {
    let (root, mut out) = (root(), Vec::<Shown>::new());
    let mut all = vec![root.join("README.md")];
    pages(&root.join("book/src"), &mut all);
    for path in all {
        let page = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let (text, mut inside) = (fs::read_to_string(&path).unwrap(), false);
        for line in text.lines() {
            if line.starts_with("```") {
                inside = line.trim() == "```console";
            } else if let Some(command) = line.strip_prefix("$ tetra ").filter(|_| inside) {
                let (command, long) = command.split_once("# long").map_or((command, false), |(c, _)| (c, true));
                let words = words(command);
                if !out.iter().any(|s| s.words == words) {
                    out.push(Shown { page: page.clone(), words, long });
                }
            }
        }
    }
    out
}

/// A folder that looks like the repository, in which commands may write.
fn place() -> tempfile::TempDir {
    let (root, place) = (root(), tempfile::tempdir().unwrap());
    for folder in ["data", "models", "validation"] {
        symlink(root.join(folder), place.path().join(folder)).unwrap();
    }
    let study = place.path().join("studies/first");
    fs::create_dir_all(&study).unwrap();
    fs::copy(root.join("studies/first/study.toml"), study.join("study.toml")).unwrap();
    place
}

fn run_all(commands: impl Iterator<Item = Shown>) {
    let (place, mut failed, mut count) = (place(), Vec::new(), 0);
    for shown in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_tetra")).args(&shown.words).current_dir(place.path()).output().unwrap();
        count += 1;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).lines().take(3).collect::<Vec<_>>().join("\n");
            failed.push(format!("{}: tetra {}: {}\n{text}", shown.page, shown.words.join(" "), output.status));
        } else if output.stdout.is_empty() {
            failed.push(format!("{}: tetra {}: no answer", shown.page, shown.words.join(" ")));
        }
    }
    assert!(count > 0 && failed.is_empty(), "{} of {count} commands fail:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn shown_commands_answer() {
    let can = |s: &Shown| cfg!(feature = "plan") || s.words[0] != "plan";
    run_all(shown().into_iter().filter(|s| !s.long && can(s)));
}

/// `.ci/run` runs the main job; no other command may be left out here.
#[test]
fn only_the_main_job_is_long() {
    let long: Vec<_> = shown().into_iter().filter(|s| s.long).map(|s| s.words.join(" ")).collect();
    assert_eq!(long, ["run studies/first"]);
}

#[test]
fn every_verb_is_shown() {
    let help = Command::new(env!("CARGO_BIN_EXE_tetra")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs = help.split("Commands:").nth(1).and_then(|t| t.split("Options:").next()).unwrap();
    let verbs: Vec<&str> = verbs.lines().filter_map(|l| l.split_whitespace().next()).filter(|v| *v != "help").collect();
    let shown = shown();
    let missing: Vec<_> = verbs.iter().filter(|v| !shown.iter().any(|s| s.words[0] == **v)).collect();
    assert!(verbs.len() > 10 && missing.is_empty(), "the book shows no command of {missing:?}");
}

#[test]
fn tables_are_what_the_program_says() {
    let output = Command::new("bash")
        .args(["scripts/book", "--check"])
        .env("TETRA", env!("CARGO_BIN_EXE_tetra"))
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Keys that a reader asks for: short texts that follow one of `calls`.
fn asked(files: &[&str], calls: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for file in files {
        let text = fs::read_to_string(root().join("crates").join(file)).unwrap();
        for call in calls {
            let keys = text.split(call).skip(1).filter_map(|rest| rest.split('"').next());
            out.extend(keys.filter(|k| k.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')).map(str::to_owned));
        }
    }
    assert!(out.len() > 10, "{files:?} ask for {out:?}");
    out
}

#[test]
fn every_key_is_in_the_book() {
    let study = asked(
        &["tetra-study/src/reader.rs", "tetra-study/src/demand.rs", "tetra-study/src/grid.rs"],
        &[".text(\"", ".integer(\"", ".number(\"", ">(\"", ".texts(\"", ".need(\"", ".get(\"", ".has(\""],
    );
    let chip = asked(&["tetra-chip/src/read.rs"], &["(errors, \"", ".table(errors, \""]);
    let table = asked(
        &["kernel.rs", "training.rs", "inference.rs", "serving.rs"]
            .map(|f| format!("tetra-study/src/validate/{f}"))
            .each_ref()
            .map(String::as_str),
        &["record.text(\"", "record.number(\"", "record.count(\"", "record.word(\"", " text(\"", " count(\""],
    );
    let mut missing = Vec::new();
    for (page, keys) in [("study-file", study), ("chips", chip), ("validation", table)] {
        let text = fs::read_to_string(root().join(format!("book/src/{page}.md"))).unwrap();
        // Sections are headings, axes of a grid stand in a table of their own.
        let known = |k: &str| {
            ["`", "[", "."].iter().any(|before| text.contains(&format!("{before}{k}`")) || text.contains(&format!("{before}{k}]")))
                || text.contains(&format!("[{k}."))
        };
        missing.extend(keys.into_iter().filter(|k| !known(k)).map(|k| format!("{page}: {k}")));
    }
    assert!(missing.is_empty(), "the book does not say: {missing:?}");
}
