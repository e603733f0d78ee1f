//! Seeded randomness: the same seed, draw and factor give the same number on every machine and thread.
//!
//! SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) hashed by name, so that a new row never moves another row's draw.

/// A small counter-based generator.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// A name, hashed once for many draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream(u64);

impl Stream {
    /// The stream of a name.
    pub fn of(name: &str) -> Self {
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }
}

impl Rng {
    /// A generator for one seed, draw and name.
    pub fn new(seed: u64, draw: u64, name: &str) -> Self {
        Self::of(seed, draw, Stream::of(name))
    }

    /// The same for a name already hashed.
    pub fn of(seed: u64, draw: u64, stream: Stream) -> Self {
        let mut rng = Self(seed ^ draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.0.rotate_left(17));
        rng.next_u64();
        rng
    }

    /// Next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1), never an end.
    pub fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
}

/// The value at probability `u` of a two-piece log-normal (normal when a bound is not positive) whose P10, P50 and P90 are given.
pub fn quantile_of(u: f64, low: f64, mid: f64, high: f64) -> f64 {
    quantile_at(normal_of(u), low, mid, high)
}

/// The same at the normal quantile `z`, in units of that at 0.9.
pub fn quantile_at(z: f64, low: f64, mid: f64, high: f64) -> f64 {
    if low > 0.0 && mid > 0.0 && high > 0.0 {
        let step = if z < 0.0 { (mid / low).ln() } else { (high / mid).ln() };
        return mid * (z * step).exp();
    }
    mid + z * if z < 0.0 { mid - low } else { high - mid }
}

/// Normal quantile at `u`, in units of that at 0.9: -1 is P10, 1 is P90.
pub fn normal_of(u: f64) -> f64 {
    /// Standard normal quantile at 0.9.
    const Z90: f64 = 1.281_551_565_544_600_4;
    normal_quantile(u) / Z90
}

/// Inverse of the standard normal distribution (Acklam 2003, relative error below 1.2e-9).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] =
        [-3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2, -3.066479806614716e1, 2.506628277459239];
    const B: [f64; 5] = [-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1];
    const C: [f64; 6] =
        [-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
    const D: [f64; 4] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
    const TAIL: f64 = 0.02425;
    let horner = |c: &[f64], x: f64| c.iter().fold(0.0, |acc, &k| acc * x + k);
    let p = p.clamp(1e-300, 1.0 - 1e-16);
    if !(TAIL..=1.0 - TAIL).contains(&p) {
        let q = (-2.0 * p.min(1.0 - p).ln()).sqrt();
        let x = horner(&C, q) / (horner(&D, q) * q + 1.0);
        return if p < TAIL { x } else { -x };
    }
    let q = p - 0.5;
    let r = q * q;
    horner(&A, r) * q / (horner(&B, r) * r + 1.0)
}
