//! A cluster as a file (TOML): which chip, how many share a server, how they are joined, what storage takes, how often something breaks.
//!
//! What a file leaves out is the chip's own or the tables'. A file's numbers replace those: ports of a server over its chips give the scale-out rate of a
//! chip, a pod's oversubscription divides that rate beyond the pod, storage's rate is shared by all chips of the job.
//!
//! Leaves out: other jobs on the same network, how chips are placed in it (ranks are neighbours), reads from storage.

use tetra_chip::section::{Errors, Section, read_sections};
use tetra_chip::{Chip, ChipError};
use tetra_quantity::{Bytes, BytesPerSecond, Quantity, Seconds};

use crate::constants::{ClusterConstants, Protocol};
use crate::network::Network;

/// Slowest link and storage, fastest of both, bytes per second.
const SLOWEST: f64 = 1e6;
const FASTEST: f64 = 1e16;
/// Most chips of anything.
const MOST: u64 = 1 << 24;

/// A cluster.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cluster {
    /// Name for people.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// Name of its chip.
    pub chip: String,
    /// Chips there are; a job may not ask for more.
    pub chips: u64,
    /// Server.
    pub server: Server,
    /// Links inside a domain, where the chip's own are not meant.
    pub scale_up: Option<ScaleUp>,
    /// Links between domains.
    pub network: Fabric,
    /// Where a faster part of the network ends.
    pub pod: Option<Pod>,
    /// Rate at which the job's checkpoint reaches storage while it waits, all chips together.
    pub checkpoint: Option<BytesPerSecond>,
    /// How often something breaks.
    pub failures: Option<Failures>,
    /// Sources of the sections that state one.
    pub sources: Vec<String>,
}

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Server {
    /// Chips that share its ports and its memory.
    pub chips: u64,
    /// Its memory.
    pub host_memory: Option<Bytes>,
    /// Rate that copies between one chip and that memory reach, one direction.
    pub host_link: Option<BytesPerSecond>,
}

/// Links inside a scale-up domain.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ScaleUp {
    /// Rate of a chip in one direction.
    pub rate: Option<BytesPerSecond>,
    /// Chips of a domain.
    pub domain: u64,
    /// Whether a switch joins them; else a torus.
    pub switched: bool,
    /// Whether switches reduce in flight (NVLS).
    pub reduces: bool,
    /// Dimensions of the torus.
    pub dimensions: Option<u64>,
    /// Chips of a block that optical switches join to slices, 0 for none.
    pub optical_block: u64,
    /// Rate across the middle of a twisted torus over that of a plain one.
    pub twist: f64,
}

/// Links between domains.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Fabric {
    /// Rate of a port in one direction.
    pub port: BytesPerSecond,
    /// Ports of a server for this network.
    pub ports: u64,
    /// Whether data passes through host memory.
    pub through_host: bool,
    /// Whether switches reduce in flight (SHARP).
    pub reduces: bool,
}

/// The part of the network behind one switch, or one switch per rail, and what lies above.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Pod {
    /// Servers that reach each other at full rate.
    pub servers: u64,
    /// Rate inside a pod over the rate out of it.
    pub oversubscription: f64,
    /// Time that the switches above add to each step.
    pub hop: Seconds,
}

/// How often something breaks.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Failures {
    /// Mean chip time per interruption of a job.
    pub chip_time: Option<Seconds>,
    /// Time from an interruption to the first new step.
    pub restart: Option<Seconds>,
}

impl Cluster {
    /// Reads a cluster file; `name` is its file name for messages.
    ///
    /// # Errors
    /// Every mistake of the text: broken TOML, unknown or missing keys, wrong types, units and ranges.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, Vec<ChipError>> {
        read_sections(name, text, read)
    }

    /// Whether a word is one of its names; case and punctuation do not count.
    pub fn is_named(&self, word: &str) -> bool {
        let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        std::iter::once(&self.name).chain(&self.aliases).any(|n| plain(n) == plain(word))
    }

    /// Its links for a job on `chips` of its chips.
    pub fn network(&self, chip: &Chip, chips: u64, constants: &ClusterConstants) -> Network {
        let mut network = Network::of(chip, constants);
        if let Some(up) = self.scale_up {
            network.domain = up.domain.max(1);
            network.scale_up.bandwidth = up.rate.unwrap_or(network.scale_up.bandwidth);
            network.scale_up.switched = up.switched;
            network.scale_up.reduces = up.reduces;
            network.torus_dimensions = up.dimensions.map_or(network.torus_dimensions, |d| d as f64);
            network.optical_block = up.optical_block;
            network.twist = up.twist;
        }
        network = network.with_scale_out(self.network.port * (self.network.ports as f64 / self.server.chips.max(1) as f64));
        if self.network.through_host {
            network = network.through_host(constants);
        }
        let rate = network.scale_out.bandwidth;
        network.scale_out.reduces = self.network.reduces;
        network.spine = network.scale_out;
        if let Some(pod) = self.pod {
            network.pod = pod.servers.saturating_mul(self.server.chips).max(network.domain);
            network.spine.bandwidth = rate * (1.0 / pod.oversubscription);
            let later = |p: Protocol| Protocol { step_s: p.step_s + pod.hop.value(), ..p };
            (network.spine.small, network.spine.large) = (later(network.spine.small), later(network.spine.large));
        }
        network.host.link = self.server.host_link.unwrap_or(network.host.link);
        let memory = self.server.host_memory.map(|m| m * (1.0 / self.server.chips.max(1) as f64));
        network.host.memory = memory.unwrap_or(network.host.memory);
        network.sliced(chips)
    }

    /// Constants with its storage and failures, for a job on `chips`.
    pub fn constants(&self, chips: u64, base: &ClusterConstants) -> ClusterConstants {
        let mut constants = *base;
        let failures = &mut constants.failures;
        if let Some(rate) = self.checkpoint {
            failures.checkpoint_bytes_per_second = rate.value() / chips.max(1) as f64;
        }
        if let Some(own) = self.failures {
            failures.chip_time_per_interruption_s = own.chip_time.map_or(failures.chip_time_per_interruption_s, |t| t.value());
            failures.restart_s = own.restart.map_or(failures.restart_s, |t| t.value());
        }
        constants
    }
}

fn read(errors: &mut Errors<'_>, mut top: Section<'_, '_>) -> Option<Cluster> {
    let mut sources = Vec::new();
    let name = top.word(errors, "name");
    let aliases = top.aliases(errors);
    let chip = top.word(errors, "chip");
    let chips = optional_count(errors, &mut top, "chips", MOST);
    let server = top.table(errors, "server", "server").and_then(|s| read_server(errors, s, &mut sources));
    let scale_up = below(errors, &mut top, "scale_up").map(|s| read_scale_up(errors, s, &mut sources));
    let network = top.table(errors, "network", "network").and_then(|s| read_network(errors, s, &mut sources));
    let pod = below(errors, &mut top, "pod").map(|s| read_pod(errors, s, server.zip(network), &mut sources));
    let checkpoint = below(errors, &mut top, "storage").map(|mut s| {
        let rate = s.quantity(errors, "checkpoint", SLOWEST, FASTEST);
        finish(errors, s, &mut sources);
        rate
    });
    let failures = below(errors, &mut top, "failures").map(|mut s| {
        let chip_time = optional(errors, &mut s, "chip_time", 1.0, FASTEST);
        let restart = optional(errors, &mut s, "restart", 0.0, 1e9);
        finish(errors, s, &mut sources);
        Failures { chip_time, restart }
    });
    top.finish(errors);
    Some(Cluster {
        name: name?,
        aliases,
        chip: chip?,
        chips: chips.unwrap_or(MOST),
        server: server?,
        scale_up: scale_up.map_or(Some(None), |s| s.map(Some))?,
        network: network?,
        pod: pod.map_or(Some(None), |p| p.map(Some))?,
        checkpoint: checkpoint.map_or(Some(None), |c| c.map(Some))?,
        failures,
        sources,
    })
}

/// A table that may be left out.
fn below<'t, 'i>(errors: &mut Errors<'_>, top: &mut Section<'t, 'i>, key: &'static str) -> Option<Section<'t, 'i>> {
    if top.has(key) { top.table(errors, key, key) } else { None }
}

fn optional<Q: Quantity>(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str, low: f64, high: f64) -> Option<Q> {
    if s.has(key) { s.quantity(errors, key, low, high) } else { None }
}

fn optional_count(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str, high: u64) -> Option<u64> {
    if s.has(key) { s.count(errors, key, 1, high) } else { None }
}

fn optional_flag(errors: &mut Errors<'_>, s: &mut Section<'_, '_>, key: &str) -> bool {
    s.has(key) && s.flag(errors, key).unwrap_or(false)
}

/// Every section names its source.
fn finish(errors: &mut Errors<'_>, mut s: Section<'_, '_>, sources: &mut Vec<String>) {
    sources.extend(s.word(errors, "source"));
    s.finish(errors);
}

fn read_server(errors: &mut Errors<'_>, mut s: Section<'_, '_>, sources: &mut Vec<String>) -> Option<Server> {
    let chips = s.count(errors, "chips", 1, MOST);
    let host_memory = optional(errors, &mut s, "host_memory", 1e6, 1e18);
    let host_link = optional(errors, &mut s, "host_link", SLOWEST, FASTEST);
    finish(errors, s, sources);
    Some(Server { chips: chips?, host_memory, host_link })
}

fn read_scale_up(errors: &mut Errors<'_>, mut s: Section<'_, '_>, sources: &mut Vec<String>) -> Option<ScaleUp> {
    let span = s.span.clone();
    let rate = optional(errors, &mut s, "rate", SLOWEST, FASTEST);
    let domain = s.count(errors, "domain", 1, MOST);
    let wiring = s.word(errors, "wiring");
    let reduces = optional_flag(errors, &mut s, "reduces");
    let dimensions = optional_count(errors, &mut s, "dimensions", 8);
    let optical_block = optional_count(errors, &mut s, "optical_block", MOST);
    let twist = if s.has("twist") { s.number(errors, "twist", 1.0, 2.0) } else { None };
    finish(errors, s, sources);
    let switched = match wiring?.as_str() {
        "switch" => true,
        "torus" => false,
        other => {
            errors.push(span, format!("\"scale_up.wiring\" is \"{other}\""), "write switch or torus");
            return None;
        }
    };
    let torus = dimensions.is_some() || optical_block.is_some() || twist.is_some();
    if switched && torus {
        errors.push(
            span.clone(),
            "dimensions, optical_block and twist belong to a torus".into(),
            "remove them or write wiring = \"torus\"",
        );
    }
    if !switched && reduces {
        errors.push(span, "a torus has no switches that reduce".into(), "remove scale_up.reduces or write wiring = \"switch\"");
    }
    let (optical_block, twist) = (optical_block.unwrap_or(0), twist.unwrap_or(1.0));
    Some(ScaleUp { rate, domain: domain?, switched, reduces, dimensions, optical_block, twist })
}

fn read_network(errors: &mut Errors<'_>, mut s: Section<'_, '_>, sources: &mut Vec<String>) -> Option<Fabric> {
    let port = s.quantity(errors, "port", SLOWEST, FASTEST);
    let ports = s.count(errors, "ports", 1, MOST);
    let through_host = optional_flag(errors, &mut s, "through_host");
    let reduces = optional_flag(errors, &mut s, "reduces");
    finish(errors, s, sources);
    Some(Fabric { port: port?, ports: ports?, through_host, reduces })
}

/// Either `servers`, or the ports of a leaf switch towards servers: in a rail-optimised network each leaf takes one port of a server.
fn read_pod(errors: &mut Errors<'_>, mut s: Section<'_, '_>, around: Option<(Server, Fabric)>, sources: &mut Vec<String>) -> Option<Pod> {
    let span = s.span.clone();
    let servers = optional_count(errors, &mut s, "servers", MOST);
    let downlinks = optional_count(errors, &mut s, "leaf_downlinks", MOST);
    let rails = s.has("rails").then(|| s.flag(errors, "rails").unwrap_or(false));
    let oversubscription = s.number(errors, "oversubscription", 1.0, 1e3);
    let hop = optional(errors, &mut s, "hop", 0.0, 1.0);
    finish(errors, s, sources);
    let servers = match (servers, downlinks, rails) {
        (Some(servers), None, None) => servers,
        (None, Some(down), Some(true)) => down,
        (None, Some(down), Some(false)) => (down / around?.1.ports.max(1)).max(1),
        _ => {
            let mend = "write servers, or leaf_downlinks and rails";
            errors.push(span, "the size of \"pod\" is not stated in one way".into(), mend);
            return None;
        }
    };
    Some(Pod { servers, oversubscription: oversubscription?, hop: hop.unwrap_or(Seconds::ZERO) })
}
