//! Why there is no plan: the smallest set of demands and limits that cannot hold together (HiGHS's irreducible infeasible subsystem), and
//! the cheapest way to break limits so that a plan exists, each limit priced at what one more unit costs.
//!
//! A demand gives way at its penalty. A unit of a supplier costs the chip that it goes into, a bought machine its price, a rented one its rent. A kW
//! in a month costs its building, rent and energy with the month's share of the cheapest machines that draw it; a kW more of cap or pace costs
//! that from its lead time to the horizon. A rule on where data may be or whose
//! parts may be used is not for sale. Leaves out: what a supplier would ask beyond its price.
//!
//! Choices only ever add capacity, so the programme has no answer exactly if its relaxation has none: both questions are linear.

use std::collections::BTreeMap;

use tetra_quantity::{MONTHS_PER_YEAR, show_number};

use crate::highs;
use crate::input::{PlanInput, Product, Stage, Tenure};
use crate::model::{KILO, Limit, Model};
use crate::plan::{Conflict, Relaxation};
use crate::prices::{Thing, Words, describe};

/// A price that forbids: HiGHS reads negative prices as "never".
const NEVER: f64 = -1.0;

/// Names the conflict of a programme that has no answer.
pub(crate) fn conflict(input: &PlanInput, model: &Model) -> Conflict {
    let iis = highs::conflict(&model.programme, &input.effort);
    let rows = iis.rows.iter().filter_map(|b| model.row_limit[b.at]);
    let columns = iis.columns.iter().filter(|b| b.upper).filter_map(|b| model.column_limit[b.at]);
    let mut things: BTreeMap<Thing, (usize, usize)> = BTreeMap::new();
    for limit in rows.chain(columns) {
        let (thing, month) = limit.thing();
        let span = things.entry(thing).or_insert((month, month));
        *span = (span.0.min(month), span.1.max(month));
    }
    let ruled = things.keys().any(|thing| matches!(thing, Thing::Residency(..) | Thing::Country(_)));
    let (mut demands, mut limits) = (Vec::new(), Vec::new());
    for (thing, span) in things {
        let list = if matches!(thing, Thing::Demand(_)) { &mut demands } else { &mut limits };
        list.push(format!("{} {}", describe(input, thing).name, months(span)));
    }
    let relaxation = relaxation(input, model);
    let text = sentence(input, &demands, &limits, &relaxation, ruled);
    Conflict { demands, limits, relaxation, text }
}

fn months((first, last): (usize, usize)) -> String {
    if first == last { format!("in month {}", first + 1) } else { format!("in months {} to {}", first + 1, last + 1) }
}

fn sentence(input: &PlanInput, demands: &[String], limits: &[String], relaxation: &[Relaxation], ruled: bool) -> String {
    let who = if demands.is_empty() { "the demand".to_owned() } else { demands.join(" and ") };
    let why = if limits.is_empty() { earliest(input) } else { format!("these limits do not leave enough: {}", limits.join("; ")) };
    let step = |r: &Relaxation| {
        let cost = format!("{} USD", show_number(r.usd));
        format!("{} gives way by {} {} {}, which costs {cost}", r.name, show_number(r.amount), r.unit, months(r.months))
    };
    let steps: Vec<String> = relaxation.iter().map(step).collect();
    let way = if steps.is_empty() { String::new() } else { format!(" The cheapest way out: {}.", steps.join("; ")) };
    let rule = if ruled { " A rule is not for sale." } else { "" };
    format!("No plan meets {who}: {why}.{way}{rule}")
}

/// When the first accelerator of any kind can work.
fn earliest(input: &PlanInput) -> String {
    let bridge = input.bridges.iter().min_by_key(|b| b.lead_months).map(|b| (b.lead_months, b.name.as_str()));
    match bridge {
        Some((lead, name)) => format!("nothing can be there in time; {name} is the first that can come, in month {}", lead + 1),
        None => "nothing can be there in time, and no bought or rented accelerator may bridge".to_owned(),
    }
}

/// Money of the programme for one scaled unit of a limit; `NEVER` for what is not for sale.
fn price(input: &PlanInput, limit: Limit) -> f64 {
    let left = |from: usize| input.months.saturating_sub(from) as f64;
    let usd = match limit {
        Limit::Residency { .. } | Limit::Country { .. } => return NEVER,
        Limit::Demand { demand, .. } => input.demands[demand].unmet_usd_per_chip_month,
        Limit::Capacity { supplier, .. } | Limit::Share { supplier, .. } => {
            let s = &input.suppliers[supplier];
            input.product.as_ref().map_or(0.0, |p| chip_usd(p) / p.units(s.stage)) * s.price_factor
        }
        Limit::Bridge { bridge, .. } => input.bridges[bridge].usd,
        Limit::Power { site, .. } => kw_month(input, site),
        Limit::Pace { site, month } => kw_month(input, site) * left(month + input.sites[site].lead_months),
        Limit::SiteCap { site } => kw_month(input, site) * left(input.sites[site].lead_months),
    };
    usd.max(1.0) / KILO
}

/// Price of an own chip in its server.
fn chip_usd(product: &Product) -> f64 {
    Stage::ALL.iter().map(|&stage| product.units(stage) * product.prices.of(stage)).sum()
}

/// What one kW costs in a month: its building spread over its life, its rent, and the machines that draw it with their upkeep and their energy at
/// their mean load, whichever machine is cheapest per watt.
fn kw_month(input: &PlanInput, site: usize) -> f64 {
    let s = &input.sites[site];
    let spread = |usd: f64, life_months: usize| usd / life_months.max(1) as f64;
    let machine = |usd: f64, life_months: usize, upkeep: f64, watts: f64, load: f64| {
        let per_month = spread(usd, life_months) + upkeep / MONTHS_PER_YEAR;
        (watts > 0.0).then(|| per_month / watts + load * s.energy_usd_per_w_year / MONTHS_PER_YEAR)
    };
    let bought = input.bridges.iter().filter(|b| b.tenure == Tenure::Bought);
    let machines = bought
        .map(|b| machine(b.usd, b.life_months, b.upkeep_usd_per_year, b.watts, b.load))
        .chain(input.product.iter().map(|p| machine(chip_usd(p), p.life_months, p.upkeep_usd_per_year, p.watts, p.load)))
        .flatten()
        .min_by(f64::total_cmp);
    (spread(s.usd_per_w, s.life_months) + s.usd_per_w_year / MONTHS_PER_YEAR + machines.unwrap_or(0.0)) * KILO
}

/// Values of the columns that break limits as cheaply as possible.
pub(crate) fn cheapest(input: &PlanInput, model: &Model) -> Option<Vec<f64>> {
    let of = |limit: &Option<Limit>| limit.map_or(NEVER, |l| price(input, l));
    let row_price: Vec<f64> = model.row_limit.iter().map(of).collect();
    let column_price: Vec<f64> = model.column_limit.iter().map(of).collect();
    highs::relax(&model.programme, &input.effort, &column_price, &row_price)
}

fn relaxation(input: &PlanInput, model: &Model) -> Vec<Relaxation> {
    let Some(value) = cheapest(input, model) else { return Vec::new() };
    let p = &model.programme;
    let rows = (0..p.rows()).filter_map(|r| {
        let activity: f64 = p.entries(r).map(|(c, v)| v * value[c]).sum();
        model.row_limit[r].map(|l| (l, (p.row_lower[r] - activity).max(activity - p.row_upper[r])))
    });
    let columns = (0..p.columns()).filter_map(|c| model.column_limit[c].map(|l| (l, value[c] - p.upper[c])));
    let mut found: BTreeMap<Thing, Relaxation> = BTreeMap::new();
    for (limit, broken) in rows.chain(columns).filter(|(_, broken)| *broken > 1e-6) {
        let (thing, month) = limit.thing();
        let Words { name, many: unit, factor, .. } = describe(input, thing);
        let amount = broken * model.scale / factor;
        let usd = broken * price(input, limit) * model.scale * KILO;
        let entry = found.entry(thing).or_insert(Relaxation { name, amount: 0.0, unit: unit.into(), months: (month, month), usd: 0.0 });
        entry.amount = entry.amount.max(amount);
        entry.months = (entry.months.0.min(month), entry.months.1.max(month));
        entry.usd += usd;
    }
    found.into_values().collect()
}
