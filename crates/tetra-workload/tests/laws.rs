//! Laws of graphs: published FLOP formulas, sums over shards, prefill against decode, windows, experts, the absorbed form.

use tetra_workload::*;

fn model(stem: &str) -> Model {
    let path = format!("{}/../../models/{stem}.json", env!("CARGO_MANIFEST_DIR"));
    hf::read_config(stem, &std::fs::read_to_string(path).expect(stem)).expect(stem)
}

const BF16: Precision = Precision::uniform(DataType::Bf16);

fn near(a: f64, b: f64, share: f64) {
    assert!((a - b).abs() <= share * b.abs(), "{a} against {b}");
}

#[test]
fn dense_gpt_matches_the_published_formula() {
    // 72 B s L h² (1 + s_eff/(6h) + V/(12 L h)), arXiv 2104.04473 equation 3 without recomputation; causal: s_eff = (s + 1)/2.
    let shape = DenseShape {
        layers: 24,
        hidden: 2304,
        heads: 24,
        kv_heads: 24,
        ffn: 9216,
        vocabulary: 51200,
        learned_positions: 2048,
        llama: false,
    };
    let (b, s) = (4u64, 2048u64);
    let g = graph(&shape.model("gpt"), &Work::train(b, s), &Shard::ONE, &BF16).unwrap();
    let (bf, sf, l, h, v) = (4.0, 2048.0, 24.0, 2304.0, 51200.0);
    let published = 72.0 * bf * sf * l * h * h * (1.0 + (sf + 1.0) / 2.0 / (6.0 * h) + v / (12.0 * l * h));
    near(g.model_flop(), published, 1e-12);
    assert!(g.flop() > g.model_flop());
    let p = shape.model("gpt").parameters();
    let (l, h, v, s) = (24, 2304, 51200, 2048);
    assert_eq!(p.total(), 12 * l * h * h + 13 * l * h + v * h + s * h + 2 * h);
}

#[test]
fn backward_is_twice_forward_but_for_recomputation() {
    for stem in ["Meta-Llama-3.1-70B", "DeepSeek-V3", "Mixtral-8x7B-v0.1", "gpt-oss-20b", "gpt-neox-20b"] {
        let m = model(stem);
        let train = graph(&m, &Work::train(1, 4096), &Shard::ONE, &BF16).unwrap();
        let forward: f64 = train.nodes().filter(|(_, n)| n.pass == Pass::Forward).map(|(k, n)| k as f64 * n.op.model_flop()).sum();
        near(train.model_flop(), 3.0 * forward, 1e-9);
        let mut serve = Work::prefill(1, 4096);
        serve.logit_tokens = 4096;
        near(graph(&m, &serve, &Shard::ONE, &BF16).unwrap().flop(), forward, 1e-9);
    }
}

#[test]
fn six_n_per_token_for_weights() {
    for stem in ["Meta-Llama-3.1-8B", "Qwen3-30B-A3B", "DeepSeek-V3", "gpt-oss-120b", "GLM-4.5"] {
        let m = model(stem);
        let g = graph(&m, &Work::train(1, 1024), &Shard::ONE, &BF16).unwrap();
        let weights: f64 = g.nodes().filter(|(_, n)| !matches!(n.op, Op::Attention(_))).map(|(k, n)| k as f64 * n.op.flop()).sum();
        // Biases, norms and sinks add no product: under a half percent of the active parameters.
        near(weights, 6.0 * 1024.0 * m.active_parameters() as f64, 5e-3);
    }
}

#[test]
fn a_prediction_layer_is_a_layer_a_projection_and_a_head() {
    let m = model("DeepSeek-V3");
    let (h, v) = (m.hidden as f64, m.vocabulary as f64);
    let one = Model { layers: m.predict_layers.clone(), ..m.clone() };
    let active = one.active_parameters() as f64 - if m.tied_embeddings { 0.0 } else { h * v };
    let extra = prediction(&m, &Work::train(1, 1024), &Shard::ONE, &BF16).unwrap();
    let weights: f64 = extra.nodes.iter().filter(|n| !matches!(n.op, Op::Attention(_))).map(|n| n.op.flop()).sum();
    near(weights, 6.0 * 1024.0 * (active + 2.0 * h * h + h * v), 2e-2);
    let counted = m.parameters().predict_layers as f64;
    near(extra.parameters as f64, counted, 1e-5);
    assert!(prediction(&model("Meta-Llama-3.1-70B"), &Work::train(1, 1024), &Shard::ONE, &BF16).unwrap().nodes.is_empty());
}

#[test]
fn limited_routing_visits_what_enumeration_says() {
    // 8 groups of which 4 are chosen with two experts each: all places of a chosen group alike, groups drawn without repetition.
    let limited = Routing::limited(8, 4);
    near(limited.visited(8.0, 8.0), 4.0, 1e-12);
    // Two places of four groups each: missed only when all four come from the other place, 1 of 70 choices.
    near(limited.visited(2.0, 8.0), 2.0 * (1.0 - 1.0 / 70.0), 1e-12);
    near(limited.visited(16.0, 8.0), 4.0 * 1.5, 1e-12);
    assert_eq!(Routing::limited(1, 1), Routing::FREE);
    for places in [1.0, 2.0, 8.0, 32.0, 256.0] {
        assert!(limited.visited(places, 8.0) <= Routing::FREE.visited(places, 8.0) + 1e-9);
    }
}

#[test]
fn shards_sum_to_the_whole() {
    let replicated = ["router", "top_k", "latent_down_proj", "index_q_proj", "index_k_proj", "index_scores"];
    let split = |g: &Graph| g.nodes().filter(|(_, n)| !replicated.contains(&n.name)).map(|(k, n)| k as f64 * n.op.flop()).sum::<f64>();
    for (stem, degrees) in [("Meta-Llama-3.1-70B", vec![2, 4, 8]), ("DeepSeek-V3", vec![2, 8, 32]), ("Qwen3-235B-A22B", vec![2, 4])] {
        let m = model(stem);
        let sparse = stem != "Meta-Llama-3.1-70B";
        for work in [Work::train(2, 2048), Work::prefill(2, 2048), Work::decode(64, 4096)] {
            let whole = split(&graph(&m, &work, &Shard::ONE, &BF16).unwrap());
            for &t in &degrees {
                let (expert, expert_tensor) = if sparse { (t, 1) } else { (1, 1) };
                for sequence_parallel in [false, true] {
                    let shard = Shard { tensor_parallel: t, expert_parallel: expert, expert_tensor, sequence_parallel, ..Shard::ONE };
                    let one = split(&graph(&m, &work, &shard, &BF16).unwrap());
                    near(one * t as f64, whole, 2e-3);
                    let one = Shard { expert_parallel: 1, expert_tensor: if sparse { t } else { 1 }, ..shard };
                    near(split(&graph(&m, &work, &one, &BF16).unwrap()) * t as f64, whole, 2e-3);
                }
            }
        }
    }
}

#[test]
fn weights_and_cache_sum_to_the_whole() {
    for stem in ["Meta-Llama-3.1-70B", "DeepSeek-V3", "Mixtral-8x7B-v0.1", "Llama-3.2-1B"] {
        let m = model(stem);
        let g = graph(&m, &Work::decode(1, 10), &Shard::ONE, &BF16).unwrap();
        assert_eq!(g.parameters(), m.parameters().total());
        assert_eq!(g.weight_bytes(), 2 * m.parameters().total());
        assert_eq!(g.kv_bytes(1000), m.kv_bytes(1000, &BF16));
        assert_eq!(weight_bytes(&m, &BF16), g.weight_bytes());
        assert_eq!(g.order.len(), m.layers.len());
        assert_eq!(g.layers.iter().map(|l| l.layers).sum::<u64>(), m.layers.len() as u64);
    }
    let m = model("Meta-Llama-3.1-70B");
    // 80 layers, 8 heads of 128, K and V at 2 bytes: 320 KiB per token.
    assert_eq!(m.kv_bytes_per_token(&BF16), 320 * 1024);
    let t8 = graph(&m, &Work::decode(1, 10), &Shard { tensor_parallel: 8, ..Shard::ONE }, &BF16).unwrap();
    assert_eq!(t8.kv_bytes(100) * 8, m.kv_bytes(100, &BF16));
    let t16 = graph(&m, &Work::decode(1, 10), &Shard { tensor_parallel: 16, ..Shard::ONE }, &BF16).unwrap();
    assert_eq!(t16.kv_bytes(100), t8.kv_bytes(100), "key-value heads replicate beyond their number");
    // DeepSeek-V3: 576 elements per layer and token (arXiv 2412.19437): 70.3 KB at 16 bits.
    assert_eq!(model("DeepSeek-V3").kv_bytes_per_token(&BF16), 61 * 576 * 2);
}

#[test]
fn prefill_equals_decodes_one_by_one() {
    for stem in ["Meta-Llama-3.1-8B", "gpt-oss-20b", "Mistral-7B-v0.1"] {
        let m = model(stem);
        let n = 6000;
        let core = |w: &Work| {
            let g = graph(&m, w, &Shard::ONE, &BF16).unwrap();
            g.nodes().filter(|(_, n)| n.name == "attention").map(|(k, n)| k as f64 * n.op.flop()).sum::<f64>()
        };
        let one_by_one: f64 = (0..n).map(|c| core(&Work::decode(1, c))).sum();
        near(core(&Work::prefill(1, n)), one_by_one, 1e-9);
        let halves = core(&Work::prefill(1, n / 2)) + core(&Work { context: n / 2, ..Work::prefill(1, n / 2) });
        near(halves, one_by_one, 1e-9);
    }
}

#[test]
fn a_window_bounds_work_and_cache() {
    let m = model("Mistral-7B-v0.1");
    let near_end = graph(&m, &Work::decode(1, 8191), &Shard::ONE, &BF16).unwrap();
    let far = graph(&m, &Work::decode(1, 30000), &Shard::ONE, &BF16).unwrap();
    assert_eq!(near_end.flop(), far.flop());
    assert_eq!(far.kv_bytes(30000), far.kv_bytes(4096));
    let llama4 = model("Llama-4-Maverick-17B-128E-Instruct");
    let g = graph(&llama4, &Work::prefill(1, 32768), &Shard::ONE, &BF16).unwrap();
    let pairs = |window: bool| {
        g.layers.iter().flat_map(|l| &l.nodes).filter_map(move |n| match n.op {
            Op::Attention(a) if (a.kv_len == 8192) == window => Some(a.sequences as f64 * a.pairs()),
            _ => None,
        })
    };
    let (chunked, full) = (pairs(true).next().unwrap(), pairs(false).next().unwrap());
    assert_eq!(chunked, 4.0 * 8192.0 * 8193.0 / 2.0);
    assert_eq!(full, 32768.0 * 32769.0 / 2.0);
}

#[test]
fn pairs_agree_with_counting() {
    for (q, n, w) in [(1, 1, 0), (5, 9, 0), (5, 9, 3), (5, 9, 7), (8, 8, 8), (8, 8, 2), (3, 20, 19), (4, 20, 18), (7, 7, 100)] {
        let a = AttentionOp {
            sequences: 1,
            heads: 1,
            kv_heads: 1,
            q_len: q,
            kv_len: n,
            d_qk: 1,
            d_v: 1,
            causal: true,
            window: w,
            a: DataType::Bf16,
            kv: DataType::Bf16,
            shared_kv: false,
            backward: false,
        };
        let counted: u64 = (0..q).map(|i| if w > 0 { (n - q + 1 + i).min(w) } else { n - q + 1 + i }).sum();
        assert_eq!(a.pairs(), counted as f64, "{q} {n} {w}");
    }
}

#[test]
fn context_parallel_ranks_share_the_work() {
    let m = model("Meta-Llama-3.1-8B");
    let whole = graph(&m, &Work::train(1, 32768), &Shard::ONE, &BF16).unwrap().flop();
    for c in [2, 4, 8] {
        let g = graph(&m, &Work::train(1, 32768), &Shard { context_parallel: c, ..Shard::ONE }, &BF16).unwrap();
        near(g.flop() * c as f64, whole, 1e-3);
        assert!(g.nodes().any(|(_, n)| n.name == "context_all_gather"));
    }
    let decode = graph(&m, &Work::decode(1, 65535), &Shard { context_parallel: 4, ..Shard::ONE }, &BF16).unwrap();
    let attention = decode.nodes().find(|(_, n)| n.name == "attention").unwrap().1.op;
    assert!(matches!(attention, Op::Attention(a) if a.kv_len == 16384));
}

#[test]
fn experts_hit_follow_random_routing() {
    let m = model("DeepSeek-V3");
    let hit = |batch, ep| {
        let shard = Shard { attention_data: ep, expert_parallel: ep, ..Shard::ONE };
        let g = graph(&m, &Work::decode(batch, 100), &shard, &BF16).unwrap();
        let ops: Vec<_> = g.nodes().filter_map(|(_, n)| if let Op::GroupedGemm(e) = n.op { Some(e) } else { None }).collect();
        ops[0]
    };
    let one = hit(1, 1);
    assert_eq!((one.experts, one.rows, one.rows_max), (8, 8, 1));
    let many = hit(64, 1);
    // 256 (1 − (1 − 8/256)^64) = 222.4
    assert_eq!((many.experts, many.rows), (223, 512));
    assert!(many.rows_max > 2 && many.rows_max < 12);
    let big = hit(100_000, 1);
    assert_eq!(big.experts, 256);
    assert!(big.rows_max > 3125 && big.rows_max < 3400);
    let spread = hit(64, 32);
    assert_eq!((spread.rows, spread.experts), (64 * 8, 8));
    let mut last = 0;
    for batch in [1, 2, 4, 8, 32, 128, 1024, 8192] {
        let e = hit(batch, 1);
        assert!(e.experts >= last && e.rows_max * e.experts >= e.rows && e.rows_max <= batch);
        last = e.experts;
    }
}

#[test]
fn absorbed_decode_reads_one_latent_for_all_heads() {
    let m = model("DeepSeek-V3");
    let g = graph(&m, &Work::decode(4, 4095), &Shard { tensor_parallel: 8, expert_parallel: 8, ..Shard::ONE }, &BF16).unwrap();
    let ops: Vec<_> = g.nodes().filter_map(|(_, n)| if let Op::Attention(a) = n.op { Some(a) } else { None }).collect();
    assert!(ops.iter().all(|a| (a.heads, a.kv_heads, a.d_qk, a.d_v, a.kv_len, a.shared_kv) == (16, 1, 576, 512, 4096, true)));
    assert!(g.nodes().any(|(_, n)| n.name == "q_absorb") && g.nodes().any(|(_, n)| n.name == "v_absorb"));
    let glm = graph(&model("GLM-5-FP8"), &Work::decode(1, 100_000), &Shard::ONE, &BF16).unwrap();
    let sparse = glm.nodes().find(|(_, n)| n.name == "attention").unwrap().1.op;
    assert!(matches!(sparse, Op::Attention(a) if a.kv_len == 2048));
    let index = glm.nodes().find(|(_, n)| n.name == "index_scores").unwrap().1.op;
    assert!(matches!(index, Op::Attention(a) if a.kv_len == 100_001 && a.d_qk == 128));
}

#[test]
fn collectives_follow_the_split() {
    let m = model("Meta-Llama-3.1-8B");
    let count = |shard: Shard, kind| {
        let g = graph(&m, &Work::train(1, 1024), &shard, &BF16).unwrap();
        g.layers[0].nodes.iter().filter(|n| matches!(n.op, Op::Collective(c) if c.kind == kind)).count()
    };
    let t = Shard { tensor_parallel: 4, ..Shard::ONE };
    let sp = Shard { sequence_parallel: true, ..t };
    // Two all-reduces forward and two backward (arXiv 1909.08053); with sequence parallelism two pairs each way and two more gathers.
    assert_eq!(count(t, CollectiveKind::AllReduce), 4);
    assert_eq!(count(sp, CollectiveKind::AllReduce), 0);
    assert_eq!(count(sp, CollectiveKind::ReduceScatter), 4);
    assert_eq!(count(sp, CollectiveKind::AllGather), 6);
    assert_eq!(count(Shard::ONE, CollectiveKind::AllReduce), 0);
    let moe = model("DeepSeek-V3");
    let wide = Shard { attention_data: 8, expert_parallel: 8, ..Shard::ONE };
    let g = graph(&moe, &Work::decode(32, 1000), &wide, &BF16).unwrap();
    let exchanges: Vec<_> = g.layers.last().unwrap().nodes.iter().filter(|n| matches!(n.op, Op::Collective(_))).map(|n| n.name).collect();
    assert_eq!(exchanges, ["expert_dispatch", "expert_combine"]);
}

#[test]
fn misfits_say_what_and_how() {
    let m = model("Meta-Llama-3.1-8B");
    let refuse = |m: &Model, s: Shard| graph(m, &Work::decode(1, 10), &s, &BF16).unwrap_err().to_string();
    assert_eq!(
        refuse(&m, Shard { tensor_parallel: 3, ..Shard::ONE }),
        "tensor_parallel 3 does not divide 32 attention heads: choose a divisor of 32"
    );
    assert_eq!(refuse(&m, Shard { tensor_parallel: 0, ..Shard::ONE }), "tensor_parallel is 0: set it to 1 or more");
    let moe = model("Mixtral-8x7B-v0.1");
    assert!(refuse(&moe, Shard { tensor_parallel: 4, ..Shard::ONE }).contains("experts are spread over 1 chips, attention over 4"));
    assert!(refuse(&moe, Shard { tensor_parallel: 16, expert_parallel: 16, ..Shard::ONE }).contains("does not divide 8 experts"));
    let gpt = model("gpt2");
    assert!(graph(&gpt, &Work::prefill(1, 5000), &Shard::ONE, &BF16).unwrap_err().to_string().contains("5000 positions asked"));
}

#[test]
fn huge_work_does_not_overflow() {
    let m = model("DeepSeek-V3");
    for phase in [Phase::Train, Phase::Prefill, Phase::Decode] {
        let work = Work { phase, sequences: u64::MAX, new_tokens: u64::MAX, context: u64::MAX, logit_tokens: u64::MAX };
        let shard = Shard { tensor_parallel: 2, attention_data: 4, expert_parallel: 8, context_parallel: 1, ..Shard::ONE };
        let g = graph(&m, &work, &shard, &BF16).unwrap();
        assert!(g.flop().is_finite() && g.weight_bytes() > 0 && g.kv_bytes(u64::MAX) == u64::MAX);
    }
}

#[test]
fn building_is_cheap() {
    let m = model("DeepSeek-V3");
    let shard = Shard { attention_data: 32, expert_parallel: 32, ..Shard::ONE };
    let start = std::time::Instant::now();
    let rounds = 2000u64;
    let nodes: usize = (0..rounds).map(|i| graph(&m, &Work::decode(1 + i % 256, 1000 + i), &shard, &BF16).unwrap().layers.len()).sum();
    let each = start.elapsed() / rounds as u32;
    assert_eq!(nodes as u64, 2 * rounds);
    assert!(each < std::time::Duration::from_micros(200), "{each:?}");
    println!("decode graph {each:?}");
    let dense = model("Meta-Llama-3.1-405B");
    let shard = Shard { tensor_parallel: 8, sequence_parallel: true, ..Shard::ONE };
    let start = std::time::Instant::now();
    for i in 0..rounds {
        assert!(graph(&dense, &Work::train(1 + i % 4, 8192), &shard, &Precision::uniform(DataType::Fp8)).is_ok());
    }
    println!("training graph {:?}", start.elapsed() / rounds as u32);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn more_work_never_costs_less_and_shards_hold_the_whole(
        stem in proptest::sample::select(vec!["Meta-Llama-3.1-8B", "Mixtral-8x7B-v0.1", "DeepSeek-V3", "gpt-oss-20b", "GLM-5-FP8", "gpt-j-6b"]),
        log_tensor in 0u32..4, log_data in 0u32..4, sequences in 1u64..64, tokens in 1u64..3000, context in 0u64..30_000, train in proptest::bool::ANY,
    ) {
        let m = model(stem);
        let (tensor, attention_data) = (1 << log_tensor, 1 << log_data);
        let sparse = m.layers.iter().any(|l| matches!(l.feed_forward, FeedForward::Experts { .. }));
        let grid = tensor * attention_data;
        let expert = grid.min(8);
        let (expert, expert_tensor) = if sparse { (expert, grid / expert) } else { (1, 1) };
        let shard = Shard { tensor_parallel: tensor, attention_data, expert_parallel: expert, expert_tensor, ..Shard::ONE };
        let work = if train { Work::train(sequences, tokens) } else { Work { context, ..Work::prefill(sequences, tokens) } };
        let Ok(one) = graph(&m, &work, &shard, &BF16) else { return Ok(()) };
        let more = graph(&m, &Work { sequences: sequences + 1, ..work }, &shard, &BF16).expect("the same split");
        let longer = graph(&m, &Work { new_tokens: tokens + 1, ..work }, &shard, &BF16).expect("the same split");
        proptest::prop_assert!(more.flop() > one.flop() && longer.flop() > one.flop());
        proptest::prop_assert!(more.bytes() >= one.bytes());
        proptest::prop_assert!(one.parameters() * grid >= m.parameters().total());
        proptest::prop_assert!(one.kv_bytes(tokens) * tensor >= m.kv_bytes(tokens, &BF16));
        let whole = graph(&m, &work, &Shard::ONE, &BF16).expect("one chip");
        proptest::prop_assert!(one.weight_bytes() <= whole.weight_bytes());
        proptest::prop_assert!(one.flop() * tensor as f64 * (1.0 + 1e-9) >= whole.flop());
    }
}
