//! FLOP and ideal bytes of one op: every operand moved once. A multiply-accumulate is 2 FLOP.
//!
//! Causal attention counts exactly the pairs that are not masked: `Σᵢ min(w, n − q + 1 + i)` for `q` queries at the end of `n` keys
//! under a window `w`. Its backward pass is five products (FlashAttention recomputes QKᵀ; arXiv 2205.14135, algorithm 4); the model's
//! own work is four. Vector ops count no FLOP: the chip knows their lane operations.

use crate::op::{AttentionOp, Gemm, GroupedGemm, Op};

/// A multiply-accumulate is two operations.
pub(crate) const FLOP_PER_MAC: f64 = 2.0;

impl Gemm {
    /// FLOP.
    pub fn flop(&self) -> f64 {
        FLOP_PER_MAC * self.batch as f64 * self.m as f64 * self.n as f64 * self.k as f64
    }

    /// Bytes if every operand moves once.
    pub fn bytes(&self) -> f64 {
        let (batch, m, n, k) = (self.batch as f64, self.m as f64, self.n as f64, self.k as f64);
        batch * (m * k * self.a.bytes() + k * n * self.b.bytes() + m * n * self.out.bytes())
    }
}

impl GroupedGemm {
    /// FLOP.
    pub fn flop(&self) -> f64 {
        FLOP_PER_MAC * self.rows as f64 * self.n as f64 * self.k as f64
    }

    /// Bytes if every operand moves once.
    pub fn bytes(&self) -> f64 {
        let (rows, n, k) = (self.rows as f64, self.n as f64, self.k as f64);
        rows * k * self.a.bytes() + self.experts as f64 * k * n * self.b.bytes() + rows * n * self.out.bytes()
    }
}

impl AttentionOp {
    /// Query-key pairs of one sequence and head that the mask lets through.
    pub fn pairs(&self) -> f64 {
        let (q, n, w) = (self.q_len as f64, self.kv_len as f64, self.window as f64);
        let windowed = self.window > 0;
        if !self.causal {
            return q * if windowed { n.min(w) } else { n };
        }
        let before = (n - q).max(0.0);
        if !windowed || w >= before + q {
            return q * before + q * (q + 1.0) * 0.5;
        }
        let ramp = (w - before - 1.0).max(0.0);
        ramp * before + ramp * (ramp + 1.0) * 0.5 + (q - ramp) * w
    }

    /// FLOP that the chip does, recomputation of QKᵀ in the backward pass included.
    pub fn flop(&self) -> f64 {
        self.products(if self.backward { (3, 2) } else { (1, 1) })
    }

    /// FLOP of the model's own work, without recomputation.
    pub fn model_flop(&self) -> f64 {
        self.products(if self.backward { (2, 2) } else { (1, 1) })
    }

    fn products(&self, (with_qk, with_v): (u32, u32)) -> f64 {
        let width = f64::from(with_qk) * self.d_qk as f64 + f64::from(with_v) * self.d_v as f64;
        FLOP_PER_MAC * self.sequences as f64 * self.heads as f64 * self.pairs() * width
    }

    /// Bytes if queries, keys, values and outputs move once (backward: their gradients too).
    pub fn bytes(&self) -> f64 {
        let (q, d_qk, d_v) = (self.q_len as f64, self.d_qk as f64, self.d_v as f64);
        let per_key = if self.shared_kv { d_qk } else { d_qk + d_v };
        let queries = self.heads as f64 * q * (d_qk + d_v) * self.a.bytes();
        let keys = self.kv_heads as f64 * self.kv_len as f64 * per_key * self.kv.bytes();
        self.sequences as f64 * (queries + keys) * if self.backward { 2.0 } else { 1.0 }
    }
}

impl Op {
    /// FLOP of matrix products that the chip does.
    pub fn flop(&self) -> f64 {
        match self {
            Self::Gemm(g) => g.flop(),
            Self::GroupedGemm(g) => g.flop(),
            Self::Attention(a) => a.flop(),
            Self::Vector(_) | Self::Collective(_) => 0.0,
        }
    }

    /// FLOP of the model's own work, without recomputation inside fused attention.
    pub fn model_flop(&self) -> f64 {
        match self {
            Self::Attention(a) => a.model_flop(),
            other => other.flop(),
        }
    }

    /// Bytes between chip and memory if every operand moves once; none for a collective.
    pub fn bytes(&self) -> f64 {
        match self {
            Self::Gemm(g) => g.bytes(),
            Self::GroupedGemm(g) => g.bytes(),
            Self::Attention(a) => a.bytes(),
            Self::Vector(v) => v.read_bytes as f64 + v.write_bytes as f64,
            Self::Collective(_) => 0.0,
        }
    }
}
