//! Constants of manufacture, read from the rows of `data/foundry.csv`.
//!
//! Prices by year are points of a line, each in the middle of its year: between two they are interpolated, outside they are held.

use tetra_quantity::{DAY_S, DataError, Seconds, Tables, UsdPerSecond};

use crate::dies::Wafer;
use crate::harvest::Clustering;
use crate::yields::Learning;

/// A value by year.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ByYear(Vec<(f64, f64)>);

impl ByYear {
    /// From points; years need not be sorted.
    pub fn new(mut points: Vec<(f64, f64)>) -> Self {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(points)
    }

    /// The value in a year, interpolated, held outside.
    pub fn at(&self, year: f64) -> f64 {
        let after = self.0.partition_point(|p| p.0 <= year);
        match (after.checked_sub(1).and_then(|i| self.0.get(i)), self.0.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (year - a.0) / (b.0 - a.0),
            (Some(a), None) | (None, Some(a)) => a.1,
            (None, None) => f64::NAN,
        }
    }

    fn read(tables: &Tables, item: &str, prefix: &str, unit: &str) -> Result<Self, DataError> {
        let mut points = Vec::new();
        for row in tables.item(item) {
            if let Some(year) = row.parameter.strip_prefix(prefix).and_then(|y| y.parse::<u16>().ok()) {
                points.push((f64::from(year) + 0.5, tables.number(item, &row.parameter, unit)?));
            }
        }
        if points.is_empty() {
            // Names the row that is missing.
            tables.number(item, &format!("{prefix}2025"), unit)?;
        }
        Ok(Self::new(points))
    }
}

/// A process node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConstants {
    /// Name, for example `N4`.
    pub name: String,
    /// Price of a wafer in USD by year.
    pub wafer_price: ByYear,
    /// Defect density over time.
    pub learning: Learning,
    /// One full mask set, USD.
    pub mask_set: f64,
    /// Headline cost of designing the reference area of unique circuits, software included, USD.
    pub design: f64,
    /// Weeks from wafer start to wafer out.
    pub fab_weeks: f64,
    /// Weeks of physical design.
    pub physical_design_weeks: f64,
    /// Electricity of the fab per area, kWh/cm2.
    pub energy_kwh_per_cm2: f64,
    /// Process gases per area, kgCO2e/cm2.
    pub gases_kg_per_cm2: f64,
}

/// A memory kind.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryConstants {
    /// Name, for example `HBM3E`.
    pub name: String,
    /// Price in USD per GB by year.
    pub price_per_gb: ByYear,
    /// Whether stacks stand on the interposer.
    pub stacked: bool,
    /// Width of one stack (away from the die), mm.
    pub width_mm: f64,
    /// Height of one stack (along the die's edge), mm.
    pub height_mm: f64,
    /// Year in which it is made in volume.
    pub volume_year: f64,
    /// Embodied carbon, kgCO2e per GB.
    pub kg_per_gb: f64,
}

/// A package kind.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageKind {
    /// Name, for example `CoWoS-S`.
    pub name: String,
    /// Whether dies stand on an interposer.
    pub interposer: bool,
    /// One processed interposer wafer with the work of placing dies on it, USD.
    pub wafer_price: f64,
    /// Defects per cm2 of the interposer.
    pub defects_per_cm2: f64,
    /// Largest interposer, mm2.
    pub limit_mm2: f64,
}

/// Yields and prices of assembly and test.
#[derive(Debug, Clone, PartialEq)]
pub struct AssemblyConstants {
    /// Cluster parameter of interposer defects.
    pub interposer_alpha: f64,
    /// Yield of bonding one logic die.
    pub die_bond_yield: f64,
    /// Yield of bonding one memory stack, hidden faults of the stack included.
    pub stack_bond_yield: f64,
    /// Yield of mounting on the substrate.
    pub substrate_yield: f64,
    /// Gap between neighbours on the interposer, mm.
    pub gap_mm: f64,
    /// Margin around all of them, mm.
    pub margin_mm: f64,
    /// Substrate area per area of what stands on it.
    pub substrate_ratio: f64,
    /// Substrate price, USD/cm2.
    pub substrate_usd_per_cm2: f64,
    /// Placing and bonding one part, USD.
    pub bond_usd: f64,
    /// Wafer probe, USD/s.
    pub probe_usd_per_s: f64,
    /// Wafer probe, s/mm2.
    pub probe_s_per_mm2: f64,
    /// Share of faults that probe finds.
    pub probe_coverage: f64,
    /// Final and system-level test, USD/s.
    pub final_usd_per_s: f64,
    /// Final and system-level test, s/mm2 of logic.
    pub final_s_per_mm2: f64,
    /// Module board, connectors, lid and assembly, USD.
    pub module_usd: f64,
    /// Power stages on the module, USD/W.
    pub module_usd_per_w: f64,
    /// What a design partner adds to all but memory, as a share.
    pub partner_unit_margin: f64,
}

/// One-time costs.
#[derive(Debug, Clone, PartialEq)]
pub struct NreConstants {
    /// Area of unique circuits to which design costs refer, mm2.
    pub reference_mm2: f64,
    /// Share of a headline design cost that is software.
    pub software_share: f64,
    /// Share of hardware design cost that does not depend on the area.
    pub fixed_share: f64,
    /// Share of what is not cores that is unique.
    pub uncore_unique_share: f64,
    /// Licences of memory interface, USD.
    pub memory_licence: f64,
    /// Licences of chip-to-chip and host links and the rest, USD.
    pub link_licence: f64,
    /// Probability that a tape-out needs another one.
    pub respin_probability: f64,
    /// Share of a mask set that a respin replaces.
    pub respin_mask_share: f64,
    /// Share of fab time that a respin takes.
    pub respin_fab_share: f64,
    /// Engineering wafers.
    pub engineering_wafers: f64,
    /// Package design, substrate tooling and test hardware, USD.
    pub package_design: f64,
    /// People of the software team.
    pub software_people: f64,
    /// Years of that team.
    pub software_years: f64,
    /// Cost of one person for a year, USD.
    pub person_year: f64,
    /// What a design partner adds to design, licences and masks, as a share.
    pub partner_margin: f64,
}

/// Weeks of the programme's stages.
#[derive(Debug, Clone, PartialEq)]
pub struct StageConstants {
    /// Architecture.
    pub architecture: f64,
    /// RTL and verification.
    pub rtl: f64,
    /// Share of physical design done beside RTL.
    pub physical_design_overlap: f64,
    /// Cycle time of first lots over that of volume lots.
    pub hot_lot: f64,
    /// From tape-out to masks.
    pub masks: f64,
    /// Assembly and test of first units.
    pub assembly: f64,
    /// Bring-up of first silicon.
    pub bring_up: f64,
    /// Qualification.
    pub qualification: f64,
    /// By how much programmes usually end later than their stages add up to; never negative.
    pub slip: f64,
    /// More of physical design and assembly for each further die.
    pub extra_die: f64,
    /// Time after a node or memory begins volume before others may count on it.
    pub node_ready: f64,
}

/// Thresholds of one export rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportRule {
    /// TPP at which a chip is in class .a whatever its density.
    pub tpp_high: f64,
    /// TPP from which density counts.
    pub tpp_low: f64,
    /// Density for .a from `tpp_low`.
    pub density_high: f64,
    /// TPP from which class .b begins at `density_low`.
    pub tpp_middle: f64,
    /// Density for .b from `tpp_middle`.
    pub density_low: f64,
    /// Density for .b from `tpp_low`.
    pub density_middle: f64,
}

/// All constants of this crate.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundryConstants {
    /// Process nodes.
    pub nodes: Vec<NodeConstants>,
    /// Memory kinds.
    pub memories: Vec<MemoryConstants>,
    /// Package kinds.
    pub packages: Vec<PackageKind>,
    /// Logic wafer.
    pub wafer: Wafer,
    /// Quadrature over the clustering of defects on logic wafers.
    pub clustering: Clustering,
    /// Share of a die outside the cores where no breakdown is given.
    pub uncore_share: f64,
    /// Share of the area outside the cores in which a defect kills the die; the rest is memory with spare rows, fill and pads.
    pub uncore_critical_share: f64,
    /// Sizes of dies are rounded up to this, mm.
    pub die_step_mm: f64,
    /// Assembly and test.
    pub assembly: AssemblyConstants,
    /// One-time costs.
    pub nre: NreConstants,
    /// Programme.
    pub stages: StageConstants,
    /// Carbon intensity of the fab's electricity, kgCO2e/kWh.
    pub grid_kg_per_kwh: f64,
    /// Materials of a wafer, kgCO2e/cm2.
    pub materials_kg_per_cm2: f64,
    /// Packaging, kgCO2e per die or stack in the package.
    pub package_kg_per_part: f64,
    /// Carbon of an interposer wafer, kgCO2e/cm2.
    pub interposer_kg_per_cm2: f64,
    /// The rule of October 2023.
    pub export: ExportRule,
}

impl FoundryConstants {
    /// Reads all rows.
    ///
    /// # Errors
    /// The first missing row or wrong unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        Ok(Self {
            nodes: named(t, "mask_set").into_iter().map(|n| node(t, n)).collect::<Result<_, _>>()?,
            memories: named(t, "stacked").into_iter().map(|n| memory(t, n)).collect::<Result<_, _>>()?,
            packages: named(t, "interposer").into_iter().map(|n| package_kind(t, n)).collect::<Result<_, _>>()?,
            wafer: wafer(t)?,
            clustering: Clustering::new(t.number("wafer", "cluster_alpha", "1")?),
            uncore_share: share(t, "die", "uncore_share")?,
            uncore_critical_share: share(t, "die", "uncore_critical_share")?,
            die_step_mm: t.number("die", "size_step", "mm")?,
            assembly: assembly(t)?,
            nre: nre(t)?,
            stages: stages(t)?,
            grid_kg_per_kwh: t.number("fab_carbon", "grid_intensity", "kgCO2e/kWh")?,
            materials_kg_per_cm2: t.number("fab_carbon", "materials", "kgCO2e/cm2")?,
            package_kg_per_part: t.number("fab_carbon", "package_per_part", "kgCO2e")?,
            interposer_kg_per_cm2: t.number("fab_carbon", "interposer_silicon", "kgCO2e/cm2")?,
            export: export_rule(t)?,
        })
    }

    /// A node by name, without regard to case.
    pub fn node(&self, name: &str) -> Option<&NodeConstants> {
        self.nodes.iter().find(|n| same(&n.name, name))
    }

    /// A memory kind by name, without regard to case, spaces and hyphens.
    pub fn memory(&self, name: &str) -> Option<&MemoryConstants> {
        self.memories.iter().find(|m| same(&m.name, name))
    }

    /// A package kind by name, without regard to case, spaces and hyphens.
    pub fn package(&self, name: &str) -> Option<&PackageKind> {
        self.packages.iter().find(|p| same(&p.name, name))
    }
}

fn same(a: &str, b: &str) -> bool {
    plain(a).eq(plain(b))
}

fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase())
}

/// A share, also where a draw falls outside what shares can be.
fn share(t: &Tables, item: &str, parameter: &str) -> Result<f64, DataError> {
    Ok(t.number(item, parameter, "1")?.clamp(0.0, 1.0))
}

/// Items that have a row of this parameter, in the order of the tables.
fn named<'a>(t: &'a Tables, parameter: &str) -> Vec<&'a str> {
    t.rows().iter().filter(|r| r.parameter == parameter).map(|r| r.item.as_str()).collect()
}

fn node(t: &Tables, name: &str) -> Result<NodeConstants, DataError> {
    let n = |parameter: &str, unit: &str| t.number(name, parameter, unit);
    let abated = n("gases_95", "kgCO2e/cm2")?;
    Ok(NodeConstants {
        name: name.into(),
        wafer_price: ByYear::read(t, name, "wafer_price_", "USD")?,
        learning: Learning {
            start_per_cm2: n("defects_start", "1/cm2")?,
            floor_per_cm2: n("defects_floor", "1/cm2")?,
            years: n("learning_time", "years")?,
            volume_year: n("volume_year", "year")?,
        },
        mask_set: n("mask_set", "USD")?,
        design: n("design_cost", "USD")?,
        fab_weeks: n("fab_time", "weeks")?,
        physical_design_weeks: n("physical_design", "weeks")?,
        energy_kwh_per_cm2: n("fab_energy", "kWh/cm2")?,
        gases_kg_per_cm2: abated + (n("gases_99", "kgCO2e/cm2")? - abated) * share(t, "fab_carbon", "abatement_place")?,
    })
}

fn memory(t: &Tables, name: &str) -> Result<MemoryConstants, DataError> {
    let n = |parameter: &str, unit: &str| t.number(name, parameter, unit);
    Ok(MemoryConstants {
        name: name.into(),
        price_per_gb: ByYear::read(t, name, "price_", "USD/GB")?,
        stacked: n("stacked", "1")? > 0.0,
        width_mm: n("stack_width", "mm")?,
        height_mm: n("stack_height", "mm")?,
        volume_year: n("volume_year", "year")?,
        kg_per_gb: n("carbon", "kgCO2e/GB")?,
    })
}

fn package_kind(t: &Tables, name: &str) -> Result<PackageKind, DataError> {
    let n = |parameter: &str, unit: &str| t.number(name, parameter, unit);
    Ok(PackageKind {
        name: name.into(),
        interposer: n("interposer", "1")? > 0.0,
        wafer_price: n("interposer_wafer_price", "USD")?,
        defects_per_cm2: n("interposer_defects", "1/cm2")?,
        limit_mm2: n("interposer_limit", "mm2")?,
    })
}

fn wafer(t: &Tables) -> Result<Wafer, DataError> {
    let n = |parameter: &str| t.number("wafer", parameter, "mm");
    Ok(Wafer {
        diameter_mm: n("diameter")?,
        edge_mm: n("edge_exclusion")?,
        scribe_mm: n("scribe")?,
        field_width_mm: n("field_width")?,
        field_height_mm: n("field_height")?,
    })
}

fn assembly(t: &Tables) -> Result<AssemblyConstants, DataError> {
    let n = |parameter: &str, unit: &str| t.number("assembly", parameter, unit);
    let m = |parameter: &str, unit: &str| t.number("chip_test", parameter, unit);
    Ok(AssemblyConstants {
        interposer_alpha: n("interposer_alpha", "1")?,
        die_bond_yield: share(t, "assembly", "die_bond_yield")?,
        stack_bond_yield: share(t, "assembly", "stack_bond_yield")?,
        substrate_yield: share(t, "assembly", "substrate_yield")?,
        gap_mm: n("gap", "mm")?,
        margin_mm: n("margin", "mm")?,
        substrate_ratio: n("substrate_ratio", "1")?,
        substrate_usd_per_cm2: n("substrate_price", "USD/cm2")?,
        bond_usd: n("bond_price", "USD")?,
        probe_usd_per_s: t.quantity::<UsdPerSecond>("chip_test", "probe_price")?.value(),
        probe_s_per_mm2: m("probe_time", "s/mm2")?,
        probe_coverage: share(t, "chip_test", "probe_coverage")?,
        final_usd_per_s: t.quantity::<UsdPerSecond>("chip_test", "final_price")?.value(),
        final_s_per_mm2: m("final_time", "s/mm2")?,
        module_usd: n("module_price", "USD")?,
        module_usd_per_w: n("module_power_price", "USD/W")?,
        partner_unit_margin: t.number("partner", "unit_margin", "1")?,
    })
}

fn nre(t: &Tables) -> Result<NreConstants, DataError> {
    let n = |parameter: &str, unit: &str| t.number("nre", parameter, unit);
    Ok(NreConstants {
        reference_mm2: n("reference_area", "mm2")?,
        software_share: share(t, "nre", "software_share")?,
        fixed_share: share(t, "nre", "fixed_share")?,
        uncore_unique_share: share(t, "nre", "uncore_unique_share")?,
        memory_licence: n("memory_licence", "USD")?,
        link_licence: n("link_licence", "USD")?,
        respin_probability: share(t, "nre", "respin_probability")?,
        respin_mask_share: share(t, "nre", "respin_mask_share")?,
        respin_fab_share: share(t, "nre", "respin_fab_share")?,
        engineering_wafers: n("engineering_wafers", "1")?,
        package_design: n("package_design", "USD")?,
        software_people: n("software_people", "1")?,
        software_years: n("software_years", "years")?,
        person_year: n("person_year", "USD")?,
        partner_margin: t.number("partner", "nre_margin", "1")?,
    })
}

fn stages(t: &Tables) -> Result<StageConstants, DataError> {
    let n = |parameter: &str| t.number("programme", parameter, "weeks");
    Ok(StageConstants {
        architecture: n("architecture")?,
        rtl: n("rtl")?,
        physical_design_overlap: share(t, "programme", "physical_design_overlap")?,
        hot_lot: t.number("programme", "hot_lot", "1")?,
        masks: n("masks")?,
        assembly: n("assembly")?,
        bring_up: n("bring_up")?,
        qualification: n("qualification")?,
        slip: (t.quantity::<Seconds>("programme", "slip")?.value() / (7.0 * DAY_S)).max(0.0),
        extra_die: n("extra_die")?,
        node_ready: n("node_ready")?,
    })
}

fn export_rule(t: &Tables) -> Result<ExportRule, DataError> {
    let n = |parameter: &str, unit: &str| t.number("export_2023", parameter, unit);
    Ok(ExportRule {
        tpp_high: n("tpp_high", "TPP")?,
        tpp_low: n("tpp_low", "TPP")?,
        tpp_middle: n("tpp_middle", "TPP")?,
        density_high: n("density_high", "TPP/mm2")?,
        density_middle: n("density_middle", "TPP/mm2")?,
        density_low: n("density_low", "TPP/mm2")?,
    })
}
