//! A table of a TOML file under reading: keys are taken one by one, every mistake is noted with its place, keys left over are named.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use tetra_quantity::{Quantity, parse_quantity, toml_kind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problems;

/// A value of the file, or nothing.
pub(crate) type Found<'a, 't> = Option<&'a Spanned<DeValue<'t>>>;

/// Longest name that a file may use.
const LONGEST_NAME: usize = 200;

/// One table and which of its keys were asked for.
pub(crate) struct Section<'a, 't> {
    /// Dotted path, for messages.
    pub path: String,
    /// Place of the table in the file.
    pub place: Range<usize>,
    table: &'a DeTable<'t>,
    asked: BTreeSet<&'static str>,
}

impl<'a, 't> Section<'a, 't> {
    /// The table under `path`.
    pub fn new(path: impl Into<String>, place: Range<usize>, table: &'a DeTable<'t>) -> Self {
        Self { path: path.into(), place, table, asked: BTreeSet::new() }
    }

    /// Keys with their places and values in the order of the file.
    pub fn entries(&self) -> Vec<(&'a str, Range<usize>, &'a Spanned<DeValue<'t>>)> {
        let mut all: Vec<_> = self.table.iter().map(|(k, v)| (k.get_ref().as_ref(), k.span(), v)).collect();
        all.sort_by_key(|(_, place, _)| place.start);
        all
    }

    /// The value of a key, if it is there.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.asked.insert(key);
        self.table.iter().find(|(k, _)| k.get_ref().as_ref() == key).map(|(_, v)| v)
    }

    /// Whether a key is there.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, key: &'static str, example: &str, problems: &mut Problems) -> Option<&'a Spanned<DeValue<'t>>> {
        let value = self.get(key);
        if value.is_none() {
            let (what, mend) = match example.strip_prefix('[').and_then(|e| e.strip_suffix(']')) {
                Some(head) if !head.contains('"') => (format!("the study has no [{head}]"), format!("add a table [{head}]")),
                _ => (format!("[{}] has no `{key}`", self.path), format!("add a line `{key} = {example}`")),
            };
            problems.add(self.place.clone(), what, mend);
        }
        value
    }

    /// A text.
    pub fn text(&mut self, key: &'static str, example: &str, problems: &mut Problems) -> Option<(String, Range<usize>)> {
        let value = self.need(key, example, problems)?;
        Some((text_of(key, value, example, problems)?.to_owned(), value.span()))
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>, problems: &mut Problems) -> Option<u64> {
        let example = range.start().to_string();
        let value = self.need(key, &example, problems)?;
        let parsed = match value.get_ref() {
            DeValue::Integer(i) => i128::from_str_radix(i.as_str(), i.radix()).ok(),
            DeValue::Float(_) => None,
            other => {
                wrong_type(key, value.span(), other, "a whole number", &example, problems);
                return None;
            }
        };
        let found = parsed.and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n));
        if found.is_none() {
            let (low, high) = (range.start(), range.end());
            problems.add(
                value.span(),
                format!("`{key}` is not a whole number from {low} to {high}"),
                format!("write a whole number from {low} to {high}"),
            );
        }
        found
    }

    /// A plain number within `range`.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<f64>, problems: &mut Problems) -> Option<f64> {
        let value = self.need(key, &range.start().to_string(), problems)?;
        number_of(key, value, range, problems)
    }

    /// A quantity written as text with its unit, within `range` of its base unit.
    pub fn quantity<Q: Quantity>(&mut self, key: &'static str, range: RangeInclusive<f64>, problems: &mut Problems) -> Option<Q> {
        let value = self.need(key, &format!("\"{}\"", Q::EXAMPLE), problems)?;
        quantity_of(key, value, range, problems)
    }

    /// A list of texts without repeats; may be empty.
    pub fn texts(&mut self, key: &'static str, example: &str, problems: &mut Problems) -> Option<Vec<(String, Range<usize>)>> {
        let value = self.need(key, example, problems)?;
        let DeValue::Array(items) = value.get_ref() else {
            wrong_type(key, value.span(), value.get_ref(), "a list of texts", example, problems);
            return None;
        };
        let mut out: Vec<(String, Range<usize>)> = Vec::new();
        for item in items.iter() {
            let Some(text) = text_of(key, item, example, problems) else { continue };
            if out.iter().any(|(t, _)| t == text) {
                problems.add(item.span(), format!("`{key}` names \"{text}\" twice"), "remove one of the two");
                continue;
            }
            out.push((text.to_owned(), item.span()));
        }
        Some(out)
    }

    /// Names every key that nothing asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, place, _) in self.entries() {
            if !self.asked.contains(key) {
                let known: Vec<&str> = self.asked.iter().copied().collect();
                let key: String = key.chars().take(LONGEST_NAME).collect();
                problems.add(place, format!("[{}] has no key `{key}`", self.path), format!("keys are {}", known.join(", ")));
            }
        }
    }
}

/// A text that is neither empty nor monstrous.
pub(crate) fn text_of<'a>(key: &str, value: &'a Spanned<DeValue<'_>>, example: &str, problems: &mut Problems) -> Option<&'a str> {
    match value.get_ref() {
        DeValue::String(text) if text.trim().is_empty() || text.len() > LONGEST_NAME => {
            problems.add(
                value.span(),
                format!("`{key}` is empty or longer than {LONGEST_NAME} bytes"),
                format!("write for example {example}"),
            );
            None
        }
        DeValue::String(text) => Some(text),
        other => {
            wrong_type(key, value.span(), other, "a text", example, problems);
            None
        }
    }
}

/// A plain number within `range`.
pub(crate) fn number_of(key: &str, value: &Spanned<DeValue<'_>>, range: RangeInclusive<f64>, problems: &mut Problems) -> Option<f64> {
    let parsed = match value.get_ref() {
        DeValue::Integer(i) => i128::from_str_radix(i.as_str(), i.radix()).ok().map(|n| n as f64),
        DeValue::Float(f) => f.as_str().parse::<f64>().ok(),
        other => {
            wrong_type(key, value.span(), other, "a number", &range.start().to_string(), problems);
            return None;
        }
    };
    let found = parsed.filter(|n| range.contains(n));
    if found.is_none() {
        let shown = |x: f64| if x.abs() < 1e15 { x.to_string() } else { format!("{x:e}") };
        let limits = format!("from {} to {}", shown(*range.start()), shown(*range.end()));
        problems.add(value.span(), format!("`{key}` is not a number {limits}"), format!("write a number {limits}"));
    }
    found
}

/// A quantity written as text with its unit, within `range` of its base unit.
pub(crate) fn quantity_of<Q: Quantity>(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    range: RangeInclusive<f64>,
    problems: &mut Problems,
) -> Option<Q> {
    let DeValue::String(text) = value.get_ref() else {
        wrong_type(
            key,
            value.span(),
            value.get_ref(),
            &format!("{} with its unit, as a text", Q::KIND),
            &format!("\"{}\"", Q::EXAMPLE),
            problems,
        );
        return None;
    };
    match parse_quantity::<Q>(text) {
        Ok(q) if range.contains(&q.value()) => Some(q),
        Ok(_) => {
            let (low, high) = (tetra_quantity::show_scaled::<Q>(*range.start()), tetra_quantity::show_scaled::<Q>(*range.end()));
            problems.add(value.span(), format!("`{key}` is outside {low} to {high}"), format!("write {} in that range", Q::KIND));
            None
        }
        Err(e) => {
            problems.add(value.span(), format!("`{key}`: {e}"), format!("write {} such as \"{}\"", Q::KIND, Q::EXAMPLE));
            None
        }
    }
}

/// Notes that a value has the wrong type.
pub(crate) fn wrong_type(key: &str, place: Range<usize>, found: &DeValue<'_>, wanted: &str, example: &str, problems: &mut Problems) {
    let kind = toml_kind(found);
    problems.add(place, format!("`{key}` is {kind} where {wanted} is needed"), format!("write for example `{key} = {example}`"));
}

/// A value that must be a table.
pub(crate) fn table_of<'a, 't>(path: &str, value: Found<'a, 't>, problems: &mut Problems) -> Option<Section<'a, 't>> {
    let value = value?;
    match value.get_ref() {
        DeValue::Table(table) => Some(Section::new(path, value.span(), table)),
        other => {
            wrong_type(path, value.span(), other, "a table", "{ … }", problems);
            None
        }
    }
}
