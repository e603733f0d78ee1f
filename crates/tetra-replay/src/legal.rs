//! Whether a mapping can be carried out: places, sizes, instances, capacities.

use crate::paper::{Machine, Mode, Problem, Step};
use crate::price::footprint;
use crate::tally::sizes_at;

/// Everything that forbids a mapping.
pub fn faults(machine: &Machine, problem: &Problem, steps: &[Step], mode: Mode) -> Vec<String> {
    let mut out = Vec::new();
    order(machine, problem, steps, &mut out);
    sizes(problem, steps, &mut out);
    lanes(machine, problem, steps, &mut out);
    capacity(machine, problem, steps, mode, &mut out);
    out
}

fn order(machine: &Machine, problem: &Problem, steps: &[Step], out: &mut Vec<String>) {
    // The least level that may come next; `below`: the fan-outs of the level before it may still go on.
    let (mut least, mut fan, mut below) = (0, (0, 0), false);
    let mut seen = vec![vec![false; problem.tensors.len()]; machine.levels.len()];
    for s in steps {
        match *s {
            Step::Store { level, tensor } => {
                let (l, t) = (&machine.levels[level], &problem.tensors[tensor]);
                if level < least || seen[level][tensor] || !t.role.iter().all(|r| l.may_keep.contains(r)) {
                    out.push(format!("{} may not lie in {} where it does", t.name, l.name));
                }
                seen[level][tensor] = true;
                (least, below) = (least.max(level), false);
            }
            Step::Spread { level, fanout, .. } => {
                if level < least.saturating_sub(usize::from(below)) || (level, fanout) < fan {
                    out.push("a fan-out stands above the level it belongs to, or below the next one".into());
                }
                fan = (level, fanout);
                (least, below) = (level + 1, true);
            }
            Step::Loop { .. } => {}
        }
    }
    for (l, row) in machine.levels.iter().zip(&seen) {
        for (t, there) in problem.tensors.iter().zip(row) {
            if !there && t.role.iter().any(|r| l.keep.contains(r)) {
                out.push(format!("{} must lie in {}", t.name, l.name));
            }
        }
    }
    if seen[0].iter().any(|there| !there) {
        out.push("the outermost level does not hold every tensor".into());
    }
}

fn sizes(problem: &Problem, steps: &[Step], out: &mut Vec<String>) {
    for (r, rank) in problem.ranks.iter().enumerate() {
        let mut size = rank.extent;
        let mut first = true;
        for (_, tile, lanes) in steps.iter().filter_map(|s| s.split()).filter(|s| s.0 == r) {
            if !first && tile < size && !size.is_multiple_of(tile) {
                out.push(format!("a tile of {tile} along {} is no part of one of {size}", rank.name));
            }
            if lanes.is_some_and(|n| n.saturating_mul(tile) < size.min(rank.extent)) {
                out.push(format!("lanes along {} are too few for the tile around them", rank.name));
            }
            (size, first) = (tile, false);
        }
        if size.min(rank.extent) != 1 {
            out.push(format!("tiles along {} end at {size}, not at single points", rank.name));
        }
    }
}

fn lanes(machine: &Machine, problem: &Problem, steps: &[Step], out: &mut Vec<String>) {
    for (l, level) in machine.levels.iter().enumerate() {
        for (k, f) in level.fanouts.iter().enumerate() {
            let mut used = 1u64;
            for s in steps {
                let Step::Spread { level, fanout, rank, lanes, .. } = *s else { continue };
                if (level, fanout) != (l, k) {
                    continue;
                }
                used = used.saturating_mul(lanes);
                let barred = |t: &&crate::paper::Tensor| t.indexed_by(rank) && t.role.iter().any(|r| f.must_reuse.contains(r));
                if let Some(t) = problem.tensors.iter().find(barred).filter(|_| lanes > 1) {
                    out.push(format!("instances of {} must share {}, which is indexed by a spread rank", f.name, t.name));
                }
            }
            if used > f.size {
                out.push(format!("{used} instances are used of {} of {}", f.size, f.name));
            }
        }
    }
}

fn capacity(machine: &Machine, problem: &Problem, steps: &[Step], mode: Mode, out: &mut Vec<String>) {
    for (l, level) in machine.levels.iter().enumerate() {
        let Some(room) = level.capacity_bits else { continue };
        let buffers = if mode == Mode::Real && level.double_buffer { 2.0 } else { 1.0 };
        let mut held = 0.0;
        for (i, s) in steps.iter().enumerate() {
            if let Step::Store { level, tensor } = *s
                && level == l
            {
                let t = &problem.tensors[tensor];
                held += footprint(problem, tensor, &sizes_at(problem, steps, i)) * t.bits.max(t.sum_bits) as f64 * buffers;
            }
        }
        if held > room as f64 {
            out.push(format!("{} would hold {held} bits of {room}", level.name));
        }
    }
}
