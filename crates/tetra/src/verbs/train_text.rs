//! What `tetra train` says to a person.

use tetra_cluster::train::change::foremost;
use tetra_cluster::{Layout, Offload, Recompute, Schedule, StateSharding};
use tetra_quantity::{FlopPerSecond, Fraction, Seconds, show_number};

use super::train::{Found, SHOWN};
use super::train_given::Given;
use crate::show::{sections, table};

/// Most plans of a front shown.
const MOST_SHOWN: usize = 30;

pub fn text(given: &Given, found: &Found) -> String {
    let mut parts = vec![("", head(given, found)), ("", times(found)), ("", memory(found)), ("", figures(given, found))];
    if let Some(run) = run(found) {
        parts.push(("", run));
    }
    parts.push(("", helps(found)));
    if let Some(why) = &found.why_not {
        parts.push(("", format!("why not: {why}")));
    }
    if !found.front.is_empty() {
        parts.push(("", front(found)));
    }
    if !found.notes.is_empty() {
        parts.push(("not carried over, or filled in:", list(&found.notes)));
    }
    if !found.left_out.is_empty() {
        parts.push(("without effect on a step:", found.left_out.join(" ")));
    }
    sections(&parts)
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|l| format!("- {l}")).collect::<Vec<_>>().join("\n")
}

fn head(given: &Given, found: &Found) -> String {
    let on = found.cluster.as_ref().map_or(String::new(), |c| format!(" of {}", c.name));
    let mut line = format!("{} × {}{on}: {}", found.step.layout.chips(), given.chip.name, plan(&found.step.layout));
    if let Some(search) = &found.search {
        line.push_str(&format!("; the fastest of {} plans ({} priced, the others excluded by bounds)", search.plans, search.priced));
    } else if found.searched {
        line.push_str("; what was left out was searched");
    }
    line.push_str(&unmeasured(found));
    line
}

/// What to know of an order of which there are no measured steps.
fn unmeasured(found: &Found) -> String {
    let layout = &found.step.layout;
    if layout.pipeline_parallel < 2 || layout.schedule.measured() {
        return String::new();
    }
    let name = layout.schedule.name();
    let instead = found
        .measured
        .as_ref()
        .map_or(String::new(), |m| format!("; the fastest in an order that was: {} per step, {}", m.time, plan(&m.layout)));
    format!("\nno measured step that predictions are held against was run in the order {name}{instead}")
}

/// A layout in words.
pub fn plan(l: &Layout) -> String {
    let mut text = format!(
        "tensor {}, pipeline {} (virtual {}), data {}, context {}, expert {}, microbatch {}, recompute {}, state sharding {}",
        l.tensor_parallel,
        l.pipeline_parallel,
        l.virtual_stages,
        l.data_parallel,
        l.context_parallel,
        l.expert_parallel,
        l.micro_batch,
        recompute(l.recompute),
        sharding(l.sharding)
    );
    if l.sequence_parallel {
        text.push_str(", sequence parallel");
    }
    if l.schedule != Schedule::default() {
        text.push_str(&format!(", schedule {}", l.schedule.name()));
    }
    if l.offload != Offload::NONE {
        let kinds = [("weights", l.offload.weights), ("activations", l.offload.activations), ("optimizer", l.offload.optimizer)];
        let names: Vec<_> = kinds.into_iter().filter(|k| k.1).map(|k| k.0).collect();
        text.push_str(&format!(", {} off-loaded", names.join(" and ")));
    }
    text
}

fn recompute(r: Recompute) -> String {
    match r {
        Recompute::None => "none".into(),
        Recompute::Selective => "selective".into(),
        Recompute::Full => "full".into(),
        Recompute::Cheap => "cheap".into(),
        Recompute::Hosted(n) => format!("none, {n} layers per stage kept by the host"),
        Recompute::Layers(n) => format!("{n} layers per stage"),
    }
}

fn sharding(s: StateSharding) -> &'static str {
    match s {
        StateSharding::None => "none",
        StateSharding::Optimizer => "optimizer",
        StateSharding::Gradients => "gradients",
        StateSharding::Full => "full",
    }
}

fn times(found: &Found) -> String {
    let row =
        |name: &str, words: &str, time: Seconds, share: f64| vec![name.to_owned(), words.to_owned(), time.to_string(), part_of(share)];
    let mut rows: Vec<_> = found.time.iter().map(|p| row(p.name, p.words, p.time, p.share)).collect();
    rows.push(vec!["step".into(), String::new(), found.step.time.to_string()]);
    let i = &found.interval;
    let interval = format!("80 % interval of the step: {} to {}", Seconds(i.low), Seconds(i.high));
    format!("{}\n{interval}", table(&["time", "", "", ""], 2, rows))
}

/// A share; a very small one without its digits.
fn part_of(share: f64) -> String {
    const LEAST: f64 = 1e-3;
    if share > 0.0 && share < LEAST { "< 0.1 %".into() } else { Fraction(share).to_string() }
}

fn memory(found: &Found) -> String {
    let rows = found.memory.iter().map(|p| vec![p.name.to_owned(), p.bytes.to_string(), part_of(p.share)]);
    table(&["memory of the fullest chip", "", ""], 1, rows)
}

fn figures(given: &Given, found: &Found) -> String {
    let (r, step) = (&found.rates, &found.step);
    let both = |all: String, causal: String| vec![all, causal];
    let rate = |flop: f64| FlopPerSecond(flop).to_string();
    let share = |x: f64| Fraction(x).to_string();
    let mut rows = Vec::new();
    let mut add = |name: String, values: Vec<String>| rows.push([vec![name], values].concat());
    add("model FLOP utilisation (MFU)".into(), both(share(r.mfu), share(r.mfu_causal)));
    add("hardware FLOP utilisation (HFU)".into(), both(share(r.hfu), String::new()));
    add("model FLOP/s per chip".into(), both(rate(r.model_flop_per_second), rate(r.model_flop_per_second_causal)));
    add("FLOP/s per chip with recompute".into(), both(rate(r.hardware_flop_per_second), String::new()));
    let utilisation = table(&["", "attention of all pairs", "causal attention"], 1, rows);
    let plain = [
        ("tokens/s per chip", show_number(r.tokens_per_second_per_chip)),
        ("tokens/s", show_number(r.tokens_per_second)),
        ("mean power of a chip", step.power.to_string()),
        ("energy of a chip per step", step.energy.to_string()),
    ];
    let base = format!("over the dense peak of {} at full clock", format_name(given));
    format!("{utilisation}\n{base}\n{}", table(&["", ""], 1, plain.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()])))
}

/// The format of the weights in small letters.
fn format_name(given: &Given) -> String {
    format!("{:?}", given.ask().precision.weights).to_lowercase()
}

/// Rows of a run before its rent: tokens, steps, time and chip time.
const AFTER_CHIP_TIME: usize = 4;

fn run(found: &Found) -> Option<String> {
    let run = found.run.as_ref()?;
    let mut rows = vec![
        ("tokens", show_number(run.tokens.0)),
        ("steps", show_number(run.steps)),
        ("time with failures and checkpoints", run.time.to_string()),
        ("chip time", format!("{} chip-hours", show_number(run.chip_hours))),
        ("spare chips", show_number(run.spares as f64)),
        ("energy of the chips", run.energy.to_string()),
        ("an interruption every", run.goodput.mtti.to_string()),
        ("goodput, checkpoints on storage", Fraction(run.goodput.goodput).to_string()),
        ("a checkpoint every", run.goodput.interval.to_string()),
        ("goodput, checkpoints in other servers' memory, too", Fraction(run.in_tiers.goodput).to_string()),
        ("a checkpoint in memory every", run.in_tiers.interval.to_string()),
    ];
    if let Some(rent) = found.rent {
        rows.insert(AFTER_CHIP_TIME, ("rent of the chips, on demand today", rent.to_string()));
    }
    Some(table(&["run", ""], 1, rows.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()])))
}

fn helps(found: &Found) -> String {
    let gains = foremost(&found.changes, SHOWN);
    if gains.is_empty() {
        return "no single change tried makes it faster".into();
    }
    let rows = gains.iter().map(|c| {
        let knob = c.knob.clone().unwrap_or_default();
        vec![c.what.clone(), knob, format!("+{}", Fraction(c.gain)), c.time.to_string()]
    });
    table(&["what would help most", "", "tokens/s", "step"], 2, rows)
}

fn front(found: &Found) -> String {
    let rows = found.front.iter().take(MOST_SHOWN).map(|s| {
        let fits = if s.fits { "" } else { "does not fit" };
        vec![s.time.to_string(), s.memory.total().to_string(), fits.to_owned(), plan(&s.layout)]
    });
    table(&["step", "fullest chip", "", "time against memory"], 4, rows)
}
