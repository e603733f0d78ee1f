//! What a search makes least.

/// What is to be least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Time, then energy.
    Time,
    /// Energy, then time.
    Energy,
    /// Their product, then energy.
    Edp,
}

impl Objective {
    /// The figures to compare, the first one first.
    pub(crate) fn key(self, energy: f64, cycles: f64) -> (f64, f64) {
        match self {
            Self::Time => (cycles, energy),
            Self::Energy => (energy, cycles),
            Self::Edp => (energy * cycles, energy),
        }
    }
}
