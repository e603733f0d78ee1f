//! Timeloop architecture files, version 0.4: memories, fan-outs of containers and components, and the MAC as a machine of levels.
//!
//! Such files carry no energies (another tool of that family derives them): they are those of our tables. SRAM and register files follow
//! the law of energy over capacity, `e = e0·(bytes/s0)^slope`, SRAM never below a scratchpad's energy, register files never above it.
//! Bandwidths are words per cycle of one instance; a `spatial` says how often its node stands below the memory before it. Tiles are not
//! double-buffered and sums are as wide as words, as Timeloop assumes. What else a file says is named in the notes.

use std::fmt::Write;

use crate::constants::ChipConstants;
use crate::error::ChipError;
use crate::import::MachineImport;
use crate::import::expression::evaluate;
use crate::import::tree::{Node, mistake};
use crate::nest::Machine;

/// Bits of a byte, and of a word where a file gives no width.
const BYTE: f64 = 8.0;
/// Kibibyte in bytes.
const KIB: f64 = 1024.0;
/// Nanoseconds of a cycle where a file gives none.
const CYCLE_NS: f64 = 1.0;
/// Paths of a node that are carried over.
const CARRIED: [&str; 25] = [
    "name",
    "class",
    "spatial.meshX",
    "spatial.meshY",
    "constraints.dataspace.keep",
    "constraints.dataspace.bypass",
    "attributes.width",
    "attributes.depth",
    "attributes.entries",
    "attributes.sizeKB",
    "attributes.datawidth",
    "attributes.word-bits",
    "attributes.word_bits",
    "attributes.block-size",
    "attributes.block_size",
    "attributes.read_bandwidth",
    "attributes.write_bandwidth",
    "attributes.shared_bandwidth",
    "attributes.global_cycle_seconds",
    "attributes.technology",
    "version",
    "variables.version",
    "variables.global_cycle_seconds",
    "variables.technology",
    "architecture.version",
];

/// What a component is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dram,
    Sram,
    Registers,
    Mac,
}

struct Source<'a> {
    file: &'a str,
    constants: &'a ChipConstants,
    clock: f64,
    /// Energy of the node as a share of that of the table.
    scale: f64,
    levels: Vec<String>,
    compute: Option<String>,
    word_bits: Option<f64>,
    notes: Vec<String>,
    errors: Vec<ChipError>,
}

/// Reads an architecture from its tree.
pub(super) fn read(file: &str, root: &Node, constants: &ChipConstants) -> Result<MachineImport, Vec<ChipError>> {
    let nodes = root.at("architecture.nodes").map_or(&[][..], Node::items);
    let version = root.at("architecture.version").and_then(Node::text).unwrap_or_default();
    if nodes.is_empty() || !version.starts_with("0.4") {
        let cause = format!("an \"architecture\" of version 0.4 with a list of nodes is expected, its version is \"{}\"", plain(version));
        return Err(vec![mistake(file, root.line, cause, "give an architecture of Timeloop, version 0.4")]);
    }
    let (levels, notes, errors) = (Vec::new(), Vec::new(), Vec::new());
    let mut s = Source { file, constants, clock: 1.0, scale: 1.0, levels, compute: None, word_bits: None, notes, errors };
    s.system(root, nodes);
    for node in nodes {
        s.node(node);
    }
    let Some(compute) = s.compute.take() else {
        s.wrong(root.line, "no component is a MAC".into(), "add one of class intmac, the innermost");
        return Err(s.errors);
    };
    if !s.errors.is_empty() {
        return Err(s.errors);
    }
    let mut toml = s.notes.iter().fold(String::new(), |t, n| t + "# " + n + "\n");
    let _ = write!(toml, "name = \"imported\"\nclock = \"{} MHz\"\n\n[compute]\n{compute}\n", s.clock / 1e6);
    toml.push_str(&s.levels.concat());
    let machine = Machine::from_toml(&format!("{file}, as imported"), &toml)?;
    Ok(MachineImport { machine, toml, notes: s.notes })
}

/// A text without what a file of ours cannot hold.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || [' ', '_', '-', '.'].contains(c)).take(60).collect()
}

fn kind(class: &str) -> Option<Kind> {
    let class = class.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| class.contains(w));
    match () {
        () if has(&["dram"]) => Some(Kind::Dram),
        () if has(&["regfile", "_rf", "register", "reg_"]) => Some(Kind::Registers),
        () if has(&["sram", "storage", "buffer"]) => Some(Kind::Sram),
        () if has(&["mac", "compute"]) => Some(Kind::Mac),
        () => None,
    }
}

/// Joules per byte of a memory at the node of the table.
fn joules_per_byte(kind: Kind, bytes: f64, constants: &ChipConstants) -> f64 {
    let e = &constants.energy;
    let ((e0, s0), (e1, s1)) = (e.small, e.large);
    match kind {
        Kind::Dram => constants.memories.first().map_or(0.0, |(_, m)| m.j_per_byte),
        Kind::Registers => (e0 * (bytes / s0).powf((e1 / e0).ln() / (s1 / s0).ln())).min(e.local_j_per_byte),
        Kind::Sram | Kind::Mac => e.global_j_per_byte(bytes),
    }
}

impl Source<'_> {
    fn wrong(&mut self, line: usize, cause: String, mend: &str) {
        self.errors.push(mistake(self.file, line, cause, mend));
    }

    /// A positive number of that node; none where the key is missing.
    fn number(&mut self, node: &Node, path: &str) -> Option<f64> {
        let at = node.at(path)?;
        match at.text().and_then(|t| evaluate(t, BYTE)) {
            Some(x) if x > 0.0 && x.is_finite() => Some(x),
            _ => {
                self.wrong(at.line, format!("\"{path}\" is not a positive number"), "write for example 16 or 64*1024");
                None
            }
        }
    }

    /// The first of several spellings.
    fn first(&mut self, node: &Node, keys: &[&str]) -> Option<f64> {
        keys.iter().find_map(|k| self.number(node, &format!("attributes.{k}")))
    }

    /// Clock and process node, and what else stands beside the nodes.
    fn system(&mut self, root: &Node, nodes: &[Node]) {
        let holders = || nodes.iter().map(|n| (n, "attributes")).chain([(root, "variables")]);
        let find = |key: &str| holders().find(|(n, p)| n.at(&format!("{p}.{key}")).is_some()).map(|(n, p)| (n, format!("{p}.{key}")));
        let cycle = find("global_cycle_seconds").and_then(|(n, path)| self.number(n, &path)).unwrap_or_else(|| {
            self.notes.push(format!("clock: not in the source, a cycle of {CYCLE_NS} ns filled in"));
            CYCLE_NS / 1e9
        });
        self.clock = 1.0 / cycle;
        let technology = find("technology").and_then(|(n, path)| n.at(&path)?.text().map(plain)).unwrap_or_default();
        let name = format!("N{}", technology.trim_end_matches("nm"));
        let dram = self.constants.memories.first().map_or("none", |(n, _)| n.as_str());
        self.notes.push(format!(
            "energies: not in the source; by capacity of SRAM and register files and by width of the MAC from our tables, DRAM as {dram}"
        ));
        match self.constants.node(&name) {
            Some(n) => self.scale = n.energy,
            None => self.notes.push(format!("technology \"{technology}\": not a node of our tables; energies are those of 7 nm")),
        }
        self.notes.push("double_buffer: false, sum_bits: as wide as words, fan-outs multicast and add sums, as Timeloop assumes".into());
        let mut leaves = Vec::new();
        root.leaves("", &mut leaves);
        leaves.retain(|(path, _)| !path.starts_with("architecture.nodes"));
        self.lost("", leaves);
    }

    fn lost(&mut self, name: &str, leaves: Vec<(String, usize)>) {
        let mut last = None;
        for (path, line) in leaves {
            if !CARRIED.contains(&path.as_str()) && last.as_ref() != Some(&path) {
                let shown: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
                self.notes.push(format!("{name}{}{shown} (line {line}): not carried over", if name.is_empty() { "" } else { ": " }));
            }
            last = Some(path);
        }
    }

    fn node(&mut self, node: &Node) {
        let name = plain(node.get("name").and_then(Node::text).unwrap_or("unnamed"));
        if self.compute.is_some() {
            self.wrong(node.line, format!("\"{name}\" stands below the MAC"), "the MAC is the last node");
        }
        let mut leaves = Vec::new();
        node.leaves("", &mut leaves);
        self.lost(&name, leaves);
        match node.tag.as_deref() {
            Some("Container") => self.spatial(node, &name),
            Some("Component") => {
                self.spatial(node, &name);
                let class = node.get("class").and_then(Node::text).unwrap_or_default();
                match kind(class) {
                    Some(Kind::Mac) => self.mac(node, class),
                    Some(kind) => self.memory(node, name, kind),
                    None => {
                        let cause = format!("\"{name}\" is of class \"{}\", which is no memory and no MAC", plain(class));
                        self.wrong(node.line, cause, "write DRAM, SRAM, smartbuffer_SRAM, regfile, storage, intmac or the like");
                    }
                }
            }
            tag => {
                let tag = plain(tag.unwrap_or("nothing"));
                let mend = "write !Container or !Component: a machine is one chain of memories";
                self.wrong(node.line, format!("node \"{name}\" is tagged {tag}, which a machine cannot hold"), mend);
            }
        }
    }

    /// Fan-outs of a node, which stand below the memory before it.
    fn spatial(&mut self, node: &Node, name: &str) {
        for axis in ["meshX", "meshY"] {
            let Some(size) = self.number(node, &format!("spatial.{axis}")).filter(|&n| n != 1.0) else { continue };
            if size.fract() != 0.0 {
                self.wrong(node.line, format!("{axis} of \"{name}\" is {size}"), "write a whole number of instances");
            }
            match self.levels.last_mut() {
                Some(level) => {
                    let _ = write!(level, "[[level.fanout]]\nname = \"{name} {axis}\"\nsize = {size}\n\n");
                }
                None => self.wrong(node.line, format!("{axis} of \"{name}\" stands above every memory"), "place a DRAM above it"),
            }
        }
    }

    /// Bits of a word.
    fn width(&mut self, node: &Node, name: &str) -> f64 {
        let above = self.word_bits;
        let bits = self.first(node, &["datawidth", "word-bits", "word_bits"]).unwrap_or_else(|| {
            let bits = above.unwrap_or(BYTE);
            self.notes.push(format!("{name}: datawidth not in the source, {bits} bits filled in"));
            bits
        });
        if bits.fract() != 0.0 || bits > BYTE * BYTE {
            self.wrong(node.line, format!("a word of \"{name}\" has {bits} bits"), "write a whole number up to 64");
        }
        if above.is_some_and(|a| a != bits) {
            self.notes.push(format!("{name}: its words have {bits} bits; a machine has one width, that of its MAC"));
        }
        self.word_bits = Some(bits);
        bits
    }

    /// Bits that one instance holds.
    fn capacity(&mut self, node: &Node, word: f64) -> Option<f64> {
        let block = self.first(node, &["block-size", "block_size"]).unwrap_or(1.0);
        let width = self.first(node, &["width"]).unwrap_or(word * block);
        let rows = self.first(node, &["depth"]).map(|d| d * width);
        let words = self.first(node, &["entries"]).map(|n| n * word);
        rows.or(words).or_else(|| self.first(node, &["sizeKB"]).map(|k| k * KIB * BYTE))
    }

    fn memory(&mut self, node: &Node, name: String, kind: Kind) {
        let word = self.width(node, &name);
        let held = self.capacity(node, word);
        let outermost = self.levels.is_empty();
        let capacity = held.filter(|_| kind != Kind::Dram && !outermost);
        if held.is_some() && capacity.is_none() {
            self.notes.push(format!("{name}: its capacity is not carried over, it holds every tensor whole"));
        }
        if capacity.is_none() && kind != Kind::Dram {
            self.wrong(node.line, format!("\"{name}\" is no DRAM and has no capacity"), "place a DRAM first and give depth and width");
        }
        let joules = joules_per_byte(kind, capacity.unwrap_or(BYTE) / BYTE, self.constants);
        let scale = if kind == Kind::Dram { 1.0 } else { self.scale };
        let energy = joules * scale / BYTE * 1e12;
        let mut t = format!("[[level]]\nname = \"{name}\"\nread_energy = \"{energy} pJ/bit\"\nwrite_energy = \"{energy} pJ/bit\"\n");
        if let Some(bits) = capacity {
            let _ = writeln!(t, "capacity = \"{} B\"", bits / BYTE);
        }
        t.push_str(&self.ports(node, &name, word));
        let keep = self.roles(node, "keep");
        let bypass = self.roles(node, "bypass");
        let may = ["input", "weight", "output"].into_iter().filter(|r| !bypass.contains(r)).collect::<Vec<_>>();
        let keep = if outermost { vec!["all"] } else { keep };
        let _ = write!(t, "keep = {}\nmay_keep = {}\ndouble_buffer = false\n\n", list(&keep), list(&may));
        self.levels.push(t);
    }

    fn ports(&mut self, node: &Node, name: &str, word: f64) -> String {
        let mut t = String::new();
        let shared = self.first(node, &["shared_bandwidth"]);
        let (read, write) = (self.first(node, &["read_bandwidth"]), self.first(node, &["write_bandwidth"]));
        let rates = match shared {
            Some(_) => [("bandwidth", shared), ("", None)],
            None => [("read_bandwidth", read), ("write_bandwidth", write)],
        };
        if shared.is_some() && (read.is_some() || write.is_some()) {
            self.notes.push(format!("{name}: read_ and write_bandwidth not carried over, its shared_bandwidth is"));
        }
        if rates.iter().all(|(_, r)| r.is_none()) {
            self.notes.push(format!("{name}: bandwidth not in the source, no limit filled in"));
        }
        for (key, words) in rates.into_iter().filter_map(|(k, r)| Some((k, r?))) {
            let _ = writeln!(t, "{key} = \"{} GB/s\"", words * word / BYTE * self.clock / 1e9);
        }
        t
    }

    /// Data spaces of a constraint as words of ours.
    fn roles(&mut self, node: &Node, key: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        for item in node.at(&format!("constraints.dataspace.{key}")).map_or(&[][..], Node::items) {
            match item.text().unwrap_or_default() {
                "Inputs" => found.push("input"),
                "Weights" => found.push("weight"),
                "Outputs" => found.push("output"),
                other => self.notes.push(format!("{key} (line {}): \"{}\" is no role of a tensor, left out", item.line, plain(other))),
            }
        }
        found
    }

    fn mac(&mut self, node: &Node, class: &str) {
        let bits = self.width(node, "MAC");
        let whole = class.to_lowercase().contains("int");
        let (index, table) = match bits {
            b if b <= BYTE / 2.0 => (4, "fp4"),
            b if b <= BYTE && whole => (3, "int8"),
            b if b <= BYTE => (2, "fp8"),
            b if b <= BYTE * 2.0 => (1, "fp16"),
            _ => (0, "fp32"),
        };
        self.notes.push(format!("mac_energy: that of a MAC of {table} in our tables"));
        let energy = self.constants.energy.mac_j[index] * self.scale * 1e12;
        self.compute = Some(format!("mac_energy = \"{energy} pJ\"\noperand_bits = {bits}\nsum_bits = {bits}\n"));
    }
}

fn list(words: &[&str]) -> String {
    format!("{words:?}")
}
