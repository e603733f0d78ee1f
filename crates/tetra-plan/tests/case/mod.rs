//! A plan of the size of a study: 60 months, four services, one design, two GPUs, five sites.
#![allow(dead_code, clippy::panic)]

use tetra_plan::*;

pub fn supplier(name: &str, stage: Stage, country: &str, units: f64, lead: usize) -> Supplier {
    Supplier {
        name: name.into(),
        stage,
        country: country.into(),
        units_per_month: units,
        first_month: 0,
        lead_months: lead,
        price_factor: 1.0,
        max_share: 1.0,
        qualification: None,
        expansion: None,
    }
}

pub fn site(name: &str, country: &str, cap_mw: f64) -> PlanSite {
    PlanSite {
        name: name.into(),
        country: country.into(),
        ready_w: 0.0,
        cap_w: cap_mw * 1e6,
        max_w_per_month: 20e6,
        lead_months: 12,
        usd_per_w: 10.0,
        life_months: 240,
        start_usd: 20e6,
        usd_per_w_year: 0.4,
        energy_usd_per_w_year: 0.6,
    }
}

fn growth(months: usize, start: f64, end: f64) -> Vec<f64> {
    (0..months).map(|t| start * (end / start).powf(t as f64 / (months - 1) as f64)).collect()
}

pub fn demand(name: &str, chips: Vec<f64>, sites: Vec<usize>) -> Demand {
    Demand { name: name.into(), region: String::new(), chips, sites, unmet_usd_per_chip_month: 4000.0, met_from: None }
}

pub fn bridge(name: &str, tenure: Tenure, usd: f64, demands: usize) -> Bridge {
    Bridge {
        name: name.into(),
        tenure,
        usd,
        usd_change_per_year: -0.1,
        chips_per_unit: vec![0.8; demands],
        watts: 1400.0,
        load: 1.0,
        upkeep_usd_per_year: 0.0,
        lead_months: if tenure == Tenure::Bought { 5 } else { 1 },
        units_per_month: 5000.0,
        life_months: 60,
        kept_per_year: 0.6,
    }
}

pub fn suppliers() -> Vec<Supplier> {
    let mut all = vec![
        supplier("Foundry A Taiwan", Stage::Wafer, "TW", 1500.0, 4),
        supplier("Foundry A Arizona", Stage::Wafer, "US", 400.0, 4),
        supplier("Foundry B Korea", Stage::Wafer, "KR", 500.0, 4),
        supplier("Memory A", Stage::Hbm, "KR", 12000.0, 6),
        supplier("Memory B", Stage::Hbm, "KR", 8000.0, 6),
        supplier("Memory C", Stage::Hbm, "US", 6000.0, 6),
        supplier("Packager A", Stage::Packaging, "TW", 600.0, 3),
        supplier("Packager B", Stage::Packaging, "US", 200.0, 3),
        supplier("Test A", Stage::Test, "TW", 6000.0, 1),
        supplier("Test B", Stage::Test, "MY", 3000.0, 1),
        supplier("Integrator A", Stage::Server, "MX", 4000.0, 1),
        supplier("Integrator B", Stage::Server, "TW", 4000.0, 1),
    ];
    all[1].price_factor = 1.2;
    all[1].qualification = Some(Qualification { usd: 20e6, months: 6 });
    all[2].qualification = Some(Qualification { usd: 120e6, months: 15 });
    all[5].max_share = 0.4;
    all[6].expansion = Some(Expansion { units_per_month: 300.0, usd: 50e6, months: 12 });
    all[7].qualification = Some(Qualification { usd: 10e6, months: 6 });
    all
}

pub fn study(months: usize) -> PlanInput {
    let mut demands = vec![
        demand("chat", growth(months, 1500.0, 24000.0), vec![0, 1, 2, 3, 4]),
        demand("reasoning", growth(months, 400.0, 8000.0), vec![0, 1, 2, 3, 4]),
        demand("long context", growth(months, 100.0, 1500.0), vec![1, 3]),
        demand("training", (0..months).map(|t| if t >= 12 && t % 6 < 3 { 6000.0 } else { 0.0 }).collect(), vec![0, 1, 2, 3, 4]),
    ];
    demands[2].region = "EU".into();
    let mut sites = vec![
        site("Texas", "US", 60.0),
        site("Norway", "NO", 25.0),
        site("Virginia", "US", 40.0),
        site("Spain", "ES", 30.0),
        site("Abu Dhabi", "AE", 50.0),
    ];
    sites[0].ready_w = 8e6;
    sites[1].usd_per_w = 11.0;
    sites[1].energy_usd_per_w_year = 0.4;
    sites[3].ready_w = 2e6;
    PlanInput {
        months,
        discount_rate: 0.1,
        demands,
        product: Some(Product {
            name: "design 17".into(),
            watts: 1500.0,
            works: Vec::new(),
            load: 1.0,
            upkeep_usd_per_year: 0.0,
            wafers: 1.0 / 28.0,
            hbm_stacks: 8.2,
            packaging_wafers: 1.0 / 15.0,
            prices: StagePrices { wafer_usd: 19000.0, hbm_usd: 400.0, packaging_usd: 11000.0, test_usd: 150.0, server_usd: 5000.0 },
            first_wafer_month: 24,
            nre: vec![(0, 200e6), (12, 150e6), (18, 60e6)],
            life_months: 60,
            kept_per_year: 0.6,
        }),
        suppliers: suppliers(),
        country_shares: Vec::new(),
        bridges: vec![bridge("GPU", Tenure::Bought, 40000.0, 4), bridge("GPU rented", Tenure::Rented, 3500.0, 4)],
        sites,
        option_starts: vec![0, 12, 24],
        outages: vec![],
        stock_cost_per_year: 0.03,
        effort: Effort { gap: 1e-3, nodes: 200 },
    }
}

pub fn planned(input: &PlanInput) -> Plan {
    match solve(input).expect("input is sound") {
        PlanOutcome::Planned(p) => *p,
        PlanOutcome::Infeasible(c) => panic!("{}", c.text),
    }
}

/// A random plan of a few months with every kind of thing in it.
pub fn small(seed: u64) -> PlanInput {
    let mut rng = tetra_quantity::Rng::new(seed, 0, "plan");
    let mut any = |low: f64, high: f64| low + (high - low) * rng.uniform();
    let months = any(6.0, 13.0) as usize;
    let mut sites = vec![site("north", "NO", any(0.1, 1.0)), site("south", "ES", any(0.1, 1.0))];
    for s in &mut sites {
        (s.ready_w, s.max_w_per_month, s.lead_months) = (any(0.0, 2e5), any(1e4, 2e5), any(0.0, 4.0) as usize);
        s.start_usd = if any(0.0, 1.0) < 0.5 { 0.0 } else { any(1e4, 1e6) };
    }
    let mut demands = vec![
        demand("chat", (0..months).map(|_| any(0.0, 300.0)).collect(), vec![0, 1]),
        demand("private", (0..months).map(|_| any(0.0, 60.0)).collect(), vec![1]),
    ];
    demands[1].met_from = if any(0.0, 1.0) < 0.3 { Some(any(0.0, 12.0) as usize) } else { None };
    let mut suppliers = Vec::new();
    for stage in Stage::ALL {
        let most = [20.0, 1000.0, 15.0, 150.0, 150.0][stage as usize];
        for (n, country) in ["TW", "US"].into_iter().enumerate() {
            let lead = any(0.0, 3.0) as usize;
            let mut s = supplier(&format!("{stage:?} {country}"), stage, country, any(0.0, most), lead);
            s.price_factor = any(0.7, 1.3);
            if n == 1 && any(0.0, 1.0) < 0.4 {
                s.qualification = Some(Qualification { usd: any(1e4, 1e6), months: any(0.0, 4.0) as usize });
            }
            if n == 0 && any(0.0, 1.0) < 0.3 {
                s.expansion = Some(Expansion { units_per_month: any(0.0, most), usd: any(1e4, 1e6), months: any(0.0, 4.0) as usize });
            }
            suppliers.push(s);
        }
    }
    let mut bridges = vec![bridge("GPU", Tenure::Bought, any(2e4, 5e4), 2), bridge("GPU rented", Tenure::Rented, any(1e3, 5e3), 2)];
    for b in &mut bridges {
        (b.lead_months, b.units_per_month, b.life_months) = (any(0.0, 5.0) as usize, any(0.0, 100.0), any(3.0, 20.0) as usize);
        b.chips_per_unit = vec![any(0.3, 1.5), any(-0.2, 1.5).max(0.0)];
    }
    let mut product = study(60).product.expect("the study has a product");
    (product.first_wafer_month, product.life_months) = (any(0.0, 4.0) as usize, any(4.0, 20.0) as usize);
    product.nre = vec![(0, any(0.0, 1e6))];
    let young = any(0.3, 1.0);
    product.works = (0..months).map(|t| (young + 0.1 * t as f64).min(1.0)).collect();
    PlanInput {
        months,
        discount_rate: any(0.0, 0.2),
        demands,
        product: if any(0.0, 1.0) < 0.85 { Some(product) } else { None },
        suppliers,
        country_shares: Vec::new(),
        bridges,
        sites,
        option_starts: vec![0, 3],
        outages: vec![],
        stock_cost_per_year: any(0.0, 0.1),
        effort: Effort { gap: 0.0, nodes: 10_000 },
    }
}
