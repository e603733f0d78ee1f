//! What `tetra train` is given: a model, a chip or a cluster, a job from flags or from another program's text.

use std::path::Path;

use tetra_chip::{Chip, ChipConstants};
use tetra_cluster::train::import::{CalculonSystem, ImportError, StatedJob, calculon, calculon_system, megatron, mlperf};
use tetra_cluster::{Cluster, ClusterConstants, Framework, Network, Stated, TrainAsk, TrainMisfit};
use tetra_quantity::Tables;
use tetra_workload::{DataType, Model, Precision};

use super::inputs::{chip, model, precision, tables};
use crate::cli::Train;
use crate::failure::Failure;
use crate::files::{Library, read_text};

/// Everything that prices a step.
pub struct Given {
    pub tables: Tables,
    pub model: Model,
    pub chip: Chip,
    pub cluster: Option<Cluster>,
    pub network: Network,
    pub ops: ChipConstants,
    pub constants: ClusterConstants,
    pub chips: u64,
    pub stated: Stated,
    /// What was read from another program's text.
    pub job: StatedJob,
    global_batch: u64,
    sequence: u64,
    precision: Precision,
    current_scaling: bool,
    framework: Framework,
}

impl Given {
    /// Reads everything; flags go before what a text states.
    pub fn read(library: &Library, at: &Train) -> Result<Self, Failure> {
        let tables = tables(library)?;
        let data = |e| Failure::all("data", [e]);
        let (ops, base) = (ChipConstants::from_tables(&tables).map_err(data)?, ClusterConstants::from_tables(&tables).map_err(data)?);
        let precision = at.precision.as_deref().map(precision).transpose()?;
        let stated = stated(at)?;
        let named = at.framework.as_deref().map(framework).transpose()?;
        let mut job = job(at)?;
        let system = system(at)?;
        let model = match at.config.as_ref().or(at.model.as_ref()) {
            Some(name) => model(library, name)?,
            None => job.model.clone().ok_or_else(|| missing("model", "give a config.json, or the name of a built-in model"))?,
        };
        let cluster = at.cluster.as_deref().map(|name| cluster(library, name)).transpose()?;
        let chip_name = at.chip.as_ref().or(cluster.as_ref().map(|c| &c.chip));
        let chip = system.on(&chip(library, chip_name.ok_or_else(|| missing("chip", "give --chip or --cluster"))?)?);
        job.notes.extend(system.notes);
        let chips = at.n.or(job.chips).ok_or_else(|| missing("number of chips", "give --n"))?;
        if let Some(have) = cluster.as_ref().map(|c| c.chips).filter(|have| *have < chips) {
            return Err(Failure::misfit(&TrainMisfit::Cluster { chips, have }));
        }
        let network = cluster.as_ref().map_or_else(|| Network::of(&chip, &base), |c| c.network(&chip, chips, &base));
        let constants = cluster.as_ref().map_or(base, |c| c.constants(chips, &base));
        Ok(Self {
            global_batch: at.global_batch.or(job.global_batch).ok_or_else(|| missing("global batch", "give --global-batch"))?,
            sequence: at.seq.or(job.sequence).ok_or_else(|| missing("sequence length", "give --seq"))?,
            precision: precision.unwrap_or(Precision::uniform(job.format.unwrap_or(DataType::Bf16))),
            current_scaling: at.precision.as_deref().is_some_and(TrainAsk::scales_at_hand),
            framework: named.or(job.framework).unwrap_or_else(Framework::today),
            stated: stated.or(&job.stated),
            tables,
            model,
            chip,
            cluster,
            network,
            ops,
            constants,
            chips,
            job,
        })
    }

    /// What is trained.
    pub fn ask(&self) -> TrainAsk<'_> {
        let ask = TrainAsk::new(&self.model, self.precision, self.global_batch, self.sequence).of(self.framework);
        TrainAsk { gradient: self.job.gradient.unwrap_or(ask.gradient), current_scaling: self.current_scaling, ..ask }
    }
}

/// A training library by name, or by path of its file.
fn framework(name: &str) -> Result<Framework, Failure> {
    if let Some(found) = Framework::named(name) {
        return Ok(found);
    }
    if name.ends_with(".toml") || Path::new(name).exists() {
        let said = |errors: Vec<tetra_chip::ChipError>| Failure::Input(errors.iter().map(ToString::to_string).collect());
        return Framework::from_toml(name, &read_text(Path::new(name))?).map_err(said);
    }
    let known: Vec<_> = Framework::names().collect();
    Err(Failure::Input(vec![format!("no training library \"{name}\": give the path of its TOML file, or one of {}", known.join(", "))]))
}

fn missing(what: &str, mend: &str) -> Failure {
    Failure::Input(vec![format!("no {what} is stated: {mend}")])
}

/// The layout as far as flags state it.
fn stated(at: &Train) -> Result<Stated, Failure> {
    let mut stated = Stated {
        tensor_parallel: at.tp,
        pipeline_parallel: at.pp,
        data_parallel: at.dp,
        context_parallel: at.cp,
        expert_parallel: at.ep,
        virtual_stages: at.vpp,
        micro_batch: at.micro_batch,
        sequence_parallel: at.sp,
        ..Stated::default()
    };
    let words = [("recompute", &at.recompute), ("sharding", &at.sharding), ("schedule", &at.schedule), ("offload", &at.offload)];
    for (knob, value) in words {
        if let Some(value) = value {
            stated.set(knob, value).map_err(|e| Failure::Input(vec![format!("--{e}")]))?;
        }
    }
    Ok(stated)
}

fn said(e: ImportError) -> Failure {
    Failure::Input(vec![e.to_string()])
}

/// Memory and links of a system of Calculon.
fn system(at: &Train) -> Result<CalculonSystem, Failure> {
    match at.calculon.as_deref() {
        Some([_, _, path]) => calculon_system(path, &read_text(Path::new(path))?).map_err(said),
        _ => Ok(CalculonSystem::default()),
    }
}

/// The job of another program's text.
fn job(at: &Train) -> Result<StatedJob, Failure> {
    if let Some([model, execution, ..]) = at.calculon.as_deref() {
        let texts = (read_text(Path::new(model))?, read_text(Path::new(execution))?);
        return calculon((model, &texts.0), (execution, &texts.1)).map_err(said);
    }
    if let Some(text) = &at.megatron {
        // A command line begins with an option or holds blanks; a file does neither.
        let words = text.trim_start().starts_with("--") || text.trim().is_empty();
        let text = if words { text.clone() } else { read_text(Path::new(text))? };
        let name = if words { "--megatron" } else { at.megatron.as_deref().unwrap_or_default() };
        return megatron(name, &text).map_err(said);
    }
    match &at.mlperf {
        Some(path) => mlperf(path, &read_text(Path::new(path))?).map_err(said),
        None => Ok(StatedJob::default()),
    }
}

/// A cluster by name or alias, or by path of its TOML file.
fn cluster(library: &Library, name: &str) -> Result<Cluster, Failure> {
    let said = |errors: Vec<tetra_chip::ChipError>| Failure::Input(errors.iter().map(ToString::to_string).collect());
    let path = Path::new(name);
    if name.ends_with(".toml") || path.exists() {
        return Cluster::from_toml(name, &read_text(path)?).map_err(said);
    }
    let mut names = Vec::new();
    for (file, text) in library.under("clusters", ".toml") {
        let found = Cluster::from_toml(file, text).map_err(said)?;
        if found.is_named(name) {
            return Ok(found);
        }
        names.push(file.trim_end_matches(".toml").to_owned());
    }
    Err(Failure::Input(vec![format!("no cluster \"{name}\": give the path of a cluster's TOML file, or one of {}", names.join(", "))]))
}
