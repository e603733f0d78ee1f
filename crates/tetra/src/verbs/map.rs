//! `tetra map`: the best mapping of one op on a machine, or of a pair that may meet on chip.

use serde::Serialize;
use tetra_chip::nest::{Machine, Mode, Objective, Solved, SolvedOne, SolvedPair, named_bits, solve};
use tetra_quantity::{Fraction, Joules, Seconds, show_number};

use super::Answer;
use super::inputs::machine;
use crate::cli::MapAt;
use crate::failure::Failure;
use crate::files::{Library, write_file};
use crate::show::{sections, table};

pub fn answer(library: &Library, at: &MapAt) -> Result<Answer, Failure> {
    let machine = machine(library, &at.chip, &at.set, named_bits(&at.op))?;
    let mode = if at.mode == "ideal" { Mode::Ideal } else { Mode::Real };
    let objective = match at.objective.as_str() {
        "time" => Some(Objective::Time),
        "energy" => Some(Objective::Energy),
        "edp" => Some(Objective::Edp),
        _ => None,
    };
    let solved = solve(&at.op, &machine, mode, objective).map_err(|e| match e {
        tetra_chip::nest::SolveError::Op(e) => Failure::Input(vec![format!("--op: {e}")]),
        other => Failure::misfit(&other),
    })?;
    let text = match &solved {
        Solved::One(one) => one_text(one, &machine, at),
        Solved::Front(list) => front_text(list, &machine, at),
        Solved::Pair(pair) => pair_text(pair, &machine, at),
    };
    if let Some(path) = &at.certificate {
        write_file(path, &certificate(&solved)?)?;
    }
    Answer::new(text, &solved)
}

fn certificate(solved: &Solved) -> Result<String, Failure> {
    match solved {
        Solved::One(one) => json(&one.certificate),
        Solved::Front(list) => json(&list.iter().map(|o| &o.certificate).collect::<Vec<_>>()),
        Solved::Pair(pair) => json(&pair.phases.iter().map(|o| &o.certificate).collect::<Vec<_>>()),
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::Fault(e.to_string()))
}

fn head(machine: &Machine, at: &MapAt, what: &str) -> String {
    format!("{} on {}, {} mode, {}", at.op, machine.name, at.mode, what)
}

fn figures(one: &SolvedOne) -> String {
    let (cost, s) = (&one.certificate.cost, &one.settled);
    let clock = if s.clock_factor < 1.0 { format!(", clock at {} under the power cap", Fraction(s.clock_factor)) } else { String::new() };
    format!(
        "{} cycles ({}), {} ({} dynamic){clock}",
        show_number(cost.cycles),
        Seconds(s.seconds),
        Joules(s.energy_j),
        Joules(cost.energy_j)
    )
}

fn one_text(one: &SolvedOne, machine: &Machine, at: &MapAt) -> String {
    let rows = one.described.levels.iter().map(|r| {
        let filled = r.filled.map_or_else(|| "-".to_owned(), |f| Fraction(f).to_string());
        vec![
            r.level.clone(),
            r.holds.clone(),
            filled,
            r.read.to_string(),
            r.written.to_string(),
            r.energy.to_string(),
            Fraction(r.busy).to_string(),
        ]
    });
    let (t, b) = (&one.certificate.search, &one.certificate.bound);
    let search = format!(
        "{}: {} assignments ({} excluded by the bound), {} places ({} do not fit, {} excluded by the bound), {} mappings \
         evaluated; no mapping takes less than {} and {} cycles",
        if t.stopped { "best seen, not proved best, the search ended at its limit" } else { "best of the mapspace" },
        t.assignments,
        t.assignments_bound,
        t.places,
        t.capacity,
        t.bound,
        t.evaluated,
        Joules(b.energy_j),
        show_number(b.cycles)
    );
    sections(&[
        ("", format!("{}\n{}", head(machine, at, &format!("least {}", at.objective)), figures(one))),
        ("", one.described.nest.join("\n")),
        ("", table(&["level", "holds", "filled", "read", "written", "energy", "busy"], 2, rows)),
        ("", one.described.reasons.join("\n")),
        ("", search),
    ])
}

fn front_text(list: &[SolvedOne], machine: &Machine, at: &MapAt) -> String {
    let rows = list.iter().map(|o| {
        let (c, s) = (&o.certificate.cost, &o.settled);
        let bound = o.described.reasons.first().cloned().unwrap_or_default();
        vec![show_number(c.cycles), Seconds(s.seconds).to_string(), Joules(s.energy_j).to_string(), bound]
    });
    let head = head(machine, at, "mappings that no other one beats in both time and energy");
    sections(&[("", head), ("", table(&["cycles", "time", "energy", "bound by"], 0, rows))])
}

fn pair_text(pair: &SolvedPair, machine: &Machine, at: &MapAt) -> String {
    let (f, s) = (&pair.fused, &pair.settled);
    let around = if f.rows_outside { "rows around" } else { "rows inside" };
    let apart = pair.apart.map_or_else(String::new, |(e, c)| {
        format!(
            "\none after the other, nothing fused or masked: {} cycles, {}{}",
            show_number(c),
            Joules(e),
            if pair.better_apart { ": better apart" } else { "" }
        )
    });
    let first = format!(
        "{}\n{} cycles ({}), {}\nfused in {}: tiles of {} rows by {}, {around}; {} across the outermost boundary, its port busy for {} \
         cycles; {} choices of tiles fit, {} evaluated in full{}{apart}",
        head(machine, at, &format!("least {}", at.objective)),
        show_number(f.cycles),
        Seconds(s.seconds),
        Joules(s.energy_j),
        pair.meets_in,
        f.tiles[0],
        f.tiles[1],
        f.outer_bytes,
        show_number(f.outer_cycles),
        f.considered,
        f.evaluated,
        if f.stopped { ": best seen, not proved best, the search ended at its limit" } else { "" }
    );
    let mut parts = vec![("", first)];
    for p in &pair.phases {
        parts.push(("", format!("{}\n{}\n{}", p.certificate.problem.name, figures(p), p.described.nest.join("\n"))));
    }
    sections(&parts)
}
