//! Schedules played exactly: published bubbles and memory, laws, and agreement of the closed forms with the play.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use tetra_cluster::Schedule;
use tetra_cluster::train::pipeline::{Line, Run, in_flight};
use tetra_cluster::train::schedule::{ChunkTime, Pass, Play, Played, play};

fn chunks(schedule: Schedule) -> usize {
    if schedule == Schedule::ZeroBubbleV { 2 } else { 1 }
}

/// Plays stages whose passes take `scale` times `[f, b, w]`.
fn played(schedule: Schedule, [v, m]: [usize; 2], scale: &[f64], [f, b, w]: [f64; 3], latency: f64) -> Played {
    let p = scale.len();
    let chunk = |k: usize| {
        let stage = if schedule == Schedule::ZeroBubbleV && k >= p { 2 * p - 1 - k } else { k % p };
        let s = scale[stage] / v as f64;
        ChunkTime { forward: f * s, again: 0.0, input: b * s, weight: w * s, send: 0.0 }
    };
    let times = (0..p * v).map(chunk).collect();
    play(&Play { schedule, stages: p, chunks: v, microbatches: m, times, latency, together: 1.0 }).unwrap()
}

fn closed(schedule: Schedule, [v, m]: [usize; 2], scale: &[f64], [f, b, w]: [f64; 3], latency: f64) -> f64 {
    let mut runs: Vec<Run> = Vec::new();
    for s in scale {
        let run = Run { count: 1.0, forward: f * s, input: b * s, weight: w * s };
        match runs.last_mut().filter(|last| Run { count: 1.0, ..**last } == run) {
            Some(last) => last.count += 1.0,
            None => runs.push(run),
        }
    }
    Line { schedule, runs: &runs, chunks: v as f64, microbatches: m as f64, latency }.time()
}

/// Published bubbles for equal passes of length 1: `(p-1)` times 3, 1, 0 (Qi et al. 2024, table 1), and DualPipe's (DeepSeek-V3, table 2: `(p/2-1)(FB + B - 3W)`, B with W).
#[test]
fn bubbles_are_the_published_ones() {
    for p in [2usize, 4, 8, 16] {
        let (m, hops) = (4 * p, p as f64 - 1.0);
        let bubble = |schedule, v| played(schedule, [v, m], &vec![1.0; p], [1.0; 3], 0.0).time - 3.0 * m as f64;
        assert!((bubble(Schedule::OneForwardOneBackward, 1) - 3.0 * hops).abs() < 1e-9);
        assert!((bubble(Schedule::OneForwardOneBackward, 4) - 3.0 * hops / 4.0).abs() < 1e-9);
        assert!((bubble(Schedule::ZeroBubbleH1, 1) - hops).abs() < 1e-9);
        assert!(bubble(Schedule::ZeroBubbleH2, 1).abs() < 1e-9);
        assert!(bubble(Schedule::ZeroBubbleV, 2).abs() < 1e-9);
        assert!((bubble(Schedule::DualPipe, 1) - (p as f64 / 2.0 - 1.0) * 2.0).abs() < 1e-9);
    }
}

/// Activations: `p`, `p(1 + (p-1)/(pv))` (Korthikanti et al. 2022, 4.2.3), `p`, `2p-1`, `p`, `p+1`.
#[test]
fn memory_is_the_published_one() {
    for p in [2usize, 4, 8, 16] {
        for m in [p / 2, p, 2 * p, 4 * p + 2] {
            for (schedule, v) in Schedule::ALL.map(|s| (s, chunks(s))).into_iter().chain([(Schedule::OneForwardOneBackward, 4)]) {
                if schedule == Schedule::DualPipe && (m < 2 * p || m % 2 == 1) {
                    continue;
                }
                let step = played(schedule, [v, m], &vec![1.0; p], [1.0, 1.2, 0.9], 0.0);
                for stage in 0..p {
                    let kept = step.in_flight(stage) as f64 / v as f64;
                    let closed = in_flight(schedule, p as f64, v as f64, m as f64, stage as f64);
                    assert!(kept <= closed + 1e-9, "{schedule:?} p{p} v{v} m{m} stage {stage}: {kept} over {closed}");
                    let exact = m >= 2 * p && (v == 1 || m % p == 0);
                    assert!(!exact || (kept - closed).abs() < 1e-9, "{schedule:?} p{p} v{v} m{m} stage {stage}: {kept} not {closed}");
                }
            }
        }
    }
}

/// A pipeline of equal or different stages.
#[derive(Debug, Clone)]
struct Shape {
    p: usize,
    m: usize,
    v: usize,
    passes: [f64; 3],
    /// Length of each stage's passes.
    scale: Vec<f64>,
    /// Of the shortest stage's forward pass of a chunk.
    latency: f64,
}

/// What the scales of stages are: layers with one more in the first stages, an embedding and a head; or up to six runs of any length and scale.
fn scales(p: usize) -> impl Strategy<Value = Vec<f64>> {
    let ends = (2u32..12, 0.0..1.0f64, 0.0..0.2f64, 0.2..1.2f64).prop_map(move |(layers, more, first, last)| {
        let end = |i: usize| if i == 0 { first } else { 0.0 } + if i + 1 == p { last } else { 0.0 };
        (0..p).map(|i| f64::from(layers) + end(i) + if (i as f64) < more * p as f64 { 1.0 } else { 0.0 }).collect()
    });
    let any = prop::collection::vec((0..p, 1.0..1.6f64), 1..7).prop_map(move |mut runs| {
        runs.sort_by_key(|r| r.0);
        (0..p).map(|i| runs.iter().rev().find(|r| r.0 <= i).unwrap_or(&runs[0]).1).collect()
    });
    prop_oneof![Just(vec![1.0; p]), ends, any]
}

fn shape() -> impl Strategy<Value = Shape> {
    let passes = (1.0..2.6f64, 0.4..1.05f64);
    let latency = prop_oneof![Just(0.0), 0.0..0.2f64];
    (2usize..32).prop_flat_map(move |p| (Just(p), 0.0..1.0f64, 1usize..9, passes.clone(), scales(p), latency.clone())).prop_map(
        |(p, m, v, (b, w), scale, latency)| {
            let m = ((64.0 * p as f64).powf(m) as usize).max(1);
            Shape { p, m, v, passes: [1.0, b, w], scale, latency }
        },
    )
}

/// Relative error of the closed form.
fn error(schedule: Schedule, shape: &Shape) -> f64 {
    let v = if schedule == Schedule::OneForwardOneBackward { shape.v } else { chunks(schedule) };
    let (mut scale, mut m) = (shape.scale.clone(), shape.m);
    if schedule == Schedule::DualPipe {
        scale.resize(shape.p + shape.p % 2, scale[shape.p - 1]);
        m = (m.max(2 * scale.len()) + 1) & !1;
    }
    let latency = shape.latency * scale.iter().copied().fold(f64::INFINITY, f64::min) / v as f64;
    let exact = played(schedule, [v, m], &scale, shape.passes, latency).time;
    closed(schedule, [v, m], &scale, shape.passes, latency) / exact - 1.0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn closed_forms_agree_with_the_play(shape in shape()) {
        for schedule in Schedule::ALL {
            let error = error(schedule, &shape);
            // What is outlined are chains of the play: none is longer.
            prop_assert!((-0.02..=1e-9).contains(&error), "{schedule:?} {error:?}");
            let equal = Shape { scale: vec![1.0; shape.p], latency: 0.0, ..shape.clone() };
            prop_assert!(self::error(schedule, &equal).abs() <= 5e-3, "{schedule:?} of equal stages");
        }
    }

    /// Every pass waits for what it needs, a stage does one thing at a time, every microbatch is done once.
    #[test]
    fn plays_are_possible(shape in shape(), latency in 0.0..0.5f64) {
        for schedule in [Schedule::OneForwardOneBackward, Schedule::ZeroBubbleH1, Schedule::ZeroBubbleH2, Schedule::ZeroBubbleV] {
            let v = if schedule == Schedule::OneForwardOneBackward { shape.v } else { chunks(schedule) };
            let step = played(schedule, [v, shape.m.min(64)], &shape.scale, shape.passes, latency);
            let (p, m) = (shape.p, shape.m.min(64));
            let mut ends = vec![[f64::NAN; 2]; p * v * m];
            let place = |stage: usize, chunk: usize| {
                if schedule == Schedule::ZeroBubbleV && chunk == 1 { 2 * p - 1 - stage } else { chunk * p + stage }
            };
            for stage in 0..p {
                for pair in step.of_stage(stage).windows(2) {
                    prop_assert!(pair[1].start >= pair[0].end - 1e-9);
                }
                for task in step.of_stage(stage).iter().filter(|t| t.pass != Pass::Weight) {
                    let at = place(stage, usize::from(task.chunk)) * m + task.microbatch as usize;
                    let kind = usize::from(task.pass != Pass::Forward);
                    prop_assert!(ends[at][kind].is_nan());
                    ends[at][kind] = task.end;
                }
            }
            for stage in 0..p {
                for task in step.of_stage(stage) {
                    let (k, i) = (place(stage, usize::from(task.chunk)), task.microbatch as usize);
                    let ready = match task.pass {
                        Pass::Forward if k == 0 => 0.0,
                        Pass::Forward => ends[(k - 1) * m + i][0],
                        Pass::Weight => ends[k * m + i][1],
                        _ if k + 1 == p * v => ends[k * m + i][0],
                        _ => ends[(k + 1) * m + i][1],
                    };
                    prop_assert!(task.start >= ready - 1e-9, "{schedule:?} {task:?} before {ready}");
                }
            }
        }
    }
}

/// Errors of a fixed set of shapes.
#[test]
fn nearly_all_closed_forms_are_exact() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let shapes: Vec<Shape> = (0..400).map(|_| shape().new_tree(&mut runner).unwrap().current()).collect();
    for schedule in Schedule::ALL {
        let mut list: Vec<f64> = shapes.iter().map(|s| error(schedule, s).abs()).collect();
        list.sort_by(f64::total_cmp);
        let at = |q: f64| list[((list.len() - 1) as f64 * q) as usize];
        let [half, most, nearly, all] = [0.5, 0.9, 0.99, 1.0].map(at);
        println!("{:8} median {half:.5} p90 {most:.5} p99 {nearly:.5} max {all:.5}", schedule.name());
        assert!(half <= 1e-3 && most <= 0.01 && all <= 0.02);
    }
}
