//! Tables of the answer: the search, the chosen chip, how options serve and train, sites, and one row per chip of the grid.

use tetra_cluster::serve::{Mode, Serving};
use tetra_quantity::{DAY_S, KWH_J, Quantity, show_number, show_scaled};
use tetra_site::at_site;

use crate::compare::Worked;
use crate::evaluate::{Setting, Source};
use crate::grid::{AXES, Grid};
use crate::report::{ChipReport, DesignPoint, Rectangle, SearchReport, ServiceReport, SiteReport};
use crate::search::{Fate, Searched};

/// Points of the scatter.
const POINTS: usize = 2000;

/// One chip of the grid, for the table of designs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DesignRow {
    /// Index in the grid.
    pub id: u64,
    /// Process node.
    pub node: String,
    /// Dies.
    pub dies: u64,
    /// Cores.
    pub cores: u64,
    /// PE arrays per core.
    pub arrays_per_core: u64,
    /// Rows of an array.
    pub array_rows: u64,
    /// Columns of an array.
    pub array_columns: u64,
    /// Vector lanes per core.
    pub lanes: u64,
    /// Scratchpad per core, bytes.
    pub local_bytes: f64,
    /// Memory shared by all cores, bytes.
    pub global_bytes: f64,
    /// Kind of HBM.
    pub hbm_kind: String,
    /// Stacks of HBM.
    pub hbm_stacks: u64,
    /// Scale-up bandwidth per direction, bytes per second.
    pub scale_up_bytes_per_s: f64,
    /// Chips of a scale-up domain.
    pub scale_up_domain: u64,
    /// Clock, hertz.
    pub clock_hz: f64,
    /// `evaluated`, `excluded by bound` or `misfit`.
    pub fate: &'static str,
    /// Why it does not fit; empty otherwise.
    pub reason: &'static str,
    /// Levelised cost, dollars per million output tokens: found, or the bound that excluded it; not a number for misfits.
    pub usd_per_million_output_tokens: f64,
    /// Days of one training run at equal spend, likewise.
    pub training_days: f64,
    /// Month of first volume, likewise.
    pub first_month: f64,
    /// Whether it is on the front.
    pub front: bool,
    /// Whether it was planned.
    pub planned: bool,
}

/// One row per chip of the grid, in the order of their index.
pub fn design_rows(setting: &Setting<'_>, searched: &Searched, planned: &[usize]) -> Vec<DesignRow> {
    let grid = &setting.inputs.grid;
    let on = flags(searched.fates.len(), &searched.front);
    let plans = flags(searched.fates.len(), planned);
    searched.fates.iter().enumerate().map(|(id, fate)| design_row(grid, id, fate, on[id], plans[id])).collect()
}

fn flags(n: usize, ids: &[usize]) -> Vec<bool> {
    let mut out = vec![false; n];
    ids.iter().for_each(|&i| out[i] = true);
    out
}

fn design_row(grid: &Grid, id: usize, fate: &Fate, front: bool, planned: bool) -> DesignRow {
    let design = grid.design(id);
    let nothing = [f64::NAN; 3];
    let (word, reason, goals) = match fate {
        Fate::Evaluated(g) => ("evaluated", "", *g),
        Fate::Excluded(g, _) => ("excluded by bound", "", *g),
        Fate::Misfit(r) => ("misfit", *r, nothing),
    };
    DesignRow {
        id: id as u64,
        node: design.node,
        dies: design.dies,
        cores: design.cores,
        arrays_per_core: design.arrays_per_core,
        array_rows: design.array_rows,
        array_columns: design.array_columns,
        lanes: design.lanes,
        local_bytes: design.local.value(),
        global_bytes: design.global.value(),
        hbm_kind: design.hbm_kind,
        hbm_stacks: design.hbm_stacks,
        scale_up_bytes_per_s: design.scale_up.value(),
        scale_up_domain: design.scale_up_domain,
        clock_hz: design.clock.value(),
        fate: word,
        reason,
        usd_per_million_output_tokens: goals[0],
        training_days: goals[1],
        first_month: goals[2],
        front,
        planned,
    }
}

/// Values of each axis in words, in the order of the axes.
pub(crate) fn axis_words(grid: &Grid) -> Vec<(String, Vec<String>)> {
    let counts = |v: &[u64]| v.iter().map(ToString::to_string).collect::<Vec<_>>();
    fn shown<Q: Quantity>(v: &[Q]) -> Vec<String> {
        v.iter().map(|q| show_scaled::<Q>(q.value())).collect()
    }
    let words = [
        grid.nodes.clone(),
        counts(&grid.dies),
        counts(&grid.cores),
        counts(&grid.arrays_per_core),
        counts(&grid.array_rows),
        counts(&grid.array_columns),
        counts(&grid.lanes),
        shown(&grid.local),
        shown(&grid.global),
        grid.hbm_kinds.clone(),
        counts(&grid.hbm_stacks),
        shown(&grid.scale_up),
        counts(&grid.scale_up_domain),
        shown(&grid.clock),
    ];
    AXES.iter().map(|a| (*a).to_owned()).zip(words).collect()
}

/// A chip of the grid in words.
pub fn design_words(grid: &Grid, id: usize) -> String {
    let p = grid.point(id);
    let axes = axis_words(grid);
    let w = |axis: usize| axes[axis].1[p[axis]].as_str();
    format!(
        "{}, {} × {} cores of {} arrays {}×{}, {} lanes, {} local, {} global, {} × {}, {} scale-up among {}, {}",
        w(0),
        w(1),
        w(2),
        w(3),
        w(4),
        w(5),
        w(6),
        w(7),
        w(8),
        w(10),
        w(9),
        w(11),
        w(12),
        w(13)
    )
    .replacen(&format!("{} × {} cores", w(1), w(2)), &format!("{} cores on {} dies", w(2), w(1)), 1)
}

/// Designs that the page draws: an even sample by cost, the front, what was planned and what was chosen.
fn shown_designs(searched: &Searched, front: &[bool], planned: &[usize], chosen: Option<usize>) -> Vec<usize> {
    let step = (searched.cheapest.len() / POINTS).max(1);
    let by_cost = searched.cheapest.iter().copied().enumerate();
    let mut ids: Vec<usize> = by_cost.filter(|(i, id)| i % step == 0 || front[*id]).map(|(_, id)| id).collect();
    ids.extend(planned.iter().copied().chain(chosen));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What the search found, for the page.
pub fn search_report(setting: &Setting<'_>, searched: &Searched, planned: &[usize], chosen: Option<usize>) -> SearchReport {
    let grid = &setting.inputs.grid;
    let (evaluated, excluded) = searched.counts();
    let misfits = searched.misfits();
    let on = flags(searched.fates.len(), &searched.front);
    let point = |id: usize| match &searched.fates[id] {
        Fate::Evaluated(g) => Some(DesignPoint {
            id: id as u64,
            design: design_words(grid, id),
            usd_per_million_output_tokens: g[0],
            training_days: g[1],
            first_month: g[2] as u32,
            front: on[id],
            planned: planned.contains(&id),
            chosen: chosen == Some(id),
        }),
        _ => None,
    };
    let services = setting.study.services.len();
    let words = |n: usize| {
        let left = services - n;
        format!(
            "training runs and {n} services searched, {left} services at the roofline (memory traffic, arrays) and idle power: dominated by a chip already evaluated"
        )
    };
    SearchReport {
        grid: grid.size() as u64,
        evaluated,
        excluded_by_bound: excluded,
        misfit: misfits.iter().map(|m| m.1).sum(),
        axes: axis_words(grid).into_iter().map(|(a, v)| (a, v.join(", "))).collect(),
        bounds: (0..services).map(|n| (words(n), searched.excluded_at(n))).collect(),
        misfits: misfits.into_iter().map(|(r, n)| (r.to_owned(), n)).collect(),
        points: shown_designs(searched, &on, planned, chosen).into_iter().filter_map(point).collect(),
    }
}

/// The chosen chip; empty when none fits.
pub fn chip_report(setting: &Setting<'_>, build: Option<&Worked>) -> ChipReport {
    let Some((w, Source::Own(package))) = build.map(|b| (b, &b.source)) else {
        return ChipReport { properties: Vec::new(), die_width_mm: 0.0, die_height_mm: 0.0, floor_plan: Vec::new(), unit_cost: Vec::new() };
    };
    let k = &setting.inputs.constants.chip;
    let (chip, c) = (&w.chip, &w.chip.compute);
    let area = tetra_chip::area::breakdown(chip, k);
    let property = |name: &str, value: String| (name.to_owned(), value);
    let peak = tetra_cluster::train::peak_flop_per_second;
    let flop = |mac| format!("{} dense", show_scaled::<tetra_quantity::FlopPerSecond>(peak(chip, mac)));
    let properties = vec![
        property("design", w.id.map_or(String::new(), |id| design_words(&setting.inputs.grid, id))),
        property("BF16", flop(tetra_workload::MacType::Fp16)),
        property("FP8", flop(tetra_workload::MacType::Fp8)),
        property("cores", format!("{} of {} laid out", c.cores, chip.silicon.cores_built)),
        property("HBM", format!("{} at {}", chip.memory.hbm, chip.memory.hbm_bandwidth)),
        property("die", format!("{} mm2 each, {} of them", show_number(area.die_mm2), chip.silicon.dies)),
        property("power cap", chip.power.cap.to_string()),
        property("sellable dies", format!("{} %", show_number(100.0 * package.sellable_yield))),
        property("unit cost", package.unit_cost.to_string()),
        property("design cost (NRE)", package.nre.total.to_string()),
        property("months to first volume", show_number(package.programme.months_to_volume)),
        property("export class", package.export.class.word().to_owned()),
        property("total processing performance", show_number(package.export.tpp)),
    ];
    let plan = tetra_chip::floorplan::floorplan(chip, k).into_iter().next();
    let (die_width_mm, die_height_mm) = plan.as_ref().map_or((0.0, 0.0), |d| (d.w, d.h));
    let rectangle = |r: tetra_chip::floorplan::Rect| Rectangle { name: r.name.to_owned(), x: r.x, y: r.y, w: r.w, h: r.h };
    ChipReport {
        properties,
        die_width_mm,
        die_height_mm,
        floor_plan: plan.map_or(Vec::new(), |d| d.rects.into_iter().map(rectangle).collect()),
        unit_cost: package.waterfall.iter().map(|(n, usd)| ((*n).to_owned(), usd.value())).collect(),
    }
}

/// How every option serves and trains.
pub fn service_reports(setting: &Setting<'_>, worked: &[&Worked]) -> Vec<ServiceReport> {
    let mut out = Vec::new();
    for w in worked {
        for (s, found) in setting.study.services.iter().zip(&w.found.ability.services) {
            out.push(ServiceReport {
                option: w.name.clone(),
                service: s.name.clone(),
                layout: layout_words(found),
                figures: serving_figures(found),
            });
        }
        for (t, found) in setting.study.trainings.iter().zip(&w.found.ability.trainings) {
            let l = &found.step.layout;
            let layout = format!(
                "tensor {} × context {} × pipeline {} ({} chunks) × data {}, recompute {:?}",
                l.tensor_parallel, l.context_parallel, l.pipeline_parallel, l.virtual_stages, l.data_parallel, l.recompute
            );
            let figures = vec![
                ("chips".to_owned(), show_number(found.chips as f64)),
                ("run".to_owned(), format!("{} days", show_number(found.time.value() / DAY_S))),
                ("step".to_owned(), found.step.time.to_string()),
                ("MFU".to_owned(), format!("{} %", show_number(100.0 * found.step.mfu))),
                ("goodput".to_owned(), format!("{} %", show_number(100.0 * found.goodput))),
            ];
            out.push(ServiceReport { option: w.name.clone(), service: t.name.clone(), layout: layout.to_lowercase(), figures });
        }
    }
    out
}

fn layout_words(s: &Serving) -> String {
    let split = |x: &tetra_cluster::serve::Split| {
        let mut text = format!("tensor {} × pipeline {}", x.tensor_parallel, x.pipeline_parallel);
        if x.expert_parallel > 1 || x.attention_data > 1 {
            text.push_str(&format!(" × attention data {} (experts over {})", x.attention_data, x.expert_parallel));
        }
        text
    };
    match &s.layout.mode {
        Mode::Aggregated => format!("{}, batch {}", split(&s.layout.split), s.layout.batch),
        Mode::Disaggregated { prefill, prefill_workers, decode_workers } => format!(
            "{decode_workers} decode workers of {}, batch {}; {prefill_workers} prefill workers of {}",
            split(&s.layout.split),
            s.layout.batch,
            split(prefill)
        ),
    }
}

fn serving_figures(s: &Serving) -> Vec<(String, String)> {
    vec![
        ("tokens/s per chip".to_owned(), show_number(s.tokens_per_second_per_chip)),
        ("TTFT".to_owned(), s.ttft.to_string()),
        ("TPOT".to_owned(), s.tpot.to_string()),
        ("power per chip".to_owned(), s.power.to_string()),
        ("energy per token".to_owned(), s.energy_per_token.to_string()),
    ]
}

/// Sites with what an option takes of them.
pub fn site_reports(setting: &Setting<'_>, w: Option<&Worked>) -> Vec<SiteReport> {
    let Some(w) = w else { return Vec::new() };
    let machine = w.found.standing.stands.first().map(|s| s.hour.machine);
    let c = &setting.inputs.constants.site;
    let one = |(i, place): (usize, &crate::stand::Place<'_>)| {
        let hour = machine.and_then(|m| at_site(&m, place.site, &setting.finance, c).ok());
        SiteReport {
            name: place.site.name.clone(),
            jurisdiction: place.site.jurisdiction.clone(),
            ready_month: c.cost.lease_months.ceil().max(0.0) as u32 + 1,
            it_mw: w.outcome.it_w_by_place.get(i).copied().unwrap_or(0.0) * 1e-6,
            cap_mw: place.cap.map(|cap| cap.value() * 1e-6),
            pue: hour.as_ref().map_or(0.0, |h| h.pue),
            usd_per_kwh: place.site.electricity.value() * KWH_J,
            g_per_kwh: place.site.carbon.value() * KWH_J * 1e3,
            usd_per_chip_hour: hour.as_ref().map_or(0.0, |h| h.usd_per_hour),
        }
    };
    setting.places.iter().enumerate().map(one).collect()
}
