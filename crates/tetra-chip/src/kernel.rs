//! A published kernel measurement → the op that it timed and the time that Tetra predicts.
//!
//! The columns say what ran: `op`, `m`, `n`, `k`, `precision`; ops of one layer of a model (`gpt3-layer:ffn_up`) take its widths from the
//! model's config and the rest of their shape from `notes` (`prefill TP4 batch 8 seq 2048`). A latency includes the host's launch unless the notes say that it is device time.

use tetra_quantity::Seconds;
use tetra_workload::{Attention, AttentionOp, DataType, FeedForward, Gemm, Model, Op, VectorKind, VectorOp};

use crate::chip::Chip;
use crate::constants::{ChipConstants, KernelConstants};
use crate::mapper::map;
use crate::timing::cost;

/// What a measurement contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Launch {
    /// From the call on the host to the result: launch and synchronisation included.
    Host,
    /// Time on the device alone.
    Device,
}

impl Launch {
    /// What the notes of a measured row say; without a word about it a latency is taken on the host.
    pub fn of_notes(notes: &str) -> Self {
        let lower = notes.to_lowercase();
        let device = ["device time", "launch not included", "excludes kernel launch", "kernel time only", "cuda graph", "cuda event"];
        if device.iter().any(|w| lower.contains(w)) { Self::Device } else { Self::Host }
    }
}

/// Columns of a kernel measurement that say what ran.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelColumns<'a> {
    /// Name of the op: `gemm`, `softmax`, `gpt3-layer:ffn_up`, …
    pub op: &'a str,
    /// Rows, or elements of an element-wise op.
    pub m: Option<u64>,
    /// Columns.
    pub n: Option<u64>,
    /// Summed dimension.
    pub k: Option<u64>,
    /// Number format: `fp16`, `bf16`, `fp8`, …
    pub precision: &'a str,
    /// Remarks.
    pub notes: &'a str,
    /// The model whose layer the op belongs to, where its name says so.
    pub model: Option<&'a Model>,
}

/// Why a measured row has no op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KernelRefusal {
    /// The op is not a kernel of one chip.
    #[error("op runs over links between chips")]
    Collective,
    /// The op's name is unknown.
    #[error("op is not known: gemm, attention, gelu, softmax, layernorm, rmsnorm, silu and layer ops are")]
    Op,
    /// The model is unknown or its first layer has no plain attention and feed-forward network.
    #[error("no config.json of a dense model for the op's layer: add it with --models")]
    Model,
    /// A dimension is missing.
    #[error("a dimension of the op is blank")]
    Shape,
    /// The number format is unknown.
    #[error("number format is not known")]
    Precision,
}

/// The op that a measured row timed.
///
/// # Errors
/// Why the row cannot be timed.
pub fn op_of(columns: &KernelColumns<'_>) -> Result<Op, KernelRefusal> {
    let name = columns.op.trim().to_lowercase();
    let format = format_of(columns.precision)?;
    if ["all-reduce", "all_reduce", "allreduce", "all-gather", "reduce-scatter", "all-to-all", "send"].iter().any(|w| name.contains(w)) {
        return Err(KernelRefusal::Collective);
    }
    if let Some((_, part)) = name.split_once("layer:") {
        let widths = columns.model.and_then(LayerWidths::of).ok_or(KernelRefusal::Model)?;
        return layer_op(part, &widths, columns.notes, format);
    }
    if name.contains("attention") || name.contains("attn") {
        return attention_op(columns, &name, format);
    }
    let m = columns.m.ok_or(KernelRefusal::Shape)?;
    match name.as_str() {
        "gemm" | "matmul" | "linear" => {
            let (n, k) = columns.n.zip(columns.k).ok_or(KernelRefusal::Shape)?;
            Ok(gemm(1, m, n, k, format))
        }
        _ => {
            let kind = vector_kind(&name).ok_or(KernelRefusal::Op)?;
            Ok(vector(kind, m, columns.n.unwrap_or(1), format))
        }
    }
}

/// Rows without a word for it are 16-bit floats.
fn format_of(text: &str) -> Result<DataType, KernelRefusal> {
    if text.trim().is_empty() { Ok(DataType::Fp16) } else { text.parse().map_err(|_| KernelRefusal::Precision) }
}

fn vector_kind(name: &str) -> Option<VectorKind> {
    match name.replace(['_', '-'], "").as_str() {
        "softmax" => Some(VectorKind::Softmax),
        "layernorm" => Some(VectorKind::LayerNorm),
        "rmsnorm" => Some(VectorKind::RmsNorm),
        "gelu" => Some(VectorKind::Gelu),
        "silu" | "swiglu" | "siluandmul" | "gatedsilu" => Some(VectorKind::GatedSilu),
        "add" | "residual" | "residualadd" => Some(VectorKind::Add),
        "rope" | "rotary" => Some(VectorKind::Rope),
        "embedding" | "gather" => Some(VectorKind::Gather),
        _ => None,
    }
}

fn gemm(batch: u64, m: u64, n: u64, k: u64, format: DataType) -> Op {
    let a = if format == DataType::Int4 { DataType::Fp16 } else { format };
    let out = if format == DataType::Fp32 { DataType::Fp32 } else { DataType::Fp16 };
    Op::Gemm(Gemm { batch, m, n, k, a, b: format, out })
}

fn vector(kind: VectorKind, rows: u64, cols: u64, format: DataType) -> Op {
    let bytes = format.bytes_of(rows.saturating_mul(cols));
    let reads = match kind {
        VectorKind::GatedSilu | VectorKind::Add => 2,
        _ => 1,
    };
    Op::Vector(VectorOp { kind, rows, cols, read_bytes: bytes.saturating_mul(reads), write_bytes: bytes })
}

/// Widths of a dense layer.
struct LayerWidths {
    hidden: u64,
    heads: u64,
    kv_heads: u64,
    head_dim: u64,
    /// Inner width.
    ffn: u64,
    /// Outputs of the first product: up and gate run as one.
    up: u64,
}

impl LayerWidths {
    /// Those of a model's first layer.
    fn of(model: &Model) -> Option<Self> {
        let layer = model.layers.first()?;
        match (layer.attention, layer.feed_forward) {
            (Attention::Grouped { heads, kv_heads, head_dim, .. }, FeedForward::Dense { ffn, gated, .. }) => {
                let up = if gated { ffn.saturating_mul(2) } else { ffn };
                Some(Self { hidden: model.hidden, heads, kv_heads, head_dim, ffn, up })
            }
            _ => None,
        }
    }
}

fn after<'a>(notes: &'a str, word: &str) -> Option<u64> {
    let at = notes.find(word)? + word.len();
    let digits: &'a str = notes[at..].trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Fused attention whose shape the notes tell: `batch 4 heads 32 kv_heads 8 head_dim 128 seq 2048 kv 2048 causal`.
fn attention_op(columns: &KernelColumns<'_>, name: &str, format: DataType) -> Result<Op, KernelRefusal> {
    let notes = columns.notes.to_lowercase().replace(['=', ':', '(', ')'], " ");
    let notes = notes.replace("kv heads", "kv_heads").replace("query heads", "heads").replace("head dim", "head_dim");
    let find = |names: &[&str]| names.iter().find_map(|w| number_beside(&notes, w));
    let heads = find(&["heads", "q_heads", "num_heads", "num_q_heads", "n_q_head"]).ok_or(KernelRefusal::Shape)?;
    let d = find(&["head_dim", "d", "dim", "head_size"]).ok_or(KernelRefusal::Shape)?;
    let decode = name.contains("decode") || notes.contains("decode");
    let keys = find(&["kv", "context", "kv_len", "kv_cache_size", "keys"]);
    let queries = find(&["seq", "seqlen", "seq_len", "q_len", "q", "prefill_chunk_size", "tokens"]).or(columns.m);
    let (q_len, kv_len) = match (decode, queries, keys) {
        (true, q, k) => (1, k.or(q).ok_or(KernelRefusal::Shape)?),
        (false, Some(q), k) => (q, k.unwrap_or(q)),
        (false, None, Some(k)) => (k, k),
        (false, None, None) => return Err(KernelRefusal::Shape),
    };
    Ok(Op::Attention(AttentionOp {
        sequences: find(&["batch", "batch_size", "sequences"]).unwrap_or(1),
        heads,
        kv_heads: find(&["kv_heads", "num_kv_heads", "n_kv_head"]).unwrap_or(heads).clamp(1, heads.max(1)),
        q_len,
        kv_len: kv_len.max(q_len),
        d_qk: d,
        d_v: d,
        causal: !(notes.contains("non-causal") || notes.contains("not causal") || notes.contains("bidirectional")),
        window: 0,
        a: format,
        kv: format,
        shared_kv: false,
        backward: name.contains("backward") || name.contains("bwd"),
    }))
}

/// The number right after a whole word, or right before it, within one clause.
fn number_beside(notes: &str, word: &str) -> Option<u64> {
    notes.split([',', ';']).find_map(|clause| {
        let words: Vec<&str> = clause.split_whitespace().collect();
        let at = words.iter().position(|w| *w == word)?;
        let number = |i: usize| words.get(i).and_then(|w| w.parse().ok());
        number(at + 1).or_else(|| at.checked_sub(1).and_then(number))
    })
}

/// One unfused op of a tensor-parallel transformer layer.
fn layer_op(part: &str, w: &LayerWidths, notes: &str, format: DataType) -> Result<Op, KernelRefusal> {
    let tensor = after(notes, "TP").unwrap_or(1).max(1);
    let batch = after(notes, "batch").ok_or(KernelRefusal::Shape)?;
    let decode = notes.contains("decode");
    let keys = after(notes, "kv").or_else(|| after(notes, "seq")).ok_or(KernelRefusal::Shape)?;
    let queries = if decode { 1 } else { keys };
    let (heads, kv_heads) = (w.heads.div_ceil(tensor), w.kv_heads.div_ceil(tensor));
    let (tokens, width, ffn) = (batch.saturating_mul(queries), heads.saturating_mul(w.head_dim), w.ffn / tensor);
    let qkv = heads.saturating_add(kv_heads.saturating_mul(2)).saturating_mul(w.head_dim);
    let groups = batch.saturating_mul(heads);
    Ok(match part {
        // Launched one by one where they are alike: see `launches_of`.
        "qkv_proj" if heads == kv_heads => gemm(1, tokens, width, w.hidden, format),
        "qkv_proj" => gemm(1, tokens, qkv, w.hidden, format),
        "q_mul_k" => gemm(groups, queries, keys, w.head_dim, format),
        "a_mul_v" => gemm(groups, queries, w.head_dim, keys, format),
        "out_proj" => gemm(1, tokens, w.hidden, width, format),
        "ffn_up" => gemm(1, tokens, w.up / tensor, w.hidden, format),
        "ffn_down" => gemm(1, tokens, w.hidden, ffn, format),
        "softmax" => vector(VectorKind::Softmax, groups.saturating_mul(queries), keys, format),
        p if p.starts_with("layernorm") => vector(VectorKind::LayerNorm, tokens, w.hidden, format),
        p if p.starts_with("rmsnorm") => vector(VectorKind::RmsNorm, tokens, w.hidden, format),
        "gelu" => vector(VectorKind::Gelu, tokens, ffn, format),
        _ => return Err(KernelRefusal::Op),
    })
}

/// How often the op of a row is launched: an unfused layer takes queries, keys and values by three equal products where no heads share keys.
pub fn launches_of(columns: &KernelColumns<'_>) -> u64 {
    let widths = columns.model.and_then(LayerWidths::of);
    let alike = widths.is_some_and(|w| w.heads == w.kv_heads);
    if alike && columns.op.trim().to_lowercase().ends_with("layer:qkv_proj") { 3 } else { 1 }
}

/// Predicted time of one kernel launched alone.
pub fn kernel_time(op: &Op, chip: &Chip, constants: &ChipConstants, launch: Launch) -> Seconds {
    let device = cost(&map(op, chip), op, chip, constants).time;
    match launch {
        Launch::Device => device,
        Launch::Host => host_time(op, device.value(), &constants.kernels),
    }
}

/// The host's part: library calls wait for the device; compiled element-wise and normalisation kernels are enqueued by an interpreter
/// that is slower than a small kernel, so that device time hides behind it.
fn host_time(op: &Op, device: f64, k: &KernelConstants) -> Seconds {
    let alone = (device - k.launch_s).max(0.0);
    Seconds(match op {
        Op::Vector(v) if matches!(v.kind, VectorKind::Softmax | VectorKind::TopK | VectorKind::Gather) => alone + k.host_vector_s,
        Op::Vector(v) => (k.host_compiled_start_s + alone).max(k.host_compiled_s + reduction_host(v.kind, k)),
        _ => alone + k.host_matrix_s,
    })
}

/// A normalisation allocates and returns its statistics beside its result.
fn reduction_host(kind: VectorKind, k: &KernelConstants) -> f64 {
    if matches!(kind, VectorKind::LayerNorm | VectorKind::RmsNorm) { k.host_statistics_s } else { 0.0 }
}
