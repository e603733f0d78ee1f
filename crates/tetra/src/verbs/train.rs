//! `tetra train`: one training step on a cluster; flags left out are searched.

use serde::Serialize;
use tetra_chip::Timer;
use tetra_cluster::train::change::{Change, Priceable, changes};
use tetra_cluster::train::report::{MemoryPart, Rates, TimePart, memory_parts, rates, time_parts};
use tetra_cluster::train::schedule::DRAWN_TASKS;
use tetra_cluster::train::{TokenRun, run_of_tokens};
use tetra_cluster::{Cluster, PlanSpace, Schedule, Searcher, Stated, TrainFound, TrainStep, WhyNot};
use tetra_quantity::{Seconds, Tokens, Usd};
use tetra_study::Market;
use tetra_study::validate::{ModelError, Prediction, step_interval};

use super::Answer;
use super::train_given::Given;
use super::train_text::{plan, text};
use crate::cli::Train;
use crate::failure::Failure;
use crate::files::{Library, write_file};

/// Changes shown to a person.
pub const SHOWN: usize = 3;

/// What was found.
#[derive(Serialize)]
pub struct Found {
    pub cluster: Option<Cluster>,
    pub step: TrainStep,
    pub parts: Vec<(&'static str, Seconds)>,
    pub searched: bool,
    pub tried: u64,
    pub search: Option<TrainFound>,
    /// Where no measured step was run in the order of the one found: the fastest of the orders that were.
    pub measured: Option<TrainStep>,
    /// 80 % interval of the step's time, in seconds.
    pub interval: Prediction,
    pub time: Vec<TimePart>,
    pub memory: Vec<MemoryPart>,
    pub rates: Rates,
    pub run: Option<TokenRun>,
    /// What the run would cost at today's rent on demand, where the chip is for rent.
    pub rent: Option<Usd>,
    pub changes: Vec<Change>,
    pub front: Vec<TrainStep>,
    pub why_not: Option<WhyNot>,
    /// What a text states and was not carried over.
    pub notes: Vec<String>,
    pub left_out: Vec<String>,
}

pub fn answer(library: &Library, at: &Train) -> Result<Answer, Failure> {
    let given = Given::read(library, at)?;
    let (ask, timer) = (given.ask(), Timer::new(&given.chip, &given.ops));
    let mut searcher = Searcher::new(ask, &given.chip, &timer, &given.network, &given.constants);
    let space = space(&given, at);
    let misfit = |e| Failure::misfit(&e);
    let (step, tried, search) = chosen(&given, at, &mut searcher, &space)?;
    let measured = if at.search { measured(&mut searcher, &step, &space) } else { None };
    let why_not = at.why_not.as_deref().map(|knobs| why_not(knobs, &given, &mut searcher, &step, &space)).transpose()?;
    let front = if at.front { searcher.front(&space).map_err(misfit)? } else { Vec::new() };
    if let Some(path) = &at.picture {
        let none = || Failure::Input(vec!["--picture: the step has no pipeline to draw: state --pp 2 or more".to_owned()]);
        write_file(path, &searcher.drawing(&step.layout, DRAWN_TASKS).map_err(misfit)?.ok_or_else(none)?)?;
    }
    let run = at.tokens.map(|t| run_of_tokens(&ask, &step, Tokens(t), &given.constants.train, &given.constants.failures));
    let market = Market::from_tables(&given.tables).map_err(|e| Failure::all("data", [e]))?;
    let rent = run.and_then(|r| market.rent_of(&given.chip, r.chip_time()));
    let error = ModelError::from_tables(&given.tables).map_err(|e| Failure::all("data", [e]))?;
    let now = Priceable { ask, chip: &given.chip, ops: &given.ops, network: &given.network, constants: &given.constants };
    let found = Found {
        interval: step_interval(step.time.value(), &given.chip, &error).map_err(Failure::Fault)?,
        parts: step.breakdown.parts().to_vec(),
        searched: tried > 1,
        time: time_parts(&step),
        memory: memory_parts(&step, given.chip.memory.hbm),
        rates: rates(&ask, &step),
        changes: changes(&now, &step),
        notes: given.job.notes.clone(),
        left_out: given.job.left_out.clone(),
        cluster: given.cluster.clone(),
        step,
        tried,
        search,
        measured,
        run,
        rent,
        front,
        why_not,
    };
    Answer::new(text(&given, &found), &found)
}

/// The fastest step that agrees with what is stated, plans looked at, and how the search went.
fn chosen(
    given: &Given,
    at: &Train,
    searcher: &mut Searcher<'_>,
    space: &PlanSpace,
) -> Result<(TrainStep, u64, Option<TrainFound>), Failure> {
    let misfit = |e| Failure::misfit(&e);
    let found = if at.search {
        let found = searcher.search(space).map_err(misfit)?;
        (found.best, found.plans, Some(found))
    } else {
        let found = given.stated.best(given.chips, searcher, &given.network).map_err(misfit)?;
        (found.step, found.tried, None)
    };
    let Some(why) = found.0.misfit(&given.chip) else { return Ok(found) };
    let mut lines = vec![why.to_string()];
    if let WhyNot::TooLarge { relief: Some((knob, step)), .. } = searcher.why_not(&found.0.layout, &found.0, space) {
        lines.push(format!("another {knob} alone would make it fit, {} per step: {}", step.time, plan(&step.layout)));
    }
    Err(Failure::Misfit(lines))
}

/// The fastest plan in an order of which there are measured steps, where the one found has none.
fn measured(searcher: &mut Searcher<'_>, step: &TrainStep, space: &PlanSpace) -> Option<TrainStep> {
    let schedules: Vec<Schedule> = space.schedules.iter().copied().filter(|s| s.measured()).collect();
    let unmeasured = step.layout.pipeline_parallel > 1 && !step.layout.schedule.measured() && !schedules.is_empty();
    let found = unmeasured.then(|| searcher.search(&PlanSpace { schedules, ..space.clone() }));
    found.and_then(Result::ok).map(|found| found.best)
}

/// Why not the plan that differs from the one found in these knobs.
fn why_not(knobs: &str, given: &Given, searcher: &mut Searcher<'_>, step: &TrainStep, space: &PlanSpace) -> Result<WhyNot, Failure> {
    let plan = Stated::parse(knobs).map_err(|e| Failure::Input(vec![format!("--why-not: {e}")]))?;
    Ok(searcher.why_not(&plan.over(&step.layout, given.chips), step, space))
}

/// The plans that are searched, with what is stated kept.
fn space(given: &Given, at: &Train) -> PlanSpace {
    let usual = PlanSpace::usual(given.chips);
    let (schedules, offloads) = (Schedule::ALL.to_vec(), PlanSpace::all_offloads());
    let wide = PlanSpace { schedules, offloads, ragged: true, sharded_stages: true, ..usual.clone() };
    if at.search { wide } else { usual }.with(&given.stated)
}
