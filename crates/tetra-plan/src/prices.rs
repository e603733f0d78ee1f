//! Shadow prices: what one more unit of a scarce thing would save, from the duals of the linear programme with all choices fixed.
//!
//! For a limit `a·x <= b` the dual is `d cost / d b <= 0`; one more unit in every month saves the sum over months of `-dual`. A rule that
//! keeps a demand out of a site is a column fixed at zero; its reduced cost is what one chip-month there would save.

use std::collections::BTreeMap;

use tetra_quantity::show_number;

use crate::input::{PlanInput, Stage};
use crate::model::{KILO, Limit, Model};
use crate::plan::ShadowPrice;
use crate::programme::Solution;

/// Savings per unit below this part of a USD are the solver's noise.
const LEAST_USD: f64 = 1e-2;

/// Less than this part of a scaled unit is not used.
const LEAST_USE: f64 = 1e-6;

/// The thing that a limit is about, without its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Demand(usize),
    Supplier(usize),
    Share(usize),
    Country(usize),
    Bridge(usize),
    Power(usize),
    SitePace(usize),
    SiteCap(usize),
    Residency(usize, usize),
}

impl Limit {
    /// The thing and the month.
    pub(crate) fn thing(self) -> (Thing, usize) {
        match self {
            Self::Demand { demand, month } => (Thing::Demand(demand), month),
            Self::Capacity { supplier, month } => (Thing::Supplier(supplier), month),
            Self::Share { supplier, year } => (Thing::Share(supplier), year * tetra_quantity::MONTHS_PER_YEAR as usize),
            Self::Country { supplier, year } => (Thing::Country(supplier), year * tetra_quantity::MONTHS_PER_YEAR as usize),
            Self::Bridge { bridge, month } => (Thing::Bridge(bridge), month),
            Self::Power { site, month } => (Thing::Power(site), month),
            Self::Pace { site, month } => (Thing::SitePace(site), month),
            Self::SiteCap { site } => (Thing::SiteCap(site), 0),
            Self::Residency { demand, site, month } => (Thing::Residency(demand, site), month),
        }
    }
}

/// How a thing is called and counted.
pub(crate) struct Words {
    /// What it is.
    pub name: String,
    /// One unit of it.
    pub one: &'static str,
    /// Many units of it.
    pub many: &'static str,
    /// Chips, units or kW in one unit.
    pub factor: f64,
}

/// Words for a thing.
pub(crate) fn describe(input: &PlanInput, thing: Thing) -> Words {
    let region = |d: usize| match input.demands[d].region.as_str() {
        "" => input.demands[d].name.clone(),
        region => format!("{} ({region})", input.demands[d].name),
    };
    let words = |name: String, one: &'static str, many: &'static str, factor: f64| Words { name, one, many, factor };
    match thing {
        Thing::Demand(d) => words(format!("demand of {}", region(d)), "chip", "chips", 1.0),
        Thing::Supplier(n) => {
            let (one, many) = match input.suppliers[n].stage {
                Stage::Wafer => ("wafer a month", "wafers a month"),
                Stage::Hbm => ("HBM stack a month", "HBM stacks a month"),
                Stage::Packaging => ("packaging wafer a month", "packaging wafers a month"),
                Stage::Test => ("chip tested a month", "chips tested a month"),
                Stage::Server => ("chip in servers a month", "chips in servers a month"),
            };
            words(format!("capacity of {}", input.suppliers[n].name), one, many, 1.0)
        }
        Thing::Share(n) => words(format!("largest share of {}", input.suppliers[n].name), "unit a year", "units a year", 1.0),
        Thing::Country(n) => {
            let s = &input.suppliers[n];
            words(format!("largest share of {} in {}", s.country, s.stage.unit()), "unit a year", "units a year", 1.0)
        }
        Thing::Bridge(b) => words(format!("supply of {}", input.bridges[b].name), "unit a month", "units a month", 1.0),
        Thing::Power(j) => words(format!("power ready at {}", input.sites[j].name), "MW", "MW", KILO),
        Thing::SitePace(j) => words(format!("building pace at {}", input.sites[j].name), "MW a month", "MW a month", KILO),
        Thing::SiteCap(j) => words(format!("power cap of {}", input.sites[j].name), "MW", "MW", KILO),
        Thing::Residency(d, j) => words(format!("rule that keeps {} out of {}", region(d), input.sites[j].name), "chip", "chips", 1.0),
    }
}

/// Whether there is any of the thing in that month. The dual of a source that was not chosen prices a unit that cannot be had alone.
fn in_use(model: &Model, solution: &Solution, limit: Limit) -> bool {
    let used = |cell: Option<usize>| cell.is_some_and(|c| solution.value[c] > LEAST_USE);
    match limit {
        Limit::Capacity { supplier, month } => used(model.order[supplier][month]),
        Limit::Power { site, month } => model.standing.iter().any(|kind| used(kind[site][month])),
        Limit::Pace { site, month } => used(model.power_order[site][month]),
        Limit::SiteCap { site } => model.power_order[site].iter().any(|&c| used(c)),
        Limit::Share { supplier, .. } | Limit::Country { supplier, .. } => model.order[supplier].iter().any(|&c| used(c)),
        Limit::Demand { .. } | Limit::Bridge { .. } | Limit::Residency { .. } => true,
    }
}

/// Dual and rent of one thing, by month.
#[derive(Debug, Clone, Default)]
struct Scarcity {
    /// USD that one more unit saves.
    usd: BTreeMap<usize, f64>,
    /// USD that all units in use are worth beyond what they cost.
    rent: f64,
}

/// All scarce things, the one with the largest rent first, then by name.
pub(crate) fn shadow_prices(input: &PlanInput, model: &Model, solution: &Solution) -> Vec<ShadowPrice> {
    let p = &model.programme;
    let mut found: BTreeMap<Thing, Scarcity> = BTreeMap::new();
    let mut add = |limit: Limit, dual: f64, used: f64| {
        if matches!(limit, Limit::Demand { .. }) || !in_use(model, solution, limit) {
            return;
        }
        let (thing, month) = limit.thing();
        // Money of the programme per unit of the programme is KILO USD per unit.
        let usd = (-dual * KILO).max(0.0);
        let scarcity = found.entry(thing).or_default();
        *scarcity.usd.entry(month).or_default() += usd;
        scarcity.rent += usd * used * model.scale;
    };
    for (r, limit) in model.row_limit.iter().enumerate().filter_map(|(r, l)| l.map(|l| (r, l))) {
        let used = p.entries(r).filter(|(_, v)| *v > 0.0).map(|(c, v)| v * solution.value[c]).sum();
        add(limit, solution.row_dual[r], used);
    }
    for (c, limit) in model.column_limit.iter().enumerate().filter_map(|(c, l)| l.map(|l| (c, l))) {
        let used = match limit {
            Limit::Residency { demand, month, .. } => input.demands[demand].chips.get(month).copied().unwrap_or(0.0) / model.scale,
            _ => solution.value[c],
        };
        add(limit, solution.column_dual[c], used);
    }
    let priced = strictest(&found).filter_map(|(thing, s)| {
        let can_be_bought = matches!(thing, Thing::Power(j) if !capped(&found, j) && binds_from(s) >= input.sites[j].lead_months);
        shadow_price(input, thing, s).map(|price| ShadowPrice { can_be_bought, ..price })
    });
    let mut prices: Vec<ShadowPrice> = priced.collect();
    prices.sort_by(|a, b| b.rent_usd.total_cmp(&a.rent_usd).then_with(|| a.name.cmp(&b.name)));
    prices
}

/// Everything found; of the sites that a rule closes to one demand only the dearest.
fn strictest(found: &BTreeMap<Thing, Scarcity>) -> impl Iterator<Item = (Thing, &Scarcity)> {
    let sum = |s: &Scarcity| s.usd.values().sum::<f64>();
    let dearer = move |d: usize, j: usize, s: &Scarcity| {
        found.iter().any(|(other, o)| match other {
            Thing::Residency(e, k) => *e == d && (sum(o) > sum(s) || (sum(o) == sum(s) && *k < j)),
            _ => false,
        })
    };
    found.iter().map(|(thing, s)| (*thing, s)).filter(move |(thing, s)| match thing {
        Thing::Residency(d, j) => !dearer(*d, *j, s),
        _ => true,
    })
}

/// First month in which it is worth something.
fn binds_from(scarcity: &Scarcity) -> usize {
    scarcity.usd.iter().find(|(_, usd)| **usd > LEAST_USD).map_or(usize::MAX, |(&month, _)| month)
}

/// Whether a site's cap or pace is worth something.
fn capped(found: &BTreeMap<Thing, Scarcity>, site: usize) -> bool {
    let binds = |thing: Thing| found.get(&thing).is_some_and(|s| s.usd.values().any(|usd| *usd > LEAST_USD));
    binds(Thing::SiteCap(site)) || binds(Thing::SitePace(site))
}

fn shadow_price(input: &PlanInput, thing: Thing, scarcity: &Scarcity) -> Option<ShadowPrice> {
    let Words { name, one: unit, factor, .. } = describe(input, thing);
    let binding: Vec<(usize, f64)> = scarcity.usd.iter().filter(|(_, usd)| **usd > LEAST_USD).map(|(&m, &usd)| (m, usd * factor)).collect();
    let (first, last) = (binding.first()?.0, binding.last()?.0);
    let usd: f64 = binding.iter().map(|b| b.1).sum();
    let peak = binding.iter().copied().fold((0, 0.0), |best, b| if b.1 > best.1 { b } else { best });
    let span = if first == last { format!("in month {}", first + 1) } else { format!("in months {} to {}", first + 1, last + 1) };
    let text = match thing {
        Thing::Residency(..) => format!("The {name} binds {span}: without it each {unit} would save {} USD.", show_number(usd)),
        Thing::SiteCap(_) => format!("The {name} binds: one {unit} more would save {} USD.", show_number(usd)),
        _ => format!("The {name} binds {span}: one {unit} more would save {} USD in all.", show_number(usd)),
    };
    let often = match thing {
        Thing::SiteCap(_) | Thing::Residency(..) => String::new(),
        Thing::Share(_) | Thing::Country(_) => {
            format!("in {} of {} years", binding.len(), input.months.div_ceil(tetra_quantity::MONTHS_PER_YEAR as usize))
        }
        _ => format!("in {} of {} months", binding.len(), input.months),
    };
    let (binds, unit) = ((first, last), unit.to_owned());
    Some(ShadowPrice { name, unit, usd_per_unit: usd, binds, often, peak, rent_usd: scarcity.rent, can_be_bought: false, text })
}
