//! Cash: what Build pays by quarter, and every option's payments as a table that adds up to its levelised cost.
//!
//! `levelised cost = Σ usd · discount_factor · serving_share / discounted_tokens`. The penalty for unmet demand and the value left at the end are
//! no payments and stand in the table alone.
//!
//! Stranded when demand halves in the month in which own chips serve first, undiscounted: with `U` half of the most chips that are needed from then on, `K` those
//! that stand (a bought one counts as the own chips that it stands in for) and `K'` those that stand when the commitment ends,
//! `(1 - U/K) · cost of machines not yet written off (evenly over a server's life) + share of the orders of the commitment beyond U · take-or-pay
//! + (1 - U/K) · rent of halls to the end of the horizon`. Leaves out income (a study has none) and what idle machines would sell for.

use tetra_quantity::MONTHS_PER_YEAR;

use crate::cashflow::{Line, LineKind, Purpose};
use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::report::{CashReport, Figure};

/// Payments by quarter, what must be funded before own chips serve, and what is lost when demand halves then.
pub fn cash(setting: &Setting<'_>, w: &Worked) -> CashReport {
    let ledger = &w.outcome.ledger;
    let mut quarters: Vec<(String, f64)> = Vec::new();
    for (m, number) in (0..ledger.months).zip(0u32..) {
        let date = setting.study.frame.start.plus(number);
        let label = format!("{} Q{}", date.year, (date.month.max(1) - 1) / 3 + 1);
        let usd = paid(w, m, |_| true);
        match quarters.last_mut() {
            Some(last) if last.0 == label => last.1 += usd,
            _ => quarters.push((label, usd)),
        }
    }
    let dearest = |best: (String, f64), q: &(String, f64)| if q.1 > best.1 { q.clone() } else { best };
    let own_month = w.outcome.first_month;
    let until = own_month.map_or(ledger.months, |m| m as usize - 1);
    let before = |line: fn(&Line) -> bool| -> f64 { (0..until).map(|m| paid(w, m, line)).sum() };
    let stranded = stranded(setting, w, until.min(ledger.months - 1));
    CashReport {
        peak_quarter: quarters.iter().fold((String::new(), 0.0), dearest),
        peak_funding_usd: Figure::exact(before(|_| true), "USD"),
        at_risk_usd: before(|l| ["own chips", "machines"].contains(&l.purpose.group())),
        own_month,
        stranded_usd: stranded.iter().map(|s| s.1).sum(),
        stranded,
        quarters,
    }
}

/// Payments of some lines in a month.
fn paid(w: &Worked, m: usize, of: impl Fn(&Line) -> bool) -> f64 {
    let paid = |l: &&Line| matches!(l.kind, LineKind::Capex | LineKind::Opex) && of(l);
    w.outcome.ledger.lines.iter().filter(paid).map(|l| l.usd[m]).sum()
}

/// Whether a payment buys machines or their parts; design is spent and lost however demand goes.
fn buys_machines(line: &Line) -> bool {
    let lost = matches!(line.purpose, Purpose::Design | Purpose::Options);
    line.kind == LineKind::Capex && !lost && line.purpose.group() != "sites"
}

/// Whether a payment is for halls, which are leased to the end.
fn leases(line: &Line) -> bool {
    line.kind == LineKind::Opex && line.purpose == Purpose::Halls
}

/// What is lost when demand halves in month `at` (index), by part.
fn stranded(setting: &Setting<'_>, w: &Worked, at: usize) -> Vec<(String, f64)> {
    let chances = &setting.inputs.constants.chances;
    let o = &w.outcome;
    let (months, life) = (o.ledger.months, setting.inputs.constants.market.it_life_years * MONTHS_PER_YEAR);
    let until = (at + 1 + chances.commitment as usize).min(months);
    // Chips of the own kind that the machines of a month stand for.
    let stands = |m: usize| -> f64 {
        let need = setting.bridge.as_ref().map_or(0.0, |b| b.need[m]);
        o.own[m] + if need > 0.0 { o.bought[m] / need * o.needed[m] } else { 0.0 }
    };
    let useful = 0.5 * o.needed[at..].iter().copied().fold(0.0, f64::max);
    let (now, then) = (stands(at), (at..until).map(stands).fold(0.0, f64::max));
    let beyond = |all: f64, part: f64| if part > 0.0 { ((all - useful) / part).clamp(0.0, 1.0) } else { 0.0 };
    let (idle, untaken) = (beyond(now, now), beyond(then, then - now));
    let book: f64 = (0..=at).map(|m| paid(w, m, buys_machines) * (1.0 - (at - m) as f64 / life).max(0.0)).sum();
    let orders: f64 = (at + 1..until).map(|m| paid(w, m, buys_machines)).sum();
    let halls = paid(w, at, leases) * (months - at - 1) as f64;
    [
        ("machines, cost not yet written off", idle * book),
        ("orders, paid though not taken", untaken * orders * chances.take_or_pay.clamp(0.0, 1.0)),
        ("halls, leased to the end", idle * halls),
    ]
    .map(|(name, usd)| (name.to_owned(), usd))
    .into()
}

/// One line per option, payment and month, as CSV.
pub fn csv(setting: &Setting<'_>, worked: &[&Worked]) -> String {
    let rate = setting.study.frame.discount_rate;
    let mut text = "option,month,line,kind,usd,discount_factor,serving_share,discounted_tokens\n".to_owned();
    for w in worked {
        let share = w.serving_share(setting);
        for line in &w.outcome.ledger.lines {
            let kind = match line.kind {
                LineKind::Capex => "capex",
                LineKind::Opex => "opex",
                LineKind::Penalty => "penalty",
                LineKind::Residual => "residual",
            };
            for (m, usd) in line.usd.iter().enumerate().filter(|(_, usd)| **usd != 0.0) {
                let factor = rate.discount(m);
                text.push_str(&format!("\"{}\",{},\"{}\",{kind},{usd},{factor},{share},{}\n", w.name, m + 1, line.name, setting.tokens));
            }
        }
    }
    text
}
