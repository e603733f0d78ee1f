//! Time of a pipeline in closed form, and what its stages keep, for every schedule.
//!
//! A step takes as long as its longest chain of passes that wait for each other. [`Outline`] holds the chains that can be the longest: those that change stages where times or
//! orders change. For equal stages that is the published bubble: 1F1B `(p-1)(F+B+W)` (Megatron-LM, arXiv 2104.04473, section 2.2), with `v` chunks a `v`-th; ZB-H1 `(p-1)(F+B-W)`, ZB-H2
//! `(p-1)(F+B-2W)` (arXiv 2401.10241, table 1); ZBV none where all passes are equal (arXiv 2405.15362); DualPipe `(p/2-1)(FB + B + W - 3W)` (arXiv 2412.19437, table 2; B without W
//! here). Against the play of every pass (`schedule::play`) a test holds 2 % for stages of any length.
//!
//! An outline depends on schedule, numbers of stages, chunks and microbatches, on no time: it is drawn up once and priced for each plan.
//!
//! Leaves out: what a transfer costs a stage, which is part of its passes; microbatches of different length.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use tetra_chip::FixedState;

use crate::train::layout::Schedule;
use crate::train::schedule::{Outline, Unit};

/// Equal neighbouring stages: how many, and seconds of one microbatch in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Run {
    /// Stages.
    pub count: f64,
    /// Forward pass.
    pub forward: f64,
    /// Backward pass, gradients of inputs and what is computed again.
    pub input: f64,
    /// Backward pass, gradients of weights.
    pub weight: f64,
}

impl Run {
    /// One microbatch, both ways.
    pub fn total(&self) -> f64 {
        self.forward + self.input + self.weight
    }
}

/// Runs of stages that are told apart; further ones are taken together.
pub(crate) const RUNS: usize = 8;

/// What an outline depends on: schedule, stages of each run, chunks and microbatches.
type Key = (Schedule, [u32; RUNS], u32, u32);

type Known = HashMap<Key, Option<Arc<Outline>>, FixedState>;

/// Outlines that any search drew up: they depend on their key alone, so that it changes no figure which search or thread was first.
static DRAWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Outlines that a search has met.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outlines {
    known: RefCell<Known>,
}

impl Outlines {
    /// Most that are kept at once.
    const MOST: usize = 1 << 12;

    fn of(&self, line: &Line<'_>) -> Option<Arc<Outline>> {
        let mut counts = [0; RUNS];
        for (count, run) in counts.iter_mut().zip(line.runs) {
            *count = run.count as u32;
        }
        let mut known = self.known.borrow_mut();
        if known.len() >= Self::MOST {
            known.clear();
        }
        let key = (line.schedule, counts, line.chunks as u32, line.microbatches as u32);
        known.entry(key).or_insert_with(|| Self::drawn(&key, line)).clone()
    }

    /// An outline that another search may have drawn up.
    fn drawn(key: &Key, line: &Line<'_>) -> Option<Arc<Outline>> {
        if let Some(outline) = DRAWN.lock().ok().and_then(|drawn| drawn.get(key).cloned()) {
            return outline;
        }
        let outline = line.outline().map(Arc::new);
        if let Ok(mut drawn) = DRAWN.lock() {
            if drawn.len() >= Self::MOST {
                drawn.clear();
            }
            drawn.insert(*key, outline.clone());
        }
        outline
    }
}

/// A pipeline: its stages in order, chunks per stage, microbatches, and the part of a transfer that keeps no stage busy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// Order of the passes.
    pub schedule: Schedule,
    /// Stages, at most eight runs of them.
    pub runs: &'a [Run],
    /// Chunks per stage.
    pub chunks: f64,
    /// Microbatches; a part of one stands for a smaller last one.
    pub microbatches: f64,
    /// Seconds.
    pub latency: f64,
}

impl Line<'_> {
    /// Time of the step, exchange between replicas and optimiser left out; infinite where the schedule cannot run so.
    pub fn time(&self) -> f64 {
        self.between(|line| line.outline().map(Arc::new))
    }

    /// The same with outlines that are remembered.
    pub(crate) fn time_of(&self, outlines: &Outlines) -> f64 {
        self.between(|line| outlines.of(line))
    }

    /// A smaller last microbatch takes its part of what a whole one adds.
    fn between(&self, outline: impl Fn(&Self) -> Option<Arc<Outline>>) -> f64 {
        let of = |microbatches: f64| {
            let line = Self { microbatches, ..*self };
            outline(&line).map(|outline| line.along(&outline))
        };
        let (fewer, more) = (self.microbatches.floor(), self.microbatches.ceil());
        let most = of(more).unwrap_or(f64::INFINITY);
        if fewer == more {
            return most;
        }
        // DualPipe's microbatches come in pairs.
        of(fewer).map_or(most, |least| least + (self.microbatches - fewer) * (most - least))
    }

    fn outline(&self) -> Option<Outline> {
        let runs: Vec<usize> = self.runs.iter().map(|r| r.count as usize).collect();
        Outline::of(self.schedule, &runs, self.chunks as usize, self.microbatches as usize)
    }

    fn along(&self, outline: &Outline) -> f64 {
        let mut units = [Unit::default(); RUNS];
        for (unit, run) in units.iter_mut().zip(self.runs) {
            let part = |seconds: f64| seconds / self.chunks;
            *unit = Unit { forward: part(run.forward), input: part(run.input), weight: part(run.weight) };
        }
        outline.time(&units, self.latency)
    }
}

/// Microbatches of a stage's layers that it keeps at once: in all its chunks, for DualPipe in both directions.
pub fn in_flight(schedule: Schedule, stages: f64, chunks: f64, microbatches: f64, stage: f64) -> f64 {
    let (p, v, m) = (stages, chunks, microbatches.ceil().max(1.0));
    let behind = p - stage.min(p - 1.0);
    let most = match schedule {
        Schedule::OneForwardOneBackward if v > 1.0 => {
            let group = (m / (m / p).floor().max(1.0)).ceil();
            (2.0 * (behind - 1.0) + (v - 1.0) * group + 1.0) / v
        }
        Schedule::OneForwardOneBackward => behind,
        Schedule::ZeroBubbleH1 | Schedule::ZeroBubbleV => p,
        Schedule::ZeroBubbleH2 => 2.0 * p - 1.0,
        Schedule::DualPipe => p + 1.0,
    };
    most.min(m)
}
