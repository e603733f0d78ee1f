//! Published results that no constant of serving was fitted on: MLPerf Inference v5.1, Llama 2 70B offline, closed division, FP8.

use tetra_chip::{Chip, ChipConstants, Timer};
use tetra_cluster::serve::{Bench, InferenceRow, Refusal, ServeConstants, predict_inference};
use tetra_cluster::{ClusterConstants, Network};

mod support;

const MODEL: &str = include_str!("../../../models/Llama-2-70b.json");

fn offline(chip: &str, chips: u64, output: f64) -> f64 {
    let tables = support::tables();
    let constants = ChipConstants::from_tables(&tables).expect("chip constants");
    let cluster = ClusterConstants::from_tables(&tables).expect("cluster constants");
    let serve = ServeConstants::from_tables(&tables).expect("serve constants");
    let model = tetra_workload::hf::read_config("Llama-2-70b", MODEL).expect("model reads");
    let chip = Chip::from_toml("chip", chip).expect("chip reads");
    let (timer, network) = (Timer::new(&chip, &constants), Network::of(&chip, &cluster));
    let row = InferenceRow {
        chips: Some(chips),
        precision: Some("fp8".into()),
        output: Some(output),
        phase: Some("offline".into()),
        metric: "throughput".into(),
        unit: "tokens/s".into(),
        ..InferenceRow::default()
    };
    let bench = Bench { model: &model, chip: &chip, timer: &timer, network: &network, constants: &serve, service: None };
    let found = predict_inference(&row, Some(&bench)).expect("predicts");
    assert!(found.filled.contains(&"input_len"));
    found.value
}

#[test]
fn llama_2_70b_offline() {
    let h100 = include_str!("../../../data/chips/h100.toml");
    let h200 = include_str!("../../../data/chips/h200.toml");
    // Result ids 5.1-0015, 5.1-0013 and 5.1-0014 of the published summary.
    for (chip, chips, output, published) in [(h100, 16, 293.1, 62_351.6), (h200, 16, 292.2, 68_894.8), (h200, 8, 291.7, 34_548.2)] {
        let error = offline(chip, chips, output) / published - 1.0;
        assert!(error.abs() < 0.1, "{chips} chips: {error:+.3}");
    }
}

#[test]
fn images_are_refused() {
    let row = InferenceRow { metric: "latency".into(), unit: "s/image".into(), ..InferenceRow::default() };
    assert_eq!(predict_inference(&row, None), Err(Refusal::Diffusion));
}
