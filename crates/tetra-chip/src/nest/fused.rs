//! A producer and a consumer whose middle tensor never leaves a level: attention (`S = Q·Kᵀ`, softmax, `O = S·V`) and MLP chains
//! (`T = A·W₁`, `C = T·W₂`).
//!
//! Two ranks are tiled outside the level in which they meet (queries and keys; rows and hidden), all others lie whole inside. For every
//! pair of tile sizes (every size of a rank up to 64, of longer ones every number of tiles up to 256, then each a sixteenth more) and
//! both orders of the two loops: tiles of all tensors, the middle one among them, must fit; outer tensors move as the loops want them
//! (`walk.rs`); each phase of a tile is mapped exactly on the machine from that level inward. What phases must move at least excludes
//! most choices before a phase is mapped. Phases of a tile run one after the other beside the traffic of the outer level. Keys masked by
//! causality or a window are left out by tiles. Levels between the outermost and the one of the meeting are passed by. Leaves out:
//! single keys of a tile that are masked, tails in between phases.

use std::collections::BTreeMap;

use tetra_quantity::Bytes;

use crate::nest::bound::least_of;
use crate::nest::count::waste;
use crate::nest::machine::{Level, Machine, Roles};
use crate::nest::objective::Objective;
use crate::nest::op::{Bits, Named, rank, tensor};
use crate::nest::power::Settled;
use crate::nest::price::{Mode, buffers, port};
use crate::nest::problem::{MOST_RANKS, Problem, Rank, Sizes, Tensor, Work};
use crate::nest::search::{Found, front_within};
use crate::nest::space::smaller;
use crate::nest::walk::{Mask, Walk};

/// Bits of a byte.
const BYTE: f64 = 8.0;
/// Place of the middle tensor among the tensors of a pair.
const MIDDLE: usize = 4;
/// Lane operations per score: running maximum, difference, exponential, sum, rescaling.
const SOFTMAX_OPS: u64 = 5;

/// Two ops, the first of which makes what the second takes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Pair {
    /// Name, as asked for.
    pub name: String,
    /// Ranks of both.
    pub ranks: Vec<Rank>,
    /// Tensors of both; the middle one is the last.
    pub tensors: Vec<Tensor>,
    /// Tensors of the two phases: inputs, then the output.
    pub phases: [Vec<usize>; 2],
    /// Independent repetitions (the rank that every tensor has).
    pub batch: u64,
    /// The two ranks tiled outside: the one of rows, and the one that only the middle tensor and the weights have.
    pub outer: [usize; 2],
    /// Which of the second rank a row sees; none: all.
    pub mask: Option<Mask>,
    /// Vector operations per value of the middle tensor.
    pub between_ops: u64,
}

/// The best mapping of a pair.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FoundPair {
    /// Index of the level in which the two meet.
    pub level: usize,
    /// Tile sizes of the two outer ranks.
    pub tiles: [u64; 2],
    /// Whether the loop of rows runs around the other one.
    pub rows_outside: bool,
    /// Joules.
    pub energy_j: f64,
    /// Cycles.
    pub cycles: f64,
    /// Cycles of the outermost level's port.
    pub outer_cycles: f64,
    /// Bytes across the outermost boundary.
    pub outer_bytes: Bytes,
    /// Pairs of tile sizes and orders that fit, and those evaluated in full.
    pub considered: u64,
    /// Of those, evaluated.
    pub evaluated: u64,
    /// Whether the search ended at its limit: the mapping is the best one seen, not proved best.
    pub stopped: bool,
    /// Mappings of the two phases of a full tile.
    #[serde(skip)]
    pub phases: Vec<(Problem, Found)>,
    /// The machine of the phases.
    #[serde(skip)]
    pub inner: Machine,
}

type Refusal = (String, &'static str);

impl Pair {
    /// Attention: `heads`, `kv_heads`, `q`, `kv`, `d` (and `dv`), `batch`, `causal`, `window`; with `shared`, values are the first part of
    /// keys (multi-head latent attention).
    pub(crate) fn attention(name: &str, s: &Named, bits: Bits) -> Result<Self, Refusal> {
        s.known(&["batch", "heads", "kv_heads", "q", "kv", "d", "dv", "causal", "window", "shared"])?;
        let (heads, q, d) = (s.need("heads")?, s.need("q")?, s.need("d")?);
        let kv_heads = s.get("kv_heads").unwrap_or(heads);
        let (kv, dv) = (s.get("kv").unwrap_or(q), s.get("dv").unwrap_or(d));
        if heads % kv_heads != 0 || heads > 1 << 20 || q > 1 << 28 {
            return Err(("heads is no whole number of kv_heads, or too large".into(), "correct heads, kv_heads or q"));
        }
        let group = heads / kv_heads;
        let shared = s.get("shared").is_some();
        if shared && dv > d {
            return Err(("shared keys have at least as many values as dv".into(), "make d the larger one"));
        }
        let ranks = vec![rank("q", group * q), rank("k", kv), rank("d", d), rank("e", dv)];
        let mut tensors = vec![
            tensor("Q", Roles::INPUT, bits, plain(&[0, 2])),
            tensor("K", Roles::WEIGHT, bits, plain(&[1, 2])),
            tensor("O", Roles::OUTPUT, bits, plain(&[0, 3])),
            tensor("V", Roles::WEIGHT, bits, plain(&[1, 3])),
            tensor("S", Roles::OUTPUT, bits, plain(&[0, 1])),
        ];
        if shared {
            // Values lie inside the keys' tile: they take no room and no traffic of their own.
            tensors[3].dims = Vec::new();
        }
        let window = s.get("window").unwrap_or(0);
        let mask = Mask { causal: s.get("causal").is_some(), window, rows_per_position: group };
        let masked = mask.causal || (window > 0 && window < kv);
        Ok(Self {
            name: name.to_owned(),
            ranks,
            tensors,
            phases: [vec![0, 1, 4], vec![4, 3, 2]],
            batch: s.get("batch").unwrap_or(1).saturating_mul(kv_heads),
            outer: [0, 1],
            mask: masked.then_some(mask),
            between_ops: SOFTMAX_OPS,
        })
    }

    /// An MLP: rows, inputs, hidden, outputs.
    pub(crate) fn mlp(name: &str, (m, k, f, n): (u64, u64, u64, u64), bits: Bits) -> Self {
        Self {
            name: name.to_owned(),
            ranks: vec![rank("m", m), rank("f", f), rank("k", k), rank("n", n)],
            tensors: vec![
                tensor("A", Roles::INPUT, bits, plain(&[0, 2])),
                tensor("W1", Roles::WEIGHT, bits, plain(&[2, 1])),
                tensor("C", Roles::OUTPUT, bits, plain(&[0, 3])),
                tensor("W2", Roles::WEIGHT, bits, plain(&[1, 3])),
                tensor("T", Roles::OUTPUT, bits, plain(&[0, 1])),
            ],
            phases: [vec![0, 1, 4], vec![4, 3, 2]],
            batch: 1,
            outer: [0, 1],
            mask: None,
            between_ops: 1,
        }
    }

    pub(crate) fn points(&self) -> u128 {
        let product = |a: usize| u128::from(self.ranks[a].extent);
        u128::from(self.batch) * product(0) * product(1) * (product(2) + product(3))
    }

    /// One phase for tiles of those sizes.
    pub fn phase(&self, which: usize, tiles: [u64; 2]) -> Problem {
        let used = if which == 0 { 2 } else { 3 };
        let extents = [tiles[0], tiles[1], self.ranks[used].extent];
        let places = [self.outer[0], self.outer[1], used];
        let ranks = places.iter().zip(extents).map(|(&r, extent)| Rank { name: self.ranks[r].name.clone(), extent }).collect();
        let own = |t: usize| {
            let mut tensor = self.tensors[t].clone();
            if t == 3 && tensor.dims.is_empty() {
                tensor.dims = plain(&[1, 3]);
            }
            for dim in tensor.dims.iter_mut().flatten() {
                dim.0 = places.iter().position(|&p| p == dim.0).unwrap_or(0);
            }
            if t == 4 && which == 1 {
                (tensor.role, tensor.sum_bits) = (Roles::INPUT, tensor.bits);
            }
            tensor
        };
        Problem {
            name: format!("{} phase {}", self.name, which + 1),
            ranks,
            tensors: self.phases[which].iter().map(|&t| own(t)).collect(),
            work: Work::Mac,
        }
    }

    fn sizes(&self, tiles: [u64; 2]) -> Sizes {
        let mut out = [1; MOST_RANKS];
        for (slot, r) in out.iter_mut().zip(&self.ranks) {
            *slot = r.extent;
        }
        (out[self.outer[0]], out[self.outer[1]]) = (tiles[0], tiles[1]);
        out
    }
}

fn plain(ranks: &[usize]) -> Vec<Vec<(usize, u64)>> {
    ranks.iter().map(|&r| vec![(r, 1)]).collect()
}

/// Sizes of a rank up to which every one is tried, tiles up to which every number of them is, and the share by which it grows beyond.
const EVERY_SIZE: u64 = 64;
const EVERY_TRIP: u64 = 256;
const GROWTH: u64 = 16;
/// Most tiles of rows under a mask, each of which is looked at.
const MOST_MASKED: u64 = 1 << 16;

/// Sizes of tiles of an outer rank, the largest first.
fn tile_sizes(whole: u64, most: u64) -> Vec<u64> {
    let mut out = Vec::new();
    let mut size = whole;
    while size > 0 && whole.div_ceil(size) <= most {
        out.push(size);
        let trips = whole.div_ceil(size);
        size = match smaller(whole, size) {
            _ if whole <= EVERY_SIZE => size - 1,
            next if trips < EVERY_TRIP => next,
            next => next.min(whole.div_ceil(trips + trips / GROWTH)),
        };
    }
    out
}

/// What one choice moves outside, and what it takes at least.
struct Outer {
    tiles: [u64; 2],
    rows_outside: bool,
    walk: Walk,
    energy: f64,
    cycles: f64,
    bits: f64,
    /// Bits written into and read out of the meeting level by it, and bits of results read there again.
    in_level: (f64, f64),
    again: f64,
    /// Joules and cycles of the whole at least.
    least: (f64, f64),
}

/// Tiles so far: joules, cycles, port cycles of the meeting level, mappings of the first tile's phases.
#[derive(Clone, Default)]
struct Sum {
    energy: f64,
    cycles: f64,
    port: f64,
    phases: Vec<(Problem, Found)>,
}

/// A phase and the sizes of its tile.
type Phase = (usize, [u64; 2]);

struct Fuse<'a> {
    pair: &'a Pair,
    machine: &'a Machine,
    inner: Machine,
    level: usize,
    mode: Mode,
    /// Fronts of phases: of energy and time, and with the meeting level's port.
    fronts: [BTreeMap<Phase, Vec<Found>>; 2],
    leasts: BTreeMap<Phase, (f64, f64)>,
    /// Places that the phases' searches may still try.
    left: u64,
    stopped: bool,
}

/// Places that all phases' searches together may try: some tens of seconds.
const MOST_PLACES: u64 = 20_000_000;
/// Places that one search may try when little is left.
const FEW_PLACES: u64 = 1_000_000;

/// The best fused mapping over all levels in which the two may meet; none where no tile fits.
pub fn fuse(pair: &Pair, machine: &Machine, mode: Mode, objective: Objective) -> Option<FoundPair> {
    let mut best: Option<FoundPair> = None;
    for level in 1..machine.levels.len() {
        if machine.levels[level].may_keep != Roles::ALL || machine.instances(level) > 1 {
            continue;
        }
        let mut inner = machine.clone();
        inner.levels.drain(..level);
        (inner.levels[0].capacity_bits, inner.compute.launch_cycles) = (None, 0.0);
        let (fronts, leasts) = Default::default();
        let mut fuse = Fuse { pair, machine, inner, level, mode, fronts, leasts, left: MOST_PLACES, stopped: false };
        if let Some(found) = fuse.best(objective) {
            let key = |f: &FoundPair| Settled::from_figures(f.energy_j, f.cycles, machine, mode).key(objective);
            if best.as_ref().is_none_or(|b| key(&found) < key(b)) {
                best = Some(found);
            }
        }
    }
    best
}

impl Fuse<'_> {
    /// What is compared: energy and time as they come out under the power cap.
    fn key(&self, objective: Objective, energy: f64, cycles: f64) -> (f64, f64) {
        Settled::from_figures(energy, cycles, self.machine, self.mode).key(objective)
    }

    fn best(&mut self, objective: Objective) -> Option<FoundPair> {
        let key = |o: &Outer| self.key(objective, o.least.0, o.least.1);
        let mut choices: Vec<((f64, f64), Outer)> = self.choices().into_iter().map(|o| (key(&o), o)).collect();
        choices.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        let (mut best, mut best_key, mut evaluated): (Option<FoundPair>, _, u64) = (None, (f64::INFINITY, f64::INFINITY), 0);
        for (bound, o) in &choices {
            if *bound >= best_key {
                break;
            }
            if self.left == 0 && best.is_some() {
                self.stopped = true;
                break;
            }
            let least = self.least(o);
            if self.key(objective, least.0, least.1) >= best_key {
                continue;
            }
            evaluated += 1;
            if let Some(found) = self.evaluate(o, objective, best_key) {
                let key = self.key(objective, found.energy_j, found.cycles);
                if key < best_key {
                    (best, best_key) = (Some(found), key);
                }
            }
        }
        best.map(|b| FoundPair { considered: choices.len() as u64, evaluated, stopped: self.stopped, ..b })
    }

    /// Joules and cycles of a choice at least, by what each phase of its tiles takes at least.
    fn least(&mut self, o: &Outer) -> (f64, f64) {
        let batch = self.pair.batch as f64;
        let (mut energy, mut cycles) = (o.energy + o.again * self.machine.levels[self.level].read_j_per_bit, 0.0);
        for &(n, tiles) in &o.walk.tiles {
            let mut sum = self.between((tiles[0] * tiles[1]) as f64);
            for which in 0..2 {
                let (pair, inner, mode) = (self.pair, &self.inner, self.mode);
                let one = self.leasts.entry((which, tiles)).or_insert_with(|| least_of(&pair.phase(which, tiles), inner, mode));
                sum = (sum.0 + one.0, sum.1 + one.1);
            }
            (energy, cycles) = (energy + n * batch * sum.0, cycles + n * batch * sum.1);
        }
        (energy, o.least.1.max(cycles + self.launch()))
    }

    fn launch(&self) -> f64 {
        if self.mode == Mode::Real { self.machine.compute.launch_cycles } else { 0.0 }
    }

    fn front(&mut self, phase: Phase, ports: bool) -> Vec<Found> {
        if let Some(found) = self.fronts[usize::from(ports)].get(&phase) {
            return found.clone();
        }
        let found = front_within(&self.pair.phase(phase.0, phase.1), &self.inner, self.mode, ports, self.left.max(FEW_PLACES));
        if let Some(f) = found.first() {
            self.left = self.left.saturating_sub(f.tally.places);
            self.stopped |= f.tally.stopped;
        }
        self.fronts[usize::from(ports)].insert(phase, found.clone());
        found
    }

    /// Joules and cycles of what the vector lanes do to so many values of the middle tensor.
    fn between(&self, values: f64) -> (f64, f64) {
        let c = &self.machine.compute;
        let ops = values * self.pair.between_ops as f64;
        let rate = c.vector_ops_per_cycle * self.machine.instances(c.vector_level) as f64;
        (ops * c.vector_j, if rate > 0.0 { ops / rate } else { 0.0 })
    }

    fn choices(&self) -> Vec<Outer> {
        let whole = self.pair.outer.map(|r| self.pair.ranks[r].extent);
        let level = &self.machine.levels[self.level];
        let room = level.capacity_bits.unwrap_or(u64::MAX);
        let mut out = Vec::new();
        let most = if self.pair.mask.is_some() { MOST_MASKED } else { u64::MAX };
        let all_keys = tile_sizes(whole[1], u64::MAX);
        for rows in tile_sizes(whole[0], most) {
            let spans = self.pair.mask.map(|m| m.spans(whole, rows));
            for &keys in &all_keys {
                let tiles = [rows, keys];
                if self.held(tiles, level) > room {
                    continue;
                }
                for rows_outside in [true, false] {
                    let walk = match &spans {
                        Some(spans) => Walk::masked(spans, whole[1], keys, rows_outside),
                        None => Walk::all(whole, tiles, rows_outside),
                    };
                    out.push(self.outer(tiles, rows_outside, walk));
                }
            }
        }
        out
    }

    /// Bits that all tiles take in the meeting level.
    fn held(&self, tiles: [u64; 2], level: &Level) -> u64 {
        let sizes = self.pair.sizes(tiles);
        let there = self.pair.tensors.iter().enumerate().filter(|(_, t)| !t.dims.is_empty());
        there.fold(0u64, |n, (i, t)| {
            let copies = if i == MIDDLE { 1 } else { buffers(level, self.mode) };
            n.saturating_add(t.footprint(&sizes).saturating_mul(t.bits.max(t.sum_bits)).saturating_mul(copies))
        })
    }

    /// What moves between the outermost level and the meeting level.
    fn outer(&self, tiles: [u64; 2], rows_outside: bool, walk: Walk) -> Outer {
        let (top, level) = (&self.machine.levels[0], &self.machine.levels[self.level]);
        let (mut read, mut written, mut again) = (0.0, 0.0, 0.0);
        for t in self.pair.tensors.iter().take(MIDDLE).filter(|t| !t.dims.is_empty()) {
            let side = usize::from(t.relevant() & 1 << self.pair.outer[0] == 0);
            let words = t.footprint(&self.pair.sizes([1, 1])) as f64;
            let short = self.waste(t, tiles, top.granule_bits);
            let (come, once) = (walk.come[side] * words, walk.once[side] * words);
            if t.is_output() {
                written += come * if come > once { t.sum_bits } else { t.bits } as f64 * short;
                read += (come - once) * t.sum_bits as f64 * short;
                again += (walk.seen[side] - walk.once[side]) * words * t.sum_bits as f64;
            } else {
                read += come * t.bits as f64 * short;
            }
        }
        let batch = self.pair.batch as f64;
        let (read, written, again) = (read * batch, written * batch, again * batch);
        let energy = read * (top.read_j_per_bit + level.write_j_per_bit) + written * (top.write_j_per_bit + level.read_j_per_bit);
        let cycles = port(top, read, written, self.mode);
        let in_level = (read, written);
        let mut out = Outer { tiles, rows_outside, walk, energy, cycles, bits: read + written, in_level, again, least: (0.0, 0.0) };
        out.least = self.least_outside(&out);
        out
    }

    /// Bits moved for a bit wanted of an outer tensor whose runs end with its tile.
    fn waste(&self, t: &Tensor, tiles: [u64; 2], granule: u64) -> f64 {
        let problem = Problem { name: String::new(), ranks: self.pair.ranks.clone(), tensors: vec![t.clone()], work: Work::Mac };
        waste(&problem, 0, granule, &self.pair.sizes(tiles))
    }

    /// Joules and cycles of a choice at least: every phase reads its tiles out of the meeting level and writes its own into it once.
    fn least_outside(&self, o: &Outer) -> (f64, f64) {
        let (level, area) = (&self.machine.levels[self.level], o.walk.area());
        let batch = self.pair.batch as f64;
        let (mut energy, mut cycles) = self.between(area);
        let (mut all_read, mut all_written) = (o.again / batch + o.in_level.1 / batch, o.in_level.0 / batch);
        for (which, list) in self.pair.phases.iter().enumerate() {
            let (mut read, mut written) = (0.0, 0.0);
            let own = self.pair.ranks[2 + which].extent as f64;
            for &t in list {
                let side = usize::from(t == 1 || t == 3);
                let words = if t == MIDDLE { area } else { o.walk.seen[side] * own };
                let bits = words * self.pair.tensors[t].bits as f64;
                if t == 2 || (t == MIDDLE && which == 0) { written += bits } else { read += bits }
            }
            let points = area * own;
            let steps = points / self.inner.lanes() as f64;
            energy += points * self.machine.compute.mac_j + read * level.read_j_per_bit + written * level.write_j_per_bit;
            cycles += steps.max(port(level, read, written, self.mode));
            (all_read, all_written) = (all_read + read, all_written + written);
        }
        let busy = port(level, all_read, all_written, self.mode);
        let energy = energy * batch + o.energy + o.again * level.read_j_per_bit;
        (energy, (cycles.max(busy) * batch).max(o.cycles) + self.launch())
    }

    /// The front over the phases' fronts, all tiles together.
    fn sums(&mut self, o: &Outer, ports: bool) -> Vec<Sum> {
        let mut sums = vec![Sum::default()];
        let batch = self.pair.batch as f64;
        for (i, &(times, tiles)) in o.walk.tiles.iter().enumerate() {
            let n = times * batch;
            let (joules, cycles) = self.between((tiles[0] * tiles[1]) as f64);
            for s in &mut sums {
                (s.energy, s.cycles) = (s.energy + n * joules, s.cycles + n * cycles);
            }
            for which in 0..2 {
                let list = self.front((which, tiles), ports);
                let add = |s: &Sum, f: &Found| {
                    let mut phases = s.phases.clone();
                    if i == 0 {
                        phases.push((self.pair.phase(which, tiles), f.clone()));
                    }
                    let c = &f.cost;
                    Sum { energy: s.energy + n * c.energy_j, cycles: s.cycles + n * c.cycles, port: s.port + n * c.port_cycles[0], phases }
                };
                sums = sums.iter().flat_map(|s| list.iter().map(|f| add(s, f)).collect::<Vec<_>>()).collect();
                thin(&mut sums);
            }
        }
        sums
    }

    /// The best mapping of a choice, where it is better than the best. Fronts of energy and time are enough unless the port of the
    /// meeting level binds.
    fn evaluate(&mut self, o: &Outer, objective: Objective, best_key: (f64, f64)) -> Option<FoundPair> {
        for ports in [false, true] {
            let sums = self.sums(o, ports);
            // Results that later tiles add to are read again in the meeting level.
            let level = &self.machine.levels[self.level];
            let busy = |s: &Sum| s.port + port(level, o.again + o.in_level.1, o.in_level.0, self.mode);
            let outside = o.energy + o.again * level.read_j_per_bit;
            let at = |s: &Sum, port: f64| (s.energy + outside, s.cycles.max(o.cycles).max(port) + self.launch());
            let key = |(energy, cycles): (f64, f64)| self.key(objective, energy, cycles);
            let order = |a: &(f64, f64), b: &(f64, f64)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
            let least = sums.iter().map(|s| key(at(s, 0.0))).min_by(order)?;
            if least >= best_key {
                return None;
            }
            let best = sums.iter().min_by(|a, b| order(&key(at(a, busy(a))), &key(at(b, busy(b)))))?;
            let found = at(best, busy(best));
            if ports || key(found) <= least {
                return Some(self.found(o, best, found));
            }
        }
        None
    }

    fn found(&self, o: &Outer, sum: &Sum, (energy_j, cycles): (f64, f64)) -> FoundPair {
        FoundPair {
            level: self.level,
            tiles: o.tiles,
            rows_outside: o.rows_outside,
            energy_j,
            cycles,
            outer_cycles: o.cycles,
            outer_bytes: Bytes(o.bits / BYTE),
            considered: 0,
            evaluated: 0,
            stopped: false,
            phases: sum.phases.clone(),
            inner: self.inner.clone(),
        }
    }
}

/// Keeps what nothing else beats in energy, cycles and port cycles.
fn thin(list: &mut Vec<Sum>) {
    let key = |s: &Sum| (s.energy, s.cycles, s.port);
    list.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
    let mut kept: Vec<(f64, f64, f64)> = Vec::new();
    list.retain(|x| {
        let x = key(x);
        let beaten = kept.iter().any(|k| k.0 <= x.0 && k.1 <= x.1 && k.2 <= x.2);
        if !beaten {
            kept.push(x);
        }
        !beaten
    });
}
