//! The supply plan: who delivers what when, at which discounted cost, and what holds it back.
//!
//! A monthly time-expanded mixed-integer programme from wafer starts to chips standing at sites with power, solved by HiGHS with one thread,
//! a fixed seed and no time limit. Nothing here knows an operation or a token: demand arrives in chips.

#[cfg(test)]
extern crate self as tetra_plan;

mod chain;
mod check;
mod conflict;
mod error;
mod gantt;
mod highs;
mod input;
mod invest;
#[cfg(test)]
mod judge;
mod model;
mod place;
mod plan;
mod prices;
mod programme;
mod solution;
mod stress;
mod suppliers;

pub use error::PlanError;
pub use gantt::{Activity, Bar, bars};
pub use input::*;
pub use invest::{CoInvestment, co_investments};
pub use plan::*;
pub use stress::{SecondSource, Stress, StressOutcome, country_rule_cost, rule_costs, stress};
pub use suppliers::{OutageTable, PlanConstants, SupplierTable};

use crate::model::Model;
use crate::programme::Solution;

/// The cheapest plan, or why there is none.
///
/// # Errors
/// Broken input, or a solver that stopped without an answer.
pub fn solve(input: &PlanInput) -> Result<PlanOutcome, PlanError> {
    Ok(match best(input, &[], |_| {})? {
        Ok((model, found)) => PlanOutcome::Planned(Box::new(solution::plan(input, &model, &found))),
        Err(conflict) => PlanOutcome::Infeasible(conflict),
    })
}

/// Values with their programme, or why there are none.
type Best = Result<(Model, Solution), Conflict>;

/// The best values of the programme after `change`; `start` holds values of some columns of an answer that is known.
pub(crate) fn best(input: &PlanInput, start: &[(usize, f64)], change: impl Fn(&mut Model)) -> Result<Best, PlanError> {
    check::check(input)?;
    let mut model = Model::of(input);
    change(&mut model);
    Ok(match stress::answer(&model, input, start)? {
        Some(found) => Ok((model, found)),
        None => Err(conflict::conflict(input, &model)),
    })
}
