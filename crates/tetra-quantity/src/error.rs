//! Errors of this crate: broken quantity text and broken tables, each with place, cause and mend.

/// Text that is not a quantity of the kind asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantityError {
    /// There is no number at the start.
    #[error("\"{text}\" does not begin with a number: write a value and its unit, for example \"{example}\"")]
    NoNumber {
        /// What was read.
        text: String,
        /// A correct text of this kind.
        example: String,
    },
    /// The number is not finite or lies outside what `f64` can hold.
    #[error("\"{text}\" is not a finite number")]
    NotFinite {
        /// What was read.
        text: String,
    },
    /// The unit is missing or unknown.
    #[error("unit \"{unit}\" of \"{text}\" is not a unit of {kind}: write for example \"{example}\"")]
    BadUnit {
        /// What was read.
        text: String,
        /// The unit found in it.
        unit: String,
        /// The kind of quantity that was asked for.
        kind: &'static str,
        /// A correct text of this kind.
        example: String,
    },
}

/// A broken table or a row that a model needs and no table holds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DataError {
    /// A line of a table cannot be read.
    #[error("{table}:{line}: {cause}: {mend}")]
    BadLine {
        /// Name of the table.
        table: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        cause: String,
        /// What to do.
        mend: String,
    },
    /// `sources.toml` cannot be read.
    #[error("sources.toml:{cause}: correct the TOML; every entry has a title and a kind")]
    BadSources {
        /// What is wrong.
        cause: String,
    },
    /// A row cannot take the value that a study gives it.
    #[error("row \"{key}\" cannot be {value:e}, which is {why}: correct the number, in the unit of the row")]
    BadOverride {
        /// The row, `item.parameter`.
        key: String,
        /// The value asked for.
        value: f64,
        /// What it is.
        why: &'static str,
    },
    /// No table holds this row.
    #[error("no row \"{item},{parameter}\" in the data tables: add it to a file under data/ or correct the name{near}")]
    MissingRow {
        /// First column.
        item: String,
        /// Second column.
        parameter: String,
        /// `; did you mean …`, or empty.
        near: String,
    },
    /// The unit of a row is not what the model needs.
    #[error("row \"{item},{parameter}\" has unit \"{unit}\" where {wanted} is needed: correct the unit column")]
    WrongUnit {
        /// First column.
        item: String,
        /// Second column.
        parameter: String,
        /// Unit found.
        unit: String,
        /// Unit or kind wanted.
        wanted: String,
    },
}
