//! What the market says: prices and rents of chips on sale, their value later, lead times, the price of not serving.
//!
//! Between the ages for which a value is known it falls exponentially; after the last it goes on falling at the last rate.

use std::collections::BTreeMap;

use tetra_chip::Chip;
use tetra_quantity::{DataError, MONTH_S, Seconds, Tables, Usd, UsdPerSecond};
use tetra_site::PriceBasis;

use crate::study::LONGEST_HORIZON;

/// A stack that does less is none.
const LEAST_EFFICIENCY: f64 = 1e-2;

/// Prices, rents and residual values.
#[derive(Debug, Clone, PartialEq)]
pub struct Market {
    /// Price of one chip by the name the market uses, and what that price holds.
    pub prices: BTreeMap<String, (Usd, PriceBasis)>,
    /// Rent of one chip on demand, with everything around it.
    pub rents: BTreeMap<String, UsdPerSecond>,
    /// Rent reserved for a year over that on demand.
    pub reserved_share: f64,
    /// Age in months and share of the price, in order of age.
    pub residual: Vec<(f64, f64)>,
    /// The same by whole months of age, as far as any study is long.
    pub by_month: Vec<f64>,
    /// Share by which own chips are said to cut costs.
    pub quoted_cut: f64,
    /// Years in which the price of the same performance halves.
    pub price_halving_years: f64,
    /// GPUs that can be rented at a time.
    pub rentable_gpus: f64,
    /// Months from the order to the use of a rented GPU.
    pub rent_lead_months: u32,
    /// Change of rents per year.
    pub rent_change_per_year: f64,
    /// Value of an own chip over that of a bought one of the same age.
    pub own_chip_share: f64,
    /// Part of its steady work that an own chip does in the first month of volume.
    pub first_efficiency: f64,
    /// Months from first volume until an own chip does its steady work.
    pub stack_ramp_months: f64,
    /// Months over which a facility loses its value.
    pub facility_life_months: f64,
    /// Months from order of a bought chip to service.
    pub gpu_lead_months: u32,
    /// Years over which servers and network are paid off in a chip-hour.
    pub it_life_years: f64,
    /// Chips in one server.
    pub chips_per_server: u64,
    /// Dollars per output token that is not served.
    pub penalty_usd_per_token: f64,
}

/// Share of its price that a chip on sale is worth, by age in months.
fn residual(tables: &Tables) -> Result<Vec<(f64, f64)>, DataError> {
    let mut residual = Vec::new();
    for row in tables.item("residual") {
        let age = row.parameter.strip_prefix("after_").and_then(|p| p.strip_suffix("_months")).and_then(|p| p.parse::<f64>().ok());
        if let Some(age) = age {
            residual.push((age, tables.number("residual", &row.parameter, "1")?));
        }
    }
    residual.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(residual)
}

impl Market {
    /// Reads the rows of `market.csv`.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables) -> Result<Self, DataError> {
        let residual = residual(tables)?;
        let months = |item: &str, parameter: &str| tables.quantity::<Seconds>(item, parameter).map(|s| s.value() / MONTH_S);
        let mut prices = BTreeMap::new();
        for (item, basis) in
            [("price_package", PriceBasis::Package), ("price_module", PriceBasis::Module), ("price_server", PriceBasis::Server)]
        {
            for row in tables.item(item) {
                prices.insert(row.parameter.clone(), (tables.quantity::<Usd>(item, &row.parameter)?, basis));
            }
        }
        let mut rents = BTreeMap::new();
        for row in tables.item("rent") {
            rents.insert(row.parameter.clone(), tables.quantity::<UsdPerSecond>("rent", &row.parameter)?);
        }
        let mut market = Self {
            prices,
            rents,
            reserved_share: tables.number("rent_reserved", "share", "1")?,
            residual,
            by_month: Vec::new(),
            quoted_cut: tables.number("claim", "cost_cut", "1")?,
            price_halving_years: tables.number("gpu", "price_performance_doubling", "years")?,
            rentable_gpus: tables.number("gpu_supply", "rentable", "units")?,
            rent_lead_months: months("gpu_supply", "rent_lead_time")?.ceil().clamp(0.0, 1e6) as u32,
            rent_change_per_year: tables.number("gpu", "rent_ratio_per_year", "1")? - 1.0,
            own_chip_share: tables.number("residual", "own_chip_share", "1")?,
            first_efficiency: tables.number("own_stack", "first_efficiency", "1")?.clamp(LEAST_EFFICIENCY, 1.0),
            stack_ramp_months: months("own_stack", "ramp")?.max(0.0),
            facility_life_months: months("residual", "facility_life")?,
            gpu_lead_months: months("gpu", "lead_time")?.round().clamp(0.0, 1e6) as u32,
            it_life_years: tables.number("server", "life", "years")?,
            chips_per_server: tables.number("server", "chips", "count")?.clamp(1.0, 1e6) as u64,
            penalty_usd_per_token: tables.number("unmet", "penalty", "USD/Mtokens")? / 1e6,
        };
        market.by_month = (0..=LONGEST_HORIZON).map(|age| market.residual_at(age as f64)).collect();
        Ok(market)
    }

    /// What so much time of a chip costs to rent on demand, where the market names the chip.
    pub fn rent_of(&self, chip: &Chip, chip_time: Seconds) -> Option<Usd> {
        let (_, rent) = self.rents.iter().find(|(name, _)| chip.name == **name || chip.aliases.contains(name))?;
        Some(*rent * chip_time)
    }

    /// Change per year of what the same performance costs, as successors come: `2^(-1/T) - 1`.
    pub fn successor_change_per_year(&self) -> f64 {
        (-1.0 / self.price_halving_years).exp2() - 1.0
    }

    /// Share of its price that a chip on sale is worth at `age` months.
    pub fn residual_at(&self, age: f64) -> f64 {
        let Some(after) = self.residual.iter().position(|&(a, _)| a >= age) else { return self.residual_beyond(age) };
        let (b, y) = self.residual[after];
        let (a, x) = self.residual[after.saturating_sub(1)];
        if b <= a || x <= 0.0 || y <= 0.0 { y } else { x * (y / x).powf(((age - a) / (b - a)).clamp(0.0, 1.0)) }
    }

    /// The same at a whole number of months.
    pub fn residual_after(&self, months: usize) -> f64 {
        self.by_month.get(months).copied().unwrap_or_else(|| self.residual_at(months as f64))
    }

    fn residual_beyond(&self, age: f64) -> f64 {
        match *self.residual.as_slice() {
            [.., (a, x), (b, y)] if b > a && x > 0.0 && y > 0.0 => y * (y / x).powf((age - b) / (b - a)),
            [.., (_, y)] => y,
            [] => 0.0,
        }
    }

    /// Part of its steady work that an own chip does so many months after first volume: `e + (1 - e) · min(1, k / ramp)`. Kernels and compiler of an
    /// own stack are young; GPUs have none of it.
    pub fn own_stack_at(&self, months: f64) -> f64 {
        let done = if self.stack_ramp_months > 0.0 { (months / self.stack_ramp_months).clamp(0.0, 1.0) } else { 1.0 };
        self.first_efficiency + (1.0 - self.first_efficiency) * done
    }

    /// Share of its price that a facility is worth at `age` months.
    pub fn facility_residual_at(&self, age: f64) -> f64 {
        if self.facility_life_months > 0.0 { (1.0 - age / self.facility_life_months).max(0.0) } else { 0.0 }
    }
}
