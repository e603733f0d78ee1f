//! A safe door to HiGHS (Huangfu and Hall 2018), the solver of mixed-integer linear programmes: solve with duals, irreducible infeasible
//! subsystem, cheapest relaxation.
//!
//! The only file of this crate with unsafe code: every call passes pointers to vectors that outlive it and whose lengths were taken from
//! the same programme. One thread, fixed seed, no time limit, so that the same programme gives the same answer.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

use highs_sys::*;

use crate::input::Effort;
use crate::programme::{Answer, Programme, Solution};

/// Which bounds of a row or column take part in a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Index of the row or column.
    pub at: usize,
    /// Its lower bound takes part.
    pub lower: bool,
    /// Its upper bound takes part.
    pub upper: bool,
}

/// Bounds of rows and columns of a conflict that cannot be made smaller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Iis {
    pub rows: Vec<Bound>,
    pub columns: Vec<Bound>,
}

/// One HiGHS instance with one programme.
struct Highs {
    handle: *mut c_void,
    columns: usize,
    rows: usize,
}

impl Drop for Highs {
    fn drop(&mut self) {
        // SAFETY: the handle came from Highs_create and is destroyed only here.
        unsafe { Highs_destroy(self.handle) }
    }
}

fn int(n: usize) -> HighsInt {
    HighsInt::try_from(n).unwrap_or(HighsInt::MAX)
}

impl Highs {
    fn new(p: &Programme, effort: &Effort, relaxed: bool) -> Self {
        // SAFETY: creating an instance has no precondition.
        let handle = unsafe { Highs_create() };
        let this = Self { handle, columns: p.columns(), rows: p.rows() };
        this.flag(c"output_flag", false);
        this.whole(c"threads", 1);
        this.whole(c"random_seed", 0);
        this.whole(c"mip_max_nodes", HighsInt::try_from(effort.nodes).unwrap_or(HighsInt::MAX));
        this.number(c"mip_rel_gap", effort.gap);
        this.number(c"mip_abs_gap", 0.0);
        this.text(c"parallel", c"off");
        // A simplex that goes in circles ends, the same way everywhere: none that ends by itself takes a hundredth of it.
        this.whole(c"simplex_iteration_limit", int((p.columns() + p.rows()) * ITERATIONS));
        // Plans have few binaries: branching settles them sooner than whole programmes solved inside programmes.
        for name in [c"mip_heuristic_run_rins", c"mip_heuristic_run_rens", c"mip_heuristic_run_root_reduced_cost"] {
            this.flag(name, false);
        }
        this.pass(p, relaxed);
        this
    }

    fn flag(&self, name: &CStr, on: bool) {
        // SAFETY: valid handle and a NUL-terminated name.
        unsafe { Highs_setBoolOptionValue(self.handle, name.as_ptr(), HighsInt::from(on)) };
    }

    fn whole(&self, name: &CStr, value: HighsInt) {
        // SAFETY: valid handle and a NUL-terminated name.
        unsafe { Highs_setIntOptionValue(self.handle, name.as_ptr(), value) };
    }

    fn number(&self, name: &CStr, value: f64) {
        // SAFETY: valid handle and a NUL-terminated name.
        unsafe { Highs_setDoubleOptionValue(self.handle, name.as_ptr(), value) };
    }

    fn text(&self, name: &CStr, value: &CStr) {
        // SAFETY: valid handle and NUL-terminated texts.
        unsafe { Highs_setStringOptionValue(self.handle, name.as_ptr(), value.as_ptr()) };
    }

    fn pass(&self, p: &Programme, relaxed: bool) {
        let start: Vec<HighsInt> = p.start.iter().map(|&s| int(s)).collect();
        let index: Vec<HighsInt> = p.index.iter().map(|&s| int(s)).collect();
        let kind: Vec<HighsInt> =
            p.integer.iter().map(|&i| if i && !relaxed { kHighsVarTypeInteger } else { kHighsVarTypeContinuous }).collect();
        // SAFETY: every array has the length that the counts say: `columns`, `rows` or the number of entries; HiGHS copies them.
        unsafe {
            Highs_passMip(
                self.handle,
                int(self.columns),
                int(self.rows),
                int(index.len()),
                kHighsMatrixFormatRowwise,
                kHighsObjSenseMinimize,
                0.0,
                p.cost.as_ptr(),
                p.lower.as_ptr(),
                p.upper.as_ptr(),
                p.row_lower.as_ptr(),
                p.row_upper.as_ptr(),
                start.as_ptr(),
                index.as_ptr(),
                p.value.as_ptr(),
                kind.as_ptr(),
            )
        };
    }

    fn run(&self) -> HighsInt {
        // SAFETY: valid handle.
        unsafe {
            Highs_run(self.handle);
            Highs_getModelStatus(self.handle)
        }
    }

    fn info(&self, name: &CStr) -> f64 {
        let mut value = f64::NAN;
        // SAFETY: valid handle, NUL-terminated name, a place for one double.
        unsafe { Highs_getDoubleInfoValue(self.handle, name.as_ptr(), &raw mut value) };
        value
    }

    /// The values found; `None` if there are none.
    fn solution(&self) -> Option<Solution> {
        // Room for the columns and rows that a relaxation adds for a while.
        let room = 3 * (self.columns + self.rows);
        let (mut value, mut column_dual) = (vec![0.0; room], vec![0.0; room]);
        let (mut row_value, mut row_dual) = (vec![0.0; room], vec![0.0; room]);
        // SAFETY: HiGHS fills at most `columns` and `rows` places, three times as many after a relaxation; each array has that room.
        let (status, objective) = unsafe {
            let status =
                Highs_getSolution(self.handle, value.as_mut_ptr(), column_dual.as_mut_ptr(), row_value.as_mut_ptr(), row_dual.as_mut_ptr());
            (status, Highs_getObjectiveValue(self.handle))
        };
        value.truncate(self.columns);
        column_dual.truncate(self.columns);
        row_dual.truncate(self.rows);
        let sound = status != kHighsStatusError && objective.is_finite() && value.iter().all(|v| v.is_finite());
        sound.then_some(Solution { objective, bound: objective, value, row_dual, column_dual })
    }

    fn start_at(&self, start: &[(usize, f64)]) {
        let index: Vec<HighsInt> = start.iter().map(|&(c, _)| int(c)).collect();
        let value: Vec<f64> = start.iter().map(|&(_, v)| v).collect();
        // SAFETY: both arrays have the stated number of entries.
        unsafe { Highs_setSparseSolution(self.handle, int(index.len()), index.as_ptr(), value.as_ptr()) };
    }

    /// Fixes every integer column at the rounded value and solves what is left, for duals.
    fn fix(&self, p: &Programme, value: &[f64]) -> Option<Solution> {
        for (c, v) in value.iter().enumerate().filter(|(c, _)| p.integer[*c]) {
            // SAFETY: valid handle and a column index below `columns`.
            unsafe { Highs_changeColBounds(self.handle, int(c), v.round(), v.round()) };
        }
        // SAFETY: valid handle.
        unsafe { Highs_clearIntegrality(self.handle) };
        if self.run() == kHighsModelStatusOptimal { self.solution() } else { None }
    }
}

/// Minimises. `start` holds values of some columns of a known good answer.
pub(crate) fn solve(p: &Programme, effort: &Effort, start: &[(usize, f64)]) -> Answer {
    let highs = Highs::new(p, effort, false);
    let mixed = p.integer.iter().any(|&i| i);
    if mixed && !start.is_empty() {
        highs.start_at(start);
    }
    let status = highs.run();
    if status == kHighsModelStatusInfeasible || status == kHighsModelStatusUnboundedOrInfeasible {
        return Answer::Infeasible;
    }
    let stopped = status != kHighsModelStatusOptimal;
    let usable = !stopped || (mixed && highs.has_values());
    let Some(found) = highs.solution().filter(|_| usable) else { return Answer::Stopped(word(status)) };
    if !mixed {
        return Answer::Solved(found);
    }
    let bound = highs.info(c"mip_dual_bound");
    match highs.fix(p, &found.value) {
        Some(fixed) => Answer::Solved(Solution { bound: bound.min(fixed.objective), ..fixed }),
        None => Answer::Solved(Solution { bound, ..found }),
    }
}

/// Iterations of a simplex per column and row.
const ITERATIONS: usize = 1 << 10;

impl Highs {
    fn has_values(&self) -> bool {
        let mut status: HighsInt = 0;
        // SAFETY: valid handle, NUL-terminated name, a place for one integer.
        unsafe { Highs_getIntInfoValue(self.handle, c"primal_solution_status".as_ptr(), &raw mut status) };
        status == kHighsSolutionStatusFeasible
    }

    /// Rows of a certificate that the relaxation has no answer.
    fn ray_rows(&self) -> Vec<usize> {
        let mut has: HighsInt = 0;
        let mut ray = vec![0.0; self.rows];
        // SAFETY: a place for one integer and one array of `rows` places.
        unsafe { Highs_getDualRay(self.handle, &raw mut has, ray.as_mut_ptr()) };
        if has == 0 {
            return (0..self.rows).collect();
        }
        let top = ray.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        (0..self.rows).filter(|&r| ray[r].abs() > top * 1e-9).collect()
    }

    fn iis(&self) -> Iis {
        let (mut columns, mut rows): (HighsInt, HighsInt) = (0, 0);
        let (mut column_index, mut row_index) = (vec![0; self.columns], vec![0; self.rows]);
        let (mut column_bound, mut row_bound) = (vec![0; self.columns], vec![0; self.rows]);
        // SAFETY: the arrays have room for all columns and rows; null is allowed for what is not wanted.
        unsafe {
            Highs_getIis(
                self.handle,
                &raw mut columns,
                &raw mut rows,
                column_index.as_mut_ptr(),
                row_index.as_mut_ptr(),
                column_bound.as_mut_ptr(),
                row_bound.as_mut_ptr(),
                null_mut(),
                null_mut(),
            )
        };
        Iis { columns: bounds(&column_index, &column_bound, columns), rows: bounds(&row_index, &row_bound, rows) }
    }
}

fn bounds(index: &[HighsInt], bound: &[HighsInt], n: HighsInt) -> Vec<Bound> {
    let taken = index.iter().zip(bound).take(usize::try_from(n).unwrap_or(0));
    let read = |(&at, &b): (&HighsInt, &HighsInt)| {
        let both = b == kHighsIisBoundBoxed;
        let at = usize::try_from(at).ok()?;
        Some(Bound { at, lower: both || b == kHighsIisBoundLower, upper: both || b == kHighsIisBoundUpper })
    };
    taken.filter_map(read).collect()
}

/// Rows and column bounds that cannot hold together, none of which can be left out, integers let go. Empty if HiGHS finds none.
pub(crate) fn conflict(p: &Programme, effort: &Effort) -> Iis {
    let highs = Highs::new(p, effort, true);
    highs.text(c"presolve", c"off");
    highs.run();
    let rows = highs.ray_rows();
    let small = p.only_rows(&rows);
    let highs = Highs::new(&small, effort, true);
    highs.whole(c"iis_strategy", kHighsIisStrategyFromLpRowPriority);
    let iis = highs.iis();
    if iis.rows.is_empty() && iis.columns.is_empty() {
        return Iis { rows: rows.into_iter().map(|at| Bound { at, lower: true, upper: true }).collect(), columns: Vec::new() };
    }
    Iis { rows: iis.rows.into_iter().filter_map(|b| rows.get(b.at).map(|&at| Bound { at, ..b })).collect(), ..iis }
}

/// Values that break upper bounds of columns and rows as cheaply as possible; a negative price forbids breaking.
pub(crate) fn relax(p: &Programme, effort: &Effort, column_usd: &[f64], row_usd: &[f64]) -> Option<Vec<f64>> {
    debug_assert!(column_usd.len() == p.columns() && row_usd.len() == p.rows());
    let highs = Highs::new(p, effort, true);
    // SAFETY: the price arrays have `columns` and `rows` places; null means that the global price (never) holds.
    let status = unsafe { Highs_feasibilityRelaxation(highs.handle, -1.0, -1.0, -1.0, null(), column_usd.as_ptr(), row_usd.as_ptr()) };
    if status == kHighsStatusError { None } else { highs.solution().map(|s| s.value) }
}

fn word(status: HighsInt) -> &'static str {
    match status {
        s if s == kHighsModelStatusSolutionLimit => "node limit reached",
        s if s == kHighsModelStatusUnbounded => "unbounded",
        s if s == kHighsModelStatusIterationLimit => "iteration limit reached",
        s if s == kHighsModelStatusModelEmpty => "empty",
        s if s == kHighsModelStatusModelError => "broken programme",
        _ => "no answer",
    }
}
