//! Reads `study.toml`. Every mistake of the file is reported with its place, its cause and its mend; nothing is guessed and no key is ignored.

use tetra_quantity::{PerYear, Seconds, Tokens, Watts, toml_words};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::demand::{self, MOST_TOKENS};
use crate::problem::{Problems, StudyError};
use crate::rules;
use crate::section::{Found, Section, number_of, quantity_of, table_of, text_of, wrong_type};
use crate::study::{Frame, LONGEST_HORIZON, Month, Search, SiteChoice, Study, SupplyRules, Training};

/// No study needs a larger file.
const LARGEST_FILE: usize = 1 << 20;
/// Most places of broken TOML reported: each may be a consequence of the one before.
const MOST_BROKEN: usize = 5;
/// Largest value of any quantity that a study may ask for, in its base unit.
const LARGEST: f64 = 1e18;

/// Reads a study from its text.
///
/// # Errors
/// All mistakes of the file.
pub fn read_study(file: &str, text: &str) -> Result<Study, StudyError> {
    let mut problems = Problems::default();
    if text.len() > LARGEST_FILE {
        problems.add(
            0..0,
            format!("the file is larger than {LARGEST_FILE} bytes"),
            "a study has about 40 lines: check that this is the right file",
        );
        return Err(StudyError::new(file, "", problems.0));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for e in errors.into_iter().take(MOST_BROKEN) {
        problems.add(e.span().unwrap_or(0..0), format!("not valid TOML: {}", toml_words(&e)), "correct the line; see https://toml.io");
    }
    if !problems.0.is_empty() {
        return Err(StudyError::new(file, text, problems.0));
    }
    let study = read_root(root.get_ref(), &mut problems);
    match study {
        Some(study) if problems.0.is_empty() => Ok(study),
        _ => Err(StudyError::new(file, text, problems.0)),
    }
}

fn read_root(table: &DeTable<'_>, problems: &mut Problems) -> Option<Study> {
    let mut root = Section::new("study", 0..0, table);
    let frame = table_of("frame", root.need("frame", "[frame]", problems), problems).and_then(|s| read_frame(s, problems));
    let months = frame.map_or(LONGEST_HORIZON as u32, |f| f.months);
    let services = tables_of("service", root.need("service", "[service.NAME]", problems), problems);
    let services = demand::read_services(services, months, problems);
    let trainings = tables_of("training", root.get("training"), problems);
    let trainings = trainings.into_iter().filter_map(|s| read_training(s, months, problems)).collect();
    let sites = table_of("sites", root.need("sites", "[sites]", problems), problems);
    let sites = sites.map_or(Vec::new(), |s| read_sites(s, problems));
    let buy = table_of("compare", root.get("compare"), problems).map_or(Vec::new(), |s| read_compare(s, problems));
    let search = table_of("search", root.get("search"), problems);
    let search = search.map_or(Search { grid: "wide".into(), ..Search::default() }, |s| read_search(s, problems));
    let supply = table_of("supply", root.get("supply"), problems).map_or(SupplyRules::default(), |s| rules::read_supply(s, problems));
    let export = table_of("export", root.get("export"), problems).and_then(|s| rules::read_export(s, problems));
    let overrides = table_of("override", root.get("override"), problems).map_or(Vec::new(), |s| read_overrides(&s, problems));
    root.finish(problems);
    Some(Study { frame: frame?, services, trainings, sites, buy, search, supply, export, overrides })
}

fn read_frame(mut s: Section<'_, '_>, problems: &mut Problems) -> Option<Frame> {
    let start = s.text("start", "\"2027-01\"", problems).and_then(|(text, place)| {
        let month = read_month(&text);
        if month.is_none() {
            problems.add(place, format!("`start` \"{text}\" is not a month"), "write year and month, for example \"2027-01\"");
        }
        month
    });
    let months = s.integer("months", 1..=LONGEST_HORIZON, problems);
    let discount_rate = s.quantity::<PerYear>("discount_rate", 0.0..=1.0, problems);
    let currency_year = s.integer("currency_year", 2000..=2100, problems);
    let seed = if s.has("seed") { s.integer("seed", 0..=u64::MAX >> 1, problems) } else { Some(0) };
    s.finish(problems);
    Some(Frame { start: start?, months: months? as u32, discount_rate: discount_rate?, currency_year: currency_year? as u16, seed: seed? })
}

fn read_month(text: &str) -> Option<Month> {
    let (year, month) = text.split_once('-')?;
    let digits = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) {
        return None;
    }
    let (year, month) = (year.parse().ok()?, month.parse().ok()?);
    ((2000..=2100).contains(&year) && (1..=12).contains(&month)).then_some(Month { year, month })
}

fn read_training(mut s: Section<'_, '_>, months: u32, problems: &mut Problems) -> Option<Training> {
    let name = s.path.trim_start_matches("training.").to_owned();
    let model = s.text("model", "\"Meta-Llama-3.1-405B\"", problems);
    let precision = demand::read_precision(&mut s, problems);
    let sequence = s.integer("sequence", 1..=MOST_TOKENS, problems);
    let global_batch = s.integer("global_batch", 1..=MOST_TOKENS, problems);
    let tokens = s.quantity::<Tokens>("tokens", 1.0..=LARGEST, problems);
    let within = s.quantity::<Seconds>("within", 1.0..=100.0 * tetra_quantity::YEAR_S, problems);
    let runs_per_year = s.integer("runs_per_year", 1..=365, problems);
    let from_month = s.integer("from_month", 1..=u64::from(months), problems);
    let place = s.place.clone();
    s.finish(problems);
    let training = Training {
        name,
        model: model?.0,
        precision: precision?,
        sequence: sequence?,
        global_batch: global_batch?,
        tokens: tokens?,
        within: within?,
        runs_per_year: runs_per_year? as u32,
        from_month: from_month? as u32,
    };
    if training.starts(months).is_empty() {
        let cause = format!("no run from month {} can end within the {months} months of the study", training.from_month);
        problems.add(place, cause, "start earlier (`from_month`), ask for less time (`within`) or lengthen the study (`months`)");
    }
    Some(training)
}

fn read_sites(mut s: Section<'_, '_>, problems: &mut Problems) -> Vec<SiteChoice> {
    let names = s.texts("candidates", "[\"Frankfurt\"]", problems).unwrap_or_default();
    if names.is_empty() {
        problems.add(s.place.clone(), "no candidate site", "name at least one site in `candidates`");
    }
    let mut sites: Vec<SiteChoice> = names.into_iter().map(|(name, _)| SiteChoice { name, cap: None }).collect();
    if let Some(caps) = table_of("sites.cap", s.get("cap"), problems) {
        for (key, place, value) in caps.entries() {
            let cap = quantity_of::<Watts>(key, value, 1.0..=LARGEST, problems);
            match sites.iter_mut().find(|site| site.name == key) {
                Some(site) => site.cap = cap,
                None => problems.add(place, format!("`{key}` is not one of `candidates`"), "add it to `candidates` or remove its cap"),
            }
        }
    }
    s.finish(problems);
    sites
}

fn read_compare(mut s: Section<'_, '_>, problems: &mut Problems) -> Vec<String> {
    let buy = s.texts("buy", "[\"H100\"]", problems).unwrap_or_default();
    s.finish(problems);
    buy.into_iter().map(|(name, _)| name).collect()
}

fn read_search(mut s: Section<'_, '_>, problems: &mut Problems) -> Search {
    let grid = s.text("grid", "\"wide\"", problems).map_or("wide".to_owned(), |(t, _)| t);
    let mut search = Search { grid, axes: std::collections::BTreeMap::new() };
    for key in crate::grid::AXES {
        let Some(value) = s.get(key) else { continue };
        let DeValue::Array(items) = value.get_ref() else {
            wrong_type(key, value.span(), value.get_ref(), "a list", "[ … ]", problems);
            continue;
        };
        if items.is_empty() {
            problems.add(value.span(), format!("`{key}` is an empty list"), "name at least one value or remove the line");
        }
        let values = items.iter().filter_map(|item| axis_value(key, item, problems)).collect();
        search.axes.insert((*key).to_owned(), values);
    }
    s.finish(problems);
    search
}

fn axis_value(key: &str, item: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<String> {
    match item.get_ref() {
        DeValue::Integer(i) if i.as_str().parse::<u64>().is_ok_and(|n| n > 0) => Some(i.as_str().to_owned()),
        DeValue::Integer(_) => {
            problems.add(item.span(), format!("`{key}` holds a number that is not positive"), "write a positive whole number");
            None
        }
        _ => text_of(key, item, "\"…\"", problems).map(str::to_owned),
    }
}

fn read_overrides(s: &Section<'_, '_>, problems: &mut Problems) -> Vec<(String, f64)> {
    let limit = -LARGEST..=LARGEST;
    s.entries().into_iter().filter_map(|(key, _, value)| Some((key.to_owned(), number_of(key, value, limit.clone(), problems)?))).collect()
}

/// A table of named tables, in the order of the file.
fn tables_of<'a, 't>(path: &str, value: Found<'a, 't>, problems: &mut Problems) -> Vec<Section<'a, 't>> {
    let Some(all) = table_of(path, value, problems) else { return Vec::new() };
    let entries = all.entries();
    if entries.is_empty() {
        problems.add(all.place.clone(), format!("[{path}] is empty"), format!("add at least one table [{path}.NAME]"));
    }
    entries.into_iter().filter_map(|(name, _, value)| table_of(&format!("{path}.{name}"), Some(value), problems)).collect()
}
