//! The fastest plan of a space that fits the memory, by pricing every plan or by exact pruning; both give the same plan.
//!
//! Order of plans: time, then the order of [`Layout`]. Pruning uses six facts (each held by a test that tries every plan of small spaces):
//! 1. *split*: no plan of a base is faster than its microbatches' compute on the stage with the most of it, the slowest chip waited for;
//! 2. *column*: with base, sharding and schedule given, no plan is faster than the one that recomputes and off-loads nothing and hides of its exchange all that may hide
//!    (`least`, which drops the bound that a step's compute sets to hiding, so that it can only grow with what is recomputed);
//! 3. *off-loading* never makes a plan's `least` smaller;
//! 4. *recompute*: `least` of plans that off-load nothing never falls with the number of layers recomputed; with 3 it bounds those that off-load, too;
//! 5. *memory*: among plans that recompute at least one layer, memory never grows with their number; so the fewest that fit are found by halving, and where
//!    recomputing all does not fit, nothing does;
//! 6. the best of a list is found whatever the order in which it is tried, so bases are tried by their bound, and the first whose bound is above the best ends the search.
//!
//! A bound must exceed the best by more than the rounding of a few hundred sums before it cuts.

use crate::train::frame::{Frame, Job};
use crate::train::layout::{Layout, Offload, Recompute};
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::search::Searcher;
use crate::train::space::PlanSpace;
use crate::train::step::{Priced, TrainStep, price};

/// Rounding that no bound relies on.
pub(crate) const ROUNDING: f64 = 1e-12;

/// Plans that were never priced, by the rule that excluded them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct PlansCut {
    /// The base's compute alone takes longer than the best.
    pub split: u64,
    /// The column takes longer than the best even with nothing recomputed or off-loaded.
    pub column: u64,
    /// So much off-loading takes longer than the best even with nothing recomputed.
    pub offload: u64,
    /// So much recomputation takes longer than the best.
    pub recompute: u64,
    /// Does not fit because recomputing more does not.
    pub memory: u64,
}

impl PlansCut {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.split + self.column + self.offload + self.recompute + self.memory
    }
}

/// What a search found. Every plan of the space was priced or cut.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TrainFound {
    /// The fastest step that fits.
    pub best: TrainStep,
    /// Plans of the space.
    pub plans: u64,
    /// Plans whose time was compared, or that were found too large one by one.
    pub priced: u64,
    /// Plans excluded unseen.
    pub cut: PlansCut,
}

/// The state of a search.
struct Seek<'a> {
    job: Job<'a>,
    have: f64,
    best: Option<(f64, Layout)>,
    plans: u64,
    priced: u64,
    cut: PlansCut,
}

impl Seek<'_> {
    /// Whether a bound excludes.
    fn excludes(&self, least: f64) -> bool {
        // What is not finite cannot run at all.
        !least.is_finite() || self.best.is_some_and(|(time, _)| least * (1.0 - ROUNDING) > time)
    }

    fn fits(&self, p: &Priced) -> bool {
        p.memory.total().value() <= self.have && p.memory.host <= self.job.network.host.memory
    }

    fn price(&self, frame: &Frame, layout: &Layout) -> Priced {
        price(&self.job, frame, layout)
    }

    fn consider(&mut self, layout: &Layout, p: &Priced) {
        self.priced += 1;
        if self.fits(p) && p.time.is_finite() && self.best.is_none_or(|(time, known)| (p.time, *layout) < (time, known)) {
            self.best = Some((p.time, *layout));
        }
    }

    /// Prices every plan of a base.
    fn every(&mut self, space: &PlanSpace, base: &Layout, frame: &Frame) {
        let job = self.job;
        for column in space.columns(&self.job.ask, base) {
            space.open(&job.ask, &column, |plan| {
                let priced = price(&job, frame, &plan);
                self.consider(&plan, &priced);
            });
        }
    }

    /// Prices what may be the best of a column.
    fn column(&mut self, space: &PlanSpace, column: &Layout, frame: &Frame) {
        let resting = Layout { recompute: Recompute::None, offload: Offload::NONE, ..*column };
        if self.excludes(self.price(frame, &resting).least) {
            self.cut.column += space.column(&self.job.ask, column);
            return;
        }
        for &offload in &space.offloads {
            self.offloaded(space, &Layout { offload, ..resting }, frame);
        }
    }

    /// Prices what may be the best of a column with given off-loading.
    fn offloaded(&mut self, space: &PlanSpace, none: &Layout, frame: &Frame) {
        let chain = space.chain(&self.job.ask, none);
        let none = &Layout { recompute: chain.at(0), ..*none };
        let priced = self.price(frame, none);
        if self.excludes(bound(&self.job, frame, none, &priced)) {
            self.cut.offload += chain.len() + u64::from(space.selective());
            return;
        }
        self.consider(none, &priced);
        if space.selective() {
            let layout = Layout { recompute: Recompute::Selective, ..*none };
            let priced = self.price(frame, &layout);
            self.consider(&layout, &priced);
        }
        let from = if self.fits(&priced) { 1 } else { self.fewest(chain.len(), |i| Layout { recompute: chain.at(i), ..*none }, frame) };
        self.cut.memory += from - 1;
        for i in from..chain.len() {
            let layout = Layout { recompute: chain.at(i), ..*none };
            let priced = self.price(frame, &layout);
            if self.excludes(bound(&self.job, frame, &layout, &priced)) {
                self.cut.recompute += chain.len() - i;
                return;
            }
            self.consider(&layout, &priced);
        }
    }

    /// The first step of a chain, not counting none, that fits; its length if none does.
    fn fewest(&self, length: u64, at: impl Fn(u64) -> Layout, frame: &Frame) -> u64 {
        let (mut low, mut high) = (1, length);
        if !self.fits(&self.price(frame, &at(length - 1))) {
            return length;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.fits(&self.price(frame, &at(middle))) { high = middle } else { low = middle + 1 }
        }
        low
    }
}

/// No plan that recomputes as much or more with the same off-loading is faster. What moves each microbatch is copied faster where more is recomputed, so that
/// such a plan is bounded by the one that off-loads nothing.
pub(crate) fn bound(job: &Job<'_>, frame: &Frame, plan: &Layout, priced: &Priced) -> f64 {
    if plan.offload.moves() { price(job, frame, &Layout { offload: Offload::NONE, ..*plan }).least } else { priced.least }
}

impl<'a> Searcher<'a> {
    fn seek(&self) -> Seek<'a> {
        let have = self.job.chip.memory.hbm.value();
        Seek { job: self.job, have, best: None, plans: 0, priced: 0, cut: PlansCut::default() }
    }

    /// The fastest plan of a space, every plan priced.
    ///
    /// # Errors
    /// `NoLayout` when nothing fits.
    pub fn search_exhaustively(&mut self, space: &PlanSpace) -> Fit<TrainFound> {
        let mut seek = self.seek();
        for base in space.bases(&self.job.ask, self.job.network.domain) {
            let Ok(frame) = self.frame(&base) else { continue };
            seek.plans += space.plans(&seek.job.ask, &base);
            seek.every(space, &base, frame);
        }
        self.found(space, &seek)
    }

    /// The fastest plan of a space, by exact pruning.
    ///
    /// # Errors
    /// `NoLayout` when nothing fits.
    pub fn search(&mut self, space: &PlanSpace) -> Fit<TrainFound> {
        let bases = space.bases(&self.job.ask, self.job.network.domain);
        self.search_bases(space, &bases)
    }

    /// Bases that can run, by their bounds, and the plans of all of them.
    pub(crate) fn ordered(&mut self, space: &PlanSpace, bases: &[Layout]) -> (Vec<(f64, usize)>, u64) {
        let (mut order, mut plans) = (Vec::with_capacity(bases.len()), 0);
        let job = self.job;
        for (i, base) in bases.iter().enumerate() {
            let Ok(frame) = self.frame(base) else { continue };
            plans += space.plans(&job.ask, base);
            order.push((frame.least(), i));
        }
        order.sort_unstable_by(|a: &(f64, usize), b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        (order, plans)
    }

    /// The fastest step with given degrees of tensor, pipeline, data and context parallelism.
    pub(crate) fn fastest(&mut self, grid: [u64; 4], space: &PlanSpace) -> Fit<TrainStep> {
        let mut bases = Vec::new();
        space.on_grid(&self.job.ask, grid, &mut bases);
        self.search_bases(space, &bases).map(|f| f.best)
    }

    fn search_bases(&mut self, space: &PlanSpace, bases: &[Layout]) -> Fit<TrainFound> {
        let (order, plans) = self.ordered(space, bases);
        let mut seek = Seek { plans, ..self.seek() };
        for &(least, i) in &order {
            let base = &bases[i];
            if seek.excludes(least) {
                seek.cut.split += space.plans(&seek.job.ask, base);
                continue;
            }
            let frame = self.frame(base)?;
            for column in space.columns(&seek.job.ask.clone(), base) {
                seek.column(space, &column, frame);
            }
        }
        self.found(space, &seek)
    }

    fn found(&mut self, space: &PlanSpace, seek: &Seek<'_>) -> Fit<TrainFound> {
        let (_, layout) = seek.best.ok_or(TrainMisfit::NoLayout { chips: space.chips })?;
        let best = self.step_unbound(&layout)?;
        Ok(TrainFound { best, plans: seek.plans, priced: seek.priced, cut: seek.cut })
    }
}
