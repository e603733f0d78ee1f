//! Passes that make the inputs of products narrow.
//!
//! Products for gradients of weights sum over tokens, the others over widths. Formats scaled by block need elements of their own for each (OCP MX specification 1.0), and arrays that
//! read narrow operands along the summed dimension only need a turned copy of each. With current scaling the largest element of a tensor must be known before it is scaled: norms and activation
//! functions find it as they write, gradients and what attention and experts receive are read once more. With delayed scaling, that of earlier steps serves, and norms and activation functions
//! write narrow elements of both orders themselves, which is counted as one copy made by a pass (source of both: Transformer Engine).

use tetra_chip::Chip;
use tetra_workload::{DataType, Node, Op, Pass, VectorKind, VectorOp};

use crate::train::ask::{TrainAsk, Trained};

/// How a job quantises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantising {
    /// Narrow elements written for each wide one.
    copies: u64,
    /// Whether the largest element is looked for first where no other kernel has found it.
    looks: bool,
}

/// Nodes whose input comes from a kernel that finds its largest element.
const FOUND: [&str; 3] = ["quantise_qkv", "quantise_ffn", "quantise_latent"];

impl Quantising {
    pub(crate) fn of(ask: &TrainAsk<'_>, chip: &Chip) -> Self {
        let format = ask.precision.activations;
        let current = ask.current_scaling && !format.scaled_by_block();
        let two = format.scaled_by_block() || (current && chip.compute.narrow_one_way);
        Self { copies: if two && ask.trained == Trained::All { 2 } else { 1 }, looks: current || format == DataType::Nvfp4 }
    }

    /// The op of a node as it is run.
    pub(crate) fn of_node(&self, node: &Node) -> Op {
        match node.op {
            Op::Vector(v @ VectorOp { kind: VectorKind::Quantise, .. }) => {
                let found = node.pass == Pass::Forward && FOUND.contains(&node.name);
                let reads = if self.looks && !found { 2 } else { 1 };
                Op::Vector(VectorOp {
                    read_bytes: v.read_bytes.saturating_mul(reads),
                    write_bytes: v.write_bytes.saturating_mul(self.copies),
                    ..v
                })
            }
            other => other,
        }
    }
}
