//! The study worked out anew in each scenario: every GPU, the whole grid, the plans of the cheapest chips and of the chip of the study's own world.
//!
//! What chips can do does not change between worlds and is taken from the first search. Nothing is drawn: each verdict is that of its base case, and
//! fewer chips are planned than in the study's own world.

use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::inputs::Inputs;
use crate::options::{Options, Planner};
use crate::progress::{Progress, Quiet};
use crate::report::ScenarioReport;
use crate::run::{asks, evaluate_all, places, setting};
use crate::scenario::Scenario;
use crate::tables::design_words;

/// Custom chips that are planned in each scenario, beside that of the study's own world.
const PLANNED: usize = 4;

/// All scenarios, the study's own world first; none where there are none.
pub fn scenarios(base: &Setting<'_>, options: &Options, progress: &dyn Progress) -> Vec<ScenarioReport> {
    let closed = !crate::allowed::closed_sites(base).is_empty();
    let tells = |s: &&Scenario| {
        (cfg!(feature = "plan") || !s.wants_plan()) && !s.is_idle(closed, base.places.iter().map(|p| p.site.country.as_str()))
    };
    let all: Vec<&Scenario> = base.inputs.scenarios.iter().filter(tells).collect();
    if all.is_empty() {
        return Vec::new();
    }
    progress.start("scenarios", all.len() as u64);
    let kept = options.build.as_ref().and_then(|b| b.id);
    let own = report(base, options, ("As in the study", "nothing".to_owned()), kept);
    let others = all.into_iter().map(|s| {
        let found = scenario(base, s, kept);
        progress.step(1);
        found.unwrap_or_else(|why| misfit(s, base.inputs, why))
    });
    std::iter::once(own).chain(others).collect()
}

fn scenario(base: &Setting<'_>, s: &Scenario, kept: Option<usize>) -> Result<ScenarioReport, String> {
    let (study, inputs) = (s.study(base.study), base.inputs.in_scenario(s)?);
    let places = places(&study, &inputs);
    let asks = asks(&study, &inputs, &places).map_err(|e| e.words(&study))?;
    let mut setting = Setting { memo: base.memo.clone(), ..setting(&study, &inputs, &asks, &places) };
    let evaluated = evaluate_all(&study, &inputs, &mut setting, &Quiet);
    let planner = Planner::new(&setting, &evaluated).map_err(|e| e.to_string())?;
    let mut ids: Vec<usize> = evaluated.searched.front.iter().copied().take(PLANNED).collect();
    ids.extend(kept.filter(|id| !ids.contains(id)));
    let options = Options::of(&setting, &evaluated, &planner, &ids, &Quiet);
    Ok(report(&setting, &options, (&s.name, s.changed(&base.inputs.tables, &base.inputs.outages)), kept))
}

fn report(setting: &Setting<'_>, options: &Options, (name, changed): (&str, String), kept: Option<usize>) -> ScenarioReport {
    let cost = |w: Option<&Worked>| w.map_or(f64::NAN, |w| w.usd_per_token(setting) * 1e6);
    let other = options.cheapest_other(setting);
    let own = options.build.iter().chain(&options.others).find(|w| w.id.is_some() && w.id == kept);
    ScenarioReport {
        name: name.to_owned(),
        changed,
        sentence: sentence(setting, options),
        build_usd_per_million: cost(options.build.as_ref()),
        other: other.map_or(String::new(), |w| w.name.clone()),
        other_usd_per_million: cost(other),
        design: options.build.as_ref().and_then(|b| b.id).map_or(String::new(), |id| design_words(&setting.inputs.grid, id)),
        kept_usd_per_million: cost(own),
    }
}

/// The verdict, or why nothing can do the study.
fn sentence(setting: &Setting<'_>, options: &Options) -> String {
    let why = options.bought.iter().find_map(|b| b.as_ref().err()?.first());
    match why {
        Some(why) if options.worked().is_empty() => format!("No option: {why}."),
        _ => options.sentence(setting),
    }
}

/// A world in which nothing could be worked out.
fn misfit(s: &Scenario, inputs: &Inputs, why: String) -> ScenarioReport {
    ScenarioReport {
        name: s.name.clone(),
        changed: s.changed(&inputs.tables, &inputs.outages),
        sentence: why,
        build_usd_per_million: f64::NAN,
        other: String::new(),
        other_usd_per_million: f64::NAN,
        design: String::new(),
        kept_usd_per_million: f64::NAN,
    }
}
