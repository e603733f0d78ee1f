//! A chip as a machine: off-chip memory, the memory shared by all cores, scratchpads, accumulators, arrays; energies of its node.
//!
//! The mapper's optimum on it is what the hardware allows; what libraries reach is the business of `timing`. Leaves out: register files
//! of threads, links between cores.

use tetra_workload::MacType;

use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::machine::{SUM_BYTES, mac_of};
use crate::nest::machine::{ComputeUnit, Dataflow, Fanout, Level, Machine, Roles};
use crate::timing::static_power;

/// Bits of a byte.
const BYTE: f64 = 8.0;

impl Machine {
    /// The machine that a chip is for operands of that many bits.
    pub fn of_chip(chip: &Chip, constants: &ChipConstants, operand_bits: u64) -> Self {
        let scale = constants.node(&chip.silicon.node).map_or(1.0, |n| n.energy);
        let e = &constants.energy;
        let (index, rate) = mac_of(mac_type(operand_bits), chip);
        let c = &chip.compute;
        let clock = c.clock.value();
        let hbm_j = constants.memory(&chip.memory.hbm_kind).or(constants.memories.first().map(|(_, m)| m)).map_or(0.0, |m| m.j_per_byte);
        let rows = ((c.array_rows.max(1) as f64 * rate) as u64).max(1);
        let accumulators = c.tile_rows_max.saturating_mul(c.tile_columns_max).saturating_mul(SUM_BYTES) as f64;
        let core = c.arrays_per_core.max(1) * rows * c.array_columns.max(1);
        let held = (core.saturating_mul(operand_bits)) as f64 / BYTE / core as f64;
        let levels = levels(chip, constants, &Array { rows, accumulators, held, hbm_j, scale });
        let compute = ComputeUnit {
            mac_j: e.mac_j[index.min(4)] * scale,
            vector_j: e.lane_j * scale,
            vector_ops_per_cycle: c.lanes_per_core.max(1) as f64,
            vector_level: 2,
            dataflow: Dataflow::Systolic,
            shadow: c.shadow_weights,
            launch_cycles: (constants.kernels.launch_s + constants.kernels.trip_s) * clock,
            static_w: Some(static_power(chip, constants).value()),
            operand_bits,
            sum_bits: SUM_BYTES * BYTE as u64,
            power_cap_w: Some(chip.power.cap.value()),
        };
        Self { name: chip.name.clone(), clock: c.clock, levels, compute }
    }
}

/// What the levels need beside the chip.
struct Array {
    rows: u64,
    accumulators: f64,
    held: f64,
    hbm_j: f64,
    scale: f64,
}

fn levels(chip: &Chip, constants: &ChipConstants, a: &Array) -> Vec<Level> {
    let (m, c, e) = (&chip.memory, &chip.compute, &constants.energy);
    let free = |level: Level| Level { double_buffer: false, read_bits_per_cycle: None, write_bits_per_cycle: None, ..level };
    let hbm = plain(&m.hbm_kind, 1.0, a.hbm_j, m.hbm_bandwidth.value() / c.clock.value());
    let global = plain("global memory", m.global.value(), e.global_j_per_byte(m.global.value()) * a.scale, m.global_bytes_per_cycle);
    let scratchpad = plain("scratchpad", m.local.value(), e.local_j_per_byte * a.scale, m.local_bytes_per_cycle);
    let arrays = vec![
        fanout("arrays", c.arrays_per_core.max(1), Roles::NONE),
        fanout("columns", c.array_columns.max(1), Roles::INPUT),
        fanout("rows", a.rows, Roles::OUTPUT),
    ];
    let (sums, weights) =
        (plain("accumulators", a.accumulators, e.edge_j_per_byte * a.scale, 1.0), plain("array registers", a.held, 0.0, 1.0));
    vec![
        Level { capacity_bits: None, keep: Roles::ALL, shared_port: true, efficiency: constants.kernels.hbm_read_fraction, ..hbm },
        Level {
            cache: m.global_is_cache,
            double_buffer: false,
            shared_port: true,
            efficiency: constants.kernels.global_fraction,
            fanouts: vec![cores(c.cores.max(1))],
            ..global
        },
        Level { shared_port: true, ..scratchpad },
        Level { may_keep: Roles::OUTPUT, fanouts: arrays, ..free(sums) },
        Level { keep: Roles::WEIGHT, may_keep: Roles::WEIGHT, ..free(weights) },
    ]
}

fn mac_type(bits: u64) -> MacType {
    match bits {
        0..=4 => MacType::Fp4,
        5..=8 => MacType::Fp8,
        9..=16 => MacType::Fp16,
        _ => MacType::Fp32,
    }
}

fn fanout(name: &str, size: u64, must_reuse: Roles) -> Fanout {
    Fanout { name: name.to_owned(), size, must_reuse, multicast: Roles::INPUT.with(Roles::WEIGHT), reduces: true }
}

/// Cores: one fetch serves all that want a word; sums of different cores meet in the memory above.
fn cores(size: u64) -> Fanout {
    Fanout { reduces: false, ..fanout("cores", size, Roles::NONE) }
}

fn plain(name: &str, bytes: f64, joules: f64, bytes_per_cycle: f64) -> Level {
    Level {
        name: name.to_owned(),
        capacity_bits: Some((bytes * BYTE) as u64),
        read_j_per_bit: joules / BYTE,
        write_j_per_bit: joules / BYTE,
        read_bits_per_cycle: Some(bytes_per_cycle * BYTE),
        write_bits_per_cycle: Some(bytes_per_cycle * BYTE),
        shared_port: false,
        granule_bits: 1,
        keep: Roles::NONE,
        may_keep: Roles::ALL,
        double_buffer: true,
        cache: false,
        efficiency: 1.0,
        fanouts: Vec::new(),
    }
}
