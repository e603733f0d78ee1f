//! Passes that a library runs in a layer's backward pass when every gradient has a kernel of its own: sums over tokens for the gradients of biases and of norms' weights,
//! and the joining of the gradients of queries, keys and values, which forward takes apart without moving them. Compilers and fused libraries make them beside other work.
//! In both passes rotations of positions are complex products in 32 bits, and a gate is a kernel beside its product ([`apart`]).

use tetra_workload::{Attention, DataType, FeedForward, Layer, Node, Op, Pass, VectorKind, VectorOp};

use crate::train::layout::Layout;

/// Passes of one microbatch.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct EagerPasses {
    /// For gradients of weights.
    pub(crate) weights: Vec<VectorOp>,
    /// For gradients of inputs.
    pub(crate) inputs: Vec<VectorOp>,
}

/// Those of a layer with these ops; `tokens` positions, elements of `bytes`.
pub(crate) fn passes(layer: &Layer, nodes: &[Node], hidden: u64, tokens: u64, layout: &Layout, bytes: f64) -> EagerPasses {
    let t = layout.tensor_parallel.max(1);
    let whole = if layout.sequence_parallel { tokens.div_ceil(t) } else { tokens };
    let pass = |rows: u64, cols: u64, writes: bool| {
        let moved = (rows as f64 * cols as f64 * bytes) as u64;
        VectorOp { kind: VectorKind::Add, rows, cols, read_bytes: moved, write_bytes: if writes { moved } else { 0 } }
    };
    let mut out = EagerPasses::default();
    let mut bias = |rows: u64, cols: u64| out.weights.push(pass(rows, cols, false));
    if let Attention::Grouped { heads, kv_heads, head_dim, qkv_bias, out_bias, .. } = layer.attention {
        let columns = heads.saturating_add(kv_heads.saturating_mul(2)).saturating_mul(head_dim).div_ceil(t);
        if qkv_bias {
            bias(tokens, columns);
        }
        if out_bias {
            bias(whole, hidden);
        }
        out.inputs.push(pass(tokens, columns, true));
    }
    if let FeedForward::Dense { ffn, gated, bias: true } = layer.feed_forward {
        out.weights.push(pass(tokens, ffn.saturating_mul(1 + u64::from(gated)).div_ceil(t), false));
        out.weights.push(pass(whole, hidden, false));
    }
    for node in nodes.iter().filter(|n| n.pass == Pass::BackwardInput) {
        if let Op::Vector(v @ VectorOp { kind: VectorKind::LayerNorm | VectorKind::RmsNorm, .. }) = node.op {
            out.weights.push(VectorOp { kind: VectorKind::Add, write_bytes: 0, ..v });
        }
    }
    out
}

/// What an op moves beyond its fused form where each term is a kernel of its own. Rotations widen their input to 32 bits, multiply and narrow it again. The activation of a
/// gate goes through memory before its product; backward, its gradient too.
pub(crate) fn apart(v: &VectorOp) -> Option<VectorOp> {
    let (read_bytes, write_bytes) = match v.kind {
        VectorKind::Rope => {
            let wide = DataType::Fp32.bytes_of(v.rows.saturating_mul(v.cols)).saturating_mul(2);
            (wide, wide)
        }
        VectorKind::GatedSilu => {
            // One of two inputs forward, of three (with the gradient) backward.
            let one = v.read_bytes.saturating_sub(v.write_bytes);
            let backward = v.write_bytes > one;
            (one.saturating_mul(if backward { 3 } else { 1 }), one)
        }
        _ => return None,
    };
    Some(VectorOp { kind: VectorKind::Add, read_bytes, write_bytes, ..*v })
}
