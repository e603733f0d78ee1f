//! Where a number comes from: a tree whose parts add up to the whole, down to the rows of the tables and their sources.

use std::borrow::Cow;

use tetra_quantity::{DAY_S, Row, show_number};

use crate::cashflow::{LineKind, Purpose};
use crate::compare::Worked;
use crate::evaluate::{Setting, Source};

/// A number, how it follows from its parts, and the rows it rests on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Node {
    /// Key, for example `build.usd_per_million_output_tokens`; empty below the top.
    pub key: String,
    /// What it is.
    pub name: String,
    /// Value.
    pub value: f64,
    /// Unit.
    pub unit: Cow<'static, str>,
    /// How it follows from its parts: `sum`, `product`, or in words.
    pub how: Cow<'static, str>,
    /// Parts.
    pub parts: Vec<Node>,
    /// Rows that it rests on: key, value with unit, source.
    pub rows: Vec<String>,
}

impl Node {
    fn leaf(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { key: String::new(), name: name.into(), value, unit: unit.into(), how: "".into(), parts: Vec::new(), rows: Vec::new() }
    }

    fn sum(key: String, name: &str, unit: &'static str, parts: Vec<Node>) -> Self {
        let value = parts.iter().map(|p| p.value).sum();
        Self { key, name: name.to_owned(), value, unit: unit.into(), how: "sum".into(), parts, rows: Vec::new() }
    }

    /// The tree as text, two spaces per level.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    fn write(&self, level: usize, out: &mut String) {
        let how = if self.how.is_empty() { String::new() } else { format!("  ({})", self.how) };
        out.push_str(&format!("{}{}: {} {}{how}\n", "  ".repeat(level), self.name, show_number(self.value), self.unit));
        for part in &self.parts {
            part.write(level + 1, out);
        }
        for row in &self.rows {
            out.push_str(&format!("{}- {row}\n", "  ".repeat(level + 1)));
        }
    }
}

/// The explanation of a key, or the keys that there are. A key without an option is that of Build, or of the cheapest option where none is built.
///
/// # Errors
/// The known keys, when none is `key`.
pub fn explain<'a>(all: &'a [Node], key: &str) -> Result<&'a Node, Vec<&'a str>> {
    let exact = |key: &str| all.iter().find(|n| n.key == key);
    let cost = |option: &str| exact(&format!("{option}.usd_per_million_output_tokens")).map_or(f64::INFINITY, |n| n.value);
    let of_option = |n: &'a Node| n.key.split_once('.').filter(|(_, of)| *of == key).map(|(option, _)| (cost(option), n));
    let cheapest = || all.iter().filter_map(of_option).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n);
    exact(key).or_else(|| exact(&format!("build.{key}"))).or_else(cheapest).ok_or_else(|| all.iter().map(|n| n.key.as_str()).collect())
}

/// Explanations of the headline figures of every option.
pub fn explanations(setting: &Setting<'_>, worked: &[&Worked]) -> Vec<Node> {
    let mut all = Vec::new();
    for w in worked {
        let name = w.name.to_lowercase().replace(' ', "_");
        all.push(levelised(setting, w, &name));
        for (kind, figure, words) in
            [(LineKind::Capex, "capex_usd", "capital over the horizon"), (LineKind::Opex, "opex_usd", "running cost over the horizon")]
        {
            let lines = w.outcome.ledger.lines.iter().filter(|l| l.kind == kind);
            let parts = lines
                .map(|l| with_rows(setting, paid_for(l.purpose, w), Node::leaf(l.name.to_string(), l.usd.iter().sum(), "USD")))
                .collect();
            all.push(Node::sum(format!("{name}.{figure}"), words, "USD", parts));
        }
        all.push(chips(w, &name));
        all.push(power(setting, w, &name));
        all.push(carbon(setting, w, &name));
        all.extend(training(setting, w, &name));
        if let Source::Own(package) = &w.source {
            let parts =
                package.waterfall.iter().map(|(n, usd)| with_rows(setting, made_of(n, w), Node::leaf(*n, usd.value(), "USD"))).collect();
            all.push(Node::sum(format!("{name}.unit_cost_usd"), "cost of one chip", "USD", parts));
            let parts = package.nre.parts.iter().map(|(n, usd)| Node::leaf(*n, usd.value(), "USD")).collect();
            let node = Node::sum(format!("{name}.nre_usd"), "design cost", "USD", parts);
            all.push(Node { rows: rows(setting, &["nre", "partner", &w.chip.silicon.node]), ..node });
        }
    }
    all
}

fn levelised(setting: &Setting<'_>, w: &Worked, name: &str) -> Node {
    let rate = setting.study.frame.discount_rate;
    let scale = w.serving_share(setting) / setting.tokens.max(f64::MIN_POSITIVE) * 1e6;
    let lines = w.outcome.ledger.by_line(rate);
    let parts = lines
        .map(|(l, usd)| with_rows(setting, paid_for(l.purpose, w), Node::leaf(l.name.to_string(), usd * scale, "USD/Mtokens")))
        .collect();
    let node = Node::sum(format!("{name}.usd_per_million_output_tokens"), "levelised cost", "USD/Mtokens", parts);
    let how = "sum of present values × share of serving in the chip-months / present value of output tokens";
    Node { how: how.into(), ..node }
}

fn chips(w: &Worked, name: &str) -> Node {
    let last = |v: &[f64]| v.last().copied().unwrap_or(0.0);
    let parts = vec![
        Node::leaf("own kind", last(&w.outcome.own), "chips"),
        Node::leaf("bought for the bridge", last(&w.outcome.bought), "chips"),
        Node::leaf("rented, where all are", w.chips() - last(&w.outcome.own) - last(&w.outcome.bought), "chips"),
    ];
    Node::sum(format!("{name}.chips"), "chips in service at the end", "chips", parts)
}

fn power(setting: &Setting<'_>, w: &Worked, name: &str) -> Node {
    let places = setting.places.iter().zip(&w.outcome.it_w_by_place);
    let parts = places.map(|(place, watts)| Node::leaf(place.site.name.clone(), watts * 1e-6, "MW")).collect();
    let node = Node::sum(format!("{name}.it_mw"), "IT power at the end", "MW", parts);
    Node { rows: rows(setting, &["server", "power_chain"]), ..node }
}

fn carbon(setting: &Setting<'_>, w: &Worked, name: &str) -> Node {
    let parts = w.carbon(setting).into_iter().map(|(part, kg)| Node::leaf(part, kg, "kg")).collect();
    Node::sum(format!("{name}.kg_co2e"), "carbon over the horizon", "kg", parts)
}

fn training(setting: &Setting<'_>, w: &Worked, name: &str) -> Vec<Node> {
    let runs = setting.study.trainings.iter().zip(&w.found.ability.trainings);
    let one = |(t, a): (&crate::study::Training, &crate::train_fit::TrainAbility)| {
        let steps = a.time.value() * a.goodput / a.step.time.value().max(f64::MIN_POSITIVE);
        let part = |&(n, s): &(&'static str, tetra_quantity::Seconds)| Node::leaf(n, s.value() * steps / DAY_S, "days");
        let mut parts: Vec<Node> = a.step.breakdown.parts().iter().map(part).collect();
        parts.push(Node::leaf("failures and checkpoints", a.time.value() * (1.0 - a.goodput) / DAY_S, "days"));
        let node = Node::sum(format!("{name}.{}.days", t.name), "days of one training run", "days", parts);
        Node { rows: rows(setting, &["interruption", "restart", "checkpoint"]), ..node }
    };
    runs.map(one).collect()
}

/// Items of the tables behind a payment.
fn paid_for(purpose: Purpose, w: &Worked) -> Vec<&str> {
    let chip = &w.chip;
    match purpose {
        Purpose::Wafers => vec![&chip.silicon.node, "die", "wafer"],
        Purpose::Memory => vec![&chip.memory.hbm_kind],
        Purpose::Packaging => vec!["assembly", &chip.silicon.package],
        Purpose::Test => vec!["chip_test"],
        Purpose::Design => vec!["nre", "partner", &chip.silicon.node],
        Purpose::Rented | Purpose::Reserved => vec!["rent"],
        Purpose::Bought | Purpose::Chips => vec!["price_server", "price_module"],
        Purpose::Servers => vec!["server", "scale_out"],
        Purpose::Building | Purpose::Halls | Purpose::Upkeep => vec!["site_cost"],
        Purpose::Energy => vec!["power_chain", "cooling"],
        Purpose::Unmet => vec!["unmet"],
        Purpose::Left => vec!["residual"],
        Purpose::Options | Purpose::Stock => Vec::new(),
    }
}

/// Items of the tables behind a line of a package's cost.
fn made_of<'a>(line: &str, w: &'a Worked) -> Vec<&'a str> {
    let has = |words: &[&str]| words.iter().any(|x| line.contains(x));
    match () {
        () if has(&["wafer", "dies"]) => paid_for(Purpose::Wafers, w),
        () if has(&["memory"]) => paid_for(Purpose::Memory, w),
        () if has(&["interposer", "substrate", "bonding"]) => paid_for(Purpose::Packaging, w),
        () if has(&["test"]) => paid_for(Purpose::Test, w),
        () => Vec::new(),
    }
}

fn with_rows(setting: &Setting<'_>, items: Vec<&str>, node: Node) -> Node {
    Node { rows: rows(setting, &items), ..node }
}

fn rows(setting: &Setting<'_>, items: &[&str]) -> Vec<String> {
    let tables = &setting.inputs.tables;
    let show = |r: &Row| {
        let source = tables.sources().get(&r.source);
        let title = source.map_or(String::new(), |s| format!("{} ({})", s.title, s.kind.word()));
        let mark = if r.overridden { ", replaced by the study" } else { "" };
        format!("{} = {} {} [{} .. {}]{mark}: {title}", r.key(), show_number(r.value), r.unit, show_number(r.low), show_number(r.high))
    };
    tables.rows().iter().filter(|r| items.contains(&r.item.as_str())).map(show).collect()
}
