//! Columns and rows of sites, fleets and demand: power ordered and ready, accelerators standing, which demand runs on which, what is
//! rented and what is missing.
//!
//! `standing[t] = standing[t-1] + installed[t] - installed[t - life]`; power of all that stands is at most the power ready; what runs of
//! all demands on a kind at a site is at most what stands there. One own chip that runs counts as the part of its steady work that it does in that month.

use tetra_quantity::MONTHS_PER_YEAR;

use crate::input::{PlanInput, PlanSite, Tenure};
use crate::model::{Cell, Choosable, KILO, Kind, Limit, Model, Usage, left};
use crate::plan::CostItem;

impl Model {
    pub(crate) fn add_sites(&mut self, input: &PlanInput) {
        for (j, site) in input.sites.iter().enumerate() {
            let order = self.add_building(input, j, site);
            let ready = self.add_ready(input, site, &order);
            let all: Vec<_> = order.iter().flatten().map(|&c| (c, 1.0)).collect();
            let room = (site.cap_w - site.ready_w).max(0.0) / (KILO * self.scale);
            if !all.is_empty() {
                self.row(f64::NEG_INFINITY, room, &all, Some(Limit::SiteCap { site: j }));
            }
            self.power_order.push(order);
            self.power_ready.push(ready);
        }
    }

    /// Power ordered at a site, at most its pace and none before it is started.
    fn add_building(&mut self, input: &PlanInput, j: usize, site: &PlanSite) -> Vec<Cell> {
        let pace = site.max_w_per_month / (KILO * self.scale);
        let opened = if site.start_usd > 0.0 { Some(self.option(input, Choosable::Open(j), site.start_usd)) } else { None };
        let mut order: Vec<Cell> = vec![None; input.months];
        for (t, cell) in order.iter_mut().enumerate().take(input.months.saturating_sub(site.lead_months)) {
            let limit = Some(Limit::Pace { site: j, month: t });
            let column = self.column(if opened.is_some() { f64::INFINITY } else { pace }, limit, Some(t));
            self.charge(column, CostItem::SiteBuild, t, site.usd_per_w * KILO);
            let age = input.months - t - site.lead_months;
            let kept = site.life_months.saturating_sub(age) as f64 / site.life_months.max(1) as f64;
            self.charge(column, CostItem::Residual, input.months, -site.usd_per_w * KILO * kept);
            *cell = Some(column);
            if let Some(starts) = &opened {
                let mut entries = vec![(column, 1.0)];
                entries.extend(crate::chain::ready(starts, 0, t).map(|c| (c, -pace)));
                self.row(f64::NEG_INFINITY, 0.0, &entries, limit);
            }
        }
        order
    }

    /// Power that the orders have made ready.
    fn add_ready(&mut self, input: &PlanInput, site: &PlanSite, order: &[Cell]) -> Vec<Cell> {
        let mut ready: Vec<Cell> = vec![None; input.months];
        for t in 0..input.months {
            let arrived = t.checked_sub(site.lead_months).and_then(|m| order[m]);
            let before = t.checked_sub(1).and_then(|m| ready[m]);
            if arrived.is_none() && before.is_none() {
                continue;
            }
            let column = self.column(f64::INFINITY, None, None);
            self.charge(column, CostItem::SiteRunning, t, site.usd_per_w_year * KILO / MONTHS_PER_YEAR);
            let entries = [Some((column, -1.0)), arrived.map(|c| (c, 1.0)), before.map(|c| (c, 1.0))];
            self.row(0.0, 0.0, &entries.into_iter().flatten().collect::<Vec<_>>(), None);
            ready[t] = Some(column);
        }
        ready
    }

    pub(crate) fn add_fleets(&mut self, input: &PlanInput) {
        for k in 0..self.kinds.len() {
            let mut install = Vec::new();
            let mut standing = Vec::new();
            for j in 0..input.sites.len() {
                let (i, s) = self.add_fleet(input, self.kinds[k], j);
                install.push(i);
                standing.push(s);
            }
            self.install.push(install);
            self.standing.push(standing);
            if let Kind::Bought(b) = self.kinds[k] {
                self.add_deliveries(input, k, b);
            }
        }
        for (j, site) in input.sites.iter().enumerate() {
            for t in 0..input.months {
                let mut entries: Vec<(usize, f64)> = Vec::new();
                for (k, &kind) in self.kinds.iter().enumerate() {
                    entries.extend(self.standing[k][j][t].map(|c| (c, watts(input, kind) / KILO)));
                }
                if !entries.is_empty() {
                    entries.extend(self.power_ready[j][t].map(|c| (c, -1.0)));
                    let ready = site.ready_w.min(site.cap_w) / (KILO * self.scale);
                    self.row(f64::NEG_INFINITY, ready, &entries, Some(Limit::Power { site: j, month: t }));
                }
            }
        }
    }

    fn add_fleet(&mut self, input: &PlanInput, kind: Kind, j: usize) -> (Vec<Cell>, Vec<Cell>) {
        let (first, life) = match (kind, &input.product) {
            (Kind::Own, Some(p)) => (p.first_wafer_month, p.life_months),
            (Kind::Own, None) => (input.months, 0),
            (Kind::Bought(b), _) => (input.bridges[b].lead_months, input.bridges[b].life_months),
        };
        let (load, upkeep) = running(input, kind);
        let energy = input.sites[j].energy_usd_per_w_year * watts(input, kind) * load / MONTHS_PER_YEAR;
        let mut install: Vec<Cell> = vec![None; input.months];
        let mut standing: Vec<Cell> = vec![None; input.months];
        for t in first..input.months {
            let lead = if kind == Kind::Own { 0 } else { first };
            let column = self.column(f64::INFINITY, None, Some(t - lead));
            let now = self.column(f64::INFINITY, None, None);
            self.charge(now, CostItem::Energy, t, energy);
            self.charge(now, CostItem::Upkeep, t, upkeep / MONTHS_PER_YEAR);
            let before = t.checked_sub(1).and_then(|m| standing[m]);
            let retired = t.checked_sub(life).and_then(|m| install[m]);
            let entries = [Some((now, -1.0)), Some((column, 1.0)), before.map(|c| (c, 1.0)), retired.map(|c| (c, -1.0))];
            self.row(0.0, 0.0, &entries.into_iter().flatten().collect::<Vec<_>>(), None);
            install[t] = Some(column);
            standing[t] = Some(now);
        }
        (install, standing)
    }

    /// Price and monthly limit of a bought accelerator, paid when ordered.
    fn add_deliveries(&mut self, input: &PlanInput, k: usize, b: usize) {
        let bridge = &input.bridges[b];
        for t in bridge.lead_months..input.months {
            let columns: Vec<usize> = self.install[k].iter().filter_map(|site| site[t]).collect();
            let month = t - bridge.lead_months;
            let usd = price(bridge.usd, bridge.usd_change_per_year, month);
            for &c in &columns {
                self.charge(c, CostItem::Bought, month, usd);
                self.charge(c, CostItem::Residual, input.months, -left(input, usd, bridge.kept_per_year, t, bridge.life_months));
            }
            let entries: Vec<_> = columns.iter().map(|&c| (c, 1.0)).collect();
            let open: f64 = input.outages.iter().filter(|o| o.bought).map(|o| o.availability(month)).product();
            let most = bridge.units_per_month / self.scale * open;
            self.row(f64::NEG_INFINITY, most, &entries, Some(Limit::Bridge { bridge: b, month }));
        }
    }

    pub(crate) fn add_demands(&mut self, input: &PlanInput) {
        for d in 0..input.demands.len() {
            self.add_usage(input, d);
            self.add_rent(input, d);
        }
        self.add_running(input);
        self.add_rent_limits(input);
        for d in 0..input.demands.len() {
            self.add_demand(input, d);
        }
    }

    fn add_usage(&mut self, input: &PlanInput, d: usize) {
        for k in 0..self.kinds.len() {
            for (j, t) in (0..input.sites.len()).flat_map(|j| (0..input.months).map(move |t| (j, t))) {
                let needed = input.demands[d].chips.get(t).copied().unwrap_or(0.0);
                let chips_per_unit = match self.kinds[k] {
                    Kind::Own => works(input, t),
                    Kind::Bought(b) => input.bridges[b].chips_per_unit[d],
                };
                if chips_per_unit <= 0.0 || needed <= 0.0 || self.standing[k][j][t].is_none() {
                    continue;
                }
                let allowed = input.demands[d].sites.contains(&j);
                let (upper, limit) =
                    if allowed { (f64::INFINITY, None) } else { (0.0, Some(Limit::Residency { demand: d, site: j, month: t })) };
                let column = self.column(upper, limit, None);
                self.usage.push(Usage { demand: d, kind: k, site: j, month: t, column, chips_per_unit });
            }
        }
    }

    fn add_running(&mut self, input: &PlanInput) {
        let mut at = vec![vec![vec![Vec::new(); input.months]; input.sites.len()]; self.kinds.len()];
        for u in &self.usage {
            at[u.kind][u.site][u.month].push((u.column, 1.0));
        }
        for (k, j, t) in cells(self.kinds.len(), input.sites.len(), input.months) {
            let mut entries = std::mem::take(&mut at[k][j][t]);
            if let (false, Some(standing)) = (entries.is_empty(), self.standing[k][j][t]) {
                entries.push((standing, -1.0));
                self.row(f64::NEG_INFINITY, 0.0, &entries, None);
            }
        }
    }

    fn add_rent(&mut self, input: &PlanInput, d: usize) {
        for (b, bridge) in input.bridges.iter().enumerate().filter(|(_, b)| b.tenure == Tenure::Rented) {
            for t in bridge.lead_months..input.months {
                let needed = input.demands[d].chips.get(t).copied().unwrap_or(0.0);
                if bridge.chips_per_unit[d] > 0.0 && needed > 0.0 {
                    let column = self.column(f64::INFINITY, None, None);
                    self.charge(column, CostItem::Rented, t, price(bridge.usd, bridge.usd_change_per_year, t));
                    self.rent.push((b, d, t, column));
                }
            }
        }
    }

    fn add_rent_limits(&mut self, input: &PlanInput) {
        for (b, bridge) in input.bridges.iter().enumerate().filter(|(_, b)| b.tenure == Tenure::Rented) {
            for t in bridge.lead_months..input.months {
                let held = self.rent.iter().filter(|r| r.0 == b && r.2 == t);
                let entries: Vec<_> = held.map(|r| (r.3, 1.0)).collect();
                if !entries.is_empty() {
                    let most = bridge.units_per_month / self.scale;
                    self.row(f64::NEG_INFINITY, most, &entries, Some(Limit::Bridge { bridge: b, month: t }));
                }
            }
        }
    }

    fn add_demand(&mut self, input: &PlanInput, d: usize) {
        let demand = &input.demands[d];
        let mut entries: Vec<Vec<(usize, f64)>> = vec![Vec::new(); input.months];
        for u in self.usage.iter().filter(|u| u.demand == d) {
            entries[u.month].push((u.column, u.chips_per_unit));
        }
        for &(b, _, t, column) in self.rent.iter().filter(|r| r.1 == d) {
            entries[t].push((column, input.bridges[b].chips_per_unit[d]));
        }
        let mut unmet: Vec<Cell> = vec![None; input.months];
        for (t, mut entries) in entries.into_iter().enumerate() {
            let needed = demand.chips.get(t).copied().unwrap_or(0.0) / self.scale;
            if needed <= 0.0 {
                continue;
            }
            if demand.met_from.is_none_or(|m| t < m) {
                let column = self.column(f64::INFINITY, None, None);
                self.charge(column, CostItem::Unmet, t, demand.unmet_usd_per_chip_month);
                entries.push((column, 1.0));
                unmet[t] = Some(column);
            }
            self.row(needed, f64::INFINITY, &entries, Some(Limit::Demand { demand: d, month: t }));
        }
        self.unmet.push(unmet);
    }
}

/// CostItem of its steady work that an own chip does in month `t`.
fn works(input: &PlanInput, t: usize) -> f64 {
    input.product.as_ref().and_then(|p| p.works.get(t)).copied().unwrap_or(1.0)
}

fn watts(input: &PlanInput, kind: Kind) -> f64 {
    match kind {
        Kind::Own => input.product.as_ref().map_or(0.0, |p| p.watts),
        Kind::Bought(b) => input.bridges[b].watts,
    }
}

/// Mean over most power, and yearly upkeep of a unit.
fn running(input: &PlanInput, kind: Kind) -> (f64, f64) {
    match kind {
        Kind::Own => input.product.as_ref().map_or((0.0, 0.0), |p| (p.load, p.upkeep_usd_per_year)),
        Kind::Bought(b) => (input.bridges[b].load, input.bridges[b].upkeep_usd_per_year),
    }
}

fn price(usd: f64, change_per_year: f64, month: usize) -> f64 {
    usd * (1.0 + change_per_year).max(0.0).powf(month as f64 / MONTHS_PER_YEAR)
}

fn cells(kinds: usize, sites: usize, months: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..kinds).flat_map(move |k| (0..sites).flat_map(move |j| (0..months).map(move |t| (k, j, t))))
}
