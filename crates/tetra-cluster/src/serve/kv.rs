//! Memory of a serving chip: weights, and a paged cache whose sequences are at all stages of their output, so that one is full and the others
//! hold `input + output / 2` positions in the mean (Kwon et al. 2023, "vLLM"). A windowed layer keeps no more than its window.
//!
//! Leaves out: activations and communication buffers beyond the share of memory that an engine keeps free.

use tetra_chip::Chip;
use tetra_quantity::Bytes;
use tetra_workload::{Graph, LayerGraph};

use crate::serve::ask::ServeAsk;
use crate::serve::constants::ServeConstants;
use crate::serve::layout::Split;
use crate::serve::misfit::ServeMisfit;

/// Memory of one chip.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ServeMemory {
    /// Weights.
    pub weights: Bytes,
    /// Cache of the running sequences.
    pub cache: Bytes,
    /// Cache of one full sequence.
    pub sequence: Bytes,
    /// What an engine may use of the capacity.
    pub usable: Bytes,
    /// Capacity.
    pub capacity: Bytes,
    /// Most sequences that fit in one tensor-parallel group.
    pub batch_max: u64,
}

/// Weight bytes of the fullest stage on one chip.
pub fn stage_weights(graph: &Graph, stages: u64) -> f64 {
    let layers: f64 = graph.layers.iter().map(|l| l.weight_bytes as f64 * l.layers as f64).sum();
    let vocabulary =
        if stages > 1 { graph.embedding_bytes.max(graph.head_bytes) } else { graph.embedding_bytes.saturating_add(graph.head_bytes) };
    layers * stage_share(graph, stages) + vocabulary as f64
}

/// Share of all layers in the fullest stage.
pub fn stage_share(graph: &Graph, stages: u64) -> f64 {
    let layers: u64 = graph.layers.iter().map(|l| l.layers).sum();
    if layers == 0 { 1.0 } else { layers.div_ceil(stages.max(1)) as f64 / layers as f64 }
}

/// Cache bytes of `tokens` positions of one sequence in the fullest stage, on one chip.
pub fn sequence_bytes(graph: &Graph, stages: u64, tokens: f64) -> f64 {
    let of = |l: &LayerGraph| l.kv_bytes_per_token as f64 * l.layers as f64 * tokens.min(l.kv_tokens_max as f64);
    graph.layers.iter().map(of).sum::<f64>() * stage_share(graph, stages)
}

/// Memory of a worker with `batch` sequences per tensor-parallel group.
///
/// # Errors
/// Weights or cache that are too large.
pub fn memory(
    graph: &Graph,
    split: &Split,
    batch: u64,
    ask: &ServeAsk<'_>,
    chip: &Chip,
    constants: &ServeConstants,
) -> Result<ServeMemory, ServeMisfit> {
    let stages = split.pipeline_parallel.max(1);
    let capacity = chip.memory.hbm;
    let usable = capacity.value() * constants.memory_share;
    let other = ask.model.other_parameters as f64 * ask.precision.weights.bytes() / split.chips().max(1) as f64;
    let weights = stage_weights(graph, stages) + other;
    let full = sequence_bytes(graph, stages, ask.input as f64 + ask.output as f64);
    let mean = sequence_bytes(graph, stages, ask.input as f64 + 0.5 * ask.output as f64);
    let room = usable - weights;
    if room < full || usable <= 0.0 {
        return Err(ServeMisfit::Weights { weights: Bytes(weights), sequence: Bytes(full), usable: Bytes(usable) });
    }
    let batch_max = 1 + ((room - full) / mean.max(1.0)) as u64;
    let cache = full + mean * (batch.max(1) - 1) as f64;
    let found =
        ServeMemory { weights: Bytes(weights), cache: Bytes(cache), sequence: Bytes(full), usable: Bytes(usable), capacity, batch_max };
    if batch > batch_max {
        return Err(ServeMisfit::Cache { batch, need: Bytes(weights + cache), usable: Bytes(usable), most: batch_max });
    }
    Ok(found)
}
