//! Imports of other tools' hardware descriptions: the A100 of LLMCompass is the A100 of its chip file, notes name what is lost, and no
//! text breaks a reader.
#![allow(clippy::unwrap_used)]

mod common;

use proptest::prelude::*;
use tetra_chip::Chip;
use tetra_chip::import::{architecture, llmcompass, read_tree};

const GA100: &str = include_str!("imports/ga100.json");

#[test]
fn the_a100_of_llmcompass_is_the_a100() {
    let found = llmcompass("ga100.json", GA100, &common::constants()).unwrap();
    let set = common::chips();
    let ours = set.find("A100").unwrap();
    let (a, b) = (&found.chip, ours);
    assert_eq!(a.compute.macs_per_second(), b.compute.macs_per_second());
    assert_eq!((a.compute.cores, a.compute.lanes_per_core), (b.compute.cores, b.compute.lanes_per_core));
    assert_eq!((a.memory.global, a.memory.hbm, a.memory.hbm_stacks), (b.memory.global, b.memory.hbm, b.memory.hbm_stacks));
    assert_eq!(a.links.scale_up, b.links.scale_up);
    assert!((a.memory.hbm_bandwidth.value() / b.memory.hbm_bandwidth.value() - 1.0).abs() < 0.01);
    // What is written is what was read.
    assert_eq!(Chip::from_toml("again.toml", &found.toml).unwrap(), found.chip);
    for lost in ["interconnect.link.latency_second", "register_file.num_registers", "physical_global_buffer_MB", "power: not in the source"]
    {
        assert!(found.notes.iter().any(|n| n.contains(lost)), "{lost}: {:?}", found.notes);
    }
}

#[test]
fn mistakes_have_place_cause_and_mend() {
    let k = common::constants();
    let says = |text: &str, line: usize, words: &str| {
        let errors = llmcompass("x.json", text, &k).unwrap_err();
        assert!(errors.iter().any(|e| e.line == line && e.cause.contains(words) && !e.mend.is_empty()), "{errors:?}");
    };
    says(&GA100.replace("\"SRAM_KB\": 192", "\"SRAM_KB\": \"much\""), 29, "SRAM_KB");
    says(&GA100.replace("\"core_count\": 108,", ""), 1, "core_count");
    says(&GA100.replace("1410e6", "1e999"), 18, "frequency_Hz");
    says("{}", 1, "device");
    says("", 1, "empty");
    says("a: *b", 1, "alias");
    says("a: [1, 2", 1, "not closed");
    says(&"[".repeat(100_000), 1, "");
    says(&"- ".repeat(100_000), 1, "");
    says(&format!("{{\"device\": {}", "{\"a\":".repeat(1000)), 1, "");
}

#[test]
fn yaml_of_architectures_is_read() {
    let text = "arch: # machine\n  nodes:\n  - !Memory\n    name: DRAM\n    size: inf\n    tensors: {keep: ~A | B, may: All}\n    actions:\n    - {name: read, energy: 7.0e-12}\n  - !Compute\n    name: MAC\n";
    let root = read_tree("a.yaml", text).unwrap();
    let nodes = root.at("arch.nodes").unwrap().items();
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes[0].tag.as_deref(), Some("Memory"));
    assert_eq!(nodes[0].at("tensors.keep").unwrap().text(), Some("~A | B"));
    assert_eq!(nodes[0].get("actions").unwrap().items()[0].get("energy").unwrap().text(), Some("7.0e-12"));
    assert_eq!((nodes[1].tag.as_deref(), nodes[1].line), (Some("Compute"), 10));
}

const ARCH: &str = include_str!("../../../bench/rivals/accelforge/t128_arch.yaml");

#[test]
fn the_t128_of_accelforge_is_the_t128() {
    let set = [("MIB".to_owned(), "16".to_owned())].into();
    let found = architecture("t128_arch.yaml", ARCH, &set, &common::constants()).unwrap();
    let text = std::fs::read_to_string(common::root().join("data/machines/t128.toml")).unwrap();
    let ours = tetra_chip::nest::Machine::from_toml("t128.toml", &text).unwrap();
    assert_eq!(found.machine.clock, ours.clock);
    assert_eq!(found.machine.levels.len(), ours.levels.len());
    for (a, b) in found.machine.levels.iter().zip(&ours.levels) {
        assert_eq!((a.capacity_bits, a.shared_port, a.keep), (b.capacity_bits, b.shared_port, b.keep), "{}", a.name);
        let near = |x: f64, y: f64| (x - y).abs() <= 1e-12 * x.abs().max(y.abs());
        assert!(near(a.read_j_per_bit, b.read_j_per_bit) && near(a.write_j_per_bit, b.write_j_per_bit), "{}", a.name);
        assert_eq!(a.read_bits_per_cycle, b.read_bits_per_cycle, "{}", a.name);
        let spread = |l: &tetra_chip::nest::Level| l.fanouts.iter().map(|f| (f.size, f.must_reuse)).collect::<Vec<_>>();
        assert_eq!(spread(a), spread(b), "{}", a.name);
    }
    let errors = architecture("t128_arch.yaml", ARCH, &[].into(), &common::constants()).unwrap_err();
    assert!(errors[0].cause.contains("MIB"), "{errors:?}");
}

proptest! {
    #[test]
    fn no_damage_to_an_architecture_breaks_its_reader(at in 0usize..2000, with in "[\\PC\n]{0,3}", cut in 0usize..40) {
        let mut chars: Vec<char> = ARCH.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, with.chars());
        let text: String = chars.into_iter().collect();
        let _ = architecture("x.yaml", &text, &[("MIB".to_owned(), "16".to_owned())].into(), &common::constants());
    }

    #[test]
    fn no_text_breaks_the_readers(text in "[a-z{}\\[\\]:,!&*\"'|>#\n 0-9.\\\\-]{0,200}") {
        let _ = read_tree("x.yaml", &text);
        let _ = llmcompass("x.json", &text, &common::constants());
    }

    #[test]
    fn no_damage_to_a_file_breaks_the_reader(at in 0usize..2000, with in "[\\PC\n]{0,3}", cut in 0usize..40) {
        let mut chars: Vec<char> = GA100.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, with.chars());
        let text: String = chars.into_iter().collect();
        if let Ok(found) = llmcompass("x.json", &text, &common::constants()) {
            prop_assert_eq!(Chip::from_toml("again.toml", &found.toml).unwrap(), found.chip);
        }
    }
}
