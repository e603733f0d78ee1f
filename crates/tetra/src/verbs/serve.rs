//! `tetra serve`: a service in steady state; flags left out are searched.

use tetra_chip::{Chip, ChipConstants, Timer};
use tetra_cluster::serve::{Arrivals, Given, SearchSpace, Split, search};
use tetra_cluster::{ClusterConstants, Network, ServeAsk, ServeConstants, Serving};
use tetra_quantity::{Fraction, Seconds, TokensPerSecond, show_number};

use super::Answer;
use super::inputs::{chip, model, precision, tables};
use crate::cli::Serve;
use crate::failure::Failure;
use crate::files::Library;
use crate::show::{sections, table};

pub fn answer(library: &Library, at: &Serve) -> Result<Answer, Failure> {
    let tables = tables(library)?;
    let (model, chip) = (model(library, &at.model)?, chip(library, &at.chip)?);
    let data = |e| Failure::all("data", [e]);
    let (ops, cluster) = (ChipConstants::from_tables(&tables).map_err(data)?, ClusterConstants::from_tables(&tables).map_err(data)?);
    let serve = ServeConstants::from_tables(&tables).map_err(data)?;
    let limit = |flag: &str, text: &Option<String>| -> Result<Option<Seconds>, Failure> {
        let limit: Option<Seconds> =
            text.as_deref().map(str::parse).transpose().map_err(|e| Failure::Input(vec![format!("--{flag}: {e}")]))?;
        match limit {
            Some(l) if l <= Seconds::ZERO => {
                Err(Failure::Input(vec![format!("--{flag}: {l} is not above zero: write for example \"2 s\"")]))
            }
            _ => Ok(limit),
        }
    };
    let ask = ServeAsk {
        model: &model,
        precision: precision(&at.precision)?,
        input: at.input,
        output: at.output,
        ttft: limit("ttft", &at.ttft)?,
        tail: None,
        tpot: limit("tpot", &at.tpot)?,
        arrivals: Arrivals::Steady,
    };
    let given = Given { tensor_parallel: at.tp, pipeline_parallel: at.pp, expert_parallel: at.ep, ..Given::NONE };
    let network = Network::of(&chip, &cluster);
    let chips_max = given.chips().max(network.domain);
    let space = SearchSpace { given, batch: at.batch, ..SearchSpace::within(chips_max) };
    let timer = Timer::new(&chip, &ops);
    let found = search(&ask, &chip, &timer, &network, &space, &serve).map_err(|e| Failure::misfit(&e))?;
    Answer::new(text(&chip, &found), &found)
}

fn text(chip: &Chip, found: &Serving) -> String {
    let Split { tensor_parallel, pipeline_parallel, attention_data, expert_parallel, expert_tensor } = found.layout.split;
    let layout = format!(
        "{} × {}: tensor {tensor_parallel}, pipeline {pipeline_parallel}, attention data {attention_data}, expert {expert_parallel} × {expert_tensor}, batch {} per group",
        found.chips, chip.name, found.layout.batch
    );
    let figures = [
        ("TTFT", found.ttft.to_string()),
        ("TPOT", found.tpot.to_string()),
        ("output of the group", TokensPerSecond(found.tokens_per_second).to_string()),
        ("output per chip", TokensPerSecond(found.tokens_per_second_per_chip).to_string()),
        ("sequences running", show_number(found.running)),
        ("share of time in prompts", Fraction(found.prefill_share).to_string()),
        ("energy per output token", found.energy_per_token.to_string()),
        ("mean power of a chip", found.power.to_string()),
    ];
    let parts = |rows: Vec<(&'static str, Seconds)>, sum: Seconds| {
        let mut out: Vec<_> = rows.iter().filter(|(_, t)| t.value() > 0.0).map(|(n, t)| vec![(*n).to_owned(), t.to_string()]).collect();
        out.push(vec!["sum".into(), sum.to_string()]);
        out
    };
    let m = &found.memory;
    let memory = [("weights", m.weights), ("cache", m.cache), ("usable", m.usable), ("capacity", m.capacity)];
    sections(&[
        ("", layout),
        ("", table(&["", ""], 1, figures.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()]))),
        ("", table(&["time per output token", ""], 1, parts(found.tpot_parts.rows(), found.tpot_parts.total()))),
        ("", table(&["time to first token", ""], 1, parts(found.ttft_parts.rows(), found.ttft_parts.total()))),
        ("", table(&["memory of a chip", ""], 1, memory.iter().map(|(n, b)| vec![(*n).to_owned(), b.to_string()]))),
    ])
}
