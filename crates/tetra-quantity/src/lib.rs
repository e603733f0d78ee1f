//! Quantities: what a number means, where it comes from and how sure it is.
//!
//! Nothing here knows a noun of the layers above: only units, text, tables, ranges and draws.

mod draw;
mod error;
mod quantity;
mod show;
mod table;
mod text;
mod time;
mod unit;

pub use draw::{Rng, Stream, normal_of, quantile_at, quantile_of};
pub use error::{DataError, QuantityError};
pub use quantity::Quantity;
pub use show::{exact_text, show_number, show_scaled};
pub use table::{Row, Source, SourceKind, Sourced, TableText, Tables};
pub use text::{parse_quantity, split_number, toml_cause, toml_kind, toml_words};
pub use time::{DAY_S, HOUR_S, MONTH_S, MONTHS_PER_YEAR, YEAR_S};
pub use unit::*;
