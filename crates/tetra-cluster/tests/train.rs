//! Training steps against published figures and laws.

mod support;

use proptest::prelude::*;
use support::World;
use tetra_cluster::train::checkpoint_bytes;
use tetra_cluster::train::{self, model_flop};
use tetra_cluster::{
    Framework, Layout, Network, PlanSpace, Recompute, SearchLimits, Searcher, StateSharding, TrainAsk, TrainMetric, TrainMisfit, TrainRow,
    Trained, predict, shape,
};
use tetra_quantity::{Seconds, Tokens};
use tetra_workload::{DataType, Model, Precision};

fn named(name: &str) -> Framework {
    Framework::named(name).expect("a file of that name")
}

fn gpt(world: &World, layers: u64, hidden: u64, heads: u64) -> Model {
    let row = TrainRow {
        layers: Some(layers),
        hidden: Some(hidden),
        heads: Some(heads),
        vocabulary: Some(51_200),
        sequence: Some(2048),
        ..TrainRow::default()
    };
    shape(&row, &world.cluster.rows).expect("shape is stated")
}

fn ask<'a>(model: &'a Model, batch: u64) -> TrainAsk<'a> {
    TrainAsk::new(model, Precision::uniform(DataType::Bf16), batch, 2048)
}

#[test]
fn model_flop_is_that_of_the_megatron_papers() {
    // arXiv 2104.04473, equation 3 without recomputation: 72·B·s·L·h²·(1 + s/(6h) + V/(12·L·h)); biases and norms are below 0.1 %.
    let world = World::new();
    let model = gpt(&world, 96, 12_288, 96);
    let (b, s, l, h, v) = (1536.0, 2048.0, 96.0, 12_288.0, 51_200.0);
    let published = 72.0 * b * s * l * h * h * (1.0 + s / (6.0 * h) + v / (12.0 * l * h));
    let ours = model_flop(&model, 1536, 2048);
    assert!((ours / published - 1.0).abs() < 2e-3, "{ours:e} against {published:e}");
}

#[test]
fn adapters_need_no_gradients_of_frozen_weights() {
    let world = World::new();
    let chip = world.chip("H100");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let model = gpt(&world, 32, 4096, 32);
    let all = ask(&model, 8);
    let frozen = TrainAsk { trained: Trained::Adapters(16), ..all };
    // 16·(h + 3h + h + h) per layer: QKV from h to 3h, output from h to h.
    assert_eq!(model.adapter_parameters(16), 32 * 16 * 6 * 4096);
    let layout = Layout { data_parallel: 8, ..Layout::ONE };
    let of = |ask: &TrainAsk<'_>| train::step_unbound(ask, &chip, &timer, &network, &layout, &world.cluster).expect("it runs");
    let (whole, part) = (of(&all), of(&frozen));
    // A third of the products is gone, adapters and their sums come on top.
    let ratio = part.breakdown.gemm.value() / whole.breakdown.gemm.value();
    assert!((0.62..0.8).contains(&ratio), "{ratio}");
    let saved = 2.0 * model.active_parameters() as f64 * all.tokens();
    assert!(((whole.model_flop.value() - part.model_flop.value()) / saved - 1.0).abs() < 1e-9);
    assert!(part.memory.gradients.value() < whole.memory.gradients.value() / 100.0);
    assert!(part.memory.optimizer.value() < whole.memory.optimizer.value() / 100.0);
    assert!(part.breakdown.data < whole.breakdown.data && part.breakdown.optimizer < whole.breakdown.optimizer);
}

#[test]
fn heads_that_fill_no_whole_load_leave_the_arrays() {
    // BLOOM, chronicles of its prototypes: hidden 13,824 with 64, 96 and 128 heads (216, 144 and 108 wide) takes 121, 125 and 163 s.
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    let network = Network::named("4x100 Gb/s Omni-Path per node", &chip, &world.cluster);
    let layout = Layout {
        tensor_parallel: 8,
        pipeline_parallel: 6,
        data_parallel: 8,
        micro_batch: 4,
        recompute: Recompute::Full,
        sharding: StateSharding::Optimizer,
        ..Layout::ONE
    };
    let time = |heads| {
        let model = gpt(&world, 72, 13_824, heads);
        let base = TrainAsk::new(&model, Precision::uniform(DataType::Fp16), 2048, 2048);
        let ask = TrainAsk { framework: named("megatron-deepspeed"), ..base };
        train::step_unbound(&ask, &chip, &timer, &network, &layout, &world.cluster).expect("it runs").time
    };
    let (few, more, odd) = (time(64), time(96), time(128));
    assert!((more / few / (125.0 / 121.0) - 1.0).abs() < 0.03, "{few:?} {more:?}");
    assert!(odd / few > 1.2 && odd / few < 163.0 / 121.0, "{few:?} {odd:?}");
}

#[test]
fn utilisation_of_hardware_counts_as_published() {
    // Megatron-LM, README of May 2022: layers, hidden, heads, utilisation of the model and of the hardware with the attention core computed again.
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    for (layers, hidden, heads, mfu, hfu) in
        [(48, 6144, 64, 41.5, 43.7), (96, 12_288, 96, 51.4, 52.8), (105, 20_480, 128, 56.0, 57.0), (128, 25_600, 160, 56.3, 57.0)]
    {
        let model = gpt(&world, layers, hidden, heads);
        let ask = TrainAsk { framework: named("megatron-2022"), ..TrainAsk::new(&model, Precision::uniform(DataType::Fp16), 8, 2048) };
        let layout = Layout { tensor_parallel: 8, sequence_parallel: true, recompute: Recompute::Selective, ..Layout::ONE };
        let step = train::step_unbound(&ask, &chip, &timer, &network, &layout, &world.cluster).expect("it runs");
        assert!((step.hfu / step.mfu / (hfu / mfu) - 1.0).abs() < 4e-3, "{} {}", step.hfu / step.mfu, hfu / mfu);
    }
}

#[test]
fn a_ring_never_beats_one_kernel_over_the_same_pairs() {
    let world = World::new();
    let chip = world.chip("H100");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let model = gpt(&world, 16, 4096, 32);
    let ask = TrainAsk::new(&model, Precision::uniform(DataType::Bf16), 8, 2048);
    let attention = |context_parallel| {
        let layout = Layout { context_parallel, ..Layout::ONE };
        let step = train::step_unbound(&ask, &chip, &timer, &network, &layout, &world.cluster).expect("it runs");
        context_parallel as f64 * (step.breakdown.attention + step.breakdown.vector).value()
    };
    assert!(attention(2) >= attention(1) && attention(8) > attention(2));
}

#[test]
fn megatron_rows_are_predicted() {
    // arXiv 2205.05198, table 5: seconds per iteration on A100.
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    for (layers, hidden, heads, batch, micro, pipeline, chunks, sequence_parallel, seconds) in [
        (48, 6144, 64, 4, 4, 1, 1, false, 1.42),
        (96, 12_288, 96, 64, 1, 8, 3, false, 18.13),
        (96, 12_288, 96, 64, 1, 8, 3, true, 13.75),
        (105, 20_480, 128, 280, 1, 35, 3, true, 37.83),
        (128, 25_600, 160, 512, 1, 64, 1, false, 94.42),
    ] {
        let row = TrainRow {
            layers: Some(layers),
            hidden: Some(hidden),
            heads: Some(heads),
            sequence: Some(2048),
            global_batch: Some(batch),
            micro_batch: Some(micro),
            tensor_parallel: Some(8),
            pipeline_parallel: Some(pipeline),
            virtual_stages: Some(chunks),
            data_parallel: Some(1),
            sequence_parallel: Some(sequence_parallel),
            recompute: Some(if sequence_parallel { Recompute::Selective } else { Recompute::Full }),
            precision: "fp16",
            chips: Some(8 * pipeline),
            network: "NVLink3+HDR IB (Selene)",
            ..TrainRow::default()
        };
        let found = predict(&row, &chip, &timer, &world.cluster).expect("the run took place").value(TrainMetric::IterationTime);
        assert!((found / seconds - 1.0).abs() < 0.15, "hidden {hidden}: {found} s where {seconds} s was measured");
    }
}

#[test]
fn llama_3_405b_is_predicted() {
    // arXiv 2407.21783, table 4: BF16 model FLOP utilisation on H100 with tensor 8, pipeline 16; no row of it was fitted.
    let world = World::new();
    let chip = world.chip("H100");
    let timer = world.timer(&chip);
    for (replicas, utilisation) in [(64, 43.0), (128, 41.0)] {
        let row = TrainRow {
            layers: Some(126),
            hidden: Some(16_384),
            heads: Some(128),
            kv_heads: Some(8),
            ffn: Some(53_248),
            sequence: Some(8192),
            global_batch: Some(2048),
            tensor_parallel: Some(8),
            pipeline_parallel: Some(16),
            data_parallel: Some(replicas),
            precision: "bf16",
            ..TrainRow::default()
        };
        let found = predict(&row, &chip, &timer, &world.cluster).expect("the run took place");
        assert!(found.step.fits, "{:?}", found.step.memory);
        let mfu = found.value(TrainMetric::Mfu);
        assert!((mfu / utilisation - 1.0).abs() < 0.1, "{replicas} replicas: {mfu} % where {utilisation} % is published");
    }
}

#[test]
fn state_is_eighteen_bytes_per_parameter_unsharded() {
    // Megatron-LM theoretical_memory_usage.py: 18 bytes, or 6 + 12/D with a distributed optimizer; gradients here in 32 bits.
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    let model = gpt(&world, 24, 2048, 16);
    let network = Network::of(&chip, &world.cluster);
    let ask = TrainAsk { gradient: DataType::Fp32, ..ask(&model, 64) };
    let n = model.parameters().total() as f64;
    for (sharding, replicas, bytes) in
        [(StateSharding::None, 8, 18.0), (StateSharding::Optimizer, 1, 18.0), (StateSharding::Optimizer, 8, 6.0 + 12.0 / 8.0)]
    {
        let layout = Layout { data_parallel: replicas, sharding, ..Layout::ONE };
        let step = train::step_unbound(&ask, &chip, &timer, &network, &layout, &world.cluster).expect("runs");
        let each = step.memory.state().value() / n;
        assert!((each / bytes - 1.0).abs() < 1e-3, "{each} bytes per parameter where {bytes} are published");
    }
}

#[test]
fn activations_follow_korthikanti() {
    // arXiv 2205.05198, equations 1 to 4: bytes of one layer with one sequence, 16 bits, dropout masks kept.
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let (l, h, a, s) = (48.0, 6144.0, 64.0, 2048.0);
    let model = gpt(&world, 48, 6144, 64);
    let ask = TrainAsk { framework: named("megatron-2021"), ..ask(&model, 8) };
    for (t, sequence_parallel, recompute, per_layer) in [
        (1.0, false, Recompute::None, s * h * (34.0 + 5.0 * a * s / h)),
        (8.0, false, Recompute::None, s * h * (10.0 + 24.0 / 8.0 + 5.0 * a * s / (8.0 * h))),
        (8.0, true, Recompute::None, s * h / 8.0 * (34.0 + 5.0 * a * s / h)),
        (8.0, true, Recompute::Selective, 34.0 * s * h / 8.0),
    ] {
        let layout = Layout { tensor_parallel: t as u64, sequence_parallel, recompute, ..Layout::ONE };
        let step = train::step_unbound(&ask, &chip, &timer, &network, &layout, &world.cluster).expect("runs");
        let working = if recompute == Recompute::None { 0.0 } else { s * h / 8.0 * (34.0 + 5.0 * a * s / h) };
        let found = step.memory.activations.value() / world.cluster.train.fragmentation - working;
        assert!((found / (per_layer * l) - 1.0).abs() < 1e-3, "t {t} {recompute:?}: {found:e} where {:e}", per_layer * l);
    }
}

#[test]
fn misfits_say_what_was_there_and_which_knob_helps() {
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let model = gpt(&world, 96, 12_288, 96);
    let misfit =
        train::step(&ask(&model, 8), &chip, &timer, &network, &Layout::ONE, &world.cluster).expect_err("175 G parameters on one chip");
    let text = misfit.to_string();
    assert!(text.contains("HBM holds 80 GB") && text.contains("raise tensor_parallel"), "{text}");
    let layout = Layout { data_parallel: 16, ..Layout::ONE };
    let misfit = train::step(&ask(&model, 8), &chip, &timer, &network, &layout, &world.cluster).expect_err("more replicas than sequences");
    assert_eq!(misfit, TrainMisfit::Batch { batch: 8, replicas: 16 });
}

#[test]
fn the_smallest_cluster_meets_the_deadline_and_a_smaller_one_does_not() {
    let world = World::new();
    let chip = world.chip("H100");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let model = gpt(&world, 32, 4096, 32);
    let mut searcher = Searcher::new(ask(&model, 2048), &chip, &timer, &network, &world.cluster);
    let limit = Seconds(10.0 * 86_400.0);
    let space = |chips| PlanSpace { limits: SearchLimits::NARROW, ..PlanSpace::usual(chips) };
    let run = searcher.smallest(Tokens(1e12), limit, 100_000, &space(0)).expect("fits");
    assert!(run.time <= limit);
    let half = searcher.search(&space(run.chips / 2 / 8 * 8)).map(|f| searcher.run(&f.best, Tokens(1e12)).time);
    assert!(half.is_err() || half.is_ok_and(|t| t > limit));
    assert!(checkpoint_bytes(model.parameters().total() as f64, &run.step.layout, &world.cluster.train).value() > 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn breakdowns_sum_and_more_bandwidth_never_slows(
        tensor in 0usize..4, pipeline in 0usize..4, data in 0usize..4, micro in 0usize..3, chunks in 1u64..4,
        recompute in 0usize..3, framework in 0usize..3, sequence_parallel: bool, full: bool,
    ) {
        let world = World::new();
        let chip = world.chip("H100");
        let timer = world.timer(&chip);
        let model = gpt(&world, 24, 2048, 16);
        let framework = [named("megatron-2021"), named("fsdp-2023"), Framework::today()][framework];
        let ask = TrainAsk { framework, ..ask(&model, 64) };
        let layout = Layout {
            tensor_parallel: 1 << tensor,
            pipeline_parallel: 1 << pipeline,
            data_parallel: 1 << data,
            micro_batch: 1 << micro,
            virtual_stages: chunks,
            recompute: [Recompute::None, Recompute::Selective, Recompute::Full][recompute],
            sequence_parallel,
            sharding: if full && pipeline == 0 { StateSharding::Full } else { StateSharding::Optimizer },
            ..Layout::ONE
        };
        let network = Network::of(&chip, &world.cluster);
        let step = |n: &Network| train::step_unbound(&ask, &chip, &timer, n, &layout, &world.cluster).expect("runs");
        let base = step(&network);
        prop_assert!((base.breakdown.total().value() - base.time.value()).abs() <= 1e-12 * base.time.value());
        prop_assert!(base.breakdown.parts().iter().all(|p| p.1.value() >= 0.0 && p.1.value().is_finite()), "{:?}", base.breakdown);
        let mut faster = network;
        faster.scale_up.bandwidth = faster.scale_up.bandwidth * 2.0;
        prop_assert!(step(&faster).time <= base.time);
        faster = network;
        faster.scale_out.bandwidth = faster.scale_out.bandwidth * 2.0;
        prop_assert!(step(&faster).time <= base.time);
        prop_assert!(base.mfu > 0.0 && base.mfu < 1.0 && base.hfu >= base.mfu);
    }

    #[test]
    fn no_row_panics(
        layers in prop::option::of(0u64..200), hidden in prop::option::of(0u64..u64::MAX), heads in prop::option::of(0u64..u64::MAX),
        ffn in prop::option::of(0u64..u64::MAX), batch in prop::option::of(0u64..u64::MAX), tensor in prop::option::of(0u64..u64::MAX),
        pipeline in prop::option::of(0u64..u64::MAX), data in prop::option::of(0u64..u64::MAX), parameters in prop::option::of(prop::num::f64::ANY),
        micro in prop::option::of(0u64..u64::MAX), chips in prop::option::of(0u64..u64::MAX),
    ) {
        let world = World::new();
        let chip = world.chip("H100");
        let timer = world.timer(&chip);
        let row = TrainRow {
            layers, hidden, heads, ffn, global_batch: batch, tensor_parallel: tensor, pipeline_parallel: pipeline, data_parallel: data, parameters,
            chips, micro_batch: micro, sequence: Some(2048), ..TrainRow::default()
        };
        if let Ok(found) = predict(&row, &chip, &timer, &world.cluster) {
            prop_assert!(!found.value(TrainMetric::IterationTime).is_nan());
        }
    }
}

#[test]
fn networks_are_read_from_the_words_of_tables() {
    use tetra_cluster::gigabits_per_node as g;
    assert_eq!(g("NVLink3+HDR IB (Selene)", 8), Some(1600.0));
    assert_eq!(g("8x400G", 8), Some(3200.0));
    assert_eq!(g("1600 Gb/s RoCE per node", 8), Some(1600.0));
    assert_eq!(g("8 GPU/node; 150 GB/s intra, 800 Gb/s inter per repo config", 8), Some(800.0));
    assert_eq!(g("8 GPU/node, NVLink; 4x100 Gb/s Omni-Path per node (BLOOM paper)", 8), Some(400.0));
    let submission = "NVLINK Gen4 900 GB/s + NVSWITCH Gen3; Storage: 2x ConnectX-7 IB NDR 400Gb/s, Compute: 8x ConnectX-7 IB NDR 400Gb/s, Management: 100Gb/s Ethernet NIC";
    assert_eq!(g(submission, 8), Some(3200.0));
    assert_eq!(g("NVLINK Gen4 900 GB/s + NVSWITCH Gen3", 8), None);
    assert_eq!(g("", 8), None);
}

#[test]
fn all_frameworks_are_well_formed() {
    assert!(Framework::names().count() >= 5);
    for name in Framework::names() {
        assert!(Framework::named(name).is_some(), "{name}");
    }
    assert_eq!(Framework::named("megatron-core"), Some(Framework::today()));
    let mistakes = Framework::from_toml("mine", "attention = \"fast\"").expect_err("most keys are missing");
    assert!(mistakes.iter().any(|m| m.to_string().contains("unfused, first, second, fused")), "{mistakes:?}");
}

#[test]
fn each_generation_of_libraries_is_no_slower_than_the_one_before() {
    let world = World::new();
    let chip = world.chip("A100-80GB-SXM");
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let model = gpt(&world, 32, 4096, 32);
    let layout = Layout { tensor_parallel: 4, pipeline_parallel: 4, data_parallel: 4, sequence_parallel: true, ..Layout::ONE };
    let time = |name| {
        let ask = TrainAsk { framework: named(name), ..ask(&model, 128) };
        train::step_unbound(&ask, &chip, &timer, &network, &layout, &world.cluster).expect("runs").time
    };
    assert!(time("megatron-core") < time("megatron-2022") && time("megatron-2022") < time("megatron-2021"));
}

/// Expected largest of n standard normal variables (Tippett 1925, table of ranges halved): 10 1.539, 100 2.508, 1000 3.241.
#[test]
fn the_slowest_replica_is_the_largest_of_normal_times() {
    let train = World::new().cluster.train;
    assert_eq!(train.slowest_of(1).to_bits(), 0.0f64.to_bits(), "one replica waits for nobody");
    for (n, published) in [(10, 1.539), (100, 2.508), (1000, 3.241)] {
        let found = train.slowest_of(n) / train.jitter;
        assert!((found / published - 1.0).abs() < 0.06, "{n}: {found} against {published}");
    }
    let rising: Vec<f64> = (1..200).map(|n| train.slowest_of(n)).collect();
    assert!(rising.windows(2).all(|w| w[0] < w[1]), "more replicas wait longer");
}
