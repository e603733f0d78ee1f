//! The verbs of a study: check, run, search, plan, compare, report, explain.

use std::path::Path;

use serde_json::Value;
use tetra_chip::template::Design;
use tetra_quantity::{KgCo2e, TableText, Tables, TokensPerSecond, Usd, show_number};
use tetra_study::report::{Figure, OptionFigures, Report};
use tetra_study::{Answer as Found, InputTexts, Inputs, RunError, Study, read_study};

use super::Answer;
use crate::cli::Explain;
use crate::failure::Failure;
use crate::files::{Library, Output, Texts, read_folder, read_text};
use crate::page::page;
use crate::progress::Bar;
use crate::show::{sections, table};
use crate::{columns, show};

/// A study with everything that it names.
pub struct Asked {
    name: String,
    study: Study,
    inputs: Inputs,
}

/// Reads a study folder: `study.toml`, and config.json files beside it.
pub fn read(library: &Library, folder: &Path) -> Result<Asked, Failure> {
    let file = folder.join("study.toml");
    let shown = file.display().to_string();
    let text = read_text(&file)?;
    let study = read_study(&shown, &text).map_err(|e| Failure::Input(e.lines()))?;
    let own = own_models(folder)?;
    let models = own.iter().chain(&library.models).filter(|(name, _)| name.ends_with(".json"));
    let data = |name: &str| library.data.get(name).map(String::as_str).unwrap_or_default();
    let texts = InputTexts {
        tables: library.under("", ".csv").map(|(name, text)| TableText { name, text }).collect(),
        sources: data("sources.toml"),
        sites: data("sites.toml"),
        grids: data("grids.toml"),
        suppliers: data("suppliers.toml"),
        outages: data("outages.toml"),
        scenarios: data("scenarios.toml"),
        probes: data("probes.toml"),
        chips: library.under("chips", ".toml").collect(),
        models: models.map(|(name, text)| (name.trim_end_matches(".json"), text.as_str())).collect(),
    };
    let inputs = Inputs::read(&shown, &text, &study, &texts).map_err(|e| Failure::Input(e.lines()))?;
    let name = folder.canonicalize().ok().and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
    Ok(Asked { name: name.unwrap_or_else(|| "study".into()), study, inputs })
}

/// Chip `id` of a study's grid, and the tables with the study's overrides.
pub fn point(library: &Library, folder: &Path, id: usize) -> Result<(Design, Tables), Failure> {
    let Inputs { grid, tables, .. } = read(library, folder)?.inputs;
    if id >= grid.size() {
        return Err(Failure::Input(vec![format!("--point {id}: grid \"{}\" has {} chips, from 0", grid.name, grid.size())]));
    }
    Ok((grid.design(id), tables))
}

/// `NAME.json` and `NAME/config.json` beside the study, by NAME.
fn own_models(folder: &Path) -> Result<Texts, Failure> {
    let found = read_folder(folder)?;
    let kept = found.into_iter().filter_map(|(path, text)| {
        let name = path.strip_suffix("/config.json").map(|p| format!("{p}.json")).or(Some(path)).filter(|n| !n.contains('/'))?;
        name.ends_with(".json").then_some((name, text))
    });
    Ok(kept.collect())
}

fn work(asked: &Asked) -> Result<Found, Failure> {
    tetra_study::run(&asked.name, &asked.study, &asked.inputs, &Bar::new()).map_err(|e| match e {
        RunError::Ask(_) => Failure::misfit(&e),
        RunError::Supply(text) => Failure::Input(vec![text]),
    })
}

pub fn check(library: &Library, folder: &Path) -> Result<Answer, Failure> {
    let asked = read(library, folder)?;
    let s = &asked.study;
    let services = s.services.iter().map(|x| {
        let ends = [x.demand.first(), x.demand.last()].map(|d| d.copied().unwrap_or(TokensPerSecond(0.0)).to_string());
        let limit = |l: Option<tetra_quantity::Seconds>| l.map_or("-".into(), |l| l.to_string());
        let [first, last] = ends;
        let place = x.process_in.clone().unwrap_or_else(|| "anywhere".into());
        vec![x.name.clone(), x.model.clone(), x.prompt.to_string(), x.output.to_string(), limit(x.ttft), limit(x.tpot), first, last, place]
    });
    let runs = s.trainings.iter().map(|t| {
        vec![
            t.name.clone(),
            t.model.clone(),
            t.tokens.to_string(),
            t.within.to_string(),
            t.runs_per_year.to_string(),
            t.from_month.to_string(),
        ]
    });
    let trainings = match s.trainings.len() {
        0 => "no training".to_owned(),
        _ => table(&["training", "model", "tokens", "within", "runs/year", "from month"], 2, runs),
    };
    let names = |list: Vec<&str>| list.join(", ");
    let text = sections(&[
        ("", format!("{}: {} months from {}, dollars of {}", asked.name, s.frame.months, s.frame.start, s.frame.currency_year)),
        ("", table(&["service", "model", "prompt", "output", "TTFT", "TPOT", "first month", "last month", "data in"], 2, services)),
        ("", trainings),
        ("", format!("sites: {}", names(s.sites.iter().map(|x| x.name.as_str()).collect()))),
        ("", format!("compared with: {}; grid of {} chips", s.buy.join(", "), asked.inputs.grid.size())),
    ]);
    let value = serde_json::json!({ "study": asked.name, "services": s.services.len(), "trainings": s.trainings.len(), "grid": asked.inputs.grid.size() });
    Answer::new(text, &value)
}

pub fn run(library: &Library, folder: &Path) -> Result<Answer, Failure> {
    let asked = read(library, folder)?;
    let found = work(&asked)?;
    let out = folder.join("out");
    let json = |value: &dyn erased::Json| value.pretty();
    let report = json(&found.report)?;
    let mut output = Output::into(&out)?;
    output.write("report.json", report.as_bytes())?;
    output.write("report.html", page(&report).as_bytes())?;
    output.write("cashflow.csv", found.cashflow.as_bytes())?;
    output.write("explain.json", json(&found.explanations)?.as_bytes())?;
    output.write("designs.parquet", &columns::parquet(&found.designs)?)?;
    output.finish()?;
    let place = out.join("report.html");
    if found.report.options.iter().all(|o| !o.misfits.is_empty()) {
        let reasons = found.report.options.iter().map(|o| format!("{}: {}", o.name, o.misfits.join("; ")));
        return Err(Failure::Misfit(reasons.chain([format!("the report is there all the same: {}", place.display())]).collect()));
    }
    let text = format!("{}\n\nReport: {}", answer_text(&found.report), place.display());
    Answer::new(text, &found.report)
}

/// Serialising any part of an answer.
mod erased {
    use crate::failure::Failure;

    /// A value that becomes JSON.
    pub trait Json {
        /// Indented JSON.
        fn pretty(&self) -> Result<String, Failure>;
    }

    impl<T: serde::Serialize> Json for T {
        fn pretty(&self) -> Result<String, Failure> {
            serde_json::to_string_pretty(self).map_err(|e| Failure::Fault(e.to_string()))
        }
    }
}

fn answer_text(report: &Report) -> String {
    let said = |o: &OptionFigures| [o.misfits.clone(), o.notes.clone()].concat().join("; ");
    let note = report.options.iter().filter(|o| !said(o).is_empty()).map(|o| format!("{}: {}", o.name, said(o)));
    sections(&[
        ("", report.verdict.sentence.clone()),
        ("", options_table(&report.options)),
        ("", [vec![report.verdict.certainty.clone()], note.collect()].concat().join("\n")),
    ])
}

fn options_table(options: &[OptionFigures]) -> String {
    let number = |f: &Figure| if f.value.is_finite() { show_number(f.value) } else { "-".into() };
    let money = |f: &Figure| if f.value.is_finite() { Usd(f.value).to_string() } else { "-".into() };
    let month = |f: &Figure<Option<u32>>| f.value.map_or("never".into(), |m| m.to_string());
    type Show<'a> = Box<dyn Fn(&OptionFigures) -> String + 'a>;
    let lines: [(&str, Show<'_>); 11] = [
        ("USD per M output tokens", Box::new(|o| number(&o.usd_per_million_output_tokens))),
        ("capex", Box::new(|o| money(&o.capex_usd))),
        ("opex per year", Box::new(|o| money(&o.opex_usd_per_year))),
        ("chips", Box::new(|o| number(&o.chips))),
        ("IT MW", Box::new(|o| number(&o.it_mw))),
        ("training days", Box::new(|o| number(&o.training_days))),
        ("USD per training run", Box::new(|o| money(&o.training_usd_per_run))),
        ("first month", Box::new(|o| month(&o.first_month))),
        ("all demand met from month", Box::new(|o| month(&o.full_month))),
        ("carbon", Box::new(|o| if o.kg_co2e.value.is_finite() { KgCo2e(o.kg_co2e.value).to_string() } else { "-".into() })),
        ("export class", Box::new(|o| if o.export_class.value.is_empty() { "-".into() } else { o.export_class.value.clone() })),
    ];
    let head: Vec<&str> = std::iter::once("").chain(options.iter().map(|o| o.name.as_str())).collect();
    let rows = lines.iter().map(|(name, show)| std::iter::once((*name).to_owned()).chain(options.iter().map(show)).collect());
    show::table(&head, 1, rows)
}

pub fn compare(library: &Library, folder: &Path) -> Result<Answer, Failure> {
    let report = work(&read(library, folder)?)?.report;
    Answer::new(answer_text(&report), &report.options)
}

pub fn search(library: &Library, folder: &Path) -> Result<Answer, Failure> {
    let s = work(&read(library, folder)?)?.report.search;
    let front = s.points.iter().filter(|p| p.front).map(|p| {
        let goals = [show_number(p.usd_per_million_output_tokens), show_number(p.training_days), p.first_month.to_string()];
        [p.id.to_string(), p.design.clone()].into_iter().chain(goals).collect()
    });
    let pairs = |list: &[(String, u64)]| list.iter().map(|(r, n)| vec![r.clone(), n.to_string()]).collect::<Vec<_>>();
    let counts =
        format!("{} chips: {} evaluated, {} excluded by a bound, {} do not fit", s.grid, s.evaluated, s.excluded_by_bound, s.misfit);
    let text = sections(&[
        ("", counts),
        ("Pareto front:", table(&["id", "design", "USD per M tokens", "training days", "first month"], 2, front)),
        ("", table(&["do not fit because", "chips"], 1, pairs(&s.misfits))),
        ("", table(&["bound", "chips excluded"], 1, pairs(&s.bounds))),
    ]);
    Answer::new(text, &s)
}

pub fn plan(library: &Library, folder: &Path) -> Result<Answer, Failure> {
    if cfg!(not(feature = "plan")) {
        return Err(Failure::Input(vec![
            "this program was built without the planner (HiGHS): build it with the feature \"plan\", which needs cmake and libclang (`make setup`)".into(),
        ]));
    }
    let report = work(&read(library, folder)?)?.report;
    let Some(plan) = report.plan else {
        return Err(Failure::Misfit(vec!["no chip of the grid can be planned: `tetra search` says why".into()]));
    };
    let bars = plan.bars.iter().map(|b| vec![b.lane.clone(), b.label.clone(), b.from.to_string(), b.to.to_string()]);
    let text = sections(&[
        ("", plan.remarks.join("\n")),
        ("", table(&["", "", "from month", "to month"], 2, bars)),
        ("Bottlenecks:", plan.bottlenecks.join("\n")),
        ("If supply breaks:", plan.stress.join("\n")),
    ]);
    Answer::new(text, &plan)
}

fn from_out(folder: &Path, name: &str) -> Result<String, Failure> {
    let path = folder.join("out").join(name);
    if path.is_file() { read_text(&path) } else { Err(Failure::input(&path, "it is not there", "run `tetra run` on the study first")) }
}

pub fn report(folder: &Path) -> Result<Answer, Failure> {
    let json = from_out(folder, "report.json")?;
    let path = folder.join("out/report.json");
    let value: Value = serde_json::from_str(&json).map_err(|e| Failure::input(&path, &e.to_string(), "run `tetra run` again"))?;
    if let Some(part) = tetra_study::report::lacks(&value) {
        return Err(Failure::input(&path, &format!("not a report: it has no \"{part}\""), "run `tetra run` again"));
    }
    let mut output = Output::into(&folder.join("out"))?;
    output.write("report.html", page(&json).as_bytes())?;
    output.finish()?;
    Answer::new(format!("Report: {}", folder.join("out/report.html").display()), &value)
}

pub fn explain(at: &Explain) -> Result<Answer, Failure> {
    let json = from_out(&at.study, "explain.json")?;
    let path = at.study.join("out/explain.json");
    let all: Vec<tetra_study::Node> =
        serde_json::from_str(&json).map_err(|e| Failure::input(&path, &e.to_string(), "run `tetra run` again"))?;
    let list = |keys: &[&str]| keys.join("\n");
    let keys: Vec<&str> = all.iter().map(|n| n.key.as_str()).collect();
    let Some(key) = &at.key else { return Answer::new(list(&keys), &keys) };
    let found = match &at.option {
        None => tetra_study::explain(&all, key),
        Some(option) => {
            let of_option = format!("{}.{key}", option.to_lowercase().replace(' ', "_"));
            all.iter().find(|n| n.key == *key || n.key == of_option).ok_or(keys)
        }
    };
    match found {
        Ok(node) => Answer::new(node.text(), node),
        Err(known) => Err(Failure::Input(vec![format!("no number \"{key}\": the keys are\n{}", list(&known))])),
    }
}
