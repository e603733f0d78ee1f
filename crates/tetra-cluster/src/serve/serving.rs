//! What serving in steady state comes to: times with their parts, rate, memory and power.

use tetra_quantity::{Joules, Seconds, Watts};

use crate::fleet::LoadProfile;
use crate::serve::kv::ServeMemory;
use crate::serve::layout::ServeLayout;
use crate::serve::step::StepParts;

/// Where the time per output token goes; the parts sum to it.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct TpotParts {
    /// The decode step.
    pub step: StepParts,
    /// Prompts of other sequences in the same steps.
    pub prefill: Seconds,
    /// Waiting for the prefill side, when it is the slower one.
    pub starved: Seconds,
}

impl TpotParts {
    /// Sum.
    pub fn total(&self) -> Seconds {
        self.step.total() + self.prefill + self.starved
    }

    /// Name and time of each part.
    pub fn rows(&self) -> Vec<(&'static str, Seconds)> {
        let mut rows = self.step.rows();
        rows.push(("prefill", self.prefill));
        rows.push(("starved", self.starved));
        rows
    }
}

/// Where the time to the first token goes; the parts sum to it.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct TtftParts {
    /// Until the running step ends and prompts before it are done.
    pub queue: Seconds,
    /// Until a sequence ends whose place it takes, when more are asked for than fit.
    pub admission: Seconds,
    /// Its own prompt.
    pub prefill: Seconds,
    /// Decode work of others in the same steps.
    pub decode: Seconds,
    /// Cache sent to the decode worker.
    pub transfer: Seconds,
    /// Front end: reading, tokenising, answering.
    pub host: Seconds,
}

impl TtftParts {
    /// Sum.
    pub fn total(&self) -> Seconds {
        self.queue + self.admission + self.prefill + self.decode + self.transfer + self.host
    }

    /// Name and time of each part.
    pub fn rows(&self) -> Vec<(&'static str, Seconds)> {
        vec![
            ("queue", self.queue),
            ("admission", self.admission),
            ("prefill", self.prefill),
            ("decode", self.decode),
            ("transfer", self.transfer),
            ("host", self.host),
        ]
    }
}

/// A service in steady state.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Serving {
    /// The layout.
    pub layout: ServeLayout,
    /// Chips of the group.
    pub chips: u64,
    /// Sequences that run at once in the group.
    pub running: f64,
    /// Mean time to first token.
    pub ttft: Seconds,
    /// Time to first token that 99 of 100 requests keep.
    pub ttft_p99: Seconds,
    /// Mean time per further token.
    pub tpot: Seconds,
    /// Output tokens per second of the group.
    pub tokens_per_second: f64,
    /// Output tokens per second and chip.
    pub tokens_per_second_per_chip: f64,
    /// Time of a chip that one output token takes, its share of the prompt included.
    pub chip_seconds_per_token: Seconds,
    /// Parts of the time per output token.
    pub tpot_parts: TpotParts,
    /// Parts of the time to first token.
    pub ttft_parts: TtftParts,
    /// Memory of one decoding chip.
    pub memory: ServeMemory,
    /// Share of the time in which prompts are computed.
    pub prefill_share: f64,
    /// Energy per output token, idle power included.
    pub energy_per_token: Joules,
    /// Mean power of a chip at this load.
    pub power: Watts,
    /// Power of a chip without work.
    pub idle_power: Watts,
}

impl Serving {
    /// Electrical load of a chip that serves like this for the share `duty` of the time.
    pub fn load(&self, duty: f64) -> LoadProfile {
        LoadProfile { busy: self.power, idle: self.idle_power, duty }
    }
}
