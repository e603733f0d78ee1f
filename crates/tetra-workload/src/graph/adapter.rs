//! Training of low-rank adapters on frozen weights (LoRA, arXiv 2106.09685).
//!
//! `y = x·W + (x·A)·B` with `A` of `k × r` and `B` of `r × n` beside the QKV and output projections of attention. Gradients of inputs pass
//! through every product; of weights only those of `A` and `B` are made, so that frozen weights need no gradient, no optimiser state and no
//! exchange between replicas. Leaves out dropout before `A` and adapters elsewhere.

use crate::model::{Attention, Layer, Model};
use crate::op::{Gemm, Op, VectorKind, VectorOp};
use crate::types::DataType;
use crate::work::{Graph, Node, Pass};

/// Products that bear an adapter.
const ADAPTED: [&str; 2] = ["qkv_proj", "out_proj"];

impl Graph {
    /// Freezes all weights and adds adapters of rank `rank` to attention's projections.
    pub fn adapt(&mut self, rank: u64) {
        let frozen = |n: &Node| n.pass != Pass::BackwardWeight;
        for nodes in [&mut self.embedding, &mut self.head] {
            nodes.retain(frozen);
        }
        for layer in &mut self.layers {
            layer.nodes.retain(frozen);
            let adapted: Vec<Gemm> = layer.nodes.iter().filter_map(adapted).collect();
            for product in adapted {
                layer.nodes.extend(adapter(product, rank.max(1)));
            }
        }
    }
}

fn adapted(node: &Node) -> Option<Gemm> {
    match node.op {
        Op::Gemm(g) if node.pass == Pass::Forward && ADAPTED.contains(&node.name) => Some(g),
        _ => None,
    }
}

/// Down- and up-product with their gradients, and the sum with the frozen product's output.
fn adapter(g: Gemm, rank: u64) -> Vec<Node> {
    let wide = g.out;
    let plain = Gemm { a: wide, b: wide, out: wide, ..g };
    let (down, up) = (Gemm { n: rank, ..plain }, Gemm { k: rank, ..plain });
    let mut nodes = Vec::with_capacity(7);
    for product in [down, up] {
        let input = Gemm { n: product.k, k: product.n, ..product };
        let weight = Gemm { m: product.n, n: product.k, k: product.m, out: DataType::Fp32, ..product };
        for (op, pass) in [(product, Pass::Forward), (input, Pass::BackwardInput), (weight, Pass::BackwardWeight)] {
            nodes.push(Node { name: "adapter", op: Op::Gemm(op), pass });
        }
    }
    let bytes = wide.bytes_of(g.m.saturating_mul(g.n));
    let sum = VectorOp { kind: VectorKind::Add, rows: g.m, cols: g.n, read_bytes: bytes.saturating_mul(2), write_bytes: bytes };
    nodes.push(Node { name: "adapter_sum", op: Op::Vector(sum), pass: Pass::Forward });
    nodes
}

impl Model {
    /// Parameters of adapters of rank `rank` on the QKV and output projections of attention.
    pub fn adapter_parameters(&self, rank: u64) -> u64 {
        let layer = |l: &Layer| {
            let (qkv, out) = match l.attention {
                Attention::Grouped { heads, kv_heads, head_dim, .. } => {
                    (heads.saturating_add(kv_heads.saturating_mul(2)).saturating_mul(head_dim), heads.saturating_mul(head_dim))
                }
                Attention::Latent { heads, v_dim, .. } => (0, heads.saturating_mul(v_dim)),
            };
            let qkv_side = if qkv > 0 { qkv.saturating_add(self.hidden) } else { 0 };
            rank.saturating_mul(qkv_side.saturating_add(out).saturating_add(self.hidden))
        };
        self.layers.iter().fold(0, |sum, l| sum.saturating_add(layer(l)))
    }
}
