//! Reads a machine file: `[[level]]` tables from the outermost memory to the registers, `[[level.fanout]]` below them, `[compute]`.
//! All mistakes of a file are reported together, each with its line.

use tetra_quantity::{Bytes, BytesPerSecond, Hertz, Joules, JoulesPerByte, Seconds, Watts};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ChipError;
use crate::nest::machine::{ComputeUnit, Dataflow, Fanout, Level, MOST_FANOUTS, MOST_LEVELS, Machine, Roles};
use crate::section::{Errors, Section, read_toml};

/// Bits of a byte.
const BYTE: f64 = 8.0;
/// Bits of operands and sums where a file says nothing.
const OPERAND_BITS: u64 = 8;
const SUM_BITS: u64 = 32;
/// Most energy per bit or operation that is believed, in joules.
const MOST_J: f64 = 1e-3;

impl Machine {
    /// Whether a text describes a machine by its levels rather than a chip by its parts.
    pub fn is_machine(text: &str) -> bool {
        text.lines().any(|l| l.trim_start().starts_with("[[level"))
    }

    /// Reads a machine file; `name` is its file name for messages.
    ///
    /// # Errors
    /// Every mistake of the text: broken TOML, unknown, missing or doubled keys, wrong types, units and ranges.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, Vec<ChipError>> {
        read_toml(name, text, read_machine)
    }
}

fn read_machine(errors: &mut Errors<'_>, root: &Spanned<DeTable<'_>>) -> Option<Machine> {
    let mut top = Section::new("", root.span(), root.get_ref());
    let name = top.word(errors, "name");
    let clock: Option<Hertz> = top.quantity(errors, "clock", 1e6, 1e11);
    let rate = clock.map_or(1.0, |c| c.value());
    let levels = read_levels(errors, &mut top, rate);
    let names: Vec<String> = levels.iter().map(|l| l.name.clone()).collect();
    let compute = top.table(errors, "compute", "compute").and_then(|s| read_compute(errors, s, rate, &names));
    check_levels(errors, &top, &levels);
    top.finish(errors);
    Some(Machine { name: name?, clock: clock?, levels, compute: compute? })
}

fn check_levels(errors: &mut Errors<'_>, top: &Section<'_, '_>, levels: &[Level]) {
    let mut say = |cause: &str, mend: &str| errors.push(top.span.clone(), cause.to_owned(), mend);
    if levels.is_empty() || levels.len() > MOST_LEVELS {
        say("a machine has 1 to 8 levels", "write one [[level]] per memory, the outermost first");
        return;
    }
    if levels[0].capacity_bits.is_some() || !levels[0].keep.has(Roles::ALL) {
        say("the outermost level must hold everything", "leave out its capacity and write keep = [\"all\"]");
    }
    if levels.iter().map(|l| l.fanouts.len()).sum::<usize>() > MOST_FANOUTS {
        say("a machine has at most 8 fan-outs", "join neighbouring ones");
    }
}

fn read_levels(errors: &mut Errors<'_>, top: &mut Section<'_, '_>, clock: f64) -> Vec<Level> {
    top.tables(errors, "level", "level").into_iter().filter_map(|s| read_level(errors, s, clock)).collect()
}

/// A bandwidth in bits per cycle; none where the key is missing.
fn bits_per_cycle(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str, clock: f64) -> Option<f64> {
    if !s.has(key) {
        return None;
    }
    s.quantity::<BytesPerSecond>(errors, key, 1e3, 1e18).map(|b| b.value() * BYTE / clock)
}

fn per_bit(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str) -> Option<f64> {
    s.quantity::<JoulesPerByte>(errors, key, 0.0, MOST_J).map(|j| j.value() / BYTE)
}

fn bits(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str) -> Option<u64> {
    s.has(key).then(|| s.quantity::<Bytes>(errors, key, 1.0 / BYTE, 1e15).map(|b| (b.value() * BYTE) as u64)).flatten()
}

fn roles(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str, otherwise: Roles) -> Roles {
    if !s.has(key) {
        return otherwise;
    }
    let Some(value) = s.take(errors, key) else { return otherwise };
    let mut found = Roles::NONE;
    let Some(list) = value.get_ref().as_array() else {
        errors.push(value.span(), format!("\"{key}\" is not a list"), "write for example [\"input\", \"output\"]");
        return otherwise;
    };
    for item in list.iter() {
        match item.get_ref().as_str().and_then(Roles::of) {
            Some(role) => found = found.with(role),
            None => errors.push(item.span(), format!("\"{key}\" names no tensor"), "write input, weight, output or all"),
        }
    }
    found
}

fn read_level(errors: &mut Errors<'_>, mut s: Section<'_, '_>, clock: f64) -> Option<Level> {
    let name = s.word(errors, "name");
    let capacity_bits = bits(errors, &mut s, "capacity");
    let read_j_per_bit = per_bit(errors, &mut s, "read_energy");
    let write_j_per_bit = per_bit(errors, &mut s, "write_energy");
    let shared = bits_per_cycle(errors, &mut s, "bandwidth", clock);
    let read = bits_per_cycle(errors, &mut s, "read_bandwidth", clock);
    let write = bits_per_cycle(errors, &mut s, "write_bandwidth", clock);
    if shared.is_some() && (read.is_some() || write.is_some()) {
        errors.push(
            s.span.clone(),
            "a level has one shared port or two of its own".into(),
            "write bandwidth, or read_ and write_bandwidth",
        );
    }
    let keep = roles(errors, &mut s, "keep", Roles::NONE);
    let may_keep = roles(errors, &mut s, "may_keep", Roles::ALL).with(keep);
    let efficiency = if s.has("efficiency") { s.number(errors, "efficiency", 1e-3, 1.0)? } else { 1.0 };
    let level = Level {
        name: name?,
        capacity_bits,
        read_j_per_bit: read_j_per_bit?,
        write_j_per_bit: write_j_per_bit?,
        read_bits_per_cycle: shared.or(read),
        write_bits_per_cycle: shared.or(write),
        shared_port: shared.is_some(),
        granule_bits: bits(errors, &mut s, "granule").unwrap_or(1).max(1),
        keep,
        may_keep,
        double_buffer: !s.has("double_buffer") || s.flag(errors, "double_buffer")?,
        cache: s.has("cache") && s.flag(errors, "cache")?,
        efficiency,
        fanouts: if s.has("fanout") { read_fanouts(errors, &mut s) } else { Vec::new() },
    };
    s.finish(errors);
    Some(level)
}

fn read_fanouts(errors: &mut Errors<'_>, s: &mut Section<'_, '_>) -> Vec<Fanout> {
    s.tables(errors, "fanout", "level.fanout")
        .into_iter()
        .filter_map(|mut f| {
            let fanout = Fanout {
                name: f.word(errors, "name")?,
                size: f.count(errors, "size", 1, 1 << 20)?,
                must_reuse: roles(errors, &mut f, "must_reuse", Roles::NONE),
                multicast: roles(errors, &mut f, "multicast", Roles::INPUT.with(Roles::WEIGHT)),
                reduces: !f.has("reduces") || f.flag(errors, "reduces")?,
            };
            f.finish(errors);
            Some(fanout)
        })
        .collect()
}

fn read_compute(errors: &mut Errors<'_>, mut s: Section<'_, '_>, clock: f64, levels: &[String]) -> Option<ComputeUnit> {
    let mac_j = s.quantity::<Joules>(errors, "mac_energy", 0.0, MOST_J);
    let vector_j = if s.has("vector_energy") { s.quantity::<Joules>(errors, "vector_energy", 0.0, MOST_J)?.value() } else { 0.0 };
    let vector_ops_per_cycle = if s.has("vector_ops_per_cycle") { s.number(errors, "vector_ops_per_cycle", 0.0, 1e9)? } else { 0.0 };
    let vector_level = vector_level(errors, &mut s, levels)?;
    let dataflow = match s.has("dataflow").then(|| s.word(errors, "dataflow")).flatten().as_deref() {
        None | Some("lanes") => Dataflow::Lanes,
        Some("systolic") => Dataflow::Systolic,
        Some(other) => {
            errors.push(s.span.clone(), format!("dataflow \"{other}\" is not known"), "write lanes or systolic");
            Dataflow::Lanes
        }
    };
    let launch = if s.has("launch") { s.quantity::<Seconds>(errors, "launch", 0.0, 1.0)?.value() } else { 0.0 };
    let watts = |s: &mut Section<'_, '_>, errors: &mut Errors<'_>, key: &str| {
        s.has(key).then(|| s.quantity::<Watts>(errors, key, 0.0, 1e6).map(|w| w.value())).flatten()
    };
    let unit = ComputeUnit {
        mac_j: mac_j?.value(),
        vector_j,
        vector_ops_per_cycle,
        vector_level,
        dataflow,
        shadow: s.has("shadow_weights") && s.flag(errors, "shadow_weights")?,
        launch_cycles: launch * clock,
        static_w: watts(&mut s, errors, "static_power"),
        operand_bits: if s.has("operand_bits") { s.count(errors, "operand_bits", 1, 64)? } else { OPERAND_BITS },
        sum_bits: if s.has("sum_bits") { s.count(errors, "sum_bits", 1, 64)? } else { SUM_BITS },
        power_cap_w: watts(&mut s, errors, "power_cap"),
    };
    s.finish(errors);
    Some(unit)
}

fn vector_level(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, levels: &[String]) -> Option<usize> {
    if !s.has("vector_level") {
        return Some(0);
    }
    let span = s.entries.get("vector_level").map_or(0..0, |(_, v): &(_, &Spanned<DeValue<'_>>)| v.span());
    let name = s.word(errors, "vector_level")?;
    let found = levels.iter().position(|l| *l == name);
    if found.is_none() {
        errors.push(span, format!("no level is named \"{name}\""), "write the name of a level");
    }
    found
}
