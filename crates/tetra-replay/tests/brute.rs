//! The mapper's best mapping against every mapping of the mapspace, one by one, without any of its rules, priced by the checker.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod case;

use case::{Dice, KINDS};
use tetra_chip::nest::{self, Objective, certify, search};
use tetra_replay::paper::{Machine, Mode, Problem, Step};
use tetra_replay::price::price;
use tetra_replay::{check, legal};

/// Every mapping: subsets and orders of places, any loops between, up to two ranks side by side on a fan-out.
struct All<'a> {
    machine: &'a Machine,
    problem: &'a Problem,
    mode: Mode,
    steps: Vec<Step>,
    most: u64,
    seen: u64,
    refused: u64,
    best: [(f64, Vec<Step>); 3],
}

impl All<'_> {
    fn size(&self, rank: usize) -> (u64, bool) {
        let last = self.steps.iter().rev().find_map(|s| match *s {
            Step::Loop { rank: r, tile } | Step::Spread { rank: r, tile, .. } if r == rank => Some(tile),
            _ => None,
        });
        (last.unwrap_or(self.problem.ranks[rank].extent), last.is_none())
    }
    fn tiles(&self, rank: usize) -> Vec<u64> {
        let (size, first) = self.size(rank);
        (1..size).filter(|t| first || size % t == 0).collect()
    }
    /// Any loops, then what follows.
    fn gap(&mut self, rank: usize, then: &mut dyn FnMut(&mut Self)) {
        // Beginnings that do not fit count, too: a case may have few mappings among very many of them.
        if self.gives_up() {
            return;
        }
        if rank == self.problem.ranks.len() {
            return then(self);
        }
        self.gap(rank + 1, then);
        for tile in self.tiles(rank) {
            self.steps.push(Step::Loop { rank, tile });
            self.gap(rank + 1, then);
            self.steps.pop();
        }
    }
    /// Places of a level below those in `kept`.
    fn level(&mut self, l: usize, kept: u32) {
        if l == self.machine.levels.len() {
            return self.leaf();
        }
        let t_count = self.problem.tensors.len();
        let role = |t: usize| self.problem.tensors[t].role[0];
        let open: Vec<usize> = (0..t_count).filter(|&t| kept & 1 << t == 0 && self.machine.levels[l].may_keep.contains(&role(t))).collect();
        let due = (0..t_count).any(|t| kept & 1 << t == 0 && self.machine.levels[l].keep.contains(&role(t)));
        for t in open {
            self.gap(0, &mut |s| {
                s.steps.push(Step::Store { level: l, tensor: t });
                if s.fits(l) {
                    s.level(l, kept | 1 << t);
                } else {
                    s.refused += 1;
                }
                s.steps.pop();
            });
        }
        if !due {
            self.fan(l, 0);
        }
    }
    fn gives_up(&self) -> bool {
        self.seen > self.most || self.refused > 30 * self.most
    }
    fn fits(&self, l: usize) -> bool {
        // Only capacities can be wrong of a nest that is not finished.
        let only = Machine { levels: self.machine.levels.iter().take(l + 1).cloned().collect(), ..self.machine.clone() };
        !legal::faults(&only, self.problem, &self.steps, self.mode).iter().any(|f| f.contains("would hold"))
    }
    fn fan(&mut self, l: usize, f: usize) {
        let Some(fan) = self.machine.levels[l].fanouts.get(f) else { return self.level(l + 1, 0) };
        let size = fan.size;
        let barred = |r: usize| self.problem.tensors.iter().any(|t| t.indexed_by(r) && fan.must_reuse.contains(&t.role[0]));
        let free: Vec<usize> = (0..self.problem.ranks.len()).filter(|&r| !barred(r)).collect();
        self.fan(l, f + 1);
        self.gap(0, &mut |s| s.spread(l, f, &free, size, 2));
    }
    fn spread(&mut self, l: usize, f: usize, free: &[usize], room: u64, more: u32) {
        for (i, &rank) in free.iter().enumerate() {
            for tile in self.tiles(rank) {
                let lanes = self.size(rank).0.div_ceil(tile);
                if lanes <= room {
                    self.steps.push(Step::Spread { level: l, fanout: f, rank, tile, lanes });
                    self.fan(l, f + 1);
                    if more > 1 {
                        self.spread(l, f, &free[i + 1..], room / lanes, more - 1);
                    }
                    self.steps.pop();
                }
            }
        }
    }
    fn leaf(&mut self) {
        let mark = self.steps.len();
        self.seen += 1;
        for rank in 0..self.problem.ranks.len() {
            if self.size(rank).0 > 1 {
                self.steps.push(Step::Loop { rank, tile: 1 });
            }
        }
        let (c, _) = price(self.machine, self.problem, &self.steps, self.mode);
        for (best, key) in self.best.iter_mut().zip([c.cycles, c.energy_j, c.energy_j * c.cycles]) {
            if key < best.0 {
                *best = (key, self.steps.clone());
            }
        }
        self.steps.truncate(mark);
    }
}

const OBJECTIVES: [Objective; 3] = [Objective::Time, Objective::Energy, Objective::Edp];

fn small(d: &mut Dice, seed: u64) -> (nest::Machine, nest::Problem, nest::Mode, String) {
    let fanouts = d.below(3);
    let mut machine = case::machine(d, 4, fanouts, 24);
    for l in &mut machine.levels {
        l.fanouts.iter_mut().for_each(|f| f.size = f.size.min(4));
    }
    let most = d.from(2, 6);
    let text = case::op_text(d, KINDS[seed as usize % KINDS.len()], most);
    let mode = if d.chance(50) { nest::Mode::Ideal } else { nest::Mode::Real };
    let problem = case::op(&text, &machine, mode == nest::Mode::Ideal);
    (machine, problem, mode, text)
}

fn one(seed: u64, most: u64, wrong: &mut Vec<String>) -> Option<u64> {
    let mut d = Dice::new(seed + 77);
    let (machine, problem, mode, text) = small(&mut d, seed);
    let used = machine.for_work(problem.work);
    let none = nest::Nest::default();
    let (m, p, _) = case::read(&used, &problem, &none);
    let own = if mode == nest::Mode::Ideal { Mode::Ideal } else { Mode::Real };
    let best = [(); 3].map(|()| (f64::INFINITY, Vec::new()));
    let mut all = All { machine: &m, problem: &p, mode: own, steps: Vec::new(), most, seen: 0, refused: 0, best };
    all.steps.extend((0..p.tensors.len()).map(|tensor| Step::Store { level: 0, tensor }));
    all.fan(0, 0);
    if all.gives_up() {
        return None;
    }
    for (objective, (least, steps)) in OBJECTIVES.into_iter().zip(&all.best) {
        let found = search(&problem, &machine, mode, objective);
        let key = found.as_ref().map_or(f64::INFINITY, |f| match objective {
            Objective::Time => f.cost.cycles,
            Objective::Energy => f.cost.energy_j,
            Objective::Edp => f.cost.edp(),
        });
        let said = found.as_ref().map(|f| check(&serde_json::to_string(&certify(&problem, &machine, mode, objective, f)).unwrap()));
        if let Some(Err(findings)) = &said {
            wrong
                .push(format!("CERTIFICATE {seed} {text} {mode:?} {objective:?} {findings:?}\n  {:?}", found.as_ref().unwrap().nest.steps));
        }
        if !(key == *least || (key - least).abs() <= 1e-9 * least.abs()) {
            let theirs = found.map(|f| f.nest.steps);
            let m = serde_json::to_string(&used).unwrap();
            wrong.push(format!("BEST {seed} {text} {mode:?} {objective:?}: mapper {key} {theirs:?}\n  brute {least} {steps:?}\n  {m}"));
        }
    }
    Some(all.seen)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

fn compare(cases: u64) {
    let (mut wrong, mut done, mut mappings, mut seed) = (Vec::new(), 0, 0, number("SEED", 0));
    while done < cases {
        if let Some(n) = one(seed, number("MOST", 3000), &mut wrong) {
            done += 1;
            mappings += n;
        }
        seed += 1;
    }
    println!("{done} cases of {seed} tried, {mappings} mappings, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} of {done}:\n{}", wrong.len(), wrong[..wrong.len().min(number("SHOW", 6) as usize)].join("\n"));
}

#[test]
fn no_mapping_is_better_than_the_best() {
    compare(300);
}

#[test]
#[ignore = "minutes: CASES, MOST and SEED choose how many, how large and which"]
fn no_mapping_is_better_than_the_best_of_ten_thousand() {
    compare(number("CASES", 10_000));
}
