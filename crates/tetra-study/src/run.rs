//! The main job: a study and its inputs in, the answer out.

use std::sync::Arc;

use tetra_chip::Chip;
use tetra_quantity::YEAR_S;
use tetra_site::{Finance, Residency, Tenure};

use crate::ability::Asks;
use crate::cashflow::discounted_tokens;
use crate::evaluate::{Bridge, Found, Misfit, Rented, Setting, Source, month_of};
use crate::inputs::Inputs;
use crate::market::Market;
use crate::memo::Memo;
use crate::misfit::AbilityMisfit;
use crate::progress::Progress;
use crate::search::{Searched, search};
use crate::stand::Place;
use crate::study::Study;

/// A GPU on sale, evaluated.
#[derive(Debug)]
pub struct Sale<'a> {
    /// Name as the study writes it.
    pub name: &'a str,
    /// The chip.
    pub chip: &'a Chip,
    /// How it is had.
    pub source: Source,
    /// What it comes to.
    pub found: Result<Found, Misfit>,
}

/// What evaluating everything gives, before the plan.
#[derive(Debug)]
pub struct Evaluated<'a> {
    /// GPUs on sale.
    pub sales: Vec<Sale<'a>>,
    /// Custom chips.
    pub searched: Searched,
}

/// Candidate sites with the study's caps.
pub fn places<'a>(study: &Study, inputs: &'a Inputs) -> Vec<Place<'a>> {
    let found = study.sites.iter().filter_map(|s| inputs.sites.find(&s.name).ok().map(|site| (s, site)));
    found.map(|(s, site)| Place { site, cap: s.cap.or(site.cap) }).collect()
}

/// Indices of the places where each part of the fleet may stand.
pub fn allowed(study: &Study, inputs: &Inputs, places: &[Place<'_>]) -> Vec<Vec<usize>> {
    let anywhere: Vec<usize> = (0..places.len()).collect();
    let inside = |region: &String| -> Vec<usize> {
        let rule = Residency::parse(&[region], &inputs.sites).unwrap_or(Residency::anywhere());
        anywhere.iter().copied().filter(|&p| rule.admits(places[p].site)).collect()
    };
    let services = study.services.iter().map(|s| s.process_in.as_ref().map_or(anywhere.clone(), inside));
    services.chain(study.trainings.iter().map(|_| anywhere.clone())).collect()
}

/// How machines are financed.
pub fn finance_of(study: &Study, market: &Market) -> Finance {
    Finance { discount_rate: study.frame.discount_rate.value(), it_life_years: market.it_life_years, tenure: Tenure::Lease }
}

/// What stays the same for every accelerator.
///
/// # Errors
/// A service that no chip can answer.
pub fn setting<'a>(study: &'a Study, inputs: &'a Inputs, asks: &'a Asks<'a>, places: &'a [Place<'a>]) -> Setting<'a> {
    let market = &inputs.constants.market;
    let rate = study.frame.discount_rate;
    let tokens = |m: usize| study.services.iter().map(|s| s.demand[m].value()).sum::<f64>() * YEAR_S / 12.0;
    Setting {
        study,
        inputs,
        asks,
        places,
        finance: finance_of(study, market),
        tokens: discounted_tokens(rate, study.services.iter().map(|s| s.demand.as_slice())),
        penalty: (0..study.frame.months as usize).map(|m| tokens(m) * market.penalty_usd_per_token).collect(),
        bridge: None,
        rent: None,
        budgets: Vec::new(),
        barred: barred(study, inputs),
        memo: Arc::new(Memo::nothing(inputs.grid.size(), study.services.len())),
    }
}

/// Processes of the grid whose suppliers lie in too few countries for the study's rules, and the stage that shows it.
fn barred(study: &Study, inputs: &Inputs) -> Vec<(String, &'static str)> {
    #[cfg(feature = "plan")]
    if let (true, Ok(supply)) = (study.supply != crate::study::SupplyRules::default(), inputs.supply()) {
        let year = crate::evaluate::start_year(study);
        let nodes = inputs.grid.nodes.iter();
        return nodes.filter_map(|node| supply.barred(node, year, &study.supply).map(|stage| (node.clone(), stage))).collect();
    }
    let _ = (study, inputs);
    Vec::new()
}

/// Evaluates every GPU that the study compares with, fixes what bridges the time before own chips, and searches the grid.
///
/// # Errors
/// A service that no chip can answer.
pub fn evaluate_all<'a>(study: &'a Study, inputs: &'a Inputs, setting: &mut Setting<'a>, progress: &dyn Progress) -> Evaluated<'a> {
    progress.start("GPUs on sale", study.buy.len() as u64);
    let sales = evaluate_sales(study, inputs, setting);
    progress.at(study.buy.len() as u64);
    let searched = search(setting, progress);
    Evaluated { sales, searched }
}

/// Evaluates every GPU that the study compares with and fixes what bridges and what is rented.
pub fn evaluate_sales<'a>(study: &'a Study, inputs: &'a Inputs, setting: &mut Setting<'a>) -> Vec<Sale<'a>> {
    let lead = inputs.constants.market.gpu_lead_months as usize;
    let mut sales: Vec<Sale<'a>> = Vec::new();
    // Rents are wanted by every option, so that all GPUs are looked at once without them.
    for _ in 0..2 {
        sales.clear();
        for name in &study.buy {
            let Some(chip) = inputs.chips.find(name) else { continue };
            let Some((price, basis)) = inputs.price_of(chip) else { continue };
            let source = Source::Sale { price, basis, from: lead, change_per_year: 0.0 };
            let found = setting.evaluate(chip, &source);
            sales.push(Sale { name, chip, source, found });
        }
        setting.rent = cheapest_rent(inputs, &sales);
        fix_reference(setting, &sales);
    }
    sales
}

/// The GPU whose rent serves all demand for least.
fn cheapest_rent(inputs: &Inputs, sales: &[Sale<'_>]) -> Option<Rented> {
    let each = sales.iter().filter_map(|s| {
        let (rent, found) = (inputs.rent_of(s.chip)?, s.found.as_ref().ok()?);
        Some(Rented { name: s.name.to_owned(), need: found.need.clone(), usd_per_month: month_of(rent) })
    });
    let bill = |r: &Rented| r.need.iter().sum::<f64>() * r.usd_per_month;
    each.min_by(|a, b| bill(a).total_cmp(&bill(b)))
}

/// The cheapest GPU bridges; the cheapest training fleet is the reference spend.
fn fix_reference(setting: &mut Setting<'_>, sales: &[Sale<'_>]) {
    let fit: Vec<(&Sale<'_>, &Found)> = sales.iter().filter_map(|s| s.found.as_ref().ok().map(|f| (s, f))).collect();
    let cheapest = fit.iter().min_by(|a, b| a.1.usd_per_token.total_cmp(&b.1.usd_per_token));
    setting.bridge = cheapest.map(|(s, f)| Bridge {
        name: s.name.to_owned(),
        need: f.need.clone(),
        unit: f.standing.unit.clone(),
        from: s.source.from(),
        serving_share: f.own_share,
    });
    let runs = setting.asks.trainings.len();
    let least = |i: usize| fit.iter().map(|(_, f)| f.training_spend[i]).fold(f64::INFINITY, f64::min);
    setting.budgets = (0..runs).map(least).map(|b| if b.is_finite() { b } else { 0.0 }).collect();
}

/// The asks of a study at its sites.
///
/// # Errors
/// A service that no chip can answer.
pub fn asks<'a>(study: &'a Study, inputs: &'a Inputs, places: &[Place<'_>]) -> Result<Asks<'a>, AbilityMisfit> {
    Asks::of(study, inputs, allowed(study, inputs, places))
}
