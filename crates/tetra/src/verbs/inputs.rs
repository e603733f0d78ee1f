//! What most verbs read: tables, chips, models; from the library or from a user's files.

use std::collections::BTreeMap;
use std::path::Path;

use tetra_chip::design::is_point;
use tetra_chip::nest::Machine;
use tetra_chip::{Chip, ChipConstants, ChipError, ChipSet};
use tetra_quantity::{TableText, Tables};
use tetra_study::validate::Bench;
use tetra_workload::{Aliases, ConfigError, DataType, Model, Precision, UNet, hf::read_config, near};

use super::import::{imported, is_architecture, is_foreign, levels, variables};
use crate::failure::Failure;
use crate::files::{Library, Texts, read_text};

/// All number tables of the library.
pub fn tables(library: &Library) -> Result<Tables, Failure> {
    let sources = library.data.get("sources.toml").map(String::as_str).unwrap_or_default();
    let texts: Vec<_> = library.under("", ".csv").map(|(name, text)| TableText { name, text }).collect();
    Tables::parse(&texts, sources).map_err(|errors| Failure::all("data", errors))
}

/// All chips of the library, and those of a user's folder, which take the place of built-in ones of the same name.
pub fn chips(library: &Library, more: &Texts) -> Result<ChipSet, Failure> {
    let own = more.iter().filter(|(name, _)| name.ends_with(".toml")).map(|(n, t)| (n.as_str(), t.as_str()));
    let built_in = ChipSet::parse(library.under("chips", ".toml")).map_err(|errors| Failure::all("chips", errors))?;
    built_in.with(own).map_err(|errors| Failure::all("chips", errors))
}

/// All models of the library, and those of a user's folder, by file stem.
pub fn models(library: &Library, more: &Texts) -> Result<BTreeMap<String, Model>, Failure> {
    let mut out = BTreeMap::new();
    let mut errors = Vec::new();
    for (path, text) in library.models.iter().chain(more).filter(|(name, _)| is_config(name, more)) {
        let name = stem(path);
        match read_model(path, text) {
            Ok(model) => {
                out.insert(name, model);
            }
            Err(failure) => errors.extend(failure.lines()),
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(Failure::Input(errors)) }
}

/// Whether a file is a model's configuration: not so the other files (of its tokenizer, its weights' index) of a folder that holds a config.json.
fn is_config(path: &str, all: &Texts) -> bool {
    let beside = path.rsplit_once('/').map(|(folder, _)| format!("{folder}/config.json"));
    path.ends_with(".json") && beside.is_none_or(|config| path == config || !all.contains_key(&config))
}

fn stem(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".json");
    // A config.json in a folder of its own takes the folder's name, as downloaded.
    let parent = path.rsplit('/').nth(1);
    if file == "config" { parent.unwrap_or(file).to_owned() } else { file.to_owned() }
}

fn aliases(library: &Library) -> Aliases {
    Aliases::parse(library.models.get("aliases.csv").map(String::as_str).unwrap_or_default())
}

/// A model by path of its config.json, by built-in name or by an alias of it.
pub fn model(library: &Library, config: &str) -> Result<Model, Failure> {
    let path = Path::new(config);
    if path.is_dir() {
        return Err(Failure::input(path, "this is a folder", "give the config.json in it"));
    }
    if path.exists() || config.ends_with(".json") {
        return read_model(config, &read_text(path)?);
    }
    let stems: Vec<&str> = library.models.keys().filter_map(|n| n.strip_suffix(".json")).collect();
    let aliases = aliases(library);
    let Some(name) = aliases.find(config, &stems) else {
        let near = near(config, &stems);
        let known = if near.is_empty() { stems } else { near };
        return Err(Failure::Input(vec![format!("no model \"{config}\": give the path of a config.json, or one of {}", known.join(", "))]));
    };
    let text = library.models.get(&format!("{name}.json")).map(String::as_str).unwrap_or_default();
    read_config(name, text).map_err(|errors| Failure::all(name, errors))
}

/// A model from a user's file; its mistakes are placed in that file.
fn read_model(path: &str, text: &str) -> Result<Model, Failure> {
    let placed = |mut e: ConfigError| {
        path.clone_into(&mut e.file);
        e.to_string()
    };
    read_config(&stem(path), text).map_err(|errors| Failure::Input(errors.into_iter().map(placed).collect()))
}

/// A chip by name or alias, or by path of its TOML file.
pub fn chip(library: &Library, name: &str) -> Result<Chip, Failure> {
    let path = Path::new(name);
    if path.is_dir() {
        return Err(Failure::input(path, "this is a folder", "give the TOML file of a chip"));
    }
    if is_foreign(name) {
        return imported(library, name).map(|i| i.chip);
    }
    if name.ends_with(".toml") || path.exists() {
        let text = read_text(path)?;
        if is_point(&text) {
            return super::chip::of_point(name, &text, &tables(library)?).map(|(chip, _)| chip);
        }
        return Chip::from_toml(name, &text).map_err(|errors| Failure::Input(errors.iter().map(ToString::to_string).collect()));
    }
    let set = chips(library, &Texts::new())?;
    if let Some(chip) = set.find(name) {
        return Ok(chip.clone());
    }
    let near = set.near(name);
    let names: Vec<_> = if near.is_empty() { set.iter().map(|c| c.name.as_str()).collect() } else { near };
    Err(Failure::Input(vec![format!("no chip \"{name}\": give the path of a chip's TOML file, or one of {}", names.join(", "))]))
}

/// A machine by path of its TOML file (of its levels, or of a chip), by built-in name, or a chip by name.
pub fn machine(library: &Library, name: &str, set: &[String], bits: Option<u64>) -> Result<Machine, Failure> {
    let said = |errors: Vec<ChipError>| Failure::Input(errors.iter().map(ToString::to_string).collect());
    let path = Path::new(name);
    if is_architecture(name) {
        return levels(library, name, &variables(set)?).map(|i| i.machine);
    }
    if !set.is_empty() {
        return Err(Failure::Input(vec![format!("--set: {name} has no variables; they belong to architectures (YAML)")]));
    }
    if path.is_file() {
        let text = read_text(path)?;
        if Machine::is_machine(&text) {
            return Machine::from_toml(name, &text).map_err(said);
        }
    }
    let file = format!("{}.toml", name.to_lowercase());
    if let Some((_, text)) = library.under("machines", ".toml").find(|(n, _)| *n == file) {
        return Machine::from_toml(&file, text).map_err(said);
    }
    let constants = ChipConstants::from_tables(&tables(library)?).map_err(|e| Failure::all("data", [e]))?;
    Ok(Machine::of_chip(&chip(library, name)?, &constants, bits.unwrap_or(HALF)))
}

/// Bits of the operands of a chip's arrays where an op names no type.
const HALF: u64 = 16;

/// Formats of a run by one word.
pub fn precision(word: &str) -> Result<Precision, Failure> {
    let format = word.parse::<DataType>().map_err(|e| Failure::Input(vec![format!("--precision: {e}")]))?;
    Ok(Precision::uniform(format))
}

/// Everything that a prediction for a published row may look at.
pub fn bench(library: &Library, chips_more: &Texts, models_more: &Texts) -> Result<Bench, Failure> {
    let models = models(library, models_more)?;
    let bench = Bench::new(&tables(library)?, chips(library, chips_more)?, models, aliases(library));
    let text = |name: &str| library.data.get(name).map_or("", String::as_str);
    let named = bench.map_err(|e| Failure::all("data", [e]))?.with_benchmarks(text("benchmarks.toml"), text("services.toml"));
    let mut bench = named.map_err(|e| Failure::Input(vec![e]))?;
    for (name, text) in library.under("diffusion", ".json") {
        let unet = UNet::from_json(name, text).map_err(|e| Failure::Input(vec![e.to_string()]))?;
        bench.unets.insert(stem(name), unet);
    }
    Ok(bench)
}
