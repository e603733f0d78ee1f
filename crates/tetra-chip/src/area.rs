//! Area of a chip by part, and a floor plan of one die.
//!
//! Logic and SRAM parts are N7 areas times the node's ratios (densities of Khan and Mann 2020, bit cells of IEDM 2022); PHYs do not
//! shrink (die-photo areas of LLMCompass). The plan slices the die into rectangles: memory PHYs along the long sides, links and the
//! rest along the short ones, cores and global memory between (slicing tree, Otten 1982). Leaves out: routing blockage, power grid.

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

/// A rectangle of the floor plan, in mm from the lower left corner.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Rect {
    /// What lies there.
    pub name: &'static str,
    /// Left edge.
    pub x: f64,
    /// Lower edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
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

/// Floor plan of one die: rectangles that tile `width × height`; parts are scaled to the die where its true size differs.
pub fn floorplan(chip: &Chip, area: &Area, constants: &ChipConstants) -> Vec<Rect> {
    let (w, h) = die_size_mm(chip, area, constants);
    if area.total_mm2 <= 0.0 || w <= 0.0 || h <= 0.0 {
        return Vec::new();
    }
    let scale = w * h / area.total_mm2;
    let part = |name: &str| area.parts.iter().filter(|p| p.0 == name).map(|p| p.1 * scale).sum::<f64>();
    let mut plan = Plan { rects: Vec::new() };
    let mut rest = Rect { name: "", x: 0.0, y: 0.0, w, h };
    plan.column(&mut rest, "memory PHY", part("memory PHY") * 0.5, true);
    plan.column(&mut rest, "memory PHY", part("memory PHY") * 0.5, false);
    plan.column(&mut rest, "memory controller", part("memory controller") * 0.5, true);
    plan.column(&mut rest, "memory controller", part("memory controller") * 0.5, false);
    plan.row(&mut rest, &[("link PHY", part("link PHY")), ("link controller", part("link controller"))], true);
    plan.row(&mut rest, &[("die to die", part("die to die")), ("other", part("other"))], false);
    let (middle, cores) = (part("global memory") + part("network"), area.cores_mm2 * scale);
    let half = rest.h * cores / (middle + cores).max(f64::MIN_POSITIVE) * 0.5;
    let low = Rect { h: half, ..rest.clone() };
    let high = Rect { y: rest.y + rest.h - half, h: half, ..rest.clone() };
    rest = Rect { y: rest.y + half, h: rest.h - 2.0 * half, ..rest };
    plan.row(&mut rest, &[("global memory", part("global memory")), ("network", part("network"))], true);
    let per_die = chip.silicon.cores_built.max(1).div_ceil(chip.silicon.dies.max(1)).clamp(1, 1 << 12);
    plan.cores(&low, per_die / 2);
    plan.cores(&high, per_die - per_die / 2);
    plan.rects
}

struct Plan {
    rects: Vec<Rect>,
}

impl Plan {
    fn put(&mut self, r: Rect) {
        if r.w > 0.0 && r.h > 0.0 {
            self.rects.push(r);
        }
    }

    /// Cuts a column of that area off the left or right.
    fn column(&mut self, rest: &mut Rect, name: &'static str, area: f64, left: bool) {
        let w = (area / rest.h).clamp(0.0, rest.w);
        let x = if left { rest.x } else { rest.x + rest.w - w };
        self.put(Rect { name, x, w, ..rest.clone() });
        rest.w -= w;
        if left {
            rest.x += w;
        }
    }

    /// Cuts a row that holds several parts side by side off the bottom or top.
    fn row(&mut self, rest: &mut Rect, parts: &[(&'static str, f64)], bottom: bool) {
        let total: f64 = parts.iter().map(|p| p.1).sum();
        if total <= 0.0 {
            return;
        }
        let h = (total / rest.w.max(f64::MIN_POSITIVE)).clamp(0.0, rest.h);
        let y = if bottom { rest.y } else { rest.y + rest.h - h };
        let mut x = rest.x;
        for &(name, area) in parts {
            let w = rest.w * area / total;
            self.put(Rect { name, x, y, w, h });
            x += w;
        }
        rest.h -= h;
        if bottom {
            rest.y += h;
        }
    }

    /// Cores in rows that fill the rectangle; the last row's cores are wider.
    fn cores(&mut self, field: &Rect, count: u64) {
        if count == 0 {
            self.put(Rect { name: "core", ..field.clone() });
            return;
        }
        let n = count as f64;
        let across = (n * field.w / field.h.max(f64::MIN_POSITIVE)).sqrt().round().clamp(1.0, n) as u64;
        let rows = count.div_ceil(across);
        let h = field.h / rows as f64;
        for i in 0..count {
            let row = i / across;
            let here = across.min(count - row * across) as f64;
            let w = field.w / here;
            self.put(Rect { name: "core", x: field.x + (i % across) as f64 * w, y: field.y + row as f64 * h, w, h });
        }
    }
}
