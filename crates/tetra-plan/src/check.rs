//! Every number of a plan's input is looked at before a solver sees it.

use crate::error::PlanError;
use crate::input::{PlanInput, Product};

/// Longest horizon: more months than any study asks.
const MOST_MONTHS: usize = 600;
/// Largest amount of anything (chips, USD, W) in one number.
const MOST: f64 = 1e15;

struct Check(Result<(), PlanError>);

impl Check {
    fn within(&mut self, what: &str, found: f64, low: f64, high: f64, wanted: &'static str) {
        if self.0.is_ok() && !(found >= low && found <= high) {
            self.0 = Err(PlanError::BadNumber { what: what.to_owned(), found: found.to_string(), wanted });
        }
    }

    fn amount(&mut self, what: &str, found: f64) {
        self.within(what, found, 0.0, MOST, "a number from 0 to 1e15");
    }

    fn positive(&mut self, what: &str, found: f64) {
        self.within(what, found, f64::MIN_POSITIVE, MOST, "a number above 0 and at most 1e15");
    }

    fn part(&mut self, what: &str, found: f64) {
        self.within(what, found, 0.0, 1.0, "a fraction from 0 to 1");
    }

    fn that(&mut self, holds: bool, what: &str, mend: &'static str) {
        if self.0.is_ok() && !holds {
            self.0 = Err(PlanError::BadInput { what: what.to_owned(), mend });
        }
    }
}

/// Refuses what is not a plan's input.
pub(crate) fn check(input: &PlanInput) -> Result<(), PlanError> {
    let mut c = Check(Ok(()));
    c.that((1..=MOST_MONTHS).contains(&input.months), "the horizon", "give 1 to 600 months");
    c.within("the discount rate", input.discount_rate, 0.0, 10.0, "a fraction from 0 to 10");
    c.amount("the stock cost", input.stock_cost_per_year);
    c.part("the solver's gap", input.effort.gap);
    c.that(!input.demands.is_empty(), "there is no demand", "add at least one service");
    check_demands(&mut c, input);
    if let Some(product) = &input.product {
        check_product(&mut c, product);
    }
    check_suppliers(&mut c, input);
    check_country_shares(&mut c, input);
    check_bridges(&mut c, input);
    for s in &input.sites {
        let fields = [s.ready_w, s.cap_w, s.max_w_per_month, s.usd_per_w, s.start_usd, s.usd_per_w_year, s.energy_usd_per_w_year];
        fields.iter().for_each(|&v| c.amount(&format!("a number of site {}", s.name), v));
    }
    for o in &input.outages {
        c.part(&format!("the loss in process of {}", o.name), o.lost_in_process);
    }
    c.0
}

fn check_demands(c: &mut Check, input: &PlanInput) {
    for d in &input.demands {
        d.chips.iter().for_each(|&v| c.amount(&format!("the demand of {}", d.name), v));
        c.amount(&format!("the penalty of {}", d.name), d.unmet_usd_per_chip_month);
        c.that(d.sites.iter().all(|&j| j < input.sites.len()), &format!("{} names a site that is not there", d.name), "correct its sites");
    }
}

fn check_product(c: &mut Check, p: &Product) {
    for (what, v) in [("wafers per chip", p.wafers), ("packaging wafers per chip", p.packaging_wafers), ("power per chip", p.watts)] {
        c.positive(&format!("{what} of {}", p.name), v);
    }
    let prices = [
        p.prices.wafer_usd,
        p.prices.hbm_usd,
        p.prices.packaging_usd,
        p.prices.test_usd,
        p.prices.server_usd,
        p.hbm_stacks,
        p.upkeep_usd_per_year,
    ];
    prices.iter().for_each(|&v| c.amount(&format!("a price or amount of {}", p.name), v));
    p.nre.iter().for_each(|&(_, v)| c.amount(&format!("a payment before volume of {}", p.name), v));
    p.works.iter().for_each(|&v| c.part(&format!("the work that a chip of {} does", p.name), v));
    c.that(p.life_months > 0, &format!("the life of {}", p.name), "give at least one month");
    c.part(&format!("the value {} keeps per year", p.name), p.kept_per_year);
    c.part(&format!("the load of {}", p.name), p.load);
}

fn check_suppliers(c: &mut Check, input: &PlanInput) {
    for s in &input.suppliers {
        c.amount(&format!("the capacity of {}", s.name), s.units_per_month);
        c.amount(&format!("the price factor of {}", s.name), s.price_factor);
        c.part(&format!("the largest share of {}", s.name), s.max_share);
        c.amount(&format!("the qualification cost of {}", s.name), s.qualification.map_or(0.0, |q| q.usd));
        c.amount(&format!("the prepayment to {}", s.name), s.expansion.map_or(0.0, |e| e.usd));
        c.amount(&format!("the added capacity of {}", s.name), s.expansion.map_or(0.0, |e| e.units_per_month));
    }
}

fn check_country_shares(c: &mut Check, input: &PlanInput) {
    for rule in &input.country_shares {
        c.part(&format!("the largest share of a country in {}", rule.stage.unit()), rule.largest);
    }
}

fn check_bridges(c: &mut Check, input: &PlanInput) {
    for b in &input.bridges {
        c.that(
            b.chips_per_unit.len() == input.demands.len(),
            &format!("{} states {} equivalents for {} demands", b.name, b.chips_per_unit.len(), input.demands.len()),
            "give one for each demand",
        );
        b.chips_per_unit.iter().for_each(|&v| c.amount(&format!("an equivalent of {}", b.name), v));
        [b.usd, b.watts, b.units_per_month].iter().for_each(|&v| c.amount(&format!("a number of {}", b.name), v));
        c.within(&format!("the price change of {}", b.name), b.usd_change_per_year, -1.0, 10.0, "a fraction from -1 to 10");
        c.that(b.life_months > 0, &format!("the life of {}", b.name), "give at least one month");
        c.part(&format!("the value {} keeps per year", b.name), b.kept_per_year);
    }
}
