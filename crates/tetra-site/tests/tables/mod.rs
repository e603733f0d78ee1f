//! The shipped tables, and machines that the tests share.
#![allow(dead_code)]

use tetra_quantity::{BytesPerSecond, Celsius, KelvinPerWatt, TableText, Tables, Usd, Watts};
use tetra_site::{ChipPower, Cooling, Finance, Machine, PowerAt, PriceBasis, SiteConstants, SiteTable, Tenure};

pub const CURRENCY_YEAR: u16 = 2026;
pub const SITES_TOML: &str = include_str!("../../../../data/sites.toml");

pub fn tables() -> Tables {
    let files = [
        TableText { name: "ranges.csv", text: include_str!("../../../../data/ranges.csv") },
        TableText { name: "site.csv", text: include_str!("../../../../data/site.csv") },
        TableText { name: "calibration.csv", text: include_str!("../../../../data/calibration.csv") },
        TableText { name: "sites.csv", text: include_str!("../../../../data/sites.csv") },
    ];
    Tables::parse(&files, include_str!("../../../../data/sources.toml")).expect("shipped tables are sound")
}

pub fn shipped() -> (SiteConstants, SiteTable) {
    let tables = tables();
    let constants = SiteConstants::from_tables(&tables).expect("shipped constants are complete");
    let sites = SiteTable::parse(SITES_TOML, &tables, &constants, CURRENCY_YEAR).expect("shipped sites are sound");
    (constants, sites)
}

pub fn finance() -> Finance {
    Finance { discount_rate: 0.1, it_life_years: 5.0, tenure: Tenure::Build }
}

pub fn full_power(cap: f64) -> ChipPower {
    ChipPower { cap: Watts(cap), busy: Watts(cap), idle: Watts(cap * 0.1), duty: 1.0, at: PowerAt::Module }
}

/// An H100 in a node of eight.
pub fn h100(price: f64, basis: PriceBasis, cluster_chips: u64) -> Machine {
    Machine {
        price: Usd(price),
        basis,
        power: full_power(700.0),
        coolant: Celsius(25.0),
        resistance: KelvinPerWatt(0.07),
        cooling: Cooling::Air,
        chips_per_server: 8,
        scale_up: BytesPerSecond(450e9),
        scale_up_domain: 8,
        scale_up_switched: true,
        scale_out: BytesPerSecond(50e9),
        cluster_chips,
    }
}

/// A chip of a liquid-cooled rack of 72.
pub fn rack_scale(cap: f64) -> Machine {
    Machine {
        price: Usd(35_000.0),
        power: full_power(cap),
        coolant: Celsius(40.0),
        resistance: KelvinPerWatt(0.03),
        cooling: Cooling::Liquid,
        chips_per_server: 4,
        scale_up: BytesPerSecond(900e9),
        scale_up_domain: 72,
        ..h100(0.0, PriceBasis::Module, 8192)
    }
}
