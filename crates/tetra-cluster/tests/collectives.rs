//! Collectives against measurements and laws.

mod support;

use proptest::prelude::*;
use tetra_cluster::collective::{Span, time, time_over};
use tetra_cluster::{ClusterConstants, Host, Network, Tier};
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
    let scale_out = tier(out_gbs, n.out_small, n.out_large);
    Network {
        domain,
        scale_up: tier(up_gbs, n.up_small, n.up_large),
        scale_out,
        pod: u64::MAX,
        spine: scale_out,
        torus_dimensions: n.torus_dimensions,
        optical_block: 0,
        twist: 1.0,
        host: Host { link: n.host_link(2022), memory: n.host_memory },
        staged_s: 0.0,
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
    fn a_spine_slows_only_groups_that_leave_their_pod(
        bytes in 1u64..1 << 34, size in 2u64..4096, stride in 1u64..16, kind in 0usize..5, over in 1.0f64..8.0,
    ) {
        let kinds = [CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter, CollectiveKind::AllToAll, CollectiveKind::SendRecv];
        let c = Collective { kind: kinds[kind], bytes, group: ParallelGroup::Data };
        let with = |over: f64| {
            let mut net = Network { pod: 256, ..network(450.0, 8, 50.0) };
            net.spine.bandwidth = net.spine.bandwidth * (1.0 / over);
            time_over(&c, Span { size, stride }, &net).value()
        };
        let (even, tapered) = (with(1.0), with(over));
        prop_assert!(tapered >= even);
        if size * stride <= 256 {
            prop_assert_eq!(tapered, even);
            prop_assert_eq!(even, time_over(&c, Span { size, stride }, &network(450.0, 8, 50.0)).value());
        }
    }

    #[test]
    fn reduction_in_switches_never_slows_and_halves_large_all_reduces(bytes in 1u64..1 << 36, size in 2u64..9, out in 2u64..512) {
        let plain = network(450.0, 8, 50.0);
        let mut reducing = plain;
        reducing.scale_up.reduces = true;
        let t = |size, net: &Network| time(&all_reduce(bytes), size, net).value();
        prop_assert!(t(size, &reducing) <= t(size, &plain));
        reducing.scale_out.reduces = true;
        reducing.spine.reduces = true;
        prop_assert!(t(size * out, &reducing) <= t(size * out, &plain));
        // Each byte crosses a port once instead of 2(p-1)/p times (NVLS, SHARP).
        let large = |net: &Network| time(&all_reduce(1 << 40), 8, net).value();
        prop_assert!((large(&plain) / large(&reducing) / (2.0 * 7.0 / 8.0) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_slice_of_an_optical_torus_is_never_worse_than_the_whole_wired_for_good(bytes in 1u64..1 << 34, blocks in 1u64..140, kind in 0usize..4) {
        let kinds = [CollectiveKind::AllReduce, CollectiveKind::AllGather, CollectiveKind::ReduceScatter, CollectiveKind::AllToAll];
        let c = Collective { kind: kinds[kind], bytes, group: ParallelGroup::Data };
        let mut torus = Network { optical_block: 64, torus_dimensions: 3.0, ..network(600.0, 8960, 25.0) };
        torus.scale_up.switched = false;
        let (fixed, chips) = (Network { optical_block: 0, ..torus }, blocks * 64);
        let t = |net: &Network| time(&c, chips, net).value();
        prop_assert!(t(&torus.sliced(chips)) <= t(&fixed.sliced(chips)) * (1.0 + 1e-12));
        prop_assert_eq!(fixed.sliced(chips), fixed);
        // Twice the rate across the middle never slows an exchange.
        let twisted = Network { twist: 2.0, ..torus.sliced(chips) };
        prop_assert!(t(&twisted) <= t(&torus.sliced(chips)));
    }

    #[test]
    fn all_reduce_never_beats_the_wire(bytes in 1u64..1 << 36, size in 2u64..512) {
        let net = network(450.0, 8, 50.0);
        let p = size.min(8) as f64;
        let wire = 2.0 * (p - 1.0) / p * bytes as f64 / 450e9;
        prop_assert!(time(&all_reduce(bytes), size, &net).value() >= wire);
    }
}
