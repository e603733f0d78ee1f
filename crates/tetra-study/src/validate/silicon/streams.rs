//! TPU v1: counters of its published applications, a range over the shapes that agree with them, and its server.

use tetra_chip::weight_stationary::{Application, Counters, WeightStationary};

use super::{Ask, width};
use crate::validate::Bench;
use crate::validate::row::Prediction;

/// The item of the machine.
const MACHINE: &str = "tpu_v1";

pub(super) fn tpu(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    let text = |e: tetra_quantity::DataError| e.to_string();
    if ask.architecture.contains("server") {
        return server(ask, bench);
    }
    let machine = WeightStationary::from_tables(&bench.tables, MACHINE, bench.chip.kernels.trip_s).map_err(text)?;
    let apps = Application::all(&bench.tables, "tpu_app").map_err(text)?;
    let app = apps.iter().find(|a| ask.workload.starts_with(&a.name.to_lowercase())).ok_or("no such application was published")?;
    let app = ask.after("batch").map_or_else(|| app.clone(), |b| app.at_batch(b));
    let figure: fn(&Counters) -> f64 = match ask.metric.as_str() {
        "achieved" => |c| c.ops,
        "array_active" => |c| c.active,
        "useful_macs" => |c| c.useful,
        "unused_macs" => |c| c.active - c.useful,
        "weight_stall" => |c| c.stall,
        "weight_shift" => |c| c.shift,
        "non_matrix" => |c| c.other,
        "throughput" => |c| c.inferences,
        _ => return Err(ask.unknown()),
    };
    let mut values: Vec<f64> = app.shapes().iter().map(|layers| figure(&machine.run(&app, layers))).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().ok_or("no equal layers agree with the published figures")?;
    let width = width(bench, "counters")?;
    let show = |v: f64, w: f64| ask.show(v.max(LEAST_SHARE), w);
    let ends = [values.first().copied().unwrap_or(middle), values.last().copied().unwrap_or(middle)];
    Ok(Prediction { value: show(middle, 0.0)?.value, low: show(ends[0], width)?.low, high: show(ends[1], width)?.high })
}

/// Counters are printed with one decimal of a percent: less than half of the last one is no share.
const LEAST_SHARE: f64 = 0.5 * 1e-3;

fn server(ask: &Ask, bench: &Bench) -> Result<Prediction, String> {
    let state = if ask.workload.contains("idle") { "idle" } else { "busy" };
    let watts = |p: &str| bench.tables.number("tpu_v1_server", &format!("{p}_{state}"), "W").map_err(|e| e.to_string());
    let dies = bench.tables.number("tpu_v1_server", "dies", "1").map_err(|e| e.to_string())?;
    ask.show(watts("host")? + dies * watts("die")?, width(bench, "power")?)
}
