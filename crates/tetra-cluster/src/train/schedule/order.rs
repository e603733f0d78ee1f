//! The order in which each stage runs its passes, for schedules whose order is fixed.

use super::{Pass, Play, Task};
use crate::train::layout::Schedule;

fn task(pass: Pass, chunk: usize, microbatch: usize) -> Task {
    Task { pass, joined: false, chunk: chunk as u16, microbatch: microbatch as u32, start: 0.0, end: 0.0 }
}

/// What fixes the order of passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) schedule: Schedule,
    pub(super) stages: usize,
    pub(super) chunks: usize,
    pub(super) microbatches: usize,
}

impl Shape {
    /// Whether the schedule can run so.
    pub(super) fn possible(&self) -> bool {
        let (p, v, m) = (self.stages, self.chunks, self.microbatches);
        let allowed = match self.schedule {
            Schedule::OneForwardOneBackward => v > 0,
            Schedule::ZeroBubbleH1 | Schedule::ZeroBubbleH2 => v == 1,
            Schedule::ZeroBubbleV => v == 2,
            Schedule::DualPipe => v == 1 && p.is_multiple_of(2) && m.is_multiple_of(2) && m >= 2 * p,
        };
        allowed && p > 0 && m > 0
    }

    /// Appends the tasks of a stage, not yet timed.
    pub(super) fn stage(&self, s: usize, out: &mut Vec<Task>) {
        let (p, v, m) = (self.stages, self.chunks, self.microbatches);
        match self.schedule {
            Schedule::OneForwardOneBackward => interleaved(p, v, m, s, out),
            Schedule::ZeroBubbleH1 => held_back(m, p - s, s, out),
            Schedule::ZeroBubbleH2 => held_back(m, 2 * (p - s) - 1, 2 * s, out),
            Schedule::ZeroBubbleV => there_and_back(p, m, s, out),
            Schedule::DualPipe => both_ways(p, m, s, out),
        }
    }
}

/// Tasks stage by stage, not yet timed, and where each stage begins.
pub(super) fn tasks(play: &Play) -> Option<(Vec<Task>, Vec<usize>)> {
    let shape = Shape { schedule: play.schedule, stages: play.stages, chunks: play.chunks, microbatches: play.microbatches };
    if !shape.possible() {
        return None;
    }
    let passes = if play.schedule == Schedule::OneForwardOneBackward { 2 } else { 3 };
    let mut out = Vec::with_capacity(play.stages * play.chunks * play.microbatches * passes);
    let mut begins = Vec::with_capacity(play.stages + 1);
    for s in 0..play.stages {
        begins.push(out.len());
        shape.stage(s, &mut out);
    }
    begins.push(out.len());
    Some((out, begins))
}

/// Groups of microbatches that pass chunk after chunk: `p` each or, where that does not divide them, as few more as make them all at least `p`
/// (Megatron-LM's `microbatch_group_size_per_vp_stage`); one group where there are fewer.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    /// Size of a group, of which the first `larger` have one more.
    size: usize,
    larger: usize,
    chunks: usize,
}

impl Groups {
    pub(super) fn of(p: usize, v: usize, m: usize) -> Self {
        let count = (m / p).max(1);
        Self { size: m / count, larger: m % count, chunks: v }
    }

    /// Size of the largest group.
    pub(super) fn most(self) -> usize {
        self.size + usize::from(self.larger > 0)
    }

    /// Last microbatches of the first and the last two groups, and of the last larger one.
    pub(super) fn ends(self, m: usize) -> impl Iterator<Item = usize> {
        let (size, first) = (self.size, self.most());
        let larger = self.larger * (size + 1);
        [first, 2 * first, larger, m.saturating_sub(size), m.saturating_sub(2 * size)].into_iter().filter_map(|end| end.checked_sub(1))
    }

    /// Chunk and microbatch of the `i`-th forward pass of a stage.
    fn place(self, i: usize) -> (usize, usize) {
        let wide = (self.size + 1) * self.chunks;
        let (begins, size, i) = if i < self.larger * wide {
            (i / wide * (self.size + 1), self.size + 1, i % wide)
        } else {
            let (i, narrow) = (i - self.larger * wide, self.size * self.chunks);
            (self.larger * (self.size + 1) + i / narrow * self.size, self.size, i % narrow)
        };
        (i / size, begins + i % size)
    }
}

fn interleaved(p: usize, v: usize, m: usize, stage: usize, out: &mut Vec<Task>) {
    let all = v * m;
    let groups = Groups::of(p, v, m);
    let ahead = if v > 1 { 2 * (p - stage - 1) + (v - 1) * groups.most() } else { p - stage - 1 };
    let forward = |i| {
        let (chunk, microbatch) = groups.place(i);
        task(Pass::Forward, chunk, microbatch)
    };
    let ahead = ahead.min(all);
    out.extend((0..ahead).map(forward));
    for i in 0..all {
        if ahead + i < all {
            out.push(forward(ahead + i));
        }
        let (chunk, microbatch) = groups.place(i);
        out.push(task(Pass::Backward, v - 1 - chunk, microbatch));
    }
}

/// `ahead` forward passes, then one backward and one forward in turn; weight gradients follow `lag` microbatches behind.
fn held_back(m: usize, ahead: usize, lag: usize, out: &mut Vec<Task>) {
    let ahead = ahead.min(m);
    out.extend((0..ahead).map(|i| task(Pass::Forward, 0, i)));
    for i in 0..m {
        out.push(task(Pass::Input, 0, i));
        if i >= lag {
            out.push(task(Pass::Weight, 0, i - lag));
        }
        if ahead + i < m {
            out.push(task(Pass::Forward, 0, ahead + i));
        }
    }
    out.extend((m.saturating_sub(lag)..m).map(|i| task(Pass::Weight, 0, i)));
}

/// Two chunks per stage, the second on the way back: what a stage has run of each, forward, gradients of inputs and of weights.
struct Fold<'a> {
    most: usize,
    ran: [[usize; 2]; 3],
    out: &'a mut Vec<Task>,
}

impl Fold<'_> {
    fn run(&mut self, pass: Pass, chunk: usize) {
        let kind = match pass {
            Pass::Forward => 0,
            Pass::Weight => 2,
            _ => 1,
        };
        let microbatch = self.ran[kind][chunk];
        self.ran[kind][chunk] += 1;
        // Fewer microbatches than fill the pipeline: the order is that of enough, the others left out.
        if microbatch < self.most {
            self.out.push(task(pass, chunk, microbatch));
        }
    }

    fn all(&mut self, chunk: usize) {
        [Pass::Forward, Pass::Input, Pass::Weight].into_iter().for_each(|pass| self.run(pass, chunk));
    }
}

/// ZBV: the parts of PyTorch's `ScheduleZBVZeroBubble`.
fn there_and_back(p: usize, m: usize, stage: usize, out: &mut Vec<Task>) {
    let enough = m.max(2 * p - 1);
    let mut fold = Fold { most: m, ran: [[0; 2]; 3], out };
    (0..2 * (p - stage) - 1).for_each(|_| fold.run(Pass::Forward, 0));
    for _ in 0..stage {
        fold.run(Pass::Forward, 1);
        fold.run(Pass::Forward, 0);
    }
    (0..p - stage).for_each(|_| fold.all(1));
    while fold.ran[0][1] < fold.ran[0][0] || fold.ran[0][0] < enough {
        if fold.ran[0][0] < enough {
            fold.run(Pass::Forward, 0);
        }
        fold.run(Pass::Input, 0);
        fold.run(Pass::Weight, 0);
        fold.all(1);
    }
    for _ in 0..stage {
        fold.run(Pass::Input, 0);
        fold.run(Pass::Input, 1);
    }
    for _ in 0..p - stage {
        fold.run(Pass::Input, 0);
        fold.run(Pass::Weight, 0);
    }
    for chunk in [1, 0] {
        while fold.ran[2][chunk] < fold.ran[1][chunk] {
            fold.run(Pass::Weight, chunk);
        }
    }
}

/// Counts of passes done so far, by direction seen from the stage: 0 comes from its nearer end.
struct Counts {
    turned: usize,
    forward: [usize; 2],
    backward: [usize; 2],
    /// Microbatches whose weight gradients wait.
    waiting: std::collections::VecDeque<(usize, usize)>,
}

impl Counts {
    fn forward(&mut self, near: usize, joined: bool, out: &mut Vec<Task>) {
        out.push(Task { joined, ..task(Pass::Forward, near ^ self.turned, self.forward[near]) });
        self.forward[near] += 1;
    }

    fn backward(&mut self, near: usize, hold: bool, out: &mut Vec<Task>) {
        let (chunk, microbatch) = (near ^ self.turned, self.backward[near]);
        out.push(task(if hold { Pass::Input } else { Pass::Backward }, chunk, microbatch));
        if hold {
            self.waiting.push_back((chunk, microbatch));
        }
        self.backward[near] += 1;
    }

    fn weight(&mut self, out: &mut Vec<Task>) {
        if let Some((chunk, microbatch)) = self.waiting.pop_front() {
            out.push(task(Pass::Weight, chunk, microbatch));
        }
    }

    fn both(&mut self, forward: usize, out: &mut Vec<Task>) {
        self.forward(forward, true, out);
        self.backward(1 - forward, false, out);
    }
}

/// DualPipe: half of the microbatches enter at each end.
fn both_ways(p: usize, m: usize, stage: usize, out: &mut Vec<Task>) {
    let (half, near) = (p / 2, stage.min(p - 1 - stage));
    let middle = near == half - 1;
    let mut c =
        Counts { turned: usize::from(stage >= half), forward: [0; 2], backward: [0; 2], waiting: std::collections::VecDeque::new() };
    (0..2 * (half - near - 1)).for_each(|_| c.forward(0, false, out));
    for _ in 0..=near {
        c.forward(0, false, out);
        c.forward(1, false, out);
    }
    for _ in 0..half - near - 1 {
        c.backward(1, true, out);
        c.weight(out);
        c.forward(1, false, out);
    }
    for i in 0..m / 2 - p + near + 1 {
        if i == 0 && middle {
            c.forward(0, false, out);
            c.backward(1, false, out);
        } else {
            c.both(0, out);
        }
        c.both(1, out);
    }
    for _ in 0..half - near - 1 {
        c.backward(1, false, out);
        c.both(1, out);
    }
    let mut hold = false;
    for i in 0..=near {
        hold |= i == near.div_ceil(2) && near % 2 == 1;
        c.backward(1, hold, out);
        hold |= i == near.div_ceil(2) && near.is_multiple_of(2);
        c.backward(0, hold, out);
    }
    for _ in 0..half - near - 1 {
        c.weight(out);
        c.backward(0, true, out);
    }
    (0..=near).for_each(|_| c.weight(out));
}
