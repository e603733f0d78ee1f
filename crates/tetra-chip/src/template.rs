//! The custom template: a few numbers of a design → a chip with its derived structure, die, power cap and links, or why it does not fit.
//!
//! Derived by rule, so that the H100 written here is the H100 of its file: a scratchpad feeds four bytes per array row and cycle; a
//! tile of accumulators takes half the scratchpad or the registers of its lanes; the global memory feeds what the arrays can use at
//! full tiles. The cap is the power at full load times a margin, no more than cooling carries off.

use tetra_quantity::{Bytes, BytesPerSecond, Celsius, Hertz, KelvinPerWatt, Metres, SquareMetres, Watts};

use crate::area::{breakdown, die_size_mm};
use crate::chip::{Chip, ChipKind, Compute, Links, MacRates, Memory, PowerEnvelope, Silicon};
use crate::constants::{ChipConstants, TemplateConstants};
use crate::energy::full_load;
use crate::error::{Fit, Misfit};

/// A design of the template.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Design {
    /// Process node, a row of the technology tables.
    pub node: String,
    /// Cores that must work, all dies together.
    pub cores: u64,
    /// PE arrays per core.
    pub arrays_per_core: u64,
    /// Rows of an array.
    pub array_rows: u64,
    /// Columns of an array.
    pub array_columns: u64,
    /// Vector lanes per core.
    pub lanes: u64,
    /// Scratchpad of a core.
    pub local: Bytes,
    /// Memory shared by all cores.
    pub global: Bytes,
    /// Off-chip memory kind, a row of the technology tables.
    pub hbm_kind: String,
    /// Stacks, all dies together.
    pub hbm_stacks: u64,
    /// Scale-up bandwidth per direction.
    pub scale_up: BytesPerSecond,
    /// Chips in a scale-up domain.
    pub scale_up_domain: u64,
    /// Clock.
    pub clock: Hertz,
    /// Compute dies.
    pub dies: u64,
    /// Most power that the package may draw; without it, what full load asks for with a margin.
    pub power_cap: Option<Watts>,
}

/// Widest side of a tile that a core's arrays work on together.
pub(crate) const TILE_SIDE: u64 = 1024;
/// Bytes that a scratchpad feeds per array row and cycle: a 16-bit operand streams while another one loads.
pub(crate) const FEED_PER_ROW: u64 = 4;
/// Cores that share a fetch.
pub(crate) const MULTICAST: u64 = 2;
/// Bytes of an accumulator.
pub(crate) const SUM_BYTES: u64 = 4;
/// Summed-dimension slab of a tile and the copies of it that are held.
pub(crate) const SLAB: u64 = 64;
pub(crate) const SLABS: u64 = 2;
/// Accumulators that a lane's registers hold (1 KiB of sums).
pub(crate) const SUMS_PER_LANE: u64 = 256;

/// Builds the chip of a design.
///
/// # Errors
/// The first reason why it does not fit.
pub fn build(design: &Design, constants: &ChipConstants) -> Fit<Chip> {
    check(design, constants)?;
    let t = &constants.template;
    let tile = tile(design)?;
    let spare = (design.cores as f64 * t.spare_cores).ceil() as u64;
    let mut chip = Chip {
        name: "template".into(),
        aliases: Vec::new(),
        year: 0,
        source: "template".into(),
        kind: ChipKind::Template,
        compute: compute(design, tile, t),
        memory: memory(design, tile, constants)?,
        links: Links {
            scale_up: design.scale_up,
            scale_up_domain: design.scale_up_domain,
            scale_up_switched: true,
            scale_up_reduces: false,
            scale_out: BytesPerSecond(t.scale_out_bytes_s),
        },
        power: PowerEnvelope { cap: Watts(1.0), idle: Watts(0.0), coolant: Celsius(t.coolant_c), resistance: KelvinPerWatt(0.0) },
        silicon: Silicon {
            node: design.node.clone(),
            dies: design.dies,
            die_width: Metres(0.0),
            die_height: Metres(0.0),
            area: SquareMetres(0.0),
            cores_built: design.cores + spare,
            package: if design.dies > 1 { "CoWoS-L".into() } else { "CoWoS-S".into() },
        },
    };
    lay_out(&mut chip, constants)?;
    power(&mut chip, design.power_cap, constants)?;
    Ok(chip)
}

fn compute(design: &Design, tile: (u64, u64), t: &TemplateConstants) -> Compute {
    let [fp32, fp8, int8, fp4] = t.rates;
    Compute {
        cores: design.cores,
        clock: design.clock,
        clock_max: design.clock,
        arrays_per_core: design.arrays_per_core,
        array_rows: design.array_rows,
        array_columns: design.array_columns,
        shadow_weights: true,
        rate: MacRates { fp32, fp8, int8, fp4 },
        lanes_per_core: design.lanes,
        tile_rows_max: tile.0,
        tile_columns_max: tile.1,
        multicast: MULTICAST.min(design.cores),
        cluster: 1,
        narrow_one_way: false,
        groups: 1,
    }
}

fn memory(design: &Design, (rows, columns): (u64, u64), constants: &ChipConstants) -> Fit<Memory> {
    let kind = constants.memory(&design.hbm_kind).ok_or(Misfit::Unknown { field: "hbm_kind" })?;
    let macs = (design.arrays_per_core * design.array_rows * design.array_columns) as f64;
    // At a full tile a core needs (rows/multicast + columns)·2 bytes per rows·columns/macs cycles; a quarter more is laid out.
    let operands = (rows.max(columns) / MULTICAST.min(design.cores) + rows.min(columns)) as f64;
    let demand = 2.0 * operands * macs / (rows * columns) as f64;
    let stacks = design.hbm_stacks as f64;
    Ok(Memory {
        local: design.local,
        local_bytes_per_cycle: (FEED_PER_ROW * design.array_rows) as f64,
        global: design.global,
        global_bytes_per_cycle: (demand * design.cores as f64 * (1.0 + 0.5 * 0.5)).ceil(),
        global_is_cache: false,
        hbm_kind: design.hbm_kind.clone(),
        hbm_stacks: design.hbm_stacks,
        hbm: kind.capacity * stacks,
        hbm_bandwidth: kind.bandwidth * stacks,
    })
}

fn check(d: &Design, constants: &ChipConstants) -> Fit<()> {
    const MOST: u64 = 1 << 20;
    let counts = [
        ("cores", d.cores, 1 << 14),
        ("arrays_per_core", d.arrays_per_core, 1 << 8),
        ("array_rows", d.array_rows, 1 << 12),
        ("array_columns", d.array_columns, 1 << 12),
        ("lanes", d.lanes, 1 << 16),
        ("hbm_stacks", d.hbm_stacks, 1 << 8),
        ("scale_up_domain", d.scale_up_domain, MOST),
        ("dies", d.dies, 1 << 6),
    ];
    for (field, n, most) in counts {
        if n == 0 || n > most {
            return Err(Misfit::OutOfRange { field });
        }
    }
    let node = constants.node(&d.node).ok_or(Misfit::Unknown { field: "node" })?;
    let within = |x: f64, low: f64, high: f64| x.is_finite() && (low..=high).contains(&x);
    if !within(d.clock.value(), 1e8, constants.template.clock_max_hz * node.speed) {
        return Err(Misfit::OutOfRange { field: "clock" });
    }
    for (field, x, low, high) in
        [("local", d.local.value(), 1e3, 1e10), ("global", d.global.value(), 1e3, 1e12), ("scale_up", d.scale_up.value(), 0.0, 1e14)]
    {
        if !within(x, low, high) {
            return Err(Misfit::OutOfRange { field });
        }
    }
    Ok(())
}

/// Rows and columns of the largest tile: accumulators within the lanes' registers and half the scratchpad, slabs in the other half.
fn tile(d: &Design) -> Fit<(u64, u64)> {
    let local = d.local.value();
    let sums = ((local * 0.5) as u64 / SUM_BYTES).max(SUMS_PER_LANE * d.lanes);
    let (mut rows, mut columns) = (16, 32);
    let slabs = |r: u64, c: u64| ((r + c) * SLAB * 2 * SLABS) as f64;
    if slabs(rows, columns) > local {
        return Err(Misfit::LocalTooSmall { asked: slabs(rows, columns), there: local });
    }
    loop {
        let (r, c) = if rows <= columns { (rows * 2, columns) } else { (rows, columns * 2) };
        if r.max(c) > TILE_SIDE || r * c > sums || slabs(r, c) > local {
            return Ok((rows, columns));
        }
        (rows, columns) = (r, c);
    }
}

/// Area, die size and edge; refuses what the exposure field or the edge cannot hold.
fn lay_out(chip: &mut Chip, constants: &ChipConstants) -> Fit<()> {
    let t = &constants.template;
    let area = breakdown(chip, constants);
    let field = SquareMetres(t.reticle_width.value() * t.reticle_height.value());
    let (w, h) = die_size_mm(chip, &area, constants);
    if h > t.reticle_height.value() * 1e3 {
        return Err(Misfit::Reticle { area: SquareMetres(area.die_mm2 * 1e-6), field });
    }
    let dies = chip.silicon.dies as f64;
    let edge = 2.0 * (w + h) * dies - if dies > 1.0 { 2.0 * w.min(h) * (dies - 1.0) } else { 0.0 };
    let links = chip.links.scale_up.value() + chip.links.scale_out.value();
    let asked = chip.memory.hbm_stacks as f64 * t.stack_edge.value() * 1e3 + links / t.link_edge_bytes_s_per_m * 1e3;
    if asked > edge {
        return Err(Misfit::Shoreline { asked_mm: asked, there_mm: edge });
    }
    chip.silicon.die_width = Metres(w * 1e-3);
    chip.silicon.die_height = Metres(h * 1e-3);
    chip.silicon.area = SquareMetres(area.total_mm2 * 1e-6);
    Ok(())
}

/// Power cap: full load times a margin, no more than liquid carries off; up to what air carries off, air cools it.
fn power(chip: &mut Chip, asked: Option<Watts>, constants: &ChipConstants) -> Fit<()> {
    let t = &constants.template;
    let load = full_load(chip, constants);
    let wanted = asked.map_or((load.static_w + load.sustained_w()) * t.power_margin, |w| w.value());
    if !wanted.is_finite() || wanted <= load.static_w {
        return Err(Misfit::OutOfRange { field: "power_cap" });
    }
    let limit = t.liquid_limit.value();
    if load.static_w > 0.5 * limit {
        return Err(Misfit::Heat { watts: load.static_w, limit });
    }
    let cap = wanted.min(limit);
    let coolant = if cap <= t.air_limit.value() { t.air_c } else { t.coolant_c };
    chip.power = PowerEnvelope {
        cap: Watts(cap),
        idle: Watts(load.static_w * t.idle_share),
        coolant: Celsius(coolant),
        resistance: KelvinPerWatt((t.junction_c - coolant) / cap),
    };
    Ok(())
}
