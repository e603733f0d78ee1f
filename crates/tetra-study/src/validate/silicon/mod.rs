//! Rows of a table of silicon: counters, traffic, power and area of chips of any kind, told apart by the row's own words.
//!
//! A row names an architecture, a workload and a metric in words. What the words do not fix (shapes that were never published) is a
//! range over everything that agrees with what was. Leaves out: sizes that a row's source does not state.

mod blocks;
mod rows;
mod streams;

use super::row::{Prediction, Row};
use super::table::Record;
use super::{Bench, interval::with_interval};

/// The measurement of a row.
pub fn predict(record: &Record, bench: &Bench) -> Vec<Row> {
    let (architecture, workload) = (record.word("architecture"), record.word("workload"));
    let mut row = Row::new(record, workload, record.word("metric"), record.number("value"), value(record, bench));
    architecture.clone_into(&mut row.accelerator);
    vec![row]
}

fn value(record: &Record, bench: &Bench) -> Result<Prediction, String> {
    let ask = Ask {
        architecture: record.word("architecture").to_lowercase(),
        workload: record.word("workload").to_lowercase(),
        metric: record.word("metric").to_lowercase(),
        unit: record.word("unit").to_lowercase(),
    };
    let names = |word: &str| ask.architecture.contains(word);
    if names("gemmini") {
        return Err("the source states no size of the array".into());
    }
    if names("systolic") {
        return rows::systolic(&ask, bench);
    }
    if names("timeloop") || names("accelergy") {
        return rows::reference(&ask, bench);
    }
    if names("eyeriss") {
        return rows::eyeriss(&ask, bench);
    }
    if names("tpu v1") {
        return streams::tpu(&ask, bench);
    }
    if names("sram") {
        return blocks::sram(&ask, bench);
    }
    if ask.metric.starts_with("area") || ask.metric.starts_with("die_area") {
        return blocks::area(&ask, record.word("architecture"), bench);
    }
    if names("ibm 7") || names("simba") {
        return blocks::design(&ask, bench);
    }
    blocks::power(&ask, record.word("architecture"), bench)
}

/// The words of a row, in lower case.
struct Ask {
    architecture: String,
    workload: String,
    metric: String,
    unit: String,
}

impl Ask {
    /// The first number that stands after a word of the workload.
    fn after(&self, word: &str) -> Option<f64> {
        let rest = &self.workload[self.workload.find(word)? + word.len()..];
        let digits: String = rest.trim_start_matches([' ', '=']).chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse().ok()
    }

    /// All numbers of a text that are set between `x`, as in 64x16x4096.
    fn sizes(text: &str) -> Vec<u64> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric())).filter(|w| w.contains('x'));
        words.map(|w| w.split('x').map(str::parse).collect::<Result<Vec<u64>, _>>()).find_map(Result::ok).unwrap_or_default()
    }

    /// A value in base units in the unit of the row.
    fn show(&self, value: f64, width: f64) -> Result<Prediction, String> {
        let unit = self.unit.split('/').next().unwrap_or_default().trim();
        let scale = match unit {
            "% cycles" | "%" => 1e2,
            "tops" | "tflops" => 1e-12,
            "gops" | "gmac" | "gmacs" => 1e-9,
            "mb" => 1e-6,
            "gb" => 1e-9,
            "mw" => 1e3,
            "ms" => 1e3,
            "uj" => 1e6,
            "pj" => 1e12,
            _ => 1.0,
        };
        // Joules per operation, and operations per square millimetre, keep the unit of their first part.
        with_interval(value * scale, width)
    }

    fn unknown(&self) -> String {
        format!("metric {} is not modelled for this machine", self.metric)
    }
}

/// A discrepancy by name.
fn width(bench: &Bench, name: &str) -> Result<f64, String> {
    bench.tables.number("discrepancy", name, "ln").map_err(|e| e.to_string())
}
