//! `tetra chip`: the ops of a model's step on a chip, or the chip itself.

use std::path::Path;

use tetra_chip::describe::step_rows;
use tetra_chip::design::{self, Description};
use tetra_chip::facts::{ChipFact, chip_facts};
use tetra_chip::template::{Design, build};
use tetra_chip::{Chip, ChipConstants, ChipError};
use tetra_quantity::{Fraction, Seconds, SquareMetres, Tables, show_number};
use tetra_workload::{Shard, Work, graph};

use super::Answer;
use super::import::{architecture, imported, is_architecture, is_foreign};
use super::inputs::{chip, model, precision, tables};
use crate::cli::ChipAt;
use crate::failure::Failure;
use crate::files::{Library, read_text, write_file};
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

/// The chip that is meant, the tables that made it, and what its reader has to say.
struct Opened {
    chip: Chip,
    /// Point of the template, where it was given as one.
    point: Option<Design>,
    tables: Tables,
    constants: ChipConstants,
    notes: Vec<String>,
    /// Its file, where an import wrote one.
    file: Option<String>,
}

fn constants(tables: &Tables) -> Result<ChipConstants, Failure> {
    ChipConstants::from_tables(tables).map_err(|e| Failure::all("data", [e]))
}

/// The chip of a point file, and the point; notes where the file says otherwise than its point.
fn pointed(name: &str, text: &str, tables: &Tables) -> Result<(Chip, Design, Vec<String>), Failure> {
    let said = |errors: Vec<ChipError>| Failure::Input(errors.iter().map(ToString::to_string).collect());
    let reading = design::read(name, text).map_err(said)?;
    let constants = constants(tables)?;
    let chip = build(&reading.point, &constants).map_err(|e| Failure::misfit(&e))?;
    let notes = reading.differences(tables, &constants).map_err(|e| Failure::misfit(&e))?;
    Ok((chip, reading.point, notes))
}

/// The chip of a point file.
pub fn of_point(name: &str, text: &str, tables: &Tables) -> Result<(Chip, Vec<String>), Failure> {
    pointed(name, text, tables).map(|(chip, _, notes)| (chip, notes))
}

/// Reads what `at` names.
fn open(library: &Library, at: &ChipAt) -> Result<Opened, Failure> {
    if !at.set.is_empty() {
        return Err(Failure::Input(vec![format!("--set: {} has no variables; they belong to architectures (YAML)", at.chip)]));
    }
    if let Some(id) = at.point {
        let (point, tables) = super::study::point(library, Path::new(&at.chip), id)?;
        let constants = constants(&tables)?;
        let chip = build(&point, &constants).map_err(|e| Failure::misfit(&e))?;
        return Ok(Opened { chip, point: Some(point), tables, constants, notes: Vec::new(), file: None });
    }
    let tables = tables(library)?;
    let constants = constants(&tables)?;
    if is_foreign(&at.chip) {
        let import = imported(library, &at.chip)?;
        return Ok(Opened { chip: import.chip, point: None, tables, constants, notes: import.notes, file: Some(import.toml) });
    }
    let path = Path::new(&at.chip);
    if path.is_file() {
        let text = read_text(path)?;
        if design::is_point(&text) {
            let (chip, point, notes) = pointed(&at.chip, &text, &tables)?;
            return Ok(Opened { chip, point: Some(point), tables, constants, notes, file: None });
        }
    }
    Ok(Opened { chip: chip(library, &at.chip)?, point: None, tables, constants, notes: Vec::new(), file: None })
}

/// Writes the files that are asked for.
fn write(at: &ChipAt, opened: &Opened) -> Result<(), Failure> {
    let Opened { chip, constants, .. } = opened;
    if let Some(path) = &at.out {
        write_file(path, opened.file.as_ref().unwrap_or(&chip.to_toml()))?;
    }
    if let Some(path) = &at.design {
        let point = match &opened.point {
            Some(point) => point.clone(),
            None => design::template_of(&at.chip, chip, constants).map_err(|e| Failure::Input(vec![e.to_string()]))?,
        };
        let (found, _) = Description::of(&point, &opened.tables, constants).map_err(|e| Failure::misfit(&e))?;
        let json = path.extension().is_some_and(|e| e == "json");
        let text = if json { serde_json::to_string_pretty(&found).map_err(|e| Failure::Fault(e.to_string()))? } else { found.to_toml() };
        write_file(path, &text)?;
    }
    if let Some(path) = &at.floorplan {
        write_file(path, &tetra_chip::drawing::svg(chip, constants))?;
    }
    Ok(())
}

pub fn answer(library: &Library, at: &ChipAt) -> Result<Answer, Failure> {
    if is_architecture(&at.chip) {
        return architecture(library, at);
    }
    let opened = open(library, at)?;
    write(at, &opened)?;
    match &at.model {
        Some(config) => at_work(library, at, config, &opened),
        None => alone(&opened),
    }
}

/// The chip itself.
fn alone(Opened { chip, tables, constants, notes, .. }: &Opened) -> Result<Answer, Failure> {
    let draws: Result<Vec<_>, _> = (0..DRAWS).map(|d| ChipConstants::from_tables(&tables.sample(0, d))).collect();
    let facts = chip_facts(chip, constants, &draws.map_err(|e| Failure::all("data", [e]))?);
    let text = if notes.is_empty() {
        itself(chip, &facts)
    } else {
        sections(&[("", itself(chip, &facts)), ("notes of the reader", notes.join("\n"))])
    };
    Answer::new(text, &serde_json::json!({ "name": chip.name, "facts": facts, "notes": notes }))
}

/// The chip at a model's step.
fn at_work(library: &Library, at: &ChipAt, config: &str, Opened { chip, constants, .. }: &Opened) -> Result<Answer, Failure> {
    let model = model(library, config)?;
    let (batch, context) = (at.batch.max(1), at.context);
    let work = work(&at.phase, batch, context)?;
    let shard = Shard { tensor_parallel: at.tp.max(1), expert_tensor: at.tp.max(1), ..Shard::ONE };
    let graph = graph(&model, &work, &shard, &precision(&at.precision)?).map_err(|e| Failure::misfit(&e))?;
    let step = step_rows(&graph, chip, constants);
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
