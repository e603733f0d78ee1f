//! Reads a chip file (TOML; quantities are text with units). All mistakes of a file are reported together, each with its line.
//!
//! Known keys only; every value has a range. Leaves out: the sources themselves (a `source` is a key of `data/sources.toml`).

use toml::Spanned;
use toml::de::DeTable;

use crate::chip::{Chip, ChipKind, Compute, Links, MacRates, Memory, PowerEnvelope, Silicon};
use crate::error::ChipError;
use crate::section::{Errors, Section, read_toml};

/// Largest MAC rate relative to 16-bit floats.
const RATE_MOST: f64 = 1e2;
/// Coldest coolant.
const COLDEST: f64 = -100.0;
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
        read_toml(name, text, read_chip)
    }
}

fn read_chip(errors: &mut Errors<'_>, root: &Spanned<DeTable<'_>>) -> Option<Chip> {
    let mut top = Section::new("", root.span(), root.get_ref());
    let name = top.word(errors, "name");
    let aliases = top.aliases(errors);
    // A chip of the template has no year of first volume.
    let template = top.entries.get("kind").is_some_and(|(_, v)| v.get_ref().as_str() == Some("template"));
    let year = if template && !top.has("year") { Some(0) } else { top.count(errors, "year", 2000, 2100) };
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
    let clock_max = if s.has("clock_max") { s.quantity(errors, "clock_max", 1e7, 1e11) } else { clock };
    if let (Some(tetra_quantity::Hertz(rated)), Some(tetra_quantity::Hertz(most))) = (clock, clock_max)
        && most < rated
    {
        errors.push(s.span.clone(), format!("compute.clock_max {most} Hz is below compute.clock {rated} Hz"), "correct one of them");
    }
    let arrays_per_core = s.count(errors, "arrays_per_core", 1, 1 << 16);
    let array_rows = s.count(errors, "array_rows", 1, 1 << 16);
    let array_columns = s.count(errors, "array_columns", 1, 1 << 16);
    let shadow_weights = s.flag(errors, "shadow_weights");
    let lanes_per_core = s.count(errors, "lanes_per_core", 1, 1 << 24);
    let tile_rows_max = s.count(errors, "tile_rows_max", 16, 1 << 16);
    let tile_columns_max = s.count(errors, "tile_columns_max", 16, 1 << 16);
    let multicast = s.count(errors, "multicast", 1, 1024);
    let cluster = if s.has("cluster") { s.count(errors, "cluster", 1, 1024) } else { Some(1) };
    let groups = if s.has("groups") { s.count(errors, "groups", 1, 1 << 16) } else { Some(1) };
    let narrow_one_way = if s.has("narrow_one_way") { s.flag(errors, "narrow_one_way") } else { Some(false) };
    let rate = s.table(errors, "rate", "compute.rate").and_then(|s| read_rates(errors, s));
    s.finish(errors);
    Some(Compute {
        cores: cores?,
        clock: clock?,
        clock_max: clock_max?,
        arrays_per_core: arrays_per_core?,
        array_rows: array_rows?,
        array_columns: array_columns?,
        shadow_weights: shadow_weights?,
        rate: rate?,
        lanes_per_core: lanes_per_core?,
        tile_rows_max: tile_rows_max?,
        tile_columns_max: tile_columns_max?,
        multicast: multicast?,
        cluster: cluster?,
        groups: groups?,
        narrow_one_way: narrow_one_way?,
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
