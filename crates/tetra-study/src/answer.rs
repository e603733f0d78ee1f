//! The run's answer: plans the best chips, works out every option, and gathers everything that the page and the JSON show.

use crate::ability::AbilityMisfit;
use crate::cashflow::LineKind;
use crate::compare::{Worked, misfit_figures, words};
use crate::evaluate::{Setting, Source, month_of};
use crate::explain::{Node, explanations};
use crate::inputs::Inputs;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::report::{Figure, Flow, Frame, MonthsReport, NumberReport, PlanReport, Report, SourceReport, Verdict};
use crate::run::{Evaluated, Sale, asks, evaluate_all, places, setting};
use crate::search::{Searched, made};
use crate::study::Study;
use crate::tables::{DesignRow, chip_report, design_rows, search_report, service_reports, site_reports};
use crate::verdict::{Contender, Odds, sentence, sentence_with};

/// Custom chips that are planned.
const PLANNED: usize = 20;

/// What a run gives.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Everything that the page and the JSON show.
    pub report: Report,
    /// One row per chip of the grid.
    pub designs: Vec<DesignRow>,
    /// Where headline numbers come from, by key.
    pub explanations: Vec<Node>,
    /// Payments of every option by month, as CSV.
    pub cashflow: String,
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// A service that no chip can answer.
    #[error("{0}")]
    Ask(String),
    /// Suppliers that cannot be read.
    #[error("{0}")]
    Supply(String),
}

/// The main job.
///
/// # Errors
/// An ask that no chip can answer, or broken supplier data. Options that do not fit are part of the answer.
pub fn run(name: &str, study: &Study, inputs: &Inputs, progress: &dyn Progress) -> Result<Answer, RunError> {
    let places = places(study, inputs);
    let asks = asks(study, inputs, &places).map_err(|e| RunError::Ask(unanswerable(study, e)))?;
    let mut setting = setting(study, inputs, &asks, &places);
    let evaluated = evaluate_all(study, inputs, &mut setting, progress);
    let planner = Planner::new(&setting, &evaluated)?;
    let Built { best: build, others, planned, conflict } = plan_build(&setting, &evaluated.searched, &planner, progress);
    progress.start("options", study.buy.len() as u64);
    let bought = plan_bought(&setting, &evaluated.sales, &planner);
    let more = plan_more(&setting, &evaluated.sales, &bought, &planner);
    let worked: Vec<&Worked> = build.iter().chain(bought.iter().filter_map(|b| b.as_ref().ok())).chain(&more).collect();
    let chosen = build.as_ref().and_then(|b| b.id);
    let drawn = crate::draw::draw(&setting, &worked, progress);
    let residency = build.as_ref().or_else(|| worked.first().copied()).map_or(Vec::new(), |b| planner.residency(b));
    let mut report = Report {
        frame: frame(name, study),
        verdict: verdict(&setting, build.as_ref(), &bought, &more),
        options: options(&setting, build.as_ref().ok_or(conflict.as_ref()), &evaluated, &bought, &more),
        search: search_report(&setting, &evaluated.searched, &planned, chosen),
        chip: chip_report(&setting, build.as_ref()),
        services: service_reports(&setting, &worked),
        months: worked.iter().map(|w| months(&setting, w)).collect(),
        money: build.as_ref().map_or(Vec::new(), |b| money(&setting, b)),
        plan: build.as_ref().and_then(|b| planner.report(b, planned.len())),
        sites: site_reports(&setting, build.as_ref().or_else(|| worked.first().copied())),
        risk: drawn.as_ref().map(|d| crate::draw::report(&setting, d, &worked)),
        scenarios: Vec::new(),
        cash: build.as_ref().map(|b| crate::cash::cash(&setting, b)),
        architect: crate::architect::architect(&setting, build.as_ref(), &others),
        planner: crate::planner::planner(&setting, &worked, &residency),
        residency,
        model_error: crate::model_error::model_error(&inputs.tables),
        not_modelled: not_modelled(study, inputs),
        numbers: numbers(inputs),
        sources: sources(inputs),
    };
    drawn.iter().for_each(|d| add_draws(&setting, d, &worked, &mut report));
    let designs = design_rows(&setting, &evaluated.searched, &planned);
    let explanations = explanations(&setting, &worked);
    Ok(Answer { report, designs, explanations, cashflow: crate::cash::csv(&setting, &worked) })
}

type Bought = Result<Worked, Vec<String>>;

/// What is asked that no chip can answer.
fn unanswerable(study: &Study, misfit: AbilityMisfit) -> String {
    match misfit {
        AbilityMisfit::Serve(i, why) => format!("service \"{}\": {why}", study.services.get(i).map_or("", |s| &s.name)),
        AbilityMisfit::Train(i, why) => format!("training \"{}\": {why}", study.trainings.get(i).map_or("", |t| &t.name)),
    }
}

/// What planning own chips gives.
struct Built {
    /// The cheapest planned one.
    best: Option<Worked>,
    /// The others that could be planned.
    others: Vec<Worked>,
    /// Chips that could be planned.
    planned: Vec<usize>,
    /// Why the first that could not has no plan: the demands and limits that conflict, and the cheapest way out.
    conflict: Option<String>,
}

/// Plans the cheapest chips of the front; the cheapest planned one is built.
fn plan_build(setting: &Setting<'_>, searched: &Searched, planner: &Planner<'_>, progress: &dyn Progress) -> Built {
    use rayon::prelude::*;
    let ids: Vec<usize> = searched.front.iter().copied().take(PLANNED).collect();
    progress.start("planning", ids.len() as u64);
    let work = |&id: &usize| -> Result<Worked, Option<String>> {
        let (chip, source) = made(&setting.inputs.grid, id, setting).map_err(|_| None)?;
        let found = setting.evaluate(&chip, &source).map_err(|_| None)?;
        let outcome = planner.outcome("own chip", &chip, &source, &found);
        progress.step(1);
        Ok(Worked { name: "Build".to_owned(), chip, source, found, outcome: outcome.map_err(Some)?, id: Some(id) })
    };
    let (fit, unfit): (Vec<_>, Vec<_>) = ids.par_iter().map(work).collect::<Vec<_>>().into_iter().partition(Result::is_ok);
    let mut all: Vec<Worked> = fit.into_iter().flatten().collect();
    let planned: Vec<usize> = all.iter().filter_map(|w| w.id).collect();
    all.sort_by(|a, b| a.usd_per_token(setting).total_cmp(&b.usd_per_token(setting)).then(a.id.cmp(&b.id)));
    let others = all.split_off(all.len().min(1));
    Built { best: all.pop(), others, planned, conflict: unfit.into_iter().find_map(|w| w.err().flatten()) }
}

fn plan_bought(setting: &Setting<'_>, sales: &[Sale<'_>], planner: &Planner<'_>) -> Vec<Bought> {
    let one = |s: &Sale<'_>| -> Bought {
        let found = s.found.as_ref().map_err(|m| vec![words(m, setting)])?.clone();
        let outcome = planner.outcome(s.name, s.chip, &s.source, &found).map_err(|e| vec![e])?;
        Ok(Worked { name: s.name.to_owned(), chip: s.chip.clone(), source: s.source.clone(), found, outcome, id: None })
    };
    sales.iter().map(one).collect()
}

/// The cheapest bought GPU with its successors, and every GPU rented: options beside those that the study names.
fn plan_more(setting: &Setting<'_>, sales: &[Sale<'_>], bought: &[Bought], planner: &Planner<'_>) -> Vec<Worked> {
    let cost = |w: &Worked| w.usd_per_token(setting);
    let best = bought.iter().filter_map(|b| b.as_ref().ok()).min_by(|a, b| cost(a).total_cmp(&cost(b)));
    let market = &setting.inputs.constants.market;
    // Only the plan knows prices that change.
    let successors = best.filter(|_| cfg!(feature = "plan")).and_then(|w| {
        let Source::Sale { price, basis, from, .. } = w.source else { return None };
        let source = Source::Sale { price, basis, from, change_per_year: market.successor_change_per_year() };
        let name = format!("{} and successors", w.name);
        let outcome = planner.outcome(&name, &w.chip, &source, &w.found).ok()?;
        Some(Worked { name, chip: w.chip.clone(), source, found: w.found.clone(), outcome, id: None })
    });
    // Rented machines are too few to hold a demand that must be met, unless they meet it all.
    let must = setting.study.services.iter().filter_map(|s| s.met_from).min().map(|m| m as usize - 1);
    let holds = |w: &Worked| must.is_none_or(|m| w.outcome.served[m..].iter().all(|s| *s >= 1.0));
    let rents = sales.iter().filter_map(|s| {
        let (usd_per_month, found) = (month_of(setting.inputs.rent_of(s.chip)?), s.found.as_ref().ok()?.clone());
        let from = market.rent_lead_months as usize;
        let found = crate::evaluate::Found { from, ..found };
        let outcome = Outcome::of_rent(&found, setting, usd_per_month);
        let source = Source::Rent { usd_per_month, from };
        Some(Worked { name: format!("Rent {}", s.name), chip: s.chip.clone(), source, found, outcome, id: None })
    });
    successors.into_iter().chain(rents.filter(holds)).collect()
}

fn options(
    setting: &Setting<'_>,
    build: Result<&Worked, Option<&String>>,
    evaluated: &Evaluated<'_>,
    bought: &[Bought],
    more: &[Worked],
) -> Vec<crate::report::OptionFigures> {
    let none = |conflict: Option<&String>| {
        let misfits = evaluated.searched.misfits();
        let reasons = misfits.iter().take(3).map(|(r, n)| format!("{r} ({n} chips)"));
        let reasons: Vec<String> = conflict.map_or_else(|| reasons.collect(), |c| vec![c.clone()]);
        misfit_figures("Build", &reasons)
    };
    let mut all = vec![build.map_or_else(none, |b| b.figures(setting))];
    for (sale, result) in evaluated.sales.iter().zip(bought) {
        all.push(result.as_ref().map_or_else(|why| misfit_figures(sale.name, why), |w| w.figures(setting)));
    }
    all.extend(more.iter().map(|w| w.figures(setting)));
    all
}

fn frame(name: &str, study: &Study) -> Frame {
    let f = &study.frame;
    let (months, discount_rate) = (f.months, f.discount_rate.value());
    Frame { study: name.to_owned(), start: f.start.to_string(), months, discount_rate, currency_year: f.currency_year }
}

fn verdict(setting: &Setting<'_>, build: Option<&Worked>, bought: &[Bought], more: &[Worked]) -> Verdict {
    let build = build.map(|b| b.contender(setting));
    let others: Vec<Contender> = bought.iter().filter_map(|b| b.as_ref().ok()).chain(more).map(|w| w.contender(setting)).collect();
    Verdict {
        sentence: sentence(build.as_ref(), &others, bought.len(), setting.study.frame.start),
        probability_build_cheaper: None,
        probability_40_percent_cheaper: None,
        probability_error: None,
        training_speed_up: Figure::exact(f64::NAN, "times"),
        break_even_volume: Figure::exact(f64::NAN, "of the demand"),
        break_even_month: Figure::exact(None, "month"),
        against: Vec::new(),
        certainty: "Base case only: Build or every other option is a misfit, so nothing was drawn and no probability is given.".to_owned(),
    }
}

/// Ranges, probabilities and the sentence that follows from them.
fn add_draws(setting: &Setting<'_>, d: &crate::draw::Drawn, worked: &[&Worked], report: &mut Report) {
    crate::draw::ranges(d, &mut report.options, &mut report.months, worked);
    crate::draw::verdict_figures(d, worked, &mut report.verdict);
    report.verdict.sentence = drawn_sentence(setting, d, worked, report);
}

/// The verdict's sentence where worlds were drawn.
fn drawn_sentence(setting: &Setting<'_>, d: &crate::draw::Drawn, worked: &[&Worked], report: &Report) -> String {
    let worth = |i: &&crate::report::Influence| i.worth_usd > 0.0;
    let best = report.risk.iter().flat_map(|r| &r.tornado).filter(worth).max_by(|a, b| a.worth_usd.total_cmp(&b.worth_usd));
    let odds = Odds { build_cheaper: d.cheaper(d.other), decides: best.map(|i| i.input.clone()) };
    sentence_with(&worked[0].contender(setting), &worked[d.other].contender(setting), &odds, setting.study.frame.start)
}

fn months(setting: &Setting<'_>, w: &Worked) -> MonthsReport {
    let o = &w.outcome;
    // What the bridge carries: the demand that is served beyond the chips of the own kind.
    let bridge = |m: usize| (o.needed[m] * o.served.get(m).copied().unwrap_or(0.0) - o.own[m]).max(0.0);
    MonthsReport {
        option: w.name.clone(),
        cumulative_low_usd: w.cumulative(setting),
        cumulative_high_usd: w.cumulative(setting),
        cumulative_usd: w.cumulative(setting),
        chips: o.own.clone(),
        bridge_chips: (0..o.own.len()).map(bridge).collect(),
        needed_chips: o.needed.clone(),
    }
}

/// Payments of Build as flows: all payments and the value left pay for groups, groups for lines.
fn money(setting: &Setting<'_>, w: &Worked) -> Vec<Flow> {
    let rate = setting.study.frame.discount_rate;
    let mut flows = Vec::new();
    let mut flow = |from: &str, to: &str, usd: f64| {
        if usd > 0.0 {
            flows.push(Flow { from: from.to_owned(), to: to.to_owned(), usd });
        }
    };
    let lines = w.outcome.ledger.by_line(rate);
    let left = -w.value_of(setting, LineKind::Residual);
    flow("net cost", "all payments", w.outcome.payments(rate));
    flow("value left at the end", "all payments", left);
    for group in ["own chips", "machines", "sites", "bridge", "unmet"] {
        let of = lines.iter().filter(|l| l.1 != LineKind::Residual && group_of(&l.0) == group);
        let total: f64 = of.clone().map(|l| l.2).sum();
        let single = of.clone().count() < 2;
        match of.clone().next() {
            Some(l) if single => flow("all payments", &l.0, total),
            _ => {
                flow("all payments", group, total);
                of.for_each(|l| flow(group, &l.0, l.2));
            }
        }
    }
    flows
}

fn group_of(line: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|w| line.contains(w));
    match line {
        _ if has(&["rented", "bought"]) => "bridge",
        _ if has(&["unmet"]) => "unmet",
        _ if has(&["servers"]) => "machines",
        _ if has(&["sites", "energy", "rent", "halls", "electricity", "water", "staff", "upkeep", "insurance"]) => "sites",
        _ => "own chips",
    }
}

fn not_modelled(study: &Study, inputs: &Inputs) -> Vec<String> {
    let life = inputs.constants.market.it_life_years * 12.0;
    let worn = f64::from(study.frame.months) > life;
    let replaced = worn.then(|| format!("Replacement of machines: all stand to the end, though they are paid off in {life:.0} months."));
    let always = [
        "Scenarios that are optimised anew, and rented beside owned sites with confidential computing.",
        "Power of successors: they cost less per unit of performance, but take the power of today's GPUs.",
        "Joint investment in packaging or a fab; lower efficiency of a software stack in its first year.",
        "Sharing of chips between services by time of day; prefix caching, speculative decoding, multi-token prediction.",
        "Corporate tax, financing beyond the discount rate, inflation.",
        "Halls built for the study: all halls are leased.",
    ];
    always.into_iter().map(str::to_owned).chain(replaced).collect()
}

fn numbers(inputs: &Inputs) -> Vec<NumberReport> {
    let row = |r: &tetra_quantity::Row| NumberReport {
        key: r.key(),
        value: r.value,
        low: r.low,
        high: r.high,
        unit: r.unit.clone(),
        source: r.source.clone(),
        overridden: r.overridden,
    };
    inputs.tables.rows().iter().map(row).collect()
}

fn sources(inputs: &Inputs) -> Vec<SourceReport> {
    let one = |(key, s): (&String, &tetra_quantity::Source)| SourceReport {
        key: key.clone(),
        title: s.title.clone(),
        date: s.date.clone(),
        url: s.url.clone(),
        kind: s.kind.word(),
    };
    inputs.tables.sources().iter().map(one).collect()
}

/// Works out an option under the limits of suppliers, or without the plan in closed form.
struct Planner<'a> {
    setting: &'a Setting<'a>,
    #[cfg(feature = "plan")]
    supply: crate::supply::Supply,
    #[cfg(feature = "plan")]
    with: crate::planned::Bridging<'a>,
}

#[cfg(not(feature = "plan"))]
impl<'a> Planner<'a> {
    fn new(setting: &'a Setting<'a>, _: &'a Evaluated<'a>) -> Result<Self, RunError> {
        Ok(Self { setting })
    }

    fn outcome(&self, _: &str, _: &tetra_chip::Chip, _: &Source, found: &crate::evaluate::Found) -> Result<Outcome, String> {
        Ok(Outcome::of_estimate(found, self.setting))
    }

    fn report(&self, _: &Worked, _: usize) -> Option<PlanReport> {
        None
    }

    fn residency(&self, _: &Worked) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(feature = "plan")]
impl<'a> Planner<'a> {
    fn new(setting: &'a Setting<'a>, evaluated: &'a Evaluated<'a>) -> Result<Self, RunError> {
        let supply = crate::supply::Supply::read(&setting.inputs.tables, &setting.inputs.suppliers, &setting.inputs.outages)
            .map_err(|e| RunError::Supply(e.to_string()))?;
        let fit = |name: &String| evaluated.sales.iter().find(|s| s.name == name).and_then(|s| s.found.as_ref().ok());
        let with = crate::planned::Bridging {
            bought: setting.bridge.as_ref().and_then(|b| Some((b.name.as_str(), fit(&b.name)?))),
            rented: setting.rent.as_ref().and_then(|r| Some((r.name.as_str(), fit(&r.name)?, r.usd_per_month))),
        };
        Ok(Self { setting, supply, with })
    }

    fn outcome(&self, name: &str, chip: &tetra_chip::Chip, source: &Source, found: &crate::evaluate::Found) -> Result<Outcome, String> {
        crate::planned::plan_option(&self.input(name, chip, source, found))
    }

    fn input(&self, name: &str, chip: &tetra_chip::Chip, source: &Source, found: &crate::evaluate::Found) -> tetra_plan::PlanInput {
        crate::planned::plan_input(self.setting, name, chip, source, found, &self.with, &self.supply)
    }

    fn report(&self, w: &Worked, planned: usize) -> Option<PlanReport> {
        let input = self.input("own chip", &w.chip, &w.source, &w.found);
        crate::plan_report::plan_report(&input, w, planned, &self.supply)
    }

    fn residency(&self, w: &Worked) -> Vec<String> {
        crate::plan_report::residency(&self.input("own chip", &w.chip, &w.source, &w.found), w)
    }
}
