//! How a training run scales: the best plan at each number of chips by exact search, and the schedule of the plan that the fleet was sized with.
//!
//! A run of `n` chips costs `n · time · price`, with the price of a chip-hour at which the study's own runs come to their cost. Leaves out: sizes at which nothing fits, a
//! price that falls with size, a batch that grows with it.

use tetra_chip::Timer;
use tetra_cluster::{Network, PlanSpace, Schedule, SearchLimits, Searcher};
use tetra_quantity::{DAY_S, HOUR_S};

use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::report::{ScalingPoint, ScalingReport};

/// Numbers of chips: this and its doubles.
const LEAST: u64 = 512;
/// How many doubles.
const DOUBLES: u32 = 8;
/// Tasks of the picture on the page.
const DRAWN: usize = 1 << 12;

/// The first training run of a study on the chips of an option.
pub fn scaling(setting: &Setting<'_>, worked: Option<&Worked>) -> Option<ScalingReport> {
    let (w, job) = (worked?, setting.asks.trainings.first()?);
    let (run, sized) = (setting.study.trainings.first()?, w.found.ability.trainings.first()?);
    let cluster = &setting.inputs.constants.cluster;
    let (timer, network) = (Timer::new(&w.chip, &setting.inputs.constants.chip), Network::of(&w.chip, cluster));
    let mut searcher = Searcher::new(job.ask, &w.chip, &timer, &network, cluster);
    let price = w.usd_per_run(setting) / (sized.chips as f64 * sized.time.value() / HOUR_S).max(f64::MIN_POSITIVE);
    let mut points = Vec::new();
    for chips in (0..=DOUBLES).map(|i| LEAST << i) {
        let Ok(found) = searcher.search(&space(chips)) else { continue };
        let done = searcher.run(&found.best, job.tokens);
        points.push(ScalingPoint {
            chips,
            layout: words(&found.best.layout),
            step_s: found.best.time.value(),
            mfu: found.best.mfu,
            goodput: done.goodput.goodput,
            days: done.time.value() / DAY_S,
            usd: chips as f64 * done.time.value() / HOUR_S * price,
        });
    }
    let picture = searcher.drawing(&sized.step.layout, DRAWN).ok().flatten();
    Some(ScalingReport { option: w.name.clone(), run: run.name.clone(), usd_per_chip_hour: price, points, picture })
}

/// Plans of the curve: degrees that are powers of two, every schedule, nothing off-loaded.
fn space(chips: u64) -> PlanSpace {
    let limits = SearchLimits { powers_of_two: true, micro_batch: 4, ..SearchLimits::WIDE };
    PlanSpace { limits, some_layers: false, schedules: Schedule::ALL.to_vec(), ..PlanSpace::usual(chips) }
}

fn words(l: &tetra_cluster::Layout) -> String {
    let chunks = if l.virtual_stages > 1 { format!(" ({} chunks)", l.virtual_stages) } else { String::new() };
    let order = if l.pipeline_parallel > 1 { format!(", {}", l.schedule.name()) } else { String::new() };
    let recompute = format!("{:?}", l.recompute).to_lowercase();
    format!(
        "tensor {} × context {} × pipeline {}{chunks} × data {}, microbatch {}{order}, recompute {recompute}",
        l.tensor_parallel, l.context_parallel, l.pipeline_parallel, l.data_parallel, l.micro_batch
    )
}
