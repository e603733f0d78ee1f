//! ZBV: two chunks per stage, the second on the way back, so that a stage holds places `i` and `2p - 1 - i` ("Pipeline parallelism with
//! controllable memory", arXiv 2405.15362).
//!
//! Rule. Forward passes and gradients of inputs run in the order of a pattern that repeats every six passes: `F0 F1 B1 W1 B0 W0`, each hop three passes after the
//! one before; stage `i` runs its first `2(p - i) - 1` forward passes of the first chunk before all else. A gradient of weights, oldest first, runs
//! when the next pass in order cannot start yet and, as far as that is known, would not be kept waiting, or when the stage holds `2p` chunks, what 1F1B's first stage
//! holds. The order is thus fixed and only the gaps are filled greedily.

use super::{Pass, Play, Task};

/// Forward first chunk, forward second, backward second, backward first.
const KINDS: [(Pass, usize); 4] = [(Pass::Forward, 0), (Pass::Forward, 1), (Pass::Input, 1), (Pass::Input, 0)];
/// Passes of one microbatch on one stage, passes from one hop to the next.
const PERIOD: usize = 6;
const HOP: usize = 3;

/// One stage: passes run of each kind, weight gradients run, chunks held.
#[derive(Clone, Default)]
struct Stage {
    ran: [usize; 4],
    weights: usize,
    held: usize,
    free: f64,
    /// Chunks and microbatches whose gradients of inputs are there, in that order.
    inputs: Vec<(u16, u32)>,
    done: Vec<Task>,
}

struct Greedy<'a> {
    play: &'a Play,
    /// When each pass hands over, by kind, stage and microbatch, infinite before.
    ends: Vec<f64>,
    stages: Vec<Stage>,
}

/// What a stage does next: a kind of pass or, `None`, a gradient of weights.
type Choice = (f64, Option<usize>);

impl Greedy<'_> {
    fn end(&self, kind: usize, stage: usize, microbatch: usize) -> f64 {
        self.ends[(kind * self.play.stages + stage) * self.play.microbatches + microbatch]
    }

    /// Place in the pattern.
    fn turn(&self, kind: usize, stage: usize, microbatch: usize) -> usize {
        let last = self.play.stages - 1;
        let (round, there, back) = (PERIOD * microbatch, HOP * stage, HOP * (last - stage));
        match kind {
            0 if microbatch < 2 * (last - stage) + 1 => 0,
            0 => round + there,
            1 => round + HOP * last + 1 + back,
            2 => round + 2 * HOP * last + 2 + there,
            _ => round + 3 * HOP * last + 4 + back,
        }
    }

    /// When the input of a pass arrives.
    fn arrival(&self, kind: usize, stage: usize, microbatch: usize) -> f64 {
        let last = self.play.stages - 1;
        let far = |s: usize| self.end(kind, s, microbatch) + self.play.latency;
        match kind {
            0 if stage == 0 => 0.0,
            0 | 2 if stage > 0 => far(stage - 1),
            1 | 3 if stage < last => far(stage + 1),
            _ => self.end(kind - 1, stage, microbatch),
        }
    }

    fn choose(&self, stage: usize) -> Option<Choice> {
        let here = &self.stages[stage];
        let next = (0..4).filter(|k| here.ran[*k] < self.play.microbatches).min_by_key(|k| self.turn(*k, stage, here.ran[*k]));
        let waiting = (here.weights < here.inputs.len()).then_some((here.free, None));
        let Some(kind) = next else { return waiting };
        if KINDS[kind].0 == Pass::Forward && here.held >= 2 * self.play.stages {
            return waiting;
        }
        let arrival = self.arrival(kind, stage, here.ran[kind]);
        let fits = waiting.filter(|_| arrival - here.free >= self.weight_time(stage));
        if arrival > here.free && fits.is_some() {
            return fits;
        }
        arrival.is_finite().then_some((arrival.max(here.free), Some(kind)))
    }

    fn place(&self, stage: usize, chunk: usize) -> usize {
        if chunk == 0 { stage } else { 2 * self.play.stages - 1 - stage }
    }

    /// Time of the oldest weight gradient that waits.
    fn weight_time(&self, stage: usize) -> f64 {
        let here = &self.stages[stage];
        here.inputs.get(here.weights).map_or(0.0, |(chunk, _)| self.play.times[self.place(stage, usize::from(*chunk))].weight)
    }

    fn run(&mut self, stage: usize, (start, kind): Choice) {
        let (m, p) = (self.play.microbatches, self.play.stages);
        let here = &self.stages[stage];
        let (pass, chunk, microbatch) = match kind {
            Some(k) => (KINDS[k].0, KINDS[k].1, here.ran[k]),
            None => here.inputs.get(here.weights).map_or((Pass::Weight, 0, 0), |(c, i)| (Pass::Weight, usize::from(*c), *i as usize)),
        };
        let time = &self.play.times[self.place(stage, chunk)];
        let here = &mut self.stages[stage];
        let end = start
            + if pass == Pass::Forward {
                time.f()
            } else if pass == Pass::Weight {
                time.weight
            } else {
                time.b()
            };
        match pass {
            Pass::Forward => here.held += 1,
            Pass::Weight => (here.held, here.weights) = (here.held - 1, here.weights + 1),
            _ => here.inputs.push((chunk as u16, microbatch as u32)),
        }
        if let Some(k) = kind {
            here.ran[k] += 1;
            self.ends[(k * p + stage) * m + microbatch] = end;
        }
        here.free = end;
        here.done.push(Task { pass, joined: false, chunk: chunk as u16, microbatch: microbatch as u32, start, end });
    }
}

/// Tasks of all stages with their times, and where each stage begins.
pub(super) fn tasks(play: &Play) -> Option<(Vec<Task>, Vec<usize>)> {
    let (p, m) = (play.stages, play.microbatches);
    if play.chunks != 2 {
        return None;
    }
    let stage = || Stage { done: Vec::with_capacity(PERIOD * m), inputs: Vec::with_capacity(2 * m), ..Stage::default() };
    let mut all = Greedy { play, ends: vec![f64::INFINITY; 4 * p * m], stages: (0..p).map(|_| stage()).collect() };
    let mut chosen: Vec<_> = (0..p).map(|s| all.choose(s)).collect();
    for _ in 0..PERIOD * p * m {
        // What starts first runs first: nothing that is decided later can reach it.
        let first = chosen.iter().enumerate().filter_map(|(s, c)| c.map(|c| (s, c))).min_by(|a, b| a.1.0.total_cmp(&b.1.0));
        let (stage, choice) = first?;
        all.run(stage, choice);
        let from = stage.saturating_sub(1);
        for (near, choice) in chosen.iter_mut().enumerate().take(stage + 2).skip(from) {
            *choice = all.choose(near);
        }
    }
    let mut begins = vec![0];
    let mut out = Vec::with_capacity(PERIOD * p * m);
    for stage in &all.stages {
        out.extend_from_slice(&stage.done);
        begins.push(out.len());
    }
    Some((out, begins))
}
