//! Typed, bounded access to the keys of one object of a config file. Every key must be asked for or declared to have no cost; what is left over
//! is an error that names it. All mistakes are collected; a broken value reads as its smallest legal one so that reading goes on.

use super::json::{Kind, Value};
use crate::error::ConfigError;
use std::collections::BTreeSet;

/// Most layers.
pub(crate) const LAYERS: u64 = 10_000;
/// Largest width, vocabulary, context.
pub(crate) const WIDTH: u64 = 1 << 24;
/// Most heads or experts, largest head.
pub(crate) const HEADS: u64 = 1 << 16;

/// Most unknown keys that are shown one by one.
const SHOWN: usize = 40;

/// One object of a config file.
pub(crate) struct Reader<'a> {
    file: &'a str,
    path: String,
    line: usize,
    map: &'a [(String, Value)],
    known: BTreeSet<&'static str>,
    pub(crate) errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str, path: &str, line: usize, map: &'a [(String, Value)]) -> Self {
        Self { file, path: path.to_string(), line, map, known: super::FREE.iter().copied().collect(), errors: Vec::new() }
    }

    /// The value of a key, null counting as absent; marks the key as known.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.map.iter().find(|(k, v)| k == key && v.kind != Kind::Null).map(|(_, v)| v)
    }

    /// Whether the key stands there, even as null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.iter().any(|(k, _)| k == key)
    }

    /// Records a mistake.
    pub(crate) fn wrong(&mut self, key: &str, line: usize, cause: impl Into<String>, mend: impl Into<String>) {
        let key = format!("{}{key}", self.path);
        self.errors.push(ConfigError { file: self.file.to_string(), line, key, cause: cause.into(), mend: mend.into() });
    }

    /// Whether nothing is wrong so far, so that keys may be checked against each other.
    pub(crate) fn sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// A required whole number from 1 to `most`.
    pub(crate) fn whole(&mut self, key: &'static str, most: u64) -> u64 {
        match self.value(key) {
            Some(v) => self.bounded(key, v, 1, most),
            None => {
                self.wrong(key, self.line, "is missing", format!("add it: a whole number from 1 to {most}"));
                1
            }
        }
    }

    /// A whole number from 1 to `most`, or a default when absent.
    pub(crate) fn whole_or(&mut self, key: &'static str, most: u64, default: u64) -> u64 {
        self.value(key).map_or(default, |v| self.bounded(key, v, 1, most))
    }

    /// A whole number from 0 to `most`, 0 when absent.
    pub(crate) fn count(&mut self, key: &'static str, most: u64) -> u64 {
        self.value(key).map_or(0, |v| self.bounded(key, v, 0, most))
    }

    /// The first of several spellings of a required whole number.
    pub(crate) fn whole_of(&mut self, keys: &[&'static str], most: u64) -> u64 {
        self.known.extend(keys);
        match keys.iter().find(|k| self.map.iter().any(|(key, v)| key == *k && v.kind != Kind::Null)) {
            Some(key) => self.whole(key, most),
            None => self.whole(keys[0], most),
        }
    }

    pub(crate) fn bounded(&mut self, key: &str, value: &Value, least: u64, most: u64) -> u64 {
        let Kind::Number(x) = value.kind else {
            self.wrong(key, value.line, format!("is {}", value.kind.name()), format!("write a whole number from {least} to {most}"));
            return least;
        };
        if x.fract() != 0.0 || x < least as f64 || x > most as f64 {
            self.wrong(key, value.line, format!("is {}", shown(x)), format!("write a whole number from {least} to {most}"));
            return least;
        }
        x as u64
    }

    /// true or false, or a default when absent.
    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value { kind: Kind::Bool(b), .. }) => *b,
            Some(v) => {
                self.wrong(key, v.line, format!("is {}", v.kind.name()), "write true or false");
                default
            }
        }
    }

    /// A string, when there.
    pub(crate) fn word(&mut self, key: &'static str) -> Option<&'a str> {
        match self.value(key) {
            None => None,
            Some(Value { kind: Kind::Text(t), .. }) => Some(t),
            Some(v) => {
                self.wrong(key, v.line, format!("is {}", v.kind.name()), "write a string");
                None
            }
        }
    }

    /// A string that must be one of the supported ones when there.
    pub(crate) fn one_of(&mut self, key: &'static str, supported: &[&str]) {
        let line = self.value(key).map_or(self.line, |v| v.line);
        if let Some(word) = self.word(key).filter(|w| !supported.contains(w)) {
            let word: String = word.chars().take(64).collect();
            self.wrong(key, line, format!("is \"{word}\", which would change the cost"), format!("supported: {}", supported.join(", ")));
        }
    }

    /// A flag that must have one value when there, because the other would change the cost.
    pub(crate) fn must_be(&mut self, key: &'static str, wanted: bool) {
        let line = self.value(key).map_or(self.line, |v| v.line);
        if self.flag(key, wanted) != wanted {
            self.wrong(key, line, format!("is {}, which would change the cost", !wanted), format!("only {wanted} is supported"));
        }
    }

    /// A list, when there.
    pub(crate) fn list(&mut self, key: &'static str) -> Option<&'a [Value]> {
        match self.value(key) {
            None => None,
            Some(Value { kind: Kind::List(items), .. }) => Some(items),
            Some(v) => {
                self.wrong(key, v.line, format!("is {}", v.kind.name()), "write a list");
                None
            }
        }
    }

    /// A nested object, when there.
    pub(crate) fn object(&mut self, key: &'static str) -> Option<Reader<'a>> {
        match self.value(key) {
            None => None,
            Some(Value { kind: Kind::Map(map), line }) => Some(Reader::new(self.file, &format!("{}{key}.", self.path), *line, map)),
            Some(v) => {
                self.wrong(key, v.line, format!("is {}", v.kind.name()), "write an object");
                None
            }
        }
    }

    /// Keys that do not change cost.
    pub(crate) fn free(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Takes over the mistakes of a nested object.
    pub(crate) fn absorb(&mut self, inner: Reader<'_>) {
        self.errors.extend(inner.finish());
    }

    /// All mistakes; every key that was not asked for is one.
    pub(crate) fn finish(mut self) -> Vec<ConfigError> {
        self.must_be("is_encoder_decoder", false);
        self.must_be("add_cross_attention", false);
        if let Some(Value { kind: Kind::Map(heads), line }) = self.value("pruned_heads").filter(|v| v.kind != Kind::Map(Vec::new())) {
            self.wrong("pruned_heads", *line, format!("names {} layers", heads.len()), "pruned heads are not supported");
        }
        let map = self.map;
        let unknown: Vec<_> = map.iter().filter(|(key, _)| !self.known.contains(key.as_str())).collect();
        for (key, value) in unknown.iter().take(SHOWN) {
            let near = self.known.iter().find(|k| near(k, key));
            let name: String = key.chars().take(64).collect();
            let keys: Vec<&str> = self.known.iter().copied().filter(|k| !super::FREE.contains(k)).collect();
            let mend = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("remove it if it does not change what is computed; keys that matter here: {}", keys.join(", ")),
            };
            self.wrong(&name, value.line, "is not known for this family", mend);
        }
        if unknown.len() > SHOWN {
            self.wrong("", self.line, format!("and {} more unknown keys", unknown.len() - SHOWN), "give a model's config.json");
        }
        self.errors
    }
}

/// A number as a person would write it.
fn shown(x: f64) -> String {
    if x.abs() < 1e15 { format!("{x}") } else { format!("{x:e}") }
}

/// Whether two keys differ by case, punctuation or one letter.
fn near(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (a, b) = (plain(a), plain(b));
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    start + end + 1 >= a.len().max(b.len())
}
