//! Why a chip cannot do what a study asks.

use tetra_cluster::ServeMisfit;

use crate::study::Study;
use crate::train_fit::TrainReason;

/// Why a chip cannot do what is asked; the index names the service or run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AbilityMisfit {
    /// A service.
    Serve(usize, ServeMisfit),
    /// A training run.
    Train(usize, TrainReason),
}

impl AbilityMisfit {
    /// What is asked that no chip can answer.
    pub fn words(self, study: &Study) -> String {
        match self {
            Self::Serve(i, why) => format!("service \"{}\": {why}", study.services.get(i).map_or("", |s| &s.name)),
            Self::Train(i, why) => format!("training \"{}\": {why}", study.trainings.get(i).map_or("", |t| &t.name)),
        }
    }
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// A service that no chip can answer.
    #[error("{0}")]
    Ask(String),
    /// Suppliers that cannot be read.
    #[error("{0}")]
    Supply(String),
}
