//! The rows of the kernel table as ops on chips, and the error of a set of them.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use tetra_chip::{Chip, ChipConstants, ChipSet, KernelColumns, Launch, kernel_time, launches_of, op_of};
use tetra_workload::Op;

pub struct KernelRow {
    pub name: String,
    pub accelerator: String,
    pub notes: String,
    pub op: Op,
    pub launches: u64,
    pub chip: Chip,
    pub launch: Launch,
    pub seconds: f64,
}

/// Rows that run on one chip.
pub fn kernel_rows(set: &ChipSet) -> Vec<KernelRow> {
    let config = std::fs::read_to_string(super::root().join("models/GPT-3-175B.json")).unwrap();
    let model = tetra_workload::hf::read_config("GPT-3-175B", &config).unwrap();
    let mut reader = csv::Reader::from_path(super::root().join("validation/kernel_measured.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.unwrap();
        let get = |name: &str| record[at(name)].to_owned();
        let (name, notes) = (get("op"), get("notes"));
        let count = |column: &str| get(column).parse().ok();
        let columns = KernelColumns {
            op: &name,
            m: count("m"),
            n: count("n"),
            k: count("k"),
            precision: &get("precision"),
            notes: &notes,
            model: name.starts_with("gpt3-layer").then_some(&model),
        };
        let Ok(op) = op_of(&columns) else { continue };
        rows.push(KernelRow {
            launches: launches_of(&columns),
            op,
            chip: set.find(&get("accelerator")).unwrap().clone(),
            launch: Launch::of_notes(&notes),
            seconds: get("value").parse().unwrap(),
            accelerator: get("accelerator"),
            name,
            notes,
        });
    }
    rows
}

pub fn predicted(row: &KernelRow, constants: &ChipConstants) -> f64 {
    kernel_time(&row.op, &row.chip, constants, row.launch).value() * row.launches as f64
}

/// Mean and 95th percentile of the absolute error in per cent.
pub fn score<'a>(rows: impl Iterator<Item = &'a KernelRow>, constants: &ChipConstants) -> (f64, f64) {
    let mut errors: Vec<f64> = rows.map(|r| 100.0 * (predicted(r, constants) / r.seconds - 1.0).abs()).collect();
    errors.sort_by(f64::total_cmp);
    let last = (0.95 * errors.len() as f64).ceil() as usize;
    (errors.iter().sum::<f64>() / errors.len() as f64, errors[last - 1])
}

type Knob = fn(&mut ChipConstants) -> &mut f64;

/// The constants of matrix products that a fit may move, with the bounds that physics sets.
pub const KNOBS: [(&str, Knob, f64, f64); 7] = [
    ("hbm_read_fraction", |c| &mut c.kernels.hbm_read_fraction, 0.8, 0.96),
    ("array_fraction", |c| &mut c.kernels.array_fraction, 0.9, 1.0),
    ("global_fraction", |c| &mut c.kernels.global_fraction, 0.5, 1.0),
    ("trip", |c| &mut c.kernels.trip_s, 0.3e-6, 6e-6),
    ("launch", |c| &mut c.kernels.launch_s, 0.5e-6, 6e-6),
    ("host_matrix", |c| &mut c.kernels.host_matrix_s, 15e-6, 30e-6),
    ("array_edge", |c| &mut c.energy.edge_j_per_byte, 0.5e-12, 6e-12),
];

/// Coordinate search that lowers the weighted mean of the absolute logarithm of predicted over measured time.
pub fn fit(rows: &[(&KernelRow, f64)], start: &ChipConstants, knobs: &[(&str, Knob, f64, f64)]) -> ChipConstants {
    let loss = |c: &ChipConstants| {
        let each = rows.iter().map(|(r, w)| {
            let e = (predicted(r, c) / r.seconds).ln().abs();
            w * (e + 4.0 * e * e)
        });
        each.sum::<f64>()
    };
    let (mut best, mut step) = (start.clone(), 0.1);
    let mut least = loss(&best);
    while step > 0.002 {
        let mut better = false;
        for &(_, knob, low, high) in knobs {
            for factor in [1.0 + step, 1.0 / (1.0 + step)] {
                let mut trial = best.clone();
                let value = (*knob(&mut trial) * factor).clamp(low, high);
                *knob(&mut trial) = value;
                let found = loss(&trial);
                if found < least {
                    (best, least, better) = (trial, found, true);
                }
            }
        }
        if !better {
            step *= 0.5;
        }
    }
    best
}
