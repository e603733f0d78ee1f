//! Cash: what Build pays by quarter, and every option's payments as a table that adds up to its levelised cost.
//!
//! `levelised cost = Σ usd · discount_factor · serving_share / discounted_tokens`. The penalty for unmet demand and the value left at the end are
//! no payments and stand in the table alone. Leaves out income, take-or-pay of orders that are not taken.

use crate::cashflow::{Line, LineKind};
use crate::compare::Worked;
use crate::evaluate::Setting;
use crate::report::{CashReport, Figure};

/// Payments by quarter, the month that asks most, and the value that stands idle when demand halves.
pub fn cash(setting: &Setting<'_>, w: &Worked) -> CashReport {
    let ledger = &w.outcome.ledger;
    let paid = |l: &&Line| matches!(l.kind, LineKind::Capex | LineKind::Opex);
    let month = |m: usize| -> f64 { ledger.lines.iter().filter(paid).map(|l| l.usd[m]).sum() };
    let mut quarters: Vec<(String, f64)> = Vec::new();
    let (mut peak, mut peak_month) = (0.0, 1);
    for (m, number) in (0..ledger.months).zip(1u32..) {
        let date = setting.study.frame.start.plus(number - 1);
        let label = format!("{} Q{}", date.year, (date.month.max(1) - 1) / 3 + 1);
        let usd = month(m);
        match quarters.last_mut() {
            Some(last) if last.0 == label => last.1 += usd,
            _ => quarters.push((label, usd)),
        }
        if usd > peak {
            (peak, peak_month) = (usd, number);
        }
    }
    CashReport { quarters, peak_funding_usd: Figure::exact(peak, "USD"), peak_month, stranded_usd: stranded(w) }
}

/// Value left at the end of the machines beyond half of the last month's need.
fn stranded(w: &Worked) -> f64 {
    let left = -w.outcome.ledger.total(LineKind::Residual).value();
    let served = w.outcome.served.last().copied().unwrap_or(0.0);
    if served > 0.0 { left * (1.0 - 0.5 / served).max(0.0) } else { 0.0 }
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
