//! `tetra model`: parameters, FLOP and KV cache of a config.json.

use tetra_quantity::{Bytes, Flop, Tokens, show_number};
use tetra_workload::describe;

use super::Answer;
use super::inputs::{model, precision};
use crate::cli::ModelAt;
use crate::failure::Failure;
use crate::files::Library;
use crate::show::{sections, table};

pub fn answer(library: &Library, at: &ModelAt) -> Result<Answer, Failure> {
    let model = model(library, &at.config)?;
    let chosen = precision(&at.precision)?;
    let d = describe(&model);
    let p = &d.parameters;
    let parts = [
        ("embedding", p.embedding),
        ("positions", p.positions),
        ("attention", p.attention),
        ("dense feed-forward", p.dense_feed_forward),
        ("routed experts", p.routed_experts),
        ("shared experts", p.shared_experts),
        ("routers", p.router),
        ("norms", p.norms),
        ("output head", p.head),
        ("outside the language model", p.other),
        ("total", d.parameters_total),
        ("active per token", d.parameters_active),
        ("active, with embedding", d.parameters_active_with_embedding),
        ("further prediction layers, in no total", p.predict_layers),
    ];
    let count = |n: u64| show_number(n as f64);
    let shown = parts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| vec![(*name).into(), count(*n)]);
    let token =
        d.token.iter().map(|t| vec![Tokens(t.context as f64).to_string(), Flop(t.flop).to_string(), Bytes(t.kv_bytes as f64).to_string()]);
    let kv = Bytes(model.kv_bytes_per_token(&chosen) as f64);
    let weights = d.weight_bytes.iter().map(|(format, bytes)| vec![format.clone(), Bytes(*bytes as f64).to_string()]);
    let text = sections(&[
        ("", format!("{} ({}): {} layers, hidden {}, vocabulary {}", d.name, d.family, d.layers, d.hidden, count(d.vocabulary))),
        ("", table(&["parameters", ""], 1, shown)),
        ("", format!("KV cache per token with {}: {kv}", at.precision)),
        ("", table(&["one token after", "forward", "KV cache (as published)"], 0, token)),
        ("", table(&["weights", ""], 1, weights)),
    ]);
    Answer::new(text, &d)
}
