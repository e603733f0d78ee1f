//! Fits constants of training on the rows of `validation/training_measured.csv`, run from the root of the repository:
//! `fit_training [KEY=VALUE …] [--fit KEY,KEY,…] [--leave] [--without KEY=VALUE,…] [--skip TEXT,…] [--table FILE] [--rows]`; `KEY` is a row of the data tables.
//!
//! Loss: soft-L1 of ln(predicted/measured) with scale 3 %, every source (place of publication and chip) with weight 1; damped Gauss-Newton over the logarithms of
//! the constants. `--leave` fits again without each source in turn and scores that source; `--without` scores with one constant changed, fitted anew or not.

mod shared;

use std::collections::BTreeMap;
use std::fs;

use shared::{Outcome, Record, models, records, texts};
use tetra_chip::{Chip, ChipConstants, ChipSet, Timer};
use tetra_cluster::{ClusterConstants, Recompute, TrainMetric, TrainRow, predict};
use tetra_quantity::{TableText, Tables};
use tetra_workload::Model;

const SCALE: f64 = 0.03;
const ROUNDS: usize = 12;

fn row<'a>(r: &'a Record, models: &'a BTreeMap<String, Model>) -> TrainRow<'a> {
    let number = |c: &str| r[c].trim().parse::<f64>().ok();
    let count = |c: &str| number(c).map(|n| n as u64);
    TrainRow {
        model: models.get(&r["model"].to_lowercase()),
        parameters: number("params_b").map(|b| b * 1e9),
        layers: count("layers"),
        hidden: count("hidden"),
        heads: count("heads"),
        kv_heads: count("kv_heads"),
        ffn: count("ffn"),
        vocabulary: count("vocab"),
        sequence: count("seq"),
        global_batch: count("global_batch"),
        micro_batch: count("micro_batch"),
        tensor_parallel: count("tp"),
        pipeline_parallel: count("pp"),
        virtual_stages: count("vpp"),
        data_parallel: count("dp"),
        context_parallel: count("cp"),
        expert_parallel: count("ep"),
        sequence_parallel: (!r["sp"].is_empty()).then(|| r["sp"].eq_ignore_ascii_case("true")),
        recompute: match r["recompute"].as_str() {
            "none" | "false" => Some(Recompute::None),
            "full" | "true" => Some(Recompute::Full),
            "" => None,
            _ => Some(Recompute::Selective),
        },
        precision: &r["precision"],
        chips: count("n_accel"),
        network: &r["network"],
        libraries: &r["notes"],
        ..TrainRow::default()
    }
}

/// One measured row with what its prediction needs.
struct Case<'a> {
    id: &'a str,
    source: String,
    metric: TrainMetric,
    measured: f64,
    row: TrainRow<'a>,
    chip: &'a Chip,
    timer: &'a Timer<'a>,
}

/// Place of publication (host and two names), table of it where one lists several, and chip.
fn source(r: &Record) -> String {
    let parts: Vec<&str> = r["source_url"].split('/').skip(2).collect();
    let place = parts.iter().take(3).copied().collect::<Vec<_>>().join("/");
    let file =
        if place.ends_with("Megatron-LM") { parts.iter().skip(3).take(2).copied().collect::<Vec<_>>().join("/") } else { String::new() };
    let file: String = file.chars().take(10).collect();
    let chip: String = r["accelerator"].chars().filter(|c| c.is_alphanumeric()).collect::<String>().replace("NVIDIA", "");
    format!("{} {file} {}", parts.get(2).copied().unwrap_or(&place), chip.chars().take(5).collect::<String>())
}

/// ln(predicted/measured) of every row that is not refused.
fn residuals(cases: &[Case<'_>], constants: &ClusterConstants) -> Vec<Option<f64>> {
    let one = |c: &Case<'_>| {
        let found = predict(&c.row, c.chip, c.timer, constants).ok()?;
        Some((found.value(c.metric) / c.measured).ln()).filter(|r| r.is_finite())
    };
    cases.iter().map(one).collect()
}

fn weights(cases: &[Case<'_>], left_out: &str) -> Vec<f64> {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for c in cases {
        *counts.entry(&c.source).or_default() += 1.0;
    }
    cases.iter().map(|c| if c.source == left_out { 0.0 } else { 1.0 / counts[c.source.as_str()] }).collect()
}

fn loss(residuals: &[Option<f64>], weights: &[f64]) -> f64 {
    let soft = |r: f64| 2.0 * ((1.0 + (r / SCALE).powi(2)).sqrt() - 1.0);
    residuals.iter().zip(weights).map(|(r, w)| w * r.map_or(0.0, soft)).sum()
}

fn with(tables: &Tables, keys: &[String], logs: &[f64]) -> Outcome<Tables> {
    let mut out = tables.clone();
    for (key, log) in keys.iter().zip(logs) {
        out.override_row(key, log.exp()).map_err(|e| e.to_string())?;
    }
    Ok(out)
}

fn constants(tables: &Tables) -> Outcome<ClusterConstants> {
    Ok(ClusterConstants::from_tables(tables)?)
}

/// Solves a small system by elimination with pivots.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&x, &y| a[x][i].abs().total_cmp(&a[y][i].abs())).unwrap_or(i);
        a.swap(i, pivot);
        b.swap(i, pivot);
        let row = a[i].clone();
        for j in i + 1..n {
            let f = a[j][i] / row[i];
            a[j].iter_mut().zip(&row).skip(i).for_each(|(cell, above)| *cell -= f * above);
            b[j] -= f * b[i];
        }
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            b[i] -= a[i][k] * b[k];
        }
        b[i] /= a[i][i];
    }
    b
}

/// Fitted logarithms of the constants.
fn fit(cases: &[Case<'_>], tables: &Tables, keys: &[String], left_out: &str) -> Outcome<Vec<f64>> {
    let weights = weights(cases, left_out);
    let mut at = Vec::new();
    for key in keys {
        let (item, parameter) = key.rsplit_once('.').ok_or("KEY is item.parameter")?;
        at.push(tables.row(item, parameter)?.value.ln());
    }
    let score = |logs: &[f64]| -> Outcome<Vec<Option<f64>>> { Ok(residuals(cases, &constants(&with(tables, keys, logs)?)?)) };
    let mut now = score(&at)?;
    let mut damp = 1e-2;
    for _ in 0..ROUNDS {
        let mut slopes = Vec::new();
        for i in 0..keys.len() {
            let mut moved = at.clone();
            moved[i] -= 0.02;
            slopes.push(score(&moved)?);
        }
        let slope = |k: usize, i: usize| match (slopes[k][i], now[i]) {
            (Some(m), Some(r)) => (r - m) / 0.02,
            _ => 0.0,
        };
        let n = keys.len();
        let (mut a, mut b) = (vec![vec![0.0; n]; n], vec![0.0; n]);
        for (i, w) in weights.iter().enumerate() {
            let r = now[i].unwrap_or(0.0);
            let w = w / (1.0 + (r / SCALE).powi(2)).sqrt();
            for k in 0..n {
                b[k] -= w * slope(k, i) * r;
                for (l, cell) in a[k].iter_mut().enumerate() {
                    *cell += w * slope(k, i) * slope(l, i);
                }
            }
        }
        let mut better = false;
        for _ in 0..6 {
            let mut damped = a.clone();
            for (k, line) in damped.iter_mut().enumerate() {
                line[k] += damp * (line[k] + 1e-4);
            }
            let next: Vec<f64> = at.iter().zip(solve(damped, b.clone())).map(|(x, d)| x + d.clamp(-0.5, 0.5)).collect();
            let Ok(found) = score(&next) else { break };
            if loss(&found, &weights) < loss(&now, &weights) - 1e-6 {
                (at, now, better) = (next, found, true);
                damp *= 0.3;
                break;
            }
            damp *= 4.0;
        }
        // Where the loss has kinks, one constant at a time.
        for i in 0..keys.len() {
            for step in [0.05, -0.05, 0.01, -0.01] {
                let mut next = at.clone();
                next[i] += step;
                let Ok(found) = score(&next) else { continue };
                if loss(&found, &weights) < loss(&now, &weights) - 1e-4 {
                    (at, now, better) = (next, found, true);
                }
            }
        }
        if !better {
            break;
        }
    }
    Ok(at)
}

/// Rows, MAPE, median, 90th percentile, largest, bias, all in per cent.
fn line(name: &str, mut errors: Vec<f64>) -> String {
    let n = errors.len();
    let bias = errors.iter().sum::<f64>() / n as f64;
    errors.iter_mut().for_each(|e| *e = e.abs());
    errors.sort_by(f64::total_cmp);
    let rank = |q: f64| errors[((q * n as f64).ceil() as usize).saturating_sub(1).min(n - 1)];
    let mean = errors.iter().sum::<f64>() / n as f64;
    format!("{name:<48} {n:>4} {mean:>6.2} {:>6.2} {:>6.2} {:>6.1} {bias:>+6.1}", rank(0.5), rank(0.9), rank(1.0))
}

fn table(cases: &[Case<'_>], residuals: &[Option<f64>]) {
    println!("{:<48} {:>4} {:>6} {:>6} {:>6} {:>6} {:>6}", "source", "rows", "MAPE", "median", "p90", "max", "bias");
    let mut by: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (c, r) in cases.iter().zip(residuals) {
        if let Some(r) = r {
            by.entry(&c.source).or_default().push((r.exp() - 1.0) * 100.0);
        }
    }
    for (name, errors) in &by {
        println!("{}", line(name, errors.clone()));
    }
    println!("{}", line("all", by.into_values().flatten().collect()));
}

fn mape(cases: &[Case<'_>], residuals: &[Option<f64>], source: Option<&str>) -> f64 {
    let of = cases.iter().zip(residuals).filter(|(c, _)| source.is_none_or(|s| c.source == s)).filter_map(|(_, r)| *r);
    let errors: Vec<f64> = of.map(|r| (r.exp() - 1.0).abs() * 100.0).collect();
    errors.iter().sum::<f64>() / errors.len().max(1) as f64
}

fn list(args: &[String], flag: &str) -> Vec<String> {
    let at = args.iter().position(|a| a == flag).and_then(|i| args.get(i + 1));
    at.map(|t| t.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

fn show(cases: &[Case<'_>], tables: &Tables, rows: bool) -> Outcome<()> {
    let c = constants(tables)?;
    let found = residuals(cases, &c);
    table(cases, &found);
    println!("loss {:.4}", loss(&found, &weights(cases, "")));
    for (case, r) in cases.iter().zip(&found).filter(|(_, r)| rows && r.is_some()) {
        let step = predict(&case.row, case.chip, case.timer, &c).map_err(|e| e.to_string())?.step;
        let share = |s: f64| s / step.time.value() * 100.0;
        let parts: Vec<String> = step
            .breakdown
            .parts()
            .iter()
            .filter(|p| share(p.1.value()) >= 0.05)
            .map(|p| format!("{} {:.1}", p.0, share(p.1.value())))
            .collect();
        let slow = if matches!(case.metric, TrainMetric::IterationTime | TrainMetric::PeakMemory) { 1.0 } else { -1.0 };
        let time = ((slow * r.unwrap_or(0.0)).exp() - 1.0) * 100.0;
        let l = step.layout;
        let m = step.memory;
        let memory =
            [m.weights, m.gradients, m.optimizer, m.activations, m.logits, m.reserved].map(|b| format!("{:.1}", b.value() / 1e9)).join("+");
        println!(
            "{:<40} {time:>+6.1} {:>8.3}s {memory} GB t{} p{} v{} d{} c{} mb{} {:?} {:?} | {}",
            case.id,
            step.time.value(),
            l.tensor_parallel,
            l.pipeline_parallel,
            l.virtual_stages,
            l.data_parallel,
            l.context_parallel,
            l.micro_batch,
            l.recompute,
            l.sharding,
            parts.join(" ")
        );
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let data = texts("data", ".csv")?;
    let parts: Vec<TableText<'_>> = data.iter().map(|(name, text)| TableText { name, text }).collect();
    let mut tables = Tables::parse(&parts, &fs::read_to_string("data/sources.toml")?).map_err(|e| format!("{e:?}"))?;
    let without = list(&args, "--without");
    for arg in args.iter().filter(|a| !without.contains(a) && !a.contains(',')) {
        if let Some((key, value)) = arg.split_once('=') {
            tables.override_row(key, value.parse()?).map_err(|e| e.to_string())?;
        }
    }
    let files = texts("data/chips", ".toml")?;
    let chips = ChipSet::parse(files.iter().map(|(n, t)| (n.as_str(), t.as_str()))).map_err(|e| format!("{e:?}"))?;
    let (models, rows) = (models()?, records(list(&args, "--table").first().map_or("validation/training_measured.csv", |t| t.as_str()))?);
    let chip_constants = ChipConstants::from_tables(&tables).map_err(|e| format!("{e:?}"))?;
    let mut timers: BTreeMap<&str, (&Chip, Timer<'_>)> = BTreeMap::new();
    for r in &rows {
        if let Some(chip) = chips.find(&r["accelerator"]) {
            timers.entry(&r["accelerator"]).or_insert_with(|| (chip, Timer::new(chip, &chip_constants)));
        }
    }
    let skip = list(&args, "--skip");
    let mut cases = Vec::new();
    for r in rows.iter().filter(|r| !skip.iter().any(|s| r["id"].contains(s.as_str()))) {
        let (Some(metric), Some((chip, timer)), Ok(measured)) =
            (TrainMetric::of(&r["metric"]), timers.get(r["accelerator"].as_str()), r["value"].parse())
        else {
            continue;
        };
        cases.push(Case { id: &r["id"], source: source(r), metric, measured, row: row(r, &models), chip, timer });
    }
    let keys = list(&args, "--fit");
    if !keys.is_empty() {
        let at = fit(&cases, &tables, &keys, "")?;
        for (key, log) in keys.iter().zip(&at) {
            println!("{key} {:.4}", log.exp());
        }
        tables = with(&tables, &keys, &at)?;
    }
    show(&cases, &tables, args.iter().any(|a| a == "--rows"))?;
    if args.iter().any(|a| a == "--leave") {
        let mut sources: Vec<String> = cases.iter().map(|c| c.source.clone()).collect();
        sources.sort();
        sources.dedup();
        for source in sources {
            let at = fit(&cases, &tables, &keys, &source)?;
            let found = residuals(&cases, &constants(&with(&tables, &keys, &at)?)?);
            let errors = cases.iter().zip(&found).filter(|(c, _)| c.source == source).filter_map(|(_, r)| *r);
            println!("without {}", line(&source, errors.map(|r| (r.exp() - 1.0) * 100.0).collect()));
        }
    }
    for change in &without {
        let (key, value) = change.split_once('=').ok_or("--without takes KEY=VALUE")?;
        let mut changed = tables.clone();
        changed.override_row(key, value.parse()?).map_err(|e| e.to_string())?;
        let left: Vec<String> = keys.iter().filter(|k| *k != key).cloned().collect();
        let raw = mape(&cases, &residuals(&cases, &constants(&changed)?), None);
        let again = with(&changed, &left, &fit(&cases, &changed, &left, "")?)?;
        println!("{change}: {raw:.2} %, fitted anew {:.2} %", mape(&cases, &residuals(&cases, &constants(&again)?), None));
    }
    Ok(())
}
