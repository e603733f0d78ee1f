//! Regret: what the chosen chip costs on models outside the study, against the best chip of the grid for each model alone.
//!
//! Steady state on both sides: `chip-seconds per output token × dollars per chip-second` at the cheapest candidate site, package, server, network,
//! power, hall and staff included, paid back over the life of a server (`tetra_site::chip_hour`); no design cost, since it hardly differs between
//! chips. The best chip is found by branch and bound (Land and Doig 1960): chips in order of roofline chip-seconds times the price at idle power,
//! until that bound exceeds the best found. Leaves out: demand over time, the bridge, residency.

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
/// Chips evaluated for one model at most.
const MOST: usize = 256;

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

/// All asks that the study does not name; and whether every search was finished.
pub fn regrets(setting: &Setting<'_>, chosen: usize) -> (Vec<Regret>, bool) {
    let grid = &setting.inputs.grid;
    let asked =
        |model: &str| setting.study.services.iter().any(|s| s.model == model) || setting.study.trainings.iter().any(|t| t.model == model);
    let probes: Vec<&Probe> = setting.inputs.probes.iter().filter(|p| !asked(&p.model)).collect();
    if probes.is_empty() {
        return (Vec::new(), true);
    }
    let ids: Vec<usize> = (0..grid.size()).collect();
    let priced: Vec<Priced> = ids.par_iter().filter_map(|&id| price(setting, id)).collect();
    let Some(own) = priced.iter().find(|p| p.id == chosen) else { return (Vec::new(), true) };
    let mut whole = true;
    let mut regrets = Vec::new();
    for probe in probes {
        let Some(ask) = probe.ask(&setting.inputs.models) else { continue };
        let Ok(demand) = Demand::of(&ask) else { continue };
        let here = cost(setting, &ask, own);
        let (best, finished) = best_of(setting, &ask, &demand, &priced, here.map(|usd| (usd, chosen)));
        whole &= finished;
        let Some((usd, id)) = best else { continue };
        regrets.push(Regret {
            model: format!("{} ({})", probe.model, probe.extreme),
            // Not a number is written as null: the chosen chip cannot answer.
            chosen_usd_per_million: here.unwrap_or(f64::NAN) * 1e6,
            best_usd_per_million: usd * 1e6,
            best: design_words(grid, id),
        });
    }
    (regrets, whole)
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

/// The cheapest chip and whether the search was finished.
fn best_of(
    setting: &Setting<'_>,
    ask: &ServeAsk<'_>,
    demand: &Demand,
    priced: &[Priced],
    known: Option<(f64, usize)>,
) -> (Option<(f64, usize)>, bool) {
    let serve = &setting.inputs.constants.serve;
    let least = |p: &Priced| Some(bound(demand, ask, &p.chip, &space(&p.chip), serve).ok()?.chip_seconds_per_token.value() * p.least);
    let bounds: Vec<Option<f64>> = priced.par_iter().map(least).collect();
    let mut open: Vec<(f64, usize)> = bounds.iter().enumerate().filter_map(|(i, b)| b.map(|b| (b, i))).collect();
    open.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut best = known;
    for (n, round) in open.chunks(ROUND).enumerate() {
        let worth = |b: &f64| best.is_none_or(|(usd, _)| *b < usd);
        if !round.first().is_some_and(|(b, _)| worth(b)) {
            return (best, true);
        }
        if n * ROUND >= MOST {
            return (best, false);
        }
        let costs: Vec<Option<f64>> = round.par_iter().map(|&(_, i)| cost(setting, ask, &priced[i])).collect();
        for (&(_, i), usd) in round.iter().zip(costs) {
            if let Some(usd) = usd.filter(|u| best.is_none_or(|(b, _)| *u < b)) {
                best = Some((usd, priced[i].id));
            }
        }
    }
    (best, true)
}
