//! Services and their demand by month.
//!
//! Demand is given at a few months and grows exponentially between them: `d(m) = d_a · (d_b / d_a)^((m - a) / (b - a))`; before the first
//! and after the last month it is flat. A service may instead be a share of another one. Leaves out seasons and days.

use std::collections::BTreeMap;
use std::ops::Range;

use tetra_quantity::{Seconds, TokensPerSecond};
use tetra_workload::Precision;

use crate::problem::Problems;
use crate::section::{Section, quantity_of, table_of};
use crate::study::Service;

/// Most tokens that a prompt, an answer or a sequence may have.
pub(crate) const MOST_TOKENS: u64 = 1 << 24;
/// Largest demand, tokens per second.
const LARGEST_DEMAND: f64 = 1e15;
/// Longest limit of a service, seconds.
pub(crate) const LONGEST_LIMIT: f64 = 1e6;

/// Where a service's demand comes from.
enum Origin {
    /// Months and rates.
    Points(BTreeMap<u32, f64>),
    /// A share of another service.
    Share(f64, String),
}

struct Draft {
    service: Service,
    origin: Origin,
    place: Range<usize>,
}

/// Reads all services and resolves their shares.
pub(crate) fn read_services(sections: Vec<Section<'_, '_>>, months: u32, problems: &mut Problems) -> Vec<Service> {
    let all: Vec<String> = sections.iter().map(|s| s.path.trim_start_matches("service.").to_owned()).collect();
    let mut drafts: Vec<Draft> = sections.into_iter().filter_map(|s| read_service(s, months, problems)).collect();
    let mut demands: Vec<Option<Vec<f64>>> = Vec::new();
    for i in 0..drafts.len() {
        demands.push(resolve(i, &drafts, &all, months, problems));
    }
    for (draft, demand) in drafts.iter_mut().zip(demands) {
        draft.service.demand = demand.unwrap_or_default().into_iter().map(TokensPerSecond).collect();
    }
    drafts.into_iter().map(|d| d.service).collect()
}

fn resolve(start: usize, drafts: &[Draft], all: &[String], months: u32, problems: &mut Problems) -> Option<Vec<f64>> {
    let (mut i, mut scale) = (start, 1.0);
    for _ in 0..=drafts.len() {
        match &drafts[i].origin {
            Origin::Points(points) => return Some(between(points, months).into_iter().map(|d| d * scale).collect()),
            Origin::Share(share, of) => {
                scale *= share;
                let Some(next) = drafts.iter().position(|d| d.service.name == *of) else {
                    // A broken service has its own mistakes: its shares are not blamed again.
                    if i == start && !all.contains(of) {
                        let known = all.join(", ");
                        problems.add(
                            drafts[i].place.clone(),
                            format!("`share_of` names \"{of}\", which is no service"),
                            format!("services are {known}"),
                        );
                    }
                    return None;
                };
                i = next;
            }
        }
    }
    let name = &drafts[start].service.name;
    problems.add(
        drafts[start].place.clone(),
        format!("service \"{name}\" is a share of itself, directly or through others"),
        "give one of them a `demand` by month",
    );
    None
}

/// Demand of each month from a few points, exponential between them.
pub fn between(points: &BTreeMap<u32, f64>, months: u32) -> Vec<f64> {
    (1..=months)
        .map(|m| {
            let before = points.range(..=m).next_back();
            let after = points.range(m..).next();
            match (before, after) {
                (Some((&a, &x)), Some((&b, &y))) if b > a => x * (y / x).powf(f64::from(m - a) / f64::from(b - a)),
                (Some((_, &x)), _) | (None, Some((_, &x))) => x,
                (None, None) => 0.0,
            }
        })
        .collect()
}

fn read_service(mut s: Section<'_, '_>, months: u32, problems: &mut Problems) -> Option<Draft> {
    let name = s.path.trim_start_matches("service.").to_owned();
    let place = s.place.clone();
    let model = s.text("model", "\"Meta-Llama-3.1-70B\"", problems);
    let precision = read_precision(&mut s, problems);
    let prompt = s.integer("prompt", 1..=MOST_TOKENS, problems);
    let output = s.integer("output", 1..=MOST_TOKENS, problems);
    let limits = 1e-6..=LONGEST_LIMIT;
    let ttft = if s.has("ttft") { s.quantity::<Seconds>("ttft", limits.clone(), problems) } else { None };
    let tpot = if s.has("tpot") { s.quantity::<Seconds>("tpot", limits, problems) } else { None };
    let origin = read_origin(&mut s, months, problems);
    let peak_to_mean = if s.has("peak_to_mean") { s.number("peak_to_mean", 1.0..=1000.0, problems) } else { Some(1.0) };
    let process_in = if s.has("process_in") { s.text("process_in", "\"EU\"", problems).map(|(text, _)| text) } else { None };
    let met_from = if s.has("met_from") { s.integer("met_from", 1..=u64::from(months), problems) } else { None };
    s.finish(problems);
    let service = Service {
        name,
        model: model?.0,
        precision: precision?,
        prompt: prompt?,
        output: output?,
        ttft,
        tpot,
        demand: Vec::new(),
        peak_to_mean: peak_to_mean?,
        process_in,
        met_from: met_from.map(|m| m as u32),
    };
    Some(Draft { service, origin: origin?, place })
}

fn read_origin(s: &mut Section<'_, '_>, months: u32, problems: &mut Problems) -> Option<Origin> {
    match (s.has("demand"), s.has("share_of")) {
        (true, true) => {
            problems.add(s.place.clone(), format!("[{}] has both `demand` and `share_of`", s.path), "keep one of the two");
            None
        }
        (false, false) => {
            let mend = "add `demand = { 1 = \"2 M tokens/s\" }` or `share = 0.1` and `share_of = \"NAME\"`";
            problems.add(s.place.clone(), format!("[{}] has no demand", s.path), mend);
            None
        }
        (false, true) => {
            let share = s.number("share", 1e-9..=1e9, problems);
            let (of, _) = s.text("share_of", "\"chat\"", problems)?;
            Some(Origin::Share(share?, of))
        }
        (true, false) => read_points(s, months, problems).map(Origin::Points),
    }
}

fn read_points(s: &mut Section<'_, '_>, months: u32, problems: &mut Problems) -> Option<BTreeMap<u32, f64>> {
    let points = table_of("demand", s.get("demand"), problems)?;
    let mut out = BTreeMap::new();
    for (key, place, value) in points.entries() {
        let month = key.parse::<u32>().ok().filter(|m| (1..=months).contains(m));
        let rate = quantity_of::<TokensPerSecond>("demand", value, 1e-6..=LARGEST_DEMAND, problems);
        match (month, rate) {
            (Some(m), Some(r)) if out.insert(m, r.value()).is_some() => {
                problems.add(place, format!("`demand` names month {m} twice"), "keep one of the two");
            }
            (None, _) => problems.add(place, format!("`demand` has no month `{key}`"), format!("months are 1 to {months}")),
            _ => {}
        }
    }
    if out.is_empty() {
        problems.add(points.place.clone(), "`demand` has no valid month", "write for example `demand = { 1 = \"2 M tokens/s\" }`");
        return None;
    }
    Some(out)
}

/// Reads the key `precision`.
pub(crate) fn read_precision(s: &mut Section<'_, '_>, problems: &mut Problems) -> Option<Precision> {
    let (word, place) = s.text("precision", "\"fp8\"", problems)?;
    let found = word.parse::<Precision>().ok();
    if found.is_none() {
        problems.add(place, format!("precision \"{word}\" is not known"), "known are bf16, fp16, fp8, mxfp8, int8, mxfp4, nvfp4, int4");
    }
    found
}
