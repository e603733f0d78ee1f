//! Services of published benchmarks: how long their prompts and answers are, and which latencies their scenarios allow.
//!
//! A beam search of width `w` computes a prompt once and carries `w` answers: each answer counts with its share of the prompt, in work and in cache.
//!
//! Leaves out: the spread of answers' lengths; answers that end early in a beam.

use tetra_quantity::{DataError, Seconds, Tables};

/// Longest times of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Limits {
    /// To the first token.
    pub ttft: Seconds,
    /// Per further token.
    pub tpot: Seconds,
}

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Service {
    /// Prompt tokens, mean.
    pub input: f64,
    /// Standard deviation of the prompts' lengths over their mean.
    pub spread: f64,
    /// Tokens of one answer, mean.
    pub output: f64,
    /// Answers carried per prompt.
    pub beams: f64,
    /// Limits of the server scenario.
    pub server: Limits,
    /// Limits of the interactive scenario.
    pub interactive: Limits,
}

impl Service {
    /// Reads the rows of one service.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables, item: &str) -> Result<Self, DataError> {
        let limits = |ttft, tpot| Ok::<_, DataError>(Limits { ttft: tables.quantity(item, ttft)?, tpot: tables.quantity(item, tpot)? });
        Ok(Self {
            input: tables.number(item, "input", "tokens")?,
            spread: tables.number(item, "input_spread", "1")?,
            output: tables.number(item, "output", "tokens")?,
            beams: tables.number(item, "beams", "1")?,
            server: limits("server_ttft", "server_tpot")?,
            interactive: limits("interactive_ttft", "interactive_tpot")?,
        })
    }

    /// Limits of a scenario by the word of a table's column `phase`.
    pub fn limits(&self, phase: Option<&str>) -> Option<Limits> {
        match phase {
            Some("server") => Some(self.server),
            Some("server-interactive") => Some(self.interactive),
            _ => None,
        }
    }
}
