//! Links of a cluster: a scale-up domain in which chips reach each other at full rate, a scale-out fabric (fat tree, one network port per
//! chip) that joins the domains, and where a cluster file says so a spine above it with its own rate. A network is a value: rates, step times and
//! protocol shares are settled here so that a collective needs nothing else. A torus behind optical switches is wired anew for each job: its slice is
//! a torus of its own, of whole blocks with sides as equal as can be (TPU v4, Jouppi et al. 2023, section 2).
//!
//! Leaves out: routing, congestion between jobs, link failures.

use tetra_chip::Chip;
use tetra_quantity::{Bytes, BytesPerSecond};

use crate::constants::{ClusterConstants, Protocol};

/// One tier of links.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Tier {
    /// Rate of one chip in one direction, of the wire.
    pub bandwidth: BytesPerSecond,
    /// Protocol for small messages.
    pub small: Protocol,
    /// Protocol for large messages.
    pub large: Protocol,
    /// Share of the large-message rate that an all-to-all reaches.
    pub exchange_efficiency: f64,
    /// Whether any pair runs at full rate; else chips are wired to their neighbours in a torus.
    pub switched: bool,
    /// Whether switches reduce in flight.
    pub reduces: bool,
}

/// The host's memory as one chip sees it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Host {
    /// Rate between chip and host memory, one direction, what copies reach.
    pub link: BytesPerSecond,
    /// Memory per chip.
    pub memory: Bytes,
}

/// Up to three tiers of links, and the host's memory.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Network {
    /// Chips in one scale-up domain, at least 1.
    pub domain: u64,
    /// Links inside a domain.
    pub scale_up: Tier,
    /// Links between domains of one pod.
    pub scale_out: Tier,
    /// Chips that the scale-out links join before the spine begins; all of them where there is no third tier.
    pub pod: u64,
    /// Links between pods.
    pub spine: Tier,
    /// Dimensions of the torus when the domain is not switched.
    pub torus_dimensions: f64,
    /// Chips of one block of an optically switched torus, 0 where the torus is wired for good.
    pub optical_block: u64,
    /// Rate across the middle of the torus over that of the plain one of the same sides (twisted wiring).
    pub twist: f64,
    /// Memory of the host.
    pub host: Host,
    /// Seconds that each message between stages takes beyond its bytes where it passes the host's memory; those of one tensor group leave their node one after another.
    pub staged_s: f64,
}

impl Network {
    /// The network that a chip's own ports make.
    pub fn of(chip: &Chip, constants: &ClusterConstants) -> Self {
        let n = &constants.network;
        let links = &chip.links;
        let spread = 1.0 / n.oversubscription.max(1.0);
        let scale_out = Tier {
            bandwidth: links.scale_out * spread,
            small: n.out_small,
            large: n.out_large,
            exchange_efficiency: n.exchange_efficiency,
            switched: true,
            reduces: false,
        };
        Self {
            domain: links.scale_up_domain.max(1),
            scale_up: Tier {
                bandwidth: links.scale_up,
                small: n.up_small,
                large: n.up_large,
                exchange_efficiency: n.exchange_efficiency,
                switched: links.scale_up_switched,
                reduces: links.scale_up_reduces,
            },
            scale_out,
            pod: u64::MAX,
            spine: scale_out,
            torus_dimensions: n.torus_dimensions,
            optical_block: 0,
            twist: 1.0,
            host: Host { link: n.host_link(chip.year), memory: n.host_memory },
            staged_s: 0.0,
        }
    }

    /// The same network with another scale-out rate per chip.
    pub fn with_scale_out(mut self, per_chip: BytesPerSecond) -> Self {
        self.scale_out.bandwidth = per_chip;
        self.spine.bandwidth = per_chip;
        self
    }

    /// The same network whose ports reach accelerator memory only through the host's.
    pub fn through_host(self, constants: &ClusterConstants) -> Self {
        let n = &constants.network;
        let rate = self.scale_out.bandwidth * n.host_staged_share;
        Self { staged_s: n.host_staged_start.value(), ..self.with_scale_out(rate) }
    }

    /// The network that a job on `chips` sees: an optically switched torus is wired as one slice of whole blocks; all else stays.
    pub fn sliced(mut self, chips: u64) -> Self {
        if self.optical_block > 0 && !self.scale_up.switched {
            let blocks = chips.div_ceil(self.optical_block).max(1);
            self.domain = self.domain.min(blocks.saturating_mul(self.optical_block)).max(1);
        }
        self
    }
}
