//! Gradient ops of a list of forward ops, in reverse order.
//!
//! `dX = dY·Wᵀ` and `dW = Xᵀ·dY` for every product with weights; weight gradients are added up in 32 bits. Fused attention has one backward op
//! (arXiv 2205.14135). A vector op reads its input and the gradient of its output and writes the gradient of its input. An all-reduce in
//! forward stands for one in backward; all-gather and reduce-scatter change places, and the gathered tokens are gathered once more for the
//! weight gradient (arXiv 2205.05198, section 4.2.2).

use super::local::Local;
use crate::op::{Collective, CollectiveKind, Gemm, GroupedGemm, Op, VectorKind, VectorOp};
use crate::types::DataType;
use crate::work::{Node, Pass};

/// Appends the backward ops of all `nodes`.
pub(crate) fn append(local: &Local, nodes: &mut Vec<Node>) {
    for i in (0..nodes.len()).rev() {
        let node = nodes[i];
        match node.op {
            Op::Gemm(g) => gemm(local, node.name, g, nodes),
            Op::GroupedGemm(g) => grouped(local, node.name, g, nodes),
            Op::Attention(mut a) => {
                a.backward = true;
                nodes.push(Node { name: node.name, op: Op::Attention(a), pass: Pass::BackwardInput });
            }
            Op::Vector(v) => vector(node.name, v, nodes),
            Op::Collective(c) => collective(node.name, c, nodes),
        }
    }
}

fn gemm(local: &Local, name: &'static str, g: Gemm, nodes: &mut Vec<Node>) {
    local.quantise("quantise_gradient", g.m, g.n, g.a, nodes);
    let input = Gemm { n: g.k, k: g.n, ..g };
    nodes.push(Node { name, op: Op::Gemm(input), pass: Pass::BackwardInput });
    let weight = Gemm { batch: g.batch, m: g.n, n: g.k, k: g.m, a: g.a, b: g.a, out: DataType::Fp32 };
    nodes.push(Node { name, op: Op::Gemm(weight), pass: Pass::BackwardWeight });
}

fn grouped(local: &Local, name: &'static str, g: GroupedGemm, nodes: &mut Vec<Node>) {
    local.quantise("quantise_gradient", g.rows, g.n, g.a, nodes);
    nodes.push(Node { name, op: Op::GroupedGemm(GroupedGemm { n: g.k, k: g.n, ..g }), pass: Pass::BackwardInput });
    // Shape of the forward product with the weights' place taken by their 32-bit gradients: the same FLOP, the gradients moved once.
    nodes.push(Node { name, op: Op::GroupedGemm(GroupedGemm { b: DataType::Fp32, ..g }), pass: Pass::BackwardWeight });
}

fn vector(name: &'static str, v: VectorOp, nodes: &mut Vec<Node>) {
    let moved = match v.kind {
        // Gradients are quantised beside their products, and the choice of experts has none.
        VectorKind::Quantise | VectorKind::TopK => return,
        VectorKind::Add | VectorKind::Rope | VectorKind::Permute => v,
        _ => VectorOp { read_bytes: v.read_bytes.saturating_add(v.write_bytes), write_bytes: v.read_bytes, ..v },
    };
    nodes.push(Node { name, op: Op::Vector(moved), pass: Pass::BackwardInput });
}

fn collective(name: &'static str, c: Collective, nodes: &mut Vec<Node>) {
    let mut push = |name, kind, pass| nodes.push(Node { name, op: Op::Collective(Collective { kind, ..c }), pass });
    match c.kind {
        CollectiveKind::AllGather => {
            push(name, CollectiveKind::AllGather, Pass::BackwardWeight);
            push("gradient_reduce_scatter", CollectiveKind::ReduceScatter, Pass::BackwardInput);
        }
        CollectiveKind::ReduceScatter => push("gradient_all_gather", CollectiveKind::AllGather, Pass::BackwardInput),
        CollectiveKind::AllReduce | CollectiveKind::AllToAll | CollectiveKind::SendRecv => push(name, c.kind, Pass::BackwardInput),
    }
}

/// The embedding's backward pass: gradients of the rows are added to the table's. Ranks hold whole gradients, so there is no reduction,
/// save the gather of split tokens.
pub(crate) fn embedding(local: &Local, gather: Node, nodes: &mut Vec<Node>) {
    if let (true, Op::Vector(v)) = (local.model.embedding_norm, nodes[nodes.len() - 1].op) {
        vector("embedding_norm", v, nodes);
    }
    let before = nodes.len();
    local.gather_tokens(nodes);
    nodes[before..].iter_mut().for_each(|n| n.pass = Pass::BackwardInput);
    if let Op::Vector(v) = gather.op {
        let table = DataType::Fp32.bytes_of(v.rows.saturating_mul(v.cols));
        let scatter = VectorOp { read_bytes: v.write_bytes.saturating_add(table), write_bytes: table, ..v };
        nodes.push(Node { name: gather.name, op: Op::Vector(scatter), pass: Pass::BackwardWeight });
    }
}
