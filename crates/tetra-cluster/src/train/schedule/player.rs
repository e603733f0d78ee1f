//! Plays orders that are fixed: each stage runs its tasks in turn, each as soon as its input is there. Arrays are indexed by chunk and microbatch; a stage that
//! waits is taken up again by the task it waits for.

use super::{Pass, Play, Task};
use crate::train::layout::Schedule;

/// Stage that holds a chunk, and where the chunk lies on the way of a microbatch.
#[derive(Clone, Copy)]
struct Way {
    p: usize,
    m: usize,
    /// Chunks that a microbatch passes.
    length: usize,
    both: bool,
    folded: bool,
}

impl Way {
    fn of(play: &Play) -> Self {
        let both = play.schedule == Schedule::DualPipe;
        let folded = play.schedule == Schedule::ZeroBubbleV;
        Self { p: play.stages, m: play.microbatches, length: play.stages * play.chunks, both, folded }
    }

    /// Place of a stage's chunk (direction) on the way.
    fn place(&self, stage: usize, chunk: usize) -> usize {
        match (self.both, chunk) {
            (true, 1) => self.p - 1 - stage,
            (true, _) => stage,
            (false, 1) if self.folded => 2 * self.p - 1 - stage,
            (false, _) => chunk * self.p + stage,
        }
    }

    /// Stage at a place.
    fn stage(&self, place: usize, chunk: usize) -> usize {
        match (self.both, self.folded) {
            (true, _) if chunk == 1 => self.p - 1 - place,
            (_, true) if place >= self.p => 2 * self.p - 1 - place,
            _ => place % self.p,
        }
    }

    /// Whether a pass hands over to the next place on the same stage.
    fn turns(&self, place: usize) -> bool {
        self.p == 1 || (self.folded && place + 1 == self.p)
    }

    /// Index of a result.
    fn index(&self, place: usize, task: &Task) -> usize {
        let direction = if self.both { usize::from(task.chunk) * self.length } else { 0 };
        (direction + place) * self.m + task.microbatch as usize
    }
}

struct Player<'a> {
    play: &'a Play,
    way: Way,
    /// When each forward and each backward pass hands over, NaN before.
    forward: Vec<f64>,
    backward: Vec<f64>,
}

impl Player<'_> {
    /// When the input of a task arrives: NaN when that is not known yet.
    fn arrival(&self, task: &Task, stage: usize) -> f64 {
        let place = self.way.place(stage, usize::from(task.chunk));
        let at = self.way.index(place, task);
        let far = |before: usize| if self.way.turns(before) { 0.0 } else { self.play.latency };
        match task.pass {
            Pass::Weight => 0.0,
            Pass::Forward if place == 0 => 0.0,
            Pass::Forward => self.forward[at - self.way.m] + far(place - 1),
            _ if place + 1 == self.way.length => self.forward[at],
            _ => self.backward[at + self.way.m] + far(place),
        }
    }

    fn length(&self, task: &Task, stage: usize) -> f64 {
        let time = &self.play.times[self.way.place(stage, usize::from(task.chunk))];
        match task.pass {
            Pass::Forward => time.f(),
            Pass::Backward => time.b() + time.weight,
            Pass::Input => time.b(),
            Pass::Weight => time.weight,
        }
    }

    /// Notes a result; the stage that can use it.
    fn hand_over(&mut self, task: &Task, stage: usize) -> Option<usize> {
        let chunk = usize::from(task.chunk);
        let place = self.way.place(stage, chunk);
        let at = self.way.index(place, task);
        match task.pass {
            Pass::Weight => None,
            Pass::Forward => {
                self.forward[at] = task.end;
                (place + 1 < self.way.length).then(|| self.way.stage(place + 1, chunk))
            }
            _ => {
                self.backward[at] = task.end;
                place.checked_sub(1).map(|before| self.way.stage(before, chunk))
            }
        }
    }

    /// Runs the task, or the pair, at the head of `tasks` if its inputs are there: how many, and the stages that can use the results.
    fn begin(&mut self, tasks: &mut [Task], stage: usize, free: f64) -> Option<(usize, [Option<usize>; 2])> {
        let first = *tasks.first()?;
        let pair = usize::from(first.joined && tasks.len() > 1);
        let ready = tasks[..=pair].iter().fold(free, |t, task| {
            let arrival = self.arrival(task, stage);
            if arrival.is_nan() || t.is_nan() { f64::NAN } else { t.max(arrival) }
        });
        if ready.is_nan() {
            return None;
        }
        let apart: f64 = tasks[..=pair].iter().map(|t| self.length(t, stage)).sum();
        let end = ready + if pair == 1 { apart * self.play.together } else { apart };
        let mut users = [None; 2];
        for (task, user) in tasks[..=pair].iter_mut().zip(&mut users) {
            (task.start, task.end) = (ready, end);
            *user = self.hand_over(task, stage);
        }
        Some((pair + 1, users))
    }
}

/// Times of all tasks; `None` if they wait for each other for ever.
pub(super) fn run(play: &Play, (mut tasks, begins): (Vec<Task>, Vec<usize>)) -> Option<(Vec<Task>, Vec<usize>)> {
    let way = Way::of(play);
    let results = way.length * way.m * if way.both { 2 } else { 1 };
    let mut player = Player { play, way, forward: vec![f64::NAN; results], backward: vec![f64::NAN; results] };
    let mut next: Vec<usize> = begins.iter().take(way.p).copied().collect();
    let (mut free, mut waits) = (vec![0.0; way.p], vec![false; way.p]);
    let mut runnable: Vec<usize> = (0..way.p).rev().collect();
    while let Some(stage) = runnable.pop() {
        waits[stage] = false;
        let to = begins[stage + 1];
        while next[stage] < to {
            let Some((count, users)) = player.begin(&mut tasks[next[stage]..to], stage, free[stage]) else {
                waits[stage] = true;
                break;
            };
            free[stage] = tasks[next[stage]].end;
            next[stage] += count;
            for user in users.into_iter().flatten() {
                if std::mem::take(&mut waits[user]) {
                    runnable.push(user);
                }
            }
        }
    }
    next.iter().zip(&begins[1..]).all(|(n, end)| n == end).then_some((tasks, begins))
}
