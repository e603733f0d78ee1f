//! Everything beside the study that an answer is made from: tables, chips, models, sites, grids, given as text and read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tetra_chip::{Chip, ChipConstants, ChipSet};
use tetra_cluster::{ClusterConstants, ServeConstants};
use tetra_foundry::{DieCounts, FoundryConstants};
use tetra_quantity::{DataError, TableText, Tables};
use tetra_site::{Residency, Site, SiteConstants, SiteTable};
use tetra_workload::Model;

use crate::chances::Chances;
use crate::confidential::Confidential;
use crate::grid::Grid;
use crate::market::Market;
use crate::probe::Probe;
use crate::problem::{Problems, StudyError};
use crate::rows::moved;
use crate::scenario::{Happening, Scenario};
use crate::study::Study;
#[cfg(feature = "plan")]
use crate::supply::Supply;
use crate::validate::ModelError;

/// Texts of all inputs.
#[derive(Debug, Clone, Default)]
pub struct InputTexts<'a> {
    /// Tables `data/*.csv`.
    pub tables: Vec<TableText<'a>>,
    /// `data/sources.toml`.
    pub sources: &'a str,
    /// `data/sites.toml`.
    pub sites: &'a str,
    /// `data/grids.toml`.
    pub grids: &'a str,
    /// `data/suppliers.toml`.
    pub suppliers: &'a str,
    /// `data/outages.toml`.
    pub outages: &'a str,
    /// `data/scenarios.toml`.
    pub scenarios: &'a str,
    /// `data/probes.toml`.
    pub probes: &'a str,
    /// `data/chips/*.toml`: name and text.
    pub chips: Vec<(&'a str, &'a str)>,
    /// `models/*.json`: name without ending, and text.
    pub models: Vec<(&'a str, &'a str)>,
}

/// Everything read.
#[derive(Debug)]
pub struct Inputs {
    /// Tables, with the study's overrides.
    pub tables: Tables,
    /// Chips by name and alias.
    pub chips: ChipSet,
    /// Models that the study or a probe names.
    pub models: BTreeMap<String, Model>,
    /// Sites.
    pub sites: SiteTable,
    /// Grid of custom chips that the study names.
    pub grid: Grid,
    /// Constants of the equations.
    pub constants: Constants,
    /// Models beside the study's own on which its chip is tried.
    pub probes: Vec<Probe>,
    /// Text of `suppliers.toml`.
    pub suppliers: String,
    /// Text of `outages.toml`.
    pub outages: String,
    /// Other worlds in which a study is worked out anew.
    pub scenarios: Vec<Scenario>,
    /// What happens to the supply in this one.
    pub happening: Happening,
}

/// Constants of all equations, by the crate that they belong to.
#[derive(Debug)]
pub struct Constants {
    /// Chips.
    pub chip: ChipConstants,
    /// Manufacture.
    pub foundry: FoundryConstants,
    /// Network, training, failures.
    pub cluster: ClusterConstants,
    /// Serving.
    pub serve: ServeConstants,
    /// Machines and sites.
    pub site: SiteConstants,
    /// Prices.
    pub market: Market,
    /// Confidential computing.
    pub confidential: Confidential,
    /// What may happen beside prices.
    pub chances: Chances,
    /// Model error.
    pub error: ModelError,
    /// Gross dies already counted.
    pub dies: Arc<DieCounts>,
}

/// Broken input, or a row that is missing.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum InputError {
    /// Mistakes in the study or a grid, with places.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Study(#[from] Box<StudyError>),
    /// Mistakes in tables, chips, models or sites.
    #[error("{} of the data cannot be used:\n{}", if .0.len() == 1 { "1 line".to_owned() } else { format!("{} lines", .0.len()) }, .0.join("\n"))]
    Data(Vec<String>),
}

impl InputError {
    /// One line per mistake.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Study(e) => e.lines(),
            Self::Data(lines) => lines.clone(),
        }
    }
}

impl From<DataError> for InputError {
    fn from(e: DataError) -> Self {
        Self::Data(vec![e.to_string()])
    }
}

impl Constants {
    /// Reads the constants of every crate.
    ///
    /// # Errors
    /// A row that is missing or has a wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        Ok(Self {
            chip: ChipConstants::from_tables(t)?,
            foundry: FoundryConstants::from_tables(t)?,
            cluster: ClusterConstants::from_tables(t)?,
            serve: ServeConstants::from_tables(t)?,
            site: SiteConstants::from_tables(t)?,
            market: Market::from_tables(t)?,
            confidential: Confidential::from_tables(t)?,
            chances: Chances::from_tables(t)?,
            error: ModelError::from_tables(t)?,
            dies: Arc::new(DieCounts::new()),
        })
    }
}

fn lines<E: std::fmt::Display>(errors: Vec<E>) -> InputError {
    InputError::Data(errors.iter().map(ToString::to_string).collect())
}

impl Inputs {
    /// Reads everything that `study`, read from `text`, needs.
    ///
    /// # Errors
    /// All mistakes of the first kind of input that has any, and every name of the study that nothing carries.
    pub fn read(file: &str, text: &str, study: &Study, texts: &InputTexts<'_>) -> Result<Self, InputError> {
        let mut tables = Tables::parse(&texts.tables, texts.sources).map_err(lines)?;
        let mut problems = Problems::default();
        for (key, value) in &study.overrides {
            if let Err(e) = tables.override_row(key, *value) {
                let (cause, mend) = match e {
                    DataError::MissingRow { near, .. } => (
                        format!("no row \"{key}\" in the data tables{}", near.replace(',', ".")),
                        "`tetra data` lists all rows, as item.parameter",
                    ),
                    other => (other.to_string(), "correct the value, or remove the line"),
                };
                problems.add(place_of(text, key), cause, mend);
            }
        }
        let constants = Constants::from_tables(&tables)?;
        let chips = ChipSet::parse(texts.chips.iter().copied()).map_err(lines)?;
        let sites = SiteTable::parse(texts.sites, &tables, &constants.site, study.frame.currency_year).map_err(lines)?;
        let grid = Grid::read("grids.toml", texts.grids, &study.search).unwrap_or_else(|e| {
            let mend = "correct it there, or the [search] of the study";
            e.lines().into_iter().for_each(|line| problems.add(place_of(text, &study.search.grid), line, mend));
            Grid::default()
        });
        let probes = Probe::read_all("probes.toml", texts.probes).map_err(|e| InputError::Data(e.lines()))?;
        let mut models = read_models(text, study, &texts.models, &mut problems);
        add_probed(&mut models, &probes, &texts.models);
        let scenarios = Scenario::read_all(texts.scenarios, &tables, texts.outages).map_err(InputError::Data)?;
        let (suppliers, outages, happening) = (texts.suppliers.to_owned(), texts.outages.to_owned(), Happening::default());
        let inputs = Self { tables, chips, models, sites, grid, constants, probes, suppliers, outages, scenarios, happening };
        #[cfg(feature = "plan")]
        {
            let supply = inputs.supply().map_err(|e| InputError::Data(vec![e.to_string()]))?;
            let unmet = supply.unmet(&study.supply).into_iter();
            unmet.for_each(|(at, cause, mend)| problems.add(place_of(text, &at), cause, mend));
        }
        inputs.check_names(text, study, &mut problems);
        if problems.0.is_empty() { Ok(inputs) } else { Err(Box::new(StudyError::new(file, text, problems.0)).into()) }
    }

    /// The inputs of a scenario's world.
    ///
    /// # Errors
    /// A number that a row cannot hold.
    pub fn in_scenario(&self, scenario: &Scenario) -> Result<Self, String> {
        let tables = scenario.tables(&self.tables, self.constants.market.successor_change_per_year())?;
        let mut constants = Constants::from_tables(&tables).map_err(|e| e.to_string())?;
        constants.dies = self.constants.dies.clone();
        Ok(self.in_world(tables, constants, scenario.happening()))
    }

    /// Suppliers and outages of this world.
    ///
    /// # Errors
    /// Broken texts or missing rows.
    #[cfg(feature = "plan")]
    pub fn supply(&self) -> Result<Supply, tetra_plan::PlanError> {
        Supply::read(&self.tables, &self.suppliers, &self.outages, &self.happening)
    }

    /// The same chips, models and sites where rows, and what is made from them, lie elsewhere.
    pub fn in_world(&self, tables: Tables, constants: Constants, happening: Happening) -> Self {
        let at = |site: &Site| moved(site, &self.tables, &tables);
        let sites = SiteTable { sites: self.sites.sites.iter().map(at).collect(), ..self.sites.clone() };
        Self {
            sites,
            tables,
            constants,
            happening,
            chips: self.chips.clone(),
            models: self.models.clone(),
            grid: self.grid.clone(),
            probes: self.probes.clone(),
            suppliers: self.suppliers.clone(),
            outages: self.outages.clone(),
            scenarios: Vec::new(),
        }
    }

    fn check_names(&self, text: &str, study: &Study, problems: &mut Problems) {
        for site in &study.sites {
            if let Err(e) = self.sites.find(&site.name) {
                problems.add(place_of(text, &site.name), e.to_string(), "name a site of data/sites.toml");
            }
        }
        let candidates: Vec<&Site> = study.sites.iter().filter_map(|s| self.sites.find(&s.name).ok()).collect();
        for service in &study.services {
            let Some(region) = &service.process_in else { continue };
            let known = Residency::parse(&[region], &self.sites);
            let mend = "name a region or country that at least one candidate site has";
            match known {
                Err(errors) => errors.iter().for_each(|e| problems.add(place_of(text, region), e.to_string(), mend)),
                Ok(rule) if !candidates.iter().any(|s| rule.admits(s)) => {
                    problems.add(place_of(text, region), format!("no candidate site lies in \"{region}\""), mend);
                }
                Ok(_) => {}
            }
        }
        for name in &study.buy {
            match self.chips.find(name) {
                None => problems.add(place_of(text, name), format!("no chip \"{name}\""), "name a file of data/chips"),
                Some(chip) if self.price_of(chip).is_none() => {
                    problems.add(place_of(text, name), format!("no price of \"{name}\""), "add a row price_server to data/market.csv");
                }
                Some(_) => {}
            }
        }
    }

    /// Price of a chip on sale and what it holds, under any of the chip's names.
    pub fn price_of(&self, chip: &Chip) -> Option<(tetra_quantity::Usd, tetra_site::PriceBasis)> {
        self.price_in(chip, &self.constants.market)
    }

    /// The same in another market.
    pub fn price_in(&self, chip: &Chip, market: &Market) -> Option<(tetra_quantity::Usd, tetra_site::PriceBasis)> {
        market.prices.iter().find(|(name, _)| self.is_named(chip, name)).map(|(_, price)| *price)
    }

    /// Whether two names are of one chip.
    pub fn same_chip(&self, one: &str, other: &str) -> bool {
        self.chips.find(one).is_some_and(|chip| self.is_named(chip, other))
    }

    /// Rent of a chip on sale, dollars per second.
    pub fn rent_of(&self, chip: &Chip) -> Option<f64> {
        self.constants.market.rents.iter().find(|(name, _)| self.is_named(chip, name)).map(|(_, rent)| rent.value())
    }

    fn is_named(&self, chip: &Chip, name: &str) -> bool {
        self.chips.find(name).is_some_and(|c| c.name == chip.name)
    }
}

fn read_models(text: &str, study: &Study, files: &[(&str, &str)], problems: &mut Problems) -> BTreeMap<String, Model> {
    let wanted = study.services.iter().map(|s| &s.model).chain(study.trainings.iter().map(|t| &t.model));
    let mut models = BTreeMap::new();
    for name in wanted {
        if models.contains_key(name) {
            continue;
        }
        let Some((_, json)) = files.iter().find(|(n, _)| n == name) else {
            let known: Vec<&str> = files.iter().map(|f| f.0).collect();
            problems.add(place_of(text, name), format!("no model \"{name}\""), format!("models are {}", known.join(", ")));
            continue;
        };
        match tetra_workload::hf::read_config(name, json) {
            Ok(model) => drop(models.insert(name.clone(), model)),
            Err(errors) => errors.into_iter().for_each(|mut e| {
                e.file = format!("{name}.json");
                problems.add(place_of(text, name), e.to_string(), "correct the model's config.json");
            }),
        }
    }
    models
}

/// Models of probes; one that is not at hand is not tried.
fn add_probed(models: &mut BTreeMap<String, Model>, probes: &[Probe], files: &[(&str, &str)]) {
    for probe in probes {
        let file = files.iter().find(|(n, _)| *n == probe.model && !models.contains_key(*n));
        if let Some(model) = file.and_then(|(name, json)| tetra_workload::hf::read_config(name, json).ok()) {
            models.insert(probe.model.clone(), model);
        }
    }
}

/// Where a name first stands in quotes in the text of the study, or else without.
fn place_of(text: &str, name: &str) -> std::ops::Range<usize> {
    let quoted = format!("\"{name}\"");
    let found = |wanted: &str| text.find(wanted).map(|at| at..at + wanted.len());
    found(&quoted).or_else(|| found(name)).unwrap_or(0..0)
}
