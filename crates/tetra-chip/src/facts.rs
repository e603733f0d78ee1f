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
