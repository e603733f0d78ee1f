//! Chips whose manufacture others have estimated, and the shipped tables.
#![allow(dead_code)]

use std::sync::LazyLock;
use tetra_foundry::*;
use tetra_quantity::{TableText, Tables};

pub static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let files = [
        TableText { name: "foundry.csv", text: include_str!("../../../../data/foundry.csv") },
        TableText { name: "ranges.csv", text: include_str!("../../../../data/ranges.csv") },
    ];
    Tables::parse(&files, include_str!("../../../../data/sources.toml")).unwrap()
});
pub static K: LazyLock<FoundryConstants> = LazyLock::new(|| FoundryConstants::from_tables(&TABLES).unwrap());

pub fn spec(die: (f64, f64), dies: u64, cores: (u64, u64), memory: (&str, u64, f64), package: &str, power_w: f64) -> PackageSpec {
    let area = die.0 * die.1;
    PackageSpec {
        node: "N4".into(),
        package: package.into(),
        dies,
        die_width_mm: die.0,
        die_height_mm: die.1,
        cores_built: cores.0,
        cores_needed: cores.1,
        core_mm2: area * 0.7 / cores.0 as f64,
        uncore_mm2: area * 0.3,
        memory: memory.0.into(),
        stacks: memory.1,
        memory_gb: memory.2,
        power_w,
        export: classify(15_832.0, Some(area * dies as f64), &K.export),
    }
}

pub fn h100() -> PackageSpec {
    spec((25.0, 32.56), 1, (144, 132), ("HBM3", 5, 80.0), "CoWoS-S", 700.0)
}

pub fn b200() -> PackageSpec {
    spec((25.0, 32.0), 2, (80, 74), ("HBM3E", 8, 192.0), "CoWoS-L", 1000.0)
}

pub fn made(year: f64) -> Volume {
    Volume { units: 1e6, start_year: year - 8.0, made_year: Some(year) }
}

pub fn make(s: &PackageSpec, year: f64) -> Package {
    package(s, &made(year), &K, &DieCounts::new()).unwrap()
}
