//! What an infrastructure planner asks: work per megawatt and per dollar, power by site and month, what rules and limits cost.
//!
//! Facility power is IT power times the overhead of the site's hottest hours.

use tetra_quantity::MONTH_S;
#[cfg(feature = "plan")]
use tetra_quantity::show_number;

use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::report::PlannerReport;

/// Answers for the options; `rules` is what each rule costs, in words.
pub fn planner(setting: &Setting<'_>, worked: &[&Worked], rules: &[String]) -> Option<PlannerReport> {
    let first = worked.first()?;
    let (tenure, tenure_notes) = crate::tenure::tenure(setting, worked);
    Some(PlannerReport {
        efficiency: worked.iter().map(|w| efficiency(setting, w)).collect(),
        power: power(setting, first),
        limits: rules.iter().cloned().chain(limits(first)).collect(),
        tenure,
        tenure_notes,
    })
}

/// Output tokens per second and facility MW in the last month, output tokens per dollar, grams of CO2e per million output tokens.
fn efficiency(setting: &Setting<'_>, w: &Worked) -> (String, f64, f64, f64) {
    let last = setting.study.frame.months as usize - 1;
    let rate = |m: usize| setting.study.services.iter().map(|s| s.demand[m].value()).sum::<f64>() * w.outcome.served[m];
    let tokens: f64 = (0..=last).map(|m| rate(m) * MONTH_S).sum();
    let megawatts = facility(setting, w).iter().sum::<f64>() * w.serving_share(setting);
    let none = |value: f64, of: f64| if of > 0.0 { value / of } else { f64::NAN };
    let per_dollar = none(1.0, w.usd_per_token(setting));
    let grams = w.kg_co2e(setting) * w.serving_share(setting) * 1e3;
    (w.name.clone(), none(rate(last), megawatts), per_dollar, none(grams, tokens * 1e-6))
}

/// Facility watts over IT watts in the hottest hours, by place; that of any stand where the option has none.
fn overhead(setting: &Setting<'_>, w: &Worked) -> Vec<f64> {
    let stands = &w.found.standing.stands;
    let of = |s: &crate::stand::Stand| s.hour.facility_peak.value() / s.hour.machine.it_peak.value().max(1.0);
    let any = stands.first().map_or(1.0, of);
    (0..setting.places.len()).map(|p| stands.iter().find(|s| s.place == p).map_or(any, of)).collect()
}

/// Facility MW at the end, by place.
fn facility(setting: &Setting<'_>, w: &Worked) -> Vec<f64> {
    w.outcome.it_w_by_place.iter().zip(overhead(setting, w)).map(|(it, over)| it * over * 1e-6).collect()
}

/// Site, cap in MW, facility MW by month; at the end alone where there is no plan.
fn power(setting: &Setting<'_>, w: &Worked) -> Vec<(String, Option<f64>, Vec<f64>)> {
    let over = overhead(setting, w);
    let months = |p: usize| -> Vec<f64> {
        #[cfg(feature = "plan")]
        if let Some(plan) = &w.outcome.plan {
            return plan.sites.get(p).map_or(Vec::new(), |s| s.used_w.iter().map(|it| it * over[p] * 1e-6).collect());
        }
        vec![w.outcome.it_w_by_place[p] * over[p] * 1e-6]
    };
    let places = setting.places.iter().enumerate();
    places.map(|(p, place)| (place.site.name.clone(), place.cap.map(|c| c.value() * 1e-6), months(p))).collect()
}

/// Rent and peak of one limit of a supplier or site in words.
#[cfg(feature = "plan")]
fn limit(p: &tetra_plan::ShadowPrice) -> String {
    if p.name.starts_with("rule that keeps") {
        return p.text.clone();
    }
    let rent = format!("all that is used is worth {} M USD beyond its price", show_number(p.rent_usd * 1e-6));
    if p.often.is_empty() {
        return format!("{} At the margin {rent}.", p.text);
    }
    let (month, most) = (p.peak.0 + 1, show_number(p.peak.1));
    let name = p.name.trim_start_matches("capacity of ");
    format!(
        "{name}: full {}, worst in month {month}; one {} more would save {} USD, {most} USD of it then; {rent}.",
        p.often,
        p.unit,
        show_number(p.usd_per_unit)
    )
}

/// Shadow prices of suppliers and sites in words.
fn limits(w: &Worked) -> Vec<String> {
    #[cfg(feature = "plan")]
    if let Some(plan) = &w.outcome.plan {
        return plan.shadow_prices.iter().filter(|p| !p.can_be_bought).map(limit).collect();
    }
    let _ = w;
    Vec::new()
}
