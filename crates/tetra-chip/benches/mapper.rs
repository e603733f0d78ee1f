//! The exact mapper on T128 and on a machine of five levels: figures, time to the optimum with its certificate, rate of evaluation.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use tetra_chip::nest::{Machine, MapOp, Mode, Objective, Problem, certify, read_op, search, search_exhaustively};

fn machine(name: &str) -> Machine {
    let text = std::fs::read_to_string(common::root().join(format!("data/machines/{name}.toml"))).unwrap();
    Machine::from_toml(name, &text).unwrap()
}

fn problem(op: &str, machine: &Machine) -> Problem {
    match read_op(op, machine, true).unwrap() {
        MapOp::One(p) => p,
        MapOp::Pair(_) => panic!("one op"),
    }
}

/// Median of repeated runs, in seconds.
fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    for (name, ops) in [
        ("t128", &["gemm:512x512x512", "gemm:2048x12288x12288", "gemm:2048x50257x768"][..]),
        ("five-levels", &["gemm:512x512x512", "gemm:2048x12288x12288"][..]),
    ] {
        let m = machine(name);
        for op in ops {
            let p = problem(op, &m);
            let found = search(&p, &m, Mode::Ideal, Objective::Edp).unwrap();
            let seconds = median(|| {
                let f = search(&p, &m, Mode::Ideal, Objective::Edp).unwrap();
                std::hint::black_box(serde_json::to_string(&certify(&p, &m, Mode::Ideal, Objective::Edp, &f)).unwrap());
            });
            let (e, c) = (found.cost.energy_j * 1e6, found.cost.cycles);
            println!("{name} {op}: {e:.3} uJ, {c:.0} cycles, optimum with certificate in {:.3} ms", seconds * 1e3);
        }
    }
    let m = machine("t128");
    let p = problem("gemm:192x192x192", &m);
    let start = Instant::now();
    let all = search_exhaustively(&p, &m, Mode::Ideal, Objective::Edp).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let whole = all.tally.evaluated + all.tally.dominated;
    println!(
        "every mapping of gemm:192x192x192, no bound: {} costs of places, {} whole mappings in {seconds:.2} s: {:.1} M places/s",
        all.tally.places,
        whole,
        all.tally.places as f64 / seconds / 1e6
    );
}
