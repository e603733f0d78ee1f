//! A chip as a chip file (TOML) that reads back as the identical chip. Leaves out: comments, sources of single values.

use std::fmt::Write;

use tetra_quantity::{Quantity, exact_text};

use crate::chip::{Chip, ChipKind};

/// A text as TOML.
pub(crate) fn text(words: &str) -> String {
    let mut out = String::from("\"");
    for c in words.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

fn quantity<Q: Quantity>(out: &mut String, key: &str, q: Q) {
    line(out, key, &text(&exact_text::<Q>(q.value())));
}

impl Chip {
    /// Its chip file.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        line(&mut out, "name", &text(&self.name));
        if !self.aliases.is_empty() {
            let all: Vec<String> = self.aliases.iter().map(|a| text(a)).collect();
            line(&mut out, "aliases", &format!("[{}]", all.join(", ")));
        }
        if self.year != 0 {
            line(&mut out, "year", &self.year.to_string());
        }
        let kind = match self.kind {
            ChipKind::Datasheet => "datasheet",
            ChipKind::Assumption => "assumption",
            ChipKind::Template => "template",
        };
        line(&mut out, "kind", &text(kind));
        line(&mut out, "source", &text(&self.source));
        self.compute_and_memory(&mut out);
        self.rest(&mut out);
        out
    }

    fn compute_and_memory(&self, out: &mut String) {
        let (c, m) = (&self.compute, &self.memory);
        out.push_str("\n[compute]\n");
        line(out, "cores", &c.cores.to_string());
        quantity(out, "clock", c.clock);
        if c.clock_max != c.clock {
            quantity(out, "clock_max", c.clock_max);
        }
        line(out, "arrays_per_core", &c.arrays_per_core.to_string());
        line(out, "array_rows", &c.array_rows.to_string());
        line(out, "array_columns", &c.array_columns.to_string());
        line(out, "shadow_weights", &c.shadow_weights.to_string());
        line(out, "lanes_per_core", &c.lanes_per_core.to_string());
        line(out, "tile_rows_max", &c.tile_rows_max.to_string());
        line(out, "tile_columns_max", &c.tile_columns_max.to_string());
        line(out, "multicast", &c.multicast.to_string());
        for (key, count) in [("cluster", c.cluster), ("groups", c.groups)] {
            if count > 1 {
                line(out, key, &count.to_string());
            }
        }
        if c.narrow_one_way {
            line(out, "narrow_one_way", "true");
        }
        out.push_str("\n[compute.rate]\n");
        for (format, rate) in [("fp32", c.rate.fp32), ("fp8", c.rate.fp8), ("int8", c.rate.int8), ("fp4", c.rate.fp4)] {
            line(out, format, &rate.to_string());
        }
        out.push_str("\n[memory]\n");
        quantity(out, "local", m.local);
        line(out, "local_bytes_per_cycle", &m.local_bytes_per_cycle.to_string());
        quantity(out, "global", m.global);
        line(out, "global_bytes_per_cycle", &m.global_bytes_per_cycle.to_string());
        line(out, "global_is_cache", &m.global_is_cache.to_string());
        line(out, "hbm_kind", &text(&m.hbm_kind));
        line(out, "hbm_stacks", &m.hbm_stacks.to_string());
        quantity(out, "hbm", m.hbm);
        quantity(out, "hbm_bandwidth", m.hbm_bandwidth);
    }

    fn rest(&self, out: &mut String) {
        let (l, p, s) = (&self.links, &self.power, &self.silicon);
        out.push_str("\n[links]\n");
        quantity(out, "scale_up", l.scale_up);
        line(out, "scale_up_domain", &l.scale_up_domain.to_string());
        line(out, "scale_up_switched", &l.scale_up_switched.to_string());
        line(out, "scale_up_reduces", &l.scale_up_reduces.to_string());
        quantity(out, "scale_out", l.scale_out);
        out.push_str("\n[power]\n");
        quantity(out, "cap", p.cap);
        quantity(out, "idle", p.idle);
        quantity(out, "coolant", p.coolant);
        quantity(out, "resistance", p.resistance);
        out.push_str("\n[silicon]\n");
        line(out, "node", &text(&s.node));
        line(out, "dies", &s.dies.to_string());
        quantity(out, "die_width", s.die_width);
        quantity(out, "die_height", s.die_height);
        quantity(out, "area", s.area);
        line(out, "cores_built", &s.cores_built.to_string());
        line(out, "package", &text(&s.package));
    }
}
