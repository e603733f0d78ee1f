//! Rows of a training table: step time and what follows from it.

use tetra_chip::{Chip, Timer};
use tetra_cluster::train::diffusion_step;
use tetra_cluster::{Network, Recompute, TrainMetric, TrainPrediction, TrainRow, Trained, predict as predict_training};
use tetra_quantity::Seconds;

use super::benchmark::Benchmark;
use super::interval::{with_interval, with_skew};
use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, widths};

/// Seconds in a minute.
const MINUTE_S: f64 = 60.0;

/// The measurement of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    vec![Row::new(record, "training", record.word("metric"), record.number("value"), value(record, bench))]
}

fn value(record: &Record, bench: &Bench) -> Result<Prediction, String> {
    let chip = bench.chip_of(record)?;
    let timer = Timer::new(chip, &bench.chip);
    let predicted = |row: &TrainRow<'_>| predict_training(row, chip, &timer, &bench.cluster).map_err(|e| e.to_string());
    let row = row(record, bench)?;
    let value = match record.word("metric") {
        "mlperf_time_to_train" => {
            let name = record.text("model").ok_or("column model is blank")?;
            let benchmark = bench.benchmarks.find(name).ok_or("no benchmark of this name in benchmarks.toml")?;
            minutes_to_train(&row, benchmark, (chip, &timer, bench), predicted)?
        }
        "accel_hours" => {
            let (tokens, batch) = tokens_of(record.word("notes"));
            let tokens = Some(tokens.ok_or("the tokens of the run are not stated")?);
            // Batches are stated in round tokens and are powers of two in sequences.
            let sequences = batch.zip(row.sequence).map(|(t, s)| (t / s as f64).log2().round().exp2() as u64);
            let row = TrainRow { tokens, global_batch: row.global_batch.or(sequences), ..row };
            predicted(&row)?.run.map(|r| r.chip_hours).ok_or("the run was not predicted")?
        }
        word => predicted(&row)?.value(TrainMetric::of(word).ok_or("this metric is not modelled")?),
    };
    let (error, widen) = (&bench.error, widths(chip, &bench.error));
    match record.word("metric") {
        "peak_memory" => with_interval(value, error.training_memory * widen),
        "mlperf_time_to_train" | "accel_hours" => with_skew(value, error.run, widen, true),
        metric => with_skew(value, error.step, widen, metric == "iteration_time"),
    }
}

/// Minutes to the target of a benchmark: what the row leaves blank is taken from the benchmark's rules.
fn minutes_to_train(
    row: &TrainRow<'_>,
    benchmark: &Benchmark,
    (chip, timer, bench): (&Chip, &Timer<'_>, &Bench),
    predicted: impl Fn(&TrainRow<'_>) -> Result<TrainPrediction, String>,
) -> Result<f64, String> {
    let batch = row.global_batch.ok_or("column global_batch is blank")?;
    if let Some(unet) = bench.unets.get(&benchmark.model) {
        let network = Network::named(row.network, chip, &bench.cluster);
        let chips = row.chips.ok_or("column n_accel is blank")?;
        let step = diffusion_step(unet, (batch, chips), chip, timer, &network, &bench.cluster).map_err(|e| e.to_string())?;
        return Ok(benchmark.convergence.time(batch, step.time, Seconds::ZERO).value() / MINUTE_S);
    }
    let asked = TrainRow {
        sequence: row.sequence.or(Some(benchmark.sequence)),
        precision: if row.precision.is_empty() { benchmark.format(chip) } else { row.precision },
        pipeline_parallel: row.pipeline_parallel.or(benchmark.stages),
        trained: benchmark.adapters.map_or(Trained::All, Trained::Adapters),
        convergence: Some(benchmark.convergence),
        ..*row
    };
    predicted(&asked)?.target.map(|t| t.time.value() / MINUTE_S).ok_or_else(|| "the run was not predicted".into())
}

/// Tokens of a run and of its batch, as notes state them: `2.0T tokens, global batch 4M tokens`.
fn tokens_of(notes: &str) -> (Option<f64>, Option<f64>) {
    let (mut run, mut batch) = (None, None);
    for part in notes.split([',', ';']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        for pair in words.windows(2).filter(|p| p[1] == "tokens") {
            let into = if words.contains(&"batch") { &mut batch } else { &mut run };
            *into = into.or(count(pair[0]));
        }
    }
    (run, batch)
}

/// `2.0T`, `366B`, `4M`.
fn count(word: &str) -> Option<f64> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let scale = match unit {
        "T" => 1e12,
        "B" => 1e9,
        "M" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

fn row<'a>(record: &'a Record, bench: &'a Bench) -> Result<TrainRow<'a>, String> {
    let recompute = recompute(record)?;
    let sequence_parallel = match record.text("sp") {
        None => None,
        Some("true" | "True" | "1") => Some(true),
        Some("false" | "False" | "0") => Some(false),
        Some(_) => return Err("column sp is neither true nor false".into()),
    };
    Ok(TrainRow {
        model: record.text("model").and_then(|name| bench.model(name)),
        parameters: record.number("params_b")?.map(|b| b * 1e9),
        layers: record.count("layers")?,
        hidden: record.count("hidden")?,
        heads: record.count("heads")?,
        kv_heads: record.count("kv_heads")?,
        ffn: record.count("ffn")?,
        vocabulary: record.count("vocab")?,
        sequence: record.count("seq")?,
        global_batch: record.count("global_batch")?,
        micro_batch: record.count("micro_batch")?,
        tensor_parallel: record.count("tp")?,
        pipeline_parallel: record.count("pp")?,
        virtual_stages: record.count("vpp")?,
        data_parallel: record.count("dp")?,
        context_parallel: record.count("cp")?,
        expert_parallel: record.count("ep")?,
        sequence_parallel,
        recompute,
        precision: record.word("precision"),
        chips: record.count("n_accel")?,
        network: record.word("network"),
        framework: None,
        libraries: record.word("notes"),
        trained: Trained::All,
        tokens: None,
        convergence: None,
    })
}

fn recompute(record: &Record) -> Result<Option<Recompute>, String> {
    match record.text("recompute") {
        None => Ok(None),
        Some("none" | "false") => Ok(Some(Recompute::None)),
        Some(word) if word.starts_with("selective") => Ok(Some(Recompute::Selective)),
        Some("full" | "true") => Ok(Some(Recompute::Full)),
        Some(_) => Err("column recompute holds a word that is not known".into()),
    }
}
