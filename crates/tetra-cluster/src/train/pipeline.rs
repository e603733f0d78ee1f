//! Time of a pipeline in closed form, and what its stages keep, for every schedule.
//!
//! Stage `i` of `p` runs `a` forward passes before its first backward pass and its weight gradients `l` microbatches late; then each stage gives a bound:
//! its own work, what it waits for the first gradient to come back, what it waits for the last, and the way to and from it. With `R` the round trip through the
//! stages behind it, `T = m·t + max(0, R - (a-1)·F) + max(0, R - (a-1)·(B+W)) + way`, the longest over stages. For equal stages this is the published bubble: 1F1B `(p-1)(F+B+W)`
//! (Megatron-LM, arXiv 2104.04473, section 2.2), with `v` chunks a `v`-th; ZB-H1 `(p-1)(F+B-W)` with `a = p-i`, `l = i`; ZB-H2 `(p-1)(F+B-2W)` with `a = 2(p-i)-1`, `l = 2i`
//! (arXiv 2401.10241, table 1). DualPipe: `(p/2-1)(FB + B + W - 3W)` (arXiv 2412.19437, table 2; B without W here), less what the last forward passes fill.
//! ZBV has no published form for unequal passes: what its order (`schedule::greedy`) leaves idle was read off that and is held against it by a test.
//!
//! Leaves out: what a transfer costs a stage, which is part of its passes.

use crate::train::layout::Schedule;

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

/// A pipeline: its stages in order, chunks per stage, microbatches, and the part of a transfer that keeps no stage busy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// Order of the passes.
    pub schedule: Schedule,
    /// Stages.
    pub runs: &'a [Run],
    /// Chunks per stage.
    pub chunks: f64,
    /// Microbatches.
    pub microbatches: f64,
    /// Seconds.
    pub latency: f64,
}

/// A stage as the bottleneck.
#[derive(Clone, Copy)]
struct Seat {
    run: Run,
    index: f64,
    /// Way from the first stage to this one and back, round trip behind it.
    before: f64,
    behind: f64,
}

impl Line<'_> {
    fn stages(&self) -> f64 {
        self.runs.iter().map(|r| r.count).sum()
    }

    /// Time of the step, exchange between replicas and optimiser left out.
    pub fn time(&self) -> f64 {
        match self.schedule {
            Schedule::OneForwardOneBackward if self.chunks > 1.0 => self.interleaved(),
            Schedule::OneForwardOneBackward | Schedule::ZeroBubbleH1 | Schedule::ZeroBubbleH2 => self.straight(),
            Schedule::ZeroBubbleV => self.there_and_back(),
            Schedule::DualPipe => self.both_ways(),
        }
    }

    /// Work of the busiest stage.
    pub fn busy(&self) -> f64 {
        let each = |r: &Run| r.total();
        if self.schedule != Schedule::DualPipe {
            return self.microbatches * self.runs.iter().map(each).fold(0.0, f64::max);
        }
        let (mut most, mut at) = (0.0f64, 0.0);
        for run in self.runs {
            for index in [at, at + run.count - 1.0] {
                most = most.max(run.total() + self.at(self.stages() - 1.0 - index).total());
            }
            at += run.count;
        }
        self.microbatches * most / 2.0
    }

    /// The stage with this index.
    fn at(&self, index: f64) -> Run {
        let mut left = index;
        for run in self.runs {
            if left < run.count {
                return *run;
            }
            left -= run.count;
        }
        self.runs.last().copied().unwrap_or_default()
    }

    /// A stage's forward passes before its first backward pass, and how many microbatches its weight gradients are late.
    fn depth(&self, index: f64) -> (f64, f64) {
        let behind = self.stages() - index;
        let (ahead, late) = match self.schedule {
            Schedule::ZeroBubbleH1 => (behind, index),
            Schedule::ZeroBubbleH2 => (2.0 * behind - 1.0, 2.0 * index),
            _ => (behind, 0.0),
        };
        (ahead.min(self.microbatches), late.min(self.microbatches - 1.0))
    }

    /// Gradients that stages upstream wait for: of inputs, and of weights where both come together.
    fn backward(&self, run: &Run) -> f64 {
        run.input + if self.schedule == Schedule::OneForwardOneBackward { run.weight } else { 0.0 }
    }

    fn round(&self, run: &Run) -> f64 {
        run.forward + self.backward(run) + 2.0 * self.latency
    }

    /// Both ends of each run of stages.
    fn seats(&self) -> impl Iterator<Item = Seat> {
        let all: f64 = self.runs.iter().map(|r| r.count * self.round(r)).sum();
        let ends = self.runs.iter().scan((0.0, 0.0), move |(index, before), run| {
            let round = self.round(run);
            let seat = |inner: f64| {
                let way = *before + inner * round;
                Seat { run: *run, index: *index + inner, before: way, behind: (all - way - round).max(0.0) }
            };
            let both = [Some(seat(0.0)), (run.count > 1.0).then(|| seat(run.count - 1.0))];
            *index += run.count;
            *before += run.count * round;
            Some(both)
        });
        ends.flatten().flatten()
    }

    /// One chunk per stage: the longest bound over the ends of each run.
    fn straight(&self) -> f64 {
        self.seats().map(|seat| self.bound(&seat)).fold(0.0, f64::max)
    }

    /// Longest wait of a stage before its first backward pass and before its last: the way to a stage behind it, what that stage does first, and back.
    fn waits(&self, seat: &Seat, own: f64) -> (f64, f64) {
        let m = self.microbatches;
        let both = |run: &Run| run.input + run.weight;
        let (mut first, mut last) = (own * seat.run.forward, own * both(&seat.run));
        let (mine_first, mine_last) = (first, last);
        let (mut before, mut index) = (0.0, 0.0);
        let way = -(seat.before + self.round(&seat.run));
        for run in self.runs {
            let round = self.round(run);
            for inner in [1.0, run.count] {
                if index + inner - 1.0 > seat.index {
                    let ahead = self.depth(index + inner - 1.0).0.min(m) - 1.0;
                    let there = way + before + inner * round;
                    first = first.max(there + ahead * run.forward);
                    last = last.max(there + ahead * both(run));
                }
            }
            before += run.count * round;
            index += run.count;
        }
        (first - mine_first, last - mine_last)
    }

    fn bound(&self, seat: &Seat) -> f64 {
        let (m, run) = (self.microbatches, &seat.run);
        let (ahead, late) = self.depth(seat.index);
        let (f, b, w) = (run.forward, run.input, run.weight);
        // Weight gradients that come before the last gradient of inputs.
        let inside = m - 1.0 - late;
        let waits = if m > ahead {
            let (first, last) = self.waits(seat, ahead - 1.0);
            first + last
        } else {
            (seat.behind - (m - 1.0) * f).max(seat.behind - (m - 1.0) * b - inside * w).max(0.0)
        };
        let loops = (((m - 1.0) / ahead).floor() + 1.0).max(1.0);
        let circling = loops * (f + b + seat.behind) + (m - (loops - 1.0) * ahead - 1.0) * b;
        let core = (m * (f + b) + inside * w + waits).max(circling);
        if self.schedule == Schedule::OneForwardOneBackward {
            return seat.before + core + w;
        }
        // The span ends on this stage, or on the first.
        let here = core + (late + 1.0) * w;
        let first = self.at(0.0);
        here.max(seat.before + core + (self.depth(0.0).1 + 1.0) * if seat.index > 0.0 { first.weight } else { w })
    }

    /// Several chunks per stage, in groups of `n` microbatches. A stage runs `2(p-1-i) + (v-1)n` chunks before its first backward pass, so that it waits only for what
    /// the chunks before and the stages behind take longer than that; fewer microbatches than stages leave gaps between chunks.
    fn interleaved(&self) -> f64 {
        let (v, m, p) = (self.chunks, self.microbatches, self.stages());
        let group = (m / (m / p).floor().max(1.0)).ceil();
        let hop = 2.0 * self.latency * p;
        let way = |of: fn(&Run) -> f64| self.runs.iter().map(|r| r.count * of(r)).sum::<f64>() / v + hop / 2.0;
        let slowest = |of: fn(&Run) -> f64| group / v * self.runs.iter().map(of).fold(0.0, f64::max);
        let there = way(|r| r.forward).max(slowest(|r| r.forward));
        let back = way(|r| r.input + r.weight).max(slowest(|r| r.input + r.weight));
        self.seats()
            .map(|seat| {
                let (f, b) = (seat.run.forward / v, (seat.run.input + seat.run.weight) / v);
                let (before, behind) = (self.chunk_way(seat.before, seat.index), self.chunk_way(seat.behind, p - 1.0 - seat.index));
                let ahead = 2.0 * (p - 1.0 - seat.index) + (v - 1.0) * group;
                let waits = if ahead < v * m {
                    ((v - 1.0) * there + behind - ahead * f).max(0.0) + ((v - 1.0) * back + behind - ahead * b).max(0.0)
                } else {
                    let gaps = (v - 1.0) * ((there - m * f).max(0.0) + (back - m * b).max(0.0));
                    gaps + (behind - (m - 1.0) * f.min(b)).max(0.0)
                };
                before + m * seat.run.total() + waits
            })
            .fold(0.0, f64::max)
    }

    /// A way of whole stages, with its hops, as one chunk's.
    fn chunk_way(&self, way: f64, hops: f64) -> f64 {
        let latency = 2.0 * self.latency * hops;
        (way - latency) / self.chunks + latency
    }

    fn mean(&self) -> Run {
        let p = self.stages().max(1.0);
        let mut mean = Run { count: p, ..Run::default() };
        for run in self.runs {
            let share = run.count / p;
            mean.forward += share * run.forward;
            mean.input += share * run.input;
            mean.weight += share * run.weight;
        }
        mean
    }

    /// Two chunks per stage, the second on the way back.
    fn there_and_back(&self) -> f64 {
        let (m, p, mean) = (self.microbatches, self.stages(), self.mean());
        let (f, b, w) = (mean.forward / 2.0, mean.input / 2.0, mean.weight / 2.0);
        let slow = f.max(b);
        let full = m.min(p);
        let worst = self.runs.iter().copied().fold(Run::default(), |a, b| if b.total() > a.total() { b } else { a });
        let through = 2.0 * p * (f + b) + (full - 1.0) * worst.forward.max(worst.input) + w + 2.0 * (2.0 * p - 1.0) * self.latency;
        // Where a weight gradient is longer than half of a pass it delays what comes while it runs.
        let idle = (p - 1.0) * (f + slow - w).max(0.0);
        self.uneven(idle).max(through + (m - full) * worst.total())
    }

    fn both_ways(&self) -> f64 {
        let mean = self.mean();
        let turns = self.stages() / 2.0 - 1.0;
        let late = turns * (mean.input - mean.forward);
        let idle = turns * (mean.forward + 2.0 * mean.input - mean.weight + 2.0 * self.latency) - late.clamp(0.0, mean.forward);
        self.uneven(idle)
    }

    /// The busiest stage's work, and what of `idle` the slack of the others does not take up: about half as many microbatches again as there are hops, of those beyond
    /// the first `p`.
    fn uneven(&self, idle: f64) -> f64 {
        let (busy, m, p) = (self.busy(), self.microbatches, self.stages());
        let slack = (busy / m - self.mean().total()).max(0.0);
        busy + (idle - (1.5 * (p - 1.0)).min((m - p).max(0.0)) * slack).max(0.0)
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
