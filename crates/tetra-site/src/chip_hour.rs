//! Dollars per chip-hour at a site, with every factor: `(sum CRF(life) * capex + sum opex) / hours`.
//!
//! `CRF = r (1+r)^n / ((1+r)^n - 1)` (Barroso, Hoelzle and Ranganathan, The Datacenter as a Computer, ch. 6). Halls are bought for peak power,
//! energy is paid at mean power times PUE. An hour is an hour of ownership: goodput, spares of chips and utilisation are the fleet's.
//! Leaves out: residual value, corporate tax, rise of electricity prices, land apart from the hall.

use tetra_quantity::{HOUR_S, KWH_J, KgCo2e, Usd, Watts, YEAR_S};

use crate::constants::SiteConstants;
use crate::cooling::{Cooling, PlantYear, plant_year};
use crate::error::{Fit, Misfit};
use crate::machine::{Machine, MachineCost, ServerPrice, machine_cost};
use crate::power::facility_input;
use crate::site::{Site, Tenure};

/// How capital is paid for.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Finance {
    /// Discount rate per year.
    pub discount_rate: f64,
    /// Life of servers and network, in years.
    pub it_life_years: f64,
    /// Build or lease.
    pub tenure: Tenure,
}

/// Money spent once per chip.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Capex {
    /// The server's share, by part.
    pub server: ServerPrice,
    /// Switches.
    pub switches: Usd,
    /// Transceivers and fibres.
    pub links: Usd,
    /// Storage.
    pub storage: Usd,
    /// Stock of spare parts.
    pub spares: Usd,
    /// Building with power and cooling plant.
    pub facility: Usd,
}

impl Capex {
    /// Sum of the parts.
    pub fn total(&self) -> Usd {
        self.it() + self.facility
    }

    /// What lives as long as servers: everything but the building.
    pub fn it(&self) -> Usd {
        self.server.total() + self.switches + self.links + self.storage + self.spares
    }

    /// Parts by name.
    pub fn parts(&self) -> [(&'static str, Usd); 11] {
        let [chip, board, scale_up, host, nic, integrator] = self.server.parts();
        let network = [("switches", self.switches), ("links", self.links), ("storage", self.storage), ("spares", self.spares)];
        let [switches, links, storage, spares] = network;
        [chip, board, scale_up, host, nic, integrator, switches, links, storage, spares, ("facility", self.facility)]
    }
}

/// Money spent per chip and year.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Opex {
    /// Electricity.
    pub electricity: Usd,
    /// Water.
    pub water: Usd,
    /// Staff.
    pub staff: Usd,
    /// Repair and support of servers and network.
    pub it_upkeep: Usd,
    /// Upkeep of the building.
    pub facility_upkeep: Usd,
    /// Insurance and property tax.
    pub insurance: Usd,
    /// Rent of a leased hall.
    pub rent: Usd,
}

impl Opex {
    /// Sum of the parts.
    pub fn total(&self) -> Usd {
        self.parts().iter().map(|p| p.1).sum()
    }

    /// Parts by what they pay for.
    pub fn parts(&self) -> [(OpexItem, Usd); 7] {
        [
            (OpexItem::Electricity, self.electricity),
            (OpexItem::Water, self.water),
            (OpexItem::Staff, self.staff),
            (OpexItem::ItUpkeep, self.it_upkeep),
            (OpexItem::FacilityUpkeep, self.facility_upkeep),
            (OpexItem::Insurance, self.insurance),
            (OpexItem::Rent, self.rent),
        ]
    }
}

/// What money spent per year pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpexItem {
    /// Electricity.
    Electricity,
    /// Water.
    Water,
    /// Staff.
    Staff,
    /// Repair and support of servers and network.
    ItUpkeep,
    /// Upkeep of the building.
    FacilityUpkeep,
    /// Insurance and property tax.
    Insurance,
    /// Rent of a leased hall.
    Rent,
}

impl OpexItem {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Electricity => "electricity",
            Self::Water => "water",
            Self::Staff => "staff",
            Self::ItUpkeep => "server upkeep",
            Self::FacilityUpkeep => "facility upkeep",
            Self::Insurance => "insurance and tax",
            Self::Rent => "rent",
        }
    }

    /// Whether it pays for the hall instead of what runs in it.
    pub fn is_hall(self) -> bool {
        matches!(self, Self::FacilityUpkeep | Self::Rent)
    }
}

/// One chip at one site.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ChipHour {
    /// Price and watts apart from the site.
    pub machine: MachineCost,
    /// Money spent once.
    pub capex: Capex,
    /// Money spent per year.
    pub opex: Opex,
    /// Capital recovery factor of servers and network, per year.
    pub it_recovery: f64,
    /// Capital recovery factor of the building, per year.
    pub facility_recovery: f64,
    /// Cost of owning one chip for one hour.
    pub usd_per_hour: f64,
    /// Mean power from the grid over mean power at the racks.
    pub pue: f64,
    /// Litres of water per kWh at the racks.
    pub wue: f64,
    /// Share of the air or liquid loop's heat that needs no chiller.
    pub free_cooling_share: f64,
    /// Power from the grid in the hottest hours at full load.
    pub facility_peak: Watts,
    /// Mean power from the grid.
    pub facility_mean: Watts,
    /// Carbon of the electricity, per year.
    pub kg_co2e_per_year: KgCo2e,
    /// Water, in cubic metres per year.
    pub water_m3_per_year: f64,
}

impl ChipHour {
    /// Money spent once per chip.
    pub fn capex_per_chip(&self) -> Usd {
        self.capex.total()
    }

    /// Money spent per chip and year.
    pub fn opex_per_chip_year(&self) -> Usd {
        self.opex.total()
    }

    /// The hour's cost by part; their sum is `usd_per_hour`.
    pub fn hourly_parts(&self) -> [(&'static str, f64); 18] {
        let mut parts = [("", 0.0); 18];
        let capex = self.capex.parts();
        for (i, (name, usd)) in capex.into_iter().enumerate() {
            let recovery = if i + 1 == capex.len() { self.facility_recovery } else { self.it_recovery };
            parts[i] = (name, usd.value() * recovery / YEAR_HOURS);
        }
        for (i, (item, usd)) in self.opex.parts().into_iter().enumerate() {
            parts[capex.len() + i] = (item.words(), usd.value() / YEAR_HOURS);
        }
        parts
    }
}

const YEAR_HOURS: f64 = YEAR_S / HOUR_S;

/// Yearly payment that returns one dollar with interest `rate` over `years`.
pub fn capital_recovery(rate: f64, years: f64) -> f64 {
    let growth = (1.0 + rate).powf(years);
    let factor = rate * growth / (growth - 1.0);
    if factor.is_finite() { factor } else { rate.max(1.0 / years) }
}

/// Cost of one chip-hour at a site.
///
/// # Errors
/// A machine that does not fit its rack, loop or network, or an input that is no number.
pub fn chip_hour(machine: &Machine, site: &Site, finance: &Finance, c: &SiteConstants) -> Fit<ChipHour> {
    at_site(&machine_cost(machine, c)?, site, finance, c)
}

/// Cost of one chip-hour at a site, of a machine already priced.
///
/// # Errors
/// A discount rate or life that is no number.
pub fn at_site(machine: &MachineCost, site: &Site, finance: &Finance, c: &SiteConstants) -> Fit<ChipHour> {
    at_plant(machine, &plants(machine, site, c), site, finance, c)
}

/// The same with a year of the plant that is already worked out, from `plants` of a machine with the same loops.
///
/// # Errors
/// A discount rate or life that is no number.
pub fn at_plant(machine: &MachineCost, plant: &PlantYear, site: &Site, finance: &Finance, c: &SiteConstants) -> Fit<ChipHour> {
    if !(finance.discount_rate.is_finite() && finance.discount_rate >= 0.0) {
        return Err(Misfit::BadInput { what: "discount_rate" });
    }
    if !(finance.it_life_years.is_finite() && finance.it_life_years > 0.0) {
        return Err(Misfit::BadInput { what: "it_life_years" });
    }
    let use_ = facility_use(machine, plant, c);
    let capex = capex(machine, site, finance, c);
    let energy_j = use_.mean.value() * YEAR_S;
    let litres = plant.litres_per_joule * machine.it_mean.value() * YEAR_S;
    let opex = opex(machine, &capex, site.electricity.value() * energy_j, litres, finance, c);
    let it_recovery = capital_recovery(finance.discount_rate, finance.it_life_years);
    let facility_recovery = capital_recovery(finance.discount_rate, c.cost.facility_life_years);
    let yearly = capex.it().value() * it_recovery + capex.facility.value() * facility_recovery + opex.total().value();
    Ok(ChipHour {
        machine: *machine,
        capex,
        opex,
        it_recovery,
        facility_recovery,
        usd_per_hour: yearly / YEAR_HOURS,
        pue: use_.mean / machine.it_mean,
        wue: plant.litres_per_joule * KWH_J,
        free_cooling_share: plant.free_share,
        facility_peak: use_.peak,
        facility_mean: use_.mean,
        kg_co2e_per_year: KgCo2e(site.carbon.value() * energy_j),
        water_m3_per_year: litres * 1e-3,
    })
}

/// A year of both loops at a site, weighted by the heat that each carries.
pub fn plants(machine: &MachineCost, site: &Site, c: &SiteConstants) -> PlantYear {
    let air = plant_year(&c.cooling, &site.wet_bulb, Cooling::Air, c.cooling.air_supply);
    if machine.liquid_share <= 0.0 {
        return air;
    }
    let liquid = plant_year(&c.cooling, &site.wet_bulb, Cooling::Liquid, machine.supply);
    let (l, a) = (machine.liquid_share, 1.0 - machine.liquid_share);
    PlantYear {
        mean_share: l * liquid.mean_share + a * air.mean_share,
        peak_share: l * liquid.peak_share + a * air.peak_share,
        chiller_share: l * liquid.chiller_share + a * air.chiller_share,
        free_share: l * liquid.free_share + a * air.free_share,
        litres_per_joule: l * liquid.litres_per_joule + a * air.litres_per_joule,
    }
}

struct FacilityUse {
    mean: Watts,
    peak: Watts,
}

/// IT power with its plant, through the power chain.
fn facility_use(machine: &MachineCost, plant: &PlantYear, c: &SiteConstants) -> FacilityUse {
    let with_plant = |it: Watts, share: f64| it * (1.0 + share + c.cooling.auxiliary_share);
    let peak = with_plant(machine.it_peak, plant.peak_share);
    let mean = with_plant(machine.it_mean, plant.mean_share);
    FacilityUse { mean: facility_input(&c.power, mean, peak), peak: facility_input(&c.power, peak, peak) }
}

fn capex(machine: &MachineCost, site: &Site, finance: &Finance, c: &SiteConstants) -> Capex {
    let premium = 1.0 + if machine.cooling == Cooling::Liquid { c.cost.liquid_premium } else { 0.0 };
    let beside_chip = machine.server.total() - machine.server.chip + machine.network.switch_price + machine.network.link_price;
    let facility = match finance.tenure {
        Tenure::Build => site.construction * machine.it_peak * premium,
        Tenure::Lease => Usd::ZERO,
    };
    Capex {
        server: machine.server,
        switches: machine.network.switch_price,
        links: machine.network.link_price,
        storage: machine.storage,
        spares: beside_chip * c.cost.spares_share,
        facility,
    }
}

fn opex(machine: &MachineCost, capex: &Capex, electricity: f64, litres: f64, finance: &Finance, c: &SiteConstants) -> Opex {
    let k = &c.cost;
    let rent = match finance.tenure {
        Tenure::Build => Usd::ZERO,
        Tenure::Lease => Usd(machine.it_peak.value() * k.lease_usd_per_watt_year),
    };
    Opex {
        electricity: Usd(electricity),
        water: Usd(litres * k.water_usd_per_litre),
        staff: k.staff_price * (machine.it_peak.value() * k.staff_per_watt),
        it_upkeep: capex.it() * k.it_upkeep,
        facility_upkeep: capex.facility * k.facility_upkeep,
        insurance: capex.total() * k.insurance,
        rent,
    }
}
