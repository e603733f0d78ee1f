//! One training step of a denoising network: every chip holds it whole and takes its share of the images; gradients are summed over all chips.
//!
//! Time: ops of one microbatch times the microbatches, the exchange of gradients and weights that the last of them does not hide, the optimiser's step
//! (its state split over the chips), and waiting for the slowest. The microbatch is the fastest that fits. Kernels are captured in a graph; where no compiler fuses them, small passes are kernels of their own.
//!
//! Leaves out: splitting the network, loading of images.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::{Bytes, Seconds};
use tetra_workload::{Collective, CollectiveKind, DataType, Op, ParallelGroup, UNet, VectorKind, VectorOp};

use crate::collective::{Span, time_over};
use crate::constants::ClusterConstants;
use crate::network::Network;
use crate::train::misfit::{Fit, TrainMisfit};

/// A step of a denoising network.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DiffusionStep {
    /// Time of the step.
    pub time: Seconds,
    /// Images of a microbatch on one chip.
    pub micro_batch: u64,
    /// Memory of one chip.
    pub memory: Bytes,
    /// Operations of the model per second and chip.
    pub flop_per_second_per_chip: f64,
}

/// The fastest step over `batch` images on `chips` chips.
///
/// # Errors
/// A batch that does not spread over the chips, or no microbatch that fits.
pub fn diffusion_step(
    unet: &UNet,
    (batch, chips): (u64, u64),
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    constants: &ClusterConstants,
) -> Fit<DiffusionStep> {
    /// No chip takes more images in a step.
    const MOST: u64 = 1 << 16;
    if chips == 0 || batch < chips || batch / chips > MOST {
        return Err(TrainMisfit::Batch { batch, replicas: chips });
    }
    let share = batch.div_ceil(chips);
    let mut best: Option<DiffusionStep> = None;
    for micro_batch in (1..=share).filter(|m| share.is_multiple_of(*m)) {
        let step = one(unet, (micro_batch, share / micro_batch, chips), chip, timer, network, constants);
        if step.memory <= chip.memory.hbm && best.is_none_or(|b| step.time < b.time) {
            best = Some(step);
        }
    }
    best.ok_or(TrainMisfit::NoLayout { chips })
}

fn one(
    unet: &UNet,
    (images, rounds, chips): (u64, u64, u64),
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    constants: &ClusterConstants,
) -> DiffusionStep {
    let (c, wide) = (&constants.train, DataType::Bf16);
    // As in tables of language models, chips whose domain has no switch are programmed by a compiler (XLA).
    let built = unet.train(images, wide, chip.links.scale_up_switched);
    let (mut compute, mut flop) = (0.0, 0.0);
    for node in &built.nodes {
        let seconds = c.long_run(&timer.cost(&node.op), chip);
        compute += if matches!(node.op, Op::Attention(a) if a.backward) { seconds * c.attention_backward } else { seconds };
        flop += node.op.model_flop();
    }
    let parameters = built.parameters as f64;
    let exchange = |kind| {
        let bytes = wide.bytes_of(built.parameters);
        time_over(&Collective { kind, bytes, group: ParallelGroup::Data }, Span::dense(chips), network).value()
    };
    let both = exchange(CollectiveKind::ReduceScatter) + exchange(CollectiveKind::AllGather);
    let hidden = ((1.0 - c.data_exposed) * both).min(compute);
    let work = compute * rounds as f64 + both - hidden + c.interference * hidden + optimizer(parameters / chips as f64, timer, constants);
    let time = work * (1.0 + c.slowest_of(chips));
    let state = parameters * (2.0 * wide.bytes() + c.optimizer_bytes / chips as f64);
    let memory = state + built.kept as f64 * wide.bytes() * c.fragmentation + c.reserved_bytes;
    let done = flop * rounds as f64 / time.max(f64::MIN_POSITIVE);
    DiffusionStep { time: Seconds(time), micro_batch: images, memory: Bytes(memory), flop_per_second_per_chip: done.min(peak(chip)) }
}

fn peak(chip: &Chip) -> f64 {
    crate::train::step::peak_flop_per_second(chip, DataType::Bf16.mac())
}

fn optimizer(held: f64, timer: &dyn OpTimer, constants: &ClusterConstants) -> f64 {
    const ROW: u64 = 1024;
    let c = &constants.train;
    let op = VectorOp {
        kind: VectorKind::Optimizer,
        rows: ((held / ROW as f64) as u64).max(1),
        cols: ROW,
        read_bytes: (held * c.optimizer_read_bytes) as u64,
        write_bytes: (held * c.optimizer_write_bytes) as u64,
    };
    timer.cost(&Op::Vector(op)).time.value()
}
