//! The best mapping of one op on one machine, exact over the mapspace of `space.rs`.
//!
//! From the MAC outward: a place of a tensor costs the same whatever lies further out, except for what is charged to its parent, so that
//! cost so far, plus the least that pending words can cost, plus the compulsory traffic of the outermost level, is a lower bound
//! (branch and bound; compulsory traffic after Huang et al., Mind the Gap, ISCA 2024). Sizes of a loop are tried from the largest down:
//! the bound only rises, so that the first size that it excludes ends the loop. Leaves that the bound lets through are counted in full.

use crate::nest::bound::{Weights, least_joules, steps_down};
use crate::nest::loops::{Nest, Spreading, Step, steps};
use crate::nest::machine::{MOST_FANOUTS, MOST_LEVELS, Machine};
use crate::nest::objective::Objective;
use crate::nest::power::Settled;
use crate::nest::price::{Mode, NestCost, port, price};
use crate::nest::problem::{MOST_RANKS, MOST_TENSORS, Problem, Sizes};
use crate::nest::space::{Space, ranks_of};
use crate::nest::spread::{Assignment, Choice, Visitor};

/// Counts of the search, by rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Assignments of ranks to fan-outs that were considered.
    pub assignments: u64,
    /// Of those, excluded by the bound.
    pub assignments_bound: u64,
    /// Places of tensors that were tried.
    pub places: u64,
    /// Places that do not fit their level, each with all sizes larger than its own.
    pub capacity: u64,
    /// Places excluded by the bound, each with all sizes smaller than its own.
    pub bound: u64,
    /// Whole mappings with a loop above an outermost place that it does not index: never better.
    pub dominated: u64,
    /// Whole mappings whose cost was found.
    pub evaluated: u64,
    /// Of those, counted in full because the bound did not exclude them.
    pub counted: u64,
    /// Whether the search ended at its limit of places: the mapping is the best one seen, not proved best.
    pub stopped: bool,
}

/// The best mapping and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The mapping.
    pub nest: Nest,
    /// Its cost.
    pub cost: NestCost,
    /// The search.
    pub tally: Tally,
}

/// Finds the best mapping; none where no mapping fits the capacities.
pub fn search(problem: &Problem, machine: &Machine, mode: Mode, objective: Objective) -> Option<Found> {
    run(problem, machine, mode, objective, Some(MOST_PLACES))
}

/// The same without the bound: every mapping that fits is evaluated. For tests and for the rate of evaluation.
pub fn search_exhaustively(problem: &Problem, machine: &Machine, mode: Mode, objective: Objective) -> Option<Found> {
    run(problem, machine, mode, objective, None)
}

/// Without a limit of places there is no bound either.
fn run(problem: &Problem, machine: &Machine, mode: Mode, objective: Objective, limit: Option<u64>) -> Option<Found> {
    let machine = &machine.for_work(problem.work);
    let space = Space::new(problem, machine, mode);
    let mut s = Search::new(&space, objective, limit);
    if let Some(limit) = limit {
        (s.greedy, s.seeds, s.limit) = (true, GREEDY_ASSIGNMENTS, weighed(limit, machine) / GREEDY_SHARE);
        Choice { space: &space, visitor: &mut s }.all();
        (s.greedy, s.limit, s.tally) = (false, weighed(limit, machine), Tally::default());
    }
    Choice { space: &space, visitor: &mut s }.all();
    s.best.map(|(nest, cost)| Found { nest, cost, tally: s.tally })
}

/// All mappings that no other one beats in both energy and time, the cheapest in energy first.
pub fn front(problem: &Problem, machine: &Machine, mode: Mode) -> Vec<Found> {
    front_within(problem, machine, mode, false, MOST_PLACES)
}

/// The same with a limit of places, and where asked over the cycles of the outermost port, too; the tally says whether the limit was
/// reached and counts all that was done.
pub(crate) fn front_within(problem: &Problem, machine: &Machine, mode: Mode, ports: bool, limit: u64) -> Vec<Found> {
    let machine = &machine.for_work(problem.work);
    let space = Space::new(problem, machine, mode);
    let mut s = Search::new(&space, Objective::Energy, Some(limit));
    (s.front, s.ports) = (Some(Vec::new()), ports);
    let mut before = 0;
    // The best of each kind excludes most of the space before it is walked.
    for objective in [Objective::Energy, Objective::Edp, Objective::Time] {
        if let Some(found) = run(problem, machine, mode, objective, Some(limit)) {
            s.keep(found.nest, found.cost);
            before += found.tally.places;
        }
    }
    Choice { space: &space, visitor: &mut s }.all();
    let mut tally = s.tally;
    tally.places += before;
    let mut list: Vec<Found> = s.front.unwrap_or_default().into_iter().map(|(nest, cost)| Found { nest, cost, tally }).collect();
    list.sort_by(|a, b| a.cost.energy_j.total_cmp(&b.cost.energy_j));
    list
}

/// Places and assignments after which a search gives up proving: some tens of seconds.
const MOST_PLACES: u64 = 50_000_000;
/// Assignments from which a first mapping is made before the search, and the share of the places that this may take.
const GREEDY_ASSIGNMENTS: usize = 2000;
const GREEDY_SHARE: u64 = 16;
/// Levels up to which a place costs what limits are meant for.
const USUAL_LEVELS: u64 = 3;
/// Places that take as long as a count in full.
const FULL_COUNT: u64 = 32;

fn weighed(limit: u64, machine: &Machine) -> u64 {
    limit / (machine.levels.len() as u64).div_ceil(USUAL_LEVELS)
}

/// Words on their way between a place and its parent.
#[derive(Clone, Copy)]
struct Pending {
    /// Words, those that lanes share counted once as far as the fan-outs have been passed.
    words: f64,
    /// Words of all instances.
    down: f64,
    level: usize,
}

#[derive(Clone, Copy)]
struct State {
    tile: Sizes,
    /// Steps in time of one tile, by rank.
    time: Sizes,
    /// Cycles per step of an array that fills and drains.
    per_step: f64,
    lower: Option<usize>,
    energy: f64,
    cycles: f64,
    read: [f64; MOST_LEVELS],
    written: [f64; MOST_LEVELS],
    pending: [Pending; MOST_TENSORS],
    /// Spreads passed.
    passed: usize,
}

pub(crate) struct Search<'a> {
    space: &'a Space<'a>,
    objective: Objective,
    best: Option<(Nest, NestCost)>,
    best_key: (f64, f64),
    /// Mappings that no other one beats, where they are asked for.
    front: Option<Vec<(Nest, NestCost)>>,
    /// Whether the front counts the outermost port, too.
    ports: bool,
    /// Cycles of the outermost level's port for every tensor once.
    compulsory: f64,
    tally: Tally,
    path: Vec<Step>,
    assignment: Assignment,
    /// Tile of each tensor's innermost place so far, and spreads passed when it was made.
    made: [(Sizes, usize); MOST_TENSORS],
    spreads: [(usize, Spreading, u8); MOST_FANOUTS],
    /// Least joules of crossing the boundary below each level, of all boundaries above it, and the fall of the cheapest access there.
    least_joules: [f64; MOST_LEVELS],
    least_above: [f64; MOST_LEVELS],
    steps_down: [Weights; MOST_LEVELS],
    bounded: bool,
    limit: u64,
    greedy: bool,
    /// Assignments that the greedy pass still begins from.
    seeds: usize,
    /// Whether the greedy pass has its mapping.
    done: bool,
}

impl<'a> Search<'a> {
    fn new(space: &'a Space<'a>, objective: Objective, limit: Option<u64>) -> Self {
        let least_joules = least_joules(space);
        let mut sum = 0.0;
        let least_above = least_joules.map(|j| {
            let before = sum;
            sum += j;
            before
        });
        Self {
            space,
            objective,
            made: [([1; MOST_RANKS], 0); MOST_TENSORS],
            spreads: [(0, Spreading::default(), 0); MOST_FANOUTS],
            least_joules,
            least_above,
            steps_down: std::array::from_fn(|l| if l < space.machine.levels.len() { steps_down(space, l) } else { [0.0; MOST_TENSORS] }),
            best: None,
            best_key: (f64::INFINITY, f64::INFINITY),
            front: None,
            ports: false,
            compulsory: compulsory_cycles(space),
            tally: Tally::default(),
            path: Vec::with_capacity(64),
            assignment: Assignment::default(),
            bounded: limit.is_some(),
            limit: limit.map_or(u64::MAX, |l| weighed(l, space.machine)),
            greedy: false,
            seeds: 0,
            done: false,
        }
    }

    /// Searches one assignment; false when the bound excludes all of it.
    fn begin(&mut self, assignment: &Assignment) -> bool {
        self.tally.assignments += 1;
        self.assignment = *assignment;
        self.done = false;
        if self.stops() {
            return false;
        }
        let (space, levels) = (self.space, self.space.machine.levels.len());
        let mut list = [Pending { words: 0.0, down: 0.0, level: levels }; MOST_TENSORS];
        self.made = [([1; MOST_RANKS], 0); MOST_TENSORS];
        for (t, p) in list.iter_mut().enumerate().take(space.tensors) {
            let relevant = space.problem.tensors[t].relevant();
            p.words = space.problem.tensors[t].footprints(&space.whole, &[1; MOST_RANKS]) as f64
                * (0..space.ranks).filter(|r| relevant & 1 << r == 0).fold(1.0, |n, r| n * space.whole[r] as f64);
            p.down = p.words;
        }
        let mut state = State {
            tile: [1; MOST_RANKS],
            time: [1; MOST_RANKS],
            per_step: space.step_cycles,
            lower: None,
            energy: space.base_j,
            cycles: assignment.least_steps(space).max(space.base_cycles).max(self.compulsory),
            read: [0.0; MOST_LEVELS],
            written: [0.0; MOST_LEVELS],
            pending: list,
            passed: 0,
        };
        if self.excluded(&state, levels) {
            self.tally.assignments_bound += 1;
            return false;
        }
        self.up(levels, &mut state);
        true
    }

    /// Whether no mapping that begins like this is better than the best; `level` is that of the place just made (their number: none yet).
    fn excluded(&self, state: &State, level: usize) -> bool {
        self.bounded && !self.improves(self.least_energy(state, level), state.cycles + self.space.launch, self.compulsory)
    }

    /// What is compared: energy and time as they come out under the power cap.
    fn key(&self, energy: f64, cycles: f64) -> (f64, f64) {
        Settled::from_figures(energy, cycles, self.space.machine, self.space.mode).key(self.objective)
    }

    /// Whether those figures are better than the best, or not beaten by the front.
    fn improves(&self, energy: f64, cycles: f64, port: f64) -> bool {
        let most = if self.ports { port } else { f64::INFINITY };
        match &self.front {
            Some(list) => !list.iter().any(|(_, c)| c.energy_j <= energy && c.cycles <= cycles && c.port_cycles[0] <= most),
            None => self.key(energy, cycles) < self.best_key,
        }
    }

    /// Takes a mapping in if it improves.
    fn keep(&mut self, nest: Nest, cost: NestCost) {
        if !self.improves(cost.energy_j, cost.cycles, cost.port_cycles[0]) {
            return;
        }
        if let Some(list) = &mut self.front {
            let fewer = |c: &NestCost| self.ports && c.port_cycles[0] < cost.port_cycles[0];
            list.retain(|(_, c)| c.energy_j < cost.energy_j || c.cycles < cost.cycles || fewer(c));
            list.push((nest, cost));
        } else {
            self.best_key = self.key(cost.energy_j, cost.cycles);
            self.best = Some((nest, cost));
        }
    }

    /// Energy so far, of pending words by the cheapest access at this level or above, and of crossing the boundaries further out.
    fn least_energy(&self, state: &State, level: usize) -> f64 {
        let at = level.min(self.space.machine.levels.len() - 1);
        let step = &self.steps_down[at.max(1) - 1];
        let (mut energy, mut crossing) = (state.energy, 0.0);
        let tensors = self.space.operands.iter().zip(&state.pending).zip(step).take(self.space.tensors);
        for (t, ((o, p), step)) in tensors.enumerate() {
            let words = p.words / self.assignment.shared_above(level, t);
            energy += words * o.least[at];
            if o.output {
                let again = (words - o.whole * self.assignment.apart_above(level, t)).max(0.0);
                energy += if again > 0.0 { words * o.least[at] * (o.sum_bits / o.bits - 1.0) + again * o.least_again[at] } else { 0.0 };
            }
            // What lies further in than this level may still find its parent here.
            crossing += step * if p.level == at { words } else { o.whole };
        }
        if at == 0 { energy } else { energy + self.least_above[at - 1] + crossing.max(self.least_joules[at - 1]) }
    }

    /// Leaves level `level` (index; the number of levels: the MAC) for the one above it.
    fn up(&mut self, level: usize, state: &mut State) {
        let above = level - 1;
        if !self.assignment.spreads[..self.assignment.len].iter().any(|s| s.level == above) {
            return self.enter(above, state);
        }
        let mut next = *state;
        let mark = self.path.len();
        for i in 0..self.assignment.len {
            let s = self.assignment.spreads[i];
            if s.level == above {
                self.pass(&mut next, s.fanout, s.rank, s.lanes, above);
            }
        }
        self.enter(above, &mut next);
        self.path.truncate(mark);
    }

    fn enter(&mut self, level: usize, state: &mut State) {
        if level == 0 { self.top(state) } else { self.place(level, state, 0, 0) }
    }

    /// Passes one spread outward: a tile grows by its lanes, words that lanes share are fetched once.
    fn pass(&mut self, state: &mut State, fanout: usize, rank: usize, lanes: u64, level: usize) {
        let piece = state.tile[rank];
        let lanes = lanes.min(self.space.whole[rank].div_ceil(piece));
        if lanes <= 1 {
            return;
        }
        self.path.push(Step::Spread { level, fanout, rank, tile: piece, lanes });
        let f = &self.space.machine.levels[level].fanouts[fanout];
        let mut sharing = 0u8;
        for t in 0..self.space.tensors {
            let o = &self.space.operands[t];
            let shares = if o.output { f.reduces } else { f.multicast.has(o.role) };
            sharing |= u8::from(shares && o.relevant & 1 << rank == 0) << t;
        }
        state.tile[rank] = piece * lanes;
        self.spreads[state.passed] = (rank, Spreading { tile: piece * lanes, piece }, sharing);
        for t in (0..self.space.tensors).filter(|t| sharing & 1 << t != 0) {
            let ratio = self.trips(state.passed + 1, t, rank) as f64 / self.trips(state.passed, t, rank) as f64;
            state.pending[t].words *= ratio;
        }
        state.passed += 1;
    }

    /// Chooses the next place outward in a level, or leaves the level.
    fn place(&mut self, level: usize, state: &mut State, kept: u8, used: u64) {
        for t in 0..self.space.tensors {
            if self.space.may[level] & !kept & 1 << t != 0 && !self.done {
                let set = self.space.between(t, state.lower);
                self.gap(level, t, set, state, kept, used);
            }
        }
        if self.space.must[level] & !kept == 0 && !self.done {
            self.up(level, state);
        }
    }

    /// Loops over the ranks of `set` below a new place of `t`, then the place. False when there is no loop and the bound excludes the place.
    fn gap(&mut self, level: usize, t: usize, set: u32, state: &mut State, kept: u8, used: u64) -> bool {
        let Some(rank) = ranks_of(set).next() else { return self.put(level, t, state, kept, used) };
        let rest = set & !(1 << rank);
        let (inner, time) = (state.tile[rank], state.time[rank]);
        let n = self.space.whole[rank].div_ceil(inner);
        let ends = rest == 0 && self.space.operands[t].sticky & 1 << rank == 0;
        let indexes = self.space.operands[t].relevant & 1 << rank != 0;
        let mut f = if indexes { self.largest_that_fits(level, t, rank, state, used) } else { n };
        while f > 0 {
            (state.tile[rank], state.time[rank]) = (inner * f, time * f);
            if f > 1 {
                self.path.push(Step::Loop { rank, tile: inner });
            }
            let within = self.gap(level, t, rest, state, kept, used);
            if f > 1 {
                self.path.pop();
            }
            if self.done || (!within && ends) {
                break;
            }
            f = self.space.smaller(rank, inner, f);
        }
        (state.tile[rank], state.time[rank]) = (inner, time);
        true
    }

    /// The largest loop over a rank that indexes a tensor whose tile still fits its level; 0 if none does.
    fn largest_that_fits(&mut self, level: usize, t: usize, rank: usize, state: &State, used: u64) -> u64 {
        let n = self.space.whole[rank].div_ceil(state.tile[rank]);
        let mut tile = state.tile;
        let mut fits = |f: u64| {
            tile[rank] = state.tile[rank] * f;
            used.saturating_add(self.space.tile_bits(t, &tile)) <= self.space.capacity[level]
        };
        if fits(n) {
            return n;
        }
        let (mut low, mut high) = (0, n);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        self.tally.capacity += 1;
        self.space.smaller(rank, state.tile[rank], low + 1)
    }

    /// Whether the search has come to its limit: it ends as the greedy pass does, with what it has.
    fn stops(&mut self) -> bool {
        if self.tally.places + self.tally.assignments + FULL_COUNT * self.tally.counted >= self.limit {
            (self.tally.stopped, self.done) = (true, true);
        }
        self.done
    }

    fn put(&mut self, level: usize, t: usize, state: &State, kept: u8, used: u64) -> bool {
        self.tally.places += 1;
        if self.stops() {
            return true;
        }
        let used = used.saturating_add(self.space.tile_bits(t, &state.tile));
        if used > self.space.capacity[level] {
            self.tally.capacity += 1;
            return true;
        }
        let mut next = *state;
        self.resolve(&mut next, t, level);
        self.fill(&mut next, t, level);
        next.lower = Some(t);
        if self.excluded(&next, level) {
            self.tally.bound += 1;
            return false;
        }
        if state.lower.is_none() {
            next.per_step = self.space.per_step(&next.time) * self.space.step_cycles;
        }
        if self.assignment.spreads_above(level) || next.per_step > 1.0 {
            // Smaller tiles may fill more lanes: this bound does not end the loop.
            next.cycles = next.cycles.max(self.least_steps(&next, level));
            if self.excluded(&next, level) {
                self.tally.bound += 1;
                return true;
            }
        }
        let before = std::mem::replace(&mut self.made[t], (state.tile, state.passed));
        self.path.push(Step::Store { level, tensor: t });
        self.place(level, &mut next, kept | 1 << t, used);
        self.path.pop();
        self.made[t] = before;
        true
    }

    /// Least steps in time when tiles have grown before all their lanes are filled.
    fn least_steps(&self, state: &State, level: usize) -> f64 {
        let above = self.assignment.lanes_above(level);
        ranks_of(self.space.live).fold(state.per_step, |n, r| {
            let (whole, tile) = (self.space.whole[r], state.tile[r]);
            let lanes = above[r].min(whole.div_ceil(tile));
            let mean = whole as f64 / (tile.saturating_mul(lanes)) as f64;
            let full = (whole / tile).div_ceil(lanes) as f64;
            n * state.time[r] as f64 * mean.max(full)
        })
    }

    /// Charges the words that a level sends to (takes from) the place further in.
    fn resolve(&self, s: &mut State, t: usize, level: usize) {
        let (o, l, p) = (&self.space.operands[t], &self.space.machine.levels[level], s.pending[t]);
        let child = self.space.machine.levels.get(p.level);
        if o.output {
            let again = (p.words - o.whole * self.assignment.apart_above(level, t)).max(0.0);
            let width = if again > 0.0 { o.sum_bits } else { o.bits };
            s.written[level] += p.words * width;
            s.read[level] += again * o.sum_bits;
            s.energy += p.words * width * l.write_j_per_bit + again * o.sum_bits * l.read_j_per_bit;
            if let Some(c) = child {
                s.energy += again * o.sum_bits * c.write_j_per_bit + p.down * (width - o.bits) * c.read_j_per_bit;
                s.written[p.level] += again * o.sum_bits;
                s.read[p.level] += p.down * (width - o.bits);
            }
        } else {
            s.read[level] += p.words * o.bits;
            s.energy += p.words * o.bits * l.read_j_per_bit;
        }
        let busy = |i: usize| self.space.least_port_cycles(i, s.read[i], s.written[i]);
        s.cycles = s.cycles.max(busy(level));
        if child.is_some() {
            s.cycles = s.cycles.max(busy(p.level));
        }
    }

    /// Makes a place: what its fills write (its drains read), and the words that now pend.
    fn fill(&self, s: &mut State, t: usize, level: usize) {
        let (space, o) = (self.space, &self.space.operands[t]);
        let mut words = if !o.overlaps { o.whole } else { space.problem.tensors[t].footprints(&space.whole, &s.tile) as f64 };
        for r in ranks_of(space.live & !o.relevant) {
            words *= space.whole[r].div_ceil(s.tile[r]) as f64;
        }
        let l = &space.machine.levels[level];
        if o.output {
            s.read[level] += words * o.bits;
            s.energy += words * o.bits * l.read_j_per_bit;
        } else {
            s.written[level] += words * o.bits;
            s.energy += words * o.bits * l.write_j_per_bit;
        }
        s.cycles = s.cycles.max(space.least_port_cycles(level, s.read[level], s.written[level]));
        s.pending[t] = Pending { words, down: words, level };
    }

    /// The outermost level: remaining loops stand above the outermost place, which they must all index.
    fn top(&mut self, state: &State) {
        let space = self.space;
        let open = ranks_of(space.live).filter(|&r| state.tile[r] < space.whole[r]).fold(0u32, |m, r| m | 1 << r);
        if state.lower.is_some_and(|p| open & !space.operands[p].relevant != 0) {
            self.tally.dominated += 1;
            return;
        }
        let mut next = *state;
        for t in 0..space.tensors {
            self.resolve(&mut next, t, 0);
        }
        self.tally.evaluated += 1;
        next.cycles = next.cycles.max(self.steps(state.passed) * state.per_step);
        let port = space.least_port_cycles(0, next.read[0], next.written[0]);
        if !self.improves(next.energy, next.cycles + self.space.launch, port) {
            return;
        }
        self.tally.counted += 1;
        let nest = self.nest(open, state);
        let cost = price(space.problem, space.machine, &nest, space.mode);
        self.keep(nest, cost);
        self.done = self.greedy;
    }

    /// Steps in time of a rank that does not index a tensor, from its place to the first `passed` spreads.
    fn trips(&self, passed: usize, t: usize, rank: usize) -> u64 {
        let (tile, since) = &self.made[t];
        let mut list = [Spreading::default(); MOST_FANOUTS];
        let mut n = 0;
        for &(r, s, sharing) in self.spreads[*since..passed].iter().rev() {
            if r == rank && sharing & 1 << t != 0 {
                list[n] = s;
                n += 1;
            }
        }
        steps(self.space.whole[rank], &list[..n], tile[rank])
    }

    /// Steps in time of the whole op.
    fn steps(&self, passed: usize) -> f64 {
        ranks_of(self.space.live).fold(1.0, |n, r| {
            let mut list = [Spreading::default(); MOST_FANOUTS];
            let mut len = 0;
            for &(_, s, _) in self.spreads[..passed].iter().rev().filter(|s| s.0 == r) {
                list[len] = s;
                len += 1;
            }
            n * steps(self.space.whole[r], &list[..len], 1) as f64
        })
    }

    fn nest(&self, open: u32, state: &State) -> Nest {
        let stores = (0..self.space.tensors).map(|tensor| Step::Store { level: 0, tensor });
        let loops = ranks_of(open).map(|rank| Step::Loop { rank, tile: state.tile[rank] });
        Nest { steps: stores.chain(loops).chain(self.path.iter().rev().copied()).collect() }
    }
}

fn compulsory_cycles(space: &Space<'_>) -> f64 {
    let sum = |out: bool| space.operands[..space.tensors].iter().filter(|o| o.output == out).map(|o| o.whole * o.bits).sum::<f64>();
    port(&space.machine.levels[0], sum(false), sum(true), space.mode)
}

impl Visitor for Search<'_> {
    fn visit(&mut self, assignment: &Assignment) -> bool {
        if !self.greedy {
            return self.begin(assignment);
        }
        self.seeds = self.seeds.saturating_sub(1);
        self.begin(assignment);
        false
    }

    fn ended(&self) -> bool {
        if self.greedy { self.seeds == 0 } else { self.tally.stopped }
    }

    fn hopeless(&mut self, steps: f64) -> bool {
        if self.greedy {
            return self.seeds == 0;
        }
        self.stops();
        if self.tally.stopped {
            return true;
        }
        let levels = self.space.machine.levels.len();
        let crossing: f64 = self.least_joules[..levels].iter().sum();
        let port = self.compulsory;
        let hopeless = self.bounded && !self.improves(self.space.base_j + crossing, steps.max(port) + self.space.launch, port);
        self.tally.assignments_bound += u64::from(hopeless);
        self.tally.assignments += u64::from(hopeless);
        hopeless
    }
}
