//! Cost of one microbatch in one layer, in the embedding and in the head, on one chip of its group: sums over the ops of the graph, split so
//! that any pipeline, replica count and recomputation can be priced from them without touching an op again.
//!
//! Unfused attention runs as products of scores and values with softmax and dropout between them; its backward pass as four products.

use tetra_chip::{Chip, OpTimer};
use tetra_workload::{
    AttentionOp, Collective, CollectiveKind, FeedForward, Gemm, Graph, Model, Node, Op, ParallelGroup, Pass, VectorKind, VectorOp, Work,
    graph,
};

use crate::collective::{Span, expert_exchange, time_over};
use crate::network::Network;
use crate::train::ask::{Kernels, TrainAsk};
use crate::train::constants::TrainConstants;
use crate::train::layout::Layout;
use crate::train::memory::Kept;
use crate::train::misfit::Fit;
use crate::train::step::JobCount;

/// What a set of ops takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Spent {
    pub(crate) gemm: f64,
    pub(crate) attention: f64,
    pub(crate) vector: f64,
    /// Communication of the tensor group, all of it.
    pub(crate) tensor: f64,
    pub(crate) context: f64,
    pub(crate) expert: f64,
    pub(crate) ops: f64,
    pub(crate) energy: f64,
    pub(crate) link_energy: f64,
    pub(crate) flop: f64,
}

impl Spent {
    pub(crate) fn add(&mut self, other: &Self, times: f64) {
        self.gemm += times * other.gemm;
        self.attention += times * other.attention;
        self.vector += times * other.vector;
        self.tensor += times * other.tensor;
        self.context += times * other.context;
        self.expert += times * other.expert;
        self.ops += times * other.ops;
        self.energy += times * other.energy;
        self.link_energy += times * other.link_energy;
        self.flop += times * other.flop;
    }

    /// Time on the device without communication.
    pub(crate) fn compute(&self) -> f64 {
        self.gemm + self.attention + self.vector
    }
}

/// Forward and backward.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Passes {
    pub(crate) forward: Spent,
    pub(crate) backward: Spent,
}

/// One layer shape.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct LayerPiece {
    pub(crate) passes: Passes,
    /// The attention core's forward pass alone.
    pub(crate) core: Spent,
    pub(crate) kept: Kept,
    pub(crate) dense_parameters: f64,
    pub(crate) expert_parameters: f64,
}

/// All that a microbatch costs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pieces {
    /// What the job has in common with any layout.
    pub(crate) count: JobCount,
    pub(crate) layers: Vec<LayerPiece>,
    /// For each shape, how many of the first `i` layers have it.
    pub(crate) before: Vec<Vec<u32>>,
    /// Whether the expert group spans scale-up domains.
    pub(crate) experts_cross: bool,
    pub(crate) embedding: Passes,
    pub(crate) head: Passes,
    pub(crate) embedding_parameters: f64,
    pub(crate) head_parameters: f64,
}

impl Pieces {
    /// Layers of the model.
    pub(crate) fn depth(&self) -> u64 {
        self.before.first().map_or(0, |b| b.len() as u64 - 1)
    }

    pub(crate) fn of(
        ask: &TrainAsk<'_>,
        chip: &Chip,
        timer: &dyn OpTimer,
        network: &Network,
        layout: &Layout,
        constants: &TrainConstants,
    ) -> Fit<Self> {
        let work = Work::train(layout.micro_batch, ask.sequence);
        let built = graph(ask.model, &work, &layout.shard(), &ask.precision)?;
        let scratchpads = chip.compute.cores as f64 * chip.memory.local_bytes_per_cycle * chip.compute.clock.value();
        let mut meter = Meter { timer, network, layout, constants, kernels: ask.kernels, scratchpads, top_k: top_k(ask.model) };
        let layers = built.layers.iter().enumerate().map(|(i, l)| layer_piece(i, l, &built, ask, &mut meter)).collect();
        Ok(Self {
            count: JobCount::of(ask),
            layers,
            experts_cross: span_of(ParallelGroup::Expert, layout).inside(network.domain) < layout.expert_parallel,
            before: counts_before(&built),
            embedding: meter.passes(&built.embedding),
            head: meter.passes(&built.head),
            embedding_parameters: built.embedding_bytes as f64 / ask.precision.vocabulary.bytes(),
            head_parameters: built.head_bytes as f64 / ask.precision.vocabulary.bytes(),
        })
    }
}

fn top_k(model: &Model) -> u64 {
    let of = |f: &FeedForward| if let FeedForward::Experts { top_k, .. } = f { *top_k } else { 0 };
    model.layers.iter().map(|l| of(&l.feed_forward)).max().unwrap_or(0)
}

fn layer_piece(index: usize, shape: &tetra_workload::LayerGraph, built: &Graph, ask: &TrainAsk<'_>, meter: &mut Meter<'_>) -> LayerPiece {
    let first = built.order.iter().position(|&o| usize::from(o) == index).and_then(|i| ask.model.layers.get(i));
    let expert_parameters = shape.expert_parameters as f64;
    LayerPiece {
        passes: meter.passes(&shape.nodes),
        core: meter.core(&shape.nodes),
        kept: first.map(|layer| Kept::of(layer, ask, meter.layout)).unwrap_or_default(),
        dense_parameters: shape.parameters as f64 - expert_parameters,
        expert_parameters,
    }
}

fn counts_before(built: &Graph) -> Vec<Vec<u32>> {
    let mut before = vec![Vec::with_capacity(built.order.len() + 1); built.layers.len()];
    let mut counts = vec![0u32; built.layers.len()];
    for list in &mut before {
        list.push(0);
    }
    for &kind in &built.order {
        counts[usize::from(kind)] += 1;
        for (list, &count) in before.iter_mut().zip(&counts) {
            list.push(count);
        }
    }
    before
}

/// Adds up ops.
struct Meter<'a> {
    timer: &'a dyn OpTimer,
    network: &'a Network,
    layout: &'a Layout,
    constants: &'a TrainConstants,
    kernels: Kernels,
    /// Bytes per second of all scratchpads.
    scratchpads: f64,
    /// Experts per token, 0 without experts.
    top_k: u64,
}

impl Meter<'_> {
    fn passes(&mut self, nodes: &[Node]) -> Passes {
        let mut out = Passes::default();
        for node in nodes {
            let spent = if node.pass == Pass::Forward { &mut out.forward } else { &mut out.backward };
            self.count(&node.op, spent);
        }
        out
    }

    fn core(&mut self, nodes: &[Node]) -> Spent {
        let mut out = Spent::default();
        for node in nodes.iter().filter(|n| n.pass == Pass::Forward && matches!(n.op, Op::Attention(_))) {
            self.count(&node.op, &mut out);
        }
        out
    }

    fn count(&mut self, op: &Op, spent: &mut Spent) {
        match op {
            Op::Collective(c) => self.communicate(c, spent),
            Op::Attention(a) if self.kernels == Kernels::Plain => {
                let mut parts = Spent::default();
                for part in unfused(a) {
                    self.compute(&part, &mut parts);
                }
                spent.add(&Spent { gemm: 0.0, vector: 0.0, attention: parts.gemm + parts.vector, ..parts }, 1.0);
            }
            _ => self.compute(op, spent),
        }
    }

    fn compute(&mut self, op: &Op, spent: &mut Spent) {
        let cost = self.timer.cost(op);
        let seconds = cost.time.value() * self.constants.sustained;
        let eager = self.kernels == Kernels::Eager;
        match op {
            Op::Gemm(_) => spent.gemm += seconds,
            // The group waits for its fullest chip.
            Op::GroupedGemm(_) => spent.gemm += seconds * self.constants.expert_imbalance,
            Op::Attention(a) => spent.attention += self.attention(a, seconds),
            // The loss is counted pass by pass already.
            Op::Vector(v) if eager && v.kind != VectorKind::CrossEntropy => spent.vector += seconds * self.constants.eager_vector,
            Op::Vector(_) => spent.vector += seconds,
            Op::Collective(_) => {}
        }
        spent.ops += 1.0;
        spent.energy += cost.energy.value();
        spent.flop += cost.flop.value();
    }

    /// Fused attention: its backward pass, and the first generation, which fed the arrays from the scratchpad.
    fn attention(&self, a: &AttentionOp, seconds: f64) -> f64 {
        let timed = seconds * if a.backward { self.constants.attention_backward } else { 1.0 };
        if self.kernels != Kernels::Eager {
            return timed;
        }
        timed.max(a.flop() / (self.scratchpads * self.constants.eager_attention_flop_per_byte))
    }

    fn communicate(&mut self, collective: &Collective, spent: &mut Spent) {
        let span = span_of(collective.group, self.layout);
        let exchange = collective.kind == CollectiveKind::AllToAll && self.top_k > 0;
        let seconds = if exchange {
            expert_exchange(collective.bytes, self.top_k, span, self.network).value()
        } else {
            time_over(collective, span, self.network).value()
        };
        match collective.group {
            ParallelGroup::Tensor => spent.tensor += seconds,
            ParallelGroup::Context => spent.context += seconds,
            _ => spent.expert += seconds * self.constants.expert_imbalance,
        }
        spent.link_energy += link_energy(collective, span, self.network, self.constants);
        spent.ops += f64::from(u8::from(span.size > 1));
    }
}

/// The group of a collective in rank order tensor, context, data, pipeline; experts over the fastest ranks.
pub(crate) fn span_of(group: ParallelGroup, layout: &Layout) -> Span {
    let shard = layout.shard();
    let t = layout.tensor_parallel;
    match group {
        ParallelGroup::Tensor => Span::dense(t),
        ParallelGroup::ExpertTensor => Span::dense(shard.expert_tensor),
        ParallelGroup::Expert => Span { size: layout.expert_parallel, stride: shard.expert_tensor },
        ParallelGroup::Context => Span { size: layout.context_parallel, stride: t },
        ParallelGroup::Data => Span { size: layout.data_parallel.saturating_mul(layout.context_parallel), stride: t },
        ParallelGroup::Pipeline => Span { size: 2, stride: t.saturating_mul(layout.context_parallel).saturating_mul(layout.data_parallel) },
    }
}

/// Energy of the bytes that one chip sends.
pub(crate) fn link_energy(collective: &Collective, span: Span, network: &Network, constants: &TrainConstants) -> f64 {
    if span.size <= 1 {
        return 0.0;
    }
    let volume = if collective.kind == CollectiveKind::AllReduce { 2.0 } else { 1.0 } * collective.bytes as f64;
    let inside = span.inside(network.domain) as f64;
    let outside = if inside < span.size as f64 { volume / inside } else { 0.0 };
    let near = if inside > 1.0 { volume } else { 0.0 };
    near * constants.scale_up_joules_per_byte + outside * constants.scale_out_joules_per_byte
}

/// The ops that unfused attention runs: all pairs, masked afterwards.
fn unfused(a: &AttentionOp) -> Vec<Op> {
    let batch = a.sequences.saturating_mul(a.heads);
    let product = |m, n, k| Op::Gemm(Gemm { batch, m, n, k, a: a.a, b: a.a, out: a.a });
    let rows = batch.saturating_mul(a.q_len);
    let wide = a.a.bytes_of(rows.saturating_mul(a.kv_len));
    let mask = rows.saturating_mul(a.kv_len);
    let pass = |kind, reads: u64, writes: u64, masks_in: bool, masks_out: bool| {
        Op::Vector(VectorOp {
            kind,
            rows,
            cols: a.kv_len,
            read_bytes: wide.saturating_mul(reads).saturating_add(if masks_in { mask } else { 0 }),
            write_bytes: wide.saturating_mul(writes).saturating_add(if masks_out { mask } else { 0 }),
        })
    };
    if !a.backward {
        return vec![
            product(a.q_len, a.kv_len, a.d_qk),
            pass(VectorKind::Softmax, 1, 1, false, false),
            pass(VectorKind::Dropout, 1, 1, false, true),
            product(a.q_len, a.d_v, a.kv_len),
        ];
    }
    vec![
        product(a.q_len, a.kv_len, a.d_v),
        product(a.kv_len, a.d_v, a.q_len),
        pass(VectorKind::Dropout, 1, 1, true, false),
        pass(VectorKind::Softmax, 2, 1, false, false),
        product(a.q_len, a.d_qk, a.kv_len),
        product(a.kv_len, a.d_qk, a.q_len),
    ]
}
