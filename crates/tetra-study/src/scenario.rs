//! What is different in another world: demand, rows of the tables, interruptions, second sources, the pace of GPUs, the luck of a tape-out.
//!
//! A scenario is known from the first month on: nothing in it comes as a surprise, which the draws and the stress of the plan are for. It may move
//! money, supply and demand, never what a chip does. One tape-out more than the expected `e = q/(1-q)` is a probability of `(e+n)/(1+e+n)`.

use std::collections::BTreeMap;

use serde::Deserialize;
use tetra_foundry::expected_respins;
use tetra_quantity::{Row, Tables, show_number, toml_cause};

use crate::input_words::words;
use crate::rows::is_money_or_time;
use crate::rules::class_of;
use crate::study::Study;

/// Row that says how likely a tape-out needs another one.
const RESPIN: &str = "nre.respin_probability";
/// Prices of GPUs, which fall as their successors come.
const GPU_PRICES: [&str; 3] = ["price_server", "price_module", "rent"];

/// One world.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Demand over the study's.
    #[serde(default = "one")]
    demand: f64,
    /// First month (from 1) of that demand.
    #[serde(default)]
    from_month: u32,
    /// Rows over their values: by key, by `*.parameter`, or by factor.
    #[serde(default)]
    times: BTreeMap<String, f64>,
    /// What rows are more, in their unit.
    #[serde(default)]
    plus: BTreeMap<String, f64>,
    /// Interruptions, by their key in `outages.toml`.
    #[serde(default)]
    outages: Vec<String>,
    /// Whether no supplier can be qualified that is not ready.
    #[serde(default)]
    no_second_source: bool,
    /// Largest export class that may stand where a licence is asked, if not the study's.
    #[serde(default)]
    export: Option<String>,
    /// The only country in which no licence is asked, if the rule holds everywhere else.
    #[serde(default)]
    home: Option<String>,
    /// Years by which GPUs get cheaper early.
    #[serde(default)]
    gpus_ahead: f64,
    /// Tape-outs more than expected.
    #[serde(default)]
    respins: f64,
}

fn one() -> f64 {
    1.0
}

/// What happens to the supply of a study; nothing in the study's own world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Happening {
    /// Interruptions that the plan knows of, by their key in `outages.toml`.
    pub outages: Vec<String>,
    /// Whether no supplier can be qualified that is not ready.
    pub no_second_source: bool,
    /// The only country in which the export rule asks no licence, if it holds everywhere else.
    pub home: Option<String>,
}

impl Scenario {
    /// Reads `scenarios.toml`; an empty text holds none.
    ///
    /// # Errors
    /// Broken text, a row that no table has or that no scenario may move, a number that cannot be.
    pub fn read_all(text: &str, tables: &Tables, outages: &str) -> Result<Vec<Self>, Vec<String>> {
        let all: BTreeMap<String, Self> = toml::from_str(text).map_err(|e| vec![format!("scenarios.toml:{}", toml_cause(text, &e))])?;
        let mistakes: Vec<String> = all.iter().flat_map(|(key, s)| s.mistakes(key, tables, outages)).collect();
        if mistakes.is_empty() { Ok(all.into_values().collect()) } else { Err(mistakes) }
    }

    fn mistakes(&self, key: &str, tables: &Tables, outages: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut bad = |what: String, mend: &str| out.push(format!("scenarios.toml: [{key}] {what}\n  help: {mend}"));
        for (name, by) in self.times.iter().chain(&self.plus) {
            if !tables.rows().iter().any(|r| is_meant(r, name)) {
                bad(format!("\"{name}\" is no row that a scenario may move"), "`tetra data` lists all rows, as item.parameter");
            }
            if !by.is_finite() || *by < 0.0 {
                bad(format!("\"{name}\" moves by {by}"), "a finite number from 0");
            }
        }
        for name in self.outages.iter().filter(|o| outage_name(outages, o).is_none()) {
            bad(format!("names the outage \"{name}\", which outages.toml lacks"), "add it there, or name another one");
        }
        if let Some(class) = self.export.as_ref().filter(|class| class_of(class).is_none()) {
            bad(format!("names the export class \"{class}\""), "none or 3A090.b");
        }
        let numbers = [("demand", self.demand), ("gpus_ahead", self.gpus_ahead), ("respins", self.respins)];
        for (name, value) in numbers.into_iter().filter(|(_, v)| !(0.0..=1e6).contains(v)) {
            bad(format!("`{name}` is {value}"), "a number from 0 to 1000000");
        }
        out
    }

    /// The study with this demand.
    pub fn study(&self, study: &Study) -> Study {
        let mut out = study.clone();
        let from = self.from_month.saturating_sub(1) as usize;
        out.export = self.export.as_ref().map_or(out.export, |class| class_of(class));
        out.services.iter_mut().flat_map(|s| s.demand.iter_mut().skip(from)).for_each(|d| d.0 *= self.demand);
        out
    }

    /// Whether it is about the export rule, and that holds at none of these sites; `closed`: it holds at one in the study's own world.
    pub fn is_idle<'a>(&self, closed: bool, countries: impl Iterator<Item = &'a str>) -> bool {
        let mut countries = countries;
        let mut abroad = |home: &String| countries.any(|country| country != *home);
        self.export.is_some() && !closed && !self.home.as_ref().is_some_and(&mut abroad)
    }

    /// The tables of this world; `successors`: change per year of what the same performance costs.
    ///
    /// # Errors
    /// A number that a row cannot hold.
    pub fn tables(&self, base: &Tables, successors: f64) -> Result<Tables, String> {
        let mut tables = base.clone();
        let ahead = (1.0 + successors).powf(self.gpus_ahead);
        for row in base.rows() {
            let of = |by: &BTreeMap<String, f64>| by.iter().find(|(name, _)| is_meant(row, name)).map(|(_, by)| *by);
            let cheaper = if GPU_PRICES.contains(&row.item.as_str()) { ahead } else { 1.0 };
            let mut value = row.value * of(&self.times).unwrap_or(1.0) * cheaper + of(&self.plus).unwrap_or(0.0);
            if row.key() == RESPIN && self.respins > 0.0 {
                let expected = expected_respins(value) + self.respins;
                value = expected / (1.0 + expected);
            }
            if value != row.value {
                tables.override_row(&row.key(), value).map_err(|e| e.to_string())?;
            }
        }
        Ok(tables)
    }

    /// What happens to supply.
    pub fn happening(&self) -> Happening {
        Happening { outages: self.outages.clone(), no_second_source: self.no_second_source, home: self.home.clone() }
    }

    /// Whether only a plan can tell what it does.
    pub fn wants_plan(&self) -> bool {
        self.no_second_source || !self.outages.is_empty()
    }

    /// What is different, in words.
    pub fn changed(&self, tables: &Tables, outages: &str) -> String {
        let mut parts = Vec::new();
        if self.demand != 1.0 {
            let from = if self.from_month > 1 { format!(" from month {}", self.from_month) } else { String::new() };
            parts.push(format!("{} times the demand of all services{from}", show_number(self.demand)));
        }
        let said = |name: &str| words(tables, name.trim_start_matches("*."));
        parts.extend(self.times.iter().map(|(name, by)| format!("{} × {}", said(name), show_number(*by))));
        parts.extend(self.plus.iter().map(|(name, by)| format!("{} + {} {}", said(name), show_number(*by), unit_of(tables, name))));
        parts.extend(self.outages.iter().filter_map(|key| outage_name(outages, key)));
        if self.no_second_source {
            parts.push("no supplier can be qualified that is not ready".to_owned());
        }
        if let Some(class) = &self.export {
            let places =
                self.home.as_ref().map_or("where the export rule asks a licence".to_owned(), |home| format!("at sites outside {home}"));
            parts.push(format!("{places}, none is given above class \"{class}\""));
        }
        if self.gpus_ahead > 0.0 {
            let years = show_number(self.gpus_ahead);
            let plural = if self.gpus_ahead == 1.0 { "" } else { "s" };
            parts.push(format!("GPUs and rents cost from the start what they would cost {years} year{plural} later"));
        }
        if self.respins > 0.0 {
            let plural = if self.respins == 1.0 { "" } else { "s" };
            parts.push(format!("{} tape-out{plural} more than expected", show_number(self.respins)));
        }
        parts.join("; ")
    }
}

/// Whether `name` means a row: its key, `*.parameter`, or its factor.
fn is_meant(row: &Row, name: &str) -> bool {
    let by_parameter = name.strip_prefix("*.").is_some_and(|p| p == row.parameter);
    is_money_or_time(row) && (by_parameter || row.key() == name || (!row.factor.is_empty() && row.factor == name))
}

fn unit_of(tables: &Tables, name: &str) -> String {
    tables.rows().iter().find(|r| is_meant(r, name)).map_or(String::new(), |r| r.unit.clone())
}

/// The name of the interruption `key` in the text of `outages.toml`.
fn outage_name(outages: &str, key: &str) -> Option<String> {
    let texts: toml::Table = toml::from_str(outages).ok()?;
    texts.get(key)?.get("name")?.as_str().map(str::to_owned)
}
