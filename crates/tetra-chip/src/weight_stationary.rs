//! Where the cycles of a weight-stationary array go when its weights come from a slow memory: the counters of TPU v1.
//!
//! Weights come as whole tiles of the array, in order; a tile takes `F = bytes / rate` cycles to arrive, R cycles to shift in behind
//! the one in use, and is used for B cycles, one per row of the batch (two with 16-bit activations). Where `F > B` memory sets the
//! pace: of each period B cycles are active, `min(R, F - B)` are seen as shift and the rest as stall. A layer that needs the one
//! before waits for its drain, its activations and a barrier; the batch comes from the host and goes back; meanwhile weights arrive
//! until the FIFO is full. Shapes that a publication leaves open are enumerated: every set of equal layers that has the published
//! number of weights, layers and operations per weight byte. After Jouppi et al. 2017. Leaves out: overlap of host transfers between
//! batches, unequal layers.

use tetra_quantity::{DataError, Tables};

/// A weight-stationary machine in its own cycles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightStationary {
    /// Rows of the array.
    pub rows: f64,
    /// Columns of the array.
    pub columns: f64,
    /// Clock in hertz.
    pub clock: f64,
    /// Cycles in which one tile of weights arrives.
    pub tile_cycles: f64,
    /// Tiles that wait before the array.
    pub fifo_tiles: f64,
    /// Rows of sums that the accumulators hold.
    pub accumulator_rows: f64,
    /// Values per cycle of the activation unit.
    pub lanes: f64,
    /// Cycles per byte to and from the host.
    pub host_cycles_per_byte: f64,
    /// Cycles per byte that the host itself spends on a batch.
    pub reformat_cycles_per_byte: f64,
    /// Cycles of a barrier between dependent layers.
    pub barrier: f64,
}

/// An application as published.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Fully connected layers.
    pub fc: f64,
    /// Convolutions.
    pub conv: f64,
    /// Vector and pooling layers.
    pub vector: f64,
    /// Weights.
    pub weights: f64,
    /// Multiplications per weight byte.
    pub ops_per_byte: f64,
    /// Batch.
    pub batch: f64,
    /// Bytes of an activation.
    pub activation_bytes: f64,
    /// Side of its matrices where that is known, else 0.
    pub matrix: f64,
}

/// Equal layers: a matrix `depth x width` through which `rows` rows stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layers {
    /// How many.
    pub count: f64,
    /// Matrices per layer that are tiled apart.
    pub parts: f64,
    /// Rows of one matrix.
    pub depth: f64,
    /// Columns of it.
    pub width: f64,
    /// Rows that stream through.
    pub rows: f64,
    /// Values per row that come from the host if these layers are the first.
    pub inputs: f64,
    /// Values per row that go back to it if they are the last.
    pub outputs: f64,
}

/// Shares of the cycles of a batch, and its rates.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Counters {
    /// Share of cycles in which the array works.
    pub active: f64,
    /// Share of its peak that is used by true weights.
    pub useful: f64,
    /// Share of cycles that wait for weights.
    pub stall: f64,
    /// Share of cycles that shift weights in.
    pub shift: f64,
    /// All other cycles.
    pub other: f64,
    /// Operations per second, two per multiplication.
    pub ops: f64,
    /// Inferences per second of a server, the host's own work included.
    pub inferences: f64,
    /// Seconds of a batch on the device.
    pub seconds: f64,
}

/// Equal layers may miss the published, rounded number of weights by one part in so many.
const ROUNDING: u32 = 20;
/// Width of a matrix over its depth.
const ASPECTS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];
/// Matrices are a multiple of one of these.
const GRAINS: [f64; 4] = [1.0, 64.0, 128.0, 256.0];
/// Sides of square kernels.
const KERNELS: [f64; 4] = [1.0, 3.0, 5.0, 7.0];
/// Depths of feature maps beside fully connected layers.
const FEATURES: [u32; 7] = [32, 64, 96, 128, 192, 256, 384];

impl WeightStationary {
    /// The machine of an item of the tables; `barrier_s` is the latency of a dependent step.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(t: &Tables, item: &str, barrier_s: f64) -> Result<Self, DataError> {
        let n = |p: &str| t.number(item, p, "1");
        let clock = t.number(item, "clock", "MHz")? * 1e6;
        let (rows, columns) = (n("rows")?, n("columns")?);
        let rate = t.number(item, "weight_bandwidth", "GB/s")? * 1e9 * n("weight_stream_fraction")?;
        Ok(Self {
            rows,
            columns,
            clock,
            tile_cycles: rows * columns / rate * clock,
            fifo_tiles: n("fifo_tiles")?,
            accumulator_rows: n("accumulator_rows")?,
            lanes: n("lanes")?,
            host_cycles_per_byte: clock / (t.number(item, "host_bandwidth", "GB/s")? * 1e9),
            reformat_cycles_per_byte: clock / (t.number(item, "host_reformat", "GB/s")? * 1e9),
            barrier: barrier_s * clock,
        })
    }

    /// The counters of one batch.
    pub fn run(&self, app: &Application, layers: &[Layers]) -> Counters {
        let mut sum = Sum::default();
        let bytes = app.activation_bytes;
        let ends: f64 = layers.first().map_or(0.0, |l| l.rows * l.inputs) + layers.last().map_or(0.0, |l| l.rows * l.outputs);
        let host = ends * bytes * self.host_cycles_per_byte;
        // While the host's transfers run, the FIFO fills once.
        let mut ready = host.min(self.fifo_tiles * self.tile_cycles);
        for l in layers {
            let gap = self.gap(l, bytes);
            for_layer(self, l, bytes, ready, &mut sum);
            sum.other += l.count * gap;
            ready = gap.min(self.fifo_tiles * self.tile_cycles);
        }
        // Pooling reads the maps of the first layers, as recurrent steps read the vectors of theirs.
        let width = layers.first().map_or(0.0, |l| l.width * l.rows);
        sum.other += host + app.vector * (width / self.lanes * bytes + self.barrier);
        let cycles = sum.active + sum.shift + sum.stall + sum.other;
        let seconds = cycles / self.clock;
        let whole = seconds + ends * bytes * self.reformat_cycles_per_byte / self.clock;
        Counters {
            active: sum.active / cycles,
            useful: sum.useful / cycles,
            stall: sum.stall / cycles,
            shift: sum.shift / cycles,
            other: sum.other / cycles,
            ops: 2.0 * sum.macs / seconds,
            inferences: app.batch / whole,
            seconds,
        }
    }

    /// Cycles between a layer's last multiplication and the next one's first: drain, activations, barrier.
    fn gap(&self, l: &Layers, bytes: f64) -> f64 {
        let values = (l.rows * (l.width / self.columns).ceil()).min(self.accumulator_rows) * bytes;
        self.rows + self.columns + values + self.barrier
    }
}

#[derive(Default)]
struct Sum {
    active: f64,
    useful: f64,
    shift: f64,
    stall: f64,
    other: f64,
    macs: f64,
}

fn for_layer(m: &WeightStationary, l: &Layers, bytes: f64, first: f64, sum: &mut Sum) {
    let tiles = l.parts * (l.depth / m.rows).ceil() * (l.width / m.columns).ceil();
    let used = l.parts * l.depth * l.width / (tiles * m.rows * m.columns);
    let busy = l.rows * bytes;
    let shift = (m.tile_cycles - busy).clamp(0.0, m.rows);
    let gap = m.gap(l, bytes).min(m.fifo_tiles * m.tile_cycles);
    let ahead = (first + (l.count - 1.0).max(0.0) * gap) / l.count.max(1.0);
    let least = tiles * (busy + shift);
    let whole = (tiles * m.tile_cycles - ahead).max(least);
    sum.active += l.count * tiles * busy;
    sum.useful += l.count * tiles * busy * used;
    sum.shift += l.count * tiles * shift;
    sum.stall += l.count * (whole - least);
    sum.macs += l.count * l.parts * l.depth * l.width * l.rows;
}

impl Application {
    /// All applications of an item of the tables.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn all(t: &Tables, item: &str) -> Result<Vec<Self>, DataError> {
        let names: Vec<String> = t.item(item).filter_map(|r| r.parameter.strip_suffix("_weights").map(str::to_owned)).collect();
        names
            .into_iter()
            .map(|name| {
                let n = |p: &str| t.number(item, &format!("{name}_{p}"), "1");
                Ok(Self {
                    fc: n("fc")?,
                    conv: n("conv")?,
                    vector: n("vector")?,
                    weights: n("weights")? * 1e6,
                    ops_per_byte: n("ops_per_byte")?,
                    batch: n("batch")?,
                    activation_bytes: n("activation_bytes")?,
                    matrix: n("matrix")?,
                    name,
                })
            })
            .collect()
    }

    /// The application at another batch: operations per weight byte move with it.
    #[must_use]
    pub fn at_batch(&self, batch: f64) -> Self {
        Self { batch, ops_per_byte: self.ops_per_byte * batch / self.batch, ..self.clone() }
    }

    /// Every set of equal layers that agrees with what is published.
    pub fn shapes(&self) -> Vec<Vec<Layers>> {
        if self.matrix > 0.0 {
            let count = self.weights / (self.matrix * self.matrix);
            let parts = count / self.fc.max(1.0);
            let (side, rows) = (self.matrix, self.ops_per_byte);
            return vec![vec![Layers { count: self.fc, parts, depth: side, width: side, rows, inputs: side, outputs: side }]];
        }
        match (self.fc > 0.0, self.conv > 0.0) {
            (_, false) => fully_connected(self.fc, self.weights, self.batch).into_iter().map(|l| vec![l]).collect(),
            (false, true) => convolutions(self.conv, self.weights, self.ops_per_byte).into_iter().map(|l| vec![l]).collect(),
            (true, true) => self.mixed(),
        }
    }

    /// Convolutions of one depth before fully connected layers: the weights left and the operations left fix the rest.
    fn mixed(&self) -> Vec<Vec<Layers>> {
        let mut out = Vec::new();
        for kernel in KERNELS {
            for depth in FEATURES.map(f64::from) {
                let conv = self.conv * kernel * kernel * depth * depth;
                let left = self.weights - conv;
                let rows = (self.ops_per_byte * self.weights - self.batch * left) / conv;
                // A map is no larger than a picture.
                if left <= 0.0 || rows < self.batch || rows > self.batch * f64::from(LARGEST_MAP) {
                    continue;
                }
                for fc in fully_connected(self.fc, left, self.batch) {
                    out.push(vec![convolution(self.conv, kernel, depth, rows), fc]);
                }
            }
        }
        out
    }
}

/// Positions of the largest feature map.
const LARGEST_MAP: u32 = 112 * 112;

fn close(weights: f64, published: f64) -> bool {
    (weights / published - 1.0).abs() * f64::from(ROUNDING) <= 1.0
}

fn grain(value: f64, grain: f64) -> f64 {
    (value / grain).round().max(1.0) * grain
}

fn fully_connected(count: f64, weights: f64, rows: f64) -> Vec<Layers> {
    let each = weights / count;
    let mut out = Vec::new();
    for aspect in ASPECTS {
        for g in GRAINS {
            let (depth, width) = (grain((each / aspect).sqrt(), g), grain((each * aspect).sqrt(), g));
            if close(depth * width * count, weights) {
                out.push(Layers { count, parts: 1.0, depth, width, rows, inputs: depth, outputs: width });
            }
        }
    }
    out
}

fn convolutions(count: f64, weights: f64, rows: f64) -> Vec<Layers> {
    let mut out = Vec::new();
    for kernel in KERNELS {
        for g in GRAINS {
            let depth = grain((weights / count).sqrt() / kernel, g);
            if close(depth * depth * kernel * kernel * count, weights) {
                out.push(convolution(count, kernel, depth, rows));
            }
        }
    }
    out
}

/// Convolutions as products: the positions of a kernel lie side by side along the depth; a picture comes in, a map goes out.
fn convolution(count: f64, kernel: f64, depth: f64, rows: f64) -> Layers {
    Layers { count, parts: 1.0, depth: depth * kernel * kernel, width: depth, rows, inputs: COLOURS, outputs: 1.0 }
}

/// Channels of a picture.
const COLOURS: f64 = 3.0;
