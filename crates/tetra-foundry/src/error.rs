//! Why a chip cannot be made as asked: what was asked, what was there, which knob relieves it.

use std::fmt;

/// A result that may not fit.
pub type Fit<T> = Result<T, Misfit>;

/// A reason why a package cannot be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Misfit {
    /// The die is larger than an exposure field.
    Reticle {
        /// Width of the die, mm.
        width_mm: f64,
        /// Height of the die, mm.
        height_mm: f64,
        /// Width of the field, mm.
        field_width_mm: f64,
        /// Height of the field, mm.
        field_height_mm: f64,
    },
    /// The interposer is larger than the package technology can make.
    Interposer {
        /// Area asked for, mm2.
        asked_mm2: f64,
        /// Largest area, mm2.
        limit_mm2: f64,
    },
    /// No whole die or interposer fits on the wafer.
    NoDie,
    /// No die would be sellable.
    NoYield,
    /// The die size is not known.
    DieUnknown,
    /// No row names the process node.
    UnknownNode,
    /// No row names the memory kind.
    UnknownMemory,
    /// No row names the package kind.
    UnknownPackage,
    /// A stacked memory stands on a package without an interposer.
    NoInterposer,
    /// More cores must work than are laid out, or there are none.
    Cores {
        /// Cores that must work.
        needed: u64,
        /// Cores laid out.
        built: u64,
    },
    /// An input is negative, not finite or zero where it must not be.
    BadInput,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Reticle { width_mm, height_mm, field_width_mm, field_height_mm } => write!(
                f,
                "the die is {width_mm:.1} x {height_mm:.1} mm, the exposure field {field_width_mm:.1} x {field_height_mm:.1} mm: \
                 fewer cores or less memory on the die, more dies, or a denser node"
            ),
            Self::Interposer { asked_mm2, limit_mm2 } => write!(
                f,
                "the interposer needs {asked_mm2:.0} mm2, the package technology makes up to {limit_mm2:.0} mm2: \
                 fewer memory stacks, fewer or smaller dies, or a larger package kind"
            ),
            Self::NoDie => f.write_str("no whole die fits on the wafer: a smaller die"),
            Self::NoYield => {
                f.write_str("no die would be sellable at this defect density: more spare cores, a smaller die, or an older node")
            }
            Self::DieUnknown => f.write_str("the size of the die is not known: give silicon.die_width and silicon.die_height"),
            Self::UnknownNode => f.write_str("the process node has no rows in the foundry table: choose one that has"),
            Self::UnknownMemory => f.write_str("the memory kind has no rows in the foundry table: choose one that has"),
            Self::UnknownPackage => f.write_str("the package kind has no rows in the foundry table: choose one that has"),
            Self::NoInterposer => f.write_str("stacked memory needs a package with an interposer: choose such a package, or no stacks"),
            Self::Cores { needed, built } => {
                write!(f, "{needed} cores must work of {built} laid out: lay out more cores, or ask for fewer")
            }
            Self::BadInput => f.write_str("a size, count, capacity or year is negative, zero or not finite: correct the chip"),
        }
    }
}

impl std::error::Error for Misfit {}
