//! The study: what is asked, which options answer it, what each costs, and which wins. Text in, values out: no files, no clock, no screens.

mod ability;
mod answer;
mod architect;
mod cash;
mod cashflow;
mod compare;
mod confidential;
mod demand;
mod draw;
mod estimate;
mod evaluate;
mod explain;
mod grid;
mod input_words;
mod inputs;
mod market;
mod memo;
mod model_error;
mod options;
mod outcome;
mod pareto;
#[cfg(feature = "plan")]
mod plan_report;
#[cfg(feature = "plan")]
mod planned;
mod planner;
mod probe;
mod problem;
mod progress;
mod reader;
mod regret;
mod reoptimise;
pub mod report;
mod ruled;
mod rules;
mod run;
mod scaling;
mod scenario;
mod search;
mod section;
mod stand;
mod study;
#[cfg(feature = "plan")]
mod supply;
mod tables;
mod tenure;
mod train_fit;
pub mod validate;
mod verdict;

pub use answer::{Answer, RunError, run};
pub use cashflow::{Ledger, Line, LineKind, discounted_tokens};
pub use demand::between;
pub use estimate::{Bridging, Estimate, Kind, Means, Rent, Unit, estimate};
pub use explain::{Node, explain};
pub use grid::{AXES, Grid, Point};
pub use inputs::{Constants, InputError, InputTexts, Inputs};
pub use market::Market;
pub use pareto::{Goals, dominates, front};
pub use probe::Probe;
pub use problem::{Problem, StudyError};
pub use progress::{Progress, Quiet};
pub use reader::read_study;
pub use study::{Frame, Month, Search, Service, SiteChoice, Study, SupplyRules, Training};
pub use tables::DesignRow;
