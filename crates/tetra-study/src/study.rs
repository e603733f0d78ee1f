//! What a study asks: frame, services, training runs, sites, what to compare with, and which chips to search. Given, never found.

use std::collections::BTreeMap;

use tetra_foundry::ExportClass;
use tetra_quantity::{MONTH_S, PerYear, Seconds, Tokens, TokensPerSecond, Watts};
use tetra_workload::Precision;

/// Longest horizon, in months.
pub(crate) const LONGEST_HORIZON: u64 = 240;

/// A whole study as read from `study.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Horizon and money.
    pub frame: Frame,
    /// Services in the order of the file.
    pub services: Vec<Service>,
    /// Training runs in the order of the file.
    pub trainings: Vec<Training>,
    /// Candidate sites.
    pub sites: Vec<SiteChoice>,
    /// GPUs to compare with, bought.
    pub buy: Vec<String>,
    /// Which custom chips to look at.
    pub search: Search,
    /// Rules on suppliers.
    pub supply: SupplyRules,
    /// The largest export class that may stand where the export rule asks a licence; none: no rule.
    pub export: Option<ExportClass>,
    /// Rows of the tables that this study replaces: `item.parameter` and value in the row's own unit.
    pub overrides: Vec<(String, f64)>,
}

/// Horizon, discounting and seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// First month.
    pub start: Month,
    /// Months in the horizon.
    pub months: u32,
    /// Discount rate of real money.
    pub discount_rate: PerYear,
    /// Year whose money all amounts are in.
    pub currency_year: u16,
    /// Seed of the draws.
    pub seed: u64,
}

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// Year.
    pub year: u16,
    /// Month of the year, 1 to 12.
    pub month: u8,
}

impl Month {
    /// The month `months` later.
    pub fn plus(self, months: u32) -> Self {
        let index = u32::from(self.year) * 12 + u32::from(self.month) - 1 + months;
        Self { year: (index / 12).min(u32::from(u16::MAX)) as u16, month: (index % 12) as u8 + 1 }
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// One service: a model answering requests of one shape within its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Name in the study.
    pub name: String,
    /// Name of the model's configuration.
    pub model: String,
    /// Formats it runs in.
    pub precision: Precision,
    /// Tokens of a prompt.
    pub prompt: u64,
    /// Tokens of an answer.
    pub output: u64,
    /// Longest time to the first token, if limited.
    pub ttft: Option<Seconds>,
    /// Longest time per further token, if limited.
    pub tpot: Option<Seconds>,
    /// Mean output tokens per second of every month of the horizon (index 0 is month 1).
    pub demand: Vec<TokensPerSecond>,
    /// Peak over mean.
    pub peak_to_mean: f64,
    /// Jurisdiction that the data may not leave, if any.
    pub process_in: Option<String>,
    /// Month (from 1) from which its demand must be met in full, if any: without it, unmet demand costs its penalty.
    pub met_from: Option<u32>,
}

/// A training run, repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Name in the study.
    pub name: String,
    /// Name of the model's configuration.
    pub model: String,
    /// Formats it runs in.
    pub precision: Precision,
    /// Positions per sequence.
    pub sequence: u64,
    /// Sequences per step.
    pub global_batch: u64,
    /// Tokens of one run.
    pub tokens: Tokens,
    /// Longest time of one run.
    pub within: Seconds,
    /// Runs per year.
    pub runs_per_year: u32,
    /// Month of the horizon (from 1) in which the first run starts.
    pub from_month: u32,
}

impl Training {
    /// Months (index) in which runs start: evenly over each year from the first, as long as the longest allowed run ends within the horizon.
    pub fn starts(&self, months: u32) -> Vec<usize> {
        let longest = (self.within.value() / MONTH_S).ceil();
        let first = self.from_month.saturating_sub(1);
        let nth =
            |k: u32| first.saturating_add(u32::try_from(u64::from(k) * 12 / u64::from(self.runs_per_year.max(1))).unwrap_or(u32::MAX));
        let ends = |m: &u32| f64::from(*m) + longest <= f64::from(months);
        (0..months.saturating_mul(self.runs_per_year)).map(nth).take_while(ends).map(|m| m as usize).collect()
    }
}

/// A candidate site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteChoice {
    /// Name of its row.
    pub name: String,
    /// Most power it can draw, if limited.
    pub cap: Option<Watts>,
}

/// Rules on the suppliers of an own chip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SupplyRules {
    /// Two-letter countries in which suppliers may lie; none: anywhere.
    pub countries: Option<Vec<String>>,
    /// Stage and the largest share of its orders in a year that one country may get.
    pub largest_share: Vec<(String, f64)>,
}

/// Which custom chips to look at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// Named grid, a table of `grids.toml`.
    pub grid: String,
    /// Axes that this study replaces: values as text.
    pub axes: BTreeMap<String, Vec<String>>,
}
