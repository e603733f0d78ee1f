//! Data tables and chips as the tests read them.
#![allow(dead_code)]

use tetra_chip::{Chip, ChipConstants, ChipSet, Timer};
use tetra_cluster::ClusterConstants;
use tetra_quantity::{TableText, Tables};

/// All tables that this crate needs.
pub fn tables() -> Tables {
    let file = |name, text| TableText { name, text };
    Tables::parse(
        &[
            file("ranges.csv", include_str!("../../../../data/ranges.csv")),
            file("calibration.csv", include_str!("../../../../data/calibration.csv")),
            file("training.csv", include_str!("../../../../data/training.csv")),
            file("network.csv", include_str!("../../../../data/network.csv")),
            file("serving.csv", include_str!("../../../../data/serving.csv")),
            file("technology.csv", include_str!("../../../../data/technology.csv")),
            file("benchmarks.csv", include_str!("../../../../data/benchmarks.csv")),
        ],
        include_str!("../../../../data/sources.toml"),
    )
    .expect("the data tables are well formed")
}

/// Constants and two chips.
pub struct World {
    pub cluster: ClusterConstants,
    pub constants: ChipConstants,
    chips: ChipSet,
}

impl World {
    /// Reads everything.
    pub fn new() -> Self {
        let tables = tables();
        let chips =
            [("a100", include_str!("../../../../data/chips/a100.toml")), ("h100", include_str!("../../../../data/chips/h100.toml"))];
        Self {
            cluster: ClusterConstants::from_tables(&tables).expect("rows exist"),
            constants: ChipConstants::from_tables(&tables).expect("rows exist"),
            chips: ChipSet::parse(chips).expect("chip files are well formed"),
        }
    }

    /// A chip by name.
    pub fn chip(&self, name: &str) -> Chip {
        self.chips.find(name).expect("the chip is known").clone()
    }

    /// A timer for it.
    pub fn timer<'a>(&'a self, chip: &'a Chip) -> Timer<'a> {
        Timer::new(chip, &self.constants)
    }
}
