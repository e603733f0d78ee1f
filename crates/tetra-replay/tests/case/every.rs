//! Every mapping of a mapspace, one by one, without any of the mapper's rules, priced by the checker.

use tetra_replay::legal;
use tetra_replay::paper::{Cost, Machine, Mode, Problem, Step};
use tetra_replay::price::price;

/// Every mapping: subsets and orders of places, any loops between, up to two ranks side by side on a fan-out.
struct Every<'a> {
    machine: &'a Machine,
    problem: &'a Problem,
    mode: Mode,
    steps: Vec<Step>,
    most: u64,
    seen: u64,
    refused: u64,
    told: &'a mut dyn FnMut(&Cost, &[Step]),
}

/// Tells every mapping with its cost; none when there are more than `most`, else how many there were.
pub fn every(machine: &Machine, problem: &Problem, mode: Mode, most: u64, told: &mut dyn FnMut(&Cost, &[Step])) -> Option<u64> {
    let steps = (0..problem.tensors.len()).map(|tensor| Step::Store { level: 0, tensor }).collect();
    let mut all = Every { machine, problem, mode, steps, most, seen: 0, refused: 0, told };
    all.fan(0, 0);
    (!all.gives_up()).then_some(all.seen)
}

impl Every<'_> {
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
        (self.told)(&c, &self.steps);
        self.steps.truncate(mark);
    }
}
