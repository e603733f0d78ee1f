//! Eyeriss on its networks, systolic arrays by rule, and one convolution on two reference designs.

use tetra_chip::row_stationary::{Convolution, RowStationary, RowStationaryRun};
use tetra_chip::systolic::{Dataflow, Systolic};

use super::{Ask, width};
use crate::validate::Bench;
use crate::validate::row::Prediction;

/// Networks by word: item and images of a batch when the row states none.
const NETWORKS: [(&str, &str, u64); 2] = [("alexnet", "alexnet", 4), ("vgg", "vgg16", 3)];

fn text(e: tetra_quantity::DataError) -> String {
    e.to_string()
}

pub(super) fn eyeriss(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    let machine = RowStationary::from_tables(&bench.tables, "eyeriss").map_err(text)?;
    let (_, item, usual) = NETWORKS.iter().find(|(word, ..)| ask.workload.contains(word)).ok_or("the network's layers are not known")?;
    let images = ask.after("n=").map_or(*usual, |n| n as u64);
    let named = Convolution::named(&bench.tables, item).map_err(text)?;
    let layers: Vec<Convolution> = named.iter().map(|(_, l)| *l).collect();
    let one = ask.workload.split([' ', ',']).find_map(|w| named.iter().position(|(name, _)| name == w));
    let some = one.map_or(0..layers.len(), |i| i..i + 1);
    let volts = ask.after(" at ").filter(|_| ask.workload.ends_with('v')).unwrap_or(1.0);
    let run = machine.at(clock_at(bench, volts)?, volts).run_some(&layers, some, images);
    let width = width(bench, "row_stationary")?;
    let words = run.dram_bytes / f64::from(u16::BITS / u8::BITS);
    let value = match ask.metric.as_str() {
        "frame_rate" => images as f64 / run.seconds,
        "latency" => run.seconds,
        "chip_power" => run.joules / run.seconds,
        "throughput" => run.macs / run.seconds,
        "efficiency" => run.macs / run.joules,
        "dram_traffic" => run.dram_bytes,
        "glb_traffic" => run.buffer_bytes,
        "macs" => run.macs,
        "dram_per_mac" => words / run.macs,
        "active_pe" => run.active_pes / machine.pes(),
        _ => return Err(ask.unknown()),
    };
    ask.show(value, width)
}

/// Clock at a supply voltage, straight between the published points.
fn clock_at(bench: &Bench, volts: f64) -> Result<f64, String> {
    let mut points = Vec::new();
    for row in bench.tables.item("eyeriss_clock") {
        if let Some(v) = row.parameter.strip_prefix("at_").and_then(|v| v.parse::<f64>().ok()) {
            points.push((v, bench.tables.number("eyeriss_clock", &row.parameter, "MHz").map_err(text)? * 1e6));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let pair = points.windows(2).find(|w| (w[0].0..=w[1].0).contains(&volts)).ok_or("the voltage lies outside the published points")?;
    Ok(pair[0].1 + (pair[1].1 - pair[0].1) * (volts - pair[0].0) / (pair[1].0 - pair[0].0))
}

pub(super) fn systolic(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    if ask.metric.contains("stall") {
        return Err("stalls of a simulator without memory are a fault of it".into());
    }
    if ask.metric.contains("prefetch") {
        return Err("the prefetch of a simulator's scratchpads is not modelled".into());
    }
    let [rows, columns] = Ask::sizes(&ask.architecture)[..] else { return Err("the size of the array is not stated".into()) };
    let dataflow = match ask.architecture.split_whitespace().find(|w| ["ws", "os", "is"].contains(w)) {
        Some("ws") => Dataflow::Weights,
        Some("os") => Dataflow::Sums,
        Some("is") => Dataflow::Inputs,
        _ => return Err("the dataflow is not stated".into()),
    };
    let mnk = product(ask, bench)?;
    ask.show(Systolic { rows, columns, dataflow }.cycles(mnk) as f64, 0.0)
}

/// Sizes of a product: as stated, square where two are, or those of a known network's convolution by its place.
fn product(ask: &Ask, bench: &Bench) -> Result<[u64; 3], String> {
    let sizes = Ask::sizes(&ask.workload);
    match (&sizes[..], ask.after("layer")) {
        (&[m, n, k], _) => Ok([m, n, k]),
        (&[m, n], _) => Ok([m, n, m]),
        (_, Some(place)) => {
            let (_, item, _) =
                NETWORKS.iter().find(|(word, ..)| ask.workload.contains(word)).ok_or("the network's layers are not known")?;
            let layers = Convolution::all(&bench.tables, item).map_err(text)?;
            let l = layers.get(place as usize).ok_or("the network has no such layer")?;
            Ok([l.output() * l.output(), l.filters, l.channels * l.kernel * l.kernel])
        }
        _ => Err("the sizes of the product are not stated".into()),
    }
}

/// One convolution of which weights, inputs and outputs are stated.
pub(super) fn reference(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    let count = |word| ask.after(word).ok_or("the row states no numbers of weights, inputs and outputs");
    let (weights, inputs, outputs) = (count("weights")? as u64, count("inputs")? as u64, count("outputs")? as u64);
    let layer = convolution_of(weights, inputs, outputs).ok_or("no convolution has these numbers of weights, inputs and outputs")?;
    let macs = layer.macs();
    let run = || -> Result<(RowStationaryRun, f64), String> {
        let machine = RowStationary::from_tables(&bench.tables, "eyeriss").map_err(text)?.with_one_bank();
        Ok((machine.run(&[layer], 1), machine.pes()))
    };
    let rows = ask.architecture.contains("eyeriss");
    let side = bench.tables.number("simba_like", "side", "1").map_err(text)?;
    let busy = if rows { run()?.0.active_pes } else { (layer.channels as f64).min(side) * (layer.filters as f64).min(side) };
    let width = width(bench, "row_stationary")?;
    match ask.metric.as_str() {
        "computes" => ask.show(macs, 0.0),
        "cycles" => ask.show(macs / busy, width),
        "utilization" => ask.show(busy / if rows { run()?.1 } else { side * side }, width),
        "dram_accesses" => ask.show((weights + inputs + outputs) as f64, width),
        "glb_accesses" if rows => ask.show(run()?.0.buffer_bytes / f64::from(u16::BITS / u8::BITS), width),
        "weights_spad_accesses" if rows => ask.show(macs, width),
        "ifmap_spad_accesses" if rows => ask.show(macs, width),
        // A kernel row is summed within a PE: its first sum is not read.
        "psum_spad_accesses" if rows => ask.show(macs * (2.0 - 1.0 / layer.kernel as f64), width),
        _ => Err(ask.unknown()),
    }
}

/// The only convolution of square maps and kernels with so many weights, inputs and outputs.
fn convolution_of(weights: u64, inputs: u64, outputs: u64) -> Option<Convolution> {
    let side = |n: u64, by: u64| (by > 0 && n.is_multiple_of(by)).then(|| (n / by).isqrt()).filter(|s| s * s * by == n);
    for filters in 1..=outputs.min(weights) {
        let Some(out) = side(outputs, filters) else { continue };
        for channels in 1..=inputs.min(weights / filters) {
            let (Some(size), Some(kernel)) = (side(inputs, channels), side(weights, filters * channels)) else { continue };
            let moves = size.saturating_sub(kernel);
            if out > 1 && kernel > 0 && moves >= out - 1 && moves.is_multiple_of(out - 1) {
                let stride = moves / (out - 1);
                return Some(Convolution { groups: 1, channels, filters, size, kernel, stride, pad: 0, zeros: 0.0 });
            }
        }
    }
    None
}
