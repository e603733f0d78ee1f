//! The run's answer: plans the best chips, works out every option, and gathers everything that the page and the JSON show.

use crate::cashflow::LineKind;
use crate::compare::{Worked, misfit_figures};
use crate::evaluate::Setting;
use crate::explain::{Node, explanations};
use crate::inputs::Inputs;
use crate::misfit::RunError;
use crate::options::{Options, Planner};
use crate::progress::Progress;
use crate::report::{Figure, Flow, Frame, MonthsReport, NumberReport, Report, SourceReport, Verdict};
use crate::run::{Evaluated, asks, evaluate_all, places, setting};
use crate::study::Study;
use crate::tables::{DesignRow, chip_report, design_rows, search_report, service_reports, site_reports};
use crate::verdict::{Odds, sentence_with};

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

/// The main job.
///
/// # Errors
/// An ask that no chip can answer, or broken supplier data. Options that do not fit are part of the answer.
pub fn run(name: &str, study: &Study, inputs: &Inputs, progress: &dyn Progress) -> Result<Answer, RunError> {
    let places = places(study, inputs);
    let asks = asks(study, inputs, &places).map_err(|e| RunError::Ask(e.words(study)))?;
    let mut setting = setting(study, inputs, &asks, &places);
    let evaluated = evaluate_all(study, inputs, &mut setting, progress);
    let planner = Planner::new(&setting, &evaluated)?;
    let ids: Vec<usize> = evaluated.searched.front.iter().copied().take(PLANNED).collect();
    let options = Options::of(&setting, &evaluated, &planner, &ids, progress);
    let (build, worked) = (options.build.as_ref(), options.worked());
    let chosen = build.and_then(|b| b.id);
    let drawn = crate::draw::draw(&setting, &worked, progress);
    let residency = build.or_else(|| worked.first().copied()).map_or(Vec::new(), |b| planner.residency(b));
    let rules = crate::ruled::costs(&setting, &options, &planner, &evaluated.searched.fates, &residency);
    let mut report = Report {
        frame: frame(name, study),
        verdict: verdict(options.sentence(&setting)),
        options: figures(&setting, &options, &evaluated, &rules),
        search: search_report(&setting, &evaluated.searched, &options.planned, chosen),
        chip: chip_report(&setting, build),
        services: service_reports(&setting, &worked),
        scaling: crate::scaling::scaling(&setting, build.or_else(|| worked.first().copied())),
        months: worked.iter().map(|w| months(&setting, w)).collect(),
        money: build.map_or(Vec::new(), |b| money(&setting, b)),
        plan: build.and_then(|b| planner.report(b, options.planned.len())),
        sites: site_reports(&setting, build.or_else(|| worked.first().copied())),
        risk: drawn.as_ref().map(|d| crate::draw::report(&setting, d, &worked)),
        scenarios: crate::reoptimise::scenarios(&setting, &options, progress),
        cash: build.map(|b| crate::cash::cash(&setting, b)),
        architect: crate::architect::architect(&setting, build, &options.others),
        planner: crate::planner::planner(&setting, &worked, &rules),
        residency,
        model_error: crate::model_error::model_error(&inputs.tables),
        not_modelled: not_modelled(study, inputs),
        numbers: numbers(inputs),
        sources: sources(inputs),
    };
    drawn.iter().for_each(|d| add_draws(&setting, d, &worked, &mut report));
    let designs = design_rows(&setting, &evaluated.searched, &options.planned);
    let explanations = explanations(&setting, &worked);
    Ok(Answer { report, designs, explanations, cashflow: crate::cash::csv(&setting, &worked) })
}

fn figures(setting: &Setting<'_>, options: &Options, evaluated: &Evaluated<'_>, rules: &[String]) -> Vec<crate::report::OptionFigures> {
    let none = || {
        let misfits = evaluated.searched.misfits();
        let reasons = misfits.iter().take(3).map(|(r, n)| format!("{r} ({n} chips)"));
        let reasons: Vec<String> = options.conflict.as_ref().map_or_else(|| reasons.collect(), |c| vec![c.clone()]);
        misfit_figures("Build", &reasons)
    };
    let mut all = vec![options.build.as_ref().map_or_else(none, |b| b.figures(setting))];
    all.iter_mut().for_each(|build| build.notes.extend(crate::ruled::beside(rules).cloned()));
    for (sale, result) in evaluated.sales.iter().zip(&options.bought) {
        all.push(result.as_ref().map_or_else(|why| misfit_figures(sale.name, why), |w| w.figures(setting)));
    }
    all.extend(options.more.iter().map(|w| w.figures(setting)));
    all
}

fn frame(name: &str, study: &Study) -> Frame {
    let f = &study.frame;
    let (months, discount_rate) = (f.months, f.discount_rate.value());
    Frame { study: name.to_owned(), start: f.start.to_string(), months, discount_rate, currency_year: f.currency_year }
}

fn verdict(sentence: String) -> Verdict {
    Verdict {
        sentence,
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
    crate::draw::ranges(d, worked, report);
    crate::draw::verdict_figures(d, worked, &mut report.verdict);
    report.verdict.sentence = drawn_sentence(setting, d, worked, report);
}

/// The verdict's sentence where worlds were drawn.
fn drawn_sentence(setting: &Setting<'_>, d: &crate::draw::Drawn, worked: &[&Worked], report: &Report) -> String {
    let worth = |i: &&crate::report::Influence| i.worth_usd > 0.0;
    let best = report.risk.iter().flat_map(|r| &r.tornado).filter(worth).max_by(|a, b| a.worth_usd.total_cmp(&b.worth_usd));
    let odds = Odds { build_cheaper: d.cheaper(d.other), decides: best.map(|i| i.words.clone()) };
    sentence_with(&worked[0].contender(setting), &worked[d.other].contender(setting), &odds, setting.study.frame.start)
}

fn months(setting: &Setting<'_>, w: &Worked) -> MonthsReport {
    let o = &w.outcome;
    // What the bridge carries: the demand that is served beyond the chips of the own kind.
    let works = w.source.works(&setting.inputs.constants.market, o.own.len());
    let bridge = |m: usize| (o.needed[m] * o.served.get(m).copied().unwrap_or(0.0) - o.own[m] * works[m]).max(0.0);
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
    let lines: Vec<_> = w.outcome.ledger.by_line(rate).collect();
    let left = -w.value_of(setting, LineKind::Residual);
    flow("net cost", "all payments", w.outcome.payments(rate));
    flow("value left at the end", "all payments", left);
    for group in ["own chips", "machines", "sites", "bridge", "unmet"] {
        let of = lines.iter().filter(|(l, _)| l.kind != LineKind::Residual && l.purpose.group() == group);
        let total: f64 = of.clone().map(|l| l.1).sum();
        let single = of.clone().count() < 2;
        match of.clone().next() {
            Some((l, _)) if single => flow("all payments", &l.name, total),
            _ => {
                flow("all payments", group, total);
                of.for_each(|(l, usd)| flow(group, &l.name, *usd));
            }
        }
    }
    flows
}

fn not_modelled(study: &Study, inputs: &Inputs) -> Vec<String> {
    let life = inputs.constants.market.it_life_years * 12.0;
    let worn = f64::from(study.frame.months) > life;
    let replaced = worn.then(|| format!("Replacement of machines: all stand to the end, though they are paid off in {life:.0} months."));
    let always = [
        "Power of successors: they cost less per unit of performance, but take the power of today's GPUs.",
        "Joint investment that pays in more than capacity: a share in a plant's profit, or a lower price.",
        "Sharing of chips between services by time of day; prefix caching, speculative decoding, multi-token prediction.",
        "Corporate tax, financing beyond the discount rate, inflation.",
        "Halls built for the study: the plan leases all halls; what building them would change is told beside it.",
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
