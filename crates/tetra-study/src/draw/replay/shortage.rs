//! What a fleet carries less than at the base case: rented first, then bought, and else unmet.
//!
//! What will be short beyond all that can be rented is seen one lead time ahead and ordered then, as machines that bridge (for an option that buys: as
//! its own): `extra(m) = max(extra(m-1), short(m))`, no faster than they are sold and not while supply is interrupted. An interruption is not seen ahead:
//! what it leaves short is ordered when it begins. Extra machines stand to the end; what they carry beyond the shortage ends additional rent.

use tetra_quantity::{MONTH_S, MONTHS_PER_YEAR};

use super::{Course, Frozen, Quote, Supply};
use crate::cashflow::{Ledger, LineKind, Purpose};
use crate::evaluate::Source;

/// One month before extra machines.
#[derive(Clone, Copy, Default)]
struct Month {
    /// Machines rented in addition; below zero for fewer.
    rented: f64,
    /// Rented machines that would carry the whole demand.
    rent_need: f64,
    /// Share of the demand that nothing carries.
    short: f64,
}

/// Machines that can be ordered when something is short.
struct Extra<'q> {
    quote: &'q Quote,
    supply: Supply,
    /// Whether they get cheaper as successors come.
    follows: bool,
    /// Machines that would carry the whole demand, by month.
    need: Vec<f64>,
    /// Machines that come as planned, by month.
    planned: &'q [f64],
}

impl Frozen<'_> {
    /// Rents and buys what is short, and charges the penalty of the rest.
    pub(super) fn cover(&self, c: &Course<'_>, out: &mut Ledger) {
        let months: Vec<Month> = (0..out.months).map(|m| self.month(c, m)).collect();
        let extra = self.extra(c);
        let fleet = extra.as_ref().map_or(vec![0.0; months.len()], |e| e.fleet(c, &months));
        if let Some(e) = &extra {
            e.pay(c, &fleet, out);
        }
        let usd = self.rent(&c.world.market) * MONTH_S;
        for (m, month) in months.into_iter().enumerate() {
            let carried = extra.as_ref().map_or(0.0, |e| per(fleet[m], e.need[m]));
            let spare = ((carried - month.short) * month.rent_need).clamp(0.0, month.rented.max(0.0));
            out.pay("rented in addition", Purpose::Rented, LineKind::Opex, m, (month.rented - spare) * usd * c.world.trends.rented[m]);
            out.pay(
                "penalty for unmet demand",
                Purpose::Unmet,
                LineKind::Penalty,
                m,
                (month.short - carried).max(0.0) * self.unserved(c, m),
            );
        }
    }

    fn month(&self, c: &Course<'_>, m: usize) -> Month {
        let o = &self.w.outcome;
        let bridge_need = self.setting.bridge.as_ref().map(|b| &b.need);
        let bridged = |v: &[f64]| bridge_need.map_or(0.0, |need| per(v[m], need[m]));
        let own = |v: &[f64], q: &Quote, need: f64| per(v[m] * q.works[m], o.needed[m] * need);
        let now = (own(&c.own, c.now, c.need[m]) + bridged(&c.bought) / c.need[m]).min(1.0);
        let base = (own(&o.own, &self.base, 1.0) + bridged(&o.bought)).min(1.0);
        let rent = match &self.w.source {
            Source::Rent { .. } => Some(&self.w.found.need),
            _ => self.setting.rent.as_ref().map(|r| &r.need),
        };
        let Some(rent) = rent else { return Month { short: (base - now).max(0.0), ..Month::default() } };
        let rented = per(o.rented[m], rent[m]);
        let open = base + rented - (now + rented / c.need[m]);
        let rent_need = rent[m] * c.need[m];
        let wanted = (o.rented[m] + open * rent_need).max(0.0);
        let held = wanted.min(c.world.market.rentable_gpus.max(o.rented[m]));
        Month { rented: held - o.rented[m], rent_need, short: per(wanted - held, rent_need) }
    }

    /// What can be ordered; nothing where all is rented.
    fn extra<'q>(&self, c: &'q Course<'_>) -> Option<Extra<'q>> {
        let (quote, need, supply, planned) = match &self.w.source {
            Source::Rent { .. } => return None,
            Source::Sale { .. } => (c.now, &self.w.outcome.needed, c.own_supply, &c.own),
            Source::Own(_) => (c.bridge?.1, &self.setting.bridge.as_ref()?.need, c.bought_supply, &c.bought),
        };
        let follows = self.follows(matches!(self.w.source, Source::Own(_)));
        let need = need.iter().zip(&c.need).map(|(n, here)| n * here).collect();
        Some(Extra { quote, supply, follows, need, planned })
    }
}

impl Extra<'_> {
    fn lead(&self) -> usize {
        self.quote.from.ceil().max(0.0) as usize
    }

    /// Extra machines by month.
    fn fleet(&self, c: &Course<'_>, months: &[Month]) -> Vec<f64> {
        let mut out: Vec<f64> = Vec::with_capacity(months.len());
        for m in 0..months.len() {
            let before = out.last().copied().unwrap_or(0.0);
            let stopped = self.supply.gap.is_some_and(|(from, length)| (from..from + length).contains(&(m as f64)));
            let ordered = m.checked_sub(self.lead()).map_or(0.0, |order| {
                let surprised = self.supply.gap.is_some_and(|(from, _)| (order as f64) < from && m as f64 >= from);
                months[if surprised { order } else { m }].short * self.need[m]
            });
            let planned = if m > 0 { (self.planned[m] - self.planned[m - 1]).max(0.0) } else { 0.0 };
            let most = (c.world.chances.gpus_per_month - planned).max(0.0);
            let rise = if stopped { 0.0 } else { (ordered - before).clamp(0.0, most) };
            out.push(before + rise);
        }
        out
    }

    /// Price when ordered, running cost while they stand, value at the end.
    fn pay(&self, c: &Course<'_>, fleet: &[f64], out: &mut Ledger) {
        let months = out.months;
        let mut last = 0.0;
        for (m, n) in fleet.iter().enumerate() {
            let added = n - last;
            last = *n;
            let order = m.saturating_sub(self.lead());
            let price = if self.follows { c.world.trends.successors[order] } else { 1.0 };
            let left = self.quote.left(c.world.trends.residual[months - m]);
            out.pay("machines bought for what is short", Purpose::Bought, LineKind::Capex, order, added * price * self.quote.machine());
            let running = (self.quote.hall + self.quote.energy) / MONTHS_PER_YEAR;
            out.pay("running of machines bought for what is short", Purpose::Bought, LineKind::Opex, m, n * running);
            out.pay("value left at the horizon", Purpose::Left, LineKind::Residual, months - 1, -added * price * left);
        }
    }
}

/// `n / need`, nothing of nothing.
fn per(n: f64, need: f64) -> f64 {
    if need > 0.0 { n / need } else { 0.0 }
}
