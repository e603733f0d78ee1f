//! Carries a mapping out step by step, holding the words of every tile as an explicit set, and counts each word that moves.
//!
//! A tile is filled on each trip of what stands above its place. Lanes that a fan-out joins do the same trip together, so that a word
//! that several of them want is read once, and sums of several of them are written once. A sum that was begun before is read back.
//! Lanes want the same word only where they differ in ranks that do not index the tensor: the overlap of neighbouring windows of a
//! convolution is fetched by each lane.

use std::collections::{HashMap, HashSet};

use crate::paper::{Machine, Problem, Step, Tensor};
use crate::tally::{Transfer, places};

/// What was seen.
#[derive(Debug, Clone)]
pub struct Run {
    /// Words moved.
    pub transfers: Vec<Transfer>,
    /// Points computed.
    pub points: u64,
    /// Steps in time of the lane with the most.
    pub steps: u64,
    /// What went wrong on the way.
    pub faults: Vec<String>,
    /// Most words held at once at every place, by step.
    pub held: Vec<u64>,
}

/// One transfer under way.
#[derive(Default)]
struct Flow {
    met: HashSet<(u64, u128)>,
    begun: HashSet<(u64, u128)>,
    up: HashMap<u64, u64>,
    down: HashMap<u64, u64>,
    again: HashMap<u64, u64>,
    taken: HashMap<u64, u64>,
}

struct Executor<'a> {
    machine: &'a Machine,
    problem: &'a Problem,
    steps: &'a [Step],
    /// Most trips or lanes of every step: the base of its digit in a key.
    base: Vec<u64>,
    /// By tensor: its places.
    places: Vec<Vec<usize>>,
    /// By step (the last one: the computing unit) and tensor.
    flows: Vec<Vec<Flow>>,
    /// Words now at a place, by step.
    here: Vec<HashSet<u128>>,
    held: Vec<u64>,
    computed: HashSet<u64>,
    points: u64,
    lanes: HashMap<u64, u64>,
    faults: Vec<String>,
}

/// Carries out a mapping; the op must be small.
pub fn execute(machine: &Machine, problem: &Problem, steps: &[Step]) -> Run {
    let tensors = problem.tensors.len();
    let mut x = Executor {
        machine,
        problem,
        steps,
        base: bases(problem, steps),
        places: (0..tensors).map(|t| places(steps, t)).collect(),
        flows: (0..=steps.len()).map(|_| (0..tensors).map(|_| Flow::default()).collect()).collect(),
        here: vec![HashSet::new(); steps.len()],
        held: vec![0; steps.len()],
        computed: HashSet::new(),
        points: 0,
        lanes: HashMap::new(),
        faults: Vec::new(),
    };
    let mut box_: Vec<(u64, u64)> = problem.ranks.iter().map(|r| (0, r.extent)).collect();
    let mut at = vec![0; steps.len()];
    x.descend(0, &mut box_, &mut at);
    x.report()
}

fn bases(problem: &Problem, steps: &[Step]) -> Vec<u64> {
    let mut size: Vec<u64> = problem.ranks.iter().map(|r| r.extent).collect();
    steps
        .iter()
        .map(|s| {
            let Some((rank, tile, _)) = s.split() else { return 1 };
            let n = size[rank].div_ceil(tile);
            size[rank] = size[rank].min(tile);
            n
        })
        .collect()
}

fn total(m: &HashMap<u64, u64>) -> [f64; 2] {
    [m.values().sum::<u64>() as f64, m.values().max().copied().unwrap_or(0) as f64]
}

impl Executor<'_> {
    fn descend(&mut self, step: usize, tile: &mut Vec<(u64, u64)>, at: &mut Vec<u64>) {
        if step == self.steps.len() {
            return self.compute(tile, at);
        }
        match self.steps[step] {
            Step::Store { tensor, .. } => {
                self.visit(step, tensor, tile, at);
                self.descend(step + 1, tile, at);
            }
            Step::Loop { rank, tile: size } | Step::Spread { rank, tile: size, .. } => {
                let whole = tile[rank];
                for i in 0..whole.1.div_ceil(size) {
                    tile[rank] = (whole.0 + i * size, size.min(whole.1 - i * size));
                    at[step] = i;
                    self.descend(step + 1, tile, at);
                }
                tile[rank] = whole;
                at[step] = 0;
            }
        }
    }

    /// The step indices that `wanted` picks as one number.
    fn key(&self, at: &[u64], to: usize, wanted: impl Fn(usize) -> bool) -> u64 {
        (0..to).filter(|&i| wanted(i)).fold(0, |k, i| k * self.base[i] + at[i])
    }

    fn instance(&self, at: &[u64], to: usize) -> u64 {
        self.key(at, to, |i| matches!(self.steps[i], Step::Spread { .. }))
    }

    /// A tile of a tensor comes to a place and, of an output, goes again.
    fn visit(&mut self, step: usize, tensor: usize, tile: &[(u64, u64)], at: &[u64]) {
        let words = words(&self.problem.tensors[tensor], self.problem, tile);
        let parent = self.places[tensor].iter().rev().find(|&&p| p < step).copied();
        if let Some(p) = parent {
            if !words.is_subset(&self.here[p]) {
                self.faults.push(format!("step {step} wants words that the place above does not hold"));
            }
            self.flow(p, step, tensor, &words, at);
        }
        if step < self.steps.len() {
            self.held[step] = self.held[step].max(words.len() as u64);
            self.here[step] = words;
        }
    }

    fn flow(&mut self, parent: usize, step: usize, tensor: usize, words: &HashSet<u128>, at: &[u64]) {
        let t = &self.problem.tensors[tensor];
        let joined = |i: usize| match self.steps[i] {
            Step::Spread { level, fanout, rank, .. } => {
                i > parent && !t.indexed_by(rank) && self.machine.levels[level].fanouts[fanout].joins(t)
            }
            _ => false,
        };
        let key = self.key(at, step, |i| !joined(i));
        let (above, below) = (self.instance(at, parent), self.instance(at, step));
        let output = t.is_output();
        let flow = &mut self.flows[step][tensor];
        for &w in words {
            *flow.down.entry(below).or_default() += 1;
            if !flow.met.insert((key, w)) {
                continue;
            }
            *flow.up.entry(above).or_default() += 1;
            if output && !flow.begun.insert((above, w)) {
                *flow.again.entry(above).or_default() += 1;
                *flow.taken.entry(below).or_default() += 1;
            }
        }
    }

    fn compute(&mut self, tile: &[(u64, u64)], at: &[u64]) {
        if tile.iter().any(|t| t.1 != 1) {
            self.faults.push("the innermost tile is no single point".into());
        }
        let point = tile.iter().zip(&self.problem.ranks).fold(0, |k, (t, r)| k * r.extent + t.0);
        if !self.computed.insert(point) {
            self.faults.push("a point is computed twice".into());
        }
        self.points += 1;
        let lane = self.instance(at, self.steps.len());
        *self.lanes.entry(lane).or_default() += 1;
        for tensor in 0..self.problem.tensors.len() {
            self.visit(self.steps.len(), tensor, tile, at);
        }
        self.faults.truncate(1);
    }

    fn report(mut self) -> Run {
        let mut transfers = Vec::new();
        for tensor in 0..self.problem.tensors.len() {
            let list = self.places[tensor].clone();
            for (i, &parent) in list.iter().enumerate() {
                let child = list.get(i + 1).copied();
                let f = std::mem::take(&mut self.flows[child.unwrap_or(self.steps.len())][tensor]);
                let inner = |m: &HashMap<u64, u64>| if child.is_some() { total(m) } else { [0.0; 2] };
                let (down, taken) = (inner(&f.down), inner(&f.taken));
                transfers.push(Transfer { tensor, parent, child, up: total(&f.up), down, again: total(&f.again), taken });
            }
        }
        let steps = self.lanes.values().max().copied().unwrap_or(0);
        Run { transfers, points: self.points, steps, faults: self.faults, held: self.held }
    }
}

/// Words of a tensor that a box of points touches.
fn words(t: &Tensor, problem: &Problem, tile: &[(u64, u64)]) -> HashSet<u128> {
    let mut out: Vec<u128> = vec![0];
    for d in &t.dims {
        let stride = |s: u64| if d.len() > 1 { u128::from(s) } else { 1 };
        let last: u128 = d.iter().map(|&(r, s)| u128::from(problem.ranks[r].extent - 1) * stride(s)).sum();
        let mut along: Vec<u128> = vec![0];
        for &(r, s) in d {
            let (from, n) = tile[r];
            along = along.iter().flat_map(|&b| (from..from + n).map(move |i| b + u128::from(i) * stride(s))).collect();
        }
        out = out.iter().flat_map(|&b| along.iter().map(move |&i| b * (last + 1) + i)).collect();
    }
    out.into_iter().collect()
}
