//! A mapping in words: the loop nest drawn per level, what fills each buffer, what bounds it and why.

use tetra_quantity::{Bytes, Joules, show_number};

use crate::nest::certificate::Certificate;
use crate::nest::count::Moved;
use crate::nest::loops::Step;
use crate::nest::problem::Work;

/// Bits of a byte.
const BYTE: f64 = 8.0;
/// A tensor that moves more often than once by more than one part in this many has a reason.
const PARTS: f64 = 16.0;

/// One level of a mapping.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LevelRow {
    /// Level.
    pub level: String,
    /// Tiles that lie there, with their sizes.
    pub holds: String,
    /// Share of one instance's capacity that they take, all buffers; none without a limit.
    pub filled: Option<f64>,
    /// Bytes read, all instances.
    pub read: Bytes,
    /// Bytes written, all instances.
    pub written: Bytes,
    /// Energy of both.
    pub energy: Joules,
    /// Cycles of the busiest port as a share of the op's.
    pub busy: f64,
}

/// A mapping in words.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Described {
    /// The loop nest, one line per step, indented.
    pub nest: Vec<String>,
    /// Every level.
    pub levels: Vec<LevelRow>,
    /// What bounds the op, and why tensors move more often than once.
    pub reasons: Vec<String>,
}

/// Describes a mapping.
pub fn describe(c: &Certificate) -> Described {
    Described { nest: draw(c), levels: level_rows(c), reasons: reasons(c) }
}

fn draw(c: &Certificate) -> Vec<String> {
    let trips = c.nest.trips(&c.problem);
    let mut lines: Vec<String> = Vec::new();
    let mut depth = 0;
    let indent = |depth: usize| "  ".repeat(depth);
    for (i, step) in c.nest.steps.iter().enumerate() {
        match *step {
            Step::Store { level, tensor } => {
                lines.push(format!("{}{}: {}", indent(depth), c.machine.levels[level].name, tile_text(c, i, tensor)));
            }
            Step::Loop { rank, tile } => {
                lines.push(format!("{}for {} in {} tiles of {tile}", indent(depth), c.problem.ranks[rank].name, trips[i]));
                depth += 1;
            }
            Step::Spread { level, fanout, rank, tile, lanes } => {
                let f = &c.machine.levels[level].fanouts[fanout];
                let what = format!("{} side by side on {} of {} {}", c.problem.ranks[rank].name, lanes, f.size, f.name);
                lines.push(format!("{}{what}, tiles of {tile}", indent(depth)));
                depth += 1;
            }
        }
    }
    let unit = if c.problem.work == Work::Mac { "MAC" } else { "vector operation" };
    lines.push(format!("{}{unit}", indent(depth)));
    lines
}

/// Name, shape and size of a tensor's tile at a step.
fn tile_text(c: &Certificate, step: usize, tensor: usize) -> String {
    let t = &c.problem.tensors[tensor];
    let tile = c.nest.tile_at(&c.problem, step);
    let sides: Vec<String> = t.dims.iter().flatten().map(|&(r, _)| format!("{} {}", c.problem.ranks[r].name, tile[r])).collect();
    let bytes = t.footprint(&tile) as f64 * t.bits.max(t.sum_bits) as f64 / BYTE;
    format!("{} tile of {} ({})", t.name, sides.join(" x "), Bytes(bytes))
}

fn buffers(c: &Certificate, level: usize) -> f64 {
    crate::nest::price::buffers(&c.machine.levels[level], c.mode) as f64
}

fn level_rows(c: &Certificate) -> Vec<LevelRow> {
    let row = |(l, level): (usize, &crate::nest::machine::Level)| {
        let places = c.nest.steps.iter();
        let names: Vec<String> = places
            .filter_map(|s| match *s {
                Step::Store { level, tensor } if level == l => Some(c.problem.tensors[tensor].name.clone()),
                _ => None,
            })
            .collect();
        let sum = |f: fn(&Moved) -> f64| Bytes(c.moved[l].iter().map(f).sum::<f64>() / BYTE);
        LevelRow {
            level: level.name.clone(),
            holds: if names.is_empty() { "nothing".into() } else { names.join(", ") },
            filled: level.capacity_bits.map(|all| c.nest.held_bits(&c.problem, l) as f64 * buffers(c, l) / all as f64),
            read: sum(|m| m.read),
            written: sum(|m| m.written),
            energy: Joules(c.cost.level_j[l]),
            busy: c.cost.port_cycles[l] / c.cost.cycles.max(1.0),
        }
    };
    c.machine.levels.iter().enumerate().map(row).collect()
}

fn reasons(c: &Certificate) -> Vec<String> {
    let mut out = vec![bound_by(c)];
    for level in 0..c.machine.levels.len().saturating_sub(1) {
        for tensor in 0..c.problem.tensors.len() {
            out.extend(why_again(c, level, tensor));
        }
    }
    out
}

fn bound_by(c: &Certificate) -> String {
    let share = |x: f64| format!("{} %", show_number(100.0 * x / c.cost.cycles.max(1.0)));
    let top = c.cost.port_cycles.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    match top {
        Some((l, &cycles)) if cycles > c.cost.array_cycles => {
            format!(
                "{}-bound: its port is busy {} of the time, the arrays {}",
                c.machine.levels[l].name,
                share(cycles),
                share(c.cost.array_cycles)
            )
        }
        _ => {
            let used = c.problem.points() as f64 / (c.cost.array_cycles.max(1.0) * c.machine.lanes().max(1) as f64);
            let unit = if c.problem.work == Work::Mac { "arrays" } else { "lanes" };
            let lanes =
                if c.problem.work == Work::Mac { format!(", {} % of MAC slots used", show_number(100.0 * used)) } else { String::new() };
            format!("compute-bound: the {unit} are busy {} of the time{lanes}", share(c.cost.array_cycles))
        }
    }
}

/// Why a level reads (or takes) a tensor more often than once: the tile further in that takes the room.
fn why_again(c: &Certificate, level: usize, tensor: usize) -> Option<String> {
    let t = &c.problem.tensors[tensor];
    let here = c.nest.steps.iter().position(|s| matches!(*s, Step::Store { level: l, tensor: x } if l == level && x == tensor))?;
    let whole = t.footprint(&c.problem.extents()) as f64;
    let moved = &c.moved[level][tensor];
    let width = if t.is_output() { t.sum_bits } else { t.bits } as f64;
    let times = if t.is_output() { moved.written } else { moved.read } / (whole * width);
    let inner = c.nest.steps[here + 1..].iter().find_map(|s| match *s {
        Step::Store { level: l, .. } if l > level => Some(l),
        _ => None,
    })?;
    // Only memories that tiles were chosen for: a register that holds one value explains nothing.
    if times < 1.0 + 1.0 / PARTS || c.machine.levels[inner].capacity_bits.is_none() || level + 1 < inner {
        return None;
    }
    let largest = c.nest.steps.iter().enumerate().filter_map(|(i, s)| match *s {
        Step::Store { level: l, tensor: x } if l == inner => {
            let other = &c.problem.tensors[x];
            Some((other.footprint(&c.nest.tile_at(&c.problem, i)) * other.bits.max(other.sum_bits), other.name.as_str()))
        }
        _ => None,
    });
    let (bits, name) = largest.max_by_key(|x| x.0).filter(|x| x.0 > t.sum_bits.max(t.bits))?;
    let filled = bits as f64 * buffers(c, inner) / c.machine.levels[inner].capacity_bits.unwrap_or(1) as f64;
    let verb = if t.is_output() { "written" } else { "read" };
    Some(format!(
        "{} is {verb} {} times at {} because the {name} tile fills {} % of {}",
        t.name,
        show_number(times),
        c.machine.levels[level].name,
        show_number(100.0 * filled),
        c.machine.levels[inner].name
    ))
}
