//! One draw of the world: constants of money (with programme and slip), model error, demand and disruption, each from the input that it is drawn by.
//!
//! Every random number belongs to a named input: a factor of the tables, a row without factor, or an error of the model. Options share all of them
//! (common random numbers); only the error between chips is drawn per chip. Op times are not drawn apart: the width of the model error is measured on
//! whole predictions and holds that of the fitted constants.

use std::collections::BTreeSet;

use tetra_foundry::FoundryConstants;
use tetra_quantity::{DataError, MONTHS_PER_YEAR, Rng, Row, Stream, Tables, normal_of};
use tetra_site::{Site, SiteConstants};

use crate::chances::Chances;
use crate::evaluate::Setting;
use crate::market::Market;
use crate::rows::{is_money_or_time, moved};
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
    /// All drawn, but one input from another draw.
    But {
        /// Seed.
        seed: u64,
        /// Number of the draw.
        draw: u64,
        /// The input.
        input: &'a str,
        /// Number of the draw that it is taken from.
        other: u64,
    },
}

impl Roll<'_> {
    /// Probability at which an input lies; none: at its value.
    pub fn at(&self, input: &str) -> Option<f64> {
        self.at_stream(input, Stream::of(input))
    }

    /// The same for a name already hashed.
    fn at_stream(&self, input: &str, stream: Stream) -> Option<f64> {
        match *self {
            Self::Base => None,
            Self::Draw { seed, draw } => Some(Rng::of(seed, draw, stream).uniform()),
            Self::One(name, u) => (name == input).then_some(u),
            Self::But { seed, draw, input: name, other } => Some(Rng::of(seed, if name == input { other } else { draw }, stream).uniform()),
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

/// Prices and values by month.
#[derive(Debug)]
pub struct Trends {
    /// Share of its price that a chip on sale is worth, by age in months from 0.
    pub residual: Vec<f64>,
    /// Price of the same performance over that of the first month, as successors come.
    pub successors: Vec<f64>,
    /// That price over the base's.
    pub bought: Vec<f64>,
    /// Change of rents over the base's.
    pub rented: Vec<f64>,
}

impl Trends {
    fn of(base: &Market, now: &Market, months: u32) -> Self {
        let grown = |by: f64| (0..months).map(|m| by.powf(f64::from(m) / MONTHS_PER_YEAR)).collect();
        let over = |now: f64, base: f64| grown(ratio(1.0 + now, 1.0 + base).max(0.0));
        Self {
            residual: (0..=months).map(|age| now.residual_at(f64::from(age))).collect(),
            successors: grown(1.0 + now.successor_change_per_year()),
            bought: over(now.successor_change_per_year(), base.successor_change_per_year()),
            rented: over(now.rent_change_per_year, base.rent_change_per_year),
        }
    }
}

/// `now / base`; 1 where there was nothing.
pub fn ratio(now: f64, base: f64) -> f64 {
    if base == 0.0 || !(now / base).is_finite() { 1.0 } else { now / base }
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
    /// What changes with time.
    pub trends: Trends,
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
    /// Inputs by name, with their streams.
    inputs: Vec<(String, Stream)>,
    /// Index of the input that each row is drawn by.
    of_row: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// A reader of the setting's tables.
    pub fn new(setting: &'a Setting<'a>) -> Self {
        let tables = setting.inputs.tables.clone();
        let all: BTreeSet<String> = tables.rows().iter().map(Row::input).collect();
        let inputs: Vec<(String, Stream)> = all.into_iter().map(|name| (name.clone(), Stream::of(&name))).collect();
        let place = |row: &Row| inputs.partition_point(|i| i.0 < row.input());
        let of_row = tables.rows().iter().map(place).collect();
        Self { setting, tables, inputs, of_row }
    }

    /// One world.
    ///
    /// # Errors
    /// A row that is missing: never where the setting's constants were read from the same tables.
    pub fn world<'r>(&mut self, roll: Roll<'r>) -> Result<World<'r>, DataError> {
        let base = &self.setting.inputs.tables;
        let at: Vec<Option<f64>> = self.inputs.iter().map(|(name, stream)| roll.at_stream(name, *stream).map(normal_of)).collect();
        self.tables.move_to(base, |row| at[self.of_row[row]]);
        let t = &self.tables;
        let chances = Chances::from_tables(t)?;
        let n = self.setting.study.frame.months;
        let mut foundry = FoundryConstants::from_tables(t)?;
        // A design that was checked at the base case is not checked again: a limit on size is no price.
        foundry.packages.iter_mut().for_each(|p| p.limit_mm2 = f64::INFINITY);
        let market = Market::from_tables(t)?;
        Ok(World {
            roll,
            foundry,
            site: SiteConstants::from_tables(t)?,
            trends: Trends::of(&self.setting.inputs.constants.market, &market, n),
            market,
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
    let month = -(1.0 - u).ln() / per_year.max(f64::MIN_POSITIVE) * MONTHS_PER_YEAR;
    (month < f64::from(months)).then_some((month, length))
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
    let rows = setting.inputs.tables.rows().iter();
    let used = rows.filter(|r| r.low != r.high && is_money_or_time(r) && candidate(&r.item));
    let mut all: BTreeSet<String> = used.map(|r| r.input()).collect();
    all.extend([SERVING_ERROR, TRAINING_ERROR, DISRUPTED].map(str::to_owned));
    all.extend(chips.iter().map(|c| chip_error(c)));
    all.into_iter().collect()
}
