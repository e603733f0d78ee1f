//! Laws of design descriptions and of written chip files: what is written reads back as the same, every formula gives its value by an
//! evaluator of its own, connected parts match, areas are those of the floor plan.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;
use tetra_chip::design::{Demand, Description, Origin, read, template_of};
use tetra_chip::template::{Design, build};
use tetra_chip::{Chip, ChipConstants, area, floorplan};
use tetra_quantity::{Bytes, BytesPerSecond, Hertz, Tables, Watts, parse_quantity};

fn points() -> impl Strategy<Value = Design> {
    let node = prop::sample::select(vec!["N7", "N5", "N4", "N3E", "N2", "n3p"]);
    let kind = prop::sample::select(vec!["HBM2", "HBM2E", "HBM3", "HBM3E", "HBM4", "hbm4", "GDDR6"]);
    let sizes = (1u64..160, 1u64..5, 1u64..130, 1u64..130, 1u64..300, 1u64..4);
    let rest = (2e4..4e6f64, 1e5..3e8f64, 1u64..9, 0.0..1e12f64, 1u64..600, 2e8..2.4e9f64, prop::option::of(150.0..2000.0f64));
    (node, kind, sizes, rest).prop_map(|(node, kind, s, r)| Design {
        node: node.into(),
        cores: s.0,
        arrays_per_core: s.1,
        array_rows: s.2,
        array_columns: s.3,
        lanes: s.4,
        dies: s.5,
        local: Bytes(r.0),
        global: Bytes(r.1),
        hbm_kind: kind.into(),
        hbm_stacks: r.2,
        scale_up: BytesPerSecond(if r.3 < 1e9 { 0.0 } else { r.3 }),
        scale_up_domain: r.4,
        clock: Hertz(r.5),
        power_cap: r.6.map(Watts),
    })
}

/// Values by name: entries of the description, then data rows in base units.
struct Values<'a> {
    entries: BTreeMap<String, f64>,
    tables: &'a Tables,
}

impl Values<'_> {
    fn of(&self, name: &str) -> f64 {
        if let Some(x) = self.entries.get(name) {
            return *x;
        }
        let (item, parameter) = name.split_once('.').unwrap();
        let row = self.tables.row(item, parameter).unwrap_or_else(|_| panic!("{name} is neither an entry nor a row"));
        let text = format!("{} {}", row.value, row.unit);
        macro_rules! first { ($($q:ident),*) => {$( if let Ok(q) = parse_quantity::<tetra_quantity::$q>(&text) { return q.value(); } )*}; }
        first!(Fraction, Bytes, BytesPerSecond, Hertz, Watts, Joules, JoulesPerByte, Seconds, SquareMetres, Metres, Celsius);
        panic!("{name}: {text}")
    }
}

/// Recursive descent over `+ - * / ( )`, numbers, names, and min, max, ceil, sqrt.
struct Formula<'a>(&'a str, &'a Values<'a>);

impl Formula<'_> {
    fn eat(&mut self, c: char) -> bool {
        self.0 = self.0.trim_start();
        let found = self.0.strip_prefix(c);
        self.0 = found.unwrap_or(self.0);
        found.is_some()
    }

    fn sum(&mut self) -> f64 {
        let mut x = self.product();
        loop {
            if self.eat('+') {
                x += self.product();
            } else if self.eat('-') {
                x -= self.product();
            } else {
                return x;
            }
        }
    }

    fn product(&mut self) -> f64 {
        let mut x = self.one();
        loop {
            if self.eat('*') {
                x *= self.one();
            } else if self.eat('/') {
                x /= self.one();
            } else {
                return x;
            }
        }
    }

    fn one(&mut self) -> f64 {
        if self.eat('(') {
            let x = self.sum();
            assert!(self.eat(')'));
            return x;
        }
        let end = self.0.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        if !self.eat('(') {
            return word.parse().unwrap_or_else(|_| self.1.of(word));
        }
        let mut x = self.sum();
        while self.eat(',') {
            let y = self.sum();
            x = match word {
                "min" => x.min(y),
                "max" => x.max(y),
                _ => panic!("{word}"),
            };
        }
        assert!(self.eat(')'));
        // Rounding up forgives what doubles lose on whole numbers.
        match word {
            "ceil" => (x * (1.0 - 1e-13)).ceil(),
            "sqrt" => x.sqrt(),
            "min" | "max" => x,
            _ => panic!("{word}"),
        }
    }
}

fn evaluate(formula: &str, values: &Values<'_>) -> f64 {
    let mut f = Formula(formula, values);
    let x = f.sum();
    assert!(f.0.trim().is_empty(), "{formula}: {} is left", f.0);
    x
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Every formula worked out again; returns how many there were.
fn formulas_give_their_values(d: &Description, tables: &Tables) -> usize {
    let blocks = d.blocks();
    let named = |b: &'static str, k: &'static str| format!("{b}.{k}");
    let entries = blocks.iter().flat_map(|(b, es)| es.iter().filter_map(move |e| Some((named(b, e.0), e.2?)))).collect();
    let values = Values { entries, tables };
    let mut count = 0;
    for (block, entries) in &blocks {
        for (key, _, value, origin) in entries {
            if let Origin::Formula(f) = origin {
                let found = evaluate(f, &values);
                assert!(near(found, value.unwrap()), "{block}.{key} = {f}: {found}, not {value:?}");
                count += 1;
            }
        }
    }
    for j in &d.joints {
        for (formula, value) in [(j.gives_formula, j.gives), (j.takes_formula, j.takes)] {
            assert!(near(evaluate(formula, &values), value.value()), "{}: {formula}", j.name);
            count += 1;
        }
    }
    count
}

fn laws(point: &Design, tables: &Tables, constants: &ChipConstants) -> bool {
    let Ok((d, chip)) = Description::of(point, tables, constants) else { return false };
    // Written and read: the same point, nothing that differs, the same description.
    let text = d.to_toml();
    let reading = read("point.toml", &text).unwrap();
    assert_eq!(&reading.point, point);
    assert_eq!(reading.differences(tables, constants).unwrap(), Vec::<String>::new());
    assert_eq!(Description::of(&reading.point, tables, constants).unwrap().0, d);
    let file = chip.to_toml();
    let again = Chip::from_toml("chip.toml", &file).unwrap_or_else(|e| panic!("{e:?}\n{file}"));
    assert_eq!(again, chip);
    assert_eq!(build(&template_of("chip.toml", &again, constants).unwrap(), constants).unwrap(), chip);
    assert!(formulas_give_their_values(&d, tables) > 70);
    for row in d.rows.values() {
        assert!(tables.sources().contains_key(&row.source), "{row:?}");
    }
    for j in &d.joints {
        assert!(j.holds(), "{j:?}");
    }
    areas(&d, &chip, constants);
    true
}

/// Block areas are those of the area model, sum to the die's, and are what the floor plan draws.
fn areas(d: &Description, chip: &Chip, constants: &ChipConstants) {
    let s = &d.parts.silicon;
    let model = area::breakdown(chip, constants);
    let drawn = floorplan::floorplan(chip, constants);
    let rects = |names: &[&str]| -> f64 {
        drawn
            .iter()
            .map(|die| die.count as f64 * die.rects.iter().filter(|r| names.contains(&r.name)).map(|r| r.w * r.h).sum::<f64>())
            .sum()
    };
    let mm2 = |x: tetra_quantity::SquareMetres| x.value() * 1e6;
    let core = mm2(s.pe_array.value) + mm2(s.scratchpad.value) + mm2(s.vector_unit.value) + mm2(s.control.value);
    let others = [
        (core, "core"),
        (mm2(s.global_memory.value), "global memory"),
        (mm2(s.network.value), "network"),
        (mm2(s.hbm_phy.value), "memory PHY"),
        (mm2(s.hbm_controller.value), "memory controller"),
        (mm2(s.link_phy.value), "link PHY"),
        (mm2(s.link_controller.value), "link controller"),
        (mm2(s.die_to_die.value), "die to die"),
        (mm2(s.other.value), "other"),
    ];
    let sum: f64 = others.iter().map(|o| o.0).sum();
    assert!(near(sum, model.total_mm2) && near(sum, mm2(s.total.value)) && near(sum, mm2(chip.silicon.area)));
    for (asked, name) in others {
        assert!((rects(&[name]) - asked).abs() <= 1e-6 * sum, "{name}: {asked}, drawn {}", rects(&[name]));
    }
}

fn shipped() -> Design {
    Design {
        node: "N5".into(),
        cores: 64,
        arrays_per_core: 4,
        array_rows: 64,
        array_columns: 64,
        lanes: 128,
        local: Bytes(262144.0),
        global: Bytes(67108864.0),
        hbm_kind: "HBM3E".into(),
        hbm_stacks: 4,
        scale_up: BytesPerSecond(450e9),
        scale_up_domain: 64,
        clock: Hertz(1.6e9),
        dies: 2,
        power_cap: None,
    }
}

#[test]
fn a_point_of_the_shipped_grid_keeps_all_laws() {
    assert!(laws(&shipped(), &common::tables(), &common::constants()));
}

#[test]
fn points_keep_all_laws_or_do_not_fit() {
    let (tables, constants) = (common::tables(), common::constants());
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) });
    let fitted = std::cell::Cell::new(0);
    runner
        .run(&points(), |point| {
            fitted.set(fitted.get() + u32::from(laws(&point, &tables, &constants)));
            Ok(())
        })
        .unwrap();
    assert!(fitted.get() > 100, "{} points fit", fitted.get());
}

#[test]
fn every_chip_file_is_written_as_it_was_read() {
    let set = common::chips();
    assert!(set.iter().count() > 20);
    for chip in set.iter() {
        assert_eq!(&Chip::from_toml("chip.toml", &chip.to_toml()).unwrap(), chip);
    }
}

#[test]
fn a_chip_that_the_template_did_not_make_has_no_description() {
    let constants = common::constants();
    let set = common::chips();
    assert!(template_of("h100.toml", set.find("H100").unwrap(), &constants).is_err());
    let mut changed = build(&shipped(), &constants).unwrap();
    changed.memory.global_bytes_per_cycle += 1.0;
    assert!(template_of("changed.toml", &changed, &constants).is_err());
}

#[test]
fn what_was_changed_by_hand_is_named() {
    let (tables, constants) = (common::tables(), common::constants());
    let (d, _) = Description::of(&shipped(), &tables, &constants).unwrap();
    let ports = format!("core_ports = {{ value = {}", d.parts.network.core_ports.value);
    let text = d.to_toml().replace(&ports, "core_ports = { value = 7");
    let found = read("design.toml", &text).unwrap().differences(&tables, &constants).unwrap();
    assert_eq!(found, vec![format!("network.core_ports is 7, the point gives {}", d.parts.network.core_ports.value)]);
    let unknown = d.to_toml().replace("\n[point]\n", "\n[point]\nspeed = 1\n");
    assert!(read("design.toml", &unknown).unwrap_err()[0].to_string().contains("key \"point.speed\" is not known"));
}

#[test]
fn a_joint_that_does_not_match_is_seen() {
    let (d, _) = Description::of(&shipped(), &common::tables(), &common::constants()).unwrap();
    for joint in d.joints.iter().filter(|j| j.demand != Demand::Either && j.takes.value() > 0.0) {
        let mut less = joint.clone();
        less.gives = less.gives * 0.5;
        assert!(!less.holds(), "{less:?}");
    }
}
