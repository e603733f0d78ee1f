//! Laws: parts sum, more never costs less, hotter is never better, any input gives a value or a reason.

mod tables;

use proptest::prelude::*;
use tables::{SITES_TOML, finance, h100, rack_scale, shipped, tables};
use tetra_chip::Chip;
use tetra_quantity::{BytesPerSecond, Celsius, KelvinPerWatt, Usd, Watts};
use tetra_site::{
    ChipPower, Cooling, Finance, Machine, Misfit, PlantYear, PowerAt, PriceBasis, Residency, SiteConstants, SiteDataError, SiteTable,
    Tenure, WetBulb, capital_recovery, chip_hour, choose_cooling, machine_cost, network_bill, plant_year, screen,
};

fn sound(machine: &Machine) -> bool {
    let (c, sites) = shipped();
    let site = sites.find("Frankfurt").expect("complete");
    match chip_hour(machine, site, &finance(), &c) {
        Ok(h) => h.usd_per_hour.is_finite() && h.usd_per_hour > 0.0 && h.pue >= 1.0,
        Err(m) => !m.to_string().is_empty(),
    }
}

fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![Just(f64::NAN), Just(-1.0), Just(0.0), Just(1e300), Just(f64::INFINITY), 0.0..1e6]
}

fn wet(mean: f64, spread: f64, below: Option<f64>) -> WetBulb {
    WetBulb {
        mean: Celsius(mean),
        design: Celsius(mean + spread),
        below_threshold: below,
        threshold: Celsius(18.0),
        design_quantile: 0.996,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_input_gives_a_value_or_a_reason(
        price in wild(), cap in wild(), busy in wild(), duty in wild(), rate in wild(), out in wild(), r in wild(),
        coolant in wild(), server in 0u64.., domain in 0u64.., chips in 0u64..,
    ) {
        let power = ChipPower { cap: Watts(cap), busy: Watts(busy), idle: Watts(0.0), duty, at: PowerAt::Package };
        let machine = Machine {
            price: Usd(price), basis: PriceBasis::Package, power, coolant: Celsius(coolant), resistance: KelvinPerWatt(r),
            cooling: Cooling::Liquid, chips_per_server: server, scale_up: BytesPerSecond(rate), scale_up_domain: domain,
            scale_up_switched: true, scale_out: BytesPerSecond(out), cluster_chips: chips,
        };
        prop_assert!(sound(&machine));
        let by_air = Machine { cooling: Cooling::Air, basis: PriceBasis::Module, ..machine };
        prop_assert!(sound(&by_air));
    }

    #[test]
    fn parts_sum_and_more_never_costs_less(price in 1e3..6e4, cap in 100.0..1100.0, duty in 0.0..1.0, chips in 8u64..100_000) {
        let (c, sites) = shipped();
        let base = h100(price, PriceBasis::Package, chips);
        let power = ChipPower { cap: Watts(cap), busy: Watts(cap * 0.8), idle: Watts(cap * 0.1), duty, at: PowerAt::Package };
        let machine = Machine { power, ..base };
        for site in &sites.sites {
            let h = chip_hour(&machine, site, &finance(), &c).expect("fits");
            let capex: f64 = h.capex.parts().iter().map(|p| p.1.value()).sum();
            let hourly: f64 = h.hourly_parts().iter().map(|p| p.1).sum();
            prop_assert!((capex / h.capex_per_chip().value() - 1.0).abs() < 1e-12);
            prop_assert!((hourly / h.usd_per_hour - 1.0).abs() < 1e-12);
            prop_assert!(h.pue > 1.0 && h.facility_peak.value() >= h.facility_mean.value());
            prop_assert!(h.machine.it_peak.value() >= h.machine.it_mean.value());
            let dearer = chip_hour(&Machine { price: Usd(price * 1.1), ..machine }, site, &finance(), &c).expect("fits");
            let hotter = chip_hour(&Machine { power: ChipPower { busy: Watts(cap), ..power }, ..machine }, site, &finance(), &c).expect("fits");
            let wider = chip_hour(&Machine { scale_out: BytesPerSecond(1e11), ..machine }, site, &finance(), &c).expect("fits");
            for more in [dearer, hotter, wider] {
                prop_assert!(more.usd_per_hour >= h.usd_per_hour);
            }
        }
    }

    #[test]
    fn regulators_only_add(cap in 100.0..1000.0) {
        let (c, _) = shipped();
        let at = |at| Machine { power: ChipPower { cap: Watts(cap), busy: Watts(cap), idle: Watts(0.0), duty: 1.0, at }, ..h100(0.0, PriceBasis::Module, 8) };
        let package = machine_cost(&at(PowerAt::Package), &c).expect("fits");
        let module = machine_cost(&at(PowerAt::Module), &c).expect("fits");
        prop_assert!(package.it_peak.value() > module.it_peak.value());
    }

    #[test]
    fn wet_bulb_keeps_its_facts(mean in -5.0..26.0, spread in 1.0..20.0) {
        let w = wet(mean, spread, None);
        let n = 20_000;
        let found = (0..n).map(|i| w.quantile((f64::from(i) + 0.5) / f64::from(n))).sum::<f64>() / f64::from(n);
        prop_assert!((found - mean).abs() < 1e-3);
        prop_assert!((w.quantile(0.996) - mean - spread).abs() < 1e-9);
    }

    #[test]
    fn hotter_is_never_better(mean in -5.0..26.0, spread in 1.0..18.0, step in 0.0..6.0, supply in 15.0..50.0) {
        let (c, _) = shipped();
        for cooling in [Cooling::Air, Cooling::Liquid] {
            let year = |m: f64, s: f64| -> PlantYear { plant_year(&c.cooling, &wet(m, spread, None), cooling, Celsius(s)) };
            prop_assert!(year(mean + step, supply).mean_share >= year(mean, supply).mean_share - 1e-12);
            prop_assert!(year(mean, supply + step).mean_share <= year(mean, supply).mean_share + 1e-12);
            prop_assert!(year(mean, supply).peak_share + 1e-12 >= year(mean, supply).mean_share);
        }
    }

    #[test]
    fn capital_recovery_repays(rate in 0.0..0.4, years in 1u32..30) {
        let payment = capital_recovery(rate, f64::from(years));
        let worth: f64 = (1..=years).map(|y| payment / (1.0 + rate).powi(y as i32)).sum();
        prop_assert!((worth - 1.0).abs() < 1e-6);
    }

    #[test]
    fn switches_count_the_ports(chips in 1u64..500_000) {
        let (c, _) = shipped();
        let bill = network_bill(&c.network, chips, BytesPerSecond(50e9)).expect("fits");
        let ports = bill.switches * c.network.radix as f64;
        let ends = 2.0 * bill.links - bill.ports_per_chip;
        prop_assert!((ports - ends).abs() < 1e-9, "every port of a switch holds one end of a link");
    }
}

#[test]
fn three_facts_of_the_wet_bulb_are_kept() {
    let (_, sites) = shipped();
    for site in sites.sites.iter().filter(|s| s.wet_bulb.below_threshold.is_some_and(|b| b > 0.0)) {
        let w = &site.wet_bulb;
        let n = 20_000;
        let values: Vec<f64> = (0..n).map(|i| w.quantile((f64::from(i) + 0.5) / f64::from(n))).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let below = values.iter().filter(|v| **v < 18.0).count() as f64 / f64::from(n);
        assert!((mean - w.mean.value()).abs() < 0.3, "{}: {mean} for {}", site.name, w.mean);
        assert!((below - w.below_threshold.unwrap_or_default()).abs() < 1e-3, "{}", site.name);
        assert!((w.quantile(0.996) - w.design.value()).abs() < 1e-9, "{}", site.name);
    }
}

#[test]
fn reasons_name_what_does_not_fit() {
    let (c, sites) = shipped();
    let site = sites.find("Dallas").expect("complete");
    let reason = |m: &Machine| chip_hour(m, site, &finance(), &c).expect_err("does not fit");
    let base = h100(27_500.0, PriceBasis::Module, 8192);
    let hot = Machine { power: ChipPower { cap: Watts(2000.0), ..base.power }, ..base };
    assert!(matches!(reason(&hot), Misfit::PackageTooHot { .. }));
    assert!(matches!(reason(&Machine { chips_per_server: 72, ..base }), Misfit::ServerExceedsRack { .. }));
    assert!(matches!(reason(&Machine { resistance: KelvinPerWatt(0.2), ..base }), Misfit::JunctionTooHot { .. }));
    assert!(matches!(reason(&Machine { cluster_chips: 10_000_000, ..base }), Misfit::ClusterTooLarge { .. }));
    assert!(matches!(reason(&Machine { price: Usd(f64::NAN), ..base }), Misfit::BadInput { what: "price" }));
    assert_eq!(choose_cooling(&base, &c), Cooling::Air);
    assert_eq!(choose_cooling(&rack_scale(1200.0), &c), Cooling::Liquid);
}

#[test]
fn a_domain_beyond_its_rack_pays_for_optics() {
    let (c, _) = shipped();
    let inside = machine_cost(&rack_scale(1200.0), &c).expect("fits");
    let outside = machine_cost(&Machine { scale_up_domain: 1024, ..rack_scale(1200.0) }, &c).expect("fits");
    let torus = Machine { scale_up_domain: 1024, scale_up_switched: false, ..rack_scale(1200.0) };
    let torus = machine_cost(&torus, &c).expect("fits");
    assert!(inside.optics_share == 0.0 && outside.optics_share == 1.0);
    assert!(torus.optics_share > 0.15 && torus.optics_share < 0.3, "faces of a cube of {} chips", torus.chips_per_rack);
    let most = c.network.most_chips(BytesPerSecond(50e9));
    assert!(network_bill(&c.network, most, BytesPerSecond(50e9)).is_ok());
    assert!(network_bill(&c.network, most + 1, BytesPerSecond(50e9)).is_err());
    assert!(outside.server.scale_up.value() > inside.server.scale_up.value());
    assert!(outside.it_peak.value() > inside.it_peak.value());
}

#[test]
fn residency_filters_first_and_shows_its_cost() {
    let (c, table) = shipped();
    let names = ["Frankfurt", "Paris", "Dallas", "Toronto", "Northern Virginia"];
    let candidates: Vec<_> = names.iter().map(|n| table.find(n).expect("complete")).collect();
    let rule = Residency::parse(&["eu"], &table).expect("known");
    let screened = screen(&rule, &candidates);
    assert_eq!(screened.kept, [0, 1]);
    assert_eq!(screened.excluded.len(), 3);
    assert_eq!(screened.excluded[0].rule, "only in EU");
    let machine = h100(27_500.0, PriceBasis::Module, 8192);
    let costs: Vec<f64> = candidates.iter().map(|s| chip_hour(&machine, s, &finance(), &c).expect("fits").usd_per_hour).collect();
    assert!(screened.premium(&costs).is_some_and(|p| p > 0.0));
    assert_eq!(screen(&Residency::anywhere(), &candidates).premium(&costs), Some(0.0));
    assert!(matches!(Residency::parse(&["Mars"], &table).expect_err("unknown")[0], SiteDataError::UnknownRegion { .. }));
}

#[test]
fn incomplete_and_unknown_sites_are_refused_by_name() {
    let (_, table) = shipped();
    let refused = table.find("Warsaw").expect_err("incomplete").to_string();
    assert!(refused.contains("Warsaw") && refused.contains("wet_bulb_mean") && refused.contains("electricity_price"), "{refused}");
    assert!(matches!(table.find("Atlantis"), Err(SiteDataError::UnknownSite { .. })));
    assert!(table.sites.iter().filter(|s| s.regions.iter().any(|r| r == "EU")).count() >= 3);
    assert!(table.sites.len() >= 15 && table.sites.len() + table.refused.len() == 70);
    assert_eq!(table.find("dallas"), table.find("site_dallas"));
}

#[test]
fn broken_lists_are_errors() {
    let t = tables();
    let c = SiteConstants::from_tables(&t).expect("complete");
    for text in ["[site_x", "[site_x]\nname = 3", "[site_x]\nname = \"x\"\ncountry = \"y\"\njurisdiction = \"z\"\nplanet = \"w\"", "\u{0}"]
    {
        assert!(SiteTable::parse(text, &t, &c, 2026).is_err(), "{text:?}");
    }
}

#[test]
fn a_cap_bounds_chips_and_readiness_takes_the_later() {
    let (c, table) = shipped();
    let mut site = table.find("Frankfurt").expect("complete").clone();
    assert_eq!(site.chips_that_fit(Watts(1500.0)), None);
    site.cap = Some(Watts(3e6));
    assert_eq!(site.chips_that_fit(Watts(1500.0)), Some(2000));
    let months = |tenure, has_power| site.months_until_ready(tenure, has_power, &c);
    assert!(months(Tenure::Build, false) > months(Tenure::Build, true));
    assert!(months(Tenure::Build, true) > months(Tenure::Lease, true));
}

#[test]
fn every_draw_can_be_priced() {
    let t = tables();
    let machine = h100(27_500.0, PriceBasis::Module, 8192);
    for draw in 0..20 {
        let drawn = t.sample(7, draw);
        let c = SiteConstants::from_tables(&drawn).expect("complete");
        let sites = SiteTable::parse(SITES_TOML, &drawn, &c, 2026).expect("sound");
        for site in &sites.sites {
            let h = chip_hour(&machine, site, &finance(), &c).expect("fits");
            assert!(h.pue > 1.0 && h.pue < 2.0, "{}: {}", site.name, h.pue);
        }
    }
}

#[test]
fn a_chip_hour_describes_itself_as_json() {
    let (c, table) = shipped();
    let site = table.find("Dallas").expect("complete");
    let h = chip_hour(&h100(27_500.0, PriceBasis::Module, 8192), site, &finance(), &c).expect("fits");
    let json = serde_json::to_value(h).expect("plain data");
    assert!(json["capex"]["server"]["chip"].as_f64().is_some_and(|v| (v - 27_500.0).abs() < 1e-9));
    assert!(json["machine"]["network"]["tiers"].as_u64() == Some(2));
    let bad = Finance { discount_rate: f64::NAN, it_life_years: 5.0, tenure: Tenure::Build };
    assert!(chip_hour(&h100(1.0, PriceBasis::Module, 8), site, &bad, &c).is_err());
}

#[test]
fn every_chip_on_file_stands_in_a_rack() {
    let (c, table) = shipped();
    let site = table.find("Dallas").expect("complete");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/chips");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of chips exists") {
        let path = entry.expect("readable").path();
        let chip = Chip::from_toml(&path.to_string_lossy(), &std::fs::read_to_string(&path).expect("readable")).expect("sound");
        let power = ChipPower { cap: chip.power.cap, busy: chip.power.cap, idle: chip.power.idle, duty: 0.7, at: PowerAt::Module };
        let machine = Machine::of(&chip, Usd(10_000.0), PriceBasis::Module, power, 4, 1_000_000, &c);
        let hour = chip_hour(&machine, site, &finance(), &c).unwrap_or_else(|m| panic!("{}: {m}", chip.name));
        assert!(hour.usd_per_hour.is_finite() && hour.machine.junction.value() <= c.server.junction.value(), "{}", chip.name);
        let copper_rack = chip.links.scale_up_domain <= c.server.rack_chips;
        assert_eq!(hour.machine.optics_share == 0.0, copper_rack, "{}: {} chips per rack", chip.name, hour.machine.chips_per_rack);
        seen += 1;
    }
    assert!(seen >= 30);
}

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-9), "{found} for {wanted}");
}

/// The bill written out from the rows by hand, apart from the code.
#[test]
fn a_bill_by_hand_agrees() {
    let (t, (c, table)) = (tables(), shipped());
    let row = |item: &str, parameter: &str| t.row(item, parameter).expect("there").value;
    let cost = |parameter: &str| row("site_cost", parameter);
    let site = table.find("Toronto").expect("complete");
    let price = row("site_toronto", "wholesale_price") / 1e3 + row("fallback_canada", "grid_fee");
    near(site.electricity.value() * 3.6e6, price);
    let hall = row("site_toronto", "construction_price") * (1.0 + cost("construction_inflation") / 100.0).powi(2026 - 2018);
    let h = chip_hour(&rack_scale(1200.0), site, &finance(), &c).expect("fits");
    near(h.capex.facility.value(), hall * h.machine.it_peak.value() * (1.0 + cost("liquid_hall_premium")));
    let kwh = h.facility_mean.value() / 1e3 * 24.0 * 365.25;
    near(h.opex.electricity.value(), kwh * price);
    near(h.kg_co2e_per_year.value(), kwh * row("site_toronto", "grid_carbon") / 1e3);
    near(h.water_m3_per_year, h.machine.it_mean.value() / 1e3 * 24.0 * 365.25 * h.wue / 1e3);
    near(h.opex.water.value(), h.water_m3_per_year * cost("water_price"));
    near(h.opex.staff.value(), h.machine.it_peak.value() / 1e6 * cost("staff") * cost("staff_price_per_year"));
    near(h.opex.it_upkeep.value(), h.capex.it().value() * cost("it_upkeep") / 100.0);
    near(h.opex.facility_upkeep.value(), h.capex.facility.value() * cost("facility_upkeep") / 100.0);
    near(h.opex.insurance.value(), (h.capex.it() + h.capex.facility).value() * cost("insurance_and_tax") / 100.0);
    let server =
        (35_000.0 + row("server", "host_price_per_chip") + row("server", "nic_price")) * (1.0 + row("server", "integrator_margin"));
    near(h.capex.server.total().value(), server);
    near(h.capex.spares.value(), (server - 35_000.0 + 1687.5 + 2560.0) * cost("spares_share"));
    let lease = Finance { tenure: Tenure::Lease, ..finance() };
    let leased = chip_hour(&rack_scale(1200.0), site, &lease, &c).expect("fits");
    near(leased.opex.rent.value(), leased.machine.it_peak.value() / 1e3 * cost("lease_rent") * 12.0);
}

/// Both loops of a liquid-cooled server add up, at the mean and in the hottest hours.
#[test]
fn loops_are_weighted_by_their_heat() {
    let (c, table) = shipped();
    for site in &table.sites {
        let h = chip_hour(&rack_scale(1200.0), site, &finance(), &c).expect("fits");
        let air = plant_year(&c.cooling, &site.wet_bulb, Cooling::Air, c.cooling.air_supply);
        let liquid = plant_year(&c.cooling, &site.wet_bulb, Cooling::Liquid, Celsius(40.0));
        let share = c.server.liquid_share;
        let mix = |l: f64, a: f64| 1.0 + c.cooling.auxiliary_share + share * l + (1.0 - share) * a;
        let p = &c.power;
        let grid = |it: f64, plant: f64| {
            [p.distribution, p.ups, p.transformer].iter().fold(it * plant, |w, s| w * (1.0 + s.fixed_loss) / s.efficiency)
        };
        near(h.facility_peak.value(), grid(h.machine.it_peak.value(), mix(liquid.peak_share, air.peak_share)));
        near(h.wue / 3.6e6, share * liquid.litres_per_joule + (1.0 - share) * air.litres_per_joule);
        near(h.free_cooling_share, share * liquid.free_share + (1.0 - share) * air.free_share);
    }
}
