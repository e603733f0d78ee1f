//! Parameter counts against what makers and papers print, to the digits printed (rounded or cut off).

use tetra_workload::*;

fn read(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

fn model(stem: &str) -> Model {
    hf::read_config(stem, &read(&format!("models/{stem}.json"))).expect(stem)
}

fn unit(text: &str) -> f64 {
    match text {
        "T" => 1e12,
        "B" => 1e9,
        "M" => 1e6,
        _ => 1.0,
    }
}

/// Whether `count` printed with the digits of `published` is `published`, by rounding or by cutting off.
fn equal_as_printed(count: f64, published: &str, unit: f64) -> bool {
    let decimals = published.split_once('.').map_or(0, |(_, d)| d.len() as i32);
    let step = 10f64.powi(-decimals);
    let (value, printed) = (count / unit, published.parse::<f64>().expect("a number"));
    let rounded = (value / step).round() * step;
    let cut = (value / step).floor() * step;
    (rounded - printed).abs() < step * 0.01 || (cut - printed).abs() < step * 0.01
}

fn counted(p: &Parameters, quantity: &str, rule: &str) -> Option<u64> {
    let vocabulary = p.embedding + p.head;
    Some(match (quantity, rule) {
        ("total", "all") => p.total(),
        ("total", "without_vocabulary") => p.total() - vocabulary,
        ("total", "with_predict_layers_without_vocabulary") => p.total() + p.predict_layers - vocabulary,
        ("active", "all") => p.active(),
        ("active", "with_embedding") => p.active_with_embedding(),
        ("active", "without_vocabulary") => p.active_with_embedding() - vocabulary,
        _ => return None,
    })
}

#[test]
fn counts_equal_published_ones() {
    let table = read("validation/parameters_published.csv");
    let (mut models, mut wrong) = (std::collections::BTreeSet::new(), Vec::new());
    for line in table.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let count = counted(&model(f[0]).parameters(), f[1], f[4]).expect("a known way to count");
        models.insert(f[0].to_string());
        if !equal_as_printed(count as f64, f[2], unit(f[3])) {
            wrong.push(format!("{} {} {}{} counted {count}", f[0], f[1], f[2], f[3]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(models.len() >= 20, "{}", models.len());
}

#[test]
fn shapes_of_measured_training_rows_give_their_parameters() {
    let table = read("validation/training_measured.csv");
    let header: Vec<&str> = table.lines().next().expect("a header").split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).expect(name);
    let columns = ["layers", "hidden", "heads", "ffn", "vocab", "seq", "params_b", "id"].map(column);
    let mut rows = 0;
    for line in table.lines().skip(1) {
        let fields = split(line);
        let [layers, hidden, heads, ffn, vocabulary, seq] = [0, 1, 2, 3, 4, 5].map(|i| fields[columns[i]].parse::<u64>().unwrap_or(0));
        let id = &fields[columns[7]];
        if [layers, hidden, heads, ffn, vocabulary, seq].contains(&0) || !(id.starts_with("sc21") || id.starts_with("mpt")) {
            continue;
        }
        rows += 1;
        let shape = DenseShape { layers, hidden, heads, kv_heads: heads, ffn, vocabulary, learned_positions: seq, llama: false };
        let count = shape.model("row").parameters().total();
        assert!(equal_as_printed(count as f64, &fields[columns[6]], 1e9), "{id}: {count} against {}", fields[columns[6]]);
    }
    assert!(rows > 100, "{rows}");
}

fn split(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("one field").push(c),
        }
    }
    fields
}

#[test]
fn every_config_file_is_read_and_described() {
    let folder = format!("{}/../../models", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("models").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let mut families = std::collections::BTreeSet::new();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "json")) {
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let m = model(stem);
        families.insert(m.family.clone());
        let d = describe(&m);
        assert_eq!(d.parameters_total, m.parameters().total());
        assert_eq!(d.shapes.iter().map(|s| s.layers).sum::<u64>(), d.layers);
        assert!(d.token.windows(2).all(|w| w[0].flop <= w[1].flop && w[0].kv_bytes <= w[1].kv_bytes));
        assert!(serde_json::to_string(&d).expect("JSON").contains("parameters_active"));
        for work in [Work::train(1, 256), Work::prefill(1, 256), Work::decode(4, 255)] {
            let g = graph(&m, &work, &Shard::ONE, &m.precision).expect(stem);
            assert!(g.flop() > 0.0 && g.bytes() > 0.0);
        }
        // One decode step multiplies every active parameter once: the description and the graph are two ways to the same FLOP.
        if m.layers.iter().all(|l| matches!(l.attention, Attention::Grouped { .. })) {
            let told = describe(&m).token.iter().find(|t| t.context == 1024).map(|t| t.flop);
            if let Some(told) = told {
                let g = graph(&m, &Work::decode(1, 1024), &Shard::ONE, &m.precision).expect(stem);
                assert!((g.flop() / told - 1.0).abs() < 5e-3, "{stem}: {} {told}", g.flop());
            }
        }
    }
    assert!(families.len() >= 20, "{families:?}");
}

#[test]
fn names_in_tables_find_their_files() {
    let aliases = Aliases::parse(&read("models/aliases.csv"));
    let folder = format!("{}/../../models", env!("CARGO_MANIFEST_DIR"));
    let stems: Vec<String> = std::fs::read_dir(folder)
        .expect("models")
        .filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".json").map(str::to_string))
        .collect();
    let stems: Vec<&str> = stems.iter().map(String::as_str).collect();
    for (asked, stem) in [
        ("deepseek-ai/DeepSeek-R1", "DeepSeek-R1"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("meta-llama/Llama-3.1-70B", "Meta-Llama-3.1-70B"),
        ("Qwen/Qwen3-32B", "Qwen3-32B"),
        ("meta-llama/Llama-3.1-8B-Instruct", "Meta-Llama-3.1-8B"),
        ("moonshotai/Kimi-K2.5", "Kimi-K2.5"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "Meta-Llama-3.1-8B"),
        ("nvidia/DeepSeek-R1-NVFP4", "DeepSeek-R1"),
        ("nvidia/Qwen3-32B-NVFP4", "Qwen3-32B"),
        ("nvidia/DeepSeek-V3.1-NVFP4", "DeepSeek-V3"),
        ("llama2-70b-99", "Llama-2-70b"),
        ("LLaMA-7B", "Llama-7B"),
        ("LLaMA-70B", "Llama-2-70b"),
        ("gptj-99", "gpt-j-6b"),
        ("LLAMA3.1_405B", "Meta-Llama-3.1-405B"),
        ("BLOOM-176B", "bloom"),
    ] {
        assert_eq!(aliases.find(asked, &stems), Some(stem), "{asked}");
    }
    assert_eq!(aliases.find("stable-diffusion-xl", &stems), None);
    assert_eq!(aliases.find("", &stems), None);
}

#[test]
fn published_formats_come_from_the_file() {
    let formats = |stem: &str| (model(stem).precision.weights, model(stem).precision.expert_weights);
    assert_eq!(formats("gpt-oss-120b"), (DataType::Bf16, DataType::Mxfp4));
    assert_eq!(formats("DeepSeek-V3"), (DataType::Fp8, DataType::Fp8));
    assert_eq!(formats("Kimi-K2.5"), (DataType::Bf16, DataType::Int4));
    assert_eq!(formats("Meta-Llama-3.1-70B"), (DataType::Bf16, DataType::Bf16));
    // gpt-oss-120b is published in 60.8 GiB (arXiv 2508.10925, table 1).
    let gib = weight_bytes(&model("gpt-oss-120b"), &model("gpt-oss-120b").precision) as f64 / 1024f64.powi(3);
    assert!((gib - 60.8).abs() < 0.6, "{gib}");
}
