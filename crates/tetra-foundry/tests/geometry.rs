//! Gross dies against published and brute-force counts.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use proptest::prelude::*;
use tetra_foundry::dies::dies_at;
use tetra_foundry::{Wafer, gross_dies};

const WAFER: Wafer = Wafer { diameter_mm: 300.0, edge_mm: 3.0, scribe_mm: 0.1, field_width_mm: 26.0, field_height_mm: 33.0 };

/// Best of an exact scan of 400 x 400 offsets, by an independent program in C.
#[test]
fn equals_the_exhaustive_scan() {
    let a17 = 105f64.sqrt();
    for (w, h, best) in [(26.0, 33.0, 64), (25.0, 32.56, 66), (28.5, 28.56, 68), (20.0, 20.0, 148), (10.0, 10.0, 616), (a17, a17, 584)] {
        assert_eq!(gross_dies(w, h, &WAFER), best, "{w} x {h}");
    }
}

/// Centred die and centred corner of the same scan.
#[test]
fn equals_the_scan_at_its_named_offsets() {
    for (w, h, die, corner) in
        [(26.0, 33.0, 57, 64), (25.0, 32.56, 65, 64), (28.5, 28.56, 61, 68), (20.0, 20.0, 137, 148), (10.0, 10.0, 597, 616)]
    {
        assert_eq!(dies_at(w, h, &WAFER, 0.5, 0.5), die, "centred die {w} x {h}");
        assert_eq!(dies_at(w, h, &WAFER, 0.0, 0.0), corner, "centred corner {w} x {h}");
    }
}

/// A published count for 105 mm2 is 586; ours may differ by what edge and street it assumed.
#[test]
fn is_near_a_published_count() {
    let side = 105f64.sqrt();
    let found = gross_dies(side, side, &WAFER) as f64;
    assert!((found / 586.0 - 1.0).abs() < 0.01);
}

/// A widely copied count of 86 dies of 814 mm2 is more than the usable area holds.
#[test]
fn never_exceeds_the_usable_area() {
    let area = std::f64::consts::PI * WAFER.radius_mm().powi(2) / ((25.0 + 0.1) * (32.56 + 0.1));
    assert!((gross_dies(25.0, 32.56, &WAFER) as f64) < area && area < 86.0);
}

#[test]
fn senseless_sizes_give_none() {
    for v in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300, 300.0] {
        assert_eq!(gross_dies(v, 10.0, &WAFER), 0);
        assert_eq!(gross_dies(10.0, v, &WAFER), 0);
    }
    assert_eq!(gross_dies(10.0, 10.0, &Wafer { diameter_mm: f64::NAN, ..WAFER }), 0);
    assert_eq!(gross_dies(10.0, 10.0, &Wafer { diameter_mm: -3.0, ..WAFER }), 0);
}

/// Whole rectangles counted one by one from their corners.
fn count_by_corners(w: f64, h: f64, wafer: &Wafer, ox: f64, oy: f64) -> u64 {
    let (px, py, s, r) = (w + wafer.scribe_mm, h + wafer.scribe_mm, 0.5 * wafer.scribe_mm, wafer.radius_mm() + 1e-9);
    let mut n = 0;
    for i in -40..40 {
        for j in -40..40 {
            let (x, y) = ((f64::from(i) + ox) * px + s, (f64::from(j) + oy) * py + s);
            let inside = |x: f64, y: f64| x * x + y * y <= r * r;
            n += u64::from(inside(x, y) && inside(x + w, y) && inside(x, y + h) && inside(x + w, y + h));
        }
    }
    n
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counting_rows_equals_counting_corners(w in 8.0..60.0f64, h in 8.0..60.0f64, ox in 0.0..1.0f64, oy in 0.0..1.0f64) {
        prop_assert_eq!(dies_at(w, h, &WAFER, ox, oy), count_by_corners(w, h, &WAFER, ox, oy));
    }

    #[test]
    fn no_offset_beats_the_best(w in 12.0..70.0f64, h in 12.0..70.0f64) {
        let best = gross_dies(w, h, &WAFER);
        let mut scanned = 0;
        for i in 0..60 {
            for j in 0..60 {
                scanned = scanned.max(dies_at(w, h, &WAFER, f64::from(i) / 60.0, f64::from(j) / 60.0));
            }
        }
        prop_assert!(scanned <= best, "scan {} best {}", scanned, best);
        prop_assert!(best <= scanned + 2, "scan {} best {}", scanned, best);
    }

    #[test]
    fn a_larger_die_never_gives_more(w in 10.0..40.0f64, h in 10.0..40.0f64, grow in 0.0..5.0f64) {
        prop_assert!(gross_dies(w + grow, h, &WAFER) <= gross_dies(w, h, &WAFER));
        prop_assert_eq!(gross_dies(w, h, &WAFER), gross_dies(h, w, &WAFER));
    }
}
