//! The shipped data can be read and make sense.

use tetra_plan::*;
use tetra_quantity::{TableText, Tables};

fn tables() -> Tables {
    let files = [
        TableText { name: "ranges.csv", text: include_str!("../../../data/ranges.csv") },
        TableText { name: "supply.csv", text: include_str!("../../../data/supply.csv") },
    ];
    Tables::parse(&files, include_str!("../../../data/sources.toml")).expect("shipped tables")
}

#[test]
fn every_process_has_wafers_and_every_stage_a_supplier() {
    let table = SupplierTable::parse(include_str!("../../../data/suppliers.toml"), &tables()).expect("shipped suppliers");
    for node in ["N16", "N12", "N7", "N6", "N5", "N4", "N3E", "N3P", "N2"] {
        let offered = table.offered(node, 2027.0);
        for stage in Stage::ALL {
            assert!(offered.iter().any(|s| s.stage == stage && s.qualification.is_none()), "{node} {stage:?}");
        }
        assert!(offered.iter().all(|s| s.lead_months > 0 && s.units_per_month > 0.0));
    }
    let amkor = table.offered("N3E", 2027.0).into_iter().find(|s| s.name.starts_with("Amkor")).expect("Amkor");
    assert_eq!(amkor.first_month, 15);
    assert_eq!(amkor.lead_months, 2);
}

#[test]
fn the_shipped_outage_begins_in_month_40() {
    let constants = PlanConstants::from_tables(&tables()).expect("shipped constants");
    let outages = OutageTable::parse(include_str!("../../../data/outages.toml"), &constants).expect("shipped outages");
    let (_, outage) = outages.outages.iter().find(|(key, _)| key == "taiwan_wafers").expect("shipped outage");
    assert_eq!((outage.from_month, outage.months), (39, 6));
    assert_eq!(outage.availability(38), 1.0);
    assert_eq!(outage.availability(39), 0.0);
    assert_eq!(outage.availability(44), 0.0);
    assert!(outage.availability(45) > 0.0 && outage.availability(45) < 1.0);
    assert_eq!(outage.availability(48), 1.0);
}

#[test]
fn broken_texts_are_named() {
    let bad = SupplierTable::parse("[a]\nname = 3", &tables());
    assert!(matches!(bad, Err(PlanError::BadSuppliers { .. })));
    let missing = SupplierTable::parse("[a]\nname = \"A\"\nstage = \"wafer\"\ncountry = \"TW\"", &tables());
    assert!(matches!(missing, Err(PlanError::Data(_))));
}
