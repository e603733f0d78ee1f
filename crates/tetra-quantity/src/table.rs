//! Sourced numbers and the tables that hold them: `item,parameter,value,low,high,unit,year,source,factor,note`.
//!
//! `low` and `high` are P10 and P90. Where a row gives none, the kind of its source gives a relative width, which is itself a row
//! (`source_kind,<kind>`). Tables are values: they are passed in, never global.

use std::collections::{BTreeMap, BTreeSet};

use crate::draw::{Rng, normal_of, quantile_at};
use crate::error::DataError;
use crate::quantity::Quantity;
use crate::text::{toml_cause, unit_factor};
use crate::unit::Celsius;

/// How a number came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A definition or a standard.
    Standard,
    /// A maker's data sheet.
    Datasheet,
    /// A paper or a published code base.
    Paper,
    /// A company's filing or official statistics.
    Filing,
    /// An analyst's or journalist's estimate.
    Analyst,
    /// A measurement.
    Measured,
    /// Not verified: an assumption.
    Assumption,
}

impl SourceKind {
    /// The word used in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Datasheet => "datasheet",
            Self::Paper => "paper",
            Self::Filing => "filing",
            Self::Analyst => "analyst",
            Self::Measured => "measured",
            Self::Assumption => "assumption",
        }
    }
}

/// One entry of `data/sources.toml`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Title of the work.
    pub title: String,
    /// Who published it.
    #[serde(default)]
    pub author: String,
    /// Date of publication or reading, as text.
    #[serde(default)]
    pub date: String,
    /// Where it can be read.
    #[serde(default)]
    pub url: String,
    /// How the number came to be known.
    pub kind: SourceKind,
}

/// One number of a table.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Row {
    /// Table it lies in.
    pub table: String,
    /// Line in that table, from 1.
    pub line: usize,
    /// What it is about.
    pub item: String,
    /// Which property.
    pub parameter: String,
    /// The value, in `unit`.
    pub value: f64,
    /// P10, in `unit`.
    pub low: f64,
    /// P90, in `unit`.
    pub high: f64,
    /// Unit as written.
    pub unit: String,
    /// Year the value holds for; for money, its currency year.
    pub year: Option<u16>,
    /// Key into the sources.
    pub source: String,
    /// Rows of one factor move together in a draw.
    pub factor: String,
    /// Remark.
    pub note: String,
    /// Whether a study replaced the value.
    pub overridden: bool,
}

impl Row {
    /// The name by which a study overrides it: `item.parameter`.
    pub fn key(&self) -> String {
        format!("{}.{}", self.item, self.parameter)
    }

    /// What it is drawn by: its factor, or itself.
    pub fn input(&self) -> String {
        if self.factor.is_empty() { self.key() } else { self.factor.clone() }
    }
}

/// A quantity with its range and the key of its source.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Sourced<Q> {
    /// Best value.
    pub value: Q,
    /// P10.
    pub low: Q,
    /// P90.
    pub high: Q,
    /// Key into the sources.
    pub source: String,
    /// Factor with which it moves.
    pub factor: String,
}

/// A table's name and its text.
#[derive(Debug, Clone, Copy)]
pub struct TableText<'a> {
    /// File name, for messages.
    pub name: &'a str,
    /// Content.
    pub text: &'a str,
}

/// All tables and their sources.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    rows: Vec<Row>,
    index: BTreeMap<String, usize>,
    /// Rows of each item, in the order read.
    items: BTreeMap<String, Vec<usize>>,
    sources: BTreeMap<String, Source>,
}

const HEADER: [&str; 10] = ["item", "parameter", "value", "low", "high", "unit", "year", "source", "factor", "note"];
const KIND_ITEM: &str = "source_kind";
/// No table of numbers is larger, in bytes.
const LARGEST_TABLE: usize = 8 << 20;
/// Reading ends after so many mistakes.
const MOST_MISTAKES: usize = 200;
/// Years that a row may hold for.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2200;
/// No number of the data is larger or, unless 0, smaller than this power of ten.
const LARGEST: f64 = 1e18;
const SMALLEST: f64 = 1e-18;

/// What no number of a unit can be: below zero (save a temperature), or beyond all sizes.
fn impossible(value: f64, unit: &str) -> Option<&'static str> {
    match value.abs() {
        _ if !value.is_finite() => Some("not finite"),
        size if size > LARGEST => Some("beyond 1e18"),
        size if size > 0.0 && size < SMALLEST => Some("nearer to 0 than 1e-18"),
        _ if value < 0.0 && unit != Celsius::SYMBOL => Some("below zero"),
        _ => None,
    }
}

/// What is wrong with a line, and how to mend it.
type Mistake = (String, &'static str);

fn number_in(record: &csv::StringRecord, column: usize) -> Result<Option<f64>, Mistake> {
    match record[column].trim() {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Some(v)),
            _ => Err((format!("column {} holds \"{text}\", not a finite number", HEADER[column]), "write a plain number")),
        },
    }
}

fn year_in(record: &csv::StringRecord, column: usize) -> Result<Option<u16>, Mistake> {
    match record[column].trim() {
        "" => Ok(None),
        text => match text.parse::<u16>() {
            Ok(year) if YEARS.contains(&year) => Ok(Some(year)),
            _ => Err((format!("year \"{text}\" is not a year"), "write four digits")),
        },
    }
}

impl Tables {
    /// Reads tables and `sources.toml`; reports every mistake of every file.
    ///
    /// # Errors
    /// All broken lines, unknown sources, duplicate rows and a broken `sources.toml`.
    pub fn parse(files: &[TableText<'_>], sources_toml: &str) -> Result<Self, Vec<DataError>> {
        let sources: BTreeMap<String, Source> =
            toml::from_str(sources_toml).map_err(|e| vec![DataError::BadSources { cause: toml_cause(sources_toml, &e) }])?;
        let mut tables = Self { sources, ..Self::default() };
        let mut errors = Vec::new();
        for file in files {
            tables.read_file(file, &mut errors);
        }
        tables.fill_ranges(&mut errors);
        if errors.is_empty() { Ok(tables) } else { Err(errors) }
    }

    fn read_file(&mut self, file: &TableText<'_>, errors: &mut Vec<DataError>) {
        let bad = |line: usize, cause: String, mend: &str| DataError::BadLine { table: file.name.into(), line, cause, mend: mend.into() };
        if file.text.len() > LARGEST_TABLE {
            return errors.push(bad(1, format!("the table is larger than {LARGEST_TABLE} bytes"), "check that this is the right file"));
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).comment(Some(b'#')).from_reader(file.text.as_bytes());
        match reader.headers() {
            Ok(h) if h.iter().eq(HEADER) => {}
            Ok(_) => return errors.push(bad(1, "wrong header".into(), &format!("the first line must be {}", HEADER.join(",")))),
            Err(e) => return errors.push(bad(1, e.to_string(), "write a CSV file")),
        }
        for record in reader.records() {
            if errors.len() >= MOST_MISTAKES {
                return;
            }
            let record = match record {
                Ok(r) => r,
                Err(e) => {
                    errors.push(bad(
                        e.position().map_or(0, |p| p.line() as usize),
                        "not valid CSV".into(),
                        "check quotes and encoding (UTF-8)",
                    ));
                    continue;
                }
            };
            let line = record.position().map_or(0, |p| p.line() as usize);
            match self.read_row(&record, file.name, line) {
                Ok(row) => {
                    if self.index.insert(row.key(), self.rows.len()).is_some() {
                        errors.push(bad(line, format!("\"{}\" stands in the tables twice", row.key()), "keep one of the two rows"));
                    }
                    self.items.entry(row.item.clone()).or_default().push(self.rows.len());
                    self.rows.push(row);
                }
                Err((cause, mend)) => errors.push(bad(line, cause, mend)),
            }
        }
    }

    fn read_row(&self, record: &csv::StringRecord, table: &str, line: usize) -> Result<Row, Mistake> {
        if record.len() != HEADER.len() {
            return Err((format!("{} columns where {} are needed", record.len(), HEADER.len()), "quote texts that hold commas"));
        }
        let [value, low, high] = [number_in(record, 2)?, number_in(record, 3)?, number_in(record, 4)?];
        let value = value.ok_or_else(|| ("no value".to_owned(), "fill the column value"))?;
        let source = record[7].trim().to_owned();
        if !self.sources.contains_key(&source) {
            return Err((format!("source \"{source}\" is not in sources.toml"), "add it there"));
        }
        let unit = record[5].trim();
        for (column, number) in [("value", Some(value)), ("low", low), ("high", high)] {
            if let Some((number, why)) = number.and_then(|n| Some((n, impossible(n, unit)?))) {
                return Err((format!("{column} {number:e} is {why}"), "correct the number or its unit"));
            }
        }
        let (low, high) = (low.unwrap_or(f64::NAN), high.unwrap_or(f64::NAN));
        if low > value || high < value {
            let shown = |bound: f64| if bound.is_nan() { "blank".to_owned() } else { bound.to_string() };
            return Err((format!("low {} <= value {value} <= high {} does not hold", shown(low), shown(high)), "order the three"));
        }
        let year = year_in(record, 6)?;
        Ok(Row {
            table: table.into(),
            line,
            item: record[0].trim().into(),
            parameter: record[1].trim().into(),
            value,
            low,
            high,
            unit: unit.into(),
            year,
            source,
            factor: record[8].trim().into(),
            note: record[9].trim().into(),
            overridden: false,
        })
    }

    fn fill_ranges(&mut self, errors: &mut Vec<DataError>) {
        let mut without_width = BTreeSet::new();
        for i in 0..self.rows.len() {
            if !self.rows[i].low.is_nan() && !self.rows[i].high.is_nan() {
                continue;
            }
            let kind = self.sources[&self.rows[i].source].kind;
            let width = if self.rows[i].item == KIND_ITEM { Ok(0.0) } else { self.row(KIND_ITEM, kind.word()).map(|r| r.value) };
            match width {
                Ok(width) => {
                    let row = &mut self.rows[i];
                    let half = row.value.abs() * width;
                    row.low = if row.low.is_nan() { row.value - half } else { row.low };
                    row.high = if row.high.is_nan() { row.value + half } else { row.high };
                }
                Err(e) if without_width.insert(kind) => errors.push(e),
                Err(_) => {}
            }
        }
    }

    /// All rows, in the order read.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All sources by key.
    pub fn sources(&self) -> &BTreeMap<String, Source> {
        &self.sources
    }

    /// One row.
    ///
    /// # Errors
    /// `MissingRow`, with the nearest name if one is near.
    pub fn row(&self, item: &str, parameter: &str) -> Result<&Row, DataError> {
        match self.item(item).find(|r| r.parameter == parameter) {
            Some(row) => Ok(row),
            None => {
                let near = self.item(item).find(|r| r.parameter.contains(parameter) || parameter.contains(&r.parameter));
                let near = near.map_or(String::new(), |r| format!("; did you mean \"{},{}\"?", r.item, r.parameter));
                Err(DataError::MissingRow { item: item.into(), parameter: parameter.into(), near })
            }
        }
    }

    /// All rows of one item.
    pub fn item<'a>(&'a self, item: &str) -> impl Iterator<Item = &'a Row> + use<'a> {
        self.items.get(item).into_iter().flatten().map(|&i| &self.rows[i])
    }

    /// The value of a row as a quantity.
    ///
    /// # Errors
    /// A missing row, or a unit that is not one of `Q`.
    pub fn quantity<Q: Quantity>(&self, item: &str, parameter: &str) -> Result<Q, DataError> {
        let row = self.row(item, parameter)?;
        let factor = unit_factor::<Q>(&row.unit).ok_or_else(|| wrong_unit(row, Q::KIND))?;
        Ok(Q::from_value(row.value * factor))
    }

    /// A row as a quantity with its range.
    ///
    /// # Errors
    /// A missing row, or a unit that is not one of `Q`.
    pub fn sourced<Q: Quantity>(&self, item: &str, parameter: &str) -> Result<Sourced<Q>, DataError> {
        let row = self.row(item, parameter)?;
        let factor = unit_factor::<Q>(&row.unit).ok_or_else(|| wrong_unit(row, Q::KIND))?;
        Ok(Sourced {
            value: Q::from_value(row.value * factor),
            low: Q::from_value(row.low * factor),
            high: Q::from_value(row.high * factor),
            source: row.source.clone(),
            factor: row.factor.clone(),
        })
    }

    /// The value of a row whose unit must read exactly `unit`.
    ///
    /// # Errors
    /// A missing row, or another unit.
    pub fn number(&self, item: &str, parameter: &str, unit: &str) -> Result<f64, DataError> {
        let row = self.row(item, parameter)?;
        if row.unit == unit { Ok(row.value) } else { Err(wrong_unit(row, unit)) }
    }

    /// Replaces the value of row `item.parameter`; its range keeps its relative width.
    ///
    /// # Errors
    /// A missing row.
    pub fn override_row(&mut self, key: &str, value: f64) -> Result<(), DataError> {
        let Some(&i) = self.index.get(key) else {
            let (item, parameter) = key.rsplit_once('.').unwrap_or((key, ""));
            return Err(self.row(item, parameter).err().unwrap_or(DataError::MissingRow {
                item: item.into(),
                parameter: parameter.into(),
                near: String::new(),
            }));
        };
        let row = &mut self.rows[i];
        if let Some(why) = impossible(value, &row.unit) {
            return Err(DataError::BadOverride { key: key.into(), value, why });
        }
        let scale = if row.value == 0.0 { 0.0 } else { value / row.value };
        let (a, b) = (row.low * scale, row.high * scale);
        *row = Row { value, low: a.min(b), high: a.max(b), overridden: true, ..row.clone() };
        Ok(())
    }

    /// The tables of one draw: every row at a random quantile, rows of one factor at the same.
    pub fn sample(&self, seed: u64, draw: u64) -> Self {
        let mut out = self.clone();
        out.move_to(self, |row| Some(normal_of(Rng::new(seed, draw, &self.rows[row].input()).uniform())));
        out
    }

    /// Sets every row that has a range to the quantile at the normal quantile (in units of that at 0.9) that `at` gives for its index in `rows`, or
    /// to the value of `base` where it gives none.
    pub fn move_to(&mut self, base: &Self, at: impl Fn(usize) -> Option<f64>) {
        for (i, (row, base)) in self.rows.iter_mut().zip(&base.rows).enumerate() {
            let z = if base.low == base.high { None } else { at(i) };
            row.value = z.map_or(base.value, |z| quantile_at(z, base.low, base.value, base.high));
        }
    }
}

fn wrong_unit(row: &Row, wanted: &str) -> DataError {
    DataError::WrongUnit { item: row.item.clone(), parameter: row.parameter.clone(), unit: row.unit.clone(), wanted: wanted.into() }
}
