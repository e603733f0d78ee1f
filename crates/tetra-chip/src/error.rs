//! Errors of this crate: mistakes in a chip file, each with its place, and designs that do not fit, as small values.

use tetra_quantity::SquareMetres;

/// One mistake in a chip file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {cause}: {mend}")]
pub struct ChipError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Bytes of the text that are wrong.
    pub span: std::ops::Range<usize>,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub mend: String,
}

/// Why a design of the template cannot be built.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Misfit {
    /// One die is larger than an exposure field.
    Reticle {
        /// Area asked for.
        area: SquareMetres,
        /// Area of the field.
        field: SquareMetres,
    },
    /// PHYs of memory and links need more die edge than there is.
    Shoreline {
        /// Edge asked for, in millimetres.
        asked_mm: f64,
        /// Edge there is, in millimetres.
        there_mm: f64,
    },
    /// The power at full load exceeds what the best cooling carries off.
    Heat {
        /// Watts of the package.
        watts: f64,
        /// Watts that can be cooled.
        limit: f64,
    },
    /// The scratchpad does not hold two slabs of the smallest tile.
    LocalTooSmall {
        /// Bytes needed.
        asked: f64,
        /// Bytes there.
        there: f64,
    },
    /// A number of the design is zero, not finite or beyond its range.
    OutOfRange {
        /// Field of the design.
        field: &'static str,
    },
    /// The technology tables hold no such process node or memory kind.
    Unknown {
        /// Field of the design.
        field: &'static str,
    },
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Reticle { area, field } => {
                write!(
                    f,
                    "a die of {area} does not fit the exposure field of {field}: lower cores, arrays_per_core or global, or raise dies"
                )
            }
            Self::Shoreline { asked_mm, there_mm } => write!(
                f,
                "memory and link PHYs need {asked_mm:.0} mm of die edge, the die has {there_mm:.0} mm: lower hbm_stacks or scale_up, or raise dies"
            ),
            Self::Heat { watts, limit } => {
                write!(f, "the package would draw {watts:.0} W, cooling carries off {limit:.0} W: lower cores, arrays_per_core or clock")
            }
            Self::LocalTooSmall { asked, there } => {
                write!(f, "a tile needs {asked:.0} B of scratchpad, a core has {there:.0} B: raise local or lower array_rows")
            }
            Self::OutOfRange { field } => write!(f, "{field} of the design is zero, not finite or out of range: correct {field}"),
            Self::Unknown { field } => write!(f, "the technology tables do not know this {field}: use a row of data/technology.csv"),
        }
    }
}

impl std::error::Error for Misfit {}

/// A design's value or the reason why it does not fit.
pub type Fit<T> = Result<T, Misfit>;
