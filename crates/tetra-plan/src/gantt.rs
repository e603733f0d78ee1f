//! The plan as bars over months: design, options, orders, deliveries, building, service. A bar spans the months in which something happens.

use serde::{Deserialize, Serialize};

use crate::input::{PlanInput, Tenure};
use crate::plan::Plan;

/// What happens during a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Design, masks and first silicon of the own product.
    Design,
    /// A source or capacity is made ready.
    GettingReady,
    /// Orders are placed.
    Orders,
    /// Deliveries arrive.
    Deliveries,
    /// Power is built at a site.
    Building,
    /// Accelerators work.
    Service,
}

/// One bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Whose: supplier, accelerator, site, option.
    pub name: String,
    /// What happens.
    pub activity: Activity,
    /// First month.
    pub from: usize,
    /// Last month.
    pub to: usize,
    /// How much in all (service: at most).
    pub amount: f64,
    /// Unit of `amount`.
    pub unit: String,
}

/// Amounts below this part of a series' largest are nothing.
const NEGLIGIBLE: f64 = 1e-5;

fn bar(name: &str, activity: Activity, series: &[f64], amount: f64, unit: &str) -> Option<Bar> {
    let least = series.iter().copied().fold(0.0f64, f64::max) * NEGLIGIBLE;
    let happens = |v: &f64| *v > least;
    let (from, to) = (series.iter().position(happens)?, series.iter().rposition(happens)?);
    Some(Bar { name: name.into(), activity, from, to, amount, unit: unit.into() })
}

/// All bars of a plan, in the order of the flow: design, options, suppliers, bought and rented accelerators, sites, service.
pub fn bars(input: &PlanInput, plan: &Plan) -> Vec<Bar> {
    let sum = |v: &[f64]| v.iter().sum::<f64>();
    let most = |v: &[f64]| v.iter().copied().fold(0.0f64, f64::max);
    let mut bars = Vec::new();
    if let Some(p) = input.product.as_ref().filter(|p| p.first_wafer_month > 0) {
        let (to, amount) = (p.first_wafer_month.min(plan.months).saturating_sub(1), p.nre.iter().map(|n| n.1).sum());
        bars.push(Bar { name: p.name.clone(), activity: Activity::Design, from: 0, to, amount, unit: "USD".into() });
    }
    for c in &plan.choices {
        let to = c.ready_month.saturating_sub(1).max(c.month);
        bars.push(Bar { name: c.name.clone(), activity: Activity::GettingReady, from: c.month, to, amount: c.usd, unit: "USD".into() });
    }
    for o in &plan.orders {
        let rented = o.stage.is_none() && input.bridges.iter().any(|b| b.name == o.name && b.tenure == Tenure::Rented);
        if !rented {
            bars.extend(bar(&o.name, Activity::Orders, &o.ordered, sum(&o.ordered), &o.unit));
            bars.extend(bar(&o.name, Activity::Deliveries, &o.delivered, sum(&o.delivered), &o.unit));
        }
    }
    for (s, site) in plan.sites.iter().zip(&input.sites) {
        let building = bar(&s.name, Activity::Building, &s.ordered_w, sum(&s.ordered_w), "W");
        bars.extend(building.map(|b| Bar { to: b.to.saturating_add(site.lead_months).saturating_sub(1).max(b.from), ..b }));
        bars.extend(bar(&s.name, Activity::Service, &s.used_w, most(&s.used_w), "W"));
    }
    for f in &plan.fleets {
        bars.extend(bar(&f.name, Activity::Service, &f.standing, most(&f.standing), "units"));
    }
    bars
}
