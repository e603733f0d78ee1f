//! What an architect asks of the chosen chip: regret on other models, what a tenth more of each resource is worth, why the next designs lost.
//!
//! A tenth more of a resource is a new design through the same template, foundry and evaluation: area, yield, price and power follow. Counts are
//! whole, so that the step taken may differ a little and is named. HBM that is faster or larger per stack is no product: faster stacks keep their
//! price, larger ones pay by capacity. Costs are those before suppliers' limits on both sides. Leaves out: joint changes of two resources.

use std::collections::BTreeMap;

use rayon::prelude::*;
use tetra_chip::template::{Design, build};
use tetra_quantity::show_number;

use crate::cashflow::LineKind;
use crate::compare::{Worked, words};
use crate::evaluate::{Misfit, Setting, Source};
use crate::grid::AXES;
use crate::regret::{missing, regrets};
use crate::report::{ArchitectReport, Marginal};
use crate::search::package_of;
use crate::tables::{axis_words, design_words};

/// Next-best designs that are explained.
const LOST: usize = 5;
/// Packages whose prices differ by less cost the same, in dollars.
const LEAST_USD: f64 = 1.0 / 100.0;
/// What is given more of each resource: a tenth.
const MORE: f64 = 1.0 + 1.0 / 10.0;

/// Answers of the chosen chip; none without a chip of the grid.
pub fn architect(setting: &Setting<'_>, chosen: Option<&Worked>, planned: &[Worked]) -> Option<ArchitectReport> {
    let chosen = chosen?;
    let id = chosen.id?;
    let regret = regrets(setting, id);
    let proven = regret.iter().filter(|r| r.proven).count();
    let search = match proven {
        all if all == regret.len() => {
            "The best chip of each model is proven: no other chip of the grid has a roofline bound below it.".to_owned()
        }
        some => format!(
            "The best chip is proven for {some} of {} models; for the others the search ended at a fixed number of chips, so that a cheaper chip may exist and regret is at least what is shown.",
            regret.len()
        ),
    };
    let notes = [
        "Regret compares steady-state serving: package, server, network, power, hall and staff over the life of a server; no design cost."
            .to_owned(),
        search,
        "A tenth more of a resource is built, priced and evaluated like any design, before suppliers' limits; faster HBM keeps its price."
            .to_owned(),
    ];
    let skipped = missing(setting).into_iter().map(|model| format!("{model} was not tried: it has no config.json that can be read."));
    Some(ArchitectReport {
        regret,
        marginal: marginals(setting, chosen, &setting.inputs.grid.design(id)),
        lost: lost(setting, chosen, planned),
        notes: notes.into_iter().chain(skipped).collect(),
    })
}

/// A resource and the design with more of it.
struct Step {
    resource: String,
    design: Design,
    /// Factors of the bandwidth and the capacity of a stack.
    stack: [f64; 2],
}

fn steps(d: &Design) -> Vec<Step> {
    let more = |n: u64| ((n as f64 * MORE).round() as u64).max(n + 1);
    let counted = |name: &str, from: u64, set: &dyn Fn(&mut Design, u64)| {
        let mut design = d.clone();
        set(&mut design, more(from));
        Step { resource: format!("{name}: {from} to {}", more(from)), design, stack: [1.0; 2] }
    };
    let scaled = |name: &str, set: &dyn Fn(&mut Design), stack: [f64; 2]| {
        let mut design = d.clone();
        set(&mut design);
        let percent = show_number(100.0 * (MORE - 1.0));
        Step { resource: format!("{name}: {percent} % more"), design, stack }
    };
    vec![
        counted("cores", d.cores, &|d, n| d.cores = n),
        counted("array rows", d.array_rows, &|d, n| d.array_rows = n),
        counted("array columns", d.array_columns, &|d, n| d.array_columns = n),
        counted("vector lanes", d.lanes, &|d, n| d.lanes = n),
        scaled("scratchpad per core", &|d| d.local = d.local * MORE, [1.0; 2]),
        scaled("shared memory on the chip", &|d| d.global = d.global * MORE, [1.0; 2]),
        scaled("HBM bandwidth", &|_| (), [MORE, 1.0]),
        scaled("HBM capacity", &|_| (), [1.0, MORE]),
        scaled("scale-up links", &|d| d.scale_up = d.scale_up * MORE, [1.0; 2]),
        scaled("clock", &|d| d.clock = d.clock * MORE, [1.0; 2]),
    ]
}

fn marginals(setting: &Setting<'_>, chosen: &Worked, design: &Design) -> Vec<Marginal> {
    let [usd, days, _] = chosen.found.goals();
    let one = |step: &Step| {
        let (goals, misfit) = match evaluate(setting, step) {
            Ok(goals) => (goals, None),
            // Not a number is written as null.
            Err(m) => ([f64::NAN; 3], Some(words(&m, setting))),
        };
        let change = |new: f64, old: f64| if old > 0.0 { new / old - 1.0 } else { 0.0 };
        let resource = step.resource.clone();
        Marginal { resource, cost_change: change(goals[0], usd), training_change: change(goals[1], days), misfit }
    };
    steps(design).par_iter().map(one).collect()
}

fn evaluate(setting: &Setting<'_>, step: &Step) -> Result<crate::pareto::Goals, Misfit> {
    let mut constants = setting.inputs.constants.chip.clone();
    let [bandwidth, capacity] = step.stack;
    for (_, memory) in constants.memories.iter_mut().filter(|(kind, _)| kind.eq_ignore_ascii_case(&step.design.hbm_kind)) {
        memory.bandwidth = memory.bandwidth * bandwidth;
        memory.capacity = memory.capacity * capacity;
    }
    let chip = build(&step.design, &constants).map_err(Misfit::Build)?;
    let source = Source::Own(Box::new(package_of(&chip, setting)?));
    Ok(setting.evaluate(&chip, &source)?.goals())
}

fn lost(setting: &Setting<'_>, chosen: &Worked, planned: &[Worked]) -> Vec<(String, String)> {
    let mut others: Vec<(f64, usize, &Worked)> =
        planned.iter().filter(|w| w.id != chosen.id).filter_map(|w| Some((w.usd_per_token(setting), w.id?, w))).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let told = others.into_iter().take(LOST);
    told.map(|(_, id, w)| (design_words(&setting.inputs.grid, id), why(setting, chosen, w))).collect()
}

/// Why one design costs more than the chosen one: what differs in it, and which payments.
fn why(setting: &Setting<'_>, chosen: &Worked, other: &Worked) -> String {
    let (here, there) = (chosen.usd_per_token(setting), other.usd_per_token(setting));
    let more = there / here - 1.0;
    let gap = chosen.outcome.gap().max(other.outcome.gap());
    let within = if more < gap { format!(", within the {} % that plans are known to", show_number(100.0 * gap)) } else { String::new() };
    let mut text = format!("costs {} % more{within}: {}", show_number(100.0 * more), differences(setting, chosen, other).join(", "));
    let parts = |w: &Worked| match &w.source {
        Source::Own(p) => p.waterfall.iter().map(|l| (l.0.to_owned(), l.1.value())).collect(),
        Source::Sale { .. } | Source::Rent { .. } => BTreeMap::new(),
    };
    let usd = |w: &Worked| parts(w).values().sum::<f64>();
    let dearer = usd(other) - usd(chosen);
    let most = largest(&parts(chosen), &parts(other), dearer.signum());
    let side = if dearer < 0.0 { "cheaper" } else { "dearer" };
    match dearer.abs() < LEAST_USD {
        true => text.push_str("; the package costs the same"),
        false => text.push_str(&format!("; the package is {} USD {side}", show_number(dearer.abs()))),
    }
    if let Some((name, change)) = most.filter(|(_, change)| change.abs() >= LEAST_USD) {
        text.push_str(&format!(", {} USD by its {name}", show_number(change.abs())));
    }
    let lines = |w: &Worked| payments(setting, w);
    if let Some((name, change)) = largest(&lines(chosen), &lines(other), 1.0) {
        text.push_str(&format!("; per million output tokens it pays {} USD more for {name}", show_number(change)));
    }
    if let Some((name, change)) = largest(&lines(chosen), &lines(other), -1.0) {
        text.push_str(&format!(" and {} USD less for {name}", show_number(-change)));
    }
    text.push('.');
    text
}

/// Axes on which two chips of the grid differ, in words.
fn differences(setting: &Setting<'_>, chosen: &Worked, other: &Worked) -> Vec<String> {
    let grid = &setting.inputs.grid;
    let (Some(a), Some(b)) = (chosen.id, other.id) else { return Vec::new() };
    let (a, b) = (grid.point(a), grid.point(b));
    let axes = axis_words(grid);
    let differ = (0..AXES.len()).filter(|&i| a[i] != b[i]);
    differ.map(|i| format!("{} {} instead of {}", AXES[i].replace('_', " "), axes[i].1[b[i]], axes[i].1[a[i]])).collect()
}

/// Dollars per million output tokens by line of the payments; they sum to the levelised cost.
fn payments(setting: &Setting<'_>, w: &Worked) -> BTreeMap<String, f64> {
    let each = w.serving_share(setting) / setting.tokens.max(f64::MIN_POSITIVE) * 1e6;
    let mut sums = BTreeMap::new();
    for (line, usd) in w.outcome.ledger.by_line(setting.study.frame.discount_rate) {
        let name = if line.kind == LineKind::Residual { "what is left at the end, a credit" } else { &line.name }.to_owned();
        *sums.entry(name).or_default() += usd * each;
    }
    sums
}

/// The name whose value grows (sign 1) or shrinks (sign -1) most from `a` to `b`.
fn largest(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>, sign: f64) -> Option<(String, f64)> {
    let names = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
    let value = |m: &BTreeMap<String, f64>, k: &String| m.get(k).copied().unwrap_or(0.0);
    let changes = names.map(|k| (k.clone(), value(b, k) - value(a, k)));
    changes.filter(|c| c.1 * sign > 0.0).max_by(|x, y| (x.1 * sign).total_cmp(&(y.1 * sign)))
}
