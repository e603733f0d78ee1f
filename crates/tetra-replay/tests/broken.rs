//! A true certificate passes, a false one is told in words, and no text makes the check panic, hang or fill the memory.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod case;

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;
use tetra_chip::nest::{Machine, Mode, Objective, certify, search};
use tetra_replay::{check, check_list};

const T128: &str = include_str!("../../../data/machines/t128.toml");

fn certificate(text: &str, mode: Mode) -> Value {
    let machine = Machine::from_toml("t128.toml", T128).unwrap();
    let problem = case::op(text, &machine, mode == Mode::Ideal);
    let found = search(&problem, &machine, mode, Objective::Edp).unwrap();
    serde_json::to_value(certify(&problem, &machine, mode, Objective::Edp, &found)).unwrap()
}

#[test]
fn large_ops_are_checked() {
    for (op, mode) in [
        ("gemm:512x512x512", Mode::Ideal),
        ("gemm:2048x12288x12288", Mode::Ideal),
        ("gemm:2048x50257x768", Mode::Ideal),
        ("gemm:512x512x512", Mode::Real),
        ("gather:4096x7168", Mode::Real),
    ] {
        let report = check(&certificate(op, mode).to_string());
        assert!(report.as_ref().is_ok_and(|r| r.points > 1 && r.least_energy_j <= r.energy_j), "{op} {mode:?} {report:?}");
    }
}

/// Every number of the claims, made larger, is found.
#[test]
fn false_claims_are_found() {
    let good = certificate("gemm:512x512x512", Mode::Ideal);
    assert!(check(&good.to_string()).is_ok());
    for pointer in [
        "/cost/energy_j",
        "/cost/cycles",
        "/cost/steps",
        "/cost/array_cycles",
        "/cost/level_j/0",
        "/cost/port_cycles/0",
        "/moved/0/0/read",
        "/moved/1/2/written",
        "/moved/1/0/read_busiest",
        "/bound/energy_j",
        "/bound/cycles",
        "/bound/boundaries/0/least_bits",
    ] {
        let mut bad = good.clone();
        let x = bad.pointer_mut(pointer).unwrap();
        *x = Value::from(x.as_f64().unwrap() * 1.001 + 1.0);
        let said = check(&bad.to_string());
        assert!(said.is_err(), "{pointer} was not found");
    }
    let mut bad = good.clone();
    bad["nest"]["steps"].as_array_mut().unwrap().pop();
    assert!(check(&bad.to_string()).is_err());
    let mut bad = good;
    bad["machine"]["levels"][1]["capacity_bits"] = Value::from(8);
    assert!(check(&bad.to_string()).is_err_and(|f| f.iter().any(|f| f.cause.contains("would hold"))));
}

fn paths(v: &Value, at: &str, out: &mut Vec<String>) {
    match v {
        Value::Number(_) => out.push(at.to_owned()),
        Value::Array(a) => a.iter().enumerate().for_each(|(i, x)| paths(x, &format!("{at}/{i}"), out)),
        Value::Object(o) => o.iter().for_each(|(k, x)| paths(x, &format!("{at}/{k}"), out)),
        _ => {}
    }
}

#[test]
fn deep_and_long_texts_are_refused() {
    for text in ["", "null", "{", "[]", "{\"machine\":1e999}"] {
        assert!(check(text).is_err());
    }
    assert!(check(&"[".repeat(1_000_000)).is_err());
    let mut many = certificate("gemm:64x64x64", Mode::Ideal);
    let step = many["nest"]["steps"][3].clone();
    many["nest"]["steps"] = Value::Array(vec![step; 100_000]);
    assert!(check(&many.to_string()).is_err());
}

#[test]
fn lists_are_checked_one_by_one() {
    let all = ["gemm:64x48x40", "gather:64x16", "conv:k=4,c=2,p=5,q=3,r=3,s=2"].map(|op| certificate(op, Mode::Ideal));
    let list = Value::Array(all.to_vec());
    let names: Vec<String> = check_list(&list.to_string()).unwrap().into_iter().map(|r| r.op).collect();
    assert!(names.len() == 3 && names[1].starts_with("gather"), "{names:?}");
    assert_eq!(check_list(&all[0].to_string()).unwrap().len(), 1);
    let mut bad = list;
    bad[1]["cost"]["energy_j"] = Value::from(1e9);
    let said = check_list(&bad.to_string()).unwrap_err();
    assert!(said.iter().all(|f| f.to_string().contains("(certificate 2 of the list)")), "{said:?}");
    for text in ["[]", "[1]", "[null]", "[[]]", &"[".repeat(1_000_000)] {
        assert!(check_list(text).is_err());
    }
}

static CONV: OnceLock<Value> = OnceLock::new();
static GEMM: OnceLock<Value> = OnceLock::new();

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn absurd_numbers_do_no_harm(picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12), 1..6)) {
        let mut c = CONV.get_or_init(|| certificate("conv:k=4,c=2,p=5,q=3,r=3,s=2,stride=2,dilation=2", Mode::Ideal)).clone();
        let mut all = Vec::new();
        paths(&c, "", &mut all);
        for (index, value) in picks {
            let absurd = [0u64, 1, 2, 3, 7, 255, 1 << 20, 1 << 40, (1 << 40) + 1, u64::MAX >> 1, u64::MAX - 1, u64::MAX][value];
            *c.pointer_mut(&all[index.index(all.len())]).unwrap() = if value == 6 { Value::from(-1.5) } else { Value::from(absurd) };
        }
        let _ = check(&c.to_string());
    }

    #[test]
    fn broken_texts_do_no_harm(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut text = GEMM.get_or_init(|| certificate("gemm:64x48x40", Mode::Ideal)).to_string().into_bytes();
        for (index, byte) in cuts {
            let i = index.index(text.len());
            text[i] = byte;
        }
        let _ = check(&String::from_utf8_lossy(&text));
    }
}
