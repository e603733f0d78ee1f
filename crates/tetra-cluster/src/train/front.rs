//! The Pareto front of a space: plans that no other plan beats in both time and memory, whether they fit the chip or not.
//!
//! A column (base, sharding, schedule) is skipped where a known plan is faster than the column's least time and smaller than its least memory: that of the plan that
//! off-loads whatever the space allows and recomputes nothing, or all, whichever is less. The rest of a chain is skipped likewise. Where plans tie in both, the first found stays.

use crate::train::frame::{Frame, Job};
use crate::train::layout::{Layout, Offload, Recompute};
use crate::train::misfit::Fit;
use crate::train::search::Searcher;
use crate::train::seek::{ROUNDING, bound};
use crate::train::space::PlanSpace;
use crate::train::step::{Priced, TrainStep, price};

/// Plans by ascending time and falling memory.
#[derive(Default)]
struct Front {
    points: Vec<(f64, f64, Layout)>,
}

impl Front {
    /// Whether a known plan is as fast and as small.
    fn covers(&self, time: f64, memory: f64) -> bool {
        let faster = self.points.partition_point(|p| p.0 <= time);
        faster > 0 && self.points[faster - 1].1 <= memory
    }

    fn consider(&mut self, layout: &Layout, p: &Priced) {
        let (time, memory) = (p.time, p.memory.total().value());
        if !time.is_finite() || self.covers(time, memory) {
            return;
        }
        let from = self.points.partition_point(|p| p.0 < time);
        let beaten = self.points[from..].iter().take_while(|p| p.1 >= memory).count();
        self.points.splice(from..from + beaten, [(time, memory, *layout)]);
    }

    fn excludes(&self, least: f64, memory: f64) -> bool {
        !least.is_finite() || self.covers(least * (1.0 - ROUNDING), memory * (1.0 - ROUNDING))
    }

    fn column(&mut self, job: &Job<'_>, space: &PlanSpace, column: &Layout, frame: &Frame) {
        let at = |recompute, offload| price(job, frame, &Layout { recompute, offload, ..*column });
        let off = space.most_offload();
        let floor = [Recompute::None, Recompute::Full].map(|r| at(r, off).memory.total().value());
        if self.excludes(at(Recompute::None, Offload::NONE).least, floor[0].min(floor[1])) {
            return;
        }
        let chain = space.chain(&job.ask, column);
        for &offload in &space.offloads {
            if space.selective() {
                self.consider(&Layout { recompute: Recompute::Selective, offload, ..*column }, &at(Recompute::Selective, offload));
            }
            let least = at(Recompute::Full, offload).memory.total().value();
            for i in 0..chain.len() {
                let layout = Layout { recompute: chain.at(i), offload, ..*column };
                let priced = price(job, frame, &layout);
                if i > 0 && self.excludes(bound(job, frame, &layout, &priced), least) {
                    break;
                }
                self.consider(&layout, &priced);
            }
        }
    }
}

impl Searcher<'_> {
    /// The Pareto front of time against memory, fastest first.
    ///
    /// # Errors
    /// A layout that ran in the search and does not afterwards.
    pub fn front(&mut self, space: &PlanSpace) -> Fit<Vec<TrainStep>> {
        let mut front = Front::default();
        let bases = space.bases(&self.job.ask, self.job.network.domain);
        let (order, _) = self.ordered(space, &bases);
        let job = self.job;
        for i in order.into_iter().map(|o| o.1) {
            let frame = self.frame(&bases[i])?;
            for column in space.columns(&job.ask, &bases[i]) {
                front.column(&job, space, &column, frame);
            }
        }
        front.points.iter().map(|p| self.step_unbound(&p.2)).collect()
    }
}
