//! `tetra train`: one training step on a cluster; flags left out are searched.

use serde::Serialize;
use tetra_chip::Timer;
use tetra_cluster::train::change::{Change, Priceable, changes};
use tetra_cluster::train::report::{MemoryPart, Rates, RunTotals, TimePart, memory_parts, rates, run_totals, time_parts};
use tetra_cluster::train::schedule::DRAWN_TASKS;
use tetra_cluster::{Cluster, PlanSpace, Schedule, Searcher, Stated, TrainFound, TrainStep, WhyNot};
use tetra_quantity::{Seconds, Tokens};
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
    /// 80 % interval of the step's time, in seconds.
    pub interval: Prediction,
    pub time: Vec<TimePart>,
    pub memory: Vec<MemoryPart>,
    pub rates: Rates,
    pub run: Option<RunTotals>,
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
    let space = space(&given, at)?;
    let misfit = |e| Failure::misfit(&e);
    let (step, tried, search) = chosen(&given, at, &mut searcher, &space)?;
    let why_not = at.why_not.as_deref().map(|knobs| why_not(knobs, &given, &mut searcher, &step, &space)).transpose()?;
    let front = if at.front { searcher.front(&space).map_err(misfit)? } else { Vec::new() };
    if let Some(path) = &at.picture {
        let none = || Failure::Input(vec!["--picture: the step has no pipeline to draw: state --pp 2 or more".to_owned()]);
        write_file(path, &searcher.drawing(&step.layout, DRAWN_TASKS).map_err(misfit)?.ok_or_else(none)?)?;
    }
    let run = at.tokens.map(|tokens| run_totals(&ask, &searcher.run(&step, Tokens(tokens)), Tokens(tokens)));
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
        run,
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

/// Why not the plan that differs from the one found in these knobs.
fn why_not(knobs: &str, given: &Given, searcher: &mut Searcher<'_>, step: &TrainStep, space: &PlanSpace) -> Result<WhyNot, Failure> {
    let plan = Stated::parse(knobs).map_err(|e| Failure::Input(vec![format!("--why-not: {e}")]))?;
    Ok(searcher.why_not(&plan.over(&step.layout, given.chips), step, space))
}

/// The plans that are searched, with what is stated kept.
fn space(given: &Given, at: &Train) -> Result<PlanSpace, Failure> {
    if at.search && given.stated.recompute.is_some() {
        let mend = "leave --recompute out, or --search";
        return Err(Failure::Input(vec![format!("--search: how much is recomputed is part of the search: {mend}")]));
    }
    let usual = PlanSpace::usual(given.chips);
    let wide = PlanSpace { schedules: Schedule::ALL.to_vec(), offloads: PlanSpace::all_offloads(), ..usual.clone() };
    Ok(if at.search { wide } else { usual }.with(&given.stated))
}
