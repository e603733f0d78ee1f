//! Text of an op and a machine → the best mapping with its certificate and its words.

use crate::nest::certificate::{Certificate, certify};
use crate::nest::fused::{FoundPair, Pair, fuse};
use crate::nest::machine::Machine;
use crate::nest::objective::Objective;
use crate::nest::op::{MapOp, OpError, read_op};
use crate::nest::power::Settled;
use crate::nest::price::Mode;
use crate::nest::problem::{Problem, Work};
use crate::nest::search::{Found, front, search};
use crate::nest::words::{Described, describe};

/// Why there is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// The op's text is wrong.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The machine has no vector lanes.
    #[error("\"{op}\" needs vector lanes and {machine} names none: add vector_ops_per_cycle, vector_energy and vector_level to [compute]")]
    NoLanes {
        /// The op.
        op: String,
        /// The machine.
        machine: String,
    },
    /// No mapping fits.
    #[error(
        "no mapping of \"{op}\" fits {machine}: a level that must hold a tensor is smaller than one value: raise its capacity or relax keep"
    )]
    NothingFits {
        /// The op.
        op: String,
        /// The machine.
        machine: String,
    },
}

/// One op's best mapping.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SolvedOne {
    /// Time and energy, power cap and leakage included.
    pub settled: Settled,
    /// The mapping in words.
    pub described: Described,
    /// The certificate.
    pub certificate: Certificate,
}

/// A pair's best mapping.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SolvedPair {
    /// Time and energy, power cap and leakage included.
    pub settled: Settled,
    /// The outer choice.
    pub fused: FoundPair,
    /// The level in which the two meet.
    pub meets_in: String,
    /// Joules and cycles of the two ops one after the other, nothing fused and nothing masked; none where one does not fit.
    pub apart: Option<(f64, f64)>,
    /// Whether nothing fused is the better mapping by the objective; with a mask the two are not compared.
    pub better_apart: bool,
    /// The phases of one tile.
    pub phases: Vec<SolvedOne>,
}

/// What `solve` finds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Solved {
    /// The best mapping of one op.
    One(Box<SolvedOne>),
    /// Mappings of which none beats another in both energy and time.
    Front(Vec<SolvedOne>),
    /// The best mapping of a pair.
    Pair(Box<SolvedPair>),
}

/// Maps an op; without an objective the whole front of energy and time (a pair: least product).
///
/// # Errors
/// An op that cannot be read, or that no mapping fits.
pub fn solve(op: &str, machine: &Machine, mode: Mode, objective: Option<Objective>) -> Result<Solved, SolveError> {
    let nothing = || SolveError::NothingFits { op: op.chars().take(100).collect(), machine: machine.name.clone() };
    match (read_op(op, machine, mode == Mode::Ideal)?, objective) {
        (MapOp::Pair(pair), objective) => {
            let found = pair_of(&pair, machine, mode, objective.unwrap_or(Objective::Edp)).ok_or_else(nothing)?;
            Ok(Solved::Pair(Box::new(found)))
        }
        (MapOp::One(problem), _) if problem.work != Work::Mac && machine.compute.vector_ops_per_cycle <= 0.0 => {
            Err(SolveError::NoLanes { op: problem.name, machine: machine.name.clone() })
        }
        (MapOp::One(problem), Some(objective)) => {
            let found = search(&problem, machine, mode, objective).ok_or_else(nothing)?;
            Ok(Solved::One(Box::new(one(&problem, machine, mode, objective, &found))))
        }
        (MapOp::One(problem), None) => {
            let list = front(&problem, machine, mode);
            if list.is_empty() {
                return Err(nothing());
            }
            Ok(Solved::Front(list.iter().map(|f| one(&problem, machine, mode, Objective::Edp, f)).collect()))
        }
    }
}

fn one(problem: &Problem, machine: &Machine, mode: Mode, objective: Objective, found: &Found) -> SolvedOne {
    let certificate = certify(problem, machine, mode, objective, found);
    SolvedOne { settled: Settled::of(&found.cost, machine, mode), described: describe(&certificate), certificate }
}

fn pair_of(pair: &Pair, machine: &Machine, mode: Mode, objective: Objective) -> Option<SolvedPair> {
    let fused = fuse(pair, machine, mode, objective)?;
    let whole = pair.outer.map(|r| pair.ranks[r].extent);
    let apart = |which| search(&pair.phase(which, whole), machine, mode, objective).map(|f| f.cost);
    let batch = pair.batch as f64;
    let both = apart(0).zip(apart(1)).map(|(a, b)| (batch * (a.energy_j + b.energy_j), batch * (a.cycles + b.cycles)));
    let key = |energy, cycles| Settled::from_figures(energy, cycles, machine, mode).key(objective);
    let better_apart = pair.mask.is_none() && both.is_some_and(|(e, c)| key(e, c) < key(fused.energy_j, fused.cycles));
    let phases = fused.phases.iter().map(|(p, f)| one(p, &fused.inner, mode, objective, f)).collect();
    Some(SolvedPair {
        settled: Settled::from_figures(fused.energy_j, fused.cycles, machine, mode),
        meets_in: machine.levels[fused.level].name.clone(),
        apart: both,
        better_apart,
        phases,
        fused,
    })
}
