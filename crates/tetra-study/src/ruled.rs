//! What the rules of a study cost: the export rule by working everything out anew without it, shares of countries by planning anew without them.
//!
//! Without the export rule every GPU and the whole grid are looked at again, and the cheapest chips of the front are planned; what chips can do is
//! taken from the first search. A cost is the difference of levelised costs, and of all payments discounted. Leaves out: fees and delays of licences.

use tetra_quantity::show_number;

use crate::compare::Worked;
use crate::evaluate::{Misfit, Setting};
use crate::options::{Options, Planner};
use crate::progress::Quiet;
use crate::run::{Evaluated, asks, evaluate_all, evaluate_sales, places, setting};
use crate::search::{Fate, Searched, reason};
use crate::study::Study;

/// Custom chips that are planned without the rule.
const PLANNED: usize = 4;

/// How the way out with two kinds of GPUs begins.
const TWO_KINDS: &str = "Two kinds of GPUs, which no option here is,";

/// Of what rules cost, the way out that is to be told beside the options.
pub fn beside(rules: &[String]) -> impl Iterator<Item = &String> {
    rules.iter().filter(|r| r.starts_with(TWO_KINDS))
}

/// What all rules cost, in words: those of residency are given.
pub fn costs(base: &Setting<'_>, options: &Options, planner: &Planner<'_>, fates: &[Fate], residency: &[String]) -> Vec<String> {
    let shares = options.build.as_ref().map_or(Vec::new(), |b| planner.country_shares(b));
    residency.iter().cloned().chain(shares).chain(export_cost(base, options, fates)).collect()
}

/// What the export rule costs, in words; nothing where there is no rule, or no candidate site that it closes.
fn export_cost(base: &Setting<'_>, options: &Options, fates: &[Fate]) -> Vec<String> {
    let closed: Vec<&str> = crate::allowed::closed_sites(base);
    let Some(class) = base.study.export.filter(|_| !closed.is_empty()) else { return Vec::new() };
    let head = format!("The export rule (at most {} at {})", class.word(), closed.join(", "));
    let study = Study { export: None, ..base.study.clone() };
    let places = places(&study, base.inputs);
    let Ok(asks) = asks(&study, base.inputs, &places) else { return Vec::new() };
    let mut free = Setting { memo: base.memo.clone(), ..setting(&study, base.inputs, &asks, &places) };
    let evaluated = evaluate_all(&study, base.inputs, &mut free, &Quiet);
    let Ok(planner) = Planner::new(&free, &evaluated) else { return Vec::new() };
    let ids: Vec<usize> = evaluated.searched.front.iter().copied().take(PLANNED).collect();
    let without = Options::of(&free, &evaluated, &planner, &ids, &Quiet);
    let misfit = Fate::Misfit(reason(&Misfit::Export { part: 0, place: 0, class }));
    let dropped = fates.iter().filter(|f| **f == misfit).count();
    let kept_out = |name: &&String| base.inputs.chips.find(name).is_some_and(|chip| crate::allowed::allowed(chip, base).is_err());
    let gpus: Vec<&str> = base.study.buy.iter().filter(kept_out).map(String::as_str).collect();
    let gpus = if gpus.is_empty() { String::new() } else { format!(" and {}", gpus.join(", ")) };
    let all = "one kind of chip serves all places, so that what may not stand at one stands at none";
    let mut told = vec![format!("{head} keeps out {dropped} chips of the grid{gpus}: {all}.")];
    let pairs = [
        ("Build", options.build.as_ref(), without.build.as_ref()),
        ("the cheapest other option", options.cheapest_other(base), without.cheapest_other(&free)),
    ];
    told.extend(pairs.into_iter().filter_map(|(what, with, without)| cost(&head, what, (base, with?), (&free, without?))));
    told.extend(two_kinds(base));
    told
}

/// What two kinds of GPUs would cost: one for the data that must stay at closed sites, one for all the rest, each with supply of its own.
fn two_kinds(base: &Setting<'_>) -> Option<String> {
    let closed = |place: &usize| crate::allowed::is_closed(base, *place);
    let inside: Vec<bool> = base.asks.allowed.iter().map(|places| places.iter().all(closed)).collect();
    let side = |wanted: bool| {
        let mut study = base.study.clone();
        let mut kept = inside.iter().map(|inside| *inside == wanted);
        study.services.retain(|_| kept.next().unwrap_or(false));
        study.trainings.retain(|_| kept.next().unwrap_or(false));
        (!study.services.is_empty()).then_some(study)
    };
    let [(there, there_usd, some), (rest, rest_usd, others)] = [cheapest_gpu(base, &side(true)?)?, cheapest_gpu(base, &side(false)?)?];
    let usd = (there_usd + rest_usd) / (some + others) * 1e6;
    Some(format!("{TWO_KINDS} would cost {} USD/Mtokens in all: {there} where the export rule holds, {rest} elsewhere.", show_number(usd)))
}

/// The cheapest GPU for a study, bought or rented: its name, discounted dollars of serving, and discounted tokens.
fn cheapest_gpu(base: &Setting<'_>, study: &Study) -> Option<(String, f64, f64)> {
    let places = places(study, base.inputs);
    let asks = asks(study, base.inputs, &places).ok()?;
    let mut setting = setting(study, base.inputs, &asks, &places);
    let evaluated = Evaluated { sales: evaluate_sales(study, base.inputs, &mut setting), searched: Searched::default() };
    let planner = Planner::new(&setting, &evaluated).ok()?;
    let options = Options::of(&setting, &evaluated, &planner, &[], &Quiet);
    let best = options.cheapest_other(&setting)?;
    Some((best.name.clone(), best.usd_per_token(&setting) * setting.tokens, setting.tokens))
}

fn cost(head: &str, what: &str, (ruled, with): (&Setting<'_>, &Worked), (free, without): (&Setting<'_>, &Worked)) -> Option<String> {
    let rate = free.study.frame.discount_rate;
    let [a, b] = [with.usd_per_token(ruled) * 1e6, without.usd_per_token(free) * 1e6];
    let usd = with.outcome.payments(rate) - without.outcome.payments(rate);
    let [a_name, b_name] = [with, without].map(|w| if w.id.is_some() { "an own chip" } else { w.name.as_str() });
    let all = format!("{} M USD in all (present value)", show_number(usd * 1e-6));
    (a.is_finite() && b.is_finite() && b > 0.0).then(|| {
        let (with, without) = (show_number(a), show_number(b));
        format!("{head} makes {what} cost {with} ({a_name}) instead of {without} USD/Mtokens ({b_name}): {all}.")
    })
}
