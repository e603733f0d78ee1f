//! Models beside the study's own, on which a chosen chip is tried: asks as they stand in `data/probes.toml`.

use std::collections::BTreeMap;

use tetra_cluster::ServeAsk;
use tetra_cluster::serve::Arrivals;
use tetra_quantity::{Seconds, toml_words};
use tetra_workload::{Model, Precision};
use toml::de::DeTable;

use crate::demand::{LONGEST_LIMIT, MOST_TOKENS, read_precision};
use crate::problem::{Problems, StudyError};
use crate::section::{Section, quantity_of, table_of};

/// One model with one shape of request.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Name of the model's configuration.
    pub model: String,
    /// What it is an extreme of.
    pub extreme: String,
    /// Formats it runs in.
    pub precision: Precision,
    /// Tokens of a prompt.
    pub prompt: u64,
    /// Tokens of an answer.
    pub output: u64,
    /// Longest time to the first token, if limited.
    pub ttft: Option<Seconds>,
    /// Longest time per further token, if limited.
    pub tpot: Option<Seconds>,
}

impl Probe {
    /// Reads all asks of a text; an empty text holds none.
    ///
    /// # Errors
    /// All mistakes.
    pub fn read_all(file: &str, text: &str) -> Result<Vec<Self>, StudyError> {
        let mut problems = Problems::default();
        let (root, errors) = DeTable::parse_recoverable(text);
        for e in errors.iter().take(1) {
            problems.add(e.span().unwrap_or(0..0), format!("not valid TOML: {}", toml_words(e)), "correct the line");
        }
        let mut probes = Vec::new();
        if errors.is_empty() {
            let mut all: Vec<_> = root.get_ref().iter().collect();
            all.sort_by_key(|(k, _)| k.span().start);
            for (name, value) in all {
                let section = table_of(name.get_ref(), Some(value), &mut problems);
                probes.extend(section.and_then(|s| Self::read(s, &mut problems)));
            }
        }
        if problems.0.is_empty() { Ok(probes) } else { Err(StudyError::new(file, text, problems.0)) }
    }

    fn read(mut s: Section<'_, '_>, problems: &mut Problems) -> Option<Self> {
        let model = s.text("model", "\"Qwen3-32B\"", problems);
        let extreme = s.text("extreme", "\"long prompts\"", problems);
        let precision = read_precision(&mut s, problems);
        let prompt = s.integer("prompt", 1..=MOST_TOKENS, problems);
        let output = s.integer("output", 1..=MOST_TOKENS, problems);
        let ttft = s.get("ttft").and_then(|v| quantity_of::<Seconds>("ttft", v, 0.0..=LONGEST_LIMIT, problems));
        let tpot = s.get("tpot").and_then(|v| quantity_of::<Seconds>("tpot", v, 0.0..=LONGEST_LIMIT, problems));
        s.finish(problems);
        Some(Self { model: model?.0, extreme: extreme?.0, precision: precision?, prompt: prompt?, output: output?, ttft, tpot })
    }

    /// The ask in the words of the cluster; none where the model is not at hand.
    pub fn ask<'a>(&self, models: &'a BTreeMap<String, Model>) -> Option<ServeAsk<'a>> {
        Some(ServeAsk {
            model: models.get(&self.model)?,
            precision: self.precision,
            input: self.prompt,
            output: self.output,
            ttft: self.ttft,
            tail: None,
            tpot: self.tpot,
            arrivals: Arrivals::Steady,
        })
    }
}
