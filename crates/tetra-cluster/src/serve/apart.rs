//! The best group of workers that only compute prompts and workers that only decode (Zhong et al. 2024, "DistServe").
//!
//! Decode workers: the split and the largest batch inside TPOT with the fewest chip-seconds per token. Prefill workers: the split with the fewest
//! chip-seconds per prompt that leaves TTFT to spare. Then the least numbers of both that keep the prefill side inside TTFT are taken.
//!
//! Leaves out: splits of prefill workers that trade cost for time beyond the cheapest few.

use tetra_quantity::Seconds;

use crate::serve::kv;
use crate::serve::layout::{Mode, ServeLayout, Split};
use crate::serve::serving::Serving;
use crate::serve::step::Setting;
use crate::serve::step::StepCost;

/// Most workers of either kind.
const WORKERS_MAX: u64 = 16;
/// Prefill splits that are tried with the best decode split.
const PREFILL_TRIED: usize = 4;

/// A decode worker: its split, its batch, the time of its step.
#[derive(Clone, Copy)]
struct Decoder {
    split: Split,
    batch: u64,
    step: Seconds,
    cost: f64,
}

impl Setting<'_> {
    /// The best group, of the splits given with their largest batches.
    pub(crate) fn apart(&self, splits: &[(Split, u64)]) -> Option<Serving> {
        let decoder = splits.iter().filter_map(|s| self.decoder(s.0, s.1)).min_by(|a, b| a.cost.total_cmp(&b.cost))?;
        let mut prefills: Vec<(Split, StepCost)> = splits.iter().filter_map(|s| self.prefill(&s.0, 1).ok().map(|c| (s.0, c))).collect();
        let per_prompt = |p: &(Split, StepCost)| p.0.chips() as f64 * p.1.interval.value() / p.0.attention_data.max(1) as f64;
        prefills.retain(|p| self.ask.ttft.is_none_or(|limit| p.1.time() < limit));
        prefills.sort_by(|a, b| per_prompt(a).total_cmp(&per_prompt(b)).then(a.0.cmp(&b.0)));
        let tried = prefills.iter().take(PREFILL_TRIED).filter_map(|p| self.group(&decoder, p));
        tried.min_by(|a, b| a.chip_seconds_per_token.value().total_cmp(&b.chip_seconds_per_token.value()))
    }

    /// The largest batch inside TPOT.
    fn decoder(&self, split: Split, batch_max: u64) -> Option<Decoder> {
        let step = |batch: u64| -> Option<Seconds> {
            let graph = self.decode_graph(&split, batch).ok()?;
            kv::memory(&graph, &split, batch, self.ask, self.chip, self.constants).ok()?;
            Some(self.decode(&graph, &split, batch).time()).filter(|t| self.ask.tpot.is_none_or(|limit| *t <= limit))
        };
        let (mut low, mut found) = (1, step(1)?);
        let mut high = batch_max.saturating_add(1);
        if let Some(time) = step(batch_max) {
            (low, found, high) = (batch_max, time, batch_max);
        }
        while high - low > 1 + low / 16 {
            let middle = ((low as f64 * high as f64).sqrt() as u64).clamp(low + 1, high - 1);
            match step(middle) {
                Some(time) => (low, found) = (middle, time),
                None => high = middle,
            }
        }
        let slots = (low * split.attention_data.max(1)) as f64;
        Some(Decoder { split, batch: low, step: found, cost: split.chips() as f64 * found.value() / slots })
    }

    /// Fewest chips per token of this pair inside the limits.
    fn group(&self, decoder: &Decoder, prefill: &(Split, StepCost)) -> Option<Serving> {
        let later = self.ask.output.saturating_sub(1) as f64;
        let slots = (decoder.batch * decoder.split.attention_data.max(1)) as f64;
        let decode_rate = slots / (decoder.step.value() * later).max(f64::MIN_POSITIVE);
        let prompt_rate = prefill.0.attention_data.max(1) as f64 / prefill.1.interval.value();
        let mut best: Option<Serving> = None;
        for decode_workers in 1..=WORKERS_MAX {
            let least = (decode_rate * decode_workers as f64 / prompt_rate).ceil().clamp(1.0, WORKERS_MAX as f64) as u64;
            for prefill_workers in [least, least + 1] {
                let mode = Mode::Disaggregated { prefill: prefill.0, prefill_workers, decode_workers };
                let layout = ServeLayout { split: decoder.split, batch: decoder.batch, mode };
                let found = self.settle(&layout, &prefill.1).ok().filter(|s| self.within(s).is_ok());
                let better = |s: &Serving| best.is_none_or(|b| s.chip_seconds_per_token < b.chip_seconds_per_token);
                best = found.filter(better).or(best);
            }
        }
        best
    }
}
