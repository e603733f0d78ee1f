//! Time and energy of one engine step: the ops of its graph on the chip, its collectives on the network, and what the host adds.
//!
//! A worker of `s` stages runs `s` groups of sequences in turn: a token takes `s` turns of the fullest stage.
//!
//! Leaves out: overlap of communication with computation of another half batch.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::{Bytes, Flop, Joules, Seconds};
use tetra_workload::{Collective, CollectiveKind, Graph, Node, Op, ParallelGroup, Phase, Work, graph};

use crate::collective;
use crate::network::Network;
use crate::serve::ask::ServeAsk;
use crate::serve::constants::ServeConstants;
use crate::serve::kv::stage_share;
use crate::serve::layout::Split;
use crate::serve::misfit::ServeMisfit;

/// Where the time of a step goes; the parts sum to it.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct StepParts {
    /// Matrix products of attention and dense layers.
    pub projections: Seconds,
    /// Matrix products of experts.
    pub experts: Seconds,
    /// Attention over the cache.
    pub attention: Seconds,
    /// Norms, activations, routing, conversions.
    pub vector: Seconds,
    /// Embedding and output head.
    pub vocabulary: Seconds,
    /// Collectives of the tensor-parallel group.
    pub tensor_links: Seconds,
    /// Dispatch to and return from experts.
    pub expert_links: Seconds,
    /// From stage to stage.
    pub pipeline_links: Seconds,
    /// Stages that wait for the fullest one.
    pub bubble: Seconds,
    /// Host.
    pub host: Seconds,
}

impl StepParts {
    /// Sum.
    pub fn total(&self) -> Seconds {
        self.rows_array().iter().fold(Seconds::ZERO, |sum, r| sum + r.1)
    }

    /// Name and time of each part.
    pub fn rows(&self) -> Vec<(&'static str, Seconds)> {
        self.rows_array().to_vec()
    }

    fn rows_array(&self) -> [(&'static str, Seconds); 10] {
        [
            ("projections", self.projections),
            ("experts", self.experts),
            ("attention", self.attention),
            ("vector", self.vector),
            ("vocabulary", self.vocabulary),
            ("tensor_links", self.tensor_links),
            ("expert_links", self.expert_links),
            ("pipeline_links", self.pipeline_links),
            ("bubble", self.bubble),
            ("host", self.host),
        ]
    }

    fn scaled(self, by: f64) -> Self {
        Self {
            projections: self.projections * by,
            experts: self.experts * by,
            attention: self.attention * by,
            vector: self.vector * by,
            vocabulary: self.vocabulary * by,
            tensor_links: self.tensor_links * by,
            expert_links: self.expert_links * by,
            pipeline_links: self.pipeline_links * by,
            bubble: self.bubble * by,
            host: self.host * by,
        }
    }
}

/// One step, or all steps of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct StepCost {
    /// Parts of its time.
    pub parts: StepParts,
    /// From one such step's start to the next one's, when the stages are kept busy.
    pub interval: Seconds,
    /// Dynamic energy of the chips of one stage position, all stages together.
    pub energy: Joules,
    /// Operations on the same chips.
    pub flop: Flop,
    /// Bytes to and from the memory of the same chips.
    pub hbm_bytes: Bytes,
}

impl StepCost {
    /// Time from start to end.
    pub fn time(&self) -> Seconds {
        self.parts.total()
    }
}

/// Everything that the time of a step depends on, besides the layout.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub ask: &'a ServeAsk<'a>,
    pub chip: &'a Chip,
    pub timer: &'a dyn OpTimer,
    pub network: &'a Network,
    pub constants: &'a ServeConstants,
}

impl Setting<'_> {
    /// Graph of a decode step at the mean context.
    pub fn decode_graph(&self, split: &Split, batch: u64) -> Result<Graph, ServeMisfit> {
        let context = self.ask.input.saturating_add(self.ask.output / 2);
        let sequences = batch.max(1).div_ceil(split.pipeline_parallel.max(1));
        self.graph(split, Work { phase: Phase::Decode, sequences, new_tokens: 1, context, logit_tokens: 1 })
    }

    /// One token for each of `batch` sequences.
    pub fn decode(&self, graph: &Graph, split: &Split, batch: u64) -> StepCost {
        let mut cost = self.pass(graph, split);
        let stages = split.pipeline_parallel.max(1) as f64;
        let turn = cost.interval * stages;
        cost.parts.bubble = (turn - cost.time()).max(Seconds::ZERO);
        cost.parts.host = self.constants.step + self.constants.sequence * batch.max(1) as f64;
        cost.interval = cost.time();
        cost.energy = cost.energy * stages;
        cost
    }

    /// Prompts that share a step at a batch: as many as end per decode step, at most what a step takes; a power of two.
    pub fn prompts(&self, batch: u64) -> u64 {
        let per_step = batch / self.ask.output.saturating_sub(1).max(1);
        let most = per_step.min(self.constants.chunk() / self.ask.input.max(1)).max(1);
        1 << most.ilog2()
    }

    /// All steps of one prompt in each tensor-parallel group, its share when `prompts` of them go together.
    pub fn prefill(&self, split: &Split, prompts: u64) -> Result<StepCost, ServeMisfit> {
        let input = self.ask.input.max(1);
        let chunk = input.min(self.constants.chunk());
        let context = (input - chunk) / 2;
        let sequences = prompts.max(1);
        let graph = self.graph(split, Work { phase: Phase::Prefill, sequences, new_tokens: chunk, context, logit_tokens: 1 })?;
        let steps = input as f64 / chunk as f64;
        let mut cost = self.pass(&graph, split);
        // Shapes of prompts vary too much for captured graphs: each op is launched by the host, which the device outruns when it is small.
        let ops = ops(&graph) / split.pipeline_parallel.max(1) as f64;
        let late = (self.constants.launch * ops - cost.interval).max(Seconds::ZERO);
        cost.parts.host = self.constants.step + late;
        let (chunk_interval, chunk_time) = (cost.interval + cost.parts.host, cost.time());
        // With stages, the chunks of one prompt follow each other: the last leaves after the first has passed all stages.
        let passed = chunk_time + chunk_interval * (steps - 1.0);
        let share = 1.0 / sequences as f64;
        cost.parts = cost.parts.scaled(passed / chunk_time.max(Seconds(f64::MIN_POSITIVE)) * share);
        cost.interval = chunk_interval * steps * share;
        cost.energy = cost.energy * (steps * share);
        cost.flop = cost.flop * (steps * share);
        cost.hbm_bytes = cost.hbm_bytes * (steps * share);
        Ok(cost)
    }

    fn graph(&self, split: &Split, work: Work) -> Result<Graph, ServeMisfit> {
        graph(self.ask.model, &work, &split.shard(), &self.ask.precision).map_err(|why| ServeMisfit::Shard { why })
    }

    /// One pass through all stages, without host and bubble.
    fn pass(&self, graph: &Graph, split: &Split) -> StepCost {
        let mut sum = StepCost::default();
        for layer in &graph.layers {
            for node in &layer.nodes {
                self.add(&mut sum, node, layer.layers as f64, split, false);
            }
        }
        let layers = sum.time();
        for node in graph.embedding.iter().chain(&graph.head) {
            self.add(&mut sum, node, 1.0, split, true);
        }
        let ends = sum.time() - layers;
        let stages = split.pipeline_parallel.max(1);
        if stages > 1 {
            let tokens = graph.work.sequences.saturating_mul(graph.work.new_tokens);
            let bytes = self.ask.precision.residual.bytes_of(tokens.saturating_mul(self.ask.model.hidden));
            let hop = Collective { kind: CollectiveKind::SendRecv, bytes, group: ParallelGroup::Pipeline };
            let hop = self.hop(&hop, split);
            sum.parts.pipeline_links = hop * (stages - 1) as f64;
            sum.interval = layers * stage_share(graph, stages) + ends + hop;
        } else {
            sum.interval = sum.time();
        }
        sum
    }

    /// One hop between stages, which are as far apart as the chips of one stage.
    fn hop(&self, send: &Collective, split: &Split) -> Seconds {
        collective::time_over(send, collective::Span { size: 2, stride: split.stage_chips() }, self.network)
    }

    /// An op inside a captured graph, whose launches follow each other more closely than separate ones.
    fn in_graph(&self, time: Seconds) -> Seconds {
        (time - self.constants.launch_saving).max(time * 0.5)
    }

    /// A library's collective, or an engine's own all-reduce, whichever is faster: chips of one domain read each other's partial sums directly, all of
    /// them in one step, or a share each and then the sums in a second step.
    fn collective(&self, c: &Collective, size: u64) -> Seconds {
        let library = collective::time(c, size, self.network);
        let tier = &self.network.scale_up;
        if c.kind != CollectiveKind::AllReduce || size <= 1 || size > self.network.domain || !tier.switched {
            return library;
        }
        let ranks = size as f64;
        let wire = c.bytes as f64 / (tier.bandwidth.value() * tier.large.efficiency).max(f64::MIN_POSITIVE);
        let step = self.constants.direct_step;
        let one = step + Seconds(wire * (ranks - 1.0));
        let two = step * 2.0 + Seconds(wire * 2.0 * (ranks - 1.0) / ranks);
        library.min(one).min(two)
    }

    fn add(&self, sum: &mut StepCost, node: &Node, times: f64, split: &Split, vocabulary: bool) {
        let parts = &mut sum.parts;
        if let Op::Collective(c) = &node.op {
            let (part, size) = match c.group {
                ParallelGroup::Expert => (&mut parts.expert_links, split.expert_parallel),
                ParallelGroup::ExpertTensor => (&mut parts.expert_links, split.expert_tensor),
                ParallelGroup::Tensor => (&mut parts.tensor_links, split.tensor_parallel),
                ParallelGroup::Context | ParallelGroup::Data | ParallelGroup::Pipeline => (&mut parts.pipeline_links, 1),
            };
            *part += self.collective(c, size) * times;
            return;
        }
        let cost = self.timer.cost(&node.op);
        let mut time = self.in_graph(cost.time) * times;
        let part = match &node.op {
            _ if vocabulary => &mut parts.vocabulary,
            Op::Gemm(_) => &mut parts.projections,
            Op::GroupedGemm(_) => {
                time = if split.expert_parallel > 1 { time * self.constants.expert_skew } else { time };
                &mut parts.experts
            }
            Op::Attention(_) => &mut parts.attention,
            Op::Vector(_) | Op::Collective(_) => &mut parts.vector,
        };
        *part += time;
        sum.energy += cost.energy * times;
        sum.flop += cost.flop * times;
        sum.hbm_bytes += cost.hbm_bytes * times;
    }
}

/// Ops of one pass.
fn ops(graph: &Graph) -> f64 {
    let layers: u64 = graph.layers.iter().map(|l| l.layers.saturating_mul(l.nodes.len() as u64)).sum();
    layers as f64 + (graph.embedding.len() + graph.head.len()) as f64
}
