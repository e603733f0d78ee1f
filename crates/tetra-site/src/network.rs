//! Switches, optics and cables of the scale-out network, per chip.
//!
//! A fat tree of radix `k` needs `N/k`, `3N/k` or `5N/k` switches and `N`, `2N` or `3N` links for `N` ports in one, two or three tiers, and joins
//! `k`, `k^2/2` or `k^3/4` of them (Al-Fares 2008; Leiserson 1985). Rails are separate trees, one per position in the server.
//! Leaves out: oversubscription, optical circuit switches, cable lengths (one price per link), spare switches.

use tetra_quantity::{BytesPerSecond, Usd, Watts};

use crate::constants::NetworkConstants;
use crate::error::{Fit, Misfit};

/// The network's share of one chip.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct NetworkBill {
    /// Tiers of switches.
    pub tiers: u32,
    /// Ports of the fabric that one chip takes.
    pub ports_per_chip: f64,
    /// Switches per chip.
    pub switches: f64,
    /// Links per chip, that to the chip's own card included.
    pub links: f64,
    /// Price of the switches.
    pub switch_price: Usd,
    /// Price of transceivers and fibres.
    pub link_price: Usd,
    /// Power of switches and transceivers.
    pub power: Watts,
}

impl NetworkConstants {
    /// Most chips that one three-tier fabric joins at `rate` per chip and direction.
    pub fn most_chips(&self, rate: BytesPerSecond) -> u64 {
        let ports = self.rails.saturating_mul(self.cube()) as f64;
        let chips = ports * (self.port / rate);
        if chips.is_finite() { chips.floor().max(1.0) as u64 } else { u64::MAX }
    }

    /// Ports that two tiers join.
    fn square(&self) -> u64 {
        self.radix.saturating_mul(self.radix) / 2
    }

    /// Ports that three tiers join.
    fn cube(&self) -> u64 {
        self.square().saturating_mul(self.radix) / 2
    }
}

/// The bill for a cluster of `chips` with `rate` per chip and direction.
///
/// # Errors
/// More ports than three tiers join.
pub fn network_bill(c: &NetworkConstants, chips: u64, rate: BytesPerSecond) -> Fit<NetworkBill> {
    let ports_per_chip = rate.value() / c.port.value();
    if !(ports_per_chip.is_finite() && ports_per_chip >= 0.0) {
        return Err(Misfit::BadInput { what: "scale_out" });
    }
    let per_rail = (ports_per_chip * chips as f64 / c.rails as f64).ceil() as u64;
    let tiers = match per_rail {
        n if n <= c.radix => 1,
        n if n <= c.square() => 2,
        n if n <= c.cube() => 3,
        ports => return Err(Misfit::ClusterTooLarge { ports, most: c.cube() }),
    };
    let switches = ports_per_chip * f64::from(2 * tiers - 1) / c.radix as f64;
    let links = ports_per_chip * f64::from(tiers);
    Ok(NetworkBill {
        tiers,
        ports_per_chip,
        switches,
        links,
        switch_price: c.switch_price * switches,
        link_price: c.link_price * links,
        power: c.switch_power * switches + c.transceiver_power * (2.0 * links),
    })
}
