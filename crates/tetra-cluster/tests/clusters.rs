//! Cluster files: the built-in ones are well formed and name known chips and sources; every stated number changes something; broken ones are refused with
//! place, cause and mend.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tetra_chip::{Chip, ChipSet};
use tetra_cluster::{Cluster, ClusterConstants, Network};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

fn chips() -> ChipSet {
    let texts = folder("chips");
    ChipSet::parse(texts.iter().map(|(n, t)| (n.as_str(), t.as_str()))).unwrap()
}

fn chip(name: &str) -> Chip {
    chips().find(name).unwrap_or_else(|| panic!("no chip {name}")).clone()
}

fn folder(name: &str) -> Vec<(String, String)> {
    let mut paths: Vec<_> = fs::read_dir(root().join(name)).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(p).unwrap())).collect()
}

fn constants() -> ClusterConstants {
    ClusterConstants::from_tables(&support::tables()).unwrap()
}

const SMALL: &str = "name = \"a\"\nchip = \"TPU v5p\"\nchips = 4096\n[server]\nchips = 4\nhost_memory = \"1 TB\"\nhost_link = \"20 GB/s\"\nsource = \"x\"\n\
    [scale_up]\nrate = \"100 GB/s\"\ndomain = 1024\nwiring = \"torus\"\ndimensions = 3\noptical_block = 48\ntwist = 1.5\nsource = \"x\"\n\
    [network]\nport = \"100 Gb/s\"\nports = 4\nsource = \"x\"\n[pod]\nservers = 512\noversubscription = 2\nhop = \"1 us\"\nsource = \"x\"\n\
    [storage]\ncheckpoint = \"100 GB/s\"\nsource = \"x\"\n[failures]\nchip_time = \"50000 h\"\nrestart = \"300 s\"\nsource = \"x\"\n";

#[test]
fn built_in_clusters_are_well_formed_and_name_known_chips_and_sources() {
    let chips = chips();
    let sources = fs::read_to_string(root().join("sources.toml")).unwrap();
    let files = folder("clusters");
    assert!(files.len() >= 8);
    for (name, text) in &files {
        let cluster = Cluster::from_toml(name, text).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let chip = chips.find(&cluster.chip).unwrap_or_else(|| panic!("{name}: no chip {}", cluster.chip));
        assert!(!cluster.sources.is_empty());
        for source in &cluster.sources {
            assert!(sources.contains(&format!("[{source}]")), "{name}: {source}");
        }
        let network = cluster.network(chip, cluster.chips, &constants());
        assert!(network.scale_out.bandwidth.value() > 0.0 && network.domain <= network.pod, "{name}");
        assert!(text.lines().count() <= 40, "{name} is longer than a person writes");
    }
}

#[test]
fn files_say_what_tables_of_measurements_say_in_words() {
    let constants = constants();
    for (file, words) in [
        ("jean-zay.toml", "8 GPU/node, NVLink; 4x100 Gb/s Omni-Path per node (BLOOM paper)"),
        ("selene.toml", "NVLink3+HDR IB (Selene)"),
        ("a100-roce.toml", "1600 Gb/s RoCE per node"),
        ("dgx-h100.toml", "NVLINK Gen4 900 GB/s + NVSWITCH Gen3; Compute: 8x ConnectX-7 IB NDR 400Gb/s"),
    ] {
        let cluster = Cluster::from_toml(file, &fs::read_to_string(root().join("clusters").join(file)).unwrap()).unwrap();
        let chip = chip(&cluster.chip);
        let (own, named) = (cluster.network(&chip, 64, &constants), Network::named(words, &chip, &constants));
        let (a, b) = (own.scale_out.bandwidth.value(), named.scale_out.bandwidth.value());
        assert!((a / b - 1.0).abs() < 1e-12, "{file}: {a} {b}");
        assert_eq!((own.domain, own.scale_up), (named.domain, named.scale_up), "{file}");
    }
}

/// Every number of a file, halved, changes the network or the constants of a job.
#[test]
fn every_number_has_an_effect() {
    let constants = constants();
    let chip = chip("TPU v5p");
    let seen = |text: &str| {
        let c = Cluster::from_toml("a", text).unwrap_or_else(|e| panic!("{text}{e:?}"));
        format!("{:?} {:?} {}", c.network(&chip, 100, &constants), c.constants(100, &constants).failures, c.chips)
    };
    let base = seen(SMALL);
    for (wrote, other) in [
        ("chips = 4096", "chips = 2048"),
        ("chips = 4\n", "chips = 2\n"),
        ("1 TB", "2 TB"),
        ("20 GB/s", "10 GB/s"),
        ("rate = \"100 GB/s\"", "rate = \"50 GB/s\""),
        ("domain = 1024", "domain = 50"),
        ("wiring = \"torus\"\ndimensions = 3\noptical_block = 48\ntwist = 1.5", "wiring = \"switch\""),
        ("dimensions = 3", "dimensions = 2"),
        ("optical_block = 48", "optical_block = 24"),
        ("twist = 1.5", "twist = 1"),
        ("100 Gb/s", "200 Gb/s"),
        ("ports = 4", "ports = 2"),
        ("ports = 4", "ports = 4\nthrough_host = true"),
        ("ports = 4", "ports = 4\nreduces = true"),
        ("servers = 512", "servers = 256"),
        ("servers = 512", "leaf_downlinks = 512\nrails = false"),
        ("oversubscription = 2", "oversubscription = 1"),
        ("1 us", "2 us"),
        ("checkpoint = \"100 GB/s\"", "checkpoint = \"50 GB/s\""),
        ("50000 h", "25000 h"),
        ("300 s", "150 s"),
    ] {
        assert!(SMALL.contains(wrote), "{wrote}");
        assert_ne!(base, seen(&SMALL.replacen(wrote, other, 1)), "{wrote} -> {other}");
    }
}

#[test]
fn mistakes_are_placed_and_told_with_their_mend() {
    let said = |text: &str| Cluster::from_toml("a.toml", text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let colour = said(&SMALL.replace("ports = 4", "ports = 4\ncolour = 1"));
    assert_eq!(colour, "a.toml:20: key \"network.colour\" is not known: remove it or correct its name");
    assert!(said(&SMALL.replace("torus\"", "ring\"")).contains("a.toml:9: \"scale_up.wiring\" is \"ring\": write switch or torus"));
    assert!(
        said(&SMALL.replace("servers = 512", "rails = true"))
            .contains("is not stated in one way: write servers, or leaf_downlinks and rails")
    );
    assert!(said(&SMALL.replace("100 Gb/s", "0 Gb/s")).contains("\"network.port\" is 0e0 in base units, not within"));
    assert!(said("").contains("key \"name\" is missing: add it"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(at in 0usize..900, byte in any::<u8>(), cut in 0usize..900, number in prop::sample::select(vec!["-1", "1e400", "nan", "99999999999999999999", "\"\"", "[]"])) {
        let mut bytes = SMALL.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let h100 = chip("H100");
        let kept: String = text.chars().take(cut).collect();
        for text in [text.clone(), kept, text.replace("4\n", &format!("{number}\n"))] {
            match Cluster::from_toml("a", &text) {
                Ok(cluster) => {
                    let network = cluster.network(&h100, u64::MAX, &constants());
                    prop_assert!(network.domain >= 1 && network.pod >= 1);
                }
                Err(list) => prop_assert!(list.iter().all(|e| e.line >= 1 && !e.mend.is_empty())),
            }
        }
    }
}
