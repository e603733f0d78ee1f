//! Worlds per second of the draws of `studies/first` on the small grid, and seconds of each stage after them: wall clock and processor.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/shipped/mod.rs"]
mod shipped;

use std::sync::Mutex;
use std::time::Instant;

use shipped::Texts;
use tetra_study::Progress;

/// Name of what comes after a stage.
const END: &str = "end";

/// Stages with their steps, wall clock and processor seconds at their start.
#[derive(Default)]
struct Stages(Mutex<Vec<(String, u64, Instant, f64)>>);

/// Processor seconds of this process so far, where the system tells them.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(") ").next().unwrap_or("").split(' ').skip(11).take(2).filter_map(|f| f.parse().ok()).collect();
    fields.iter().sum::<f64>() / 100.0
}

impl Progress for Stages {
    fn start(&self, stage: &str, total: u64) {
        self.0.lock().unwrap().push((stage.to_owned(), total, Instant::now(), processor_s()));
    }
    fn step(&self, _: u64) {}
    fn at(&self, _: u64) {
        self.start(END, 0);
    }
}

fn main() {
    let texts = Texts::shipped();
    let study = texts.study();
    let inputs = texts.inputs(&study).expect("shipped inputs");
    let stages = Stages::default();
    let answer = tetra_study::run("first", &study, &inputs, &stages).expect("an answer");
    let stages = stages.0.into_inner().unwrap();
    let first = stages.iter().position(|s| s.0 == "layouts at other speeds").expect("draws");
    for pair in stages[first..].windows(2).filter(|pair| pair[0].1 > 0 && pair[1].0 == END) {
        let (wall, processor) = ((pair[1].2 - pair[0].2).as_secs_f64(), pair[1].3 - pair[0].3);
        let each = pair[0].1 as f64 / wall;
        println!("{}: {} in {wall:.2} s, {processor:.2} s of processor, {each:.0} per second", pair[0].0, pair[0].1);
    }
    println!("{}", answer.report.verdict.sentence);
    let risk = answer.report.risk.expect("draws");
    risk.limits_held.iter().for_each(|(service, limit, share)| println!("{service}: {limit} held in {share:.3} of the draws"));
}
