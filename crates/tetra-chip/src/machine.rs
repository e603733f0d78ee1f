//! The chip as the mapper counts: cycles of its arrays and bytes per cycle of its memories, without any constant of technology.

use tetra_workload::MacType;

use crate::chip::Chip;

/// Bytes of a partial sum.
pub(crate) const SUM_BYTES: u64 = 4;

/// The type in which a chip multiplies: the one asked for, or the next wider one that it has.
pub fn mac_of(asked: MacType, chip: &Chip) -> (usize, f64) {
    let r = &chip.compute.rate;
    let chain: &[(usize, f64)] = match asked {
        MacType::Fp32 => &[(0, r.fp32)],
        MacType::Fp16 => &[],
        MacType::Fp8 => &[(2, r.fp8)],
        MacType::Int8 => &[(3, r.int8)],
        MacType::Fp4 => &[(4, r.fp4), (2, r.fp8)],
    };
    chain.iter().copied().find(|&(_, rate)| rate > 0.0).unwrap_or((1, 1.0))
}

/// Cores that clusters reach, on the mean over chips: of a group only whole clusters count, and the cores that do not work lie anywhere, so
/// that the number left in a group is hypergeometric.
pub(crate) fn reached_by_clusters(chip: &Chip) -> f64 {
    let c = &chip.compute;
    let (cores, cluster, groups) = (c.cores.max(1), c.cluster.max(1), c.groups.max(1));
    let built = chip.silicon.cores_built.max(cores);
    let (of_group, dead) = ((built / groups) as usize, (built - cores) as f64);
    if cluster == 1 || groups == 1 || of_group as u64 > MOST_OF_GROUP {
        return cores as f64;
    }
    let mut chance = vec![0.0; of_group + 1];
    chance[0] = 1.0;
    for drawn in 0..of_group {
        for lost in (0..=drawn).rev() {
            let fails = chance[lost] * ((dead - lost as f64).max(0.0) / (built as f64 - drawn as f64)).min(1.0);
            chance[lost + 1] += fails;
            chance[lost] -= fails;
        }
    }
    let whole = |lost: usize| ((of_group - lost) as u64 / cluster) as f64;
    let clusters: f64 = chance.iter().enumerate().map(|(lost, p)| p * whole(lost)).sum();
    (clusters * (cluster * groups) as f64).clamp(1.0, cores as f64)
}

/// Largest group that is counted core by core.
const MOST_OF_GROUP: u64 = 1 << 10;

/// The chip in cycles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) cores: f64,
    pub(crate) arrays: f64,
    pub(crate) rows: u64,
    pub(crate) rows_by_rate: u64,
    pub(crate) columns: u64,
    pub(crate) shadow: bool,
    pub(crate) global: f64,
    pub(crate) multicast: f64,
    pub(crate) cluster: u64,
    /// Bytes of a core's scratchpad.
    pub(crate) local: f64,
    pub(crate) area_max: u64,
}

impl Machine {
    pub(crate) fn of(chip: &Chip, rate: f64) -> Self {
        let c = &chip.compute;
        let cores = c.cores.max(1) as f64;
        Self {
            cores,
            arrays: c.arrays_per_core.max(1) as f64,
            rows: c.array_rows.max(1),
            rows_by_rate: ((c.array_rows.max(1) as f64 * rate) as u64).max(1),
            columns: c.array_columns.max(1),
            shadow: c.shadow_weights,
            global: chip.memory.global.value(),
            multicast: c.multicast.max(1) as f64,
            cluster: c.cluster.max(1),
            local: chip.memory.local.value(),
            area_max: c.tile_rows_max.saturating_mul(c.tile_columns_max),
        }
    }

    /// Cycles that one core's arrays take for `rows × columns` results over `depth`.
    pub(crate) fn array_cycles(&self, rows: u64, columns: u64, depth: u64) -> f64 {
        let folds = depth.div_ceil(self.rows_by_rate) as f64 * columns.div_ceil(self.columns) as f64;
        let rows = rows as f64;
        let least = self.rows as f64;
        let fold = if self.shadow { rows.max(least) } else { rows + least };
        (folds / self.arrays).ceil() * fold
    }

    /// Bytes at the edges of the arrays for one MAC: a streamed operand per column, a held one per row of the tile, a sum in and out
    /// per row of the array.
    pub(crate) fn edge_bytes(&self, rows: u64, streamed: f64, held: f64) -> f64 {
        streamed / self.columns as f64 + held / rows.max(1) as f64 + (2 * SUM_BYTES) as f64 / self.rows_by_rate as f64
    }

    /// Bytes out of a core's scratchpad for that: the streamed operand once per group of columns, the held one once.
    pub(crate) fn local_bytes(&self, rows: u64, columns: u64, depth: f64, a: f64, b: f64) -> f64 {
        let width = (self.columns as f64 * self.arrays).max(1.0);
        let by_columns = rows as f64 * a * (columns as f64 / width).ceil() + columns as f64 * b;
        let by_rows = columns as f64 * b * (rows as f64 / width).ceil() + rows as f64 * a;
        depth * by_columns.min(by_rows)
    }
}
