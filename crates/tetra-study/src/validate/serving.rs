//! Rows of a serving table: TTFT and TPOT of an engine at a stated layout and concurrency.

use tetra_chip::Timer;
use tetra_cluster::Network;
use tetra_cluster::serve::{Bench as ServeBench, ServingRow, WorkerRow, predict as predict_serving};

use super::interval::with_interval;
use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, widths};

/// Both measurements of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    let found = both(record, bench);
    let mode = record.text("mode").unwrap_or("aggregated");
    let part = |pick: fn(&(Prediction, Prediction)) -> Prediction| found.as_ref().map(pick).map_err(Clone::clone);
    vec![
        Row::new(record, mode, "ttft_ms", record.number("ttft_ms"), part(|p| p.0)),
        Row::new(record, mode, "tpot_ms", record.number("tpot_ms"), part(|p| p.1)),
    ]
}

fn both(record: &Record, bench: &Bench) -> Result<(Prediction, Prediction), String> {
    let (model, chip) = (bench.model_of(record)?, bench.chip_of(record)?);
    let row = row(record)?;
    let timer = Timer::new(chip, &bench.chip);
    let network = Network::of(chip, &bench.cluster);
    let serve = ServeBench { model, chip, timer: &timer, network: &network, constants: &bench.serve, service: None };
    let p = predict_serving(&row, &serve).map_err(|e| e.to_string())?;
    let factor = widths(chip, &bench.error);
    Ok((with_interval(p.ttft.value() * 1e3, bench.error.ttft * factor)?, with_interval(p.tpot.value() * 1e3, bench.error.tpot * factor)?))
}

fn row(record: &Record) -> Result<ServingRow, String> {
    let text = |column: &str| record.text(column).map(str::to_owned);
    let worker = |prefix: &str| -> Result<WorkerRow, String> {
        let count = |name: &str| record.count(&format!("{prefix}{name}"));
        Ok(WorkerRow {
            batch: count("batch_size")?,
            workers: if prefix.is_empty() { None } else { count("num_workers")? },
            tensor_parallel: count("tp_size")?,
            pipeline_parallel: count("pp_size")?,
            attention_data: count("attention_dp_size")?,
            expert_tensor: count("moe_tp_size")?,
            expert_parallel: count("moe_ep_size")?,
        })
    };
    Ok(ServingRow {
        precision: text("precision"),
        gemm_precision: text("gemm_precision"),
        moe_precision: text("moe_precision"),
        mode: text("mode"),
        input: record.count("input_len")?,
        output: record.count("output_len")?,
        worker: worker("")?,
        prefill: worker("prefill_")?,
        decode: worker("decode_")?,
    })
}
