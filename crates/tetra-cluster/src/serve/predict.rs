//! Predictions for rows of published measurements: a row and what its names stand for in, times and rates or a reason out.
//!
//! A blank column is free: the split with the best product of rate per chip and speed per user, the middle of all batches that fit, workers in
//! balance, lengths of a common chat set. What was filled is listed. Nothing here depends on a name, a source or a measured value.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::Seconds;
use tetra_workload::Model;

use crate::network::Network;
use crate::serve::ask::{Arrivals, ServeAsk};
use crate::serve::constants::ServeConstants;
use crate::serve::layout::{Mode, ServeLayout, Split};
use crate::serve::misfit::{Refusal, ServeMisfit};
use crate::serve::rows::{InferenceRow, ServingRow};
use crate::serve::rows::{WorkerRow, inference_precision, precision_of, split_of};
use crate::serve::search::search;
use crate::serve::service::Service;
use crate::serve::serving::Serving;
use crate::serve::space::{Goal, SearchSpace};
use crate::serve::steady::steady;

/// What is predicted for a serving row.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// Mean time to first token.
    pub ttft: Seconds,
    /// Mean time per further token.
    pub tpot: Seconds,
    /// The state behind both.
    pub serving: Serving,
    /// Columns that were blank and got the best valid value.
    pub filled: Vec<&'static str>,
}

/// What is predicted for an inference row, in the row's unit.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct InferencePrediction {
    /// The value.
    pub value: f64,
    /// The state behind it.
    pub serving: Serving,
    /// Columns that were blank and got the best valid value.
    pub filled: Vec<&'static str>,
}

/// What a prediction needs besides the row.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The model that the row names.
    pub model: &'a Model,
    /// The chip that the row names.
    pub chip: &'a Chip,
    /// Times its ops.
    pub timer: &'a dyn OpTimer,
    /// Its network.
    pub network: &'a Network,
    /// Constants.
    pub constants: &'a ServeConstants,
    /// The benchmark's service, where the row names one.
    pub service: Option<&'a Service>,
}

/// Predicts a serving row.
///
/// # Errors
/// Why the row cannot be predicted.
pub fn predict(row: &ServingRow, bench: &Bench<'_>) -> Result<Prediction, Refusal> {
    let (precision, blank) = precision_of(row, bench.chip)?;
    let mut filled = Vec::new();
    if blank {
        filled.push("precision");
    }
    let input = row.input.filter(|n| *n > 0).ok_or(Refusal::Blank("input_len"))?;
    let output = row.output.filter(|n| *n > 0).ok_or(Refusal::Blank("output_len"))?;
    let ask = ServeAsk { model: bench.model, precision, input, output, ttft: None, tail: None, tpot: None, arrivals: Arrivals::ClosedLoop };
    let serving = match row.mode.as_deref().map(str::trim) {
        None | Some("" | "aggregated") => bench.aggregated(row, &ask, &mut filled)?,
        Some("disaggregated") => bench.disaggregated(row, &ask, &mut filled)?,
        Some(_) => return Err(Refusal::Word("mode")),
    };
    Ok(Prediction { ttft: serving.ttft, tpot: serving.tpot, serving, filled })
}

impl Bench<'_> {
    fn aggregated(&self, row: &ServingRow, ask: &ServeAsk<'_>, filled: &mut Vec<&'static str>) -> Result<Serving, Refusal> {
        let split = self.split(&row.worker, ask);
        if split.is_none() {
            filled.push("tp_size");
        }
        let Some(batch) = row.worker.batch else {
            filled.push("batch_size");
            let base = self.best(ask, split.map(|s| s.0), Goal::Knee, None)?;
            return self.closed(ask, &base.layout.split, middle(&base));
        };
        match split {
            Some((split, share)) => self.closed(ask, &split, per_group(batch, share)),
            None => Ok(self.best(ask, None, Goal::Cost, Some(batch))?),
        }
    }

    /// A worker's split if it can hold the model; else its columns count as blank.
    fn split(&self, row: &WorkerRow, ask: &ServeAsk<'_>) -> Option<(Split, f64)> {
        let found = split_of(row, self.model, self.network)?;
        let layout = ServeLayout { split: found.0, batch: 1, mode: Mode::Aggregated };
        match self.steady(ask, &layout) {
            Err(ServeMisfit::Weights { .. } | ServeMisfit::Shard { .. }) => None,
            _ => Some(found),
        }
    }

    /// A worker whose clients keep `batch` requests open per group; those that do not fit wait for a place.
    fn closed(&self, ask: &ServeAsk<'_>, split: &Split, batch: u64) -> Result<Serving, Refusal> {
        let layout = |batch| ServeLayout { split: *split, batch, mode: Mode::Aggregated };
        match self.steady(ask, &layout(batch)) {
            Err(ServeMisfit::Cache { most, .. }) => {
                let found = self.steady(ask, &layout(most))?;
                Ok(wait_for_place(found, batch as f64 / most as f64, ask.output))
            }
            other => Ok(other?),
        }
    }

    fn disaggregated(&self, row: &ServingRow, ask: &ServeAsk<'_>, filled: &mut Vec<&'static str>) -> Result<Serving, Refusal> {
        let decode = self.split(&row.decode, ask);
        let prefill = self.split(&row.prefill, ask);
        if decode.is_none() {
            filled.push("decode_tp_size");
        }
        let Some(batch) = row.decode.batch else {
            filled.push("decode_batch_size");
            let base = self.best(ask, decode.map(|d| d.0), Goal::Knee, None)?;
            let prefill = prefill.map_or(base.layout.split, |p| p.0);
            return self.balanced(row, ask, &base.layout.split, &prefill, middle(&base));
        };
        let (split, share) = match decode {
            Some(found) => found,
            None => (self.best(ask, None, Goal::Cost, Some(batch))?.layout.split, 1.0),
        };
        let prefill = prefill.map_or(split, |p| p.0);
        self.balanced(row, ask, &split, &prefill, per_group(batch, share))
    }

    /// Workers as given; where blank, as many on each side as keep the other busy.
    fn balanced(&self, row: &ServingRow, ask: &ServeAsk<'_>, split: &Split, prefill: &Split, batch: u64) -> Result<Serving, Refusal> {
        let layout = |p: u64, d: u64, batch: u64| ServeLayout {
            split: *split,
            batch,
            mode: Mode::Disaggregated { prefill: *prefill, prefill_workers: p, decode_workers: d },
        };
        let run = |p: u64, d: u64| match self.steady(ask, &layout(p, d, batch)) {
            Err(ServeMisfit::Cache { most, .. }) => {
                self.steady(ask, &layout(p, d, most)).map(|found| wait_for_place(found, batch as f64 / most as f64, ask.output))
            }
            other => other,
        };
        match (row.prefill.workers, row.decode.workers) {
            (Some(p), Some(d)) => Ok(run(p.max(1), d.max(1))?),
            (p, d) => {
                let probe = run(1, 1)?;
                let ratio = probe.prefill_share.max(f64::MIN_POSITIVE);
                let prefills = p.unwrap_or(((d.unwrap_or(1) as f64) * ratio).ceil().clamp(1.0, 1e3) as u64);
                Ok(run(prefills.max(1), d.unwrap_or(1).max(1))?)
            }
        }
    }

    fn steady(&self, ask: &ServeAsk<'_>, layout: &ServeLayout) -> Result<Serving, ServeMisfit> {
        steady(ask, self.chip, self.timer, self.network, layout, self.constants)
    }

    fn best(&self, ask: &ServeAsk<'_>, split: Option<Split>, goal: Goal, batch: Option<u64>) -> Result<Serving, ServeMisfit> {
        let chips_max = split.map_or(self.network.domain.clamp(1, 64), |s| s.chips());
        let space = SearchSpace { split, batch, goal, ..SearchSpace::within(chips_max) };
        search(ask, self.chip, self.timer, self.network, &space, self.constants)
    }
}

/// The middle, on a scale of ratios, of all batches that fit: the least expected error when nothing tells how busy a benchmark was.
fn middle(found: &Serving) -> u64 {
    ((found.memory.batch_max as f64).sqrt().round() as u64).max(1)
}

/// Sequences of a group when each group of the columns is `share` groups.
fn per_group(batch: u64, share: f64) -> u64 {
    ((batch as f64 / share).ceil() as u64).max(1)
}

/// Adds the wait for a place when `asked` times the places are asked for.
fn wait_for_place(mut found: Serving, asked: f64, output: u64) -> Serving {
    let turn = found.ttft + found.tpot * output.saturating_sub(1) as f64;
    found.ttft_parts.admission += turn * (asked - 1.0).max(0.0);
    found.ttft = found.ttft_parts.total();
    found
}

/// Predicts an inference row; `None` for a model that no reader knows.
///
/// # Errors
/// Why the row cannot be predicted.
pub fn predict_inference(row: &InferenceRow, bench: Option<&Bench<'_>>) -> Result<InferencePrediction, Refusal> {
    if row.unit.contains("image") || row.precision.as_deref().is_some_and(|p| p.contains("unet")) {
        return Err(Refusal::Diffusion);
    }
    let bench = bench.ok_or(Refusal::Blank("model"))?;
    let (precision, blank) = inference_precision(row, bench.chip)?;
    let mut filled = Vec::new();
    if blank {
        filled.push("precision");
    }
    let c = bench.constants;
    let mut length = |given: Option<f64>, column: &'static str, usual: f64| {
        given.filter(|n| *n >= 1.0).map_or_else(
            || {
                filled.push(column);
                usual.max(1.0) as u64
            },
            |n| n.round() as u64,
        )
    };
    let service = bench.service.unwrap_or(&c.usual);
    let output = length(row.output, "output_len", service.output);
    let input = length(row.input, "input_len", service.input / service.beams.max(1.0));
    let limits = service.limits(row.phase.as_deref());
    let (ttft, tpot) = (limits.map(|l| l.ttft), limits.map(|l| l.tpot));
    let ask = ServeAsk { model: bench.model, precision, input, output, ttft, tail: Some(service.spread), tpot, arrivals: Arrivals::Steady };
    let serving = bench.inference(row, &ask, &mut filled)?;
    let value = bench.metric(row, &ask, &serving)?;
    Ok(InferencePrediction { value, serving, filled })
}

impl Bench<'_> {
    fn inference(&self, row: &InferenceRow, ask: &ServeAsk<'_>, filled: &mut Vec<&'static str>) -> Result<Serving, Refusal> {
        let split = row.tensor_parallel.map(|tensor| {
            let worker = WorkerRow { tensor_parallel: Some(tensor), pipeline_parallel: row.pipeline_parallel, ..Default::default() };
            split_of(&worker, self.model, self.network).map_or(Split::ONE, |s| s.0)
        });
        let chips_max = split.map_or(row.chips.unwrap_or(1).max(1), |s| s.chips());
        if split.is_none() {
            filled.push("tp");
        }
        if row.batch.is_none() {
            filled.push("batch");
        }
        if let (Some(split), Some(batch)) = (split, row.batch) {
            let layout = ServeLayout { split, batch: batch.max(1), mode: Mode::Aggregated };
            return Ok(self.steady(ask, &layout)?);
        }
        let space = SearchSpace { split, batch: row.batch, ..SearchSpace::within(chips_max) };
        Ok(search(ask, self.chip, self.timer, self.network, &space, self.constants)?)
    }

    fn metric(&self, row: &InferenceRow, ask: &ServeAsk<'_>, serving: &Serving) -> Result<f64, Refusal> {
        let scale = if row.unit == "ms" { 1e3 } else { 1.0 };
        let system = row.chips.unwrap_or(serving.chips).max(1) as f64;
        let tokens = serving.tokens_per_second_per_chip * system;
        let beams = self.service.map_or(1.0, |s| s.beams.max(1.0));
        let requests = row.unit.starts_with("samples") || row.unit.starts_with("queries");
        Ok(match row.metric.as_str() {
            "output_throughput_per_gpu" => serving.tokens_per_second_per_chip,
            "throughput" if requests => tokens / (ask.output.max(1) as f64 * beams),
            "throughput" | "output_throughput" | "output_throughput_total" => tokens,
            "first_token_latency" | "first_token_latency_mean" => {
                // A batch of prompts at once, without a front end.
                serving.ttft_parts.prefill.value() * row.batch.unwrap_or(1).max(1) as f64 * scale
            }
            "ttft_p99" => serving.ttft_p99.value() * scale,
            m if m.starts_with("ttft") => serving.ttft.value() * scale,
            m if m.starts_with("tpot") => serving.tpot.value() * scale,
            _ => return Err(Refusal::Metric),
        })
    }
}
