//! Plans of study size: with the shipped suppliers, bought only, struck by an outage, impossible.
mod case;

use case::*;
use tetra_plan::*;
use tetra_quantity::{TableText, Tables};

fn shipped() -> PlanInput {
    let files = [
        TableText { name: "ranges.csv", text: include_str!("../../../data/ranges.csv") },
        TableText { name: "supply.csv", text: include_str!("../../../data/supply.csv") },
    ];
    let tables = Tables::parse(&files, include_str!("../../../data/sources.toml")).expect("shipped tables");
    let table = SupplierTable::parse(include_str!("../../../data/suppliers.toml"), &tables).expect("shipped suppliers");
    PlanInput { suppliers: table.offered("N3E", 2027.0), ..study(60) }
}

fn outage() -> Outage {
    Outage {
        name: "No wafers from Taiwan for six months from month 40".into(),
        country: "TW".into(),
        stages: vec![Stage::Wafer],
        from_month: 39,
        months: 6,
        recovery_months: 3,
        lost_in_process: 0.5,
        bought: false,
    }
}

#[test]
fn own_chips_come_after_wafers_and_every_lead_time() {
    let input = shipped();
    let plan = planned(&input);
    let fastest = |stage: Stage| input.suppliers.iter().filter(|s| s.stage == stage).map(|s| s.lead_months).min().expect("offered");
    let path = fastest(Stage::Wafer) + fastest(Stage::Packaging) + fastest(Stage::Test) + fastest(Stage::Server);
    let product = input.product.as_ref().expect("the study has a product");
    assert!(plan.first_month.expect("own chips come") >= product.first_wafer_month + path);
    assert!(plan.cost_usd >= plan.bound_usd - 1.0 && plan.cost_usd <= plan.bound_usd * (1.0 + 2.0 * input.effort.gap));
}

#[test]
fn a_plan_without_product_only_buys_and_rents() {
    let mut input = study(60);
    input.product = None;
    let plan = planned(&input);
    assert!(plan.fleets.iter().all(|f| !f.own) && plan.stocks.is_empty());
    assert!(plan.orders.iter().filter(|o| o.stage.is_some()).all(|o| o.ordered.iter().all(|&u| u == 0.0)));
    assert!(plan.costs.iter().all(|c| c.name != "wafers"));
}

#[test]
fn an_outage_costs_and_a_second_source_saves_at_most_the_loss() {
    let mut input = study(60);
    // Scarce rent and dear shortage: chips that do not come are missed.
    input.bridges[1].units_per_month = 300.0;
    input.demands.iter_mut().for_each(|d| d.unmet_usd_per_chip_month = 8000.0);
    let StressOutcome::Survived(s) = stress(&input, &outage()).expect("input is sound") else { panic!("a plan exists") };
    assert!(s.text.contains("as a second source would have saved"), "{}", s.text);
    assert!(s.loss_usd > 0.0);
    assert_eq!(s.second_sources.len(), 2);
    // Two plans are each known up to the gap.
    let gap = 2.0 * input.effort.gap * s.calm_usd;
    assert!(s.second_sources.iter().all(|x| x.saved_usd <= s.loss_usd + gap && x.premium_usd >= 0.0));
    let harmless = Outage { months: 0, recovery_months: 0, ..outage() };
    input.suppliers.iter_mut().for_each(|s| s.qualification = None);
    let StressOutcome::Survived(s) = stress(&input, &harmless).expect("input is sound") else { panic!("a plan exists") };
    assert!(s.loss_usd.abs() <= gap, "{}", s.loss_usd);
}

#[test]
fn a_conflict_names_the_demand_the_limits_and_the_cheapest_way_out() {
    let mut input = study(60);
    input.demands[2].met_from = Some(8);
    input.demands[2].sites = vec![1];
    input.bridges[1].chips_per_unit[2] = 0.0;
    let PlanOutcome::Infeasible(c) = solve(&input).expect("input is sound") else { panic!("Norway has no power before month 13") };
    assert!(c.demands.len() == 1 && c.demands[0].starts_with("demand of long context (EU) in month"), "{}", c.text);
    assert!(c.limits.iter().any(|l| l.starts_with("power ready at Norway")), "{}", c.text);
    assert_eq!(c.relaxation.len(), 1);
    assert_eq!(c.relaxation[0].months, (8, 11));
    assert!(c.relaxation[0].usd > 0.0 && c.text.contains("which costs"), "{}", c.text);
    // The way out leads out.
    input.demands[2].met_from = Some(12);
    planned(&input);
}

#[test]
fn a_rule_is_not_for_sale_and_power_costs_what_it_takes_to_use_it() {
    let mut input = study(60);
    input.demands[2].met_from = Some(20);
    input.demands[2].sites = vec![1];
    input.bridges[1].chips_per_unit[2] = 0.0;
    // Room for half of what the confined service needs at its end.
    let most = input.demands[2].chips.iter().copied().fold(0.0, f64::max);
    let watts = input.bridges[0].watts / input.bridges[0].chips_per_unit[2];
    input.sites[1].cap_w = most * watts / 2.0;
    input.product = None;
    let conflict = |input: &PlanInput| match solve(input).expect("input is sound") {
        PlanOutcome::Infeasible(c) => c,
        PlanOutcome::Planned(_) => panic!("half the room is too little"),
    };
    let c = conflict(&input);
    assert!(c.relaxation.iter().all(|r| !r.name.starts_with("rule")), "{}", c.text);
    let power = |c: &Conflict| c.relaxation.iter().filter(|r| r.name.starts_with("power ")).map(|r| r.usd).sum::<f64>();
    // Where a missing chip costs little it gives way; where it costs much the site grows, and pays rent, energy and machines.
    input.demands[2].unmet_usd_per_chip_month = 1.0;
    assert_eq!(power(&conflict(&input)), 0.0);
    input.demands[2].unmet_usd_per_chip_month = 1e6;
    let c = conflict(&input);
    let usd = power(&c);
    assert!(usd > 0.0, "{}", c.text);
    input.sites[1].energy_usd_per_w_year *= 2.0;
    input.sites[1].usd_per_w_year += 1.0;
    assert!(power(&conflict(&input)) > usd);
}

#[test]
fn a_rule_that_binds_has_a_price() {
    let mut input = study(36);
    input.demands[2].sites = vec![1];
    input.bridges[1].chips_per_unit[2] = 0.0;
    let plan = planned(&input);
    let costs = rule_costs(&input, &plan).expect("input is sound");
    assert_eq!(costs[0], None);
    assert!(costs[2].expect("confined") > 0.0);
}

#[test]
fn a_wide_conflict_is_named_too() {
    let mut input = shipped();
    input.demands.iter_mut().for_each(|d| d.met_from = Some(24));
    input.bridges.iter_mut().for_each(|b| b.units_per_month = 200.0);
    let PlanOutcome::Infeasible(c) = solve(&input).expect("input is sound") else { panic!("200 GPUs a month are too few") };
    assert!(c.demands.len() == 1 && c.limits.iter().any(|l| l.starts_with("supply of GPU in months 1 to")), "{}", c.text);
    assert!(!c.relaxation.is_empty());
}

#[test]
fn threads_do_not_change_a_plan() {
    let input = PlanInput { months: 30, ..shipped() };
    let text = |input: &PlanInput| serde_json::to_string(&planned(input)).expect("a plan is plain data");
    let alone = text(&input);
    let together: Vec<String> = std::thread::scope(|s| {
        let all: Vec<_> = (0..2).map(|_| s.spawn(|| text(&input))).collect();
        all.into_iter().map(|h| h.join().expect("no panic")).collect()
    });
    assert!(together.iter().all(|t| *t == alone));
}

#[test]
fn bars_follow_the_flow() {
    let input = shipped();
    let plan = planned(&input);
    let bars = bars(&input, &plan);
    let first = |activity: Activity, name: &str| bars.iter().find(|b| b.activity == activity && b.name == name).map(|b| b.from);
    let wafers = first(Activity::Orders, "TSMC Taiwan (3 nm)").expect("wafers are ordered");
    let service = first(Activity::Service, "design 17").expect("own chips work");
    assert_eq!(first(Activity::Design, "design 17"), Some(0));
    assert!(wafers >= 24 && service > wafers + 5);
    assert!(bars.iter().all(|b| b.from <= b.to && b.amount > 0.0));
}

#[test]
fn no_supplier_gets_more_than_its_largest_share() {
    let input = shipped();
    let plan = planned(&input);
    let memory: Vec<&Orders> = plan.orders.iter().filter(|o| o.stage == Some(Stage::Hbm)).collect();
    for year in 0..input.months / 12 {
        let of = |o: &Orders| o.ordered[year * 12..(year + 1) * 12].iter().sum::<f64>();
        let all: f64 = memory.iter().map(|o| of(o)).sum();
        for (o, s) in memory.iter().zip(input.suppliers.iter().filter(|s| s.stage == Stage::Hbm)) {
            assert!(s.max_share < 1.0 && of(o) <= s.max_share * all + 1e-3, "{} {} of {all}", o.name, of(o));
        }
    }
}
