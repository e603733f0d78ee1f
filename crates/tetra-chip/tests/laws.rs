//! Laws of the timing model, on random ops and chips.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use proptest::prelude::*;
use tetra_chip::template::{Design, build};
use tetra_chip::timing::{Rates, choose, cost_at};
use tetra_chip::{Chip, ChipConstants, ChipSet, OpTimer, Timer, bound, lower_bound, mapper};
use tetra_quantity::{Bytes, BytesPerSecond, Hertz, Watts};
use tetra_workload::{AttentionOp, DataType, Gemm, GroupedGemm, Op, VectorKind, VectorOp};

static CONSTANTS: LazyLock<ChipConstants> = LazyLock::new(common::constants);
static CHIPS: LazyLock<ChipSet> = LazyLock::new(common::chips);

fn format() -> impl Strategy<Value = DataType> {
    prop_oneof![Just(DataType::Bf16), Just(DataType::Fp8), Just(DataType::Nvfp4), Just(DataType::Fp32)]
}

fn op() -> impl Strategy<Value = Op> {
    let size = || prop_oneof![1u64..64, 64u64..20000];
    let gemm = (size(), size(), 256u64..20000, 1u64..5, format())
        .prop_map(|(m, n, k, batch, f)| Op::Gemm(Gemm { batch, m, n, k, a: f, b: f, out: DataType::Bf16 }));
    let grouped = (1u64..300, 1u64..5000, size(), 256u64..20000, format()).prop_map(|(experts, rows, n, k, f)| {
        Op::GroupedGemm(GroupedGemm {
            experts: experts.min(rows),
            rows,
            rows_max: (2 * rows.div_ceil(experts.min(rows))).min(rows),
            n,
            k,
            a: f,
            b: f,
            out: DataType::Bf16,
        })
    });
    let attention = (1u64..64, 1u64..17, 1u64..9, 1u64..3000, 0u64..6000, any::<bool>(), 0u64..2, any::<bool>()).prop_map(
        |(sequences, group, kv_heads, q_len, context, causal, window, backward)| {
            Op::Attention(AttentionOp {
                sequences,
                heads: kv_heads * group,
                kv_heads,
                q_len,
                kv_len: q_len + context,
                d_qk: 128,
                d_v: 128,
                causal,
                window: window * 1024,
                a: DataType::Bf16,
                kv: DataType::Fp8,
                shared_kv: false,
                backward,
            })
        },
    );
    let vector = (0usize..14, size(), size()).prop_map(|(kind, rows, cols)| {
        let kind = tetra_chip::VECTOR_KINDS[kind].0;
        Op::Vector(VectorOp { kind, rows, cols, read_bytes: rows * cols * 2, write_bytes: rows * cols * 2 })
    });
    prop_oneof![4 => gemm, 1 => grouped, 2 => attention, 1 => vector]
}

fn chip() -> impl Strategy<Value = Chip> {
    let known = (0usize..CHIPS.iter().count()).prop_map(|i| CHIPS.iter().nth(i).unwrap().clone());
    let side = || prop_oneof![Just(16u64), Just(32), Just(64), Just(128)];
    let designed = (4u64..150, 1u64..5, side(), side(), 1u64..5).prop_filter_map("fits", |(cores, arrays, rows, columns, scale)| {
        let design = Design {
            node: "N3E".into(),
            cores,
            arrays_per_core: arrays,
            array_rows: rows,
            array_columns: columns,
            lanes: 64 * scale,
            local: Bytes(256e3 * scale as f64),
            global: Bytes(32e6 * scale as f64),
            hbm_kind: "HBM3E".into(),
            hbm_stacks: 6,
            scale_up: BytesPerSecond(450e9),
            scale_up_domain: 64,
            clock: Hertz(1.6e9),
            dies: 2,
            power_cap: None,
        };
        build(&design, &CONSTANTS).ok()
    });
    prop_oneof![known, designed]
}

fn time(op: &Op, chip: &Chip) -> f64 {
    Timer::new(chip, &CONSTANTS).cost(op).time.value()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn more_bandwidth_never_slows(op in op(), chip in chip(), more in 1.0f64..4.0) {
        let mut better = chip.clone();
        better.memory.hbm_bandwidth = chip.memory.hbm_bandwidth * more;
        { let (b, a) = (time(&op, &better), time(&op, &chip)); prop_assert!(b <= a * SLACK, "{} times, {} us", b / a, a * 1e6); }
        let mut better = chip.clone();
        better.memory.global_bytes_per_cycle *= more;
        { let (b, a) = (time(&op, &better), time(&op, &chip)); prop_assert!(b <= a * SLACK, "{} times, {} us", b / a, a * 1e6); }
    }

    #[test]
    fn a_higher_cap_never_slows(op in op(), chip in chip(), more in 1.0f64..4.0) {
        let mut better = chip.clone();
        better.power.cap = Watts(chip.power.cap.value() * more);
        { let (b, a) = (time(&op, &better), time(&op, &chip)); prop_assert!(b <= a * (1.0 + 1e-3), "{} times, {} us", b / a, a * 1e6); }
    }

    #[test]
    fn a_higher_clock_never_slows(op in op(), chip in chip(), more in 1.0f64..2.0) {
        let mut better = chip.clone();
        better.compute.clock = Hertz(chip.compute.clock.value() * more);
        { let (b, a) = (time(&op, &better), time(&op, &chip)); prop_assert!(b <= a * SLACK, "{} times, {} us", b / a, a * 1e6); }
    }

    #[test]
    fn twice_the_cores_and_their_network_never_slow(op in op(), chip in chip()) {
        let mut better = chip.clone();
        better.compute.cores *= 2;
        better.silicon.cores_built *= 2;
        better.memory.global_bytes_per_cycle *= 2.0;
        better.memory.global = chip.memory.global * 2.0;
        { let (b, a) = (time(&op, &better), time(&op, &chip)); prop_assert!(b <= a * CORES_SLACK + TRIP, "{} times, {} us", b / a, a * 1e6); }
    }

    #[test]
    fn counts_are_at_least_compulsory(op in op(), chip in chip()) {
        let asked = bound::macs(&op);
        mapper::map(&op, &chip).each(|plan| check_counts(&op, &chip, &plan.counts, asked));
    }

    /// Each plan of the mapspace priced alone, with constants drawn between half and twice of theirs: none beats the one taken.
    #[test]
    fn the_chosen_plan_is_the_best_of_the_whole_mapspace(op in op(), chip in chip(), draw in proptest::array::uniform5(0.5f64..2.0)) {
        let mut constants = CONSTANTS.clone();
        let k = &mut constants.kernels;
        for (value, factor) in [&mut k.trip_s, &mut k.launch_s, &mut k.widen_lane_ops, &mut k.hbm_mixed_fraction].into_iter().zip(draw) {
            *value *= factor;
        }
        constants.energy.edge_j_per_byte *= draw[4];
        let (rates, mapping) = (Rates::of(&chip, &constants), mapper::map(&op, &chip));
        let (mut least, mut plans) = (f64::INFINITY, 0);
        mapping.each(|plan| {
            plans += 1;
            least = least.min(cost_at(&mapper::Mapping::One(plan), &op, &rates).time.value());
        });
        let taken = choose(&mapping, &op, &rates);
        prop_assert_eq!(taken.compared, plans);
        prop_assert!(taken.cost.time.value() <= least * (1.0 + 1e-12), "{} {least}", taken.cost.time.value());
    }

    #[test]
    fn the_bound_never_exceeds_the_cost(op in op(), chip in chip()) {
        let (low, cost) = (lower_bound(&op, &chip).value(), time(&op, &chip));
        prop_assert!(low <= cost * (1.0 + 1e-9), "{low} {cost}");
    }

    #[test]
    fn more_work_is_never_faster(op in op(), chip in chip()) {
        if let Op::Gemm(g) = op {
            let twice = Op::Gemm(Gemm { k: g.k * 2, ..g });
            prop_assert!(time(&twice, &chip) >= time(&op, &chip) / CORES_SLACK - TRIP);
        }
    }

    #[test]
    fn average_power_stays_under_the_cap(op in op(), chip in chip()) {
        let c = Timer::new(&chip, &CONSTANTS).cost(&op);
        prop_assert!(c.energy.value() > 0.0 && c.time.value().is_finite());
        if !matches!(op, Op::Vector(_)) && chip.memory.hbm_kind != "GDDR6" {
            prop_assert!(c.energy.value() / c.time.value() <= chip.power.cap.value(), "{} W", c.energy.value() / c.time.value());
        }
    }

    #[test]
    fn mappings_kept_or_not_cost_the_same(op in op(), chip in chip()) {
        let kept = Timer::with_mappings(&chip, &CONSTANTS, Default::default());
        let first = kept.cost(&op);
        prop_assert_eq!(first, kept.cost(&op));
        let again = Timer::with_mappings(&chip, &CONSTANTS, kept.into_mappings());
        prop_assert_eq!(first, again.cost(&op));
        prop_assert_eq!(first, Timer::new(&chip, &CONSTANTS).cost(&op));
    }

    #[test]
    fn huge_and_zero_shapes_do_not_break(m in prop_oneof![Just(0u64), Just(u64::MAX), any::<u64>()], n in any::<u64>(), k in prop_oneof![Just(0u64), any::<u64>()]) {
        let chip = CHIPS.find("H100").unwrap();
        let ops = [
            Op::Gemm(Gemm { batch: n, m, n, k, a: DataType::Bf16, b: DataType::Fp8, out: DataType::Bf16 }),
            Op::GroupedGemm(GroupedGemm { experts: k, rows: m, rows_max: m, n, k, a: DataType::Bf16, b: DataType::Fp8, out: DataType::Bf16 }),
            Op::Vector(VectorOp { kind: VectorKind::Softmax, rows: m, cols: n, read_bytes: k, write_bytes: m }),
            Op::Attention(AttentionOp { sequences: m, heads: n, kv_heads: k, q_len: m, kv_len: n, d_qk: k, d_v: m, causal: true, window: k, a: DataType::Bf16, kv: DataType::Bf16, shared_kv: true, backward: true }),
        ];
        for op in ops {
            prop_assert!(time(&op, chip) >= 0.0);
        }
    }
}

/// The last step of the clock under a power cap, and sums in another order.
const SLACK: f64 = 1.001;
/// Twice the cores may take one round more evenly, yet each with a first load of its own.
const CORES_SLACK: f64 = 1.15;
const TRIP: f64 = 4e-6;

fn check_counts(op: &Op, chip: &Chip, c: &mapper::Counts, asked: f64) {
    assert!(c.macs as f64 >= asked * (1.0 - 1e-9) - 1.0);
    if let Op::Gemm(_) | Op::GroupedGemm(_) = op {
        assert!((c.hbm_read + c.hbm_write) as f64 >= bound::compulsory_bytes(op) * (1.0 - 1e-9) - 16.0);
        let asked_type = match op {
            Op::Gemm(g) => g.a.mac(),
            Op::GroupedGemm(g) => g.a.mac(),
            _ => unreachable!(),
        };
        let (_, rate) = mapper::mac_of(asked_type, chip);
        let k = &chip.compute;
        let capacity = (c.tiles * c.tile_array_cycles) as f64 * (k.arrays_per_core * k.array_rows * k.array_columns) as f64 * rate;
        assert!(capacity >= asked * (1.0 - 1e-9), "{capacity} MACs fit, {asked} asked");
    }
}

/// The plan that timing takes.
fn plan_of(op: &Op, chip: &Chip) -> mapper::Plan {
    choose(&mapper::map(op, chip), op, &Rates::of(chip, &CONSTANTS)).plan
}

#[test]
fn systolic_folds_agree_with_published_cycles() {
    // SCALE-Sim (arXiv 1811.02883), weight-stationary fold without shadow weights: 2R + C + T - 2; here the fold is T + R and fill and drain R + C.
    let mut chip = CHIPS.find("TPU v4").unwrap().clone();
    chip.compute.cores = 1;
    chip.compute.arrays_per_core = 1;
    chip.compute.shadow_weights = false;
    let op = Op::Gemm(Gemm { batch: 1, m: 512, n: 512, k: 512, a: DataType::Int8, b: DataType::Int8, out: DataType::Int8 });
    let c = plan_of(&op, &chip).counts;
    let cycles = (c.tiles * c.tile_array_cycles) as f64;
    // 14,303 cycles of SCALE-Sim 3.0 count fill and drain on every fold; without them at least 16 folds of 512 + 128.
    assert!((16.0 * 640.0..=14_303.0).contains(&cycles), "{cycles}");
}

/// Every number at the ends of what the reader accepts: no panic, no NaN.
#[test]
fn chips_at_the_ends_of_their_ranges_are_timed() {
    let base = CHIPS.find("H100").unwrap();
    let ops = [
        Op::Gemm(Gemm { batch: 1, m: 300, n: 5000, k: 5000, a: DataType::Bf16, b: DataType::Nvfp4, out: DataType::Bf16 }),
        Op::Vector(VectorOp { kind: VectorKind::RmsNorm, rows: 100, cols: 5000, read_bytes: 1000000, write_bytes: 1000000 }),
    ];
    for big in [false, true] {
        let pick = |low: u64, high: u64| if big { high } else { low };
        let mut chip = base.clone();
        let c = &mut chip.compute;
        c.cores = pick(1, 1 << 20);
        c.arrays_per_core = pick(1, 1 << 16);
        c.array_rows = pick(1, 1 << 16);
        c.array_columns = pick(1, 1 << 16);
        c.lanes_per_core = pick(1, 1 << 24);
        c.tile_rows_max = pick(16, 1 << 16);
        c.tile_columns_max = pick(16, 1 << 16);
        c.multicast = pick(1, 1024);
        chip.memory.global_bytes_per_cycle = pick(1, 1_000_000_000) as f64;
        chip.memory.local_bytes_per_cycle = pick(1, 1_000_000_000) as f64;
        chip.silicon.cores_built = c.cores;
        for op in &ops {
            let t = time(op, &chip);
            assert!(t.is_finite() && t > 0.0, "{t}");
            assert!(lower_bound(op, &chip).value() <= t, "{big} {op:?} {} {t}", lower_bound(op, &chip));
        }
        let area = tetra_chip::area::breakdown(&chip, &CONSTANTS);
        assert!(area.total_mm2.is_finite());
        tetra_chip::drawing::svg(&chip, &CONSTANTS);
    }
}

/// Clusters leave cores idle where dead cores make groups unequal, and none where every group is whole.
#[test]
fn clusters_cost_only_what_is_left_over_in_groups() {
    let gemm = |m, n, k| Op::Gemm(Gemm { batch: 1, m, n, k, a: DataType::Bf16, b: DataType::Bf16, out: DataType::Bf16 });
    let set = common::chips();
    let clustered = set.find("H100").unwrap();
    let (mut free, mut whole) = (clustered.clone(), clustered.clone());
    free.compute.cluster = 1;
    (whole.compute.cores, whole.compute.groups) = (whole.silicon.cores_built, 2);
    let mut whole_free = whole.clone();
    whole_free.compute.cluster = 1;
    let time = |chip: &Chip, op: &Op| cost_at(&mapper::map(op, chip), op, &Rates::of(chip, &CONSTANTS)).time.value();
    for op in [gemm(128, 8192, 7168), gemm(1024, 8192, 7168), gemm(4096, 14336, 8192), gemm(8192, 8192, 8192)] {
        assert!(time(clustered, &op) >= time(&free, &op));
        assert!((time(&whole, &op) / time(&whole_free, &op) - 1.0).abs() < 1e-9);
    }
    // Three rounds of tiles instead of two.
    assert!(time(clustered, &gemm(1024, 8192, 7168)) > 1.2 * time(&free, &gemm(1024, 8192, 7168)));
}
