//! Rows of a training table: step time and what follows from it.

use tetra_chip::{Chip, Timer};
use tetra_cluster::train::diffusion_step;
use tetra_cluster::{Network, TrainMetric, TrainPrediction, TrainRow, Trained, predict as predict_training};
use tetra_quantity::{HOUR_S, Seconds};

use super::benchmark::Benchmark;
use super::interval::{with_interval, with_skew};
use super::named::Sizes;
use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, widths, words};

/// The measurement of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    vec![Row::new(record, "training", record.word("metric"), record.number("value"), value(record, bench))]
}

fn value(record: &Record, bench: &Bench) -> Result<Prediction, String> {
    let chip = bench.chip_of(record)?;
    let timer = Timer::new(chip, &bench.chip);
    let predicted = |row: &TrainRow<'_>| predict_training(row, chip, &timer, &bench.cluster).map_err(|e| e.to_string());
    let row = row(record, bench)?;
    let (metric, unit) = (record.word("metric").to_lowercase(), record.word("unit"));
    let value = match metric.as_str() {
        "mlperf_time_to_train" | "time_to_train" => {
            let name = record.text("model").ok_or("column model is blank")?;
            let benchmark = bench.benchmarks.find(name).ok_or("no benchmark of this name in benchmarks.toml")?;
            let unit = if unit.is_empty() { "min" } else { unit };
            seconds_to_train(&row, benchmark, (chip, &timer, bench), predicted)? / HOUR_S * words::hours(unit)
        }
        "accel_hours" | "gpu_hours" | "chip_hours" => {
            let (tokens, batch) = tokens_of(record.word("notes"));
            let tokens = Some(tokens.ok_or("the tokens of the run are not stated")?);
            // Batches are stated in round tokens and are powers of two in sequences.
            let sequences = batch.zip(row.sequence).map(|(t, s)| (t / s as f64).log2().round().exp2() as u64);
            let row = TrainRow { tokens, global_batch: row.global_batch.or(sequences), ..row };
            predicted(&row)?.run.map(|r| r.chip_hours).ok_or("the run was not predicted")? * words::hours(unit)
        }
        word => {
            let metric = TrainMetric::of(word).ok_or("this metric is not modelled")?;
            let row = with_adapters(&row, record.word("model"), chip, bench);
            predicted(&row)?.value(metric) * words::scale(metric, unit)
        }
    };
    let (error, widen) = (&bench.error, widths(chip, &bench.error));
    match TrainMetric::of(&metric) {
        None => with_skew(value, error.run, widen, true),
        Some(TrainMetric::PeakMemory) => with_interval(value, error.training_memory * widen),
        Some(metric) => with_skew(value, error.step, widen, metric == TrainMetric::IterationTime),
    }
}

/// The row, where the name of its model says that low-rank adapters are trained: by the rules of the benchmark of that name, else of the first that trains adapters.
fn with_adapters<'a>(row: &TrainRow<'a>, name: &str, chip: &Chip, bench: &'a Bench) -> TrainRow<'a> {
    let own = bench.benchmarks.find(name).filter(|b| b.adapters.is_some());
    let any = || bench.benchmarks.with_adapters().filter(|_| name.to_lowercase().contains("lora"));
    let Some(rank) = own.or_else(any).and_then(|b| b.adapters) else { return *row };
    let blank = |b: &'a Benchmark| if row.precision.is_empty() { b.format(chip) } else { row.precision };
    TrainRow {
        trained: Trained::Adapters(rank),
        sequence: row.sequence.or(own.map(|b| b.sequence)),
        pipeline_parallel: row.pipeline_parallel.or(own.and_then(|b| b.stages)),
        precision: own.map_or(row.precision, blank),
        ..*row
    }
}

/// Seconds to the target of a benchmark: what the row leaves blank is taken from the benchmark's rules.
fn seconds_to_train(
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
        return Ok(benchmark.convergence.time(batch, step.time, Seconds::ZERO).value());
    }
    let asked = TrainRow {
        sequence: row.sequence.or(Some(benchmark.sequence)),
        precision: if row.precision.is_empty() { benchmark.format(chip) } else { row.precision },
        pipeline_parallel: row.pipeline_parallel.or(benchmark.stages),
        trained: benchmark.adapters.map_or(Trained::All, Trained::Adapters),
        convergence: Some(benchmark.convergence),
        ..*row
    };
    predicted(&asked)?.target.map(|t| t.time.value()).ok_or_else(|| "the run was not predicted".into())
}

/// Tokens of a run and of its batch, as notes state them: `2.0T tokens, global batch 4M tokens`, `14.8 trillion tokens`, `15T+ tokens`.
fn tokens_of(notes: &str) -> (Option<f64>, Option<f64>) {
    let (mut run, mut batch) = (None, None);
    for part in notes.split([',', ';']) {
        let words: Vec<&str> = part.split_whitespace().map(|w| w.trim_matches(['+', '~', '(', ')'])).collect();
        for (i, _) in words.iter().enumerate().filter(|(_, w)| w.starts_with("token")) {
            let into = if words.contains(&"batch") { &mut batch } else { &mut run };
            *into = into.or(count(&words[..i]));
        }
    }
    (run, batch)
}

/// The count that words end with: `2.0T`, `366B`, `4M`, `14.8 trillion`, `per trillion`.
fn count(words: &[&str]) -> Option<f64> {
    let (last, before) = words.split_last()?;
    let number = |word: &str| word.trim_matches(['+', '~']).parse::<f64>().ok();
    let (value, unit) = match number(&last[..last.len().saturating_sub(1)]) {
        Some(value) => (Some(value), last.chars().next_back()?),
        None => (before.last().map_or(Some(1.0), |w| if *w == "per" { Some(1.0) } else { number(w) }), last.chars().next()?),
    };
    let scale = match unit.to_ascii_uppercase() {
        'T' => 1e12,
        'B' => 1e9,
        'M' => 1e6,
        _ => return None,
    };
    Some(value? * scale)
}

fn row<'a>(record: &'a Record, bench: &'a Bench) -> Result<TrainRow<'a>, String> {
    let recompute = words::recompute(record.word("recompute"))?;
    let sequence_parallel = words::flag("sp", record.word("sp"))?;
    let (name, sizes) = (record.text("model"), Sizes::of(record.word("model")));
    let parameters = record.number("params_b")?.map(|b| b * 1e9);
    Ok(TrainRow {
        model: name.and_then(|name| bench.model_meant(name, parameters)),
        // A model of experts that is not known is as fast as a dense one of the parameters of one token.
        parameters: sizes.active.or(parameters).or(sizes.total),
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
