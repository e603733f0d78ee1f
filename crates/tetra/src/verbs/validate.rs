//! `tetra validate`: published measurements against predictions.

use serde::Serialize;
use tetra_chip::ChipConstants;
use tetra_chip::facts::{FullRate, full_rate};
use tetra_quantity::show_number;
use tetra_study::validate::{Bench, Figures, Row, TableScore, predict, read, score};

use super::Answer;
use super::inputs::bench;
use crate::cli::Validate;
use crate::failure::Failure;
use crate::files::{Library, embedded_validation, read_folder, read_text, write_file};
use crate::show::table;

/// Smaller groups are left to `--json`.
const FEWEST_SHOWN: usize = 2;
/// Longest name of a group on a terminal.
const LONGEST_NAME: usize = 60;

#[derive(Serialize)]
struct Scores {
    tables: Vec<TableScore>,
    /// Power at full matrix rate against the cap, of every chip; with the built-in tables only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    full_rate: Vec<FullRate>,
}

/// Draws of the constants behind the range of a power.
const DRAWS: u64 = 200;

pub fn answer(library: &Library, at: &Validate) -> Result<Answer, Failure> {
    let more = |folder: &Option<std::path::PathBuf>| folder.as_deref().map(read_folder).transpose().map(Option::unwrap_or_default);
    let bench = bench(library, &more(&at.chips)?, &more(&at.models)?)?;
    let texts: Vec<(String, String)> = if at.tables.is_empty() {
        embedded_validation().into_iter().filter(|(name, _)| name.ends_with("_measured.csv")).collect()
    } else {
        at.tables.iter().map(|p| read_text(p).map(|t| (p.display().to_string(), t))).collect::<Result<_, _>>()?
    };
    let mut errors = Vec::new();
    let mut tables = Vec::new();
    for (name, text) in &texts {
        match read(name, text) {
            Ok(table) => tables.push(table),
            Err(list) => errors.extend(list.iter().map(ToString::to_string)),
        }
    }
    if !errors.is_empty() {
        return Err(Failure::Input(errors));
    }
    let predicted: Vec<Vec<Row>> = tables.iter().map(|t| predict(t, &bench)).collect();
    let scores = tables.iter().zip(&predicted).map(|(t, rows)| score(&t.file, t.kind, rows)).collect();
    let scores = Scores { tables: scores, full_rate: if at.tables.is_empty() { power(&bench)? } else { Vec::new() } };
    if let Some(path) = &at.rows {
        write_file(path, &tetra_study::validate::rows_csv(predicted.iter().flatten()))?;
    }
    Answer::new(format!("{}{}", text(&scores.tables), power_text(&scores.full_rate)), &scores)
}

fn power(bench: &Bench) -> Result<Vec<FullRate>, Failure> {
    let draws: Result<Vec<_>, _> = (0..DRAWS).map(|d| ChipConstants::from_tables(&bench.tables.sample(0, d))).collect();
    Ok(full_rate(bench.chips.iter(), &bench.chip, &draws.map_err(|e| Failure::all("data", [e]))?))
}

fn power_text(chips: &[FullRate]) -> String {
    if chips.is_empty() {
        return String::new();
    }
    let rows = chips.iter().map(|c| {
        let inside = if c.cap_inside { "yes" } else { "no" };
        let figures = [c.cap, c.watts, c.low, c.high, c.spread].map(show_number);
        [c.chip.clone()].into_iter().chain(figures).chain([inside.to_owned()]).collect()
    });
    let head = ["", "cap W", "modelled W", "P10", "P90", "P90/P10", "cap inside"];
    format!("\nPower of the arrays at full 16-bit matrix rate, uncapped, beside the published cap\n{}\n", table(&head, 1, rows))
}

fn text(tables: &[TableScore]) -> String {
    let mut out = Vec::new();
    for t in tables {
        let mut lines = vec![line("all", &t.figures)];
        let (large, small): (Vec<_>, Vec<_>) = t.groups.iter().partition(|g| g.figures.rows >= FEWEST_SHOWN);
        lines.extend(large.iter().map(|g| {
            let by = [("source", &g.source), ("model", &g.model), ("accelerator", &g.accelerator), ("op", &g.op), ("metric", &g.metric)];
            let short = |v: &str| v.split("://").last().unwrap_or(v).chars().take(LONGEST_NAME).collect::<String>();
            let name = by.iter().find_map(|(k, v)| v.as_ref().map(|v| format!("{k} {}", short(v))));
            line(&name.unwrap_or_default(), &g.figures)
        }));
        let head = ["", "rows", "refused", "MAPE %", "median", "p90", "max", "bias %", "in 80 %", "half-width %"];
        out.push(format!("{}\n{}", t.file, table(&head, 1, lines)));
        out.extend(t.refusals.iter().map(|r| format!("refused {}: {}", r.rows, r.reason)));
        if !small.is_empty() {
            out.push(format!("{} groups of fewer than {FEWEST_SHOWN} rows: see --json", small.len()));
        }
        out.push(String::new());
    }
    out.join("\n")
}

fn line(name: &str, f: &Figures) -> Vec<String> {
    let pct = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.1}"));
    let errors =
        [f.mape_pct, f.median_ape_pct, f.p90_ape_pct, f.max_ape_pct, f.bias_pct, f.interval80_coverage_pct, f.interval80_halfwidth_pct];
    [name.to_owned(), f.rows.to_string(), f.refused.to_string()].into_iter().chain(errors.map(pct)).collect()
}
