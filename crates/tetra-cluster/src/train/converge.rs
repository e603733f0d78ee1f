//! How many samples a run takes to reach its target, as a stated input; and what a run of so many tokens or blocks takes.
//!
//! Samples to the target at batch `B`: `S(B) = S_min·(1 + B/B_crit)` (McCandlish et al., arXiv 1812.06162, equation 2.7). A benchmark looks for its target every `K`
//! samples only, and runs differ by their seed: `S` is log-logistic, `ln S` with standard deviation `σ`, so that `Σ_k P(S > k·K)` blocks are expected (with `σ = 0`
//! the whole blocks that hold `S`). The first evaluations may be skipped: `⌊a·B + b⌋` of them. Each runs forward over `E` samples. Start-up lies before the
//! clock of a benchmark.
//!
//! Leaves out: learning rates that do not fit the batch, formats that need more samples.

use tetra_quantity::{DataError, HOUR_S, Joules, Seconds, Tables, Tokens};

use crate::fleet::spares;
use crate::goodput::{FailureConstants, Goodput, of_job, of_job_in_tiers};
use crate::train::ask::TrainAsk;
use crate::train::constants::TrainConstants;
use crate::train::memory::checkpoint_bytes;
use crate::train::step::{TrainStep, forward_flop};

/// Samples to a target, and when a run looks for it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Convergence {
    /// Samples that even a small batch takes.
    pub samples_min: f64,
    /// Batch at which twice as many are taken.
    pub critical_batch: f64,
    /// Samples from one evaluation to the next.
    pub block_samples: f64,
    /// Samples of one evaluation, 0 where it is not on the clock.
    pub evaluation_samples: f64,
    /// Evaluations skipped at first: per sample of the batch, and fixed.
    pub skipped: [f64; 2],
    /// Standard deviation of the logarithm of the samples, from run to run.
    pub spread: f64,
}

/// Blocks of a run: how many are expected, and how many of them end with an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Blocks {
    /// Blocks.
    pub blocks: f64,
    /// Evaluations.
    pub evaluations: f64,
}

impl Convergence {
    /// Reads the rows of one benchmark.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables, item: &str) -> Result<Self, DataError> {
        let number = |parameter| tables.number(item, parameter, "1");
        Ok(Self {
            samples_min: number("samples_min")?,
            critical_batch: number("critical_batch")?,
            block_samples: number("block_samples")?,
            evaluation_samples: number("evaluation_samples")?,
            skipped: [number("skipped_per_batch")?, number("skipped")?],
            spread: number("spread")?,
        })
    }

    /// Samples to the target at a batch, in the middle of all runs.
    pub fn samples(&self, batch: u64) -> f64 {
        self.samples_min * (1.0 + batch as f64 / self.critical_batch.max(f64::MIN_POSITIVE))
    }

    /// Blocks and evaluations that a run at a batch is expected to take.
    pub fn blocks(&self, batch: u64) -> Blocks {
        /// No benchmark takes more.
        const MOST: u32 = 100_000;
        /// Blocks that fewer runs take do not count.
        const LEAST: f64 = 1e-6;
        let (samples, block) = (self.samples(batch), self.block_samples.max(1.0));
        let skipped = (self.skipped[0] * batch as f64 + self.skipped[1]).floor().max(0.0);
        let mut blocks = 0.0;
        for k in 0..MOST {
            let unreached = if f64::from(k) <= skipped { 1.0 } else { self.beyond(samples, f64::from(k) * block) };
            if unreached < LEAST {
                break;
            }
            blocks += unreached;
        }
        Blocks { blocks, evaluations: blocks - skipped }
    }

    /// Probability that a run takes more than `x` samples when the middle one takes `samples`.
    fn beyond(&self, samples: f64, x: f64) -> f64 {
        if x <= 0.0 {
            return 1.0;
        }
        if self.spread <= 0.0 {
            return f64::from(u8::from(samples > x));
        }
        let steepness = std::f64::consts::PI / (f64::from(3u8).sqrt() * self.spread);
        1.0 / (1.0 + (x / samples).powf(steepness))
    }

    /// Time to the target: whole steps of training, and forward passes over the samples of each evaluation, in batches like the step's.
    pub fn time(&self, batch: u64, step: Seconds, forward: Seconds) -> Seconds {
        let Blocks { blocks, evaluations } = self.blocks(batch);
        let per_step = (batch as f64).max(1.0);
        let rounds = (self.evaluation_samples / per_step).ceil();
        step * (blocks * self.block_samples / per_step).ceil() + forward * (evaluations * rounds)
    }
}

/// Time of a forward pass over one step's batch on the same layout: the share of the step that its operations are.
pub fn forward_time(ask: &TrainAsk<'_>, step: &TrainStep) -> Seconds {
    let share = forward_flop(ask.model, ask.global_batch, ask.sequence) / step.hardware_flop.value().max(f64::MIN_POSITIVE);
    step.time * share.min(1.0)
}

/// A run to a target.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TargetRun {
    /// Samples that the middle run takes.
    pub samples: f64,
    /// Blocks and evaluations that are expected.
    pub blocks: Blocks,
    /// Expected time, from the first step to the evaluation that meets the target.
    pub time: Seconds,
    /// Chip-hours of that time.
    pub chip_hours: f64,
    /// Energy of all chips.
    pub energy: Joules,
}

/// What a target takes with a given step; no failures, no start-up.
pub fn run_to_target(ask: &TrainAsk<'_>, step: &TrainStep, convergence: &Convergence) -> TargetRun {
    let (batch, chips) = (ask.global_batch, step.layout.chips().max(1) as f64);
    let time = convergence.time(batch, step.time, forward_time(ask, step));
    TargetRun {
        samples: convergence.samples(batch),
        blocks: convergence.blocks(batch),
        time,
        chip_hours: time.value() / HOUR_S * chips,
        energy: Joules(time.value() * step.power.value() * chips),
    }
}

/// A run of a given number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TokenRun {
    /// Tokens.
    pub tokens: Tokens,
    /// Steps.
    pub steps: f64,
    /// Time, failures and checkpoints included.
    pub time: Seconds,
    /// Chip-hours of that time.
    pub chip_hours: f64,
    /// Spare chips that the job needs so as seldom to wait for a repair; not among the chip-hours.
    pub spares: u64,
    /// Energy of all chips.
    pub energy: Joules,
    /// Failures and checkpoints on storage.
    pub goodput: Goodput,
    /// The same with checkpoints in memory, too.
    pub in_tiers: Goodput,
}

impl TokenRun {
    /// Time of all chips together.
    pub fn chip_time(&self) -> Seconds {
        Seconds(self.chip_hours * HOUR_S)
    }
}

/// What `tokens` take with a given step.
pub fn run_of_tokens(
    ask: &TrainAsk<'_>,
    step: &TrainStep,
    tokens: Tokens,
    train: &TrainConstants,
    failures: &FailureConstants,
) -> TokenRun {
    let chips = step.layout.chips().max(1);
    let steps = (tokens.value() / ask.tokens().max(1.0)).ceil();
    let state = checkpoint_bytes(ask.model.parameters().total() as f64, &step.layout, train);
    let (goodput, in_tiers) = (of_job(chips, state, failures), of_job_in_tiers(chips, state, failures));
    let useful = steps * step.time.value();
    let time = useful / goodput.goodput.max(f64::MIN_POSITIVE);
    // Chips that wait for a restart draw what a step draws at most; work done again draws all of it.
    let energy = Joules(time * step.power.value() * chips as f64);
    let spares = spares(chips, failures);
    TokenRun { tokens, steps, time: Seconds(time), chip_hours: time / HOUR_S * chips as f64, spares, energy, goodput, in_tiers }
}
