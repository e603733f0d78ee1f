//! Manufacture: from a chip to a package that costs money, takes months, carries carbon and has an export class.
//!
//! No FLOP rates of models, no clusters.

pub mod carbon;
pub mod constants;
mod describe;
pub mod dies;
mod error;
pub mod export;
pub mod harvest;
pub mod interposer;
pub mod nre;
mod package;
pub mod programme;
mod spec;
pub mod yields;

pub use constants::FoundryConstants;
pub use describe::{Description, Figure, describe};
pub use dies::{DieCounts, Wafer, gross_dies};
pub use error::{Fit, Misfit};
pub use export::{Export, ExportClass, classify, export_of, needs_licence};
pub use harvest::sellable;
pub use nre::{Nre, team_per_month};
pub use package::{Package, package, package_of};
pub use programme::{Programme, expected_respins};
pub use spec::{PackageSpec, Volume};
