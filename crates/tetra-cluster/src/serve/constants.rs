//! Constants of serving engines, read from `serving.csv` and the section `serving` of `calibration.csv`.

use tetra_quantity::{DataError, Seconds, Tables};

use crate::serve::service::Service;

/// What an engine adds to the work of the chips.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ServeConstants {
    /// Host time of one step that no device work hides: scheduling, sampling, return of tokens.
    pub step: Seconds,
    /// Host time of one step per sequence in it.
    pub sequence: Seconds,
    /// Time that each op saves in a captured graph of a step, against a launch of its own.
    pub launch_saving: Seconds,
    /// Host time to launch an op of the graph when it is not captured.
    pub launch: Seconds,
    /// One step of an all-reduce by direct reads: a barrier of all ranks with its launch.
    pub direct_step: Seconds,
    /// Host time of one request before its first token.
    pub request: Seconds,
    /// Share of the memory that an engine uses for weights and cache.
    pub memory_share: f64,
    /// Prompt tokens that one step takes at most.
    pub chunk_tokens: f64,
    /// Share of a benchmark's requests that come at once at its start.
    pub burst_share: f64,
    /// Load of the fullest expert rank over its expectation for a balanced router.
    pub expert_skew: f64,
    /// What a row of a table is taken to ask where neither it nor a benchmark says so.
    pub usual: Service,
}

impl ServeConstants {
    /// Reads them from the data tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables) -> Result<Self, DataError> {
        Ok(Self {
            step: tables.quantity("serving", "step")?,
            sequence: tables.quantity("serving", "sequence")?,
            launch_saving: tables.quantity("serving", "launch_saving")?,
            launch: tables.quantity("serving", "launch")?,
            direct_step: tables.quantity("serving", "direct_step")?,
            request: tables.quantity("serving", "request")?,
            memory_share: tables.number("serving", "memory_share", "1")?,
            chunk_tokens: tables.number("serving", "chunk_tokens", "tokens")?,
            burst_share: tables.number("serving", "burst_share", "1")?,
            expert_skew: tables.number("serving", "expert_skew", "1")?,
            usual: Service::from_tables(tables, "mlperf_llama2_70b")?,
        })
    }

    /// Prompt tokens per step as a whole number.
    pub fn chunk(&self) -> u64 {
        if self.chunk_tokens >= 1.0 { self.chunk_tokens as u64 } else { 1 }
    }
}
