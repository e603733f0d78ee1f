//! What a run answers: the JSON of `out/report.json` and everything that the page shows. Found, never given.

use serde::Serialize;

/// A number with its range and unit. Without draws `low` and `high` equal `value`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure<T = f64> {
    /// Median.
    pub value: T,
    /// P10.
    pub low: T,
    /// P90.
    pub high: T,
    /// Unit.
    pub unit: &'static str,
}

impl<T: Clone> Figure<T> {
    /// A figure without a range.
    pub fn exact(value: T, unit: &'static str) -> Self {
        Self { low: value.clone(), high: value.clone(), value, unit }
    }
}

/// The answer of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The study's frame in words.
    pub frame: Frame,
    /// The sentence.
    pub verdict: Verdict,
    /// Build and every GPU that it is compared with.
    pub options: Vec<OptionFigures>,
    /// What the search found.
    pub search: SearchReport,
    /// The chosen chip.
    pub chip: ChipReport,
    /// How the options serve and train.
    pub services: Vec<ServiceReport>,
    /// The first training run on more and more chips of the chosen option.
    pub scaling: Option<ScalingReport>,
    /// Month by month, per option.
    pub months: Vec<MonthsReport>,
    /// Money flows of Build: from, to, present value.
    pub money: Vec<Flow>,
    /// The supply plan of Build; absent without the feature `plan`.
    pub plan: Option<PlanReport>,
    /// Sites with what they take.
    pub sites: Vec<SiteReport>,
    /// What each residency rule costs, in words with a number.
    pub residency: Vec<String>,
    /// How sure the verdict is: draws, break-even curve, inputs that decide. Absent where Build or every other option is a misfit.
    pub risk: Option<RiskReport>,
    /// The same study in other worlds, each optimised anew.
    pub scenarios: Vec<ScenarioReport>,
    /// Payments of Build by quarter.
    pub cash: Option<CashReport>,
    /// What an accelerator architect asks of the chosen chip.
    pub architect: Option<ArchitectReport>,
    /// What an infrastructure planner asks.
    pub planner: Option<PlannerReport>,
    /// Model error by mechanism, as `validate` measured it.
    pub model_error: Vec<ModelErrorReport>,
    /// What is not modelled, in words.
    pub not_modelled: Vec<String>,
    /// Rows of the tables that the answer used.
    pub numbers: Vec<NumberReport>,
    /// Their sources.
    pub sources: Vec<SourceReport>,
}

/// Whether a value of JSON is of a kind.
type IsKind = fn(&serde_json::Value) -> bool;

/// Parts without which the page cannot be drawn: the kind of each as in `Report`.
const PARTS: [(&str, IsKind); 7] = [
    ("frame", serde_json::Value::is_object),
    ("verdict", serde_json::Value::is_object),
    ("options", serde_json::Value::is_array),
    ("search", serde_json::Value::is_object),
    ("chip", serde_json::Value::is_object),
    ("months", serde_json::Value::is_array),
    ("money", serde_json::Value::is_array),
];

/// The first part that a text of JSON lacks to be a report.
pub fn lacks(value: &serde_json::Value) -> Option<&'static str> {
    PARTS.iter().find(|(part, is)| !value.get(part).is_some_and(is)).map(|(part, _)| *part)
}

/// The study's frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Frame {
    /// Study name.
    pub study: String,
    /// First month, `2027-01`.
    pub start: String,
    /// Months.
    pub months: u32,
    /// Discount rate per year.
    pub discount_rate: f64,
    /// Year of the dollars.
    pub currency_year: u16,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// One sentence.
    pub sentence: String,
    /// P(build cheaper than the cheapest other option of the base case); null without draws.
    pub probability_build_cheaper: Option<f64>,
    /// P(build at least 40 % cheaper); null without draws.
    pub probability_40_percent_cheaper: Option<f64>,
    /// Standard error of the first probability from the finite number of draws.
    pub probability_error: Option<f64>,
    /// How many times as fast own chips train for the same discounted spend.
    pub training_speed_up: Figure,
    /// Share of the study's demand from which building is cheaper.
    pub break_even_volume: Figure,
    /// Month from which cumulative payments of Build stay below.
    pub break_even_month: Figure<Option<u32>>,
    /// The verdict against today's GPUs, against their successors, against renting.
    pub against: Vec<Against>,
    /// What the sentence's certainty rests on, in words.
    pub certainty: String,
}

/// Build against one group of options.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// Which group: `GPUs of today`, `GPUs and their successors`, `rented GPUs`.
    pub group: String,
    /// The cheapest option of the group.
    pub option: String,
    /// Its levelised cost.
    pub usd_per_million_output_tokens: Figure,
    /// P(build cheaper than it).
    pub probability_build_cheaper: Option<f64>,
}

/// What the draws say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RiskReport {
    /// Draws.
    pub draws: u64,
    /// Seed.
    pub seed: u64,
    /// The option that Build is compared with.
    pub other: String,
    /// Levelised cost of Build over that of the other option.
    pub cost_ratio: Figure,
    /// Demand as a multiple of the study's, and P(build cheaper) there.
    pub break_even: Vec<(f64, f64)>,
    /// Inputs by how far they move the difference of costs, largest first.
    pub tornado: Vec<Influence>,
    /// What happens in a draw, in words: frozen decisions and recourse.
    pub recourse: Vec<String>,
    /// Share of draws in which each limit of a service holds: service, limit, share.
    pub limits_held: Vec<(String, String, f64)>,
}

/// How one input moves the verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Influence {
    /// The input: a row of the tables, a factor that moves several, or a draw such as the disruption of supply.
    pub input: String,
    /// The input in words.
    pub words: String,
    /// Its P10 and P90, in words.
    pub reach: String,
    /// Build less the other option, USD per million output tokens, where the input is at its P10.
    pub at_low: f64,
    /// The same at its P90.
    pub at_high: f64,
    /// Share of the variance of the difference that it explains alone (first-order Sobol index).
    pub sobol_first: f64,
    /// Share with all its interactions (total Sobol index); null where not computed.
    pub sobol_total: Option<f64>,
    /// Standard error of that share; null where not computed.
    pub sobol_total_error: Option<f64>,
    /// Expected gain of knowing it before deciding, USD of present value.
    pub worth_usd: f64,
}

/// The study in another world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioReport {
    /// Name.
    pub name: String,
    /// What is changed, in words.
    pub changed: String,
    /// The verdict there.
    pub sentence: String,
    /// Levelised cost of Build; not a number when it does not fit.
    pub build_usd_per_million: f64,
    /// The cheapest other option.
    pub other: String,
    /// Its levelised cost.
    pub other_usd_per_million: f64,
    /// The chip that is built there, in words.
    pub design: String,
    /// Levelised cost with the chip of the study's own world, all else worked out anew; not a number when it does not fit.
    pub kept_usd_per_million: f64,
}

/// Payments of Build.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CashReport {
    /// Quarter, undiscounted payments in it.
    pub quarters: Vec<(String, f64)>,
    /// The dearest quarter, and its payments.
    pub peak_quarter: (String, f64),
    /// All payments until own chips serve first, undiscounted; all there are where they never do.
    pub peak_funding_usd: Figure,
    /// Of it, design and parts of own chips: lost if the programme is stopped then. What bridges goes on serving.
    pub at_risk_usd: f64,
    /// Month (1 = first) in which own chips serve first.
    pub own_month: Option<u32>,
    /// What is lost if demand halves in that month: the sum of its parts.
    pub stranded_usd: f64,
    /// Its parts in words: machines, orders, halls.
    pub stranded: Vec<(String, f64)>,
}

/// What an architect asks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArchitectReport {
    /// The chosen chip on models outside the study.
    pub regret: Vec<Regret>,
    /// Ten per cent more of each resource.
    pub marginal: Vec<Marginal>,
    /// The next-best designs and why they lost, in words.
    pub lost: Vec<(String, String)>,
    /// What the answers rest on, in words.
    pub notes: Vec<String>,
}

/// One model outside the study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Regret {
    /// Model with what it is an extreme of.
    pub model: String,
    /// Levelised cost on the chosen chip, USD per million output tokens.
    pub chosen_usd_per_million: f64,
    /// Levelised cost on the best chip of the grid for this model alone.
    pub best_usd_per_million: f64,
    /// That chip.
    pub best: String,
    /// Whether no chip of the grid can be cheaper; else a cheaper one may exist, and the regret is at least this.
    pub proven: bool,
}

/// Ten per cent more of one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Marginal {
    /// Resource.
    pub resource: String,
    /// Change of levelised cost before suppliers' limits, fraction.
    pub cost_change: f64,
    /// Change of the training time at equal spend, fraction.
    pub training_change: f64,
    /// Why it does not fit, when it does not.
    pub misfit: Option<String>,
}

/// What a planner asks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannerReport {
    /// Option, output tokens per second and facility MW, output tokens per dollar, g CO2e per million output tokens.
    pub efficiency: Vec<(String, f64, f64, f64)>,
    /// Site, cap in MW of facility power if any, facility MW by month.
    pub power: Vec<(String, Option<f64>, Vec<f64>)>,
    /// What each rule and limit costs, in words with a number.
    pub limits: Vec<String>,
    /// Owned against rented sites, with confidential computing by mechanism: line, owned USD per million tokens, rented.
    pub tenure: Vec<(String, f64, f64)>,
    /// What the comparison rests on, in words.
    pub tenure_notes: Vec<String>,
}

/// Model error of one mechanism.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelErrorReport {
    /// Mechanism.
    pub mechanism: String,
    /// Half of the 80 % interval of the relative error, as a factor less one.
    pub half_width: f64,
    /// What it was measured on.
    pub basis: String,
}

/// Headline figures of one option.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OptionFigures {
    /// `Build` or the GPU's name.
    pub name: String,
    /// Levelised cost of a million output tokens.
    pub usd_per_million_output_tokens: Figure,
    /// Capital over the horizon, undiscounted.
    pub capex_usd: Figure,
    /// Running cost in the last year, without the penalty for unmet demand.
    pub opex_usd_per_year: Figure,
    /// Chips in service at the end.
    pub chips: Figure,
    /// IT power at the end.
    pub it_mw: Figure,
    /// Days of one training run.
    pub training_days: Figure,
    /// Days of one training run on the chips that the cheapest option's training fleet would cost.
    pub training_days_at_equal_spend: Figure,
    /// Cost of one training run.
    pub training_usd_per_run: Figure,
    /// First month with own capacity in service (1 = the study's first); null when never.
    pub first_month: Figure<Option<u32>>,
    /// First month from which all demand is met; null when never.
    pub full_month: Figure<Option<u32>>,
    /// Carbon over the horizon, made and run.
    pub kg_co2e: Figure,
    /// Export class of the chip.
    pub export_class: Figure<String>,
    /// Why the option cannot meet the study, when it cannot.
    pub misfits: Vec<String>,
    /// What a reader of the figures must know, in words.
    pub notes: Vec<String>,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchReport {
    /// Distinct chips in the declared grid.
    pub grid: u64,
    /// Evaluated on every service and the training run.
    pub evaluated: u64,
    /// Excluded by a bound.
    pub excluded_by_bound: u64,
    /// That do not fit.
    pub misfit: u64,
    /// The grid's axes, in words.
    pub axes: Vec<(String, String)>,
    /// Bounds used, with how many designs each excluded.
    pub bounds: Vec<(String, u64)>,
    /// Misfits by reason.
    pub misfits: Vec<(String, u64)>,
    /// Evaluated designs, or an even sample of them with every front member, for the scatter.
    pub points: Vec<DesignPoint>,
}

/// A design in the scatter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DesignPoint {
    /// Index in the grid.
    pub id: u64,
    /// The design in words: node, cores, arrays, memories, links.
    pub design: String,
    /// Levelised cost.
    pub usd_per_million_output_tokens: f64,
    /// Days of one training run.
    pub training_days: f64,
    /// Month of first volume.
    pub first_month: u32,
    /// Whether it lies on the exact Pareto front.
    pub front: bool,
    /// Whether it was planned.
    pub planned: bool,
    /// Whether it is the chosen one.
    pub chosen: bool,
}

/// The chosen chip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChipReport {
    /// Name and value of each property, with unit.
    pub properties: Vec<(String, String)>,
    /// Width of one die in mm.
    pub die_width_mm: f64,
    /// Height of one die in mm.
    pub die_height_mm: f64,
    /// Rectangles that tile one die.
    pub floor_plan: Vec<Rectangle>,
    /// Parts of the unit cost in USD; they sum to it.
    pub unit_cost: Vec<(String, f64)>,
}

/// A rectangle of the floor plan, in mm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rectangle {
    /// What lies there.
    pub name: String,
    /// Left edge.
    pub x: f64,
    /// Lower edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

/// How one option serves one service, or trains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceReport {
    /// Option.
    pub option: String,
    /// Service or training run.
    pub service: String,
    /// Layout in words.
    pub layout: String,
    /// Name and value of each figure, with unit (`TTFT` `0.8 s`).
    pub figures: Vec<(String, String)>,
}

/// Month by month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonthsReport {
    /// Option.
    pub option: String,
    /// Cumulative discounted cost, USD.
    pub cumulative_usd: Vec<f64>,
    /// Its P10 by month; equal to it without draws.
    pub cumulative_low_usd: Vec<f64>,
    /// Its P90 by month.
    pub cumulative_high_usd: Vec<f64>,
    /// Own or bought chips in service.
    pub chips: Vec<f64>,
    /// Bridge GPUs in service, in chips of the option that they stand for.
    pub bridge_chips: Vec<f64>,
    /// Chips that the demand of the month needs.
    pub needed_chips: Vec<f64>,
}

/// A flow of money.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flow {
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// Present value.
    pub usd: f64,
}

/// The supply plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Bars of the Gantt.
    pub bars: Vec<Bar>,
    /// Bottlenecks with their shadow prices, in words.
    pub bottlenecks: Vec<String>,
    /// What each stress scenario costs and what relieves it, in words.
    pub stress: Vec<String>,
    /// Remarks: how many designs were planned, what the plan leaves out.
    pub remarks: Vec<String>,
}

/// A bar of the Gantt; months count from 1, `to` is the last month of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    /// Row of the Gantt.
    pub lane: String,
    /// What happens.
    pub label: String,
    /// First month (may lie before 1: decided before the start).
    pub from: i32,
    /// Last month.
    pub to: i32,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteReport {
    /// Name.
    pub name: String,
    /// Jurisdiction.
    pub jurisdiction: String,
    /// Month in which a hall built from month 1 is ready.
    pub ready_month: u32,
    /// IT power taken at the end, MW.
    pub it_mw: f64,
    /// Cap, MW of facility power; absent for none.
    pub cap_mw: Option<f64>,
    /// Annual PUE.
    pub pue: f64,
    /// Electricity, USD/kWh.
    pub usd_per_kwh: f64,
    /// Grid carbon, g/kWh.
    pub g_per_kwh: f64,
    /// Cost of a chip-hour of the chosen chip, USD.
    pub usd_per_chip_hour: f64,
}

/// A row of the tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberReport {
    /// `item.parameter`.
    pub key: String,
    /// Value.
    pub value: f64,
    /// P10.
    pub low: f64,
    /// P90.
    pub high: f64,
    /// Unit.
    pub unit: String,
    /// Key of the source.
    pub source: String,
    /// Whether the study replaced it.
    pub overridden: bool,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// Key.
    pub key: String,
    /// Title.
    pub title: String,
    /// Date.
    pub date: String,
    /// Link.
    pub url: String,
    /// Kind.
    pub kind: &'static str,
}

/// A training run on more and more chips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalingReport {
    /// Option.
    pub option: String,
    /// Training run.
    pub run: String,
    /// Dollars per chip and hour of training.
    pub usd_per_chip_hour: f64,
    /// Sizes at which something fits, smallest first.
    pub points: Vec<ScalingPoint>,
    /// The schedule of the plan that the fleet was sized with (SVG); none without a pipeline.
    pub picture: Option<String>,
}

/// The best plan on a number of chips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalingPoint {
    /// Chips.
    pub chips: u64,
    /// The plan in words.
    pub layout: String,
    /// Seconds of a step.
    pub step_s: f64,
    /// Model FLOP utilisation, attention of all pairs.
    pub mfu: f64,
    /// Share of the time that makes progress.
    pub goodput: f64,
    /// Days of the run.
    pub days: f64,
    /// Cost of the run, dollars.
    pub usd: f64,
}
