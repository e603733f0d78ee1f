//! Chips: what an accelerator is, how an op is mapped onto it, how long it takes, what energy and area it costs. No money, no months.

pub mod area;
mod attention;
pub mod bound;
mod chip;
mod constants;
mod cost;
pub mod describe;
pub mod drawing;
pub mod energy;
mod error;
pub mod facts;
pub mod floorplan;
pub mod import;
mod kernel;
mod machine;
pub mod mapper;
mod mapping;
pub mod nest;
mod read;
pub mod row_stationary;
mod section;
mod set;
pub mod systolic;
pub mod template;
mod timer;
pub mod timing;
pub mod weight_stationary;

pub use bound::lower_bound;
pub use chip::*;
pub use constants::*;
pub use cost::*;
pub use error::{ChipError, Fit, Misfit};
pub use kernel::{KernelColumns, KernelRefusal, Launch, kernel_time, launches_of, op_of};
pub use set::ChipSet;
pub use timer::{FixedHasher, FixedState, MappingStore, Timer};
