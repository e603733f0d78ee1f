//! House rules that a test can hold. Each failure names file, line and mend.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 40;
/// Files whose purpose is a table of mathematical or unit constants.
const NUMERIC_FILES: [&str; 2] = ["tetra-quantity/src/unit.rs", "tetra-quantity/src/draw.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "out" && name != "node_modules" && name != "corpus" {
                walk(&path, out);
            }
        } else {
            out.push(path);
        }
    }
}

fn files(extension: &str) -> Vec<(String, String)> {
    let (root, mut paths) = (root(), Vec::new());
    walk(&root, &mut paths);
    paths
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .map(|p| (p.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), fs::read_to_string(&p).unwrap()))
        .collect()
}

/// Rust of the product: neither tests nor benches nor examples.
fn sources() -> Vec<(String, String)> {
    files("rs").into_iter().filter(|(p, _)| p.contains("/src/")).collect()
}

struct Rules<'a> {
    path: &'a str,
    door: bool,
    numeric: bool,
    faults: Vec<String>,
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|a| a.path().is_ident("test") || (a.path().is_ident("cfg") && a.parse_args::<syn::Ident>().is_ok_and(|i| i == "test")))
}

/// Definitions: seconds, minutes and hours, days of a year, kelvin at 0 °C, joules of a kilowatt-hour.
const UNIT_FACTORS: [f64; 7] = [24.0, 60.0, 365.0, 365.25, 3600.0, 273.15, 3.6e6];

/// Floats that carry no knowledge of the world: small whole numbers of formulas, halves and quarters, powers of two and ten.
fn is_formula_number(value: f64) -> bool {
    let size = value.abs();
    let whole = size.fract() == 0.0 && (size <= 16.0 || size.log2().fract() == 0.0);
    let tens = size > 0.0 && (size.log10() - size.log10().round()).abs() < 1e-9;
    whole || tens || UNIT_FACTORS.contains(&size) || [0.5, 0.25, 0.75, 1.5].contains(&size)
}

impl Rules<'_> {
    fn fault(&mut self, span: proc_macro2::Span, text: &str) {
        self.faults.push(format!("{}:{}: {text}", self.path, span.start().line));
    }

    fn function(&mut self, block: &syn::Block, name: &syn::Ident) {
        let lines = block.span().end().line.saturating_sub(block.span().start().line);
        if lines > FUNCTION_LINES {
            self.fault(name.span(), &format!("fn {name} has {lines} lines: its noun has split"));
        }
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.block, &item.sig.ident);
            visit::visit_item_fn(self, item);
        }
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.block, &item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }
    fn visit_lit_float(&mut self, literal: &'ast syn::LitFloat) {
        let value: f64 = literal.base10_parse().unwrap_or(0.0);
        if !self.numeric && !is_formula_number(value) {
            self.fault(literal.span(), &format!("float literal {literal}: make it a sourced row of data/"));
        }
    }
    fn visit_expr_binary(&mut self, expression: &'ast syn::ExprBinary) {
        use syn::BinOp::{Add, Div, Mul, Rem, Sub};
        if self.door && matches!(expression.op, Add(_) | Sub(_) | Mul(_) | Div(_) | Rem(_)) {
            self.fault(expression.op.span(), "arithmetic in the door crate: move it to the crate that owns the noun");
        }
        visit::visit_expr_binary(self, expression);
    }
}

#[test]
fn code_keeps_the_house_rules() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{path}: {lines} lines: its noun has split"));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{path}: the first line must say what the file computes (//!)"));
        }
        let tree = syn::parse_file(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut rules = Rules {
            path: &path,
            door: path.starts_with("crates/tetra/"),
            numeric: NUMERIC_FILES.iter().any(|f| path.ends_with(f)),
            faults: Vec::new(),
        };
        rules.visit_file(&tree);
        faults.append(&mut rules.faults);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_file_has_a_nameless_name() {
    const FORBIDDEN: [&str; 5] = ["utils", "common", "misc", "helpers", "manager"];
    let bad: Vec<_> = sources()
        .into_iter()
        .map(|(p, _)| p)
        .filter(|p| FORBIDDEN.iter().any(|w| p.split(['/', '.', '_']).any(|part| part == *w)))
        .collect();
    assert!(bad.is_empty(), "name the noun instead: {bad:?}");
}

#[test]
fn crates_import_only_those_above_them() {
    const STREET: [&str; 10] = ["replay", "quantity", "workload", "chip", "foundry", "cluster", "site", "plan", "study", "codesign"];
    let place = |name: &str| STREET.iter().position(|s| *s == name);
    for (path, text) in files("toml").into_iter().filter(|(p, _)| p.starts_with("crates/") && p.ends_with("Cargo.toml")) {
        let manifest: toml::Table = text.parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().trim_start_matches("tetra-").to_owned();
        let own = place(&name).unwrap_or_else(|| panic!("{path}: crate {name} has no place on the street"));
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            let Some(other) = dependency.strip_prefix("tetra-").and_then(place) else { continue };
            assert!(other < own, "{path}: {name} may not import {dependency}");
            assert!(!(name == "cluster" && dependency == "tetra-foundry"), "foundry and cluster do not know each other");
        }
    }
}

#[test]
fn every_source_is_named_and_used() {
    let root = root();
    let sources: toml::Table = fs::read_to_string(root.join("data/sources.toml")).unwrap().parse().unwrap();
    let mut everything = String::new();
    for extension in ["csv", "toml"] {
        for (path, text) in files(extension) {
            if (path.starts_with("data/") || path.starts_with("validation/")) && path != "data/sources.toml" {
                everything.push_str(&text);
            }
        }
    }
    let unused: Vec<_> = sources.keys().filter(|k| !everything.contains(k.as_str())).collect();
    assert!(unused.is_empty(), "sources that no number names: {unused:?}");
    for (key, value) in &sources {
        let field = |f: &str| value.get(f).and_then(toml::Value::as_str).unwrap_or("");
        assert!(!field("title").is_empty(), "{key}: title is missing");
        assert!(field("kind") == "assumption" || !field("url").is_empty() || field("kind") == "standard", "{key}: url is missing");
    }
}

#[test]
fn fitted_constants_are_few_and_explained() {
    let text = fs::read_to_string(root().join("data/calibration.csv")).unwrap();
    let rows: Vec<_> = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).skip(1).collect();
    assert!(rows.len() <= 60, "{} fitted constants, 60 are allowed", rows.len());
}
