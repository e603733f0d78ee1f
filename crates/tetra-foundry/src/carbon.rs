//! Embodied carbon of silicon by ACT (Gupta et al., ISCA 2022, equations 3 to 5).
//!
//! Per area: `(CI_fab·EPA + GPA + MPA) / Y`, here with the whole wafer's area charged to its good dies; `0.15 kg` per packaged part; memory
//! per GB. Gases lie between 95 and 99 % abatement. Left out: transport, board and heat sink, end of life.

use crate::constants::{FoundryConstants, NodeConstants};

/// Carbon of processed silicon in kgCO2e/cm2 before yield.
pub fn silicon_kg_per_cm2(grid_kg_per_kwh: f64, node: &NodeConstants, materials_kg_per_cm2: f64) -> f64 {
    grid_kg_per_kwh * node.energy_kwh_per_cm2 + node.gases_kg_per_cm2 + materials_kg_per_cm2
}

/// What of a package carries carbon; counts are per good unit, losses included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Embodied {
    /// Logic wafers.
    pub wafers: f64,
    /// Interposer wafers.
    pub interposer_wafers: f64,
    /// Memory in GB.
    pub memory_gb: f64,
    /// Carbon of memory, kgCO2e/GB.
    pub memory_kg_per_gb: f64,
    /// Dies and stacks.
    pub parts: f64,
}

/// Carbon of one good unit in kgCO2e.
pub fn unit_kg(e: &Embodied, node: &NodeConstants, k: &FoundryConstants) -> f64 {
    let wafer_cm2 = k.wafer.area_mm2() * 0.01;
    e.wafers * wafer_cm2 * silicon_kg_per_cm2(k.grid_kg_per_kwh, node, k.materials_kg_per_cm2)
        + e.interposer_wafers * wafer_cm2 * k.interposer_kg_per_cm2
        + e.memory_gb * e.memory_kg_per_gb
        + e.parts * k.package_kg_per_part
}
