//! Packages against published costs, carbon and export classes, and laws of cost.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use tetra_foundry::carbon::silicon_kg_per_cm2;
use tetra_foundry::*;

mod known;
use known::{K, TABLES, b200, h100, made, make, spec};

fn show(name: &str, p: &Package) {
    println!(
        "{name}: {:.0} USD to make, gross {} perfect {:.3} sellable {:.3} package {:.3} interposer {:.0} mm2 {:.4} wafers {:.4} CoWoS {:.0} kg",
        p.manufacturing_cost.value(),
        p.gross_dies,
        p.perfect_yield,
        p.sellable_yield,
        p.package_yield,
        p.interposer_mm2,
        p.wafers_per_unit,
        p.packaging_wafers_per_unit,
        p.kg_co2e.value()
    );
    for (n, v) in &p.waterfall {
        println!("  {n:26} {:8.1}", v.value());
    }
}

/// 3,320 USD estimated by Raymond James (2023), about 3,000 by others: within 15 %.
#[test]
fn cost_of_an_h100() {
    let p = make(&h100(), 2023.5);
    show("H100", &p);
    assert!((p.manufacturing_cost.value() / 3320.0 - 1.0).abs() < 0.15);
}

/// 6,000 to 6,500 USD estimated: within 15 % of the middle.
#[test]
fn cost_of_a_b200() {
    let p = make(&b200(), 2024.9);
    show("B200", &p);
    assert!((p.manufacturing_cost.value() / 6250.0 - 1.0).abs() < 0.15);
}

/// Outputs of the ACT code, g/cm2, Taiwan, 97 % abatement, perfect yield.
#[test]
fn carbon_equals_act() {
    for (name, grams) in [("N16", 1362.0), ("N5", 2431.0)] {
        let kg = silicon_kg_per_cm2(K.grid_kg_per_kwh, K.node(name).unwrap(), K.materials_kg_per_cm2);
        assert!((kg * 1e3 - grams).abs() < 1.0, "{name} {kg}");
        assert!(name != "N5" || (kg * 706.86 - 1718.0).abs() < 2.0);
    }
}

/// A licence is asked for D:1, D:4 and D:5, but not where the country is also of A:5 or A:6.
#[test]
fn licences_are_asked_by_country_group() {
    for (groups, asked) in
        [(vec!["D:4"], true), (vec!["D:1", "D:5"], true), (vec!["A:6", "D:4"], false), (vec!["D:3"], false), (vec![], false)]
    {
        assert_eq!(tetra_foundry::needs_licence(&groups), asked, "{groups:?}");
    }
}

/// Classes of October 2023 by published TPP and area.
#[test]
fn export_classes() {
    use ExportClass::{A, B, None as Free, Unknown};
    for (name, tpp, area, class) in [
        ("V100", 2000.0, Some(815.0), Free),
        ("A100", 4992.0, Some(826.0), A),
        ("H100", 15_832.0, Some(814.0), A),
        ("H20", 2368.0, Some(814.0), Free),
        ("L40S", 5864.0, Some(609.0), A),
        ("TPU v5e", 3152.0, Some(325.0), A),
        ("MTIA v2", 2832.0, Some(421.0), A),
        ("Ascend 910B", 6016.0, Some(665.61), A),
        ("TPU v4", 4400.0, None, Unknown),
        ("no area needed", 26_848.0, None, A),
        ("no area needed", 1599.0, None, Free),
        ("b by size", 3000.0, Some(1000.0), B),
        ("b by density", 2000.0, Some(500.0), B),
    ] {
        let e = classify(tpp, area, &K.export);
        assert_eq!(e.class, class, "{name}");
    }
    let h100 = classify(15_832.0, Some(814.0), &K.export);
    assert!((h100.performance_density.unwrap() - 19.45).abs() < 0.01);
}

#[test]
fn programme_is_a_sum_and_waits_for_the_node() {
    for node in &K.nodes {
        for start in [2010.0, 2024.0, 2027.0] {
            let s = PackageSpec { node: node.name.clone(), ..h100() };
            let p = package(&s, &Volume { units: 1e5, start_year: start, made_year: None }, &K, &DieCounts::new()).unwrap();
            let months: f64 = p.programme.stages.iter().map(|s| s.1).sum();
            assert!((months - p.programme.months_to_volume).abs() < 1e-9);
            assert!(start + months / 12.0 >= node.learning.volume_year);
            println!("{} from {start}: {months:.1} months, NRE {:.0} M", node.name, p.nre.total.value() / 1e6);
            assert!((18.0..60.0).contains(&months) || start < 2020.0, "{} {months}", node.name);
        }
    }
}

/// A slip delays volume by its months and pays the team of design and software for them; a wait for the process takes it in.
#[test]
fn a_slip_costs_its_months_and_their_team() {
    let with = |slip: f64, start_year: f64| {
        let stages = constants::StageConstants { slip, ..K.stages.clone() };
        let k = FoundryConstants { stages, ..K.clone() };
        package(&h100(), &Volume { units: 1e5, start_year, made_year: None }, &k, &DieCounts::new()).unwrap()
    };
    let part = |p: &Package, name: &str| p.nre.parts.iter().find(|x| x.0 == name).unwrap().1.value();
    let (none, some) = (with(0.0, 2027.0), with(13.0, 2027.0));
    assert!((some.programme.months_to_volume - none.programme.months_to_volume - some.programme.slip_months).abs() < 1e-9);
    assert!((some.programme.slip_months - 3.0).abs() < 0.02);
    let team = (part(&none, "design") + part(&none, "software")) / none.programme.work_months * some.programme.slip_months;
    assert!((some.nre.total.value() - none.nre.total.value() - team).abs() < 1.0, "{team}");
    assert!((some.programme.work_months - none.programme.months_to_volume).abs() < 1e-9);
    let early = (with(0.0, 2015.0), with(13.0, 2015.0));
    assert!((early.0.programme.months_to_volume - early.1.programme.months_to_volume).abs() < 1e-9);
}

/// An executive's 100 to 200 M USD for an AI chip without software; headline figures with software three to five times that.
#[test]
fn nre_lies_between_its_two_published_ends() {
    let p = package(&h100(), &Volume { units: 1e5, start_year: 2024.0, made_year: None }, &K, &DieCounts::new()).unwrap();
    let part = |name: &str| p.nre.parts.iter().find(|x| x.0 == name).unwrap().1.value();
    let chip = part("design") + part("licences") + part("masks") + part("expected respins");
    assert!((100e6..250e6).contains(&chip), "{chip}");
    assert!(p.nre.total.value() < 650e6);
    let sum: f64 = p.nre.parts.iter().map(|x| x.1.value()).sum();
    assert!((sum - p.nre.total.value()).abs() < 1e-3);
}

#[test]
fn misfits_say_why() {
    let counts = DieCounts::new();
    let bad = |s: PackageSpec| package(&s, &made(2024.0), &K, &counts).unwrap_err();
    assert!(matches!(bad(PackageSpec { die_width_mm: 34.0, ..h100() }), Misfit::Reticle { .. }));
    assert!(matches!(bad(PackageSpec { stacks: 16, dies: 2, ..h100() }), Misfit::Interposer { .. }));
    assert_eq!(bad(PackageSpec { node: "N0".into(), ..h100() }), Misfit::UnknownNode);
    assert_eq!(bad(PackageSpec { memory: "core".into(), ..h100() }), Misfit::UnknownMemory);
    assert_eq!(bad(PackageSpec { package: "shoe".into(), ..h100() }), Misfit::UnknownPackage);
    assert_eq!(bad(PackageSpec { package: "FCBGA".into(), ..h100() }), Misfit::NoInterposer);
    assert_eq!(bad(PackageSpec { cores_needed: 145, ..h100() }), Misfit::Cores { needed: 145, built: 144 });
    for v in [f64::NAN, -1.0, f64::INFINITY, 0.0] {
        assert_eq!(bad(PackageSpec { die_height_mm: v, ..h100() }), Misfit::BadInput);
    }
    assert_eq!(bad(PackageSpec { dies: 0, ..h100() }), Misfit::BadInput);
    assert!(bad(PackageSpec { dies: u64::MAX, ..h100() }).to_string().contains("mm2"));
}

#[test]
fn the_memo_changes_nothing() {
    let counts = DieCounts::new();
    for _ in 0..2 {
        let with = package(&b200(), &made(2025.0), &K, &counts).unwrap();
        assert_eq!(with, make(&b200(), 2025.0));
    }
}

fn cost(s: &PackageSpec, k: &FoundryConstants) -> f64 {
    package(s, &made(2024.0), k, &DieCounts::new()).unwrap().unit_cost.value()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_waterfall_sums_and_losses_are_not_negative(w in 8.0..26.0f64, h in 8.0..33.0f64, n in 1u64..150, spare in 0u64..10, stacks in 0u64..6) {
        let memory = ("HBM3E", stacks, stacks as f64 * 24.0);
        let s = spec((w, h), 1, (n + spare, n), memory, "CoWoS-L", 500.0);
        let p = make(&s, 2026.0);
        let sum: f64 = p.waterfall.iter().map(|l| l.1.value()).sum();
        prop_assert!((sum - p.unit_cost.value()).abs() < 1e-6 * sum);
        for (name, v) in &p.waterfall {
            prop_assert!(v.value() >= 0.0, "{} {}", name, v.value());
        }
        prop_assert!(p.hbm_stacks >= stacks as f64);
        prop_assert!(p.wafers_per_unit * p.gross_dies as f64 >= 1.0);
        prop_assert!(p.sellable_yield >= p.perfect_yield);
    }

    #[test]
    fn any_input_is_an_answer_or_a_misfit(
        size in prop::array::uniform2(prop::num::f64::ANY), rest in prop::array::uniform4(prop::num::f64::ANY),
        dies in any::<u64>(), cores in any::<(u64, u64)>(), stacks in any::<u64>(), years in prop::array::uniform3(prop::num::f64::ANY),
    ) {
        let wild = PackageSpec {
            dies, die_width_mm: size[0], die_height_mm: size[1], cores_built: cores.0, cores_needed: cores.1, core_mm2: rest[0],
            uncore_mm2: rest[1], stacks, memory_gb: rest[2], power_w: rest[3], ..h100()
        };
        let _ = package(&wild, &made(2024.0), &K, &DieCounts::new());
        let strange = [
            PackageSpec { dies, ..h100() },
            PackageSpec { stacks, ..h100() },
            PackageSpec { cores_built: cores.0, cores_needed: cores.1, ..h100() },
            PackageSpec { core_mm2: rest[0].abs(), uncore_mm2: rest[1].abs(), ..h100() },
            PackageSpec { die_width_mm: size[0].abs(), ..h100() },
        ];
        for s in strange {
            if let Ok(p) = package(&s, &made(2024.0), &K, &DieCounts::new()) {
                prop_assert!(p.unit_cost.value() > 0.0);
            }
        }
        let v = Volume { units: years[0], start_year: years[1], made_year: Some(years[2]) };
        let _ = package(&h100(), &v, &K, &DieCounts::new());
    }

    #[test]
    fn later_units_never_have_more_defects(year in 2022.0..2035.0f64, later in 0.0..5.0f64) {
        prop_assert!(make(&h100(), year + later).defects_per_cm2 <= make(&h100(), year).defects_per_cm2 + 1e-12);
    }

    #[test]
    fn more_defects_never_cost_less(w in 8.0..26.0f64, h in 8.0..33.0f64, factor in 1.0..5.0f64, n in 1u64..150, spare in 0u64..10) {
        let s = spec((w, h), 1, (n + spare, n), ("HBM3E", 4, 96.0), "CoWoS-L", 500.0);
        let mut worse = K.clone();
        for node in &mut worse.nodes {
            node.learning.start_per_cm2 *= factor;
            node.learning.floor_per_cm2 *= factor;
        }
        prop_assert!(cost(&s, &worse) >= cost(&s, &K) * (1.0 - 1e-12));
    }

    #[test]
    fn a_larger_die_never_costs_less(w in 8.0..24.0f64, h in 8.0..30.0f64, grow in 0.0..2.0f64) {
        let s = |w| spec((w, h), 1, (64, 60), ("HBM3E", 4, 96.0), "CoWoS-L", 500.0);
        prop_assert!(cost(&s(w + grow), &K) >= cost(&s(w), &K) * (1.0 - 1e-12));
    }

    #[test]
    fn more_memory_and_power_never_cost_less(gb in 8.0..200.0f64, w in 100.0..1500.0f64) {
        let s = |gb, w| spec((25.0, 30.0), 1, (64, 60), ("HBM3", 6, gb), "CoWoS-L", w);
        prop_assert!(cost(&s(gb * 1.1, w), &K) > cost(&s(gb, w), &K));
        prop_assert!(make(&s(gb, w * 1.1), 2024.0).manufacturing_cost.value() > make(&s(gb, w), 2024.0).manufacturing_cost.value());
    }
}

/// A search makes tens of thousands of packages.
#[test]
fn a_package_is_cheap_once_counted() {
    let counts = DieCounts::new();
    let s = b200();
    let v = made(2026.0);
    let start = std::time::Instant::now();
    let first = package(&s, &v, &K, &counts).unwrap();
    let cold = start.elapsed();
    let start = std::time::Instant::now();
    for _ in 0..2000 {
        assert!(package(&s, &v, &K, &counts).unwrap().unit_cost == first.unit_cost);
    }
    let warm = start.elapsed() / 2000;
    println!("cold {cold:?}, warm {warm:?}");
    assert!(warm.as_micros() < 200, "{warm:?}");
}

/// The 80 % interval of the draws must hold the published estimates of 3,000 and 3,320 USD.
#[test]
fn draws_span_what_others_estimate() {
    let mut costs: Vec<f64> = (0..200)
        .map(|draw| {
            let k = FoundryConstants::from_tables(&TABLES.sample(1, draw)).unwrap();
            package(&h100(), &made(2023.5), &k, &DieCounts::new()).unwrap().manufacturing_cost.value()
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    println!("H100 draws: P10 {:.0} P50 {:.0} P90 {:.0} USD", costs[20], costs[100], costs[180]);
    assert!(costs[20] < 3000.0 && 3320.0 < costs[180]);
    assert!(costs[0] > 500.0 && costs[199] < 20_000.0);
}

/// Whatever a draw holds, no line of a waterfall is negative and the lines sum.
#[test]
fn no_draw_makes_a_negative_line() {
    for draw in 0..2000 {
        let k = FoundryConstants::from_tables(&TABLES.sample(7, draw)).unwrap();
        let p = package(&b200(), &made(2025.5), &k, &DieCounts::new()).unwrap();
        let sum: f64 = p.waterfall.iter().map(|l| l.1.value()).sum();
        assert!((sum - p.unit_cost.value()).abs() < 1e-6 * sum);
        assert!(p.waterfall.iter().chain(&p.nre.parts).all(|l| l.1.value() >= 0.0), "{draw} {:?}", p.waterfall);
        assert!(p.programme.stages.iter().all(|s| s.1 >= 0.0) && p.package_yield <= 1.0 && p.kg_co2e.value() > 0.0);
    }
}
