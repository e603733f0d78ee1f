//! The order in which each stage runs its passes, for schedules whose order is fixed.

use super::{Pass, Play, Task};
use crate::train::layout::Schedule;

fn task(pass: Pass, chunk: usize, microbatch: usize) -> Task {
    Task { pass, joined: false, chunk: chunk as u16, microbatch: microbatch as u32, start: 0.0, end: 0.0 }
}

/// Tasks stage by stage, not yet timed, and where each stage begins.
pub(super) fn tasks(play: &Play) -> Option<(Vec<Task>, Vec<usize>)> {
    let (p, v, m) = (play.stages, play.chunks, play.microbatches);
    let split = play.schedule != Schedule::OneForwardOneBackward;
    let mut out = Vec::with_capacity(p * v * m * if split { 3 } else { 2 });
    let mut begins = Vec::with_capacity(p + 1);
    for s in 0..p {
        begins.push(out.len());
        match play.schedule {
            Schedule::OneForwardOneBackward => interleaved(p, v, m, s, &mut out),
            Schedule::ZeroBubbleH1 if v == 1 => held_back(m, p - s, s, &mut out),
            Schedule::ZeroBubbleH2 if v == 1 => held_back(m, 2 * (p - s) - 1, 2 * s, &mut out),
            Schedule::DualPipe if v == 1 && p.is_multiple_of(2) && m.is_multiple_of(2) && m >= 2 * p => both_ways(p, m, s, &mut out),
            _ => return None,
        }
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
