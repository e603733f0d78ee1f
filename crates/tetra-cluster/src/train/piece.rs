//! Cost of one microbatch in one layer, in the embedding and in the head, on one chip of its group: sums over the ops of the graph, split so
//! that any pipeline, replica count and recomputation can be priced from them without touching an op again.
//!
//! Unfused attention runs as products of scores and values with softmax and dropout between them; its backward pass as four products. Recomputation repeats the forward pass;
//! libraries whose checkpoints stop early leave out what follows the last product's input. An op takes the time of a hot chip ([`TrainConstants::long_run`]).

use tetra_chip::{Chip, OpTimer};
use tetra_workload::{
    AttentionOp, Collective, CollectiveKind, DataType, FeedForward, Gemm, Graph, Model, Node, Op, ParallelGroup, Pass, Routing, VectorKind,
    VectorOp, Work, graph, prediction,
};

use crate::collective::{Span, expert_exchange, time_over};
use crate::network::Network;
use crate::train::ask::{TrainAsk, Trained};
use crate::train::constants::TrainConstants;
use crate::train::eager::{self, EagerPasses};
use crate::train::framework::{AttentionKernels, Framework};
use crate::train::layout::Layout;
use crate::train::memory::Kept;
use crate::train::misfit::Fit;
use crate::train::quantise::Quantising;
use crate::train::split::Depth;

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

    /// Time on the device and of all communication.
    pub(crate) fn all(&self) -> f64 {
        self.compute() + self.tensor + self.context + self.expert
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
    /// Of the latter, seconds of compute that give gradients of weights.
    pub(crate) weight: f64,
}

impl Passes {
    fn with(mut self, other: &Self) -> Self {
        self.forward.add(&other.forward, 1.0);
        self.backward.add(&other.backward, 1.0);
        self.weight += other.weight;
        self
    }
}

/// One layer shape.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct LayerPiece {
    pub(crate) passes: Passes,
    /// What full recomputation runs again.
    pub(crate) again: Spent,
    /// What selective recomputation runs again.
    pub(crate) core: Spent,
    /// What is run again when only cheap results are.
    pub(crate) cheap: Spent,
    pub(crate) kept: Kept,
    pub(crate) dense_parameters: f64,
    pub(crate) expert_parameters: f64,
}

/// All that a microbatch costs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pieces {
    pub(crate) layers: Vec<LayerPiece>,
    pub(crate) depth: Depth,
    /// Whether the expert group spans scale-up domains.
    pub(crate) experts_cross: bool,
    pub(crate) embedding: Passes,
    pub(crate) head: Passes,
    pub(crate) embedding_parameters: f64,
    pub(crate) head_parameters: f64,
}

impl Pieces {
    pub(crate) fn of(
        ask: &TrainAsk<'_>,
        chip: &Chip,
        timer: &dyn OpTimer,
        network: &Network,
        layout: &Layout,
        constants: &TrainConstants,
    ) -> Fit<Self> {
        let work = Work::train(layout.micro_batch, ask.sequence);
        let mut built = graph(ask.model, &work, &layout.shard(), &ask.precision)?;
        if let Trained::Adapters(rank) = ask.trained {
            built.adapt(rank);
        }
        let further = prediction(ask.model, &work, &layout.shard(), &ask.precision)?;
        let scratchpads = chip.compute.cores as f64 * chip.memory.local_bytes_per_cycle * chip.compute.clock_max.value();
        let mut meter = Meter {
            timer,
            network,
            layout,
            constants,
            framework: ask.framework,
            chip,
            scratchpads,
            top_k: top_k(ask.model),
            routing: ask.model.routing,
            quantising: Quantising::of(ask, chip),
            imbalance: if ask.balanced { 1.0 } else { constants.expert_imbalance },
        };
        let layers = built.layers.iter().enumerate().map(|(i, l)| layer_piece(i, l, &built, ask, &mut meter)).collect();
        Ok(Self {
            layers,
            experts_cross: span_of(ParallelGroup::Expert, layout).inside(network.domain) < layout.expert_parallel,
            depth: Depth::of(&built),
            embedding: meter.passes(&built.embedding),
            head: meter.passes(&built.head).with(&meter.passes(&further.nodes)),
            embedding_parameters: built.embedding_bytes as f64 / ask.precision.vocabulary.bytes(),
            head_parameters: built.head_bytes as f64 / ask.precision.vocabulary.bytes() + further.parameters as f64,
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
    let again = meter.again(&shape.nodes);
    let mut passes = meter.passes(&shape.nodes);
    if let (Some(layer), true) = (first, meter.framework.eager) {
        let tokens = meter.layout.micro_batch.saturating_mul(ask.sequence.div_ceil(meter.layout.context_parallel.max(1)));
        let further = eager::passes(layer, &shape.nodes, ask.model.hidden, tokens, meter.layout, ask.precision.residual.bytes());
        passes = passes.with(&meter.eager(&further));
    }
    LayerPiece {
        passes,
        again,
        core: meter.selective(&shape.nodes, &again),
        cheap: meter.cheap(&shape.nodes),
        kept: first.map(|layer| Kept::of(layer, ask, meter.layout)).unwrap_or_default(),
        dense_parameters: shape.parameters as f64 - expert_parameters,
        expert_parameters,
    }
}

/// Norms whose results are made again, and what expands latents.
const CHEAP: [&str; 2] = ["attention_norm", "ffn_norm"];
const EXPANDED: [&str; 4] = ["latent_norm", "q_up_proj", "kv_up_proj", "rope"];

/// Adds up ops.
struct Meter<'a> {
    timer: &'a dyn OpTimer,
    network: &'a Network,
    layout: &'a Layout,
    constants: &'a TrainConstants,
    framework: Framework,
    chip: &'a Chip,
    /// Bytes per second of all scratchpads.
    scratchpads: f64,
    /// Experts per token, 0 without experts.
    top_k: u64,
    routing: Routing,
    /// Load of the fullest chip of an expert group over the mean.
    imbalance: f64,
    quantising: Quantising,
}

impl Meter<'_> {
    fn passes(&mut self, nodes: &[Node]) -> Passes {
        let mut out = Passes::default();
        for node in nodes {
            let mut spent = Spent::default();
            self.count(&self.quantising.of_node(node), &mut spent);
            match node.pass {
                Pass::Forward => out.forward.add(&spent, 1.0),
                _ => out.backward.add(&spent, 1.0),
            }
            if node.pass == Pass::BackwardWeight {
                out.weight += spent.compute();
            }
        }
        out
    }

    fn eager(&mut self, further: &EagerPasses) -> Passes {
        let mut out = Passes::default();
        for op in further.weights.iter().chain(&further.inputs) {
            self.compute(&Op::Vector(*op), &mut out.backward);
        }
        let mut weights = Spent::default();
        further.weights.iter().for_each(|op| self.compute(&Op::Vector(*op), &mut weights));
        out.weight = weights.compute();
        out
    }

    /// The forward pass; eager libraries stop once the last product has its input back (PyTorch's non-reentrant checkpoints).
    fn again(&mut self, nodes: &[Node]) -> Spent {
        let forward: Vec<&Node> = nodes.iter().filter(|n| n.pass == Pass::Forward).collect();
        let last = forward.iter().rposition(|n| matches!(n.op, Op::Gemm(_) | Op::GroupedGemm(_)));
        let end = if self.framework.stops_early { last.unwrap_or(forward.len()) } else { forward.len() };
        let mut out = Spent::default();
        for node in forward.iter().take(end) {
            self.count(&self.quantising.of_node(node), &mut out);
        }
        out
    }

    /// The attention core; eager libraries choose every other layer or product instead.
    fn selective(&mut self, nodes: &[Node], again: &Spent) -> Spent {
        let mut out = Spent::default();
        if self.framework.every_other {
            out.add(again, 0.5);
            return out;
        }
        for node in nodes.iter().filter(|n| n.pass == Pass::Forward && matches!(n.op, Op::Attention(_))) {
            self.count(&node.op, &mut out);
        }
        out
    }

    /// What is cheap for the bytes it keeps.
    fn cheap(&mut self, nodes: &[Node]) -> Spent {
        let mut out = Spent::default();
        let latent = nodes.iter().any(|n| n.name == "kv_up_proj");
        for node in nodes.iter().filter(|n| n.pass == Pass::Forward) {
            let function = matches!(node.op, Op::Vector(VectorOp { kind: VectorKind::Gelu | VectorKind::GatedSilu, .. }));
            if function || CHEAP.contains(&node.name) || (latent && EXPANDED.contains(&node.name)) {
                self.count(&self.quantising.of_node(node), &mut out);
            }
        }
        out
    }

    fn count(&mut self, op: &Op, spent: &mut Spent) {
        match op {
            Op::Collective(c) => self.communicate(c, spent),
            Op::Attention(a) if self.framework.attention == AttentionKernels::Unfused => {
                let mut parts = Spent::default();
                for part in unfused(a) {
                    self.compute(&part, &mut parts);
                }
                spent.add(&Spent { gemm: 0.0, vector: 0.0, attention: parts.gemm + parts.vector, ..parts }, 1.0);
            }
            Op::Attention(a) if self.layout.context_parallel > 1 && !a.causal => {
                for part in ring(a, self.layout.context_parallel) {
                    self.compute(&part, spent);
                }
            }
            _ => self.compute(op, spent),
        }
    }

    fn compute(&mut self, op: &Op, spent: &mut Spent) {
        if let (Op::Vector(v), true) = (op, self.framework.eager) {
            eager::apart(v).into_iter().for_each(|more| self.compute(&Op::Vector(more), spent));
        }
        let cost = self.timer.cost(op);
        let seconds = self.constants.long_run(&cost, self.chip);
        match op {
            Op::Gemm(_) => spent.gemm += seconds,
            // The group waits for its fullest chip.
            Op::GroupedGemm(_) => spent.gemm += seconds * self.imbalance,
            Op::Attention(a) => spent.attention += self.attention(a, seconds),
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
        let (rate, backward) = match self.framework.attention {
            AttentionKernels::First => (self.constants.eager_attention_flop_per_byte, self.constants.eager_attention_backward),
            AttentionKernels::Second => (self.constants.second_attention_flop_per_byte, self.constants.attention_backward),
            _ => return timed,
        };
        timed.max(if a.backward { backward } else { 1.0 } * a.flop() / (self.scratchpads * rate))
    }

    fn communicate(&mut self, collective: &Collective, spent: &mut Spent) {
        let span = span_of(collective.group, self.layout);
        let exchange = collective.kind == CollectiveKind::AllToAll && self.top_k > 0 && self.routing != Routing::FREE;
        let seconds = if exchange {
            expert_exchange(collective.bytes, (self.routing, self.top_k), span, self.network).value()
        } else {
            time_over(collective, span, self.network).value()
        };
        match collective.group {
            ParallelGroup::Tensor => spent.tensor += seconds,
            ParallelGroup::Context => spent.context += seconds,
            _ => spent.expert += seconds * self.imbalance,
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

/// The kernels that a ring of `ranks` runs instead of one (arXiv 2310.01889, halves of positions paired so that the causal mask is balanced): each round its queries
/// meet half of a neighbour's keys, and what a round finds is added to the sum of those before, kept in 32 bits.
fn ring(a: &AttentionOp, ranks: u64) -> Vec<Op> {
    let round = AttentionOp { kv_len: a.kv_len.div_ceil(ranks), ..*a };
    let (rows, width) = (a.sequences.saturating_mul(a.q_len), a.heads.saturating_mul(a.d_v));
    let (new, sum) = (a.a.bytes_of(rows.saturating_mul(width)), DataType::Fp32.bytes_of(rows.saturating_mul(width)));
    let add = VectorOp { kind: VectorKind::Add, rows, cols: width, read_bytes: new.saturating_add(sum), write_bytes: sum };
    let rounds = (0..ranks).map(|_| Op::Attention(round));
    rounds.chain((1..ranks).map(|_| Op::Vector(add))).collect()
}

/// Bytes of the widest load: libraries' kernels feed the arrays by whole ones.
const LOAD_BYTES: u64 = 16;

/// Terms of a sum whose factors lanes widen first: a lane holds 8 × 8 sums, so that 64 products come with 16 conversions and 4 loads of four.
const fn widened(terms: u64) -> u64 {
    const PRODUCTS: u64 = 64;
    const OTHERS: u64 = 20;
    terms.saturating_mul(PRODUCTS + OTHERS).div_ceil(PRODUCTS)
}

/// The ops that unfused attention runs: all pairs, masked afterwards. A head's rows lie one after another, so that where one is no whole number of loads, the products
/// leave the arrays and run on lanes in 32 bits.
fn unfused(a: &AttentionOp) -> Vec<Op> {
    let batch = a.sequences.saturating_mul(a.heads);
    let rows_fit = [a.d_qk, a.d_v].iter().all(|&d| a.a.bytes_of(d).is_multiple_of(LOAD_BYTES));
    let product = |m, n, k| {
        Op::Gemm(if rows_fit {
            Gemm { batch, m, n, k, a: a.a, b: a.a, out: a.a }
        } else {
            Gemm { batch, m, n, k: widened(k), a: DataType::Fp32, b: DataType::Fp32, out: a.a }
        })
    };
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
