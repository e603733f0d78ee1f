"use strict";
// The parts of the argument that rest on draws, scenarios and questions. Each says in one sentence why it is missing when it is.
const percent = (p) => (p === null || p === undefined || !isFinite(p) ? "–" : (p * 100 < 0.95 && p > 0 ? trim(p * 100) : Math.round(p * 100)) + " %");
const known = (v) => v !== null && v !== undefined && isFinite(v);
const ranged = (f) => f.low !== f.high;
const range = (f, show) => show(f.value) + (ranged(f) ? ` (${show(f.low)} to ${show(f.high)})` : "");

function headline() {
  const v = R.verdict;
  const error = v.probability_error === null ? "" : ` ± ${trim(v.probability_error * 100)}`;
  const facts = [
    [v.probability_build_cheaper, "probability that building is cheaper", () => trim(v.probability_build_cheaper * 100) + error + " %"],
    [v.probability_40_percent_cheaper, "probability that it is 40 % cheaper", () => percent(v.probability_40_percent_cheaper)],
    [v.training_speed_up.value, "as fast in training for the same spend", () => range(v.training_speed_up, (x) => trim(x) + " ×")],
    [v.break_even_volume.value, "of this demand suffices for building", () => range(v.break_even_volume, (x) => (known(x) ? trim(x * 100) + " %" : "never"))],
    [v.break_even_month.value, "building has paid back", () => range(v.break_even_month, monthName)],
  ].filter(([value]) => known(value));
  el("facts").replaceChildren(...facts.map(([, what, show]) => { const d = document.createElement("div"); d.append(text("b", show()), text("span", what)); return d; }));
  const one = (a) => `${a.group[0].toUpperCase() + a.group.slice(1)}: ${a.option} at $${trim(a.usd_per_million_output_tokens.value)}` + (known(a.probability_build_cheaper) ? `, building is cheaper with ${percent(a.probability_build_cheaper)}` : "");
  el("against").textContent = v.against.filter((a) => known(a.usd_per_million_output_tokens.value)).map(one).join(". ");
}

function risk() {
  const r = R.risk;
  if (!r) return empty("chart-even", "No draws were made, so no probability is given.");
  el("risk-note").textContent = `${r.draws.toLocaleString("en")} draws (seed ${r.seed}) over the ranges of all inputs, Build against ${r.other}: cost ratio ${range(r.cost_ratio, trim)}.`;
  const ends = [Math.min(...r.break_even.map((p) => p[0])), Math.max(...r.break_even.map((p) => p[0]))];
  const line = (y) => ({ type: "line", silent: true, showSymbol: false, lineStyle: { type: "dashed", width: 1, color: "#8d99ae" }, data: ends.map((x) => [x, y]) });
  chart("chart-even", { grid: { left: 62, right: 20, top: 14, bottom: 52 }, tooltip: { trigger: "item", formatter: (p) => `demand × ${trim(p.value[0])}: ${percent(p.value[1])}` },
    xAxis: { type: "log", min: ends[0], max: ends[1], ...axisName("demand as a multiple of the study's"), axisLabel: { formatter: (x) => "× " + trim(x) } },
    yAxis: { type: "value", min: 0, max: 1, interval: 0.2, ...axisName("P(building is cheaper)"), nameGap: 46, axisLabel: { formatter: (p) => Math.round(p * 100) + " %" } },
    series: [{ type: "line", symbolSize: 6, lineStyle: { color: "#0b6e4f", width: 3 }, itemStyle: { color: "#0b6e4f" }, data: r.break_even }, line(0.2), line(0.8)] });
  list("recourse", r.recourse, "Nothing is decided anew within a draw.");
  if (r.limits_held.length) table("held", ["Service", "Limit", "Held in draws"], r.limits_held.map(([s, l, p]) => [s, text("td", l, "text"), percent(p)]));
  else el("held").remove();
  tornado(r);
}

function tornado(r) {
  const rows = r.tornado.slice(0, 12);
  if (!rows.length) return el("chart-tornado").closest("figure").remove();
  const cost = (name) => (R.options.find((o) => o.name === name) || { usd_per_million_output_tokens: { value: null } }).usd_per_million_output_tokens.value;
  const found = cost("Build") - cost(r.other);
  const base = known(cost("Build")) && known(cost(r.other)) ? found : rows.reduce((a, t) => a + (t.at_low + t.at_high) / 2, 0) / rows.length;
  el("chart-tornado").style.height = 28 * rows.length + 90 + "px";
  const all = [base, 0, ...rows.flatMap((t) => [t.at_low, t.at_high])];
  const pad = (Math.max(...all) - Math.min(...all)) * 0.05 || 1;
  const bars = rows.flatMap((t, y) => [{ value: [t.at_low, y], low: true, t }, { value: [t.at_high, y], low: false, t }]);
  chart("chart-tornado", { grid: { left: 340, right: 210, top: 30, bottom: 54 }, legend: { top: 0, data: ["at its P10", "at its P90"], icon: "roundRect", itemWidth: 14, itemHeight: 8 },
    tooltip: { confine: true, formatter: (p) => `${p.data.t.input}<br>P10: $${trim(p.data.t.at_low)}, P90: $${trim(p.data.t.at_high)}` },
    xAxis: { type: "value", min: Math.min(...all) - pad, max: Math.max(...all) + pad, ...axisName(`Build less ${r.other}, USD per million output tokens (below 0 building wins)`), axisLabel: { formatter: money, showMinLabel: false, showMaxLabel: false } },
    yAxis: [{ type: "category", inverse: true, data: rows.map((t) => t.input), axisTick: { show: false }, axisLine: { show: false }, axisLabel: { interval: 0, width: 325, overflow: "truncate" } },
      { type: "category", inverse: true, position: "right", data: rows.map((t) => `${percent(t.sobol_first)} of variance, ${money(t.worth_usd)}`), axisTick: { show: false }, axisLine: { show: false }, axisLabel: { interval: 0, color: "#5b6773" } }],
    series: [true, false].map((low) => ({ name: low ? "at its P10" : "at its P90", type: "custom", itemStyle: { color: low ? "#8d99ae" : "#3d5a80" }, data: bars.filter((b) => b.low === low), renderItem: (params, api) => {
      const [x0, y] = api.coord([base, api.value(1)]); const [x1] = api.coord([api.value(0), api.value(1)]);
      return { type: "rect", shape: { x: Math.min(x0, x1), y: y - 8, width: Math.max(1, Math.abs(x1 - x0)), height: 16 }, style: { fill: low ? "#8d99ae" : "#3d5a80" } };
    } })) });
}

function scenarios() {
  if (!R.scenarios.length) return empty("scenarios", "No other world was worked out.");
  const usd = (v) => (known(v) ? "$" + trim(v) : "does not fit");
  table("scenarios", ["Scenario", "Changed", "Build", "Best other", "its cost", "Chip built"], R.scenarios.map((s) => ({
    cells: [text("td", s.name), text("td", s.changed, "text wide"), text("td", usd(s.build_usd_per_million), known(s.build_usd_per_million) && s.build_usd_per_million < s.other_usd_per_million ? "win" : ""), text("td", s.other, "text"), usd(s.other_usd_per_million), text("td", s.design, "text wide")] })));
}

function cash() {
  const c = R.cash;
  if (!c || !c.quarters.length) return el("cash").replaceWith(text("p", "No payments by quarter were worked out.", "note"));
  el("cash-note").textContent = `The dearest month, ${monthName(c.peak_month)}, asks ${range(c.peak_funding_usd, money)}. If demand halves once own chips arrive, ${money(c.stranded_usd)} stands idle.`;
  chart("chart-cash", { grid: { left: 74, right: 16, top: 12, bottom: 34 }, tooltip: { trigger: "axis", valueFormatter: money },
    xAxis: { type: "category", data: c.quarters.map((q) => q[0]), axisTick: { show: false }, axisLabel: { hideOverlap: true } }, yAxis: { type: "value", axisLabel: { formatter: money } },
    series: [{ type: "bar", barMaxWidth: 26, itemStyle: { color: "#0b6e4f" }, data: c.quarters.map((q) => q[1]) }] });
}

const SITE_HUES = ["#3d5a80", "#0b6e4f", "#b56576", "#e09f3e", "#6d597a", "#8d99ae"];
function planner() {
  const p = R.planner;
  if (!p) return empty("chart-power", "The questions of a planner were not worked out for this study.");
  const used = p.power.filter(([, , mw]) => mw.some((v) => v > 0));
  if (!used.length) el("chart-power").closest("figure").remove();
  else {
    const hue = (i) => SITE_HUES[i % SITE_HUES.length];
    chart("chart-power", { grid: { left: 70, right: 16, top: 40, bottom: 30 }, legend: { type: "scroll", top: 0, data: used.map((s) => s[0]), icon: "roundRect", itemWidth: 14, itemHeight: 8 }, tooltip: { trigger: "axis", valueFormatter: (v) => trim(v) + " MW" },
      xAxis: { type: "category", data: used[0][2].map((_, i) => monthName(i + 1)) }, yAxis: { type: "value", axisLabel: { formatter: (v) => trim(v) + " MW" } },
      series: used.flatMap(([name, cap, mw], i) => [{ name, type: "line", step: "middle", showSymbol: false, lineStyle: { width: 2, color: hue(i) }, itemStyle: { color: hue(i) }, data: mw },
        ...(cap === null ? [] : [{ name: name + ", cap", type: "line", showSymbol: false, lineStyle: { width: 1, type: "dashed", color: hue(i) }, itemStyle: { color: hue(i) }, data: mw.map(() => cap) }])]) });
  }
  list("rules", p.limits, "No rule or limit costs anything.");
  table("efficiency", ["Option", "tokens/s per MW", "tokens per USD", "g CO2e per M tokens"], p.efficiency.map(([o, mw, usd, g]) => [o, short(mw), short(usd), short(g)]));
  if (p.tenure.length) table("tenure", ["USD per M tokens", "Owned", "Rented"], p.tenure.map(([l, a, b]) => [l, "$" + trim(a), "$" + trim(b)]));
  else el("tenure-part").remove();
  if (p.tenure.length) list("tenure-notes", p.tenure_notes, "–");
}

function waterfall(parts) {
  const rows = parts.filter(([, v]) => v > 0);
  const total = rows.reduce((a, [, v]) => a + v, 0);
  let sum = 0;
  const below = rows.map(([, v]) => { sum += v; return sum - v; });
  el("chart-unit").style.height = 24 * (rows.length + 1) + 40 + "px";
  chart("chart-unit", { grid: { left: 160, right: 74, top: 4, bottom: 28 }, xAxis: { type: "value", splitNumber: 3, axisLabel: { formatter: money } },
    yAxis: { type: "category", inverse: true, data: [...rows.map((r) => r[0]), "one chip"], axisTick: { show: false }, axisLabel: { interval: 0, width: 148, overflow: "truncate" } },
    series: [{ type: "bar", stack: "a", silent: true, itemStyle: { color: "transparent" }, data: [...below, 0] },
      { type: "bar", stack: "a", barMaxWidth: 16, itemStyle: { color: "#3d5a80" }, data: [...rows.map((r) => r[1]), { value: total, itemStyle: { color: "#0b6e4f" } }], label: { show: true, position: "right", color: "#16202b", formatter: (p) => "$" + Math.round(p.value).toLocaleString("en") } }] });
}

function architect() {
  const a = R.architect;
  if (!a) return el("architect").replaceWith(text("p", "The questions of an architect were not worked out.", "note"));
  const usd = (v) => (known(v) ? "$" + trim(v) : "does not fit");
  const sign = (v) => (known(v) ? (v > 0 ? "+" : "") + (v * 100).toFixed(1) + " %" : "–");
  const regret = (r) => (known(r.chosen_usd_per_million) && known(r.best_usd_per_million) ? sign(r.chosen_usd_per_million / r.best_usd_per_million - 1) : "–");
  table("regret", ["Model outside the study", "Chosen chip", "Its own best", "Regret", "That chip"], a.regret.map((r) => [r.model, usd(r.chosen_usd_per_million), usd(r.best_usd_per_million), regret(r), text("td", r.best, "text wide")]));
  table("marginal", ["10 % more of", "Cost", "Training time", ""], a.marginal.map((m) => [m.resource, sign(m.cost_change), sign(m.training_change), text("td", m.misfit || "", "text wide")]));
  list("architect-notes", a.notes, "–");
  pairs("lost", ["Next-best design", "Why it lost"], a.lost.map(([d, w]) => [d, text("td", w, "text wide")]));
}

function modelError() {
  if (!R.model_error.length) return empty("errors", "No model error was measured.");
  table("errors", ["Mechanism", "Error, 80 % lie within", "Measured on"], R.model_error.map((m) => [m.mechanism, `÷ or × ${trim(1 + m.half_width)}`, text("td", m.basis, "text wide")]));
}
