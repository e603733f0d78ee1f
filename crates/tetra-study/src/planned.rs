//! An option under the limits of its suppliers and sites: hands chips, prices and lead times to the plan and takes its payments back.
//!
//! One unit of a bridge stands in for the ratio of chips that both need for the same demand. Each kind of machine has its own mean power, and its own
//! upkeep, staff and insurance, which run whether it works or not. Leaves out: a change of prices over the horizon, but for bought GPUs, whose
//! successors cost less.

use tetra_chip::Chip;
use tetra_foundry::Package;
use tetra_plan::{
    Bridge, CostItem, CostKind, Demand, Effort, Plan, PlanInput, PlanOutcome, PlanSite, Product, Stage, StagePrices, Tenure, solve,
};
use tetra_site::ChipHour;

use crate::cashflow::{Ledger, LineKind, Purpose};
use crate::evaluate::{Found, Setting, Source, start_year};
use crate::market::Market;
use crate::outcome::Outcome;
use crate::stand::Part;
use crate::supply::Supply;

/// What bridges: bought and rented machines with their fleets by part.
#[derive(Debug, Clone, Copy)]
pub struct Bridging<'a> {
    /// Name and evaluation of the machine that is bought.
    pub bought: Option<(&'a str, &'a Found)>,
    /// Name, evaluation and monthly dollars of the machine that is rented.
    pub rented: Option<(&'a str, &'a Found, f64)>,
}

/// No site and no supplier of anything has more, in watts or units.
const BOUNDLESS: f64 = 1e11;
/// Gap and nodes at which a plan of a study ends.
const EFFORT: Effort = Effort { gap: 1e-2, nodes: 64 };
/// Months between two looks at options of suppliers.
const OPTION_STEP: usize = 12;

/// Everything that the plan of one option is made from.
pub fn plan_input(
    setting: &Setting<'_>,
    name: &str,
    chip: &Chip,
    source: &Source,
    found: &Found,
    with: &Bridging<'_>,
    supply: &Supply,
) -> PlanInput {
    let months = setting.study.frame.months as usize;
    let market = &setting.inputs.constants.market;
    let own = matches!(source, Source::Own(_));
    let mut bridges = Vec::new();
    match source {
        Source::Sale { change_per_year, .. } => {
            let bridge = bought_bridge(name, found, &found.parts, setting, supply);
            bridges.push(Bridge { usd_change_per_year: *change_per_year, ..bridge });
        }
        Source::Rent { .. } => {}
        Source::Own(_) => bridges.extend(with.bought.map(|(n, gpu)| {
            let usd_change_per_year = market.successor_change_per_year();
            Bridge { usd_change_per_year, ..bought_bridge(n, gpu, &found.parts, setting, supply) }
        })),
    }
    bridges.extend(with.rented.map(|(n, gpu, usd)| rented_bridge(n, gpu, usd, &found.parts, setting, supply)));
    let suppliers = if own { supply.offered(&chip.silicon.node, start_year(setting.study), &setting.study.supply) } else { Vec::new() };
    let product = match source {
        Source::Own(package) => Some(product(name, package, source, found, market, &suppliers, months)),
        Source::Sale { .. } | Source::Rent { .. } => None,
    };
    PlanInput {
        months,
        discount_rate: setting.study.frame.discount_rate.value(),
        demands: demands(setting, found),
        product,
        suppliers,
        country_shares: supply.country_shares(&setting.study.supply),
        bridges,
        sites: sites(setting, found),
        option_starts: (0..months).step_by(OPTION_STEP).take(3).collect(),
        outages: supply.foreseen.clone(),
        stock_cost_per_year: supply.constants.stock_cost_per_year,
        effort: EFFORT,
    }
}

/// Demand by part. A share of the demand that is not met costs the penalty of that share of all tokens, as for machines that are rented and in the
/// draws; of it a missing chip-month costs the same in every part, so that no service starves because its output tokens are few.
fn demands(setting: &Setting<'_>, found: &Found) -> Vec<Demand> {
    let chips: f64 = found.parts.iter().flat_map(|p| &p.chips).sum();
    let unmet_usd_per_chip_month = setting.penalty.iter().sum::<f64>() / chips.max(f64::MIN_POSITIVE);
    let services = &setting.study.services;
    let one = |(i, part): (usize, &Part)| Demand {
        name: part.name.clone(),
        region: services.get(i).and_then(|s| s.process_in.clone()).unwrap_or_default(),
        chips: part.chips.clone(),
        sites: part.allowed.clone(),
        unmet_usd_per_chip_month,
        met_from: services.get(i).and_then(|s| s.met_from).map(|m| m.saturating_sub(1) as usize),
    };
    found.parts.iter().enumerate().map(one).collect()
}

fn sites(setting: &Setting<'_>, found: &Found) -> Vec<PlanSite> {
    let lead = setting.inputs.constants.site.cost.lease_months.ceil().max(0.0) as usize;
    let any = found.standing.stands.first();
    let places = setting.places.iter().enumerate();
    places
        .map(|(i, place)| {
            let hour = found.standing.stands.iter().find(|s| s.place == i).or(any).map(|s| s.hour);
            let here =
                hour.and_then(|h| tetra_site::at_site(&h.machine, place.site, &setting.finance, &setting.inputs.constants.site).ok());
            let per_w = |f: &dyn Fn(&ChipHour) -> f64| here.as_ref().map_or(0.0, |h| f(h) / h.machine.it_peak.value().max(1.0));
            let overhead = per_w(&|h| h.facility_peak.value()).max(1.0);
            let cap_w = place.cap.map_or(BOUNDLESS, |w| w.value() / overhead);
            PlanSite {
                name: place.site.name.clone(),
                country: place.site.country.clone(),
                ready_w: 0.0,
                cap_w,
                max_w_per_month: cap_w,
                lead_months: lead,
                usd_per_w: 0.0,
                life_months: setting.inputs.constants.market.facility_life_months as usize,
                start_usd: 0.0,
                usd_per_w_year: per_w(&|h| h.opex.rent.value() + h.opex.facility_upkeep.value()),
                energy_usd_per_w_year: here.as_ref().map_or(0.0, |h| drawn(h) / h.machine.it_mean.value().max(1.0)),
            }
        })
        .collect()
}

/// Yearly dollars that go with the power drawn.
fn drawn(h: &ChipHour) -> f64 {
    h.opex.electricity.value() + h.opex.water.value()
}

/// Mean over most power of a fleet's machines.
fn load(found: &Found) -> f64 {
    let sum = |f: &dyn Fn(&ChipHour) -> f64| found.standing.stands.iter().map(|s| s.chips * f(&s.hour)).sum::<f64>();
    (sum(&|h| h.machine.it_mean.value()) / sum(&|h| h.machine.it_peak.value()).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

/// Yearly dollars of a machine wherever it stands.
fn upkeep(found: &Found) -> f64 {
    let sum = |f: &dyn Fn(&ChipHour) -> f64| found.standing.stands.iter().map(|s| s.chips * f(&s.hour)).sum::<f64>();
    let each = |h: &ChipHour| h.opex.total().value() - drawn(h) - h.opex.rent.value() - h.opex.facility_upkeep.value();
    sum(&each) / sum(&|_| 1.0).max(f64::MIN_POSITIVE)
}

fn product(
    name: &str,
    package: &Package,
    source: &Source,
    found: &Found,
    market: &Market,
    suppliers: &[tetra_plan::Supplier],
    months: usize,
) -> Product {
    let line = |names: &[&str]| -> f64 { package.waterfall.iter().filter(|l| names.contains(&l.0)).map(|l| l.1.value()).sum() };
    let wafer = line(&["logic wafers", "defective dies", "wafer probe", "dies lost in assembly"]);
    let memory = line(&["memory", "memory lost in assembly"]);
    let test = line(&["final test"]);
    let rest = (package.unit_cost.value() - wafer - memory - test).max(0.0);
    let per = |usd: f64, units: f64| if units > 0.0 { usd / units } else { 0.0 };
    let first = |stage: tetra_plan::Stage| {
        let ready = suppliers.iter().filter(|s| s.stage == stage && s.qualification.is_none());
        ready.map(|s| s.lead_months).min().unwrap_or(0)
    };
    // The programme ends with the first lot in hand: its wafers were started the lead times of fab, packaging and test earlier.
    let making = first(tetra_plan::Stage::Wafer) + first(tetra_plan::Stage::Packaging) + first(tetra_plan::Stage::Test);
    Product {
        name: name.to_owned(),
        watts: found.standing.unit.it_w,
        works: source.works(market, months),
        load: load(found),
        upkeep_usd_per_year: upkeep(found),
        wafers: package.wafers_per_unit,
        hbm_stacks: package.hbm_stacks,
        packaging_wafers: package.packaging_wafers_per_unit,
        prices: StagePrices {
            wafer_usd: per(wafer, package.wafers_per_unit),
            hbm_usd: per(memory, package.hbm_stacks),
            packaging_usd: per(rest, package.packaging_wafers_per_unit),
            test_usd: test,
            server_usd: found.standing.unit.equipment_usd,
        },
        first_wafer_month: source.from().saturating_sub(making),
        nre: source.nre(months),
        life_months: life(market, months),
        kept_per_year: kept(market, market.own_chip_share, months),
    }
}

fn life(market: &Market, months: usize) -> usize {
    ((market.it_life_years * 12.0) as usize).max(months)
}

/// Share of its value that a machine keeps per year, from its value at half the horizon.
fn kept(market: &Market, share: f64, months: usize) -> f64 {
    let age = (months as f64 / 2.0).max(1.0);
    (share * market.residual_at(age)).clamp(0.0, 1.0).powf(12.0 / age)
}

/// Own chips that one unit of another machine stands in for, by part.
fn stands_in(own: &[Part], other: &[Part]) -> Vec<f64> {
    let sum = |p: &Part| p.chips.iter().sum::<f64>();
    own.iter().zip(other).map(|(a, b)| if sum(b) > 0.0 { sum(a) / sum(b) } else { 0.0 }).collect()
}

fn bought_bridge(name: &str, gpu: &Found, own: &[Part], setting: &Setting<'_>, supply: &Supply) -> Bridge {
    let (market, months) = (&setting.inputs.constants.market, setting.study.frame.months as usize);
    Bridge {
        name: format!("{name} bought"),
        tenure: Tenure::Bought,
        usd: gpu.standing.unit.chip_usd + gpu.standing.unit.equipment_usd,
        usd_change_per_year: 0.0,
        chips_per_unit: stands_in(own, &gpu.parts),
        watts: gpu.standing.unit.it_w,
        load: load(gpu),
        upkeep_usd_per_year: upkeep(gpu),
        lead_months: gpu.from,
        units_per_month: supply.constants.gpus_per_month,
        life_months: life(market, months),
        kept_per_year: kept(market, 1.0, months),
    }
}

fn rented_bridge(name: &str, gpu: &Found, usd_per_month: f64, own: &[Part], setting: &Setting<'_>, supply: &Supply) -> Bridge {
    Bridge {
        name: format!("{name} rented"),
        tenure: Tenure::Rented,
        usd: usd_per_month,
        lead_months: supply.constants.rent_lead_months,
        units_per_month: supply.constants.rentable_gpus,
        watts: 0.0,
        ..bought_bridge(name, gpu, own, setting, supply)
    }
}

/// Plans an option.
///
/// # Errors
/// Why there is no plan, in words.
pub fn plan_option(input: &PlanInput) -> Result<Outcome, String> {
    match solve(input) {
        Ok(PlanOutcome::Planned(plan)) => Ok(outcome(input, plan)),
        Ok(PlanOutcome::Infeasible(conflict)) => Err(conflict.text),
        Err(e) => Err(e.to_string()),
    }
}

fn outcome(input: &PlanInput, plan: Box<Plan>) -> Outcome {
    let months = plan.months;
    let standing = |f: &dyn Fn(usize, &tetra_plan::Fleet) -> bool| -> Vec<f64> {
        let of = plan.fleets.iter().enumerate().filter(|(i, fleet)| f(*i, fleet));
        let mut sum = vec![0.0; months];
        of.for_each(|(_, fleet)| fleet.standing.iter().enumerate().for_each(|(m, n)| sum[m] += n));
        sum
    };
    let rented = |fleet: &tetra_plan::Fleet| input.bridges.iter().any(|b| b.name == fleet.name && b.tenure == Tenure::Rented);
    let with_product = input.product.is_some();
    let own = standing(&|_, f| if with_product { f.own } else { !rented(f) });
    let bought = standing(&|_, f| with_product && !f.own && !rented(f));
    let total = |f: &dyn Fn(&tetra_plan::Service) -> &Vec<f64>| -> Vec<f64> {
        (0..months).map(|m| plan.services.iter().map(|s| f(s)[m]).sum()).collect()
    };
    let (needed, unmet) = (total(&|s| &s.needed), total(&|s| &s.unmet));
    let month = |m: usize| u32::try_from(m + 1).unwrap_or(u32::MAX);
    let last = |v: &[f64]| v.last().copied().unwrap_or(0.0);
    Outcome {
        ledger: ledger(&plan),
        first_month: crate::outcome::first(&own),
        own,
        bought,
        rented: standing(&|_, f| rented(f)),
        served: needed.iter().zip(&unmet).map(|(n, u)| if *n > 0.0 { 1.0 - u / n } else { 1.0 }).collect(),
        needed,
        full_month: plan.full_month.map(month),
        it_w: plan.sites.iter().map(|s| last(&s.used_w)).sum(),
        it_w_by_place: plan.sites.iter().map(|s| last(&s.used_w)).collect(),
        plan: Some(plan),
    }
}

fn purpose(item: CostItem) -> Purpose {
    match item {
        CostItem::Nre => Purpose::Design,
        CostItem::Stage(Stage::Wafer) => Purpose::Wafers,
        CostItem::Stage(Stage::Hbm) => Purpose::Memory,
        CostItem::Stage(Stage::Packaging) => Purpose::Packaging,
        CostItem::Stage(Stage::Test) => Purpose::Test,
        CostItem::Stage(Stage::Server) => Purpose::Servers,
        CostItem::Options => Purpose::Options,
        CostItem::Bought => Purpose::Bought,
        CostItem::Rented => Purpose::Rented,
        CostItem::SiteBuild => Purpose::Building,
        CostItem::SiteRunning => Purpose::Halls,
        CostItem::Energy => Purpose::Energy,
        CostItem::Upkeep => Purpose::Upkeep,
        CostItem::Stock => Purpose::Stock,
        CostItem::Unmet => Purpose::Unmet,
        CostItem::Residual => Purpose::Left,
    }
}

/// The plan's payments.
fn ledger(plan: &Plan) -> Ledger {
    let mut ledger = Ledger::new(plan.months);
    for cost in &plan.costs {
        let kind = match cost.kind {
            CostKind::Capital => LineKind::Capex,
            CostKind::Running => LineKind::Opex,
            CostKind::Penalty => LineKind::Penalty,
            CostKind::Residual => LineKind::Residual,
        };
        for (m, usd) in cost.usd_by_month.iter().enumerate() {
            ledger.pay(cost.name.clone(), purpose(cost.item), kind, m, *usd);
        }
    }
    ledger
}
