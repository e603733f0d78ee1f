//! A package of logic dies and memory: what one good unit costs and what it takes to make it.
//!
//! Known good die: `(C_wafer/N + C_probe) / (P_sellable·pass)`. Package, chips last (Feng and Ma, DAC 2022): interposer yield y1 (negative
//! binomial), bonding y2 over all dies and stacks, substrate y3, and yf for faults that probe let through. Per good unit the
//! interposer costs `C/(y1·y2·y3·yf)`, dies and stacks `C/(y2·y3·yf)`, the substrate `C/(y3·yf)`. Losses are lines of their own.
//! Left out: reworked units, bins sold at another price, dies of several kinds in one package.

use serde::Serialize;
use tetra_chip::Chip;
use tetra_chip::area::Area;
use tetra_quantity::{KgCo2e, Usd};

use crate::carbon::{Embodied, unit_kg};
use crate::constants::{FoundryConstants, MemoryConstants, NodeConstants, PackageKind};
use crate::dies::DieCounts;
use crate::error::{Fit, Misfit};
use crate::export::Export;
use crate::harvest::sellable;
use crate::interposer;
use crate::nre::{Nre, nre};
use crate::programme::{Programme, ProgrammeAsk, programme};
use crate::spec::{PackageSpec, Volume, YEARS_PER_MONTH};
use crate::yields::escapes;

/// Name of the line that is not manufacture.
const PARTNER: &str = "partner margin";
/// Good dies per wafer below which a design counts as not makeable.
const LEAST_GOOD_DIES: f64 = 1e-3;
/// A package that can be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Package {
    /// What one tested package costs without NRE, the partner's margin included: the sum of the waterfall.
    pub unit_cost: Usd,
    /// The module that carries it (board, power stages, lid, mounting), which a server maker buys apart.
    pub module_cost: Usd,
    /// What it takes to make package and module, without the partner's margin: the figure that teardowns estimate.
    pub manufacturing_cost: Usd,
    /// NRE per unit at the volume asked for.
    pub nre_per_unit: Usd,
    /// Parts of the unit cost, in the order of making.
    pub waterfall: Vec<(&'static str, Usd)>,
    /// Whole dies per wafer.
    pub gross_dies: u64,
    /// Share of dies that have no defect.
    pub perfect_yield: f64,
    /// Share of dies that can be sold with spare cores used.
    pub sellable_yield: f64,
    /// Share of packages that pass, interposers having been tested before.
    pub package_yield: f64,
    /// Defects per cm2 in the year of making.
    pub defects_per_cm2: f64,
    /// Decimal year of making.
    pub made_year: f64,
    /// Logic wafers per good unit.
    pub wafers_per_unit: f64,
    /// Memory stacks bought per good unit.
    pub hbm_stacks: f64,
    /// Interposer area, mm2; 0 without one.
    pub interposer_mm2: f64,
    /// Interposer (CoWoS) wafers per good unit.
    pub packaging_wafers_per_unit: f64,
    /// Embodied carbon.
    pub kg_co2e: KgCo2e,
    /// One-time costs.
    pub nre: Nre,
    /// From start to volume.
    pub programme: Programme,
    /// Export class.
    pub export: Export,
}

/// The rows that a package uses.
struct Rows<'a> {
    node: &'a NodeConstants,
    memory: Option<&'a MemoryConstants>,
    kind: &'a PackageKind,
}

/// What came off the wafer.
struct Silicon {
    gross: u64,
    perfect: f64,
    good: f64,
    pass: f64,
    defects: f64,
    wafer_price: f64,
}

/// Makes the package of a chip whose areas are known.
///
/// # Errors
/// As `package`, and `DieUnknown`.
pub fn package_of(chip: &Chip, area: &Area, volume: &Volume, k: &FoundryConstants, counts: &DieCounts) -> Fit<Package> {
    package(&PackageSpec::of_area(chip, area, k)?, volume, k, counts)
}

/// Makes a package. `counts` only saves time.
///
/// # Errors
/// What does not fit: reticle, interposer, unknown rows, no yield, broken input.
pub fn package(spec: &PackageSpec, volume: &Volume, k: &FoundryConstants, counts: &DieCounts) -> Fit<Package> {
    spec.check(volume)?;
    let node = k.node(&spec.node).ok_or(Misfit::UnknownNode)?;
    let memory = if spec.memory_gb > 0.0 { Some(k.memory(&spec.memory).ok_or(Misfit::UnknownMemory)?) } else { None };
    let kind = k.package(&spec.package).ok_or(Misfit::UnknownPackage)?;
    let rows = Rows { node, memory, kind };
    let ask = ProgrammeAsk {
        start_year: volume.start_year,
        dies: spec.dies,
        respin_probability: k.nre.respin_probability,
        respin_fab_share: k.nre.respin_fab_share,
    };
    let programme = programme(&ask, node, memory, &k.stages);
    let first = volume.start_year + programme.months_to_volume * YEARS_PER_MONTH;
    let year = volume.made_year.map_or(first, |y| y.max(first));
    let silicon = silicon(spec, node, year, k, counts)?;
    let base = interposer::of(spec, memory, kind, k, counts)?;
    Ok(Made { spec, k, rows, silicon, base, year }.assemble(volume, programme))
}

fn silicon(spec: &PackageSpec, node: &NodeConstants, year: f64, k: &FoundryConstants, counts: &DieCounts) -> Fit<Silicon> {
    let (width, height) = (round_up(spec.die_width_mm, k.die_step_mm), round_up(spec.die_height_mm, k.die_step_mm));
    if !k.wafer.in_field(spec.die_width_mm, spec.die_height_mm) {
        let (field_width_mm, field_height_mm) = (k.wafer.field_width_mm, k.wafer.field_height_mm);
        return Err(Misfit::Reticle { width_mm: spec.die_width_mm, height_mm: spec.die_height_mm, field_width_mm, field_height_mm });
    }
    let gross = counts.gross_dies(width, height, &k.wafer);
    if gross == 0 {
        return Err(Misfit::NoDie);
    }
    let per_cm2 = node.learning.density_per_cm2(year).max(0.0);
    let density = per_cm2 * 0.01;
    let other = density * spec.uncore_mm2 * k.uncore_critical_share;
    let core = density * spec.core_mm2;
    let all = density * (spec.core_mm2 * spec.cores_built as f64 + spec.uncore_mm2);
    let good = sellable(&k.clustering, spec.cores_built, spec.cores_needed, core, other);
    if good * (gross as f64) < LEAST_GOOD_DIES {
        return Err(Misfit::NoYield);
    }
    let perfect = k.clustering.expect(|x| (-all * x).exp());
    // Probe passes good dies and the bad ones that it misses: of those it passes, `pass` are good.
    let pass = 1.0 - escapes(good, k.assembly.probe_coverage);
    Ok(Silicon { gross, perfect, good, pass, defects: per_cm2, wafer_price: node.wafer_price.at(year) })
}

/// Up to the next step, so that nearly equal dies share one count.
fn round_up(size: f64, step: f64) -> f64 {
    if step > 0.0 { (size / step - 1e-6).ceil() * step } else { size }
}

/// Everything that decides the cost of one unit.
struct Made<'a> {
    spec: &'a PackageSpec,
    k: &'a FoundryConstants,
    rows: Rows<'a>,
    silicon: Silicon,
    base: interposer::Interposer,
    year: f64,
}

/// Yields of the package: interposers are tested before, the rest is lost together.
struct Yields {
    /// Dies and stacks that end in a good unit.
    parts: f64,
    /// Substrates that end in a good unit.
    substrate: f64,
}

impl Made<'_> {
    fn yields(&self) -> Yields {
        let a = &self.k.assembly;
        let stacks = if self.base.per_wafer > 0 { self.spec.stacks } else { 0 };
        let bonded = power(a.die_bond_yield, self.spec.dies) * power(a.stack_bond_yield, stacks);
        let substrate = a.substrate_yield * power(self.silicon.pass, self.spec.dies);
        Yields { parts: bonded * substrate, substrate }
    }

    /// Lines of the waterfall, in the order of making.
    fn waterfall(&self, y: &Yields) -> Vec<(&'static str, Usd)> {
        let (a, s, si) = (&self.k.assembly, self.spec, &self.silicon);
        let dies = s.dies as f64;
        let die_mm2 = s.die_width_mm * s.die_height_mm;
        let raw = dies * si.wafer_price / si.gross as f64;
        // A die that passes probe although bad has been paid for, too.
        let passed = si.good / si.pass.max(f64::MIN_POSITIVE);
        let passed = passed.min(1.0);
        let probe = dies * a.probe_usd_per_s * a.probe_s_per_mm2 * die_mm2 / passed;
        let known_good = raw / passed;
        let memory = self.rows.memory.map_or(0.0, |m| s.memory_gb * m.price_per_gb.at(self.year));
        let base = if self.base.per_wafer > 0 { self.rows.kind.wafer_price / self.base.per_wafer as f64 } else { 0.0 };
        let standing = self.base.area_mm2.max(dies * die_mm2) * 0.01;
        let substrate = a.substrate_usd_per_cm2 * a.substrate_ratio * standing;
        let bonds = a.bond_usd * (dies + s.stacks as f64);
        let test = a.final_usd_per_s * a.final_s_per_mm2 * dies * die_mm2;
        let lost = 1.0 / y.parts - 1.0;
        let mut lines = vec![
            ("logic wafers", raw),
            ("defective dies", known_good - raw),
            ("wafer probe", probe),
            ("memory", memory),
            ("interposer", base),
            ("defective interposers", base * (1.0 / (self.base.good * y.parts) - 1.0)),
            ("substrate", substrate / y.substrate),
            ("bonding", bonds / y.parts),
            ("dies lost in assembly", (known_good + probe) * lost),
            ("memory lost in assembly", memory * lost),
            ("final test", test / y.substrate),
        ];
        let margin: f64 = lines.iter().filter(|l| !l.0.starts_with("memory")).map(|l| l.1).sum::<f64>() * a.partner_unit_margin;
        lines.push((PARTNER, margin));
        lines.into_iter().map(|(name, usd)| (name, Usd(usd))).collect()
    }

    fn assemble(&self, volume: &Volume, programme: Programme) -> Package {
        let (s, si, k) = (self.spec, &self.silicon, self.k);
        let y = self.yields();
        let waterfall = self.waterfall(&y);
        let unit_cost: Usd = waterfall.iter().map(|l| l.1).sum();
        let margin: Usd = waterfall.iter().filter(|l| l.0 == PARTNER).map(|l| l.1).sum();
        let module = Usd(k.assembly.module_usd + k.assembly.module_usd_per_w * s.power_w);
        let wafers = s.dies as f64 / (si.gross as f64 * (si.good / si.pass).min(1.0) * y.parts);
        let packaging = if self.base.per_wafer > 0 { 1.0 / (self.base.per_wafer as f64 * self.base.good * y.parts) } else { 0.0 };
        let embodied = Embodied {
            wafers,
            interposer_wafers: packaging,
            memory_gb: s.memory_gb / y.parts,
            memory_kg_per_gb: self.rows.memory.map_or(0.0, |m| m.kg_per_gb),
            parts: (s.dies + s.stacks) as f64 / y.parts,
        };
        let nre = nre(s, self.rows.node, si.wafer_price, &programme, &k.nre);
        Package {
            unit_cost,
            module_cost: module,
            manufacturing_cost: unit_cost - margin + module,
            nre_per_unit: nre.total / volume.units,
            waterfall,
            gross_dies: si.gross,
            perfect_yield: si.perfect,
            sellable_yield: si.good,
            package_yield: y.parts,
            defects_per_cm2: si.defects,
            made_year: self.year,
            wafers_per_unit: wafers,
            hbm_stacks: if self.rows.memory.is_some_and(|m| m.stacked) { s.stacks as f64 / y.parts } else { 0.0 },
            interposer_mm2: self.base.area_mm2,
            packaging_wafers_per_unit: packaging,
            kg_co2e: KgCo2e(unit_kg(&embodied, self.rows.node, k)),
            nre,
            programme,
            export: s.export,
        }
    }
}

fn power(base: f64, exponent: u64) -> f64 {
    base.powf(exponent as f64)
}
