//! A row-stationary array of PEs: mapping, traffic, time and power of convolutions, after Eyeriss (Chen et al. 2017).
//!
//! A set of `R x e` PEs makes e rows of one output map: a PE holds a kernel row and slides it over an input row. Sets fold onto the
//! array; r of them share sums over channels, t take other filters; a PE interleaves p filters and q channels within its registers.
//! The buffer holds n images' inputs of a pass (one image's fill a bank at most, or are one channel) and sums of m filters. Among all
//! mappings the one with least off-chip traffic, then least buffer traffic is taken. Off chip, zeros are run-length coded: three runs
//! and values in 64 bits. A pass takes as long as its multiplications or as its sums in or out of the buffer; filters load before it;
//! first inputs and results cross the link unhidden. Power: MACs and registers (gated where the input is zero), buffer, wires, and the
//! clock of every flip-flop. Leaves out: leakage, padding of strips.

use tetra_quantity::{DataError, Tables};

/// A convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convolution {
    /// Groups.
    pub groups: u64,
    /// Input channels of a group.
    pub channels: u64,
    /// Filters of a group.
    pub filters: u64,
    /// Rows and columns of the input.
    pub size: u64,
    /// Rows and columns of the kernel.
    pub kernel: u64,
    /// Stride.
    pub stride: u64,
    /// Zeros laid around the input.
    pub pad: u64,
    /// Share of zeros among inputs.
    pub zeros: f64,
}

impl Convolution {
    /// Rows of the output.
    pub fn output(&self) -> u64 {
        (self.size + 2 * self.pad).saturating_sub(self.kernel) / self.stride.max(1) + 1
    }

    /// Multiplications of one image.
    pub fn macs(&self) -> f64 {
        let e = self.output();
        (self.groups * self.channels * self.filters * self.kernel * self.kernel * e * e) as f64
    }

    /// The layers of an item of the tables, in their order.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn all(t: &Tables, item: &str) -> Result<Vec<Self>, DataError> {
        Ok(Self::named(t, item)?.into_iter().map(|(_, layer)| layer).collect())
    }

    /// The same with their names.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn named(t: &Tables, item: &str) -> Result<Vec<(String, Self)>, DataError> {
        let names: Vec<String> = t.item(item).filter_map(|r| r.parameter.strip_suffix("_zeros").map(str::to_owned)).collect();
        names
            .into_iter()
            .map(|name| {
                let n = |p: &str| t.number(item, &format!("{name}_{p}"), "1");
                let count = |p: &str| n(p).map(|v| v as u64);
                let layer = Self {
                    groups: count("groups")?,
                    channels: count("channels")?,
                    filters: count("filters")?,
                    size: count("size")?,
                    kernel: count("kernel")?,
                    stride: count("stride")?,
                    pad: count("pad")?,
                    zeros: n("zeros")?,
                };
                Ok((name, layer))
            })
            .collect()
    }
}

/// A row-stationary machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowStationary {
    rows: u64,
    columns: u64,
    clock: f64,
    link_bytes_s: f64,
    banks: u64,
    bank_bytes: u64,
    filter_words: u64,
    input_words: u64,
    sum_words: u64,
    sums_per_cycle: f64,
    coded_bytes: f64,
    mac_j: f64,
    filter_j: f64,
    input_j: f64,
    sum_j: f64,
    buffer_j: f64,
    wire_j: f64,
    clock_j: f64,
}

/// Bytes of a word.
const WORD: f64 = 2.0;
/// The same as a count.
const WORD_BYTES: u64 = 2;

/// What a run of layers takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct RowStationaryRun {
    /// Seconds of all images.
    pub seconds: f64,
    /// Multiplications.
    pub macs: f64,
    /// Off-chip bytes.
    pub dram_bytes: f64,
    /// Buffer bytes.
    pub buffer_bytes: f64,
    /// PEs in use, weighted by time.
    pub active_pes: f64,
    /// Joules.
    pub joules: f64,
}

#[derive(Clone, Copy)]
struct Pass {
    e: u64,
    n: u64,
    p: u64,
    q: u64,
    r: u64,
    t: u64,
    m: u64,
}

#[derive(Clone, Copy)]
struct Cost {
    dram: f64,
    buffer: f64,
    cycles: f64,
    exposed_bytes: f64,
    active: f64,
}

impl RowStationary {
    /// The machine of an item of the tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables, item: &str) -> Result<Self, DataError> {
        let n = |p: &str| t.number(item, p, "1");
        let pj = |p: &str| t.number(item, p, "pJ").map(|v| v * 1e-12);
        Ok(Self {
            rows: n("rows")? as u64,
            columns: n("columns")? as u64,
            clock: t.number(item, "clock", "MHz")? * 1e6,
            link_bytes_s: t.number(item, "link", "MB/s")? * 1e6,
            banks: n("banks")? as u64,
            bank_bytes: n("bank_bytes")? as u64,
            filter_words: n("filter_words")? as u64,
            input_words: n("input_words")? as u64,
            sum_words: n("sum_words")? as u64,
            sums_per_cycle: n("sum_words_per_cycle")?,
            coded_bytes: n("zero_run_bits")? / n("zero_run_values")? / 8.0,
            mac_j: pj("mac")?,
            filter_j: pj("filter_read")?,
            input_j: pj("input_read")?,
            sum_j: pj("sum_access")?,
            buffer_j: pj("buffer_word")?,
            wire_j: pj("wire_word")?,
            clock_j: t.number(item, "flip_flop", "fJ")? * 1e-15 * n("flip_flops")?,
        })
    }

    /// PEs of the array.
    pub fn pes(&self) -> f64 {
        (self.rows * self.columns) as f64
    }

    /// The machine at another clock, link and core alike, and supply voltage relative to the nominal one.
    #[must_use]
    pub fn at(&self, clock: f64, volts: f64) -> Self {
        let square = volts * volts;
        Self {
            clock,
            link_bytes_s: self.link_bytes_s * clock / self.clock,
            mac_j: self.mac_j * square,
            filter_j: self.filter_j * square,
            input_j: self.input_j * square,
            sum_j: self.sum_j * square,
            buffer_j: self.buffer_j * square,
            wire_j: self.wire_j * square,
            clock_j: self.clock_j * square,
            ..*self
        }
    }

    /// The machine with inputs free to spread over all banks.
    #[must_use]
    pub fn with_one_bank(&self) -> Self {
        Self { banks: 1, bank_bytes: self.banks * self.bank_bytes, ..*self }
    }

    /// All layers of a batch of images, one after the other; the results of the last are as sparse as its inputs.
    pub fn run(&self, layers: &[Convolution], images: u64) -> RowStationaryRun {
        self.run_some(layers, 0..layers.len(), images)
    }

    /// The same of some of a network's layers.
    pub fn run_some(&self, layers: &[Convolution], some: std::ops::Range<usize>, images: u64) -> RowStationaryRun {
        let mut out = RowStationaryRun::default();
        for (i, l) in layers.iter().enumerate().take(some.end).skip(some.start) {
            let next = layers.get(i + 1).unwrap_or(l).zeros;
            let Some(cost) = self.best(l, images, next) else { continue };
            let macs = l.macs() * images as f64;
            let seconds = cost.cycles / self.clock + cost.exposed_bytes / self.link_bytes_s;
            let gated = self.mac_j + self.filter_j + self.sum_j;
            let words = cost.buffer / WORD;
            out.seconds += seconds;
            out.macs += macs;
            out.dram_bytes += cost.dram;
            out.buffer_bytes += cost.buffer;
            out.active_pes += cost.active * seconds;
            out.joules += macs * (self.input_j + (1.0 - l.zeros) * gated)
                + words * (self.buffer_j + self.wire_j)
                + seconds * self.clock * self.clock_j;
        }
        if out.seconds > 0.0 {
            out.active_pes /= out.seconds;
        }
        out
    }

    /// Coded bytes per plain byte; what would grow is left plain.
    fn coded(&self, zeros: f64) -> f64 {
        ((1.0 - zeros) * self.coded_bytes / WORD).min(1.0)
    }

    fn best(&self, l: &Convolution, images: u64, next: f64) -> Option<Cost> {
        let mut best: Option<Cost> = None;
        self.each_pass(l, images, |pass| {
            let cost = self.cost(l, images, next, pass);
            if best.is_none_or(|b| (cost.dram, cost.buffer) < (b.dram, b.buffer)) {
                best = Some(cost);
            }
        });
        best
    }

    fn each_pass(&self, l: &Convolution, images: u64, mut visit: impl FnMut(Pass)) {
        let bands = self.rows / l.kernel.max(1);
        for e in 1..=l.output() {
            let folds = e.div_ceil(self.columns);
            let sets = if folds > bands { 0 } else { bands / folds * (self.columns / e).max(1) };
            for q in 1..=l.channels.min(self.input_words / l.kernel) {
                for r in (1..=sets).filter(|r| q * r <= l.channels) {
                    let t = (sets / r).min(l.filters);
                    let most = self.sum_words.min(self.filter_words / (q * l.kernel)).min(l.filters);
                    for p in (1..=most).filter(|p| p * t <= l.filters) {
                        for n in (1..=images).filter(|n| images.is_multiple_of(*n)) {
                            if let Some(m) = self.filters_held(l, e, n, q * r, p * t) {
                                visit(Pass { e, n, p, q, r, t, m });
                            }
                        }
                    }
                }
            }
        }
    }

    /// Filters whose sums fit beside the inputs of a pass, a multiple of those of one pass.
    fn filters_held(&self, l: &Convolution, e: u64, n: u64, channels: u64, step: u64) -> Option<u64> {
        let image = channels * self.input_bytes(l, e);
        if channels > 1 && image > self.bank_bytes {
            return None;
        }
        let left = if self.banks > 1 {
            self.banks.checked_sub((n * image).div_ceil(self.bank_bytes))? * self.bank_bytes
        } else {
            self.bank_bytes.checked_sub(n * image)?
        };
        let held = left / (n * e * l.output() * WORD_BYTES) / step * step;
        (held > 0).then_some(held.min(l.filters))
    }

    /// Bytes of one channel of one image that e output rows need.
    fn input_bytes(&self, l: &Convolution, e: u64) -> u64 {
        ((e - 1) * l.stride + l.kernel) * (l.size + 2 * l.pad) * WORD_BYTES
    }

    fn cost(&self, l: &Convolution, images: u64, next: f64, a: Pass) -> Cost {
        let all = (images * l.groups) as f64;
        let (out, filters, channels) = (l.output(), l.filters as f64, l.channels as f64);
        let strips = out.div_ceil(a.e) as f64;
        let groups = l.filters.div_ceil(a.m) as f64;
        let steps = l.channels.div_ceil(a.q * a.r) as f64;
        let rounds = (images / a.n) as f64;
        let rows = (l.size + 2 * l.pad) as f64;
        let halo = if strips > 1.0 { (strips * ((a.e - 1) * l.stride + l.kernel) as f64 / rows).max(1.0) } else { 1.0 };
        let input = all * channels * (l.size * l.size) as f64 * WORD * halo;
        let result = all * filters * (out * out) as f64 * WORD;
        let kernel = (l.kernel * l.kernel) as f64;
        let weights = l.groups as f64 * filters * channels * kernel * WORD * strips * rounds;
        let stored = result * self.coded(next);
        let passes = strips * rounds * l.filters.div_ceil(a.p * a.t) as f64 * steps * l.groups as f64;
        let work = (a.n * a.p * a.q * l.kernel * out) as f64;
        let sums = (a.n * a.p * a.t * a.e * out) as f64 / self.sums_per_cycle;
        let loaded = (a.p * a.t * a.q * a.r) as f64 * kernel;
        let first = (a.n * a.q * a.r * self.input_bytes(l, a.e)) as f64 * self.coded(l.zeros) + loaded * WORD;
        Cost {
            dram: input * groups * self.coded(l.zeros) + weights + stored,
            buffer: result * (2.0 * steps - 1.0) + input * l.filters.div_ceil(a.p * a.t) as f64,
            cycles: passes * (work.max(sums) + loaded / self.sums_per_cycle),
            exposed_bytes: stored + strips * rounds * groups * l.groups as f64 * first,
            active: (l.kernel * a.e * a.r * a.t) as f64,
        }
    }
}
