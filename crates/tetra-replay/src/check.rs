//! The check of a certificate as a whole.

use crate::bound::least;
use crate::execute::execute;
use crate::formula::Formula;
use crate::legal;
use crate::paper::Certificate;
use crate::price::price;
use crate::shrink::shrink;

/// Relative difference that rounding explains.
const SAME: f64 = 1e-9;

/// Something that a certificate claims and that is not so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {cause}")]
pub struct Finding {
    /// Part of the certificate.
    pub place: &'static str,
    /// What is wrong.
    pub cause: String,
}

/// What was checked and found right.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// The op.
    pub op: String,
    /// Sizes of the ranks of the copy that was carried out.
    pub executed: Vec<u64>,
    /// Points of the copy, each computed once.
    pub points: u64,
    /// Transfers of which every word was counted.
    pub transfers: usize,
    /// Joules and cycles, found anew.
    pub energy_j: f64,
    /// Cycles.
    pub cycles: f64,
    /// Joules that no mapping undercuts, found anew.
    pub least_energy_j: f64,
    /// Cycles that no mapping undercuts.
    pub least_cycles: f64,
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

struct Findings(Vec<Finding>);

impl Findings {
    fn say(&mut self, place: &'static str, cause: String) {
        self.0.push(Finding { place, cause });
    }

    fn compare(&mut self, place: &'static str, what: &str, claimed: f64, found: f64) {
        if !same(claimed, found) {
            self.say(place, format!("{what} is said to be {claimed}, but is {found}"));
        }
    }
}

/// Most certificates of a list.
const MOST: usize = 1 << 12;

fn unreadable(cause: String) -> Vec<Finding> {
    vec![Finding { place: "certificate", cause }]
}

/// Checks a certificate.
///
/// # Errors
/// Everything that is not as the certificate says.
pub fn check(certificate_json: &str) -> Result<Report, Vec<Finding>> {
    judge(serde_json::from_str(certificate_json).map_err(|e| unreadable(format!("it cannot be read: {e}")))?)
}

/// Checks one certificate, or every one of a list: those of the two phases of a pair, or of a front.
///
/// # Errors
/// Everything that is not as one of them says, and a list that is empty or endless.
pub fn check_list(json: &str) -> Result<Vec<Report>, Vec<Finding>> {
    if !json.trim_start().starts_with('[') {
        return check(json).map(|report| vec![report]);
    }
    let list: Vec<Certificate> = serde_json::from_str(json).map_err(|e| unreadable(format!("the list cannot be read: {e}")))?;
    if list.is_empty() || list.len() > MOST {
        return Err(unreadable(format!("the list holds {} certificates", list.len())));
    }
    let (mut reports, mut wrong) = (Vec::new(), Vec::new());
    for (i, certificate) in list.into_iter().enumerate() {
        match judge(certificate) {
            Ok(report) => reports.push(report),
            Err(findings) => {
                let placed = |f: Finding| Finding { cause: format!("{} (certificate {} of the list)", f.cause, i + 1), ..f };
                wrong.extend(findings.into_iter().map(placed));
            }
        }
    }
    if wrong.is_empty() { Ok(reports) } else { Err(wrong) }
}

fn judge(c: Certificate) -> Result<Report, Vec<Finding>> {
    let mut out = Findings(Vec::new());
    c.faults().into_iter().for_each(|f| out.say("certificate", f));
    if out.0.is_empty() {
        legal::faults(&c.machine, &c.problem, &c.nest.steps, c.mode).into_iter().for_each(|f| out.say("mapping", f));
    }
    if !out.0.is_empty() {
        return Err(out.0);
    }
    let (executed, points, transfers) = replay(&c, &mut out);
    let cost = costs(&c, &mut out);
    let bound = least(&c.machine, &c.problem);
    bounds(&c, &bound, &mut out);
    let (least_energy_j, least_cycles) = (bound.energy_j, bound.cycles);
    let report = Report { op: c.problem.name, executed, points, transfers, energy_j: cost.0, cycles: cost.1, least_energy_j, least_cycles };
    if out.0.is_empty() { Ok(report) } else { Err(out.0) }
}

/// Carries out the small copy, and compares it with the closed form.
fn replay(c: &Certificate, out: &mut Findings) -> (Vec<u64>, u64, usize) {
    let (problem, steps) = shrink(&c.problem, &c.nest.steps);
    let run = execute(&c.machine, &problem, &steps);
    let formula = Formula { machine: &c.machine, problem: &problem, steps: &steps }.transfers();
    let sizes: Vec<u64> = problem.ranks.iter().map(|r| r.extent).collect();
    run.faults.into_iter().for_each(|f| out.say("replay", f));
    if run.points != sizes.iter().product::<u64>() {
        out.say("replay", format!("{} points were computed of an op of sizes {sizes:?}", run.points));
    }
    for (a, b) in run.transfers.iter().zip(&formula) {
        let name = &problem.tensors[a.tensor].name;
        for ((what, seen), (_, told)) in a.figures().into_iter().zip(b.figures()) {
            out.compare("replay", &format!("{name} below step {}: {what}", a.parent), told, seen);
        }
    }
    (sizes, run.points, formula.len())
}

/// Compares words and cost of the whole op.
fn costs(c: &Certificate, out: &mut Findings) -> (f64, f64) {
    let (cost, moved) = price(&c.machine, &c.problem, &c.nest.steps, c.mode);
    for ((level, told), found) in c.machine.levels.iter().zip(&c.moved).zip(&moved) {
        for ((t, a), b) in c.problem.tensors.iter().zip(told).zip(found) {
            let pairs = [
                ("bits read", a.read, b.read),
                ("bits written", a.written, b.written),
                ("bits read by the busiest instance", a.read_busiest, b.read_busiest),
                ("bits written by the busiest instance", a.written_busiest, b.written_busiest),
            ];
            pairs.into_iter().for_each(|(what, x, y)| out.compare("moved", &format!("{} in {}: {what}", t.name, level.name), x, y));
        }
    }
    let pairs = [
        ("energy_j", c.cost.energy_j, cost.energy_j),
        ("cycles", c.cost.cycles, cost.cycles),
        ("steps", c.cost.steps, cost.steps),
        ("array_cycles", c.cost.array_cycles, cost.array_cycles),
        ("exposed_cycles", c.cost.exposed_cycles, cost.exposed_cycles),
        ("compute_j", c.cost.compute_j, cost.compute_j),
    ];
    pairs.into_iter().for_each(|(what, x, y)| out.compare("cost", what, x, y));
    for (l, level) in c.machine.levels.iter().enumerate() {
        out.compare("cost", &format!("level_j of {}", level.name), c.cost.level_j[l], cost.level_j[l]);
        out.compare("cost", &format!("port_cycles of {}", level.name), c.cost.port_cycles[l], cost.port_cycles[l]);
    }
    (cost.energy_j, cost.cycles)
}

/// A claimed bound may be lower than this crate's, never higher; nor may it exceed the cost.
fn bounds(c: &Certificate, found: &crate::bound::Least, out: &mut Findings) {
    let mut above = |what: &str, claimed: f64, most: f64| {
        if claimed.is_nan() || claimed > most * (1.0 + SAME) {
            out.say("bound", format!("{what} of {claimed} is above {most}"));
        }
    };
    above("energy_j against the bound found anew", c.bound.energy_j, found.energy_j);
    above("cycles against the bound found anew", c.bound.cycles, found.cycles);
    above("energy_j against the cost", c.bound.energy_j.max(found.energy_j), c.cost.energy_j);
    above("cycles against the cost", c.bound.cycles.max(found.cycles), c.cost.cycles);
    for b in &c.bound.boundaries {
        let most = found.bits.get(b.below_level).copied().unwrap_or(0.0);
        above(&format!("least_bits below level {}", b.below_level), b.least_bits, most);
    }
}
