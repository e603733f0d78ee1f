//! Rows of an inference table: throughput and latency of a whole service or benchmark.

use tetra_chip::Timer;
use tetra_cluster::Network;
use tetra_cluster::serve::{Bench as ServeBench, InferenceRow, predict_inference};

use super::interval::with_interval;
use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, widths};

/// The measurement of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    vec![Row::new(record, record.word("phase"), record.word("metric"), record.number("value"), value(record, bench))]
}

fn value(record: &Record, bench: &Bench) -> Result<Prediction, String> {
    let row = row(record)?;
    let model = bench.model_of(record);
    // An image service is refused as such, whether or not its model is known.
    if let (Err(_), Err(refusal)) = (&model, predict_inference(&row, None))
        && matches!(refusal, tetra_cluster::serve::Refusal::Diffusion)
    {
        return Err(refusal.to_string());
    }
    let (model, chip) = (model?, bench.chip_of(record)?);
    let timer = Timer::new(chip, &bench.chip);
    let network = Network::of(chip, &bench.cluster);
    let serve = ServeBench {
        model,
        chip,
        timer: &timer,
        network: &network,
        constants: &bench.serve,
        service: bench.services.find(record.word("model")).map(|s| &s.service),
    };
    let found = predict_inference(&row, Some(&serve)).map_err(|e| e.to_string())?;
    let width = match row.metric.as_str() {
        m if m.contains("first_token") || m.starts_with("ttft") => bench.error.ttft,
        m if m.starts_with("tpot") => bench.error.tpot,
        _ => bench.error.throughput,
    };
    with_interval(found.value, width * widths(chip, &bench.error))
}

fn row(record: &Record) -> Result<InferenceRow, String> {
    let text = |column: &str| record.text(column).map(str::to_owned);
    Ok(InferenceRow {
        chips: record.count("n_accel")?,
        tensor_parallel: record.count("tp")?,
        pipeline_parallel: record.count("pp")?,
        precision: text("precision"),
        batch: record.count("batch")?,
        input: record.number("input_len")?,
        output: record.number("output_len")?,
        phase: text("phase"),
        metric: record.word("metric").to_owned(),
        unit: record.word("unit").to_owned(),
    })
}
