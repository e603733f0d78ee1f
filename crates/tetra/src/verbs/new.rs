//! `tetra new`: a study that runs as it stands.

use std::fs;

use tetra_workload::hf::read_config;

use super::Answer;
use super::inputs::model;
use crate::cli::New;
use crate::failure::Failure;
use crate::files::{Library, Output, read_text};

const TEMPLATE: &str = include_str!("../../assets/new_study.toml");
const MODEL: &str = "Meta-Llama-3.1-8B";

pub fn answer(library: &Library, at: &New) -> Result<Answer, Failure> {
    if fs::symlink_metadata(&at.name).is_ok() {
        return Err(Failure::input(&at.name, "this exists already", "name a folder that does not"));
    }
    // What is no file may be the name of a built-in model.
    let (file, name) = match at.model.as_deref() {
        Some(path) if !path.exists() && path.extension().is_none_or(|e| e != "json") => (None, path.to_str()),
        file => (file, None),
    };
    let own = file.map(|path| read_text(path).map(|text| (path, text))).transpose()?;
    let model = match &own {
        None => name.map_or_else(|| Ok(MODEL.to_owned()), |name| model(library, name).map(|m| m.name))?,
        Some((path, text)) => {
            let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("model");
            let parent = path.parent().and_then(|p| p.file_name()).and_then(|s| s.to_str());
            let name = if stem == "config" { parent.unwrap_or(stem) } else { stem };
            if !name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)) {
                return Err(Failure::input(path, "the name holds more than letters, digits, dots and dashes", "rename the file"));
            }
            read_config(name, text).map_err(|errors| Failure::all(&path.display().to_string(), errors))?;
            name.to_owned()
        }
    };
    let mut output = Output::into(&at.name)?;
    if let Some((_, text)) = &own {
        output.write(&format!("{model}.json"), text.as_bytes())?;
    }
    output.write("study.toml", TEMPLATE.replace("{{model}}", &model).as_bytes())?;
    output.finish()?;
    let place = at.name.display();
    Answer::new(
        format!("{place}/study.toml is there. Next: tetra run {place}"),
        &serde_json::json!({ "study": place.to_string(), "model": model }),
    )
}
