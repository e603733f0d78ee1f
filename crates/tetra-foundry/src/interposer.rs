//! The interposer under dies and memory stacks: its size, how many a wafer holds, how many are good.
//!
//! Dies stand in one or more columns, half of the stacks in a column on either side; of the layouts the one with most good interposers
//! per wafer is taken. Interposers per wafer are counted by geometry, as dies are; yield is negative binomial in the interposer's area.
//! Left out: stacks on the other two edges, fill dies.

use crate::constants::{FoundryConstants, MemoryConstants, PackageKind};
use crate::dies::{DieCounts, Wafer};
use crate::error::{Fit, Misfit};
use crate::spec::PackageSpec;
use crate::yields::{YieldModel, perfect};

/// An interposer; all zero, and `good` 1, where the package has none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interposer {
    /// Width, mm.
    pub width_mm: f64,
    /// Height, mm.
    pub height_mm: f64,
    /// Area, mm2.
    pub area_mm2: f64,
    /// Whole interposers per wafer.
    pub per_wafer: u64,
    /// Share that has no defect.
    pub good: f64,
}

impl Interposer {
    fn good_per_wafer(&self) -> f64 {
        self.per_wafer as f64 * self.good
    }
}

/// The interposer of a package.
///
/// # Errors
/// Stacks without an interposer, an area above the kind's limit, none on a wafer.
pub fn of(
    spec: &PackageSpec,
    memory: Option<&MemoryConstants>,
    kind: &PackageKind,
    k: &FoundryConstants,
    counts: &DieCounts,
) -> Fit<Interposer> {
    let stacked = memory.filter(|m| m.stacked && spec.stacks > 0);
    if !kind.interposer {
        return match stacked {
            Some(_) => Err(Misfit::NoInterposer),
            None => Ok(Interposer { width_mm: 0.0, height_mm: 0.0, area_mm2: 0.0, per_wafer: 0, good: 1.0 }),
        };
    }
    let mut best: Option<Interposer> = None;
    let mut least = f64::INFINITY;
    for (width_mm, height_mm) in layouts(spec, stacked, k) {
        let area_mm2 = width_mm * height_mm;
        least = least.min(area_mm2);
        if area_mm2 > kind.limit_mm2 {
            continue;
        }
        let wafer = Wafer { field_width_mm: width_mm, field_height_mm: height_mm, ..k.wafer };
        let per_wafer = counts.gross_dies(width_mm.ceil(), height_mm.ceil(), &wafer);
        let model = YieldModel::NegativeBinomial { alpha: k.assembly.interposer_alpha };
        let good = perfect(model, area_mm2 * 0.01 * kind.defects_per_cm2);
        let found = Interposer { width_mm, height_mm, area_mm2, per_wafer, good };
        if best.is_none_or(|b| found.good_per_wafer() > b.good_per_wafer()) {
            best = Some(found);
        }
    }
    match best {
        None => Err(Misfit::Interposer { asked_mm2: least, limit_mm2: kind.limit_mm2 }),
        Some(b) if b.per_wafer == 0 => Err(Misfit::NoDie),
        Some(b) if b.good <= 0.0 => Err(Misfit::NoYield),
        Some(b) => Ok(b),
    }
}

/// Dies side by side in no more columns than this.
const COLUMNS: u64 = 4;

/// Widths and heights of the layouts that are tried: dies in one or more columns, standing or lying, stacks in a column on either side.
fn layouts(spec: &PackageSpec, stacked: Option<&MemoryConstants>, k: &FoundryConstants) -> Vec<(f64, f64)> {
    let a = &k.assembly;
    let row = |size: f64, n: u64| n as f64 * size + n.saturating_sub(1) as f64 * a.gap_mm;
    let (side, tall) = match stacked {
        Some(m) => (spec.stacks.min(2) as f64 * (m.width_mm + a.gap_mm), row(m.height_mm, spec.stacks.div_ceil(2))),
        None => (0.0, 0.0),
    };
    let (w, h) = (spec.die_width_mm, spec.die_height_mm);
    let mut out = Vec::with_capacity(4);
    for columns in 1..=spec.dies.min(COLUMNS) {
        for (w, h) in [(w, h), (h, w)] {
            let width = row(w, columns) + side + 2.0 * a.margin_mm;
            out.push((width, row(h, spec.dies.div_ceil(columns)).max(tall) + 2.0 * a.margin_mm));
        }
    }
    out
}
