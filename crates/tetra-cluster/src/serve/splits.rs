//! Splits of a model over the chips of one worker that are worth trying: powers of two of tensor parallelism inside the scale-up domain; for experts,
//! attention groups on top of it, inside the domain or over as many chips as the search allows, with the experts spread over all of them (or, for
//! one group, split as everything else); and a few stages.
//!
//! Leaves out: degrees that are no powers of two unless they are given.

use tetra_workload::{Attention, FeedForward, Model};

use crate::network::Network;
use crate::serve::layout::Split;
use crate::serve::space::SearchSpace;

/// Splits of a model that are worth trying.
pub fn candidates(model: &Model, network: &Network, space: &SearchSpace) -> Vec<Split> {
    within_domain(model, network.domain, space)
}

/// The same with the chips of a scale-up domain.
pub(crate) fn within_domain(model: &Model, domain: u64, space: &SearchSpace) -> Vec<Split> {
    if let Some(split) = space.split {
        return vec![split];
    }
    let experts = model.layers.iter().find_map(|l| match l.feed_forward {
        FeedForward::Experts { experts, .. } => Some(experts),
        FeedForward::Dense { .. } => None,
    });
    let heads = model.layers.first().map_or(1, |l| match l.attention {
        Attention::Grouped { heads, .. } | Attention::Latent { heads, .. } => heads.max(1),
    });
    let inside = domain.min(space.chips_max).max(1);
    let mut splits = Vec::with_capacity(32);
    for tensor in degrees(space.given.tensor_parallel, inside).filter(|t| space.given.tensor_parallel.is_some() || heads.is_multiple_of(*t))
    {
        let most = if experts.is_some() { (space.chips_max / tensor.max(1)).max(1) } else { 1 };
        for groups in degrees(space.given.attention_data, most) {
            let chips = tensor.saturating_mul(groups);
            for stages in degrees(space.given.pipeline_parallel, (space.chips_max / chips.max(1)).clamp(1, space.stages_max.max(1))) {
                let base = Split { tensor_parallel: tensor, pipeline_parallel: stages, attention_data: groups, ..Split::ONE };
                match experts {
                    None => splits.push(base),
                    Some(experts) => with_experts(&mut splits, base, experts, space.given.expert_parallel),
                }
            }
        }
    }
    splits
}

fn with_experts(splits: &mut Vec<Split>, base: Split, experts: u64, given: Option<u64>) {
    let chips = base.stage_chips();
    let widest = powers(chips).filter(|e| experts.is_multiple_of(*e) && chips.is_multiple_of(*e)).last().unwrap_or(1);
    let narrow = (base.attention_data == 1 && widest > 1).then_some(1);
    let degrees = match given {
        Some(expert) => [Some(expert).filter(|e| *e > 0 && chips.is_multiple_of(*e)), None],
        None => [Some(widest), narrow],
    };
    splits.extend(degrees.iter().flatten().map(|e| Split { expert_parallel: *e, expert_tensor: chips / e, ..base }));
}

/// The given degree, or all powers of two up to the largest.
fn degrees(given: Option<u64>, most: u64) -> impl Iterator<Item = u64> {
    let given = given.map(|g| g.max(1));
    given.into_iter().chain(powers(if given.is_some() { 0 } else { most }))
}

/// Powers of two up to the largest.
pub(crate) fn powers(max: u64) -> impl Iterator<Item = u64> {
    (0..u64::BITS - 1).map(|i| 1_u64 << i).take_while(move |p| *p <= max)
}
