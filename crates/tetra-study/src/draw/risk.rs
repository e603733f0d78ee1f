//! What the draws say: ranges, probabilities, the break-even curve, and the inputs that decide.

use tetra_quantity::{Rng, normal_of};

use crate::compare::Worked;
use crate::draw::{Drawn, Moved, Replay, gain};
use crate::evaluate::{Setting, Source};
use crate::input_words::{reach, words};
use crate::report::{Against, Figure, Influence, Report, RiskReport, Verdict};
use crate::verdict::payback_of;

/// Probabilities of P10 and P90.
pub const TENTHS: (f64, f64) = (0.1, 1.0 - 0.1);
/// Steps of the break-even curve per factor of ten, from a tenth to ten times the demand.
const STEPS: i32 = 10;

/// The quantile of `values` at `p`, linear between order statistics; values that are no numbers come last.
fn quantile(mut values: Vec<f64>, p: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    let at = p * (values.len() - 1) as f64;
    let (low, high) = (values[at.floor() as usize], values[at.ceil() as usize]);
    if low == high { low } else { low + (high - low) * (at - at.floor()) }
}

fn span(values: &[f64]) -> (f64, f64) {
    (quantile(values.to_vec(), TENTHS.0), quantile(values.to_vec(), TENTHS.1))
}

fn figure(value: f64, values: &[f64], unit: &'static str) -> Figure {
    let (low, high) = span(values);
    Figure { value, low, high, unit }
}

impl Drawn {
    fn of(&self, option: usize, f: impl Fn(&Replay) -> f64) -> Vec<f64> {
        self.worlds.iter().map(|w| f(&w[option])).collect()
    }

    /// Share of draws for which `holds`.
    fn share(&self, holds: impl Fn(&[Replay]) -> bool) -> f64 {
        self.worlds.iter().filter(|w| holds(w)).count() as f64 / self.worlds.len().max(1) as f64
    }

    /// P(Build cheaper than option `other`).
    pub fn cheaper(&self, other: usize) -> f64 {
        self.share(|w| w[0].usd_per_million < w[other].usd_per_million)
    }
}

fn month_figure(value: Option<u32>, values: &[f64]) -> Figure<Option<u32>> {
    let (low, high) = span(values);
    let month = |m: f64| m.is_finite().then(|| m.round().clamp(1.0, f64::from(u16::MAX)) as u32);
    Figure { value, low: month(low), high: month(high), unit: "month" }
}

/// Gives every figure of the options and of Build's cash its range.
pub fn ranges(d: &Drawn, worked: &[&Worked], report: &mut Report) {
    let (options, months) = (&mut report.options, &mut report.months);
    if let Some(cash) = &mut report.cash {
        (cash.peak_funding_usd.low, cash.peak_funding_usd.high) = span(&d.of(0, |r| r.funding));
    }
    for (i, w) in worked.iter().enumerate() {
        let Some(o) = options.iter_mut().find(|o| o.name == w.name) else { continue };
        let set = |f: &mut Figure, get: &dyn Fn(&Replay) -> f64| {
            if f.value.is_finite() {
                (f.low, f.high) = span(&d.of(i, get));
            }
        };
        set(&mut o.usd_per_million_output_tokens, &|r| r.usd_per_million);
        set(&mut o.capex_usd, &|r| r.capex);
        set(&mut o.opex_usd_per_year, &|r| r.opex_per_year);
        set(&mut o.chips, &|r| r.chips);
        set(&mut o.it_mw, &|r| r.it_mw);
        set(&mut o.training_days, &|r| r.days[0]);
        set(&mut o.training_days_at_equal_spend, &|r| r.days[1]);
        set(&mut o.training_usd_per_run, &|r| r.usd_per_run);
        set(&mut o.kg_co2e, &|r| r.kg);
        o.first_month = month_figure(o.first_month.value, &d.of(i, |r| r.months[0]));
        o.full_month = month_figure(o.full_month.value, &d.of(i, |r| r.months[1]));
        if let Some(m) = months.iter_mut().find(|m| m.option == w.name) {
            let at = |month: usize| span(&d.of(i, |r| r.cumulative[month]));
            (m.cumulative_low_usd, m.cumulative_high_usd) = (0..m.cumulative_usd.len()).map(at).unzip();
        }
    }
}

/// What is known of the verdict beside its sentence.
pub fn verdict_figures(d: &Drawn, worked: &[&Worked], verdict: &mut Verdict) {
    let other = d.other;
    let p = d.cheaper(other);
    verdict.probability_build_cheaper = Some(p);
    verdict.probability_40_percent_cheaper = Some(d.share(|w| w[0].usd_per_million < w[other].usd_per_million * (1.0 - d.quoted_cut)));
    verdict.probability_error = Some((p * (1.0 - p) / d.worlds.len().max(1) as f64).sqrt());
    let speed = |w: &[Replay]| w[other].days[1] / w[0].days[1];
    let each = |f: &dyn Fn(&[Replay]) -> f64| -> Vec<f64> { d.worlds.iter().map(|w| f(w)).collect() };
    verdict.training_speed_up = figure(speed(&d.base), &each(&speed), "times");
    let volume = |w: &[Replay]| volume_of(&w[0], &w[other]);
    verdict.break_even_volume = figure(volume(&d.base), &each(&volume), "of the demand");
    let first = |w: &[Replay]| w[0].months[0];
    let month = |w: &[Replay]| payback_of(&w[0].cumulative, &w[other].cumulative, first(w)).map_or(f64::NAN, f64::from);
    let base = month(&d.base);
    verdict.break_even_month = month_figure(base.is_finite().then_some(base as u32), &each(&month));
    let group_of = |w: &Worked| match w.source {
        Source::Rent { .. } => "rented GPUs",
        Source::Sale { change_per_year, .. } if change_per_year != 0.0 => "GPUs and their successors",
        _ => "GPUs of today",
    };
    for group in ["GPUs of today", "GPUs and their successors", "rented GPUs"] {
        let members = (1..worked.len()).filter(|&i| group_of(worked[i]) == group);
        let best = members.min_by(|&a, &b| d.base[a].usd_per_million.total_cmp(&d.base[b].usd_per_million));
        let Some(i) = best else { continue };
        verdict.against.push(Against {
            group: group.to_owned(),
            option: worked[i].name.clone(),
            usd_per_million_output_tokens: figure(d.base[i].usd_per_million, &d.of(i, |r| r.usd_per_million), "USD/Mtokens"),
            probability_build_cheaper: Some(d.cheaper(i)),
        });
    }
    verdict.certainty = format!(
        "{} worlds drawn with seed {}: prices, demand, delays, interruptions and model error move; the plan is kept, and what is then short is rented or bought. Values are the base case, ranges P10 to P90.",
        d.worlds.len(),
        d.seed
    );
}

/// Share of the demand from which Build is cheaper; infinite for none.
fn volume_of(build: &Replay, other: &Replay) -> f64 {
    let per_token = |r: &Replay, usd: f64| usd / r.tokens.max(f64::MIN_POSITIVE);
    let gain = per_token(other, other.payments) - per_token(build, build.payments - build.design);
    if gain > 0.0 { per_token(build, build.design) / gain } else { f64::INFINITY }
}

/// The risk part of the report.
pub fn report(setting: &Setting<'_>, d: &Drawn, worked: &[&Worked]) -> RiskReport {
    let other = d.other;
    let cost_ratio = |w: &[Replay]| w[0].usd_per_million / w[other].usd_per_million;
    let ratios: Vec<f64> = d.worlds.iter().map(|w| cost_ratio(w)).collect();
    let volumes: Vec<f64> = d.worlds.iter().map(|w| volume_of(&w[0], &w[other])).collect();
    let curve = (-STEPS..=STEPS).map(|k| {
        let v = 10f64.powf(f64::from(k) / f64::from(STEPS));
        (v, volumes.iter().filter(|x| **x < v).count() as f64 / volumes.len().max(1) as f64)
    });
    RiskReport {
        draws: d.worlds.len() as u64,
        seed: d.seed,
        other: worked[other].name.clone(),
        cost_ratio: figure(cost_ratio(&d.base), &ratios, "of the other option"),
        break_even: curve.collect(),
        tornado: tornado(setting, d),
        recourse: recourse(),
        limits_held: limits(setting, d),
    }
}

fn recourse() -> Vec<String> {
    [
        "Chip, sites and orders are those of the base case; nothing is planned anew.",
        "A programme that is late moves its orders and deliveries; its team goes on being paid.",
        "Orders follow the demand once the commitment is over: fewer machines still cost the take-or-pay share, more cost the price of that world.",
        "What is short is rented, up to what can be rented at a time; the rest is seen a lead time ahead and bought as GPUs, but for an interruption, which nobody sees; what is still short costs its penalty.",
        "A service that is slower than predicted lowers its batch or changes its layout until its limits hold, and more chips are needed; where no layout holds them, or holding them takes more chips than it is worth, they are missed. A faster one raises its batch.",
        "The break-even curve scales all cost but design with the demand; limits of suppliers are not scaled.",
    ]
    .map(str::to_owned)
    .into()
}

/// Share of draws in which the limits of services hold on own chips.
fn limits(setting: &Setting<'_>, d: &Drawn) -> Vec<(String, String, f64)> {
    let mut out = Vec::new();
    for (i, s) in setting.study.services.iter().enumerate() {
        let Some(limit) = s.tpot else { continue };
        let held = d.share(|w| d.limits.holds(i, w[0].time, w[0].limit_worth));
        out.push((
            s.name.clone(),
            format!("{} per output token", tetra_quantity::show_scaled::<tetra_quantity::Seconds>(limit.value())),
            held,
        ));
    }
    out
}

/// Inputs by how far they move the difference, the furthest first.
fn tornado(setting: &Setting<'_>, d: &Drawn) -> Vec<Influence> {
    let tables = &setting.inputs.tables;
    let gains: Vec<f64> = d.worlds.iter().map(|w| gain(&w[0], &w[d.other])).collect();
    let one = |m: &Moved| {
        let z: Vec<f64> = d.numbers.iter().map(|&i| normal_of(Rng::new(d.seed, i, &m.input).uniform())).collect();
        let (explained, worth) = regress(&z, &gains);
        let [low, high] = m.costs;
        let total = total_share(m, &d.numbers, &gains);
        Influence {
            input: m.input.clone(),
            words: words(tables, &m.input),
            reach: reach(tables, &m.input),
            at_low: low[0] - low[1],
            at_high: high[0] - high[1],
            sobol_first: explained,
            sobol_total: total.map(|t| t.0),
            sobol_total_error: total.map(|t| t.1),
            worth_usd: worth,
        }
    };
    d.moved.iter().map(one).collect()
}

/// Share of the variance that an input moves alone and with others, after Jansen, and its standard error; none without draws that vary.
fn total_share(m: &Moved, numbers: &[u64], gains: &[f64]) -> Option<(f64, f64)> {
    let before = |draw: &u64| numbers.binary_search(draw).ok().map(|i| gains[i]);
    let squares: Vec<f64> = m.redrawn.iter().filter_map(|(draw, after)| Some((before(draw)? - after).powi(2))).collect();
    let (all, some) = (gains.len() as f64, squares.len() as f64);
    let mean = gains.iter().sum::<f64>() / all;
    let variance = gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / all;
    let square = squares.iter().sum::<f64>() / some;
    let spread = squares.iter().map(|s| (s - square).powi(2)).sum::<f64>() / some;
    let share = |x: f64| x / (2.0 * variance);
    (variance > 0.0 && some > 0.0).then(|| (share(square), share((spread / some).sqrt())))
}

/// Share of the variance of `y` that a quadratic in `z` explains, and the worth of knowing `z` before choosing between a gain of `y` and none.
fn regress(z: &[f64], y: &[f64]) -> (f64, f64) {
    let n = y.len().max(1) as f64;
    let mean = |f: &dyn Fn(usize) -> f64| (0..y.len()).map(f).sum::<f64>() / n;
    // Polynomials that are orthogonal over the draws: 1, z - a, (z - a)^2 - b (z - a) - c.
    let a = mean(&|i| z[i]);
    let first = |i: usize| z[i] - a;
    let square = mean(&|i| first(i).powi(2)).max(f64::MIN_POSITIVE);
    let b = mean(&|i| first(i).powi(3)) / square;
    let second = |i: usize| first(i).powi(2) - b * first(i) - square;
    let (level, slope) = (mean(&|i| y[i]), mean(&|i| y[i] * first(i)) / square);
    let bend = mean(&|i| y[i] * second(i)) / mean(&|i| second(i).powi(2)).max(f64::MIN_POSITIVE);
    let fitted = |i: usize| level + slope * first(i) + bend * second(i);
    let variance = mean(&|i| (y[i] - level).powi(2)).max(f64::MIN_POSITIVE);
    let explained = mean(&|i| (fitted(i) - level).powi(2)) / variance;
    (explained, mean(&|i| fitted(i).max(0.0)) - level.max(0.0))
}
