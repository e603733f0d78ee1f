//! A point of the template as a file: a table `[point]` whose keys are the axes of the grids.

use tetra_quantity::Quantity;

use super::quoted;
use crate::chip::{Chip, ChipKind};
use crate::constants::ChipConstants;
use crate::error::ChipError;
use crate::section::{Errors, Section};
use crate::template::{Design, build};
use crate::write::text;

/// Largest count and quantity that a point file may hold; the template has its own, narrower ranges.
const MOST: u64 = 1 << 24;
const LARGEST: f64 = 1e16;

/// Keys, values as TOML, and values in base units where they are numbers.
pub(super) fn entries(d: &Design) -> Vec<(&'static str, String, Option<f64>)> {
    let word = |k, v: &str| (k, text(v), None);
    let count = |k, n: u64| (k, n.to_string(), Some(n as f64));
    fn quantity<Q: Quantity>(k: &'static str, q: Q) -> (&'static str, String, Option<f64>) {
        (k, quoted(q), Some(q.value()))
    }
    let mut out = vec![
        word("node", &d.node),
        count("dies", d.dies),
        count("cores", d.cores),
        count("arrays_per_core", d.arrays_per_core),
        count("array_rows", d.array_rows),
        count("array_columns", d.array_columns),
        count("lanes", d.lanes),
        quantity("local", d.local),
        quantity("global", d.global),
        word("hbm_kind", &d.hbm_kind),
        count("hbm_stacks", d.hbm_stacks),
        quantity("scale_up", d.scale_up),
        count("scale_up_domain", d.scale_up_domain),
        quantity("clock", d.clock),
    ];
    out.extend(d.power_cap.map(|cap| quantity("power_cap", cap)));
    out
}

/// Reads the table `[point]`.
pub(super) fn read_point(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<Design> {
    let node = s.word(errors, "node");
    let hbm_kind = s.word(errors, "hbm_kind");
    let mut count = |s: &mut Section<'_, '_>, key| s.count(errors, key, 1, MOST);
    let [dies, cores, arrays, rows] = ["dies", "cores", "arrays_per_core", "array_rows"].map(|k| count(&mut s, k));
    let [columns, lanes, stacks, domain] = ["array_columns", "lanes", "hbm_stacks", "scale_up_domain"].map(|k| count(&mut s, k));
    let local = s.quantity(errors, "local", 1.0, LARGEST);
    let global = s.quantity(errors, "global", 1.0, LARGEST);
    let scale_up = s.quantity_or_none(errors, "scale_up", 1.0, LARGEST);
    let clock = s.quantity(errors, "clock", 1.0, LARGEST);
    let power_cap = if s.has("power_cap") { Some(s.quantity(errors, "power_cap", 1.0, LARGEST)?) } else { None };
    s.finish(errors);
    Some(Design {
        node: node?,
        cores: cores?,
        arrays_per_core: arrays?,
        array_rows: rows?,
        array_columns: columns?,
        lanes: lanes?,
        local: local?,
        global: global?,
        hbm_kind: hbm_kind?,
        hbm_stacks: stacks?,
        scale_up: scale_up?,
        scale_up_domain: domain?,
        clock: clock?,
        dies: dies?,
        power_cap,
    })
}

/// Whether a text is a point or a design description rather than a chip.
pub fn is_point(text: &str) -> bool {
    text.lines().any(|l| l.trim() == "[point]")
}

/// The point of the template that a chip is.
///
/// # Errors
/// That it is none: a chip of another make, or other data rows.
pub fn template_of(file: &str, chip: &Chip, constants: &ChipConstants) -> Result<Design, ChipError> {
    let (c, m, l, s) = (&chip.compute, &chip.memory, &chip.links, &chip.silicon);
    let open = Design {
        node: s.node.clone(),
        cores: c.cores,
        arrays_per_core: c.arrays_per_core,
        array_rows: c.array_rows,
        array_columns: c.array_columns,
        lanes: c.lanes_per_core,
        local: m.local,
        global: m.global,
        hbm_kind: m.hbm_kind.clone(),
        hbm_stacks: m.hbm_stacks,
        scale_up: l.scale_up,
        scale_up_domain: l.scale_up_domain,
        clock: c.clock,
        dies: s.dies,
        power_cap: None,
    };
    let capped = Design { power_cap: Some(chip.power.cap), ..open.clone() };
    let named = |found: Chip| Chip {
        name: chip.name.clone(),
        aliases: chip.aliases.clone(),
        year: chip.year,
        source: chip.source.clone(),
        kind: ChipKind::Template,
        ..found
    };
    let same = |d: &Design| chip.kind == ChipKind::Template && build(d, constants).is_ok_and(|found| named(found) == *chip);
    [open, capped].into_iter().find(same).ok_or_else(|| ChipError {
        file: file.to_owned(),
        line: 1,
        span: 0..0,
        cause: format!("{} is no chip of the template with these data rows", chip.name),
        mend: "give a point ([point]), a description, a chip that the template made, or a study with --point".into(),
    })
}
