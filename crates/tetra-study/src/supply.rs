//! Suppliers and their interruptions as a plan takes them.

use tetra_plan::{CountryShare, Outage, OutageTable, PlanConstants, PlanError, Stage, Supplier, SupplierTable};
use tetra_quantity::Tables;

use crate::rules::STAGES;
use crate::scenario::Happening;
use crate::study::SupplyRules;

/// Suppliers and what the plan knows of the world.
#[derive(Debug, Clone)]
pub struct Supply {
    table: SupplierTable,
    /// Whether suppliers that must be qualified first are out of reach.
    ready_only: bool,
    /// Numbers about no single supplier.
    pub constants: PlanConstants,
    /// Interruptions that a plan is tried against.
    pub outages: Vec<Outage>,
    /// Interruptions that a plan knows of.
    pub foreseen: Vec<Outage>,
}

impl Supply {
    /// Reads suppliers and outages.
    ///
    /// # Errors
    /// Broken texts or missing rows.
    pub fn read(tables: &Tables, suppliers: &str, outages: &str, happening: &Happening) -> Result<Self, PlanError> {
        let constants = PlanConstants::from_tables(tables)?;
        let all = OutageTable::parse(outages, &constants)?.outages;
        let foreseen = all.iter().filter(|(key, _)| happening.outages.contains(key)).map(|o| o.1.clone()).collect();
        Ok(Self {
            table: SupplierTable::parse(suppliers, tables)?,
            ready_only: happening.no_second_source,
            constants,
            outages: all.into_iter().map(|o| o.1).collect(),
            foreseen,
        })
    }

    /// Suppliers for a design on process `node` in a study that starts in `start_year`, as far as its rules allow them.
    pub fn offered(&self, node: &str, start_year: f64, rules: &SupplyRules) -> Vec<Supplier> {
        let mut all = self.table.offered(node, start_year);
        all.retain(|s| !self.ready_only || s.qualification.is_none());
        all.retain(|s| rules.countries.as_ref().is_none_or(|c| c.contains(&s.country)));
        all
    }

    /// The first stage of a design on `node` that too few countries offer for the study's rules.
    pub fn barred(&self, node: &str, start_year: f64, rules: &SupplyRules) -> Option<&'static str> {
        let offered = self.offered(node, start_year, rules);
        let enough = |stage: Stage, word: &str| {
            let mut countries: Vec<&str> = offered.iter().filter(|s| s.stage == stage).map(|s| s.country.as_str()).collect();
            countries.sort_unstable();
            countries.dedup();
            largest_share(rules, word) * countries.len() as f64 >= 1.0
        };
        Stage::ALL.into_iter().zip(STAGES).find(|&(stage, word)| !enough(stage, word)).map(|(stage, _)| stage.unit())
    }

    /// A study's shares of countries as the plan takes them.
    pub fn country_shares(&self, rules: &SupplyRules) -> Vec<CountryShare> {
        let stage = |word: &str| Stage::ALL.into_iter().zip(STAGES).find(|(_, w)| *w == word).map(|(stage, _)| stage);
        rules.largest_share.iter().filter_map(|(word, largest)| Some(CountryShare { stage: stage(word)?, largest: *largest })).collect()
    }

    /// What a study asks of suppliers that no supplier can give: the text in the study, cause and mend.
    pub fn unmet(&self, rules: &SupplyRules) -> Vec<(String, String, String)> {
        let all = self.table.all();
        let listed = |stage: Option<Stage>| -> Vec<&str> {
            let of = all.iter().filter(|s| stage.is_none_or(|stage| s.stage == stage)).map(|s| s.country.as_str());
            let mut countries: Vec<&str> = of.collect();
            countries.sort_unstable();
            countries.dedup();
            countries
        };
        let mut found = Vec::new();
        let named = rules.countries.clone().unwrap_or_default();
        for name in named.iter().filter(|name| !listed(None).contains(&name.as_str())) {
            let mend = format!("countries of data/suppliers.toml are {}", listed(None).join(", "));
            found.push((name.clone(), format!("no supplier lies in \"{name}\""), mend));
        }
        for (stage, word) in Stage::ALL.into_iter().zip(STAGES) {
            let there: Vec<&str> = listed(Some(stage)).into_iter().filter(|c| named.is_empty() || named.iter().any(|n| n == c)).collect();
            let largest = largest_share(rules, word);
            if largest * there.len() as f64 >= 1.0 {
                continue;
            }
            let at = named.first().map_or("largest_share_of_a_country", String::as_str).to_owned();
            let cause = match there.as_slice() {
                [] => format!("no supplier of {} lies in the countries named", stage.unit()),
                some => {
                    format!("the suppliers of {} lie in {}, and each may have {largest} of a year's orders", stage.unit(), some.join(", "))
                }
            };
            found.push((at, cause, format!("countries with such suppliers are {}", listed(Some(stage)).join(", "))));
        }
        found
    }
}

/// Largest share of one country in a stage's orders.
fn largest_share(rules: &SupplyRules, stage: &str) -> f64 {
    rules.largest_share.iter().find(|r| r.0 == stage).map_or(1.0, |r| r.1)
}
