//! Links of a cluster: a scale-up domain in which chips reach each other at full rate, and a scale-out fabric (fat tree, one network port per
//! chip) that joins the domains. A network is a value: rates, step times and protocol shares are settled here so that a collective needs nothing else.
//!
//! Leaves out: routing, congestion between jobs, link failures.

use tetra_chip::Chip;
use tetra_quantity::BytesPerSecond;

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

/// Two tiers of links.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Network {
    /// Chips in one scale-up domain, at least 1.
    pub domain: u64,
    /// Links inside a domain.
    pub scale_up: Tier,
    /// Links between domains.
    pub scale_out: Tier,
    /// Dimensions of the torus when the domain is not switched.
    pub torus_dimensions: f64,
}

impl Network {
    /// The network that a chip's own ports make.
    pub fn of(chip: &Chip, constants: &ClusterConstants) -> Self {
        let n = &constants.network;
        let links = &chip.links;
        let spread = 1.0 / n.oversubscription.max(1.0);
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
            scale_out: Tier {
                bandwidth: links.scale_out * spread,
                small: n.out_small,
                large: n.out_large,
                exchange_efficiency: n.exchange_efficiency,
                switched: true,
                reduces: false,
            },
            torus_dimensions: n.torus_dimensions,
        }
    }

    /// The same network with another scale-out rate per chip.
    pub fn with_scale_out(mut self, per_chip: BytesPerSecond) -> Self {
        self.scale_out.bandwidth = per_chip;
        self
    }
}
