//! One table of a TOML file: keys are taken one by one with their ranges; what is missing, wrong or left over is a mistake with its line.

use std::collections::BTreeMap;

use tetra_quantity::{Quantity, parse_quantity, toml_kind, toml_words};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ChipError;

/// Longest file that is read.
const LONGEST: usize = 1 << 20;
/// Longest name, alias or word.
pub const LONGEST_WORD: usize = 200;
/// Most mistakes reported.
const MOST_MISTAKES: usize = 100;
/// Most places of broken TOML reported: each may be a consequence of the one before.
const MOST_BROKEN: usize = 5;

/// Reads a text as TOML and hands its top table on; all mistakes of the text together.
pub(crate) fn read_toml<T>(
    name: &str,
    text: &str,
    read: impl FnOnce(&mut Errors<'_>, &Spanned<DeTable<'_>>) -> Option<T>,
) -> Result<T, Vec<ChipError>> {
    let mut errors = Errors { file: name, text, list: Vec::new() };
    if text.len() > LONGEST {
        errors.push(0..0, "the file is longer than 1 MiB".into(), "a chip file has about sixty lines");
        return Err(errors.list);
    }
    let (root, broken) = DeTable::parse_recoverable(text);
    for e in broken.iter().take(MOST_BROKEN) {
        errors.push(e.span().unwrap_or(0..0), toml_words(e), "correct the TOML here");
    }
    if !broken.is_empty() {
        return Err(errors.list);
    }
    match read(&mut errors, &root) {
        Some(found) if errors.list.is_empty() => Ok(found),
        _ => Err(errors.list),
    }
}

/// Reads a text as TOML and hands its top table on as a section; all mistakes of the text together.
///
/// # Errors
/// Every mistake: broken TOML, and what `read` finds.
pub fn read_sections<T>(
    name: &str,
    text: &str,
    read: impl for<'t, 'i> FnOnce(&mut Errors<'_>, Section<'t, 'i>) -> Option<T>,
) -> Result<T, Vec<ChipError>> {
    read_toml(name, text, |errors, root| read(errors, Section::new("", root.span(), root.get_ref())))
}

/// Mistakes of one file.
pub struct Errors<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What was found.
    pub list: Vec<ChipError>,
}

impl Errors<'_> {
    /// One more mistake.
    pub fn push(&mut self, span: std::ops::Range<usize>, cause: String, mend: &str) {
        // Placing a mistake reads the text up to it: a flood would take as long as it is useless.
        if self.list.len() >= MOST_MISTAKES {
            return;
        }
        let upto = self.text.as_bytes().get(..span.start.min(self.text.len())).unwrap_or_default();
        let line = 1 + upto.iter().filter(|&&b| b == b'\n').count();
        if self.list.last().is_some_and(|last| last.line == line && last.cause == cause) {
            return;
        }
        self.list.push(ChipError { file: self.file.to_owned(), line, span, cause, mend: mend.to_owned() });
    }
}

/// One table of the file and the keys of it that were taken.
pub struct Section<'t, 'i> {
    path: &'static str,
    /// Where the table lies in the text.
    pub span: std::ops::Range<usize>,
    /// Keys that were not taken yet, with their places.
    pub entries: BTreeMap<String, (std::ops::Range<usize>, &'t Spanned<DeValue<'i>>)>,
}

impl<'t, 'i> Section<'t, 'i> {
    /// A table; `path` is its name for messages.
    pub fn new(path: &'static str, span: std::ops::Range<usize>, table: &'t DeTable<'i>) -> Self {
        let entries = table.iter().map(|(k, v)| (k.get_ref().to_string(), (k.span(), v))).collect();
        Self { path, span, entries }
    }

    /// A key with the name of its table.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key that must be there.
    pub fn take(&mut self, errors: &mut Errors<'_>, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        let found = self.entries.remove(key).map(|(_, v)| v);
        if found.is_none() {
            errors.push(self.span.clone(), format!("key \"{}\" is missing", self.key(key)), "add it");
        }
        found
    }

    fn wrong(&self, errors: &mut Errors<'_>, key: &str, value: &Spanned<DeValue<'i>>, wanted: &str) {
        let cause = format!("\"{}\" is {}", self.key(key), toml_kind(value.get_ref()));
        errors.push(value.span(), cause, &format!("write {wanted}"));
    }

    /// A short text.
    pub fn word(&mut self, errors: &mut Errors<'_>, key: &str) -> Option<String> {
        let value = self.take(errors, key)?;
        match value.get_ref().as_str() {
            Some(s) if !s.trim().is_empty() && s.len() <= LONGEST_WORD => Some(s.trim().to_owned()),
            Some(_) => {
                let cause = format!("\"{}\" is empty or longer than {LONGEST_WORD} bytes", self.key(key));
                errors.push(value.span(), cause, "write a short text");
                None
            }
            None => {
                self.wrong(errors, key, value, "a text in quotes");
                None
            }
        }
    }

    /// True or false.
    pub fn flag(&mut self, errors: &mut Errors<'_>, key: &str) -> Option<bool> {
        let value = self.take(errors, key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(errors, key, value, "true or false");
        }
        found
    }

    /// A whole number within a range.
    pub fn count(&mut self, errors: &mut Errors<'_>, key: &str, low: u64, high: u64) -> Option<u64> {
        let value = self.take(errors, key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong(errors, key, value, "a whole number");
            return None;
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()).ok().and_then(|i| u64::try_from(i).ok()) {
            Some(n) if (low..=high).contains(&n) => Some(n),
            _ => {
                let cause = format!("\"{}\" is {}, not within {low} to {high}", self.key(key), integer.as_str());
                errors.push(value.span(), cause, "correct the number");
                None
            }
        }
    }

    /// A number within a range.
    pub fn number(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<f64> {
        let value = self.take(errors, key)?;
        let text = match value.get_ref() {
            DeValue::Float(x) => x.as_str().to_owned(),
            DeValue::Integer(x) if x.radix() == 10 => x.as_str().to_owned(),
            _ => {
                self.wrong(errors, key, value, "a number");
                return None;
            }
        };
        self.within(errors, key, value.span(), text.replace('_', "").parse().unwrap_or(f64::NAN), low, high)
    }

    /// A quantity with its unit, its range in base units.
    pub fn quantity<Q: Quantity>(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<Q> {
        let value = self.take(errors, key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(errors, key, value, &format!("a text with a unit, for example \"{}\"", Q::EXAMPLE));
            return None;
        };
        match parse_quantity::<Q>(text) {
            Ok(q) => self.within(errors, key, value.span(), q.value(), low, high).map(Q::from_value),
            Err(e) => {
                errors.push(value.span(), format!("\"{}\": {e}", self.key(key)), "correct the value");
                None
            }
        }
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The tables of a list: `[[key]]`.
    pub fn tables(&mut self, errors: &mut Errors<'_>, key: &str, path: &'static str) -> Vec<Section<'t, 'i>> {
        let Some(value) = self.take(errors, key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong(errors, key, value, &format!("tables: [[{path}]]"));
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in list.iter() {
            match item.get_ref().as_table() {
                Some(t) => out.push(Section::new(path, item.span(), t)),
                None => self.wrong(errors, key, item, &format!("a table: [[{path}]]")),
            }
        }
        out
    }

    /// 0, which says that there is none or that none is published, or a value from `low` to `high`.
    pub fn quantity_or_none<Q: Quantity>(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<Q> {
        let span = self.entries.get(key).map_or(0..0, |(_, v)| v.span());
        let found = self.quantity::<Q>(errors, key, 0.0, high)?;
        if found.value() == 0.0 { Some(found) } else { self.within(errors, key, span, found.value(), low, high).map(Q::from_value) }
    }

    /// 0, for a format that the arrays do not have, or a number from `low` to `high`.
    pub fn rate_or_none(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<f64> {
        let span = self.entries.get(key).map_or(0..0, |(_, v)| v.span());
        let found = self.number(errors, key, 0.0, high)?;
        if found == 0.0 { Some(found) } else { self.within(errors, key, span, found, low, high) }
    }

    fn within(&self, errors: &mut Errors<'_>, key: &str, span: std::ops::Range<usize>, x: f64, low: f64, high: f64) -> Option<f64> {
        if x.is_finite() && (low..=high).contains(&x) {
            return Some(x);
        }
        let cause = format!("\"{}\" is {x:e} in base units, not within {low:e} to {high:e}", self.key(key));
        errors.push(span, cause, "correct the value or its unit");
        None
    }

    /// A table below this one.
    pub fn table(&mut self, errors: &mut Errors<'_>, key: &str, path: &'static str) -> Option<Section<'t, 'i>> {
        let value = self.take(errors, key)?;
        match value.get_ref().as_table() {
            Some(t) => Some(Section::new(path, value.span(), t)),
            None => {
                self.wrong(errors, key, value, &format!("a table: [{path}]"));
                None
            }
        }
    }

    /// The list `aliases`, empty where it is not there.
    pub fn aliases(&mut self, errors: &mut Errors<'_>) -> Vec<String> {
        let Some((_, value)) = self.entries.remove("aliases") else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(errors, "aliases", value, "a list of texts");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(s) if !s.trim().is_empty() && s.len() <= LONGEST_WORD => out.push(s.trim().to_owned()),
                _ => errors.push(item.span(), "an alias is not a short text".into(), "write a text in quotes"),
            }
        }
        out
    }

    /// Every key that was not taken is a mistake.
    pub fn finish(self, errors: &mut Errors<'_>) {
        for (key, (span, _)) in &self.entries {
            let shown: String = key.chars().take(LONGEST_WORD).collect();
            errors.push(span.clone(), format!("key \"{}\" is not known", self.key(&shown)), "remove it or correct its name");
        }
    }
}
