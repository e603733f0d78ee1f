//! The options of a study, each under the limits of its suppliers: own chips, GPUs bought, their successors, GPUs rented.

use rayon::prelude::*;

use crate::compare::{Worked, words};
use crate::evaluate::{Setting, Source, month_of};
use crate::misfit::RunError;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::report::PlanReport;
use crate::run::{Evaluated, Sale};
use crate::search::made;
use crate::verdict::{Contender, sentence};

/// A GPU that is bought, or why it cannot do the study.
pub type Bought = Result<Worked, Vec<String>>;

/// All options of a study.
pub struct Options {
    /// The cheapest own chip that could be planned.
    pub build: Option<Worked>,
    /// The others that could be planned, cheapest first.
    pub others: Vec<Worked>,
    /// Chips that could be planned.
    pub planned: Vec<usize>,
    /// Why the first that could not has no plan: the demands and limits that conflict, and the cheapest way out.
    pub conflict: Option<String>,
    /// GPUs bought, in the study's order.
    pub bought: Vec<Bought>,
    /// The cheapest bought GPU with its successors, and every GPU rented.
    pub more: Vec<Worked>,
}

impl Options {
    /// Works out every GPU and the chips `ids` of the grid.
    pub fn of(setting: &Setting<'_>, evaluated: &Evaluated<'_>, planner: &Planner<'_>, ids: &[usize], progress: &dyn Progress) -> Self {
        let mut out = Self::build(setting, planner, ids, progress);
        progress.start("options", evaluated.sales.len() as u64);
        out.bought = plan_bought(&evaluated.sales, planner);
        out.more = plan_more(setting, &evaluated.sales, &out.bought, planner);
        out
    }

    /// Plans own chips; the cheapest planned one is built.
    fn build(setting: &Setting<'_>, planner: &Planner<'_>, ids: &[usize], progress: &dyn Progress) -> Self {
        progress.start("planning", ids.len() as u64);
        let work = |&id: &usize| -> Result<Worked, Option<String>> {
            let (chip, source) = made(&setting.inputs.grid, id, setting).map_err(|_| None)?;
            let found = setting.evaluate_known(&chip, &source, setting.memo.of(id)).map_err(|_| None)?;
            let outcome = planner.outcome("own chip", &chip, &source, &found);
            progress.step(1);
            Ok(Worked { name: "Build".to_owned(), chip, source, found, outcome: outcome.map_err(Some)?, id: Some(id) })
        };
        let (fit, unfit): (Vec<_>, Vec<_>) = ids.par_iter().map(work).collect::<Vec<_>>().into_iter().partition(Result::is_ok);
        let mut all: Vec<Worked> = fit.into_iter().flatten().collect();
        let planned: Vec<usize> = all.iter().filter_map(|w| w.id).collect();
        all.sort_by(|a, b| a.usd_per_token(setting).total_cmp(&b.usd_per_token(setting)).then(a.id.cmp(&b.id)));
        let others = all.split_off(all.len().min(1));
        let conflict = unfit.into_iter().find_map(|w| w.err().flatten());
        Self { build: all.pop(), others, planned, conflict, bought: Vec::new(), more: Vec::new() }
    }

    /// All that can do the study, Build first.
    pub fn worked(&self) -> Vec<&Worked> {
        let bought = self.bought.iter().filter_map(|b| b.as_ref().ok());
        self.build.iter().chain(bought).chain(&self.more).collect()
    }

    /// The cheapest that is not built.
    pub fn cheapest_other(&self, setting: &Setting<'_>) -> Option<&Worked> {
        let others = self.bought.iter().filter_map(|b| b.as_ref().ok()).chain(&self.more);
        others.min_by(|a, b| a.usd_per_token(setting).total_cmp(&b.usd_per_token(setting)))
    }

    /// The verdict at these figures alone.
    pub fn sentence(&self, setting: &Setting<'_>) -> String {
        let others: Vec<Contender> = self.bought.iter().flatten().chain(&self.more).map(|w| w.contender(setting)).collect();
        let build = self.build.as_ref().map(|b| b.contender(setting));
        sentence(build.as_ref(), &others, self.bought.len(), setting.study.frame.start)
    }
}

fn plan_bought(sales: &[Sale<'_>], planner: &Planner<'_>) -> Vec<Bought> {
    let one = |s: &Sale<'_>| -> Bought {
        let found = s.found.as_ref().map_err(|m| vec![words(m, planner.setting)])?.clone();
        let outcome = planner.outcome(s.name, s.chip, &s.source, &found).map_err(|e| vec![e])?;
        Ok(Worked { name: s.name.to_owned(), chip: s.chip.clone(), source: s.source.clone(), found, outcome, id: None })
    };
    sales.iter().map(one).collect()
}

/// The cheapest bought GPU with its successors, and every GPU rented: options beside those that the study names.
fn plan_more(setting: &Setting<'_>, sales: &[Sale<'_>], bought: &[Bought], planner: &Planner<'_>) -> Vec<Worked> {
    let cost = |w: &Worked| w.usd_per_token(setting);
    let best = bought.iter().filter_map(|b| b.as_ref().ok()).min_by(|a, b| cost(a).total_cmp(&cost(b)));
    let market = &setting.inputs.constants.market;
    // Only the plan knows prices that change.
    let successors = best.filter(|_| cfg!(feature = "plan")).and_then(|w| {
        let Source::Sale { price, basis, from, .. } = w.source else { return None };
        let source = Source::Sale { price, basis, from, change_per_year: market.successor_change_per_year() };
        let name = format!("{} and successors", w.name);
        let outcome = planner.outcome(&name, &w.chip, &source, &w.found).ok()?;
        Some(Worked { name, chip: w.chip.clone(), source, found: w.found.clone(), outcome, id: None })
    });
    // Rented machines are too few to hold a demand that must be met, unless they meet it all.
    let must = setting.study.services.iter().filter_map(|s| s.met_from).min().map(|m| m as usize - 1);
    let holds = |w: &Worked| must.is_none_or(|m| w.outcome.served[m..].iter().all(|s| *s >= 1.0));
    let rents = sales.iter().filter_map(|s| {
        let (usd_per_month, found) = (month_of(setting.inputs.rent_of(s.chip)?), s.found.as_ref().ok()?.clone());
        let from = market.rent_lead_months as usize;
        let found = crate::evaluate::Found { from, ..found };
        let outcome = Outcome::of_rent(&found, setting, usd_per_month);
        let source = Source::Rent { usd_per_month, from };
        Some(Worked { name: format!("Rent {}", s.name), chip: s.chip.clone(), source, found, outcome, id: None })
    });
    successors.into_iter().chain(rents.filter(holds)).collect()
}

/// Works out an option under the limits of suppliers, or without the plan in closed form.
pub struct Planner<'a> {
    setting: &'a Setting<'a>,
    #[cfg(feature = "plan")]
    supply: crate::supply::Supply,
    #[cfg(feature = "plan")]
    with: crate::planned::Bridging<'a>,
}

#[cfg(not(feature = "plan"))]
impl<'a> Planner<'a> {
    pub fn new(setting: &'a Setting<'a>, _: &'a Evaluated<'a>) -> Result<Self, RunError> {
        Ok(Self { setting })
    }

    pub fn outcome(&self, _: &str, _: &tetra_chip::Chip, _: &Source, found: &crate::evaluate::Found) -> Result<Outcome, String> {
        Ok(Outcome::of_estimate(found, self.setting))
    }

    pub fn report(&self, _: &Worked, _: usize) -> Option<PlanReport> {
        None
    }

    pub fn residency(&self, _: &Worked) -> Vec<String> {
        Vec::new()
    }

    pub fn country_shares(&self, _: &Worked) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(feature = "plan")]
impl<'a> Planner<'a> {
    pub fn new(setting: &'a Setting<'a>, evaluated: &'a Evaluated<'a>) -> Result<Self, RunError> {
        let supply = setting.inputs.supply().map_err(|e| RunError::Supply(e.to_string()))?;
        let fit = |name: &String| evaluated.sales.iter().find(|s| s.name == name).and_then(|s| s.found.as_ref().ok());
        let with = crate::planned::Bridging {
            bought: setting.bridge.as_ref().and_then(|b| Some((b.name.as_str(), fit(&b.name)?))),
            rented: setting.rent.as_ref().and_then(|r| Some((r.name.as_str(), fit(&r.name)?, r.usd_per_month))),
        };
        Ok(Self { setting, supply, with })
    }

    pub fn outcome(&self, name: &str, chip: &tetra_chip::Chip, source: &Source, found: &crate::evaluate::Found) -> Result<Outcome, String> {
        crate::planned::plan_option(&self.input(name, chip, source, found))
    }

    fn input(&self, name: &str, chip: &tetra_chip::Chip, source: &Source, found: &crate::evaluate::Found) -> tetra_plan::PlanInput {
        crate::planned::plan_input(self.setting, name, chip, source, found, &self.with, &self.supply)
    }

    pub fn report(&self, w: &Worked, planned: usize) -> Option<PlanReport> {
        let input = self.input("own chip", &w.chip, &w.source, &w.found);
        crate::plan_report::plan_report(&input, w, planned, &self.supply)
    }

    pub fn residency(&self, w: &Worked) -> Vec<String> {
        crate::plan_report::residency(&self.input("own chip", &w.chip, &w.source, &w.found), w)
    }

    pub fn country_shares(&self, w: &Worked) -> Vec<String> {
        crate::plan_report::country_shares(&self.input("own chip", &w.chip, &w.source, &w.found))
    }
}
