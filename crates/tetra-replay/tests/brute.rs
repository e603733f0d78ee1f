//! The mapper's best mapping against every mapping of the mapspace, one by one, without any of its rules, priced by the checker.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod case;

use case::every::every;
use case::{Dice, KINDS};
use tetra_chip::nest::{self, Objective, certify, search};
use tetra_replay::check;
use tetra_replay::paper::Mode;

const OBJECTIVES: [Objective; 3] = [Objective::Time, Objective::Energy, Objective::Edp];

fn small(d: &mut Dice, seed: u64) -> (nest::Machine, nest::Problem, nest::Mode, String) {
    let fanouts = d.below(3);
    let mut machine = case::machine(d, 4, fanouts, 24);
    for l in &mut machine.levels {
        l.fanouts.iter_mut().for_each(|f| f.size = f.size.min(4));
    }
    let most = d.from(2, 6);
    let text = case::op_text(d, KINDS[seed as usize % KINDS.len()], most);
    let mode = if d.chance(50) { nest::Mode::Ideal } else { nest::Mode::Real };
    let problem = case::op(&text, &machine, mode == nest::Mode::Ideal);
    (machine, problem, mode, text)
}

fn one(seed: u64, most: u64, wrong: &mut Vec<String>) -> Option<u64> {
    let mut d = Dice::new(seed + 77);
    let (machine, problem, mode, text) = small(&mut d, seed);
    let used = machine.for_work(problem.work);
    let none = nest::Nest::default();
    let (m, p, _) = case::read(&used, &problem, &none);
    let own = if mode == nest::Mode::Ideal { Mode::Ideal } else { Mode::Real };
    let mut bests = [(); 3].map(|()| (f64::INFINITY, Vec::new()));
    let seen = every(&m, &p, own, most, &mut |c, steps| {
        for (best, key) in bests.iter_mut().zip([c.cycles, c.energy_j, c.energy_j * c.cycles]) {
            if key < best.0 {
                *best = (key, steps.to_vec());
            }
        }
    })?;
    for (objective, (least, steps)) in OBJECTIVES.into_iter().zip(&bests) {
        let found = search(&problem, &machine, mode, objective);
        let key = found.as_ref().map_or(f64::INFINITY, |f| match objective {
            Objective::Time => f.cost.cycles,
            Objective::Energy => f.cost.energy_j,
            Objective::Edp => f.cost.edp(),
        });
        let said = found.as_ref().map(|f| check(&serde_json::to_string(&certify(&problem, &machine, mode, objective, f)).unwrap()));
        if let Some(Err(findings)) = &said {
            wrong
                .push(format!("CERTIFICATE {seed} {text} {mode:?} {objective:?} {findings:?}\n  {:?}", found.as_ref().unwrap().nest.steps));
        }
        if !(key == *least || (key - least).abs() <= 1e-9 * least.abs()) {
            let theirs = found.map(|f| f.nest.steps);
            let m = serde_json::to_string(&used).unwrap();
            wrong.push(format!("BEST {seed} {text} {mode:?} {objective:?}: mapper {key} {theirs:?}\n  brute {least} {steps:?}\n  {m}"));
        }
    }
    Some(seen)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

fn compare(cases: u64) {
    let (mut wrong, mut done, mut mappings, mut seed) = (Vec::new(), 0, 0, number("SEED", 0));
    while done < cases {
        if let Some(n) = one(seed, number("MOST", 3000), &mut wrong) {
            done += 1;
            mappings += n;
        }
        seed += 1;
    }
    println!("{done} cases of {seed} tried, {mappings} mappings, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} of {done}:\n{}", wrong.len(), wrong[..wrong.len().min(number("SHOW", 6) as usize)].join("\n"));
}

#[test]
fn no_mapping_is_better_than_the_best() {
    compare(300);
}

#[test]
#[ignore = "minutes: CASES, MOST and SEED choose how many, how large and which"]
fn no_mapping_is_better_than_the_best_of_ten_thousand() {
    compare(number("CASES", 10_000));
}
