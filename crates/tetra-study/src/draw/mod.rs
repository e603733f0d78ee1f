//! How sure the answer is: the options in many worlds, all with the same random numbers, and which inputs decide between them.
//!
//! Worlds are drawn by index, so that any number of threads gives the same. Influence of an input: the difference of costs with the input at its P10 and
//! P90, all others at their values; its share of the variance and its worth come from a quadratic regression of the difference on the input over
//! all draws (Strong, Oakley and Brennan 2014, doi:10.1177/0272989X13505910): `worth = E[max(0, gain | input)] - max(0, E[gain])`.

mod replay;
mod risk;
mod world;

use rayon::prelude::*;

use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::progress::Progress;
use replay::{Frozen, Quote, Replay, quote};
use world::{Reader, Roll};

pub use risk::{ranges, report, verdict_figures};
pub use world::Chances;

/// Worlds that are drawn.
const DRAWS: u64 = 2000;
/// Worlds that one task draws.
const CHUNK: u64 = 50;

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
    /// Inputs with the replays of Build and the other option at their P10 and at their P90.
    pub moved: Vec<(String, [[f64; 2]; 2])>,
    /// Share by which own chips are said to cut costs.
    pub quoted_cut: f64,
    /// Index of the cheapest option that is not Build, at the base case.
    pub other: usize,
}

/// Options of one study, ready to be worked out in any world.
struct Table<'a> {
    setting: &'a Setting<'a>,
    frozen: Vec<Frozen<'a>>,
    /// Index of the option whose machines bridge.
    bridge: Option<usize>,
}

impl Table<'_> {
    fn play(&self, reader: &mut Reader<'_>, roll: Roll<'_>, which: &[usize]) -> Option<Vec<Replay>> {
        let world = reader.world(roll).ok()?;
        let now: Vec<Option<Quote>> = self
            .frozen
            .iter()
            .enumerate()
            .map(|(i, f)| (which.contains(&i) || Some(i) == self.bridge).then(|| quote(self.setting, f.w, &world))?)
            .collect();
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
    let frozen: Vec<Frozen<'_>> = worked.iter().map(|w| Frozen::of(setting, w, &base_world)).collect::<Option<_>>()?;
    let bridge = setting.bridge.as_ref().and_then(|b| worked.iter().position(|w| w.name == b.name));
    let table = Table { setting, frozen, bridge };
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
    let pair = [0, other];
    let names: Vec<&str> = pair.iter().map(|&i| worked[i].model_name()).collect();
    let inputs = world::inputs_of(setting, &names);
    let (low, high) = risk::TENTHS;
    let moved = inputs.par_chunks(CHUNK as usize).flat_map_iter(|inputs| {
        let mut reader = Reader::new(setting);
        let mut at = |input: &str, u: f64| -> Option<[f64; 2]> {
            let found = table.play(&mut reader, Roll::One(input, u), &pair)?;
            Some([found[0].usd_per_million, found[1].usd_per_million])
        };
        inputs.iter().filter_map(|i| Some((i.clone(), [at(i, low)?, at(i, high)?]))).collect::<Vec<_>>()
    });
    let quoted_cut = setting.inputs.constants.market.quoted_cut;
    Some(Drawn { quoted_cut, seed, base, numbers, worlds, moved: moved.collect(), other })
}
