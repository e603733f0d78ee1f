//! Rows of a kernel table: one op on one chip, or one collective.

use tetra_chip::{KernelColumns, KernelRefusal, Launch, kernel_time, launches_of, op_of};
use tetra_cluster::{Network, collective};
use tetra_workload::{Collective, CollectiveKind, DataType, Op, ParallelGroup};

use super::interval::with_interval;
use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, widths};

/// The measurement of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    vec![Row::new(record, record.word("op"), record.word("metric"), record.number("value"), value(record, bench))]
}

fn value(record: &Record, bench: &Bench) -> Result<Prediction, String> {
    if record.text("metric").is_some_and(|m| m != "latency") {
        return Err("this metric is not modelled".into());
    }
    let scale = match record.text("unit").unwrap_or("s") {
        "s" => 1.0,
        "ms" => 1e3,
        "us" => 1e6,
        _ => return Err("column unit is not s, ms or us".into()),
    };
    let chip = bench.chip_of(record)?;
    let columns = KernelColumns {
        op: record.word("op"),
        m: record.count("m")?,
        n: record.count("n")?,
        k: record.count("k")?,
        precision: record.word("precision"),
        notes: record.word("notes"),
        model: record.word("op").split_once("-layer:").and_then(|(name, _)| bench.model(name)),
    };
    let error = &bench.error;
    let (seconds, width) = match op_of(&columns) {
        Ok(op) => {
            let once = kernel_time(&op, chip, &bench.chip, Launch::of_notes(columns.notes));
            (once * launches_of(&columns) as f64, mechanism(&op, bench))
        }
        Err(KernelRefusal::Collective) => {
            let ranks = record.count("n_accel")?.ok_or("column n_accel is blank")?;
            (collective::time(&collective_of(record, bench)?, ranks, &Network::of(chip, &bench.cluster)), error.collective)
        }
        Err(refusal) => return Err(refusal.to_string()),
    };
    with_interval(seconds.value() * scale, width * widths(chip, error))
}

fn mechanism(op: &Op, bench: &Bench) -> f64 {
    match op {
        Op::Gemm(_) | Op::GroupedGemm(_) => bench.error.gemm,
        Op::Attention(_) => bench.error.attention,
        Op::Vector(_) => bench.error.vector,
        Op::Collective(_) => bench.error.collective,
    }
}

/// The collective of a row: its bytes as stated, or those of a layer's output when the op is one of a model's layer.
fn collective_of(record: &Record, bench: &Bench) -> Result<Collective, String> {
    let name = record.word("op");
    let (model, part) = name.split_once("-layer:").map_or((None, name), |(m, p)| (Some(m), p));
    let kind = match part.replace('_', "-").as_str() {
        p if p.starts_with("all-reduce") || p.starts_with("allreduce") => CollectiveKind::AllReduce,
        p if p.starts_with("all-gather") => CollectiveKind::AllGather,
        p if p.starts_with("reduce-scatter") => CollectiveKind::ReduceScatter,
        p if p.starts_with("all-to-all") => CollectiveKind::AllToAll,
        p if p.starts_with("send") => CollectiveKind::SendRecv,
        _ => return Err("op is not a known collective".into()),
    };
    let bytes = match (record.count("bytes")?, model) {
        (Some(bytes), _) => bytes,
        (None, None) => return Err("column bytes is blank".into()),
        (None, Some(model)) => {
            let model = bench.model(model).ok_or_else(|| format!("no config.json for model \"{model}\": add it with --models"))?;
            let format = record.text("precision").unwrap_or("fp16").parse::<DataType>();
            let format = format.map_err(|_| "column precision holds a word that is not known")?;
            format.bytes_of(stated_tokens(record.word("notes"))?.saturating_mul(model.hidden))
        }
    };
    Ok(Collective { kind, bytes, group: ParallelGroup::Tensor })
}

/// Tokens of a layer's run as a note states them: `… prefill TP4 batch 8 seq 2048`, `… decode TP4 batch 8 kv 3072`.
fn stated_tokens(notes: &str) -> Result<u64, String> {
    let words: Vec<&str> = notes.split_whitespace().collect();
    let after = |key: &str| words.windows(2).find(|w| w[0].eq_ignore_ascii_case(key)).and_then(|w| w[1].parse::<u64>().ok());
    let batch = after("batch").ok_or("the note states no batch")?;
    if words.contains(&"decode") {
        return Ok(batch);
    }
    Ok(batch.saturating_mul(after("seq").ok_or("the note states no seq length")?))
}
