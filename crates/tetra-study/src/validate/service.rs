//! Serving benchmarks: `services.toml` holds their names and models, `serving.csv` their lengths and limits.
//!
//! The name of a benchmark selects its published data set and limits as the name of a model selects its configuration.

use std::collections::BTreeMap;

use serde::Deserialize;
use tetra_cluster::serve::Service;
use tetra_quantity::Tables;

/// One benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedService {
    /// Names by which tables know it.
    pub names: Vec<String>,
    /// The model that it serves, by the stem of its configuration.
    pub model: String,
    /// What it asks.
    pub service: Service,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceText {
    names: Vec<String>,
    model: String,
}

/// All serving benchmarks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Services(Vec<NamedService>);

impl Services {
    /// Reads `services.toml` and the rows that belong to it.
    ///
    /// # Errors
    /// Broken text with its cause, or a row that is missing.
    pub fn parse(text: &str, tables: &Tables) -> Result<Self, String> {
        let texts: BTreeMap<String, ServiceText> = toml::from_str(text).map_err(|e| format!("services.toml: {}", e.message()))?;
        let made = texts.into_iter().map(|(key, ServiceText { names, model })| {
            let service = Service::from_tables(tables, &key).map_err(|e| e.to_string())?;
            Ok(NamedService { names, model, service })
        });
        Ok(Self(made.collect::<Result<_, String>>()?))
    }

    /// The benchmark of a name.
    pub fn find(&self, name: &str) -> Option<&NamedService> {
        self.0.iter().find(|s| s.names.iter().any(|n| n == name))
    }
}
