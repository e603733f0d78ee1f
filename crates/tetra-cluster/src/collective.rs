//! Time of a collective over one group of chips.
//!
//! Inside a tier, a collective of `n` bytes takes, for each protocol, `L + (√(k·h) + √(v·n/(e·B)))²`: the total of a pipeline of `k` steps with
//! the best chunk size (Bertsekas and Tsitsiklis 1989, 1.3: chunk overhead `h`, wire time `v·n/(e·B)`), of which the faster protocol is taken.
//! Ring: `k = 2(p-1)`, `v = 2(p-1)/p` for all-reduce, half of both for its two halves; double tree: `k = 2·log2 p`, `v = 2` (Sanders, Speck
//! and Träff 2009); in-network reduction: `k = 2`, `v = 1`. Groups that span domains reduce inside each first and then across on all ports at once, then
//! across pods, the tiers pipelined: steps add, the slowest wire counts. Behind a switch the ring is flat (NCCL): each domain's ports pass what any link
//! of a ring of all `p` members passes, not of one member per domain; a torus reduces inside first (XLA). All-to-all: each tier carries the share of the bytes that crosses it; a torus of
//! side `s` passes `8/s` of one link's rate per chip (bisection: 2·s² links, half the traffic crosses), a twisted one its factor more.
//!
//! Leaves out: congestion between groups, tuning tables of libraries.

use tetra_quantity::Seconds;
use tetra_workload::{Collective, CollectiveKind, Routing};

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
    let seconds = match collective.kind {
        CollectiveKind::AllReduce => reduction(bytes, span, network, 2.0),
        CollectiveKind::AllGather | CollectiveKind::ReduceScatter => reduction(bytes, span, network, 1.0),
        CollectiveKind::AllToAll => exchange(bytes, span, network),
        CollectiveKind::SendRecv => one_tier(bytes, Way { steps: 1.0, volume: 1.0 }, nearest(span, network), 1.0),
    };
    Seconds(seconds)
}

/// The tier that joins two neighbours of a group.
fn nearest(span: Span, network: &Network) -> &Tier {
    if span.inside(network.domain) > 1 {
        &network.scale_up
    } else if span.inside(network.pod) > 1 {
        &network.scale_out
    } else {
        &network.spine
    }
}

/// Steps and volume of one algorithm, per byte of the collective.
#[derive(Clone, Copy)]
struct Way {
    steps: f64,
    volume: f64,
}

/// One tier's part of a hierarchical collective.
#[derive(Clone, Copy)]
struct Level<'a> {
    /// Members on this tier.
    size: u64,
    /// Members of the ring that crosses it, and its hops on this tier.
    ring: u64,
    hops: u64,
    /// Bytes that each passes.
    bytes: f64,
    /// Share of the tier's rate that the group can use.
    share: f64,
    tier: &'a Tier,
}

/// All-reduce (`halves` 2) or one of its halves: inside each domain first, then across domains of a pod, then across pods, each tier on the shard that
/// the one below left.
fn reduction(bytes: f64, span: Span, network: &Network, halves: f64) -> f64 {
    let inside = span.inside(network.domain);
    let pod = span.inside(network.pod).max(inside);
    let (near, far) = (pod.div_ceil(inside), span.size.div_ceil(pod));
    // Libraries for switched domains run one flat ring over all members; those of tori reduce inside first.
    let flat = network.scale_up.switched;
    let level = |size: u64, rings: u64, bytes: f64, tier| Level {
        size,
        ring: if flat { span.size } else { size },
        hops: (size - 1) * if flat { rings } else { 1 },
        bytes,
        share: 1.0,
        tier,
    };
    let up =
        Level { ring: inside, share: usable(inside, &network.scale_up, network), ..level(inside, near * far, bytes, &network.scale_up) };
    let out = level(near, far, bytes / inside as f64, &network.scale_out);
    let spine = level(far, 1, bytes / pod as f64, &network.spine);
    let mut least = f64::INFINITY;
    for u in ways(&up, halves) {
        for o in ways(&out, halves) {
            for s in ways(&spine, halves) {
                least = least.min(together([(&up, u), (&out, o), (&spine, s)]));
            }
        }
    }
    least
}

/// Ring, tree and reduction in flight; one idle way where the tier has a single member.
fn ways(level: &Level<'_>, halves: f64) -> impl Iterator<Item = Way> + use<> {
    let (p, r) = (level.size.max(1) as f64, level.ring.max(1) as f64);
    let ring = Way { steps: halves * level.hops as f64, volume: halves * (r - 1.0) / r };
    let tree = (halves > 1.0).then(|| Way { steps: halves * p.log2(), volume: halves });
    let volume = (halves - 1.0) + (2.0 - halves) * (p - 1.0) / p;
    let flight = level.tier.reduces.then_some(Way { steps: halves, volume });
    let (tree, flight) = if level.size > 1 { (tree, flight) } else { (None, None) };
    [Some(ring), tree, flight].into_iter().flatten()
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

/// Tiers in one pipeline: steps add, the slowest wire counts. Small messages use the protocol for small ones on every tier, large ones the other.
fn together(levels: [(&Level<'_>, Way); 3]) -> f64 {
    let used = || levels.iter().filter(|(l, _)| l.size > 1);
    [true, false].into_iter().fold(f64::INFINITY, |least, small| {
        let (mut start, mut steps, mut wire) = (0.0f64, 0.0, 0.0f64);
        for (level, way) in used() {
            let p = if small { &level.tier.small } else { &level.tier.large };
            start = start.max(p.start_s);
            steps += way.steps * p.step_s;
            wire = wire.max(level.bytes * way.volume / (level.tier.bandwidth.value() * level.share) / p.efficiency);
        }
        least.min(start + pipelined(steps, wire))
    })
}

/// Steps and wire time of a pipeline with the best chunk.
fn pipelined(steps: f64, wire: f64) -> f64 {
    let root = steps.max(0.0).sqrt() + wire.max(0.0).sqrt();
    root * root
}

/// Time of an expert exchange in which each token goes to `top_k` experts: it crosses to each other domain once and is handed on inside
/// (DeepSeek-V3, arXiv 2412.19437, section 3.2.2). `bytes` is what one chip would send to distinct ranks.
pub fn expert_exchange(bytes: u64, (routing, top_k): (Routing, u64), span: Span, network: &Network) -> Seconds {
    if span.size <= 1 || bytes == 0 {
        return Seconds::ZERO;
    }
    let inside = span.inside(network.domain);
    let (ranks, domains) = (span.size as f64, span.size.div_ceil(inside) as f64);
    let pods = span.size.div_ceil(span.inside(network.pod).max(inside)) as f64;
    let visited = |places: f64| routing.visited(places, top_k as f64);
    let once = bytes as f64 / (visited(ranks) * (1.0 - 1.0 / ranks));
    let beyond = |places: f64| once * visited(places) * (1.0 - 1.0 / places);
    let near = once * visited(ranks) * (1.0 - 1.0 / inside as f64);
    Seconds(slowest([near, beyond(domains), beyond(pods)], inside, network))
}

/// Personalised exchange of `bytes` sent by each chip.
fn exchange(bytes: f64, span: Span, network: &Network) -> f64 {
    let (p, inside) = (span.size as f64, span.inside(network.domain));
    let pod = span.inside(network.pod).max(inside);
    let beyond = |members: u64| bytes * (p - members as f64) / p;
    slowest([bytes * (inside as f64 - 1.0) / p, beyond(inside), beyond(pod)], inside, network)
}

/// The slowest of what goes to the own domain, to other domains, and of that to other pods.
fn slowest([near, far, farther]: [f64; 3], inside: u64, network: &Network) -> f64 {
    let up = &network.scale_up;
    let share = usable(inside, up, network) * cut(inside, up, network);
    let near_s = if inside > 1 { one_tier(near, Way { steps: 1.0, volume: 1.0 / up.exchange_efficiency }, up, share) } else { 0.0 };
    let across = |bytes: f64, tier: &Tier| {
        let way = Way { steps: 1.0, volume: 1.0 / tier.exchange_efficiency };
        if bytes > 0.0 { one_tier(bytes, way, tier, 1.0) } else { 0.0 }
    };
    near_s.max(across(far, &network.scale_out)).max(across(farther, &network.spine))
}

/// Rate per chip across the bisection of a torus, relative to the rate of its used links.
fn cut(inside: u64, tier: &Tier, network: &Network) -> f64 {
    if tier.switched {
        return 1.0;
    }
    let used = (usable(inside, tier, network) * network.torus_dimensions.max(1.0)).max(1.0);
    let side = (inside as f64).powf(1.0 / used).max(2.0);
    // 2·s^(d-1) links cut, s^d chips send half their bytes across, both ways: 8·B_link / s per chip, of 2·d links.
    (8.0 * network.twist / side / (2.0 * used)).min(1.0)
}
