//! An H100 written in the template against its chip file, and what the template refuses.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use tetra_chip::OpTimer;
use tetra_chip::template::{Design, build};
use tetra_chip::{Misfit, Timer, area, floorplan};
use tetra_quantity::{Bytes, BytesPerSecond, Hertz, Watts};
use tetra_workload::{AttentionOp, DataType, Gemm, Op, VectorKind, VectorOp};

fn h100() -> Design {
    Design {
        node: "N4".into(),
        cores: 132,
        arrays_per_core: 4,
        array_rows: 32,
        array_columns: 16,
        lanes: 128,
        local: Bytes(228.0 * 1024.0),
        global: Bytes(50.0 * 1024.0 * 1024.0),
        hbm_kind: "HBM3".into(),
        hbm_stacks: 5,
        scale_up: BytesPerSecond(450e9),
        scale_up_domain: 8,
        clock: Hertz(1.83e9),
        dies: 1,
        power_cap: Some(Watts(700.0)),
    }
}

fn ops() -> Vec<Op> {
    let gemm = |m, n, k, f| Op::Gemm(Gemm { batch: 1, m, n, k, a: f, b: f, out: DataType::Bf16 });
    let attention = |q, kv, causal| {
        Op::Attention(AttentionOp {
            sequences: 8,
            heads: 16,
            kv_heads: 2,
            q_len: q,
            kv_len: kv,
            d_qk: 128,
            d_v: 128,
            causal,
            window: 0,
            a: DataType::Bf16,
            kv: DataType::Bf16,
            shared_kv: false,
            backward: false,
        })
    };
    let vector = |kind| Op::Vector(VectorOp { kind, rows: 4096, cols: 8192, read_bytes: 4096 * 8192 * 2, write_bytes: 4096 * 8192 * 2 });
    let mut ops = vec![attention(2048, 2048, true), attention(1, 4096, true), vector(VectorKind::RmsNorm), vector(VectorKind::GatedSilu)];
    for (n, k) in [(10240, 8192), (8192, 28672), (2560, 8192), (14336, 4096), (7168, 2048)] {
        for m in [1, 16, 100, 512, 4096, 16384] {
            for f in [DataType::Bf16, DataType::Fp8] {
                ops.push(gemm(m, n, k, f));
            }
        }
    }
    ops
}

#[test]
fn an_h100_of_the_template_is_the_h100_of_its_file() {
    let constants = common::constants();
    let set = common::chips();
    // The template knows neither clusters larger than a fetch is shared by nor a clock above the rated one.
    let mut file = set.find("H100").unwrap().clone();
    (file.compute.cluster, file.compute.clock_max) = (1, file.compute.clock);
    let file = &file;
    let chip = build(&h100(), &constants).unwrap();
    let (a, b) = (Timer::new(file, &constants), Timer::new(&chip, &constants));
    for op in ops() {
        let ratio = b.cost(&op).time.value() / a.cost(&op).time.value();
        assert!((0.95..=1.05).contains(&ratio), "{op:?}: {ratio}");
    }
}

/// Die-photo and published die areas.
#[test]
fn areas_of_known_dies() {
    let constants = common::constants();
    let set = common::chips();
    for (name, tolerance) in [("A100", 0.1), ("H100", 0.2)] {
        let chip = set.find(name).unwrap();
        let found = area::breakdown(chip, &constants).total_mm2;
        let ratio = found / (chip.silicon.area.value() * 1e6);
        assert!((1.0 - tolerance..=1.0 + tolerance).contains(&ratio), "{name}: {found} mm2, {ratio}");
    }
}

#[test]
fn misfits_name_their_reason() {
    let constants = common::constants();
    let big = Design { cores: 1000, ..h100() };
    assert!(matches!(build(&big, &constants), Err(Misfit::Reticle { .. })), "{:?}", build(&big, &constants));
    let zero = Design { cores: 0, ..h100() };
    assert_eq!(build(&zero, &constants), Err(Misfit::OutOfRange { field: "cores" }));
    let unknown = Design { node: "N1".into(), ..h100() };
    assert_eq!(build(&unknown, &constants), Err(Misfit::Unknown { field: "node" }));
    let fast = Design { clock: Hertz(9e9), ..h100() };
    assert_eq!(build(&fast, &constants), Err(Misfit::OutOfRange { field: "clock" }));
    let edge = Design { hbm_stacks: 40, cores: 16, ..h100() };
    assert!(matches!(build(&edge, &constants), Err(Misfit::Shoreline { .. })));
    for e in [build(&big, &constants), build(&edge, &constants)] {
        let text = e.unwrap_err().to_string();
        assert!(text.contains(": lower") || text.contains(": raise"), "{text}");
    }
}

#[test]
fn systolic_designs_build_and_run() {
    let constants = common::constants();
    for (rows, columns, cores, node) in [(128, 128, 16, "N5"), (64, 64, 64, "N3E"), (256, 256, 8, "N2")] {
        let design = Design {
            node: node.into(),
            cores,
            arrays_per_core: 2,
            array_rows: rows,
            array_columns: columns,
            lanes: 256,
            local: Bytes(2e6),
            global: Bytes(64e6),
            hbm_kind: "HBM3E".into(),
            hbm_stacks: 6,
            clock: Hertz(1.5e9),
            power_cap: None,
            ..h100()
        };
        let chip = build(&design, &constants).unwrap();
        let t = Timer::new(&chip, &constants);
        for op in ops() {
            let c = t.cost(&op);
            assert!(c.time.value() > 0.0 && c.time.value().is_finite() && c.energy.value() > 0.0);
        }
    }
}

#[test]
fn floor_plans_tile_their_dies_and_draw_the_breakdown() {
    let constants = common::constants();
    for chip in common::chips().iter() {
        let a = area::breakdown(chip, &constants);
        let dies = floorplan::floorplan(chip, &constants);
        let mut drawn: BTreeMap<&str, f64> = BTreeMap::new();
        for die in &dies {
            let rects = &die.rects;
            let covered: f64 = rects.iter().map(|r| r.w * r.h).sum();
            assert!((covered / (die.w * die.h) - 1.0).abs() < 1e-6, "{}: {covered} of {}", chip.name, die.w * die.h);
            for r in rects {
                assert!(r.x >= -1e-9 && r.y >= -1e-9 && r.x + r.w <= die.w + 1e-6 && r.y + r.h <= die.h + 1e-6, "{}: {r:?}", chip.name);
                let parts = if r.name == "core" { floorplan::core_parts(&a, r) } else { vec![r.clone()] };
                for p in parts {
                    *drawn.entry(p.name).or_default() += p.w * p.h * die.count as f64;
                }
            }
            for (i, a) in rects.iter().enumerate() {
                for b in &rects[i + 1..] {
                    let overlap = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x) > 1e-6 && (a.y + a.h).min(b.y + b.h) - a.y.max(b.y) > 1e-6;
                    assert!(!overlap, "{}: {a:?} {b:?}", chip.name);
                }
            }
        }
        // What is drawn of each part is what the breakdown says, and nothing else but the space no part takes.
        for &(name, mm2) in &a.parts {
            let found = drawn.remove(name).unwrap_or(0.0);
            assert!((found - mm2).abs() <= 1e-6 * a.total_mm2, "{}: {name} drawn {found}, modelled {mm2}", chip.name);
        }
        drawn.remove(floorplan::NOT_MODELLED);
        assert!(drawn.is_empty(), "{}: {drawn:?}", chip.name);
        let stacks: u64 = dies.iter().map(|d| d.stacks.len() as u64 * d.count).sum();
        assert!(stacks >= chip.memory.hbm_stacks, "{}: {stacks} stacks", chip.name);
    }
}
