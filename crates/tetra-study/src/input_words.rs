//! The inputs of the draws in words: what a table's key or factor means to a reader, and how far it reaches from P10 to P90. Leaves out errors of the
//! model, which are named in words from the start.

use tetra_quantity::{Row, Tables, show_number};

/// Factors that several rows share, or whose row has a short name.
const FACTORS: [(&str, &str); 58] = [
    ("arizona_premium", "what wafers from Arizona cost more"),
    ("bond_yield", "yield of bonding dies and memory"),
    ("build_time", "time to build a hall"),
    ("cluster", "how much defects on a wafer cluster"),
    ("commitment", "months in which orders cannot be changed"),
    ("confidential", "what confidential computing adds to copies and restarts"),
    ("construction", "price of building a hall"),
    ("defects", "defects of logic wafers"),
    ("demand", "demand at the end of the horizon, against the study's"),
    ("design_cost", "cost of designing the chip"),
    ("design_overlap", "how much of the physical design overlaps with RTL"),
    ("design_time", "time of the physical design"),
    ("disruption", "chance per year that supply from Taiwan stops"),
    ("disruption_length", "how long supply from Taiwan stops"),
    ("electricity", "price of electricity"),
    ("fab_carbon", "carbon of making wafers"),
    ("fab_grid", "carbon of the power that fabs use"),
    ("fab_time", "time that wafers spend in the fab"),
    ("gpu_lead", "lead time of GPUs"),
    ("gpu_price", "price of GPUs"),
    ("gpu_rent", "rent of GPUs"),
    ("gpu_rent_trend", "how fast rents of GPUs change"),
    ("gpu_residual", "what a used GPU is worth"),
    ("gpu_trend", "time in which successors halve the price of performance"),
    ("grid_carbon", "carbon of electricity"),
    ("grid_wait", "wait for a grid connection"),
    ("interposer_defects", "defects of interposers"),
    ("learning", "how fast a new process gets better"),
    ("licences", "licences of bought circuit blocks"),
    ("mask_set", "price of a mask set"),
    ("memory_carbon", "carbon of making memory"),
    ("memory_price", "price of memory"),
    ("module_price", "price of the module around the package"),
    ("network_price", "price of switches, cables and network cards"),
    ("newcomer_share", "share of a supplier's output that a new buyer gets"),
    ("own_stack", "efficiency of an own software stack at first volume"),
    ("own_stack_ramp", "time until an own software stack is fully efficient"),
    ("packaging_price", "price of advanced packaging"),
    ("partner_margin", "margin of the design partner"),
    ("plant", "temperatures of the cooling plant"),
    ("plant_fans", "power of fans and pumps"),
    ("plant_loss", "losses of the power plant"),
    ("power_loss", "losses of power supplies"),
    ("programme_slip", "months by which the chip programme is late"),
    ("programme_time", "length of the chip programme's stages"),
    ("respin", "how likely and how dear another tape-out is"),
    ("salary", "cost of an engineer per year"),
    ("server_power", "power of a server beside its chips"),
    ("server_price", "price of a server beside its chips"),
    ("software", "people and years that software for the chip takes"),
    ("stack_size", "size of memory stacks"),
    ("staff", "people who run a site"),
    ("limit_worth", "chips that an operator buys to hold a limit, over those of a missed one"),
    ("take_or_pay", "share of an order that is paid though not taken"),
    ("test_price", "price of testing chips"),
    ("uncore_critical", "share of a die's edge in which a defect is fatal"),
    ("upkeep", "repair and spare parts"),
    ("wafer_price", "price of logic wafers"),
];

/// The factor `name` in words, if it is one of those that money, demand and time are read from.
fn factor(name: &str) -> Option<&'static str> {
    FACTORS.iter().find(|(factor, _)| *factor == name).map(|(_, words)| *words)
}

/// An input of the draws in words: a factor, or the row `item.parameter`; others as they are.
pub fn words(tables: &Tables, input: &str) -> String {
    if let Some(words) = factor(input) {
        return words.to_owned();
    }
    match rows(tables, input).first() {
        Some(row) => format!("{}: {}", row.item, row.parameter).replace('_', " "),
        None => input.to_owned(),
    }
}

/// How far an input reaches: P10 and P90 with the unit where one row holds it, else by how much its rows move.
pub fn reach(tables: &Tables, input: &str) -> String {
    let rows = rows(tables, input);
    let [row] = rows.as_slice() else { return together(&rows) };
    let unit = if row.unit == "1" { String::new() } else { format!(" {}", row.unit) };
    let note = row.note.split(';').next().filter(|_| row.factor.is_empty()).unwrap_or_default();
    let colon = if note.is_empty() { "" } else { ": " };
    format!("{note}{colon}P10 {}{unit}, P90 {}{unit}", show_number(row.low), show_number(row.high))
}

fn rows<'a>(tables: &'a Tables, input: &str) -> Vec<&'a Row> {
    tables.rows().iter().filter(|r| r.input() == input || r.key() == input).collect()
}

/// Rows that move together, by the median of what they do.
fn together(rows: &[&Row]) -> String {
    let median = |end: fn(&Row) -> f64| {
        let mut ratios: Vec<f64> = rows.iter().filter(|r| r.value != 0.0).map(|r| end(r) / r.value).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    };
    match (median(|r| r.low), median(|r| r.high)) {
        (Some(low), Some(high)) => {
            let times = |x: f64| format!("{x:.2}");
            format!("{} figures that move together, typically P10 × {}, P90 × {}", rows.len(), times(low), times(high))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_factor_of_money_demand_and_time_has_words() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
        let mut found = std::collections::BTreeSet::new();
        for name in ["foundry", "market", "site", "sites", "supply", "draws"] {
            let text = std::fs::read_to_string(data.join(format!("{name}.csv"))).unwrap();
            // The factor is the last column but the note; notes are quoted where they hold a comma.
            let cells = |line: &str| line.split(',').nth(8).map(str::to_owned);
            found.extend(text.lines().filter(|l| !l.starts_with('#')).skip(1).filter_map(cells).filter(|f| !f.is_empty()));
        }
        let silent: Vec<_> = found.iter().filter(|f| factor(f).is_none()).collect();
        assert!(silent.is_empty(), "factors without words: {silent:?}");
        assert_eq!(found.len(), FACTORS.len(), "words for factors that no table has");
    }
}
