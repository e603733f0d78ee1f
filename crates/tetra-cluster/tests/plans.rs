//! Search of plans: pruning against trying every plan, the facts it rests on, and what is told about plans that were not chosen.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use support::World;
use tetra_chip::Chip;
use tetra_cluster::train::{self, Schedule};
use tetra_cluster::{
    Framework, Layout, Network, Offload, PlanSpace, Recompute, SearchLimits, Searcher, StateSharding, Stated, TrainAsk, TrainMisfit, WhyNot,
};
use tetra_quantity::Bytes;
use tetra_workload::{DataType, DenseShape, Model, Precision, hf};

/// A job on a chip with so much memory, and a space for it.
struct Case {
    model: Model,
    batch: u64,
    framework: Framework,
    chip: &'static str,
    memory_gb: f64,
    space: PlanSpace,
}

fn named(name: &str) -> Framework {
    Framework::named(name).expect("a file of that name")
}

fn dense(layers: u64, hidden: u64, llama: bool) -> Model {
    let heads = hidden / 128;
    let kv_heads = if llama { (heads / 4).max(1) } else { heads };
    let vocabulary = if llama { 128_256 } else { 51_200 };
    DenseShape { layers, hidden, heads, kv_heads, ffn: 4 * hidden, vocabulary, learned_positions: 2048, llama }.model("")
}

fn mixture() -> Model {
    hf::read_config("Mixtral-8x7B", include_str!("../../../models/Mixtral-8x7B-v0.1.json")).unwrap()
}

fn small(chips: u64) -> PlanSpace {
    let limits = SearchLimits {
        micro_batch: 4,
        context_parallel: 2,
        context_tokens: 512,
        virtual_stages: 4,
        expert_parallel: 8,
        ..SearchLimits::NARROW
    };
    PlanSpace { limits, ..PlanSpace::usual(chips) }
}

fn wide(chips: u64) -> PlanSpace {
    PlanSpace {
        schedules: Schedule::ALL.to_vec(),
        offloads: PlanSpace::all_offloads(),
        uneven: true,
        ragged: true,
        sharded_stages: true,
        without_sequence_parallel: true,
        ..small(chips)
    }
}

/// Twenty small spaces: roomy and tight memory, old and new libraries, fast and slow chips, dense models and a mixture of experts, even and uneven stages.
fn cases() -> Vec<Case> {
    let case = |model, batch, framework, chip, memory_gb, space| Case { model, batch, framework, chip, memory_gb, space };
    let (plain, eager, fused) = (named("megatron-2021"), named("fsdp-2023"), Framework::today());
    vec![
        case(dense(8, 2048, false), 16, fused, "H100", 80.0, small(8)),
        case(dense(8, 2048, false), 16, fused, "H100", 12.0, wide(8)),
        case(dense(12, 2048, true), 32, fused, "H100", 10.0, wide(16)),
        case(dense(12, 2048, true), 32, eager, "H100", 14.0, wide(16)),
        case(dense(12, 2048, false), 32, plain, "A100-80GB-SXM", 16.0, wide(16)),
        case(dense(24, 4096, false), 64, plain, "A100-80GB-SXM", 40.0, small(32)),
        case(dense(24, 4096, false), 64, plain, "A100-80GB-SXM", 24.0, wide(32)),
        case(dense(24, 4096, true), 64, fused, "H100", 20.0, wide(32)),
        case(dense(26, 4096, true), 64, fused, "H100", 30.0, wide(64)),
        case(dense(30, 4096, true), 128, fused, "H100", 16.0, small(64)),
        case(dense(30, 4096, true), 128, fused, "H100", 12.0, wide(64)),
        case(dense(32, 8192, true), 128, fused, "H100", 80.0, wide(64)),
        case(dense(32, 8192, true), 128, eager, "A100-80GB-SXM", 40.0, wide(64)),
        case(dense(48, 8192, false), 96, plain, "A100-80GB-SXM", 80.0, wide(96)),
        case(dense(13, 1024, false), 22, fused, "A100-80GB-SXM", 4.0, wide(24)),
        case(dense(7, 1024, true), 14, plain, "H100", 5.0, wide(12)),
        case(dense(48, 12_288, false), 64, fused, "H100", 60.0, wide(128)),
        case(mixture(), 64, fused, "H100", 80.0, small(64)),
        case(mixture(), 64, fused, "H100", 48.0, wide(64)),
        case(mixture(), 32, plain, "A100-80GB-SXM", 40.0, wide(32)),
    ]
}

fn with(case: &Case, world: &World, run: impl FnOnce(&mut Searcher<'_>, &PlanSpace)) {
    let mut chip: Chip = world.chip(case.chip);
    chip.memory.hbm = Bytes(case.memory_gb * 1e9);
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let ask = TrainAsk { framework: case.framework, ..TrainAsk::new(&case.model, Precision::uniform(DataType::Bf16), case.batch, 2048) };
    run(&mut Searcher::new(ask, &chip, &timer, &network, &world.cluster), &case.space);
}

#[test]
fn pruning_finds_what_trying_every_plan_finds_on_twenty_spaces() {
    let world = World::new();
    let (mut found_some, mut cut) = (0, train::PlansCut::default());
    for (i, case) in cases().iter().enumerate() {
        with(case, &world, |searcher, space| match (searcher.search(space), searcher.search_exhaustively(space)) {
            (Ok(pruned), Ok(every)) => {
                found_some += 1;
                assert_eq!(pruned.best, every.best, "space {i}");
                assert_eq!(every.priced, every.plans, "space {i}: every plan is priced");
                assert_eq!(pruned.plans, every.plans, "space {i}");
                assert_eq!(pruned.priced + pruned.cut.total(), pruned.plans, "space {i}: every plan is priced or cut {pruned:?}");
                let c = pruned.cut;
                cut.split += c.split;
                cut.column += c.column;
                cut.offload += c.offload;
                cut.recompute += c.recompute;
                cut.memory += c.memory;
                println!("space {i}: {} plans, {} priced, {c:?}, {:?}", pruned.plans, pruned.priced, pruned.best.layout);
            }
            (Err(TrainMisfit::NoLayout { .. }), Err(TrainMisfit::NoLayout { .. })) => println!("space {i}: nothing fits"),
            (a, b) => panic!("space {i}: {a:?} where every plan gives {b:?}"),
        });
    }
    assert!(found_some >= 17, "only {found_some} spaces hold a plan that fits");
    assert!([cut.split, cut.column, cut.recompute, cut.memory].iter().all(|c| *c > 0), "a rule never cut: {cut:?}");
}

#[test]
fn the_front_is_that_of_every_plan() {
    let world = World::new();
    for (i, case) in cases().iter().enumerate() {
        with(case, &world, |searcher, space| {
            let mut every: Vec<(f64, f64)> = Vec::new();
            let plans = space.plans_of(searcher.ask(), searcher.network().domain);
            for plan in &plans {
                if let Ok(step) = searcher.step_unbound(plan) {
                    every.push((step.time.value(), step.memory.total().value()));
                }
            }
            every.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let mut least = f64::INFINITY;
            every.retain(|p| {
                let better = p.1 < least;
                least = least.min(p.1);
                better
            });
            let front: Vec<(f64, f64)> =
                searcher.front(space).unwrap().iter().map(|s| (s.time.value(), s.memory.total().value())).collect();
            assert_eq!(front, every, "space {i}");
            assert!(every.len() > 1, "space {i}");
        });
    }
}

/// The facts that pruning rests on, on every eleventh plan of the small spaces.
#[test]
fn bounds_hold_for_every_plan() {
    let world = World::new();
    for (i, case) in cases().iter().enumerate() {
        with(case, &world, |searcher, space| {
            let layers = case.model.layers.len() as u64;
            for plan in space.plans_of(searcher.ask(), searcher.network().domain).into_iter().step_by(11) {
                let Ok(step) = searcher.step_unbound(&plan) else { continue };
                let mut least = |other: &Layout| searcher.bound(other).unwrap().value();
                let slack = 1.0 + 1e-12;
                let own = least(&plan);
                assert!(own <= step.time.value() * slack, "space {i} {plan:?}: its bound is above its time");
                assert!(least(&Layout { offload: Offload::NONE, ..plan }) <= own * slack, "space {i} {plan:?}: off-loading made it faster");
                let less = match plan.recompute {
                    Recompute::None | Recompute::Cheap | Recompute::Hosted(_) => plan.recompute,
                    Recompute::Selective | Recompute::Layers(0 | 1) => Recompute::None,
                    Recompute::Layers(n) => Recompute::Layers(n - 1),
                    Recompute::Full => Recompute::Layers(layers.div_ceil(plan.pipeline_parallel).saturating_sub(1).max(1)),
                };
                let lighter = Layout { recompute: less, ..plan };
                // Recomputing leaves fewer activations to copy and hides more copies.
                assert!(plan.offload.moves() || least(&lighter) <= own * slack, "space {i} {plan:?}: recomputing more made it faster");
                let every = Offload { weights: true, activations: true, optimizer: true };
                let floor = searcher.step_unbound(&Layout { offload: every, ..plan }).unwrap().memory.total();
                assert!(floor.value() <= step.memory.total().value() * slack, "space {i} {plan:?}: off-loading took memory");
                if matches!(less, Recompute::Layers(_)) {
                    let more = searcher.step_unbound(&lighter).unwrap().memory.total();
                    assert!(step.memory.total().value() <= more.value() * slack, "space {i} {plan:?}: recomputing more took memory");
                }
            }
        });
    }
}

#[test]
fn what_is_stated_is_kept_in_a_search() {
    let world = World::new();
    let case = Case { memory_gb: 80.0, ..cases().swap_remove(3) };
    let stated = [
        "recompute=full",
        "recompute=selective",
        "recompute=none",
        "recompute=2",
        "mbs=3",
        "dp=4,mbs=3,pp=2",
        "pp=4,vpp=3",
        "tp=2,sp=false",
        "sharding=full,pp=2",
        "schedule=zb-v",
        "offload=optimizer,cp=2",
    ];
    with(&case, &world, |searcher, space| {
        let free = searcher.search(space).unwrap().best.time;
        for words in stated {
            let knobs = Stated::parse(words).unwrap();
            let space = space.clone().with(&knobs);
            let found = searcher.search(&space).unwrap();
            assert_eq!(found.best, searcher.search_exhaustively(&space).unwrap().best, "{words}");
            assert_eq!(found.priced + found.cut.total(), found.plans, "{words}");
            assert_eq!(knobs.over(&found.best.layout, 16), found.best.layout, "{words}");
            assert!(found.best.time >= free, "{words}");
        }
    });
}

#[test]
fn what_is_remembered_changes_no_figure() {
    let world = World::new();
    let case = &cases()[18];
    let mut chip: Chip = world.chip(case.chip);
    chip.memory.hbm = Bytes(case.memory_gb * 1e9);
    let timer = world.timer(&chip);
    let network = Network::of(&chip, &world.cluster);
    let ask = TrainAsk::new(&case.model, Precision::uniform(DataType::Bf16), case.batch, 2048);
    let mut searcher = Searcher::new(ask, &chip, &timer, &network, &world.cluster);
    for plan in case.space.plans_of(&ask, network.domain).iter().step_by(997) {
        let alone = train::step_unbound(&ask, &chip, &timer, &network, plan, &world.cluster);
        assert_eq!(searcher.step_unbound(plan), alone);
    }
}

#[test]
fn a_named_plan_is_told_why_not() {
    let world = World::new();
    let case = Case { memory_gb: 80.0, ..cases().swap_remove(11) };
    with(&case, &world, |searcher, space| {
        let best = searcher.search(space).unwrap().best;
        let mut kinds = [0; 4];
        for plan in space.plans_of(searcher.ask(), searcher.network().domain).iter().step_by(101) {
            assert_eq!(space.leaves_out(searcher.ask(), plan, searcher.network().domain), None);
            match searcher.why_not(plan, &best, space) {
                WhyNot::CannotRun(_) => kinds[0] += 1,
                WhyNot::TooLarge { over, step, relief } => {
                    kinds[1] += 1;
                    assert!(over.value() > 0.0 && !step.fits);
                    assert!(relief.is_none_or(|(_, s)| s.fits));
                }
                WhyNot::Slower { step, times, parts } => {
                    kinds[2] += 1;
                    let more: f64 = parts.iter().map(|p| p.1.value()).sum();
                    assert!(times > 1.0 && (more - (step.time - best.time).value()).abs() < 1e-9 * step.time.value());
                }
                WhyNot::NotSlower { outside, .. } => {
                    kinds[3] += 1;
                    assert_eq!(outside, None);
                }
            }
        }
        assert!(kinds[1] > 0 && kinds[2] > 0, "{kinds:?}");
        assert!(matches!(searcher.why_not(&best.layout, &best, space), WhyNot::NotSlower { outside: None, .. }));
        let deep = Layout { pipeline_parallel: 1000, schedule: Schedule::default(), ..best.layout };
        assert!(matches!(searcher.why_not(&deep, &best, space), WhyNot::CannotRun(TrainMisfit::Stages { .. })));
        let elsewhere = Layout { sharding: StateSharding::Full, pipeline_parallel: 2, data_parallel: 32, ..Layout::ONE };
        let whole = PlanSpace { sharded_stages: false, ..space.clone() };
        assert_eq!(whole.leaves_out(searcher.ask(), &elsewhere, searcher.network().domain), Some("sharding"));
    });
}
