//! Joint investment: which suppliers offer capacity against a payment in advance, whether the plan takes it, and what it could save.
//!
//! Where it is not taken, `savings <= more units · shadow price of one`: the least cost is convex in a capacity, so that the first unit saves most. The
//! plan's choices are held fixed in that price. Leaves out: a share in a plant's profit, a lower price for who paid it.

use serde::{Deserialize, Serialize};
use tetra_quantity::show_number;

use crate::input::{Expansion, PlanInput};
use crate::model::Choosable;
use crate::plan::Plan;
use crate::prices::{Thing, describe};
use crate::solution::choice;

/// One offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoInvestment {
    /// The supplier.
    pub supplier: String,
    /// What is offered.
    pub offer: Expansion,
    /// Month in which the plan pays; `None`: it does not.
    pub taken: Option<usize>,
    /// Most that the capacity could save beyond what the plan has, discounted USD.
    pub most_saved_usd: f64,
    /// All in plain words.
    pub text: String,
}

/// The offers of all suppliers, in their order.
pub fn co_investments(input: &PlanInput, plan: &Plan) -> Vec<CoInvestment> {
    let offers = input.suppliers.iter().enumerate().filter_map(|(n, s)| Some((n, s.expansion?)));
    offers.map(|(n, offer)| of(input, plan, n, offer)).collect()
}

fn of(input: &PlanInput, plan: &Plan, n: usize, offer: Expansion) -> CoInvestment {
    let (words, name) = (describe(input, Thing::Supplier(n)), choice(input, Choosable::Expand(n), 0).name);
    let taken = plan.choices.iter().find(|c| c.name == name).map(|c| c.month);
    let scarce = plan.shadow_prices.iter().find(|p| p.name == words.name).map_or(0.0, |p| p.usd_per_unit);
    let most_saved_usd = offer.units_per_month * scarce;
    let supplier = input.suppliers[n].name.clone();
    let money = |usd: f64| format!("{} M USD", show_number(usd / 1e6));
    let deal = format!("{} in advance for {} {} more", money(offer.usd), show_number(offer.units_per_month), words.many);
    let text = match taken {
        Some(month) => {
            let ready = month.saturating_add(offer.months) + 1;
            format!("Joint investment at {supplier} is taken in month {}: {deal} from month {ready}.", month + 1)
        }
        None if scarce > 0.0 => {
            format!(
                "Joint investment at {supplier} is not taken: {deal} after {} months, which would save at most {}.",
                offer.months,
                money(most_saved_usd)
            )
        }
        None => {
            format!("Joint investment at {supplier} is not taken: {deal} after {} months, and its capacity is not short.", offer.months)
        }
    };
    CoInvestment { supplier, offer, taken, most_saved_usd, text }
}
