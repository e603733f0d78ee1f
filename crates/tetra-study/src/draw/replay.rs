//! One option in one world: what was decided at the base case is kept, what it costs and brings is worked out anew.
//!
//! Every line of the base ledger is scaled by the ratio of prices, `line'(m) = line(m - s) · p'/p`, with `s` the months by which the kind is late.
//! Fleets: `n'(m) = max(n'(m-1), n(m-s) · d'/d)` once the commitment is over, where `d'/d` is how much more chips the demand needs in this world; more
//! or fewer machines than planned are paid at the world's price. What is short is rented, bought where that is not enough, and costs its penalty
//! until it comes. Where a world equals the base every ratio is exactly 1 and every difference exactly 0. Leaves out: a new plan, moving to other sites.

mod shortage;

use tetra_foundry::{Package, team_per_month};
use tetra_quantity::MONTHS_PER_YEAR;
use tetra_site::Finance;

use crate::cashflow::{Ledger, LineKind, Purpose};
use crate::compare::Worked;
use crate::draw::slower::Slower;
use crate::draw::world::{World, ratio};
use crate::evaluate::{Setting, Source};
use crate::market::Market;
use crate::run::finance_of;
use crate::search::package_with;
use crate::stand::{Place, stand};

/// Prices of one kind of machine in one world.
#[derive(Debug, Clone, Default)]
pub struct Quote {
    /// Parts of a package: wafers, memory, the rest of it, test; all of a chip on sale lies in the third.
    package: [f64; 4],
    /// Server, network and storage.
    equipment: f64,
    /// Energy and what goes with use, dollars per year.
    energy: f64,
    /// Rent and upkeep of halls, dollars per year.
    hall: f64,
    /// Design cost.
    nre: f64,
    /// Design cost of a month's work.
    burn: f64,
    /// First month.
    from: f64,
    /// Months of slip in it; their team is part of the design cost.
    slip: f64,
    /// Time of one unit of serving, and of training, over the prediction.
    pub time: [f64; 2],
    /// Chip-seconds of one unit over the prediction, by service, its limits being kept.
    takes: Vec<f64>,
    /// Part of its steady work that a chip does, by month.
    works: Vec<f64>,
    /// Value of a chip after some months over that of a chip on sale.
    keeps: f64,
    /// Share of its value that is left at half the horizon.
    kept: f64,
    /// Carbon of a chip: made, and run for a year.
    kg: [f64; 2],
    /// Cost of a chip through the horizon, undiscounted: only its ratio to that of the base is used, for equal spend.
    per_chip: f64,
}

impl Quote {
    fn chip(&self) -> f64 {
        self.package.iter().sum()
    }

    fn machine(&self) -> f64 {
        self.chip() + self.equipment
    }

    /// Takes the prices and months of a chip of one's own.
    fn make(&mut self, package: Package) -> Source {
        let line = |names: &[&str]| -> f64 { package.waterfall.iter().filter(|l| names.contains(&l.0)).map(|l| l.1.value()).sum() };
        let parts = [line(&WAFER), line(&MEMORY), line(&TEST)];
        self.package = [parts[0], parts[1], package.unit_cost.value() - parts.iter().sum::<f64>(), parts[2]];
        self.nre = package.nre.total.value();
        let people = |n: &str| n == "design" || n == "software";
        let team: f64 = package.nre.parts.iter().filter(|p| people(p.0)).map(|p| p.1.value()).sum();
        self.burn = team_per_month(team, &package.programme);
        self.from = package.programme.months_to_volume;
        self.slip = package.programme.slip_months;
        Source::Own(Box::new(package))
    }

    /// What a machine is worth of which a chip on sale would keep the share `kept`, as in the closed form of the estimate.
    fn left(&self, kept: f64) -> f64 {
        kept * (self.chip() * self.keeps + self.equipment)
    }
}

/// Lines of a package by stage of the plan.
const WAFER: [&str; 4] = ["logic wafers", "defective dies", "wafer probe", "dies lost in assembly"];
const MEMORY: [&str; 2] = ["memory", "memory lost in assembly"];
const TEST: [&str; 1] = ["final test"];

/// Prices of the kind of `w` in `world`, a chip on sale with the carbon `kg`; none when it cannot be made or stand there.
fn quote(setting: &Setting<'_>, w: &Worked, slower: &Slower, kg: f64, world: &World<'_>) -> Option<Quote> {
    let horizon = f64::from(setting.study.frame.months);
    let finance: Finance = finance_of(setting.study, &world.market);
    let seen = w.id.is_none();
    let mut q = Quote {
        time: [world.serving_error(w.model_name(), seen).exp(), world.training_error(w.model_name(), seen).exp()],
        ..Quote::default()
    };
    q.takes = slower.takes(q.time[0], world.chances.limit_worth);
    let source = match &w.source {
        Source::Own(_) => q.make(package_with(&w.chip, setting, &world.foundry).ok()?),
        other => other.at_market(&w.chip, setting.inputs, &world.market),
    };
    match &w.source {
        Source::Own(_) => {}
        Source::Sale { .. } => q.from = f64::from(world.market.gpu_lead_months),
        Source::Rent { .. } => q.from = f64::from(world.market.rent_lead_months),
    }
    let places: Vec<Place<'_>> = setting.places.iter().zip(&world.sites).map(|(p, site)| Place { site, cap: p.cap }).collect();
    let kg = if let Source::Own(p) = &source { p.kg_co2e.value() } else { kg };
    let bought = source.bought_with(&w.chip, setting.inputs, kg);
    let standing = stand(&bought, &w.found.parts, &places, &finance, &world.site).ok()?;
    let unit = standing.unit;
    if seen {
        q.package = [0.0, 0.0, unit.chip_usd, 0.0];
    }
    q.equipment = unit.equipment_usd;
    q.hall = unit.opex_usd_per_year.iter().filter(|o| o.0.is_hall()).map(|o| o.1).sum();
    q.energy = unit.opex_usd_per_year.iter().filter(|o| !o.0.is_hall()).map(|o| o.1).sum();
    q.works = source.works(&world.market, setting.study.frame.months as usize);
    q.keeps = if seen { 1.0 } else { world.market.own_chip_share };
    q.kept = world.market.residual_at(horizon * 0.5) * q.keeps;
    q.kg = [unit.kg_embodied, unit.kg_per_year];
    q.per_chip = q.machine() * (1.0 - q.kept) + (q.hall + q.energy) * horizon / MONTHS_PER_YEAR;
    Some(q)
}

/// What an option comes to in one world.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Dollars per million output tokens.
    pub usd_per_million: f64,
    /// Present value of the payments for serving.
    pub payments: f64,
    /// Of it, design.
    pub design: f64,
    /// Output tokens, discounted.
    pub tokens: f64,
    /// Cumulative discounted payments.
    pub cumulative: Vec<f64>,
    /// Cost of one training run.
    pub usd_per_run: f64,
    /// Payments before the own kind serves.
    pub funding: f64,
    /// Capital over the horizon.
    pub capex: f64,
    /// Running cost of the last year.
    pub opex_per_year: f64,
    /// Chips at the end.
    pub chips: f64,
    /// IT megawatts at the end.
    pub it_mw: f64,
    /// Days of one training run, and at equal spend.
    pub days: [f64; 2],
    /// First month, and the month from which all is met.
    pub months: [f64; 2],
    /// Carbon, kg.
    pub kg: f64,
    /// Time of one unit of serving over the prediction.
    pub time: f64,
    /// Chips that holding a limit is worth, over those of a missed one.
    pub limit_worth: f64,
}

/// When and how much of a kind comes.
#[derive(Debug, Clone, Copy)]
struct Supply {
    /// Months late.
    late: f64,
    /// Months without deliveries: first, and how many.
    gap: Option<(f64, f64)>,
    /// Months after the first machine in which orders follow the plan.
    commitment: f64,
    /// Most machines over the planned number.
    most: f64,
}

impl Supply {
    /// Machines planned for month `m`, as late as they are here.
    fn planned(&self, base: &[f64], m: usize) -> f64 {
        let held = self.gap.map_or(0.0, |(from, length)| (m as f64 - from).clamp(0.0, length));
        shifted(base, m, self.late + held)
    }

    /// A fleet by month; `need` is the chips that the demand takes over those of the base.
    fn fleet(&self, base: &[f64], need: &[f64]) -> Vec<f64> {
        let first = base.iter().position(|n| *n > 0.0).unwrap_or(base.len()) as f64;
        let mut out: Vec<f64> = Vec::with_capacity(base.len());
        for (m, need) in need.iter().enumerate() {
            let planned = self.planned(base, m);
            let follows = m as f64 >= first + self.late + self.commitment;
            let wanted = if follows { planned * need.min(self.most) } else { planned * self.most.min(1.0) };
            let shrinks = if m > 0 { (planned - self.planned(base, m - 1)).min(0.0) } else { 0.0 };
            out.push(out.last().map_or(wanted, |before: &f64| wanted.max(before + shrinks)));
        }
        out
    }
}

/// `base` at month `m`, `late` months later, linear between months.
fn shifted(base: &[f64], m: usize, late: f64) -> f64 {
    if late == 0.0 {
        return base[m];
    }
    let at = m as f64 - late;
    let value = |i: f64| if i < 0.0 { 0.0 } else { base[(i as usize).min(base.len() - 1)] };
    let low = at.floor();
    let share = at - low;
    value(low) * (1.0 - share) + value(low + 1.0) * share
}

/// An option at the base case, ready to be worked out in other worlds.
pub struct Frozen<'a> {
    setting: &'a Setting<'a>,
    /// The option.
    pub w: &'a Worked,
    slower: &'a Slower,
    base: Quote,
    /// Carbon of making a chip, kg.
    kg: f64,
    /// Name under which the market knows the machines that are rented.
    rent: Option<String>,
    /// Discount factors, and output tokens per second, by month.
    discount: Vec<f64>,
    demand: Vec<f64>,
    shown: Shown,
    /// Whether a supplier's capacity holds the plan back.
    capped: bool,
    allocation: f64,
}

/// Figures of the base case.
struct Shown {
    /// Share of serving in the payments, and in the chip-months of the own kind.
    serving: [f64; 2],
    days: [f64; 2],
    chips: f64,
    kg_co2e: f64,
    /// Present value of the design.
    design: f64,
    /// Training runs, discounted.
    runs: f64,
}

/// What is worked out on the way of one replay.
struct Course<'b> {
    world: &'b World<'b>,
    now: &'b Quote,
    bridge: Option<(&'b Quote, &'b Quote)>,
    /// Chips that the demand takes over those of the base, by month.
    need: Vec<f64>,
    own: Vec<f64>,
    bought: Vec<f64>,
    own_supply: Supply,
    bought_supply: Supply,
}

impl<'a> Frozen<'a> {
    /// Freezes an option; none when the base world cannot be priced.
    pub fn of(setting: &'a Setting<'a>, w: &'a Worked, slower: &'a Slower, base: &World<'_>) -> Option<Self> {
        let kg = w.source.kg_embodied(&w.chip, setting.inputs);
        let renter = match &w.source {
            Source::Rent { .. } => Some(w.chip.name.as_str()),
            _ => setting.rent.as_ref().map(|r| r.name.as_str()),
        };
        let mut rents = setting.inputs.constants.market.rents.keys();
        let months = setting.study.frame.months as usize;
        let demand = |m: usize| setting.study.services.iter().map(|s| s.demand[m].value()).sum::<f64>();
        let mut frozen = Self {
            setting,
            w,
            slower,
            base: quote(setting, w, slower, kg, base)?,
            kg,
            rent: rents.find(|n| renter.is_some_and(|r| setting.inputs.same_chip(r, n))).cloned(),
            discount: (0..months).map(|m| setting.study.frame.discount_rate.discount(m)).collect(),
            demand: (0..months).map(demand).collect(),
            shown: Shown {
                serving: [w.serving_share(setting), 1.0],
                days: w.days(),
                chips: w.chips(),
                kg_co2e: w.kg_co2e(setting),
                design: w.contender(setting).design,
                runs: setting.discounted_runs(),
            },
            capped: w.supply_binds(),
            allocation: base.chances.allocation,
        };
        frozen.shown.serving[1] = frozen.share(&|_, _| 1.0, 1.0);
        Some(frozen)
    }

    /// Prices of its kind in a world; none when it cannot be made or stand there.
    pub fn quote(&self, world: &World<'_>) -> Option<Quote> {
        quote(self.setting, self.w, self.slower, self.kg, world)
    }

    /// The quote of the base case.
    pub fn base(&self) -> &Quote {
        &self.base
    }

    /// The option in a world; `now` is its kind's quote there, `bridge` that of the machines that bridge, at the base and there.
    pub fn replay(&self, world: &World<'_>, now: &Quote, bridge: Option<(&Quote, &Quote)>) -> Replay {
        let o = &self.w.outcome;
        let late = now.from - self.base.from;
        let bridge_late = bridge.map_or(0.0, |(b, n)| n.from - b.from);
        let most = if self.capped && self.w.id.is_some() { world.chances.allocation / self.allocation } else { f64::INFINITY };
        let supply = |late: f64, most: f64| Supply { late, gap: world.disruption, commitment: world.chances.commitment, most };
        let (own_supply, bought_supply) = (supply(late, most), supply(bridge_late, f64::INFINITY));
        let need = self.need(world, now);
        let bridge_need = bridge.map_or_else(|| need.clone(), |(_, n)| self.need(world, n));
        let own = own_supply.fleet(&o.own, &need);
        let bought = bought_supply.fleet(&o.bought, &bridge_need);
        let course = Course { world, now, bridge, need, own, bought, own_supply, bought_supply };
        self.sum(&course, self.ledger(&course))
    }

    /// Chips that the demand takes over those of the base, by month, where machines do as `q` says.
    fn need(&self, world: &World<'_>, q: &Quote) -> Vec<f64> {
        let parts = &self.w.found.parts;
        let sum = |m: usize, f: &dyn Fn(usize) -> f64| -> f64 { parts.iter().enumerate().map(|(i, p)| p.chips[m] * f(i)).sum() };
        let one = |m: usize| {
            let base = sum(m, &|_| 1.0);
            let here = sum(m, &|i| q.takes.get(i).map_or(q.time[1], |takes| world.demand[m] * takes));
            if base > 0.0 { here / base } else { 1.0 }
        };
        (0..world.demand.len()).map(one).collect()
    }

    /// All payments in a world.
    fn ledger(&self, c: &Course<'_>) -> Ledger {
        let o = &self.w.outcome;
        let months = o.ledger.months;
        let mut out = Ledger::new(months);
        let sum = |v: &[f64], other: &[f64], m: usize| v[m] + other[m];
        let use_ratio: Vec<f64> = (0..months).map(|m| ratio(sum(&c.own, &c.bought, m), sum(&o.own, &o.bought, m))).collect();
        for line in &o.ledger.lines {
            let price = self.price(c, line.purpose);
            let moves = self.moves(c, line.purpose);
            let trend = self.trend(c, line.purpose);
            let used = line.kind == LineKind::Opex && line.purpose.is_use();
            for (m, usd) in out.line(line.name.clone(), line.purpose, line.kind).iter_mut().enumerate() {
                let used = if used { use_ratio[m] } else { 1.0 };
                let planned = moves.map_or(line.usd[m], |s| s.planned(&line.usd, m));
                *usd += planned * price * used * trend.map_or(1.0, |t| t[m]);
            }
        }
        self.recourse(c, &mut out);
        out
    }

    /// Ratio of the price of what a line pays for here to that of the base.
    fn price(&self, c: &Course<'_>, purpose: Purpose) -> f64 {
        let (b, n) = (&self.base, c.now);
        let (then, now) = (&self.setting.inputs.constants.market, &c.world.market);
        match purpose {
            Purpose::Wafers => ratio(n.package[0], b.package[0]),
            Purpose::Memory => ratio(n.package[1], b.package[1]),
            Purpose::Packaging => ratio(n.package[2], b.package[2]),
            Purpose::Test => ratio(n.package[3], b.package[3]),
            Purpose::Chips => ratio(n.chip(), b.chip()),
            Purpose::Servers => ratio(n.equipment, b.equipment),
            Purpose::Design => ratio(n.nre, b.nre),
            Purpose::Reserved => ratio(self.rent(now) * now.reserved_share, self.rent(then) * then.reserved_share),
            Purpose::Rented => ratio(self.rent(now), self.rent(then)),
            Purpose::Bought if self.w.id.is_some() => c.bridge.map_or(1.0, |(b, n)| ratio(n.machine(), b.machine())),
            Purpose::Bought => ratio(n.machine(), b.machine()),
            Purpose::Halls => ratio(n.hall, b.hall),
            Purpose::Energy | Purpose::Upkeep => ratio(n.energy, b.energy),
            Purpose::Unmet => ratio(now.penalty_usd_per_token, then.penalty_usd_per_token),
            Purpose::Left => ratio(n.machine() * n.kept, b.machine() * b.kept),
            Purpose::Options | Purpose::Building | Purpose::Stock => 1.0,
        }
    }

    /// How payments move in time: with the kind that they buy.
    fn moves<'c>(&self, c: &'c Course<'_>, purpose: Purpose) -> Option<&'c Supply> {
        match purpose {
            Purpose::Bought if self.w.id.is_some() => Some(&c.bought_supply),
            Purpose::Wafers | Purpose::Memory | Purpose::Packaging | Purpose::Test => Some(&c.own_supply),
            Purpose::Chips | Purpose::Servers | Purpose::Bought | Purpose::Stock => Some(&c.own_supply),
            _ => None,
        }
    }

    /// Change of a price by month over that of the base.
    fn trend<'c>(&self, c: &'c Course<'_>, purpose: Purpose) -> Option<&'c [f64]> {
        match (purpose, &self.w.source) {
            (Purpose::Rented | Purpose::Reserved, _) => Some(&c.world.trends.rented),
            (_, Source::Sale { change_per_year: 0.0, .. }) => None,
            (Purpose::Bought, _) => Some(&c.world.trends.bought),
            _ => None,
        }
    }

    /// Whether a kind, its own or that of the bridge, gets cheaper as successors come.
    fn follows(&self, bridge: bool) -> bool {
        match self.w.source {
            Source::Own(_) => bridge,
            Source::Sale { change_per_year, .. } => change_per_year != 0.0,
            Source::Rent { .. } => false,
        }
    }

    fn rent(&self, market: &Market) -> f64 {
        self.rent.as_ref().and_then(|name| market.rents.get(name)).map_or(0.0, |usd| usd.value())
    }

    /// Machines more or fewer than planned, what is rented in addition, what stays unmet, and a team that works on a late programme.
    fn recourse(&self, c: &Course<'_>, out: &mut Ledger) {
        let o = &self.w.outcome;
        let months = out.months;
        let take = c.world.chances.take_or_pay.clamp(0.0, 1.0);
        let kinds = [(&c.own, &o.own, c.own_supply, Some(c.now)), (&c.bought, &o.bought, c.bought_supply, c.bridge.map(|b| b.1))];
        for (k, (here, base, supply, q)) in kinds.into_iter().enumerate() {
            let Some(q) = q else { continue };
            let follows = self.follows(k > 0);
            let trends = &c.world.trends;
            let mut last = 0.0;
            for (m, here) in here.iter().enumerate() {
                let more = here - supply.planned(base, m);
                let step = more - last;
                last = more;
                let paid = if step < 0.0 { 1.0 - take } else { 1.0 };
                let level = if follows { trends.successors[m] } else { 1.0 };
                let left = q.left(trends.residual[months - m]);
                out.pay("machines more or fewer than planned", Purpose::Chips, LineKind::Capex, m, step * level * q.machine() * paid);
                out.pay("value left at the horizon", Purpose::Left, LineKind::Residual, months - 1, -step * level * left);
            }
        }
        self.cover(c, out);
        if self.w.id.is_some() {
            let late = (c.now.from - self.base.from - (c.now.slip - self.base.slip)).max(0.0);
            out.pay(
                "team of a late programme",
                Purpose::Design,
                LineKind::Capex,
                (self.base.from as usize).min(months - 1),
                late * c.now.burn,
            );
        }
    }

    /// Dollars lost in a month in which nothing is served.
    fn unserved(&self, c: &Course<'_>, m: usize) -> f64 {
        let base = self.setting.inputs.constants.market.penalty_usd_per_token;
        self.setting.penalty[m] * c.world.demand[m] * ratio(c.world.market.penalty_usd_per_token, base)
    }

    /// Share of serving in the discounted chip-months of its own kind, where services take `serve` by service and month and a run `train` of those of
    /// the base.
    fn share(&self, serve: &dyn Fn(usize, usize) -> f64, train: f64) -> f64 {
        let services = self.setting.study.services.len();
        let parts = &self.w.found.parts;
        let chips = |i: usize, f: &dyn Fn(usize, usize) -> f64| -> f64 {
            self.discount.iter().enumerate().map(|(m, d)| parts[i].chips[m] * f(i, m) * d).sum()
        };
        let s: f64 = (0..services).map(|i| chips(i, serve)).sum();
        ratio(s, s + (services..parts.len()).map(|i| chips(i, &|_, _| train)).sum::<f64>())
    }

    /// Share of serving in the payments.
    fn serving(&self, c: &Course<'_>) -> f64 {
        let moved = ratio(self.share(&|i, m| c.world.demand[m] * c.now.takes[i], c.now.time[1]), self.shown.serving[1]);
        (self.shown.serving[0] * moved).min(1.0)
    }

    /// Cumulative discounted payments.
    fn cumulative(&self, ledger: &Ledger) -> Vec<f64> {
        let sum = |sum: &mut f64, (m, discount): (usize, &f64)| {
            *sum += ledger.lines.iter().map(|l| l.usd[m]).sum::<f64>() * discount;
            Some(*sum)
        };
        self.discount.iter().enumerate().scan(0.0, sum).collect()
    }

    /// Everything that is shown of a world.
    fn sum(&self, c: &Course<'_>, ledger: Ledger) -> Replay {
        let o = &self.w.outcome;
        let rate = self.setting.study.frame.discount_rate;
        let months = ledger.months;
        let discounted = |f: &dyn Fn(usize) -> f64| -> f64 { self.discount.iter().enumerate().map(|(m, d)| f(m) * d).sum() };
        let demand = |m: usize| self.demand[m];
        let tokens = self.setting.tokens * ratio(discounted(&|m| demand(m) * c.world.demand[m]), discounted(&demand));
        let serving = self.serving(c);
        let payments = ledger.present_value(rate).value();
        let last = months - 1;
        let fleet = ratio(c.own[last] + c.bought[last], o.own[last] + o.bought[last]);
        let span = months.min(MONTHS_PER_YEAR as usize);
        let shown = &self.shown;
        let late = c.now.from - self.base.from;
        let spend = ratio(c.now.per_chip, self.base.per_chip);
        Replay {
            usd_per_million: payments * serving / tokens.max(f64::MIN_POSITIVE) * 1e6,
            payments: payments * serving,
            design: shown.design * ratio(c.now.nre, self.base.nre),
            tokens,
            cumulative: self.cumulative(&ledger),
            usd_per_run: payments * (1.0 - serving) / shown.runs,
            funding: funding(&ledger, late_month(o.first_month, late)),
            capex: ledger.total(LineKind::Capex).value(),
            opex_per_year: ledger.total_in(LineKind::Opex, months - span..months).value() * MONTHS_PER_YEAR / span as f64,
            chips: shown.chips * fleet,
            it_mw: o.it_w * 1e-6 * fleet,
            days: [shown.days[0] * c.now.time[1], shown.days[1] * c.now.time[1] * spend],
            months: [late_month(o.first_month, late), late_month(o.full_month, late)],
            kg: shown.kg_co2e * fleet * ratio(c.now.kg.iter().sum(), self.base.kg.iter().sum()),
            time: c.now.time[0],
            limit_worth: c.world.chances.limit_worth,
        }
    }
}

/// Payments before the month (1 = first) in which the own kind serves; all where it never does.
fn funding(ledger: &Ledger, first_month: f64) -> f64 {
    let until = if first_month.is_finite() { (first_month.ceil() as usize - 1).min(ledger.months) } else { ledger.months };
    let paid = ledger.lines.iter().filter(|l| matches!(l.kind, LineKind::Capex | LineKind::Opex));
    (0..until).map(|m| paid.clone().map(|l| l.usd[m]).sum::<f64>()).sum()
}

/// A month, as late as its kind; not a number for never.
fn late_month(month: Option<u32>, late: f64) -> f64 {
    month.map_or(f64::NAN, |m| (f64::from(m) + late).max(1.0))
}
