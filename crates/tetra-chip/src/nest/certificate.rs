//! What a third party needs to check a mapping: the machine, the op, the loops, what they move and cost, a bound that no mapping
//! undercuts, and what the search left out by which rule.

use crate::nest::bound::{Boundary, boundaries};
use crate::nest::count::{Moved, count};
use crate::nest::loops::Nest;
use crate::nest::machine::{MOST_LEVELS, Machine};
use crate::nest::objective::Objective;
use crate::nest::price::{Mode, NestCost, point_j};
use crate::nest::problem::{Problem, Work};
use crate::nest::search::{Found, Tally};
use crate::nest::space::Space;

/// A mapping with everything that its claims rest on.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Certificate {
    /// The machine, as far as the op uses it.
    pub machine: Machine,
    /// The op.
    pub problem: Problem,
    /// Assumptions of time and capacity.
    pub mode: Mode,
    /// What is least.
    pub objective: Objective,
    /// The mapping.
    pub nest: Nest,
    /// Its cost.
    pub cost: NestCost,
    /// Bits moved, by level and tensor.
    pub moved: Vec<Vec<Moved>>,
    /// What no mapping undercuts.
    pub bound: LowerBound,
    /// The search, by rule.
    pub search: Tally,
    /// The mapspace and the rules, in words.
    pub mapspace: &'static str,
}

/// Bounds of energy and time from compulsory traffic and capacity alone.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LowerBound {
    /// Joules: work of all points, and the least bits across the outermost boundary at its price.
    pub energy_j: f64,
    /// Cycles: points over all lanes, and the least bits across the outermost boundary at its bandwidth.
    pub cycles: f64,
    /// Least bits across the boundary below each level.
    pub boundaries: Vec<Boundary>,
}

/// The mapspace and the rules of the search.
const MAPSPACE: &str = "At every level any subset of the tensors that may lie there (those that must do) in any order, any loops between \
places; a loop's tile is a whole number of inner tiles, for each number of trips around it the smallest (the last tile of a rank is cut \
at the edge); on each fan-out up to two ranks side by side, each on as few lanes as some number of rounds needs, on any number where \
sums of instances are not added. Left out because never better: a loop directly above a place of a tensor that it does not index (dominated), a loop directly below a place of a tensor that it \
does index, unless tiles overlap, runs are rounded up, or a systolic array fills and drains per fold. Left out by count: places that do not fit (capacity); places and assignments whose lower bound is no better than the best \
mapping (bound, assignments_bound): cost so far, pending words at the cheapest access, least crossing of the boundaries further out.";

/// The certificate of a mapping that the search found.
pub fn certify(problem: &Problem, machine: &Machine, mode: Mode, objective: Objective, found: &Found) -> Certificate {
    let machine = machine.for_work(problem.work);
    let counts = count(problem, &machine, &found.nest);
    let tensors = problem.tensors.len();
    let moved = counts.moved[..machine.levels.len().min(MOST_LEVELS)].iter().map(|l| l[..tensors].to_vec()).collect();
    Certificate {
        bound: lower_bound(problem, &machine, mode),
        machine,
        problem: problem.clone(),
        mode,
        objective,
        nest: found.nest.clone(),
        cost: found.cost.clone(),
        moved,
        search: found.tally,
        mapspace: MAPSPACE,
    }
}

fn lower_bound(problem: &Problem, machine: &Machine, mode: Mode) -> LowerBound {
    let space = Space::new(problem, machine, mode);
    let boundaries = boundaries(&space);
    let (top, crossing) = (&machine.levels[0], boundaries.first().map_or(0.0, |b| b.least_bits));
    let lanes = match problem.work {
        Work::Mac => machine.lanes() as f64,
        Work::Vector(ops) if machine.compute.vector_ops_per_cycle > 0.0 => {
            machine.compute.vector_ops_per_cycle * machine.instances(machine.compute.vector_level) as f64 / ops as f64
        }
        Work::Vector(ops) => machine.lanes() as f64 / ops as f64,
    };
    let points = problem.points() as f64;
    let rate = |b: Option<f64>| b.unwrap_or(f64::INFINITY);
    let (read, write) = (rate(top.read_bits_per_cycle), rate(top.write_bits_per_cycle));
    let port = if top.shared_port { read } else { read + write };
    LowerBound {
        energy_j: points * point_j(problem, machine) + crossing * top.read_j_per_bit.min(top.write_j_per_bit),
        cycles: (points / lanes).max(crossing / port),
        boundaries,
    }
}
