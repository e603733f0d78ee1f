//! Constants of the cluster: every number comes from rows of `network.csv`, `training.csv` and `calibration.csv`.

use tetra_quantity::{Bytes, BytesPerSecond, DataError, Seconds, Tables};

use crate::goodput::FailureConstants;
use crate::train::constants::{RowDefaults, TrainConstants};

/// One way in which a library moves data: what it costs to start, to take a step, and which share of the wire it fills.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Protocol {
    /// Time to start.
    pub start_s: f64,
    /// Time per step between two chips.
    pub step_s: f64,
    /// Share of the wire's rate that carries data.
    pub efficiency: f64,
}

impl Protocol {
    fn from_tables(tables: &Tables, item: &str) -> Result<Self, DataError> {
        Ok(Self {
            start_s: tables.number(item, "start", "us")? * 1e-6,
            step_s: tables.number(item, "step", "us")? * 1e-6,
            efficiency: tables.number(item, "efficiency", "1")?,
        })
    }
}

/// Constants of links and collectives.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct NetworkConstants {
    /// Inside a scale-up domain, small messages.
    pub up_small: Protocol,
    /// Inside a scale-up domain, large messages.
    pub up_large: Protocol,
    /// Between domains, small messages.
    pub out_small: Protocol,
    /// Between domains, large messages.
    pub out_large: Protocol,
    /// Share of the rate that an all-to-all reaches, relative to a ring.
    pub exchange_efficiency: f64,
    /// Share of a port's rate that is left when data passes through host memory.
    pub host_staged_share: f64,
    /// What each message between stages then takes beyond its bytes.
    pub host_staged_start: Seconds,
    /// Uplinks over downlinks of the scale-out fabric.
    pub oversubscription: f64,
    /// Dimensions of a torus of directly wired chips.
    pub torus_dimensions: f64,
    /// Links to the host: first year of chips that have one, what copies reach in one direction; oldest first.
    pub host_links: [(u16, BytesPerSecond); 3],
    /// Host memory per chip.
    pub host_memory: Bytes,
}

impl NetworkConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let host = |generation| {
            let first = t.row("host_link", generation)?.year.unwrap_or(0);
            Ok::<_, DataError>((first, t.quantity("host_link", generation)?))
        };
        Ok(Self {
            up_small: Protocol::from_tables(t, "scale_up_low_latency")?,
            up_large: Protocol::from_tables(t, "scale_up_bulk")?,
            out_small: Protocol::from_tables(t, "scale_out_low_latency")?,
            out_large: Protocol::from_tables(t, "scale_out_bulk")?,
            exchange_efficiency: t.number("all_to_all", "efficiency", "1")?,
            host_staged_share: t.number("scale_out", "host_staged_share", "1")?,
            host_staged_start: t.quantity("scale_out", "host_staged_start")?,
            oversubscription: t.number("scale_out", "oversubscription", "1")?,
            torus_dimensions: t.number("torus", "dimensions", "1")?,
            host_links: [host("generation_3")?, host("generation_4")?, host("generation_5")?],
            host_memory: t.quantity("host_memory", "per_chip")?,
        })
    }

    /// Rate between a chip of some year and its host.
    pub fn host_link(&self, year: u16) -> BytesPerSecond {
        let [oldest, ..] = self.host_links;
        self.host_links.iter().rev().find(|(first, _)| *first <= year).unwrap_or(&oldest).1
    }
}

/// All constants of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ClusterConstants {
    /// Links and collectives.
    pub network: NetworkConstants,
    /// Failures, repair and checkpoints.
    pub failures: FailureConstants,
    /// Training steps.
    pub train: TrainConstants,
    /// Rules for blank columns of tables.
    pub rows: RowDefaults,
}

impl ClusterConstants {
    /// Reads them from the data tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables) -> Result<Self, DataError> {
        Ok(Self {
            network: NetworkConstants::from_tables(tables)?,
            failures: FailureConstants::from_tables(tables)?,
            train: TrainConstants::from_tables(tables)?,
            rows: RowDefaults::from_tables(tables)?,
        })
    }
}
