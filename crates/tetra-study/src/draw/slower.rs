//! A service that is slower or faster than predicted: its batch and layout are chosen anew, so that its limits hold.
//!
//! Where everything takes `f` times the prediction, a limit `T` holds in layouts whose predicted time is `T/f`. For some `f` the search of layouts
//! gives chip-seconds per output token at limits `T/f`; over those at `T` they are what a token takes more than `f` times, linear in `ln f` between.
//! Beyond the slowest `f` that any layout holds, or where holding a limit takes more chips than it is worth (`limit.worth` times those of a missed
//! one), the limit is missed; beyond the fastest point a service keeps that layout, too.

use tetra_chip::{Chip, Timer};
use tetra_cluster::serve::search;
use tetra_cluster::{Network, ServeAsk};
use tetra_quantity::Seconds;

use crate::ability::space;
use crate::evaluate::Setting;

/// Between two points of the table.
const STEP: f64 = 1.0 + 1.0 / 5.0;
/// Steps to the fastest and to the slowest point.
const STEPS: std::ops::RangeInclusive<i32> = -4..=6;

/// What a chip's services take at other speeds.
#[derive(Debug, Clone)]
pub struct Slower {
    /// By service: logarithm of `f`, rising, with chip-seconds per token over those of the prediction times `f`; empty without limits.
    services: Vec<Vec<(f64, f64)>>,
}

impl Slower {
    /// Searches the layouts of one chip.
    pub fn of(setting: &Setting<'_>, chip: &Chip) -> Self {
        let c = &setting.inputs.constants;
        let timer = Timer::new(chip, &c.chip);
        let network = Network::of(chip, &c.cluster);
        let seconds = |ask: &ServeAsk<'_>, k: i32| -> Option<f64> {
            let at = |limit: Option<Seconds>| limit.map(|t| t * STEP.powi(-k));
            let ask = ServeAsk { ttft: at(ask.ttft), tpot: at(ask.tpot), ..*ask };
            search(&ask, chip, &timer, &network, &space(chip), &c.serve).ok().map(|s| s.chip_seconds_per_token.value())
        };
        let one = |(ask, _): &(ServeAsk<'_>, _)| -> Vec<(f64, f64)> {
            let limited = ask.tpot.is_some() || ask.ttft.is_some();
            let Some(base) = seconds(ask, 0).filter(|_| limited) else { return Vec::new() };
            let mut most = 0.0f64;
            let points = STEPS.map_while(|k| {
                // A search that ends a little short of the best never makes a tighter limit cheaper.
                most = most.max(seconds(ask, k)? / base);
                Some((f64::from(k) * STEP.ln(), if k == 0 { 1.0 } else { most }))
            });
            points.collect()
        };
        Self { services: setting.asks.services.iter().map(one).collect() }
    }

    /// Chip-seconds per output token over the prediction, by service, where everything takes `time` times as long and a limit is worth `worth` times the
    /// chips.
    pub fn takes(&self, time: f64, worth: f64) -> Vec<f64> {
        self.services.iter().map(|points| time * between(points, time.ln()).min(worth.max(1.0))).collect()
    }

    /// Whether some layout holds the limits of a service, and is worth it.
    pub fn holds(&self, service: usize, time: f64, worth: f64) -> bool {
        let points = &self.services[service];
        points.last().is_none_or(|last| time.ln() <= last.0) && between(points, time.ln()) <= worth.max(1.0)
    }
}

/// Linear between points, held outside; 1 without any.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|p| p.0 <= x);
    match (after.checked_sub(1).and_then(|i| points.get(i)), points.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0),
        (Some(a), None) | (None, Some(a)) => a.1,
        (None, None) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slower_services_take_more_and_the_prediction_takes_what_it_says(low in 0.1f64..3.0, more in 0.0f64..2.0, costs in proptest::collection::vec(0.0f64..2.0, 8)) {
            let mut cost = 0.2;
            let mut at = |x: f64, step: f64| {
                cost += step;
                (x, cost)
            };
            let below = costs[..3].iter().zip(-3..0).map(|(c, k)| at(f64::from(k) * STEP.ln(), *c)).collect::<Vec<_>>();
            let slower = Slower { services: vec![below, vec![(0.0, 1.0), (STEP.ln(), 1.0 + costs[3])], Vec::new()] };
            prop_assert_eq!(&slower.takes(1.0, 2.0)[1..], &[1.0, 1.0]);
            for (a, b) in slower.takes(low, 3.0).iter().zip(slower.takes(low + more, 3.0)) {
                prop_assert!(b >= a * (1.0 - 1e-12));
            }
            prop_assert!(slower.takes(low, 1.0)[1] <= low * (1.0 + 1e-12));
            prop_assert!(slower.holds(2, low, 1.0) && slower.holds(1, 1.0, 1.0) && !slower.holds(1, STEP * STEP, 9.0));
        }
    }
}
