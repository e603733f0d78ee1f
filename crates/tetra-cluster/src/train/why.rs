//! Why a plan that the user names is not the one that was found: it cannot run, it does not fit and this single change would make it fit, or it is slower and these parts of the
//! step take longer.

use std::fmt;

use tetra_quantity::{Bytes, Seconds};

use crate::train::layout::{Layout, Offload, Recompute, StateSharding};
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::search::Searcher;
use crate::train::space::PlanSpace;
use crate::train::step::TrainStep;

/// Why not this plan.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub enum WhyNot {
    /// It cannot run on any memory.
    CannotRun(TrainMisfit),
    /// It does not fit the memory.
    TooLarge {
        /// The plan as it would run.
        step: Box<TrainStep>,
        /// What is missing.
        over: Bytes,
        /// The fastest plan that fits and differs in one choice, and that choice.
        relief: Option<(&'static str, Box<TrainStep>)>,
    },
    /// It runs, and the best plan is faster.
    Slower {
        /// The plan.
        step: Box<TrainStep>,
        /// Time of the plan over that of the best.
        times: f64,
        /// Parts of the step that differ: what the plan takes more than the best, largest first; negative where it takes less. They sum to the difference of the steps.
        parts: Vec<(&'static str, Seconds)>,
    },
    /// Nothing in the space is faster: it is the best, or as fast.
    NotSlower {
        /// The plan.
        step: Box<TrainStep>,
        /// The rule by which the space leaves it out, if it does.
        outside: Option<&'static str>,
    },
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotRun(why) => write!(f, "it cannot run: {why}"),
            Self::TooLarge { step, over, relief } => {
                let (here, host) = (step.memory.total(), step.memory.host);
                let beside = if host > Bytes::ZERO { format!(" and {host} of the host's") } else { String::new() };
                write!(f, "it needs {here} of memory{beside}, {over} more than there is")?;
                match relief {
                    Some((knob, s)) => write!(f, "; another {knob} alone makes it fit: {} per step with {}", s.time, s.memory.total()),
                    None => write!(f, "; no change of one choice makes it fit"),
                }
            }
            Self::Slower { step, times, parts } => {
                write!(f, "it takes {} per step, {times:.3} times the best:", step.time)?;
                for (i, (name, more)) in parts.iter().enumerate() {
                    let sign = if more.value() > 0.0 { "+" } else { "" };
                    write!(f, "{} {name} {sign}{more}", if i > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Self::NotSlower { step, outside } => {
                write!(f, "nothing in the space is faster than its {} per step", step.time)?;
                outside.map_or(Ok(()), |rule| write!(f, "; the space leaves it out: {rule}"))
            }
        }
    }
}

impl Searcher<'_> {
    /// Why the plan is not `best`, the best of `space`.
    pub fn why_not(&mut self, plan: &Layout, best: &TrainStep, space: &PlanSpace) -> WhyNot {
        let step = match self.step_unbound(plan) {
            Ok(step) => step,
            Err(why) => return WhyNot::CannotRun(why),
        };
        if !step.fits {
            let over = (step.memory.total() - self.job.chip.memory.hbm).value();
            let over = Bytes(over.max((step.memory.host - self.job.network.host.memory).value()));
            return WhyNot::TooLarge { over, relief: self.relief(plan), step: Box::new(step) };
        }
        if step.time <= best.time {
            let outside = space.leaves_out(&self.job.ask, plan, self.job.network.domain);
            return WhyNot::NotSlower { step: Box::new(step), outside };
        }
        let mut parts: Vec<(&'static str, Seconds)> =
            step.breakdown.parts().into_iter().zip(best.breakdown.parts()).map(|((name, a), (_, b))| (name, a - b)).collect();
        parts.retain(|p| p.1.value() != 0.0);
        parts.sort_by(|a, b| b.1.value().total_cmp(&a.1.value()));
        WhyNot::Slower { times: step.time.value() / best.time.value(), step: Box::new(step), parts }
    }

    /// The fastest plan that fits and differs in one choice.
    fn relief(&mut self, plan: &Layout) -> Option<(&'static str, Box<TrainStep>)> {
        let mut best: Option<(&'static str, TrainStep)> = None;
        for (knob, other) in changes(plan) {
            let step: Fit<TrainStep> = self.step(&other);
            if let Ok(step) = step
                && best.is_none_or(|(_, b)| step.time < b.time)
            {
                best = Some((knob, step));
            }
        }
        best.map(|(knob, step)| (knob, Box::new(step)))
    }
}

/// Plans on as many chips that differ from one in one choice.
pub(crate) fn changes(plan: &Layout) -> Vec<(&'static str, Layout)> {
    let mut out = vec![
        ("recompute", Layout { recompute: Recompute::Selective, ..*plan }),
        ("recompute", Layout { recompute: Recompute::Layers(0), ..*plan }),
        ("sharding", Layout { sharding: StateSharding::Optimizer, ..*plan }),
        ("sharding", Layout { sharding: StateSharding::Gradients, ..*plan }),
        ("sharding", Layout { sharding: StateSharding::Full, ..*plan }),
        ("micro_batch", Layout { micro_batch: plan.micro_batch / 2, ..*plan }),
        ("sequence_parallel", Layout { sequence_parallel: plan.tensor_parallel > 1, ..*plan }),
        ("offload", Layout { offload: Offload { optimizer: true, ..plan.offload }, ..*plan }),
        ("offload", Layout { offload: Offload { activations: true, ..plan.offload }, ..*plan }),
        ("offload", Layout { offload: Offload { weights: true, ..plan.offload }, ..*plan }),
    ];
    if plan.data_parallel.is_multiple_of(2) {
        let data_parallel = plan.data_parallel / 2;
        out.push(("tensor_parallel", Layout { data_parallel, tensor_parallel: plan.tensor_parallel * 2, ..*plan }));
        out.push(("pipeline_parallel", Layout { data_parallel, pipeline_parallel: plan.pipeline_parallel * 2, ..*plan }));
        out.push(("context_parallel", Layout { data_parallel, context_parallel: plan.context_parallel * 2, ..*plan }));
    }
    out.retain(|(_, other)| other != plan && other.micro_batch > 0);
    out
}
