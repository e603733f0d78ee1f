//! The programme of a plan: which column and row stands for what, in scaled units.
//!
//! One unit of the programme is `scale` chips (wafers, stacks), `scale` kW and `scale` kUSD, so that all coefficients lie near one.
//! Charges keep the undiscounted price of every column by cost part and month; a column's cost is their discounted sum.

use tetra_quantity::{MONTHS_PER_YEAR, PerYear};

use crate::input::{PlanInput, Tenure};
use crate::plan::CostItem;
use crate::programme::Programme;

/// Chips and units times this many USD or watts make one scaled unit of money or power.
pub(crate) const KILO: f64 = 1e3;

/// What a row or a column's upper bound limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    /// Demand of one month.
    Demand { demand: usize, month: usize },
    /// Orders with a supplier in one month.
    Capacity { supplier: usize, month: usize },
    /// Share of one supplier in one year's orders.
    Share { supplier: usize, year: usize },
    /// Share of the country of a supplier, the first one there, in one year's orders of its stage.
    Country { supplier: usize, year: usize },
    /// Orders of a bridge in one month.
    Bridge { bridge: usize, month: usize },
    /// Power ready at a site in one month.
    Power { site: usize, month: usize },
    /// Power ordered at a site in one month.
    Pace { site: usize, month: usize },
    /// All power of a site.
    SiteCap { site: usize },
    /// A demand kept out of a site.
    Residency { demand: usize, site: usize, month: usize },
}

/// Undiscounted USD per scaled unit of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    pub column: usize,
    pub part: CostItem,
    pub month: usize,
    /// kUSD per scaled unit / scale = USD per chip / KILO.
    pub price: f64,
}

/// A binary choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Choosable {
    Qualify(usize),
    Expand(usize),
    Open(usize),
}

/// Chips of demand `demand` run on kind `kind` at site `site`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub demand: usize,
    pub kind: usize,
    pub site: usize,
    pub month: usize,
    pub column: usize,
    pub chips_per_unit: f64,
}

/// Kinds of accelerator that stand at own sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Own,
    Bought(usize),
}

/// A column that may be missing because its month is impossible.
pub(crate) type Cell = Option<usize>;

/// The programme with the meaning of its columns and rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub programme: Programme,
    pub scale: f64,
    pub charges: Vec<Charge>,
    pub row_limit: Vec<Option<Limit>>,
    pub column_limit: Vec<Option<Limit>>,
    /// Month in which a column is decided; `None` for columns that follow from others.
    pub decided: Vec<Option<usize>>,
    /// `[supplier][month]`, orders.
    pub order: Vec<Vec<Cell>>,
    /// `[stage][month]`, stock at the end of a month.
    pub stock: Vec<Vec<Cell>>,
    pub kinds: Vec<Kind>,
    /// `[kind][site][month]`.
    pub install: Vec<Vec<Vec<Cell>>>,
    /// `[kind][site][month]`.
    pub standing: Vec<Vec<Vec<Cell>>>,
    pub usage: Vec<Usage>,
    /// `(bridge, demand, month, column)`.
    pub rent: Vec<(usize, usize, usize, usize)>,
    /// `[demand][month]`.
    pub unmet: Vec<Vec<Cell>>,
    /// `[site][month]`.
    pub power_order: Vec<Vec<Cell>>,
    /// `[site][month]`.
    pub power_ready: Vec<Vec<Cell>>,
    /// Choice, month of its start, column.
    pub options: Vec<(Choosable, usize, usize)>,
}

impl Model {
    /// The programme of `input`, which must have passed the check.
    pub fn of(input: &PlanInput) -> Self {
        let peak = (0..input.months).map(|t| input.demands.iter().filter_map(|d| d.chips.get(t)).sum()).fold(0.0f64, f64::max);
        let mut model = Self { scale: 10f64.powi((peak.max(1.0).log10().floor() as i32) - 2), ..Self::default() };
        if input.product.is_some() {
            model.kinds.push(Kind::Own);
        }
        let bought = input.bridges.iter().enumerate().filter(|(_, b)| b.tenure == Tenure::Bought);
        model.kinds.extend(bought.map(|(b, _)| Kind::Bought(b)));
        model.add_sites(input);
        model.add_fleets(input);
        if let Some(product) = &input.product {
            model.add_chain(input, product);
        }
        model.add_demands(input);
        model.price(input);
        model
    }

    /// Adds a column. `upper` in scaled units.
    pub(crate) fn column(&mut self, upper: f64, limit: Option<Limit>, decided: Option<usize>) -> usize {
        self.column_limit.push(limit.filter(|_| upper.is_finite()));
        self.decided.push(decided);
        self.programme.column(0.0, upper, false)
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, lower: f64, upper: f64, entries: &[(usize, f64)], limit: Option<Limit>) {
        self.row_limit.push(limit);
        self.programme.row(lower, upper, entries);
    }

    /// A price of a column: USD per unit.
    pub(crate) fn charge(&mut self, column: usize, part: CostItem, month: usize, usd_per_unit: f64) {
        if usd_per_unit != 0.0 {
            self.charges.push(Charge { column, part, month, price: usd_per_unit / KILO });
        }
    }

    /// Columns for a choice that may start in each of `option_starts`, at most once. `usd` is the whole price.
    pub(crate) fn option(&mut self, input: &PlanInput, what: Choosable, usd: f64) -> Vec<(usize, usize)> {
        let mut starts: Vec<usize> = input.option_starts.iter().copied().filter(|&s| s < input.months).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut columns = Vec::new();
        for start in starts {
            self.column_limit.push(None);
            self.decided.push(Some(start));
            let column = self.programme.column(0.0, 1.0, true);
            self.options.push((what, start, column));
            self.charge(column, CostItem::Options, start, usd / self.scale);
            columns.push((start, column));
        }
        let once: Vec<_> = columns.iter().map(|&(_, c)| (c, 1.0)).collect();
        if once.len() > 1 {
            self.row(f64::NEG_INFINITY, 1.0, &once, None);
        }
        columns
    }

    fn price(&mut self, input: &PlanInput) {
        for c in &self.charges {
            self.programme.cost[c.column] += c.price * discount(input, c.month);
        }
    }
}

/// Present value of one USD paid in `month`.
pub(crate) fn discount(input: &PlanInput, month: usize) -> f64 {
    PerYear(input.discount_rate).discount(month)
}

/// Value at the horizon of what cost `usd` and was installed in `month`, undiscounted.
pub(crate) fn left(input: &PlanInput, usd: f64, kept_per_year: f64, month: usize, life_months: usize) -> f64 {
    let age = input.months - month;
    if kept_per_year <= 0.0 || age >= life_months { 0.0 } else { usd * kept_per_year.powf(age as f64 / MONTHS_PER_YEAR) }
}
