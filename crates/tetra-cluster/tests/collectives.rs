//! Collectives against measurements and laws.

mod support;

use proptest::prelude::*;
use tetra_cluster::collective::{Span, time, time_over};
use tetra_cluster::{ClusterConstants, Network, Tier};
use tetra_quantity::BytesPerSecond;
use tetra_workload::{Collective, CollectiveKind, ParallelGroup};

fn network(up_gbs: f64, domain: u64, out_gbs: f64) -> Network {
    let n = ClusterConstants::from_tables(&support::tables()).expect("rows exist").network;
    let tier = |gbs: f64, small, large| Tier {
        bandwidth: BytesPerSecond(gbs * 1e9),
        small,
        large,
        exchange_efficiency: n.exchange_efficiency,
        switched: true,
        reduces: false,
    };
    Network {
        domain,
        scale_up: tier(up_gbs, n.up_small, n.up_large),
        scale_out: tier(out_gbs, n.out_small, n.out_large),
        torus_dimensions: n.torus_dimensions,
    }
}

fn all_reduce(bytes: u64) -> Collective {
    Collective { kind: CollectiveKind::AllReduce, bytes, group: ParallelGroup::Tensor }
}

/// LLMCompass (ISCA 2024) artefact, figure 5h: bytes and seconds on 4 x A100 SXM4, NVLink3 at 300 GB/s per direction.
const MEASURED: [(u64, f64); 12] = [
    (8, 1.252e-5),
    (1024, 1.302e-5),
    (16_384, 1.739e-5),
    (65_536, 2.293e-5),
    (262_144, 3.593e-5),
    (1_048_576, 6.075e-5),
    (4_194_304, 8.475e-5),
    (16_777_216, 1.957e-4),
    (67_108_864, 5.323e-4),
    (268_435_456, 1.8837e-3),
    (1_073_741_824, 7.2192e-3),
    (17_179_869_184, 0.110277),
];

#[test]
fn all_reduce_on_four_a100_is_within_five_percent_on_average() {
    let net = network(300.0, 8, 25.0);
    let errors: Vec<f64> = MEASURED.iter().map(|&(b, s)| (time(&all_reduce(b), 4, &net).value() / s - 1.0).abs()).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(mean < 0.05, "mean error {mean}, {errors:?}");
    assert!(errors.iter().all(|&e| e < 0.15), "{errors:?}");
}

proptest! {
    #[test]
    fn more_bandwidth_never_slows_and_more_bytes_never_speed_up(
        bytes in 1u64..1 << 36, size in 2u64..4096, stride in 1u64..16, up in 1.0f64..2000.0, out in 1.0f64..400.0, kind in 0usize..5,
    ) {
        let kinds = [CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter, CollectiveKind::AllToAll, CollectiveKind::SendRecv];
        let c = |b| Collective { kind: kinds[kind], bytes: b, group: ParallelGroup::Data };
        let span = Span { size, stride };
        let t = |b, u, o| time_over(&c(b), span, &network(u, 8, o)).value();
        let base = t(bytes, up, out);
        prop_assert!(base.is_finite() && base > 0.0);
        prop_assert!(t(bytes, up * 2.0, out) <= base);
        prop_assert!(t(bytes, up, out * 2.0) <= base);
        prop_assert!(t(bytes.saturating_mul(2), up, out) >= base);
    }

    #[test]
    fn all_reduce_never_beats_the_wire(bytes in 1u64..1 << 36, size in 2u64..512) {
        let net = network(450.0, 8, 50.0);
        let p = size.min(8) as f64;
        let wire = 2.0 * (p - 1.0) / p * bytes as f64 / 450e9;
        prop_assert!(time(&all_reduce(bytes), size, &net).value() >= wire);
    }
}
