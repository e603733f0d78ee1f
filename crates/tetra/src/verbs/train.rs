//! `tetra train`: one training step on a cluster; flags left out are searched.

use serde::Serialize;
use tetra_chip::{Chip, ChipConstants, Timer};
use tetra_cluster::{ClusterConstants, Kernels, Recompute, TrainMetric, TrainMisfit, TrainPrediction, TrainRow, TrainStep, predict};
use tetra_quantity::{Fraction, Seconds, show_number};

use super::Answer;
use super::inputs::{chip, model, precision, tables};
use crate::cli::Train;
use crate::failure::Failure;
use crate::files::Library;
use crate::show::{sections, table};

#[derive(Serialize)]
struct Found {
    step: TrainStep,
    parts: Vec<(&'static str, Seconds)>,
    searched: bool,
}

pub fn answer(library: &Library, at: &Train) -> Result<Answer, Failure> {
    let tables = tables(library)?;
    let (model, chip) = (model(library, &at.model)?, chip(library, &at.chip)?);
    let data = |e| Failure::all("data", [e]);
    let (ops, cluster) = (ChipConstants::from_tables(&tables).map_err(data)?, ClusterConstants::from_tables(&tables).map_err(data)?);
    precision(&at.precision)?;
    let row = TrainRow {
        model: Some(&model),
        sequence: Some(at.seq),
        global_batch: Some(at.global_batch),
        micro_batch: at.micro_batch,
        tensor_parallel: at.tp,
        pipeline_parallel: at.pp,
        virtual_stages: at.vpp,
        data_parallel: at.dp,
        context_parallel: at.cp,
        expert_parallel: at.ep,
        sequence_parallel: at.sp,
        recompute: at.recompute.as_deref().map(recompute).transpose()?,
        precision: &at.precision,
        chips: Some(at.n),
        kernels: Some(Kernels::Fused),
        ..TrainRow::default()
    };
    let timer = Timer::new(&chip, &ops);
    let found = predict(&row, &chip, &timer, &cluster).map_err(|e| Failure::misfit(&e))?;
    let product = found.step.layout.chips();
    if product != at.n {
        return Err(Failure::misfit(&TrainMisfit::Chips { product, chips: at.n }));
    }
    if let Some(misfit) = found.step.misfit(&chip) {
        return Err(Failure::misfit(&misfit));
    }
    let parts = found.step.breakdown.parts().to_vec();
    Answer::new(text(&chip, &found), &Found { step: found.step, parts, searched: found.searched })
}

fn recompute(word: &str) -> Result<Recompute, Failure> {
    match word {
        "none" => Ok(Recompute::None),
        "selective" => Ok(Recompute::Selective),
        "full" => Ok(Recompute::Full),
        other => Err(Failure::Input(vec![format!("--recompute \"{other}\": write none, selective or full")])),
    }
}

fn text(chip: &Chip, found: &TrainPrediction) -> String {
    let step = found.step;
    let parts = step.breakdown.parts();
    let mut times: Vec<_> = parts.iter().filter(|(_, t)| t.value() > 0.0).map(|(n, t)| vec![(*n).to_owned(), t.to_string()]).collect();
    times.push(vec!["step".into(), step.time.to_string()]);
    let m = &step.memory;
    let memory = [
        ("weights", m.weights),
        ("gradients", m.gradients),
        ("optimizer", m.optimizer),
        ("activations", m.activations),
        ("logits", m.logits),
        ("reserved", m.reserved),
        ("sum", m.total()),
        ("HBM", chip.memory.hbm),
    ];
    let figures = [
        ("model FLOP utilisation", Fraction(step.mfu).to_string()),
        ("hardware FLOP utilisation", Fraction(step.hfu).to_string()),
        ("tokens/s per chip", show_number(found.value(TrainMetric::TokensPerSecondPerChip))),
        ("mean power of a chip", step.power.to_string()),
        ("energy of a chip per step", step.energy.to_string()),
    ];
    sections(&[
        ("", layout(chip, found)),
        ("", table(&["time", ""], 1, times)),
        ("", table(&["memory of the fullest chip", ""], 1, memory.iter().map(|(n, b)| vec![(*n).to_owned(), b.to_string()]))),
        ("", table(&["", ""], 1, figures.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()]))),
    ])
}

fn layout(chip: &Chip, found: &TrainPrediction) -> String {
    let l = &found.step.layout;
    format!(
        "{} × {}: tensor {}, pipeline {} (virtual {}), data {}, context {}, expert {}, microbatch {}, recompute {}{}",
        l.chips(),
        chip.name,
        l.tensor_parallel,
        l.pipeline_parallel,
        l.virtual_stages,
        l.data_parallel,
        l.context_parallel,
        l.expert_parallel,
        l.micro_batch,
        format!("{:?}", l.recompute).to_lowercase(),
        if found.searched { "; what was left out was searched" } else { "" }
    )
}
