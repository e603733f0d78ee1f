//! Laws of serving: parts sum, batches pay, bandwidth helps, bounds bound, and the search agrees with trying everything.

use std::sync::OnceLock;

use proptest::prelude::*;
use tetra_chip::{Chip, ChipConstants, Timer};
use tetra_cluster::serve::{
    Arrivals, Bench, Demand, Given, Mode, SearchSpace, ServeAsk, ServeConstants, ServeLayout, ServeMisfit, ServingRow, Split, WorkerRow,
    bound, candidates, predict, search, steady,
};
use tetra_cluster::{ClusterConstants, Network};
use tetra_quantity::{BytesPerSecond, Seconds};
use tetra_workload::{DataType, Model, Precision};

mod support;

const CHIP: &str = include_str!("../../../data/chips/h100.toml");
const DENSE: &str = include_str!("../../../models/Meta-Llama-3.1-70B.json");
const SMALL: &str = include_str!("../../../models/Meta-Llama-3.1-8B.json");
const SPARSE: &str = include_str!("../../../models/Qwen3-30B-A3B.json");

struct World {
    chip: Chip,
    constants: ChipConstants,
    cluster: ClusterConstants,
    serve: ServeConstants,
    models: Vec<Model>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let tables = support::tables();
        let model = |text| tetra_workload::hf::read_config("model", text).expect("model reads");
        World {
            chip: Chip::from_toml("chip", CHIP).expect("chip reads"),
            constants: ChipConstants::from_tables(&tables).expect("chip constants"),
            cluster: ClusterConstants::from_tables(&tables).expect("cluster constants"),
            serve: ServeConstants::from_tables(&tables).expect("serve constants"),
            models: vec![model(DENSE), model(SMALL), model(SPARSE)],
        }
    })
}

fn ask(model: &Model, input: u64, output: u64, format: DataType) -> ServeAsk<'_> {
    ServeAsk { model, precision: Precision::uniform(format), input, output, ttft: None, tail: None, tpot: None, arrivals: Arrivals::Steady }
}

fn layout(split: Split, batch: u64) -> ServeLayout {
    ServeLayout { split, batch, mode: Mode::Aggregated }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_sum(which in 0_usize..3, input in 1_u64..40_000, output in 1_u64..4000, batch in 1_u64..64, pick in 0_usize..40, apart in any::<bool>()) {
        let w = world();
        let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
        let splits = candidates(&w.models[which], &network, &SearchSpace::within(16));
        let split = splits[pick % splits.len()];
        let mode = if apart { Mode::Disaggregated { prefill: split, prefill_workers: 2, decode_workers: 3 } } else { Mode::Aggregated };
        let a = ask(&w.models[which], input, output, DataType::Fp8);
        if let Ok(s) = steady(&a, &w.chip, &timer, &network, &ServeLayout { split, batch, mode }, &w.serve) {
            let tpot: f64 = s.tpot_parts.rows().iter().map(|r| r.1.value()).sum();
            let ttft: f64 = s.ttft_parts.rows().iter().map(|r| r.1.value()).sum();
            prop_assert!((tpot / s.tpot.value() - 1.0).abs() < 1e-9);
            prop_assert!((ttft / s.ttft.value() - 1.0).abs() < 1e-9);
            prop_assert!(s.tpot_parts.rows().iter().chain(&s.ttft_parts.rows()).all(|r| r.1.value() >= 0.0));
            prop_assert!((s.tokens_per_second_per_chip * s.chip_seconds_per_token.value() - 1.0).abs() < 1e-9);
            prop_assert!(s.memory.weights.value() + s.memory.cache.value() <= s.memory.usable.value());
            prop_assert!(s.power.value() <= w.chip.power.cap.value());
        }
    }

    #[test]
    fn larger_batches_pay(which in 0_usize..3, input in 64_u64..8000, output in 16_u64..2000, batch in 1_u64..200, tensor in 0_u32..4) {
        let w = world();
        let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
        let tensor = 1_u64 << tensor;
        let split = Split { tensor_parallel: tensor, expert_tensor: tensor, ..Split::ONE };
        let split = if which == 2 { split } else { Split { expert_tensor: 1, ..split } };
        let a = ask(&w.models[which], input, output, DataType::Fp8);
        let run = |b| steady(&a, &w.chip, &timer, &network, &layout(split, b), &w.serve);
        if let (Ok(small), Ok(large)) = (run(batch), run(batch * 2)) {
            // Tiles of whole rows, waves of whole tiles and collectives that change their protocol leave steps of a few per cent.
            prop_assert!(large.tokens_per_second_per_chip >= small.tokens_per_second_per_chip * 0.95);
        }
    }

    #[test]
    fn bandwidth_never_slows(which in 0_usize..3, input in 64_u64..8000, output in 2_u64..2000, batch in 1_u64..100, more in 1.0_f64..4.0) {
        let w = world();
        let network = Network::of(&w.chip, &w.cluster);
        let split = Split { tensor_parallel: 8, expert_tensor: if which == 2 { 8 } else { 1 }, ..Split::ONE };
        let a = ask(&w.models[which], input, output, DataType::Fp8);
        let mut faster = w.chip.clone();
        faster.memory.hbm_bandwidth = BytesPerSecond(faster.memory.hbm_bandwidth.value() * more);
        let run = |chip: &Chip| steady(&a, chip, &Timer::new(chip, &w.constants), &network, &layout(split, batch), &w.serve);
        if let (Ok(slow), Ok(fast)) = (run(&w.chip), run(&faster)) {
            prop_assert!(fast.tpot.value() <= slow.tpot.value() * (1.0 + 1e-9));
            prop_assert!(fast.chip_seconds_per_token.value() <= slow.chip_seconds_per_token.value() * (1.0 + 1e-9));
        }
    }

    #[test]
    fn bound_is_below(which in 0_usize..3, input in 64_u64..16_000, output in 16_u64..4000, tpot_ms in 8.0_f64..100.0, cores in 16_u64..400, memory in 1.0_f64..6.0) {
        let w = world();
        let mut chip = w.chip.clone();
        chip.compute.cores = cores;
        chip.memory.hbm = chip.memory.hbm * memory;
        let network = Network::of(&chip, &w.cluster);
        let mut a = ask(&w.models[which], input, output, DataType::Fp8);
        a.tpot = Some(Seconds(tpot_ms * 1e-3));
        let space = SearchSpace::within(8);
        let demand = Demand::of(&a).expect("demand");
        let found = search(&a, &chip, &Timer::new(&chip, &w.constants), &network, &space, &w.serve);
        match (bound(&demand, &a, &chip, &space, &w.serve), found) {
            (Ok(bound), Ok(found)) => prop_assert!(bound.chip_seconds_per_token <= found.chip_seconds_per_token),
            (Err(misfit), Ok(found)) => prop_assert!(false, "{misfit} but {found:?}"),
            _ => {}
        }
    }

    #[test]
    fn search_agrees_with_trying_everything(which in 0_usize..3, input in 64_u64..4000, output in 300_u64..1000, tpot_ms in 8.0_f64..60.0) {
        let w = world();
        let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
        let mut a = ask(&w.models[which], input, output, DataType::Fp8);
        a.tpot = Some(Seconds(tpot_ms * 1e-3));
        a.ttft = Some(Seconds(2.0));
        let space = SearchSpace { batch_max: 256, ..SearchSpace::within(8) };
        let mut best = f64::INFINITY;
        let mut which_best = None;
        for split in candidates(a.model, &network, &space) {
            for batch in (1..=256_u64).filter(|b| b.is_power_of_two() || b % 12 == 0) {
                if let Ok(s) = steady(&a, &w.chip, &timer, &network, &layout(split, batch), &w.serve)
                    && s.tpot <= Seconds(tpot_ms * 1e-3) && s.ttft <= Seconds(2.0)
                    && s.chip_seconds_per_token.value() < best
                {
                    best = s.chip_seconds_per_token.value();
                    which_best = Some(s.layout);
                }
            }
        }
        match search(&a, &w.chip, &timer, &network, &space, &w.serve) {
            Ok(found) => prop_assert!(found.chip_seconds_per_token.value() <= best * 1.06, "{found:?} against {best} of {which_best:?}"),
            Err(misfit) => prop_assert!(best.is_infinite(), "{misfit} but {which_best:?}"),
        }
    }
}

#[test]
fn apart_is_no_worse_than_together() {
    let w = world();
    let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
    for (input, output, tpot) in [(8192, 256, 0.015), (2048, 512, 0.03), (32_768, 1024, 0.02)] {
        let mut a = ask(&w.models[0], input, output, DataType::Fp8);
        a.tpot = Some(Seconds(tpot));
        a.ttft = Some(Seconds(10.0));
        let space = SearchSpace { disaggregated: true, ..SearchSpace::within(8) };
        let both = search(&a, &w.chip, &timer, &network, &space, &w.serve).expect("fits");
        let one = search(&a, &w.chip, &timer, &network, &SearchSpace::within(8), &w.serve);
        assert!(one.is_err() || one.is_ok_and(|o| both.chip_seconds_per_token <= o.chip_seconds_per_token));
        assert!(both.tpot.value() <= tpot && both.ttft.value() <= 10.0);
    }
}

#[test]
fn given_degrees_are_kept() {
    let w = world();
    let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
    let a = ask(&w.models[2], 1024, 512, DataType::Fp8);
    let given = Given { tensor_parallel: Some(2), attention_data: Some(2), ..Given::NONE };
    let space = SearchSpace { given, ..SearchSpace::within(8) };
    let found = search(&a, &w.chip, &timer, &network, &space, &w.serve).expect("fits").layout.split;
    assert_eq!((found.tensor_parallel, found.attention_data), (2, 2));
    let many = SearchSpace { batch: Some(u64::MAX), ..SearchSpace::within(8) };
    let misfit = search(&a, &w.chip, &timer, &network, &many, &w.serve).expect_err("too many");
    assert!(matches!(misfit, ServeMisfit::Beyond { what: "batch", .. }), "{misfit}");
    for tensor in [3, u64::MAX] {
        let space = SearchSpace { given: Given { tensor_parallel: Some(tensor), ..Given::NONE }, ..SearchSpace::within(8) };
        let misfit = search(&a, &w.chip, &timer, &network, &space, &w.serve).expect_err("heads do not divide");
        assert!(matches!(misfit, ServeMisfit::Shard { .. } | ServeMisfit::Beyond { .. }), "{misfit}");
    }
}

#[test]
fn memory_limits_the_batch() {
    let w = world();
    let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
    let a = ask(&w.models[0], 8192, 1024, DataType::Fp8);
    let run = |tensor, batch| {
        let split = Split { tensor_parallel: tensor, ..Split::ONE };
        steady(&a, &w.chip, &timer, &network, &layout(split, batch), &w.serve)
    };
    let most = run(4, 1).expect("fits").memory.batch_max;
    assert!(run(4, most).is_ok());
    assert!(matches!(run(4, most + 1), Err(ServeMisfit::Cache { most: m, .. }) if m == most));
    let text = run(4, most + 1).expect_err("does not fit").to_string();
    assert!(text.contains("lower batch"), "{text}");
    let bf16 = ask(&w.models[0], 8192, 1024, DataType::Bf16);
    let one = steady(&bf16, &w.chip, &timer, &network, &layout(Split::ONE, 1), &w.serve).expect_err("141 GB on 80 GB");
    assert!(one.to_string().contains("raise tensor_parallel"), "{one}");
}

#[test]
fn names_change_nothing() {
    let w = world();
    let network = Network::of(&w.chip, &w.cluster);
    let row = ServingRow {
        precision: Some("fp8".into()),
        input: Some(1024),
        output: Some(1024),
        worker: WorkerRow { batch: Some(32), tensor_parallel: Some(8), ..WorkerRow::default() },
        ..ServingRow::default()
    };
    let of = |model: &Model, chip: &Chip| {
        let timer = Timer::new(chip, &w.constants);
        predict(&row, &Bench { model, chip, timer: &timer, network: &network, constants: &w.serve, service: None }).expect("predicts")
    };
    let mut model = w.models[0].clone();
    model.name = "another".into();
    model.family = "another".into();
    let mut chip = w.chip.clone();
    chip.name = "another".into();
    assert_eq!(of(&w.models[0], &w.chip), of(&model, &chip));
}

#[test]
fn nothing_asked_is_said() {
    let w = world();
    let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
    for (input, output, batch) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        let a = ask(&w.models[1], input, output, DataType::Fp8);
        let found = steady(&a, &w.chip, &timer, &network, &layout(Split::ONE, batch), &w.serve);
        assert!(matches!(found, Err(ServeMisfit::Empty { .. })));
    }
    let a = ask(&w.models[1], u64::MAX, u64::MAX, DataType::Fp8);
    assert!(steady(&a, &w.chip, &timer, &network, &layout(Split::ONE, u64::MAX), &w.serve).is_err());
}

fn wild() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0_u32..7).prop_map(|p| Some(1_u64 << p)),
        prop::sample::select(vec![0, 3, 72, 1 << 40, u64::MAX]).prop_map(Some)
    ]
}

fn wild_worker() -> impl Strategy<Value = WorkerRow> {
    (wild(), wild(), wild(), wild(), wild(), wild(), wild()).prop_map(
        |(batch, workers, tensor, pipeline, attention_data, expert_tensor, expert)| WorkerRow {
            batch,
            workers,
            tensor_parallel: tensor,
            pipeline_parallel: pipeline,
            attention_data,
            expert_tensor,
            expert_parallel: expert,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_row_is_answered_or_refused(which in 0_usize..3, input in wild(), output in wild(), apart in any::<bool>(), workers in (wild_worker(), wild_worker(), wild_worker())) {
        let w = world();
        let (timer, network) = (Timer::new(&w.chip, &w.constants), Network::of(&w.chip, &w.cluster));
        let mode = Some(if apart { "disaggregated".into() } else { "aggregated".into() });
        let row = ServingRow { input, output, mode, worker: workers.0, prefill: workers.1, decode: workers.2, ..ServingRow::default() };
        let bench = Bench { model: &w.models[which], chip: &w.chip, timer: &timer, network: &network, constants: &w.serve, service: None };
        if let Ok(found) = predict(&row, &bench) {
            prop_assert!(found.ttft.value().is_finite() && found.ttft.value() > 0.0);
            prop_assert!(found.tpot.value().is_finite() && found.tpot.value() > 0.0);
        }
    }
}
