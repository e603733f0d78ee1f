//! What an option costs in closed form, before any supplier's limits: who serves in which month, and the ledger that follows.
//!
//! A kind of machine stands from its first month on; its fleet follows the need and never shrinks: `fleet(m) = max(fleet(m-1), need(m))`. Until own
//! chips arrive, machines on sale are bought (from their lead time on) or rented, and afterwards kept, sold or returned: the cheapest of the three.
//! A kept fleet goes on serving the share `fleet/need` of all demand. Leaves out: limits of suppliers and sites, which the plan knows.

use tetra_quantity::PerYear;
use tetra_site::OpexItem;

use crate::cashflow::{Ledger, LineKind, Purpose};
use crate::market::Market;

/// Money and watts of one chip with its share of everything around it.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Unit {
    /// The chip, dollars.
    pub chip_usd: f64,
    /// Server, network and storage, dollars.
    pub equipment_usd: f64,
    /// Halls, dollars.
    pub facility_usd: f64,
    /// Dollars per year, by what they pay for.
    pub opex_usd_per_year: Vec<(OpexItem, f64)>,
    /// Peak watts at the racks.
    pub it_w: f64,
    /// Carbon of running, kg per year.
    pub kg_per_year: f64,
    /// Carbon of making, kg.
    pub kg_embodied: f64,
}

impl Unit {
    /// Dollars per year.
    pub fn opex(&self) -> f64 {
        self.opex_usd_per_year.iter().map(|o| o.1).sum()
    }

    /// Dollars once.
    pub fn capex(&self) -> f64 {
        self.chip_usd + self.equipment_usd + self.facility_usd
    }
}

/// A kind of machine and how many of it would serve everything.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'a> {
    /// Chips that would serve all demand, by month.
    pub need: &'a [f64],
    /// Money of one.
    pub unit: &'a Unit,
    /// First month in which it can stand, index.
    pub from: usize,
    /// Its value after some months over that of a chip on sale.
    pub keeps: f64,
}

/// Machines to rent.
#[derive(Debug, Clone, Copy)]
pub struct Rent<'a> {
    /// Chips that would serve all demand, by month.
    pub need: &'a [f64],
    /// Dollars per chip and month, everything included.
    pub usd_per_month: f64,
}

/// What one option may use.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// The option's own kind: a chip of one's own, or the GPU that is compared.
    pub own: Kind<'a>,
    /// Machines on sale for the time before.
    pub bridge: Option<Kind<'a>>,
    /// Machines to rent for the time before.
    pub rent: Option<Rent<'a>>,
    /// Dollars by month if nothing is served.
    pub penalty: &'a [f64],
}

/// How the time before own chips is bridged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bridging {
    /// Rented, then returned.
    Rent,
    /// Bought, then kept in service.
    Keep,
    /// Bought, then sold.
    Sell,
}

/// Chips by month and the ledger.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// How the time before is bridged.
    pub bridging: Bridging,
    /// Own chips that stand, by month.
    pub own: Vec<f64>,
    /// Bought machines of the bridge that stand, by month.
    pub bought: Vec<f64>,
    /// Rented machines, by month.
    pub rented: Vec<f64>,
    /// Share of the demand that nobody serves, by month.
    pub unmet: Vec<f64>,
    /// All payments.
    pub ledger: Ledger,
}

/// The cheapest bridging.
pub fn estimate(means: &Means<'_>, nre: &[(usize, f64)], market: &Market, rate: PerYear) -> Estimate {
    let all = [Bridging::Rent, Bridging::Keep, Bridging::Sell];
    let usable = all.into_iter().filter(|b| *b == Bridging::Rent || means.bridge.is_some_and(|k| k.from < means.own.from));
    let made = usable.map(|b| bridged(b, means, nre, market));
    let best = made.min_by(|a, b| a.ledger.present_value(rate).value().total_cmp(&b.ledger.present_value(rate).value()));
    best.unwrap_or_else(|| bridged(Bridging::Rent, means, nre, market))
}

fn bridged(bridging: Bridging, means: &Means<'_>, nre: &[(usize, f64)], market: &Market) -> Estimate {
    let months = means.own.need.len();
    let mut e = Estimate {
        bridging,
        own: vec![0.0; months],
        bought: vec![0.0; months],
        rented: vec![0.0; months],
        unmet: vec![0.0; months],
        ledger: Ledger::new(months),
    };
    for m in 0..months {
        serve_month(&mut e, means, m);
    }
    pay_fleet(&mut e.ledger, &means.own, &e.own, months, OWN, market);
    if let Some(kind) = &means.bridge {
        let until = if bridging == Bridging::Sell { means.own.from.min(months) } else { months };
        pay_fleet(&mut e.ledger, kind, &e.bought, until, [("bought GPUs", Purpose::Bought); 3], market);
    }
    for m in 0..months {
        let rent = means.rent.map_or(0.0, |r| r.usd_per_month);
        e.ledger.pay("rented GPUs", Purpose::Rented, LineKind::Opex, m, e.rented[m] * rent);
        e.ledger.pay("unmet demand", Purpose::Unmet, LineKind::Penalty, m, e.unmet[m] * means.penalty.get(m).copied().unwrap_or(0.0));
    }
    for &(m, usd) in nre {
        e.ledger.pay("design and software", Purpose::Design, LineKind::Capex, m, usd);
    }
    e
}

/// Fills one month: own chips where they can stand, then the bridge, then rent, then nothing.
fn serve_month(e: &mut Estimate, means: &Means<'_>, m: usize) {
    let before = |v: &[f64]| if m > 0 { v[m - 1] } else { 0.0 };
    let share_of = |standing: f64, need: f64| if need > 0.0 { (standing / need).min(1.0) } else { 1.0 };
    let mut open = 1.0;
    if let (Some(kind), true) = (&means.bridge, e.bridging != Bridging::Rent) {
        let buys = m >= kind.from && m < means.own.from;
        let stands = m < means.own.from || e.bridging == Bridging::Keep;
        e.bought[m] = match (stands, buys) {
            (true, true) => before(&e.bought).max(kind.need[m]),
            (true, false) => before(&e.bought),
            _ => 0.0,
        };
        open = (open - share_of(e.bought[m], kind.need[m])).max(0.0);
    }
    if m >= means.own.from {
        e.own[m] = before(&e.own).max(means.own.need[m] * open);
        open = (open - share_of(e.own[m], means.own.need[m])).max(0.0);
    }
    match &means.rent {
        Some(rent) => e.rented[m] = rent.need[m] * open,
        None => e.unmet[m] = open,
    }
}

/// What chips, what stands around them and halls are called where they are of the own kind.
const OWN: [(&str, Purpose); 3] = [("chips", Purpose::Chips), ("servers and network", Purpose::Servers), ("halls", Purpose::Halls)];

/// Purchases, running cost and value at the end of one fleet that stands until month `until`.
fn pay_fleet(ledger: &mut Ledger, kind: &Kind<'_>, standing: &[f64], until: usize, names: [(&'static str, Purpose); 3], market: &Market) {
    let unit = kind.unit;
    let standing = &standing[..until.min(standing.len())];
    if standing.iter().all(|n| *n == 0.0) {
        return;
    }
    let added = |m: usize| (standing[m] - if m > 0 { standing[m - 1] } else { 0.0 }).max(0.0);
    let paid = names.into_iter().zip([unit.chip_usd, unit.equipment_usd, unit.facility_usd]);
    for ((name, purpose), usd) in paid.filter(|p| p.1 != 0.0) {
        let line = ledger.line(name, purpose, LineKind::Capex);
        (0..standing.len()).for_each(|m| line[m] += added(m) * usd);
    }
    for &(item, usd) in unit.opex_usd_per_year.iter().filter(|o| o.1 != 0.0) {
        let line = ledger.line(item.words(), item.into(), LineKind::Opex);
        standing.iter().zip(line).for_each(|(n, paid)| *paid += n * usd / 12.0);
    }
    let (it, facility) = (unit.chip_usd * kind.keeps + unit.equipment_usd, unit.facility_usd);
    let left = &mut ledger.line("value at the end", Purpose::Left, LineKind::Residual)[until.saturating_sub(1)];
    for m in 0..standing.len() {
        let age = until - m;
        *left -= added(m) * (market.residual_after(age) * it + market.facility_residual_at(age as f64) * facility);
    }
}

/// Discounted dollars of one machine that stands through the whole horizon, its value at the end taken off.
pub fn standing_cost(kind: &Kind<'_>, market: &Market, rate: PerYear) -> f64 {
    let months = kind.need.len();
    let mut ledger = Ledger::new(months);
    pay_fleet(&mut ledger, kind, &vec![1.0; months], months, OWN, market);
    ledger.present_value(rate).value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tetra_quantity::Usd;

    fn market() -> Market {
        Market {
            prices: Default::default(),
            rents: Default::default(),
            reserved_share: 0.8,
            residual: vec![(0.0, 1.0), (12.0, 0.6), (60.0, 0.1)],
            by_month: Vec::new(),
            own_chip_share: 0.5,
            price_halving_years: 2.0,
            quoted_cut: 0.5,
            rentable_gpus: 1e4,
            rent_lead_months: 1,
            rent_change_per_year: 0.0,
            first_efficiency: 0.6,
            stack_ramp_months: 12.0,
            facility_life_months: 240.0,
            gpu_lead_months: 6,
            penalty_usd_per_token: 1e-5,
            chips_per_server: 8,
            it_life_years: 5.0,
        }
    }

    fn unit(chip: f64) -> Unit {
        Unit {
            chip_usd: chip,
            equipment_usd: 0.4 * chip,
            facility_usd: 5e3,
            opex_usd_per_year: vec![(OpexItem::Electricity, 1e3)],
            ..Unit::default()
        }
    }

    proptest! {
        #[test]
        fn demand_is_served_once_and_a_cheaper_chip_never_costs_more(
            need in proptest::collection::vec(1.0f64..1e5, 60), from in 0usize..60, lead in 0usize..20, price in 1e3f64..5e4, ratio in 0.2f64..3.0,
        ) {
            let gpu_need: Vec<f64> = need.iter().map(|n| n * ratio).collect();
            let (dear, cheap, gpu) = (unit(price), unit(price * 0.9), unit(3e4));
            let penalty = vec![1e9; 60];
            let bridge = Kind { need: &gpu_need, unit: &gpu, from: lead, keeps: 1.0 };
            let rent = Rent { need: &gpu_need, usd_per_month: 3e3 };
            let run = |u: &Unit| {
                let own = Kind { need: &need, unit: u, from, keeps: 0.5 };
                let means = Means { own, bridge: Some(bridge), rent: Some(rent), penalty: &penalty };
                estimate(&means, &[(0, 1e8)], &market(), PerYear(0.1))
            };
            let e = run(&dear);
            for m in 0..60 {
                let served = e.own[m] / need[m] + e.bought[m] / gpu_need[m] + e.rented[m] / gpu_need[m] + e.unmet[m];
                prop_assert!(served >= 1.0 - 1e-9);
                if m < from { prop_assert!(e.own[m] == 0.0) }
            }
            prop_assert!((market().own_stack_at(-3.0), market().own_stack_at(6.0), market().own_stack_at(40.0)) == (0.6, 0.8, 1.0));
            let value = |e: &Estimate| e.ledger.present_value(PerYear(0.1));
            prop_assert!(value(&run(&cheap)) <= value(&e) + Usd(1.0));
        }
    }
}
