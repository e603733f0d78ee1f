//! The exact mapper against figures that others published for the machine T128, and against itself without its bound.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use tetra_chip::nest::{Machine, MapOp, Mode, Objective, Problem, Solved, front, read_op, search, search_exhaustively, solve};

fn machine(name: &str) -> Machine {
    let text = std::fs::read_to_string(common::root().join(format!("data/machines/{name}.toml"))).unwrap();
    Machine::from_toml(name, &text).unwrap()
}

fn problem(op: &str, machine: &Machine, mode: Mode) -> Problem {
    match read_op(op, machine, mode == Mode::Ideal).unwrap() {
        MapOp::One(p) => p,
        MapOp::Pair(_) => panic!("one op"),
    }
}

/// AccelForge 1.0.467 on T128 with perfect factors: `bench/rivals/accelforge`.
const ACCELFORGE: [(&str, f64, f64); 6] = [
    ("gemm:512x512x512", 60.767_076, 8192.0),
    ("gemm:2048x12288x12288", 50_336.48, 18_874_368.0),
    ("gemm:1x4096x4096", 942.027_83, 27_337.80),
    ("gemm:8x4096x14336", 3353.8515, 95_875.75),
    ("gemm:64x12288x12288", 9719.1922, 589_824.0),
    ("gemm:8192x28672x8192", 304_167.44, 117_440_512.0),
];

#[test]
fn accelforge_finds_the_same_optimum() {
    let m = machine("t128");
    for (op, microjoules, cycles) in ACCELFORGE {
        let found = search(&problem(op, &m, Mode::Ideal), &m, Mode::Ideal, Objective::Edp).unwrap();
        assert!((found.cost.energy_j * 1e6 / microjoules - 1.0).abs() < 1e-6, "{op}: {} uJ", found.cost.energy_j * 1e6);
        assert!((found.cost.cycles / cycles - 1.0).abs() < 1e-6, "{op}: {} cycles", found.cost.cycles);
    }
}

#[test]
fn cut_tiles_beat_perfect_factors() {
    let m = machine("t128");
    let found = search(&problem("gemm:2048x50257x768", &m, Mode::Ideal), &m, Mode::Ideal, Objective::Edp).unwrap();
    assert!(found.cost.energy_j <= 17.6215e-3 && found.cost.cycles <= 4_829_184.0, "{:?}", found.cost);
}

#[test]
fn the_bound_excludes_no_optimum() {
    for (name, op) in
        [("t128", "gemm:12x20x18"), ("t128", "gemm:2x6x10x9"), ("five-levels", "gemm:3x2x3"), ("t128", "conv:k=2,c=3,p=3,q=2,r=2,s=1")]
    {
        let m = machine(name);
        for mode in [Mode::Ideal, Mode::Real] {
            let p = problem(op, &m, mode);
            for objective in [Objective::Time, Objective::Energy, Objective::Edp] {
                let (some, all) = (search(&p, &m, mode, objective).unwrap(), search_exhaustively(&p, &m, mode, objective).unwrap());
                let figures = |f: &tetra_chip::nest::Found| (f.cost.energy_j, f.cost.cycles);
                let key = |(e, c): (f64, f64)| {
                    if objective == Objective::Time {
                        c
                    } else if objective == Objective::Energy {
                        e
                    } else {
                        e * c
                    }
                };
                assert!((key(figures(&some)) / key(figures(&all)) - 1.0).abs() < 1e-12, "{name} {op} {mode:?} {objective:?}");
            }
        }
    }
}

#[test]
fn a_front_holds_the_best_of_each_kind_and_nothing_beaten() {
    let m = machine("t128");
    let p = problem("gemm:100x300x200", &m, Mode::Real);
    let list = front(&p, &m, Mode::Real);
    let best = |o| search(&p, &m, Mode::Real, o).unwrap().cost;
    assert!((list[0].cost.energy_j / best(Objective::Energy).energy_j - 1.0).abs() < 1e-12);
    assert!(list.iter().any(|f| (f.cost.cycles / best(Objective::Time).cycles - 1.0).abs() < 1e-12));
    for w in list.windows(2) {
        assert!(w[0].cost.energy_j <= w[1].cost.energy_j && w[0].cost.cycles > w[1].cost.cycles);
    }
}

#[test]
fn meeting_on_chip_never_costs_more_than_passing_through_dram() {
    let m = machine("t128");
    for op in ["mlp:2048x1024x4096x1024", "attention:heads=8,q=512,d=64"] {
        let Ok(Solved::Pair(pair)) = solve(op, &m, Mode::Ideal, Some(Objective::Energy)) else { panic!("a pair") };
        let (apart, _) = pair.apart.unwrap();
        assert!(pair.fused.energy_j < apart, "{op}: {} against {apart}", pair.fused.energy_j);
    }
}

#[test]
fn more_memory_never_costs_more() {
    let small = machine("t128");
    let mut large = small.clone();
    large.levels[1].capacity_bits = small.levels[1].capacity_bits.map(|c| 2 * c);
    for op in ["gemm:2048x12288x12288", "gemm:300x7000x900"] {
        let cost = |m: &Machine| search(&problem(op, m, Mode::Ideal), m, Mode::Ideal, Objective::Energy).unwrap().cost.energy_j;
        assert!(cost(&large) <= cost(&small), "{op}");
    }
}
