//! Time of a collective over one group of chips.
//!
//! Inside a tier, a collective of `n` bytes takes, for each protocol, `L + (√(k·h) + √(v·n/(e·B)))²`: the total of a pipeline of `k` steps with
//! the best chunk size (Bertsekas and Tsitsiklis 1989, 1.3: chunk overhead `h`, wire time `v·n/(e·B)`), of which the faster protocol is taken.
//! Ring: `k = 2(p-1)`, `v = 2(p-1)/p` for all-reduce, half of both for its two halves; double tree: `k = 2·log2 p`, `v = 2` (Sanders, Speck
//! and Träff 2009); in-network reduction: `k = 2`, `v = 1`. Groups that span domains reduce inside each first and then across on all ports at once, the two
//! tiers pipelined: steps add, the slower wire counts. All-to-all: each tier carries the share of the bytes that crosses it; a torus of side `s`
//! passes `8/s` of one link's rate per chip (bisection: 2·s² links, half the traffic crosses).
//!
//! Leaves out: congestion between groups, tuning tables of libraries.

use tetra_quantity::Seconds;
use tetra_workload::{Collective, CollectiveKind};

use crate::network::{Network, Tier};

/// A group of chips: how many, and how far apart in rank order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Span {
    /// Members.
    pub size: u64,
    /// Ranks from one member to the next (1: neighbours).
    pub stride: u64,
}

impl Span {
    /// Neighbours.
    pub const fn dense(size: u64) -> Self {
        Self { size, stride: 1 }
    }

    /// Members that share one domain of `domain` chips.
    pub fn inside(&self, domain: u64) -> u64 {
        (domain / self.stride.max(1)).clamp(1, self.size.max(1))
    }
}

/// Time of a collective over `size` neighbouring chips.
pub fn time(collective: &Collective, size: u64, network: &Network) -> Seconds {
    time_over(collective, Span::dense(size), network)
}

/// Time of a collective over a group of chips.
pub fn time_over(collective: &Collective, span: Span, network: &Network) -> Seconds {
    if span.size <= 1 || collective.bytes == 0 {
        return Seconds::ZERO;
    }
    let bytes = collective.bytes as f64;
    let inside = span.inside(network.domain);
    let seconds = match collective.kind {
        CollectiveKind::AllReduce => reduction(bytes, span.size, inside, network, 2.0),
        CollectiveKind::AllGather | CollectiveKind::ReduceScatter => reduction(bytes, span.size, inside, network, 1.0),
        CollectiveKind::AllToAll => exchange(bytes, span.size, inside, network),
        CollectiveKind::SendRecv => {
            let tier = if inside > 1 { &network.scale_up } else { &network.scale_out };
            one_tier(bytes, Way { steps: 1.0, volume: 1.0 }, tier, 1.0)
        }
    };
    Seconds(seconds)
}

/// Steps and volume of one algorithm, per byte of the collective.
#[derive(Clone, Copy)]
struct Way {
    steps: f64,
    volume: f64,
}

/// All-reduce (`halves` 2) or one of its halves.
fn reduction(bytes: f64, size: u64, inside: u64, network: &Network, halves: f64) -> f64 {
    let outside = size.div_ceil(inside);
    let up = ways(inside, halves, &network.scale_up);
    let share = usable(inside, &network.scale_up, network);
    if outside <= 1 {
        return best(&up, |w| one_tier(bytes, w, &network.scale_up, share));
    }
    let out = ways(outside, halves, &network.scale_out);
    let shard = bytes / inside as f64;
    if inside <= 1 {
        return best(&out, |w| one_tier(shard, w, &network.scale_out, 1.0));
    }
    best(&up, |u| best(&out, |o| two_tiers((bytes, u, share), (shard, o), network)))
}

fn ways(size: u64, halves: f64, tier: &Tier) -> [Way; 3] {
    let p = size.max(1) as f64;
    let ring = Way { steps: halves * (p - 1.0), volume: halves * (p - 1.0) / p };
    let tree = if halves > 1.0 { Way { steps: halves * p.log2(), volume: halves } } else { ring };
    let flight = if tier.reduces { Way { steps: halves, volume: (halves - 1.0) + (2.0 - halves) * (p - 1.0) / p } } else { ring };
    [ring, tree, flight]
}

fn best(ways: &[Way; 3], cost: impl Fn(Way) -> f64) -> f64 {
    ways.iter().fold(f64::INFINITY, |least, &w| least.min(cost(w)))
}

/// Share of a chip's scale-up rate that a group of neighbours can use: all of it behind a switch; in a torus, the axes that the group spans.
fn usable(inside: u64, tier: &Tier, network: &Network) -> f64 {
    if tier.switched {
        return 1.0;
    }
    let dimensions = network.torus_dimensions.max(1.0);
    let side = (network.domain as f64).powf(1.0 / dimensions).max(2.0);
    ((inside as f64).ln() / side.ln()).ceil().clamp(1.0, dimensions) / dimensions
}

fn one_tier(bytes: f64, way: Way, tier: &Tier, share: f64) -> f64 {
    let wire = bytes * way.volume / (tier.bandwidth.value() * share);
    [&tier.small, &tier.large]
        .iter()
        .fold(f64::INFINITY, |least, p| least.min(p.start_s + pipelined(way.steps * p.step_s, wire / p.efficiency)))
}

fn two_tiers(up: (f64, Way, f64), out: (f64, Way), network: &Network) -> f64 {
    let (a, b) = (&network.scale_up, &network.scale_out);
    let wire_up = up.0 * up.1.volume / (a.bandwidth.value() * up.2);
    let wire_out = out.0 * out.1.volume / b.bandwidth.value();
    [(&a.small, &b.small), (&a.large, &b.large)].iter().fold(f64::INFINITY, |least, (p, q)| {
        let steps = up.1.steps * p.step_s + out.1.steps * q.step_s;
        let wire = (wire_up / p.efficiency).max(wire_out / q.efficiency);
        least.min(p.start_s.max(q.start_s) + pipelined(steps, wire))
    })
}

/// Steps and wire time of a pipeline with the best chunk.
fn pipelined(steps: f64, wire: f64) -> f64 {
    let root = steps.max(0.0).sqrt() + wire.max(0.0).sqrt();
    root * root
}

/// Time of an expert exchange in which each token goes to `top_k` experts: it crosses to each other domain once and is handed on inside
/// (DeepSeek-V3, arXiv 2412.19437, section 3.2.2). `bytes` is what one chip would send to distinct ranks.
pub fn expert_exchange(bytes: u64, top_k: u64, span: Span, network: &Network) -> Seconds {
    let inside = span.inside(network.domain);
    if span.size <= 1 || bytes == 0 {
        return Seconds::ZERO;
    }
    let (ranks, domains) = (span.size as f64, span.size.div_ceil(inside) as f64);
    let visited = |places: f64| places * (1.0 - (1.0 - 1.0 / places).powf(top_k as f64));
    let once = bytes as f64 / (visited(ranks) * (1.0 - 1.0 / ranks));
    let near = once * visited(ranks) * (1.0 - 1.0 / inside as f64);
    let far = once * visited(domains) * (1.0 - 1.0 / domains);
    Seconds(near_and_far(near, far, inside, network))
}

/// Personalised exchange of `bytes` sent by each chip.
fn exchange(bytes: f64, size: u64, inside: u64, network: &Network) -> f64 {
    let p = size as f64;
    near_and_far(bytes * (inside as f64 - 1.0) / p, bytes * (p - inside as f64) / p, inside, network)
}

/// The slower of what goes to the own domain and what goes to others.
fn near_and_far(near: f64, far: f64, inside: u64, network: &Network) -> f64 {
    let up = &network.scale_up;
    let share = usable(inside, up, network) * cut(inside, up, network);
    let near_s = if inside > 1 { one_tier(near, Way { steps: 1.0, volume: 1.0 / up.exchange_efficiency }, up, share) } else { 0.0 };
    let out = &network.scale_out;
    let far_s = if far > 0.0 { one_tier(far, Way { steps: 1.0, volume: 1.0 / out.exchange_efficiency }, out, 1.0) } else { 0.0 };
    near_s.max(far_s)
}

/// Rate per chip across the bisection of a torus, relative to the rate of its used links.
fn cut(inside: u64, tier: &Tier, network: &Network) -> f64 {
    if tier.switched {
        return 1.0;
    }
    let used = (usable(inside, tier, network) * network.torus_dimensions.max(1.0)).max(1.0);
    let side = (inside as f64).powf(1.0 / used).max(2.0);
    // 2·s^(d-1) links cut, s^d chips send half their bytes across, both ways: 8·B_link / s per chip, of 2·d links.
    (8.0 / side / (2.0 * used)).min(1.0)
}
