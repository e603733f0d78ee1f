//! What would make a step faster: the same job priced again with one thing changed, and how much more it then does per second.
//!
//! A change of the chip or its links keeps the layout; a larger memory lets recomputation and microbatch follow; a change of the layout keeps the rest.
//! A gain is the rate of tokens over that before, less one. Changes that do not fit the memory are left out, those that lose are listed too.
//!
//! Leaves out: what a change costs, and two changes at once.

use tetra_chip::{Chip, ChipConstants, Timer};
use tetra_quantity::Seconds;
use tetra_workload::{DataType, Precision};

use crate::constants::{ClusterConstants, Protocol};
use crate::network::{Network, Tier};
use crate::train::ask::TrainAsk;
use crate::train::layout::{Layout, Recompute, Schedule, StateSharding};
use crate::train::search::Searcher;
use crate::train::step::{TrainStep, peak_flop_per_second};

/// How much of a thing there is more of.
const MORE: f64 = 2.0;

/// Everything that prices a step.
#[derive(Clone, Copy)]
pub struct Priceable<'a> {
    /// What is trained.
    pub ask: TrainAsk<'a>,
    /// On which chip.
    pub chip: &'a Chip,
    /// How its ops are timed.
    pub ops: &'a ChipConstants,
    /// Over which links.
    pub network: &'a Network,
    /// With which constants.
    pub constants: &'a ClusterConstants,
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The layout.
    Layout,
    /// Number formats.
    Format,
    /// The chip.
    Chip,
    /// The links.
    Network,
    /// Libraries and operation.
    Software,
    /// What is trained.
    Job,
}

/// One change and what it gives.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Change {
    /// What is changed.
    pub kind: Kind,
    /// In words.
    pub what: String,
    /// The knob to turn, where the user has one.
    pub knob: Option<String>,
    /// Time of the step then.
    pub time: Seconds,
    /// Tokens per second then over now, less one.
    pub gain: f64,
}

/// All changes, the one that gives most first.
pub fn changes(now: &Priceable<'_>, step: &TrainStep) -> Vec<Change> {
    let mut list = Vec::new();
    let mut add = |kind, what: &str, knob: Option<String>, found: Option<TrainStep>, tokens: f64| {
        if let Some(then) = found.filter(|s| s.fits) {
            let gain = tokens * step.time.value() / then.time.value() - 1.0;
            list.push(Change { kind, what: what.to_owned(), knob, time: then.time, gain });
        }
    };
    for (what, chip) in chips(now.chip) {
        add(Kind::Chip, what, None, now.on_chip(&chip, &step.layout), 1.0);
    }
    add(Kind::Chip, "half as much HBM again, layout adapted to it", None, now.roomier(step), 1.0);
    for (what, network) in networks(now.network) {
        add(Kind::Network, what, None, now.over(&network, &step.layout), 1.0);
    }
    for (what, constants) in softwares(now.constants) {
        add(Kind::Software, what, None, now.with_constants(&constants, &step.layout), 1.0);
    }
    for (what, format) in formats(now) {
        let ask = TrainAsk { precision: Precision::uniform(format), ..now.ask };
        add(Kind::Format, what, Some(format!("--precision {what}")), now.asking(ask, &step.layout), 1.0);
    }
    for (what, knob, layout) in layouts(&step.layout) {
        add(Kind::Layout, &what, Some(knob), now.asking(now.ask, &layout), 1.0);
    }
    let batch = now.ask.global_batch.saturating_mul(2);
    let doubled = now.asking(TrainAsk { global_batch: batch, ..now.ask }, &step.layout);
    add(Kind::Job, "twice the global batch", Some(format!("--global-batch {batch}")), doubled, MORE);
    list.retain(|c| c.gain != 0.0);
    list.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    list
}

/// The `most` changes that give most, one of each kind, from all in falling order.
pub fn foremost(all: &[Change], most: usize) -> Vec<&Change> {
    let mut out: Vec<&Change> = Vec::new();
    for change in all.iter().filter(|c| c.gain > 0.0) {
        if out.len() < most && out.iter().all(|c| c.kind != change.kind) {
            out.push(change);
        }
    }
    out
}

impl Priceable<'_> {
    /// Prices one layout, memory or not; nothing where it cannot run.
    fn price(&self, layout: &Layout) -> Option<TrainStep> {
        let timer = Timer::new(self.chip, self.ops);
        Searcher::new(self.ask, self.chip, &timer, self.network, self.constants).step_unbound(layout).ok()
    }

    fn on_chip(&self, chip: &Chip, layout: &Layout) -> Option<TrainStep> {
        Priceable { chip, ..*self }.price(layout)
    }

    fn over(&self, network: &Network, layout: &Layout) -> Option<TrainStep> {
        Priceable { network, ..*self }.price(layout)
    }

    fn with_constants(&self, constants: &ClusterConstants, layout: &Layout) -> Option<TrainStep> {
        Priceable { constants, ..*self }.price(layout)
    }

    fn asking(&self, ask: TrainAsk<'_>, layout: &Layout) -> Option<TrainStep> {
        Priceable { ask, ..*self }.price(layout)
    }

    /// The fastest recomputation and microbatch on a chip with half as much memory again.
    fn roomier(&self, step: &TrainStep) -> Option<TrainStep> {
        let mut chip = self.chip.clone();
        chip.memory.hbm = chip.memory.hbm * 1.5;
        let mut best: Option<TrainStep> = None;
        for recompute in [step.layout.recompute, Recompute::None, Recompute::Selective] {
            for micro_batch in [step.layout.micro_batch, step.layout.micro_batch.saturating_mul(2)] {
                let layout = Layout { recompute, micro_batch, ..step.layout };
                let found = self.on_chip(&chip, &layout).filter(|s| s.fits);
                best = match (best, found) {
                    (Some(a), Some(b)) => Some(if b.time < a.time { b } else { a }),
                    (a, b) => a.or(b),
                };
            }
        }
        best
    }
}

fn chips(chip: &Chip) -> Vec<(&'static str, Chip)> {
    let with = |change: &dyn Fn(&mut Chip)| {
        let mut other = chip.clone();
        change(&mut other);
        other
    };
    vec![
        ("twice the arrays", with(&|c| c.compute.arrays_per_core = c.compute.arrays_per_core.saturating_mul(2))),
        ("twice the HBM rate", with(&|c| c.memory.hbm_bandwidth = c.memory.hbm_bandwidth * MORE)),
        ("twice the power cap", with(&|c| c.power.cap = c.power.cap * MORE)),
    ]
}

fn networks(network: &Network) -> Vec<(&'static str, Network)> {
    let with = |change: &dyn Fn(&mut Network)| {
        let mut other = *network;
        change(&mut other);
        other
    };
    let quick = |p: Protocol| Protocol { start_s: p.start_s / MORE, step_s: p.step_s / MORE, ..p };
    let quicker = |t: &mut Tier| (t.small, t.large) = (quick(t.small), quick(t.large));
    let mut out = vec![
        ("twice the scale-up rate", with(&|n| n.scale_up.bandwidth = n.scale_up.bandwidth * MORE)),
        (
            "twice the scale-out rate",
            with(&|n| {
                n.scale_out.bandwidth = n.scale_out.bandwidth * MORE;
                n.spine.bandwidth = n.spine.bandwidth * MORE;
            }),
        ),
        (
            "half the latency of all links",
            with(&|n| {
                quicker(&mut n.scale_up);
                quicker(&mut n.scale_out);
                quicker(&mut n.spine);
            }),
        ),
        ("twice the chips in a scale-up domain", with(&|n| n.domain = n.domain.saturating_mul(2))),
    ];
    if network.pod != u64::MAX {
        out.push(("a network without oversubscription", with(&|n| n.spine = n.scale_out)));
    }
    if network.scale_up.switched && !network.scale_up.reduces {
        out.push(("scale-up switches that reduce", with(&|n| n.scale_up.reduces = true)));
    }
    if !network.scale_out.reduces {
        let reduces = |n: &mut Network| (n.scale_out.reduces, n.spine.reduces) = (true, true);
        out.push(("scale-out switches that reduce", with(&reduces)));
    }
    out
}

fn softwares(constants: &ClusterConstants) -> Vec<(&'static str, ClusterConstants)> {
    let with = |change: &dyn Fn(&mut ClusterConstants)| {
        let mut other = *constants;
        change(&mut other);
        other
    };
    vec![
        ("no chip slower than the others", with(&|c| c.train.jitter = 0.0)),
        ("evenly loaded experts", with(&|c| c.train.expert_imbalance = 1.0)),
        ("no work of the host per op", with(&|c| c.train.dispatch_s = 0.0)),
        ("all exchange of tensors hidden behind compute", with(&|c| c.train.tensor_exposed = 0.0)),
    ]
}

/// Narrower formats that the arrays have and multiply faster.
fn formats(now: &Priceable<'_>) -> Vec<(&'static str, DataType)> {
    let rate = |format: DataType| peak_flop_per_second(now.chip, format.mac());
    let (own, has) = (rate(now.ask.precision.weights), now.chip.compute.rate);
    let known = [("fp8", DataType::Fp8, has.fp8), ("nvfp4", DataType::Nvfp4, has.fp4)];
    known.into_iter().filter(|(_, f, there)| *there > 0.0 && rate(*f) > own).map(|(word, f, _)| (word, f)).collect()
}

/// Layouts one knob away.
fn layouts(l: &Layout) -> Vec<(String, String, Layout)> {
    let mut out = Vec::new();
    let mut add = |what: String, knob: String, layout: Layout| out.push((what, knob, layout));
    for (recompute, word) in [(Recompute::None, "none"), (Recompute::Selective, "selective"), (Recompute::Full, "full")] {
        if recompute != l.recompute {
            add(format!("recompute {word}"), format!("--recompute {word}"), Layout { recompute, ..*l });
        }
    }
    for micro_batch in [l.micro_batch / 2, l.micro_batch.saturating_mul(2)].into_iter().filter(|m| *m > 0) {
        add(format!("microbatch {micro_batch}"), format!("--micro-batch {micro_batch}"), Layout { micro_batch, ..*l });
    }
    if l.pipeline_parallel > 1 {
        for virtual_stages in [1, l.virtual_stages.saturating_mul(2)].into_iter().filter(|v| *v != l.virtual_stages) {
            add(format!("{virtual_stages} chunks per stage"), format!("--vpp {virtual_stages}"), Layout { virtual_stages, ..*l });
        }
        for schedule in Schedule::ALL.into_iter().filter(|s| *s != l.schedule) {
            let name = schedule.name();
            add(format!("schedule {name}"), format!("--schedule {name}"), Layout { schedule, virtual_stages: 1, ..*l });
        }
        moved(&mut add, "pipeline", l, l.pipeline_parallel, |l, p, d| Layout { pipeline_parallel: p, data_parallel: d, ..*l });
    }
    if l.tensor_parallel > 1 {
        moved(&mut add, "tensor", l, l.tensor_parallel, |l, t, d| Layout { tensor_parallel: t, data_parallel: d, ..*l });
        if !l.sequence_parallel {
            add("sequence parallel".into(), "--sp true".into(), Layout { sequence_parallel: true, ..*l });
        }
    }
    if l.data_parallel > 1 && l.pipeline_parallel == 1 {
        let (word, sharding) =
            if l.sharding == StateSharding::Full { ("optimizer", StateSharding::Optimizer) } else { ("full", StateSharding::Full) };
        add(format!("{word} state sharding"), format!("--sharding {word}"), Layout { sharding, ..*l });
    }
    out
}

/// Half and twice a degree, replicas taking up the difference.
fn moved(add: &mut impl FnMut(String, String, Layout), name: &str, l: &Layout, degree: u64, make: impl Fn(&Layout, u64, u64) -> Layout) {
    let short = if name == "tensor" { "tp" } else { "pp" };
    let half = (degree.is_multiple_of(2)).then(|| (degree / 2, l.data_parallel.saturating_mul(2)));
    let twice = (l.data_parallel.is_multiple_of(2)).then(|| (degree.saturating_mul(2), l.data_parallel / 2));
    for (degree, data) in [half, twice].into_iter().flatten() {
        add(format!("{name} parallel {degree}, data parallel {data}"), format!("--{short} {degree} --dp {data}"), make(l, degree, data));
    }
}
