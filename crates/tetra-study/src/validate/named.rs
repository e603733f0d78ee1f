//! What a table means by the name of a model: a configuration, else the parameters that the name states (`GPT-13B`, `Qwen3-Next-80B-A3B`).
//!
//! A name among other words counts only where the parameters stated beside it or in it agree. Leaves out: names of which neither a configuration nor a size is known.

use tetra_workload::Model;

use super::Bench;

/// Parameters that a name states, all and those of one token.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sizes {
    /// All.
    pub total: Option<f64>,
    /// Of one token, in a model of experts: `A3B`, `a22b`.
    pub active: Option<f64>,
}

impl Sizes {
    /// From a name: a number with `B`, `M` or `T` that stands by itself.
    pub fn of(name: &str) -> Self {
        let mut sizes = Self::default();
        for word in name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).map(str::to_lowercase) {
            let into = if word.starts_with('a') { &mut sizes.active } else { &mut sizes.total };
            *into = into.or(count(word.trim_start_matches('a')));
        }
        sizes
    }
}

/// `13b`, `350m`, `1t`.
fn count(word: &str) -> Option<f64> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let scale = match unit {
        "t" => 1e12,
        "b" => 1e9,
        "m" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok().filter(|n| *n > 0.0)? * scale)
}

impl Bench {
    /// The model that a table means by a name, where the parameters stated agree with it.
    pub(super) fn model_meant(&self, name: &str, parameters: Option<f64>) -> Option<&Model> {
        /// Tables round parameters, or count them without the vocabulary: off by at most this part.
        const PART: f64 = 4.0;
        let stems: Vec<&str> = self.models.keys().map(String::as_str).collect();
        let agrees = |model: &Model| {
            let counted = model.parameters().total() as f64;
            parameters.or(Sizes::of(name).total).is_none_or(|p| (p - counted).abs() < counted / PART)
        };
        let within = || self.aliases.within(name, &stems).and_then(|stem| self.models.get(stem)).filter(|m| agrees(m));
        self.model(name).or_else(within)
    }
}
