//! Multi-token prediction in training: each further layer norms the residual stream and the embedding of the next token, projects both to the
//! hidden width, runs one layer and the shared head with its loss (DeepSeek-V3, arXiv 2412.19437, section 2.2).
//!
//! Leaves out: its use in serving (speculative decoding); a second copy of the embedding where the last chip lacks one.

use super::local::Local;
use super::{attention, backward, feed_forward, vocabulary, weights};
use crate::count::product;
use crate::model::Layer;
use crate::work::Node;

/// Ops and parameters of prediction layers on one chip.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// Ops, forward and backward.
    pub nodes: Vec<Node>,
    /// Parameters; the head and the embedding are the model's.
    pub parameters: u64,
}

impl Prediction {
    pub(crate) fn of(local: &Local) -> Self {
        let mut out = Self::default();
        for layer in &local.model.predict_layers {
            out.add(local, layer);
        }
        out
    }

    fn add(&mut self, local: &Local, layer: &Layer) {
        let h = local.model.hidden;
        let columns = h.div_ceil(local.shard.tensor_parallel);
        let norm = local.norm("predict_norm", layer.norm, local.precision.activations);
        let mut nodes = vec![norm, norm];
        local.gather_tokens(&mut nodes);
        nodes.push(local.projection("predict_projection", local.tokens, columns, product([2, h])));
        attention::forward(local, layer, &mut nodes);
        feed_forward::forward(local, layer, &mut nodes);
        backward::append(local, &mut nodes);
        self.nodes.extend(nodes);
        self.nodes.extend(vocabulary::head(local));
        let held = weights::Weights::of(local, layer).parameters.saturating_add(product([2, h, columns]));
        self.parameters = self.parameters.saturating_add(held);
    }
}
