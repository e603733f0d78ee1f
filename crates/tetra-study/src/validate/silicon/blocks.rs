//! Blocks of a die, power of a chip, and peaks and efficiencies of designs of which the parts are published.

use tetra_chip::Chip;
use tetra_chip::area::{breakdown, sram_mm2};
use tetra_chip::energy::full_load;

use super::{Ask, width};
use crate::validate::Bench;
use crate::validate::row::Prediction;

/// Blocks that a die photo shows, and the modelled parts in each. A link's controller cannot be told from its PHY on a photo.
const BLOCKS: [(&str, &[&str]); 8] = [
    ("cores", &["arrays", "scratchpad", "lanes", "control"]),
    ("interconnect", &["network"]),
    ("global_buffer", &["global memory"]),
    ("memory_phy", &["memory PHY"]),
    ("memory_controller", &["memory controller"]),
    ("offchip_phy", &["link PHY", "link controller", "die to die"]),
    ("offchip_controller", &[]),
    ("other", &["other"]),
];

/// The chip whose name the text begins with.
fn chip<'a>(name: &str, bench: &'a Bench) -> Result<&'a Chip, String> {
    let words: Vec<&str> = name.split_whitespace().collect();
    let found = (1..=words.len()).rev().find_map(|n| bench.chips.find(&words[..n].join(" ")));
    found.ok_or_else(|| format!("no chip file for \"{name}\": add it with --chips"))
}

pub(super) fn area(ask: &Ask, name: &str, bench: &Bench) -> Result<Prediction, String> {
    let area = breakdown(chip(name, bench)?, &bench.chip);
    let value = match BLOCKS.iter().find(|(word, _)| ask.metric.contains(word)) {
        Some((_, parts)) => area.parts.iter().filter(|p| parts.contains(&p.0)).map(|p| p.1).sum(),
        None if ask.metric.contains("total") || ask.metric.contains("die") => area.total_mm2,
        None => return Err(ask.unknown()),
    };
    ask.show(value, width(bench, "area")?)
}

/// A macro, or a banked buffer of a chip: its node is named in the architecture, its size in KB begins the workload.
pub(super) fn sram(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    let words: Vec<&str> = ask.architecture.split_whitespace().collect();
    let node = words.windows(2).find(|w| w[1] == "nm").map(|w| w[0]).ok_or("the node is not stated")?;
    let kib = ask.workload.split_whitespace().next().and_then(|w| w.parse::<f64>().ok()).ok_or("the size is not stated")?;
    let number = |item: &str, p: &str, unit: &str| bench.tables.number(item, p, unit).map_err(|e| e.to_string());
    let kind = if ask.architecture.contains("buffer") { "buffer_efficiency" } else { "macro_efficiency" };
    if ask.metric != "area" {
        return Err(ask.unknown());
    }
    let mm2 = sram_mm2(kib * f64::from(1 << 10), number("sram_cell", &format!("at_{node}"), "um2")?, number("sram", kind, "1")?);
    ask.show(mm2, width(bench, "area")?)
}

pub(super) fn power(ask: &Ask, name: &str, bench: &Bench) -> Result<Prediction, String> {
    let chip = chip(name, bench)?;
    if !ask.metric.contains("power") {
        return Err(ask.unknown());
    }
    let load = full_load(chip, &bench.chip);
    let gemm = load.gemm_w();
    // A program that only moves data draws least, one at full rate of its arrays most.
    let moving = load.static_w + load.hbm_w + load.link_w;
    let watts = match ask.workload.as_str() {
        w if w.contains("idle") => chip.power.idle.value(),
        w if w.contains("min") => moving.min(gemm),
        w if w.contains("mean") || w.contains("average") => 0.5 * (moving + gemm),
        _ => gemm,
    };
    ask.show(watts, width(bench, "power")?)
}

/// Peak, efficiency and density of a design: MACs, their operands out of scratchpads, leakage and clocks.
pub(super) fn design(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    let item = if ask.architecture.contains("simba") { "simba" } else { "ibm_7nm" };
    let n = |p: &str, unit: &str| bench.tables.number(item, p, unit).map_err(|e| e.to_string());
    let node = format!("N{}", n("node", "1")?);
    let node = bench.chip.node(&node).ok_or("the node has no row")?;
    let bits = f64::from(u8::BITS);
    // A wider format takes as many of the narrow multipliers as it is wider, squared.
    let (index, wide) = if ask.workload.contains("fp8") { (FP8, bits) } else { (INT8, n("bits", "1")?) };
    let growth = wide / n("bits", "1")?;
    let (macs, clock, width) = (n("macs", "1")? / (growth * growth), n("clock", "MHz")? * 1e6, width(bench, "design")?);
    let local = n("local", "1")? * f64::from(1 << 10);
    let mm2 = n("macs", "1")? * n("mac_area", "um2")? * 1e-6 + local * bench.chip.area.buffer_mm2_per_byte * node.sram_area;
    let share = wide / bits;
    let e = &bench.chip.energy;
    let mac = e.mac_j.get(index).copied().unwrap_or_default() * share + 2.0 * share / n("reuse", "1")? * e.local_j_per_byte;
    let volts = n("voltage", "1")? / n("nominal_voltage", "1")?;
    let joules = mac * node.energy * volts * volts + mm2 * bench.chip.template.static_w_per_mm2 * volts * volts / (macs * clock);
    let chips =
        ask.architecture.split_whitespace().find_map(|w| w.strip_suffix("-chip")).and_then(|w| w.parse::<f64>().ok()).unwrap_or(1.0);
    match (ask.metric.as_str(), ask.workload.as_str()) {
        ("throughput_peak", _) => ask.show(chips * 2.0 * macs * clock, 0.0),
        ("efficiency", _) => ask.show(2.0 / joules, width),
        ("energy_per_op", _) => ask.show(0.5 * joules, width),
        ("density", _) => ask.show(2.0 * macs * clock / mm2, width),
        _ => Err("the split of the network over the chips is not published".into()),
    }
}

/// Index of 8-bit integers among the energies of a MAC.
const INT8: usize = 3;
/// That of 8-bit floats.
const FP8: usize = 2;
