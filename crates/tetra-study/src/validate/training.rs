//! Rows of a training table: step time and what follows from it.

use tetra_chip::Timer;
use tetra_cluster::{Recompute, TrainMetric, TrainRow, predict as predict_training};

use super::interval::with_interval;
use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, widths};

/// The measurement of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    vec![Row::new(record, "training", record.word("metric"), record.number("value"), value(record, bench))]
}

fn value(record: &Record, bench: &Bench) -> Result<Prediction, String> {
    let metric = match record.word("metric") {
        "mlperf_time_to_train" => return Err("needs convergence".into()),
        "accel_hours" => return Err("needs the count of steps".into()),
        word => TrainMetric::of(word).ok_or("this metric is not modelled")?,
    };
    let chip = bench.chip_of(record)?;
    let timer = Timer::new(chip, &bench.chip);
    let found = predict_training(&row(record, bench)?, chip, &timer, &bench.cluster).map_err(|e| e.to_string())?;
    with_interval(found.value(metric), bench.error.training * widths(chip, &bench.error))
}

fn row<'a>(record: &'a Record, bench: &'a Bench) -> Result<TrainRow<'a>, String> {
    let recompute = match record.text("recompute") {
        None => None,
        Some("none" | "false") => Some(Recompute::None),
        Some(word) if word.starts_with("selective") => Some(Recompute::Selective),
        Some("full" | "true") => Some(Recompute::Full),
        Some(_) => return Err("column recompute holds a word that is not known".into()),
    };
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
        kernels: None,
    })
}
