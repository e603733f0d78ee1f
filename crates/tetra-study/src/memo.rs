//! What the chips of a grid can do, kept while only prices, supply and the height of demand change.
//!
//! Everything here is a pure function of chip, models and limits, so that a search in another world finds what one in the first world found. What a
//! search never asked for stays empty. Leaves out: layouts chosen for a demand that one worker exceeds; those are searched anew.

use std::sync::OnceLock;

use tetra_cluster::Serving;
use tetra_cluster::serve::Bound;

use crate::misfit::AbilityMisfit;
use crate::train_fit::{TrainAbility, TrainReason};

/// One chip.
#[derive(Debug, Default)]
pub struct Known {
    /// What no layout can beat, by service.
    pub bounds: OnceLock<Result<Vec<Bound>, AbilityMisfit>>,
    /// The smallest fleets, by training run.
    pub trainings: OnceLock<Result<Vec<TrainAbility>, (usize, TrainReason)>>,
    /// The cheapest layout per token, by service.
    pub services: Vec<OnceLock<Result<Serving, AbilityMisfit>>>,
}

impl Known {
    /// Nothing, about a chip that is asked `services` services.
    pub fn nothing(services: usize) -> Self {
        Self { services: (0..services).map(|_| OnceLock::new()).collect(), ..Self::default() }
    }
}

/// All chips of a grid, by number.
#[derive(Debug)]
pub struct Memo {
    chips: Vec<OnceLock<Box<Known>>>,
    services: usize,
}

impl Memo {
    /// Nothing, about a grid of `chips` that are asked `services` services.
    pub fn nothing(chips: usize, services: usize) -> Self {
        Self { chips: (0..chips).map(|_| OnceLock::new()).collect(), services }
    }

    /// What is known of chip `id`.
    pub fn of(&self, id: usize) -> &Known {
        self.chips[id].get_or_init(|| Box::new(Known::nothing(self.services)))
    }
}
