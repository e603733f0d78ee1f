//! Counts and constants → time, energy and what bounds an op. One set of equations for every chip.
//!
//! A tile passes three stations: a trip to memory `Z` that fills its pipeline, the main loop `D1`, the store of its results `D2`. `D1` is the
//! 6-norm of array, scratchpad, global-memory and off-chip time (phases overlap, not perfectly), `D2` the result over off-chip bandwidth, both with all
//! cores at work. A core that holds `r` tiles at once is a closed network of `r` customers: the time per tile follows from mean value
//! analysis (Reiser and Lavenberg 1980): one tile hides nothing, many hide all but the slowest station. With `n` tiles on the fullest core
//! `t = Z + D1' + D2' + (n - 1)·t(r)`, the last round `'` with the cores that still have a tile. When dynamic power would exceed the cap less static power, the
//! clock falls by a factor c: array and lane times grow by 1/c, on-chip energy falls by c (supply voltage squared follows the clock).
//!
//! Of a mapspace every plan is priced at the nominal clock, and at the lower one if it could still win: the plan taken is the fastest, to the last step of the
//! clock (2⁻¹⁴). Leaves out: contention between kernels, thermal transients.

use tetra_quantity::{Bytes, Flop, Joules, Seconds, Watts};
use tetra_workload::{Op, VectorKind, VectorOp};

use crate::chip::Chip;
use crate::constants::{ChipConstants, KernelConstants, kind_index};
use crate::cost::{BoundBy, OpCost};
use crate::machine::reached_by_clusters;
use crate::mapping::{Counts, Mapping, Plan};

/// A chip's rates and energies with constants applied; made once per chip and draw.
#[derive(Debug, Clone)]
pub struct Rates<'a> {
    kernels: &'a KernelConstants,
    cores: f64,
    /// Cores of a full cluster and cores that such clusters reach.
    cluster: u64,
    reached: f64,
    clock: f64,
    local: f64,
    global: f64,
    global_bytes: f64,
    hbm: f64,
    lanes: f64,
    dynamic_w: f64,
    mac_j: [f64; 5],
    edge_j: f64,
    local_j: f64,
    global_j: f64,
    hbm_j: f64,
    lane_j: f64,
}

impl<'a> Rates<'a> {
    /// Rates of a chip. A node or memory kind without a row counts as the N7 anchor or the first memory of the table.
    pub fn of(chip: &Chip, constants: &'a ChipConstants) -> Self {
        let boost = chip.compute.boost();
        // Energies hold at the rated clock; supply voltage squared follows it.
        let scale = constants.node(&chip.silicon.node).map_or(1.0, |n| n.energy) * boost;
        let e = &constants.energy;
        let memory = constants.memory(&chip.memory.hbm_kind).or(constants.memories.first().map(|(_, m)| m));
        let k = &constants.kernels;
        let cores = chip.compute.cores.max(1) as f64;
        let cap = chip.power.cap.value();
        Self {
            kernels: k,
            cores,
            cluster: chip.compute.cluster.max(1),
            reached: reached_by_clusters(chip),
            clock: chip.compute.clock.value() * boost,
            local: chip.memory.local_bytes_per_cycle,
            global: chip.memory.global_bytes_per_cycle * k.global_fraction / cores,
            global_bytes: chip.memory.global.value(),
            hbm: chip.memory.hbm_bandwidth.value(),
            lanes: chip.compute.lanes_per_core.max(1) as f64,
            dynamic_w: cap - static_power(chip, constants).value().min(cap * 0.5),
            mac_j: e.mac_j.map(|j| j * scale),
            edge_j: e.edge_j_per_byte * scale,
            local_j: e.local_j_per_byte * scale,
            global_j: e.global_j_per_byte(chip.memory.global.value()) * scale,
            hbm_j: memory.map_or(0.0, |m| m.j_per_byte),
            lane_j: e.lane_j * scale,
        }
    }
}

/// Power of leakage and clocks while a chip works: a share of its cap, no less than when idle.
pub fn static_power(chip: &Chip, constants: &ChipConstants) -> Watts {
    Watts((chip.power.cap.value() * constants.kernels.static_fraction).max(chip.power.idle.value()))
}

/// Cost of an op from its mapping.
pub fn cost(mapping: &Mapping, op: &Op, chip: &Chip, constants: &ChipConstants) -> OpCost {
    cost_at(mapping, op, &Rates::of(chip, constants))
}

/// The same with a chip's rates at hand: the plan that costs the least time.
pub fn cost_at(mapping: &Mapping, op: &Op, rates: &Rates<'_>) -> OpCost {
    choose(mapping, op, rates).cost
}

/// The plan taken of a mapspace.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// The plan.
    pub plan: Plan,
    /// What it costs.
    pub cost: OpCost,
    /// Plans compared.
    pub compared: u64,
}

/// The plan that costs the least time and its cost; the earlier of two equals.
pub fn choose(mapping: &Mapping, op: &Op, rates: &Rates<'_>) -> Choice {
    let lane_ops = match op {
        Op::Gemm(_) | Op::GroupedGemm(_) => rates.kernels.widen_lane_ops,
        Op::Attention(_) => rates.kernels.attention_lane_ops,
        Op::Vector(_) | Op::Collective(_) => 0.0,
    };
    match (mapping, op) {
        (Mapping::One(plan), Op::Vector(v)) => alone(plan, vector_cost(&plan.counts, v, rates)),
        (Mapping::One(plan), Op::Collective(_)) => alone(plan, nothing()),
        (Mapping::One(plan), _) => alone(plan, matrix_cost(&plan.counts, lane_ops, rates)),
        (Mapping::Tiles(_), _) => best_of(mapping, lane_ops, rates),
    }
}

fn alone(plan: &Plan, cost: OpCost) -> Choice {
    Choice { plan: *plan, cost, compared: 1 }
}

/// A lower clock never makes a plan faster, so that only plans whose nominal time beats the least time found can still be better.
fn best_of(mapping: &Mapping, lane_ops: f64, rates: &Rates<'_>) -> Choice {
    let (mut least, mut first, mut compared) = (f64::INFINITY, Plan::default(), 0);
    mapping.each(|plan| {
        compared += 1;
        if let Some(time) = nominal_below(least, &plan.counts, lane_ops, rates) {
            (least, first) = (time, plan);
        }
    });
    let mut best = alone(&first, matrix_cost(&first.counts, lane_ops, rates));
    if best.cost.time.value() > least {
        mapping.each(|plan| {
            if nominal_below(best.cost.time.value(), &plan.counts, lane_ops, rates).is_some() {
                let cost = matrix_cost(&plan.counts, lane_ops, rates);
                if cost.time.value() < best.cost.time.value() {
                    best = alone(&plan, cost);
                }
            }
        });
    }
    Choice { compared, ..best }
}

/// Time at the nominal clock, launch included, if it is below `limit`. The longest part alone rules most plans out before any root is drawn.
fn nominal_below(limit: f64, counts: &Counts, lane_ops: f64, rates: &Rates<'_>) -> Option<f64> {
    let parts = Parts::of(counts, lane_ops, rates);
    let (exposed, launch) = (rates.kernels.lanes_exposed, rates.kernels.launch_s);
    if parts.time_by::<false>(parts.loop_time::<false>(exposed), 1.0) + launch >= limit {
        return None;
    }
    let time = parts.time_by::<true>(parts.loop_time::<true>(exposed), 1.0) + launch;
    (time < limit).then_some(time)
}

fn nothing() -> OpCost {
    OpCost { time: Seconds::ZERO, energy: Joules::ZERO, flop: Flop::ZERO, hbm_bytes: Bytes::ZERO, bound_by: BoundBy::Link }
}

/// Sixth-power norm of non-negative times: nearly the longest, a little more where two are close; or the longest, which is never more.
fn soft_max<const NORM: bool, const N: usize>(terms: [f64; N]) -> f64 {
    let top = terms.iter().copied().fold(0.0, f64::max);
    if !NORM || top <= 0.0 || !top.is_finite() {
        return top.max(0.0);
    }
    let sum: f64 = terms
        .iter()
        .map(|&x| {
            let square = (x / top) * (x / top);
            square * square * square
        })
        .sum();
    top * sum.sqrt().cbrt()
}

fn hbm_bytes(c: &Counts) -> f64 {
    c.hbm_read as f64 + c.hbm_write as f64
}

/// The parts of a matrix kernel's time.
struct Parts {
    arrays: f64,
    lanes: f64,
    local: f64,
    global: f64,
    /// Tiles on the fullest core.
    rounds: f64,
    /// Cores at work in full rounds and in the last one.
    active: f64,
    last: f64,
    /// Off-chip time of one tile's reads and of its results, alone.
    read: f64,
    store: f64,
    /// Time of one tile's results into the global memory where they are partial sums.
    sums: f64,
    /// Time to add up the parts of the summed dimension, by a kernel of its own.
    reduce: f64,
    trip: f64,
    resident: u64,
    floor: f64,
}

impl Parts {
    fn of(c: &Counts, lane_ops: f64, r: &Rates<'_>) -> Self {
        let k = r.kernels;
        let tiles = c.tiles.max(1) as f64;
        let cores = if r.cluster > 1 && c.cluster >= r.cluster { r.reached } else { r.cores };
        let rounds = (tiles / cores).ceil();
        let hbm = r.hbm * k.hbm_read_fraction;
        let global = r.global * r.clock;
        let split = c.split > 1;
        let reduce = c.reduce_bytes as f64 / (global * r.cores) + c.hbm_write as f64 / hbm + k.trip_s + k.launch_s;
        Self {
            arrays: c.tile_array_cycles as f64 / (k.array_fraction * r.clock),
            lanes: c.elements as f64 / tiles * lane_ops / (r.lanes * r.clock),
            local: c.tile_local_bytes as f64 / (r.local * r.clock),
            global: c.tile_global_bytes as f64 / global,
            rounds,
            active: tiles.min(cores),
            last: tiles - (rounds - 1.0) * cores,
            read: c.hbm_read as f64 / tiles / hbm,
            store: if split { 0.0 } else { (c.tile_store_bytes as f64).min(c.hbm_write as f64 / tiles) / (r.hbm * k.hbm_mixed_fraction) },
            sums: if split { c.tile_store_bytes as f64 / global } else { 0.0 },
            reduce: if split { reduce } else { 0.0 },
            trip: k.trip_s,
            resident: c.resident.max(1),
            floor: hbm_bytes(c) / hbm,
        }
    }

    fn loop_time<const NORM: bool>(&self, exposed: f64) -> f64 {
        let work = self.arrays.max(self.lanes) + exposed * self.arrays.min(self.lanes);
        soft_max::<NORM, 3>([work, self.local, self.global])
    }

    /// Main loop and store of a tile when so many cores are at work.
    fn stations<const NORM: bool>(&self, inner: f64, cores: f64) -> (f64, f64) {
        (soft_max::<NORM, 2>([inner, self.read * cores]), self.store * cores + self.sums)
    }

    /// Time at a clock lowered by `slow`.
    fn time(&self, inner: f64, slow: f64) -> f64 {
        self.time_by::<true>(inner, slow)
    }

    fn time_by<const NORM: bool>(&self, inner: f64, slow: f64) -> f64 {
        let inner = inner / slow;
        let (work, store) = self.stations::<NORM>(inner, self.last);
        let mut t = self.trip + work + store + self.reduce;
        if self.rounds > 1.0 {
            let (work, store) = self.stations::<NORM>(inner, self.active);
            t += (self.rounds - 1.0) * time_per_tile(self.trip, work, store, self.resident.min(self.rounds as u64));
        }
        t.max(self.floor)
    }
}

/// Mean value analysis of a closed network: `tiles` customers, a delay and two stations.
fn time_per_tile(trip: f64, work: f64, store: f64, tiles: u64) -> f64 {
    let (mut at_work, mut at_store, mut each) = (0.0, 0.0, 0.0);
    for held in 1..=tiles {
        let (in_work, in_store) = (work * (1.0 + at_work), store * (1.0 + at_store));
        each = (trip + in_work + in_store) / held as f64;
        if each <= 0.0 {
            return 0.0;
        }
        (at_work, at_store) = (in_work / each, in_store / each);
    }
    each
}

fn matrix_cost(c: &Counts, lane_ops: f64, r: &Rates<'_>) -> OpCost {
    let parts = Parts::of(c, lane_ops, r);
    let inner = parts.loop_time::<true>(r.kernels.lanes_exposed);
    let tiles = c.tiles as f64;
    let hbm_bytes = hbm_bytes(c);
    let on_chip = c.macs as f64 * r.mac_j[c.mac_index.min(4)]
        + c.edge_bytes as f64 * r.edge_j
        + tiles * c.tile_local_bytes as f64 * r.local_j
        + (tiles * (c.tile_global_bytes as f64 + c.tile_store_bytes as f64) + 2.0 * c.reduce_bytes as f64) * r.global_j
        + c.elements as f64 * lane_ops * r.lane_j;
    let off_chip = hbm_bytes * r.hbm_j;
    let slow = clock_factor(r.dynamic_w, on_chip, off_chip, |slow| parts.time(inner, slow));
    let time = parts.time(inner, slow);
    OpCost {
        time: Seconds(time + r.kernels.launch_s),
        energy: Joules(on_chip * slow + off_chip),
        flop: Flop(2.0 * c.macs as f64),
        hbm_bytes: Bytes(hbm_bytes),
        bound_by: matrix_bound(&parts, r, slow, time),
    }
}

fn matrix_bound(p: &Parts, r: &Rates<'_>, slow: f64, time: f64) -> BoundBy {
    let fixed = p.trip + p.reduce + r.kernels.launch_s;
    let terms = [
        (p.arrays * p.rounds / slow, BoundBy::Compute),
        (p.lanes * p.rounds / slow, BoundBy::Vector),
        (p.local * p.rounds / slow, BoundBy::LocalBuffer),
        (p.global * p.rounds / slow, BoundBy::GlobalBuffer),
        (p.floor.max((p.read + p.store) * ((p.rounds - 1.0) * p.active + p.last)), BoundBy::Hbm),
        (fixed.min(time), BoundBy::Latency),
    ];
    let mut best = terms[0];
    for term in terms {
        if term.0 > best.0 {
            best = term;
        }
    }
    if slow < 1.0 && matches!(best.1, BoundBy::Compute | BoundBy::Vector) { BoundBy::Power } else { best.1 }
}

/// Largest clock factor at which dynamic power stays within the budget; power grows with the clock, so bisection finds it.
fn clock_factor(budget_w: f64, on_chip_j: f64, off_chip_j: f64, time: impl Fn(f64) -> f64) -> f64 {
    /// Halvings of the interval.
    const STEPS: usize = 14;
    let fits = |slow: f64| on_chip_j * slow + off_chip_j <= budget_w * time(slow);
    if fits(1.0) {
        return 1.0;
    }
    // Memory traffic alone may exceed the budget of a badly capped chip: the clock stops at a hundredth.
    let (mut low, mut high) = (0.01, 1.0);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

fn vector_cost(c: &Counts, v: &VectorOp, r: &Rates<'_>) -> OpCost {
    let k = r.kernels;
    let ops = k.lane_ops[kind_index(v.kind)];
    let elements = c.elements as f64;
    let miss = (c.working_set as f64 / (k.stay_fraction * r.global_bytes) - 0.5).clamp(0.0, 1.0);
    let again = c.reread_bytes as f64;
    let bytes = hbm_bytes(c) + again * miss;
    let memory = bytes / (r.hbm * k.hbm_mixed_fraction);
    let global = (hbm_bytes(c) + again) / (r.global * r.cores * r.clock);
    let long = c.reread_bytes > 0;
    let lanes = elements * ops / (r.cores * r.lanes * r.clock);
    let row = c.row_elements as f64 * ops / (r.lanes * r.clock);
    let work = if long { lanes.max(row) } else { lanes };
    let rounds = (c.rows as f64 / c.rows_at_once.max(1) as f64).ceil();
    let steps = row_steps(c, v.kind) * k.row_step_cycles / r.clock * rounds;
    let passes = k.pass_s * if long { LONG_PASSES as f64 } else { 1.0 };
    let stream = soft_max::<true, 3>([memory, work, global]);
    // The first round's loads are its steps; later rounds stream beside them.
    let time = if steps > 0.0 { stream.max(steps + stream * (1.0 - 1.0 / rounds)) } else { stream + passes };
    let energy = elements * ops * r.lane_j + (bytes + again) * r.global_j + bytes * r.hbm_j;
    let terms =
        [(memory, BoundBy::Hbm), (work, BoundBy::Vector), (global, BoundBy::GlobalBuffer), (steps + passes + k.launch_s, BoundBy::Latency)];
    let mut best = terms[0];
    for term in terms {
        if term.0 > best.0 {
            best = term;
        }
    }
    OpCost {
        time: Seconds(time + k.launch_s),
        energy: Joules(energy),
        flop: Flop(elements * ops),
        hbm_bytes: Bytes(bytes),
        bound_by: best.1,
    }
}

/// Passes over a row that is longer than a block.
const LONG_PASSES: u64 = 3;

/// Dependent load steps of one row: a block per step, two passes where the mean is needed before the result.
fn row_steps(c: &Counts, kind: VectorKind) -> f64 {
    const BLOCK: u64 = 1024;
    match kind {
        VectorKind::RmsNorm => 2.0 * c.row_elements.div_ceil(BLOCK) as f64,
        _ => 0.0,
    }
}
