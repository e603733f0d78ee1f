//! Area of a chip by part.
//!
//! Logic and SRAM parts are N7 areas times the node's ratios (densities of Khan and Mann 2020, bit cells of IEDM 2022); PHYs do not
//! shrink (die-photo areas of LLMCompass). Leaves out: routing blockage, power grid.

use crate::chip::Chip;
use crate::constants::{ChipConstants, NodeConstants};

/// Area by part in mm², all dies together.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Area {
    /// Parts and their areas.
    pub parts: Vec<(&'static str, f64)>,
    /// One core.
    pub core_mm2: f64,
    /// All cores that are laid out.
    pub cores_mm2: f64,
    /// Everything else.
    pub uncore_mm2: f64,
    /// All of it.
    pub total_mm2: f64,
    /// One die.
    pub die_mm2: f64,
}

const N7: NodeConstants = NodeConstants { energy: 1.0, logic_area: 1.0, sram_area: 1.0, speed: 1.0 };

/// Area of a chip by part. A node without a row counts as N7, the anchor.
pub fn breakdown(chip: &Chip, constants: &ChipConstants) -> Area {
    let node = constants.node(&chip.silicon.node).copied().unwrap_or(N7);
    let a = &constants.area;
    let c = &chip.compute;
    let built = chip.silicon.cores_built.max(c.cores) as f64;
    let arrays = c.arrays_per_core as f64;
    let macs = arrays * (c.array_rows as f64) * (c.array_columns as f64);
    let per_core = [
        ("arrays", macs * a.mac_mm2 * node.logic_area),
        ("scratchpad", chip.memory.local.value() * a.buffer_mm2_per_byte * node.sram_area),
        ("lanes", c.lanes_per_core as f64 * a.lane_mm2 * node.logic_area),
        ("control", arrays * a.control_mm2 * node.logic_area),
    ];
    let core_mm2: f64 = per_core.iter().map(|p| p.1).sum();
    let cores_mm2 = core_mm2 * built;
    let mut parts: Vec<_> = per_core.iter().map(|&(n, x)| (n, x * built)).collect();
    parts.extend(uncore(chip, constants, &node));
    let total_mm2: f64 = parts.iter().map(|p| p.1).sum();
    let dies = chip.silicon.dies.max(1) as f64;
    Area { parts, core_mm2, cores_mm2, uncore_mm2: total_mm2 - cores_mm2, total_mm2, die_mm2: total_mm2 / dies }
}

fn uncore(chip: &Chip, constants: &ChipConstants, node: &NodeConstants) -> Vec<(&'static str, f64)> {
    let a = &constants.area;
    let m = &chip.memory;
    let per_byte = if m.global_is_cache { a.cache_mm2_per_byte } else { a.buffer_mm2_per_byte };
    let dies = chip.silicon.dies.max(1) as f64;
    let links = chip.links.scale_up.value() + chip.links.scale_out.value();
    let bisection = if dies > 1.0 { m.global_bytes_per_cycle * chip.compute.clock.value() * 0.5 } else { 0.0 };
    let kind = constants.memory(&m.hbm_kind).or(constants.memories.first().map(|(_, c)| c));
    let phy = m.hbm_stacks as f64 * kind.map_or(0.0, |c| c.phy_mm2);
    vec![
        ("global memory", m.global.value() * per_byte * node.sram_area),
        ("network", m.global_bytes_per_cycle * a.noc_mm2_per_byte_cycle * node.logic_area),
        ("memory PHY", phy),
        ("memory controller", phy * a.memory_controller_share * node.logic_area),
        ("link PHY", links * a.link_phy_mm2_per_byte_s),
        ("link controller", links * a.link_controller_mm2_per_byte_s * node.logic_area),
        ("die to die", bisection * a.die_to_die_mm2_per_byte_s),
        ("other", dies * a.other_mm2 * node.logic_area),
    ]
}

/// Area in mm² of so many bytes of SRAM: cells of `cell_um2` over the share of the area that is cells.
pub fn sram_mm2(bytes: f64, cell_um2: f64, efficiency: f64) -> f64 {
    bytes * f64::from(u8::BITS) * cell_um2 * 1e-6 / efficiency
}

/// Width and height of one die: the chip's own where known, else as square as the field allows.
pub fn die_size_mm(chip: &Chip, area: &Area, constants: &ChipConstants) -> (f64, f64) {
    let (w, h) = (chip.silicon.die_width.value() * 1e3, chip.silicon.die_height.value() * 1e3);
    if w > 0.0 && h > 0.0 {
        return (w, h);
    }
    let side = area.die_mm2.max(0.0).sqrt();
    let w = side.min(constants.template.reticle_width.value() * 1e3);
    (w, if w > 0.0 { area.die_mm2 / w } else { 0.0 })
}
