//! The exact mapper: an op on a chain of memory levels, every mapping of a stated space considered, the best one proved best.

mod bound;
mod certificate;
mod count;
mod from_chip;
mod fused;
mod loops;
mod machine;
mod objective;
mod op;
mod power;
mod price;
mod problem;
mod read;
mod search;
mod solve;
mod space;
mod spread;
mod walk;
mod words;

pub use bound::Boundary;
pub use certificate::{Certificate, LowerBound, certify};
pub use count::{Moved, NestCounts, count};
pub use fused::{FoundPair, Pair, fuse};
pub use loops::{Nest, Step};
pub use machine::{ComputeUnit, Dataflow, Fanout, Level, MOST_FANOUTS, MOST_LEVELS, Machine, Roles};
pub use objective::Objective;
pub use op::{MapOp, OpError, named_bits, read_op};
pub use power::Settled;
pub use price::{Mode, NestCost, price};
pub use problem::{MOST_RANKS, MOST_TENSORS, Problem, Rank, Sizes, Tensor, Work};
pub use search::{Found, Tally, front, search, search_exhaustively};
pub use solve::{SolveError, Solved, SolvedOne, SolvedPair, solve};
pub use walk::Mask;
pub use words::{Described, LevelRow, describe};
