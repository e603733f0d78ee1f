//! Knobs of a layout as words: `tp=8,pp=16,recompute=full`.

use crate::train::layout::{Layout, Offload, Recompute, Schedule, StateSharding};
use crate::train::stated::Stated;

/// Largest degree or batch.
const MOST: u64 = 1 << 24;

impl Stated {
    /// Reads `knob=value` pairs parted by commas.
    ///
    /// # Errors
    /// What is wrong with the first pair that is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut stated = Self::default();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (knob, value) = pair.split_once('=').ok_or_else(|| format!("\"{}\": write knob=value", short(pair)))?;
            stated.set(knob.trim(), value.trim())?;
        }
        Ok(stated)
    }

    /// Sets one knob.
    ///
    /// # Errors
    /// A knob or value that is not known.
    pub fn set(&mut self, knob: &str, value: &str) -> Result<(), String> {
        let count = || {
            let found = value.parse::<u64>().ok().filter(|n| (1..=MOST).contains(n));
            found.ok_or_else(|| format!("{knob} \"{}\": write a whole number from 1 to {MOST}", short(value)))
        };
        match knob.replace('_', "-").as_str() {
            "tp" | "tensor-parallel" => self.tensor_parallel = Some(count()?),
            "pp" | "pipeline-parallel" => self.pipeline_parallel = Some(count()?),
            "dp" | "data-parallel" => self.data_parallel = Some(count()?),
            "cp" | "context-parallel" => self.context_parallel = Some(count()?),
            "ep" | "expert-parallel" => self.expert_parallel = Some(count()?),
            "vpp" | "vp" | "virtual-stages" => self.virtual_stages = Some(count()?),
            "mbs" | "micro-batch" => self.micro_batch = Some(count()?),
            "sp" | "sequence-parallel" => self.sequence_parallel = Some(yes(knob, value)?),
            "recompute" => self.recompute = Some(recompute(value)?),
            "sharding" => self.sharding = Some(sharding(value)?),
            "schedule" => self.schedule = Some(schedule(value)?),
            "offload" => self.offload = Some(offload(value)?),
            other => {
                let knobs = "tp, pp, dp, cp, ep, vpp, mbs, sp, recompute, sharding, schedule or offload";
                return Err(format!("\"{}\" is no knob of a layout: write {knobs}", short(other)));
            }
        }
        Ok(())
    }

    /// What either states; this one goes first.
    pub fn or(&self, other: &Self) -> Self {
        Self {
            tensor_parallel: self.tensor_parallel.or(other.tensor_parallel),
            pipeline_parallel: self.pipeline_parallel.or(other.pipeline_parallel),
            data_parallel: self.data_parallel.or(other.data_parallel),
            context_parallel: self.context_parallel.or(other.context_parallel),
            expert_parallel: self.expert_parallel.or(other.expert_parallel),
            virtual_stages: self.virtual_stages.or(other.virtual_stages),
            micro_batch: self.micro_batch.or(other.micro_batch),
            recompute: self.recompute.or(other.recompute),
            sequence_parallel: self.sequence_parallel.or(other.sequence_parallel),
            sharding: self.sharding.or(other.sharding),
            schedule: self.schedule.or(other.schedule),
            offload: self.offload.or(other.offload),
        }
    }

    /// A layout with what is stated put in its place; replicas that are not stated fill `chips`.
    pub fn over(&self, layout: &Layout, chips: u64) -> Layout {
        let mut out = Layout {
            tensor_parallel: self.tensor_parallel.unwrap_or(layout.tensor_parallel),
            pipeline_parallel: self.pipeline_parallel.unwrap_or(layout.pipeline_parallel),
            context_parallel: self.context_parallel.unwrap_or(layout.context_parallel),
            expert_parallel: self.expert_parallel.unwrap_or(layout.expert_parallel),
            virtual_stages: self.virtual_stages.unwrap_or(layout.virtual_stages),
            micro_batch: self.micro_batch.unwrap_or(layout.micro_batch),
            recompute: self.recompute.unwrap_or(layout.recompute),
            sharding: self.sharding.unwrap_or(layout.sharding),
            schedule: self.schedule.unwrap_or(layout.schedule),
            offload: self.offload.unwrap_or(layout.offload),
            ..*layout
        };
        let usual = out.tensor_parallel > 1 && (layout.sequence_parallel || layout.tensor_parallel == 1);
        out.sequence_parallel = self.sequence_parallel.unwrap_or(usual);
        out.data_parallel = self.data_parallel.unwrap_or((chips / out.model_chips().max(1)).max(1));
        out
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn yes(knob: &str, value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| format!("{knob} \"{}\": write true or false", short(value)))
}

/// `none`, `selective`, `full`, or the layers of each stage that are recomputed.
fn recompute(value: &str) -> Result<Recompute, String> {
    match value {
        "none" => Ok(Recompute::None),
        "selective" => Ok(Recompute::Selective),
        "full" => Ok(Recompute::Full),
        "cheap" => Ok(Recompute::Cheap),
        other => match other.parse::<u64>() {
            Ok(layers) if (1..=MOST).contains(&layers) => Ok(Recompute::Layers(layers)),
            _ => Err(format!("recompute \"{}\": write none, selective, full or a number of layers per stage", short(other))),
        },
    }
}

fn sharding(value: &str) -> Result<StateSharding, String> {
    match value {
        "none" => Ok(StateSharding::None),
        "optimizer" | "zero1" => Ok(StateSharding::Optimizer),
        "gradients" | "zero2" => Ok(StateSharding::Gradients),
        "full" | "zero3" | "fsdp" => Ok(StateSharding::Full),
        other => Err(format!("sharding \"{}\": write none, optimizer, gradients or full", short(other))),
    }
}

fn schedule(value: &str) -> Result<Schedule, String> {
    Schedule::named(value).ok_or_else(|| {
        let known: Vec<_> = Schedule::ALL.iter().map(|s| s.name()).collect();
        format!("schedule \"{}\": write one of {}", short(value), known.join(", "))
    })
}

/// `none`, or any of weights, activations, optimizer, parted by `+`.
fn offload(value: &str) -> Result<Offload, String> {
    let mut out = Offload::NONE;
    for word in value.split('+').map(str::trim).filter(|w| !w.is_empty() && *w != "none") {
        match word {
            "weights" => out.weights = true,
            "activations" => out.activations = true,
            "optimizer" => out.optimizer = true,
            other => return Err(format!("offload \"{}\": write none, or weights+activations+optimizer", short(other))),
        }
    }
    Ok(out)
}
