//! One measurement and what Tetra says of it.

use super::table::Record;

/// A prediction with its 80 % interval, in the unit of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// Median.
    pub value: f64,
    /// P10.
    pub low: f64,
    /// P90.
    pub high: f64,
}

/// One measurement: scored, or refused with a reason.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Row {
    /// The table's id.
    pub id: String,
    /// Who measured: the table's source.
    pub source: String,
    /// Model, or blank.
    pub model: String,
    /// Accelerator.
    pub accelerator: String,
    /// Op, mode or phase.
    pub op: String,
    /// What was measured.
    pub metric: String,
    /// The measured value; absent when the table leaves it blank.
    pub measured: Option<f64>,
    /// The prediction, or why there is none.
    pub prediction: Result<Prediction, String>,
}

impl Row {
    /// Absolute percentage error; absent for refused rows.
    pub fn ape_pct(&self) -> Option<f64> {
        let (measured, prediction) = (self.measured?, self.prediction.as_ref().ok()?);
        Some((prediction.value / measured - 1.0).abs() * 100.0)
    }

    /// A row of a record: `value` is the measured one.
    pub fn new(
        record: &Record,
        op: &str,
        metric: &str,
        value: Result<Option<f64>, String>,
        prediction: Result<Prediction, String>,
    ) -> Self {
        let (measured, prediction) = match value {
            Ok(Some(v)) if v > 0.0 => (Some(v), prediction),
            Ok(Some(_)) => (None, Err("the measured value is not positive".into())),
            Ok(None) => (None, Err("no measured value".into())),
            Err(e) => (None, Err(e)),
        };
        let text = |c: &str| record.word(c).to_owned();
        Self {
            id: text("id"),
            source: text("source_url"),
            model: text("model"),
            accelerator: text("accelerator"),
            op: op.to_owned(),
            metric: metric.to_owned(),
            measured,
            prediction,
        }
    }
}

/// Rows as CSV: `id,metric,measured,predicted,low,high,ape_pct,refused_because`.
pub fn rows_csv<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let show = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
    // Writing into memory cannot fail.
    let _ = writer.write_record(["id", "metric", "measured", "predicted", "low", "high", "ape_pct", "refused_because"]);
    for row in rows {
        let p = row.prediction.as_ref().ok();
        let because = row.prediction.as_ref().err().cloned().unwrap_or_default();
        let numbers = [row.measured, p.map(|p| p.value), p.map(|p| p.low), p.map(|p| p.high), row.ape_pct()].map(show);
        let _ = writer.write_record([&row.id, &row.metric].into_iter().chain(&numbers).chain([&because]));
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}
