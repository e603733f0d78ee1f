//! Laws that every plan obeys.
mod case;

use case::*;
use proptest::prelude::*;
use tetra_plan::*;

fn cost(input: &PlanInput) -> f64 {
    match solve(input).expect("input is sound") {
        PlanOutcome::Planned(p) => p.cost_usd,
        PlanOutcome::Infeasible(_) => f64::INFINITY,
    }
}

/// `less` is at most `more`, up to the solver's tolerance.
fn at_most(less: f64, more: f64) {
    assert!(less <= more + 2e-6 * more.abs().min(1e18) + 1.0, "{less} > {more}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_capacity_never_costs_more(seed in any::<u64>(), n in 0usize..10, more in 0.0..2.0f64) {
        let input = small(seed);
        let mut roomy = input.clone();
        roomy.suppliers[n].units_per_month *= 1.0 + more;
        roomy.sites[n % 2].cap_w *= 1.0 + more;
        roomy.bridges[n % 2].units_per_month *= 1.0 + more;
        at_most(cost(&roomy), cost(&input));
    }

    #[test]
    fn a_rule_less_never_costs_more(seed in any::<u64>()) {
        let input = small(seed);
        let mut free = input.clone();
        free.demands[1].sites = vec![0, 1];
        at_most(cost(&free), cost(&input));
    }

    #[test]
    fn no_country_gets_more_than_its_share_and_the_rule_never_saves(seed in any::<u64>(), largest in 0.3..0.9f64) {
        let mut input = small(seed);
        input.suppliers.iter_mut().enumerate().for_each(|(n, s)| s.country = if n % 2 == 0 { "TW" } else { "US" }.into());
        let ruled = PlanInput { country_shares: vec![CountryShare { stage: Stage::Wafer, largest }], ..input.clone() };
        at_most(cost(&input), cost(&ruled));
        if let PlanOutcome::Planned(plan) = solve(&ruled).expect("input is sound") {
            let wafers = |country: &str| -> f64 {
                let of = plan.orders.iter().filter(|o| o.stage == Some(Stage::Wafer) && (country.is_empty() || o.country == country));
                of.flat_map(|o| o.ordered.iter().take(12)).sum()
            };
            for country in ["TW", "US"] {
                at_most(wafers(country), largest * wafers(""));
            }
        }
    }

    #[test]
    fn more_lead_time_never_helps(seed in any::<u64>(), n in 0usize..10) {
        let mut input = small(seed);
        // A bought unit's value at the horizon follows its price at the order: with a constant price the law is exact.
        input.bridges.iter_mut().for_each(|b| b.usd_change_per_year = 0.0);
        let mut late = input.clone();
        late.suppliers[n].lead_months += 1;
        late.sites[n % 2].lead_months += 1;
        late.bridges[0].lead_months += 1;
        at_most(cost(&input), cost(&late));
    }

    #[test]
    fn a_younger_software_stack_never_costs_less(seed in any::<u64>(), part in 0.3..1.0f64) {
        let input = small(seed);
        let mut young = input.clone();
        young.product.iter_mut().flat_map(|p| &mut p.works).for_each(|w| *w *= part);
        at_most(cost(&input), cost(&young));
    }

    #[test]
    fn more_demand_is_never_cheaper(seed in any::<u64>(), more in 0.0..100.0f64) {
        let input = small(seed);
        let mut busy = input.clone();
        busy.demands[0].chips.iter_mut().for_each(|c| *c += more);
        at_most(cost(&input), cost(&busy));
    }

    #[test]
    fn a_shadow_price_is_the_most_that_one_more_unit_can_save(seed in any::<u64>()) {
        let mut input = small(seed);
        input.suppliers.iter_mut().for_each(|s| (s.qualification, s.expansion) = (None, None));
        input.sites.iter_mut().for_each(|s| s.start_usd = 0.0);
        if let PlanOutcome::Planned(plan) = solve(&input).expect("input is sound") {
            for price in plan.shadow_prices.iter().filter(|p| p.name.starts_with("capacity of")) {
                let mut roomy = input.clone();
                let supplier = roomy.suppliers.iter_mut().find(|s| price.name.ends_with(&s.name)).expect("named");
                supplier.units_per_month += 0.01;
                at_most(plan.cost_usd - 0.01 * price.usd_per_unit, cost(&roomy));
            }
        }
    }

    #[test]
    fn a_joint_investment_not_taken_saves_at_most_what_is_said(seed in any::<u64>(), n in 0usize..10) {
        let mut input = small(seed);
        input.suppliers.iter_mut().for_each(|s| (s.qualification, s.expansion) = (None, None));
        input.sites.iter_mut().for_each(|s| s.start_usd = 0.0);
        let most = input.suppliers[n].units_per_month;
        input.suppliers[n].expansion = Some(Expansion { units_per_month: most, usd: 1e8, months: 1 });
        if let (Some(_), PlanOutcome::Planned(plan)) = (&input.product, solve(&input).expect("input is sound")) {
            let offers = co_investments(&input, &plan);
            assert_eq!(offers.len(), 1);
            let offer = &offers[0];
            if offer.taken.is_none() {
                let mut free = input.clone();
                free.suppliers[n].expansion = Some(Expansion { usd: 0.0, ..offer.offer });
                at_most(plan.cost_usd - offer.most_saved_usd, cost(&free));
            }
        }
    }

    #[test]
    fn the_books_balance(seed in any::<u64>()) {
        let input = small(seed);
        if let PlanOutcome::Planned(plan) = solve(&input).expect("input is sound") {
            balance(&plan);
            let again = solve(&input).expect("input is sound");
            prop_assert_eq!(serde_json::to_string(&PlanOutcome::Planned(plan)).unwrap(), serde_json::to_string(&again).unwrap());
        }
    }
}

fn balance(plan: &Plan) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
    for t in 0..plan.months {
        for s in &plan.services {
            let served: f64 = s.by_fleet.iter().map(|f| f[t]).sum();
            assert!(served + s.unmet[t] >= s.needed[t] - 1e-3, "{served} {} {}", s.unmet[t], s.needed[t]);
        }
        for s in &plan.sites {
            assert!(s.used_w[t] <= s.ready_w[t] + 1.0 && s.ready_w[t] <= s.cap_w + 1.0);
        }
    }
    assert!((plan.costs.iter().map(|c| c.usd).sum::<f64>() - plan.cost_usd).abs() <= 1e-9 * plan.cost_usd.abs());
    let of = |stage: Stage, f: fn(&Orders) -> &Vec<f64>| -> f64 { plan.orders.iter().filter(|o| o.stage == Some(stage)).flat_map(f).sum() };
    let left = |stage: Stage| plan.stocks.iter().find(|s| s.stage == stage).and_then(|s| s.units.last().copied()).unwrap_or(0.0);
    if let Some(own) = plan.fleets.iter().find(|f| f.own) {
        let installed: f64 = own.installed.iter().sum();
        assert!(near(of(Stage::Server, |o| &o.delivered), installed + left(Stage::Server)));
        assert!(near(of(Stage::Test, |o| &o.delivered), of(Stage::Server, |o| &o.ordered) + left(Stage::Test)));
    }
}

#[test]
fn broken_numbers_are_named() {
    let mut input = study(60);
    input.sites[1].cap_w = f64::NAN;
    assert!(matches!(solve(&input), Err(PlanError::BadNumber { .. })));
    let mut input = study(60);
    input.demands[0].chips[3] = -1.0;
    assert!(matches!(solve(&input), Err(PlanError::BadNumber { .. })));
    let mut input = study(60);
    input.demands[0].sites.push(9);
    assert!(matches!(solve(&input), Err(PlanError::BadInput { .. })));
    let mut input = study(60);
    input.months = 0;
    assert!(matches!(solve(&input), Err(PlanError::BadInput { .. })));
}

/// Numbers at the ends of what can be written.
const EXTREMES: [f64; 9] = [0.0, -1.0, 1e-300, 1e-9, 1e9, 1e15, 1e300, f64::NAN, f64::INFINITY];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_number_makes_it_panic(seed in any::<u64>(), which in 0usize..16, extreme in 0usize..9, months in prop_oneof![0usize..20, Just(usize::MAX)]) {
        let mut input = small(seed);
        let v = EXTREMES[extreme];
        match which {
            0 => input.discount_rate = v,
            1 => input.demands[0].chips[0] = v,
            2 => input.demands[0].unmet_usd_per_chip_month = v,
            3 => input.suppliers[0].units_per_month = v,
            4 => input.suppliers[1].price_factor = v,
            5 => input.suppliers[2].lead_months = months,
            6 => input.sites[0].cap_w = v,
            7 => input.sites[1].max_w_per_month = v,
            8 => input.bridges[0].chips_per_unit[0] = v,
            9 => input.bridges[1].usd = v,
            10 => input.bridges[0].lead_months = months,
            11 => input.sites[0].lead_months = months,
            12 => input.product.iter_mut().for_each(|p| p.wafers = v),
            13 => input.product.iter_mut().for_each(|p| p.packaging_wafers = v),
            14 => input.product.iter_mut().for_each(|p| p.first_wafer_month = months),
            _ => input.suppliers[3].qualification = Some(Qualification { usd: v, months }),
        }
        let _ = solve(&input);
        let outage = Outage { name: "o".into(), country: "TW".into(), stages: vec![Stage::Wafer], from_month: months, months, recovery_months: months, lost_in_process: 1.0, bought: false };
        let _ = stress(&input, &outage);
    }
}
