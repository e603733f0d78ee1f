//! Goodput of a long run that fails and restarts.
//!
//! Interval of work between checkpoints: Daly 2006 `√(2CM)·(1 + √(C/2M)/3 + (C/2M)/9) - C` for `C < 2M`, else `M`; or the exact optimum. Expected time over useful time with Poisson failures (Daly 2006, eq. 20): `M·e^(R/M)·(e^((τ+C)/M) - 1)/τ`. `C` is the time to write a
//! checkpoint, `R` the time to restart, `M` the mean time to interruption of the whole job: a chip's mean time divided by the number of chips.
//!
//! Checkpoints may also lie in two tiers (Moody et al. 2010, section 4; Gemini, SOSP 2023): often in the memory of other servers, seldom on storage. A share `f` of interruptions takes the copies in memory
//! with it. Interruptions of both kinds are Poisson processes of means `M/(1-f)` and `M/f`, the seldom ones stretch what the frequent ones have stretched: the useful share is the product of two of the above.
//!
//! Leaves out: correlated failures, silent corruption, stragglers, partial restart.

use tetra_quantity::{Bytes, DataError, Seconds, Tables};

/// Constants of failures, repair and checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct FailureConstants {
    /// Mean chip time per interruption of a job, all causes.
    pub chip_time_per_interruption_s: f64,
    /// Mean chip time per failure that takes a chip out of service.
    pub chip_time_per_repair_s: f64,
    /// Time to repair or replace.
    pub repair_s: f64,
    /// Time from an interruption to the first new step.
    pub restart_s: f64,
    /// Rate at which one chip's share of a checkpoint leaves it while the job waits.
    pub checkpoint_bytes_per_second: f64,
    /// Time for all chips to agree before and after.
    pub checkpoint_barrier_s: f64,
    /// Rate at which one chip's share of a checkpoint reaches the memory of another server while the job waits.
    pub memory_bytes_per_second: f64,
    /// Time from an interruption to the first new step when the checkpoint lies in memory.
    pub memory_restart_s: f64,
    /// Share of interruptions that take the copies in memory with them.
    pub memory_lost: f64,
    /// Wanted probability that spares suffice.
    pub spare_confidence: f64,
}

impl FailureConstants {
    /// Reads them from the data tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let time = |item, parameter| Ok::<f64, DataError>(t.quantity::<Seconds>(item, parameter)?.value());
        Ok(Self {
            chip_time_per_interruption_s: time("interruption", "chip_time")?,
            chip_time_per_repair_s: time("repair", "chip_time")?,
            repair_s: time("repair", "time")?,
            restart_s: time("restart", "time")?,
            checkpoint_bytes_per_second: t.quantity::<tetra_quantity::BytesPerSecond>("checkpoint", "bandwidth")?.value(),
            checkpoint_barrier_s: time("checkpoint", "barrier")?,
            memory_bytes_per_second: t.quantity::<tetra_quantity::BytesPerSecond>("checkpoint_memory", "bandwidth")?.value(),
            memory_restart_s: time("checkpoint_memory", "restart")?,
            memory_lost: t.number("checkpoint_memory", "lost", "1")?,
            spare_confidence: t.number("spares", "confidence", "1")?,
        })
    }
}

/// A run with failures.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Goodput {
    /// Mean time to interruption of the job.
    pub mtti: Seconds,
    /// Time to write a checkpoint.
    pub checkpoint: Seconds,
    /// Work between checkpoints.
    pub interval: Seconds,
    /// Share of time spent on checkpoints.
    pub checkpoint_share: f64,
    /// Share of time lost to failures (work done again, restarts).
    pub failure_share: f64,
    /// Useful share of time.
    pub goodput: f64,
}

/// Goodput of a job on `chips`, each writing `state` per checkpoint to storage, at the best interval.
pub fn of_job(chips: u64, state: Bytes, constants: &FailureConstants) -> Goodput {
    let mtti = mean_time_to_interruption(chips, Seconds(constants.chip_time_per_interruption_s));
    at_best_interval(storage(state, constants), mtti)
}

/// A tier that keeps checkpoints: time to write one, and to restart from it.
type Tier = (Seconds, Seconds);

fn storage(state: Bytes, constants: &FailureConstants) -> Tier {
    let write = state.value().max(0.0) / constants.checkpoint_bytes_per_second.max(f64::MIN_POSITIVE);
    (Seconds(constants.checkpoint_barrier_s + write), Seconds(constants.restart_s))
}

/// The same when checkpoints are kept in memory of other servers, too, where that is better: `interval` and `checkpoint` are those in memory.
pub fn of_job_in_tiers(chips: u64, state: Bytes, constants: &FailureConstants) -> Goodput {
    let mtti = mean_time_to_interruption(chips, Seconds(constants.chip_time_per_interruption_s));
    let lost = constants.memory_lost.clamp(0.0, 1.0);
    let mean = |share: f64| Seconds(mtti.value() / share.max(f64::MIN_POSITIVE));
    let write = state.value().max(0.0) / constants.memory_bytes_per_second.max(f64::MIN_POSITIVE);
    let memory = (Seconds(constants.checkpoint_barrier_s + write), Seconds(constants.memory_restart_s));
    let (near, far) = (at_best_interval(memory, mean(1.0 - lost)), at_best_interval(storage(state, constants), mean(lost)));
    let share = near.goodput * far.goodput;
    let checkpoint_share = near.checkpoint_share * far.goodput + far.checkpoint_share;
    let tiers = Goodput { mtti, checkpoint_share, failure_share: (1.0 - share - checkpoint_share).max(0.0), goodput: share, ..near };
    let alone = of_job(chips, state, constants);
    if alone.goodput > share { alone } else { tiers }
}

fn at_best_interval((checkpoint, restart): Tier, mtti: Seconds) -> Goodput {
    /// A job that is interrupted this seldom never writes a checkpoint.
    const NEVER_S: f64 = 1e15;
    if mtti.value() > NEVER_S {
        return Goodput { mtti, checkpoint, interval: mtti, checkpoint_share: 0.0, failure_share: 0.0, goodput: 1.0 };
    }
    let interval = best_interval(checkpoint, mtti);
    let share = goodput(interval, checkpoint, restart, mtti);
    let checkpoint_share = share * checkpoint.value() / interval.value().max(f64::MIN_POSITIVE);
    Goodput { mtti, checkpoint, interval, checkpoint_share, failure_share: (1.0 - share - checkpoint_share).max(0.0), goodput: share }
}

/// Mean time to interruption of a job on `chips`, each interrupted once in `chip_time`.
pub fn mean_time_to_interruption(chips: u64, chip_time: Seconds) -> Seconds {
    chip_time / chips.max(1) as f64
}

/// Daly's interval of higher order.
pub fn daly(checkpoint: Seconds, mtti: Seconds) -> Seconds {
    const THIRD: f64 = 1.0 / (1 + 2) as f64;
    let (c, m) = (checkpoint.value().max(0.0), mtti.value().max(0.0));
    if c >= 2.0 * m {
        return Seconds(m);
    }
    let x = (c / (2.0 * m)).sqrt() * THIRD;
    Seconds((2.0 * c * m).sqrt() * (1.0 + x + x * x) - c)
}

/// The interval that minimises the expected time: root of `1 - τ/M = e^(-(τ+C)/M)`, by bisection.
pub fn best_interval(checkpoint: Seconds, mtti: Seconds) -> Seconds {
    const HALVINGS: usize = 60;
    let (c, m) = (checkpoint.value().max(0.0), mtti.value().max(0.0));
    let (mut low, mut high) = (0.0, m);
    for _ in 0..HALVINGS {
        let tau = (low + high) / 2.0;
        // The derivative of the stretch has the sign of τ/M - 1 + e^(-(τ+C)/M).
        if tau / m - 1.0 + (-(tau + c) / m).exp() < 0.0 { low = tau } else { high = tau }
    }
    Seconds(high)
}

/// Share of time that is useful when checkpoints are `interval` of work apart.
pub fn goodput(interval: Seconds, checkpoint: Seconds, restart: Seconds, mtti: Seconds) -> f64 {
    let (t, c, r, m) = (interval.value(), checkpoint.value().max(0.0), restart.value().max(0.0), mtti.value());
    if !(t > 0.0 && m > 0.0) {
        return 0.0;
    }
    let stretch = m * (r / m).exp() * ((t + c) / m).exp_m1() / t;
    if stretch.is_finite() && stretch > 0.0 { (1.0 / stretch).clamp(0.0, 1.0) } else { 0.0 }
}
