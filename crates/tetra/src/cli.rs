//! The command line: verbs and flags, in the words of the field.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Most chips of a job or degree of parallelism.
const MOST_CHIPS: u64 = 10_000_000;
/// Most sequences or positions: far beyond any machine.
const MOST: u64 = 16_777_216;
/// Most units of a programme.
const MOST_UNITS: u64 = 1_000_000_000;
/// Most threads.
const MOST_THREADS: u64 = 256;

/// Years of production.
const FIRST_YEAR: u64 = 2015;
const LAST_YEAR: u64 = 2100;

/// A whole number from 1 to `most`.
fn count(most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    within(1, most)
}

fn within(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text: &str| {
        let found = text.trim().parse::<u64>().ok().filter(|n| (least..=most).contains(n));
        found.ok_or_else(|| format!("write a whole number from {least} to {most}"))
    }
}

/// A number of tokens: `15e12`, `300000000000`.
fn tokens(text: &str) -> Result<f64, String> {
    let found = text.trim().parse::<f64>().ok().filter(|t| (1.0..=1e18).contains(t));
    found.ok_or_else(|| "write a number of tokens from 1 to 1e18".to_owned())
}

/// Designs an AI compute stack end to end and says whether it beats buying GPUs.
#[derive(Debug, Parser)]
#[command(name = "tetra", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Flags of every verb.
    #[command(flatten)]
    pub all: All,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub struct All {
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// Use the tables of this folder instead of the built-in ones.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Threads to use; the answer does not depend on it.
    #[arg(long, global = true, value_name = "N", value_parser = count(MOST_THREADS), allow_negative_numbers = true)]
    pub threads: Option<u64>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a study that runs as it stands.
    New(New),
    /// Read and check a study; print what it asks.
    Check(StudyAt),
    /// A model's parameters, FLOP and KV cache from its config.json.
    Model(ModelAt),
    /// Ops of a model on a chip: time, energy, utilisation, bound by.
    Chip(ChipAt),
    /// The best mapping of one op on a machine, proved best: loop nest, buffers, what bounds it.
    Map(Box<MapAt>),
    /// A training step, its breakdown and its memory.
    Train(Box<Train>),
    /// Steady-state serving: TTFT, TPOT, tokens/s, its breakdown and its memory.
    Serve(Box<Serve>),
    /// What a chip costs to make, and when it can be had.
    Foundry(FoundryAt),
    /// Check, search, plan, compare and report: the main job.
    Run(StudyAt),
    /// Search the study's grid of chips; print the Pareto front.
    Search(StudyAt),
    /// Plan the supply of the study's best chips.
    Plan(StudyAt),
    /// Build against buying each GPU.
    Compare(StudyAt),
    /// Write the report of a study again.
    Report(StudyAt),
    /// Where a number comes from, down to rows and sources.
    Explain(Explain),
    /// Published measurements against predictions.
    Validate(Validate),
    /// Rows of the data tables: values, ranges, sources.
    Data(DataAt),
}

/// A study to make.
#[derive(Debug, Args)]
pub struct New {
    /// Folder to make.
    pub name: PathBuf,
    /// Model to serve: a config.json, or the name of a built-in one.
    #[arg(long, value_name = "CONFIG")]
    pub model: Option<PathBuf>,
}

/// A study to work on.
#[derive(Debug, Args)]
pub struct StudyAt {
    /// Folder that holds study.toml.
    #[arg(default_value = ".")]
    pub study: PathBuf,
}

/// A model.
#[derive(Debug, Args)]
pub struct ModelAt {
    /// A config.json, or the name of a built-in one.
    pub config: String,
    /// Number format of weights and activations.
    #[arg(long, default_value = "bf16")]
    pub precision: String,
}

/// An op to be mapped.
#[derive(Debug, Args)]
pub struct MapAt {
    /// The op: gemm:MxNxK, gemm:BxMxNxK, conv:k=64,c=64,p=56,q=56,r=3,s=3, attention:heads=32,q=2048,kv=2048,d=128,causal, mlp:MxKxFxN,
    /// elementwise:RxC, reduce:RxC, gather:RxC or scatter:RxC; a type may follow, as in gemm:64x64x64:fp16.
    #[arg(
        long,
        value_name = "OP",
        required_unless_present = "check",
        default_value_if("check", clap::builder::ArgPredicate::IsPresent, "")
    )]
    pub op: String,
    /// A machine's or chip's TOML file, an architecture (YAML), a hardware description (JSON), or the name of a built-in one.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "check",
        default_value_if("check", clap::builder::ArgPredicate::IsPresent, "")
    )]
    pub chip: String,
    /// Value of a variable of an architecture (AccelForge or Timeloop, YAML).
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// What is to be least.
    #[arg(long, default_value = "edp", value_parser = ["time", "energy", "edp", "pareto"])]
    pub objective: String,
    /// ideal (perfect overlap, single buffers) or real.
    #[arg(long, default_value = "real", value_parser = ["ideal", "real"])]
    pub mode: String,
    /// Write the certificate of the mapping.
    #[arg(long, value_name = "OUT.json")]
    pub certificate: Option<PathBuf>,
    /// Check a certificate, or the list of a pair's or a front's, instead: by code that the mapper does not share.
    #[arg(long, value_name = "CERTIFICATE.json", conflicts_with_all = ["op", "chip", "certificate", "set"])]
    pub check: Option<PathBuf>,
}

/// A chip at work on a model.
#[derive(Debug, Args)]
pub struct ChipAt {
    /// Name or alias of a chip, the TOML file of a chip or of a point of the template, a hardware description of LLMCompass (JSON), or with
    /// --point a study's folder.
    pub chip: String,
    /// Take chip ID of the study's grid.
    #[arg(long, value_name = "ID")]
    pub point: Option<usize>,
    /// A config.json, or the name of a built-in one; without it the chip itself is shown.
    #[arg(long)]
    pub model: Option<String>,
    /// train, prefill or decode.
    #[arg(long, default_value = "decode", value_parser = ["train", "prefill", "decode"])]
    pub phase: String,
    /// Sequences in the step.
    #[arg(long, default_value_t = 1, value_parser = count(MOST), allow_negative_numbers = true)]
    pub batch: u64,
    /// Positions in the cache (decode) or in the prompt (prefill, train).
    #[arg(long, default_value_t = 2048, value_parser = count(MOST), allow_negative_numbers = true)]
    pub context: u64,
    /// Chips over which each layer is split.
    #[arg(long, default_value_t = 1, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub tp: u64,
    /// Number format of weights and activations.
    #[arg(long, default_value = "bf16")]
    pub precision: String,
    /// Value of a variable of an architecture (AccelForge or Timeloop, YAML).
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Write the chip's file, or the machine's (AccelForge or Timeloop YAML); of another tool's file with notes of what was not carried over.
    #[arg(long, value_name = "CHIP.toml")]
    pub out: Option<PathBuf>,
    /// Write the design description of a chip of the template, as TOML or JSON: every block with formulas, sources and areas.
    #[arg(long, value_name = "OUT.toml")]
    pub design: Option<PathBuf>,
    /// Draw the chip's floor plan, to scale, into this file.
    #[arg(long, value_name = "OUT.svg")]
    pub floorplan: Option<PathBuf>,
}

/// A chip to make.
#[derive(Debug, Args)]
pub struct FoundryAt {
    /// Name or alias of a chip, or a chip's TOML file.
    pub chip: String,
    /// Units over which the programme is spread.
    #[arg(long, default_value_t = 500_000, value_parser = count(MOST_UNITS), allow_negative_numbers = true)]
    pub units: u64,
    /// Year of production.
    #[arg(long, default_value_t = 2028, value_parser = within(FIRST_YEAR, LAST_YEAR), allow_negative_numbers = true)]
    pub year: u64,
}

/// A training step; flags left out are searched.
#[derive(Debug, Args)]
pub struct Train {
    /// A config.json, or the name of a built-in model.
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    pub config: Option<String>,
    /// The same as a flag.
    #[arg(long)]
    pub model: Option<String>,
    /// Name or alias of a chip, or a chip's TOML file.
    #[arg(long)]
    pub chip: Option<String>,
    /// Name of a cluster, or a cluster's TOML file; its chip is taken unless --chip names another.
    #[arg(long, value_name = "FILE")]
    pub cluster: Option<String>,
    /// Arguments of Megatron-LM: a script that holds them, or the arguments themselves.
    #[arg(long, value_name = "FILE|ARGS", allow_hyphen_values = true, conflicts_with = "mlperf")]
    pub megatron: Option<String>,
    /// A configuration of an MLPerf submission (config_*.sh).
    #[arg(long, value_name = "FILE")]
    pub mlperf: Option<String>,
    /// Files of Calculon: model, execution and, for memory and links, system.
    #[arg(long, num_args = 2..=3, value_names = ["MODEL", "EXECUTION", "SYSTEM"], conflicts_with_all = ["mlperf", "megatron"])]
    pub calculon: Option<Vec<String>>,
    /// Chips.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub n: Option<u64>,
    /// Tensor parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub tp: Option<u64>,
    /// Pipeline parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub pp: Option<u64>,
    /// Data parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub dp: Option<u64>,
    /// Context parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub cp: Option<u64>,
    /// Expert parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub ep: Option<u64>,
    /// Virtual pipeline stages per chip.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub vpp: Option<u64>,
    /// Sequences per microbatch.
    #[arg(long, value_parser = count(MOST), allow_negative_numbers = true)]
    pub micro_batch: Option<u64>,
    /// Sequences per step.
    #[arg(long, value_parser = count(MOST), allow_negative_numbers = true)]
    pub global_batch: Option<u64>,
    /// Positions per sequence.
    #[arg(long, value_parser = count(MOST), allow_negative_numbers = true)]
    pub seq: Option<u64>,
    /// Activation recompute: none, selective, full, or a number of layers per stage.
    #[arg(long)]
    pub recompute: Option<String>,
    /// Sequence parallel.
    #[arg(long)]
    pub sp: Option<bool>,
    /// Split of state over replicas: none, optimizer (ZeRO-1), gradients (ZeRO-2) or full (ZeRO-3, FSDP).
    #[arg(long)]
    pub sharding: Option<String>,
    /// Order of microbatches: 1f1b (interleaved with --vpp), zb-h1, zb-h2, zb-v or dualpipe.
    #[arg(long)]
    pub schedule: Option<String>,
    /// What lies in host memory: none, or weights+activations+optimizer.
    #[arg(long)]
    pub offload: Option<String>,
    /// Number format; bf16 where nothing states one.
    #[arg(long)]
    pub precision: Option<String>,
    /// Training library, or its TOML file: megatron-core (today's), megatron-2021, megatron-2022, megatron-deepspeed, fsdp-2023, torchtitan or maxtext.
    #[arg(long, value_name = "FILE")]
    pub framework: Option<String>,
    /// Search every plan, also over sharding, schedules and off-loading; the best is exact.
    #[arg(long)]
    pub search: bool,
    /// The Pareto front of time against memory.
    #[arg(long)]
    pub front: bool,
    /// Why not this plan: knobs that differ from the plan found, for example "tp=8,pp=16".
    #[arg(long, value_name = "KNOBS")]
    pub why_not: Option<String>,
    /// Draw the schedule of the step, one row per stage, into this file.
    #[arg(long, value_name = "OUT.svg")]
    pub picture: Option<PathBuf>,
    /// A whole run of so many tokens, with failures and checkpoints.
    #[arg(long, value_parser = tokens, allow_negative_numbers = true)]
    pub tokens: Option<f64>,
}

/// Steady-state serving; flags left out are searched.
#[derive(Debug, Args)]
pub struct Serve {
    /// A config.json, or the name of a built-in one.
    #[arg(long)]
    pub model: String,
    /// Name or alias of a chip, or a chip's TOML file.
    #[arg(long)]
    pub chip: String,
    /// Tensor parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub tp: Option<u64>,
    /// Pipeline parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub pp: Option<u64>,
    /// Expert parallel.
    #[arg(long, value_parser = count(MOST_CHIPS), allow_negative_numbers = true)]
    pub ep: Option<u64>,
    /// Sequences decoded together.
    #[arg(long, value_parser = count(MOST), allow_negative_numbers = true)]
    pub batch: Option<u64>,
    /// Prompt tokens.
    #[arg(long, default_value_t = 2048, value_parser = count(MOST), allow_negative_numbers = true)]
    pub input: u64,
    /// Output tokens.
    #[arg(long, default_value_t = 512, value_parser = count(MOST), allow_negative_numbers = true)]
    pub output: u64,
    /// Longest time to first token, for example "2 s".
    #[arg(long, allow_hyphen_values = true)]
    pub ttft: Option<String>,
    /// Longest time per output token, for example "30 ms".
    #[arg(long, allow_hyphen_values = true)]
    pub tpot: Option<String>,
    /// Number format.
    #[arg(long, default_value = "fp8")]
    pub precision: String,
}

/// A number to explain.
#[derive(Debug, Args)]
pub struct Explain {
    /// Key of the number, for example usd_per_million_output_tokens; without it all keys are listed.
    pub key: Option<String>,
    /// Folder that holds study.toml.
    #[arg(long, default_value = ".")]
    pub study: PathBuf,
    /// Option whose number is explained, unless the key names one; without it Build, or the cheapest where none is built.
    #[arg(long)]
    pub option: Option<String>,
}

/// Tables to validate on.
#[derive(Debug, Args)]
pub struct Validate {
    /// Tables; without any, the public tables of the project.
    pub tables: Vec<PathBuf>,
    /// More chips, as TOML files in a folder; they take the place of built-in ones of the same name.
    #[arg(long, value_name = "DIR")]
    pub chips: Option<PathBuf>,
    /// More models, as config.json files (NAME.json or NAME/config.json) in a folder.
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Write every row with its prediction.
    #[arg(long, value_name = "OUT.csv")]
    pub rows: Option<PathBuf>,
}

/// Rows of the tables.
#[derive(Debug, Args)]
pub struct DataAt {
    /// An item, or part of its name; without it all items are listed.
    pub item: Option<String>,
    /// Only constants fitted to measurements.
    #[arg(long)]
    pub fitted: bool,
}
