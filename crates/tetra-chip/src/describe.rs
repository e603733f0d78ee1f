//! What one step does on a chip, op by op: the rows behind `tetra chip CHIP --model CONFIG`.

use tetra_quantity::{Joules, Seconds, Watts};
use tetra_workload::{DataType, Graph, Node, Op};

use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::cost::BoundBy;
use crate::machine::mac_of;
use crate::mapper::map;
use crate::timing::{Choice, Rates, choose, static_power};

/// One op of a step.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OpRow {
    /// Where it lies: `embedding`, `layer`, `head`.
    pub part: &'static str,
    /// The field's name for it.
    pub op: &'static str,
    /// Its shape in words.
    pub shape: String,
    /// What is timed: ops that look alike in words (a gradient beside its forward op) may move other bytes.
    #[serde(skip)]
    timed: Op,
    /// How often it runs in the step.
    pub count: u64,
    /// Time of one.
    pub time: Seconds,
    /// Time of all.
    pub total_time: Seconds,
    /// Share of the step's time on the chip.
    pub share: f64,
    /// Dynamic energy of all.
    pub total_energy: Joules,
    /// Share of the chip's peak MAC rate for its type while it runs.
    pub mac_utilisation: f64,
    /// Share of the peak off-chip bandwidth while it runs.
    pub hbm_utilisation: f64,
    /// What bounds it.
    pub bound_by: BoundBy,
    /// Tile and split that were chosen, for example `128x256 / 3`.
    pub mapping: String,
}

/// All ops of a step and their sums.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StepRows {
    /// Rows in order; collectives, which the cluster times, are listed with no time.
    pub rows: Vec<OpRow>,
    /// Time of all ops one after the other.
    pub time: Seconds,
    /// Dynamic energy.
    pub energy: Joules,
    /// Mean power, leakage and clocks included.
    pub power: Watts,
}

/// Times every op of a graph on a chip.
pub fn step_rows(graph: &Graph, chip: &Chip, constants: &ChipConstants) -> StepRows {
    let rates = Rates::of(chip, constants);
    let mut rows = Vec::new();
    let mut add = |part, nodes: &[Node], layers: u64| {
        for node in nodes {
            push(&mut rows, part, node, layers, chip, &rates);
        }
    };
    add("embedding", &graph.embedding, 1);
    for layer in &graph.layers {
        add("layer", &layer.nodes, layer.layers);
    }
    add("head", &graph.head, 1);
    let time: Seconds = rows.iter().map(|r| r.total_time).sum();
    let energy: Joules = rows.iter().map(|r| r.total_energy).sum();
    if time.value() > 0.0 {
        for row in &mut rows {
            row.share = row.total_time / time;
        }
    }
    let power =
        if time.value() > 0.0 { Watts(static_power(chip, constants).value() + energy.value() / time.value()) } else { chip.power.idle };
    StepRows { rows, time, energy, power }
}

/// Adds a row, or counts the op to an equal one that stands there already.
fn push(rows: &mut Vec<OpRow>, part: &'static str, node: &Node, layers: u64, chip: &Chip, rates: &Rates<'_>) {
    let shape = shape_of(&node.op);
    if let Some(row) = rows.iter_mut().find(|r| r.part == part && r.op == node.name && r.timed == node.op) {
        row.total_time += row.time * layers as f64;
        row.total_energy = row.total_energy * ((row.count + layers) as f64 / row.count.max(1) as f64);
        row.count += layers;
        return;
    }
    let mapping = map(&node.op, chip);
    let Choice { plan, cost, .. } = choose(&mapping, &node.op, rates);
    let time = cost.time.value();
    let share = |done: f64, peak: f64| if time > 0.0 && peak > 0.0 { done / time / peak } else { 0.0 };
    let matrix = !matches!(node.op, Op::Vector(_) | Op::Collective(_));
    rows.push(OpRow {
        part,
        op: node.name,
        shape,
        timed: node.op,
        count: layers,
        time: cost.time,
        total_time: cost.time * layers as f64,
        share: 0.0,
        total_energy: cost.energy * layers as f64,
        mac_utilisation: if matrix { share(cost.flop.value(), peak(&node.op, chip)) } else { 0.0 },
        hbm_utilisation: share(cost.hbm_bytes.value(), chip.memory.hbm_bandwidth.value()),
        bound_by: cost.bound_by,
        mapping: if matrix { format!("{}x{} / {}", plan.tile_rows, plan.tile_columns, plan.split) } else { String::new() },
    });
}

fn peak(op: &Op, chip: &Chip) -> f64 {
    let asked = match op {
        Op::Gemm(g) => g.a.mac(),
        Op::GroupedGemm(g) => g.a.mac(),
        Op::Attention(a) => a.a.mac(),
        Op::Vector(_) | Op::Collective(_) => return 0.0,
    };
    chip.compute.macs_per_second() * 2.0 * mac_of(asked, chip).1
}

fn shape_of(op: &Op) -> String {
    let word = |d: DataType| format!("{d:?}").to_lowercase();
    match op {
        Op::Gemm(g) if g.batch > 1 => format!("{} x {}x{}x{} {}", g.batch, g.m, g.n, g.k, word(g.b)),
        Op::Gemm(g) => format!("{}x{}x{} {}", g.m, g.n, g.k, word(g.b)),
        Op::GroupedGemm(g) => format!("{} experts, {} rows x{}x{} {}", g.experts, g.rows, g.n, g.k, word(g.b)),
        Op::Attention(a) => {
            format!(
                "{} seq, {}/{} heads, {} on {} keys, d {}/{} {}{}",
                a.sequences,
                a.heads,
                a.kv_heads,
                a.q_len,
                a.kv_len,
                a.d_qk,
                a.d_v,
                word(a.kv),
                if a.backward { " backward" } else { "" }
            )
        }
        Op::Vector(v) => format!("{}x{}", v.rows, v.cols),
        Op::Collective(c) => format!("{:?} of {} B", c.kind, c.bytes),
    }
}
