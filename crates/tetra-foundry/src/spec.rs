//! What is made: dies, memory and package of a chip as the factory sees them, how many of them, and when.

use serde::Serialize;
use tetra_chip::Chip;
use tetra_chip::area::Area;

use crate::constants::FoundryConstants;
use crate::error::{Fit, Misfit};
use crate::export::{Export, export_of};
use crate::programme::{ProgrammeAsk, programme};

/// A month in years.
pub(crate) const YEARS_PER_MONTH: f64 = 1.0 / tetra_quantity::MONTHS_PER_YEAR;
/// Years in which chips are made.
const YEARS: std::ops::Range<f64> = 1e3..1e4;
/// More cores than any wafer holds.
const MOST_CORES: u64 = 1 << 20;

/// What the factory must know of a chip. Areas and counts are of one of its equal logic dies.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageSpec {
    /// Process node.
    pub node: String,
    /// Package kind.
    pub package: String,
    /// Equal logic dies.
    pub dies: u64,
    /// Width of a die, mm.
    pub die_width_mm: f64,
    /// Height of a die, mm.
    pub die_height_mm: f64,
    /// Cores laid out on a die.
    pub cores_built: u64,
    /// Cores that must work on a die.
    pub cores_needed: u64,
    /// Area of one core, mm2.
    pub core_mm2: f64,
    /// Area that is not cores, mm2.
    pub uncore_mm2: f64,
    /// Memory kind.
    pub memory: String,
    /// Memory stacks.
    pub stacks: u64,
    /// Memory of all stacks, GB.
    pub memory_gb: f64,
    /// Most power, W.
    pub power_w: f64,
    /// What the export rules say.
    pub export: Export,
}

impl PackageSpec {
    /// From a chip's file or template, the area outside the cores being a usual share.
    ///
    /// # Errors
    /// `DieUnknown` when the chip does not state its die.
    pub fn of(chip: &Chip, k: &FoundryConstants) -> Fit<Self> {
        let area = chip.silicon.die_width.value() * chip.silicon.die_height.value() * 1e6;
        let per_die = chip.silicon.cores_built.max(chip.compute.cores).checked_div(chip.silicon.dies).unwrap_or(0).max(1);
        let core_mm2 = area * (1.0 - k.uncore_share) / per_die as f64;
        Self::with_areas(chip, core_mm2, area * k.uncore_share, k)
    }

    /// From a chip and its breakdown of area, scaled to the die where its true size differs.
    ///
    /// # Errors
    /// `DieUnknown` when the chip does not state its die.
    pub fn of_area(chip: &Chip, area: &Area, k: &FoundryConstants) -> Fit<Self> {
        let s = &chip.silicon;
        let die_mm2 = s.die_width.value() * s.die_height.value() * 1e6;
        let scale = if area.die_mm2 > 0.0 { die_mm2 / area.die_mm2 } else { 0.0 };
        let dies = s.dies.max(1) as f64;
        Self::with_areas(chip, area.core_mm2 * scale, area.uncore_mm2 * scale / dies, k)
    }

    /// From a chip and the breakdown of one of its dies.
    ///
    /// # Errors
    /// `DieUnknown` when the chip does not state its die.
    pub fn with_areas(chip: &Chip, core_mm2: f64, uncore_mm2: f64, k: &FoundryConstants) -> Fit<Self> {
        let s = &chip.silicon;
        let (width, height) = (s.die_width.value() * 1e3, s.die_height.value() * 1e3);
        if !(width > 0.0 && height > 0.0) {
            return Err(Misfit::DieUnknown);
        }
        if s.dies == 0 {
            return Err(Misfit::BadInput);
        }
        Ok(Self {
            node: s.node.clone(),
            package: s.package.clone(),
            dies: s.dies,
            die_width_mm: width,
            die_height_mm: height,
            cores_built: s.cores_built.max(chip.compute.cores) / s.dies,
            cores_needed: chip.compute.cores.div_ceil(s.dies),
            core_mm2,
            uncore_mm2,
            memory: chip.memory.hbm_kind.clone(),
            stacks: chip.memory.hbm_stacks,
            memory_gb: chip.memory.hbm.value() / 1e9,
            power_w: chip.power.cap.value(),
            export: export_of(chip, &k.export),
        })
    }

    pub(crate) fn check(&self, volume: &Volume) -> Fit<()> {
        let sizes = [self.die_width_mm, self.die_height_mm];
        let rest = [self.core_mm2, self.uncore_mm2, self.memory_gb, self.power_w];
        let years = [Some(volume.start_year), volume.made_year];
        let sound = sizes.iter().all(|v| v.is_finite() && *v > 0.0)
            && rest.iter().all(|v| v.is_finite() && *v >= 0.0)
            && years.iter().flatten().all(|y| YEARS.contains(y))
            && volume.units.is_finite()
            && volume.units > 0.0
            && self.dies > 0
            && self.cores_built <= MOST_CORES;
        if !sound {
            return Err(Misfit::BadInput);
        }
        if self.cores_needed > self.cores_built {
            return Err(Misfit::Cores { needed: self.cores_needed, built: self.cores_built });
        }
        Ok(())
    }
}

/// How many, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Volume {
    /// Units made over the whole programme.
    pub units: f64,
    /// Decimal year in which the programme starts.
    pub start_year: f64,
    /// Decimal year whose prices and defect density hold; never before first volume. None: first volume.
    pub made_year: Option<f64>,
}

impl Volume {
    /// Units of a chip made in a year, by a programme that started in time for it where process and memory allow.
    pub fn made_in(units: f64, year: f64, chip: &Chip, k: &FoundryConstants) -> Self {
        let memory = k.memory(&chip.memory.hbm_kind);
        let ask = ProgrammeAsk {
            start_year: YEARS.end,
            dies: chip.silicon.dies,
            respin_probability: k.nre.respin_probability,
            respin_fab_share: k.nre.respin_fab_share,
        };
        let months = k.node(&chip.silicon.node).map_or(0.0, |n| programme(&ask, n, memory, &k.stages).months_to_volume);
        Self { units, start_year: year - months * YEARS_PER_MONTH, made_year: Some(year) }
    }
}
