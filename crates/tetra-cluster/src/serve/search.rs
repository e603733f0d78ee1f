//! The layout and batch with the fewest chip-seconds per output token inside the limits.
//!
//! Each candidate split gets a roofline bound; they are tried from the least bound on, until no bound is below the best found. TPOT and TTFT grow with the batch and chip-seconds per token fall with it, so the largest batch inside the limits is found by bisection; before that, one
//! evaluation at the batch that would equal the best found, at the limit of TPOT, tells whether a layout can win at all.
//!
//! Leaves out: with outputs shorter than the batch, where prompts that share a step make cost uneven, the best batch is met within about a tenth.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::Seconds;

use crate::network::Network;
use crate::serve::ask::ServeAsk;
use crate::serve::bound::{Demand, Floor, Wires};
use crate::serve::constants::ServeConstants;
use crate::serve::layout::{Mode, ServeLayout, Split};
use crate::serve::misfit::ServeMisfit;
use crate::serve::serving::Serving;
use crate::serve::space::{Goal, SearchSpace};
use crate::serve::splits::{candidates, powers};
use crate::serve::steady::{check, check_layout};
use crate::serve::step::{Setting, StepCost};

/// The best service inside the limits.
///
/// # Errors
/// The reason that came closest: too little memory before too slow.
pub fn search(
    ask: &ServeAsk<'_>,
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    space: &SearchSpace,
    constants: &ServeConstants,
) -> Result<Serving, ServeMisfit> {
    check(ask)?;
    space.given.check(ask.model)?;
    let setting = Setting { ask, chip, timer, network, constants };
    let demand = Demand::of(ask)?;
    let wires = Wires::of(network);
    let splits = candidates(ask.model, network, space);
    for split in &splits {
        check_layout(&ServeLayout { split: *split, batch: space.batch.unwrap_or(1), mode: Mode::Aggregated })?;
    }
    let mut trials: Vec<Floor> = splits.iter().filter_map(|s| demand.floor(s, ask, (chip, &wires), space, constants)).collect();
    trials.sort_by(|a, b| a.least.total_cmp(&b.least).then(a.split.cmp(&b.split)));
    let mut hunt = Hunt { setting, space, best: None, misfit: None, prompts: Vec::new() };
    for trial in &trials {
        if hunt.best.as_ref().is_some_and(|b| trial.least >= score(b, space.goal)) {
            break;
        }
        hunt.try_split(trial);
    }
    if space.disaggregated && space.batch.is_none() {
        let apart = setting.apart(&trials.iter().map(|t| (t.split, t.batch_max)).collect::<Vec<_>>());
        hunt.best = apart.into_iter().chain(hunt.best).min_by(|a, b| score(a, space.goal).total_cmp(&score(b, space.goal)));
    }
    hunt.best.ok_or_else(|| hunt.misfit.unwrap_or_else(|| setting.why_none(&splits, space)))
}

/// What the goal minimises.
fn score(serving: &Serving, goal: Goal) -> f64 {
    let cost = serving.chip_seconds_per_token.value();
    match goal {
        Goal::Cost => cost,
        Goal::Knee => cost * serving.tpot.value(),
    }
}

impl Setting<'_> {
    /// Why no split fits in memory or meets the limits on paper.
    fn why_none(&self, splits: &[Split], space: &SearchSpace) -> ServeMisfit {
        let largest = splits.iter().max_by_key(|s| s.chips());
        let split = largest.copied().unwrap_or(space.given.split());
        let layout = ServeLayout { split, batch: 1, mode: Mode::Aggregated };
        match crate::serve::steady::steady(self.ask, self.chip, self.timer, self.network, &layout, self.constants) {
            Ok(found) => self.within(&found).err().unwrap_or(ServeMisfit::NoLayout { chips: space.chips_max }),
            Err(misfit) => misfit,
        }
    }

    /// Whether the limits are met.
    pub fn within(&self, found: &Serving) -> Result<(), ServeMisfit> {
        let over = |found: Seconds, limit: Option<Seconds>| limit.filter(|l| found > *l);
        if let Some(asked) = over(found.tpot, self.ask.tpot) {
            return Err(ServeMisfit::Tpot { found: found.tpot, asked });
        }
        let first = if self.ask.tail.is_some() { found.ttft_p99 } else { found.ttft };
        match over(first, self.ask.ttft) {
            Some(asked) => Err(ServeMisfit::Ttft { found: first, asked }),
            None => Ok(()),
        }
    }
}

/// Evaluations of one split at most.
const ROUNDS_MAX: u32 = 24;
/// A batch is close enough when no more than a part of this many could be added.
const CLOSE: u64 = 24;

/// A limit missed by no more than a part of this many is missed narrowly.
const NARROW: u64 = 16;

/// A search under way.
struct Hunt<'a> {
    setting: Setting<'a>,
    space: &'a SearchSpace,
    best: Option<Serving>,
    misfit: Option<ServeMisfit>,
    /// Costs of a prompt in the present split, by how many share a step.
    prompts: Vec<(u64, StepCost)>,
}

impl Hunt<'_> {
    fn try_split(&mut self, trial: &Floor) {
        self.prompts.clear();
        if let Some(batch) = self.space.batch {
            let _ = self.evaluate(&trial.split, batch);
            return;
        }
        match self.space.goal {
            Goal::Cost => self.largest(trial),
            Goal::Knee => {
                for batch in powers(trial.batch_max) {
                    let _ = self.evaluate(&trial.split, batch);
                }
            }
        }
    }

    /// Cost of a prompt at a batch; the same for batches at which as many share a step.
    fn prompt(&mut self, split: &Split, batch: u64) -> Result<StepCost, ServeMisfit> {
        let prompts = self.setting.prompts(batch);
        if let Some(found) = self.prompts.iter().find(|p| p.0 == prompts) {
            return Ok(found.1);
        }
        let cost = self.setting.prefill(split, prompts)?;
        self.prompts.push((prompts, cost));
        Ok(cost)
    }

    /// The largest batch inside the limits.
    fn largest(&mut self, trial: &Floor) {
        let Some((mut low, mut fast)) = self.first_inside(trial) else { return };
        let Err(mut slow) = self.evaluate(&trial.split, trial.batch_max) else { return };
        let mut high = trial.batch_max + 1;
        for round in 0..ROUNDS_MAX {
            let guess = self.guess((low, fast), (high, slow));
            if high - low <= 1 + low / CLOSE || guess.is_some_and(|g| g <= low as f64 * (1.0 + 1.0 / CLOSE as f64)) {
                return;
            }
            let halves = (low as f64 * high as f64).sqrt();
            let next = guess.filter(|_| round % 3 < 2).map_or(halves, |g| g.min(halves * 2.0));
            let next = (next as u64).clamp(low + 1, high - 1);
            match self.evaluate(&trial.split, next) {
                Ok(tpot) => (low, fast) = (next, tpot),
                Err(tpot) => (high, slow) = (next, tpot),
            }
        }
    }

    /// The least batch worth trying, or one a little larger where that one misses the limit narrowly: TPOT is not quite monotonic, since tiles and
    /// prompts come whole.
    fn first_inside(&mut self, trial: &Floor) -> Option<(u64, Seconds)> {
        let least = self.least_batch(trial).map_or(1, |batch| batch.min(trial.batch_max));
        for more in 0..4 {
            let batch = (least + more * least.div_ceil(NARROW)).min(trial.batch_max);
            match self.evaluate(&trial.split, batch) {
                Ok(tpot) => return Some((batch, tpot)),
                Err(Some(tpot)) if self.setting.ask.tpot.is_some_and(|limit| tpot <= limit * (1.0 + 1.0 / NARROW as f64)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Where a straight line through a batch inside the limit of TPOT and one beyond it meets that limit.
    fn guess(&self, low: (u64, Seconds), high: (u64, Option<Seconds>)) -> Option<f64> {
        let (limit, slow) = (self.setting.ask.tpot?, high.1?);
        let share = (limit - low.1) / (slow - low.1);
        Some(low.0 as f64 + share * (high.0 - low.0) as f64).filter(|g| g.is_finite())
    }

    /// The batch at which this split, at the limit of TPOT, would cost as much as the best found.
    fn least_batch(&self, trial: &Floor) -> Option<u64> {
        let (best, tpot) = (self.best.as_ref()?, self.setting.ask.tpot?);
        let chips = trial.split.chips() as f64;
        let output = self.setting.ask.output.max(1) as f64;
        let batch =
            chips * tpot.value() * (output - 1.0) / output / (best.chip_seconds_per_token.value() * trial.split.attention_data as f64);
        // A turn is one prompt more than the steps that TPOT times, so the cost at the limit is no less than this.
        Some((batch as u64).max(1))
    }

    /// Keeps this batch when it is inside the limits and best; its TPOT, as an error (where known) when it is not inside.
    fn evaluate(&mut self, split: &Split, batch: u64) -> Result<Seconds, Option<Seconds>> {
        match self.inside(&ServeLayout { split: *split, batch, mode: Mode::Aggregated }) {
            Ok(found) => {
                if self.best.as_ref().is_none_or(|b| score(&found, self.space.goal) < score(b, self.space.goal)) {
                    self.best = Some(found);
                }
                Ok(found.tpot)
            }
            Err(misfit) => {
                self.note(misfit);
                Err(if let ServeMisfit::Tpot { found, .. } = misfit { Some(found) } else { None })
            }
        }
    }

    /// The service, if it is inside the limits; a first batch whose step alone is too slow spares the prompt.
    fn inside(&mut self, layout: &ServeLayout) -> Result<Serving, ServeMisfit> {
        let (memory, step) = self.setting.step(layout)?;
        let limit = self.setting.ask.tpot.filter(|_| self.prompts.is_empty());
        if let Some(asked) = limit.filter(|limit| step.time() > *limit) {
            return Err(ServeMisfit::Tpot { found: step.time(), asked });
        }
        let prompt = self.prompt(&layout.split, layout.batch)?;
        let found = self.setting.combine(layout, &prompt, &step, memory)?;
        self.setting.within(&found).map(|()| found)
    }

    fn note(&mut self, misfit: ServeMisfit) {
        let better = match (&self.misfit, &misfit) {
            (None, _) => true,
            (Some(ServeMisfit::Tpot { found: a, .. }), ServeMisfit::Tpot { found: b, .. }) => b < a,
            (Some(ServeMisfit::Ttft { found: a, .. }), ServeMisfit::Ttft { found: b, .. }) => b < a,
            (Some(ServeMisfit::Tpot { .. } | ServeMisfit::Ttft { .. }), _) => false,
            (Some(_), ServeMisfit::Tpot { .. } | ServeMisfit::Ttft { .. }) => true,
            _ => false,
        };
        if better {
            self.misfit = Some(misfit);
        }
    }
}
