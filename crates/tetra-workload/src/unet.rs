//! A denoising network of the UNet kind (Rombach et al., arXiv 2112.10752; shapes as in the configuration that diffusers writes), and the ops of one training step.
//!
//! Levels of `channels` at sides `s, s/2, …`: residual blocks of two 3×3 convolutions with a time embedding, and where `attention` stands a transformer block of self-attention, attention to
//! the text and a gated feed-forward of four times the width. A convolution of `c_in → c_out` over `p` positions is a product of `p × 9·c_in` and `9·c_in × c_out`; its input's
//! gradient a product over `9·c_out`. The text encoder is frozen and runs forward; the image encoder's moments are given. Skipped tensors are copied beside the
//! stream and their gradients split off again. A framework that runs op by op (`eager`) adds a convolution's bias, sums gradients of biases, of skipped tensors and of what queries, keys
//! and values share, and gates by kernels of their own; a compiler does these inside others. Leaves out: sampling of noise.

use serde_json::Value;

use crate::error::ConfigError;
use crate::op::{AttentionOp, Gemm, Op, VectorKind, VectorOp};
use crate::shape::DenseShape;
use crate::types::DataType;
use crate::work::{Node, Pass, Shard, Work};

/// A denoising network.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UNet {
    /// Channels of the latent image.
    pub latent_channels: u64,
    /// Side of the latent image.
    pub side: u64,
    /// Channels of each level.
    pub channels: Vec<u64>,
    /// Attention heads of each level, 0 where it has none.
    pub heads: Vec<u64>,
    /// Residual blocks per level on the way down; one more on the way up.
    pub blocks: u64,
    /// Width of the text's tokens.
    pub text_width: u64,
    /// Text encoder.
    pub text: DenseShape,
    /// Tokens of a text.
    pub text_tokens: u64,
}

/// What one image asks of a step, found by walking the network once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UNetStep {
    /// Ops of forward and backward pass.
    pub nodes: Vec<Node>,
    /// Elements that the backward pass reads.
    pub kept: u64,
    /// Parameters that are trained.
    pub parameters: u64,
}

/// Most of anything in a configuration.
const MOST: u64 = 1 << 12;
/// Most levels.
const LEVELS: usize = 8;
/// Side of a convolution's window, squared.
const WINDOW: u64 = 9;
/// Inner width of the feed-forward over its width.
const INNER: u64 = 4;

struct Walk {
    images: u64,
    wide: DataType,
    time: u64,
    text: (u64, u64),
    /// Whether every small pass is a kernel of its own.
    eager: bool,
    /// Such passes that only the backward pass makes.
    sums: Vec<Node>,
    out: UNetStep,
}

impl UNet {
    /// Reads the configuration that diffusers writes, with `text_encoder` beside it (`num_hidden_layers`, `hidden_size`, `num_attention_heads`, `tokens`).
    ///
    /// # Errors
    /// A key that is missing or of another kind.
    pub fn from_json(file: &str, text: &str) -> Result<Self, ConfigError> {
        let value: Value = serde_json::from_str(text).map_err(|e| missing(file, &e.to_string()))?;
        let number =
            |v: &Value, key: &str| v.get(key).and_then(Value::as_u64).filter(|n| (1..=MOST).contains(n)).ok_or_else(|| missing(file, key));
        let list = |key: &str| value.get(key).and_then(Value::as_array).ok_or_else(|| missing(file, key));
        let numbers = |key: &str| {
            list(key)?
                .iter()
                .map(|v| v.as_u64().filter(|n| (1..=MOST).contains(n)).ok_or_else(|| missing(file, key)))
                .collect::<Result<Vec<u64>, _>>()
        };
        let types = list("down_block_types")?;
        let attends = |v: &Value| v.as_str().is_some_and(|s| s.starts_with("CrossAttn"));
        let heads = numbers("attention_head_dim")?;
        let channels = numbers("block_out_channels")?;
        if channels.len() > LEVELS || heads.len() != channels.len() || types.len() != channels.len() {
            return Err(missing(file, "attention_head_dim"));
        }
        let encoder = value.get("text_encoder").ok_or_else(|| missing(file, "text_encoder"))?;
        let (hidden, tokens) = (number(encoder, "hidden_size")?, number(encoder, "tokens")?);
        let shape = DenseShape {
            layers: number(encoder, "num_hidden_layers")?,
            hidden,
            heads: number(encoder, "num_attention_heads")?,
            kv_heads: number(encoder, "num_attention_heads")?,
            ffn: hidden.saturating_mul(INNER),
            vocabulary: 1,
            learned_positions: 0,
            llama: false,
        };
        Ok(Self {
            latent_channels: number(&value, "in_channels")?,
            side: number(&value, "sample_size")?,
            channels,
            heads: heads.iter().zip(types).map(|(h, t)| if attends(t) { *h } else { 0 }).collect(),
            blocks: number(&value, "layers_per_block")?,
            text_width: number(&value, "cross_attention_dim")?,
            text: shape,
            text_tokens: tokens,
        })
    }

    /// Parameters that are trained.
    pub fn parameters(&self) -> u64 {
        self.train(1, DataType::Bf16, false).parameters
    }

    /// Ops of one step over `images` on one chip; `eager`: by a framework that runs op by op.
    pub fn train(&self, images: u64, wide: DataType, eager: bool) -> UNetStep {
        let first = self.channels.first().copied().unwrap_or(1);
        let time = first.saturating_mul(INNER);
        let mut walk =
            Walk { images, wide, time, text: (self.text_tokens, self.text_width), eager, sums: Vec::new(), out: UNetStep::default() };
        walk.linear("time_embedding", images, first, time, true);
        walk.linear("time_embedding", images, time, time, true);
        self.levels(&mut walk, first);
        let mut nodes = std::mem::take(&mut walk.out.nodes);
        let backward: Vec<Node> = nodes.iter().rev().flat_map(gradients).collect();
        nodes.extend(backward);
        nodes.append(&mut walk.sums);
        nodes.extend(self.encoder(images));
        UNetStep { nodes, ..walk.out }
    }

    fn levels(&self, walk: &mut Walk, first: u64) {
        let positions = |level: usize| (self.side >> level.min(32)).max(1).pow(2);
        let last = self.channels.len().saturating_sub(1);
        walk.convolve(positions(0), self.latent_channels, first);
        let (mut skips, mut width) = (vec![first], first);
        for (level, &channels) in self.channels.iter().enumerate() {
            for _ in 0..self.blocks {
                walk.block(positions(level), width, channels, self.heads[level]);
                width = channels;
                skips.push(width);
            }
            if level < last {
                walk.convolve(positions(level + 1), width, width);
                skips.push(width);
            }
        }
        let middle = self.heads.iter().copied().max().unwrap_or(0);
        walk.block(positions(last), width, width, middle);
        walk.block(positions(last), width, width, 0);
        for (level, &channels) in self.channels.iter().enumerate().rev() {
            for _ in 0..=self.blocks {
                let skipped = skips.pop().unwrap_or(0);
                walk.vector("concatenate", VectorKind::Permute, walk.images * positions(level), width + skipped, 1, 1);
                walk.sum("skip_sum", walk.images * positions(level), skipped, (2, 1));
                walk.block(positions(level), width + skipped, channels, self.heads[level]);
                width = channels;
            }
            if level > 0 {
                walk.vector("enlarge", VectorKind::Permute, walk.images * positions(level - 1), width, 1, 1);
                walk.convolve(positions(level - 1), width, width);
            }
        }
        walk.norm(positions(0), width, 2);
        walk.convolve(positions(0), width, self.latent_channels);
    }

    /// The frozen text encoder's forward pass.
    fn encoder(&self, images: u64) -> Vec<Node> {
        let model = self.text.model("");
        let work = Work::prefill(images, self.text_tokens);
        let built = crate::graph::graph(&model, &work, &Shard::ONE, &model.precision);
        built.map(|g| g.layers.iter().flat_map(|l| (0..l.layers).flat_map(|_| l.nodes.clone())).collect()).unwrap_or_default()
    }
}

fn missing(file: &str, key: &str) -> ConfigError {
    ConfigError {
        file: file.to_owned(),
        line: 1,
        key: key.to_owned(),
        cause: "is missing or no count up to 4096".into(),
        mend: "write the configuration of a UNet as diffusers does, with text_encoder beside it".into(),
    }
}

impl Walk {
    fn push(&mut self, name: &'static str, op: Op) {
        self.out.nodes.push(Node { name, op, pass: Pass::Forward });
    }

    fn keep(&mut self, elements: u64) {
        self.out.kept = self.out.kept.saturating_add(elements);
    }

    fn product(&mut self, name: &'static str, m: u64, n: u64, k: u64) {
        let w = self.wide;
        self.push(name, Op::Gemm(Gemm { batch: 1, m, n, k, a: w, b: w, out: w }));
    }

    fn linear(&mut self, name: &'static str, rows: u64, from: u64, to: u64, bias: bool) {
        self.product(name, rows, to, from);
        self.keep(rows * from);
        if bias {
            self.sum("bias_sum", rows, to, (1, 0));
        }
        self.out.parameters += from * to + if bias { to } else { 0 };
    }

    fn convolve(&mut self, positions: u64, from: u64, to: u64) {
        let rows = self.images * positions;
        self.product("convolution", rows, to, WINDOW * from);
        if self.eager {
            self.vector("bias", VectorKind::Add, rows, to, 1, 1);
        }
        self.keep(rows * from);
        self.out.parameters += WINDOW * from * to + to;
    }

    fn vector(&mut self, name: &'static str, kind: VectorKind, rows: u64, cols: u64, reads: u64, writes: u64) {
        let bytes = |times: u64| self.wide.bytes_of(rows * cols * times);
        let op = VectorOp { kind, rows, cols, read_bytes: bytes(reads), write_bytes: bytes(writes) };
        self.push(name, Op::Vector(op));
    }

    /// A pass that only the backward pass of an eager framework makes; `moves`: how often it reads and writes all elements.
    fn sum(&mut self, name: &'static str, rows: u64, cols: u64, moves: (u64, u64)) {
        let bytes = self.wide.bytes_of(rows * cols);
        let op = VectorOp { kind: VectorKind::Add, rows, cols, read_bytes: moves.0 * bytes, write_bytes: moves.1 * bytes };
        if self.eager && cols > 0 {
            self.sums.push(Node { name, op: Op::Vector(op), pass: Pass::BackwardWeight });
        }
    }

    /// A gated non-linearity: one kernel, or one for the gate and one for the product, whose gradients are joined again.
    fn gate(&mut self, rows: u64, inner: u64) {
        if !self.eager {
            return self.vector("ffn_activation", VectorKind::Gelu, rows, inner, 2, 1);
        }
        self.vector("ffn_activation", VectorKind::Gelu, rows, inner, 1, 1);
        self.vector("ffn_gate", VectorKind::Add, rows, inner, 2, 1);
        // The gradient of the other factor, and both written side by side.
        self.sum("gate_join", rows, inner, (4, 3));
    }

    /// Normalisation over groups or tokens, with the activation function behind it; `per` parameters per channel.
    fn norm(&mut self, positions: u64, channels: u64, per: u64) {
        let rows = self.images * positions;
        self.vector("norm", VectorKind::LayerNorm, rows, channels, 1, 1);
        self.keep(rows * channels);
        self.out.parameters += per * channels;
    }

    /// A residual block, and a transformer block behind it where there are heads.
    fn block(&mut self, positions: u64, from: u64, to: u64, heads: u64) {
        let rows = self.images * positions;
        self.norm(positions, from, 2);
        self.convolve(positions, from, to);
        self.linear("time_projection", self.images, self.time, to, true);
        self.vector("time_add", VectorKind::Add, rows, to, 1, 1);
        self.norm(positions, to, 2);
        self.convolve(positions, to, to);
        if from != to {
            self.linear("shortcut", rows, from, to, true);
        }
        self.vector("residual", VectorKind::Add, rows, to, 2, 1);
        if heads > 0 {
            self.transformer(positions, to, heads);
        }
    }

    fn transformer(&mut self, positions: u64, c: u64, heads: u64) {
        let rows = self.images * positions;
        let (tokens, width) = self.text;
        self.norm(positions, c, 2);
        self.linear("proj_in", rows, c, c, true);
        self.norm(positions, c, 2);
        self.linear("qkv_proj", rows, c, 3 * c, false);
        self.sum("qkv_sum", rows, c, (4, 2));
        self.attention(positions, positions, c, heads);
        self.linear("out_proj", rows, c, c, true);
        self.vector("residual", VectorKind::Add, rows, c, 2, 1);
        self.norm(positions, c, 2);
        self.linear("q_proj", rows, c, c, false);
        self.linear("kv_proj", self.images * tokens, width, 2 * c, false);
        self.attention(positions, tokens, c, heads);
        self.linear("out_proj", rows, c, c, true);
        self.vector("residual", VectorKind::Add, rows, c, 2, 1);
        self.norm(positions, c, 2);
        self.linear("ffn_up", rows, c, 2 * INNER * c, true);
        self.gate(rows, INNER * c);
        self.keep(rows * 2 * INNER * c);
        self.linear("ffn_down", rows, INNER * c, c, true);
        self.vector("residual", VectorKind::Add, rows, c, 2, 1);
        self.linear("proj_out", rows, c, c, true);
        self.vector("residual", VectorKind::Add, rows, c, 2, 1);
    }

    fn attention(&mut self, queries: u64, keys: u64, c: u64, heads: u64) {
        let d = c / heads.max(1);
        self.keep(self.images * (queries + keys) * 2 * c);
        self.push(
            "attention",
            Op::Attention(AttentionOp {
                sequences: self.images,
                heads,
                kv_heads: heads,
                q_len: queries,
                kv_len: keys,
                d_qk: d,
                d_v: d,
                causal: false,
                window: 0,
                a: self.wide,
                kv: self.wide,
                shared_kv: false,
                backward: false,
            }),
        );
    }
}

/// Gradient ops of a forward op.
fn gradients(node: &Node) -> Vec<Node> {
    let name = node.name;
    match node.op {
        Op::Gemm(g) => {
            let input = if name == "convolution" { Gemm { n: g.k / WINDOW, k: WINDOW * g.n, ..g } } else { Gemm { n: g.k, k: g.n, ..g } };
            let weight = Gemm { m: g.n, n: g.k, k: g.m, out: DataType::Fp32, ..g };
            vec![
                Node { name, op: Op::Gemm(input), pass: Pass::BackwardInput },
                Node { name, op: Op::Gemm(weight), pass: Pass::BackwardWeight },
            ]
        }
        Op::Attention(a) => vec![Node { name, op: Op::Attention(AttentionOp { backward: true, ..a }), pass: Pass::BackwardInput }],
        Op::Vector(v) if name == "bias" => {
            vec![Node { name, op: Op::Vector(VectorOp { write_bytes: 0, ..v }), pass: Pass::BackwardWeight }]
        }
        Op::Vector(v) if matches!(v.kind, VectorKind::Add | VectorKind::Permute) => {
            vec![Node { name, op: Op::Vector(v), pass: Pass::BackwardInput }]
        }
        Op::Vector(v) => {
            let moved = VectorOp { read_bytes: v.read_bytes + v.write_bytes, write_bytes: v.read_bytes, ..v };
            vec![Node { name, op: Op::Vector(moved), pass: Pass::BackwardInput }]
        }
        Op::GroupedGemm(_) | Op::Collective(_) => Vec::new(),
    }
}
