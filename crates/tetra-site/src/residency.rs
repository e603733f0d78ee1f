//! Where data may be processed: a hard filter over sites, before any price.
//!
//! A rule is a list of legal regions or countries (`EU`, `EEA`, `US`, `Canada`); a site passes if one of them is its own. Rules are the user's
//! dated inputs, not legal advice. Leaves out: the operator's nationality, attestation, transfer by contract clauses, derived data.

use crate::error::SiteDataError;
use crate::site::{Site, SiteTable};

/// A rule on where a data set may be processed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Residency {
    /// Regions or countries of which one must hold; none means anywhere.
    pub allowed: Vec<String>,
}

/// A site that a rule excludes, and what it has instead.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Excluded {
    /// Position among the sites screened.
    pub site: usize,
    /// Name of the site.
    pub name: String,
    /// Text of the rule.
    pub rule: String,
    /// Regions and country of the site.
    pub has: String,
}

/// Sites after a filter.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Screened {
    /// Positions of the sites that pass.
    pub kept: Vec<usize>,
    /// Sites that do not.
    pub excluded: Vec<Excluded>,
}

impl Residency {
    /// A rule with no bounds.
    pub fn anywhere() -> Self {
        Self { allowed: Vec::new() }
    }

    /// A rule from the names of regions or countries, checked against all sites known.
    ///
    /// # Errors
    /// Every name that no site carries.
    pub fn parse<S: AsRef<str>>(allowed: &[S], table: &SiteTable) -> Result<Self, Vec<SiteDataError>> {
        let mut known: Vec<&str> = table.sites.iter().flat_map(|s| s.regions.iter().chain([&s.country])).map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for name in allowed.iter().map(AsRef::as_ref) {
            match known.iter().find(|k| k.eq_ignore_ascii_case(name.trim())) {
                Some(k) => found.push((*k).to_owned()),
                None => errors.push(SiteDataError::UnknownRegion { name: name.to_owned(), known: known.join(", ") }),
            }
        }
        if errors.is_empty() { Ok(Self { allowed: found }) } else { Err(errors) }
    }

    /// Whether a site passes.
    pub fn admits(&self, site: &Site) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|a| *a == site.country || site.regions.contains(a))
    }

    /// The rule as text.
    pub fn text(&self) -> String {
        if self.allowed.is_empty() { "anywhere".to_owned() } else { format!("only in {}", self.allowed.join(", ")) }
    }
}

/// Applies a rule to candidate sites.
pub fn screen(rule: &Residency, sites: &[&Site]) -> Screened {
    let mut screened = Screened { kept: Vec::new(), excluded: Vec::new() };
    for (i, site) in sites.iter().enumerate() {
        if rule.admits(site) {
            screened.kept.push(i);
            continue;
        }
        let has = site.regions.iter().chain([&site.country]).cloned().collect::<Vec<_>>().join(", ");
        screened.excluded.push(Excluded { site: i, name: site.name.clone(), rule: rule.text(), has });
    }
    screened
}

impl Screened {
    /// What the rule costs per unit: the cheapest site that passes less the cheapest of all; none when no site passes.
    pub fn premium(&self, cost_by_site: &[f64]) -> Option<f64> {
        let least = |costs: &mut dyn Iterator<Item = f64>| costs.fold(f64::INFINITY, f64::min);
        let kept = least(&mut self.kept.iter().filter_map(|&i| cost_by_site.get(i).copied()));
        let all = least(&mut cost_by_site.iter().copied());
        let premium = kept - all;
        premium.is_finite().then_some(premium)
    }
}
