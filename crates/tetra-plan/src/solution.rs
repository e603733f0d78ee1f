//! From the values of the programme's columns to the plan in its own units.

use std::collections::BTreeMap;

use crate::chain::kept;
use crate::input::{PlanInput, Stage, Tenure};
use crate::model::{Cell, Choosable, KILO, Kind, Model, discount};
use crate::plan::*;
use crate::programme::Solution;

/// Amounts below this part of a scaled unit are the solver's noise.
const NOISE: f64 = 1e-7;

/// Reads a plan from the values.
pub(crate) fn plan(input: &PlanInput, model: &Model, solution: &Solution) -> Plan {
    let read = Read { input, model, value: &solution.value };
    let money = model.scale * KILO;
    let nre: f64 = input.product.iter().flat_map(|p| &p.nre).map(|&(m, usd)| usd * discount(input, m)).sum();
    let costs = read.costs();
    let fleets = read.fleets();
    let services = read.services(fleets.len());
    let first_month = first_month(input, &fleets);
    let full_month = full_month(&services, input.months);
    let shadow_prices = crate::prices::shadow_prices(input, model, solution);
    Plan {
        months: input.months,
        cost_usd: costs.iter().map(|c| c.usd).sum(),
        bound_usd: solution.bound * money + nre,
        costs,
        orders: read.orders(),
        fleets,
        stocks: read.stocks(),
        services,
        sites: read.sites(),
        choices: read.choices(),
        first_month,
        full_month,
        bottlenecks: shadow_prices.iter().filter(|p| !p.can_be_bought).map(|p| p.text.clone()).collect(),
        shadow_prices,
    }
}

fn first_month(input: &PlanInput, fleets: &[Fleet]) -> Option<usize> {
    let own = fleets.iter().filter(|f| input.product.is_none() || f.own);
    own.filter_map(|f| f.standing.iter().position(|&v| v > 0.0)).min()
}

fn full_month(services: &[Service], months: usize) -> Option<usize> {
    let short = |t: usize| services.iter().any(|s| s.unmet[t] > 1e-6 * s.needed[t]);
    let full = (0..months).rev().find(|&t| short(t)).map_or(0, |t| t + 1);
    (full < months).then_some(full)
}

struct Read<'a> {
    input: &'a PlanInput,
    model: &'a Model,
    value: &'a [f64],
}

impl Read<'_> {
    fn at(&self, cell: Cell) -> f64 {
        cell.map_or(0.0, |c| if self.value[c] > NOISE { self.value[c] * self.model.scale } else { 0.0 })
    }

    fn series(&self, cells: &[Cell]) -> Vec<f64> {
        cells.iter().map(|&c| self.at(c)).collect()
    }

    fn zeros(&self) -> Vec<f64> {
        vec![0.0; self.input.months]
    }

    fn costs(&self) -> Vec<CostPart> {
        let mut parts: BTreeMap<CostItem, CostPart> = BTreeMap::new();
        let mut add = |part: CostItem, month: usize, usd: f64| {
            let entry = parts.entry(part).or_insert_with(|| CostPart {
                item: part,
                name: part_name(part).into(),
                kind: part_kind(part),
                usd: 0.0,
                usd_by_month: vec![0.0; self.input.months],
            });
            entry.usd += usd * discount(self.input, month);
            // What is left at the horizon is shown in the last month.
            entry.usd_by_month[month.min(self.input.months - 1)] += usd;
        };
        for &(month, usd) in self.input.product.iter().flat_map(|p| &p.nre) {
            add(CostItem::Nre, month, usd);
        }
        for c in &self.model.charges {
            let value = if self.model.programme.integer[c.column] { self.value[c.column].round() } else { self.value[c.column] };
            if value > NOISE {
                add(c.part, c.month, value * c.price * self.model.scale * KILO);
            }
        }
        parts.into_values().collect()
    }

    fn orders(&self) -> Vec<Orders> {
        let mut orders = Vec::new();
        for (supplier, cells) in self.input.suppliers.iter().zip(&self.model.order) {
            let ordered = self.series(cells);
            let mut delivered = self.zeros();
            for (t, units) in ordered.iter().enumerate().filter(|(_, u)| **u > 0.0) {
                delivered[t + supplier.lead_months] += units * kept(self.input, supplier, t);
            }
            let (name, country) = (supplier.name.clone(), supplier.country.clone());
            orders.push(Orders { name, stage: Some(supplier.stage), country, unit: supplier.stage.unit().into(), ordered, delivered });
        }
        for (b, bridge) in self.input.bridges.iter().enumerate() {
            let delivered = self.units_of_bridge(b);
            let mut ordered = delivered.clone();
            if bridge.tenure == Tenure::Bought {
                ordered = self.zeros();
                delivered.iter().enumerate().filter(|(_, u)| **u > 0.0).for_each(|(t, u)| ordered[t - bridge.lead_months] += u);
            }
            let unit = if bridge.tenure == Tenure::Bought { "units bought" } else { "units rented" };
            orders.push(Orders { name: bridge.name.clone(), stage: None, country: String::new(), unit: unit.into(), ordered, delivered });
        }
        orders
    }

    /// Delivered (bought) or held (rented) units by month.
    fn units_of_bridge(&self, b: usize) -> Vec<f64> {
        let mut units = self.zeros();
        match self.model.kinds.iter().position(|&k| k == Kind::Bought(b)) {
            Some(k) => {
                for site in &self.model.install[k] {
                    site.iter().enumerate().for_each(|(t, &c)| units[t] += self.at(c));
                }
            }
            None => self.model.rent.iter().filter(|r| r.0 == b).for_each(|r| units[r.2] += self.at(Some(r.3))),
        }
        units
    }

    fn fleets(&self) -> Vec<Fleet> {
        let mut fleets = Vec::new();
        for (k, kind) in self.model.kinds.iter().enumerate() {
            let (name, own) = match kind {
                Kind::Own => (self.input.product.as_ref().map_or(String::new(), |p| p.name.clone()), true),
                Kind::Bought(b) => (self.input.bridges[*b].name.clone(), false),
            };
            let sum = |sites: &[Vec<Cell>]| {
                let mut total = self.zeros();
                for site in sites {
                    site.iter().enumerate().for_each(|(t, &c)| total[t] += self.at(c));
                }
                total
            };
            fleets.push(Fleet { name, own, installed: sum(&self.model.install[k]), standing: sum(&self.model.standing[k]) });
        }
        for (b, bridge) in self.input.bridges.iter().enumerate().filter(|(_, b)| b.tenure == Tenure::Rented) {
            let held = self.units_of_bridge(b);
            fleets.push(Fleet { name: bridge.name.clone(), own: false, installed: held.clone(), standing: held });
        }
        fleets
    }

    fn stocks(&self) -> Vec<Stock> {
        let all = Stage::ALL.into_iter().zip(&self.model.stock);
        all.map(|(stage, cells)| Stock { stage, units: self.series(cells) }).collect()
    }

    fn services(&self, fleets: usize) -> Vec<Service> {
        let mut services: Vec<Service> = Vec::new();
        for (d, demand) in self.input.demands.iter().enumerate() {
            let mut needed = demand.chips.clone();
            needed.resize(self.input.months, 0.0);
            services.push(Service {
                name: demand.name.clone(),
                region: demand.region.clone(),
                needed,
                unmet: self.series(&self.model.unmet[d]),
                by_fleet: vec![self.zeros(); fleets],
            });
        }
        for u in &self.model.usage {
            services[u.demand].by_fleet[u.kind][u.month] += self.at(Some(u.column)) * u.chips_per_unit;
        }
        let rented: Vec<usize> =
            self.input.bridges.iter().enumerate().filter(|(_, b)| b.tenure == Tenure::Rented).map(|(b, _)| b).collect();
        for &(b, d, t, column) in &self.model.rent {
            let place = rented.iter().position(|&r| r == b).map_or(0, |p| p + self.model.kinds.len());
            services[d].by_fleet[place][t] += self.at(Some(column)) * self.input.bridges[b].chips_per_unit[d];
        }
        services
    }

    fn sites(&self) -> Vec<SitePower> {
        let mut sites = Vec::new();
        for (j, site) in self.input.sites.iter().enumerate() {
            let base = site.ready_w.min(site.cap_w);
            let mut used_w = self.zeros();
            for (k, kind) in self.model.kinds.iter().enumerate() {
                let watts = match kind {
                    Kind::Own => self.input.product.as_ref().map_or(0.0, |p| p.watts),
                    Kind::Bought(b) => self.input.bridges[*b].watts,
                };
                self.model.standing[k][j].iter().enumerate().for_each(|(t, &c)| used_w[t] += self.at(c) * watts);
            }
            sites.push(SitePower {
                name: site.name.clone(),
                ordered_w: self.series(&self.model.power_order[j]).iter().map(|v| v * KILO).collect(),
                ready_w: self.series(&self.model.power_ready[j]).iter().map(|v| base + v * KILO).collect(),
                used_w,
                cap_w: site.cap_w,
            });
        }
        sites
    }

    fn choices(&self) -> Vec<Choice> {
        let taken = self.model.options.iter().filter(|(_, _, c)| self.value[*c] > 0.5);
        taken.map(|&(what, month, _)| choice(self.input, what, month)).collect()
    }
}

/// A choice in words.
pub(crate) fn choice(input: &PlanInput, what: Choosable, month: usize) -> Choice {
    let supplier = |n: usize| &input.suppliers[n];
    let (name, months, usd) = match what {
        Choosable::Qualify(n) => {
            let q = supplier(n).qualification;
            (format!("qualify {}", supplier(n).name), q.map_or(0, |q| q.months), q.map_or(0.0, |q| q.usd))
        }
        Choosable::Expand(n) => {
            let e = supplier(n).expansion;
            (format!("prepay capacity at {}", supplier(n).name), e.map_or(0, |e| e.months), e.map_or(0.0, |e| e.usd))
        }
        Choosable::Open(j) => (format!("start site {}", input.sites[j].name), input.sites[j].lead_months, input.sites[j].start_usd),
    };
    Choice { name, month, ready_month: month.saturating_add(months), usd }
}

fn part_kind(part: CostItem) -> CostKind {
    match part {
        CostItem::Nre | CostItem::Stage(_) | CostItem::Options | CostItem::Bought | CostItem::SiteBuild => CostKind::Capital,
        CostItem::Rented | CostItem::SiteRunning | CostItem::Energy | CostItem::Upkeep | CostItem::Stock => CostKind::Running,
        CostItem::Unmet => CostKind::Penalty,
        CostItem::Residual => CostKind::Residual,
    }
}

fn part_name(part: CostItem) -> &'static str {
    match part {
        CostItem::Nre => "design, masks, software (NRE)",
        CostItem::Stage(Stage::Wafer) => "wafers",
        CostItem::Stage(Stage::Hbm) => "HBM",
        CostItem::Stage(Stage::Packaging) => "advanced packaging",
        CostItem::Stage(Stage::Test) => "test",
        CostItem::Stage(Stage::Server) => "servers and network",
        CostItem::Options => "second sources, prepaid capacity, site starts",
        CostItem::Bought => "bought accelerators",
        CostItem::Rented => "rented accelerators",
        CostItem::SiteBuild => "building of sites",
        CostItem::SiteRunning => "running of sites",
        CostItem::Energy => "energy",
        CostItem::Upkeep => "upkeep of machines",
        CostItem::Stock => "keeping of stock",
        CostItem::Unmet => "penalty for unmet demand",
        CostItem::Residual => "value left at the horizon",
    }
}
