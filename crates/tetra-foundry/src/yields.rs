//! Yield of an area `A` at a defect density `D`, with `l = A·D`.
//!
//! Poisson `e^-l`; Murphy (1964) `((1-e^-l)/l)^2`; Seeds (1967) `1/(1+l)`; negative binomial (Stapper 1973) `(1+l/a)^-a`;
//! Bose-Einstein `(1+A·D_layer)^-n` with n critical layers. Defect density falls with the age of a process as
//! `D(t) = Dinf + (Dstart - Dinf)·e^(-t/tau)`. Left out: layer-wise critical areas, systematic and parametric loss, wafer-edge defects.

/// A yield model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum YieldModel {
    /// Defects independent of each other.
    Poisson,
    /// Triangular spread of density.
    Murphy,
    /// Exponential spread of density.
    Seeds,
    /// Gamma spread of density with the given cluster parameter.
    NegativeBinomial {
        /// Cluster parameter: small means clustered.
        alpha: f64,
    },
    /// Each of the critical layers with its own density `D/layers`.
    BoseEinstein {
        /// Critical layers.
        layers: f64,
    },
}

/// Probability that an area of `defects` expected defects has none. In [0, 1]; an argument that is not a number gives 0.
pub fn perfect(model: YieldModel, defects: f64) -> f64 {
    if defects.is_nan() {
        return 0.0;
    }
    let l = defects.max(0.0);
    let y = match model {
        YieldModel::Poisson => (-l).exp(),
        YieldModel::Murphy if l < 1e-8 => 1.0 - l,
        YieldModel::Murphy => (-(-l).exp_m1() / l).powi(2),
        YieldModel::Seeds => 1.0 / (1.0 + l),
        YieldModel::NegativeBinomial { alpha } => spread(l, alpha),
        YieldModel::BoseEinstein { layers } => spread(l, layers),
    };
    if y.is_nan() { 0.0 } else { y.clamp(0.0, 1.0) }
}

/// `(1 + l/a)^-a`, which is the transform of a gamma density and of `a` exponential layers alike.
fn spread(l: f64, a: f64) -> f64 {
    if a > 0.0 { (-a * (l / a).ln_1p()).exp() } else { (-l).exp() }
}

/// How a process learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learning {
    /// Defects per cm2 when volume production began.
    pub start_per_cm2: f64,
    /// Defects per cm2 that remain.
    pub floor_per_cm2: f64,
    /// Years in which the excess falls by e.
    pub years: f64,
    /// Year in which volume production began.
    pub volume_year: f64,
}

impl Learning {
    /// Defects per cm2 in a year. Before volume production the same curve is followed backwards for up to `years`.
    pub fn density_per_cm2(&self, year: f64) -> f64 {
        let age = ((year - self.volume_year) / self.years.max(f64::MIN_POSITIVE)).max(-1.0);
        self.floor_per_cm2 + (self.start_per_cm2 - self.floor_per_cm2) * (-age).exp()
    }
}

/// Share of the dies that pass a test of coverage `coverage` although they are bad: `1 - Y^(1-T)` (Williams and Brown 1981).
pub fn escapes(good: f64, coverage: f64) -> f64 {
    let t = coverage.clamp(0.0, 1.0);
    if good <= 0.0 { 1.0 - t } else { 1.0 - good.min(1.0).powf(1.0 - t) }
}
