//! What a plan is asked: demand by month, the product's bill of materials, suppliers, bought and rented accelerators, sites.
//!
//! All amounts are plain numbers with the unit in the name. Month 0 is the study's first month. A chip is one accelerator package.
//! Left out: transport between stages (part of a lead time), tariffs, refunds of prepayments, minimum orders.

use serde::{Deserialize, Serialize};

/// A step of making an accelerator, in the order of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Wafer starts; unit: wafer.
    Wafer,
    /// High-bandwidth memory; unit: stack.
    Hbm,
    /// Advanced packaging; unit: packaging wafer.
    Packaging,
    /// Test and burn-in; unit: chip.
    Test,
    /// Server and rack integration; unit: chip.
    Server,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 5] = [Self::Wafer, Self::Hbm, Self::Packaging, Self::Test, Self::Server];

    /// What one unit of the stage is called, in the plural.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Wafer => "wafers",
            Self::Hbm => "HBM stacks",
            Self::Packaging => "packaging wafers",
            Self::Test => "chips tested",
            Self::Server => "chips in servers",
        }
    }

    /// Position in `ALL`.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// Everything a plan is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanInput {
    /// Length of the horizon, months.
    pub months: usize,
    /// Discount rate, fraction per year.
    pub discount_rate: f64,
    /// Who needs how many chips when.
    pub demands: Vec<Demand>,
    /// The own accelerator; `None` is a plan that only buys and rents.
    pub product: Option<Product>,
    /// Suppliers of the own accelerator's stages; unused without a product.
    pub suppliers: Vec<Supplier>,
    /// Largest share of a stage's orders in any year that may go to one country.
    #[serde(default)]
    pub country_shares: Vec<CountryShare>,
    /// Bought and rented accelerators.
    pub bridges: Vec<Bridge>,
    /// Where chips can stand.
    pub sites: Vec<PlanSite>,
    /// Months in which a qualification or an expansion may be started.
    pub option_starts: Vec<usize>,
    /// Known or supposed interruptions of supply.
    pub outages: Vec<Outage>,
    /// Cost of keeping stock beside the discount, fraction of its value per year.
    pub stock_cost_per_year: f64,
    /// How exactly to solve.
    pub effort: Effort,
}

/// How exactly the mixed-integer programme is solved. There is no time limit: the same input gives the same plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Relative gap between plan and bound at which the search ends.
    pub gap: f64,
    /// Largest number of branch-and-bound nodes.
    pub nodes: u32,
}

/// Chips one service needs in one region, month by month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// Name of the service.
    pub name: String,
    /// Region or rule that confines it, for messages; empty if none.
    pub region: String,
    /// Chips needed by month, in units of the own chip (of the reference GPU in a plan without product). Shorter than the horizon: zero after.
    pub chips: Vec<f64>,
    /// Indices of the sites at which it may run.
    pub sites: Vec<usize>,
    /// Penalty for one chip missing for one month, USD.
    pub unmet_usd_per_chip_month: f64,
    /// From this month on nothing may be unmet; `None`: shortage only costs.
    pub met_from: Option<usize>,
}

/// Price of one unit of each stage, USD, at a supplier whose price factor is 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StagePrices {
    /// Per wafer.
    pub wafer_usd: f64,
    /// Per HBM stack.
    pub hbm_usd: f64,
    /// Per packaging wafer, with interposer and assembly.
    pub packaging_usd: f64,
    /// Per chip tested.
    pub test_usd: f64,
    /// Per chip in a server: its share of server, rack and network.
    pub server_usd: f64,
}

impl StagePrices {
    /// Price of one unit of `stage`.
    pub fn of(&self, stage: Stage) -> f64 {
        match stage {
            Stage::Wafer => self.wafer_usd,
            Stage::Hbm => self.hbm_usd,
            Stage::Packaging => self.packaging_usd,
            Stage::Test => self.test_usd,
            Stage::Server => self.server_usd,
        }
    }
}

/// The own accelerator as the supply chain sees it: yields are already in the amounts per chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Name of the design.
    pub name: String,
    /// Most IT power one chip takes from a site, with its share of server and network, W.
    pub watts: f64,
    /// Part of its steady work that a chip does, by month, while its software is young. Shorter than the horizon: all of it after.
    #[serde(default)]
    pub works: Vec<f64>,
    /// Mean over most power.
    pub load: f64,
    /// Yearly cost of one chip's machine wherever it stands, used or not, USD (upkeep, staff, insurance).
    pub upkeep_usd_per_year: f64,
    /// Wafers started per good chip.
    pub wafers: f64,
    /// HBM stacks bought per good chip.
    pub hbm_stacks: f64,
    /// Packaging wafers per good chip.
    pub packaging_wafers: f64,
    /// Prices of the stages.
    pub prices: StagePrices,
    /// First month in which volume wafers may be started: design, masks and qualification are done.
    pub first_wafer_month: usize,
    /// Payments for design, masks, software and partner: month and USD.
    pub nre: Vec<(usize, f64)>,
    /// Months a chip runs after installation.
    pub life_months: usize,
    /// Part of its value a chip keeps per year; what is left at the horizon is credited. 0: nothing.
    pub kept_per_year: f64,
}

impl Product {
    /// Units of `stage` per good chip.
    pub fn units(&self, stage: Stage) -> f64 {
        match stage {
            Stage::Wafer => self.wafers,
            Stage::Hbm => self.hbm_stacks,
            Stage::Packaging => self.packaging_wafers,
            Stage::Test | Stage::Server => 1.0,
        }
    }
}

/// A supplier of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Supplier {
    /// Name with its plant.
    pub name: String,
    /// What it does.
    pub stage: Stage,
    /// Two-letter country.
    pub country: String,
    /// Units per month that this buyer can get.
    pub units_per_month: f64,
    /// First month in which orders are taken.
    pub first_month: usize,
    /// Months from order to delivery.
    pub lead_months: usize,
    /// Price relative to `StagePrices`.
    pub price_factor: f64,
    /// Largest share of the stage's orders in any year; 1: no limit.
    pub max_share: f64,
    /// Work before the first order; `None`: ready.
    pub qualification: Option<Qualification>,
    /// More capacity against a payment in advance.
    pub expansion: Option<Expansion>,
}

/// No country gets more than this share of a stage's orders in any year.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CountryShare {
    /// The stage.
    pub stage: Stage,
    /// Fraction of a year's orders; 1: no limit.
    pub largest: f64,
}

/// Making a second source ready: a port of the design, masks, a test programme.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Qualification {
    /// Cost, USD, at its start.
    pub usd: f64,
    /// Months until the first order may be placed.
    pub months: usize,
}

/// Capacity reserved by a payment in advance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expansion {
    /// Additional units per month.
    pub units_per_month: f64,
    /// Payment, USD, at its start.
    pub usd: f64,
    /// Months until the capacity is there.
    pub months: usize,
}

/// How an accelerator that others made is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenure {
    /// Bought: stands at an own site.
    Bought,
    /// Rented by the month: stands at its owner's site.
    Rented,
}

/// An accelerator that others made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bridge {
    /// Name, for example of the GPU.
    pub name: String,
    /// Bought or rented.
    pub tenure: Tenure,
    /// Price of one unit in month 0, USD: to own with its server, or for one month of rent with power.
    pub usd: f64,
    /// Change of the price per year as a fraction; -0.2 is 20 % cheaper each year.
    pub usd_change_per_year: f64,
    /// Chips of each demand that one unit stands in for, in the order of `demands`; 0: may not serve it.
    pub chips_per_unit: Vec<f64>,
    /// Most IT power one bought unit takes from a site, W.
    pub watts: f64,
    /// Mean over most power.
    pub load: f64,
    /// Yearly cost of one bought unit wherever it stands, used or not, USD (upkeep, staff, insurance).
    pub upkeep_usd_per_year: f64,
    /// Months from order to delivery.
    pub lead_months: usize,
    /// Most units ordered in a month (bought) or held at a time (rented).
    pub units_per_month: f64,
    /// Months a bought unit runs.
    pub life_months: usize,
    /// Part of its value a bought unit keeps per year; what is left at the horizon is credited.
    pub kept_per_year: f64,
}

/// A place with power for chips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanSite {
    /// Name.
    pub name: String,
    /// Two-letter country.
    pub country: String,
    /// IT power ready in month 0, W.
    pub ready_w: f64,
    /// Most IT power that can ever be there, W.
    pub cap_w: f64,
    /// Most IT power added in a month, W.
    pub max_w_per_month: f64,
    /// Months from order to ready.
    pub lead_months: usize,
    /// Building cost per IT watt, USD.
    pub usd_per_w: f64,
    /// Months over which the building loses its cost evenly; what is left at the horizon is credited. 0: nothing.
    pub life_months: usize,
    /// Cost of starting the site at all (land, grid connection), USD, with its first watt; paid in the month of the first order.
    pub start_usd: f64,
    /// Yearly cost per IT watt that is ready, USD (staff, upkeep, lease).
    pub usd_per_w_year: f64,
    /// Yearly cost per IT watt drawn all the year, USD (energy with PUE, water).
    pub energy_usd_per_w_year: f64,
}

/// An interruption of supply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// Name for messages.
    pub name: String,
    /// Country struck, two letters.
    pub country: String,
    /// Stages struck.
    pub stages: Vec<Stage>,
    /// First month without starts.
    pub from_month: usize,
    /// Months without starts.
    pub months: usize,
    /// Months over which starts grow back linearly after that.
    pub recovery_months: usize,
    /// Part of the work in process that is lost at the beginning.
    pub lost_in_process: f64,
    /// Whether accelerators that others made are not delivered either: their chips come from the same plants.
    #[serde(default)]
    pub bought: bool,
}

impl Outage {
    /// Part of the normal starts that is possible in `month` at a struck supplier.
    pub fn availability(&self, month: usize) -> f64 {
        let end = self.from_month.saturating_add(self.months);
        if month < self.from_month {
            1.0
        } else if month < end {
            0.0
        } else {
            ((month - end + 1) as f64 / self.recovery_months.saturating_add(1) as f64).min(1.0)
        }
    }

    /// Whether it strikes `supplier`.
    pub fn strikes(&self, supplier: &Supplier) -> bool {
        self.country == supplier.country && self.stages.contains(&supplier.stage)
    }
}
