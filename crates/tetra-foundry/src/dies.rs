//! Gross dies per wafer, exact: the most whole dies that any offset of the grid puts inside the usable circle.
//!
//! A die is whole when its four corners lie within `R = D/2 - edge`. For a given set of dies the offsets that keep all of them whole
//! are an intersection of discs of radius R around the corners' opposites; a bounded intersection of discs is empty, a point, or has
//! a vertex where two circles cross. So the optimum is among the crossings of two circles around grid corners: every crossing inside
//! one quarter of a grid cell (the count is symmetric in both axes) is tried. Nothing is fitted. Left out: the notch, dies of several
//! kinds on one wafer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::RwLock;

/// A wafer as the dicing sees it; lengths in mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wafer {
    /// Diameter.
    pub diameter_mm: f64,
    /// Edge that holds no whole die.
    pub edge_mm: f64,
    /// Street between dies.
    pub scribe_mm: f64,
    /// Width of an exposure field.
    pub field_width_mm: f64,
    /// Height of an exposure field.
    pub field_height_mm: f64,
}

/// Slack on the radius, so that a die whose corner touches the circle counts although the arithmetic rounds.
const TOUCH_MM: f64 = 1e-9;
/// Below this size a wafer would hold more dies than the search is meant for.
const LEAST_SIDE_MM: f64 = 1.0;

impl Wafer {
    /// Radius of the usable circle.
    pub fn radius_mm(&self) -> f64 {
        (0.5 * self.diameter_mm - self.edge_mm).max(0.0)
    }

    /// Area of the whole wafer in mm2.
    pub fn area_mm2(&self) -> f64 {
        std::f64::consts::PI * 0.25 * self.diameter_mm * self.diameter_mm
    }

    /// Whether a die fits into an exposure field, turned by a right angle if need be.
    pub fn in_field(&self, width_mm: f64, height_mm: f64) -> bool {
        let (w, h) = (width_mm - TOUCH_MM, height_mm - TOUCH_MM);
        (w <= self.field_width_mm && h <= self.field_height_mm) || (h <= self.field_width_mm && w <= self.field_height_mm)
    }
}

/// Whole dies with the grid's corner at `(offset_x, offset_y)` pitches from the wafer's centre.
pub fn dies_at(width_mm: f64, height_mm: f64, wafer: &Wafer, offset_x: f64, offset_y: f64) -> u64 {
    match Grid::new(width_mm, height_mm, wafer) {
        Some(grid) => grid.count(offset_x, offset_y),
        None => 0,
    }
}

/// The most whole dies of `width_mm` by `height_mm` on a wafer. 0 when none fits or a size is not positive; a side below 1 mm counts as 1 mm.
pub fn gross_dies(width_mm: f64, height_mm: f64, wafer: &Wafer) -> u64 {
    let Some(grid) = Grid::new(width_mm.max(LEAST_SIDE_MM), height_mm.max(LEAST_SIDE_MM), wafer) else { return 0 };
    if !(width_mm > 0.0 && height_mm > 0.0) {
        return 0;
    }
    grid.best()
}

/// A grid of dies over a circle, in mm.
struct Grid {
    pitch_x: f64,
    pitch_y: f64,
    half_street: f64,
    radius: f64,
}

impl Grid {
    fn new(width: f64, height: f64, wafer: &Wafer) -> Option<Self> {
        let radius = wafer.radius_mm();
        let scribe = wafer.scribe_mm.max(0.0);
        let sound = width > 0.0 && height > 0.0 && radius.is_finite() && width.hypot(height) <= 2.0 * radius + TOUCH_MM;
        sound.then_some(Self { pitch_x: width + scribe, pitch_y: height + scribe, half_street: 0.5 * scribe, radius })
    }

    /// Whole dies at an offset in pitches.
    fn count(&self, ox: f64, oy: f64) -> u64 {
        let reach = self.radius + TOUCH_MM;
        let rows = (reach / self.pitch_y) as i64 + 2;
        (-rows..rows)
            .map(|j| {
                let base = (j as f64 + oy) * self.pitch_y;
                let y = (base + self.half_street).abs().max((base + self.pitch_y - self.half_street).abs());
                if y > reach {
                    return 0;
                }
                let a = ((reach * reach - y * y).sqrt() + self.half_street) / self.pitch_x;
                ((a - ox).floor() + (a + ox).floor()).max(0.0) as u64
            })
            .sum()
    }

    fn best(&self) -> u64 {
        let corners = self.corners();
        let mut best = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)].iter().map(|&(x, y)| self.count(x, y)).max().unwrap_or(0);
        for (i, &a) in corners.iter().enumerate() {
            for &b in &corners[i + 1..] {
                for (x, y) in crossings(a, b, self.radius).into_iter().flatten() {
                    let (ox, oy) = (x / self.pitch_x, y / self.pitch_y);
                    if (-1e-9..=0.5 + 1e-9).contains(&ox) && (-1e-9..=0.5 + 1e-9).contains(&oy) {
                        best = best.max(self.count(ox, oy));
                    }
                }
            }
        }
        best
    }

    /// Centres of the circles (opposites of die corners) that pass through the quarter cell of offsets.
    fn corners(&self) -> Vec<(f64, f64)> {
        let (cx, cy) = (0.5 * self.pitch_x, 0.5 * self.pitch_y);
        let xs = self.outer_edges(self.pitch_x, cx);
        let ys = self.outer_edges(self.pitch_y, cy);
        let mut out = Vec::with_capacity(64);
        for &x in &xs {
            for &y in &ys {
                let near = distance_to_cell(-x, -y, cx, cy);
                let far = x.abs().max((x + cx).abs()).hypot(y.abs().max((y + cy).abs()));
                if near <= self.radius && far >= self.radius {
                    out.push((-x, -y));
                }
            }
        }
        out
    }

    /// Edges of dies that can be the ones farther from the centre for some offset in `[0, half]`.
    fn outer_edges(&self, pitch: f64, half: f64) -> Vec<f64> {
        let n = (self.radius / pitch) as i64 + 2;
        let upper = (-n..=n).map(|i| i as f64 * pitch - self.half_street).filter(|x| x - (half - self.half_street) + half >= 0.0);
        let lower = (-n..=n).map(|i| i as f64 * pitch + self.half_street).filter(|x| x + (half - self.half_street) <= 0.0);
        upper.chain(lower).collect()
    }
}

/// Distance from a point to the cell `[0, cx] x [0, cy]`.
fn distance_to_cell(x: f64, y: f64, cx: f64, cy: f64) -> f64 {
    (x - x.clamp(0.0, cx)).hypot(y - y.clamp(0.0, cy))
}

/// The points where two circles of one radius cross.
fn crossings(a: (f64, f64), b: (f64, f64), radius: f64) -> [Option<(f64, f64)>; 2] {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let square = dx * dx + dy * dy;
    let rest = radius * radius - 0.25 * square;
    if square <= 0.0 || rest < 0.0 {
        return [None, None];
    }
    let t = (rest / square).sqrt();
    let (mx, my) = (0.5 * (a.0 + b.0), 0.5 * (a.1 + b.1));
    [Some((mx - t * dy, my + t * dx)), Some((mx + t * dy, my - t * dx))]
}

/// Remembers counts; the same answers with or without it.
#[derive(Debug, Default)]
pub struct DieCounts {
    seen: RwLock<HashMap<[u64; 5], u64, BuildHasherDefault<Fixed>>>,
}

impl DieCounts {
    /// Nothing remembered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `gross_dies`, remembered.
    pub fn gross_dies(&self, width_mm: f64, height_mm: f64, wafer: &Wafer) -> u64 {
        let key = [width_mm, height_mm, wafer.diameter_mm, wafer.edge_mm, wafer.scribe_mm].map(f64::to_bits);
        if let Ok(seen) = self.seen.read()
            && let Some(&n) = seen.get(&key)
        {
            return n;
        }
        let n = gross_dies(width_mm, height_mm, wafer);
        if let Ok(mut seen) = self.seen.write() {
            seen.insert(key, n);
        }
        n
    }
}

/// FNV-1a over words: the same on every run.
#[derive(Debug, Default)]
struct Fixed(u64);

impl Hasher for Fixed {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = (self.0 ^ v).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
