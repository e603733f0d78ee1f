//! The chip files: every accelerator of the measured tables is found, peaks equal published peaks, and broken files are explained.
#![allow(clippy::unwrap_used)]

mod common;

use proptest::prelude::*;
use tetra_chip::Chip;

fn column(table: &str, name: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(common::root().join("validation").join(table)).unwrap();
    let at = reader.headers().unwrap().iter().position(|h| h == name).unwrap();
    let mut out: Vec<String> = reader.records().map(|r| r.unwrap()[at].to_owned()).collect();
    out.sort();
    out.dedup();
    out
}

#[test]
fn every_accelerator_of_the_measured_tables_is_found() {
    let set = common::chips();
    for table in ["kernel_measured.csv", "training_measured.csv", "inference_measured.csv", "serving_measured.csv"] {
        for name in column(table, "accelerator") {
            assert!(set.find(&name).is_some(), "{table}: \"{name}\" is no chip; near: {:?}", set.near(&name));
        }
    }
}

#[test]
fn sources_nodes_and_memories_of_every_chip_are_known() {
    let tables = common::tables();
    let constants = common::constants();
    for chip in common::chips().iter() {
        assert!(tables.sources().contains_key(&chip.source), "{}: source {}", chip.name, chip.source);
        assert!(constants.node(&chip.silicon.node).is_some(), "{}: node {}", chip.name, chip.silicon.node);
        assert!(constants.memory(&chip.memory.hbm_kind).is_some(), "{}: memory {}", chip.name, chip.memory.hbm_kind);
    }
}

/// Dense 16-bit TFLOP/s as published by the makers.
#[test]
fn peaks_equal_published_peaks() {
    let published = [
        ("V100", 125.0),
        ("A100", 312.0),
        ("H100", 989.4),
        ("H100 PCIe", 756.0),
        ("H20", 148.0),
        ("B200", 2250.0),
        ("GB200", 2500.0),
        ("L40S", 362.0),
        ("MI250X", 383.0),
        ("MI300X", 1307.4),
        ("Gaudi3", 1678.0),
        ("TPU v4", 275.0),
        ("TPU v5e", 197.0),
        ("TPU v5p", 459.0),
        ("TPU v6e", 918.0),
        ("Trainium2", 667.0),
    ];
    let set = common::chips();
    for (name, tflops) in published {
        let c = &set.find(name).unwrap().compute;
        let peak = 2.0 * (c.cores * c.arrays_per_core * c.array_rows * c.array_columns) as f64 * c.clock.value() / 1e12;
        assert!((peak / tflops - 1.0).abs() < 0.005, "{name}: {peak} of {tflops}");
    }
}

fn h100() -> String {
    std::fs::read_to_string(common::root().join("data/chips/h100.toml")).unwrap()
}

fn mistakes(text: &str) -> Vec<String> {
    Chip::from_toml("h100.toml", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_are_reported_together_with_their_lines() {
    let text = h100()
        .replace("cores = 132", "cores = 0")
        .replace("hbm = \"80 GB\"", "hbm = \"80 apples\"")
        .replace("scale_up_domain = 8", "scale_up_domain = \"eight\"")
        .replace("coolant = \"35 degC\"\n", "")
        .replace("package = ", "packet = ");
    let found = mistakes(&text);
    assert_eq!(found.len(), 6, "{found:#?}");
    for (place, words) in [
        ("h100.toml:", "\"compute.cores\" is 0, not within 1"),
        ("h100.toml:", "unit \"apples\""),
        ("h100.toml:", "\"links.scale_up_domain\" is a text"),
        ("h100.toml:", "\"power.coolant\" is missing"),
        ("h100.toml:", "\"silicon.package\" is missing"),
        ("h100.toml:", "\"silicon.packet\" is not known"),
    ] {
        assert!(found.iter().any(|f| f.starts_with(place) && f.contains(words)), "{words}: {found:#?}");
    }
    let line = 1 + text.lines().position(|l| l.starts_with("cores = 0")).unwrap();
    assert!(found.iter().any(|f| f.starts_with(&format!("h100.toml:{line}:"))), "{found:#?}");
}

#[test]
fn broken_texts_are_errors() {
    let good = h100();
    assert!(Chip::from_toml("h100.toml", &good).is_ok());
    let deep = format!("a = {}{}", "[".repeat(50_000), "]".repeat(50_000));
    for text in [
        String::new(),
        "name".into(),
        good[..good.len() / 2].to_owned(),
        good.replace("cores = 132", "cores = 132\ncores = 132"),
        good.replace("\"700 W\"", "\"NaN W\""),
        good.replace("\"700 W\"", "\"-700 W\""),
        good.replace("\"700 W\"", "\"1e300 W\""),
        good.replace("\"700 W\"", "700"),
        good.replace("fp8 = 2", "fp8 = nan"),
        good.replace("idle = \"70 W\"", "idle = \"900 W\""),
        good.replace("cores_built = 144", "cores_built = 100"),
        "\u{0}".into(),
        "x".repeat(2 << 20),
        deep,
    ] {
        assert!(!mistakes(&text).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}", cut in 0usize..2000, insert in "[\\PC\n\"=\\[\\]]{0,20}") {
        let _ = Chip::from_toml("x", &text);
        let good = h100();
        let at = good.char_indices().map(|(i, _)| i).nth(cut).unwrap_or(good.len());
        let _ = Chip::from_toml("x", &format!("{}{insert}{}", &good[..at], &good[at..]));
    }
}
