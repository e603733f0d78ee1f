//! Fleets: chips by month from demand, spares, and the electrical load that a site must carry.
//!
//! A service needs `⌈mean · (peak/mean) / rate per replica⌉` replicas; a training run its chips while it lasts; spares are the smallest `s` with
//! `P(Poisson(N·T_repair/T_failure) ≤ s) ≥ confidence`. Duty of a service is mean over what its chips could do.
//!
//! Leaves out: sharing of chips between services by time of day.

use tetra_quantity::{TokensPerSecond, Watts};

use crate::goodput::FailureConstants;

/// Electrical load of one chip package over time: `busy` for the share `duty`, else `idle`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LoadProfile {
    /// Power of a busy package.
    pub busy: Watts,
    /// Power of an idle package.
    pub idle: Watts,
    /// Share of time in which it is busy.
    pub duty: f64,
}

impl LoadProfile {
    /// Mean power.
    pub fn mean(&self) -> Watts {
        let duty = if self.duty.is_finite() { self.duty.clamp(0.0, 1.0) } else { 1.0 };
        self.busy * duty + self.idle * (1.0 - duty)
    }
}

/// What a service asks of the fleet.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ServiceDemand {
    /// Name.
    pub name: String,
    /// Mean output rate in each month.
    pub mean: Vec<TokensPerSecond>,
    /// Peak rate over mean rate, at least 1.
    pub peak_to_mean: f64,
    /// Output rate of one replica at its targets.
    pub per_replica: TokensPerSecond,
    /// Chips of a replica.
    pub replica_chips: u64,
    /// Power of a busy and an idle chip.
    pub busy: Watts,
    /// Power of an idle chip.
    pub idle: Watts,
}

/// What a training job asks of the fleet.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TrainingDemand {
    /// Name.
    pub name: String,
    /// Chips of one run.
    pub chips: u64,
    /// Months of one run, rounded up by the fleet.
    pub months: f64,
    /// Month in which each run starts, from 0.
    pub starts: Vec<usize>,
    /// Power of a busy chip.
    pub busy: Watts,
    /// Power of an idle chip.
    pub idle: Watts,
}

/// Chips of one demand by month.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct FleetPart {
    /// Name of the demand.
    pub name: String,
    /// Chips in use in each month.
    pub chips: Vec<u64>,
    /// Spare chips in each month.
    pub spares: Vec<u64>,
    /// Load of one chip in use, over all months.
    pub load: LoadProfile,
}

/// Chips of all demands by month.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Fleet {
    /// One entry per demand, services first.
    pub parts: Vec<FleetPart>,
    /// All chips, spares included, by month.
    pub total: Vec<u64>,
    /// Mean load of one chip, over all months and demands.
    pub load: LoadProfile,
}

/// Sizes the fleet for `months` months.
pub fn size_fleet(services: &[ServiceDemand], trainings: &[TrainingDemand], months: usize, constants: &FailureConstants) -> Fleet {
    let mut parts: Vec<FleetPart> = services.iter().map(|s| service_part(s, months, constants)).collect();
    parts.extend(trainings.iter().map(|t| training_part(t, months, constants)));
    let total = (0..months).map(|m| parts.iter().fold(0u64, |sum, p| sum.saturating_add(p.chips[m]).saturating_add(p.spares[m]))).collect();
    let load = mean_load(&parts);
    Fleet { parts, total, load }
}

/// Replicas that serve `mean` with its peaks.
pub fn replicas(demand: &ServiceDemand, mean: TokensPerSecond) -> u64 {
    let peak = mean.value().max(0.0) * demand.peak_to_mean.max(1.0);
    let need = peak / demand.per_replica.value();
    if need.is_finite() { need.ceil() as u64 } else { 0 }
}

fn service_part(demand: &ServiceDemand, months: usize, constants: &FailureConstants) -> FleetPart {
    let mean = |m: usize| demand.mean.get(m).copied().unwrap_or(TokensPerSecond::ZERO);
    let count: Vec<u64> = (0..months).map(|m| replicas(demand, mean(m))).collect();
    let chips: Vec<u64> = count.iter().map(|r| r.saturating_mul(demand.replica_chips)).collect();
    let served: f64 = (0..months).map(|m| mean(m).value().max(0.0)).sum();
    let able: f64 = count.iter().map(|&r| r as f64 * demand.per_replica.value()).sum();
    let duty = if able > 0.0 { (served / able).min(1.0) } else { 0.0 };
    part(&demand.name, chips, LoadProfile { busy: demand.busy, idle: demand.idle, duty }, constants)
}

fn training_part(demand: &TrainingDemand, months: usize, constants: &FailureConstants) -> FleetPart {
    let length = if demand.months.is_finite() { demand.months.max(0.0).ceil() as usize } else { months };
    let mut chips = vec![0u64; months];
    for &start in &demand.starts {
        for slot in chips.iter_mut().skip(start).take(length) {
            *slot = slot.saturating_add(demand.chips);
        }
    }
    let duty = if length > 0 { (demand.months / length as f64).clamp(0.0, 1.0) } else { 0.0 };
    part(&demand.name, chips, LoadProfile { busy: demand.busy, idle: demand.idle, duty }, constants)
}

fn part(name: &str, chips: Vec<u64>, load: LoadProfile, constants: &FailureConstants) -> FleetPart {
    let spares = chips.iter().map(|&n| spares(n, constants)).collect();
    FleetPart { name: name.to_owned(), chips, spares, load }
}

fn mean_load(parts: &[FleetPart]) -> LoadProfile {
    let weight = |p: &FleetPart| p.chips.iter().map(|&c| c as f64).sum::<f64>();
    let all: f64 = parts.iter().map(weight).sum();
    let busy_time: f64 = parts.iter().map(|p| weight(p) * p.load.duty).sum();
    let mean = |f: &dyn Fn(&FleetPart) -> f64, by: f64| if by > 0.0 { parts.iter().map(f).sum::<f64>() / by } else { 0.0 };
    LoadProfile {
        busy: Watts(mean(&|p| weight(p) * p.load.duty * p.load.busy.value(), busy_time)),
        idle: Watts(mean(&|p| weight(p) * p.load.idle.value(), all)),
        duty: if all > 0.0 { busy_time / all } else { 0.0 },
    }
}

/// Spare chips beside `chips` in use.
pub fn spares(chips: u64, constants: &FailureConstants) -> u64 {
    poisson_quantile(chips as f64 * constants.repair_s / constants.chip_time_per_repair_s, constants.spare_confidence)
}

/// Smallest `s` with `P(Poisson(mean) ≤ s) ≥ confidence`; summed in logarithms from the mode outwards so that no mean underflows.
/// Above a mean of a million, Chernoff's bound `mean + √(2·mean·ln(1/(1-confidence)))` stands in.
pub fn poisson_quantile(mean: f64, confidence: f64) -> u64 {
    if !(mean > 0.0 && mean.is_finite()) || confidence <= 0.0 {
        return 0;
    }
    const EXACT_UP_TO: f64 = 1e6;
    let confidence = confidence.min(1.0 - 1e-12);
    if mean > EXACT_UP_TO {
        return (mean + (-2.0 * mean * (1.0 - confidence).ln()).sqrt()).ceil() as u64;
    }
    let log_mean = mean.ln();
    // Terms further than this many standard deviations from the mean do not matter.
    let reach = 10.0 * (mean.sqrt() + 10.0);
    let first = (mean - reach).max(0.0).floor();
    let mut log_term = first * log_mean - mean - log_factorial(first);
    let (mut k, mut sum) = (first, 0.0);
    loop {
        sum += log_term.exp();
        if sum >= confidence || k > mean + reach {
            return k as u64;
        }
        k += 1.0;
        log_term += log_mean - k.ln();
    }
}

/// `ln k!` by Stirling's series (Abramowitz and Stegun 6.1.41), exact sum below 32.
fn log_factorial(k: f64) -> f64 {
    const EXACT_BELOW: u32 = 32;
    const TWELVE: u32 = 12;
    if k < f64::from(EXACT_BELOW) {
        return (1..=k as u32).map(|i| f64::from(i).ln()).sum();
    }
    k * k.ln() - k + 0.5 * (2.0 * std::f64::consts::PI * k).ln() + 1.0 / (f64::from(TWELVE) * k)
}
