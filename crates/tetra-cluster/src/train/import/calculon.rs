//! Calculon's three JSON files (Isaev et al., SC 2023): a model of blocks, an execution, and of a system what says how large the memory and how fast the links are.
//!
//! Its efficiency curves and its rules for overlap are not taken: ops are timed on a chip of ours. Its models have no embedding and no head, and so has the model made here
//! (a vocabulary of one entry). Keys that bear on time or memory and are not carried over are named.

use tetra_chip::Chip;
use tetra_chip::import::{Node, Value, read_tree};
use tetra_quantity::{Bytes, BytesPerSecond};
use tetra_workload::{Attention, DataType, DenseShape, Model};

use super::{ImportError, StatedJob, short};
use crate::train::layout::{Offload, Recompute, StateSharding};

/// Widest, deepest, most.
const WIDTH: u64 = 1 << 24;
const LAYERS: u64 = 1 << 12;
/// Largest rate and size that is believed, in the units of the file.
const LARGEST: f64 = 1e9;
/// Bytes of a GiB.
const GIB: f64 = (1u64 << 30) as f64;

/// What a system file says that a chip file also says.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct CalculonSystem {
    /// Memory of a processor.
    pub memory: Option<Bytes>,
    /// First network: rate of a processor in one direction, and processors that it joins.
    pub scale_up: Option<(BytesPerSecond, u64)>,
    /// Second network.
    pub scale_out: Option<BytesPerSecond>,
    /// What was not carried over.
    pub notes: Vec<String>,
}

impl CalculonSystem {
    /// A chip with the system's memory and links.
    pub fn on(&self, chip: &Chip) -> Chip {
        let mut chip = chip.clone();
        chip.memory.hbm = self.memory.unwrap_or(chip.memory.hbm);
        if let Some((rate, domain)) = self.scale_up {
            (chip.links.scale_up, chip.links.scale_up_domain) = (rate, domain);
        }
        chip.links.scale_out = self.scale_out.unwrap_or(chip.links.scale_out);
        chip
    }
}

/// One object and the keys of it that were read.
struct Object<'a> {
    file: &'a str,
    root: &'a Node,
    read: Vec<&'static str>,
}

impl<'a> Object<'a> {
    fn mistake(&self, key: &str, cause: String, mend: &str) -> ImportError {
        let line = self.root.get(key).map_or(self.root.line, |n| n.line);
        ImportError { file: self.file.to_owned(), line, cause, mend: mend.to_owned() }
    }

    fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.read.push(key);
        self.root.get(key)?.text().filter(|t| !t.is_empty() && *t != "null")
    }

    fn count(&mut self, key: &'static str, most: u64) -> Result<u64, ImportError> {
        let text = self.text(key).unwrap_or_default().to_owned();
        let found = text.parse().ok().filter(|n| (1..=most).contains(n));
        let mend = format!("write a whole number from 1 to {most}");
        found.ok_or_else(|| self.mistake(key, format!("\"{key}\" is \"{}\"", short(&text)), &mend))
    }

    fn flag(&mut self, key: &'static str) -> Result<bool, ImportError> {
        match self.text(key) {
            None => Ok(false),
            Some(text) => {
                let found = text.to_ascii_lowercase().parse().ok();
                found.ok_or_else(|| self.mistake(key, format!("\"{key}\" is \"{}\"", short(text)), "write true or false"))
            }
        }
    }

    /// A number above 0, where the key is there.
    fn number(&mut self, key: &'static str) -> Result<Option<f64>, ImportError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let found = text.parse::<f64>().ok().filter(|x| x.is_finite() && *x > 0.0 && *x <= LARGEST);
        found.map(Some).ok_or_else(|| self.mistake(key, format!("\"{key}\" is \"{}\"", short(text)), "write a number above 0"))
    }

    /// Keys that were not read.
    fn rest(&self, notes: &mut Vec<String>) {
        if let Value::Map(entries) = &self.root.value {
            for (key, _) in entries.iter().filter(|(k, _)| !self.read.contains(&k.as_str())) {
                notes.push(format!("\"{}\" of {} is not carried over", short(key), short(self.file)));
            }
        }
    }
}

fn tree(file: &str, text: &str) -> Result<Node, ImportError> {
    read_tree(file, text).map_err(|e| ImportError { file: e.file, line: e.line, cause: e.cause, mend: e.mend })
}

/// Reads a model and an execution, each a file's name and text.
///
/// # Errors
/// The first mistake: place, cause, mend.
pub fn calculon(model: (&str, &str), execution: (&str, &str)) -> Result<StatedJob, ImportError> {
    let (made, mut job) = (tree(model.0, model.1)?, StatedJob::default());
    let mut object = Object { file: model.0, root: &made, read: Vec::new() };
    let sequence = object.count("seq_size", WIDTH)?;
    job.model = Some(blocks(&mut object, sequence)?);
    job.sequence = Some(sequence);
    object.text("name");
    object.rest(&mut job.notes);
    let run = tree(execution.0, execution.1)?;
    let mut object = Object { file: execution.0, root: &run, read: Vec::new() };
    executed(&mut object, &mut job)?;
    object.rest(&mut job.notes);
    job.notes.push("models of Calculon have no embedding and no head: none is priced".into());
    Ok(job)
}

fn blocks(o: &mut Object<'_>, sequence: u64) -> Result<Model, ImportError> {
    let (hidden, heads) = (o.count("hidden", WIDTH)?, o.count("attn_heads", WIDTH)?);
    let width = o.count("attn_size", WIDTH)?;
    let ffn = o.count("feedforward", WIDTH)?;
    let layers = o.count("num_blocks", LAYERS)?;
    let shape = DenseShape { layers, hidden, heads, kv_heads: heads, ffn, vocabulary: 1, learned_positions: 0, llama: false };
    let mut model = shape.model("of Calculon's blocks");
    model.max_context = sequence;
    for layer in &mut model.layers {
        if let Attention::Grouped { head_dim, .. } = &mut layer.attention {
            *head_dim = width;
        }
    }
    Ok(model)
}

fn executed(o: &mut Object<'_>, job: &mut StatedJob) -> Result<(), ImportError> {
    job.chips = Some(o.count("num_procs", WIDTH)?);
    let s = &mut job.stated;
    s.tensor_parallel = Some(o.count("tensor_par", WIDTH)?);
    s.pipeline_parallel = Some(o.count("pipeline_par", WIDTH)?);
    s.data_parallel = Some(o.count("data_par", WIDTH)?);
    (s.context_parallel, s.expert_parallel) = (Some(1), Some(1));
    s.micro_batch = Some(o.count("microbatch_size", WIDTH)?);
    s.virtual_stages = Some(o.count("pipeline_interleaving", LAYERS)?);
    job.global_batch = Some(o.count("batch_size", WIDTH)?);
    let word = o.text("activation_recompute").unwrap_or("none");
    s.recompute = Some(match word {
        "none" => Recompute::None,
        "attn_only" => Recompute::Selective,
        "full" => Recompute::Full,
        other => {
            let cause = format!("\"activation_recompute\" is \"{}\"", short(other));
            return Err(o.mistake("activation_recompute", cause, "write none, attn_only or full"));
        }
    });
    s.sharding = Some(if o.flag("optimizer_sharding")? { StateSharding::Optimizer } else { StateSharding::None });
    s.sequence_parallel = Some(o.text("tensor_par_comm_type").is_some_and(|t| t.contains("rs_ag")));
    s.offload = Some(Offload {
        weights: o.flag("weight_offload")?,
        activations: o.flag("activations_offload")?,
        optimizer: o.flag("optimizer_offload")?,
    });
    job.format = Some(format(o)?);
    if o.text("training").is_some_and(|t| t.eq_ignore_ascii_case("false")) {
        return Err(o.mistake("training", "the execution is one of inference".into(), "give an execution with \"training\": true"));
    }
    match o.text("attention_type") {
        None | Some("multihead") => {}
        Some(other) => job.notes.push(format!("attention \"{}\" is priced as multihead", short(other))),
    }
    Ok(())
}

fn format(o: &mut Object<'_>) -> Result<DataType, ImportError> {
    match o.text("datatype").unwrap_or_default() {
        "float8" => Ok(DataType::Fp8),
        "float16" => Ok(DataType::Fp16),
        "bfloat16" => Ok(DataType::Bf16),
        "float32" => Ok(DataType::Fp32),
        other => {
            let cause = format!("\"datatype\" is \"{}\"", short(other));
            Err(o.mistake("datatype", cause, "write float8, float16, bfloat16 or float32"))
        }
    }
}

/// Reads a system.
///
/// # Errors
/// The first mistake: place, cause, mend.
pub fn calculon_system(file: &str, text: &str) -> Result<CalculonSystem, ImportError> {
    let root = tree(file, text)?;
    let mut system = CalculonSystem::default();
    if let Some(memory) = root.get("mem1") {
        system.memory = Object { file, root: memory, read: Vec::new() }.number("GiB")?.map(|g| Bytes(g * GIB));
    }
    let networks = root.get("networks").map(Node::items).unwrap_or_default();
    for (i, network) in networks.iter().enumerate() {
        let mut object = Object { file, root: network, read: Vec::new() };
        let rate = object.number("bandwidth")?.map(|g| BytesPerSecond(g * 1e9));
        match (i, rate) {
            (0, Some(rate)) => system.scale_up = Some((rate, object.count("size", WIDTH)?)),
            (1, Some(rate)) => system.scale_out = Some(rate),
            (_, Some(_)) => system.notes.push(format!("network {} of {} is not carried over", i + 1, short(file))),
            (_, None) => return Err(object.mistake("bandwidth", "a network has no \"bandwidth\"".into(), "add it, in GB/s")),
        }
    }
    let named = "rates and efficiency curves of arrays, vectors, memory and networks";
    system.notes.push(format!("{named} of {} are not taken: ops are timed on the chip named", short(file)));
    Ok(system)
}
