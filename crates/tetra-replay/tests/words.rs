//! The closed form meets the executor, and the mapper's counts meet both, on random mappings of small ops on small machines.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod case;

use case::{Dice, KINDS};
use tetra_chip::nest::count;
use tetra_replay::execute::execute;
use tetra_replay::formula::Formula;
use tetra_replay::tally::bits;

fn cases() -> u64 {
    std::env::var("CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000)
}

#[test]
fn closed_form_executor_and_mapper_count_the_same_words() {
    let (mut own, mut theirs) = (0, 0);
    for seed in 0..cases() {
        let mut d = Dice::new(seed + 1);
        let machine = case::machine(&mut d, 4, 3, 64);
        let text = case::op_text(&mut d, KINDS[seed as usize % KINDS.len()], 7);
        let problem = case::op(&text, &machine, d.chance(30));
        let nest = case::nest(&mut d, &problem, &machine);
        let (m, p, n) = case::read(&machine, &problem, &nest);
        let run = execute(&m, &p, &n.steps);
        assert!(run.faults.is_empty(), "{seed} {text}: {:?}", run.faults);
        assert_eq!(run.points, problem.points());
        let formula = Formula { machine: &m, problem: &p, steps: &n.steps }.transfers();
        if run.transfers != formula {
            own += 1;
            if own <= 3 {
                let bad = run.transfers.iter().zip(&formula).find(|(a, b)| a != b);
                println!("OWN {seed} {text}\n {:?}\n {bad:#?}", nest.steps);
            }
        }
        let moved = bits(&m, &p, &n.steps, &run.transfers);
        let counts = count(&problem, &machine, &nest);
        let mut bad = counts.steps != run.steps;
        let mut what = format!("steps {} {}", counts.steps, run.steps);
        for (l, row) in moved.iter().enumerate() {
            for (t, b) in row.iter().enumerate() {
                let c = counts.moved[l][t];
                if (c.read, c.written, c.read_busiest, c.written_busiest) != (b.read, b.written, b.read_busiest, b.written_busiest) {
                    bad = true;
                    what = format!("level {l} tensor {t}: mapper {c:?}, executed {b:?}");
                }
            }
        }
        if bad {
            theirs += 1;
            if theirs <= 4 {
                println!(
                    "THEIRS {seed} {text} {what}\n{:?}\n{:?}",
                    nest.steps,
                    machine.levels.iter().map(|l| &l.fanouts).collect::<Vec<_>>()
                );
            }
        }
    }
    assert!(own == 0 && theirs == 0, "own closed form: {own}, mapper's counts: {theirs} of {}", cases());
}
