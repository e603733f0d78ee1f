//! LLMCompass hardware descriptions (ISCA 2024): one device of compute chiplets, an I/O die, memory channels and links.
//!
//! Carried over: counts, sizes, rates of the keys named below. Filled in by the rules of the template where the source is silent: tile
//! limits, scratchpad feed, power. Leaves out what a chip file has no place for; each such key is named in the notes.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::energy::full_load;
use crate::error::ChipError;
use crate::import::Import;
use crate::import::tree::{Node, mistake, read_tree};

/// Largest count or size that is believed.
const MOST: f64 = 1e15;
/// Widest tile of a core's arrays, bytes of a sum, of a 32-bit lane and fed per array row and cycle (as in the template).
const TILE_SIDE: u64 = 256;
const SUM_BYTES: u64 = 4;
const FEED_PER_ROW: u64 = 4;

struct Source<'a> {
    file: &'a str,
    root: &'a Node,
    used: BTreeSet<String>,
    errors: Vec<ChipError>,
}

impl Source<'_> {
    fn number(&mut self, path: &str) -> f64 {
        if self.root.at(path).is_none() {
            self.push(mistake(self.file, 1, format!("\"{path}\" is missing"), "add it, as LLMCompass documents it"));
        }
        self.optional(path).unwrap_or(1.0)
    }

    fn push(&mut self, e: ChipError) {
        if !self.errors.contains(&e) {
            self.errors.push(e);
        }
    }

    /// A positive number where the key is there.
    fn optional(&mut self, path: &str) -> Option<f64> {
        let node = self.root.at(path)?;
        self.used.insert(path.to_owned());
        let found = node.text().and_then(|t| t.parse::<f64>().ok()).filter(|x| x.is_finite() && *x > 0.0 && *x <= MOST);
        if found.is_none() {
            self.push(mistake(self.file, node.line, format!("\"{path}\" is not a number above 0"), "correct it"));
        }
        found
    }

    fn count(&mut self, path: &str) -> u64 {
        let x = self.number(path);
        if x.fract() != 0.0 {
            self.errors.push(mistake(
                self.file,
                self.root.at(path).map_or(1, |n| n.line),
                format!("\"{path}\" is not whole"),
                "correct it",
            ));
        }
        x as u64
    }

    fn word(&mut self, path: &str) -> Option<String> {
        let text = self.root.at(path)?.text()?.to_owned();
        self.used.insert(path.to_owned());
        Some(text.chars().filter(|c| !c.is_control() && !['"', '\\'].contains(c)).take(64).collect())
    }
}

/// Reads a description.
pub(super) fn read(file: &str, text: &str, constants: &ChipConstants) -> Result<Import, Vec<ChipError>> {
    let root = read_tree(file, text).map_err(|e| vec![e])?;
    if root.get("device").is_none() {
        return Err(vec![mistake(file, root.line, "there is no \"device\"", "give a hardware description of LLMCompass (configs/*.json)")]);
    }
    let mut s = Source { file, root: &root, used: BTreeSet::new(), errors: Vec::new() };
    let mut notes = Vec::new();
    let body = compute(&mut s, &mut notes) + &memory(&mut s, &mut notes) + &links(&mut s, &mut notes);
    let silicon = silicon(&mut s, &mut notes);
    let name = s.word("name").unwrap_or_else(|| "imported".to_owned());
    if !s.errors.is_empty() {
        return Err(s.errors);
    }
    let head = format!("name = \"{name}\"\nyear = 2024\nkind = \"assumption\"\nsource = \"llmcompass_die\"\n\n");
    notes.push("year: not in the source; 2024, the year of LLMCompass, stands in".to_owned());
    let whole = |power: &str| format!("{head}{body}{power}{silicon}");
    // Read once with a power that fits anything, to know what full load asks for.
    let made = format!("{file}, as imported");
    let first = Chip::from_toml(&made, &whole(&power_text(1e5, 0.0, 0.0, 0.0)))?;
    let load = full_load(&first, constants);
    let t = &constants.template;
    let cap = ((load.static_w + load.sustained_w()) * t.power_margin).ceil();
    let power = power_text(cap, (load.static_w * t.idle_share).floor(), t.coolant_c, (t.junction_c - t.coolant_c) / cap);
    notes.push(format!("power: not in the source; {cap} W is what full load asks for with the template's margin"));
    let mut unused = Vec::new();
    root.leaves("", &mut unused);
    for (path, line) in unused.into_iter().filter(|(p, _)| !s.used.contains(p)) {
        notes.push(format!("{path} (line {line}): not carried over, a chip file has no place for it"));
    }
    let toml = notes.iter().fold(String::new(), |t, n| t + "# " + n + "\n") + &whole(&power);
    let chip = Chip::from_toml(&made, &toml)?;
    Ok(Import { chip, toml, notes })
}

fn power_text(cap: f64, idle: f64, coolant: f64, resistance: f64) -> String {
    format!("[power]\ncap = \"{cap} W\"\nidle = \"{idle} W\"\ncoolant = \"{coolant} degC\"\nresistance = \"{resistance} K/W\"\n\n")
}

fn bytes_of(kind: &str) -> u64 {
    match kind {
        "fp64" => 8,
        "fp32" | "int32" | "tf32" => 4,
        "fp8" | "int8" => 1,
        _ => 2,
    }
}

fn compute(s: &mut Source<'_>, notes: &mut Vec<String>) -> String {
    let core = "device.compute_chiplet.core";
    let chiplets = s.count("device.compute_chiplet_count");
    let cores = chiplets.saturating_mul(s.count("device.compute_chiplet.core_count"));
    let clock = s.number("device.frequency_Hz");
    let arrays = s.count(&format!("{core}.sublane_count"));
    let rows = s.count(&format!("{core}.systolic_array.array_height"));
    let width = s.count(&format!("{core}.systolic_array.array_width"));
    let rate = s.number(&format!("{core}.systolic_array.mac_per_cycle"));
    let columns = (width as f64 * rate).round() as u64;
    let vector = s.count(&format!("{core}.vector_unit.vector_width"));
    let kind = s.word(&format!("{core}.vector_unit.data_type")).unwrap_or_default();
    let lanes = arrays.saturating_mul(vector).saturating_mul(bytes_of(&kind)) / SUM_BYTES;
    let array_kind = s.word(&format!("{core}.systolic_array.data_type")).unwrap_or_default();
    let sums = (s.number(&format!("{core}.SRAM_KB")) * 1024.0 * 0.5) as u64 / SUM_BYTES;
    let (mut r, mut c) = (16u64, 16u64);
    while r.max(c) * 2 <= TILE_SIDE && r * c * 2 <= sums {
        (r, c) = if r <= c { (r * 2, c) } else { (r, c * 2) };
    }
    notes.push("compute.rate: the source has one format; others are taken as not supported".to_owned());
    notes.push(format!("compute.tile_rows_max and tile_columns_max: not in the source; {r} x {c} sums of 32 bits fill half of SRAM_KB"));
    notes.push(
        "compute.shadow_weights and multicast: not in the source; the next tile loads in the shadow, no cores share a fetch".to_owned(),
    );
    let (fp8, int8) = if bytes_of(&array_kind) == 1 { (1, 1) } else { (0, 0) };
    let mut t = String::from("[compute]\n");
    let _ = write!(
        t,
        "cores = {cores}\nclock = \"{} MHz\"\narrays_per_core = {arrays}\narray_rows = {rows}\narray_columns = {columns}\nshadow_weights = true\n\
         lanes_per_core = {}\ntile_rows_max = {r}\ntile_columns_max = {c}\nmulticast = 1\n\n\
         [compute.rate]\nfp32 = 0\nfp8 = {fp8}\nint8 = {int8}\nfp4 = 0\n\n",
        clock / 1e6,
        lanes.max(1)
    );
    t
}

fn memory(s: &mut Source<'_>, notes: &mut Vec<String>) -> String {
    let local = s.number("device.compute_chiplet.core.SRAM_KB");
    let rows = s.number("device.compute_chiplet.core.systolic_array.array_height");
    let global = s.number("device.io.global_buffer_MB");
    let feed = s.number("device.io.global_buffer_bandwidth_per_cycle_byte");
    let channels = s.count("device.io.memory_channel_active_count");
    let pins = s.number("device.io.pin_count_per_channel");
    let pin = s.number("device.io.bandwidth_per_pin_bit");
    let capacity = s.number("device.memory.total_capacity_GB");
    let kind = s.word("device.memory_protocol").unwrap_or_else(|| "HBM2E".to_owned()).to_uppercase();
    notes.push(format!("memory.local_bytes_per_cycle: not in the source; {FEED_PER_ROW} bytes per array row, as in the template"));
    notes.push("memory.global_is_cache: not in the source; a cache".to_owned());
    format!(
        "[memory]\nlocal = \"{local} KiB\"\nlocal_bytes_per_cycle = {}\nglobal = \"{global} MiB\"\nglobal_bytes_per_cycle = {feed}\n\
         global_is_cache = true\nhbm_kind = \"{kind}\"\nhbm_stacks = {channels}\nhbm = \"{capacity} GB\"\nhbm_bandwidth = \"{} GB/s\"\n\n",
        rows * FEED_PER_ROW as f64,
        channels as f64 * pins * pin / 8.0 / 1e9
    )
}

fn links(s: &mut Source<'_>, notes: &mut Vec<String>) -> String {
    let one = s.optional("interconnect.link.bandwidth_per_direction_byte").unwrap_or(0.0);
    let count = s.optional("interconnect.link_count_per_device").unwrap_or(1.0);
    let domain = s.optional("device_count").unwrap_or(1.0) as u64;
    let switched = s.word("interconnect.topology").is_none_or(|t| t.eq_ignore_ascii_case("FC"));
    notes.push("links.scale_out: not in the source; none. links.scale_up_reduces: not in the source; false".to_owned());
    format!(
        "[links]\nscale_up = \"{} GB/s\"\nscale_up_domain = {domain}\nscale_up_switched = {switched}\nscale_up_reduces = false\nscale_out = \"0 GB/s\"\n\n",
        one * count / 1e9
    )
}

fn silicon(s: &mut Source<'_>, notes: &mut Vec<String>) -> String {
    let dies = s.count("device.compute_chiplet_count");
    let cores = s.count("device.compute_chiplet.core_count");
    let built = s.optional("device.compute_chiplet.physical_core_count").map_or(cores, |n| n as u64).max(cores).saturating_mul(dies);
    let word = s.word("device.compute_chiplet.process_node").unwrap_or_default();
    let node = match word.trim_end_matches("nm").trim() {
        "16" => "N16",
        "12" => "N12",
        "6" => "N6",
        "5" => "N5",
        "4" => "N4",
        "3" => "N3E",
        _ => "N7",
    };
    notes.push(format!("silicon.node: \"{word}\" is taken as {node}; die sizes, area and package are not in the source"));
    format!(
        "[silicon]\nnode = \"{node}\"\ndies = {dies}\ndie_width = \"0 mm\"\ndie_height = \"0 mm\"\narea = \"0 mm2\"\ncores_built = {built}\npackage = \"CoWoS-S\"\n"
    )
}
