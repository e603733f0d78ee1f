//! The exact Pareto front of points to be minimised in every coordinate.
//!
//! A point is on the front when no other is at most as large everywhere and smaller somewhere; equal points are all on it, the first by index
//! stands for them. Sorted by the first coordinate each point is compared with the front so far: O(n · front).

/// Coordinates of a design: levelised cost, training days, month of first volume.
pub type Goals = [f64; 3];

/// Whether `a` is at most as large as `b` everywhere and smaller somewhere.
pub fn dominates(a: &Goals, b: &Goals) -> bool {
    a.iter().zip(b).all(|(x, y)| x <= y) && a.iter().zip(b).any(|(x, y)| x < y)
}

/// Whether any of `front` dominates or equals `bound`: then nothing at or above `bound` can join the front.
pub fn excluded(front: &[Goals], bound: &Goals) -> bool {
    front.iter().any(|f| dominates(f, bound))
}

/// Indices of the front, in the order of the first coordinate, then of the others, then of the index.
pub fn front(points: &[Goals]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).filter(|&i| points[i].iter().all(|v| v.is_finite())).collect();
    order.sort_by(|&a, &b| {
        let by = |k: usize| points[a][k].total_cmp(&points[b][k]);
        by(0).then(by(1)).then(by(2)).then(a.cmp(&b))
    });
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        if !front.iter().any(|&f| points[f] == points[i] || dominates(&points[f], &points[i])) {
            front.push(i);
        }
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn front_agrees_with_brute_force(points in proptest::collection::vec(proptest::array::uniform3(0u8..6), 0..60)) {
            let points: Vec<Goals> = points.into_iter().map(|p| p.map(f64::from)).collect();
            let found: Vec<Goals> = front(&points).into_iter().map(|i| points[i]).collect();
            for p in &points {
                let free = !points.iter().any(|q| dominates(q, p));
                prop_assert_eq!(free, found.contains(p));
            }
        }

        #[test]
        fn points_excluded_by_a_bound_are_never_on_the_front(points in proptest::collection::vec(proptest::array::uniform3(0u8..9), 1..40), slack in 0u8..4) {
            let points: Vec<Goals> = points.into_iter().map(|p| p.map(f64::from)).collect();
            let whole: Vec<Goals> = front(&points).into_iter().map(|i| points[i]).collect();
            let mut kept: Vec<Goals> = Vec::new();
            for p in &points {
                let bound = p.map(|v| v - f64::from(slack));
                if !excluded(&kept, &bound) { kept.push(*p); }
            }
            let pruned: Vec<Goals> = front(&kept).into_iter().map(|i| kept[i]).collect();
            prop_assert_eq!(whole, pruned);
        }
    }
}
