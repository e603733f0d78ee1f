//! Embedding and output head, split over the vocabulary with padding (Megatron-LM, arXiv 1909.08053, section 3).

use super::backward;
use super::local::{Local, collective, gemm, vector};
use crate::count::{product, total};
use crate::op::{CollectiveKind, Gemm, ParallelGroup, VectorKind};
use crate::types::DataType;
use crate::work::Node;

/// Vocabulary weights of one chip.
pub(crate) struct Vocabulary {
    pub(crate) embedding_bytes: u64,
    pub(crate) head_bytes: u64,
    pub(crate) parameters: u64,
}

impl Vocabulary {
    pub(crate) fn of(local: &Local) -> Self {
        let (m, p) = (local.model, local.precision);
        let rows = m.vocabulary.div_ceil(local.shard.tensor_parallel);
        let table = product([rows, m.hidden]);
        let embedding = table.saturating_add(product([m.learned_positions, m.hidden]));
        let norm = m.final_norm.parameters(m.hidden);
        let norms = if m.embedding_norm { norm.saturating_mul(2) } else { norm };
        let head = total([if m.tied_embeddings { 0 } else { table }, if m.head_bias { rows } else { 0 }]);
        Self {
            embedding_bytes: p.vocabulary.bytes_of(embedding).saturating_add(p.residual.bytes_of(norms)),
            head_bytes: p.vocabulary.bytes_of(head),
            parameters: total([embedding, norms, head]),
        }
    }
}

/// Row gather, sum over ranks, and the norm after it where the model has one; in training its scatter of gradients too.
pub(crate) fn embedding(local: &Local) -> Vec<Node> {
    let (h, tokens) = (local.model.hidden, local.tokens);
    let mut nodes = Vec::with_capacity(4);
    let written = local.residual_bytes(tokens, h);
    let tables = 1 + u64::from(local.model.learned_positions > 0);
    let rows = local.precision.vocabulary.bytes_of(product([tables, tokens, h]));
    let gather = vector("embedding", VectorKind::Gather, tokens, h, rows, written);
    nodes.push(gather);
    local.reduce_tokens(&mut nodes);
    if local.model.embedding_norm {
        let stream = local.residual_bytes(local.norm_tokens, h);
        nodes.push(vector("embedding_norm", VectorKind::LayerNorm, local.norm_tokens, h, stream, stream));
    }
    if local.train {
        backward::embedding(local, gather, &mut nodes);
    }
    nodes
}

/// Final norm, output product, and cross-entropy or sampling.
pub(crate) fn head(local: &Local) -> Vec<Node> {
    let (m, p) = (local.model, local.precision);
    let mut nodes = Vec::with_capacity(if local.train { 10 } else { 4 });
    let columns = m.vocabulary.div_ceil(local.shard.tensor_parallel);
    let rows = local.work.sequences.saturating_mul(if local.train { local.positions } else { local.work.logit_tokens });
    if local.train {
        nodes.push(local.norm("final_norm", m.final_norm, p.residual));
        local.gather_tokens(&mut nodes);
    } else {
        let stream = local.residual_bytes(rows, m.hidden);
        nodes.push(vector("final_norm", super::local::norm_vector(m.final_norm.kind), rows, m.hidden, stream.saturating_mul(2), stream));
    }
    nodes.push(gemm("head", Gemm { batch: 1, m: rows, n: columns, k: m.hidden, a: p.residual, b: p.vocabulary, out: p.residual }));
    if local.train {
        backward::append(local, &mut nodes);
        nodes.insert(nodes.iter().take_while(|n| n.pass == crate::work::Pass::Forward).count(), cross_entropy(local, rows, columns));
    } else {
        if local.shard.tensor_parallel > 1 {
            let bytes = local.residual_bytes(rows, m.vocabulary);
            nodes.push(collective("logits_all_gather", CollectiveKind::AllGather, bytes, ParallelGroup::Tensor));
        }
        nodes.push(vector(
            "sampling",
            VectorKind::Softmax,
            rows,
            m.vocabulary,
            local.residual_bytes(rows, m.vocabulary),
            DataType::Fp32.bytes_of(rows),
        ));
    }
    nodes
}

/// Loss and its gradient: maximum, shift, exponent, sum and gradient pass over logits widened to 32 bits, which are written back narrow.
fn cross_entropy(local: &Local, rows: u64, columns: u64) -> Node {
    let logits = product([rows, columns]);
    let (narrow, wide) = (local.precision.residual.bytes_of(logits), DataType::Fp32.bytes_of(logits));
    let (reads, writes) = (5, 4);
    let read = narrow.saturating_add(product([reads, wide]));
    let write = narrow.saturating_add(product([writes, wide]));
    vector("cross_entropy", VectorKind::CrossEntropy, rows, columns, read, write)
}
