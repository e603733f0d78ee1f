//! Draws up an outline ([`super::outline`]): which stages and microbatches it shows, what lies between its passes.
//!
//! Shown are both ends of each run of equal stages and, where microbatches are few, the stages at which they are too few for all forward passes that come first; of the
//! microbatches those at which the order of such a stage changes: where a step of it is none that was run six steps before, as every order repeats itself after six or fewer.
//! Leaves out: of more than four chunks per stage those in the middle.

use super::order::{Groups, Shape};
use super::outline::{Arrival, Counts, KINDS, Node, Outline, Seat};
use super::{Pass, Task};
use crate::train::layout::Schedule;

/// Passes after which every order repeats itself.
const PERIOD: usize = 6;
/// Chunks at each end of a long chain of chunks that are outlined.
const CHUNKS: usize = 2;
/// Rounds of the stages that show every change of order, with room in the middle.
const ROUNDS: usize = 8;
/// Rounds that are outlined more closely, and how many microbatches of them.
const FEW: usize = 3;
const CLOSE: usize = 16;

/// A place on the way of a microbatch.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    seat: usize,
    chunk: usize,
}

/// A pass that may be outlined.
#[derive(Clone, Copy)]
struct Name {
    backward: bool,
    direction: usize,
    /// Place on its way.
    place: usize,
    microbatch: usize,
}

pub(super) struct Draft {
    /// With as many microbatches as are outlined.
    shape: Shape,
    /// Microbatches of each direction, those left out, the one before which they would come, and how far around it nothing is outlined.
    each: usize,
    added: f32,
    cut: usize,
    around: usize,
    seats: Vec<Seat>,
    orders: Vec<Vec<Task>>,
    /// Ways by direction: one, or DualPipe's two.
    ways: Vec<Vec<Place>>,
    /// For forward and backward passes of each direction, whether a microbatch is outlined.
    kept: [Vec<bool>; 4],
    /// Of DualPipe, what a stage runs with each pass, by class, stage and microbatch.
    with: Vec<Counts>,
}

impl Draft {
    pub(super) fn of(shape: Shape, runs: &[usize]) -> Self {
        let both = shape.schedule == Schedule::DualPipe;
        let (p, m) = (shape.stages, shape.microbatches / if both { 2 } else { 1 });
        let (mut each, mut cut, mut around) = (m, m, 0);
        // Groups of different size need more room; a forward pass runs up to two rounds before the backward pass beside it.
        let grouped = shape.schedule == Schedule::OneForwardOneBackward && shape.chunks > 1;
        let (rest, rounds) = if grouped { (m % p, ROUNDS + ROUNDS / 2) } else { (0, ROUNDS) };
        if m > (rest + rounds + 1) * p {
            each = (rest + rounds) * p + rest;
            cut = rest * (p + 1) + rounds / 2 * p;
            around = (rounds / 2 - 2) * p;
        }
        let microbatches = each * if both { 2 } else { 1 };
        let shape = Shape { microbatches, ..shape };
        let seats = seats(runs, &turns(&shape));
        let orders = seats.iter().map(|seat| order(&shape, seat.stage)).collect();
        let mut draft = Self {
            shape,
            each,
            added: (m - each) as f32,
            cut,
            around,
            seats,
            orders,
            ways: Vec::new(),
            kept: std::array::from_fn(|_| vec![false; each]),
            with: Vec::new(),
        };
        draft.ways = draft.ways();
        draft.keep();
        if both {
            draft.hold();
        }
        draft
    }

    fn interleaved(&self) -> bool {
        self.shape.schedule == Schedule::OneForwardOneBackward && self.shape.chunks > 1
    }

    fn both(&self) -> bool {
        self.shape.schedule == Schedule::DualPipe
    }

    fn ways(&self) -> Vec<Vec<Place>> {
        let (seats, v) = (self.seats.len(), self.shape.chunks);
        let there = |chunk| (0..seats).map(move |seat| Place { seat, chunk });
        let back = |chunk| (0..seats).rev().map(move |seat| Place { seat, chunk });
        match self.shape.schedule {
            Schedule::DualPipe => vec![there(0).collect(), back(1).collect()],
            Schedule::ZeroBubbleV => vec![there(0).chain(back(1)).collect()],
            _ => vec![(0..v).filter(|c| *c < CHUNKS || c + CHUNKS >= v).flat_map(there).collect()],
        }
    }

    /// Keeps the microbatches before and after each change of order, the first and the last.
    fn keep(&mut self) {
        let mut kept = std::mem::replace(&mut self.kept, std::array::from_fn(|_| Vec::new()));
        let last = self.each - 1;
        let mut mark = |class: usize, k: usize| {
            kept[class][k.min(last)] = true;
            kept[class][(k + 1).min(last)] = true;
        };
        for order in &self.orders {
            self.changes(order, &mut mark);
        }
        if self.interleaved() {
            let groups = Groups::of(self.shape.stages, self.shape.chunks, self.each);
            for k in groups.ends(self.each) {
                mark(0, k);
                mark(1, k);
            }
        }
        let dense = self.each <= FEW * self.shape.stages;
        for class in &mut kept {
            if dense {
                let step = self.each.div_ceil(CLOSE);
                class.iter_mut().step_by(step).for_each(|k| *k = true);
            }
            class[0] = true;
            class[last] = true;
            for (k, kept) in class.iter_mut().enumerate() {
                *kept &= k + self.around <= self.cut || k >= self.cut + self.around;
            }
        }
        self.kept = kept;
    }

    /// Tells the last microbatch of each class of passes before each change of order.
    fn changes(&self, order: &[Task], mark: &mut impl FnMut(usize, usize)) {
        let alike = self.interleaved();
        let kind = |step: &[Task]| (step[0].pass, if alike { 0 } else { step[0].chunk }, step.len());
        let kinds: Vec<_> = steps(order).map(kind).collect();
        let mut ran = [[0usize; 2]; 4];
        let mut changing = 0;
        for (i, step) in steps(order).enumerate() {
            let changes = i >= PERIOD && kinds[i] != kinds[i - PERIOD];
            if changes && changing == 0 {
                for (class, chunks) in ran.iter().enumerate() {
                    chunks.iter().for_each(|k| mark(class, *k));
                }
            }
            changing = if changes { (changing + 1) % PERIOD } else { 0 };
            for task in step.iter().filter(|t| t.pass != Pass::Weight) {
                let class = self.class(task);
                ran[class][usize::from(task.chunk).min(1)] = task.microbatch as usize;
            }
        }
    }

    fn class(&self, task: &Task) -> usize {
        let direction = if self.both() { usize::from(task.chunk) } else { 0 };
        2 * direction + usize::from(task.pass != Pass::Forward)
    }

    fn hold(&mut self) {
        let p = self.shape.stages;
        self.with = vec![[0.0; KINDS]; 4 * p * self.each];
        for stage in 0..p {
            for step in steps(&order(&self.shape, stage)) {
                let counts = self.counts(step);
                for task in step.iter().filter(|t| t.pass != Pass::Weight) {
                    let at = self.row(self.class(task), stage) + task.microbatch as usize;
                    self.with[at] = counts;
                }
            }
        }
    }

    fn row(&self, class: usize, stage: usize) -> usize {
        (class * self.shape.stages + stage) * self.each
    }

    /// Passes of a step by kind.
    fn counts(&self, step: &[Task]) -> Counts {
        let mut counts = [0.0; KINDS];
        for task in step {
            let kind = if self.both() { 3 * usize::from(task.chunk) } else { 0 };
            match task.pass {
                Pass::Forward => counts[kind] += 1.0,
                Pass::Input => counts[kind + 1] += 1.0,
                Pass::Weight => counts[kind + 2] += 1.0,
                Pass::Backward => {
                    counts[kind + 1] += 1.0;
                    counts[kind + 2] += 1.0;
                }
            }
        }
        counts
    }

    fn index(&self, name: &Name) -> usize {
        let class = 2 * name.direction + usize::from(name.backward);
        (class * self.ways[0].len() + name.place) * self.each + name.microbatch
    }

    /// The name of a pass that is outlined.
    fn name(&self, seat: usize, task: &Task) -> Option<Name> {
        let (chunk, class) = (usize::from(task.chunk), self.class(task));
        let direction = class / 2;
        let way = &self.ways[direction];
        let place = match self.shape.schedule {
            Schedule::DualPipe | Schedule::ZeroBubbleV if chunk == 1 => way.len() - 1 - seat,
            _ if chunk < CHUNKS => chunk * self.seats.len() + seat,
            _ => (way.len() + seat).checked_sub((self.shape.chunks - chunk) * self.seats.len())?,
        };
        let (microbatch, backward) = (task.microbatch as usize, task.pass != Pass::Forward);
        let turns = !backward && place + 1 == way.len() && self.kept[class + 1][microbatch];
        let here = way.get(place) == Some(&Place { seat, chunk });
        (here && task.pass != Pass::Weight && (self.kept[class][microbatch] || turns)).then_some(Name {
            backward,
            direction,
            place,
            microbatch,
        })
    }

    /// From where a pass arrives; the node is not known yet.
    fn arrival(&self, name: &Name) -> Option<(usize, Arrival)> {
        let way = &self.ways[name.direction];
        let turned = Name { backward: false, ..*name };
        let mut arrival = Arrival { from: 0, seat: 0, passes: [0.0; KINDS], backward: name.backward, hops: 0.0, tours: 0.0 };
        if name.backward && name.place + 1 == way.len() {
            return Some((self.index(&turned), arrival));
        }
        let before = if name.backward { name.place + 1 } else { name.place.checked_sub(1)? };
        let (here, there) = (way[name.place], way[before]);
        if self.interleaved() && here.chunk != there.chunk {
            arrival.tours = (here.chunk.abs_diff(there.chunk) - 1) as f32;
            arrival.hops = if self.shape.stages > 1 { 1.0 } else { 0.0 };
        } else {
            let [a, b] = [here.seat.min(there.seat), here.seat.max(there.seat)];
            arrival.seat = a as u32;
            let [a, b] = [self.seats[a].stage, self.seats[b].stage];
            arrival.hops = (b - a) as f32;
            arrival.passes = self.between(name, a + 1..b);
        }
        Some((self.index(&Name { place: before, ..*name }), arrival))
    }

    /// What stages run on the way of a microbatch.
    fn between(&self, name: &Name, stages: std::ops::Range<usize>) -> Counts {
        let mut counts = [0.0; KINDS];
        if self.both() {
            let class = 2 * name.direction + usize::from(name.backward);
            for stage in stages {
                let with = &self.with[self.row(class, stage) + name.microbatch];
                counts.iter_mut().zip(with).for_each(|(n, more)| *n += more);
            }
            return counts;
        }
        let n = stages.len() as f32;
        counts[usize::from(name.backward)] = n;
        if name.backward && self.shape.schedule == Schedule::OneForwardOneBackward {
            counts[2] = n;
        }
        counts
    }

    /// Nodes of a seat, and the passes that each stands for.
    fn nodes(&self, seat: usize) -> (Vec<(Node, Vec<Name>)>, Counts) {
        let mut out = Vec::new();
        let mut ran = [0.0; KINDS];
        let lengths = self.lengths(seat);
        for step in steps(&self.orders[seat]) {
            let before = ran;
            let more = self.counts(step);
            ran.iter_mut().zip(&more).for_each(|(n, more)| *n += more);
            let cuts = |t: &Task| t.chunk == 0 && !matches!(t.pass, Pass::Forward | Pass::Weight) && t.microbatch as usize == self.cut;
            if self.added > 0.0 && step.iter().any(cuts) {
                let more = if self.both() { self.added } else { self.added * self.shape.chunks as f32 };
                ran.iter_mut().for_each(|n| *n += more);
            }
            let names: Vec<Name> = step.iter().filter_map(|t| self.name(seat, t)).collect();
            if !names.is_empty() {
                let rounds = out.last().map_or(0.0, |(n, _): &(Node, _)| self.rounds(&n.before, &before));
                out.push((
                    Node { seat: seat as u32, arrivals: 0, before, after: ran, loops: lengths.map(|most| loops(most, rounds)), rounds },
                    names,
                ));
            }
        }
        (out, ran)
    }

    /// Stages alike next to a seat's, itself counted: its own run, the run before and the run behind.
    fn lengths(&self, seat: usize) -> [usize; 3] {
        if self.shape.chunks > 1 || self.shape.schedule == Schedule::ZeroBubbleH2 {
            return [0; 3];
        }
        let length = |other: usize, own: usize| {
            let alike = || self.seats.iter().filter(|s| s.alike(&self.seats[other])).map(|s| s.stage);
            alike().max().zip(alike().min()).map_or(0, |(last, first)| last + 1 + own - first)
        };
        let next = |other: usize| if self.seats[other].alike(&self.seats[seat]) { 0 } else { length(other, 1) };
        let behind = if seat + 1 < self.seats.len() { next(seat + 1) } else { 0 };
        [length(seat, 0), seat.checked_sub(1).map_or(0, next), behind]
    }

    /// Microbatches that a stage runs wholly between two states.
    fn rounds(&self, before: &Counts, after: &Counts) -> f32 {
        let both = if self.both() { vec![0, 1, 3, 4] } else { vec![0, 1] };
        both.into_iter().map(|i| after[i] - before[i]).fold(f32::INFINITY, f32::min)
    }

    pub(super) fn outline(mut self, runs: &[usize]) -> Outline {
        let mut lists = Vec::with_capacity(self.seats.len());
        for seat in 0..self.seats.len() {
            let (list, total) = self.nodes(seat);
            self.seats[seat].total = total;
            lists.push(list);
        }
        let (nodes, arrivals) = self.joined(&lists);
        let schedule = self.shape.schedule;
        let rounds = nodes.iter().fold(0.0, |most, n: &Node| f64::max(most, f64::from(n.rounds)));
        Outline {
            nodes,
            arrivals,
            seats: self.seats,
            runs: runs.to_vec(),
            both: schedule == Schedule::DualPipe,
            whole: schedule == Schedule::OneForwardOneBackward,
            circles: self.shape.chunks == 1 && schedule != Schedule::ZeroBubbleH2,
            rounds,
        }
    }

    /// Nodes of all seats, each behind those that it waits for.
    fn joined(&self, lists: &[Vec<(Node, Vec<Name>)>]) -> (Vec<Node>, Vec<Arrival>) {
        const UNSEEN: u32 = u32::MAX;
        let mut known = vec![None; 2 * self.ways.len() * self.ways[0].len() * self.each];
        for (_, names) in lists.iter().flatten() {
            names.iter().for_each(|name| known[self.index(name)] = Some(UNSEEN));
        }
        let (mut nodes, mut arrivals, mut next) = (Vec::new(), Vec::new(), vec![0; lists.len()]);
        loop {
            let placed = nodes.len();
            for (list, next) in lists.iter().zip(&mut next) {
                while let Some((node, names)) = list.get(*next) {
                    let from: Vec<_> = names.iter().filter_map(|name| self.arrival(name)).collect();
                    let known_now = || from.iter().filter_map(|(index, a)| known[*index].map(|from| Arrival { from, ..*a }));
                    if known_now().any(|a| a.from == UNSEEN) {
                        break;
                    }
                    arrivals.extend(known_now());
                    names.iter().for_each(|name| known[self.index(name)] = Some(nodes.len() as u32));
                    nodes.push(Node { arrivals: arrivals.len() as u32, ..node.clone() });
                    *next += 1;
                }
            }
            if nodes.len() == placed {
                return (nodes, arrivals);
            }
        }
    }
}

/// Most hops there and back of a chain that goes round over up to `most` stages within so many microbatches.
fn loops(most: usize, microbatches: f32) -> f32 {
    (2..=most).map(|n| (microbatches / n as f32).floor() * (n as f32 - 1.0)).fold(0.0, f32::max)
}

fn order(shape: &Shape, stage: usize) -> Vec<Task> {
    let mut out = Vec::new();
    shape.stage(stage, &mut out);
    out
}

/// What a stage runs step by step, two passes that run together as one.
fn steps(order: &[Task]) -> impl Iterator<Item = &[Task]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let from = at;
        at += 1 + usize::from(order.get(at)?.joined);
        order.get(from..at)
    })
}

/// Stages from which on an order changes otherwise than before: where the microbatches are too few for all that come first, and DualPipe's middle.
fn turns(shape: &Shape) -> Vec<usize> {
    let (p, m) = (shape.stages, shape.microbatches);
    if shape.schedule == Schedule::DualPipe {
        return vec![p / 2];
    }
    let few = |stage: usize| (stage > 0 && stage < p && m <= FEW * p).then_some(stage);
    match shape.schedule {
        Schedule::OneForwardOneBackward | Schedule::ZeroBubbleH1 if shape.chunks == 1 => {
            (1..=4).map(|times| few(p.saturating_sub(m.div_ceil(times)))).chain([few(m)]).flatten().collect()
        }
        Schedule::ZeroBubbleH2 | Schedule::ZeroBubbleV => [few(p.saturating_sub(m / 2)), few(m / 2)].into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// Both ends of each run of stages, cut at each turn; DualPipe's runs are those of both directions.
fn seats(runs: &[usize], turns: &[usize]) -> Vec<Seat> {
    let p: usize = runs.iter().sum();
    let mut begins: Vec<usize> = runs.iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n))).collect();
    let run = |stage: usize| begins.partition_point(|b| *b <= stage) as u32 - 1;
    let all: Vec<u32> = (0..p).map(run).collect();
    if turns == [p / 2] {
        let mirrored: Vec<usize> = begins.iter().map(|b| p - b).filter(|b| *b < p).collect();
        begins.extend(mirrored);
    }
    begins.extend(turns);
    let ends = begins.iter().filter(|b| **b > 0).map(|b| b - 1).chain([p - 1]);
    let mut stages: Vec<usize> = ends.chain(begins.iter().copied()).filter(|s| *s < p).collect();
    stages.sort_unstable();
    stages.dedup();
    let seat = |stage: usize| Seat { stage, run: all[stage], mirrored: all[p - 1 - stage], total: [0.0; KINDS] };
    stages.into_iter().map(seat).collect()
}
