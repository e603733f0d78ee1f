//! From a chip with a price and a power to dollars per chip-hour at a place.
//!
//! Street: [`Machine`] (one chip in its server and network) → [`MachineCost`] (price and watts, the same everywhere) → [`ChipHour`] at a
//! [`Site`] (capex, opex per year, PUE, water, carbon). All figures are per chip and linear in chips, so that a planner multiplies.
//! Residency is a filter over sites before any price is looked at.

mod chip_hour;
mod constants;
mod cooling;
mod error;
mod machine;
mod network;
mod power;
mod residency;
mod site;

pub use chip_hour::{Capex, ChipHour, Finance, Opex, OpexItem, at_plant, at_site, capital_recovery, chip_hour, plants};
pub use constants::{CoolingConstants, CostConstants, NetworkConstants, PowerConstants, ServerConstants, SiteConstants, Stage};
pub use cooling::{Cooling, PlantYear, WetBulb, plant_year};
pub use error::{Fit, Misfit, SiteDataError};
pub use machine::{ChipPower, Machine, MachineCost, PowerAt, PriceBasis, ServerPrice, choose_cooling, machine_cost, server_price};
pub use network::{NetworkBill, network_bill};
pub use power::{facility_input, rack_input};
pub use residency::{Excluded, Residency, Screened, screen};
pub use site::{Refused, Site, SiteTable, Tenure};
