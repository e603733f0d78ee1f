//! A chip's floor plan as a drawing (SVG): dies to scale with their blocks named, stacks beside them, a scale bar, and a table of parts.
//!
//! Areas written are those of `area`; a block's size on the page is its area times the square of the scale. Leaves out: nothing of the
//! floor plan, but blocks too small for letters carry none: the table names their colour.

use std::fmt::Write;

use crate::area::{Area, breakdown};
use crate::chip::{Chip, ChipKind};
use crate::constants::ChipConstants;
use crate::floorplan::{Die, NOT_MODELLED, Rect, core_parts, floorplan};

/// Pixels of the longest side of the dies, of margins, of a table row and of the table.
const LONGEST: f64 = 512.0;
const MARGIN: u32 = 24;
const ROW: u32 = 20;
const TABLE: u32 = 400;
/// Letters: largest and smallest size in pixels, width of a letter in tenths of its size.
const LETTERS: (u32, u32, u32) = (13, 7, 6);
/// Cores narrower than this many pixels are drawn whole.
const SMALLEST_CORE: u32 = 14;

/// Colour and words of a part.
fn look(name: &str, chip: &Chip) -> (&'static str, String) {
    let kind = chip.memory.hbm_kind.as_str();
    let (fill, words) = match name {
        "core" => ("#9ec5e8", "core"),
        "arrays" => ("#7fb2de", "PE arrays"),
        "scratchpad" => ("#bcd9f0", "scratchpad"),
        "lanes" => ("#a3cfd6", "vector lanes"),
        "control" => ("#d5e4ee", "control"),
        "global memory" if chip.memory.global_is_cache => ("#f6cf9b", "L2 cache"),
        "global memory" => ("#f6cf9b", "global buffer"),
        "network" => ("#cdbde3", "network on chip"),
        "memory PHY" => return ("#94cf98", format!("{kind} PHY")),
        "memory controller" => return ("#c9e6c4", format!("{kind} controller")),
        "link PHY" => ("#f0a39b", "link PHY"),
        "link controller" => ("#f8d0ca", "link controller"),
        "die to die" => ("#f4df7c", "die to die"),
        "other" => ("#d6d6d2", "other (host, media, pads)"),
        _ => ("#f4f4f2", "not modelled"),
    };
    (fill, words.to_owned())
}

/// The drawing.
pub fn svg(chip: &Chip, constants: &ChipConstants) -> String {
    let (area, dies) = (breakdown(chip, constants), floorplan(chip, constants));
    let margin = f64::from(MARGIN);
    let mut page = Page { body: String::new(), chip, area: &area, scale: 1.0 };
    // A pair of dies is drawn whole, its second mirrored; of more, one.
    let shown: Vec<(&Die, bool)> =
        dies.iter().flat_map(|d| if d.count == 2 { vec![(d, false), (d, true)] } else { vec![(d, false)] }).collect();
    let beside = |d: &Die| if d.stacks.is_empty() { 0.0 } else { constants.template.stack_edge.value() * 1e3 };
    let wide: f64 = shown.iter().map(|(d, _)| d.w + 2.0 * if stacks_above(d) { 0.0 } else { beside(d) }).sum();
    let tall = shown.iter().map(|(d, _)| d.h + 2.0 * if stacks_above(d) { beside(d) } else { 0.0 }).fold(0.0, f64::max);
    page.scale = LONGEST / wide.max(tall).max(f64::MIN_POSITIVE);
    let top = margin * 3.0;
    let mut x = margin;
    for (die, mirrored) in &shown {
        let (dx, dy) = if stacks_above(die) { (0.0, beside(die)) } else { (beside(die), 0.0) };
        page.die(die, x + dx * page.scale, top + (dy + die.h) * page.scale, *mirrored);
        x += (die.w + 2.0 * dx) * page.scale;
        // Mirrored dies touch; dies of two kinds do not.
        x += if die.count == 2 { 0.0 } else { margin };
    }
    let bottom = top + tall * page.scale;
    page.scale_bar(margin, bottom + margin);
    let table = page.table(x + margin, top, &dies);
    let height = bottom.max(table) + 3.0 * margin;
    let width = x + margin * 2.0 + f64::from(TABLE);
    page.heading(&dies);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"Helvetica, Arial, sans-serif\" fill=\"#1c2733\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
        page.body
    )
}

/// Whether stacks lie above and below a die rather than left and right.
fn stacks_above(die: &Die) -> bool {
    die.stacks.iter().any(|s| s.y < 0.0)
}

struct Page<'a> {
    body: String,
    chip: &'a Chip,
    area: &'a Area,
    scale: f64,
}

impl Page<'_> {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = self.body.write_fmt(text);
        self.body.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, size: f64, anchor: &str, words: &str) {
        let words = plain(words);
        self.line(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size:.1}\" text-anchor=\"{anchor}\">{words}</text>"));
    }

    fn heading(&mut self, dies: &[Die]) {
        let margin = f64::from(MARGIN);
        let s = &self.chip.silicon;
        let of = if self.chip.kind == ChipKind::Template { "die" } else { "published die" };
        self.text(margin, margin + 4.0, 16.0, "start", &format!("{}: floor plan", self.chip.name));
        let published = dies
            .first()
            .and_then(|d| d.published)
            .map_or("no published die size".to_owned(), |(w, h)| format!("{of} {w:.1} x {h:.1} mm = {:.0} mm2", w * h));
        let words = format!("{} x {}, {}; modelled {:.0} mm2 in all; {published}", s.dies, s.node, s.package, self.area.total_mm2);
        self.text(margin, 2.0 * margin, 12.0, "start", &words);
    }

    /// A die whose lower left corner lies at (x, y) of the page.
    fn die(&mut self, die: &Die, x: f64, y: f64, mirrored: bool) {
        let place = |r: &Rect| if mirrored { Rect { x: die.w - r.x - r.w, ..r.clone() } } else { r.clone() };
        let mut core_named = false;
        for stack in &die.stacks {
            self.block(&place(stack), x, y, "#ffffff", std::slice::from_ref(&self.chip.memory.hbm_kind));
        }
        for r in &die.rects {
            let r = place(r);
            let (fill, words) = look(r.name, self.chip);
            let mm2 = format!("{} mm2", figure(r.w * r.h));
            if r.name != "core" {
                self.block(&r, x, y, fill, &[words, mm2]);
                continue;
            }
            if r.w.min(r.h) * self.scale < f64::from(SMALLEST_CORE) {
                let label: &[String] = if core_named { &[] } else { &[words] };
                self.block(&r, x, y, fill, label);
            } else {
                let large = die.rects.iter().filter(|r| r.name == "core").count() <= 4;
                for part in core_parts(self.area, &r) {
                    let (fill, words) = look(part.name, self.chip);
                    let label = if large { vec![words, format!("{} mm2", figure(part.w * part.h))] } else { Vec::new() };
                    self.block(&part, x, y, fill, &label);
                }
                self.outline(&r, x, y);
            }
            core_named = true;
        }
        self.borders(die, x, y);
    }

    /// The die's outline, the published one where the parts ask for more, and what it is.
    fn borders(&mut self, die: &Die, x: f64, y: f64) {
        let s = self.scale;
        let (w, h) = (die.w * s, die.h * s);
        let y0 = y - h;
        self.line(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y0:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"none\" stroke=\"#1c2733\" stroke-width=\"2\"/>"
        ));
        if let Some((pw, ph)) = die.published.filter(|p| p.0 * p.1 < die.w * die.h * (1.0 - 1e-6)) {
            let (w, h) = (pw * s, ph * s);
            let y0 = y - h;
            self.line(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y0:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"none\" stroke=\"#c0392b\" stroke-width=\"2\" \
                 stroke-dasharray=\"7 4\"><title>published die</title></rect>"
            ));
        }
    }

    fn outline(&mut self, r: &Rect, x: f64, y: f64) {
        let s = self.scale;
        self.line(format_args!(
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"none\" stroke=\"#42566b\" stroke-width=\"1\"/>",
            x + r.x * s,
            y - (r.y + r.h) * s,
            r.w * s,
            r.h * s
        ));
    }

    /// A block with its words, if letters fit.
    fn block(&mut self, r: &Rect, x: f64, y: f64, fill: &str, words: &[String]) {
        let s = self.scale;
        let (left, top, w, h) = (x + r.x * s, y - (r.y + r.h) * s, r.w * s, r.h * s);
        self.line(format_args!(
            "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{w:.2}\" height=\"{h:.2}\" fill=\"{fill}\" stroke=\"#6b7a88\" stroke-width=\"0.5\"/>"
        ));
        let longest = words.iter().map(|t| t.chars().count()).max().unwrap_or(0) as f64;
        let Some((size, turned)) = letters(w, h, longest, words.len() as f64) else { return };
        let (cx, cy) = (left + w * 0.5, top + h * 0.5);
        let turn = if turned { format!(" transform=\"rotate(-90 {cx:.1} {cy:.1})\"") } else { String::new() };
        let n = words.len() as f64;
        for (i, line) in words.iter().enumerate() {
            let ty = cy + (i as f64 - (n - 1.0) * 0.5) * size * 1.5 * 0.75 + size * 0.25 * 1.5;
            let line = plain(line);
            self.line(format_args!("<text x=\"{cx:.1}\" y=\"{ty:.1}\" font-size=\"{size:.1}\" text-anchor=\"middle\"{turn}>{line}</text>"));
        }
    }

    fn scale_bar(&mut self, x: f64, y: f64) {
        // The largest of 1, 2 and 5 times a power of ten that takes no more than a quarter of the drawing.
        let most = LONGEST / self.scale * 0.25;
        let ten = 10f64.powf(most.log10().floor());
        let mm = [5.0, 2.0, 1.0].into_iter().map(|f| f * ten).find(|&b| b <= most).unwrap_or(ten);
        let w = mm * self.scale;
        self.line(format_args!("<path d=\"M{x:.1} {:.1}v8h{w:.1}v-8\" fill=\"none\" stroke=\"#1c2733\" stroke-width=\"1.5\"/>", y - 4.0));
        self.text(x + w + 8.0, y + 4.0, 12.0, "start", &format!("{mm} mm"));
    }

    /// Parts, mm² of one die and of the package; returns its lower edge.
    fn table(&mut self, x: f64, top: f64, dies: &[Die]) -> f64 {
        let (row, size) = (f64::from(ROW), 12.0);
        let right = x + f64::from(TABLE) - row;
        self.text(x + row, top + size, size, "start", "part");
        self.text(right - 6.0 * row + row, top + size, size, "end", "mm2 in all");
        self.text(right, top + size, size, "end", "share");
        let unused: f64 = dies.iter().map(|d| d.count as f64 * blank(d)).sum();
        let total = self.area.total_mm2;
        let parts: Vec<_> = self.area.parts.iter().filter(|p| p.1 > 0.0).copied().collect();
        let mut y = top + row;
        for (name, mm2) in parts {
            let (fill, words) = look(name, self.chip);
            self.swatch(x, y, fill);
            self.figures(x + row, right, y + size, &words, mm2, mm2 / total);
            y += row;
        }
        self.figures(x + row, right, y + size, "sum", total, 1.0);
        y += row;
        if unused > 1e-6 * total {
            self.swatch(x, y, look(NOT_MODELLED, self.chip).0);
            self.figures(x + row, right, y + size, "not modelled (the rest)", unused, unused / total);
            y += row;
        }
        for note in self.notes(dies) {
            y += row;
            self.text(x, y, size, "start", &note);
        }
        y
    }

    fn notes(&self, dies: &[Die]) -> Vec<String> {
        let c = &self.chip.compute;
        let built = self.chip.silicon.cores_built.max(c.cores);
        let mut notes = vec![format!("{built} cores of {} mm2 laid out, {} work", figure(self.area.core_mm2), c.cores)];
        for d in dies {
            notes.push(match (d.base, d.count) {
                (true, _) => format!("right: all other dies of the package as one, {} mm2", figure(d.w * d.h)),
                (false, n) if n > 2 => format!("left: one of {n} equal dies, {} mm2", figure(d.w * d.h)),
                (false, n) => format!("{n} {}, drawn {:.1} x {:.1} mm", if n == 1 { "die" } else { "equal dies" }, d.w, d.h),
            });
            if d.published.is_some_and(|p| p.0 * p.1 < d.w * d.h * (1.0 - 1e-6)) {
                notes.push("dashed: the published die, smaller than the modelled parts".to_owned());
            }
        }
        notes
    }

    fn swatch(&mut self, x: f64, y: f64, fill: &str) {
        self.line(format_args!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{fill}\" stroke=\"#6b7a88\" stroke-width=\"0.5\"/>",
            y + 2.0
        ));
    }

    fn figures(&mut self, x: f64, right: f64, y: f64, words: &str, mm2: f64, share: f64) {
        self.text(x, y, 12.0, "start", words);
        self.text(right - 5.0 * f64::from(ROW), y, 12.0, "end", &figure(mm2));
        self.text(right, y, 12.0, "end", &format!("{:.1} %", share * 100.0));
    }
}

/// Area of a die that no part takes.
fn blank(die: &Die) -> f64 {
    die.rects.iter().filter(|r| r.name == NOT_MODELLED).map(|r| r.w * r.h).sum()
}

/// Size of letters for words in a block and whether they are turned; none if they do not fit.
fn letters(w: f64, h: f64, longest: f64, lines: f64) -> Option<(f64, bool)> {
    if longest == 0.0 {
        return None;
    }
    let (most, least, tenths) = (f64::from(LETTERS.0), f64::from(LETTERS.1), f64::from(LETTERS.2));
    let fit = |w: f64, h: f64| (w / (longest * tenths / 10.0)).min(h / (lines * 1.5)).min(most);
    let (along, turned) = (fit(w, h), fit(h, w));
    let (size, turn) = if turned > along { (turned, true) } else { (along, false) };
    (size >= least).then_some((size, turn))
}

/// A figure of three digits or whole.
fn figure(x: f64) -> String {
    if x >= 100.0 {
        format!("{x:.0}")
    } else if x >= 10.0 {
        format!("{x:.1}")
    } else {
        format!("{x:.2}")
    }
}

/// Text without marks of XML or control characters.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control() && *c != '\u{fffe}' && *c != '\u{ffff}') {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out.replace("mm2", "mm²")
}
