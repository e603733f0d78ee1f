//! One-time costs of a programme.
//!
//! Design: a headline cost of the node (for `reference_mm2` of unique circuits) without its software share, of which a fixed share stays
//! and the rest grows with the unique area: one core and part of what is not cores. Masks: `M·(1 + q/(1-q)·r)` with q the
//! probability that a tape-out needs another and r the share of masks replaced. Software: people × years. A design partner adds a
//! margin to design, licences and masks. In the months of the usual slip the team of design and software goes on being paid:
//! `(design + software) / months of work · months of slip`. Left out: reuse across products, the value of delay.

use serde::Serialize;
use tetra_quantity::Usd;

use crate::constants::{NodeConstants, NreConstants};
use crate::programme::{Programme, expected_respins};
use crate::spec::PackageSpec;

/// One-time costs by part; the parts sum to the total.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nre {
    /// Sum of the parts.
    pub total: Usd,
    /// Parts by name.
    pub parts: Vec<(&'static str, Usd)>,
}

/// Cost of a month of the team that does work of `usd` in the months of the programme's stages.
pub fn team_per_month(usd: f64, programme: &Programme) -> f64 {
    usd / programme.work_months.max(1.0)
}

/// One-time costs of a package made of one kind of logic die.
pub fn nre(spec: &PackageSpec, node: &NodeConstants, wafer_price: f64, programme: &Programme, k: &NreConstants) -> Nre {
    let unique_mm2 = spec.core_mm2 + k.uncore_unique_share * spec.uncore_mm2;
    let growth = k.fixed_share + (1.0 - k.fixed_share) * unique_mm2 / k.reference_mm2;
    let design = node.design * (1.0 - k.software_share) * growth;
    let licences = k.link_licence + if spec.memory_gb > 0.0 { k.memory_licence } else { 0.0 };
    let respins = expected_respins(k.respin_probability);
    let (masks, remasks) = (node.mask_set, node.mask_set * respins * k.respin_mask_share);
    let wafers = k.engineering_wafers * wafer_price * (1.0 + respins);
    let software = k.software_people * k.software_years * k.person_year;
    let partner = k.partner_margin * (design + licences + masks + remasks);
    let parts: Vec<(&'static str, Usd)> = [
        ("design", design),
        ("licences", licences),
        ("masks", masks),
        ("expected respins", remasks),
        ("engineering wafers", wafers),
        ("package and test development", k.package_design),
        ("software", software),
        ("team in the slip", team_per_month(design + software, programme) * programme.slip_months),
        ("partner margin", partner),
    ]
    .map(|(name, usd)| (name, Usd(usd)))
    .into();
    Nre { total: parts.iter().map(|p| p.1).sum(), parts }
}
