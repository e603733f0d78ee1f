//! What an outage costs a plan that did not foresee it, and what a second source qualified in advance would have saved.
//!
//! Decisions of the months before the outage are kept as planned; from its first month on everything may be decided anew. The loss is the
//! difference of discounted cost. Each second source is then forced into the plan, one at a time: its premium is what it costs when
//! nothing happens, its saving is how much smaller the total is when the outage comes.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::highs;
use crate::input::{Outage, PlanInput};
use crate::model::{Choosable, KILO, Model};
use crate::plan::{Conflict, Plan, PlanOutcome};
use crate::programme::{Answer, Solution};
use crate::solution;

/// An outage against a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stress {
    /// The outage.
    pub outage: Outage,
    /// Discounted cost of the plan without the outage, USD.
    pub calm_usd: f64,
    /// Discounted cost when the outage comes, USD.
    pub struck_usd: f64,
    /// The difference.
    pub loss_usd: f64,
    /// Chip-months of demand missing in addition.
    pub lost_chip_months: f64,
    /// Months in which demand is missing in addition: first and last.
    pub short_months: Option<(usize, usize)>,
    /// Every second source that could have been ready, the most useful first.
    pub second_sources: Vec<SecondSource>,
    /// The plan after the outage.
    pub plan: Plan,
    /// The whole in plain words.
    pub text: String,
}

/// A source that was qualified in advance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondSource {
    /// Supplier.
    pub name: String,
    /// What it costs more when nothing happens, USD discounted.
    pub premium_usd: f64,
    /// How much less the loss is when the outage comes, before the premium, USD discounted.
    pub saved_usd: f64,
    /// Probability of the outage above which it pays.
    pub break_even_probability: f64,
}

/// What a stress test gives: its result, or why the plan cannot go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StressOutcome {
    /// The plan survives, at a loss.
    Survived(Box<Stress>),
    /// There is no plan without the outage, or none with it.
    Infeasible(Conflict),
}

struct Struck {
    calm: Plan,
    struck: Plan,
}

/// Strikes the best plan of `input` with an unforeseen `outage`.
///
/// # Errors
/// Broken input, or a solver that stopped without an answer.
pub fn stress(input: &PlanInput, outage: &Outage) -> Result<StressOutcome, PlanError> {
    let base = match strike(input, outage, None)? {
        Ok(base) => base,
        Err(conflict) => return Ok(StressOutcome::Infeasible(conflict)),
    };
    let mut second_sources = Vec::new();
    for (n, supplier) in input.suppliers.iter().enumerate() {
        let could_help = supplier.qualification.is_some() && outage.stages.contains(&supplier.stage) && !outage.strikes(supplier);
        let Some(other) = could_help.then(|| strike(input, outage, Some(n))).transpose()?.and_then(Result::ok) else { continue };
        let premium_usd = (other.calm.cost_usd - base.calm.cost_usd).max(0.0);
        let saved_usd = (base.struck.cost_usd - base.calm.cost_usd) - (other.struck.cost_usd - other.calm.cost_usd);
        let break_even_probability = if saved_usd > premium_usd { premium_usd / saved_usd } else { 1.0 };
        second_sources.push(SecondSource { name: supplier.name.clone(), premium_usd, saved_usd, break_even_probability });
    }
    second_sources.sort_by(|a, b| (b.saved_usd - b.premium_usd).total_cmp(&(a.saved_usd - a.premium_usd)).then(a.name.cmp(&b.name)));
    Ok(StressOutcome::Survived(Box::new(report(outage, base, second_sources))))
}

fn report(outage: &Outage, base: Struck, second_sources: Vec<SecondSource>) -> Stress {
    let missing = |p: &Plan, t: usize| -> f64 { p.services.iter().map(|s| s.unmet[t]).sum() };
    let more: Vec<f64> = (0..base.calm.months).map(|t| missing(&base.struck, t) - missing(&base.calm, t)).collect();
    let needed: f64 = base.calm.services.iter().flat_map(|s| &s.needed).copied().fold(0.0, f64::max);
    let short = |v: &f64| *v > 1e-6 * needed;
    let short_months = more.iter().position(short).zip(more.iter().rposition(short));
    let (calm_usd, struck_usd) = (base.calm.cost_usd, base.struck.cost_usd);
    let loss_usd = struck_usd - calm_usd;
    let mut text = format!(
        "{}: the plan loses {} M USD (discounted) and {} chip-months.",
        outage.name,
        million(loss_usd),
        tetra_quantity::show_number(more.iter().map(|v| v.max(0.0)).sum())
    );
    let helps = second_sources.first().filter(|s| s.saved_usd > LEAST_SAVING_USD);
    text.push_str(&helps.map_or(" No second source would have helped.".to_owned(), helped));
    let lost_chip_months = more.iter().sum();
    Stress {
        outage: outage.clone(),
        calm_usd,
        struck_usd,
        loss_usd,
        lost_chip_months,
        short_months,
        second_sources,
        plan: base.struck,
        text,
    }
}

fn million(usd: f64) -> String {
    tetra_quantity::show_number(usd / (KILO * KILO))
}

/// What a second source would have saved, and when it is worth its premium, in words.
fn helped(s: &SecondSource) -> String {
    let worth = if s.saved_usd > s.premium_usd {
        format!("worth it if the outage is likelier than {} %", tetra_quantity::show_number(s.break_even_probability * 100.0))
    } else {
        "not worth it even if the outage were certain".to_owned()
    };
    let (saved, premium) = (million(s.saved_usd), million(s.premium_usd));
    format!(" {} as a second source would have saved {saved} M USD of it for a premium of {premium} M USD: {worth}.", s.name)
}

/// A decision is kept within this part of a scaled unit, ten times the solver's tolerance summed over a horizon.
const FREEZE_SLACK: f64 = 1e-5;

/// Savings below one dollar are the solver's noise.
const LEAST_SAVING_USD: f64 = 1.0;

/// The plan before and after the outage, with one second source forced in.
fn strike(input: &PlanInput, outage: &Outage, forced: Option<usize>) -> Result<Result<Struck, Conflict>, PlanError> {
    let (calm_model, calm) = match crate::best(input, &[], |m| force(m, forced))? {
        Ok(found) => found,
        Err(conflict) => return Ok(Err(conflict)),
    };
    let mut after = input.clone();
    after.outages.push(outage.clone());
    let start: Vec<(usize, f64)> = calm_model.options.iter().map(|o| (o.2, calm.value[o.2].round())).collect();
    let struck = crate::best(&after, &start, |m| {
        force(m, forced);
        freeze(m, &calm, outage.from_month);
    })?;
    Ok(struck
        .map(|(model, found)| Struck { calm: solution::plan(input, &calm_model, &calm), struck: solution::plan(&after, &model, &found) }))
}

/// Demands that supplier `forced` is qualified at the first possible start.
fn force(model: &mut Model, forced: Option<usize>) {
    let first = model.options.iter().filter(|o| forced.is_some_and(|n| o.0 == Choosable::Qualify(n))).min_by_key(|o| o.1);
    if let Some(&(_, _, column)) = first {
        model.programme.lower[column] = 1.0;
    }
}

/// Keeps what was decided before `month`, up to the solver's tolerance.
fn freeze(model: &mut Model, before: &Solution, month: usize) {
    let p = &mut model.programme;
    for c in 0..p.columns() {
        if model.decided[c].is_some_and(|m| m < month) {
            let value = before.value[c].max(0.0);
            let slack = if p.integer[c] { 0.0 } else { FREEZE_SLACK };
            let value = if p.integer[c] { value.round() } else { value };
            p.lower[c] = (value - slack).max(0.0);
            p.upper[c] = value + slack;
        }
    }
}

/// Discounted cost of each residency rule: how much cheaper the plan is when the demand may run at every site. `None` for a demand that is
/// free already or for which no plan exists.
///
/// # Errors
/// Broken input, or a solver that stopped without an answer.
pub fn rule_costs(input: &PlanInput, plan: &Plan) -> Result<Vec<Option<f64>>, PlanError> {
    let all: Vec<usize> = (0..input.sites.len()).collect();
    let mut costs = Vec::new();
    for (d, demand) in input.demands.iter().enumerate() {
        if all.iter().all(|j| demand.sites.contains(j)) {
            costs.push(None);
            continue;
        }
        let mut free = input.clone();
        free.demands[d].sites.clone_from(&all);
        costs.push(match crate::solve(&free)? {
            PlanOutcome::Planned(p) => Some((plan.cost_usd - p.cost_usd).max(0.0)),
            PlanOutcome::Infeasible(_) => None,
        });
    }
    Ok(costs)
}

/// How much cheaper the best plan is without its rules on shares of countries when the same sources are qualified and expanded, discounted USD;
/// `None` without such a rule or without a plan.
///
/// # Errors
/// Broken input, or a solver that stopped without an answer.
pub fn country_rule_cost(input: &PlanInput) -> Result<Option<f64>, PlanError> {
    if input.country_shares.is_empty() {
        return Ok(None);
    }
    let Ok((model, found)) = crate::best(input, &[], |_| {})? else { return Ok(None) };
    let chosen: Vec<(usize, f64)> = model.options.iter().map(|o| (o.2, found.value[o.2].round())).collect();
    let keep = |m: &mut Model| chosen.iter().for_each(|&(c, v)| (m.programme.lower[c], m.programme.upper[c]) = (v, v));
    let free = PlanInput { country_shares: Vec::new(), ..input.clone() };
    let (Ok(ruled), Ok(free)) = (crate::best(input, &chosen, keep)?, crate::best(&free, &chosen, keep)?) else { return Ok(None) };
    Ok(Some(((ruled.1.objective - free.1.objective) * model.scale * KILO).max(0.0)))
}

/// Solves, or names what stopped the solver.
pub(crate) fn answer(model: &Model, input: &PlanInput, start: &[(usize, f64)]) -> Result<Option<Solution>, PlanError> {
    match highs::solve(&model.programme, &input.effort, start) {
        Answer::Solved(s) => Ok(Some(s)),
        Answer::Infeasible => Ok(None),
        Answer::Stopped(status) => Err(PlanError::Stopped { status, doing: "looked for the cheapest plan" }),
    }
}
