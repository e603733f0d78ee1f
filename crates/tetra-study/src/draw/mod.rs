//! How sure the answer is: the options in many worlds, all with the same random numbers, and which inputs decide between them.
//!
//! Worlds are drawn by index, so that any number of threads gives the same. Influence of an input: the difference of costs with the input at its P10 and
//! P90, all others at their values; its share of the variance and its worth come from a quadratic regression of the difference on the input over
//! all draws (Strong, Oakley and Brennan 2014, doi:10.1177/0272989X13505910): `worth = E[max(0, gain | input)] - max(0, E[gain])`. Its total share,
//! all that it does together with others, from draws in which it alone is drawn anew (Jansen 1999, doi:10.1016/S0010-4655(98)00154-4):
//! `S = E[(gain - gain')^2] / (2 Var[gain])`.

mod replay;
mod risk;
mod slower;
mod world;

use rayon::prelude::*;

use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::progress::Progress;
use replay::{Frozen, Quote, Replay};
use slower::Slower;
use world::{Reader, Roll};

pub use risk::{ranges, report, verdict_figures};

/// Worlds that are drawn.
const DRAWS: u64 = 2000;
/// Worlds that one task draws.
const CHUNK: u64 = 50;
/// Inputs that are shown, the furthest-reaching first.
const SHOWN: usize = 15;
/// Draws of which one input is drawn anew.
const REDRAWN: u64 = 512;

/// All options in all worlds.
pub struct Drawn {
    /// Seed.
    pub seed: u64,
    /// At the base case, by option.
    pub base: Vec<Replay>,
    /// Numbers of the draws; those in which an option has no price are left out.
    pub numbers: Vec<u64>,
    /// By draw, then by option.
    pub worlds: Vec<Vec<Replay>>,
    /// The furthest-reaching inputs.
    pub moved: Vec<Moved>,
    /// Share by which own chips are said to cut costs.
    pub quoted_cut: f64,
    /// Index of the cheapest option that is not Build, at the base case.
    pub other: usize,
    /// What Build's services take at other speeds.
    pub limits: Slower,
}

/// What one input does to the difference of Build and the other option.
#[derive(Debug)]
pub struct Moved {
    /// The input.
    pub input: String,
    /// Costs of both with the input at its P10, and at its P90, all others at their values.
    pub costs: [[f64; 2]; 2],
    /// By number of the draw: what Build gains with this input drawn anew.
    pub redrawn: Vec<(u64, f64)>,
}

impl Moved {
    /// How far the difference moves.
    fn reach(&self) -> f64 {
        let [low, high] = self.costs.map(|c| c[0] - c[1]);
        (high - low).abs()
    }
}

/// What Build gains against another option in dollars, discounted.
fn gain(build: &Replay, other: &Replay) -> f64 {
    (other.usd_per_million - build.usd_per_million) * build.tokens * 1e-6
}

/// Options of one study, ready to be worked out in any world.
struct Table<'a> {
    frozen: Vec<Frozen<'a>>,
    /// Index of the option whose machines bridge.
    bridge: Option<usize>,
}

impl Table<'_> {
    fn play(&self, reader: &mut Reader<'_>, roll: Roll<'_>, which: &[usize]) -> Option<Vec<Replay>> {
        let world = reader.world(roll).ok()?;
        let now: Vec<Option<Quote>> =
            self.frozen.iter().enumerate().map(|(i, f)| (which.contains(&i) || Some(i) == self.bridge).then(|| f.quote(&world))?).collect();
        let one = |&i: &usize| {
            let bridge = self.bridge.and_then(|b| Some((self.frozen[b].base(), now[b].as_ref()?)));
            Some(self.frozen[i].replay(&world, now[i].as_ref()?, bridge.filter(|_| self.frozen[i].w.id.is_some())))
        };
        which.iter().map(one).collect()
    }
}

/// Draws worlds for all options that can do the study; none where Build or every other option is a misfit.
pub fn draw(setting: &Setting<'_>, worked: &[&Worked], progress: &dyn Progress) -> Option<Drawn> {
    // Build comes first where there is one.
    worked.first()?.id?;
    let cost = |i: &usize| worked[*i].usd_per_token(setting);
    let other = (1..worked.len()).min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let base_world = Reader::new(setting).world(Roll::Base).ok()?;
    progress.start("layouts at other speeds", worked.len() as u64);
    let slower = slower(setting, worked);
    progress.at(worked.len() as u64);
    let frozen: Vec<Frozen<'_>> = worked.iter().zip(&slower).map(|(w, s)| Frozen::of(setting, w, s, &base_world)).collect::<Option<_>>()?;
    let bridge = setting.bridge.as_ref().and_then(|b| worked.iter().position(|w| w.name == b.name));
    let table = Table { frozen, bridge };
    let all: Vec<usize> = (0..worked.len()).collect();
    let base = table.play(&mut Reader::new(setting), Roll::Base, &all)?;
    let seed = setting.study.frame.seed;
    progress.start("draws", DRAWS);
    let starts: Vec<u64> = (0..DRAWS.div_ceil(CHUNK)).map(|c| c * CHUNK).collect();
    let chunk = |&from: &u64| -> Vec<(u64, Vec<Replay>)> {
        let mut reader = Reader::new(setting);
        let worlds = from..(from + CHUNK).min(DRAWS);
        progress.step(CHUNK);
        worlds.filter_map(|draw| Some((draw, table.play(&mut reader, Roll::Draw { seed, draw }, &all)?))).collect()
    };
    let (numbers, worlds): (Vec<u64>, Vec<Vec<Replay>>) = starts.par_iter().flat_map_iter(chunk).collect::<Vec<_>>().into_iter().unzip();
    progress.at(DRAWS);
    let names: Vec<&str> = [0, other].iter().map(|&i| worked[i].model_name()).collect();
    let moved = Influences { setting, table: &table, pair: [0, other], seed }.of(&world::inputs_of(setting, &names), progress);
    let quoted_cut = setting.inputs.constants.market.quoted_cut;
    let limits = slower[0].clone();
    Some(Drawn { quoted_cut, seed, base, numbers, worlds, moved, other, limits })
}

/// What services take at other speeds, by option; options of one chip share it.
fn slower(setting: &Setting<'_>, worked: &[&Worked]) -> Vec<Slower> {
    let first = |w: &Worked| worked.iter().position(|o| o.chip == w.chip).unwrap_or(0);
    let found: Vec<Option<Slower>> =
        worked.par_iter().enumerate().map(|(i, w)| (first(w) == i).then(|| Slower::of(setting, &w.chip))).collect();
    worked.iter().filter_map(|w| found[first(w)].clone()).collect()
}

/// Worlds that differ in one input.
struct Influences<'a> {
    setting: &'a Setting<'a>,
    table: &'a Table<'a>,
    pair: [usize; 2],
    seed: u64,
}

impl Influences<'_> {
    /// The furthest-reaching inputs, drawn anew one at a time.
    fn of(&self, inputs: &[String], progress: &dyn Progress) -> Vec<Moved> {
        progress.start("inputs one by one", inputs.len() as u64);
        let chunk = |inputs: &[String]| {
            let mut reader = Reader::new(self.setting);
            progress.step(inputs.len() as u64);
            inputs.iter().filter_map(|i| self.ends(&mut reader, i)).collect::<Vec<_>>()
        };
        let mut moved: Vec<Moved> = inputs.par_chunks(CHUNK as usize).flat_map_iter(chunk).collect();
        moved.sort_by(|a, b| b.reach().total_cmp(&a.reach()).then_with(|| a.input.cmp(&b.input)));
        moved.truncate(SHOWN);
        progress.at(inputs.len() as u64);
        let starts: Vec<u64> = (0..REDRAWN.div_ceil(CHUNK)).map(|c| c * CHUNK).collect();
        progress.start("inputs drawn anew", REDRAWN * moved.len() as u64);
        for m in &mut moved {
            m.redrawn = starts.par_iter().flat_map_iter(|&from| self.redrawn(&m.input, from..(from + CHUNK).min(REDRAWN))).collect();
            progress.step(REDRAWN);
        }
        progress.at(REDRAWN * moved.len() as u64);
        moved
    }

    fn ends(&self, reader: &mut Reader<'_>, input: &str) -> Option<Moved> {
        let mut at = |u: f64| -> Option<[f64; 2]> {
            let found = self.table.play(reader, Roll::One(input, u), &self.pair)?;
            Some([found[0].usd_per_million, found[1].usd_per_million])
        };
        let (low, high) = risk::TENTHS;
        Some(Moved { input: input.to_owned(), costs: [at(low)?, at(high)?], redrawn: Vec::new() })
    }

    /// Draws in which the input comes from a draw that no other world uses.
    fn redrawn(&self, input: &str, draws: std::ops::Range<u64>) -> Vec<(u64, f64)> {
        let mut reader = Reader::new(self.setting);
        let mut one = |draw: u64| {
            let found = self.table.play(&mut reader, Roll::But { seed: self.seed, draw, input, other: DRAWS + draw }, &self.pair)?;
            Some((draw, gain(&found[0], &found[1])))
        };
        draws.filter_map(&mut one).collect()
    }
}
