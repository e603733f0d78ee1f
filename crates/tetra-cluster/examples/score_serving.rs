//! Scores the serving and inference predictions against the tables of `validation/`: `score_serving [KEY=VALUE …] [--rows]`, run from the root of the
//! repository; `KEY` is a row of the data tables.

mod shared;

use std::collections::BTreeMap;
use std::fs;

use shared::{Outcome, Record, models, records, texts};
use tetra_chip::{Chip, ChipConstants, ChipSet, Timer};
use tetra_cluster::serve::{Bench, InferenceRow, ServeConstants, ServingRow, WorkerRow, predict, predict_inference};
use tetra_cluster::{ClusterConstants, Network};
use tetra_quantity::{TableText, Tables};
use tetra_workload::Model;

/// One scored figure.
struct Figure {
    groups: Vec<String>,
    id: String,
    measured: f64,
    predicted: Option<f64>,
    note: String,
}

struct World {
    tables: Tables,
    chips: ChipSet,
    models: BTreeMap<String, Model>,
}

fn world() -> Outcome<World> {
    let data = texts("data", ".csv")?;
    let list: Vec<TableText<'_>> = data.iter().map(|(name, text)| TableText { name, text }).collect();
    let mut tables = Tables::parse(&list, &fs::read_to_string("data/sources.toml")?).map_err(|e| format!("{e:?}"))?;
    for arg in std::env::args().skip(1) {
        if let Some((key, value)) = arg.split_once('=') {
            tables.override_row(key, value.parse()?).map_err(|e| e.to_string())?;
        }
    }
    let files = texts(&std::env::var("CHIPS").unwrap_or_else(|_| "data/chips".into()), ".toml")?;
    let chips = ChipSet::parse(files.iter().map(|(n, t)| (n.as_str(), t.as_str()))).map_err(|e| format!("{e:?}"))?;
    Ok(World { tables, chips, models: models()? })
}

/// The model of a name, with or without its maker.
fn model_of<'a>(world: &'a World, name: &str) -> Option<&'a Model> {
    let name = name.to_lowercase();
    world.models.get(&name).or_else(|| world.models.get(name.rsplit('/').next().unwrap_or(&name)))
}

fn number(record: &Record, column: &str) -> Option<f64> {
    record.get(column).and_then(|t| t.trim().parse().ok())
}

fn count(record: &Record, column: &str) -> Option<u64> {
    number(record, column).filter(|n| *n >= 0.0).map(|n| n as u64)
}

fn text(record: &Record, column: &str) -> Option<String> {
    record.get(column).filter(|t| !t.trim().is_empty()).cloned()
}

fn worker(record: &Record, before: &str) -> WorkerRow {
    let of = |column: &str| count(record, &format!("{before}{column}"));
    WorkerRow {
        batch: of("batch_size"),
        workers: of("num_workers"),
        tensor_parallel: of("tp_size"),
        pipeline_parallel: of("pp_size"),
        attention_data: of("attention_dp_size"),
        expert_tensor: of("moe_tp_size"),
        expert_parallel: of("moe_ep_size"),
    }
}

fn serving_row(r: &Record) -> ServingRow {
    ServingRow {
        precision: text(r, "precision"),
        gemm_precision: text(r, "gemm_precision"),
        moe_precision: text(r, "moe_precision"),
        mode: text(r, "mode"),
        input: count(r, "input_len"),
        output: count(r, "output_len"),
        worker: worker(r, ""),
        prefill: worker(r, "prefill_"),
        decode: worker(r, "decode_"),
    }
}

fn inference_row(r: &Record) -> InferenceRow {
    InferenceRow {
        chips: count(r, "n_accel"),
        tensor_parallel: count(r, "tp"),
        pipeline_parallel: count(r, "pp"),
        precision: text(r, "precision"),
        batch: count(r, "batch"),
        input: number(r, "input_len"),
        output: number(r, "output_len"),
        phase: text(r, "phase"),
        metric: text(r, "metric").unwrap_or_default(),
        unit: text(r, "unit").unwrap_or_default(),
    }
}

fn groups(metric: &str, r: &Record, columns: &[&str]) -> Vec<String> {
    let mut all = vec![metric.to_owned()];
    for column in columns {
        all.push(format!("{metric} {column}={}", r.get(*column).map_or("", |s| s.as_str())));
    }
    all
}

fn score_serving(world: &World, figures: &mut Vec<Figure>) -> Outcome<()> {
    let serve = ServeConstants::from_tables(&world.tables)?;
    let cluster = ClusterConstants::from_tables(&world.tables)?;
    let chip_constants = ChipConstants::from_tables(&world.tables).map_err(|e| format!("{e:?}"))?;
    let mut timers: BTreeMap<String, (Timer<'_>, Network, &Chip)> = BTreeMap::new();
    for r in records("validation/serving_measured.csv")? {
        let name = text(&r, "accelerator").unwrap_or_default();
        let Some(chip) = world.chips.find(&name) else { return Err(format!("no chip {name}").into()) };
        let (timer, network, chip) =
            timers.entry(name).or_insert_with(|| (Timer::new(chip, &chip_constants), Network::of(chip, &cluster), chip));
        let model = model_of(world, &text(&r, "model").unwrap_or_default());
        let row = serving_row(&r);
        let found = match model {
            Some(model) => {
                predict(&row, &Bench { model, chip, timer, network, constants: &serve, service: None }).map_err(|e| e.to_string())
            }
            None => Err("model not known".into()),
        };
        for (metric, column) in [("ttft", "ttft_ms"), ("tpot", "tpot_ms")] {
            let Some(measured) = number(&r, column).filter(|m| *m > 0.0) else { continue };
            let predicted = found.as_ref().ok().map(|p| if metric == "ttft" { p.ttft.value() } else { p.tpot.value() } * 1e3);
            let metric = &format!("{} {metric}", &r["mode"][..3]);
            let mut list = groups(
                metric,
                &r,
                &[
                    "model",
                    "accelerator",
                    "engine",
                    "tp_size",
                    "attention_dp_size",
                    "batch_size",
                    "input_len",
                    "output_len",
                    "gemm_precision",
                ],
            );
            let batch = row.worker.batch.or(row.decode.batch);
            list.push(format!("{metric} has_batch={}", batch.is_some()));
            let note = match &found {
                Ok(p) => {
                    let parts: Vec<String> =
                        if metric.ends_with("tpot") { p.serving.tpot_parts.rows() } else { p.serving.ttft_parts.rows() }
                            .iter()
                            .filter(|x| x.1.value() > 0.0)
                            .map(|x| format!("{} {:.2}", x.0, x.1.value() * 1e3))
                            .collect();
                    let columns = [
                        "engine",
                        "model",
                        "accelerator",
                        "gemm_precision",
                        "input_len",
                        "output_len",
                        "batch_size",
                        "tp_size",
                        "attention_dp_size",
                        "moe_tp_size",
                        "moe_ep_size",
                    ];
                    let given: Vec<&str> = columns.iter().map(|c| r[*c].as_str()).collect();
                    format!("{} | batch {} | {}", given.join(" "), p.serving.layout.batch, parts.join(" "))
                }
                Err(e) => e.clone(),
            };
            figures.push(Figure { groups: list, id: r["id"].clone(), measured, predicted, note });
        }
    }
    Ok(())
}

fn score_inference(world: &World, figures: &mut Vec<Figure>) -> Outcome<()> {
    let serve = ServeConstants::from_tables(&world.tables)?;
    let cluster = ClusterConstants::from_tables(&world.tables)?;
    let chip_constants = ChipConstants::from_tables(&world.tables).map_err(|e| format!("{e:?}"))?;
    for r in records("validation/inference_measured.csv")? {
        let name = text(&r, "accelerator").unwrap_or_default();
        let Some(chip) = world.chips.find(&name) else { return Err(format!("no chip {name}").into()) };
        let timer = Timer::new(chip, &chip_constants);
        let network = Network::of(chip, &cluster);
        let model = model_of(world, &text(&r, "model").unwrap_or_default());
        let row = inference_row(&r);
        let bench = model.map(|model| Bench { model, chip, timer: &timer, network: &network, constants: &serve, service: None });
        let found = predict_inference(&row, bench.as_ref());
        let Some(measured) = number(&r, "value").filter(|m| *m > 0.0) else { continue };
        let metric = format!("inf {} {}", r["phase"], r["metric"]);
        let note = match &found {
            Ok(p) => format!(
                "{} {} x{} tp{} {} b{} {}/{} | {:?} filled {:?}",
                r["model"],
                r["accelerator"],
                r["n_accel"],
                r["tp"],
                r["precision"],
                r["batch"],
                r["input_len"],
                r["output_len"],
                p.serving.layout,
                p.filled
            ),
            Err(e) => e.to_string(),
        };
        let list = groups(&metric, &r, &["model", "accelerator"]);
        figures.push(Figure { groups: list, id: r["id"].clone(), measured, predicted: found.ok().map(|p| p.value), note });
    }
    Ok(())
}

fn quantile(sorted: &[f64], at: f64) -> f64 {
    if sorted.is_empty() { f64::NAN } else { sorted[((sorted.len() - 1) as f64 * at).round() as usize] }
}

fn show(figures: &[Figure], rows: bool) {
    if rows {
        for f in figures {
            let error = f.predicted.map_or(f64::NAN, |p| p / f.measured - 1.0);
            println!(
                "{}\t{}\t{:.3}\t{:.3}\t{:+.1}%\t{}",
                f.groups[0],
                f.id,
                f.measured,
                f.predicted.unwrap_or(f64::NAN),
                error * 100.0,
                f.note
            );
        }
        return;
    }
    let mut all: BTreeMap<&str, (Vec<f64>, Vec<f64>, usize)> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for f in figures {
        if f.predicted.is_none() {
            *reasons.entry(f.note.as_str()).or_default() += 1;
        }
        for g in &f.groups {
            let entry = all.entry(g).or_default();
            match f.predicted {
                Some(p) => {
                    entry.0.push((p / f.measured - 1.0).abs() * 100.0);
                    entry.1.push((p / f.measured).ln());
                }
                None => entry.2 += 1,
            }
        }
    }
    println!("{:<60} {:>6} {:>6} {:>8} {:>8} {:>8} {:>8}", "group", "rows", "refused", "mape", "median", "p90", "bias(ln)");
    for (g, (mut e, mut l, refused)) in all {
        e.sort_by(f64::total_cmp);
        l.sort_by(f64::total_cmp);
        let mean = e.iter().sum::<f64>() / e.len().max(1) as f64;
        println!(
            "{g:<60} {:>6} {refused:>6} {mean:>8.1} {:>8.1} {:>8.1} {:>+8.2}",
            e.len(),
            quantile(&e, 0.5),
            quantile(&e, 0.9),
            quantile(&l, 0.5)
        );
    }
    for (reason, n) in reasons {
        println!("refused {n}: {reason}");
    }
}

fn main() -> Outcome<()> {
    let world = world()?;
    let rows = std::env::args().any(|a| a == "--rows");
    let mut figures = Vec::new();
    let start = std::time::Instant::now();
    score_serving(&world, &mut figures)?;
    score_inference(&world, &mut figures)?;
    eprintln!("{} figures in {:?}", figures.len(), start.elapsed());
    show(&figures, rows);
    Ok(())
}
