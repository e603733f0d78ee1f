//! The search over the declared grid: every chip is evaluated on everything, excluded by a bound, or does not fit, and all three are counted.
//!
//! First every chip is built and priced. Then, in order of what it promises, rounds of a fixed size are evaluated in parallel, each chip step by
//! step until the front of the rounds before dominates its bound (branch and bound, Land and Doig 1960). Rounds, not threads, decide what is
//! excluded, so that counts and front are the same on any machine.

use rayon::prelude::*;
use tetra_chip::{Chip, template};
use tetra_foundry::{FoundryConstants, Package, PackageSpec, Volume, package};

use crate::evaluate::{Misfit, Setting, Source, Stop, start_year};
use crate::grid::Grid;
use crate::pareto::{Goals, front};
use crate::progress::Progress;
use crate::stand::StandMisfit;

/// Chips evaluated between two looks at the front.
const ROUND: usize = 256;

/// What became of one chip of the grid.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// Evaluated on everything.
    Evaluated(Goals),
    /// Nothing that it could do would join the front: the bound, and how many services had been searched.
    Excluded(Goals, usize),
    /// It does not fit.
    Misfit(&'static str),
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Searched {
    /// By chip of the grid.
    pub fates: Vec<Fate>,
    /// Chips on the front, cheapest first.
    pub front: Vec<usize>,
    /// Chips evaluated, cheapest first.
    pub cheapest: Vec<usize>,
    /// Rounds.
    pub rounds: usize,
}

impl Searched {
    /// Chips that do not fit, by reason, most frequent first.
    pub fn misfits(&self) -> Vec<(&'static str, u64)> {
        let mut counts: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
        for fate in &self.fates {
            if let Fate::Misfit(reason) = fate {
                *counts.entry(reason).or_default() += 1;
            }
        }
        let mut all: Vec<_> = counts.into_iter().collect();
        all.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
        all
    }

    /// Chips excluded after that many services had been searched.
    pub fn excluded_at(&self, services: usize) -> u64 {
        self.fates.iter().filter(|f| matches!(f, Fate::Excluded(_, step) if *step == services)).count() as u64
    }

    /// Chips evaluated, and chips excluded.
    pub fn counts(&self) -> (u64, u64) {
        let count = |f: fn(&Fate) -> bool| self.fates.iter().filter(|x| f(x)).count() as u64;
        (count(|f| matches!(f, Fate::Evaluated(_))), count(|f| matches!(f, Fate::Excluded(..))))
    }
}

/// Chip `id` of the grid.
///
/// # Errors
/// Why it cannot be built.
pub fn chip_of(grid: &Grid, id: usize, setting: &Setting<'_>) -> Result<Chip, Misfit> {
    template::build(&grid.design(id), &setting.inputs.constants.chip).map_err(Misfit::Build)
}

/// How a custom chip is made for this study.
///
/// # Errors
/// Why it cannot be made.
pub fn package_of(chip: &Chip, setting: &Setting<'_>) -> Result<Package, Misfit> {
    package_with(chip, setting, &setting.inputs.constants.foundry)
}

/// The same with other constants of manufacture.
///
/// # Errors
/// Why it cannot be made.
pub fn package_with(chip: &Chip, setting: &Setting<'_>, foundry: &FoundryConstants) -> Result<Package, Misfit> {
    let c = &setting.inputs.constants;
    let area = tetra_chip::area::breakdown(chip, &c.chip);
    let dies = chip.silicon.dies.max(1) as f64;
    let spec = PackageSpec::with_areas(chip, area.core_mm2, area.uncore_mm2 / dies, foundry).map_err(Misfit::Make)?;
    let volume = Volume { units: 1.0, start_year: start_year(setting.study), made_year: None };
    package(&spec, &volume, foundry, &c.dies).map_err(Misfit::Make)
}

/// Chip `id` with its package.
///
/// # Errors
/// Why it cannot be built or made.
pub fn made(grid: &Grid, id: usize, setting: &Setting<'_>) -> Result<(Chip, Source), Misfit> {
    let chip = chip_of(grid, id, setting)?;
    if let Some((_, stage)) = setting.barred.iter().find(|(node, _)| *node == chip.silicon.node) {
        return Err(Misfit::Countries { stage });
    }
    let package = package_of(&chip, setting)?;
    Ok((chip, Source::Own(Box::new(package))))
}

/// Evaluates chip `id` unless the front excludes it.
fn fate_of(grid: &Grid, id: usize, setting: &Setting<'_>, front: &[Goals]) -> Fate {
    let (chip, source) = match made(grid, id, setting) {
        Ok(made) => made,
        Err(m) => return Fate::Misfit(reason(&m)),
    };
    match setting.evaluate_unless(&chip, &source, front, setting.memo.of(id)) {
        Ok(found) => Fate::Evaluated(found.goals()),
        Err(Stop::Bound { goals, step }) => Fate::Excluded(goals, step),
        Err(Stop::Misfit(m)) => Fate::Misfit(reason(&m)),
    }
}

/// Searches the whole grid.
pub fn search(setting: &Setting<'_>, progress: &dyn Progress) -> Searched {
    search_in_rounds(setting, progress, ROUND)
}

fn search_in_rounds(setting: &Setting<'_>, progress: &dyn Progress, size_of_round: usize) -> Searched {
    let grid = &setting.inputs.grid;
    let size = grid.size();
    progress.start("building and pricing chips", size as u64);
    let ids: Vec<usize> = (0..size).collect();
    let promises: Vec<Result<f64, &'static str>> = ids
        .par_chunks(ROUND)
        .flat_map_iter(|chunk| {
            progress.step(chunk.len() as u64);
            chunk
                .iter()
                .map(|&id| made(grid, id, setting).and_then(|(c, s)| setting.promise(&c, &s, setting.memo.of(id))).map_err(|m| reason(&m)))
        })
        .collect();
    let mut fates: Vec<Fate> = promises.iter().map(|p| p.map_or_else(Fate::Misfit, |cost| Fate::Excluded([cost, 0.0, 0.0], 0))).collect();
    let mut open: Vec<(f64, usize)> = promises.iter().enumerate().filter_map(|(id, p)| Some((p.ok()?, id))).collect();
    open.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    progress.start("searching", open.len() as u64);
    let (mut best, mut rounds): (Vec<Goals>, usize) = (Vec::new(), 0);
    for round in open.chunks(size_of_round) {
        let found: Vec<Fate> = round.par_iter().map(|&(_, id)| fate_of(grid, id, setting, &best)).collect();
        for (&(_, id), fate) in round.iter().zip(found) {
            if let Fate::Evaluated(goals) = &fate {
                best.push(*goals);
            }
            fates[id] = fate;
        }
        best = front(&best).into_iter().map(|i| best[i]).collect();
        rounds += 1;
        progress.step(round.len() as u64);
    }
    finish(fates, rounds)
}

fn finish(fates: Vec<Fate>, rounds: usize) -> Searched {
    let done: Vec<(usize, Goals)> =
        fates.iter().enumerate().filter_map(|(id, f)| if let Fate::Evaluated(g) = f { Some((id, *g)) } else { None }).collect();
    let goals: Vec<Goals> = done.iter().map(|d| d.1).collect();
    let front = front(&goals).into_iter().map(|i| done[i].0).collect();
    let mut order = done.clone();
    order.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]).then(a.0.cmp(&b.0)));
    Searched { fates, front, cheapest: order.into_iter().map(|d| d.0).collect(), rounds }
}

/// The kind of a misfit, for counting.
pub fn reason(misfit: &Misfit) -> &'static str {
    use crate::misfit::AbilityMisfit;
    use tetra_cluster::{ServeMisfit, TrainMisfit};
    match misfit {
        Misfit::Build(m) => match m {
            tetra_chip::Misfit::Reticle { .. } => "a die is larger than the exposure field",
            tetra_chip::Misfit::Shoreline { .. } => "the die edge is too short for its memory and links",
            tetra_chip::Misfit::Heat { .. } => "the package is hotter than liquid carries off",
            tetra_chip::Misfit::LocalTooSmall { .. } => "the scratchpad cannot hold a tile",
            tetra_chip::Misfit::OutOfRange { .. } => "a size or clock is out of range for its node",
            tetra_chip::Misfit::Unknown { .. } => "node or memory is not in the tables",
        },
        Misfit::Make(tetra_foundry::Misfit::Interposer { .. }) => "the interposer is larger than its package kind allows",
        Misfit::Make(_) => "the package cannot be made",
        Misfit::Do(AbilityMisfit::Serve(_, m)) => match m {
            ServeMisfit::Tpot { .. } => "a service is slower per token than asked",
            ServeMisfit::Ttft { .. } => "a service is slower to the first token than asked",
            _ => "a model does not fit the memory of any layout",
        },
        Misfit::Do(AbilityMisfit::Train(_, TrainMisfit::NoSize { .. })) => "no number of chips trains in the time asked",
        Misfit::Do(AbilityMisfit::Train(..)) => "the training run does not fit the memory of any layout",
        Misfit::Stand(StandMisfit::Full { .. }) => "the sites lack power",
        Misfit::Stand(StandMisfit::Machine(_)) => "the machine fits no rack",
        Misfit::Countries { .. } => "suppliers of its process lie in too few countries for the rules of [supply]",
        Misfit::Export { .. } => "the export rule keeps it out of a place where data must be processed",
        Misfit::Late { .. } => "first volume comes after the horizon",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{InputTexts, Inputs};
    use crate::progress::Quiet;
    use crate::reader::read_study;
    use crate::run::{asks, evaluate_all, places, setting};
    use std::path::Path;
    use tetra_quantity::TableText;

    fn folder(path: &str, extension: &str) -> Vec<(String, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        let files = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == extension));
        let mut all: Vec<_> =
            files.map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(p).unwrap())).collect();
        all.sort();
        all
    }

    #[test]
    fn excluding_by_bounds_finds_the_same_front_as_evaluating_everything() {
        let text = include_str!("../../../studies/first/study.toml");
        let mut study = read_study("study.toml", text).unwrap();
        let axes = [
            ("node", vec!["N5", "N3E"]),
            ("dies", vec!["1", "2"]),
            ("cores", vec!["64", "128"]),
            ("arrays_per_core", vec!["1"]),
            ("array_rows", vec!["64", "128"]),
            ("local", vec!["256 KiB"]),
            ("global", vec!["64 MiB"]),
            ("scale_up_domain", vec!["16"]),
            ("hbm_stacks", vec!["4", "8", "12"]),
            ("clock", vec!["1.2 GHz", "1.6 GHz"]),
        ];
        study.search.axes = axes.into_iter().map(|(a, v)| (a.to_owned(), v.into_iter().map(str::to_owned).collect())).collect();
        let (csv, toml) = (folder("data", "csv"), folder("data", "toml"));
        let (chips, models) = (folder("data/chips", "toml"), folder("models", "json"));
        let named = |name: &str| toml.iter().find(|t| t.0 == name).unwrap().1.as_str();
        let pairs = |v: &'_ [(String, String)]| v.iter().map(|(n, t)| (n.clone(), t.clone())).collect::<Vec<_>>();
        let (chips, models) = (pairs(&chips), pairs(&models));
        let texts = InputTexts {
            tables: csv.iter().map(|(name, text)| TableText { name, text }).collect(),
            sources: named("sources"),
            sites: named("sites"),
            grids: named("grids"),
            suppliers: named("suppliers"),
            outages: named("outages"),
            scenarios: "",
            probes: "",
            chips: chips.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
            models: models.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect(),
        };
        let inputs = Inputs::read("study.toml", text, &study, &texts).map_err(|e| e.lines()).unwrap();
        let places = places(&study, &inputs);
        let asks = asks(&study, &inputs, &places).unwrap();
        let mut setting = setting(&study, &inputs, &asks, &places);
        evaluate_all(&study, &inputs, &mut setting, &Quiet);
        let found = search_in_rounds(&setting, &Quiet, 8);
        let all: Vec<Fate> = (0..inputs.grid.size()).into_par_iter().map(|id| fate_of(&inputs.grid, id, &setting, &[])).collect();
        let whole = finish(all, 0);
        assert_eq!(whole.counts().1, 0);
        assert!(found.counts().1 > 0, "{:?} {:?}", found.counts(), found.misfits());
        assert_eq!(found.front, whole.front);
        for (pruned, full) in found.fates.iter().zip(&whole.fates) {
            if let (Fate::Excluded(bound, _), Fate::Evaluated(goals)) = (pruned, full) {
                assert!(bound.iter().zip(goals).all(|(b, g)| *b <= g * (1.0 + 1e-9)), "{bound:?} above {goals:?}");
            }
        }
    }
}
