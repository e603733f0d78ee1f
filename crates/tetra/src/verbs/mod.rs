//! One file per verb: read the inputs, call the crate that answers, give text and JSON.

mod check_map;
mod chip;
mod data;
mod foundry;
mod import;
mod inputs;
mod map;
mod model;
mod new;
mod serve;
mod study;
mod train;
mod train_given;
mod train_text;
mod validate;

use serde::Serialize;

use crate::cli::{Cli, Verb};
use crate::failure::Failure;
use crate::files::Library;

/// What a verb answers: text for people and a value for programs.
pub struct Answer {
    /// For people.
    pub text: String,
    value: serde_json::Value,
}

impl Answer {
    /// An answer from its two forms.
    pub fn new(text: String, value: &impl Serialize) -> Result<Self, Failure> {
        let value = serde_json::to_value(value).map_err(|e| Failure::Fault(e.to_string()))?;
        Ok(Self { text, value })
    }

    /// The JSON form.
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(&self.value).map_err(|e| Failure::Fault(e.to_string()))
    }
}

/// Answers a command.
///
/// # Errors
/// Broken input, a misfit, or a fault of ours.
pub fn answer(cli: &Cli) -> Result<Answer, Failure> {
    let library = Library::open(cli.all.data.as_deref())?;
    match &cli.verb {
        Verb::Data(at) => data::answer(&library, at),
        Verb::New(at) => new::answer(&library, at),
        Verb::Chip(at) => chip::answer(&library, at),
        Verb::Map(at) => at.check.as_deref().map_or_else(|| map::answer(&library, at), check_map::answer),
        Verb::Model(at) => model::answer(&library, at),
        Verb::Foundry(at) => foundry::answer(&library, at),
        Verb::Train(at) => train::answer(&library, at),
        Verb::Serve(at) => serve::answer(&library, at),
        Verb::Validate(at) => validate::answer(&library, at),
        Verb::Check(at) => study::check(&library, &at.study),
        Verb::Run(at) => study::run(&library, &at.study),
        Verb::Search(at) => study::search(&library, &at.study),
        Verb::Plan(at) => study::plan(&library, &at.study),
        Verb::Compare(at) => study::compare(&library, &at.study),
        Verb::Report(at) => study::report(&at.study),
        Verb::Explain(at) => study::explain(at),
    }
}
