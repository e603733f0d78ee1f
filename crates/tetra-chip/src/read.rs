//! Reads a chip file (TOML; quantities are text with units). All mistakes of a file are reported together, each with its line.
//!
//! Known keys only; every value has a range. Leaves out: the sources themselves (a `source` is a key of `data/sources.toml`).

use std::collections::BTreeMap;

use tetra_quantity::{Quantity, parse_quantity, toml_words};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::chip::{Chip, ChipKind, Compute, Links, MacRates, Memory, PowerEnvelope, Silicon};
use crate::error::ChipError;

/// Longest chip file that is read.
const LONGEST: usize = 1 << 20;
/// Largest MAC rate relative to 16-bit floats.
const RATE_MOST: f64 = 1e2;
/// Coldest coolant.
const COLDEST: f64 = -100.0;
/// Longest name, alias or word.
const LONGEST_WORD: usize = 200;
/// Most mistakes reported.
const MOST_MISTAKES: usize = 100;
/// Most places of broken TOML reported: each may be a consequence of the one before.
const MOST_BROKEN: usize = 5;
/// Slowest rate of a format, relative to 16 bits.
const SLOWEST_RATE: f64 = 1e-3;
/// Slowest link, bytes per second.
const SLOWEST_LINK: f64 = 1e6;
/// Shortest edge of a die, metres.
const SHORTEST_EDGE: f64 = 1e-4;
/// Smallest logic area, square metres.
const SMALLEST_AREA: f64 = 1e-8;

impl Chip {
    /// Reads a chip file; `name` is its file name for messages.
    ///
    /// # Errors
    /// Every mistake of the text: broken TOML, unknown, missing or doubled keys, wrong types, units and ranges.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, Vec<ChipError>> {
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
        let chip = read_chip(&mut errors, &root);
        match chip {
            Some(chip) if errors.list.is_empty() => Ok(chip),
            _ => Err(errors.list),
        }
    }
}

struct Errors<'a> {
    file: &'a str,
    text: &'a str,
    list: Vec<ChipError>,
}

impl Errors<'_> {
    fn push(&mut self, span: std::ops::Range<usize>, cause: String, mend: &str) {
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
struct Section<'t, 'i> {
    path: &'static str,
    span: std::ops::Range<usize>,
    entries: BTreeMap<String, (std::ops::Range<usize>, &'t Spanned<DeValue<'i>>)>,
}

impl<'t, 'i> Section<'t, 'i> {
    fn new(path: &'static str, span: std::ops::Range<usize>, table: &'t DeTable<'i>) -> Self {
        let entries = table.iter().map(|(k, v)| (k.get_ref().to_string(), (k.span(), v))).collect();
        Self { path, span, entries }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, errors: &mut Errors<'_>, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        let found = self.entries.remove(key).map(|(_, v)| v);
        if found.is_none() {
            errors.push(self.span.clone(), format!("key \"{}\" is missing", self.key(key)), "add it");
        }
        found
    }

    fn wrong(&self, errors: &mut Errors<'_>, key: &str, value: &Spanned<DeValue<'i>>, wanted: &str) {
        let cause = format!("\"{}\" is {}", self.key(key), kind_of(value.get_ref()));
        errors.push(value.span(), cause, &format!("write {wanted}"));
    }

    fn word(&mut self, errors: &mut Errors<'_>, key: &str) -> Option<String> {
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

    fn flag(&mut self, errors: &mut Errors<'_>, key: &str) -> Option<bool> {
        let value = self.take(errors, key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(errors, key, value, "true or false");
        }
        found
    }

    fn count(&mut self, errors: &mut Errors<'_>, key: &str, low: u64, high: u64) -> Option<u64> {
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

    fn number(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<f64> {
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

    fn quantity<Q: Quantity>(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<Q> {
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

    /// 0, which says that there is none or that none is published, or a value from `low` to `high`.
    fn quantity_or_none<Q: Quantity>(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<Q> {
        let span = self.entries.get(key).map_or(0..0, |(_, v)| v.span());
        let found = self.quantity::<Q>(errors, key, 0.0, high)?;
        if found.value() == 0.0 { Some(found) } else { self.within(errors, key, span, found.value(), low, high).map(Q::from_value) }
    }

    /// 0, for a format that the arrays do not have, or a number from `low` to `high`.
    fn rate_or_none(&mut self, errors: &mut Errors<'_>, key: &str, low: f64, high: f64) -> Option<f64> {
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

    fn table(&mut self, errors: &mut Errors<'_>, key: &str, path: &'static str) -> Option<Section<'t, 'i>> {
        let value = self.take(errors, key)?;
        match value.get_ref().as_table() {
            Some(t) => Some(Section::new(path, value.span(), t)),
            None => {
                self.wrong(errors, key, value, &format!("a table: [{path}]"));
                None
            }
        }
    }

    fn aliases(&mut self, errors: &mut Errors<'_>) -> Vec<String> {
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

    fn finish(self, errors: &mut Errors<'_>) {
        for (key, (span, _)) in &self.entries {
            let shown: String = key.chars().take(LONGEST_WORD).collect();
            errors.push(span.clone(), format!("key \"{}\" is not known", self.key(&shown)), "remove it or correct its name");
        }
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn read_chip(errors: &mut Errors<'_>, root: &Spanned<DeTable<'_>>) -> Option<Chip> {
    let mut top = Section::new("", root.span(), root.get_ref());
    let name = top.word(errors, "name");
    let aliases = top.aliases(errors);
    let year = top.count(errors, "year", 2000, 2100);
    let kind = read_kind(errors, &mut top);
    let source = top.word(errors, "source");
    let compute = top.table(errors, "compute", "compute").and_then(|s| read_compute(errors, s));
    let memory = top.table(errors, "memory", "memory").and_then(|s| read_memory(errors, s));
    let links = top.table(errors, "links", "links").and_then(|s| read_links(errors, s));
    let power = top.table(errors, "power", "power").and_then(|s| read_power(errors, s));
    let silicon = top.table(errors, "silicon", "silicon").and_then(|s| read_silicon(errors, s));
    let cores_built = silicon.as_ref().map(|s| (s.cores_built, compute.as_ref().map(|c| c.cores)));
    if let Some((built, Some(cores))) = cores_built
        && built < cores
    {
        errors.push(
            top.span.clone(),
            format!("silicon.cores_built is {built}, compute.cores {cores}"),
            "build at least the cores that must work",
        );
    }
    top.finish(errors);
    Some(Chip {
        name: name?,
        aliases,
        year: u16::try_from(year?).ok()?,
        source: source?,
        kind: kind?,
        compute: compute?,
        memory: memory?,
        links: links?,
        power: power?,
        silicon: silicon?,
    })
}

fn read_kind(errors: &mut Errors<'_>, top: &mut Section<'_, '_>) -> Option<ChipKind> {
    let span = top.entries.get("kind").map_or(0..0, |(_, v)| v.span());
    match top.word(errors, "kind")?.as_str() {
        "datasheet" => Some(ChipKind::Datasheet),
        "assumption" => Some(ChipKind::Assumption),
        "template" => Some(ChipKind::Template),
        _ => {
            errors.push(span, "\"kind\" is not one of the known kinds".into(), "write datasheet, assumption or template");
            None
        }
    }
}

fn read_compute(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<Compute> {
    let cores = s.count(errors, "cores", 1, 1 << 20);
    let clock = s.quantity(errors, "clock", 1e7, 1e11);
    let arrays_per_core = s.count(errors, "arrays_per_core", 1, 1 << 16);
    let array_rows = s.count(errors, "array_rows", 1, 1 << 16);
    let array_columns = s.count(errors, "array_columns", 1, 1 << 16);
    let shadow_weights = s.flag(errors, "shadow_weights");
    let lanes_per_core = s.count(errors, "lanes_per_core", 1, 1 << 24);
    let tile_rows_max = s.count(errors, "tile_rows_max", 16, 1 << 16);
    let tile_columns_max = s.count(errors, "tile_columns_max", 16, 1 << 16);
    let multicast = s.count(errors, "multicast", 1, 1024);
    let rate = s.table(errors, "rate", "compute.rate").and_then(|s| read_rates(errors, s));
    s.finish(errors);
    Some(Compute {
        cores: cores?,
        clock: clock?,
        arrays_per_core: arrays_per_core?,
        array_rows: array_rows?,
        array_columns: array_columns?,
        shadow_weights: shadow_weights?,
        rate: rate?,
        lanes_per_core: lanes_per_core?,
        tile_rows_max: tile_rows_max?,
        tile_columns_max: tile_columns_max?,
        multicast: multicast?,
    })
}

fn read_rates(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<MacRates> {
    let fp32 = s.rate_or_none(errors, "fp32", SLOWEST_RATE, RATE_MOST);
    let fp8 = s.rate_or_none(errors, "fp8", SLOWEST_RATE, RATE_MOST);
    let int8 = s.rate_or_none(errors, "int8", SLOWEST_RATE, RATE_MOST);
    let fp4 = s.rate_or_none(errors, "fp4", SLOWEST_RATE, RATE_MOST);
    s.finish(errors);
    Some(MacRates { fp32: fp32?, fp8: fp8?, int8: int8?, fp4: fp4? })
}

fn read_memory(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<Memory> {
    let local = s.quantity(errors, "local", 1e3, 1e12);
    let local_bytes_per_cycle = s.number(errors, "local_bytes_per_cycle", 1.0, 1e9);
    let global = s.quantity(errors, "global", 1e3, 1e13);
    let global_bytes_per_cycle = s.number(errors, "global_bytes_per_cycle", 1.0, 1e9);
    let global_is_cache = s.flag(errors, "global_is_cache");
    let hbm_kind = s.word(errors, "hbm_kind");
    let hbm_stacks = s.count(errors, "hbm_stacks", 1, 1024);
    let hbm = s.quantity(errors, "hbm", 1e6, 1e15);
    let hbm_bandwidth = s.quantity(errors, "hbm_bandwidth", 1e8, 1e16);
    s.finish(errors);
    Some(Memory {
        local: local?,
        local_bytes_per_cycle: local_bytes_per_cycle?,
        global: global?,
        global_bytes_per_cycle: global_bytes_per_cycle?,
        global_is_cache: global_is_cache?,
        hbm_kind: hbm_kind?,
        hbm_stacks: hbm_stacks?,
        hbm: hbm?,
        hbm_bandwidth: hbm_bandwidth?,
    })
}

fn read_links(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<Links> {
    let scale_up = s.quantity_or_none(errors, "scale_up", SLOWEST_LINK, 1e15);
    let scale_up_domain = s.count(errors, "scale_up_domain", 1, 1 << 20);
    let scale_up_switched = s.flag(errors, "scale_up_switched");
    let scale_up_reduces = s.flag(errors, "scale_up_reduces");
    let scale_out = s.quantity_or_none(errors, "scale_out", SLOWEST_LINK, 1e15);
    s.finish(errors);
    Some(Links {
        scale_up: scale_up?,
        scale_up_domain: scale_up_domain?,
        scale_up_switched: scale_up_switched?,
        scale_up_reduces: scale_up_reduces?,
        scale_out: scale_out?,
    })
}

fn read_power(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<PowerEnvelope> {
    let cap = s.quantity(errors, "cap", 1.0, 1e6);
    let idle = s.quantity(errors, "idle", 0.0, 1e6);
    let coolant = s.quantity(errors, "coolant", COLDEST, 100.0);
    let resistance = s.quantity(errors, "resistance", 0.0, 10.0);
    if let (Some(tetra_quantity::Watts(cap)), Some(tetra_quantity::Watts(idle))) = (cap, idle)
        && idle >= cap
    {
        errors.push(s.span.clone(), format!("power.idle {idle} W is not below power.cap {cap} W"), "correct one of them");
    }
    s.finish(errors);
    Some(PowerEnvelope { cap: cap?, idle: idle?, coolant: coolant?, resistance: resistance? })
}

fn read_silicon(errors: &mut Errors<'_>, mut s: Section<'_, '_>) -> Option<Silicon> {
    let node = s.word(errors, "node");
    let dies = s.count(errors, "dies", 1, 1024);
    let die_width = s.quantity_or_none(errors, "die_width", SHORTEST_EDGE, 1.0);
    let die_height = s.quantity_or_none(errors, "die_height", SHORTEST_EDGE, 1.0);
    let area = s.quantity_or_none(errors, "area", SMALLEST_AREA, 1.0);
    let cores_built = s.count(errors, "cores_built", 1, 1 << 20);
    let package = s.word(errors, "package");
    s.finish(errors);
    Some(Silicon {
        node: node?,
        dies: dies?,
        die_width: die_width?,
        die_height: die_height?,
        area: area?,
        cores_built: cores_built?,
        package: package?,
    })
}
