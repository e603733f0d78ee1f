//! Training benchmarks with a target: `benchmarks.toml` holds names and shapes, `benchmarks.csv` how many samples the target takes.
//!
//! The name of a benchmark selects its published rules as the name of a model selects its configuration. Nothing else of a row is looked at.

use std::collections::BTreeMap;

use serde::Deserialize;
use tetra_chip::Chip;
use tetra_cluster::Convergence;
use tetra_cluster::train::peak_flop_per_second;
use tetra_quantity::Tables;
use tetra_workload::DataType;

/// One benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Benchmark {
    /// Names by which tables know it.
    pub names: Vec<String>,
    /// The model that it trains, by the stem of its configuration.
    pub model: String,
    /// Tokens per sequence.
    pub sequence: u64,
    /// Formats in which results were published.
    pub formats: Vec<(String, DataType)>,
    /// Rank of the adapters, if these alone are trained.
    pub adapters: Option<u64>,
    /// Stages of a pipeline in all results.
    pub stages: Option<u64>,
    /// Samples to its target.
    pub convergence: Convergence,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BenchmarkText {
    names: Vec<String>,
    model: String,
    sequence: u64,
    formats: Vec<String>,
    adapters: Option<u64>,
    stages: Option<u64>,
}

/// All benchmarks, by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Benchmarks(Vec<Benchmark>);

impl Benchmarks {
    /// Reads `benchmarks.toml` and the rows that belong to it.
    ///
    /// # Errors
    /// Broken text with its cause, or a row that is missing.
    pub fn parse(text: &str, tables: &Tables) -> Result<Self, String> {
        let texts: BTreeMap<String, BenchmarkText> = toml::from_str(text).map_err(|e| format!("benchmarks.toml: {}", e.message()))?;
        let made = texts.into_iter().map(|(key, t)| {
            let convergence = Convergence::from_tables(tables, &key).map_err(|e| e.to_string())?;
            let BenchmarkText { names, model, sequence, formats, adapters, stages } = t;
            let format = |word: String| word.parse().map(|f| (word, f)).map_err(|e| format!("benchmarks.toml: {key}: {e}"));
            let formats = formats.into_iter().map(format).collect::<Result<_, String>>()?;
            Ok(Benchmark { names, model, sequence, formats, adapters, stages, convergence })
        });
        Ok(Self(made.collect::<Result<_, String>>()?))
    }

    /// The benchmark of a name; case and punctuation do not matter.
    pub fn find(&self, name: &str) -> Option<&Benchmark> {
        let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let wanted = plain(name);
        self.0.iter().find(|b| b.names.iter().any(|n| plain(n) == wanted))
    }
}

impl Benchmarks {
    /// The first benchmark that trains adapters.
    pub fn with_adapters(&self) -> Option<&Benchmark> {
        self.0.iter().find(|b| b.adapters.is_some())
    }
}

impl Benchmark {
    /// The format in which a chip multiplies fastest, of those published; the first where several are as fast.
    pub fn format(&self, chip: &Chip) -> &str {
        let rate = |f: DataType| peak_flop_per_second(chip, f.mac());
        let faster = |best: Option<&'_ (String, DataType)>, f: &(String, DataType)| best.is_none_or(|b| rate(f.1) > rate(b.1));
        let mut best = None;
        for format in &self.formats {
            if faster(best, format) {
                best = Some(format);
            }
        }
        best.map(|f| f.0.as_str()).unwrap_or_default()
    }
}
