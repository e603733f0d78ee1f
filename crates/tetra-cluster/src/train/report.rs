//! A step in the words and shares that people compare: where its time goes, what fills its memory, utilisation with its convention.
//!
//! Utilisation is model operations over what the arrays could do at full clock in the format of the weights. Model operations count forward and backward pass; attention
//! either of all pairs of positions (Megatron-LM, MosaicML) or of the half that a causal mask leaves (MaxText since 2025): both are given.

use tetra_quantity::{Bytes, Flop, Seconds};

use crate::train::ask::TrainAsk;
use crate::train::step::{TrainStep, model_flop};

/// One part of a step's time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TimePart {
    /// Name as in the breakdown.
    pub name: &'static str,
    /// In words.
    pub words: &'static str,
    /// Time.
    pub time: Seconds,
    /// Share of the step.
    pub share: f64,
}

/// One kind of memory on the fullest chip.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct MemoryPart {
    /// Name.
    pub name: &'static str,
    /// Bytes.
    pub bytes: Bytes,
    /// Share of the chip's memory.
    pub share: f64,
}

/// Rates of a step.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rates {
    /// Model FLOP utilisation, attention of all pairs.
    pub mfu: f64,
    /// The same, causal attention.
    pub mfu_causal: f64,
    /// Hardware FLOP utilisation (with recomputation), attention of all pairs.
    pub hfu: f64,
    /// Model operations per second and chip, attention of all pairs.
    pub model_flop_per_second: f64,
    /// The same, causal attention.
    pub model_flop_per_second_causal: f64,
    /// Operations per second and chip with recomputation.
    pub hardware_flop_per_second: f64,
    /// Tokens per second and chip.
    pub tokens_per_second_per_chip: f64,
    /// Tokens per second of the job.
    pub tokens_per_second: f64,
}

/// Where the time goes: parts that are not nothing, in the order of the breakdown.
pub fn time_parts(step: &TrainStep) -> Vec<TimePart> {
    let whole = step.time.value().max(f64::MIN_POSITIVE);
    let part = |(name, time): (&'static str, Seconds)| TimePart { name, words: words(name), time, share: time.value() / whole };
    step.breakdown.parts().into_iter().filter(|(_, t)| t.value() > 0.0).map(part).collect()
}

fn words(name: &'static str) -> &'static str {
    match name {
        "gemm" => "matrix products",
        "attention" => "attention cores",
        "vector" => "norms, activations, loss",
        "recompute" => "forward work done again",
        "tensor" => "exposed tensor-parallel exchange",
        "context" => "exposed context-parallel exchange",
        "expert" => "exposed expert exchange",
        "transfer" => "exposed transfers between stages",
        "host" => "waiting for the host",
        "interference" => "compute slowed by exchange behind it",
        "offload" => "exposed copies from and to the host",
        "bubble" => "pipeline bubble",
        "data" => "exposed exchange between replicas",
        "optimizer" => "optimiser step",
        "jitter" => "waiting for the slowest chip",
        other => other,
    }
}

/// What fills the fullest chip, the sum and the chip's memory last.
pub fn memory_parts(step: &TrainStep, have: Bytes) -> Vec<MemoryPart> {
    let m = &step.memory;
    let kinds = [
        ("weights", m.weights),
        ("gradients", m.gradients),
        ("optimizer state", m.optimizer),
        ("activations", m.activations),
        ("logits", m.logits),
        ("runtime and buffers", m.reserved),
        ("sum", m.total()),
        ("HBM", have),
    ];
    kinds.into_iter().map(|(name, bytes)| MemoryPart { name, bytes, share: bytes.value() / have.value().max(1.0) }).collect()
}

/// Operations of a step with causal attention: those of all pairs over sequences half as long, as many tokens.
pub fn causal_flop(ask: &TrainAsk<'_>) -> Flop {
    let half = (ask.sequence / 2).max(1);
    Flop(model_flop(ask.model, 1, half) / half as f64 * ask.tokens())
}

/// Rates of a step.
pub fn rates(ask: &TrainAsk<'_>, step: &TrainStep) -> Rates {
    let per = step.time.value().max(f64::MIN_POSITIVE) * step.layout.chips().max(1) as f64;
    let causal = causal_flop(ask).value();
    Rates {
        mfu: step.mfu,
        mfu_causal: step.mfu * causal / step.model_flop.value().max(f64::MIN_POSITIVE),
        hfu: step.hfu,
        model_flop_per_second: step.model_flop.value() / per,
        model_flop_per_second_causal: causal / per,
        hardware_flop_per_second: step.hardware_flop.value() / per,
        tokens_per_second_per_chip: step.tokens_per_second_per_chip,
        tokens_per_second: ask.tokens() / step.time.value().max(f64::MIN_POSITIVE),
    }
}
