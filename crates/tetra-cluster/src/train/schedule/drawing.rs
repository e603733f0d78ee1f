//! A step as a drawing (SVG): one row per stage, passes told by colour, microbatches by number where there is room, idle time left grey, seconds below.
//!
//! A step of more tasks than the drawing may hold is shown at its beginning and its end, to the same scale, with a gap between. Leaves out: transfers that keep no
//! stage busy.

use std::fmt::Write;

use super::{Pass, Play, Played, Task};
use crate::train::layout::Schedule;

/// Tasks of a drawing that stands alone.
pub const DRAWN_TASKS: usize = 1 << 15;

/// Pixels: width of the rows, of names and of margins; least and most height of a row.
const WIDTH: u32 = 1240;
const NAMES: u32 = 64;
const MARGIN: u32 = 20;
const ROWS: (u32, u32) = (11, 26);
/// Height that all rows together should not exceed, letters, gap between beginning and end.
const TALL: u32 = 720;
const LETTERS: u32 = 11;
const GAP: u32 = 36;
/// Pixels that a digit takes.
const DIGIT: u32 = 6;

/// Colours and words of what a stage does; even and odd chunks.
const LOOKS: [(&str, &str, &str); 8] = [
    ("#8fbde6", "#5b97cf", "forward"),
    ("#c9b6e4", "#c9b6e4", "forward again"),
    ("#f7b26a", "#e58a2e", "backward"),
    ("#97d097", "#62b162", "weight gradients"),
    ("#e2685e", "#e2685e", "transfer"),
    ("#f2dc6b", "#f2dc6b", "exchange between replicas"),
    ("#8a8f98", "#8a8f98", "optimiser"),
    ("#eceff2", "#eceff2", "idle"),
];
const FORWARD: usize = 0;
const AGAIN: usize = 1;
const BACKWARD: usize = 2;
const WEIGHT: usize = 3;
const TRANSFER: usize = 4;
const EXCHANGE: usize = 5;
const OPTIMIZER: usize = 6;
const IDLE: usize = 7;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// What was played.
    pub play: &'a Play,
    /// How it ran.
    pub played: &'a Played,
    /// First line.
    pub title: &'a str,
    /// Second line.
    pub words: &'a str,
    /// Seconds of the exchange between replicas and of the optimiser, after the last pass of each stage.
    pub after: [f64; 2],
    /// Most tasks that are drawn.
    pub most: usize,
}

/// Part of the time axis: from, to, left edge.
#[derive(Clone, Copy)]
struct Window {
    from: f64,
    to: f64,
    x: f64,
}

struct Page<'a> {
    picture: &'a Picture<'a>,
    /// Rectangles by colour, letters and lines.
    paths: Vec<String>,
    over: String,
    /// Pixels per second, of a row.
    scale: f64,
    row: f64,
}

/// The drawing.
pub fn svg(picture: &Picture<'_>) -> String {
    let (least, most) = (f64::from(ROWS.0), f64::from(ROWS.1));
    let stages = picture.played.stages;
    let row = (f64::from(TALL) / stages.max(1) as f64).clamp(least, most);
    let (windows, scale) = windows(picture);
    let mut page = Page { picture, paths: vec![String::new(); 2 * LOOKS.len()], over: String::new(), scale, row };
    let top = f64::from(5 * MARGIN);
    let bottom = top + row * stages as f64;
    for stage in 0..stages {
        let y = top + row * stage as f64;
        page.text(f64::from(NAMES) - 6.0, y + row * 0.5 + 4.0, "end", &format!("stage {stage}"));
        for window in &windows {
            page.rect(IDLE, 0, (window.x, y), (window.to - window.from) * scale);
            page.stage(stage, y, window);
        }
    }
    windows.iter().for_each(|w| page.axis(w, bottom));
    if let [first, _] = windows[..] {
        page.text(first.x + (first.to - first.from) * scale + f64::from(GAP) * 0.5, (top + bottom) * 0.5, "middle", "...");
    }
    page.whole(bottom + f64::from(3 * MARGIN))
}

/// When a stage is done with all that follows its last pass.
fn end(picture: &Picture<'_>, stage: usize) -> f64 {
    picture.played.of_stage(stage).last().map_or(0.0, |t| t.end) + picture.after[0] + picture.after[1]
}

/// All of the step, or its beginning and its end; pixels per second.
fn windows(picture: &Picture<'_>) -> (Vec<Window>, f64) {
    let (x, width, gap) = (f64::from(NAMES), f64::from(WIDTH), f64::from(GAP));
    let all = (0..picture.played.stages).map(|s| end(picture, s)).fold(f64::MIN_POSITIVE, f64::max);
    let share = picture.most as f64 / picture.played.tasks.len().max(1) as f64;
    if share >= 1.0 {
        return (vec![Window { from: 0.0, to: all, x }], width / all);
    }
    let half = all * share * 0.5;
    let scale = (width - gap) / (2.0 * half);
    let second = x + half * scale + gap;
    (vec![Window { from: 0.0, to: half, x }, Window { from: all - half, to: all, x: second }], scale)
}

impl Page<'_> {
    fn rect(&mut self, look: usize, shade: usize, (x, y): (f64, f64), w: f64) {
        let h = self.row - 2.0;
        // Writing to a text cannot fail.
        let _ = write!(self.paths[2 * look + shade], "M{x:.1} {:.1}h{w:.1}v{h:.1}h-{w:.1}z", y + 1.0);
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, words: &str) {
        let _ = writeln!(self.over, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
    }

    fn stage(&mut self, stage: usize, y: f64, window: &Window) {
        let played = self.picture.played;
        let tasks = played.of_stage(stage);
        for (i, task) in tasks.iter().enumerate() {
            if task.end > window.from && task.start < window.to {
                let second = i > 0 && tasks[i - 1].joined;
                self.task(stage, y, task, second, window);
            }
        }
        let Some(last) = tasks.last() else { return };
        let mut at = last.end;
        for (look, long) in [EXCHANGE, OPTIMIZER].into_iter().zip(self.picture.after) {
            self.span(look, 0, y, (at, at + long), window);
            at += long;
        }
    }

    /// A pass, its parts in their order; of two that run together each has half of the height of time: the first the first half.
    fn task(&mut self, stage: usize, y: f64, task: &Task, second: bool, window: &Window) {
        let time = self.picture.play.chunk(stage, usize::from(task.chunk));
        let shade = usize::from(task.chunk) % 2;
        let parts: [(usize, f64); 4] = match task.pass {
            Pass::Forward => [(FORWARD, time.forward), (TRANSFER, time.send), (IDLE, 0.0), (IDLE, 0.0)],
            Pass::Backward => [(AGAIN, time.again), (BACKWARD, time.input), (WEIGHT, time.weight), (TRANSFER, time.send)],
            Pass::Input => [(AGAIN, time.again), (BACKWARD, time.input), (TRANSFER, time.send), (IDLE, 0.0)],
            Pass::Weight => [(WEIGHT, time.weight), (IDLE, 0.0), (IDLE, 0.0), (IDLE, 0.0)],
        };
        let sum: f64 = parts.iter().map(|p| p.1).sum();
        let (mut from, to) = self.picture.play.share(task, second, stage);
        let (start, stretch) = (from, (to - from) / sum.max(f64::MIN_POSITIVE));
        for (look, long) in parts.into_iter().filter(|p| p.1 > 0.0) {
            self.span(look, shade, y, (from, from + long * stretch), window);
            from += long * stretch;
        }
        let digits = task.microbatch.checked_ilog10().unwrap_or(0) + 1;
        let (left, right) = (start.max(window.from), to.min(window.to));
        if (right - left) * self.scale > f64::from(digits * DIGIT + 2) && self.row > f64::from(LETTERS) {
            let x = window.x + ((left + right) * 0.5 - window.from) * self.scale;
            self.text(x, y + self.row * 0.5 + 4.0, "middle", &task.microbatch.to_string());
        }
    }

    fn span(&mut self, look: usize, shade: usize, y: f64, (from, to): (f64, f64), window: &Window) {
        let (from, to) = (from.max(window.from), to.min(window.to));
        if to > from {
            self.rect(look, shade, (window.x + (from - window.from) * self.scale, y), (to - from) * self.scale);
        }
    }

    /// Seconds below the rows, at steps of 1, 2 or 5 times a power of ten.
    fn axis(&mut self, window: &Window, y: f64) {
        let least = f64::from(8 * LETTERS) / self.scale;
        let ten = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0].into_iter().map(|f| f * ten).find(|&s| s >= least).unwrap_or(10.0 * ten);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let mut at = (window.from / step).ceil() * step;
        while at <= window.to {
            let x = window.x + (at - window.from) * self.scale;
            let _ = writeln!(self.over, "<path d=\"M{x:.1} {y:.1}v5\" stroke=\"#1c2733\"/>");
            self.text(x, y + f64::from(MARGIN), "middle", &format!("{at:.digits$} s"));
            at += step;
        }
    }

    /// Title, legend, rows.
    fn whole(&mut self, height: f64) -> String {
        let margin = f64::from(MARGIN);
        let mut x = f64::from(NAMES);
        let mut legend = String::new();
        for (look, (light, dark, words)) in LOOKS.iter().enumerate() {
            let [even, odd] = [2 * look, 2 * look + 1].map(|i| !self.paths[i].is_empty());
            if !(even || odd) {
                continue;
            }
            let y = 3.0 * margin;
            let _ = write!(legend, "<path d=\"M{x:.0} {y:.0}h12v12h-12z\" fill=\"{light}\"/>");
            let second =
                if self.picture.play.schedule == Schedule::DualPipe { " (darker: from the other end)" } else { " (darker: odd chunks)" };
            let chunks = if odd && light != dark { second } else { "" };
            if !chunks.is_empty() {
                let _ = write!(legend, "<path d=\"M{:.0} {y:.0}h6v12h-6z\" fill=\"{dark}\"/>", x + 6.0);
            }
            let words = format!("{words}{chunks}");
            let _ = writeln!(legend, "<text x=\"{:.0}\" y=\"{:.0}\">{words}</text>", x + 16.0, y + 10.0);
            x += 16.0 + f64::from(DIGIT) * (words.len() as f64 + 2.0);
        }
        let mut body = String::new();
        for (i, path) in self.paths.iter().enumerate().filter(|(_, p)| !p.is_empty()).rev() {
            let (light, dark, _) = LOOKS[i / 2];
            let _ = writeln!(body, "<path fill=\"{}\" d=\"{path}\"/>", if i % 2 == 1 { dark } else { light });
        }
        let (width, left) = (f64::from(NAMES + WIDTH + 2 * MARGIN), f64::from(NAMES));
        let (title, words) = (plain(self.picture.title), plain(self.picture.words));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             font-family=\"Helvetica, Arial, sans-serif\" font-size=\"{LETTERS}\" fill=\"#1c2733\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{left:.0}\" y=\"{:.0}\" font-size=\"15\">{title}</text>\n<text x=\"{left:.0}\" y=\"{:.0}\">{words}</text>\n{legend}{body}{}</svg>\n",
            margin + 2.0,
            2.0 * margin,
            self.over
        )
    }
}

/// Words without what ends or opens an element.
fn plain(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
