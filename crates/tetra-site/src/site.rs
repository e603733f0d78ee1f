//! Places: electricity price, grid carbon, climate, construction price, months until ready, jurisdiction.
//!
//! `sites.toml` names sites, regions and where a missing number may be taken from; `sites.csv` holds the numbers. A number is looked up under
//! the site's own item, then under each of its fallbacks in order; what no row fills makes the site refused, by name with what is missing.
//! Construction prices rise from their year to the currency year. Electricity: an industrial price in dollars, else one in the local currency
//! times its rate, else wholesale plus a fee for grid and levies. Leaves out: hourly prices, demand charges (inside industrial prices),
//! power purchase agreements, taxes on profit.

use std::collections::BTreeMap;

use tetra_quantity::{Celsius, DataError, KWH_J, KgPerJoule, Tables, UsdPerJoule, UsdPerWatt, Watts, toml_cause};

use crate::constants::SiteConstants;
use crate::cooling::WetBulb;
use crate::error::SiteDataError;

/// Whether halls are built or leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenure {
    /// Built and owned.
    Build,
    /// Rented by the kilowatt and month.
    Lease,
}

/// A place with everything that a price needs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Site {
    /// Item of its rows in the tables.
    pub key: String,
    /// Name.
    pub name: String,
    /// Country.
    pub country: String,
    /// Legal regions that it belongs to, for example `EU`.
    pub regions: Vec<String>,
    /// Country groups of the United States' export rules that it is in, for example `D:4`.
    pub export_groups: Vec<String>,
    /// Laws that hold there.
    pub jurisdiction: String,
    /// Electricity, all charges included.
    pub electricity: UsdPerJoule,
    /// Carbon of the grid.
    pub carbon: KgPerJoule,
    /// Wet bulb.
    pub wet_bulb: WetBulb,
    /// Price of a new hall per watt of IT power, in the currency year.
    pub construction: UsdPerWatt,
    /// Months to build.
    pub build_months: f64,
    /// Months until a new grid connection.
    pub grid_months: f64,
    /// Most power that the grid gives, where limited.
    pub cap: Option<Watts>,
    /// Parameters that came from a fallback, and from which item.
    pub fallbacks: Vec<(String, String)>,
}

impl Site {
    /// Months until the first rack runs: building and grid proceed together, a site with power needs only the building, a leased hall stands.
    pub fn months_until_ready(&self, tenure: Tenure, has_power: bool, c: &SiteConstants) -> f64 {
        match tenure {
            Tenure::Lease => c.cost.lease_months,
            Tenure::Build if has_power => self.build_months,
            Tenure::Build => self.build_months.max(self.grid_months),
        }
    }

    /// Chips that the site's power carries when each takes `facility` watts from the grid; none when unlimited.
    pub fn chips_that_fit(&self, facility: Watts) -> Option<u64> {
        self.cap.map(|cap| (cap / facility.max(Watts(1.0))).floor().clamp(0.0, 1e12) as u64)
    }
}

/// A site whose numbers do not suffice.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// Item of its rows.
    pub key: String,
    /// Name.
    pub name: String,
    /// Parameters that neither its rows nor a fallback give.
    pub missing: Vec<String>,
}

/// All sites, those that can be priced and those that cannot.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SiteTable {
    /// Complete sites, by key.
    pub sites: Vec<Site>,
    /// Sites that lack numbers.
    pub refused: Vec<Refused>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    country: String,
    jurisdiction: String,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    export_groups: Vec<String>,
    #[serde(default)]
    fallbacks: Vec<String>,
}

impl SiteTable {
    /// Reads the list of sites and their numbers; `currency_year` is the year whose dollars are wanted.
    ///
    /// # Errors
    /// A list that is not TOML of the right form, or rows with wrong units: all of them.
    pub fn parse(sites_toml: &str, tables: &Tables, constants: &SiteConstants, currency_year: u16) -> Result<Self, Vec<SiteDataError>> {
        let listed: BTreeMap<String, Listed> =
            toml::from_str(sites_toml).map_err(|e| vec![SiteDataError::BadToml { cause: toml_cause(sites_toml, &e) }])?;
        let mut table = Self { sites: Vec::new(), refused: Vec::new() };
        let mut errors = Vec::new();
        for (key, listed) in listed {
            let name = listed.name.clone();
            let mut reader =
                Reader { tables, key: &key, fallbacks: &listed.fallbacks, missing: Vec::new(), used: Vec::new(), errors: Vec::new() };
            let site = reader.site(&listed, constants, currency_year);
            errors.append(&mut reader.errors);
            match site {
                Some(site) => table.sites.push(site),
                None => table.refused.push(Refused { missing: std::mem::take(&mut reader.missing), key, name }),
            }
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// A site by key or name, without regard to case.
    ///
    /// # Errors
    /// A name that no site has, or a site that lacks numbers.
    pub fn find(&self, name: &str) -> Result<&Site, SiteDataError> {
        let wanted = plain(name);
        if let Some(site) = self.sites.iter().find(|s| matches(&wanted, &s.key, &s.name)) {
            return Ok(site);
        }
        if let Some(r) = self.refused.iter().find(|r| matches(&wanted, &r.key, &r.name)) {
            return Err(SiteDataError::Incomplete { name: r.name.clone(), key: r.key.clone(), missing: r.missing.join(", ") });
        }
        let mut near: Vec<(usize, &str)> = self.sites.iter().map(|s| (shared_start(&wanted, &plain(&s.name)), s.name.as_str())).collect();
        near.sort_by_key(|n| std::cmp::Reverse(n.0));
        let near = near.iter().take(3).map(|n| format!("\"{}\"", n.1)).collect::<Vec<_>>().join(", ");
        Err(SiteDataError::UnknownSite { name: name.to_owned(), near })
    }
}

/// Letters and digits in lower case.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The key without its prefix, the whole name, or the name up to a bracket or slash.
fn matches(wanted: &str, key: &str, name: &str) -> bool {
    let short = name.split(['(', '/']).next().unwrap_or(name);
    !wanted.is_empty() && [key, key.split_once('_').map_or(key, |k| k.1), name, short].iter().any(|t| plain(t) == wanted)
}

fn shared_start(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count()
}

/// Looks up one site's rows, and notes what is missing.
struct Reader<'a> {
    tables: &'a Tables,
    key: &'a str,
    fallbacks: &'a [String],
    missing: Vec<String>,
    used: Vec<(String, String)>,
    errors: Vec<SiteDataError>,
}

impl Reader<'_> {
    /// The first item among the site and its fallbacks that has the row; fallbacks are noted.
    fn item(&mut self, parameter: &str) -> Option<String> {
        if self.tables.row(self.key, parameter).is_ok() {
            return Some(self.key.to_owned());
        }
        let found = self.fallbacks.iter().find(|f| self.tables.row(f, parameter).is_ok())?.clone();
        self.used.push((parameter.to_owned(), found.clone()));
        Some(found)
    }

    fn keep<T>(&mut self, result: Result<T, DataError>) -> Option<T> {
        result.map_err(|e| self.errors.push(e.into())).ok()
    }

    fn optional<T>(&mut self, parameter: &str, read: impl Fn(&Tables, &str, &str) -> Result<T, DataError>) -> Option<T> {
        let item = self.item(parameter)?;
        let value = read(self.tables, &item, parameter);
        self.keep(value)
    }

    fn needed<T>(&mut self, parameter: &str, read: impl Fn(&Tables, &str, &str) -> Result<T, DataError>) -> Option<T> {
        let value = self.optional(parameter, read);
        if value.is_none() {
            self.missing.push(parameter.to_owned());
        }
        value
    }

    fn site(&mut self, listed: &Listed, constants: &SiteConstants, currency_year: u16) -> Option<Site> {
        let electricity = self.electricity();
        let carbon = self.needed("grid_carbon", |t, i, p| t.quantity::<KgPerJoule>(i, p));
        let wet_bulb = self.wet_bulb();
        let construction = self.construction(constants.cost.construction_rise, currency_year);
        let build_months = self.needed("build_lead_time", months);
        let grid_months = self.needed("grid_wait", months);
        let cap = self.optional("power_cap", |t, i, p| t.quantity::<Watts>(i, p));
        Some(Site {
            key: self.key.to_owned(),
            name: listed.name.clone(),
            country: listed.country.clone(),
            regions: listed.regions.clone(),
            export_groups: listed.export_groups.clone(),
            jurisdiction: listed.jurisdiction.clone(),
            electricity: electricity?,
            carbon: carbon?,
            wet_bulb: wet_bulb?,
            construction: construction?,
            build_months: build_months?,
            grid_months: grid_months?,
            cap,
            fallbacks: std::mem::take(&mut self.used),
        })
    }

    fn electricity(&mut self) -> Option<UsdPerJoule> {
        if self.tables.row(self.key, "electricity_price").is_ok() {
            return self.needed("electricity_price", |t, i, p| t.quantity(i, p));
        }
        if self.tables.row(self.key, "electricity_price_eur").is_ok() {
            let euros = self.needed("electricity_price_eur", |t, i, p| t.number(i, p, "EUR/kWh"))?;
            let rate = self.tables.number("currency", "usd_per_eur", "USD/EUR");
            return Some(UsdPerJoule(euros * self.keep(rate)? / KWH_J));
        }
        if self.tables.row(self.key, "wholesale_price").is_ok() {
            let wholesale = self.needed("wholesale_price", |t, i, p| t.quantity::<UsdPerJoule>(i, p))?;
            let fee = self.needed("grid_fee", |t, i, p| t.quantity::<UsdPerJoule>(i, p))?;
            return Some(wholesale + fee);
        }
        self.needed("electricity_price", |t, i, p| t.quantity(i, p))
    }

    fn wet_bulb(&mut self) -> Option<WetBulb> {
        /// Hours of the years that the counts come from, leap days left out.
        const HOURS: f64 = 24.0 * 365.0;
        let mean = self.needed("wet_bulb_mean", |t, i, p| t.quantity::<Celsius>(i, p));
        let design = self.needed("wet_bulb_design", |t, i, p| t.quantity::<Celsius>(i, p));
        let hours = self.optional("hours_below_threshold", |t, i, p| t.number(i, p, "h/year"));
        let threshold = self.tables.quantity::<Celsius>("climate", "wet_bulb_threshold");
        let threshold = self.keep(threshold)?;
        let quantile = self.tables.number("climate", "design_quantile", "1");
        let design_quantile = self.keep(quantile)?;
        Some(WetBulb { mean: mean?, design: design?, below_threshold: hours.map(|h| h / HOURS), threshold, design_quantile })
    }

    fn construction(&mut self, rise: f64, currency_year: u16) -> Option<UsdPerWatt> {
        let item = self.item("construction_price");
        let Some(item) = item else {
            self.missing.push("construction_price".to_owned());
            return None;
        };
        let price = self.tables.quantity::<UsdPerWatt>(&item, "construction_price");
        let price = self.keep(price)?;
        let year = self.tables.row(&item, "construction_price").ok().and_then(|r| r.year).unwrap_or(currency_year);
        Some(price * (1.0 + rise).powi(i32::from(currency_year) - i32::from(year)))
    }
}

fn months(t: &Tables, item: &str, parameter: &str) -> Result<f64, DataError> {
    t.number(item, parameter, "months")
}
