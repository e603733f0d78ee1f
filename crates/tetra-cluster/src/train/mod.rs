//! Training: one step of a layout, the best layout of a job, and the step that a row of published measurements timed.

mod ask;
pub(crate) mod constants;
mod layout;
mod memory;
pub(crate) mod misfit;
mod piece;
mod row;
mod search;
mod stage;
mod step;

pub use ask::{Kernels, TrainAsk};
pub use constants::{RowDefaults, TrainConstants};
pub use layout::{Layout, Recompute, StateSharding};
pub use memory::{TrainMemory, checkpoint_bytes};
pub use misfit::{Fit, TrainMisfit};
pub use row::{TrainMetric, TrainPrediction, TrainRow, predict, shape};
pub use search::{SearchLimits, Searcher, TrainFound, TrainRun, layouts};
pub use step::{TrainBreakdown, TrainStep, model_flop, peak_flop_per_second, step, step_unbound};
