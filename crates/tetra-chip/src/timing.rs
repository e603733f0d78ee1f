//! Counts and constants → time, energy and what bounds an op. One set of equations for every chip.
//!
//! A wave of tiles takes the 5-norm of array, scratchpad, global-memory and off-chip time (soft maximum: phases overlap, not
//! perfectly); a partial last wave draws off-chip bandwidth for its tiles only. Prologue, epilogue and each split take one latency
//! trip. When dynamic power would exceed the cap less static power, the clock falls by a factor c: array and lane times grow by 1/c,
//! on-chip energy falls by c (supply voltage squared follows the clock). Leaves out: contention between kernels, thermal transients.

use tetra_quantity::{Bytes, Flop, Joules, Seconds, Watts};
use tetra_workload::{Op, VectorKind, VectorOp};

use crate::chip::Chip;
use crate::constants::{ChipConstants, KernelConstants, kind_index};
use crate::cost::{BoundBy, OpCost};
use crate::mapping::{Counts, Mapping, Plan};

/// A chip's rates and energies with constants applied; made once per chip and draw.
#[derive(Debug, Clone)]
pub struct Rates<'a> {
    kernels: &'a KernelConstants,
    cores: f64,
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
        let scale = constants.node(&chip.silicon.node).map_or(1.0, |n| n.energy);
        let e = &constants.energy;
        let memory = constants.memory(&chip.memory.hbm_kind).or(constants.memories.first().map(|(_, m)| m));
        let k = &constants.kernels;
        let cores = chip.compute.cores.max(1) as f64;
        let cap = chip.power.cap.value();
        Self {
            kernels: k,
            cores,
            clock: chip.compute.clock.value(),
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
    choose(mapping, op, rates).1
}

/// The plan that costs the least time and its cost; the earlier of two equals.
pub fn choose<'m>(mapping: &'m Mapping, op: &Op, rates: &Rates<'_>) -> (&'m Plan, OpCost) {
    let price = |plan: &Plan| match op {
        Op::Gemm(_) | Op::GroupedGemm(_) => matrix_cost(&plan.counts, rates.kernels.widen_lane_ops, rates),
        Op::Attention(_) => matrix_cost(&plan.counts, rates.kernels.attention_lane_ops, rates),
        Op::Vector(v) => vector_cost(&plan.counts, v, rates),
        Op::Collective(_) => nothing(),
    };
    let mut best = (&mapping.best, price(&mapping.best));
    for plan in mapping.rivals.iter().flatten() {
        let cost = price(plan);
        if cost.time.value() < best.1.time.value() {
            best = (plan, cost);
        }
    }
    best
}

fn nothing() -> OpCost {
    OpCost { time: Seconds::ZERO, energy: Joules::ZERO, flop: Flop::ZERO, hbm_bytes: Bytes::ZERO, bound_by: BoundBy::Link }
}

/// Order of the norm by which times of overlapping phases combine.
const NORM: i32 = 5;

/// Soft maximum of non-negative times.
fn soft_max(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(0.0, f64::max);
    if top <= 0.0 || !top.is_finite() {
        return top.max(0.0);
    }
    let sum: f64 = terms
        .iter()
        .map(|&x| {
            let y = x / top;
            y.powi(NORM)
        })
        .sum();
    top * sum.powf(1.0 / NORM as f64)
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
    waves: f64,
    tail: f64,
    share: f64,
    fixed: f64,
    trip: f64,
    others: f64,
    floor: f64,
}

impl Parts {
    fn of(c: &Counts, lane_ops: f64, r: &Rates<'_>) -> Self {
        let k = r.kernels;
        let tiles = c.tiles.max(1) as f64;
        let waves = (tiles / r.cores).floor();
        let tail = tiles - waves * r.cores;
        let hbm = r.hbm * k.hbm_read_fraction;
        let active = tiles.min(r.cores);
        let store = if c.split > 1 {
            c.tile_store_bytes as f64 / (r.global * r.clock)
        } else {
            (c.tile_store_bytes as f64 * active).min(c.hbm_write as f64) / hbm
        };
        let fix = k.trip_s + store;
        let mut fixed = fix;
        if c.split > 1 {
            fixed += c.reduce_bytes as f64 / (r.global * r.cores * r.clock) + c.hbm_write as f64 / hbm + k.trip_s;
        }
        Self {
            arrays: c.tile_array_cycles as f64 / (k.array_fraction * r.clock),
            lanes: c.elements as f64 / tiles * lane_ops / (r.lanes * r.clock),
            local: c.tile_local_bytes as f64 / (r.local * r.clock),
            global: c.tile_global_bytes as f64 / (r.global * r.clock),
            waves,
            tail,
            share: c.hbm_read as f64 / tiles / hbm,
            fixed,
            trip: k.trip_s,
            others: c.resident.max(1) as f64 - 1.0,
            floor: hbm_bytes(c) / hbm,
        }
    }

    fn loop_time(&self, exposed: f64) -> f64 {
        let work = self.arrays.max(self.lanes) + exposed * self.arrays.min(self.lanes);
        soft_max(&[work, self.local, self.global])
    }

    /// Time at a clock lowered by `slow`.
    fn time(&self, r: &Rates<'_>, inner: f64, slow: f64) -> f64 {
        let inner = inner / slow;
        // With r tiles on a core, one is done every max(loop, (trip + loop) / r): beyond the first wave the latency hides behind the others.
        let later = self.waves + if self.tail > 0.0 { 1.0 } else { 0.0 } - 1.0;
        let mut t = self.fixed + later.max(0.0) * (self.trip - self.others * inner).max(0.0) / (self.others + 1.0);
        if self.waves > 0.0 {
            t += self.waves * soft_max(&[inner, self.share * r.cores]);
        }
        if self.tail > 0.0 {
            t += soft_max(&[inner, self.share * self.tail]);
        }
        t.max(self.floor)
    }
}

fn matrix_cost(c: &Counts, lane_ops: f64, r: &Rates<'_>) -> OpCost {
    let parts = Parts::of(c, lane_ops, r);
    let inner = parts.loop_time(r.kernels.lanes_exposed);
    let tiles = c.tiles as f64;
    let hbm_bytes = hbm_bytes(c);
    let on_chip = c.macs as f64 * r.mac_j[c.mac_index.min(4)]
        + c.edge_bytes as f64 * r.edge_j
        + tiles * c.tile_local_bytes as f64 * r.local_j
        + (tiles * (c.tile_global_bytes as f64 + c.tile_store_bytes as f64) + 2.0 * c.reduce_bytes as f64) * r.global_j
        + c.elements as f64 * lane_ops * r.lane_j;
    let off_chip = hbm_bytes * r.hbm_j;
    let slow = clock_factor(r.dynamic_w, on_chip, off_chip, |slow| parts.time(r, inner, slow));
    let time = parts.time(r, inner, slow);
    OpCost {
        time: Seconds(time + r.kernels.launch_s),
        energy: Joules(on_chip * slow + off_chip),
        flop: Flop(2.0 * c.macs as f64),
        hbm_bytes: Bytes(hbm_bytes),
        bound_by: matrix_bound(&parts, r, slow, time),
    }
}

fn matrix_bound(p: &Parts, r: &Rates<'_>, slow: f64, time: f64) -> BoundBy {
    let rounds = p.waves + if p.tail > 0.0 { 1.0 } else { 0.0 };
    let hbm = (p.share * (p.waves * r.cores + p.tail)).max(p.floor);
    let terms = [
        (p.arrays * rounds / slow, BoundBy::Compute),
        (p.lanes * rounds / slow, BoundBy::Vector),
        (p.local * rounds / slow, BoundBy::LocalBuffer),
        (p.global * rounds / slow, BoundBy::GlobalBuffer),
        (hbm, BoundBy::Hbm),
        (p.fixed.min(time) + r.kernels.launch_s, BoundBy::Latency),
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
    let stream = soft_max(&[memory, work, global]);
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
