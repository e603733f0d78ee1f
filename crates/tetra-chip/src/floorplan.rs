//! Floor plan: where the parts of `area` lie, in true size.
//!
//! Each die is sliced into rectangles (slicing tree, Otten 1982): one memory PHY and its controller beside each stack along two edges,
//! links along a third, other dies' links or the rest along the fourth, cores and the global memory between. A die keeps its published
//! outline where the parts fit into it; what they leave is drawn as not modelled. Where they are larger, the die is drawn as large as
//! they are. Where a package holds more logic than its compute dies, all but the cores lies on the other dies, drawn as one.
//! Leaves out: routing blockage, power grid, true shapes.

use crate::area::{Area, breakdown, die_size_mm};
use crate::chip::Chip;
use crate::constants::ChipConstants;

/// A rectangle of the floor plan, in mm from the lower left corner.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Rect {
    /// What lies there: a part of the area, `core` for all parts of one core, or `not modelled`.
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

/// One kind of die of a package.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Die {
    /// How many of them the package holds.
    pub count: u64,
    /// Whether this is everything that is not on the compute dies, drawn as one.
    pub base: bool,
    /// Width as drawn.
    pub w: f64,
    /// Height as drawn.
    pub h: f64,
    /// Published width and height, where known.
    pub published: Option<(f64, f64)>,
    /// Rectangles that tile it.
    pub rects: Vec<Rect>,
    /// Memory stacks beside it; they are no part of its area.
    pub stacks: Vec<Rect>,
}

/// Space that no part takes.
pub const NOT_MODELLED: &str = "not modelled";
/// Most cores drawn on one die; beyond, a rectangle stands for several.
const MOST_CORES: u64 = 1 << 12;
/// Most stacks drawn at one edge.
const MOST_STACKS: u64 = 64;

/// The dies of a chip: one kind, or compute dies and all others.
pub fn floorplan(chip: &Chip, constants: &ChipConstants) -> Vec<Die> {
    let area = breakdown(chip, constants);
    let (w, h) = die_size_mm(chip, &area, constants);
    let dies = chip.silicon.dies.max(1);
    let n = dies as f64;
    if !(area.total_mm2 > 0.0 && area.total_mm2.is_finite() && w > 0.0 && h > 0.0) {
        return Vec::new();
    }
    let published = (chip.silicon.die_width.value() > 0.0 && chip.silicon.die_height.value() > 0.0).then_some((w, h));
    let other_dies = chip.silicon.area.value() * 1e6 - n * w * h;
    let edge = constants.template.stack_edge.value() * 1e3;
    let uncore: Parts = area.parts.iter().filter(|p| !CORE.contains(&p.0)).copied().collect();
    if published.is_some() && dies > 1 && other_dies > 0.25 * n * w * h {
        let cores = Frame { cores_mm2: area.cores_mm2 / n, cores: chip.silicon.cores_built.div_ceil(dies), ..Frame::new(&[], 1.0, 0) };
        let side = other_dies.sqrt();
        let rest = Frame::new(&uncore, 1.0, chip.memory.hbm_stacks);
        return vec![cores.die(dies, w, h, published, edge), Die { base: true, ..rest.die(1, side, side, Some((side, side)), edge) }];
    }
    let frame = Frame {
        cores_mm2: area.cores_mm2 / n,
        cores: chip.silicon.cores_built.max(chip.compute.cores).div_ceil(dies),
        several: dies > 1,
        ..Frame::new(&uncore, n, chip.memory.hbm_stacks.div_ceil(dies))
    };
    vec![frame.die(dies, w, h, published, edge)]
}

/// Parts of one core, sliced: arrays at the left, then its scratchpad, lanes and control.
pub fn core_parts(area: &Area, core: &Rect) -> Vec<Rect> {
    let cores = area.cores_mm2.max(f64::MIN_POSITIVE);
    let share = |name: &str| area.parts.iter().filter(|p| p.0 == name).map(|p| p.1).sum::<f64>() / cores;
    let mut plan = Plan { rects: Vec::new() };
    let mut rest = core.clone();
    plan.column(&mut rest, "arrays", share("arrays") * core.w * core.h, true);
    for name in ["scratchpad", "lanes", "control"] {
        plan.row(&mut rest, &[(name, share(name) * core.w * core.h)], false);
    }
    plan.rects
}

type Parts = Vec<(&'static str, f64)>;
const CORE: [&str; 4] = ["arrays", "scratchpad", "lanes", "control"];

/// What lies on one die: parts in mm², cores, and stacks beside it.
struct Frame {
    parts: Parts,
    cores_mm2: f64,
    cores: u64,
    stacks: u64,
    several: bool,
}

impl Frame {
    fn new(parts: &[(&'static str, f64)], dies: f64, stacks: u64) -> Self {
        let parts = parts.iter().map(|p| (p.0, p.1 / dies)).collect();
        Self { parts, cores_mm2: 0.0, cores: 0, stacks, several: false }
    }

    fn part(&self, name: &str) -> f64 {
        self.parts.iter().filter(|p| p.0 == name).map(|p| p.1).sum()
    }

    /// The die, as large as published or as its parts ask for.
    fn die(&self, count: u64, w: f64, h: f64, published: Option<(f64, f64)>, edge: f64) -> Die {
        let asked = self.cores_mm2 + self.parts.iter().map(|p| p.1).sum::<f64>();
        let grow = (asked / (w * h)).max(1.0).sqrt();
        let (w, h) = (w * grow, h * grow);
        // Stacks lie left and right of a frame; the frame of a wide die, or of one that touches another at its right, is turned.
        let turn = self.several || w > h;
        let (fw, fh) = if turn { (h, w) } else { (w, h) };
        let rects = self.tile(fw, fh, (w * h - asked).max(0.0));
        let stacks = self.stacks_beside(fw, fh, edge);
        let turned = |r: Rect| if turn { Rect { x: r.y, y: r.x, w: r.h, h: r.w, ..r } } else { r };
        let [rects, stacks] = [rects, stacks].map(|l| l.into_iter().map(turned).collect());
        Die { count, base: false, w, h, published, rects, stacks }
    }

    fn tile(&self, w: f64, h: f64, unused: f64) -> Vec<Rect> {
        let mut plan = Plan { rects: Vec::new() };
        let mut rest = Rect { name: "", x: 0.0, y: 0.0, w, h };
        let (left, right) = self.sides();
        let all = (left + right).max(1) as f64;
        for name in ["memory PHY", "memory controller"] {
            plan.stacked(&mut rest, name, self.part(name) * left as f64 / all, left, true);
            plan.stacked(&mut rest, name, self.part(name) * right as f64 / all, right, false);
        }
        let links = [("link PHY", self.part("link PHY")), ("link controller", self.part("link controller"))];
        let other = ("other", self.part("other"));
        if self.several {
            plan.row(&mut rest, &[links[0], links[1], other], true);
            plan.row(&mut rest, &[("die to die", self.part("die to die"))], false);
        } else {
            plan.row(&mut rest, &links, true);
            plan.row(&mut rest, &[("die to die", self.part("die to die")), other], false);
        }
        plan.row(&mut rest, &[(NOT_MODELLED, unused)], false);
        let half = rest.h * 0.5 * self.cores_mm2 / (rest.w * rest.h).max(f64::MIN_POSITIVE);
        let low = Rect { h: half, ..rest.clone() };
        let high = Rect { y: rest.y + rest.h - half, h: half, ..rest.clone() };
        let mut middle = Rect { y: rest.y + half, h: rest.h - 2.0 * half, ..rest };
        plan.row(&mut middle, &[("global memory", self.part("global memory")), ("network", self.part("network"))], true);
        let cores = self.cores.clamp(1, MOST_CORES);
        if cores == 1 {
            plan.cores(&Rect { h: 2.0 * half, ..low }, 0);
            plan.rects.iter_mut().filter(|r| ["global memory", "network"].contains(&r.name)).for_each(|r| r.y += half);
        } else {
            plan.cores(&low, cores / 2);
            plan.cores(&high, cores - cores / 2);
        }
        plan.rects
    }

    /// Stacks at the left and right edge.
    fn sides(&self) -> (u64, u64) {
        let n = self.stacks.min(2 * MOST_STACKS);
        (n.div_ceil(2), n / 2)
    }

    fn stacks_beside(&self, w: f64, h: f64, edge: f64) -> Vec<Rect> {
        let (left, right) = self.sides();
        let mut out = Vec::new();
        for (n, x) in [(left, -edge), (right, w)] {
            let pitch = h / n.max(1) as f64;
            let tall = edge.min(pitch);
            out.extend((0..n).map(|i| Rect { name: "stack", x, y: (i as f64 + 0.5) * pitch - tall * 0.5, w: edge, h: tall }));
        }
        out
    }
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
        self.stacked(rest, name, area, 1, left);
    }

    /// Cuts a column of that area off the left or right and parts it into equal blocks.
    fn stacked(&mut self, rest: &mut Rect, name: &'static str, area: f64, blocks: u64, left: bool) {
        let w = (area / rest.h.max(f64::MIN_POSITIVE)).clamp(0.0, rest.w);
        let x = if left { rest.x } else { rest.x + rest.w - w };
        let h = rest.h / blocks.max(1) as f64;
        for i in 0..blocks.max(1) {
            self.put(Rect { name, x, y: rest.y + i as f64 * h, w, h });
        }
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
        // Rows hold as equal numbers as can be, each as high as its share, so that all cores have the same area.
        let (few, longer) = (count / rows, count % rows);
        let mut y = field.y;
        for row in 0..rows {
            let here = few + u64::from(row < longer);
            let (w, h) = (field.w / here as f64, field.h * here as f64 / n);
            for i in 0..here {
                self.put(Rect { name: "core", x: field.x + i as f64 * w, y, w, h });
            }
            y += h;
        }
    }
}
