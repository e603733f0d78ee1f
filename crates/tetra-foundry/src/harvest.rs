//! Sellable share of dies when only `k` of `n` cores must work and defects cluster.
//!
//! With `X ~ Gamma(a, 1/a)` the local defect density relative to its mean, `p = e^(-lc·X)` the chance that a core works and `lu` the
//! expected defects that no spare core heals: `P = E[ e^(-lu·X) · sum_{j>=k} C(n,j) p^j (1-p)^(n-j) ]`. The expectation is taken by
//! generalised Gauss-Laguerre quadrature (Golub and Welsch 1969), the tail from its largest term; the expanded alternating sum is
//! not used because it loses all digits. Left out: spares that only serve some neighbours, speed bins.

/// Nodes and weights for `E[f(X)]`, `X ~ Gamma(alpha, 1/alpha)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// Cluster parameter.
    pub alpha: f64,
    points: Vec<(f64, f64)>,
}

/// Points of the quadrature.
const POINTS: usize = 32;

impl Clustering {
    /// Quadrature for one cluster parameter. Infinite or not positive means no clustering: one point at the mean.
    pub fn new(alpha: f64) -> Self {
        if !(alpha > 0.0 && alpha < 1e4) {
            return Self { alpha: f64::INFINITY, points: vec![(1.0, 1.0)] };
        }
        let a = alpha - 1.0;
        let mut diagonal: Vec<f64> = (0..POINTS).map(|i| 2.0 * i as f64 + 1.0 + a).collect();
        let mut below: Vec<f64> = (1..=POINTS).map(|i| (i as f64 * (i as f64 + a)).sqrt()).collect();
        let mut first = vec![0.0; POINTS];
        first[0] = 1.0;
        tridiagonal_eigen(&mut diagonal, &mut below, &mut first);
        let total: f64 = first.iter().map(|v| v * v).sum();
        let mut points: Vec<(f64, f64)> = diagonal.iter().zip(&first).map(|(x, v)| (x / alpha, v * v / total)).collect();
        points.sort_by(|p, q| p.0.total_cmp(&q.0));
        // Far points carry no weight that a sum of 64-bit floats could see.
        points.retain(|p| p.1 > f64::EPSILON * f64::EPSILON);
        Self { alpha, points }
    }

    /// The expectation of a function of the relative density.
    pub fn expect(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.points.iter().map(|&(x, w)| w * f(x)).sum()
    }
}

/// Implicit QL with shifts; `first` becomes the first row of the eigenvectors (Golub and Welsch 1969; EISPACK `imtql2`).
fn tridiagonal_eigen(d: &mut [f64], e: &mut [f64], first: &mut [f64]) {
    let n = d.len();
    e[n - 1] = 0.0;
    for l in 0..n {
        for _ in 0..64 {
            let m = (l..n - 1).find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs())).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                r = f.hypot(g);
                e[i + 1] = r;
                (s, c) = if r == 0.0 { (0.0, 1.0) } else { (f / r, g / r) };
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                let z = first[i + 1];
                first[i + 1] = s * first[i] + c * z;
                first[i] = c * first[i] - s * z;
            }
            d[l] -= p;
            e[l] = g;
            e[m] = 0.0;
        }
    }
}

/// Probability that at least `needed` of `built` cores work and nothing else fails.
///
/// `core_defects` are the expected defects of one core, `other_defects` those that kill the die. 0 when `needed > built`.
pub fn sellable(clustering: &Clustering, built: u64, needed: u64, core_defects: f64, other_defects: f64) -> f64 {
    if needed > built || core_defects.is_nan() || other_defects.is_nan() {
        return 0.0;
    }
    let (core, other) = (core_defects.max(0.0), other_defects.max(0.0));
    let p = clustering.expect(|x| (-other * x).exp() * at_most_bad(built, built - needed, core * x));
    p.clamp(0.0, 1.0)
}

/// Standard deviations beyond which a tail is nothing in 64-bit floats.
const FAR: f64 = 64.0;

/// Probability that at most `spares` of `n` cores have a defect when each expects `defects`.
fn at_most_bad(n: u64, spares: u64, defects: f64) -> f64 {
    // Odds that a core is bad: (1 - e^-d)/e^-d = e^d - 1.
    let odds = defects.exp_m1();
    if spares >= n || odds == 0.0 {
        return 1.0;
    }
    let good = (-defects).exp();
    let (size, room) = (n as f64, spares as f64);
    let (mean, deviation) = (size * (1.0 - good), (size * (1.0 - good) * good).sqrt());
    if room + 1.0 < mean - FAR * (deviation + 1.0) {
        return 0.0;
    }
    let last = room.min(mean + FAR * (deviation + 1.0)) as u64;
    let none = -size * defects;
    let step = |i: u64| (n - i + 1) as f64 / i as f64;
    if none > f64::MIN_POSITIVE.ln() {
        let (mut term, mut sum) = (none.exp(), none.exp());
        for i in 1..=last {
            term *= odds * step(i);
            sum += term;
            if term < sum * f64::EPSILON && i as f64 > mean {
                break;
            }
        }
        return sum.min(1.0);
    }
    // Terms of the product underflow: in logarithms.
    let (mut log_term, mut sum, log_odds) = (none, none.exp(), odds.ln());
    for i in 1..=last {
        log_term += log_odds + step(i).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}
