//! What a chip is made of, with ranges: area by part and power at full load by part, each with P10 and P90 over draws of the constants.

use crate::area::breakdown;
use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::energy::full_load;

/// A figure with its range.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ChipFact {
    /// `area` or `full load`.
    pub group: &'static str,
    /// Part.
    pub name: &'static str,
    /// Value at the base case.
    pub value: f64,
    /// P10 of the draws, the value itself without draws.
    pub low: f64,
    /// P90 of the draws.
    pub high: f64,
    /// Unit.
    pub unit: &'static str,
}

/// Area and full-load power by part; `draws` are the constants of each draw.
pub fn chip_facts(chip: &Chip, constants: &ChipConstants, draws: &[ChipConstants]) -> Vec<ChipFact> {
    let base = figures(chip, constants);
    let drawn: Vec<Vec<(&str, &str, f64, &str)>> = draws.iter().map(|c| figures(chip, c)).collect();
    base.into_iter()
        .enumerate()
        .map(|(i, (group, name, value, unit))| {
            let mut values: Vec<f64> = drawn.iter().filter_map(|d| d.get(i)).map(|f| f.2).collect();
            values.sort_by(f64::total_cmp);
            ChipFact { group, name, value, low: at(&values, 1).unwrap_or(value), high: at(&values, TENTHS - 1).unwrap_or(value), unit }
        })
        .collect()
}

/// Power of a chip whose arrays run a large product at their full rate, uncapped, beside its published cap.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FullRate {
    /// Chip.
    pub chip: String,
    /// Watts at the base case.
    pub watts: f64,
    /// P10 of the draws.
    pub low: f64,
    /// P90 of the draws.
    pub high: f64,
    /// P90 over P10.
    pub spread: f64,
    /// Published cap in watts.
    pub cap: f64,
    /// Whether the cap lies between P10 and P90.
    pub cap_inside: bool,
}

/// Power at full matrix rate of every chip; `draws` are the constants of each draw.
pub fn full_rate<'a>(chips: impl Iterator<Item = &'a Chip>, constants: &ChipConstants, draws: &[ChipConstants]) -> Vec<FullRate> {
    chips
        .map(|chip| {
            let watts = full_load(chip, constants).gemm_w();
            let mut drawn: Vec<f64> = draws.iter().map(|c| full_load(chip, c).gemm_w()).collect();
            drawn.sort_by(f64::total_cmp);
            let (low, high) = (at(&drawn, 1).unwrap_or(watts), at(&drawn, TENTHS - 1).unwrap_or(watts));
            let cap = chip.power.cap.value();
            FullRate { chip: chip.name.clone(), watts, low, high, spread: high / low, cap, cap_inside: low <= cap && cap <= high }
        })
        .collect()
}

const TENTHS: usize = 10;

/// The value below which that many tenths of the sorted values lie.
fn at(values: &[f64], tenths: usize) -> Option<f64> {
    values.get((values.len().saturating_sub(1) * tenths).div_ceil(TENTHS)).copied()
}

fn figures(chip: &Chip, constants: &ChipConstants) -> Vec<(&'static str, &'static str, f64, &'static str)> {
    let area = breakdown(chip, constants);
    let mut out: Vec<_> = area.parts.iter().map(|&(name, mm2)| ("area", name, mm2, "mm2")).collect();
    out.push(("area", "sum", area.total_mm2, "mm2"));
    let load = full_load(chip, constants);
    for (name, watts) in [
        ("arrays", load.arrays_w),
        ("scratchpads", load.local_w),
        ("global memory", load.global_w),
        ("off-chip memory", load.hbm_w),
        ("links", load.link_w),
        ("leakage and clocks", load.static_w),
        ("sum", load.dynamic_w() + load.static_w),
    ] {
        out.push(("full load", name, watts, "W"));
    }
    out
}
