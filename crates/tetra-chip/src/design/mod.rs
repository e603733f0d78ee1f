//! The design description of a point of the template: every block with its numbers, each number with the formula, rule or choice that
//! gives it and, through the data rows that formulas name, its source. What RTL is later made from.
//!
//! A formula is arithmetic over other values of the description (`pe_array.rows`) and data rows (`area.mac`), in base units, so that
//! another program can work every number out again. Leaves out: pipeline depth inside memories and the array's PEs, which the model
//! does not have.

mod derive;
mod joints;
mod parts;
mod point;
mod write;

use std::collections::BTreeMap;

use tetra_quantity::{Tables, exact_text};

pub use joints::{Demand, Joint};
pub use parts::*;
pub use point::{is_point, template_of};
pub use write::{Reading, read};

use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::error::Fit;
use crate::template::{Design, build};

/// A block of a description: its name and its entries, each with the key, the value as TOML, the value in base units where it is a
/// number, and where it comes from.
pub type Block = (&'static str, Vec<(&'static str, String, Option<f64>, Origin)>);

/// A data row that a formula names: its value with its unit, its source.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RowUsed {
    /// Value with its unit.
    pub value: String,
    /// Key of `data/sources.toml`.
    pub source: String,
}

/// A design description.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Description {
    /// The point of the template.
    pub point: Design,
    /// All blocks.
    pub parts: Parts,
    /// Where parts meet.
    pub joints: Vec<Joint>,
    /// Data rows that formulas name.
    pub rows: BTreeMap<String, RowUsed>,
}

impl Description {
    /// The description of a point of the template.
    ///
    /// # Errors
    /// Why the point cannot be built.
    pub fn of(point: &Design, tables: &Tables, constants: &ChipConstants) -> Fit<(Self, Chip)> {
        let chip = build(point, constants)?;
        let parts = derive::parts(point, &chip, tables, constants)?;
        let joints = joints::joints(&parts);
        let mut out = Self { point: point.clone(), parts, joints, rows: BTreeMap::new() };
        out.rows = out.rows_used(tables);
        Ok((out, chip))
    }

    /// Every block with its entries, the template's own numbers first.
    pub fn blocks(&self) -> Vec<Block> {
        let own = point::entries(&self.point);
        let point = own.into_iter().map(|(k, v, n)| (k, v, n, Origin::Choice("given"))).collect();
        std::iter::once(("point", point)).chain(self.parts.blocks()).collect()
    }

    /// Rows named in the formulas.
    fn rows_used(&self, tables: &Tables) -> BTreeMap<String, RowUsed> {
        let blocks = self.blocks();
        let here = |name: &str| {
            name.split_once('.').is_some_and(|(b, k)| blocks.iter().any(|(block, e)| *block == b && e.iter().any(|e| e.0 == k)))
        };
        let formulas = blocks.iter().flat_map(|(_, entries)| entries).filter_map(|e| match &e.3 {
            Origin::Formula(f) => Some(f.as_str()),
            Origin::Rule(_) | Origin::Choice(_) => None,
        });
        let mut out = BTreeMap::new();
        for name in formulas.flat_map(names).filter(|n| !here(n)) {
            if let Some((item, parameter)) = name.split_once('.')
                && let Ok(row) = tables.row(item, parameter)
            {
                let value = format!("{} {}", row.value, row.unit).trim_end_matches(" 1").to_owned();
                out.insert(name.to_owned(), RowUsed { value, source: row.source.clone() });
            }
        }
        out
    }
}

/// Names in a formula.
fn names(formula: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    formula.split(move |c: char| !inside(c)).filter(|w| w.contains('.') && w.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// A quantity as TOML text.
fn quoted<Q: tetra_quantity::Quantity>(q: Q) -> String {
    format!("\"{}\"", exact_text::<Q>(q.value()))
}
