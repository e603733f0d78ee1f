//! Figures of a table and of each source, model, accelerator, op and metric in it.
//!
//! MAPE is the mean of |predicted/measured − 1|; bias is the mean of predicted/measured − 1; quantiles are nearest-rank.

use std::collections::BTreeMap;

use super::row::Row;
use super::table::Kind;

/// Figures over a set of rows; error figures are absent when nothing was scored.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Figures {
    /// Measurements.
    pub rows: usize,
    /// Of those, predicted.
    pub scored: usize,
    /// Of those, refused.
    pub refused: usize,
    /// Mean absolute percentage error of the scored ones.
    pub mape_pct: Option<f64>,
    /// Median absolute percentage error.
    pub median_ape_pct: Option<f64>,
    /// 90th percentile.
    pub p90_ape_pct: Option<f64>,
    /// Largest.
    pub max_ape_pct: Option<f64>,
    /// Mean signed error; positive means predicted too large.
    pub bias_pct: Option<f64>,
    /// Share of scored rows whose measurement lies inside the 80 % interval.
    pub interval80_coverage_pct: Option<f64>,
    /// Median half-width of that interval, relative to the prediction.
    pub interval80_halfwidth_pct: Option<f64>,
}

/// Figures of the rows that share one property; the other properties are absent.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Group {
    /// Source, when rows are grouped by it.
    pub source: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Accelerator.
    pub accelerator: Option<String>,
    /// Op, mode or phase.
    pub op: Option<String>,
    /// Metric.
    pub metric: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Why rows were refused, and how many.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// Reason.
    pub reason: String,
    /// Rows.
    pub rows: usize,
}

/// A table's score.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TableScore {
    /// File name as given.
    pub file: String,
    /// Kind.
    pub kind: Kind,
    /// Figures over all rows.
    #[serde(flatten)]
    pub figures: Figures,
    /// Figures by source, model, accelerator, op and metric.
    pub groups: Vec<Group>,
    /// Refusals by reason, most first.
    pub refusals: Vec<Refusal>,
}

/// Scores the rows of one table.
pub fn score(file: &str, kind: Kind, rows: &[Row]) -> TableScore {
    let mut groups = Vec::new();
    let mut by = |property: fn(&Row) -> &str, name: fn(String) -> Group| {
        let mut sets: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            sets.entry(property(row)).or_default().push(row);
        }
        sets.remove("");
        groups.extend(sets.into_iter().map(|(value, set)| Group { figures: figures(set.into_iter()), ..name(value.to_owned()) }));
    };
    by(|r| &r.source, |v| Group { source: Some(v), ..Group::default() });
    by(|r| &r.model, |v| Group { model: Some(v), ..Group::default() });
    by(|r| &r.accelerator, |v| Group { accelerator: Some(v), ..Group::default() });
    by(|r| &r.op, |v| Group { op: Some(v), ..Group::default() });
    by(|r| &r.metric, |v| Group { metric: Some(v), ..Group::default() });
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in rows.iter().filter_map(|r| r.prediction.as_ref().err()) {
        *reasons.entry(reason).or_default() += 1;
    }
    let mut refusals: Vec<_> = reasons.into_iter().map(|(r, n)| Refusal { reason: r.to_owned(), rows: n }).collect();
    refusals.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.reason.cmp(&b.reason)));
    TableScore { file: file.into(), kind, figures: figures(rows.iter()), groups, refusals }
}

/// Figures over some rows.
pub fn figures<'a>(rows: impl Iterator<Item = &'a Row>) -> Figures {
    let (mut count, mut errors, mut bias, mut inside, mut widths) = (0, Vec::new(), 0.0, 0usize, Vec::new());
    for row in rows {
        count += 1;
        let (Some(ape), Some(measured), Ok(p)) = (row.ape_pct(), row.measured, &row.prediction) else { continue };
        errors.push(ape);
        bias += (p.value / measured - 1.0) * 100.0;
        inside += usize::from(p.low <= measured && measured <= p.high);
        widths.push((p.high - p.low) / (2.0 * p.value) * 100.0);
    }
    let scored = errors.len();
    let mean = |sum: f64| (scored > 0).then(|| sum / scored as f64);
    let sum = errors.iter().sum();
    errors.sort_by(f64::total_cmp);
    widths.sort_by(f64::total_cmp);
    Figures {
        rows: count,
        scored,
        refused: count - scored,
        mape_pct: mean(sum),
        median_ape_pct: rank(&errors, 0.5),
        p90_ape_pct: rank(&errors, TAIL),
        max_ape_pct: errors.last().copied(),
        bias_pct: mean(bias),
        interval80_coverage_pct: mean(inside as f64 * 100.0),
        interval80_halfwidth_pct: rank(&widths, 0.5),
    }
}

/// The quantile printed beside the median.
const TAIL: f64 = 9.0 / 10.0;

fn rank(sorted: &[f64], quantile: f64) -> Option<f64> {
    let place = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}
