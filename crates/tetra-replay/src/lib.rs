//! Checks a mapping certificate: is the mapping legal, does it cost what is said, is the bound one?
//!
//! Shares no code with the mapper. The mapping is carried out on a shrunken copy of the op with explicit sets of words, which tests the
//! closed form of this crate; the closed form then gives the words of the whole op.

pub mod bound;
pub mod check;
pub mod execute;
pub mod formula;
pub mod legal;
pub mod paper;
pub mod price;
pub mod shrink;
pub mod tally;

pub use check::{Finding, Report, check, check_list};
