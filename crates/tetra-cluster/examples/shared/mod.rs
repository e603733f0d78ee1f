//! Files of the repository as the examples read them, from its root.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use tetra_workload::Model;

/// A result of an example.
pub type Outcome<T> = Result<T, Box<dyn Error>>;
/// A line of a table by column.
pub type Record = BTreeMap<String, String>;

/// Files of a folder with an ending, in order: stem and text.
pub fn texts(folder: &str, end: &str) -> Outcome<Vec<(String, String)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if let Some(stem) = name.strip_suffix(end) {
            all.push((stem.to_owned(), fs::read_to_string(&path)?));
        }
    }
    all.sort();
    Ok(all)
}

/// Lines of a table.
pub fn records(path: &str) -> Outcome<Vec<Record>> {
    let mut reader = csv::Reader::from_path(path)?;
    let headers = reader.headers()?.clone();
    let mut all = Vec::new();
    for record in reader.records() {
        let record = record?;
        all.push(headers.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect());
    }
    Ok(all)
}

/// Models by name and alias, in small letters.
pub fn models() -> Outcome<BTreeMap<String, Model>> {
    let mut models = BTreeMap::new();
    for (name, text) in texts("models", ".json")? {
        let model = tetra_workload::hf::read_config(&name, &text).map_err(|e| format!("{name}: {e:?}"))?;
        models.insert(name.to_lowercase(), model);
    }
    for record in records("models/aliases.csv")? {
        if let Some(model) = models.get(&record["model"].to_lowercase()).cloned() {
            models.insert(record["alias"].to_lowercase(), model);
        }
    }
    Ok(models)
}
