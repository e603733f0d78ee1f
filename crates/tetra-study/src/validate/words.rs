//! Words of training tables: units, flags and recomputation as papers, logs and frameworks write them.
//!
//! Leaves out: words that are not known; they are refused, so that no wish is passed over in silence.

use tetra_cluster::{Recompute, TrainMetric};
use tetra_quantity::HOUR_S;

/// Words that stand for a blank.
const BLANKS: [&str; 7] = ["n/a", "na", "-", "?", "unknown", "auto", "default"];

/// Whether a word stands for a blank.
pub fn is_blank(word: &str) -> bool {
    word.is_empty() || BLANKS.contains(&word.to_lowercase().as_str())
}

/// True or false; `None` for a blank.
///
/// # Errors
/// Another word, named with its column.
pub fn flag(column: &str, word: &str) -> Result<Option<bool>, String> {
    match word.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "y" => Ok(Some(true)),
        "false" | "0" | "no" | "off" | "none" | "n" => Ok(Some(false)),
        word if is_blank(word) => Ok(None),
        _ => Err(format!("column {column} is neither true nor false")),
    }
}

/// What is recomputed: nothing, parts of a layer by any of their names, whole layers, or so many layers of each stage (`4 layers`, `full block 4`).
///
/// # Errors
/// A word that is not known.
pub fn recompute(word: &str) -> Result<Option<Recompute>, String> {
    const WHOLE: [&str; 4] = ["full", "block", "uniform", "layers"];
    const PARTS: [&str; 8] = ["selective", "core", "attn", "attention", "mlp", "moe", "norm", "act"];
    let lower = word.to_lowercase();
    if let Ok(on) = flag("recompute", &lower) {
        return Ok(on.map(|on| if on { Recompute::Full } else { Recompute::None }));
    }
    let number = || lower.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<u64>().ok()).filter(|n| *n > 0);
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    // `selective layer` takes every other layer, `full block 4` the first four.
    if lower == "all" || (has(&WHOLE) && !lower.starts_with("selective")) || lower.parse::<u64>().is_ok() {
        return Ok(Some(number().map_or(Recompute::Full, Recompute::Layers)));
    }
    if has(&PARTS) { Ok(Some(Recompute::Selective)) } else { Err("column recompute holds a word that is not known".into()) }
}

/// How many of a table's unit make one of the program's: ms of a second, GiB of a GB. A unit that is not known leaves the figure as it is.
pub fn scale(metric: TrainMetric, unit: &str) -> f64 {
    let plain: String = unit.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let known: &[(&[&str], f64)] = match metric {
        TrainMetric::IterationTime => &[(&["ms"], 1e3), (&["us"], 1e6), (&["min"], 1.0 / 60.0), (&["h"], 1.0 / 3600.0)],
        TrainMetric::Mfu | TrainMetric::Hfu => &[(&["fraction", "1", "ratio", "share"], 0.01)],
        TrainMetric::PeakMemory => &[(&["gib"], 1e9 / f64::from(1 << 30)), (&["mib"], 1e9 / f64::from(1 << 20)), (&["mb"], 1e3)],
        TrainMetric::HardwareTflopsPerChip | TrainMetric::ModelTflopsPerChip => &[(&["pflop"], 1e-3), (&["gflop"], 1e3)],
        _ => &[(&["tok/day", "tokens/day"], 24.0 * HOUR_S), (&["ktok", "ktokens", "k"], 1e-3), (&["mtok", "mtokens"], 1e-6)],
    };
    let whole = matches!(metric, TrainMetric::IterationTime | TrainMetric::Mfu | TrainMetric::Hfu | TrainMetric::PeakMemory);
    let is = |word: &str| if whole { plain == word } else { plain.starts_with(word) };
    known.iter().find(|(words, _)| words.iter().any(|w| is(w))).map_or(1.0, |(_, factor)| *factor)
}

/// How many of a unit of time of a run make an hour of the program's: `min`, `s`, `days`, thousands and millions of hours.
pub fn hours(unit: &str) -> f64 {
    let lower = unit.to_lowercase();
    let word = lower.trim();
    let many = match word.chars().next() {
        Some('k') => 1e-3,
        Some('m') if !word.starts_with("min") => 1e-6,
        _ => 1.0,
    };
    let is = |words: &[&str]| words.iter().any(|w| word.contains(w));
    let each = match () {
        () if is(&["day"]) => 1.0 / 24.0,
        () if is(&["min"]) => 60.0,
        () if word == "s" || is(&["sec"]) => 3600.0,
        () => 1.0,
    };
    many * each
}
