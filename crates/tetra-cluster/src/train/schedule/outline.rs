//! Outline of a step: of the play's passes only those at which an order changes, on the stages at which times change. What lies between them is summed in closed form.
//!
//! A step takes as long as the longest chain of passes that wait for each other. Each pass of the outline starts no earlier than the one before it on its stage ended, with all
//! passes between, and than its microbatch arrived from the nearest stage of the outline, with all stages between: `start = max(start' + Σ passes, end'' + Σ stages + hops)`.
//! Every chain of the outline is one of the play, so that the outline never takes longer than the play, and no pass that takes longer makes it shorter. The chains left out are those that
//! change stages elsewhere; between two changes of order of equal stages none of them is the longest.
//!
//! Many microbatches are outlined by as many as show every change of order; the others are added in the middle.
//!
//! Leaves out: chains that go round between stages in the middle of a step, which a long way between neighbours can make the longest; [`crate::train::pipeline`] bounds them.

use super::draft::Draft;
use super::order::Shape;
use crate::train::layout::Schedule;

/// Kinds of passes of a stage: forward, input, weight of its layers; of DualPipe, also of the other direction's.
pub(super) const KINDS: usize = 6;

/// Passes by kind.
pub(super) type Counts = [f32; KINDS];

/// Seconds of one microbatch on one chunk of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Unit {
    /// Forward pass.
    pub forward: f64,
    /// Gradients of inputs.
    pub input: f64,
    /// Gradients of weights.
    pub weight: f64,
}

/// A way to a pass: from which, over what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arrival {
    pub(super) from: u32,
    /// What the stages between run on the way, all alike and like this one.
    pub(super) seat: u32,
    pub(super) passes: Counts,
    pub(super) backward: bool,
    pub(super) hops: f32,
    /// Whole rounds over all stages.
    pub(super) tours: f32,
}

/// A pass, or two that run together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) seat: u32,
    /// Where its arrivals end in the list; they begin where those of the node before it end.
    pub(super) arrivals: u32,
    /// What its stage has run before and after it.
    pub(super) before: Counts,
    pub(super) after: Counts,
    /// Ways to neighbours and back that fit between this pass and the one before it: over stages like its own, those before and those behind.
    pub(super) loops: [f32; 3],
    /// Microbatches that its stage runs wholly between this pass and the one before it.
    pub(super) rounds: f32,
}

/// A stage of the outline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seat {
    pub(super) stage: usize,
    pub(super) run: u32,
    /// Run of the other direction's layers.
    pub(super) mirrored: u32,
    pub(super) total: Counts,
}

impl Seat {
    /// Whether its stage holds what another does.
    pub(super) fn alike(&self, other: &Self) -> bool {
        (self.run, self.mirrored) == (other.run, other.mirrored)
    }
}

/// A stage of the outline as it runs.
struct Running {
    cost: [f64; KINDS],
    /// When it would have begun if it had never waited; infinitely early before its first pass.
    begun: f64,
    /// When it began.
    first: f64,
}

impl Running {
    fn of(seat: &Seat, unit: &impl Fn(u32) -> Unit) -> Self {
        let (own, other) = (unit(seat.run), unit(seat.mirrored));
        let cost = [own.forward, own.input, own.weight, other.forward, other.input, other.weight];
        Self { cost, begun: f64::NEG_INFINITY, first: f64::NAN }
    }
}

/// By how much ways to other stages and back, with their passes, take longer than what a stage runs meanwhile.
struct Longer {
    /// For each stage more of those like it, before and behind it.
    near: [f64; 3],
    /// Over whole runs of stages: microbatches that the stage runs meanwhile, and by how much longer.
    wide: (f64, f64),
}

impl Longer {
    /// By how much that delays a pass.
    fn gain(&self, node: &Node) -> f64 {
        let near = (0..3).fold(0.0, |most, i| f64::max(most, f64::from(node.loops[i]) * self.near[i]));
        near.max((f64::from(node.rounds) / self.wide.0).floor() * self.wide.1)
    }
}

/// The outline of all steps of one schedule with so many stages of each run, chunks and microbatches.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    pub(super) nodes: Vec<Node>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) seats: Vec<Seat>,
    /// Stages of each run.
    pub(super) runs: Vec<usize>,
    pub(super) both: bool,
    /// Whether gradients of inputs and of weights come together.
    pub(super) whole: bool,
    /// Whether chains that go round between stages gain a microbatch per stage.
    pub(super) circles: bool,
    /// Most microbatches that a stage runs wholly between two passes of the outline.
    pub(super) rounds: f64,
}

impl Outline {
    /// `None` where the schedule cannot run so.
    pub fn of(schedule: Schedule, runs: &[usize], chunks: usize, microbatches: usize) -> Option<Self> {
        let shape = Shape { schedule, stages: runs.iter().sum(), chunks, microbatches };
        shape.possible().then(|| Draft::of(shape, runs).outline(runs))
    }

    /// Passes.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Time of the step for the times of each run's chunks, and of a hop that keeps no stage busy.
    pub fn time(&self, units: &[Unit], latency: f64) -> f64 {
        if self.both { self.longest::<KINDS>(units, latency) } else { self.longest::<3>(units, latency) }
    }

    fn longest<const N: usize>(&self, units: &[Unit], latency: f64) -> f64 {
        let unit = |run: u32| units.get(run as usize).copied().unwrap_or_default();
        let sum = |counts: &Counts, cost: &[f64; KINDS]| (0..N).fold(0.0, |s, i| s + f64::from(counts[i]) * cost[i]);
        let tours = self.tours(&unit, latency);
        let longer = if latency > 0.0 && self.circles { self.longer(&unit, latency) } else { Vec::new() };
        let mut runs: Vec<Running> = self.seats.iter().map(|seat| Running::of(seat, &unit)).collect();
        let mut ends: Vec<f64> = Vec::with_capacity(self.nodes.len());
        let mut next = 0;
        for node in &self.nodes {
            let mut arrived = f64::NEG_INFINITY;
            for a in &self.arrivals[next..node.arrivals as usize] {
                let way = sum(&a.passes, &runs[a.seat as usize].cost) + f64::from(a.hops) * latency;
                let tours = f64::from(a.tours) * tours[usize::from(a.backward)];
                arrived = arrived.max(ends[a.from as usize] + way + tours);
            }
            next = node.arrivals as usize;
            let run = &mut runs[node.seat as usize];
            if let Some(longer) = longer.get(node.seat as usize) {
                run.begun += longer.gain(node);
            }
            run.begun = run.begun.max(arrived - sum(&node.before, &run.cost));
            if run.first.is_nan() {
                // The first pass of the step waits for nothing.
                run.begun = if run.begun.is_finite() { run.begun } else { 0.0 };
                run.first = run.begun;
            }
            ends.push(run.begun + sum(&node.after, &run.cost));
        }
        let span = |(seat, run): (&Seat, &Running)| run.begun + sum(&seat.total, &run.cost) - run.first;
        self.seats.iter().zip(&runs).map(span).fold(0.0, f64::max)
    }

    /// What longer ways each stage has, with hops that keep no stage busy.
    fn longer(&self, unit: &impl Fn(u32) -> Unit, latency: f64) -> Vec<Longer> {
        let sum = |u: Unit| u.forward + u.input + u.weight;
        let total = |seat: &Seat| sum(unit(seat.run)) + if self.both { sum(unit(seat.mirrored)) } else { 0.0 };
        let spared = |seat: &Seat| if self.whole || self.both { 0.0 } else { unit(seat.run).weight };
        // What a way there and back takes from the first stage to each.
        let mut ways = vec![0.0];
        for pair in self.seats.windows(2) {
            let hops = (pair[1].stage - pair[0].stage) as f64;
            let [one, last] = [&pair[0], &pair[1]].map(|s| total(s) - spared(s));
            let inner = if pair[0].alike(&pair[1]) { last } else { one.min(last) };
            ways.push(ways.last().copied().unwrap_or(0.0) + (hops - 1.0) * inner + last + 2.0 * hops * latency);
        }
        let near = |here: &Seat, other: Option<&Seat>| {
            other.map_or(0.0, |other| (2.0 * latency - spared(here).min(spared(other)) + total(other) - total(here)).max(0.0))
        };
        let mut out = Vec::with_capacity(self.seats.len());
        for (i, here) in self.seats.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|i| self.seats.get(i));
            let near = [near(here, Some(here)), near(here, before), near(here, self.seats.get(i + 1))];
            let mut wide = (1.0, 0.0);
            for (a, from) in self.seats.iter().enumerate().take(i + 1) {
                for (b, to) in self.seats.iter().enumerate().skip(i.max(a + 1)) {
                    let stages = (to.stage - from.stage + 1) as f64;
                    let more = total(from) + ways[b] - ways[a] - stages * total(here);
                    if stages <= self.rounds && more * wide.0 > wide.1 * stages {
                        wide = (stages, more);
                    }
                }
            }
            out.push(Longer { near, wide });
        }
        out
    }

    /// A microbatch's way over all stages, there and back.
    fn tours(&self, unit: &impl Fn(u32) -> Unit, latency: f64) -> [f64; 2] {
        let mut tours = [0.0; 2];
        for (run, &count) in self.runs.iter().enumerate() {
            let (pass, n) = (unit(run as u32), count as f64);
            tours[0] += n * (pass.forward + latency);
            tours[1] += n * (pass.input + latency + if self.whole { pass.weight } else { 0.0 });
        }
        tours
    }
}
