//! What an option comes to over the horizon: money, machines and met demand by month, from a plan or, without one, from the closed form.

use tetra_quantity::PerYear;

use crate::cashflow::{Ledger, LineKind, Purpose};
use crate::evaluate::{Found, Setting};

/// An option over the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// All payments.
    pub ledger: Ledger,
    /// Chips of the option's own kind that stand, by month.
    pub own: Vec<f64>,
    /// Bought machines of the bridge that stand, by month.
    pub bought: Vec<f64>,
    /// Rented machines, by month.
    pub rented: Vec<f64>,
    /// Chips of the own kind that would serve all demand, by month.
    pub needed: Vec<f64>,
    /// Share of the demand that is served by standing or rented machines, by month.
    pub served: Vec<f64>,
    /// Month (1 = first) in which the own kind serves first.
    pub first_month: Option<u32>,
    /// Month from which all demand is met to the end.
    pub full_month: Option<u32>,
    /// IT power at the end, watts.
    pub it_w: f64,
    /// IT power at the end by place, watts.
    pub it_w_by_place: Vec<f64>,
    /// The plan, if there is one.
    #[cfg(feature = "plan")]
    pub plan: Option<Box<tetra_plan::Plan>>,
}

impl Outcome {
    /// Present value of all payments, dollars.
    pub fn payments(&self, rate: PerYear) -> f64 {
        self.ledger.present_value(rate).value()
    }

    /// By what part of its cost a plan may lie above the best possible one; 0 without a plan.
    pub fn gap(&self) -> f64 {
        #[cfg(feature = "plan")]
        let gap = self.plan.as_ref().map_or(0.0, |p| ((p.cost_usd - p.bound_usd) / p.cost_usd.abs().max(1.0)).max(0.0));
        #[cfg(not(feature = "plan"))]
        let gap = 0.0;
        gap
    }

    /// Undiscounted capital, dollars.
    pub fn capex(&self) -> f64 {
        self.ledger.total(LineKind::Capex).value()
    }

    /// Running cost of the last twelve months, dollars.
    pub fn opex_per_year(&self) -> f64 {
        let months = self.ledger.months;
        let span = months.min(12);
        let total = self.ledger.total_in(LineKind::Opex, months - span..months).value();
        if span > 0 { total * 12.0 / span as f64 } else { 0.0 }
    }

    /// All demand on rented machines, as far as there are any: no site and no order, the rest is unmet. What runs through a whole year is reserved
    /// for it, what comes on top is rented on demand.
    pub fn of_rent(found: &Found, setting: &Setting<'_>, usd_per_month: f64) -> Self {
        let months = found.need.len();
        let mut ledger = Ledger::new(months);
        let rentable = setting.inputs.constants.market.rentable_gpus;
        let ready = |m: usize| if m >= found.from { rentable } else { 0.0 };
        let rented: Vec<f64> = found.need.iter().enumerate().map(|(m, n)| n.min(ready(m))).collect();
        let served: Vec<f64> = found.need.iter().zip(&rented).map(|(n, r)| if *n > 0.0 { r / n } else { 1.0 }).collect();
        let reserved = reserved(&rented);
        let less = setting.inputs.constants.market.reserved_share;
        for m in 0..months {
            ledger.pay("rented accelerators", Purpose::Rented, LineKind::Opex, m, (rented[m] - reserved[m]) * usd_per_month);
            ledger.pay("rented accelerators, reserved", Purpose::Reserved, LineKind::Opex, m, reserved[m] * usd_per_month * less);
            ledger.pay("penalty for unmet demand", Purpose::Unmet, LineKind::Penalty, m, (1.0 - served[m]) * setting.penalty[m]);
        }
        Self {
            ledger,
            own: vec![0.0; months],
            bought: vec![0.0; months],
            first_month: first(&rented),
            full_month: full_from(&served.iter().map(|s| 1.0 - s).collect::<Vec<_>>(), months),
            needed: found.need.clone(),
            served,
            rented,
            it_w: 0.0,
            it_w_by_place: vec![0.0; setting.places.len()],
            #[cfg(feature = "plan")]
            plan: None,
        }
    }

    /// The outcome of the closed form: nothing is in short supply.
    #[cfg(not(feature = "plan"))]
    pub fn of_estimate(found: &Found, setting: &Setting<'_>) -> Self {
        let e = &found.estimate;
        let months = e.own.len();
        let last = |v: &[f64]| v.last().copied().unwrap_or(0.0);
        let bridge_w = setting.bridge.as_ref().map_or(0.0, |b| last(&e.bought) * b.unit.it_w);
        let own_w = last(&e.own) * found.standing.unit.it_w;
        let mut by_place = vec![0.0; setting.places.len()];
        let all: f64 = found.standing.stands.iter().map(|s| s.chips).sum();
        for s in &found.standing.stands {
            by_place[s.place] += (own_w + bridge_w) * s.chips / all.max(f64::MIN_POSITIVE);
        }
        Self {
            ledger: e.ledger.clone(),
            own: e.own.clone(),
            bought: e.bought.clone(),
            rented: e.rented.clone(),
            needed: found.need.clone(),
            served: e.unmet.iter().map(|u| 1.0 - u).collect(),
            first_month: first(&e.own),
            full_month: full_from(&e.unmet, months),
            it_w: own_w + bridge_w,
            it_w_by_place: by_place,
            #[cfg(feature = "plan")]
            plan: None,
        }
    }
}

/// Of the machines rented by month, those that run through a whole year: years count from the first month with any, one that the horizon cuts
/// short is rented on demand.
fn reserved(rented: &[f64]) -> Vec<f64> {
    const YEAR: usize = 12;
    let mut out = vec![0.0; rented.len()];
    let start = rented.iter().position(|n| *n > 0.0).unwrap_or(rented.len());
    for from in (start..rented.len()).step_by(YEAR).filter(|from| from + YEAR <= rented.len()) {
        let least = rented[from..from + YEAR].iter().copied().fold(f64::INFINITY, f64::min);
        out[from..from + YEAR].fill(least);
    }
    out
}

/// Month (1 = first) in which something stands first.
pub fn first(standing: &[f64]) -> Option<u32> {
    standing.iter().position(|n| *n > 0.0).and_then(|m| u32::try_from(m + 1).ok())
}

/// Month (1 = first) from which nothing is unmet to the end.
pub fn full_from(unmet: &[f64], months: usize) -> Option<u32> {
    /// Shares below this are rounding.
    const ROUNDING: f64 = 1e-6;
    let last_short = unmet.iter().rposition(|u| *u > ROUNDING).map_or(0, |m| m + 1);
    (last_short < months).then(|| u32::try_from(last_short + 1).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_through_a_year_is_reserved_and_the_rest_is_not() {
        let mut rented = vec![0.0; 2];
        rented.extend((0..30).map(|m| 100.0 + f64::from(m)));
        let found = reserved(&rented);
        assert!(found[..2].iter().all(|n| *n == 0.0) && found[26..].iter().all(|n| *n == 0.0));
        assert!(found[2..14].iter().all(|n| *n == 100.0) && found[14..26].iter().all(|n| *n == 112.0));
        assert!(reserved(&[5.0; 11]).iter().all(|n| *n == 0.0) && reserved(&[]).is_empty());
    }
}
