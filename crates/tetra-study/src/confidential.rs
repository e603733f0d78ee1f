//! What confidential computing costs a service, by mechanism: no percentage, but copies over the bridge between host and accelerator.
//!
//! Per second of work a group makes `tokens/running` steps and answers `tokens/output` prompts. A step adds `copies · delay` and
//! `running · bytes · (1/encrypted - 1/plain)`; a prompt its copies and token ids; an interruption `weights · (1/encrypted - 1/plain)` and the
//! attestation. The sum is the time added per second of work: so many more machines are needed. Every chip has a bridge of its own and all copy
//! at once. Leaves out: encrypted links between accelerators, memory encryption of the host, caches swapped to the host (the engine keeps
//! none there), schedulers that overlap copies again.

use tetra_cluster::Serving;
use tetra_quantity::{Bytes, BytesPerSecond, DataError, Seconds, Tables};

/// Constants of the mechanism.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidential {
    /// Bytes per second of the plain bridge.
    pub plain: f64,
    /// The same encrypted.
    pub encrypted: f64,
    /// Seconds that each copy takes more.
    pub delay: f64,
    /// Copies per step.
    pub copies: f64,
    /// Bytes per running sequence and step.
    pub sequence_bytes: f64,
    /// Bytes per token of a prompt.
    pub token_bytes: f64,
    /// Seconds of attestation per restart.
    pub attestation: f64,
}

/// Time added per time of work, by mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Added {
    /// Copies that take longer, whatever their size.
    pub delays: f64,
    /// Bytes at the encrypted rate.
    pub bytes: f64,
    /// Loading of the model and attestation after interruptions.
    pub restarts: f64,
}

impl Added {
    /// Sum of the mechanisms.
    pub fn total(&self) -> f64 {
        self.delays + self.bytes + self.restarts
    }

    /// Mechanisms by name.
    pub fn parts(&self) -> [(&'static str, f64); 3] {
        [
            ("delay of each copy", self.delays),
            ("bytes at the encrypted rate", self.bytes),
            ("loading and attestation at restarts", self.restarts),
        ]
    }
}

impl Confidential {
    /// Reads the rows of `confidential`.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let item = "confidential";
        let plain = t.quantity::<BytesPerSecond>(item, "bridge")?.value();
        let bytes = |parameter: &str| t.quantity::<Bytes>(item, parameter).map(|b| b.value());
        Ok(Self {
            plain,
            encrypted: plain / t.number(item, "bridge_slowdown", "1")?.max(1.0),
            delay: t.quantity::<Seconds>(item, "transfer_delay")?.value(),
            copies: t.number(item, "transfers_per_step", "count")?,
            sequence_bytes: bytes("bytes_per_sequence")?,
            token_bytes: bytes("bytes_per_token")?,
            attestation: t.quantity::<Seconds>(item, "attestation")?.value(),
        })
    }

    /// Seconds that a byte takes more.
    fn per_byte(&self) -> f64 {
        1.0 / self.encrypted - 1.0 / self.plain
    }

    /// Time added to a group at this work, with `interruptions` of a chip per second.
    pub fn added(&self, w: &Work, interruptions: f64) -> Added {
        let sent = w.steps * w.running * self.sequence_bytes + w.prompts * w.prompt * self.token_bytes;
        Added {
            delays: (w.steps + w.prompts) * self.copies * self.delay,
            bytes: sent * self.per_byte(),
            restarts: w.chips * interruptions * (w.weights * self.per_byte() + self.attestation),
        }
    }
}

/// What a group of chips does in a second of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Steps.
    pub steps: f64,
    /// Sequences that run at once.
    pub running: f64,
    /// Prompts answered.
    pub prompts: f64,
    /// Tokens of a prompt.
    pub prompt: f64,
    /// Chips of the group.
    pub chips: f64,
    /// Bytes of weights on one chip.
    pub weights: f64,
}

impl Work {
    /// The work of a group that serves prompts and answers of so many tokens.
    pub fn of(s: &Serving, prompt: u64, output: u64) -> Self {
        Self {
            steps: s.tokens_per_second / s.running.max(1.0),
            running: s.running,
            prompts: s.tokens_per_second / output.max(1) as f64,
            prompt: prompt as f64,
            chips: s.chips as f64,
            weights: s.memory.weights.value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tetra_quantity::TableText;

    fn shipped() -> Confidential {
        let site = TableText { name: "site.csv", text: include_str!("../../../data/site.csv") };
        let fitted = TableText { name: "calibration.csv", text: include_str!("../../../data/calibration.csv") };
        let kinds = TableText { name: "ranges.csv", text: include_str!("../../../data/ranges.csv") };
        let tables = Tables::parse(&[site, fitted, kinds], include_str!("../../../data/sources.toml")).unwrap();
        Confidential::from_tables(&tables).unwrap()
    }

    /// Steps of so many seconds of 32 sequences, nothing else.
    fn steps_of(seconds: f64) -> Work {
        Work { steps: 1.0 / seconds, running: 32.0, prompts: 0.0, prompt: 0.0, chips: 1.0, weights: 0.0 }
    }

    /// The delay of a copy was set by these figures, so that they are no test of it, only of the sum. B300 lost 13 to 27 % of its throughput (arXiv 2606.23969), H100 under 7 %, and less with longer steps (arXiv 2409.03992).
    #[test]
    fn short_steps_lose_what_was_measured_and_long_ones_little() {
        let loss = |seconds: f64| 1.0 - 1.0 / (1.0 + shipped().added(&steps_of(seconds), 0.0).total());
        assert!((0.1..0.27).contains(&loss(0.005)), "{}", loss(0.005));
        assert!(loss(0.03) < 0.07, "{}", loss(0.03));
    }

    #[test]
    fn a_plain_bridge_adds_nothing_and_more_of_anything_adds_more() {
        let c = shipped();
        let plain = Confidential { encrypted: c.plain, delay: 0.0, attestation: 0.0, ..c };
        let work = Work { prompts: 3.0, prompt: 2048.0, weights: 7e10, ..steps_of(0.01) };
        assert_eq!(plain.added(&work, 1e-7).total(), 0.0);
        let base = c.added(&work, 1e-7);
        assert!((base.parts().iter().map(|p| p.1).sum::<f64>() - base.total()).abs() < 1e-15);
        for more in [
            Work { steps: work.steps * 2.0, ..work },
            Work { running: 64.0, ..work },
            Work { prompts: 4.0, ..work },
            Work { prompt: 4096.0, ..work },
            Work { chips: 8.0, ..work },
            Work { weights: 1e11, ..work },
        ] {
            assert!(c.added(&more, 1e-7).total() > base.total(), "{more:?}");
        }
    }
}
