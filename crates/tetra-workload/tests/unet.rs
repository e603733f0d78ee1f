//! A denoising network counts as published, and its step asks what its shapes say.
#![allow(clippy::unwrap_used, clippy::panic)]

use tetra_workload::{DataType, Op, Pass, UNet};

fn stable_diffusion() -> UNet {
    UNet::from_json("stable-diffusion-v2.json", include_str!("../../../data/diffusion/stable-diffusion-v2.json")).unwrap()
}

#[test]
fn parameters_are_the_published_ones() {
    // Stability AI's model card of Stable Diffusion 2: a UNet of 865 M; the file of weights holds 865,910,724.
    assert_eq!(stable_diffusion().parameters(), 865_910_724);
}

#[test]
fn every_product_has_two_gradients_of_its_size() {
    let step = stable_diffusion().train(4, DataType::Bf16, false);
    let flop = |pass: Pass| {
        let text = step.nodes.iter().rposition(|n| n.pass != Pass::Forward).unwrap();
        let own = step.nodes[..=text].iter().filter(|n| n.pass == pass && matches!(n.op, Op::Gemm(_)));
        own.map(|n| n.op.flop()).sum::<f64>()
    };
    let (forward, input, weight) = (flop(Pass::Forward), flop(Pass::BackwardInput), flop(Pass::BackwardWeight));
    assert!((weight / forward - 1.0).abs() < 1e-12);
    // A convolution that changes the number of channels keeps its operations, one that halves the side makes its input's gradient at the small side.
    assert!((input / forward - 1.0).abs() < 1e-12);
    // 0.68 TFLOP of products per image forward, attention aside (published profiles of the network: 0.34 T multiply-accumulates).
    assert!((0.5e12..0.9e12).contains(&(forward / 4.0)), "{}", forward / 4.0);
}

#[test]
fn a_broken_configuration_is_named() {
    let error = UNet::from_json("x.json", "{\"in_channels\": 4}").unwrap_err();
    assert!(error.to_string().contains("x.json"), "{error}");
}
