//! Chips: what an accelerator is, how an op is mapped onto it, how long it takes, what energy and area it costs. No money, no months.

pub mod area;
mod attention;
pub mod bound;
mod chip;
mod constants;
mod cost;
pub mod describe;
pub mod energy;
mod error;
pub mod facts;
mod kernel;
mod machine;
pub mod mapper;
mod mapping;
mod read;
mod set;
pub mod template;
mod timer;
pub mod timing;

pub use bound::lower_bound;
pub use chip::*;
pub use constants::*;
pub use cost::*;
pub use error::{ChipError, Fit, Misfit};
pub use kernel::{KernelColumns, KernelRefusal, Launch, kernel_time, op_of};
pub use set::ChipSet;
pub use timer::{FixedHasher, FixedState, MappingStore, Timer};
