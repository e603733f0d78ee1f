//! What can be wrong with the data of sites, and reasons for which a machine does not fit a rack, a loop or a network.

use tetra_quantity::{Celsius, DataError, Watts};

use crate::cooling::Cooling;

/// A value or the reason why there is none.
pub type Fit<T> = Result<T, Misfit>;

/// Why a machine does not fit; each text names the knob that relieves it.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error, serde::Serialize)]
pub enum Misfit {
    /// One server draws more than a rack may.
    #[error(
        "one server draws {server}, a rack with {cooling} cooling carries {limit}: lower chips_per_server or the power cap, or cool by liquid"
    )]
    ServerExceedsRack {
        /// Power of a server at peak.
        server: Watts,
        /// Most that a rack carries.
        limit: Watts,
        /// How it is cooled.
        cooling: Cooling,
    },
    /// A package gives off more heat than the heat sink or cold plate takes.
    #[error("a chip of {chip} is too hot for {cooling} cooling, which takes {limit} per package: cool by liquid or lower the power cap")]
    PackageTooHot {
        /// Power of the package.
        chip: Watts,
        /// Most that can be removed.
        limit: Watts,
        /// How it is cooled.
        cooling: Cooling,
    },
    /// The junction would run hotter than silicon may.
    #[error(
        "the junction reaches {junction}, silicon holds {limit}: lower the power cap, the coolant temperature or the thermal resistance"
    )]
    JunctionTooHot {
        /// Junction temperature at peak power.
        junction: Celsius,
        /// Highest allowed.
        limit: Celsius,
    },
    /// More ports than a three-tier fat tree joins.
    #[error("{ports} network ports per rail, a three-tier fat tree joins {most}: lower the cluster's chips or the scale-out bandwidth")]
    ClusterTooLarge {
        /// Ports asked for in one rail.
        ports: u64,
        /// Most that three tiers join.
        most: u64,
    },
    /// An input that is not a usable number.
    #[error("{what} is not a usable number: give a finite value in its range")]
    BadInput {
        /// Name of the input.
        what: &'static str,
    },
}

/// Broken or incomplete data of sites.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SiteDataError {
    /// The list of sites cannot be read.
    #[error("sites.toml:{cause}: correct the TOML; a site has name, country and jurisdiction")]
    BadToml {
        /// What is wrong, with its place.
        cause: String,
    },
    /// A row of the tables cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No site has this name.
    #[error("no site \"{name}\": the nearest names are {near}")]
    UnknownSite {
        /// Name asked for.
        name: String,
        /// Names that exist.
        near: String,
    },
    /// A site lacks numbers that no fallback fills.
    #[error("site \"{name}\" lacks {missing}: add these rows to data/sites.csv under \"{key}\"")]
    Incomplete {
        /// Name of the site.
        name: String,
        /// Item in the tables.
        key: String,
        /// Parameters that are missing.
        missing: String,
    },
    /// A residency rule names a place that no site carries.
    #[error("no region or country \"{name}\": write one of {known}")]
    UnknownRegion {
        /// Name asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
}
