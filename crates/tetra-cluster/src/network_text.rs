//! The network of a cluster as tables and papers write it: rates per node of ports for communication between nodes.
//!
//! Understood: `8x400G`, `8x ConnectX-7 IB NDR 400Gb/s`, `4x100 Gb/s Omni-Path per node` (ports × rate), `1600 Gb/s RoCE per node`, `800 Gb/s inter` (per node), and the
//! generations of InfiniBand `EDR`, `HDR`, `NDR`, `XDR` without a rate (one port per chip). Ports of Omni-Path reach accelerator memory through the host's and carry a share of their rate. Text after `Compute:` counts where there is one. Rates in
//! bytes (`900 GB/s`) belong to scale-up links and are skipped. Anything else leaves the chip's own ports as they are.

use tetra_chip::Chip;
use tetra_quantity::BytesPerSecond;

use crate::constants::ClusterConstants;
use crate::network::Network;

/// Chips that share one node's ports, at most.
pub(crate) const NODE_CHIPS: u64 = 8;
/// Gigabits per second and port of each InfiniBand generation.
const GENERATIONS: [(&str, u32); 4] = [("EDR", 100), ("HDR", 200), ("NDR", 400), ("XDR", 800)];

impl Network {
    /// The network that a table names, or the chip's own where it names none.
    pub fn named(text: &str, chip: &Chip, constants: &ClusterConstants) -> Self {
        let network = Self::of(chip, constants);
        let node = network.domain.clamp(1, NODE_CHIPS);
        match gigabits_per_node(text, node) {
            Some(rate) => {
                let network = network.with_scale_out(BytesPerSecond(rate * 1e9 / 8.0 / node as f64));
                if through_host(text) { network.through_host(constants) } else { network }
            }
            None => network,
        }
    }
}

/// Whether ports reach accelerator memory only through the host's.
fn through_host(text: &str) -> bool {
    const FABRICS: [&str; 2] = ["omni-path", "omnipath"];
    let lower = text.to_ascii_lowercase();
    FABRICS.iter().any(|f| lower.contains(f))
}

/// Gigabits per second of one node's ports for communication between nodes.
pub fn gigabits_per_node(text: &str, node_chips: u64) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let part = lower.find("compute:").map_or(text, |at| &text[at..]);
    let part = part.split([';', ',']).find(|p| rate_of(p).is_some()).unwrap_or(part);
    rate_of(part).or_else(|| {
        let words = part.split(|c: char| !c.is_ascii_alphanumeric());
        let named = words.filter_map(|w| GENERATIONS.iter().find(|(name, _)| w.eq_ignore_ascii_case(name))).next();
        named.map(|(_, rate)| f64::from(*rate) * node_chips as f64)
    })
}

/// First `[count x] … rate G[b/s]` of a text.
fn rate_of(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut count = 1.0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = (at..bytes.len()).find(|&i| !(bytes[i].is_ascii_digit() || bytes[i] == b'.')).unwrap_or(bytes.len());
        let number: f64 = text[at..end].parse().ok()?;
        let after = text[end..].trim_start();
        let fresh = at == 0 || !bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'x';
        if fresh && is_gigabits(after) {
            return Some(count * number);
        }
        if fresh && after.starts_with(['x', 'X']) {
            count = number;
        }
        at = end.max(at + 1);
    }
    None
}

/// Whether a text begins with a unit of gigabits per second: `G`, `Gb/s`, `Gbps`, `Gbit/s`.
fn is_gigabits(text: &str) -> bool {
    let mut letters = text.chars();
    if letters.next() != Some('G') {
        return false;
    }
    match letters.next() {
        Some('b') => true,
        Some(c) => !c.is_ascii_alphanumeric(),
        None => true,
    }
}
