//! `tetra chip`: the ops of a model's step on a chip, or the chip itself.

use tetra_chip::describe::step_rows;
use tetra_chip::facts::{ChipFact, chip_facts};
use tetra_chip::{Chip, ChipConstants};
use tetra_quantity::{Fraction, Seconds, SquareMetres, show_number};
use tetra_workload::{Shard, Work, graph};

use super::Answer;
use super::import::{architecture, imported, is_architecture, is_foreign};
use super::inputs::{chip, model, precision, tables};
use crate::cli::ChipAt;
use crate::failure::Failure;
use crate::files::{Library, write_file};
use crate::show::{sections, table};

/// Draws of the constants behind a printed range.
const DRAWS: u64 = 200;

fn work(phase: &str, batch: u64, context: u64) -> Result<Work, Failure> {
    match phase {
        "train" => Ok(Work::train(batch, context)),
        "prefill" => Ok(Work::prefill(batch, context)),
        "decode" => Ok(Work::decode(batch, context)),
        other => Err(Failure::Input(vec![format!("--phase \"{other}\": write train, prefill or decode")])),
    }
}

/// The chip that is meant and what an import says of it; writes the files that are asked for.
fn opened(library: &Library, at: &ChipAt, constants: &ChipConstants) -> Result<(Chip, Vec<String>), Failure> {
    let (found, notes) = if is_foreign(&at.chip) {
        let import = imported(library, &at.chip)?;
        if let Some(path) = &at.out {
            write_file(path, &import.toml)?;
        }
        (import.chip, import.notes)
    } else {
        if let Some(path) = &at.out {
            return Err(Failure::input(path, "--out writes imported chips", "give another tool's file, or leave --out out"));
        }
        (chip(library, &at.chip)?, Vec::new())
    };
    if let Some(path) = &at.floorplan {
        write_file(path, &tetra_chip::drawing::svg(&found, constants))?;
    }
    Ok((found, notes))
}

pub fn answer(library: &Library, at: &ChipAt) -> Result<Answer, Failure> {
    if is_architecture(&at.chip) {
        return architecture(library, at);
    }
    let tables = tables(library)?;
    let constants = ChipConstants::from_tables(&tables).map_err(|e| Failure::all("data", [e]))?;
    let (chip, notes) = opened(library, at, &constants)?;
    let Some(config) = &at.model else {
        let draws: Result<Vec<_>, _> = (0..DRAWS).map(|d| ChipConstants::from_tables(&tables.sample(0, d))).collect();
        let facts = chip_facts(&chip, &constants, &draws.map_err(|e| Failure::all("data", [e]))?);
        let text =
            if notes.is_empty() { itself(&chip, &facts) } else { sections(&[("", itself(&chip, &facts)), ("imported", notes.join("\n"))]) };
        return Answer::new(text, &serde_json::json!({ "name": chip.name, "facts": facts, "notes": notes }));
    };
    let model = model(library, config)?;
    let (batch, context) = (at.batch.max(1), at.context);
    let work = work(&at.phase, batch, context)?;
    let shard = Shard { tensor_parallel: at.tp.max(1), expert_tensor: at.tp.max(1), ..Shard::ONE };
    let graph = graph(&model, &work, &shard, &precision(&at.precision)?).map_err(|e| Failure::misfit(&e))?;
    let step = step_rows(&graph, &chip, &constants);
    let share = |v: f64| Fraction(v).to_string();
    let rows = step.rows.iter().map(|r| {
        let bound = serde_json::to_value(r.bound_by).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let bound = if r.time > Seconds::ZERO { bound } else { "timed by the cluster".into() };
        let cells = [r.count.to_string(), r.time.to_string(), r.total_time.to_string(), share(r.share), r.total_energy.to_string()];
        let rates = [share(r.mac_utilisation), share(r.hbm_utilisation), bound];
        [r.part.to_owned(), r.op.to_owned(), r.shape.clone()].into_iter().chain(cells).chain(rates).collect()
    });
    let head = ["part", "op", "shape", "count", "time", "all", "share", "energy", "MAC use", "HBM use", "bound by"];
    let text = sections(&[
        (
            "",
            format!(
                "{} of {} on {}: {} of device time, {}, mean power {}",
                at.phase, model.name, chip.name, step.time, step.energy, step.power
            ),
        ),
        ("", table(&head, 3, rows)),
    ]);
    Answer::new(text, &step)
}

fn itself(chip: &Chip, modelled: &[ChipFact]) -> String {
    let facts = [
        ("cores", chip.compute.cores.to_string()),
        ("clock", chip.compute.clock.to_string()),
        ("global buffer", chip.memory.global.to_string()),
        ("HBM", format!("{} {} x {}", chip.memory.hbm, chip.memory.hbm_kind, chip.memory.hbm_stacks)),
        ("HBM bandwidth", chip.memory.hbm_bandwidth.to_string()),
        ("scale-up per direction", format!("{} among {}", chip.links.scale_up, chip.links.scale_up_domain)),
        ("scale-out per direction", chip.links.scale_out.to_string()),
        ("power cap", chip.power.cap.to_string()),
        ("process", format!("{} x {}", chip.silicon.dies, chip.silicon.node)),
        ("package", chip.silicon.package.clone()),
        (
            "published logic area",
            if chip.silicon.area > SquareMetres::ZERO { chip.silicon.area.to_string() } else { "not published".into() },
        ),
    ];
    let rows = modelled.iter().map(|f| {
        let figures = [f.value, f.low, f.high].map(show_number);
        [f.group.to_owned(), f.name.to_owned()].into_iter().chain(figures).chain([f.unit.to_owned()]).collect()
    });
    sections(&[
        ("", chip.name.clone()),
        ("", table(&["", ""], 1, facts.iter().map(|(k, v)| vec![(*k).to_owned(), v.clone()]))),
        ("", table(&["modelled", "part", "value", "P10", "P90", "unit"], 2, rows)),
    ])
}
