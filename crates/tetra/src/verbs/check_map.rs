//! `tetra map --check`: a certificate read, carried out and judged by a crate that shares no code with the mapper.

use std::path::Path;

use tetra_quantity::{Joules, show_number};
use tetra_replay::Report;

use super::Answer;
use crate::failure::Failure;
use crate::files::read_text;

pub fn answer(path: &Path) -> Result<Answer, Failure> {
    let reports = tetra_replay::check_list(&read_text(path)?).map_err(|f| Failure::Misfit(f.iter().map(ToString::to_string).collect()))?;
    let text = reports.iter().map(words).collect::<Vec<_>>().join("\n\n");
    match &reports[..] {
        [one] => Answer::new(text, one),
        all => Answer::new(text, &all),
    }
}

fn words(report: &Report) -> String {
    let sizes: Vec<String> = report.executed.iter().map(ToString::to_string).collect();
    format!(
        "{}: the certificate holds\nlegal in full; carried out on a copy of {} ({} points, each once, every word of {} transfers counted)\n\
         costs {} and {} cycles as it says; no mapping takes less than {} and {} cycles",
        report.op,
        sizes.join(" x "),
        report.points,
        report.transfers,
        Joules(report.energy_j),
        show_number(report.cycles),
        Joules(report.least_energy_j),
        show_number(report.least_cycles)
    )
}
