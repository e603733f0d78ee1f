//! AccelForge architecture files (YAML with `{{VARIABLES}}`): memories, fan-outs of containers and the compute unit as a machine of levels.
//!
//! A memory whose file gives no latency rule serves reads and writes one after the other: a shared port; one with `max` over its
//! actions has two. Tiles are not double-buffered, as AccelForge assumes. What else a file says is named in the notes.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::ChipError;
use crate::import::MachineImport;
use crate::import::expression::evaluate;
use crate::import::tree::{Node, mistake};
use crate::nest::Machine;

/// Bits of a value where a file asks for them.
const VALUE_BITS: f64 = 8.0;
/// Most instances of a fan-out.
const MOST_INSTANCES: f64 = 1048576.0;
/// Longest text after variables are filled in.
const LONGEST: usize = 1 << 20;

struct Source<'a> {
    file: &'a str,
    levels: String,
    compute: String,
    clock: Option<f64>,
    leak_w: f64,
    notes: Vec<String>,
    errors: Vec<ChipError>,
}

/// Reads an architecture from its tree.
pub(super) fn read(file: &str, root: &Node) -> Result<MachineImport, Vec<ChipError>> {
    let Some(nodes) = root.at("arch.nodes") else {
        return Err(vec![mistake(file, root.line, "there is no \"arch\" with \"nodes\"", "give one of AccelForge or Timeloop")]);
    };
    let mut s =
        Source { file, levels: String::new(), compute: String::new(), clock: None, leak_w: 0.0, notes: Vec::new(), errors: Vec::new() };
    for node in nodes.items() {
        s.leak_w += s.number(node, "leak_power").unwrap_or(0.0);
        match node.tag.as_deref() {
            Some("Memory" | "Toll") => s.memory(node),
            Some("Container") => s.container(node),
            Some("Compute") => s.compute(node),
            other => {
                let tag =
                    other.map_or_else(|| "without a tag".to_owned(), |t| format!("tagged {:?}", t.chars().take(40).collect::<String>()));
                s.errors.push(mistake(file, node.line, format!("a node is {tag}"), "write !Memory, !Container or !Compute"));
            }
        }
        if node.get("area").is_some_and(|n| n.text() != Some("0")) {
            s.notes.push(format!("area (line {}): not carried over, a machine has none", node.line));
        }
    }
    let Some(clock) = s.clock else {
        s.errors.push(mistake(
            file,
            nodes.line,
            "no !Compute node gives a throughput",
            "add one with actions: [{name: compute, energy: ..., throughput: ...}]",
        ));
        return Err(s.errors);
    };
    if !s.errors.is_empty() {
        return Err(s.errors);
    }
    s.notes.push(format!("double_buffer: false, as AccelForge assumes; clock: {clock} Hz, operations per second of a compute unit"));
    let leak = if s.leak_w > 0.0 { format!("static_power = \"{} W\"\n", s.leak_w) } else { String::new() };
    let head = format!("name = \"imported\"\nclock = \"{} MHz\"\n\n[compute]\n{}{leak}\n", clock / 1e6, s.compute);
    let toml = s.notes.iter().fold(String::new(), |t, n| t + "# " + n + "\n") + &head + &s.levels;
    let machine = Machine::from_toml(&format!("{file}, as imported"), &toml)?;
    Ok(MachineImport { machine, toml, notes: s.notes })
}

/// Fills variables in.
pub(super) fn fill(file: &str, text: &str, set: &BTreeMap<String, String>) -> Result<String, ChipError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let wrong = |cause: &str, mend: &str| Err(mistake(file, 1 + out.matches('\n').count(), cause, mend));
        let Some((name, after)) = after.split_once("}}") else {
            return wrong("{{ is not closed", "write {{NAME}}");
        };
        let name = name.trim();
        match set.get(name) {
            Some(value) if out.len() + value.len() < LONGEST => out.push_str(value),
            Some(_) => return wrong("the file is too long with its variables filled in", "shorten it"),
            None => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                return wrong(&format!("variable {shown} has no value"), "give one: --set NAME=VALUE");
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl Source<'_> {
    fn wrong(&mut self, line: usize, cause: String, mend: &str) {
        self.errors.push(mistake(self.file, line, cause, mend));
    }

    /// The value of an expression; infinite values are none.
    fn number(&mut self, node: &Node, key: &str) -> Option<f64> {
        let at = node.get(key)?;
        match at.text().and_then(|t| evaluate(t, VALUE_BITS)) {
            Some(x) if x.is_infinite() => None,
            Some(x) if x >= 0.0 => Some(x),
            _ => {
                self.wrong(at.line, format!("\"{key}\" is not a number or expression"), "write for example 1024*8, 8 * 614e9 or inf");
                None
            }
        }
    }

    fn name(&self, node: &Node) -> String {
        let plain = |c: &char| c.is_alphanumeric() || [' ', '_', '-', '.'].contains(c);
        node.get("name").and_then(Node::text).unwrap_or("unnamed").chars().filter(plain).take(60).collect()
    }

    /// Energy and rate of an action.
    fn action(&mut self, node: &Node, name: &str) -> (f64, Option<f64>) {
        let found = node.get("actions").and_then(|a| a.items().iter().find(|i| i.get("name").and_then(Node::text) == Some(name)));
        let Some(action) = found else {
            self.notes.push(format!("{} (line {}): no action \"{name}\"; it costs nothing and has no limit", self.name(node), node.line));
            return (0.0, None);
        };
        (self.number(action, "energy").unwrap_or(0.0), self.number(action, "throughput"))
    }

    /// A set of tensors as words of ours.
    fn roles(&mut self, node: &Node, key: &str) -> Option<String> {
        let at = node.at("tensors")?.get(key)?;
        let mut words = Vec::new();
        for part in at.text().unwrap_or_default().split('|') {
            match part.trim() {
                "All" | "all" => words.push("\"all\""),
                "input" | "inputs" => words.push("\"input\""),
                "weight" | "weights" => words.push("\"weight\""),
                "output" | "outputs" => words.push("\"output\""),
                "Nothing" | "<Nothing>" | "" => {}
                other => {
                    let shown: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                    self.notes.push(format!("tensors.{key} (line {}): \"{shown}\" is no role of a tensor, left out", at.line));
                }
            }
        }
        Some(format!("[{}]", words.join(", ")))
    }

    fn memory(&mut self, node: &Node) {
        let name = self.name(node);
        let ((read_j, read), (write_j, write)) = (self.action(node, "read"), self.action(node, "write"));
        let two_ports = node.get("total_latency").and_then(Node::text).is_some_and(|t| t.trim_start().starts_with("max"));
        let mut t = format!(
            "[[level]]\nname = \"{name}\"\nread_energy = \"{} pJ/bit\"\nwrite_energy = \"{} pJ/bit\"\n",
            read_j * 1e12,
            write_j * 1e12
        );
        if let Some(bits) = self.number(node, "size") {
            let _ = writeln!(t, "capacity = \"{} B\"", bits / 8.0);
        }
        let rate = |r: f64| r / 8.0 / 1e9;
        match (two_ports, read, write) {
            (true, r, w) => {
                r.into_iter().for_each(|r| t.push_str(&format!("read_bandwidth = \"{} GB/s\"\n", rate(r))));
                w.into_iter().for_each(|w| t.push_str(&format!("write_bandwidth = \"{} GB/s\"\n", rate(w))));
            }
            (false, Some(r), w) => {
                if w != Some(r) {
                    self.notes.push(format!("{name}: one port with two rates; the slower one is carried over"));
                }
                t.push_str(&format!("bandwidth = \"{} GB/s\"\n", rate(r.min(w.unwrap_or(r)))));
            }
            (false, None, Some(w)) => t.push_str(&format!("write_bandwidth = \"{} GB/s\"\n", rate(w))),
            (false, None, None) => {}
        }
        let (keep, may) = (self.roles(node, "keep"), self.roles(node, "may_keep"));
        match (keep, may) {
            (Some(k), m) => t.push_str(&format!("keep = {k}\nmay_keep = {}\n", m.unwrap_or_else(|| k.clone()))),
            (None, Some(m)) => t.push_str(&format!("may_keep = {m}\n")),
            (None, None) => t.push_str("keep = [\"all\"]\n"),
        }
        t.push_str("double_buffer = false\n\n");
        self.levels.push_str(&t);
        self.container(node);
    }

    /// Fan-outs of a node.
    fn container(&mut self, node: &Node) {
        for s in node.get("spatial").map_or(&[][..], Node::items) {
            let size = self.number(s, "fanout").unwrap_or(1.0);
            if size.fract() != 0.0 || !(1.0..=MOST_INSTANCES).contains(&size) {
                self.wrong(s.line, format!("a fanout is {size:e}"), "write a whole number from 1 to 1048576");
                continue;
            }
            let name = self.name(s);
            let reuse = match s.get("reuse").and_then(Node::text) {
                Some(r @ ("input" | "weight" | "output")) => format!("must_reuse = [\"{r}\"]\n"),
                None => String::new(),
                Some(_) => {
                    self.notes.push(format!("{name} (line {}): its reuse is not one tensor, left out", s.line));
                    String::new()
                }
            };
            let _ = write!(self.levels, "[[level.fanout]]\nname = \"{name}\"\nsize = {size}\n{reuse}\n");
        }
    }

    fn compute(&mut self, node: &Node) {
        let (energy, rate) = self.action(node, "compute");
        self.clock = rate;
        self.compute = format!("mac_energy = \"{} pJ\"\n", energy * 1e12);
    }
}
