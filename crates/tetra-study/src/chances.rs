//! What may happen beside prices.

use tetra_quantity::{DataError, MONTH_S, Seconds, Tables};

/// What may happen beside prices: rows of `draws.csv`, and what a newcomer gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chances {
    /// Demand of the last month over the study's.
    pub demand: f64,
    /// What a newcomer gets of wafers.
    pub allocation: f64,
    /// Disruptions of supply per year, and months that one lasts.
    pub disruption: (f64, f64),
    /// Months in which orders follow the plan.
    pub commitment: f64,
    /// Share of an order that is paid even if it is not taken.
    pub take_or_pay: f64,
    /// Most chips over those of a missed limit that an operator buys to hold a limit.
    pub limit_worth: f64,
    /// GPUs that this buyer gets in a month.
    pub gpus_per_month: f64,
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
            allocation: t.number("newcomer", "wafer", "1")?,
            disruption: (t.number("disruption", "probability", "1/year")?, months("disruption", "length")?),
            commitment: months("demand", "commitment")?,
            take_or_pay: t.number("take_or_pay", "share", "1")?,
            limit_worth: t.number("limit", "worth", "1")?,
            gpus_per_month: t.number("gpu_supply", "world", "units/month")? * t.number("newcomer", "server", "1")?,
        })
    }
}
