//! Suppliers and outages as the data state them: `suppliers.toml` and `outages.toml` hold names, `supply.csv` the numbers.
//!
//! What this buyer gets of a plant is `capacity · newcomer share`; HBM capacity is stated in wafers and counted in stacks. Lead times are
//! rounded up to whole months.

use std::collections::BTreeMap;

use serde::Deserialize;
use tetra_quantity::{MONTH_S, MONTHS_PER_YEAR, Seconds, Tables, toml_cause};

use crate::error::PlanError;
use crate::input::{Expansion, Outage, Qualification, Stage, Supplier};

/// Numbers of the tables that are about no single supplier.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanConstants {
    /// Cost of keeping stock, fraction of its value per year.
    pub stock_cost_per_year: f64,
    /// Share of a plant's capacity that this buyer gets, by stage.
    pub newcomer: Vec<(Stage, f64)>,
    /// Data-centre GPUs this buyer can get in a month.
    pub gpus_per_month: f64,
    /// GPUs that can be rented at a time.
    pub rentable_gpus: f64,
    /// Months from the order to the use of a rented GPU.
    pub rent_lead_months: usize,
    /// Part of the work in process that an outage destroys.
    pub lost_in_process: f64,
    /// Months from the end of an outage to full capacity.
    pub recovery_months: usize,
}

impl PlanConstants {
    /// Reads the constants.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables) -> Result<Self, PlanError> {
        let share = tables.number("newcomer", "server", "1")?;
        Ok(Self {
            stock_cost_per_year: tables.number("stock", "cost", "1/year")?,
            newcomer: Stage::ALL
                .into_iter()
                .map(|s| Ok((s, tables.number("newcomer", words(s).0, "1")?)))
                .collect::<Result<_, PlanError>>()?,
            gpus_per_month: tables.number("gpu_supply", "world", "units/month")? * share,
            rentable_gpus: tables.number("gpu_supply", "rentable", "units")?,
            rent_lead_months: months(tables, "gpu_supply", "rent_lead_time")?,
            lost_in_process: tables.number("outage", "lost_in_process", "1")?.clamp(0.0, 1.0),
            recovery_months: months(tables, "outage", "recovery_time")?,
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SupplierText {
    name: String,
    stage: Stage,
    country: String,
    #[serde(default)]
    nodes: Vec<String>,
    #[serde(default)]
    second_source: bool,
}

/// All suppliers, with the years from which they work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SupplierTable {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    supplier: Supplier,
    nodes: Vec<String>,
    first_year: f64,
}

impl SupplierTable {
    /// Reads `suppliers.toml` and its numbers.
    ///
    /// # Errors
    /// Broken text, a missing row, a wrong unit.
    pub fn parse(text: &str, tables: &Tables) -> Result<Self, PlanError> {
        let texts: BTreeMap<String, SupplierText> =
            toml::from_str(text).map_err(|e| PlanError::BadSuppliers { cause: toml_cause(text, &e) })?;
        let entries = texts.into_iter().map(|(key, text)| entry(&key, text, tables)).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// All suppliers, of whatever process.
    pub fn all(&self) -> Vec<&Supplier> {
        self.entries.iter().map(|e| &e.supplier).collect()
    }

    /// Suppliers for a design on process `node` in a study that starts in `start_year` (2027.0 is January 2027).
    pub fn offered(&self, node: &str, start_year: f64) -> Vec<Supplier> {
        let fits = |e: &&Entry| e.nodes.is_empty() || e.nodes.iter().any(|n| n == node);
        let dated = self.entries.iter().filter(fits).map(|e| {
            let months = ((e.first_year - start_year) * MONTHS_PER_YEAR).ceil().clamp(0.0, f64::from(u16::MAX));
            Supplier { first_month: months as usize, ..e.supplier.clone() }
        });
        dated.collect()
    }
}

fn entry(key: &str, text: SupplierText, tables: &Tables) -> Result<Entry, PlanError> {
    let (stage_word, unit) = words(text.stage);
    let units = if text.stage == Stage::Hbm { tables.number("hbm", "stacks_per_wafer", "1")? } else { 1.0 };
    let share = tables.number("newcomer", stage_word, "1")?;
    let supplier = Supplier {
        name: text.name,
        stage: text.stage,
        country: text.country,
        units_per_month: tables.number(key, "capacity", unit)? * share * units,
        first_month: 0,
        lead_months: months(tables, key, "lead_time")?,
        price_factor: tables.number(key, "price_factor", "1")?,
        max_share: optional(tables, key, "largest_share", "1")?.unwrap_or(1.0).clamp(0.0, 1.0),
        qualification: match text.second_source {
            true => Some(Qualification {
                usd: tables.number(key, "qualification_cost", "USD")?,
                months: months(tables, key, "qualification_time")?,
            }),
            false => None,
        },
        expansion: match optional(tables, key, "expansion_capacity", unit)? {
            Some(more) => Some(Expansion {
                units_per_month: more * units,
                usd: tables.number(key, "expansion_cost", "USD")?,
                months: months(tables, key, "expansion_time")?,
            }),
            None => None,
        },
    };
    Ok(Entry { supplier, nodes: text.nodes, first_year: optional(tables, key, "first_year", "year")?.unwrap_or(0.0) })
}

/// The stage's word in the tables and the unit of its capacity there.
fn words(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Wafer => ("wafer", "wafers/month"),
        Stage::Hbm => ("hbm", "wafers/month"),
        Stage::Packaging => ("packaging", "wafers/month"),
        Stage::Test => ("test", "chips/month"),
        Stage::Server => ("server", "chips/month"),
    }
}

fn optional(tables: &Tables, item: &str, parameter: &str, unit: &str) -> Result<Option<f64>, PlanError> {
    match tables.item(item).any(|r| r.parameter == parameter) {
        true => Ok(Some(tables.number(item, parameter, unit)?)),
        false => Ok(None),
    }
}

/// A time of the tables in whole months, rounded up.
fn months(tables: &Tables, item: &str, parameter: &str) -> Result<usize, PlanError> {
    let time: Seconds = tables.quantity(item, parameter)?;
    // A millionth of a month is the rounding of the unit, not a reason for one month more.
    Ok((time.value() / MONTH_S - 1e-6).ceil().clamp(0.0, f64::from(u16::MAX)) as usize)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageText {
    name: String,
    country: String,
    stages: Vec<Stage>,
    from_month: usize,
    months: usize,
    #[serde(default)]
    bought: bool,
}

/// Outages to try a plan against, by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutageTable {
    /// In the order of their keys.
    pub outages: Vec<(String, Outage)>,
}

impl OutageTable {
    /// Reads `outages.toml`, where months count from 1.
    ///
    /// # Errors
    /// Broken text, or a month 0.
    pub fn parse(text: &str, constants: &PlanConstants) -> Result<Self, PlanError> {
        let texts: BTreeMap<String, OutageText> = toml::from_str(text)
            .map_err(|e| PlanError::BadInput { what: format!("outages.toml:{}", toml_cause(text, &e)), mend: "correct the file" })?;
        let outage = |(key, text): (String, OutageText)| {
            let from_month = text.from_month.checked_sub(1).ok_or_else(|| PlanError::BadInput {
                what: format!("outages.toml: {key} begins in month 0"),
                mend: "months count from 1",
            })?;
            let OutageText { name, country, stages, months, bought, .. } = text;
            let (recovery_months, lost_in_process) = (constants.recovery_months, constants.lost_in_process);
            Ok((key, Outage { name, country, stages, from_month, months, recovery_months, lost_in_process, bought }))
        };
        Ok(Self { outages: texts.into_iter().map(outage).collect::<Result<_, PlanError>>()? })
    }
}
