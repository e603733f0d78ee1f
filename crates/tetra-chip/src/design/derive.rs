//! Derives the blocks of a description from the chip of a template point and data rows; each value is given with its formula.

use tetra_quantity::{Bytes, BytesPerSecond, Celsius, Fraction, Hertz, Quantity, Seconds, SquareMetres, Tables, Watts};

use super::parts::*;
use crate::area::breakdown;
use crate::chip::Chip;
use crate::constants::{ChipConstants, VECTOR_KINDS};
use crate::energy::full_load;
use crate::error::{Fit, Misfit};
use crate::template::{Design, FEED_PER_ROW, MULTICAST, SLAB, SLABS, SUM_BYTES, SUMS_PER_LANE};

/// Bits of the operands by which an array's rows and columns are counted, and of a lane.
const OPERAND_BITS: u64 = 16;
const LANE_BITS: u64 = 32;
const PORTS: &str = "1 read, 1 write";

fn by<T>(value: T, formula: impl Into<String>) -> Said<T> {
    Said { value, from: Origin::Formula(formula.into()) }
}

fn rule<T>(value: T, words: &'static str) -> Said<T> {
    Said { value, from: Origin::Rule(words) }
}

fn choice<T>(value: T, words: &'static str) -> Said<T> {
    Said { value, from: Origin::Choice(words) }
}

/// Rounded up to a whole number; what doubles lose on a whole number is none.
fn up(x: f64) -> u64 {
    (x * (1.0 - 4.0 * f64::EPSILON)).ceil() as u64
}

/// What the blocks are derived from.
struct From<'a> {
    point: &'a Design,
    chip: &'a Chip,
    tables: &'a Tables,
    constants: &'a ChipConstants,
    /// Name of the memory kind as the data writes it.
    kind: String,
}

impl From<'_> {
    fn row<Q: Quantity>(&self, item: &str, parameter: &str) -> Fit<Q> {
        self.tables.quantity::<Q>(item, parameter).map_err(|_| Misfit::Unknown { field: "hbm_kind" })
    }

    /// Name of the node as the data writes it.
    fn node(&self) -> &str {
        let asked = self.point.node.as_str();
        self.constants.nodes.iter().map(|(n, _)| n.as_str()).find(|n| n.eq_ignore_ascii_case(asked)).unwrap_or(asked)
    }

    fn count(&self, what: &str) -> Fit<Said<u64>> {
        let parameter = format!("{}_{what}", self.kind);
        Ok(by(self.row::<Fraction>("dram", &parameter)?.value() as u64, format!("dram.{parameter}")))
    }
}

/// All blocks.
pub(super) fn parts(point: &Design, chip: &Chip, tables: &Tables, constants: &ChipConstants) -> Fit<Parts> {
    let known = constants.memories.iter().find(|(n, _)| n.eq_ignore_ascii_case(&point.hbm_kind));
    let kind = known.map(|(n, _)| n.clone()).ok_or(Misfit::Unknown { field: "hbm_kind" })?;
    let f = From { point, chip, tables, constants, kind };
    let latency: Seconds = f.row("dram", "latency")?;
    let cores = cores(&f);
    let pe_array = pe_array(&f);
    let scratchpad = scratchpad(&f);
    let hbm = hbm(&f, latency)?;
    let global_memory = global_memory(&f, &pe_array, &cores, &hbm);
    let network = network(&f, &cores, &global_memory, &hbm)?;
    let memory = hbm.bandwidth.value.value() / (hbm.controllers.value * hbm.pseudo_channels.value) as f64 / hbm.access.value.value();
    Ok(Parts {
        clocks: clocks(&f, memory),
        vector_unit: vector_unit(&f),
        dma: dma(&network, &hbm, latency),
        links: links(&f)?,
        power: power(&f),
        silicon: silicon(&f),
        cores,
        pe_array,
        scratchpad,
        global_memory,
        network,
        hbm,
    })
}

fn clocks(f: &From<'_>, memory: f64) -> Clocks {
    Clocks {
        core: by(f.point.clock, "point.clock"),
        memory: by(Hertz(memory), "hbm.bandwidth / (hbm.controllers * hbm.pseudo_channels) / hbm.access"),
        resets: choice(vec!["core", "memory", "links"], "one reset per clock domain; links recover their own clock from their lanes"),
        reset_kind: choice("synchronous, active low", "flip-flops without an asynchronous pin are smaller and easier to time"),
        crossings: choice(vec!["core memory", "core links"], "an asynchronous FIFO stands at each"),
    }
}

fn cores(f: &From<'_>) -> Cores {
    let multicast = MULTICAST.min(f.point.cores);
    Cores {
        working: by(f.point.cores, "point.cores"),
        built: by(f.chip.silicon.cores_built, "point.cores + ceil(point.cores * template.spare_cores)"),
        multicast: choice(multicast, "two cores share one fetch of an operand tile"),
        groups: by(f.point.cores.div_ceil(multicast), "ceil(cores.working / cores.multicast)"),
    }
}

fn pe_array(f: &From<'_>) -> PeArray {
    let (d, c) = (f.point, &f.chip.compute);
    PeArray {
        per_core: by(d.arrays_per_core, "point.arrays_per_core"),
        rows: by(d.array_rows, "point.array_rows"),
        columns: by(d.array_columns, "point.array_columns"),
        dataflow: choice(
            "weight stationary",
            "weights stay; the summed dimension lies on rows, output features on columns; rows of the input stream",
        ),
        operand_bits: choice(OPERAND_BITS, "rows and columns count MACs of 16-bit floats"),
        rate_bf16: choice(1.0, "the format by which others are counted"),
        rate_fp32: by(c.rate.fp32, "template.rate_fp32"),
        rate_fp8: by(c.rate.fp8, "template.rate_fp8"),
        rate_int8: by(c.rate.int8, "template.rate_int8"),
        rate_fp4: by(c.rate.fp4, "template.rate_fp4"),
        sum_bits: choice(
            SUM_BYTES * u64::from(u8::BITS),
            "32-bit floats, or integers of as many bits, sum without loss that models notice",
        ),
        shadow_weights: choice(c.shadow_weights, "the next tile's weights load behind the present ones"),
        shadow_bits: by(d.array_rows * d.array_columns * OPERAND_BITS, "pe_array.rows * pe_array.columns * pe_array.operand_bits"),
        fill_and_drain_cycles: by(d.array_rows + d.array_columns - 1, "pe_array.rows + pe_array.columns - 1"),
        macs_per_cycle: by(d.arrays_per_core * d.array_rows * d.array_columns, "pe_array.per_core * pe_array.rows * pe_array.columns"),
        tile_rows: rule(c.tile_rows_max, TILE_RULE),
        tile_columns: rule(c.tile_columns_max, TILE_RULE),
    }
}

const TILE_RULE: &str = "sides double in turn, from 16 rows by 32 columns, up to 1024, while the tile's sums fit half the scratchpad or the \
                         lanes' registers and its slabs fit the scratchpad";

fn vector_unit(f: &From<'_>) -> VectorUnit {
    VectorUnit {
        lanes: by(f.point.lanes, "point.lanes"),
        lane_bits: choice(LANE_BITS, "a lane does one 32-bit operation per cycle"),
        sums_per_lane: choice(SUMS_PER_LANE, "1 KiB of sums per lane"),
        registers: by(
            Bytes((f.point.lanes * SUMS_PER_LANE * SUM_BYTES) as f64),
            "vector_unit.lanes * vector_unit.sums_per_lane * pe_array.sum_bits / 8",
        ),
        functions: choice(VECTOR_KINDS.iter().map(|(_, name)| *name).collect(), "the vector kinds of the workloads"),
        operations: rule(f.constants.kernels.lane_ops.to_vec(), "the rows lane_ops.FUNCTION, in the order of the functions"),
    }
}

fn scratchpad(f: &From<'_>) -> Scratchpad {
    let (rows, local) = (f.point.array_rows, f.point.local);
    let feed = FEED_PER_ROW * rows;
    Scratchpad {
        capacity: by(local, "point.local"),
        word: choice(Bytes(FEED_PER_ROW as f64), "a 16-bit operand streams into each row of an array while another one loads"),
        banks: by(rows, "point.array_rows"),
        depth: by(up(local.value() / feed as f64), "ceil(scratchpad.capacity / (scratchpad.banks * scratchpad.word))"),
        ports: choice(PORTS, "tiles are written while others are read"),
        bytes_per_cycle: by(feed, "scratchpad.banks * scratchpad.word"),
        bandwidth: by(BytesPerSecond(feed as f64 * f.point.clock.value()), "scratchpad.bytes_per_cycle * clocks.core"),
        slab: choice(Bytes((SLAB * OPERAND_BITS / u64::from(u8::BITS)) as f64), "64 operands of 16 bits of the summed dimension"),
        slabs: choice(SLABS, "one is used while the next one loads"),
    }
}

fn hbm(f: &From<'_>, latency: Seconds) -> Fit<Hbm> {
    let m = &f.chip.memory;
    let (interface, channels, pseudo, burst) =
        (f.count("interface")?, f.count("channels")?, f.count("pseudo_channels")?, f.count("burst_length")?);
    let controllers = m.hbm_stacks * channels.value;
    let pins = interface.value / (channels.value * pseudo.value);
    let access = (pins * burst.value) as f64 / f64::from(u8::BITS);
    let outstanding = m.hbm_bandwidth.value() * latency.value();
    Ok(Hbm {
        kind: choice(f.kind.clone(), "point.hbm_kind, as the data writes it"),
        stacks: by(m.hbm_stacks, "point.hbm_stacks"),
        controllers: by(controllers, "hbm.stacks * hbm.channels"),
        pseudo_channel_pins: by(pins, "hbm.interface / (hbm.channels * hbm.pseudo_channels)"),
        access: by(Bytes(access), "hbm.pseudo_channel_pins * hbm.burst_length / 8"),
        pin_rate: by(
            BytesPerSecond(m.hbm_bandwidth.value() / m.hbm_stacks as f64 / interface.value as f64),
            format!("memory.{}_bandwidth / hbm.interface", f.kind),
        ),
        capacity: by(m.hbm, format!("memory.{}_capacity * hbm.stacks", f.kind)),
        bandwidth: by(m.hbm_bandwidth, format!("memory.{}_bandwidth * hbm.stacks", f.kind)),
        accesses_per_controller: by(
            up(outstanding / (controllers as f64 * access)),
            "ceil(hbm.bandwidth * dram.latency / (hbm.controllers * hbm.access))",
        ),
        interface,
        channels,
        pseudo_channels: pseudo,
        burst_length: burst,
    })
}

fn global_memory(f: &From<'_>, array: &PeArray, cores: &Cores, hbm: &Hbm) -> GlobalMemory {
    let m = &f.chip.memory;
    let (rows, columns) = (array.tile_rows.value, array.tile_columns.value);
    let operands = rows.max(columns) / cores.multicast.value + rows.min(columns);
    let word = hbm.access.value;
    let banks = up(m.global_bytes_per_cycle / word.value());
    GlobalMemory {
        capacity: by(m.global, "point.global"),
        cache: choice(m.global_is_cache, "what stays is chosen by the program"),
        word: by(word, "hbm.access"),
        banks: by(banks, "ceil(global_memory.bytes_per_cycle / global_memory.word)"),
        depth: by(
            up(m.global.value() / (banks as f64 * word.value())),
            "ceil(global_memory.capacity / (global_memory.banks * global_memory.word))",
        ),
        ports: choice(PORTS, "a bank is filled while it is read"),
        demand_per_core: by(
            2.0 * operands as f64 * array.macs_per_cycle.value as f64 / (rows * columns) as f64,
            "pe_array.operand_bits / 8 * (max(pe_array.tile_rows, pe_array.tile_columns) / cores.multicast + min(pe_array.tile_rows, \
             pe_array.tile_columns)) * pe_array.macs_per_cycle / (pe_array.tile_rows * pe_array.tile_columns)",
        ),
        bytes_per_cycle: by(m.global_bytes_per_cycle, "ceil(global_memory.demand_per_core * cores.working * 5 / 4)"),
        bandwidth: by(BytesPerSecond(m.global_bytes_per_cycle * f.point.clock.value()), "global_memory.bytes_per_cycle * clocks.core"),
    }
}

fn network(f: &From<'_>, cores: &Cores, global: &GlobalMemory, hbm: &Hbm) -> Fit<Network> {
    let lane: BytesPerSecond = f.row("lanes", "die_to_die")?;
    let groups = cores.groups.value;
    let flit = hbm.access.value;
    let between = if f.point.dies > 1 { global.bandwidth.value * 0.5 } else { BytesPerSecond(0.0) };
    Ok(Network {
        topology: choice("crossbar", "groups of cores on one side, banks of the global memory on the other; the area row is that of one"),
        switches: by(f.point.dies, "point.dies"),
        flit: by(flit, "hbm.access"),
        core_ports: by(groups, "cores.groups"),
        port_flits: by(
            up(global.bytes_per_cycle.value / (groups as f64 * flit.value())),
            "ceil(global_memory.bytes_per_cycle / (network.core_ports * network.flit))",
        ),
        memory_ports: by(global.banks.value, "global_memory.banks"),
        clock: by(f.point.clock, "clocks.core"),
        bandwidth: by(global.bandwidth.value, "global_memory.bytes_per_cycle * network.clock"),
        die_to_die: by(between, "network.bandwidth / 2 * min(point.dies - 1, 1)"),
        die_to_die_lane: by(lane, "lanes.die_to_die"),
        die_to_die_lanes: by(up(between / lane), "ceil(network.die_to_die / network.die_to_die_lane)"),
    })
}

fn dma(network: &Network, hbm: &Hbm, latency: Seconds) -> Dma {
    let engines = network.core_ports.value;
    let burst = (SLAB * OPERAND_BITS / u64::from(u8::BITS)) as f64;
    let outstanding = hbm.bandwidth.value.value() * latency.value();
    Dma {
        engines: by(engines, "network.core_ports"),
        burst: by(Bytes(burst), "scratchpad.slab"),
        latency: by(latency, "dram.latency"),
        outstanding: by(Bytes(outstanding), "hbm.bandwidth * dma.latency"),
        bursts_per_engine: by(up(outstanding / (engines as f64 * burst)), "ceil(dma.outstanding / (dma.engines * dma.burst))"),
    }
}

fn links(f: &From<'_>) -> Fit<LinkPorts> {
    let l = &f.chip.links;
    let lane: BytesPerSecond = f.row("lanes", "link")?;
    Ok(LinkPorts {
        scale_up: by(l.scale_up, "point.scale_up"),
        scale_up_domain: by(l.scale_up_domain, "point.scale_up_domain"),
        scale_up_switched: choice(l.scale_up_switched, "a switch joins the domain"),
        scale_out: by(l.scale_out, "template.scale_out"),
        lane: by(lane, "lanes.link"),
        scale_up_lanes: by(up(l.scale_up / lane), "ceil(links.scale_up / links.lane)"),
        scale_out_lanes: by(up(l.scale_out / lane), "ceil(links.scale_out / links.lane)"),
    })
}

fn power(f: &From<'_>) -> Power {
    let t = &f.constants.template;
    let load = full_load(f.chip, f.constants);
    let p = &f.chip.power;
    let node = format!("node.{}_energy", f.node());
    let asked = if f.point.power_cap.is_some() { "point.power_cap" } else { "template.power_margin * (power.standing + power.sustained)" };
    let cooled = if p.cap <= t.air_limit { "template.air" } else { "template.coolant" };
    Power {
        standing: by(Watts(load.static_w), "silicon.total * 1e6 * template.static_per_mm2"),
        arrays: by(
            Watts(load.arrays_w),
            format!(
                "clocks.core * cores.working * pe_array.macs_per_cycle * (energy.mac_fp16 + (pe_array.operand_bits / 8 / pe_array.columns + \
                 2 * pe_array.sum_bits / 8 / pe_array.rows) * energy.array_edge) * {node}"
            ),
        ),
        scratchpads: by(Watts(load.local_w), format!("cores.working * scratchpad.bandwidth / 2 * energy.scratchpad * {node}")),
        global_memory: rule(
            Watts(load.global_w),
            "half the bandwidth; energy per byte between those of a small and a large memory, straight in the logarithms",
        ),
        hbm: by(Watts(load.hbm_w), format!("hbm.bandwidth * memory.{}_energy", f.kind)),
        links: by(Watts(load.link_w), "links.scale_up * energy.link"),
        sustained: by(
            Watts(load.sustained_w()),
            "max(power.arrays + power.scratchpads + power.global_memory, power.hbm) + min(power.arrays + power.scratchpads + \
             power.global_memory, power.hbm) / 2 + power.links",
        ),
        limit: by(t.liquid_limit, "template.liquid_limit"),
        cap: by(p.cap, format!("min({asked}, power.limit)")),
        idle: by(p.idle, "power.standing * template.idle_share"),
        junction: by(Celsius(t.junction_c), "template.junction"),
        coolant: by(p.coolant, cooled),
        resistance: by(p.resistance, "(power.junction - power.coolant) / power.cap"),
    }
}

fn silicon(f: &From<'_>) -> Floor {
    let area = breakdown(f.chip, f.constants);
    let s = &f.chip.silicon;
    let node = f.node();
    let part = |name: &str| SquareMetres(area.parts.iter().filter(|p| p.0 == name).map(|p| p.1).sum::<f64>() * 1e-6);
    let logic = |name: &str, formula: &str| by(part(name), format!("{formula} * node.{node}_logic_area"));
    let sram = |name: &str, formula: &str| by(part(name), format!("{formula} / 1024 / 1024 * area.buffer_per_mib * node.{node}_sram_area"));
    Floor {
        pe_array: logic("arrays", "cores.built * pe_array.macs_per_cycle * area.mac"),
        scratchpad: sram("scratchpad", "cores.built * scratchpad.capacity"),
        vector_unit: logic("lanes", "cores.built * vector_unit.lanes * area.lane"),
        control: logic("control", "cores.built * pe_array.per_core * area.control"),
        global_memory: sram("global memory", "global_memory.capacity"),
        network: logic("network", "global_memory.bytes_per_cycle * area.noc_per_byte_cycle"),
        hbm_phy: by(part("memory PHY"), format!("hbm.stacks * memory.{}_phy_area", f.kind)),
        hbm_controller: logic("memory controller", "silicon.hbm_phy * area.memory_controller_share"),
        link_phy: by(part("link PHY"), "(links.scale_up + links.scale_out) / 1e9 * area.link_phy_per_gb_s"),
        link_controller: logic("link controller", "(links.scale_up + links.scale_out) / 1e9 * area.link_controller_per_gb_s"),
        die_to_die: by(part("die to die"), "network.die_to_die / 1e9 * area.die_to_die_per_gb_s"),
        other: logic("other", "silicon.dies * area.other"),
        total: by(
            SquareMetres(area.total_mm2 * 1e-6),
            "silicon.pe_array + silicon.scratchpad + silicon.vector_unit + silicon.control + silicon.global_memory + silicon.network + \
             silicon.hbm_phy + silicon.hbm_controller + silicon.link_phy + silicon.link_controller + silicon.die_to_die + silicon.other",
        ),
        die_width: by(s.die_width, "min(sqrt(silicon.total / silicon.dies), template.reticle_width)"),
        die_height: by(s.die_height, "silicon.total / silicon.dies / silicon.die_width"),
        dies: by(s.dies, "point.dies"),
        package: choice(s.package.clone(), "CoWoS-S for one die, CoWoS-L for several"),
        node: choice(node.to_owned(), "point.node, as the data writes it"),
    }
}
