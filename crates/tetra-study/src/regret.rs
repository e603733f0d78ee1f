//! Regret: what the chosen chip costs on models outside the study, against the best chip of the grid for each model alone.
//!
//! Steady state on both sides: `chip-seconds per output token × dollars per chip-second` at the cheapest candidate site, package, server, network,
//! power, hall and staff included, paid back over the life of a server (`tetra_site::chip_hour`); no design cost, since it hardly differs between
//! chips. The best chip is sought downhill from the chosen one, a value of one axis at a time, then by branch and bound (Land and Doig 1960): chips in
//! order of roofline chip-seconds, at the rates that memory and arrays reach at most, times the price at idle power, until that bound exceeds the best
//! found: then it is proven. Leaves out: demand over time, the bridge, residency.

use std::collections::BTreeMap;

use rayon::prelude::*;
use tetra_chip::{Chip, Timer};
use tetra_cluster::serve::{Demand, bound, search};
use tetra_cluster::{Network, ServeAsk, Serving};
use tetra_quantity::{HOUR_S, Watts};
use tetra_site::{ChipPower, Machine, PowerAt, PriceBasis, at_site, machine_cost};

use crate::ability::space;
use crate::evaluate::{Setting, Source};
use crate::probe::Probe;
use crate::report::Regret;
use crate::search::made;
use crate::tables::design_words;

/// Chips evaluated between two looks at the best.
const ROUND: usize = 16;
/// Chips of the cluster whose network a chip pays a share of, the same for all.
const CLUSTER: u64 = 1 << 12;
/// Chips evaluated for one model at most, where no proof is near.
const MOST: usize = 768;

/// So few that are left are all evaluated: a proof is near.
const FINISH: usize = 2048;

/// A chip of the grid with its price.
struct Priced {
    id: usize,
    chip: Chip,
    usd: tetra_quantity::Usd,
    /// Dollars per second when idle: no work costs less.
    least: f64,
}

/// Models of asks that have no configuration.
pub fn missing<'a>(setting: &Setting<'a>) -> Vec<&'a str> {
    let inputs = setting.inputs;
    inputs.probes.iter().map(|p| p.model.as_str()).filter(|m| !inputs.models.contains_key(*m)).collect()
}

/// All asks that the study does not name.
pub fn regrets(setting: &Setting<'_>, chosen: usize) -> Vec<Regret> {
    let grid = &setting.inputs.grid;
    let asked =
        |model: &str| setting.study.services.iter().any(|s| s.model == model) || setting.study.trainings.iter().any(|t| t.model == model);
    let probes: Vec<&Probe> = setting.inputs.probes.iter().filter(|p| !asked(&p.model)).collect();
    if probes.is_empty() {
        return Vec::new();
    }
    let ids: Vec<usize> = (0..grid.size()).collect();
    let priced: Vec<Priced> = ids.par_iter().filter_map(|&id| price(setting, id)).collect();
    let mut regrets = Vec::new();
    for probe in probes {
        let Some(ask) = probe.ask(&setting.inputs.models) else { continue };
        let Ok(demand) = Demand::of(&ask) else { continue };
        let mut hunt = Hunt { setting, ask: &ask, priced: &priced, costs: BTreeMap::new() };
        hunt.downhill(chosen);
        let proven = hunt.prove(&demand);
        let Some((usd, id)) = hunt.best() else { continue };
        regrets.push(Regret {
            model: format!("{} ({})", probe.model, probe.extreme),
            // Not a number is written as null: the chosen chip cannot answer.
            chosen_usd_per_million: hunt.costs.get(&chosen).copied().flatten().unwrap_or(f64::NAN) * 1e6,
            best_usd_per_million: usd * 1e6,
            best: design_words(grid, id),
            proven,
        });
    }
    regrets
}

fn price(setting: &Setting<'_>, id: usize) -> Option<Priced> {
    let (chip, source) = made(&setting.inputs.grid, id, setting).ok()?;
    let Source::Own(package) = source else { return None };
    let least = usd_per_second(setting, &chip, package.unit_cost, chip.power.idle, chip.power.idle)?;
    Some(Priced { id, chip, usd: package.unit_cost, least })
}

/// Dollars per second of a chip at the cheapest site.
fn usd_per_second(setting: &Setting<'_>, chip: &Chip, usd: tetra_quantity::Usd, busy: Watts, idle: Watts) -> Option<f64> {
    let (c, market) = (&setting.inputs.constants.site, &setting.inputs.constants.market);
    let cap = chip.power.cap;
    let busy = Watts(busy.value().min(cap.value()));
    let power = ChipPower { cap, busy, idle: Watts(idle.value().min(busy.value())), duty: 1.0, at: PowerAt::Package };
    let machine = Machine::of(chip, usd, PriceBasis::Package, power, market.chips_per_server, CLUSTER, c);
    let cost = machine_cost(&machine, c).ok()?;
    let hours = setting.places.iter().filter_map(|p| at_site(&cost, p.site, &setting.finance, c).ok());
    hours.map(|h| h.usd_per_hour / HOUR_S).reduce(f64::min)
}

/// Dollars per output token.
fn cost(setting: &Setting<'_>, ask: &ServeAsk<'_>, p: &Priced) -> Option<f64> {
    let c = &setting.inputs.constants;
    let found: Serving =
        search(ask, &p.chip, &Timer::new(&p.chip, &c.chip), &Network::of(&p.chip, &c.cluster), &space(&p.chip), &c.serve).ok()?;
    Some(found.chip_seconds_per_token.value() * usd_per_second(setting, &p.chip, p.usd, found.power, found.idle_power)?)
}

/// A search for the cheapest chip of one ask.
struct Hunt<'a> {
    setting: &'a Setting<'a>,
    ask: &'a ServeAsk<'a>,
    /// By id.
    priced: &'a [Priced],
    /// Of the chips evaluated, by id; none for one that cannot answer.
    costs: BTreeMap<usize, Option<f64>>,
}

impl Hunt<'_> {
    /// The cheapest chip evaluated; the first of equals.
    fn best(&self) -> Option<(f64, usize)> {
        let found = self.costs.iter().filter_map(|(&id, usd)| usd.map(|usd| (usd, id)));
        found.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
    }

    /// Evaluates chips that were not yet.
    fn try_all(&mut self, ids: &[usize]) {
        let at = |id: &usize| self.priced.binary_search_by_key(id, |p| p.id).ok();
        let new: Vec<&Priced> = ids.iter().filter(|id| !self.costs.contains_key(id)).filter_map(at).map(|i| &self.priced[i]).collect();
        let found: Vec<(usize, Option<f64>)> = new.par_iter().map(|p| (p.id, cost(self.setting, self.ask, p))).collect();
        self.costs.extend(found);
    }

    /// From one chip to the cheapest that differs on one axis, until none is cheaper.
    fn downhill(&mut self, from: usize) {
        self.try_all(&[from]);
        let mut here = from;
        while self.costs.len() < MOST {
            self.try_all(&self.setting.inputs.grid.beside(here));
            match self.best() {
                Some((_, id)) if id != here => here = id,
                _ => return,
            }
        }
    }

    /// Evaluates chips in order of their bounds; whether none that is left could be cheaper than the best.
    fn prove(&mut self, demand: &Demand) -> bool {
        let bounds: Vec<Option<f64>> = self.priced.par_iter().map(|p| self.least(demand, p)).collect();
        let mut open: Vec<(f64, usize)> = bounds.iter().zip(self.priced).filter_map(|(b, p)| Some(((*b)?, p.id))).collect();
        open.retain(|(_, id)| !self.costs.contains_key(id));
        open.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let left = open.iter().filter(|(b, _)| self.best().is_none_or(|(usd, _)| *b < usd)).count();
        let most = if left < FINISH { MOST + left } else { MOST };
        for round in open.chunks(ROUND) {
            if !round.first().is_some_and(|(b, _)| self.best().is_none_or(|(usd, _)| *b < usd)) {
                return true;
            }
            if self.costs.len() >= most {
                return false;
            }
            self.try_all(&round.iter().map(|r| r.1).collect::<Vec<_>>());
        }
        true
    }

    /// No layout on this chip costs less per token: its roofline at the rates that memory and arrays reach at most, at the price at idle power.
    fn least(&self, demand: &Demand, p: &Priced) -> Option<f64> {
        let c = &self.setting.inputs.constants;
        let kernels = &c.chip.kernels;
        let mut chip = p.chip.clone();
        chip.memory.hbm_bandwidth = chip.memory.hbm_bandwidth * kernels.hbm_read_fraction.max(kernels.hbm_mixed_fraction).min(1.0);
        chip.compute.clock = chip.compute.clock * kernels.array_fraction.min(1.0);
        let bound = bound(demand, self.ask, &chip, &space(&p.chip), &c.serve).ok()?;
        Some(bound.chip_seconds_per_token.value() * p.least)
    }
}
