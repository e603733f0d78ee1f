//! What a power cap and leakage do to a mapping's time and energy.
//!
//! Dynamic energy falls and time rises with the clock factor `s` (voltage follows the clock): `E·s` joules in `t/s` seconds draw the
//! budget `P = cap − static` at `s = √(P·t/E)`. Both results, `t/s` and `E·s + P_static·t/s`, rise with `E` and with `t`: a lower bound of
//! `E` and `t` is one of the results, so that the search for the best mapping under the cap stays exact (ε = 0). The clock slows memory,
//! too (an upper bound of time).

use crate::nest::machine::Machine;
use crate::nest::objective::Objective;
use crate::nest::price::{Mode, NestCost};

/// Time and energy as they come out.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Settled {
    /// Seconds.
    pub seconds: f64,
    /// Joules, leakage included where the machine's is known and the mode is real.
    pub energy_j: f64,
    /// Clock as a share of the nominal one.
    pub clock_factor: f64,
}

impl Settled {
    /// Settles a cost on its machine.
    pub fn of(cost: &NestCost, machine: &Machine, mode: Mode) -> Self {
        Self::from_figures(cost.energy_j, cost.cycles, machine, mode)
    }

    pub(crate) fn from_figures(energy_j: f64, cycles: f64, machine: &Machine, mode: Mode) -> Self {
        let seconds = cycles / machine.clock.value();
        if mode == Mode::Ideal {
            return Self { seconds, energy_j, clock_factor: 1.0 };
        }
        let leak = machine.compute.static_w.unwrap_or(0.0);
        let budget = machine.compute.power_cap_w.map_or(f64::INFINITY, |cap| (cap - leak).max(0.0));
        let factor = if energy_j > budget * seconds { (budget * seconds / energy_j).sqrt() } else { 1.0 };
        Self { seconds: seconds / factor, energy_j: energy_j * factor + leak * seconds / factor, clock_factor: factor }
    }

    /// The figures to compare by an objective, the first one first.
    pub(crate) fn key(&self, objective: Objective) -> (f64, f64) {
        objective.key(self.energy_j, self.seconds)
    }
}
