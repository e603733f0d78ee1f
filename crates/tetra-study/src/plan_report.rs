//! The plan as the page shows it: bars of a Gantt, bottlenecks, stress, and what each residency rule costs.

use tetra_plan::{CountryShare, PlanInput, StressOutcome, co_investments, country_rule_cost, rule_costs, stress};
use tetra_quantity::{Fraction, show_number};

use crate::compare::Worked;
use crate::evaluate::Source;
use crate::report::{Bar, PlanReport};
use crate::supply::Supply;

/// Everything that the page shows of a plan.
pub fn plan_report(input: &PlanInput, w: &Worked, planned: usize, supply: &Supply) -> Option<PlanReport> {
    let plan = w.outcome.plan.as_ref()?;
    let mut bars = programme(w);
    for o in &plan.orders {
        let lane = o.stage.map_or("GPUs".to_owned(), |s| s.unit().to_owned());
        let total: f64 = o.ordered.iter().sum();
        bars.extend(span(&o.ordered).map(|(from, to)| Bar {
            lane,
            label: format!("{}: {} {}", o.name, show_number(total), o.unit),
            from,
            to,
        }));
    }
    for f in &plan.fleets {
        let most = f.standing.iter().copied().fold(0.0, f64::max);
        let label = format!("{}: up to {}", f.name, show_number(most));
        bars.extend(span(&f.standing).map(|(from, to)| Bar { lane: "in service".to_owned(), label, from, to }));
    }
    for s in &plan.sites {
        let label = format!("{}: up to {} MW", s.name, show_number(s.used_w.iter().copied().fold(0.0, f64::max) * 1e-6));
        bars.extend(span(&s.used_w).map(|(from, to)| Bar { lane: "sites".to_owned(), label, from, to }));
    }
    for c in &plan.choices {
        bars.push(Bar { lane: "choices".to_owned(), label: c.name.clone(), from: month(c.month), to: month(c.ready_month) });
    }
    Some(PlanReport {
        bars,
        bottlenecks: plan.bottlenecks.clone(),
        stress: stresses(input, supply),
        remarks: remarks(input, w, planned, supply),
    })
}

fn month(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX - 1) + 1
}

/// First and last month in which something happens.
fn span(series: &[f64]) -> Option<(i32, i32)> {
    /// Units below which a solver's rest counts as nothing.
    const REST: f64 = 1e-3;
    let busy = |v: &f64| *v > REST;
    Some((month(series.iter().position(busy)?), month(series.iter().rposition(busy)?)))
}

fn programme(w: &Worked) -> Vec<Bar> {
    let Source::Own(package) = &w.source else { return Vec::new() };
    let mut at = 0.0;
    let stages = package.programme.stages.iter().map(|&(name, months)| {
        let from = at;
        at += months;
        let (from, to) = (from as usize, (at - f64::EPSILON).max(from) as usize);
        Bar { lane: "programme".to_owned(), label: name.to_owned(), from: month(from), to: month(to) }
    });
    stages.collect()
}

fn remarks(input: &PlanInput, w: &Worked, planned: usize, supply: &Supply) -> Vec<String> {
    let plan = w.outcome.plan.as_ref();
    let shares = supply.constants.newcomer.iter().map(|(stage, share)| format!("{} of the {}", Fraction(*share), stage.unit()));
    let limits = format!(
        "Of what a plant makes a newcomer gets {}. All that is ordered is taken here: the share that is paid of orders not taken (take-or-pay) is in the draws alone.",
        shares.collect::<Vec<_>>().join(", ")
    );
    let own = input.product.is_some();
    let offers = plan.filter(|_| own).map_or(Vec::new(), |p| co_investments(input, p)).into_iter().map(|c| c.text);
    let always = [
        format!("{planned} chips of the front were planned; the cheapest is shown."),
        format!("The plan costs at most {} % more than the best possible one.", show_number(100.0 * w.outcome.gap())),
        "Bought GPUs get cheaper as successors come, all other prices stay as they are; transport, tariffs and minimum orders are left out.".to_owned(),
    ];
    always.into_iter().chain(own.then_some(limits)).chain(offers).collect()
}

fn stresses(input: &PlanInput, supply: &Supply) -> Vec<String> {
    let outages = supply.outages.iter();
    let told = outages.map(|outage| match stress(input, outage) {
        Ok(StressOutcome::Survived(s)) => s.text,
        Ok(StressOutcome::Infeasible(c)) => c.text,
        Err(e) => e.to_string(),
    });
    told.collect()
}

/// What the shares of countries cost, in words.
pub fn country_shares(input: &PlanInput) -> Vec<String> {
    let Some(usd) = country_rule_cost(input).unwrap_or_default() else { return Vec::new() };
    let rule = |r: &CountryShare| format!("at most {} of a year's {} from one country", Fraction(r.largest), r.stage.unit());
    let rules: Vec<String> = input.country_shares.iter().map(rule).collect();
    vec![format!("{}: {} M USD in all (present value), the same sources qualified.", rules.join(" and "), show_number(usd * 1e-6))]
}

/// What each residency rule costs, in words.
pub fn residency(input: &PlanInput, w: &Worked) -> Vec<String> {
    let Some(plan) = w.outcome.plan.as_ref() else { return Vec::new() };
    let costs = rule_costs(input, plan).unwrap_or_default();
    let told = input.demands.iter().zip(costs).filter_map(|(d, cost)| {
        let cost = cost?;
        Some(format!("{} stays in {}: {} M USD in all (present value).", d.name, d.region, show_number(cost * 1e-6)))
    });
    told.collect()
}
