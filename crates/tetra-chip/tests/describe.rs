//! A real model's decode step on a real chip: rows that sum, and a step time near what the weights' bandwidth allows.
#![allow(clippy::unwrap_used)]

mod common;

use tetra_chip::OpTimer;
use tetra_chip::describe::step_rows;
use tetra_workload::hf::read_config;
use tetra_workload::{DataType, Phase, Precision, Shard, Work, graph};

#[test]
fn a_decode_step_of_llama_70b() {
    let json = std::fs::read_to_string(common::root().join("models/Meta-Llama-3.1-70B.json")).unwrap();
    let model = read_config("Meta-Llama-3.1-70B", &json).unwrap();
    let constants = common::constants();
    let set = common::chips();
    let chip = set.find("H200").unwrap();
    let work = Work { phase: Phase::Decode, sequences: 8, new_tokens: 1, context: 2048, logit_tokens: 1 };
    let graph = graph(&model, &work, &Shard::ONE, &Precision::uniform(DataType::Fp8)).unwrap();
    let step = step_rows(&graph, chip, &constants);
    let shares: f64 = step.rows.iter().map(|r| r.share).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    // 70 GB of weights at 4.8 TB/s take 14.7 ms.
    assert!((0.0147..0.025).contains(&step.time.value()), "{}", step.time);
    assert!(step.power.value() < chip.power.cap.value() && step.power.value() > chip.power.idle.value());
    let timer = tetra_chip::Timer::new(chip, &constants);
    let mut sum = 0.0;
    for (nodes, n) in [(&graph.embedding, 1), (&graph.head, 1)].into_iter().chain(graph.layers.iter().map(|l| (&l.nodes, l.layers))) {
        sum += nodes.iter().map(|x| timer.cost(&x.op).time.value()).sum::<f64>() * n as f64;
    }
    assert!((sum / step.time.value() - 1.0).abs() < 1e-9);
}

#[test]
fn facts_of_a_chip_carry_ranges() {
    let tables = common::tables();
    let draws: Vec<_> = (0..200).map(|i| tetra_chip::ChipConstants::from_tables(&tables.sample(1, i)).unwrap()).collect();
    let set = common::chips();
    for name in ["A100", "H100", "MI300X", "TPU v4"] {
        let facts = tetra_chip::facts::chip_facts(set.find(name).unwrap(), &common::constants(), &draws);
        for group in ["area", "full load"] {
            let of: Vec<_> = facts.iter().filter(|f| f.group == group).collect();
            let (sum, parts) = of.split_last().unwrap();
            let total: f64 = parts.iter().map(|f| f.value).sum();
            assert!((total / sum.value - 1.0).abs() < 1e-9, "{name} {group}");
            assert!(sum.low < sum.value && sum.value < sum.high, "{name} {sum:?}");
        }
    }
    // The die photo of the A100: 826 mm2 lie within the range.
    let facts = tetra_chip::facts::chip_facts(set.find("A100").unwrap(), &common::constants(), &draws);
    let area = facts.iter().find(|f| f.group == "area" && f.name == "sum").unwrap();
    assert!(area.low < 826.0 && 826.0 < area.high, "{area:?}");
}
