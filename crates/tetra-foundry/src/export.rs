//! Export class of a chip by the rule of October 2023 (88 FR 73458, ECCN 3A090).
//!
//! `TPP = 2 · MAC/s · bits / 1e12` at the type that gives most, dense; `PD = TPP / logic area in mm2` (all logic dies on non-planar
//! nodes). Class .a: `TPP >= 4800`, or `TPP >= 1600` and `PD >= 5.92`. Class .b: `2400 <= TPP < 4800` and `1.6 <= PD < 5.92`, or
//! `TPP >= 1600` and `3.2 <= PD < 5.92`. Where the area is not known and would decide, the class is unknown. Not legal advice.
//! Left out: later rules, memory bandwidth density, who buys.

use serde::Serialize;
use tetra_chip::Chip;

use crate::constants::ExportRule;

/// Class of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportClass {
    /// Not controlled by these two paragraphs.
    None,
    /// 3A090.b.
    B,
    /// 3A090.a.
    A,
    /// The area would decide and is not known.
    Unknown,
}

impl ExportClass {
    /// As written in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::B => "3A090.b",
            Self::A => "3A090.a",
            Self::Unknown => "unknown",
        }
    }
}

/// What the rule sees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Export {
    /// Total processing performance.
    pub tpp: f64,
    /// TPP per mm2 of logic; none when the area is not known.
    pub performance_density: Option<f64>,
    /// Class.
    pub class: ExportClass,
}

/// Class of a total processing performance and an area, if known.
pub fn classify(tpp: f64, area_mm2: Option<f64>, rule: &ExportRule) -> Export {
    let density = area_mm2.filter(|a| *a > 0.0 && a.is_finite()).map(|a| tpp / a);
    let class = match density {
        _ if tpp >= rule.tpp_high => ExportClass::A,
        _ if tpp < rule.tpp_low => ExportClass::None,
        None => ExportClass::Unknown,
        Some(d) if d >= rule.density_high => ExportClass::A,
        Some(d) if d >= rule.density_middle || (tpp >= rule.tpp_middle && d >= rule.density_low) => ExportClass::B,
        Some(_) => ExportClass::None,
    };
    Export { tpp, performance_density: density, class }
}

/// Whether items of ECCN 3A090 need a licence for a country of these groups of Supplement 1 to Part 740: D:1, D:4 or D:5, unless it is also of
/// A:5 or A:6 (15 CFR 742.6(a)(6)(iii)).
pub fn needs_licence<S: AsRef<str>>(groups: &[S]) -> bool {
    let one_of = |named: &[&str]| groups.iter().any(|g| named.contains(&g.as_ref()));
    one_of(&["D:1", "D:4", "D:5"]) && !one_of(&["A:5", "A:6"])
}

/// Total processing performance: the largest of rate times bits over the types.
pub fn total_processing_performance(chip: &Chip) -> f64 {
    let c = &chip.compute;
    let macs = c.cores as f64 * c.arrays_per_core as f64 * c.array_rows as f64 * c.array_columns as f64 * c.clock.value();
    let r = &c.rate;
    let bits = [(1.0, 16.0), (r.fp32, 32.0), (r.fp8, 8.0), (r.int8, 8.0), (r.fp4, 4.0)].map(|(rate, bits): (f64, f64)| rate * bits);
    let most = bits.into_iter().filter(|b| b.is_finite()).fold(0.0, f64::max);
    2.0 * macs * most / 1e12
}

/// Export class of a chip as its file gives it; the area may be unknown.
pub fn export_of(chip: &Chip, rule: &ExportRule) -> Export {
    let s = &chip.silicon;
    let dies = s.die_width.value() * s.die_height.value() * s.dies as f64;
    let area = if s.area.value() > 0.0 { s.area.value() } else { dies };
    classify(total_processing_performance(chip), Some(area * 1e6), rule)
}
