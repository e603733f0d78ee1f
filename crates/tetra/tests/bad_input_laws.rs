//! Laws of every reader: any text gives a value or placed mistakes, never a panic, in little time; and a chip that a reader accepts, however
//! absurd, gives finite times or a reason.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use tetra_chip::{Chip, ChipConstants, Timer, area};
use tetra_cluster::serve::{Arrivals, SearchSpace, search};
use tetra_cluster::{ClusterConstants, Network, ServeAsk, ServeConstants, TrainRow, predict};
use tetra_foundry::{DieCounts, FoundryConstants, Volume, describe};
use tetra_quantity::{TableText, Tables};
use tetra_study::{InputTexts, Inputs, read_study};
use tetra_workload::{DataType, Model, Precision, hf::read_config};

/// Far above what any reading takes, for a busy machine.
const LONGEST: Duration = Duration::from_secs(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Texts of a folder by name.
fn folder(name: &str, ending: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(root().join(name)).unwrap().map(|e| e.unwrap().path());
    let kept = entries.filter(|p| p.extension().is_some_and(|e| e == ending));
    kept.map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&p).unwrap())).collect()
}

static TABLES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| folder("data", "csv"));
static LISTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| folder("data", "toml"));
static CHIPS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| folder("data/chips", "toml"));
static MEASURED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| folder("validation", "csv"));
static STUDY: LazyLock<String> = LazyLock::new(|| fs::read_to_string(root().join("studies/first/study.toml")).unwrap());
static MODEL: LazyLock<String> = LazyLock::new(|| fs::read_to_string(root().join("models/gpt2.json")).unwrap());
static CONSTANTS: LazyLock<Tables> = LazyLock::new(|| {
    let texts: Vec<_> = TABLES.iter().map(|(name, text)| TableText { name, text }).collect();
    Tables::parse(&texts, &LISTS["sources.toml"]).unwrap()
});

/// Values that a careless or hostile hand writes.
const VALUES: [&str; 24] = [
    "0",
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e300",
    "1e-300",
    "1e400",
    "99999999999999999999",
    "18446744073709551615",
    "",
    "\"\"",
    "\"x\"",
    "true",
    "[]",
    "[[]]",
    "{}",
    "\"1e300 s\"",
    "\"-1 GB\"",
    "\"0 W\"",
    "\u{0}",
    "\"",
    "é",
    "2027-01-01",
];

/// One change of a text.
#[derive(Debug, Clone)]
enum Edit {
    Cut(Index),
    Byte(Index, u8),
    Drop(Index),
    Twice(Index),
    Value(Index, Index, &'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        1 => any::<Index>().prop_map(Edit::Cut),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(i, b)| Edit::Byte(i, b)),
        1 => any::<Index>().prop_map(Edit::Drop),
        1 => any::<Index>().prop_map(Edit::Twice),
        6 => (any::<Index>(), any::<Index>(), prop::sample::select(VALUES.to_vec())).prop_map(|(l, c, v)| Edit::Value(l, c, v)),
    ]
}

fn changed(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for edit in edits {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return text;
        }
        match edit {
            Edit::Cut(at) => {
                let keep = at.index(text.len().max(1));
                text = String::from_utf8_lossy(&text.as_bytes()[..keep]).into_owned();
                continue;
            }
            Edit::Byte(at, byte) => {
                let mut bytes = text.into_bytes();
                let i = at.index(bytes.len().max(1));
                bytes[i] = *byte;
                text = String::from_utf8_lossy(&bytes).into_owned();
                continue;
            }
            Edit::Drop(at) => drop(lines.remove(at.index(lines.len()))),
            Edit::Twice(at) => {
                let i = at.index(lines.len());
                lines.insert(i, lines[i].clone());
            }
            Edit::Value(at, cell, value) => {
                let i = at.index(lines.len());
                lines[i] = match lines[i].split_once('=') {
                    Some((key, _)) if !lines[i].contains(",,") => format!("{key}= {value}"),
                    _ => {
                        let mut cells: Vec<&str> = lines[i].split(',').collect();
                        let j = cell.index(cells.len());
                        cells[j] = value;
                        cells.join(",")
                    }
                };
            }
        }
        text = lines.join("\n");
    }
    text
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 1..4)
}

fn nth<'a>(texts: &'a BTreeMap<String, String>, at: &Index) -> (&'a str, &'a str) {
    let (name, text) = texts.iter().nth(at.index(texts.len())).unwrap();
    (name, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chips(at in any::<Index>(), edits in edits()) {
        let (name, text) = nth(&CHIPS, &at);
        let text = changed(text, &edits);
        let start = Instant::now();
        if let Err(errors) = Chip::from_toml(name, &text) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|e| e.line >= 1 && e.line <= text.lines().count().max(1) + 1 && !e.cause.is_empty() && !e.mend.is_empty()));
        }
        prop_assert!(start.elapsed() < LONGEST);
    }

    #[test]
    fn studies(edits in edits()) {
        let text = changed(&STUDY, &edits);
        let start = Instant::now();
        if let Err(e) = read_study("study.toml", &text) {
            prop_assert!(!e.lines().is_empty());
            prop_assert!(e.lines().iter().all(|l| l.starts_with("study.toml:") && l.matches(": ").count() >= 2), "{:?}", e.lines());
        }
        prop_assert!(start.elapsed() < LONGEST);
    }

    #[test]
    fn tables_of_measurements(at in any::<Index>(), edits in edits()) {
        let (name, text) = nth(&MEASURED, &at);
        let text = changed(text, &edits);
        let start = Instant::now();
        if let Err(errors) = tetra_study::validate::read(name, &text) {
            prop_assert!(!errors.is_empty() && errors.iter().all(|e| e.to_string().starts_with(name)));
        }
        prop_assert!(start.elapsed() < LONGEST);
    }

    #[test]
    fn any_text(text in "\\PC{0,300}") {
        prop_assert!(Chip::from_toml("x", &text).is_err());
        prop_assert!(read_study("x", &text).is_err());
        prop_assert!(tetra_study::validate::read("x", &text).is_err());
        let table = TableText { name: "x", text: &text };
        prop_assert!(Tables::parse(&[table], "").is_err());
        let _ = Tables::parse(&[], &text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tables, sources, sites, grids, suppliers, outages, chips and models as a study reads them all, one of them broken.
    #[test]
    fn data_folders(which in 0usize..9, at in any::<Index>(), edits in edits()) {
        let broken_at = match which {
            0..5 => nth(&TABLES, &at),
            5 | 6 => nth(&LISTS, &at),
            7 => nth(&CHIPS, &at),
            _ => ("gpt2", MODEL.as_str()),
        };
        let broken = changed(broken_at.1, &edits);
        fn pick<'a>(name: &'a str, text: &'a str, broken_at: (&str, &str), broken: &'a str) -> (&'a str, &'a str) {
            (name, if name == broken_at.0 { broken } else { text })
        }
        let text = STUDY.replace("Meta-Llama-3.1-70B", "gpt2").replace("DeepSeek-V3", "gpt2").replace("Meta-Llama-3.1-405B", "gpt2");
        let study = read_study("study.toml", &text).unwrap();
        let list = |name: &'static str| pick(name, &LISTS[name], broken_at, &broken).1;
        let tables = TABLES.iter().map(|(n, t)| pick(n, t, broken_at, &broken));
        let texts = InputTexts {
            tables: tables.map(|(name, text)| TableText { name, text }).collect(),
            sources: list("sources.toml"),
            sites: list("sites.toml"),
            grids: list("grids.toml"),
            suppliers: list("suppliers.toml"),
            outages: list("outages.toml"),
            scenarios: list("scenarios.toml"),
            probes: "",
            chips: CHIPS.iter().map(|(n, t)| pick(n, t, broken_at, &broken)).collect(),
            models: vec![pick("gpt2", &MODEL, broken_at, &broken)],
        };
        let start = Instant::now();
        if let Err(e) = Inputs::read("study.toml", &text, &study, &texts) {
            prop_assert!(!e.lines().is_empty() && e.lines().iter().all(|l| l.contains(": ")), "{:?}", e.lines());
        }
        prop_assert!(start.elapsed() < LONGEST);
    }
}

/// Ends of what the reader of chips accepts.
const ENDS: [(&str, [&str; 2]); 26] = [
    ("cores", ["1", "1048576"]),
    ("clock", ["\"10 MHz\"", "\"100 GHz\""]),
    ("arrays_per_core", ["1", "65536"]),
    ("array_rows", ["1", "65536"]),
    ("array_columns", ["1", "65536"]),
    ("lanes_per_core", ["1", "16777216"]),
    ("tile_rows_max", ["16", "65536"]),
    ("tile_columns_max", ["17", "65536"]),
    ("multicast", ["1", "1024"]),
    ("fp8", ["0.0", "16.0"]),
    ("local", ["\"1 kB\"", "\"1 TB\""]),
    ("local_bytes_per_cycle", ["1.0", "1e9"]),
    ("global", ["\"1 kB\"", "\"10 TB\""]),
    ("global_bytes_per_cycle", ["1.0", "1e9"]),
    ("hbm", ["\"1 MB\"", "\"1 PB\""]),
    ("hbm_bandwidth", ["\"0.1 GB/s\"", "\"10 PB/s\""]),
    ("scale_up", ["\"0 GB/s\"", "\"1 PB/s\""]),
    ("scale_up_domain", ["1", "1048576"]),
    ("scale_out", ["\"0 GB/s\"", "\"1 MB/s\""]),
    ("cap", ["\"1 W\"", "\"1 MW\""]),
    ("idle", ["\"0 W\"", "\"0.5 W\""]),
    ("resistance", ["\"0 K/W\"", "\"10 K/W\""]),
    ("dies", ["1", "1024"]),
    ("die_width", ["\"0.1 mm\"", "\"1 m\""]),
    ("area", ["\"0.01 mm2\"", "\"1 m2\""]),
    ("shadow_weights", ["true", "false"]),
];

/// A chip file with some values at their ends.
fn absurd(choices: &[(Index, bool)]) -> String {
    let built = |l: &str| if l.starts_with("cores_built") { "cores_built = 1048576\n".to_owned() } else { format!("{l}\n") };
    let mut text: String = CHIPS["h100.toml"].lines().map(built).collect();
    for (at, high) in choices {
        let (key, ends) = ENDS[at.index(ENDS.len())];
        text = text
            .lines()
            .map(|l| {
                if l.split('=').next().unwrap().trim() == key {
                    format!("{key} = {}\n", ends[usize::from(*high)])
                } else {
                    format!("{l}\n")
                }
            })
            .collect();
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn absurd_chips_give_finite_times_or_reasons(choices in prop::collection::vec((any::<Index>(), any::<bool>()), 1..30), narrow in any::<bool>()) {
        let Ok(chip) = Chip::from_toml("absurd.toml", &absurd(&choices)) else { return Ok(()) };
        let model: Model = read_config("gpt2", &MODEL).unwrap();
        let t: &Tables = &CONSTANTS;
        let (ops, cluster, serve) =
            (ChipConstants::from_tables(t).unwrap(), ClusterConstants::from_tables(t).unwrap(), ServeConstants::from_tables(t).unwrap());
        let (network, timer) = (Network::of(&chip, &cluster), Timer::new(&chip, &ops));
        let start = Instant::now();
        let precision = Precision::uniform(if narrow { DataType::Fp8 } else { DataType::Bf16 });
        let ask = ServeAsk { model: &model, precision, input: 512, output: 128, ttft: None, tail: None, tpot: None, arrivals: Arrivals::Steady };
        if let Ok(found) = search(&ask, &chip, &timer, &network, &SearchSpace::within(network.domain), &serve) {
            let figures = [found.ttft.value(), found.tpot.value(), found.tokens_per_second, found.energy_per_token.value(), found.power.value()];
            prop_assert!(figures.iter().all(|f| f.is_finite() && *f > 0.0), "{:?}", found);
        }
        let row = TrainRow { model: Some(&model), sequence: Some(512), global_batch: Some(64), precision: "bf16", chips: Some(64), ..TrainRow::default() };
        if let Ok(found) = predict(&row, &chip, &timer, &cluster) {
            let step = found.step;
            prop_assert!([step.time.value(), step.energy.value(), step.power.value(), step.mfu].iter().all(|f| f.is_finite() && *f > 0.0), "{:?}", step);
        }
        let constants = FoundryConstants::from_tables(t).unwrap();
        let volume = Volume::made_in(1000.0, 2028.0, &chip, &constants);
        let made = describe(&chip, &area::breakdown(&chip, &ops), &volume, &constants, &DieCounts::new());
        prop_assert!(made.figures().iter().all(|f| f.value.is_none_or(f64::is_finite)), "{:?}", made);
        prop_assert!(start.elapsed() < LONGEST);
    }
}
