//! Every chip file through the foundry: export classes against published figures, a package or a reason for each.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod known;

use std::path::Path;
use std::sync::LazyLock;

use known::K;
use tetra_chip::{Chip, ChipConstants, ChipSet};
use tetra_foundry::*;
use tetra_quantity::{TableText, Tables};

fn data(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(name)).unwrap()
}

static CHIPS: LazyLock<ChipSet> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/chips");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let files: Vec<_> =
        paths.iter().map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(p).unwrap())).collect();
    ChipSet::parse(files.iter().map(|(n, t)| (n.as_str(), t.as_str()))).unwrap()
});
static CHIP_CONSTANTS: LazyLock<ChipConstants> = LazyLock::new(|| {
    let names = ["technology.csv", "foundry.csv", "ranges.csv", "calibration.csv"];
    let texts: Vec<_> = names.iter().map(|n| data(n)).collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| TableText { name, text }).collect();
    ChipConstants::from_tables(&Tables::parse(&files, &data("sources.toml")).unwrap()).unwrap()
});

fn chip(name: &str) -> &'static Chip {
    CHIPS.find(name).unwrap_or_else(|| panic!("no chip {name}"))
}

fn made(chip: &Chip, units: f64) -> Description {
    let year = f64::from(chip.year) + 0.5;
    let volume = Volume::made_in(units, year, chip, &K);
    describe(chip, &tetra_chip::area::breakdown(chip, &CHIP_CONSTANTS), &volume, &K, &DieCounts::new())
}

/// TPP computed from data sheets of each maker, with the class of October 2023.
#[test]
fn performance_of_chip_files_agrees_with_data_sheets() {
    use ExportClass::{A, None as Free};
    for (name, tpp, class) in [
        ("V100 SXM2 32GB", 2000.0, Free),
        ("A100 SXM4 80GB", 4992.0, A),
        ("H100 SXM5 80GB", 15_832.0, A),
        ("H20", 2368.0, Free),
        ("H200 SXM", 15_832.0, A),
        ("B200", 36_000.0, A),
        ("L40S", 5864.0, A),
        ("Gaudi3", 26_848.0, A),
        ("MI325X", 20_919.0, A),
    ] {
        let e = export_of(chip(name), &K.export);
        println!("{name:18} TPP {:>8.0} data sheet {tpp:>8.0} ({:+.1} %) class {}", e.tpp, (e.tpp / tpp - 1.0) * 100.0, e.class.word());
        assert_eq!(e.class, class, "{name}");
        assert!((e.tpp / tpp - 1.0).abs() < 0.1, "{name}: {}", e.tpp);
    }
}

#[test]
fn every_chip_is_made_or_says_why_not() {
    for c in CHIPS.iter() {
        let d = made(c, 1e6);
        match (&d.package, &d.misfit) {
            (Some(p), None) => println!(
                "{:24} {:5} {} x {:>5.1} mm2 {:>6.0} USD {:>4.0} kg sellable {:.2} package {:.2} interposer {:>4.0} {}",
                d.chip,
                d.node,
                d.dies,
                d.die_mm.map_or(0.0, |m| m.0 * m.1),
                p.manufacturing_cost.value(),
                p.kg_co2e.value(),
                p.sellable_yield,
                p.package_yield,
                p.interposer_mm2,
                d.export.class.word()
            ),
            (None, Some(why)) => println!("{:24} {:5} class {}: {why}", d.chip, d.node, d.export.class.word()),
            _ => panic!("{} has both or neither", d.chip),
        }
    }
}

/// The estimates of an H100 and a B200 hold with the areas of their own chip files, too.
#[test]
fn chip_files_cost_what_others_estimate() {
    for (name, low, high) in [("H100 SXM5 80GB", 3000.0, 3320.0), ("B200", 6000.0, 6500.0)] {
        let p = made(chip(name), 1e6).package.unwrap();
        let usd = p.manufacturing_cost.value();
        println!("{name}: {usd:.0} USD, estimates {low} to {high}");
        assert!(usd > 0.85 * low && usd < 1.15 * high, "{name} {usd}");
    }
}

/// A search prices many designs: each is a package or one of the reasons, and most need no new count of dies.
#[test]
fn designs_of_the_template_are_priced() {
    use tetra_chip::template::{Design, build};
    use tetra_quantity::{Bytes, BytesPerSecond, Hertz};
    let counts = DieCounts::new();
    let (mut made, mut refused, mut reasons) = (0, 0, std::collections::BTreeMap::<String, u64>::new());
    let mut time = std::time::Duration::ZERO;
    for node in ["N5", "N3E", "N2"] {
        for dies in [1, 2] {
            for cores in [32, 64, 96, 128] {
                for global in [32e6, 64e6, 128e6] {
                    for (hbm_kind, hbm_stacks) in [("HBM3E", 4), ("HBM3E", 6), ("HBM4", 8), ("HBM4", 12)] {
                        for array in [64, 128] {
                            let design = Design {
                                node: node.into(),
                                cores,
                                arrays_per_core: 1,
                                array_rows: array,
                                array_columns: array,
                                lanes: 256,
                                local: Bytes(512e3),
                                global: Bytes(global),
                                hbm_kind: hbm_kind.into(),
                                hbm_stacks,
                                scale_up: BytesPerSecond(900e9),
                                scale_up_domain: 64,
                                clock: Hertz(1.5e9),
                                dies,
                                power_cap: None,
                            };
                            let Ok(chip) = build(&design, &CHIP_CONSTANTS) else { continue };
                            let area = tetra_chip::area::breakdown(&chip, &CHIP_CONSTANTS);
                            let volume = Volume { units: 2e5, start_year: 2027.0, made_year: None };
                            let start = std::time::Instant::now();
                            let p = package_of(&chip, &area, &volume, &K, &counts);
                            time += start.elapsed();
                            match p {
                                Ok(p) => {
                                    made += 1;
                                    let sum: f64 = p.waterfall.iter().map(|l| l.1.value()).sum();
                                    assert!((sum - p.unit_cost.value()).abs() < 1e-6 * sum);
                                    assert!(p.unit_cost.value() > 500.0 && p.unit_cost.value() < 50_000.0, "{design:?} {sum}");
                                }
                                Err(e) => {
                                    refused += 1;
                                    *reasons.entry(format!("{e:?}").split(' ').next().unwrap().into()).or_default() += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    println!("{made} made, {refused} refused {reasons:?}, {:?} each", time / (made + refused));
    assert!(made > 100);
}
