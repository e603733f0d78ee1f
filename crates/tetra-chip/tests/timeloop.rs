//! Timeloop architectures: a row-stationary array is read into its levels, what is lost is named, bad files say where, and no damage
//! breaks the reader; and a machine file that a person writes is short.
#![allow(clippy::unwrap_used)]

mod common;

use proptest::prelude::*;
use tetra_chip::import::architecture;
use tetra_chip::nest::{Level, Machine, Roles};

const ARRAY: &str = include_str!("imports/row_array.yaml");

#[test]
fn a_row_stationary_array_is_read() {
    let k = common::constants();
    let found = architecture("row_array.yaml", ARRAY, &[].into(), &k).unwrap();
    let m = &found.machine;
    assert!((m.clock.value() / 500e6 - 1.0).abs() < 1e-12);
    let held = |l: &Level| (l.name.clone(), l.capacity_bits, l.keep, l.may_keep);
    let (input, weight, output) = (Roles::INPUT, Roles::WEIGHT, Roles::OUTPUT);
    let expected = [
        ("DRAM", None, Roles::ALL, Roles::ALL),
        ("shared_glb", Some(16384 * 64), input.with(output), input.with(output)),
        ("ifmap_spad", Some(12 * 16), input, input),
        ("weights_spad", Some(192 * 16), weight, weight),
        ("psum_spad", Some(16 * 2 * 16), output, output),
    ];
    assert_eq!(m.levels.iter().map(held).collect::<Vec<_>>(), expected.map(|(n, c, a, b)| (n.to_owned(), c, a, b)));
    let fanouts: Vec<Vec<u64>> = m.levels.iter().map(|l| l.fanouts.iter().map(|f| f.size).collect()).collect();
    assert_eq!(fanouts, [vec![], vec![14, 12], vec![], vec![], vec![]]);
    assert_eq!((m.lanes(), m.compute.operand_bits, m.compute.sum_bits), (168, 16, 16));
    let near = |a: Option<f64>, b: f64| (a.unwrap() / b - 1.0).abs() < 1e-9;
    let (dram, glb) = (&m.levels[0], &m.levels[1]);
    assert!(dram.shared_port && near(dram.read_bits_per_cycle, 64.0), "{dram:?}");
    assert!(!glb.shared_port && near(glb.read_bits_per_cycle, 256.0) && near(glb.write_bits_per_cycle, 128.0), "{glb:?}");
    let scale = k.node("N16").unwrap().energy;
    assert!(near(Some(dram.read_j_per_bit), k.memories[0].1.j_per_byte / 8.0));
    assert!(near(Some(glb.read_j_per_bit), k.energy.global_j_per_byte(131072.0) * scale / 8.0));
    assert!(near(Some(m.compute.mac_j), k.energy.mac_j[1] * scale));
    // A smaller register file costs less, and none more than a scratchpad.
    let (small, large) = (m.levels[2].read_j_per_bit, m.levels[3].read_j_per_bit);
    assert!(0.0 < small && small < large && large <= k.energy.local_j_per_byte * scale / 8.0 * 1.000_001, "{small} {large}");
    for lost in ["n_banks", "permutation", "split", "energies: not in the source", "psum_spad: bandwidth", "mac_energy"] {
        assert!(found.notes.iter().any(|n| n.contains(lost)), "{lost}: {:?}", found.notes);
    }
    assert_eq!(&Machine::from_toml("again.toml", &found.toml).unwrap(), m);
}

#[test]
fn mistakes_have_place_cause_and_mend() {
    let k = common::constants();
    let says = |from: &str, to: &str, line: usize, words: &str| {
        assert!(ARRAY.contains(from), "{from}");
        let errors = architecture("x.yaml", &ARRAY.replace(from, to), &[].into(), &k).unwrap_err();
        assert!(errors.iter().any(|e| e.line == line && e.cause.contains(words) && !e.mend.is_empty()), "{words}: {errors:?}");
    };
    says("version: 0.4", "version: 0.3", 2, "0.3");
    says("- !Container\n    name: PE\n", "- !Parallel\n    name: PE\n", 34, "Parallel");
    says("class: regfile", "class: router", 44, "router");
    says("{meshX: 14}", "{meshX: many}", 29, "meshX");
    says("entries: 192, ", "", 44, "no capacity");
    says("attributes: {technology", "spatial: {meshX: 2}\n    attributes: {technology", 6, "above every memory");
    says("class: intmac", "class: storage", 2, "no component is a MAC");
    says("attributes: {datawidth: 16}", "attributes: {datawidth: 65}", 56, "65 bits");
    says("depth: 12,", "depth: 1e999,", 40, "depth");
    says("{meshY: 12}", "{meshY: 1.5}", 34, "meshY");
}

#[test]
fn a_machine_written_by_a_person_is_short() {
    let text = std::fs::read_to_string(common::root().join("data/machines/small-core.toml")).unwrap();
    assert!(text.lines().count() <= 40, "{}", text.lines().count());
    let m = Machine::from_toml("small-core.toml", &text).unwrap();
    assert_eq!((m.instances(1), m.array(), m.lanes()), (4, (32, 32), 4096));
    assert_eq!(m.levels[m.compute.vector_level].name, "scratchpad");
    assert_eq!((m.compute.vector_ops_per_cycle, m.compute.power_cap_w), (64.0, Some(15.0)));
}

proptest! {
    #[test]
    fn no_damage_breaks_the_reader(at in 0usize..2200, with in "[\\PC\n]{0,3}", cut in 0usize..40) {
        let mut chars: Vec<char> = ARRAY.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, with.chars());
        let text: String = chars.into_iter().collect();
        if let Ok(found) = architecture("x.yaml", &text, &[].into(), &common::constants()) {
            prop_assert_eq!(Machine::from_toml("again.toml", &found.toml).unwrap(), found.machine);
        }
    }
}
