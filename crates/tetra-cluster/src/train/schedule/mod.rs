//! One step played exactly: every forward pass, input gradient and weight gradient of every microbatch on every stage, in the order that the
//! schedule runs them, each waiting for what it needs.
//!
//! A pass starts when its stage is free and its input has arrived. Orders: interleaved 1F1B as in Megatron-LM (arXiv 2104.04473, section 2.2);
//! ZB-H1 and ZB-H2 with the weight gradients of stage `i` held back by `i` and `2i` microbatches (arXiv 2401.10241); DualPipe's eight parts as DeepSeek published them
//! (arXiv 2412.19437); ZBV's of "Pipeline parallelism with controllable memory" (arXiv 2405.15362) as PyTorch's `ScheduleZBVZeroBubble` writes it down. The time of a step is the longest span of one stage, first pass to last: schedules
//! without a bubble run the optimiser stage by stage, so that the next step starts as staggered as this one ended (arXiv 2401.10241, section 4).
//!
//! Leaves out: exchange between replicas and optimiser, which follow; microbatches of different length.

mod draft;
mod drawing;
mod order;
mod outline;
mod player;

pub use drawing::{DRAWN_TASKS, Picture, svg};
pub use outline::{Outline, Unit};

use crate::train::layout::Schedule;

/// Seconds of one microbatch in one chunk of layers.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct ChunkTime {
    /// Forward pass.
    pub forward: f64,
    /// Forward pass run again before the backward pass.
    pub again: f64,
    /// Backward pass: gradients of inputs.
    pub input: f64,
    /// Backward pass: gradients of weights.
    pub weight: f64,
    /// Part of a transfer that keeps the stage busy, after the forward and after the backward pass.
    pub send: f64,
}

impl ChunkTime {
    /// Time that a forward pass takes on the stage.
    pub fn f(&self) -> f64 {
        self.forward + self.send
    }

    /// The same of the backward pass without gradients of weights.
    pub fn b(&self) -> f64 {
        self.again + self.input + self.send
    }

    /// All of it.
    pub fn total(&self) -> f64 {
        self.f() + self.b() + self.weight
    }
}

/// What is played.
#[derive(Debug, Clone, PartialEq)]
pub struct Play {
    /// Order.
    pub schedule: Schedule,
    /// Stages.
    pub stages: usize,
    /// Chunks per stage: 2 for ZBV; for DualPipe 1, of which each stage holds two.
    pub chunks: usize,
    /// Microbatches.
    pub microbatches: usize,
    /// Times of the `stages × chunks` chunks in the model's order.
    pub times: Vec<ChunkTime>,
    /// Part of a transfer between neighbours that keeps no stage busy.
    pub latency: f64,
    /// Time of a forward pass run together with a backward pass, over both one after the other (DualPipe).
    pub together: f64,
}

impl Play {
    /// Times of a stage's chunk; for DualPipe of its layers in a direction.
    fn chunk(&self, stage: usize, chunk: usize) -> ChunkTime {
        let p = self.stages;
        let place = match (self.schedule, chunk) {
            (Schedule::ZeroBubbleV, 1) => 2 * p - 1 - stage,
            (Schedule::DualPipe, 1) => p - 1 - stage,
            _ => chunk * p + stage,
        };
        self.times.get(place).copied().unwrap_or_default()
    }

    /// From when to when a task is drawn: of two that run together, one after the other.
    fn share(&self, task: &Task, second: bool, stage: usize) -> (f64, f64) {
        if !(task.joined || second) {
            return (task.start, task.end);
        }
        let [own, other] = [usize::from(task.chunk), 1 - usize::from(task.chunk)].map(|c| self.chunk(stage, c));
        let (forward, backward) = if second { (other.f(), own.b() + own.weight) } else { (own.f(), other.b() + other.weight) };
        let turn = task.start + (task.end - task.start) * forward / (forward + backward).max(f64::MIN_POSITIVE);
        if second { (turn, task.end) } else { (task.start, turn) }
    }
}

/// What a stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Pass {
    /// Forward.
    Forward,
    /// Backward, all of it.
    Backward,
    /// Backward, gradients of inputs.
    Input,
    /// Backward, gradients of weights.
    Weight,
}

/// One pass of one microbatch, and when it ran.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Task {
    /// What.
    pub pass: Pass,
    /// Whether it runs together with the next task of its stage.
    pub joined: bool,
    /// Chunk of its stage; direction for DualPipe.
    pub chunk: u16,
    /// Microbatch.
    pub microbatch: u32,
    /// Seconds from the first pass of the step.
    pub start: f64,
    /// The same at its end.
    pub end: f64,
}

/// A step as it ran.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Played {
    /// Stages.
    pub stages: usize,
    /// Tasks, stage by stage in the order in which they ran.
    pub tasks: Vec<Task>,
    /// Where each stage begins in them, and their number.
    pub begins: Vec<usize>,
    /// Time of the step.
    pub time: f64,
}

impl Played {
    /// Tasks of one stage.
    pub fn of_stage(&self, stage: usize) -> &[Task] {
        match (self.begins.get(stage), self.begins.get(stage + 1)) {
            (Some(&from), Some(&to)) => self.tasks.get(from..to).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// Most activations that a stage keeps at once, in chunks of one microbatch: from the start of a forward pass to the end of the last pass that reads them.
    pub fn in_flight(&self, stage: usize) -> u64 {
        let (mut held, mut most) = (0u64, 0u64);
        for task in self.of_stage(stage) {
            match task.pass {
                Pass::Forward => held += 1,
                Pass::Weight | Pass::Backward => held = held.saturating_sub(1),
                Pass::Input => {}
            }
            most = most.max(held);
        }
        most
    }
}

/// Plays one step; `None` when the schedule cannot run so many microbatches on so many stages.
pub fn play(play: &Play) -> Option<Played> {
    let (p, v) = (play.stages, play.chunks);
    if p == 0 || play.microbatches == 0 || play.times.len() != p * v {
        return None;
    }
    let (tasks, begins) = player::run(play, order::tasks(play)?)?;
    let mut played = Played { stages: p, tasks, begins, time: 0.0 };
    let span = |s: &[Task]| s.last().map_or(0.0, |t| t.end) - s.first().map_or(0.0, |t| t.start);
    played.time = (0..p).map(|s| span(played.of_stage(s))).fold(0.0, f64::max);
    Some(played)
}
