//! One accelerator against the whole study: layouts, fleet, standing, money. The same path for a GPU on sale and for a chip of one's own.
//!
//! Levelised cost of serving `= PV(payments) · s / PV(output tokens)`, with `s` the serving parts' share of all discounted chip-months; what
//! bridging machines serve counts with their own share. The rest is the cost of the training runs. Training days at equal spend: the days that one
//! run takes on the chips that the reference fleet's discounted spend buys (chips, machines, running cost and their share of design cost), with a
//! grown software stack. While an own stack is young more own chips serve the same demand: `need / works`.

use std::sync::Arc;

use tetra_chip::{Chip, Timer};
use tetra_cluster::serve::Bound;
use tetra_cluster::{Network, Serving};
use tetra_foundry::{ExportClass, Package, PackageSpec, Volume, export_of, package};
use tetra_quantity::{DAY_S, Usd, YEAR_S};
use tetra_site::{Finance, PowerAt, PriceBasis};

use crate::ability::{Ability, Asks, Parts, bounds, search_order, serve};
use crate::estimate::{Estimate, Kind, Means, Rent, Unit, estimate, standing_cost};
use crate::inputs::Inputs;
use crate::market::Market;
use crate::memo::{Known, Memo};
use crate::misfit::AbilityMisfit;
use crate::pareto::{Goals, excluded};
use crate::stand::{Bought, Part, Place, StandMisfit, Standing, stand};
use crate::study::Study;
use crate::train_fit::{TrainAbility, Trainer, train_bound};

/// What stays the same for every accelerator of a run.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The study.
    pub study: &'a Study,
    /// The inputs.
    pub inputs: &'a Inputs,
    /// The asks.
    pub asks: &'a Asks<'a>,
    /// Candidate sites.
    pub places: &'a [Place<'a>],
    /// How machines are financed.
    pub finance: Finance,
    /// Output tokens, discounted.
    pub tokens: f64,
    /// Dollars by month if nothing is served.
    pub penalty: Vec<f64>,
    /// Machines on sale for the time before own chips arrive.
    pub bridge: Option<Bridge>,
    /// Machines to rent meanwhile.
    pub rent: Option<Rented>,
    /// Processes that suppliers in too few countries offer for the study's rules, and of which stage.
    pub barred: Vec<(String, &'static str)>,
    /// Discounted dollars of the reference training fleet, by training run.
    pub budgets: Vec<f64>,
    /// What the chips of the grid can do, as far as it was asked for.
    pub memo: Arc<Memo>,
}

/// Machines on sale that bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct Bridge {
    /// Name.
    pub name: String,
    /// Chips that would serve everything, by month.
    pub need: Vec<f64>,
    /// Money of one.
    pub unit: Unit,
    /// First month, index.
    pub from: usize,
    /// Share of serving in its chip-months.
    pub serving_share: f64,
}

/// Machines to rent.
#[derive(Debug, Clone, PartialEq)]
pub struct Rented {
    /// Name.
    pub name: String,
    /// Chips that would serve everything, by month.
    pub need: Vec<f64>,
    /// Dollars per chip and month.
    pub usd_per_month: f64,
}

/// How an accelerator is had.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Bought from its maker.
    Sale {
        /// Price.
        price: Usd,
        /// What the price holds.
        basis: PriceBasis,
        /// First month, index.
        from: usize,
        /// Change of the price of the same performance per year: 0 for this very chip, negative for it and its successors.
        change_per_year: f64,
    },
    /// Rented from its owner through the horizon.
    Rent {
        /// Dollars per chip and month, everything included.
        usd_per_month: f64,
        /// First month, index.
        from: usize,
    },
    /// Designed and made for the study.
    Own(Box<Package>),
}

/// What an accelerator comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Layouts.
    pub ability: Ability,
    /// Fleet by part.
    pub parts: Vec<Part>,
    /// Chips by month that serve everything.
    pub need: Vec<f64>,
    /// Where it stands.
    pub standing: Standing,
    /// Money before supplier's limits.
    pub estimate: Estimate,
    /// First month, index.
    pub from: usize,
    /// Share of serving in the chip-months of its own kind.
    pub own_share: f64,
    /// The same with the machines that bridge, by the demand that each serves.
    pub serving_share: f64,
    /// Levelised cost of an output token, dollars.
    pub usd_per_token: f64,
    /// Days of one run on the chips of the reference spend, by training run.
    pub equal_spend_days: Vec<f64>,
    /// Discounted dollars of one training run's fleet, by training run.
    pub training_spend: Vec<f64>,
}

impl Found {
    /// Coordinates for the Pareto front.
    pub fn goals(&self) -> Goals {
        [self.usd_per_token * 1e6, self.equal_spend_days.iter().copied().fold(0.0, f64::max), self.from as f64 + 1.0]
    }
}

/// Why an accelerator cannot do the study.
#[derive(Debug, Clone, PartialEq)]
pub enum Misfit {
    /// It cannot be built.
    Build(tetra_chip::Misfit),
    /// It cannot be manufactured.
    Make(tetra_foundry::Misfit),
    /// It cannot serve or train.
    Do(AbilityMisfit),
    /// Too few countries make something of it for the study's rules.
    Countries {
        /// What they make too little of.
        stage: &'static str,
    },
    /// It cannot stand.
    Stand(StandMisfit),
    /// The export rule closes every place that a part of the fleet may use.
    Export {
        /// Which part: services first, then training runs.
        part: usize,
        /// One of the places.
        place: usize,
        /// Its class.
        class: ExportClass,
    },
    /// It comes after the horizon.
    Late {
        /// Months until first volume.
        months: u32,
    },
}

/// Why an evaluation ended early.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// The chip cannot do the study.
    Misfit(Misfit),
    /// Nothing that it could do would join the front.
    Bound {
        /// Goals that it cannot beat.
        goals: Goals,
        /// Services searched before the bound held.
        step: usize,
    },
}

impl From<Misfit> for Stop {
    fn from(m: Misfit) -> Self {
        Self::Misfit(m)
    }
}

impl Source {
    /// First month, index.
    pub fn from(&self) -> usize {
        match self {
            Self::Sale { from, .. } | Self::Rent { from, .. } => *from,
            Self::Own(p) => p.programme.months_to_volume.ceil().clamp(0.0, 1e6) as usize,
        }
    }

    /// The chip as it is bought.
    pub fn bought<'a>(&self, chip: &'a Chip, inputs: &Inputs) -> Bought<'a> {
        self.bought_with(chip, inputs, self.kg_embodied(chip, inputs))
    }

    /// Carbon of making one chip, kg.
    pub fn kg_embodied(&self, chip: &Chip, inputs: &Inputs) -> f64 {
        match self {
            Self::Sale { .. } | Self::Rent { .. } => kg_of(chip, inputs),
            Self::Own(p) => p.kg_co2e.value(),
        }
    }

    /// The chip as it is bought, its carbon being known.
    pub fn bought_with<'a>(&self, chip: &'a Chip, inputs: &Inputs, kg_embodied: f64) -> Bought<'a> {
        let chips_per_server = inputs.constants.market.chips_per_server;
        let (price, basis) = match self {
            Self::Sale { price, basis, .. } => (*price, *basis),
            Self::Rent { .. } => (Usd::ZERO, PriceBasis::Server),
            Self::Own(p) => (p.unit_cost, PriceBasis::Package),
        };
        Bought { chip, price, basis, kg_embodied, chips_per_server }
    }

    /// The same chip at the prices of another market.
    pub fn at_market(&self, chip: &Chip, inputs: &Inputs, market: &Market) -> Self {
        match self {
            Self::Sale { from, change_per_year, .. } => match inputs.price_in(chip, market) {
                Some((price, basis)) => {
                    let change_per_year = if *change_per_year == 0.0 { 0.0 } else { market.successor_change_per_year() };
                    Self::Sale { price, basis, from: *from, change_per_year }
                }
                None => self.clone(),
            },
            other => other.clone(),
        }
    }

    fn power_at(&self) -> PowerAt {
        match self {
            Self::Sale { .. } | Self::Rent { .. } => PowerAt::Module,
            Self::Own(_) => PowerAt::Package,
        }
    }

    /// Design cost by month, spread evenly over the programme.
    pub fn nre(&self, months: usize) -> Vec<(usize, f64)> {
        let Self::Own(p) = self else { return Vec::new() };
        let length = self.from().max(1);
        let each = p.nre.total.value() / length as f64;
        (0..length.min(months)).map(|m| (m, each)).collect()
    }

    /// Part of its steady work that a machine does, by month: less than 1 while an own software stack is young.
    pub fn works(&self, market: &Market, months: usize) -> Vec<f64> {
        match self {
            Self::Own(p) => (0..months).map(|m| market.own_stack_at(m as f64 - p.programme.months_to_volume)).collect(),
            Self::Sale { .. } | Self::Rent { .. } => vec![1.0; months],
        }
    }

    fn keeps(&self, inputs: &Inputs) -> f64 {
        match self {
            Self::Sale { .. } | Self::Rent { .. } => 1.0,
            Self::Own(_) => inputs.constants.market.own_chip_share,
        }
    }
}

/// Carbon of making a chip on sale; 0 where its silicon is not known.
fn kg_of(chip: &Chip, inputs: &Inputs) -> f64 {
    let k = &inputs.constants.foundry;
    let volume = Volume { units: 1.0, start_year: f64::from(chip.year), made_year: None };
    PackageSpec::of(chip, k).and_then(|spec| package(&spec, &volume, k, &inputs.constants.dies)).map_or(0.0, |p| p.kg_co2e.value())
}

/// Export class of a chip.
pub fn export_class(chip: &Chip, inputs: &Inputs) -> &'static str {
    export_of(chip, &inputs.constants.foundry.export).class.word()
}

impl Setting<'_> {
    fn months(&self) -> usize {
        self.study.frame.months as usize
    }

    /// Evaluates one accelerator on everything.
    ///
    /// # Errors
    /// Why it cannot do the study.
    pub fn evaluate(&self, chip: &Chip, source: &Source) -> Result<Found, Misfit> {
        self.evaluate_known(chip, source, &Known::nothing(self.asks.services.len()))
    }

    /// The same for a chip of which something may be known.
    ///
    /// # Errors
    /// Why it cannot do the study.
    pub fn evaluate_known(&self, chip: &Chip, source: &Source, known: &Known) -> Result<Found, Misfit> {
        match self.evaluate_unless(chip, source, &[], known) {
            Ok(found) => Ok(found),
            Err(Stop::Misfit(m)) => Err(m),
            Err(Stop::Bound { .. }) => Err(Misfit::Late { months: self.study.frame.months }),
        }
    }

    /// Evaluates one accelerator step by step, and stops as soon as nothing that it could still do would join `front`: training runs first, then
    /// the services; those not yet searched count with their bounds.
    ///
    /// # Errors
    /// Why it cannot do the study, or the bound that stopped it.
    pub fn evaluate_unless(&self, chip: &Chip, source: &Source, front: &[Goals], known: &Known) -> Result<Found, Stop> {
        let c = &self.inputs.constants;
        let timer = Timer::new(chip, &c.chip);
        let network = Network::of(chip, &c.cluster);
        let made = self.parts(chip, source)?;
        let mut trainers: Vec<Trainer<'_>> =
            self.asks.trainings.iter().map(|job| Trainer::new(job, chip, &timer, &network, &c.cluster)).collect();
        let smallest = || trainers.iter_mut().enumerate().map(|(i, t)| t.smallest().map_err(|e| (i, e))).collect();
        let trainings: Vec<TrainAbility> =
            known.trainings.get_or_init(smallest).clone().map_err(|(i, e)| Misfit::Do(AbilityMisfit::Train(i, e)))?;
        let least = self.least(chip, known)?;
        let mut parts: Vec<Part> = least.iter().enumerate().map(|(i, b)| made.service_at_least(i, b)).collect();
        parts.extend(trainings.iter().enumerate().map(|(i, t)| made.training(i, t)));
        // What another search found of this chip is no bound, it is the fleet.
        let found = |i: usize| known.services[i].get()?.as_ref().ok().filter(|s| s.tokens_per_second <= self.asks.peaks[i]);
        (0..least.len()).filter_map(|i| Some((i, found(i)?))).for_each(|(i, s)| parts[i] = made.service(i, s));
        let mut services: Vec<Option<Serving>> = vec![None; least.len()];
        for (step, i) in search_order(self.asks).into_iter().enumerate() {
            if !front.is_empty() {
                // Training's share of the design cost falls as serving grows, and how far it grows is not known yet: the bound leaves it out.
                let money = Money { nre: 0.0, ..self.money(chip, source, &parts)? };
                let least = self.goals_at_least(&money, chip, source);
                let goals = if excluded(front, &least) { least } else { self.goals(&money, &trainings, &mut trainers, source) };
                if excluded(front, &goals) {
                    return Err(Stop::Bound { goals, step });
                }
            }
            let found = serve(self.asks, i, &timer, &network, self.inputs, known).map_err(Misfit::Do)?;
            parts[i] = made.service(i, &found);
            services[i] = Some(found);
        }
        let ability = Ability { services: services.into_iter().flatten().collect(), trainings };
        Ok(self.found(self.money(chip, source, &parts)?, ability, parts, &mut trainers, source))
    }

    fn parts<'s>(&'s self, chip: &'s Chip, source: &Source) -> Result<Parts<'s>, Misfit> {
        let allowed = crate::allowed::allowed(chip, self)?;
        Ok(Parts { study: self.study, allowed, chip, at: source.power_at(), inputs: self.inputs })
    }

    fn found(&self, money: Money, ability: Ability, parts: Vec<Part>, trainers: &mut [Trainer<'_>], source: &Source) -> Found {
        let [cost, ..] = self.goals(&money, &ability.trainings, trainers, source);
        Found {
            usd_per_token: cost * 1e-6,
            equal_spend_days: self.equal_spend_days(&money, &ability.trainings, trainers),
            training_spend: parts[ability.services.len()..].iter().map(|p| p.most() * money.spend_per_chip).collect(),
            need: money.need,
            standing: money.standing,
            estimate: money.estimate,
            from: source.from(),
            own_share: money.own_share,
            serving_share: money.serving_share,
            ability,
            parts,
        }
    }

    fn equal_spend_days(&self, money: &Money, found: &[TrainAbility], trainers: &mut [Trainer<'_>]) -> Vec<f64> {
        let each = found.iter().zip(trainers).enumerate();
        each.map(|(i, (t, trainer))| trainer.time_on(t, self.chips_for(i, money).unwrap_or(t.chips as f64)).value() / DAY_S).collect()
    }

    fn goals(&self, money: &Money, found: &[TrainAbility], trainers: &mut [Trainer<'_>], source: &Source) -> Goals {
        let cost = money.payments * money.serving_share / self.tokens.max(f64::MIN_POSITIVE) * 1e6;
        let days = self.equal_spend_days(money, found, trainers).into_iter().fold(0.0, f64::max);
        [cost, days, source.from() as f64 + 1.0]
    }

    /// The same with training at the arrays' peak: no layout is priced.
    fn goals_at_least(&self, money: &Money, chip: &Chip, source: &Source) -> Goals {
        let cost = money.payments * money.serving_share / self.tokens.max(f64::MIN_POSITIVE) * 1e6;
        let runs = self.asks.trainings.iter().enumerate();
        let days = runs.filter_map(|(i, job)| Some(train_bound(job, chip) / self.chips_for(i, money)? / DAY_S));
        [cost, days.fold(0.0, f64::max), source.from() as f64 + 1.0]
    }

    /// Chips that the reference spend of a training run buys, design cost by chip-months taken off.
    fn chips_for(&self, run: usize, money: &Money) -> Option<f64> {
        let budget = self.budgets.get(run).copied().filter(|b| *b > 0.0)?;
        let design = money.nre * (1.0 - money.serving_share) / self.asks.trainings.len().max(1) as f64;
        Some(((budget - design) / money.spend_per_chip.max(f64::MIN_POSITIVE)).max(1.0))
    }

    fn money(&self, chip: &Chip, source: &Source, parts: &[Part]) -> Result<Money, Misfit> {
        let (months, rate) = (self.months(), self.study.frame.discount_rate);
        let from = source.from();
        if from >= months {
            return Err(Misfit::Late { months: u32::try_from(from).unwrap_or(u32::MAX) });
        }
        let bought = source.bought(chip, self.inputs);
        let standing = stand(&bought, parts, self.places, &self.finance, &self.inputs.constants.site).map_err(Misfit::Stand)?;
        let need: Vec<f64> = (0..months).map(|m| parts.iter().map(|p| p.chips[m]).sum()).collect();
        let market = &self.inputs.constants.market;
        let own_need: Vec<f64> = need.iter().zip(source.works(market, months)).map(|(n, works)| n / works).collect();
        let own = Kind { need: &own_need, unit: &standing.unit, from, keeps: source.keeps(self.inputs) };
        let bridge = self.bridge.as_ref().map(|b| Kind { need: &b.need, unit: &b.unit, from: b.from, keeps: 1.0 });
        let rent = self.rent.as_ref().map(|r| Rent { need: &r.need, usd_per_month: r.usd_per_month });
        let means = Means { own, bridge: bridge.filter(|_| matches!(source, Source::Own(_))), rent, penalty: &self.penalty };
        let nre = source.nre(months);
        let estimate = estimate(&means, &nre, market, rate);
        let month_share =
            |parts: &[Part]| -> f64 { parts.iter().flat_map(|p| p.chips.iter().enumerate()).map(|(m, c)| c * rate.discount(m)).sum() };
        let (serving, all) = (month_share(&parts[..self.asks.services.len().min(parts.len())]), month_share(parts));
        let spend_per_chip = standing_cost(&own, market, rate);
        let own_share = if all > 0.0 { serving / all } else { 1.0 };
        Ok(Money {
            own_share,
            payments: estimate.ledger.present_value(rate).value(),
            nre: nre.iter().map(|&(m, usd)| usd * rate.discount(m)).sum(),
            serving_share: self.blended_share(own_share, &estimate.bought, &estimate.rented),
            spend_per_chip,
            need,
            standing,
            estimate,
        })
    }

    /// What no layout of a chip can beat, by service.
    fn least<'k>(&self, chip: &Chip, known: &'k Known) -> Result<&'k [Bound], Misfit> {
        let found = known.bounds.get_or_init(|| bounds(chip, self.asks, self.inputs));
        found.as_ref().map(Vec::as_slice).map_err(|e| Misfit::Do(*e))
    }

    /// What serving alone would cost at the roofline, dollars per million output tokens: the order in which chips are looked at. No bound: training
    /// and the bridge are left out.
    ///
    /// # Errors
    /// Why no layout can do the study.
    pub fn promise(&self, chip: &Chip, source: &Source, known: &Known) -> Result<f64, Misfit> {
        let made = self.parts(chip, source)?;
        let least = self.least(chip, known)?;
        let parts: Vec<Part> = least.iter().enumerate().map(|(i, b)| made.service_at_least(i, b)).collect();
        Ok(self.money(chip, source, &parts)?.payments / self.tokens.max(f64::MIN_POSITIVE) * 1e6)
    }

    /// Share of serving when bridging machines, by month, serve their part of the demand with their own share.
    pub fn blended_share(&self, own_share: f64, bought: &[f64], rented: &[f64]) -> f64 {
        let Some(bridge) = &self.bridge else { return own_share };
        let part = |standing: &[f64], need: Option<&Vec<f64>>, m: usize| match (standing.get(m), need.and_then(|n| n.get(m))) {
            (Some(&n), Some(&all)) if all > 0.0 => n / all,
            _ => 0.0,
        };
        let (mut sum, mut all) = (0.0, 0.0);
        for m in 0..self.months() {
            let bridged = part(bought, Some(&bridge.need), m) + part(rented, self.rent.as_ref().map(|r| &r.need), m);
            let bridged = bridged.min(1.0);
            let tokens: f64 = self.study.services.iter().map(|s| s.demand[m].value()).sum();
            let weight = tokens * self.study.frame.discount_rate.discount(m);
            sum += weight * (bridged * bridge.serving_share + (1.0 - bridged) * own_share);
            all += weight;
        }
        if all > 0.0 { sum / all } else { own_share }
    }

    /// Discounted training runs of all kinds.
    pub fn discounted_runs(&self) -> f64 {
        let f = &self.study.frame;
        let runs = self.study.trainings.iter().flat_map(|t| t.starts(f.months));
        runs.map(|m| f.discount_rate.discount(m)).sum()
    }
}

struct Money {
    need: Vec<f64>,
    standing: Standing,
    estimate: Estimate,
    payments: f64,
    nre: f64,
    own_share: f64,
    serving_share: f64,
    spend_per_chip: f64,
}

/// Carbon of an estimate: making every chip bought, and running them.
pub fn carbon_kg(standing: &[f64], unit: &Unit) -> f64 {
    let mut last = 0.0;
    let mut kg = 0.0;
    for &n in standing {
        kg += (n - last).max(0.0) * unit.kg_embodied + n * unit.kg_per_year / 12.0;
        last = n.max(last);
    }
    kg
}

/// The year in which a study starts, with its month as a fraction.
pub fn start_year(study: &Study) -> f64 {
    f64::from(study.frame.start.year) + f64::from(study.frame.start.month.saturating_sub(1)) / 12.0
}

/// Seconds in a month, for readers of rents.
pub fn month_of(usd_per_second: f64) -> f64 {
    usd_per_second * YEAR_S / 12.0
}
