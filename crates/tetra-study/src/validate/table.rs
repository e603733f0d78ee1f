//! Reading a table of measurements: its header tells its kind; columns may stand in any order, blank and further ones are allowed.

use std::collections::{BTreeMap, BTreeSet};

use super::words::is_blank;

/// Kind of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Times of single ops.
    Kernel,
    /// Training steps.
    Training,
    /// Throughput and latency of whole services.
    Inference,
    /// TTFT and TPOT of a serving engine.
    Serving,
    /// Counters, traffic, power and area of silicon.
    Silicon,
}

/// Columns that make a table of a kind; `id` belongs to all.
const REQUIRED: [(Kind, &[&str]); 5] = [
    (Kind::Serving, &["accelerator", "model", "input_len", "output_len", "ttft_ms", "tpot_ms"]),
    (Kind::Kernel, &["accelerator", "op", "m", "n", "k", "metric", "value"]),
    (Kind::Training, &["accelerator", "model", "global_batch", "seq", "metric", "value"]),
    (Kind::Inference, &["accelerator", "model", "phase", "metric", "value"]),
    (Kind::Silicon, &["architecture", "workload", "metric", "value"]),
];
/// More lines than any published table has.
const MOST_LINES: usize = 2_000_000;
/// More columns than any published table has.
const MOST_COLUMNS: usize = 1000;
/// Reading ends after so many broken lines.
const MOST_MISTAKES: usize = 100;

/// One line of a table: text by column, blanks left out.
#[derive(Debug, Clone, Default)]
pub struct Record {
    cells: BTreeMap<String, String>,
}

impl Record {
    /// The text of a column, if it is not blank.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }

    /// The text of a column or nothing.
    pub fn word(&self, column: &str) -> &str {
        self.text(column).unwrap_or_default()
    }

    /// A column as a number.
    ///
    /// # Errors
    /// A text that is not a finite number, named with its column.
    pub fn number(&self, column: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(column).filter(|t| !is_blank(t)) else { return Ok(None) };
        // Thousands may be set apart.
        match text.replace([',', '_'], "").parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Some(v)),
            _ => Err(format!("column {column} is not a number")),
        }
    }

    /// A column as a positive whole number (rounded); zero is how some tables write a blank.
    ///
    /// # Errors
    /// A text that is not a count.
    pub fn count(&self, column: &str) -> Result<Option<u64>, String> {
        /// Beyond this no count of chips, tokens or elements is a measurement.
        const MOST: f64 = 1e15;
        match self.number(column)? {
            None => Ok(None),
            Some(0.0) => Ok(None),
            Some(v) if (0.5..MOST).contains(&v) => Ok(Some(v.round() as u64)),
            Some(_) => Err(format!("column {column} is not a count")),
        }
    }
}

/// A table of measurements.
#[derive(Debug, Clone)]
pub struct Table {
    /// File name as given.
    pub file: String,
    /// Its kind.
    pub kind: Kind,
    /// Lines in their order.
    pub records: Vec<Record>,
}

/// A table that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TableError {
    /// The header fits no kind.
    #[error(
        "{file}:1: the header is of no known kind; for the kind {nearest} it lacks {missing}: add these columns, or see \"Validation\" in the book"
    )]
    UnknownKind {
        /// File.
        file: String,
        /// Kind with the fewest missing columns.
        nearest: String,
        /// Those columns.
        missing: String,
    },
    /// Not CSV.
    #[error("{file}:{line}: {cause}: check quotes, commas and encoding (UTF-8)")]
    BadLine {
        /// File.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        cause: String,
    },
    /// A header that names a column twice, or far too many.
    #[error("{file}:1: {cause}: correct the header")]
    BadHeader {
        /// File.
        file: String,
        /// What is wrong.
        cause: String,
    },
    /// No line below the header.
    #[error("{file}: no rows: a table needs at least one line below its header")]
    Empty {
        /// File.
        file: String,
    },
    /// More lines than a table may have.
    #[error("{file}: more than {MOST_LINES} lines: split the table")]
    TooLong {
        /// File.
        file: String,
    },
}

/// Reads a table.
///
/// # Errors
/// Every line that is not CSV, a header of no known kind, an empty table.
pub fn read(file: &str, text: &str) -> Result<Table, Vec<TableError>> {
    let bad = |e: &csv::Error| TableError::BadLine {
        file: file.into(),
        line: e.position().map_or(1, csv::Position::line),
        cause: match e.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} fields where the header has {expected_len}"),
            _ => "not valid CSV".into(),
        },
    };
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().map_err(|e| vec![bad(&e)])?.iter().map(str::to_owned).collect();
    check_header(file, &header).map_err(|e| vec![e])?;
    let kind = kind_of(file, &header).map_err(|e| vec![e])?;
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for line in reader.records() {
        match line {
            Ok(line) => {
                let cells = header.iter().zip(line.iter()).filter(|(_, v)| !v.is_empty());
                records.push(Record { cells: cells.map(|(k, v)| (k.clone(), v.to_owned())).collect() });
            }
            Err(e) => errors.push(bad(&e)),
        }
        if errors.len() >= MOST_MISTAKES {
            return Err(errors);
        }
        if records.len() > MOST_LINES {
            return Err(vec![TableError::TooLong { file: file.into() }]);
        }
    }
    if errors.is_empty() && records.is_empty() {
        errors.push(TableError::Empty { file: file.into() });
    }
    if errors.is_empty() { Ok(Table { file: file.into(), kind, records }) } else { Err(errors) }
}

fn check_header(file: &str, header: &[String]) -> Result<(), TableError> {
    let bad = |cause: String| Err(TableError::BadHeader { file: file.into(), cause });
    if header.len() > MOST_COLUMNS {
        return bad(format!("the header has {} columns, more than {MOST_COLUMNS}", header.len()));
    }
    let mut seen = BTreeSet::new();
    match header.iter().find(|h| !h.is_empty() && !seen.insert(h.as_str())) {
        Some(twice) => bad(format!("the header names column \"{twice}\" twice")),
        None => Ok(()),
    }
}

fn kind_of(file: &str, header: &[String]) -> Result<Kind, TableError> {
    let missing = |columns: &[&str]| -> Vec<String> {
        ["id"].iter().chain(columns).filter(|c| !header.iter().any(|h| h == *c)).map(|c| (*c).to_owned()).collect()
    };
    let mut best: Option<(Kind, Vec<String>)> = None;
    for (kind, columns) in REQUIRED {
        let lacks = missing(columns);
        if lacks.is_empty() {
            return Ok(kind);
        }
        // A table of silicon has few columns: it is meant only where one of its own stands.
        let meant = kind != Kind::Silicon || header.iter().any(|h| h == "architecture" || h == "workload");
        if meant && best.as_ref().is_none_or(|(_, b)| lacks.len() < b.len()) {
            best = Some((kind, lacks));
        }
    }
    let (kind, lacks) = best.unwrap_or((Kind::Kernel, Vec::new()));
    Err(TableError::UnknownKind { file: file.into(), nearest: format!("{kind:?}").to_lowercase(), missing: lacks.join(", ") })
}
