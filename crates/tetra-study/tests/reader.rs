//! The reader of `study.toml`: the shipped study reads as written, and every kind of mistake is told with place, cause and mend.

#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use tetra_study::{Month, read_study};

const FIRST: &str = include_str!("../../../studies/first/study.toml");
const SOVEREIGN: &str = include_str!("../../../studies/sovereign/study.toml");

#[test]
fn the_shipped_study_says_what_it_says() {
    let study = read_study("study.toml", FIRST).unwrap();
    assert_eq!(study.frame.start, Month { year: 2027, month: 1 });
    assert_eq!(study.frame.start.plus(59).to_string(), "2031-12");
    let chat = &study.services[0];
    assert_eq!((chat.name.as_str(), chat.prompt, chat.output), ("chat", 2048, 512));
    let rate = |service: usize, month: usize| study.services[service].demand[month - 1].value();
    assert!((rate(0, 1) - 2e6).abs() < 1e-3 && (rate(0, 36) - 20e6).abs() < 1e-3 && (rate(0, 60) - 40e6).abs() < 1e-3);
    // Exponential between: growth per month is constant on each side of month 36.
    assert!((rate(0, 20) / rate(0, 19) - 10f64.powf(1.0 / 35.0)).abs() < 1e-12);
    assert!((rate(1, 48) / rate(0, 48) - 0.1).abs() < 1e-12 && (rate(2, 7) / rate(0, 7) - 0.02).abs() < 1e-12);
    assert_eq!(study.services[2].process_in.as_deref(), Some("EU"));
    assert_eq!((study.trainings[0].from_month, study.trainings[0].runs_per_year), (12, 2));
    assert_eq!(study.buy, ["H100", "H200", "B200", "GB300"]);
    assert_eq!(study.sites.iter().filter(|s| s.cap.is_some()).count(), 1);
}

/// The shipped study with one text replaced by another.
fn mistakes(old: &str, new: &str) -> Vec<String> {
    assert!(FIRST.contains(old), "the shipped study no longer holds {old}");
    read_study("study.toml", &FIRST.replacen(old, new, 1)).unwrap_err().lines()
}

#[test]
fn each_mistake_has_place_cause_and_mend() {
    let cases = [
        (
            "months        = 60",
            "months = 0",
            "study.toml:5:10: `months` is not a whole number from 1 to 240: write a whole number from 1 to 240",
        ),
        (
            "months        = 60",
            "months = -6",
            "study.toml:5:10: `months` is not a whole number from 1 to 240: write a whole number from 1 to 240",
        ),
        (
            "months        = 60",
            "months = 1e300",
            "study.toml:5:10: `months` is not a whole number from 1 to 240: write a whole number from 1 to 240",
        ),
        (
            "months        = 60",
            "months = \"60\"",
            "study.toml:5:10: `months` is a text where a whole number is needed: write for example `months = 1`",
        ),
        (
            "seed          = 1",
            "sede = 1",
            "study.toml:8:1: [frame] has no key `sede`: keys are currency_year, discount_rate, months, seed, start",
        ),
        (
            "start         = \"2027-01\"",
            "start = \"2027-13\"",
            "study.toml:4:9: `start` \"2027-13\" is not a month: write year and month, for example \"2027-01\"",
        ),
        (
            "\"10 %/year\"",
            "\"10 %\"",
            "study.toml:6:17: `discount_rate`: unit \"%\" of \"10 %\" is not a unit of a rate per year: write for example \"10 %/year\": write a rate per year such as \"10 %/year\"",
        ),
        (
            "peak_to_mean = 2",
            "peak_to_mean = nan",
            "study.toml:18:16: `peak_to_mean` is not a number from 1 to 1000: write a number from 1 to 1000",
        ),
        (
            "tpot         = \"30 ms\"",
            "tpot = \"0 ms\"",
            "study.toml:16:8: `tpot` is outside 1 us to 11.57 days: write a time in that range",
        ),
        ("60 = \"40 M tokens/s\"", "61 = \"40 M tokens/s\"", "study.toml:17:60: `demand` has no month `61`: months are 1 to 60"),
        (
            "share_of     = \"chat\"",
            "share_of = \"chatt\"",
            "study.toml:20:1: `share_of` names \"chatt\", which is no service: services are chat, reasoning, long_context",
        ),
        (
            "share_of     = \"chat\"",
            "share_of = \"reasoning\"",
            "study.toml:20:1: service \"reasoning\" is a share of itself, directly or through others: give one of them a `demand` by month",
        ),
        (
            "[compare]\nbuy = [\"H100\", \"H200\"",
            "[compare]\nbuy = [\"H100\", \"H100\"",
            "study.toml:57:16: `buy` names \"H100\" twice: remove one of the two",
        ),
        (
            "precision    = \"fp8\"",
            "precision = \"fp9\"",
            "study.toml:12:13: precision \"fp9\" is not known: known are bf16, fp16, fp8, mxfp8, int8, mxfp4, nvfp4, int4",
        ),
        (
            "= \"300 MW\"",
            "= 300",
            "study.toml:54:42: `Dallas (Texas, ERCOT)` is a whole number where a power with its unit, as a text is needed: write for example `Dallas (Texas, ERCOT) = \"700 W\"`",
        ),
        ("runs_per_year = 2\n", "", "study.toml:42:1: [training.frontier] has no `runs_per_year`: add a line `runs_per_year = 1`"),
    ];
    let mut wrong = Vec::new();
    for (old, new, expected) in cases {
        let found = mistakes(old, new);
        if !found.iter().any(|l| l == expected) {
            wrong.push(format!("for {new}\nwanted {expected}\nfound  {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_on_suppliers_and_export_are_read() {
    let study = read_study("study.toml", SOVEREIGN).unwrap();
    assert_eq!(study.supply.countries.unwrap(), ["TW", "US", "KR", "MX"]);
    assert_eq!(study.supply.largest_share, [("wafer".to_owned(), 0.7)]);
    assert_eq!(study.export.unwrap().word(), "3A090.b");
    let free = read_study("study.toml", FIRST).unwrap();
    assert_eq!((free.supply, free.export), (tetra_study::SupplyRules::default(), None));
    let cases = [
        ("{ wafer = 0.7 }", "{ waver = 0.7 }", "`waver` is no stage of supply: stages are wafer, hbm, packaging, test, server"),
        ("{ wafer = 0.7 }", "{ wafer = 1.5 }", "`wafer` is not a number from 0 to 1: write a number from 0 to 1"),
        ("{ wafer = 0.7 }", "0.7", "`supply.largest_share_of_a_country` is a decimal number where a table is needed: write for example"),
        ("[\"TW\", \"US\", \"KR\", \"MX\"]", "[]", "`countries` names no country: name at least one, or remove the line"),
        (
            "\"3A090.b\"",
            "\"3A090.z\"",
            "`largest_class` \"3A090.z\" is no class that a rule can stop at: write none or 3A090.b; without [export]",
        ),
        ("largest_class", "class", "[export] has no key `class`: keys are largest_class"),
    ];
    for (old, new, expected) in cases {
        assert!(SOVEREIGN.contains(old), "the study no longer holds {old}");
        let found = read_study("study.toml", &SOVEREIGN.replacen(old, new, 1)).unwrap_err().lines();
        assert!(found.iter().any(|l| l.contains(expected)), "for {new}\nwanted {expected}\nfound  {found:#?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = FIRST
        .replacen("months        = 60", "months = 0", 1)
        .replacen("prompt       = 2048", "prompt = -1", 1)
        .replace("[search]", "[serch]");
    let lines = read_study("study.toml", &text).unwrap_err().lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
}

#[test]
fn monstrous_files_end_in_an_error() {
    assert!(read_study("study.toml", &"[".repeat(100_000)).is_err());
    assert!(read_study("study.toml", &format!("a = {}", "[".repeat(500_000))).is_err());
    assert!(read_study("study.toml", &"a = 1\n".repeat(1_000_000)).is_err());
    assert!(read_study("study.toml", "").is_err());
}

proptest! {
    #[test]
    fn a_truncated_study_never_panics(end in 0..FIRST.len()) {
        if FIRST.is_char_boundary(end) {
            let _ = read_study("study.toml", &FIRST[..end]);
        }
        if SOVEREIGN.is_char_boundary(end) {
            let _ = read_study("study.toml", SOVEREIGN.get(..end).unwrap_or_default());
        }
    }

    #[test]
    fn any_rules_never_panic(countries in ".{0,20}", stage in "[a-z]{0,9}", share in proptest::num::f64::ANY, class in ".{0,12}") {
        let rules = format!("[supply]\ncountries = [{countries:?}]\nlargest_share_of_a_country = {{ {stage} = {share} }}\n[export]\nlargest_class = {class:?}\n");
        let _ = read_study("study.toml", &format!("{FIRST}\n{rules}"));
    }

    #[test]
    fn any_text_never_panics(text in ".{0,200}") {
        let _ = read_study("study.toml", &text);
    }
}
