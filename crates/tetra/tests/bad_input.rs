//! Broken input of every kind, through the program itself: exit code 2, a message with place, cause and mend, in little time, and nothing
//! left half written. `WRITE_EXPECTATIONS=1` writes the texts of the corpus anew; read them before they are kept.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far above what any refusal takes, for a busy machine.
const LONGEST: Duration = Duration::from_secs(10);
/// More than anybody reads.
const LARGEST_MESSAGE: usize = 64 << 10;

const HEAD: &str = "id,op,accelerator,dtype,m,n,k,metric,value,unit\n";
const GOOD: &str = "good,gemm,H100 SXM5,bf16,4096,4096,4096,latency,0.0003,s\n";

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn tetra(folder: &Path, words: &[&str]) -> Said {
    let start = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tetra"));
    let output = command.args(words).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let took = start.elapsed();
    assert!(took < LONGEST, "tetra {words:?} took {took:?}");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The message of a command that must be refused as broken input.
fn refused(folder: &Path, words: &[&str]) -> String {
    let said = tetra(folder, words);
    let shown: String = said.err.chars().take(2000).collect();
    assert_eq!(said.code, Some(2), "tetra {words:?}: {shown}");
    assert!(said.out.is_empty(), "tetra {words:?} answered: {}", said.out);
    assert!(said.err.len() < LARGEST_MESSAGE, "tetra {words:?}: {} bytes of message", said.err.len());
    for word in ["panicked", "RUST_BACKTRACE", "has a fault", "unwrap", "src/"] {
        assert!(!said.err.contains(word), "tetra {words:?}: {shown}");
    }
    assert!(!said.err.contains(|c: char| c.is_control() && c != '\n'), "tetra {words:?}: {shown:?}");
    assert!(said.err.starts_with("error: "), "tetra {words:?}: {shown}");
    said.err
}

/// Every line names a place, a cause and a mend.
fn has_three_parts(message: &str) {
    for line in message.lines().filter(|l| l.starts_with("error: ")) {
        let parts = line.trim_start_matches("error: ").matches(": ").count();
        assert!(parts >= 2, "not place, cause and mend: {line}");
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in entries(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Names in a folder and below it.
fn names(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for path in entries(folder) {
        all.push(path.file_name().unwrap().to_string_lossy().into_owned());
        if path.symlink_metadata().unwrap().is_dir() {
            all.extend(names(&path));
        }
    }
    all
}

/// Compares with the text beside the corpus, or writes it; lists of names that the data hold are left out.
fn expect(text: &str, file: &Path) {
    let short = |line: &str| {
        let lists = ["models are ", "write one of ", "supported values of model_type: "];
        let cut = lists.iter().find_map(|mark| line.find(mark).map(|at| at + mark.len()));
        cut.map_or_else(|| format!("{line}\n"), |at| format!("{}…\n", &line[..at]))
    };
    let text: String = text.lines().map(short).collect();
    if std::env::var_os("WRITE_EXPECTATIONS").is_some() {
        fs::write(file, text).unwrap();
        return;
    }
    assert_eq!(text, fs::read_to_string(file).unwrap_or_default(), "{}", file.display());
}

/// Runs a command over the broken files of a folder of the corpus; the file's name comes last.
fn all_refused(folder: &str, ending: &str, words: &[&str]) {
    let root = corpus().join(folder);
    let mut count = 0;
    for path in entries(&root).into_iter().filter(|p| p.extension().is_some_and(|e| e == ending)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let said = refused(&root, &[words, &[name]].concat());
        has_three_parts(&said);
        expect(&said, &path.with_extension("said"));
        count += 1;
    }
    assert!(count >= 8, "{folder}: {count} files");
}

#[test]
fn broken_chips() {
    all_refused("chip", "toml", &["foundry"]);
}

#[test]
fn broken_models() {
    all_refused("model", "json", &["model"]);
}

#[test]
fn broken_tables() {
    all_refused("table", "csv", &["validate"]);
}

#[test]
fn broken_architectures() {
    all_refused("architecture", "yaml", &["chip"]);
    all_refused("architecture", "yaml", &["map", "--op", "gemm:64x64x64", "--chip"]);
}

#[test]
fn broken_hardware_descriptions() {
    all_refused("hardware", "json", &["chip"]);
}

#[test]
fn broken_machines() {
    all_refused("machine", "toml", &["map", "--op", "gemm:64x64x64", "--chip"]);
}

#[test]
fn broken_points() {
    all_refused("point", "toml", &["chip"]);
    all_refused("point", "toml", &["foundry"]);
}

#[test]
fn broken_studies() {
    let root = corpus().join("study");
    let studies = entries(&root);
    assert!(studies.len() >= 15);
    for study in studies {
        let name = study.file_name().unwrap().to_str().unwrap();
        let before = names(&study);
        for verb in ["check", "run", "search", "compare"] {
            let said = refused(&root, &[verb, name]);
            has_three_parts(&said);
            expect(&said, &study.join("said.txt"));
        }
        let after: Vec<String> = names(&study).into_iter().filter(|n| before.contains(n) || n != "said.txt").collect();
        assert_eq!(before, after, "{name} was written into");
    }
}

#[test]
fn broken_data() {
    let temporary = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    assert_eq!(tetra(temporary.path(), &["new", "study"]).code, Some(0));
    for case in entries(&corpus().join("data")) {
        let name = case.file_name().unwrap().to_str().unwrap();
        let folder = temporary.path().join("data");
        copy(&data, &folder);
        copy(&case, &folder);
        let said = refused(temporary.path(), &["check", "study", "--data", "data"]);
        expect(&said, &case.join("said.txt"));
        fs::remove_dir_all(&folder).unwrap();
        assert!(said.contains(": "), "{name}: {said}");
    }
}

/// Messages as they are meant to be read.
#[test]
fn messages_say_place_cause_and_mend() {
    let chip = refused(&corpus().join("chip"), &["foundry", "negative.toml"]);
    for line in [
        "error: negative.toml:8: \"compute.cores\" is -1, not within 1 to 1048576: correct the number",
        "error: negative.toml:9: \"compute.clock\" is -1e9 in base units, not within 1e7 to 1e11: correct the value or its unit",
    ] {
        assert!(chip.contains(line), "{chip}");
    }
    let table = refused(&corpus().join("table"), &["validate", "ragged.csv"]);
    assert!(
        table.starts_with("error: ragged.csv:2: 6 fields where the header has 10: check quotes, commas and encoding (UTF-8)\n"),
        "{table}"
    );
    let model = refused(&corpus().join("model"), &["model", "wrong_types.json"]);
    assert!(model.contains("key \"hidden_size\" is a string: write a whole number from 1 to 16777216\n"), "{model}");
    let study = refused(&corpus().join("study"), &["check", "cyclic_shares"]);
    let wanted = "service \"a\" is a share of itself, directly or through others: give one of them a `demand` by month\n";
    assert!(study.contains(wanted), "{study}");
    let none = refused(Path::new("/"), &["model", "llama-8b"]);
    assert!(
        none.starts_with("error: no model \"llama-8b\": give the path of a config.json, or one of Meta-Llama-3-8B, Meta-Llama-3.1-8B,"),
        "{none}"
    );
}

/// Flags out of all bounds, misspelt words, missing values: refused before anything is read.
#[test]
fn broken_flags() {
    const MOST: &str = "18446744073709551615";
    let here = Path::new("/");
    let serve = ["serve", "--model", "Llama-2-7b", "--chip", "H100"];
    let train = ["train", "--model", "Llama-2-7b", "--chip", "H100", "--n", "8", "--global-batch", "8", "--seq", "2048"];
    let bad = ["0", "-1", MOST, "1e18", "NaN", "1.5", "", "99999999999999999999999"];
    for flag in ["--tp", "--pp", "--ep", "--batch", "--input", "--output", "--threads"] {
        for value in bad {
            let said = refused(here, &[&serve[..], &[flag, value]].concat());
            assert!(said.contains(flag) && (value.is_empty() || said.contains(value)), "{flag} {value}: {said}");
        }
    }
    for flag in ["--tp", "--pp", "--dp", "--cp", "--ep", "--vpp", "--micro-batch"] {
        for value in bad {
            let said = refused(here, &[&train[..], &[flag, value]].concat());
            assert!(said.contains("whole number from 1 to") || value.is_empty(), "{flag} {value}: {said}");
        }
    }
    for words in [["--recompute", "some"], ["--precision", "fp9"], ["--precision", ""], ["--sp", "perhaps"], ["--colour", "red"]] {
        refused(here, &[&train[..], &words].concat());
    }
    for words in [["--ttft", "0 s"], ["--tpot", "-1 ms"], ["--tpot", "NaN"], ["--ttft", "1e400 s"], ["--ttft", "3"], ["--tpot", "3 W"]] {
        assert!(refused(here, &[&serve[..], &words].concat()).contains(words[0]));
    }
    for flag in [["--units", "0"], ["--units", "-5"], ["--year", "0"], ["--year", "65536"]] {
        refused(here, &[&["foundry", "H100"], &flag[..]].concat());
    }
    for words in
        [&["modle"][..], &["model"], &["model", ""], &["chip", "H100", "--phase", "sleep"], &["data", "moon"], &["new", ""], &["--frob"]]
    {
        refused(here, words);
    }
}

/// A stated degree that cannot be kept does not fit (exit code 1); it is never replaced by another.
#[test]
fn stated_degrees_are_kept_or_refused() {
    let here = Path::new("/");
    let serve = ["serve", "--model", "Llama-2-7b", "--chip", "H100"];
    let train = ["train", "--model", "Llama-2-7b", "--chip", "H100", "--n", "64", "--global-batch", "64", "--seq", "2048"];
    let misfits: [(&[&str], &[&str], &str); 6] = [
        (&serve, &["--tp", "3"], "tensor_parallel 3 does not divide 32 attention heads"),
        (&serve, &["--pp", "64"], "64 stages need as many layers, the model has 32"),
        (&serve, &["--ep", "8"], "the model has no experts"),
        (&serve, &["--batch", "16777216"], "lower batch"),
        (&train, &["--tp", "64"], "does not divide 32 attention heads"),
        (&train, &["--tp", "8", "--pp", "2", "--dp", "3"], "is 48 chips, 64 are asked"),
    ];
    for (verb, flags, why) in misfits {
        let said = tetra(here, &[verb, flags].concat());
        assert_eq!(said.code, Some(1), "{flags:?}: {}", said.err);
        assert!(said.err.starts_with("does not fit: ") && said.err.contains(why) && said.out.is_empty(), "{flags:?}: {}", said.err);
    }
}

/// Text far too long, far too deep or far too repetitive, and a file larger than any memory.
#[test]
fn gigantic_files() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let chip: [(&str, String); 8] = [
        ("brackets", "a = ".to_owned() + &"[".repeat(500_000)),
        ("braces", "a = ".to_owned() + &"{a=".repeat(300_000)),
        ("dots", "a.".repeat(400_000) + "a = 1"),
        ("header", format!("[{}]", vec!["a"; 400_000].join("."))),
        ("keys", (0..70_000).map(|i| format!("k{i} = 1\n")).collect()),
        ("signs", "=\n".repeat(400_000)),
        ("quotes", "\"".repeat(900_000)),
        ("long", "#".repeat(30 << 20)),
    ];
    for (name, text) in chip {
        fs::write(folder.join("a.toml"), &text).unwrap();
        has_three_parts(&refused(folder, &["foundry", "a.toml"]));
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("study.toml"), &text).unwrap();
        has_three_parts(&refused(folder, &["check", name]));
    }
    for text in ["[".repeat(2_000_000), "{\"a\":".repeat(500_000), (0..300_000).map(|i| format!("[{i}],")).collect(), "9".repeat(4_000_000)]
    {
        fs::write(folder.join("a.json"), &text).unwrap();
        has_three_parts(&refused(folder, &["model", "a.json"]));
    }
    let wide: String = (0..200_000).map(|i| format!("c{i},")).collect();
    for text in [HEAD.to_owned() + &"1,2\n".repeat(500_000), wide, HEAD.to_owned() + "\"" + &"x".repeat(20 << 20)] {
        fs::write(folder.join("a.csv"), &text).unwrap();
        has_three_parts(&refused(folder, &["validate", "a.csv"]));
    }
    for (name, verb) in [("b.toml", "foundry"), ("b.json", "model"), ("b.csv", "validate")] {
        // A file of holes: a terabyte in its length alone.
        fs::File::create(folder.join(name)).unwrap().set_len(1 << 40).unwrap();
        let said = refused(folder, &[verb, name]);
        assert_eq!(said, format!("error: {name}: 1099511627776 bytes is larger than any input of this kind: name the right file\n"));
    }
}

/// The same for hardware of other tools, machines and points.
#[test]
fn gigantic_hardware() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let deep = |key: &str, n: usize| format!("{}1{}", format!("{{{key}: ").repeat(n), "}".repeat(n));
    let many: String = (0..15_000).map(|i| format!("k{i}: 1, ")).collect();
    let long = "k".repeat(90);
    let yaml = [
        (0..90_000).map(|i| format!("k{i}: 1\n")).collect(),
        format!("{{{}}}", (0..90_000).map(|i| format!("k{i}: 1,")).collect::<String>()),
        "- 1\n".repeat(250_000),
        "- ".repeat(500_000),
        "!a ".repeat(340_000),
        "a:\n".repeat(340_000),
        "[1,".repeat(340_000),
        format!("a: {}", deep("a", 100_000)),
        "'".repeat(1_000_000),
        format!("arch:\n  nodes:\n  - !Memory\n    size: {}1\n", "(".repeat(1_000_000)),
        format!("arch:\n  nodes:\n  - !Memory\n    size: {}1\n", "1+".repeat(500_000)),
        format!("architecture: {{version: 0.4, nodes: [1]}}\nx: {}{{{many}}}{}\n", format!("{{{long}: ").repeat(40), "}".repeat(40)),
        "a: {{A}}\n".repeat(100_000),
        "{{".repeat(500_000),
        "#".repeat(2 << 20),
    ];
    let set = format!("A={}", "x".repeat(100_000));
    for text in &yaml {
        fs::write(folder.join("a.yaml"), text).unwrap();
        has_three_parts(&refused(folder, &["chip", "a.yaml", "--set", &set]));
        has_three_parts(&refused(folder, &["map", "--op", "gemm:8x8x8", "--chip", "a.yaml", "--set", &set]));
        fs::write(folder.join("a.json"), text).unwrap();
        has_three_parts(&refused(folder, &["chip", "a.json"]));
    }
    let level = "[[level]]\nname = \"a\"\nread_energy = \"1 pJ/bit\"\nwrite_energy = \"1 pJ/bit\"\n";
    let machine = [
        level.repeat(10_000),
        format!("{level}{}", "[[level.fanout]]\nname = \"f\"\nsize = 1048576\n".repeat(20_000)),
        format!("[[level]]\nkeep = [{}]\n", "\"all\", ".repeat(100_000)),
        format!("[[level]]\na = {}", "[".repeat(900_000)),
        "[[level]]\n#".to_owned() + &"#".repeat(30 << 20),
    ];
    for text in machine {
        fs::write(folder.join("a.toml"), &text).unwrap();
        has_three_parts(&refused(folder, &["map", "--op", "gemm:8x8x8", "--chip", "a.toml"]));
    }
    for rest in [format!("a = {}", "[".repeat(900_000)), (0..70_000).map(|i| format!("k{i} = 1\n")).collect(), "#".repeat(30 << 20)] {
        fs::write(folder.join("a.toml"), format!("[point]\n{rest}")).unwrap();
        has_three_parts(&refused(folder, &["chip", "a.toml"]));
    }
}

/// Things that are no files, folders without end, names that are taken.
#[test]
#[cfg(unix)]
fn odd_files_and_folders() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for name in ["pipe.csv", "pipe.toml", "pipe.json"] {
        assert!(Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
    }
    fs::create_dir(folder.join("empty")).unwrap();
    fs::create_dir(folder.join("loop")).unwrap();
    std::os::unix::fs::symlink(".", folder.join("loop/a")).unwrap();
    std::os::unix::fs::symlink("..", folder.join("loop/b")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("loose.csv")).unwrap();
    std::os::unix::fs::symlink("round.json", folder.join("round.json")).unwrap();
    let cases: [&[&str]; 22] = [
        &["validate", "pipe.csv"],
        &["foundry", "pipe.toml"],
        &["model", "pipe.json"],
        &["model", "round.json"],
        &["model", "empty"],
        &["validate", "/dev/zero"],
        &["validate", "loose.csv"],
        &["validate", "empty"],
        &["foundry", "empty"],
        &["foundry", "none.toml"],
        &["foundry", "H100", "--data", "empty"],
        &["foundry", "H100", "--data", "none"],
        &["foundry", "H100", "--data", "loop"],
        &["foundry", "H100", "--data", "pipe.csv"],
        &["validate", "--chips", "none"],
        &["validate", "--models", "loop"],
        &["check", "empty"],
        &["run", "none"],
        &["report", "empty"],
        &["explain", "x", "--study", "empty"],
        &["new", "empty"],
        &["new", "made", "--model", "none.json"],
    ];
    let before = names(folder);
    for words in cases {
        let said = refused(folder, words);
        assert!(!said.contains("os error") || words[1].starts_with("round"), "{said}");
    }
    assert_eq!(before, names(folder));
}

/// An answer that cannot be put in its place leaves nothing behind.
#[test]
fn nothing_is_left_half_written() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let table = "table.csv";
    fs::write(folder.join(table), [HEAD, GOOD].concat()).unwrap();
    fs::create_dir(folder.join("taken.csv")).unwrap();
    fs::write(folder.join("file"), "").unwrap();
    for target in ["taken.csv", "/", "file/rows.csv", ".."] {
        refused(folder, &["validate", table, "--rows", target]);
    }
    refused(folder, &["validate", "none.csv", "--rows", "new/rows.csv"]);
    fs::write(folder.join("rows.csv"), "kept").unwrap();
    refused(folder, &["validate", "none.csv", "--rows", "rows.csv"]);
    assert_eq!(fs::read_to_string(folder.join("rows.csv")).unwrap(), "kept");
    assert_eq!(tetra(folder, &["new", "study"]).code, Some(0));
    fs::create_dir(folder.join("study/out")).unwrap();
    for broken in ["", "{", "{}", "[]", "\"</script>\"", "{\"frame\": 3}"] {
        fs::write(folder.join("study/out/report.json"), broken).unwrap();
        fs::write(folder.join("study/out/explain.json"), broken).unwrap();
        refused(folder, &["report", "study"]);
        let said = tetra(folder, &["explain", "x", "--study", "study"]);
        assert_eq!(said.code, Some(2), "{broken}: {}", said.err);
    }
    let all = names(folder);
    assert!(!all.iter().any(|n| n.contains(".part") || n == "new" || n == "report.html"), "{all:?}");
}

/// Output that cannot be written is told; a pipe that closes early is not.
#[test]
#[cfg(target_os = "linux")]
fn full_devices_and_odd_names() {
    use std::os::unix::ffi::OsStrExt;
    let run = |words: &[&str], out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tetra"));
        command.args(words).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped()).output().unwrap()
    };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run(&["data", "--json"], Stdio::from(full));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: standard output: "), "{said}");
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    for verb in ["model", "foundry", "check", "validate", "new", "data"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tetra"));
        let output = command.arg(verb).arg(bytes).arg("--data").arg(bytes).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{verb}");
    }
    let temporary = tempfile::tempdir().unwrap();
    let model = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/gpt2.json")).unwrap();
    fs::write(temporary.path().join("a\"b.json"), model).unwrap();
    let said = refused(temporary.path(), &["new", "study", "--model", "a\"b.json"]);
    assert!(said.contains("rename the file"), "{said}");
    assert!(!temporary.path().join("study").exists());
}

/// A byte order mark, Windows line endings and further columns are no mistakes.
#[test]
fn files_of_other_systems_are_read() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (from, name, verb) in [
        ("data/chips/h100.toml", "a.toml", "foundry"),
        ("models/gpt2.json", "a.json", "model"),
        ("validation/kernel_measured.csv", "a.csv", "validate"),
    ] {
        let text = fs::read_to_string(root.join(from)).unwrap();
        fs::write(folder.join(name), &text).unwrap();
        let plain = tetra(folder, &[verb, name, "--json"]);
        assert_eq!(plain.code, Some(0), "{}", plain.err);
        fs::write(folder.join(name), format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        let odd = tetra(folder, &[verb, name, "--json"]);
        assert_eq!((odd.code, odd.out), (Some(0), plain.out), "{}", odd.err);
    }
}

/// A row that is broken by itself is refused with its reason; the rest of the table is scored.
#[test]
fn broken_rows_are_refused_by_name() {
    let temporary = tempfile::tempdir().unwrap();
    let bad = ["NaN", "-5", "1e300", "x", "1e18", "inf"].map(|m| format!("bad,gemm,H100 SXM5,bf16,{m},4096,4096,latency,0.0003,s\n"));
    fs::write(temporary.path().join("a.csv"), [HEAD, GOOD, &bad.concat()].concat()).unwrap();
    let said = tetra(temporary.path(), &["validate", "a.csv", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let value: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((value["tables"][0]["rows"].as_u64(), value["tables"][0]["refused"].as_u64()), (Some(7), Some(6)), "{}", said.out);
    assert!(value["tables"][0]["refusals"].as_array().unwrap().iter().all(|r| r["reason"].as_str().unwrap().contains("column m")));
}
