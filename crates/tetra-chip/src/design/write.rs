//! Writes a design description as TOML and reads it back to the same point. Derived values of a file are compared with what the point
//! gives today; where they differ, the file is from other data rows or was changed by hand.

use std::fmt::Write;

use tetra_quantity::Tables;

use super::parts::Origin;
use super::point::read_point;
use super::{Description, Design, exact_text};
use crate::constants::ChipConstants;
use crate::error::{ChipError, Fit};
use crate::section::{Section, read_toml};
use crate::write::text;

/// What was read: a point, and the text it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The point.
    pub point: Design,
    /// Derived tables of the file.
    derived: toml::Table,
}

/// Reads a point or a whole description.
///
/// # Errors
/// Every mistake of the text.
pub fn read(name: &str, text: &str) -> Result<Reading, Vec<ChipError>> {
    let point = read_toml(name, text, |errors, root| {
        let mut top = Section::new("", root.span(), root.get_ref());
        let point = top.table(errors, "point", "point").and_then(|s| read_point(errors, s));
        for derived in DERIVED {
            top.entries.remove(derived);
        }
        top.finish(errors);
        point
    })?;
    // The text was just read as TOML without a mistake.
    let mut derived: toml::Table = text.parse().unwrap_or_default();
    derived.remove("point");
    Ok(Reading { point, derived })
}

/// Tables of a description beside the point.
const DERIVED: [&str; 14] = [
    "clocks",
    "cores",
    "pe_array",
    "vector_unit",
    "scratchpad",
    "global_memory",
    "network",
    "dma",
    "hbm",
    "links",
    "power",
    "silicon",
    "joints",
    "rows",
];

/// Most differences that are told one by one.
const MOST_SHOWN: usize = 40;
/// Longest value that is told.
const LONGEST_SHOWN: usize = 80;

impl Reading {
    /// Values of the file that its point does not give today: `network.core_ports is 8, the point gives 16`.
    ///
    /// # Errors
    /// Why the point cannot be built.
    pub fn differences(&self, tables: &Tables, constants: &ChipConstants) -> Fit<Vec<String>> {
        let (today, _) = Description::of(&self.point, tables, constants)?;
        let today: toml::Table = today.to_toml().parse().unwrap_or_default();
        let mut out = Vec::new();
        for (name, block) in &self.derived {
            compare(name, block, today.get(name), &mut out);
        }
        if out.len() > MOST_SHOWN {
            let more = out.len() - MOST_SHOWN;
            out.truncate(MOST_SHOWN);
            out.push(format!("and {more} more values differ"));
        }
        Ok(out)
    }
}

fn compare(path: &str, file: &toml::Value, today: Option<&toml::Value>, out: &mut Vec<String>) {
    if let toml::Value::Table(t) = file {
        for (key, value) in t {
            compare(&format!("{path}.{key}"), value, today.and_then(|v| v.get(key)), out);
        }
    } else if Some(file) != today {
        let short = |text: String| text.chars().take(LONGEST_SHOWN).collect::<String>();
        let shown = |v: &toml::Value| short(v.to_string());
        let path = short(path.trim_end_matches(".value").to_owned());
        out.push(format!("{path} is {}, the point gives {}", shown(file), today.map_or_else(|| "none".to_owned(), shown)));
    }
}

impl Description {
    /// The description as TOML.
    pub fn to_toml(&self) -> String {
        let mut out = String::from(
            "# A chip of the template, block by block. `formula` is arithmetic over values of this file and of its rows, in base units;\n\
             # `rule` is a procedure, `choice` how the template is made. Only [point] is read back: all else follows from it.\n",
        );
        for (block, entries) in self.blocks() {
            let _ = writeln!(out, "\n[{block}]");
            for (key, value, _, origin) in entries {
                let _ = match (block, origin) {
                    ("point", _) => writeln!(out, "{key} = {value}"),
                    (_, Origin::Formula(f)) => writeln!(out, "{key} = {{ value = {value}, formula = {} }}", text(&f)),
                    (_, Origin::Rule(r)) => writeln!(out, "{key} = {{ value = {value}, rule = {} }}", text(r)),
                    (_, Origin::Choice(c)) => writeln!(out, "{key} = {{ value = {value}, choice = {} }}", text(c)),
                };
            }
        }
        for j in &self.joints {
            let word = match j.demand {
                super::Demand::Equal => "equal",
                super::Demand::Rounded => "rounded up",
                super::Demand::Either => "either",
            };
            let rate = |q: tetra_quantity::BytesPerSecond| text(&exact_text::<tetra_quantity::BytesPerSecond>(q.value()));
            let _ = writeln!(out, "\n[[joints]]\nname = {}\ndemand = {}", text(j.name), text(word));
            let _ = writeln!(out, "gives = {{ value = {}, formula = {} }}", rate(j.gives), text(j.gives_formula));
            let _ = writeln!(out, "takes = {{ value = {}, formula = {} }}", rate(j.takes), text(j.takes_formula));
        }
        out.push_str("\n[rows]\n");
        for (name, row) in &self.rows {
            let _ = writeln!(out, "{} = {{ value = {}, source = {} }}", text(name), text(&row.value), text(&row.source));
        }
        out
    }
}
