//! Constants of servers, network, power chain, cooling plant and running cost, read once from `data/site.csv` and the rows set by hand in
//! `data/calibration.csv`.

use tetra_quantity::{BytesPerSecond, Celsius, DataError, Fraction, MONTHS_PER_YEAR, PerYear, Tables, Usd, Watts};

/// One conversion stage.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Stage {
    /// Share of the input that follows the load through.
    pub efficiency: f64,
    /// Loss at no load as a share of the output at peak.
    pub fixed_loss: f64,
}

/// Everything that this crate reads from the tables, sites excepted.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteConstants {
    /// Server and rack.
    pub server: ServerConstants,
    /// Scale-out network.
    pub network: NetworkConstants,
    /// Power conversion.
    pub power: PowerConstants,
    /// Cooling plant.
    pub cooling: CoolingConstants,
    /// Construction, staff and upkeep.
    pub cost: CostConstants,
}

/// Server and rack, per chip where not said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConstants {
    /// Processor, memory, drives, chassis, power supplies and assembly.
    pub host_price: Usd,
    /// Printed circuit, voltage regulators and cold plate or heat sink of one chip.
    pub board_price: Usd,
    /// Power of processor, memory and drives.
    pub host_power: Watts,
    /// Share that the integrator adds to everything it assembles.
    pub integrator_margin: f64,
    /// Price of scale-up switches and backplane per byte per second and direction.
    pub scale_up_price_usd_s_per_byte: f64,
    /// Power of scale-up switches per byte per second and direction.
    pub scale_up_power_j_per_byte: f64,
    /// Network card price per byte per second.
    pub nic_price_usd_s_per_byte: f64,
    /// Network card power per byte per second.
    pub nic_power_j_per_byte: f64,
    /// Fan power of an air-cooled server as a share of the heat that air carries.
    pub fan_share: f64,
    /// Share of a liquid-cooled server's heat that the liquid carries.
    pub liquid_share: f64,
    /// Most power of a package under a heat sink.
    pub package_air: Watts,
    /// Most power of a package under a cold plate.
    pub package_liquid: Watts,
    /// Most power of an air-cooled rack.
    pub rack_air: Watts,
    /// Most power of a liquid-cooled rack.
    pub rack_liquid: Watts,
    /// Most chips that one rack has room for.
    pub rack_chips: u64,
    /// Hottest junction.
    pub junction: Celsius,
    /// Storage of the cluster.
    pub storage_price: Usd,
    /// Power of that storage.
    pub storage_power: Watts,
}

/// Scale-out fabric: one kind of switch and one kind of link.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkConstants {
    /// Ports of a switch.
    pub radix: u64,
    /// Rate of a port and direction.
    pub port: BytesPerSecond,
    /// Price of a switch.
    pub switch_price: Usd,
    /// Power of a switch without its optics.
    pub switch_power: Watts,
    /// Price of a link: two transceivers and the fibre.
    pub link_price: Usd,
    /// Power of one transceiver port.
    pub transceiver_power: Watts,
    /// Independent rails of a rail-optimised fabric.
    pub rails: u64,
}

/// Power conversion from the grid to the chip.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerConstants {
    /// Voltage regulators of the board.
    pub regulator: Stage,
    /// Bus converter of the server.
    pub bus: Stage,
    /// Rectifier or power supply.
    pub rectifier: Stage,
    /// Distribution units and busways.
    pub distribution: Stage,
    /// Uninterruptible supply.
    pub ups: Stage,
    /// Transformer and switchgear.
    pub transformer: Stage,
}

/// Cooling plant: shares are watts per watt of heat.
#[derive(Debug, Clone, PartialEq)]
pub struct CoolingConstants {
    /// Temperature of the air that enters servers.
    pub air_supply: Celsius,
    /// Water below air in the air handler, in kelvin.
    pub air_approach_k: f64,
    /// Facility water below coolant in the distribution unit, in kelvin.
    pub liquid_approach_k: f64,
    /// Tower water above facility water in the heat exchanger, in kelvin.
    pub exchanger_approach_k: f64,
    /// Tower water above wet bulb, in kelvin.
    pub tower_approach_k: f64,
    /// Dry cooler water above dry bulb, in kelvin.
    pub dry_approach_k: f64,
    /// Dry bulb above wet bulb, in kelvin.
    pub depression_k: f64,
    /// Warming of the water across the load, in kelvin.
    pub range_k: f64,
    /// Refrigerant below and above the water in a chiller, in kelvin.
    pub refrigerant_approach_k: f64,
    /// Second-law efficiency of a chiller.
    pub chiller_second_law: f64,
    /// Highest coefficient of performance of a chiller.
    pub chiller_cop_max: f64,
    /// Fans of air handlers.
    pub handler_fan_share: f64,
    /// Pumps of coolant distribution units.
    pub distribution_pump_share: f64,
    /// Pumps of facility and tower water.
    pub plant_pump_share: f64,
    /// Fans of towers and dry coolers.
    pub rejection_fan_share: f64,
    /// Lighting, controls and offices, as a share of IT power.
    pub auxiliary_share: f64,
    /// Heat of vaporisation, in joules per litre of water.
    pub vaporisation_j_per_litre: f64,
    /// Cycles of concentration before blowdown.
    pub concentration_cycles: f64,
}

/// Construction, staff and upkeep.
#[derive(Debug, Clone, PartialEq)]
pub struct CostConstants {
    /// Yearly rise of construction prices.
    pub construction_rise: f64,
    /// What halls for liquid-cooled AI machines cost above others.
    pub liquid_premium: f64,
    /// Life of a building with its plant, in years.
    pub facility_life_years: f64,
    /// Staff per watt of IT power.
    pub staff_per_watt: f64,
    /// Yearly cost of one member of staff.
    pub staff_price: Usd,
    /// Yearly repair and support, as a share of the price of servers and network.
    pub it_upkeep: f64,
    /// Stock of spare parts beside chips, as a share of what servers hold beside chips, and of the network.
    pub spares_share: f64,
    /// Yearly upkeep of the building, as a share of its price.
    pub facility_upkeep: f64,
    /// Yearly insurance and property tax, as a share of all capex.
    pub insurance: f64,
    /// Price of water per litre.
    pub water_usd_per_litre: f64,
    /// Rent of a leased hall per watt of IT power and year.
    pub lease_usd_per_watt_year: f64,
    /// Months until a leased hall can be used.
    pub lease_months: f64,
}

impl SiteConstants {
    /// Reads the constants.
    ///
    /// # Errors
    /// A row that is missing or has another unit.
    pub fn from_tables(t: &Tables) -> Result<Self, DataError> {
        Ok(Self {
            server: ServerConstants::from_tables(t)?,
            network: NetworkConstants::from_tables(t)?,
            power: PowerConstants::from_tables(t)?,
            cooling: CoolingConstants::from_tables(t)?,
            cost: CostConstants::from_tables(t)?,
        })
    }
}

fn fraction(t: &Tables, item: &str, parameter: &str) -> Result<f64, DataError> {
    Ok(t.quantity::<Fraction>(item, parameter)?.value())
}

fn count(t: &Tables, item: &str, parameter: &str) -> Result<u64, DataError> {
    Ok(t.number(item, parameter, "count")?.round().max(1.0) as u64)
}

impl ServerConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        const ITEM: &str = "server";
        let per_rate = |price: &str, rate: &str| -> Result<f64, DataError> {
            Ok(t.quantity::<Usd>(ITEM, price)?.value() / t.quantity::<BytesPerSecond>(ITEM, rate)?.value().max(1.0))
        };
        let watts_per_rate = |power: &str, rate: &str| -> Result<f64, DataError> {
            Ok(t.quantity::<Watts>(ITEM, power)?.value() / t.quantity::<BytesPerSecond>(ITEM, rate)?.value().max(1.0))
        };
        Ok(Self {
            host_price: t.quantity(ITEM, "host_price_per_chip")?,
            board_price: t.quantity(ITEM, "board_price_per_chip")?,
            host_power: t.quantity(ITEM, "host_power_per_chip")?,
            integrator_margin: fraction(t, ITEM, "integrator_margin")?,
            scale_up_price_usd_s_per_byte: per_rate("scale_up_price_per_chip", "scale_up_rate_of_price")?,
            scale_up_power_j_per_byte: watts_per_rate("scale_up_power_per_chip", "scale_up_rate_of_power")?,
            nic_price_usd_s_per_byte: per_rate("nic_price", "nic_rate")?,
            nic_power_j_per_byte: watts_per_rate("nic_power", "nic_rate")?,
            fan_share: fraction(t, ITEM, "fan_share")?,
            liquid_share: fraction(t, ITEM, "liquid_share")?,
            package_air: t.quantity(ITEM, "package_power_air")?,
            package_liquid: t.quantity(ITEM, "package_power_liquid")?,
            rack_air: t.quantity(ITEM, "rack_power_air")?,
            rack_liquid: t.quantity(ITEM, "rack_power_liquid")?,
            rack_chips: count(t, ITEM, "rack_chips")?,
            junction: t.quantity(ITEM, "junction_temperature")?,
            storage_price: t.quantity(ITEM, "storage_price_per_chip")?,
            storage_power: t.quantity(ITEM, "storage_power_per_chip")?,
        })
    }
}

impl NetworkConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        const ITEM: &str = "scale_out";
        Ok(Self {
            radix: count(t, ITEM, "switch_radix")?,
            port: t.quantity(ITEM, "port_rate")?,
            switch_price: t.quantity(ITEM, "switch_price")?,
            switch_power: t.quantity(ITEM, "switch_power")?,
            link_price: t.quantity(ITEM, "link_price")?,
            transceiver_power: t.quantity(ITEM, "transceiver_power")?,
            rails: count(t, ITEM, "rails")?,
        })
    }
}

impl PowerConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        let stage = |name: &str| -> Result<Stage, DataError> {
            let efficiency = fraction(t, "power_chain", &format!("{name}_efficiency"))?;
            let fixed = fraction(t, "power_chain", &format!("{name}_fixed_loss"))?;
            Ok(Stage { efficiency, fixed_loss: fixed })
        };
        Ok(Self {
            regulator: stage("regulator")?,
            bus: stage("bus")?,
            rectifier: stage("rectifier")?,
            distribution: stage("distribution")?,
            ups: stage("ups")?,
            transformer: stage("transformer")?,
        })
    }
}

impl CoolingConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        const ITEM: &str = "cooling";
        let kelvin = |parameter: &str| t.number(ITEM, parameter, "K");
        Ok(Self {
            air_supply: t.quantity(ITEM, "air_supply_temperature")?,
            air_approach_k: kelvin("air_handler_approach")?,
            liquid_approach_k: kelvin("distribution_unit_approach")?,
            exchanger_approach_k: kelvin("exchanger_approach")?,
            tower_approach_k: kelvin("tower_approach")?,
            dry_approach_k: kelvin("dry_cooler_approach")?,
            depression_k: kelvin("wet_bulb_depression")?,
            range_k: kelvin("water_range")?,
            refrigerant_approach_k: kelvin("refrigerant_approach")?,
            chiller_second_law: fraction(t, ITEM, "chiller_second_law_efficiency")?,
            chiller_cop_max: fraction(t, ITEM, "chiller_cop_max")?,
            handler_fan_share: fraction(t, ITEM, "air_handler_fan_share")?,
            distribution_pump_share: fraction(t, ITEM, "distribution_pump_share")?,
            plant_pump_share: fraction(t, ITEM, "plant_pump_share")?,
            rejection_fan_share: fraction(t, ITEM, "rejection_fan_share")?,
            auxiliary_share: fraction(t, ITEM, "auxiliary_share")?,
            vaporisation_j_per_litre: t.number(ITEM, "water_vaporisation", "MJ/L")? * 1e6,
            concentration_cycles: t.number(ITEM, "concentration_cycles", "count")?,
        })
    }
}

impl CostConstants {
    fn from_tables(t: &Tables) -> Result<Self, DataError> {
        const ITEM: &str = "site_cost";
        let yearly = |parameter: &str| -> Result<f64, DataError> { Ok(t.quantity::<PerYear>(ITEM, parameter)?.value()) };
        Ok(Self {
            construction_rise: yearly("construction_inflation")?,
            liquid_premium: fraction(t, ITEM, "liquid_hall_premium")?,
            facility_life_years: t.number(ITEM, "facility_life", "years")?,
            staff_per_watt: t.number(ITEM, "staff", "1/MW")? * 1e-6,
            staff_price: t.quantity(ITEM, "staff_price_per_year")?,
            it_upkeep: yearly("it_upkeep")?,
            spares_share: fraction(t, ITEM, "spares_share")?,
            facility_upkeep: yearly("facility_upkeep")?,
            insurance: yearly("insurance_and_tax")?,
            water_usd_per_litre: t.number(ITEM, "water_price", "USD/m3")? * 1e-3,
            lease_usd_per_watt_year: t.number(ITEM, "lease_rent", "USD/kW-month")? * MONTHS_PER_YEAR * 1e-3,
            lease_months: t.number(ITEM, "lease_lead_time", "months")?,
        })
    }
}
