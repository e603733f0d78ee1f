//! A producer and a consumer whose middle tensor never leaves a level: attention (`S = Q·Kᵀ`, softmax, `O = S·V`) and MLP chains
//! (`T = A·W₁`, `C = T·W₂`).
//!
//! Two ranks are tiled outside the level in which they meet (queries and keys; rows and hidden), all others lie whole inside. For every
//! pair of tile sizes (every number of tiles up to 256 of a rank, then each a sixteenth more) and both orders of the two loops: tiles of all tensors, the middle one among them, must fit; outer tensors move
//! once, or once per tile of the rank that they lack when that loop runs around theirs; each phase of a tile is mapped exactly on the
//! machine from that level inward. Whole phases on that machine bound those of tiles from below. Phases of a tile run one after the other
//! beside the traffic of the outer level. Keys masked by causality or a window are left out by whole tiles (Dao et al., arXiv 2307.08691).
//! Levels between the outermost and the one of the meeting are passed by. Leaves out: edges of masked tiles, tails in between phases.

use std::collections::BTreeMap;

use tetra_quantity::Bytes;

use crate::nest::machine::{Level, Machine, Roles};
use crate::nest::objective::Objective;
use crate::nest::op::{Bits, Named, rank, tensor};
use crate::nest::power::Settled;
use crate::nest::price::{Mode, buffers, port};
use crate::nest::problem::{MOST_RANKS, Problem, Rank, Sizes, Tensor, Work, parts};
use crate::nest::search::{Found, front_within};
use crate::nest::space::smaller;

/// Bits of a byte.
const BYTE: f64 = 8.0;
/// Lane operations per score: running maximum, difference, exponential, sum, rescaling.
const SOFTMAX_OPS: u64 = 5;

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Mask {
    /// Whether later keys are hidden.
    pub causal: bool,
    /// Keys seen at most; 0: all.
    pub window: u64,
    /// Query rows of one position (heads that share keys).
    pub rows_per_position: u64,
}

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

    /// Pairs of tiles that are worked on.
    pub fn visits(&self, tiles: [u64; 2]) -> u64 {
        let [rows, keys] = self.outer.map(|r| self.ranks[r].extent);
        let Some(mask) = self.mask else { return rows.div_ceil(tiles[0]) * keys.div_ceil(tiles[1]) };
        let per = mask.rows_per_position.max(1);
        let positions = rows.div_ceil(per);
        (0..rows.div_ceil(tiles[0]))
            .map(|i| {
                let first = (i * tiles[0]) / per;
                let last = ((i + 1) * tiles[0]).min(rows).div_ceil(per);
                let end = if mask.causal { keys.saturating_sub(positions) + last } else { keys }.min(keys);
                let seen = if mask.causal { keys.saturating_sub(positions) + first + 1 } else { keys };
                let start = if mask.window > 0 { seen.saturating_sub(mask.window).min(end) } else { 0 };
                end.div_ceil(tiles[1]).max(1) - (start / tiles[1]).min(end.div_ceil(tiles[1]).saturating_sub(1))
            })
            .sum()
    }
}

fn plain(ranks: &[usize]) -> Vec<Vec<(usize, u64)>> {
    ranks.iter().map(|&r| vec![(r, 1)]).collect()
}

/// Tiles of one rank up to which every number of them is tried, and the share by which it grows beyond.
const EVERY_TRIP: u64 = 256;
const GROWTH: u64 = 16;
/// Most tiles of rows under a mask, each of which is looked at.
const MOST_MASKED: u64 = 1 << 16;

/// Sizes of tiles of an outer rank, the largest first: every one that some number of tiles needs up to `EVERY_TRIP`, then fewer.
fn tile_sizes(whole: u64, most: u64) -> Vec<u64> {
    let mut out = Vec::new();
    let mut size = whole;
    while size > 0 && whole.div_ceil(size) <= most {
        out.push(size);
        let trips = whole.div_ceil(size);
        let next = smaller(whole, size);
        size = if trips < EVERY_TRIP { next } else { next.min(whole.div_ceil(trips + trips / GROWTH)) };
    }
    out
}

/// Traffic of the outer tensors for one choice.
struct Outer {
    tiles: [u64; 2],
    rows_outside: bool,
    visits: f64,
    energy: f64,
    cycles: f64,
    bits: f64,
    /// Bits written into and read out of the meeting level by it.
    in_level: (f64, f64),
}

/// Tiles so far: joules, cycles, port cycles of the meeting level, mappings of the first tile's phases.
#[derive(Clone, Default)]
struct Sum {
    energy: f64,
    cycles: f64,
    port: f64,
    phases: Vec<(Problem, Found)>,
}

struct Fuse<'a> {
    pair: &'a Pair,
    machine: &'a Machine,
    inner: Machine,
    level: usize,
    mode: Mode,
    fronts: BTreeMap<(usize, [u64; 2]), Vec<Found>>,
    /// Places that the phases' searches may still try.
    left: u64,
    stopped: bool,
}

/// Places that all phases' searches together may try: some tens of seconds.
const MOST_PLACES: u64 = 60_000_000;
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
        let mut fuse = Fuse { pair, machine, inner, level, mode, fronts: BTreeMap::new(), left: MOST_PLACES, stopped: false };
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
        let whole = self.pair.outer.map(|r| self.pair.ranks[r].extent);
        let least = self.least_inside(whole)?;
        let choices = self.choices(whole);
        let mut choices: Vec<((f64, f64), Outer)> =
            choices.into_iter().map(|o| (self.key(objective, o.energy + least.0, o.cycles.max(least.1)), o)).collect();
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
            evaluated += 1;
            if let Some(found) = self.evaluate(o, objective) {
                let key = self.key(objective, found.energy_j, found.cycles);
                if key < best_key {
                    (best, best_key) = (Some(found), key);
                }
            }
        }
        best.map(|b| FoundPair { considered: choices.len() as u64, evaluated, stopped: self.stopped, ..b })
    }

    /// Joules and cycles that the phases take at least, whatever the tiles.
    fn least_inside(&mut self, whole: [u64; 2]) -> Option<(f64, f64)> {
        let seen = self.seen_share();
        let mut sum = (self.between(whole).0 * seen, 0.0);
        for which in 0..2 {
            let list = self.front(which, whole);
            let least = |f: fn(&Found) -> f64| list.iter().map(f).fold(f64::INFINITY, f64::min);
            let (e, t) = (least(|f| f.cost.energy_j), least(|f| f.cost.steps as f64));
            let points = self.pair.phase(which, whole).points() as f64 * self.machine.compute.mac_j;
            // With a mask only the work itself is sure: rows of few keys may share more.
            sum.0 += if self.pair.mask.is_some() { points * seen } else { e };
            sum.1 += t * seen;
        }
        let batch = self.pair.batch as f64;
        sum.0.is_finite().then_some((sum.0 * batch, sum.1 * batch))
    }

    /// Share of the second rank's values that rows see on the mean; 1 without a mask.
    fn seen_share(&self) -> f64 {
        let whole = self.pair.outer.map(|r| self.pair.ranks[r].extent);
        let rows = self.pair.mask.map_or(1, |m| m.rows_per_position.max(1));
        self.pair.visits([rows, 1]) as f64 / (whole[0].div_ceil(rows) as f64 * whole[1] as f64)
    }

    fn front(&mut self, which: usize, tiles: [u64; 2]) -> Vec<Found> {
        if let Some(found) = self.fronts.get(&(which, tiles)) {
            return found.clone();
        }
        let found = front_within(&self.pair.phase(which, tiles), &self.inner, self.mode, self.left.max(FEW_PLACES));
        if let Some(f) = found.first() {
            self.left = self.left.saturating_sub(f.tally.places);
            self.stopped |= f.tally.stopped;
        }
        self.fronts.insert((which, tiles), found.clone());
        found
    }

    /// Joules and cycles of what the vector lanes do to one tile of the middle tensor.
    fn between(&self, tiles: [u64; 2]) -> (f64, f64) {
        let c = &self.machine.compute;
        let ops = (tiles[0] * tiles[1]) as f64 * self.pair.between_ops as f64;
        let rate = c.vector_ops_per_cycle * self.machine.instances(c.vector_level) as f64;
        (ops * c.vector_j, if rate > 0.0 { ops / rate } else { 0.0 })
    }

    fn choices(&self, whole: [u64; 2]) -> Vec<Outer> {
        let level = &self.machine.levels[self.level];
        let room = level.capacity_bits.map_or(u64::MAX, |c| c);
        let mut out = Vec::new();
        let most = if self.pair.mask.is_some() { MOST_MASKED } else { u64::MAX };
        for rows in tile_sizes(whole[0], most) {
            for keys in tile_sizes(whole[1], u64::MAX) {
                let sizes = self.pair.sizes([rows, keys]);
                let held = self.pair.tensors.iter().enumerate().fold(0u64, |n, (i, t)| {
                    let copies = if i == 4 { 1 } else { buffers(level, self.mode) };
                    n.saturating_add(t.footprint(&sizes).saturating_mul(t.bits.max(t.sum_bits)).saturating_mul(if t.dims.is_empty() {
                        0
                    } else {
                        copies
                    }))
                });
                if held <= room {
                    out.extend([true, false].map(|rows_outside| self.outer(whole, [rows, keys], rows_outside, level)));
                }
            }
        }
        out
    }

    /// What moves between the outermost level and the meeting level.
    fn outer(&self, whole: [u64; 2], tiles: [u64; 2], rows_outside: bool, level: &Level) -> Outer {
        let top = &self.machine.levels[0];
        let visits = self.pair.visits(tiles);
        let trips = [whole[0].div_ceil(tiles[0]), whole[1].div_ceil(tiles[1])];
        let (mut read, mut written) = (0.0, 0.0);
        for t in self.pair.tensors.iter().take(4).filter(|t| !t.dims.is_empty()) {
            let all = t.footprint(&self.pair.sizes(whole)) as f64;
            let side = usize::from(t.relevant() & 1 << self.pair.outer[0] == 0);
            // A tile stays while its own loop stands still: the other loop must run around it and take more than one trip.
            let again = if (side == 0) != rows_outside && trips[side] > 1 { visits as f64 / trips[side] as f64 } else { 1.0 };
            if t.is_output() {
                let width = if again > 1.0 { t.sum_bits } else { t.bits } as f64;
                written += all * again * width;
                read += all * (again - 1.0).max(0.0) * t.sum_bits as f64;
            } else {
                read += all * again * t.bits as f64;
            }
        }
        let batch = self.pair.batch as f64;
        let (read, written) = (read * batch, written * batch);
        Outer {
            tiles,
            rows_outside,
            visits: visits as f64,
            energy: read * (top.read_j_per_bit + level.write_j_per_bit) + written * (top.write_j_per_bit + level.read_j_per_bit),
            cycles: port(top, read, written, self.mode),
            bits: read + written,
            in_level: (read, written),
        }
    }

    /// Tiles of each size: how many, and their sizes. Masked ones count whole.
    fn tiles_of(&self, o: &Outer) -> Vec<(f64, [u64; 2])> {
        if self.pair.mask.is_some() {
            return vec![(o.visits, o.tiles)];
        }
        let [rows, keys] = self.pair.outer.map(|r| self.pair.ranks[r].extent);
        let keys = parts(keys, o.tiles[1]);
        let all = parts(rows, o.tiles[0]).into_iter().flat_map(|(n, a)| keys.map(|(m, b)| ((n * m) as f64, [a, b])));
        all.filter(|x| x.0 > 0.0).collect()
    }

    /// The front over the phases' fronts, all tiles together.
    fn sums(&mut self, o: &Outer) -> Vec<Sum> {
        let mut sums = vec![Sum::default()];
        let batch = self.pair.batch as f64;
        for (i, (times, tiles)) in self.tiles_of(o).into_iter().enumerate() {
            let n = times * batch;
            let (joules, cycles) = self.between(tiles);
            for s in &mut sums {
                (s.energy, s.cycles) = (s.energy + n * joules, s.cycles + n * cycles);
            }
            for which in 0..2 {
                let list = self.front(which, tiles);
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

    fn evaluate(&mut self, o: &Outer, objective: Objective) -> Option<FoundPair> {
        let sums = self.sums(o);
        // Results that later tiles add to are read again in the meeting level.
        let (level, batch) = (&self.machine.levels[self.level], self.pair.batch as f64);
        let out = self.pair.tensors.iter().take(4).find(|t| t.is_output())?;
        let tile = out.footprint(&self.pair.sizes(o.tiles)) as f64 * out.sum_bits as f64;
        let again = tile * (o.visits - self.pair.ranks[self.pair.outer[0]].extent.div_ceil(o.tiles[0]) as f64).max(0.0) * batch;
        let launch = if self.mode == Mode::Real { self.machine.compute.launch_cycles } else { 0.0 };
        let whole = |s: &Sum| {
            let busy = s.port + port(level, again + o.in_level.1, o.in_level.0, self.mode);
            (s.energy + o.energy + again * level.read_j_per_bit, s.cycles.max(o.cycles).max(busy) + launch)
        };
        let key = |s: &Sum| self.key(objective, whole(s).0, whole(s).1);
        let best = sums.iter().min_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal))?;
        let (energy_j, cycles) = whole(best);
        Some(FoundPair {
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
            phases: best.phases.clone(),
            inner: self.inner.clone(),
        })
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
