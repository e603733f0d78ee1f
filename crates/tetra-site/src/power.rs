//! Losses of power conversion: each stage takes `P_in = (P_out + L0) / eta`, with a fixed loss `L0` that does not fall with load.
//!
//! Form and constants of the rectifier and the bus converter: ExaDigiT/RAPS, `config/frontier.yaml`. `L0` is given as a share of the power at
//! peak, because stages are bought for the peak. Leaves out: staggering of rectifiers, harmonic losses, pulse loads.

use tetra_quantity::Watts;

use crate::constants::{PowerConstants, Stage};

impl Stage {
    /// Input power for output `out`, of a stage built for `peak`.
    pub fn input(&self, out: Watts, peak: Watts) -> Watts {
        if self.efficiency > 0.0 { (out + peak * self.fixed_loss) / self.efficiency } else { Watts(f64::INFINITY) }
    }
}

fn through(stages: &[Stage], load: Watts, peak: Watts) -> Watts {
    stages.iter().fold((load, peak), |(load, peak), s| (s.input(load, peak), s.input(peak, peak))).0
}

/// Power at the input of the rack for `load` on the server's bus, of supplies built for `peak`.
pub fn rack_input(constants: &PowerConstants, load: Watts, peak: Watts) -> Watts {
    through(&[constants.bus, constants.rectifier], load, peak)
}

/// Power from the grid for `load` at the racks, of a plant built for `peak`.
pub fn facility_input(constants: &PowerConstants, load: Watts, peak: Watts) -> Watts {
    through(&[constants.distribution, constants.ups, constants.transformer], load, peak)
}
