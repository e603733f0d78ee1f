//! What the foundry can say of any chip, also of one that is bought and whose die is not published: the export class always, the package where
//! it can be made, and else the reason.

use serde::Serialize;
use tetra_chip::Chip;
use tetra_chip::area::Area;

use crate::constants::FoundryConstants;
use crate::dies::DieCounts;
use crate::error::Fit;
use crate::export::{Export, export_of};
use crate::package::{Package, package_of};
use crate::spec::Volume;

/// A chip as the foundry sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Name.
    pub chip: String,
    /// Process node.
    pub node: String,
    /// Logic dies.
    pub dies: u64,
    /// Width and height of a die in mm; none when not known.
    pub die_mm: Option<(f64, f64)>,
    /// Export class.
    pub export: Export,
    /// The package, where it can be made.
    pub package: Option<Package>,
    /// Why it cannot be made, and what relieves it.
    pub misfit: Option<String>,
}

/// Describes a chip with its breakdown of area, made in some volume.
pub fn describe(chip: &Chip, area: &Area, volume: &Volume, k: &FoundryConstants, counts: &DieCounts) -> Description {
    let made: Fit<Package> = package_of(chip, area, volume, k, counts);
    let (width, height) = (chip.silicon.die_width.value() * 1e3, chip.silicon.die_height.value() * 1e3);
    let misfit = made.as_ref().err().map(ToString::to_string);
    Description {
        chip: chip.name.clone(),
        node: chip.silicon.node.clone(),
        dies: chip.silicon.dies,
        die_mm: (width > 0.0 && height > 0.0).then_some((width, height)),
        export: export_of(chip, &k.export),
        package: made.ok(),
        misfit,
    }
}

/// A figure of a description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// What it belongs to.
    pub group: &'static str,
    /// Name.
    pub name: &'static str,
    /// Value in `unit`; none when not known.
    pub value: Option<f64>,
    /// Unit.
    pub unit: &'static str,
}

impl Description {
    /// All figures in the order of making; a group's last line is its sum where it has one.
    pub fn figures(&self) -> Vec<Figure> {
        let mut out = Vec::new();
        if let Some(p) = &self.package {
            let mut add = |group, name, value: f64, unit| out.push(Figure { group, name, value: Some(value), unit });
            add("wafer", "gross dies", p.gross_dies as f64, "per wafer");
            add("wafer", "defect density", p.defects_per_cm2, "/cm2");
            add("wafer", "dies without a defect", p.perfect_yield * 1e2, "%");
            add("wafer", "sellable dies", p.sellable_yield * 1e2, "%");
            add("wafer", "packages that pass", p.package_yield * 1e2, "%");
            for &(name, usd) in &p.waterfall {
                add("cost of a unit", name, usd.value(), "USD");
            }
            add("cost of a unit", "tested package", p.unit_cost.value(), "USD");
            add("cost of a unit", "module", p.module_cost.value(), "USD");
            add("cost of a unit", "package and module without margin", p.manufacturing_cost.value(), "USD");
            add("cost of a unit", "NRE at this volume", p.nre_per_unit.value(), "USD");
            for &(name, usd) in &p.nre.parts {
                add("NRE", name, usd.value() / 1e6, "MUSD");
            }
            add("NRE", "total", p.nre.total.value() / 1e6, "MUSD");
            for &(name, months) in &p.programme.stages {
                add("programme", name, months, "months");
            }
            add("programme", "start to volume", p.programme.months_to_volume, "months");
            add("used by a unit", "logic wafers", p.wafers_per_unit, "wafers");
            add("used by a unit", "interposer", p.interposer_mm2, "mm2");
            add("used by a unit", "interposer wafers", p.packaging_wafers_per_unit, "wafers");
            add("used by a unit", "memory stacks", p.hbm_stacks, "stacks");
            add("used by a unit", "embodied carbon", p.kg_co2e.value(), "kgCO2e");
        }
        out.push(Figure { group: "export", name: "TPP", value: Some(self.export.tpp), unit: "" });
        out.push(Figure { group: "export", name: "performance density", value: self.export.performance_density, unit: "/mm2" });
        out
    }
}
