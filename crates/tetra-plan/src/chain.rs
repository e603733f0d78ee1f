//! Columns and rows of the own product's chain: orders with suppliers, stock behind every stage, options, shares.
//!
//! `stock[t] = stock[t-1] + orders[t - lead]·kept - taken by the next stage[t]`; orders are limited by capacity × availability, by
//! options not yet ready, and by the largest share of a supplier or a country in a year's orders. Work in process is lost in part when an outage begins.

use tetra_quantity::MONTHS_PER_YEAR;

use crate::input::{PlanInput, Product, Stage, Supplier};
use crate::model::{Cell, Choosable, Limit, Model, left};
use crate::plan::CostItem;

/// Orders may not be placed earlier than they can be of use; a stage is of use once wafers can be started.
fn first_order(product: &Product, stage: Stage) -> usize {
    match stage {
        Stage::Hbm => 0,
        _ => product.first_wafer_month,
    }
}

/// CostItem of the normal capacity in `month`, all outages together.
fn availability(input: &PlanInput, supplier: &Supplier, month: usize) -> f64 {
    input.outages.iter().filter(|o| o.strikes(supplier)).map(|o| o.availability(month)).product()
}

/// CostItem of an order placed in `month` that is delivered.
pub(crate) fn kept(input: &PlanInput, supplier: &Supplier, month: usize) -> f64 {
    let hit = |o: &&crate::input::Outage| {
        o.months > 0 && o.strikes(supplier) && month < o.from_month && month.saturating_add(supplier.lead_months) > o.from_month
    };
    input.outages.iter().filter(hit).map(|o| 1.0 - o.lost_in_process).product()
}

impl Model {
    pub(crate) fn add_chain(&mut self, input: &PlanInput, product: &Product) {
        for (n, supplier) in input.suppliers.iter().enumerate() {
            self.add_orders(input, product, n, supplier);
            self.add_options(input, n, supplier);
        }
        self.stock = vec![vec![None; input.months]; Stage::ALL.len()];
        for stage in Stage::ALL {
            if product.units(stage) > 0.0 {
                self.add_stock(input, product, stage);
            }
        }
        for (n, supplier) in input.suppliers.iter().enumerate() {
            if supplier.max_share < 1.0 {
                let own = |other: usize| other == n;
                self.add_share(input, supplier.stage, supplier.max_share, &own, &|year| Limit::Share { supplier: n, year });
            }
            for rule in input.country_shares.iter().filter(|r| r.stage == supplier.stage && r.largest < 1.0) {
                let there = |other: usize| input.suppliers[other].stage == rule.stage && input.suppliers[other].country == supplier.country;
                if (0..n).all(|other| !there(other)) {
                    self.add_share(input, rule.stage, rule.largest, &there, &|year| Limit::Country { supplier: n, year });
                }
            }
        }
        let residual = Stage::ALL.iter().map(|&s| product.prices.of(s) * product.units(s)).sum();
        for t in 0..input.months {
            for j in 0..input.sites.len() {
                if let Some(column) = self.install[0][j][t] {
                    let usd = left(input, residual, product.kept_per_year, t, product.life_months);
                    self.charge(column, CostItem::Residual, input.months, -usd);
                }
            }
        }
    }

    fn add_orders(&mut self, input: &PlanInput, product: &Product, n: usize, supplier: &Supplier) {
        let first = first_order(product, supplier.stage).max(supplier.first_month);
        let optional = supplier.qualification.is_some() || supplier.expansion.is_some();
        let usd = product.prices.of(supplier.stage) * supplier.price_factor;
        let mut cells: Vec<Cell> = vec![None; input.months];
        for (t, cell) in cells.iter_mut().enumerate().skip(first) {
            if t.saturating_add(supplier.lead_months) >= input.months || product.units(supplier.stage) <= 0.0 {
                break;
            }
            let most = supplier.units_per_month / self.scale * availability(input, supplier, t);
            let upper = if optional { f64::INFINITY } else { most };
            let column = self.column(upper, Some(Limit::Capacity { supplier: n, month: t }), Some(t));
            self.charge(column, CostItem::Stage(supplier.stage), t, usd);
            *cell = Some(column);
        }
        self.order.push(cells);
    }

    fn add_options(&mut self, input: &PlanInput, n: usize, supplier: &Supplier) {
        let qualified = supplier.qualification.map(|q| (q.months, self.option(input, Choosable::Qualify(n), q.usd)));
        let expanded = supplier.expansion.map(|e| (e, self.option(input, Choosable::Expand(n), e.usd)));
        if qualified.is_none() && expanded.is_none() {
            return;
        }
        for t in 0..input.months {
            let Some(order) = self.order[n][t] else { continue };
            let part = availability(input, supplier, t) / self.scale;
            let mut entries = vec![(order, 1.0)];
            let mut upper = 0.0;
            match &qualified {
                Some((months, starts)) => entries.extend(ready(starts, *months, t).map(|c| (c, -supplier.units_per_month * part))),
                None => upper = supplier.units_per_month * part,
            }
            if let Some((e, starts)) = &expanded {
                entries.extend(ready(starts, e.months, t).map(|c| (c, -e.units_per_month * part)));
            }
            self.row(f64::NEG_INFINITY, upper, &entries, Some(Limit::Capacity { supplier: n, month: t }));
        }
        if let (Some((_, q)), Some((_, e))) = (&qualified, &expanded) {
            let entries: Vec<_> = e.iter().map(|&(_, c)| (c, 1.0)).chain(q.iter().map(|&(_, c)| (c, -1.0))).collect();
            self.row(f64::NEG_INFINITY, 0.0, &entries, None);
        }
    }

    fn add_stock(&mut self, input: &PlanInput, product: &Product, stage: Stage) {
        // Behind packaging everything is counted in chips, before it in the stage's own units.
        let per_unit = if stage == Stage::Packaging { 1.0 / product.packaging_wafers } else { 1.0 };
        let keep = input.stock_cost_per_year / MONTHS_PER_YEAR * value_behind(product, stage);
        let mut before: Cell = None;
        for t in 0..input.months {
            let mut entries = self.delivered(input, stage, t, per_unit);
            entries.extend(self.taken(input, product, stage, t));
            if entries.is_empty() && before.is_none() {
                continue;
            }
            let stock = self.column(f64::INFINITY, None, None);
            self.charge(stock, CostItem::Stock, t, keep);
            entries.push((stock, -1.0));
            entries.extend(before.map(|b| (b, 1.0)));
            self.row(0.0, 0.0, &entries, None);
            self.stock[stage.index()][t] = Some(stock);
            before = Some(stock);
        }
    }

    fn delivered(&self, input: &PlanInput, stage: Stage, t: usize, per_unit: f64) -> Vec<(usize, f64)> {
        let mut entries = Vec::new();
        for (n, supplier) in input.suppliers.iter().enumerate().filter(|(_, s)| s.stage == stage) {
            let ordered = t.checked_sub(supplier.lead_months).and_then(|m| self.order[n][m].map(|c| (m, c)));
            entries.extend(ordered.map(|(m, c)| (c, per_unit * kept(input, supplier, m))));
        }
        entries
    }

    /// What the next step takes out of the stock behind `stage` in month `t`.
    fn taken(&self, input: &PlanInput, product: &Product, stage: Stage, t: usize) -> Vec<(usize, f64)> {
        let (next, amount) = match stage {
            Stage::Wafer => (Stage::Packaging, product.wafers / product.packaging_wafers),
            Stage::Hbm => (Stage::Packaging, product.hbm_stacks / product.packaging_wafers),
            Stage::Packaging => (Stage::Test, 1.0),
            Stage::Test => (Stage::Server, 1.0),
            Stage::Server => return self.install[0].iter().filter_map(|site| site[t]).map(|c| (c, -1.0)).collect(),
        };
        let takers = input.suppliers.iter().zip(&self.order).filter(|(s, _)| s.stage == next);
        takers.filter_map(|(_, order)| order[t]).map(|c| (c, -amount)).collect()
    }

    /// Orders of a stage with the suppliers of `group` are at most the share `largest` of all its orders in each year.
    fn add_share(&mut self, input: &PlanInput, stage: Stage, largest: f64, group: &dyn Fn(usize) -> bool, limit: &dyn Fn(usize) -> Limit) {
        let year_months = MONTHS_PER_YEAR as usize;
        for year in 0..input.months.div_ceil(year_months) {
            let months = year * year_months..((year + 1) * year_months).min(input.months);
            let mut entries = Vec::new();
            for (m, _) in input.suppliers.iter().enumerate().filter(|(_, s)| s.stage == stage) {
                let own = if group(m) { 1.0 } else { 0.0 };
                entries.extend(months.clone().filter_map(|t| self.order[m][t]).map(|c| (c, own - largest)));
            }
            if !entries.is_empty() {
                self.row(f64::NEG_INFINITY, 0.0, &entries, Some(limit(year)));
            }
        }
    }
}

/// Columns of starts that are ready in month `t`.
pub(crate) fn ready(starts: &[(usize, usize)], months: usize, t: usize) -> impl Iterator<Item = usize> + '_ {
    starts.iter().filter(move |(start, _)| start.saturating_add(months) <= t).map(|&(_, c)| c)
}

/// USD in one unit of stock behind a stage.
fn value_behind(product: &Product, stage: Stage) -> f64 {
    let upto = |last: Stage| Stage::ALL.iter().filter(|&&s| s <= last).map(|&s| product.prices.of(s) * product.units(s)).sum();
    match stage {
        Stage::Wafer => product.prices.wafer_usd,
        Stage::Hbm => product.prices.hbm_usd,
        later => upto(later),
    }
}
