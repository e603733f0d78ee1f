//! One draw of the world: constants of money, model error, demand, slip and disruption, each from the input that it is drawn by.
//!
//! Every random number belongs to a named input: a factor of the tables, a row without factor, or an error of the model. Options share all of them
//! (common random numbers); only the error between chips is drawn per chip. Op times are not drawn apart: the width of the model error is measured on
//! whole predictions and holds that of the fitted constants.

use tetra_foundry::FoundryConstants;
use tetra_quantity::{DataError, MONTH_S, Rng, Seconds, Tables, normal_of};
use tetra_site::{Site, SiteConstants};

use crate::evaluate::Setting;
use crate::market::Market;
use crate::validate::ModelError;

/// Where the inputs of a world lie.
#[derive(Debug, Clone, Copy)]
pub enum Roll<'a> {
    /// All at their values.
    Base,
    /// All drawn.
    Draw {
        /// Seed.
        seed: u64,
        /// Number of the draw.
        draw: u64,
    },
    /// One input at a probability, all others at their values.
    One(&'a str, f64),
}

impl Roll<'_> {
    /// Probability at which an input lies; none: at its value.
    pub fn at(&self, input: &str) -> Option<f64> {
        match *self {
            Self::Base => None,
            Self::Draw { seed, draw } => Some(Rng::new(seed, draw, input).uniform()),
            Self::One(name, u) => (name == input).then_some(u),
        }
    }

    /// The logarithm of an error whose 80 % interval has the half-width `width`.
    fn error(&self, input: &str, width: f64) -> f64 {
        self.at(input).map_or(0.0, |u| width * normal_of(u))
    }
}

/// Input by which the common error of serving is drawn.
pub const SERVING_ERROR: &str = "model error of serving, common to all chips";
/// Input by which the common error of training is drawn.
pub const TRAINING_ERROR: &str = "model error of training, common to all chips";
/// Input that decides whether supply is disrupted, and when.
const DISRUPTED: &str = "disruption of supply";

/// Input by which the error of one chip is drawn.
pub fn chip_error(chip: &str) -> String {
    format!("model error of {chip} against other chips")
}

/// What may happen beside prices: rows of `draws.csv`, and what a newcomer gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    /// Demand of the last month over the study's.
    pub demand: f64,
    /// Months by which a programme is late.
    pub slip: f64,
    /// What a newcomer gets of wafers.
    pub allocation: f64,
    /// Disruptions of supply per year, and months that one lasts.
    pub disruption: (f64, f64),
    /// Months in which orders follow the plan.
    pub commitment: f64,
    /// Share of an order that is paid even if it is not taken.
    pub take_or_pay: f64,
}

impl Chances {
    /// Reads the rows.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let months = |item: &str, parameter: &str| t.quantity::<Seconds>(item, parameter).map(|s| s.value() / MONTH_S);
        Ok(Self {
            demand: t.number("demand", "horizon_factor", "1")?.max(f64::MIN_POSITIVE),
            slip: months("programme", "slip")?,
            allocation: t.number("newcomer", "wafer", "1")?,
            disruption: (t.number("disruption", "probability", "1/year")?, months("disruption", "length")?),
            commitment: months("demand", "commitment")?,
            take_or_pay: t.number("take_or_pay", "share", "1")?,
        })
    }
}

/// A world.
#[derive(Debug)]
pub struct World<'a> {
    /// Where its inputs lie.
    pub roll: Roll<'a>,
    /// Manufacture.
    pub foundry: FoundryConstants,
    /// Machines and sites.
    pub site: SiteConstants,
    /// Prices.
    pub market: Market,
    /// Candidate sites.
    pub sites: Vec<Site>,
    /// Demand over the study's, by month.
    pub demand: Vec<f64>,
    /// What may happen beside prices.
    pub chances: Chances,
    /// Months without deliveries: first, and how many.
    pub disruption: Option<(f64, f64)>,
    /// Widths of the model's errors.
    pub error: ModelError,
}

/// Reads worlds from one set of tables.
pub struct Reader<'a> {
    setting: &'a Setting<'a>,
    tables: Tables,
    /// What each row is drawn by.
    inputs: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of the setting's tables.
    pub fn new(setting: &'a Setting<'a>) -> Self {
        let tables = setting.inputs.tables.clone();
        let inputs = tables.rows().iter().map(tetra_quantity::Row::input).collect();
        Self { setting, tables, inputs }
    }

    /// One world.
    ///
    /// # Errors
    /// A row that is missing: never where the setting's constants were read from the same tables.
    pub fn world<'r>(&mut self, roll: Roll<'r>) -> Result<World<'r>, DataError> {
        let base = &self.setting.inputs.tables;
        self.tables.move_to(base, |row| roll.at(&self.inputs[row]));
        let t = &self.tables;
        let chances = Chances::from_tables(t)?;
        let n = self.setting.study.frame.months;
        let mut foundry = FoundryConstants::from_tables(t)?;
        // A design that was checked at the base case is not checked again: a limit on size is no price.
        foundry.packages.iter_mut().for_each(|p| p.limit_mm2 = f64::INFINITY);
        Ok(World {
            roll,
            foundry,
            site: SiteConstants::from_tables(t)?,
            market: Market::from_tables(t)?,
            sites: self.setting.places.iter().map(|p| moved(p.site, base, t)).collect(),
            demand: (1..=n).map(|m| chances.demand.powf(f64::from(m) / f64::from(n))).collect(),
            chances,
            disruption: disruption(&roll, chances.disruption, n),
            error: self.setting.inputs.constants.error,
        })
    }
}

/// A disruption, if the draw has one within the horizon: the waiting time for it is exponential.
fn disruption(roll: &Roll<'_>, (per_year, length): (f64, f64), months: u32) -> Option<(f64, f64)> {
    let u = roll.at(DISRUPTED)?;
    let month = -(1.0 - u).ln() / per_year.max(f64::MIN_POSITIVE) * tetra_quantity::MONTHS_PER_YEAR;
    (month < f64::from(months)).then_some((month, length))
}

/// A site with its prices and its grid's carbon where their rows lie.
fn moved(site: &Site, base: &Tables, drawn: &Tables) -> Site {
    let ratio = |parameter: &str| {
        let value = |t: &Tables| t.row(&site.key, parameter).map(|r| r.value);
        match (value(base), value(drawn)) {
            (Ok(b), Ok(d)) if b > 0.0 => (d / b).max(0.0),
            _ => 1.0,
        }
    };
    let mut out = site.clone();
    out.electricity.0 *= ratio("electricity_price");
    out.construction.0 *= ratio("construction_price");
    out.carbon.0 *= ratio("grid_carbon");
    out
}

impl World<'_> {
    /// Logarithm of the time of one unit of serving over the prediction.
    pub fn serving_error(&self, chip: &str, seen: bool) -> f64 {
        self.with_chip(SERVING_ERROR, self.error.tpot, chip, seen)
    }

    /// The same for training.
    pub fn training_error(&self, chip: &str, seen: bool) -> f64 {
        self.with_chip(TRAINING_ERROR, self.error.training, chip, seen)
    }

    /// A common part and one of the chip; of a ratio of two chips' times, each has one half of the variance. That ratio is measured on serving and
    /// taken for training, too.
    fn with_chip(&self, common: &str, width: f64, chip: &str, seen: bool) -> f64 {
        let single = self.error.between_chips / std::f64::consts::SQRT_2;
        let shared = (width * width - single * single).max(0.0).sqrt();
        let own = if seen { single } else { single * self.error.unseen_chip };
        self.roll.error(common, shared) + self.roll.error(&chip_error(chip), own)
    }
}

/// Inputs that can move an answer: those of the tables that money, demand and time are read from, and the model's errors for `chips`.
pub fn inputs_of(setting: &Setting<'_>, chips: &[&str]) -> Vec<String> {
    let candidate = |item: &str| !item.starts_with("site_") || setting.places.iter().any(|p| p.site.key == item) || item == "site_cost";
    const TABLES: [&str; 6] = ["foundry", "market", "site", "sites", "supply", "draws"];
    let rows = setting.inputs.tables.rows().iter();
    let used = rows.filter(|r| r.low != r.high && TABLES.contains(&r.table.trim_end_matches(".csv")) && candidate(&r.item));
    let mut all: std::collections::BTreeSet<String> = used.map(|r| r.input()).collect();
    all.extend([SERVING_ERROR, TRAINING_ERROR, DISRUPTED].map(str::to_owned));
    all.extend(chips.iter().map(|c| chip_error(c)));
    all.into_iter().collect()
}
