//! What planning finds: orders, deliveries, stock, power and unmet demand by month, cost by part, shadow prices, conflicts.

use serde::{Deserialize, Serialize};

use crate::input::Stage;

/// A plan, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PlanOutcome {
    /// The best plan found.
    Planned(Box<Plan>),
    /// The demands and limits that cannot hold together.
    Infeasible(Conflict),
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Horizon, months; every series below has this length.
    pub months: usize,
    /// Discounted cost, USD: the sum of `costs`.
    pub cost_usd: f64,
    /// Proven lower bound of the cost, USD.
    pub bound_usd: f64,
    /// Discounted cost by part.
    pub costs: Vec<CostPart>,
    /// Orders by supplier and bridge.
    pub orders: Vec<Orders>,
    /// Accelerators in use by kind.
    pub fleets: Vec<Fleet>,
    /// Stock behind each stage, own product only.
    pub stocks: Vec<Stock>,
    /// Met and unmet demand.
    pub services: Vec<Service>,
    /// Power by site.
    pub sites: Vec<SitePower>,
    /// Options taken: qualifications, expansions, sites started.
    pub choices: Vec<Choice>,
    /// First month in which an accelerator of the plan's own kind works (own product; without product the first of any).
    pub first_month: Option<usize>,
    /// First month from which all demand is met to the end.
    pub full_month: Option<usize>,
    /// What one more unit of each scarce thing would save, the largest rent first.
    pub shadow_prices: Vec<ShadowPrice>,
    /// The limits that hold the plan back, the dearest first, in plain words.
    pub bottlenecks: Vec<String>,
}

/// What sort of payment a cost part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostKind {
    /// Pays for what lasts.
    Capital,
    /// Pays for what is used up.
    Running,
    /// Stands for demand that is not met.
    Penalty,
    /// Credits what is left at the horizon.
    Residual,
}

/// What a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostItem {
    /// Design, masks, software.
    Nre,
    /// What a stage of making delivers.
    Stage(Stage),
    /// Second sources, prepaid capacity, starts of sites.
    Options,
    /// Bought accelerators.
    Bought,
    /// Rented accelerators.
    Rented,
    /// Building of sites.
    SiteBuild,
    /// Running of sites.
    SiteRunning,
    /// Energy.
    Energy,
    /// Upkeep of machines.
    Upkeep,
    /// Keeping of stock.
    Stock,
    /// Demand that is not met.
    Unmet,
    /// Value left at the horizon.
    Residual,
}

/// A part of the discounted cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostPart {
    /// What it is for.
    pub item: CostItem,
    /// The same in plain words.
    pub name: String,
    /// What sort of payment it is.
    pub kind: CostKind,
    /// Discounted USD; negative for a credit.
    pub usd: f64,
    /// Undiscounted USD by month.
    pub usd_by_month: Vec<f64>,
}

/// Orders placed with one supplier or for one bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Supplier or accelerator.
    pub name: String,
    /// Stage; `None` for bought and rented accelerators.
    pub stage: Option<Stage>,
    /// Country of the supplier; empty for bridges.
    pub country: String,
    /// What is counted.
    pub unit: String,
    /// Units ordered by month (rented: units held).
    pub ordered: Vec<f64>,
    /// Units delivered by month.
    pub delivered: Vec<f64>,
}

/// Accelerators of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// Own product, bought or rented accelerator.
    pub name: String,
    /// Whether it is the own product.
    pub own: bool,
    /// Units newly installed by month (rented: units held).
    pub installed: Vec<f64>,
    /// Units standing by month.
    pub standing: Vec<f64>,
}

/// Stock behind a stage at the end of each month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// The stage that delivered it.
    pub stage: Stage,
    /// Units of that stage (packaging: chips).
    pub units: Vec<f64>,
}

/// How one demand is met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Name of the demand.
    pub name: String,
    /// Region of the demand.
    pub region: String,
    /// Chips needed by month.
    pub needed: Vec<f64>,
    /// Chips missing by month.
    pub unmet: Vec<f64>,
    /// Chip-equivalents given by each fleet, in the order of `fleets`.
    pub by_fleet: Vec<Vec<f64>>,
}

/// Power of one site, IT watts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SitePower {
    /// Name.
    pub name: String,
    /// Ordered by month.
    pub ordered_w: Vec<f64>,
    /// Ready by month.
    pub ready_w: Vec<f64>,
    /// Used by month.
    pub used_w: Vec<f64>,
    /// Largest possible.
    pub cap_w: f64,
}

/// An option that the plan takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Which, in plain words.
    pub name: String,
    /// Month of its start.
    pub month: usize,
    /// Month from which it works.
    pub ready_month: usize,
    /// Cost in the month of its start, USD.
    pub usd: f64,
}

/// What one more unit of a scarce thing would save.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowPrice {
    /// What is scarce.
    pub name: String,
    /// Unit of one more.
    pub unit: String,
    /// Discounted USD saved by one more unit in every month of the horizon.
    pub usd_per_unit: f64,
    /// First and last month in which the limit binds.
    pub binds: (usize, usize),
    /// In how many of the months, or years, of the horizon it binds, in words; empty where the limit is none of single months.
    pub often: String,
    /// The month in which one more unit is worth most, and that worth in discounted USD.
    pub peak: (usize, f64),
    /// What all units in use are worth beyond their price, discounted USD: the rent of what is scarce.
    pub rent_usd: f64,
    /// More can be ordered for what it costs, so that the price is that cost and no bottleneck.
    pub can_be_bought: bool,
    /// The whole in plain words.
    pub text: String,
}

/// Demands and limits that cannot hold together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Demands of the smallest conflicting set, by name with their months.
    pub demands: Vec<String>,
    /// Limits of that set, by name with their months.
    pub limits: Vec<String>,
    /// The cheapest way out.
    pub relaxation: Vec<Relaxation>,
    /// All in one sentence.
    pub text: String,
}

/// One step of the cheapest way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relaxation {
    /// Which demand or limit gives way.
    pub name: String,
    /// By how much at most in a month.
    pub amount: f64,
    /// Unit of `amount`.
    pub unit: String,
    /// First and last month concerned.
    pub months: (usize, usize),
    /// What it costs at the stated prices, USD undiscounted.
    pub usd: f64,
}
