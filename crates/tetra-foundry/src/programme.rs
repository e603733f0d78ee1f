//! Months from the start of a programme to volume, as stages on the critical path.
//!
//! Architecture, RTL and verification, the part of physical design that is not done beside it, masks, wafer fab as hot lots, assembly and test, bring-up, the expected time of respins
//! (`q/(1-q)` times masks, part of the fab time, assembly and half a bring-up), then qualification or the first volume lot started
//! beside it, whichever takes longer, and last the months by which programmes usually slip, hardware and software alike. A process node or a memory
//! that is not ready by then is waited for; the wait takes the slip in. Left out: queues for wafers and packaging (the plan has them).

use serde::Serialize;
use tetra_quantity::MONTH_S;

use crate::constants::{MemoryConstants, NodeConstants, StageConstants};

/// Stages of a programme; months sum to the total.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Programme {
    /// Months from start to first volume.
    pub months_to_volume: f64,
    /// Months of it that the stages take, without slip and waiting.
    pub work_months: f64,
    /// Months of the usual slip.
    pub slip_months: f64,
    /// Stages by name, in months.
    pub stages: Vec<(&'static str, f64)>,
}

const MONTHS_PER_WEEK: f64 = 7.0 * tetra_quantity::DAY_S / MONTH_S;
const WEEKS_PER_YEAR: f64 = tetra_quantity::YEAR_S / (7.0 * tetra_quantity::DAY_S);

/// What delays a programme besides its node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProgrammeAsk {
    /// Decimal year in which it starts.
    pub start_year: f64,
    /// Logic dies per package.
    pub dies: u64,
    /// Probability that a tape-out needs another one.
    pub respin_probability: f64,
    /// Share of fab time that a respin takes.
    pub respin_fab_share: f64,
}

/// Expected number of further tape-outs, each with the same chance to need another.
pub fn expected_respins(probability: f64) -> f64 {
    let q = probability.clamp(0.0, 1.0 - 1e-2);
    q / (1.0 - q)
}

/// The programme of one chip.
pub fn programme(ask: &ProgrammeAsk, node: &NodeConstants, memory: Option<&MemoryConstants>, k: &StageConstants) -> Programme {
    let physical = node.physical_design_weeks * (1.0 - k.physical_design_overlap);
    let first_lot = node.fab_weeks * k.hot_lot;
    let extra = k.extra_die * ask.dies.saturating_sub(1) as f64;
    let respin = expected_respins(ask.respin_probability) * (k.masks + ask.respin_fab_share * first_lot + k.assembly + 0.5 * k.bring_up);
    let volume = k.qualification.max(node.fab_weeks + k.assembly);
    let mut weeks = vec![
        ("architecture", k.architecture),
        ("RTL and verification", k.rtl),
        ("physical design", physical + extra),
        ("masks", k.masks),
        ("wafer fab", first_lot),
        ("assembly and test", k.assembly + extra),
        ("bring-up", k.bring_up),
        ("expected respins", respin),
        ("qualification and first volume lot", volume),
    ];
    let work: f64 = weeks.iter().map(|s| s.1).sum();
    weeks.push(("usual slip", k.slip));
    let busy = work + k.slip;
    let ready = memory.map_or(node.learning.volume_year, |m| m.volume_year.max(node.learning.volume_year));
    let wait = (ready - ask.start_year) * WEEKS_PER_YEAR + k.node_ready - busy;
    if wait > 0.0 {
        weeks.push(("wait for process and memory", wait));
    }
    let stages: Vec<(&'static str, f64)> = weeks.into_iter().map(|(name, w)| (name, w * MONTHS_PER_WEEK)).collect();
    Programme {
        months_to_volume: stages.iter().map(|s| s.1).sum(),
        work_months: work * MONTHS_PER_WEEK,
        slip_months: k.slip * MONTHS_PER_WEEK,
        stages,
    }
}
