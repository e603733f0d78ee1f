//! Money by month: what is paid when, its present value, and the levelised cost that follows.
//!
//! `PV = Σ_m c_m · (1 + r)^(-m/12)`, month 1 undiscounted; levelised cost `= PV(cash flows) / PV(output tokens)`, both at one rate
//! (Short, Packey and Holt 1995, NREL/TP-462-5173, equation 4-9). Real money, no tax. Leaves out inflation and financing.

use std::borrow::Cow;

use tetra_quantity::{MONTH_S, PerYear, TokensPerSecond, Usd};
use tetra_site::OpexItem;

/// One kind of payment by month of the horizon (index 0 is month 1). Income is negative.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Line {
    /// What is paid for: `chips`, `servers`, `electricity`, …
    pub name: Cow<'static, str>,
    /// What that is to prices, delays and losses.
    pub purpose: Purpose,
    /// Whether it buys something that lasts.
    pub kind: LineKind,
    /// Dollars by month.
    pub usd: Vec<f64>,
}

/// Nature of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// Buys something that lasts.
    Capex,
    /// Paid to run.
    Opex,
    /// What is lost with demand that is not met.
    Penalty,
    /// Value at the end, negative.
    Residual,
}

/// What a payment is for: its price, the delays that move it and what is lost of it go by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Design, masks, software.
    Design,
    /// Second sources, prepaid capacity, starts of sites.
    Options,
    /// Wafers of own chips.
    Wafers,
    /// Their stacked memory.
    Memory,
    /// Their packages.
    Packaging,
    /// Their test.
    Test,
    /// Chips, whole.
    Chips,
    /// Servers and network around chips.
    Servers,
    /// Bought machines, whole.
    Bought,
    /// Machines rented on demand.
    Rented,
    /// Machines rented by the year.
    Reserved,
    /// Building of sites.
    Building,
    /// Halls: their rent and upkeep, or their price.
    Halls,
    /// Electricity and water.
    Energy,
    /// Staff, upkeep of machines, insurance.
    Upkeep,
    /// Keeping of stock.
    Stock,
    /// Demand that is not met.
    Unmet,
    /// Value left at the end.
    Left,
}

impl Purpose {
    /// Whether it is paid for machines that run.
    pub fn is_use(self) -> bool {
        matches!(self, Self::Halls | Self::Energy | Self::Upkeep)
    }

    /// What it belongs to: own chips, their machines, sites, the bridge, or unmet demand.
    pub fn group(self) -> &'static str {
        match self {
            Self::Bought | Self::Rented | Self::Reserved => "bridge",
            Self::Unmet => "unmet",
            Self::Servers => "machines",
            Self::Building | Self::Halls | Self::Energy | Self::Upkeep => "sites",
            _ => "own chips",
        }
    }
}

impl From<OpexItem> for Purpose {
    fn from(item: OpexItem) -> Self {
        match item {
            OpexItem::Electricity | OpexItem::Water => Self::Energy,
            OpexItem::Staff | OpexItem::ItUpkeep | OpexItem::Insurance => Self::Upkeep,
            OpexItem::FacilityUpkeep | OpexItem::Rent => Self::Halls,
        }
    }
}

/// All payments of one option.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Ledger {
    /// Months in the horizon.
    pub months: usize,
    /// Lines in the order first used.
    pub lines: Vec<Line>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(months: usize) -> Self {
        Self { months, lines: Vec::new() }
    }

    /// Adds a payment; months outside the horizon are ignored.
    pub fn pay(&mut self, name: impl Into<Cow<'static, str>>, purpose: Purpose, kind: LineKind, month: usize, usd: f64) {
        if month >= self.months || usd == 0.0 {
            return;
        }
        self.line(name, purpose, kind)[month] += usd;
    }

    /// Dollars by month of one line, which is new where there was none.
    pub fn line(&mut self, name: impl Into<Cow<'static, str>>, purpose: Purpose, kind: LineKind) -> &mut [f64] {
        let name = name.into();
        let at = self.lines.iter().position(|l| l.name == name && l.purpose == purpose && l.kind == kind).unwrap_or_else(|| {
            self.lines.push(Line { name, purpose, kind, usd: vec![0.0; self.months] });
            self.lines.len() - 1
        });
        &mut self.lines[at].usd
    }

    /// All lines of `other`, added month by month.
    pub fn add(&mut self, other: &Self) {
        for line in &other.lines {
            for (month, &usd) in line.usd.iter().enumerate() {
                self.pay(line.name.clone(), line.purpose, line.kind, month, usd);
            }
        }
    }

    /// Every payment times `factor`.
    pub fn scaled(mut self, factor: f64) -> Self {
        for usd in self.lines.iter_mut().flat_map(|l| l.usd.iter_mut()) {
            *usd *= factor;
        }
        self
    }

    /// Present value of everything.
    pub fn present_value(&self, rate: PerYear) -> Usd {
        Usd(self.lines.iter().map(|l| line_value(l, rate)).sum())
    }

    /// Present value by line.
    pub fn by_line(&self, rate: PerYear) -> impl Iterator<Item = (&Line, f64)> {
        self.lines.iter().map(move |l| (l, line_value(l, rate)))
    }

    /// Undiscounted total of one kind.
    pub fn total(&self, kind: LineKind) -> Usd {
        Usd(self.lines.iter().filter(|l| l.kind == kind).flat_map(|l| &l.usd).sum::<f64>() + 0.0)
    }

    /// Undiscounted total of one kind in a span of months.
    pub fn total_in(&self, kind: LineKind, months: std::ops::Range<usize>) -> Usd {
        Usd(self.lines.iter().filter(|l| l.kind == kind).filter_map(|l| l.usd.get(months.clone())).flatten().sum())
    }
}

fn line_value(line: &Line, rate: PerYear) -> f64 {
    let month = rate.discount(1);
    let mut factor = 1.0;
    let mut value = 0.0;
    for usd in &line.usd {
        value += usd * factor;
        factor *= month;
    }
    value
}

/// Tokens of all services over the horizon, discounted like money.
pub fn discounted_tokens<'a>(rate: PerYear, services: impl Iterator<Item = &'a [TokensPerSecond]>) -> f64 {
    services.flat_map(|d| d.iter().enumerate()).map(|(m, t)| t.value() * MONTH_S * rate.discount(m)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn npv_of_a_textbook_annuity() {
        // 100 at the end of each of 5 years at 8 %: 399.27 (Brealey, Myers and Allen, annuity table: factor 3.993).
        let mut ledger = Ledger::new(61);
        for year in 1..=5 {
            ledger.pay("rent", Purpose::Halls, LineKind::Opex, 12 * year, 100.0);
        }
        assert!((ledger.present_value(PerYear(0.08)).value() - 399.27).abs() < 0.005);
    }

    proptest! {
        #[test]
        fn lines_sum_to_the_whole(payments in proptest::collection::vec((0usize..60, -1e9f64..1e9, 0usize..3), 1..50), rate in 0.0f64..0.5) {
            let names = ["chips", "power", "value"];
            let kinds = [LineKind::Capex, LineKind::Opex, LineKind::Residual];
            let mut ledger = Ledger::new(60);
            let mut direct = 0.0;
            for (month, usd, i) in payments {
                ledger.pay(names[i], Purpose::Chips, kinds[i], month, usd);
                direct += usd / (1.0 + rate).powf(month as f64 / 12.0);
            }
            let whole = ledger.present_value(PerYear(rate)).value();
            let parts: f64 = ledger.by_line(PerYear(rate)).map(|p| p.1).sum();
            prop_assert!((whole - direct).abs() <= 1e-6 * (1.0 + direct.abs()).max(1e3));
            prop_assert!((whole - parts).abs() <= 1e-6 * (1.0 + whole.abs()));
            let twice = ledger.clone().scaled(2.0).present_value(PerYear(rate)).value();
            prop_assert!((twice - 2.0 * whole).abs() <= 1e-6 * (1.0 + whole.abs()));
        }
    }
}
