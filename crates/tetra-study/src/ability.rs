//! What one chip can do for a study: the best layout for each service and training run, and the chips by month that follow.

use tetra_chip::{Chip, Timer};
use tetra_cluster::fleet::{FleetPart, ServiceDemand, TrainingDemand, size_fleet};
use tetra_cluster::serve::{Arrivals, Bound, Demand, SearchSpace, bound, search};
use tetra_cluster::{Network, ServeAsk, Serving};
use tetra_quantity::{MONTH_S, TokensPerSecond};
use tetra_site::{ChipPower, PowerAt};

use crate::inputs::Inputs;
use crate::memo::Known;
use crate::misfit::AbilityMisfit;
use crate::stand::Part;
use crate::study::Study;
use crate::train_fit::{TrainAbility, TrainJob};

/// The study's asks in the words of the cluster, made once.
#[derive(Debug)]
pub struct Asks<'a> {
    /// Services: ask, and what it needs of any chip.
    pub services: Vec<(ServeAsk<'a>, Demand)>,
    /// Training runs.
    pub trainings: Vec<TrainJob<'a>>,
    /// Most output tokens per second of each service, peaks included.
    pub peaks: Vec<f64>,
    /// Places, by part (services, then training runs), where it may stand.
    pub allowed: Vec<Vec<usize>>,
}

/// The best that one chip does.
#[derive(Debug, Clone, PartialEq)]
pub struct Ability {
    /// By service.
    pub services: Vec<Serving>,
    /// By training run.
    pub trainings: Vec<TrainAbility>,
}

impl<'a> Asks<'a> {
    /// The asks of a study.
    ///
    /// # Errors
    /// A service that no chip can answer.
    pub fn of(study: &'a Study, inputs: &'a Inputs, allowed: Vec<Vec<usize>>) -> Result<Self, AbilityMisfit> {
        let mut services = Vec::new();
        for (i, s) in study.services.iter().enumerate() {
            let ask = ServeAsk {
                model: &inputs.models[&s.model],
                precision: s.precision,
                input: s.prompt,
                output: s.output,
                ttft: s.ttft,
                tail: None,
                tpot: s.tpot,
                arrivals: Arrivals::Steady,
            };
            services.push((ask, Demand::of(&ask).map_err(|e| AbilityMisfit::Serve(i, e))?));
        }
        let trainings = study.trainings.iter().map(|t| TrainJob::of(t, &inputs.models[&t.model])).collect();
        let most = |s: &crate::study::Service| s.demand.iter().map(|d| d.value()).fold(0.0, f64::max) * s.peak_to_mean;
        let peaks = study.services.iter().map(most).collect();
        Ok(Self { services, trainings, peaks, allowed })
    }
}

/// Largest worker that the search of layouts tries: a scale-up domain, or a few of them where domains are small.
pub fn space(chip: &Chip) -> SearchSpace {
    /// Chips beyond which a larger worker no longer pays; a smaller domain may be left up to a quarter of it.
    const LARGEST: u64 = 64;
    SearchSpace::within(chip.links.scale_up_domain.clamp(LARGEST / 4, LARGEST))
}

/// The layout of one chip that serves a service with the fewest chips: the cheapest per token, or, where one worker of it would serve more than is
/// ever asked, a smaller one.
///
/// # Errors
/// Why no layout will do.
pub fn serve(
    asks: &Asks<'_>,
    service: usize,
    timer: &Timer<'_>,
    network: &Network,
    inputs: &Inputs,
    known: &Known,
) -> Result<Serving, AbilityMisfit> {
    let (ask, _) = &asks.services[service];
    let chip = timer.chip();
    let of = |space: &SearchSpace| search(ask, chip, timer, network, space, &inputs.constants.serve);
    let cheapest = || of(&space(chip)).map_err(|e| AbilityMisfit::Serve(service, e));
    let mut best = (*known.services[service].get_or_init(cheapest))?;
    let peak = asks.peaks[service];
    let chips = |found: &Serving| (peak / found.tokens_per_second).ceil().max(1.0) * found.chips as f64;
    let mut most = best.chips / 2;
    while best.tokens_per_second > peak && most >= 1 {
        match of(&SearchSpace::within(most)) {
            Ok(found) if chips(&found) < chips(&best) => best = found,
            Ok(_) => {}
            Err(_) => break,
        }
        most /= 2;
    }
    Ok(best)
}

/// Chip-seconds per output token of each service that no layout of this chip can beat.
///
/// # Errors
/// A service that no layout can do.
pub fn bounds(chip: &Chip, asks: &Asks<'_>, inputs: &Inputs) -> Result<Vec<Bound>, AbilityMisfit> {
    let space = space(chip);
    let one = |(i, (ask, demand)): (usize, &(ServeAsk<'_>, Demand))| {
        bound(demand, ask, chip, &space, &inputs.constants.serve).map_err(|e| AbilityMisfit::Serve(i, e))
    };
    asks.services.iter().enumerate().map(one).collect()
}

/// Services in the order in which they are searched: those of small models first, they cost least time.
pub fn search_order(asks: &Asks<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..asks.services.len()).collect();
    order.sort_by_key(|&i| (asks.services[i].0.model.parameters().total(), i));
    order
}

/// What parts of a fleet are made from.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    /// The study.
    pub study: &'a Study,
    /// Places, by part, where this chip may stand.
    pub allowed: Vec<Vec<usize>>,
    /// The chip.
    pub chip: &'a Chip,
    /// Where its power is measured.
    pub at: PowerAt,
    /// The inputs.
    pub inputs: &'a Inputs,
}

impl Parts<'_> {
    /// Chips of a service by month, spares included.
    pub fn service(&self, i: usize, found: &Serving) -> Part {
        let s = &self.study.services[i];
        let demand = ServiceDemand {
            name: s.name.clone(),
            mean: s.demand.clone(),
            peak_to_mean: s.peak_to_mean,
            per_replica: TokensPerSecond(found.tokens_per_second),
            replica_chips: found.chips,
            busy: found.power,
            idle: found.idle_power,
        };
        self.sized(i, &[demand], &[])
    }

    /// Chips of a training run by month, spares included.
    pub fn training(&self, i: usize, found: &TrainAbility) -> Part {
        let t = &self.study.trainings[i];
        let demand = TrainingDemand {
            name: t.name.clone(),
            chips: found.chips,
            months: found.time.value() / MONTH_S,
            starts: t.starts(self.study.frame.months),
            busy: found.busy,
            idle: found.idle,
        };
        self.sized(self.study.services.len() + i, &[], &[demand])
    }

    /// Fewest chips of a service by month, at the least power a chip can take.
    pub fn service_at_least(&self, i: usize, bound: &Bound) -> Part {
        let s = &self.study.services[i];
        let power = &self.chip.power;
        Part {
            name: s.name.clone(),
            chips: s.demand.iter().map(|d| d.value() * s.peak_to_mean * bound.chip_seconds_per_token.value()).collect(),
            power: ChipPower { cap: power.cap, busy: power.idle, idle: power.idle, duty: 0.0, at: self.at },
            allowed: self.allowed[i].clone(),
        }
    }

    fn sized(&self, place: usize, services: &[ServiceDemand], trainings: &[TrainingDemand]) -> Part {
        let months = self.study.frame.months as usize;
        let fleet = size_fleet(services, trainings, months, &self.inputs.constants.cluster.failures);
        let allowed = self.allowed.get(place).cloned().unwrap_or_default();
        let empty = FleetPart { name: String::new(), chips: vec![0; months], spares: vec![0; months], load: fleet.load };
        part(fleet.parts.into_iter().next().unwrap_or(empty), allowed, self.chip, self.at)
    }
}

fn part(p: FleetPart, allowed: Vec<usize>, chip: &Chip, at: PowerAt) -> Part {
    let chips = p.chips.iter().zip(&p.spares).map(|(&c, &s)| c as f64 + s as f64).collect();
    let cap = chip.power.cap;
    let busy = p.load.busy.min(cap);
    Part {
        name: p.name,
        chips,
        power: ChipPower { cap, busy, idle: p.load.idle.min(busy), duty: p.load.duty.clamp(0.0, 1.0), at },
        allowed,
    }
}
