//! Published measurements against predictions: any table of a known form, every row scored or refused with a reason.
//!
//! A prediction sees only what a row states about shapes, formats, chips and layout: never its id, source, table or measured value.

mod benchmark;
mod inference;
mod interval;
mod kernel;
mod named;
mod row;
mod score;
mod service;
mod serving;
mod silicon;
mod table;
mod training;
mod words;

pub use benchmark::{Benchmark, Benchmarks};
pub use interval::ModelError;
pub use row::{Prediction, Row, rows_csv};
pub use score::{Figures, Group, Refusal, TableScore, score};
pub use service::{NamedService, Services};
pub use table::{Kind, Record, Table, TableError, read};

use std::collections::BTreeMap;

use tetra_chip::{Chip, ChipConstants, ChipKind, ChipSet};
use tetra_cluster::{ClusterConstants, ServeConstants};
use tetra_quantity::{DataError, Tables};
use tetra_workload::{Aliases, Model, UNet};

/// Everything that a prediction may look at beside the row.
#[derive(Debug)]
pub struct Bench {
    /// Chips by name and alias.
    pub chips: ChipSet,
    /// Models by name (file stem).
    pub models: BTreeMap<String, Model>,
    /// Other names of models.
    pub aliases: Aliases,
    /// Constants of op times.
    pub chip: ChipConstants,
    /// Constants of networks and training.
    pub cluster: ClusterConstants,
    /// Constants of serving.
    pub serve: ServeConstants,
    /// Discrepancy of each mechanism.
    pub error: ModelError,
    /// Denoising networks by name (file stem).
    pub unets: BTreeMap<String, UNet>,
    /// Training benchmarks with a target.
    pub benchmarks: Benchmarks,
    /// Serving benchmarks.
    pub services: Services,
    /// The tables themselves: published machines and networks.
    pub tables: Tables,
}

impl Bench {
    /// Collects the constants from the tables.
    ///
    /// # Errors
    /// A row that is missing or has a wrong unit.
    pub fn new(tables: &Tables, chips: ChipSet, models: BTreeMap<String, Model>, aliases: Aliases) -> Result<Self, DataError> {
        Ok(Self {
            chips,
            models,
            aliases,
            chip: ChipConstants::from_tables(tables)?,
            cluster: ClusterConstants::from_tables(tables)?,
            serve: ServeConstants::from_tables(tables)?,
            error: ModelError::from_tables(tables)?,
            unets: BTreeMap::new(),
            benchmarks: Benchmarks::default(),
            services: Services::default(),
            tables: tables.clone(),
        })
    }

    /// With the training benchmarks of `benchmarks.toml` and the serving benchmarks of `services.toml`.
    ///
    /// # Errors
    /// Broken text with its cause, or a row that is missing.
    pub fn with_benchmarks(mut self, training: &str, serving: &str) -> Result<Self, String> {
        self.benchmarks = Benchmarks::parse(training, &self.tables)?;
        self.services = Services::parse(serving, &self.tables)?;
        Ok(self)
    }

    /// The model a row names: `org/Name` finds `Name`; case and punctuation do not matter; other names lie in the aliases.
    pub fn model(&self, name: &str) -> Option<&Model> {
        let stems: Vec<&str> = self.models.keys().map(String::as_str).collect();
        let benchmark = || self.benchmarks.find(name).map(|b| &b.model).or_else(|| self.services.find(name).map(|s| &s.model));
        let stem = self.aliases.find(name, &stems).or_else(|| benchmark().map(String::as_str));
        stem.and_then(|stem| self.models.get(stem))
    }

    /// The model of a record.
    fn model_of(&self, record: &Record) -> Result<&Model, String> {
        let name = record.text("model").ok_or("column model is blank")?;
        self.model(name).ok_or_else(|| format!("no config.json for model \"{name}\": add it with --models"))
    }

    /// The chip of a record.
    fn chip_of(&self, record: &Record) -> Result<&Chip, String> {
        let name = record.text("accelerator").ok_or("column accelerator is blank")?;
        self.chips.told(name).ok_or_else(|| format!("no chip file for accelerator \"{name}\": add it with --chips"))
    }
}

/// Factor on the width of an interval: wider for a chip that is only announced or designed.
fn widths(chip: &Chip, error: &ModelError) -> f64 {
    match chip.kind {
        ChipKind::Datasheet => 1.0,
        ChipKind::Assumption | ChipKind::Template => error.unseen_chip,
    }
}

/// The 80 % interval of a step's time on a chip, as rows of training tables get it.
///
/// # Errors
/// A time that is not a positive number.
pub fn step_interval(seconds: f64, chip: &Chip, error: &ModelError) -> Result<Prediction, String> {
    interval::with_skew(seconds, error.step, widths(chip, error), true)
}

/// Predicts every row of a table, in its order. Rows do not see each other.
pub fn predict(table: &Table, bench: &Bench) -> Vec<Row> {
    use rayon::prelude::*;
    let rows: Vec<Vec<Row>> = table
        .records
        .par_iter()
        .map(|record| match table.kind {
            Kind::Kernel => kernel::predict(record, bench),
            Kind::Training => training::predict(record, bench),
            Kind::Inference => inference::predict(record, bench),
            Kind::Serving => serving::predict(record, bench),
            Kind::Silicon => silicon::predict(record, bench),
        })
        .collect();
    rows.into_iter().flatten().collect()
}
