"use strict";
const R = JSON.parse(document.getElementById("report").textContent);
const el = (id) => document.getElementById(id);
const text = (tag, content, cls) => { const n = document.createElement(tag); n.textContent = content; if (cls) n.className = cls; return n; };

// ---- options and their colours: Build, the cheapest other option, the cheapest of today's GPUs, all others ----
const costOf = (o) => o.usd_per_million_output_tokens.value;
const OTHER = R.risk ? R.risk.other : (R.options.filter((o) => o.name !== "Build" && known(costOf(o))).sort((p, q) => costOf(p) - costOf(q))[0] || {}).name;
const TODAY = (R.verdict.against.find((a) => a.group === "GPUs of today") || {}).option;
const HUES = { build: "#149068", other: "#d07c1e", today: "#4b7fb5", rest: "#93a1af", warn: "#d0443a" };
const colour = (name) => (name === "Build" ? HUES.build : name === OTHER ? HUES.other : name === TODAY ? HUES.today : HUES.rest);
const decides = (name) => name === "Build" || name === OTHER || name === TODAY;
// Build first, then the cheapest; options that cannot do it last.
const RANKED = [...R.options].sort((a, b) => (b.name === "Build") - (a.name === "Build") || (known(costOf(a)) ? costOf(a) : Infinity) - (known(costOf(b)) ? costOf(b) : Infinity) || 0);

// ---- numbers ----
const STEPS = [[1e15, "P"], [1e12, "T"], [1e9, "bn"], [1e6, "M"], [1e3, "k"]];
function short(v) {
  if (!known(v)) return "–";
  const size = Math.abs(v);
  for (const [step, word] of STEPS) if (size >= step) return trim(v / step) + " " + word;
  return trim(v);
}
const trim = (v) => String(Number(v.toPrecision(3)));
const money = (v) => (known(v) ? (v < 0 ? "−$" : "$") + short(Math.abs(v)).replace(" ", "\u00a0") : "–");
const dollars = (v) => (known(v) ? (v < 0 ? "−$" : "$") + Math.abs(v).toFixed(Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.max(Math.abs(v), 1e-4)))))) : "–");
const NEVER = "not within the horizon";
const monthName = (m) => {
  if (!known(m)) return NEVER;
  const [y, mo] = R.frame.start.split("-").map(Number);
  const k = y * 12 + (mo - 1) + (m - 1);
  return `${Math.floor(k / 12)}-${String((k % 12) + 1).padStart(2, "0")}`;
};
function figure(f, show) {
  const cell = document.createElement("td");
  cell.append(show(f.value));
  if (f.low !== f.high) cell.append(text("span", `${show(f.low)} ..`, "range"), text("span", show(f.high), "range"));
  return cell;
}

// ---- tables ----
const WORDS = /^(Service|Training run|Layout|Jurisdiction|Unit|Changed|Best other|Chip built|Limit|That chip|Why it lost|Why it does not fit|Measured on|Input|Build less the other option|Verdict there)$/;
function table(id, head, rows) {
  const t = el(id);
  const h = document.createElement("tr");
  head.forEach((c) => { const th = c instanceof Node ? c : text("th", c, WORDS.test(c) ? "text" : ""); th.scope = "col"; h.append(th); });
  const thead = document.createElement("thead"); thead.append(h);
  const body = document.createElement("tbody");
  rows.forEach((cells) => {
    const tr = document.createElement("tr");
    if (cells.cls) tr.className = cells.cls;
    (cells.cells || cells).forEach((c) => tr.append(c instanceof Node ? c : text("td", String(c))));
    body.append(tr);
  });
  t.replaceChildren(thead, body);
}
function list(id, items, none) {
  el(id).replaceChildren(...(items.length ? items : [none]).map((i) => text("li", i)));
}
const pairs = (id, head, rows, show) => table(id, head, rows.map(([k, v]) => [k, show ? show(v) : v]));

// ---- charts: text and lines take the page's own colours, so that they follow dark, light and print ----
const FONT = "system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, sans-serif";
const [INK, DIM, LINE, PALE] = ["var(--ink)", "var(--dim)", "var(--line)", "var(--pale)"];
const axisLook = { axisLine: { lineStyle: { color: DIM } }, axisTick: { lineStyle: { color: DIM } }, axisLabel: { color: DIM }, splitLine: { lineStyle: { color: LINE } }, nameTextStyle: { color: DIM } };
echarts.registerTheme("tetra", { textStyle: { fontFamily: FONT, color: INK }, legend: { textStyle: { color: INK }, inactiveColor: DIM }, categoryAxis: axisLook, valueAxis: axisLook, logAxis: axisLook,
  tooltip: { backgroundColor: "var(--paper)", borderColor: "var(--line)", textStyle: { color: "var(--ink)" } } });
const drawn = [];
// `alt` says in a sentence what the chart shows to one who cannot see it.
function chart(id, option, alt) {
  const c = echarts.getInstanceByDom(el(id)) || echarts.init(el(id), "tetra", { renderer: "svg" });
  c.setOption({ animation: false, ...option }, true);
  el(id).setAttribute("role", "img");
  el(id).setAttribute("aria-label", alt);
  if (!drawn.includes(c)) drawn.push(c);
}
// A section that has nothing to show says why, without its empty charts and tables.
function empty(id, why) {
  const section = el(id).closest("section");
  section.querySelectorAll("figure, .pair, .scroll, h3, ul, p.note, table, div[id]").forEach((n) => n.remove());
  section.append(text("p", why, "note"));
}
const axisName = (name) => ({ name, nameLocation: "middle", nameGap: 34 });
const best = (key) => Math.min(...R.options.map((o) => o[key].value).filter(known));

function answer() {
  el("frame").textContent = `${R.frame.study}: ${R.frame.months} months from ${R.frame.start}, discount ${trim(R.frame.discount_rate * 100)} %/year, dollars of ${R.frame.currency_year}`;
  el("sentence").textContent = R.verdict.sentence;
  el("certainty").textContent = R.verdict.certainty;
  if (R.options.some((o) => known(costOf(o)))) bars();
  const said = R.options.map((o) => [o.name, [...o.misfits, ...(o.notes || [])]]).filter(([, words]) => words.length);
  el("misfit-notes").replaceChildren(...said.map(([name, words]) => text("li", `${name}: ${words.join("; ")}`)));
}

// ---- the three bars: cost, date, risk ----
function bars() {
  const left = Math.min(140, 7.2 * Math.max(...RANKED.map((o) => o.name.length)) + 16);
  const part = (id, title, right, x, series, alt) => {
    const f = document.createElement("figure");
    const d = document.createElement("div"); d.className = "chart"; d.id = id; d.style.height = Math.max(190, 30 * RANKED.length + 44) + "px";
    f.append(d, text("figcaption", title)); el("bars").append(f);
    chart(id, { grid: { left, right, top: 8, bottom: 24 }, xAxis: { type: "value", splitNumber: 3, ...x },
      yAxis: { type: "category", inverse: true, data: RANKED.map((o) => o.name), axisTick: { show: false }, axisLabel: { interval: 0, width: left - 10, overflow: "break", lineHeight: 12 } },
      tooltip: { trigger: "item", confine: true, formatter: (p) => alt(RANKED[p.dataIndex]) }, series }, `${title}. ${RANKED.map(alt).join("; ")}`);
  };
  costBars(part);
  dateBars(part);
  if (R.options.some((o) => ranged(o.usd_per_million_output_tokens))) riskBars(part);
  else part("chart-bar-carbon", "kt CO2e over the study", 70, { axisLabel: { formatter: trim, hideOverlap: true } },
    [plainBar((o) => o.kg_co2e.value / 1e6, Infinity, (o) => (known(o.kg_co2e.value) ? trim(o.kg_co2e.value / 1e6) : "–"))], (o) => `${o.name}: ${known(o.kg_co2e.value) ? trim(o.kg_co2e.value / 1e6) : "–"} kt`);
}
// A bar that would be longer than `limit` ends there, pale, and its number tells the rest.
const plainBar = (value, limit, words) => ({ type: "bar", barMaxWidth: 20, emphasis: { disabled: true },
  data: RANKED.map((o) => ({ value: known(value(o)) ? Math.min(value(o), limit) : null, itemStyle: { color: value(o) > limit ? PALE : colour(o.name) } })),
  label: { show: true, position: "right", color: INK, formatter: (p) => words(RANKED[p.dataIndex]) } });
const FAR = 4; // what costs more times the cheapest is cut off
const usdAxis = (limit) => ({ min: 0, max: limit, axisLabel: { formatter: dollarTick, hideOverlap: true, showMaxLabel: false } });
const dollarTick = (v) => "$" + trim(v);

function costBars(part) {
  const near = RANKED.filter((o) => known(costOf(o)) && (decides(o.name) || costOf(o) <= FAR * best("usd_per_million_output_tokens"))).map(costOf);
  const limit = Math.max(...near) * 1.08;
  const words = (o) => dollars(costOf(o)) + (costOf(o) > limit ? " ▸" : "");
  part("chart-bar-cost", "Cost: USD per million output tokens" + (RANKED.some((o) => costOf(o) > limit) ? "; pale bars are cut off" : ""), 70, usdAxis(limit),
    [plainBar(costOf, limit, words)], (o) => `${o.name}: ${known(costOf(o)) ? dollars(costOf(o)) : "cannot do it"}`);
}

function dateBars(part) {
  const full = (o) => o.full_month.value, own = (o) => (o.capex_usd.value > 0 ? o.first_month.value : null);
  const said = (o) => (known(costOf(o)) ? monthName(full(o)) : "–");
  const label = (o) => said(o) + (known(own(o)) && known(full(o)) && own(o) > full(o) ? `, ◇ ${monthName(own(o))}` : "");
  const end = (o) => Math.max(full(o) || 0, own(o) || 0);
  part("chart-bar-date", "Date: bar, months until all demand is met, rented GPUs included; diamond, first own machines in service", 132, { axisLabel: { formatter: trim, hideOverlap: true, showMaxLabel: false }, max: (v) => Math.max(v.max * 1.04, R.frame.months / 2) }, [
    { ...plainBar(full, Infinity, said), label: { show: false } },
    { type: "scatter", symbolSize: 1, silent: true, itemStyle: { color: "transparent" }, label: { show: true, position: "right", distance: 9, fontSize: 11, color: INK, formatter: (p) => label(RANKED[p.dataIndex]) }, data: RANKED.map((o, i) => [end(o), i]) },
    { type: "scatter", symbol: "diamond", symbolSize: 11, silent: true, itemStyle: { color: "transparent", borderColor: INK, borderWidth: 1.5 }, data: RANKED.map((o, i) => [own(o), i]).filter(([m]) => known(m)) },
  ], (o) => `${o.name}: all demand met ${said(o)}` + (known(own(o)) ? `, first own machines ${monthName(own(o))}` : ""));
}

// The range of each option's cost from P10 to P90 with the base case marked.
function riskBars(part) {
  const of = (o) => o.usd_per_million_output_tokens;
  const limit = Math.max(...RANKED.filter((o) => decides(o.name) && known(of(o).high)).map((o) => of(o).high)) * 1.08;
  const words = (o) => (known(of(o).value) ? `${dollars(of(o).low)}–${dollars(of(o).high)}` + (of(o).high > limit ? " ▸" : "") : "–");
  const start = (o) => Math.max(0, Math.min(of(o).low, limit));
  const solid = (f) => RANKED.map((o) => ({ value: known(costOf(o)) ? f(o) : null, itemStyle: { color: of(o).high > limit ? PALE : colour(o.name) } }));
  part("chart-bar-risk", "Risk: that cost from P10 to P90, base case marked" + (RANKED.some((o) => of(o).high > limit) ? "; pale bars are cut off" : ""), 104, usdAxis(limit), [
    { type: "bar", stack: "range", silent: true, itemStyle: { color: "transparent" }, data: RANKED.map((o) => (known(costOf(o)) ? start(o) : null)) },
    { type: "bar", stack: "range", barMaxWidth: 14, emphasis: { disabled: true }, data: solid((o) => Math.min(of(o).high, limit) - start(o)),
      label: { show: true, position: "right", color: INK, fontSize: 11, formatter: (p) => words(RANKED[p.dataIndex]) } },
    { type: "scatter", symbol: "rect", symbolSize: [3, 18], silent: true, itemStyle: { color: INK }, data: RANKED.map((o, i) => [costOf(o), i]).filter(([v]) => known(v) && v <= limit) },
  ], (o) => `${o.name}: ${words(o)}`);
}

function options() {
  const month = (v) => (known(v) ? monthName(v) : NEVER);
  const columns = [
    ["USD per M output tokens", "usd_per_million_output_tokens", dollars], ["Capex", "capex_usd", money], ["Opex per year", "opex_usd_per_year", money],
    ["Chips", "chips", short], ["IT MW", "it_mw", trim], ["Training days", "training_days", trim], ["USD per training run", "training_usd_per_run", money],
    ["First machines", "first_month", month], ["All demand met", "full_month", month], ["kt CO2e", "kg_co2e", (v) => trim(v / 1e6)], ["Export class", "export_class", String],
  ];
  const cheapest = best("usd_per_million_output_tokens");
  table("options", ["Option", ...columns.map((c) => c[0])], RANKED.map((o) => ({
    cls: costOf(o) === cheapest ? "best" : "",
    cells: [text("td", o.name), ...columns.map(([, key, show]) => figure(o[key], (v) => ((!known(v) && typeof v !== "string" && (!/month/.test(key) || !known(costOf(o)))) || v === "" ? "–" : show(v))))],
  })));
}

function months() {
  if (!R.months.length) return empty("chart-cost", "No option can do what the study asks.");
  const x = Array.from({ length: R.frame.months }, (_, i) => monthName(i + 1));
  const common = { tooltip: { trigger: "axis", confine: true, valueFormatter: short }, legend: { top: 0, itemGap: 16, icon: "roundRect", itemWidth: 14, itemHeight: 8 }, grid: { left: 60, right: 16, top: 40, bottom: 30 }, xAxis: { type: "category", data: x } };
  costLines(common);
  const b = R.months[0];
  const area = (name, hue, data) => ({ name, type: "line", step: "middle", stack: "have", areaStyle: { color: hue, opacity: 0.6 }, showSymbol: false, lineStyle: { width: 0 }, itemStyle: { color: hue }, data });
  chart("chart-capacity", { ...common, yAxis: { type: "value", axisLabel: { formatter: short } }, series: [
    area("own chips", HUES.build, b.chips), area("GPUs that bridge", HUES.rest, b.bridge_chips),
    { name: "needed", type: "line", step: "middle", showSymbol: false, lineStyle: { color: HUES.warn, width: 2, type: "dashed" }, itemStyle: { color: HUES.warn }, data: b.needed_chips },
  ] }, `Chips of ${b.option} by month: at the end ${short(b.chips[b.chips.length - 1])} own, ${short(b.bridge_chips[b.bridge_chips.length - 1])} that bridge, ${short(b.needed_chips[b.needed_chips.length - 1])} needed`);
}

function costLines(common) {
  const lines = R.months.filter((m) => decides(m.option));
  if (lines.length === R.months.length) el("every").remove();
  const rangedLine = (m) => m.cumulative_low_usd.some((v, i) => v !== m.cumulative_high_usd[i]);
  const banded = R.months.filter((m) => (m.option === "Build" || m.option === OTHER) && rangedLine(m));
  const plain = { type: "line", showSymbol: false, silent: true, lineStyle: { width: 0 }, tooltip: { show: false } };
  const bands = banded.flatMap((m) => [{ ...plain, stack: "band " + m.option, data: m.cumulative_low_usd },
    { ...plain, stack: "band " + m.option, areaStyle: { color: colour(m.option), opacity: 0.2 }, data: m.cumulative_high_usd.map((v, i) => v - m.cumulative_low_usd[i]) }]);
  el("months-note").textContent = `Left: ${lines.map((m) => (m.option === "Build" ? "building" : m.option)).join(", ")}${banded.length ? "; shaded from P10 to P90" : ""}. Right: Build, counted in own chips; GPUs that bridge count as the own chips that they stand for.`;
  const draw = (every) => {
    const shown = every ? R.months : lines;
    const top = every ? 16 + 22 * Math.ceil(shown.length / 3) : 40;
    const line = (m) => ({ name: m.option, type: "line", showSymbol: false, data: m.cumulative_usd, lineStyle: { width: m.option === "Build" ? 3 : 2, color: colour(m.option), type: decides(m.option) ? "solid" : LINES[R.months.indexOf(m) % LINES.length] }, itemStyle: { color: colour(m.option) } });
    chart("chart-cost", { ...common, grid: { ...common.grid, top }, legend: { ...common.legend, data: shown.map((m) => m.option) }, yAxis: { type: "value", axisLabel: { formatter: money } }, tooltip: { ...common.tooltip, valueFormatter: money },
      series: [...bands, ...shown.map(line)] }, `Cumulative discounted cost at the end: ${shown.map((m) => `${m.option} ${money(m.cumulative_usd[m.cumulative_usd.length - 1])}`).join(", ")}`);
  };
  draw(false);
  if (el("every-option")) el("every-option").addEventListener("change", (e) => { draw(e.target.checked); drawn.forEach(framed); });
}
const LINES = ["solid", "dashed", "dotted"];

function moneyFlow() {
  if (!R.money.length) return empty("chart-money", "No chip of the grid can do what the study asks: there is nothing to pay for.");
  const flows = R.money.filter((f) => f.usd > 0);
  const names = [...new Set(flows.flatMap((f) => [f.from, f.to]))];
  const hue = { "net cost": HUES.build, "value left at the end": HUES.rest, "all payments": HUES.today, "penalty for unmet demand": HUES.warn, bridge: HUES.other, "own chips": HUES.build, sites: "#8a6fb0" };
  const from = (name) => (flows.find((f) => f.to === name) || {}).from;
  chart("chart-money", { tooltip: { trigger: "item", valueFormatter: money },
    series: [{ type: "sankey", left: 10, right: 340, top: 10, bottom: 10, nodeGap: 14, emphasis: { focus: "adjacency" }, lineStyle: { color: "source", opacity: 0.25 },
      data: names.map((name) => ({ name, itemStyle: { color: hue[name] || hue[from(name)] || HUES.today } })), links: flows.map((f) => ({ source: f.from, target: f.to, value: f.usd })),
      label: { color: INK, textBorderWidth: 0, formatter: (p) => `${p.name}  ${money(p.value)}` } }] }, `Money flows: ${flows.map((f) => `${f.from} to ${f.to} ${money(f.usd)}`).join("; ")}`);
}

// Ends of a logarithmic axis around the values, with ticks at 1, 2 and 5.
function decade(values) {
  const found = values.filter((v) => v > 0 && isFinite(v));
  if (!found.length) return {};
  const at = (v, up) => {
    const step = 10 ** Math.floor(Math.log10(v));
    const stops = [1, 1.5, 2, 3, 5, 7, 10].map((k) => k * step);
    return up ? stops.find((k) => k >= v) : stops.reverse().find((k) => k <= v);
  };
  return { min: at(Math.min(...found), false), max: at(Math.max(...found), true), splitNumber: 6 };
}

function search() {
  const s = R.search;
  el("search-note").textContent = `${s.grid.toLocaleString("en")} distinct chips in the grid: ${s.evaluated.toLocaleString("en")} evaluated on every service and the training run, ${s.excluded_by_bound.toLocaleString("en")} excluded by a bound, ${s.misfit.toLocaleString("en")} do not fit. Axes: ${s.axes.map(([k, v]) => `${k} (${v})`).join("; ")}.`;
  pairs("misfits", ["Reason", "Designs"], s.misfits, (v) => v.toLocaleString("en"));
  pairs("bounds", ["Bound", "Designs"], s.bounds.filter(([, n]) => n > 0), (v) => v.toLocaleString("en"));
  for (const id of ["misfits", "bounds"]) if (el(id).rows.length < 2) el(id).replaceWith(text("p", "None.", "note"));
  if (!s.points.length) return el("chart-pareto").closest("figure").remove();
  // Where nothing is trained, cost stands against the month of first volume.
  const trains = s.points.some((p) => p.training_days > 0);
  const set = (keep) => s.points.filter(keep).map((p) => ({ value: [p.usd_per_million_output_tokens, trains ? p.training_days : p.first_month], p }));
  const tip = (d) => `<b>design ${d.data.p.id}</b><br>${d.data.p.design.replace(/[&<>]/g, "")}<br>$${trim(d.data.p.usd_per_million_output_tokens)} per M tokens, ${trains ? trim(d.data.p.training_days) + " training days, " : ""}first volume ${monthName(d.data.p.first_month)}`;
  chart("chart-pareto", { tooltip: { formatter: tip, confine: true }, legend: { top: 0, itemGap: 22, icon: "roundRect", itemWidth: 14, itemHeight: 8 }, grid: { left: 70, right: 24, top: 40, bottom: 54 },
    xAxis: { type: "log", ...axisName("USD per million output tokens"), axisLabel: { formatter: (v) => "$" + trim(v) }, ...decade(s.points.map((p) => p.usd_per_million_output_tokens)) },
    yAxis: trains ? { type: "log", ...axisName("days of one training run for the cheapest GPU's spend"), nameGap: 46, axisLabel: { formatter: trim }, ...decade(s.points.map((p) => p.training_days)) }
      : { type: "value", scale: true, minInterval: 1, ...axisName("month of first volume"), nameGap: 46 },
    series: [
      { name: "evaluated", type: "scatter", symbolSize: 4, itemStyle: { color: HUES.rest, opacity: 0.5 }, large: false, data: set((p) => !p.front && !p.chosen) },
      { name: "Pareto front", type: "scatter", symbolSize: 9, itemStyle: { color: "transparent", borderColor: HUES.build, borderWidth: 2 }, data: set((p) => p.front && !p.chosen) },
      { name: "chosen", type: "scatter", symbol: "diamond", symbolSize: 18, itemStyle: { color: HUES.warn }, data: set((p) => p.chosen) },
    ] }, `Evaluated designs by cost and ${trains ? "training time" : "month of first volume"}; ${s.points.filter((p) => p.front).length} on the Pareto front`);
}

function figures(id, kind, rows) {
  if (!rows.length) return el(id).remove();
  const heads = [...new Set(rows.flatMap((s) => s.figures.map(([k]) => k)))];
  table(id, ["Option", kind, "Layout", ...heads], rows.map((s) => {
    const f = new Map(s.figures.map(([k, v]) => [k, v]));
    return [s.option, text("td", s.service, "text"), text("td", s.layout, "text wide"), ...heads.map((h) => f.get(h) || "")];
  }));
}

function scaling() {
  const s = R.scaling;
  if (!s || !s.points.length) return el("scaling").remove();
  el("scaling-note").textContent = `${s.run} on ${s.option}: the best plan at each size by exact search, at ${money(s.usd_per_chip_hour)} per chip-hour, the price at which the study's own run comes to its cost.`;
  const line = (name, of, yAxisIndex) => ({ name, type: "line", yAxisIndex, data: s.points.map((p) => [p.chips, of(p)]) });
  const chips = { type: "log", logBase: 2, ...axisName("chips"), axisLabel: { formatter: short }, min: "dataMin", max: "dataMax" };
  const frame = { grid: { left: 60, right: 60, top: 40, bottom: 50 }, legend: { top: 0 }, tooltip: { trigger: "axis", valueFormatter: trim }, xAxis: chips };
  const log = (name) => ({ type: "log", name, axisLabel: { formatter: short } });
  const ends = (of) => `${trim(of(s.points[0]))} to ${trim(of(s.points[s.points.length - 1]))}`;
  chart("chart-scaling", { ...frame, yAxis: [log("seconds per step"), log("million USD per run")], series: [line("time of a step", (p) => p.step_s, 0), line("cost of the run", (p) => p.usd / 1e6, 1)] },
    `From ${s.points[0].chips} to ${s.points[s.points.length - 1].chips} chips a step takes ${ends((p) => p.step_s)} seconds`);
  chart("chart-shares", { ...frame, yAxis: { type: "value", min: 0, max: 100, name: "%" }, series: [line("MFU", (p) => 100 * p.mfu, 0), line("goodput", (p) => 100 * p.goodput, 0)] },
    `Utilisation in per cent from the smallest to the largest size: ${ends((p) => 100 * p.mfu)}`);
  table("scaled", ["Chips", "Step, s", "MFU, %", "Goodput, %", "Days", "USD per run", text("th", "Plan", "text")], s.points.map((p) =>
    [short(p.chips), trim(p.step_s), trim(100 * p.mfu), trim(100 * p.goodput), trim(p.days), money(p.usd), text("td", p.layout, "text wide")]));
  if (!s.picture) return el("schedule").remove();
  const image = document.createElement("img");
  image.alt = `Schedule of one training step of ${s.run} on ${s.option}`;
  image.src = `data:image/svg+xml,${encodeURIComponent(s.picture)}`;
  el("schedule").firstElementChild.append(image);
}

const FLOOR = [["core", "#cfe3d8"], ["HBM", "#d7d3ea"], ["SRAM", "#f2e2bf"], ["buffer", "#f2e2bf"], ["link", "#f3cfc6"], ["scale", "#f3cfc6"], ["", "#dfe6ee"]];
function floor() {
  const c = R.chip;
  const trains = (x) => x.figures.some(([k]) => k === "MFU");
  figures("services", "Service", R.services.filter((x) => !trains(x)));
  figures("trainings", "Training run", R.services.filter(trains));
  if (!R.services.length) {
    empty("chart-floor", "No chip of the grid can do what the study asks.");
    return;
  }
  if (!c.floor_plan.length) {
    el("architect").remove();
    el("floor-note").closest(".pair").replaceWith(text("p", "No chip of the grid can do what the study asks.", "note"));
    return;
  }
  const hue = (n) => FLOOR.find(([w]) => n.toLowerCase().includes(w.toLowerCase()))[1];
  el("floor-note").textContent = `One die, to scale: ${trim(c.die_width_mm)} × ${trim(c.die_height_mm)} mm.`;
  const span = Math.ceil(Math.max(c.die_width_mm, c.die_height_mm) / 5) * 5;
  chart("chart-floor", { grid: { left: 40, right: 10, top: 10, bottom: 40 }, tooltip: { formatter: (p) => `${p.data.r.name}: ${trim(p.data.r.w)} × ${trim(p.data.r.h)} mm, ${trim(p.data.r.w * p.data.r.h)} mm²` },
    xAxis: { type: "value", min: 0, max: span, ...axisName("mm"), nameGap: 24 }, yAxis: { type: "value", min: 0, max: span },
    series: [{ type: "custom", data: c.floor_plan.map((r) => ({ value: [r.x, r.y], r })), renderItem: (params, api) => {
      const r = c.floor_plan[params.dataIndex];
      const [x0, y0] = api.coord([r.x, r.y + r.h]); const [x1, y1] = api.coord([r.x + r.w, r.y]);
      const w = x1 - x0, h = y1 - y0;
      const big = w > 60 && h > 16;
      return { type: "rect", shape: { x: x0, y: y0, width: w, height: h }, style: { fill: hue(r.name), stroke: "#fff", lineWidth: 1 },
        textContent: big ? { style: { text: r.name, fontSize: 11, fill: "#16202b", width: w - 6, overflow: "truncate" } } : undefined, textConfig: { position: "inside" } };
    } }] }, `Floor plan of one die: ${[...new Set(c.floor_plan.map((r) => r.name))].join(", ")}`);
  pairs("design", ["Chip", ""], c.properties.map(([k, v]) => [k, text("td", v, "text")]));
  waterfall(c.unit_cost);
}

// Bars of one lane that would overlap, their labels included, go on rows of their own.
function packed(bars) {
  const rows = [];
  const months = R.frame.months;
  const reach = (b) => Math.max(b.to + 1, b.from + (b.to + 1 - b.from < b.label.length * 0.42 ? b.to + 1 - b.from + b.label.length * 0.42 * (months / 60) : 0));
  for (const lane of [...new Set(bars.map((b) => b.lane))]) {
    const own = [];
    for (const b of bars.filter((x) => x.lane === lane).sort((a, c) => a.from - c.from || a.to - c.to)) {
      const free = own.find((r) => r.end <= b.from);
      if (free) { free.bars.push(b); free.end = reach(b); } else own.push({ lane, bars: [b], end: reach(b) });
    }
    rows.push(...own);
  }
  return rows;
}

function plan() {
  const p = R.plan;
  if (!p) return empty("chart-plan", R.money.length ? "This program was built without the planner: no supply plan." : "No chip of the grid can do what the study asks: there is nothing to plan.");
  list("remarks", p.remarks, "–");
  const rows = packed(p.bars);
  el("chart-plan").style.height = Math.max(220, 24 * rows.length + 60) + "px";
  const lo = Math.min(1, ...p.bars.map((b) => b.from)), hi = Math.max(R.frame.months, ...p.bars.map((b) => b.to));
  const bars = rows.flatMap((row, y) => row.bars.map((b) => ({ value: [b.from, y, b.to + 1], b })));
  chart("chart-plan", { tooltip: { formatter: (d) => `${d.data.b.lane}: ${d.data.b.label}<br>${monthName(d.data.b.from)} to ${monthName(d.data.b.to)}`.replace(/[&]/g, ""), confine: true },
    grid: { left: 150, right: 20, top: 6, bottom: 32 },
    xAxis: { type: "value", min: lo, max: hi + 1, axisLabel: { formatter: monthName, hideOverlap: true }, interval: 12 },
    yAxis: { type: "category", inverse: true, data: rows.map((r, i) => (i && rows[i - 1].lane === r.lane ? "" : r.lane)), axisTick: { show: false }, axisLabel: { interval: 0, width: 140, overflow: "truncate" } },
    series: [{ type: "custom", data: bars, encode: { x: [0, 2], y: 1 }, renderItem: (params, api) => {
      const { b, value } = bars[params.dataIndex];
      const [x0, y] = api.coord([value[0], value[1]]); const [x1] = api.coord([value[2], 0]);
      const h = Math.min(18, api.size([0, 1])[1] * 0.8), w = Math.max(3, x1 - x0);
      const inside = w > 6.2 * b.label.length + 10;
      return { type: "rect", shape: { x: x0, y: y - h / 2, width: w, height: h, r: 3 }, style: { fill: HUES.build, opacity: 0.9 },
        textContent: { style: { text: b.label, fontSize: 11, fontFamily: FONT, fill: inside ? "#fff" : INK } },
        textConfig: { position: inside ? "inside" : x1 + 6.2 * b.label.length + 10 > api.getWidth() ? "left" : "right" } };
    } }] }, `Plan of Build: ${p.bars.map((b) => `${b.lane}, ${b.label}, ${monthName(b.from)} to ${monthName(b.to)}`).join("; ")}`);
  list("bottlenecks", p.bottlenecks, "No limit binds.");
  list("stress", p.stress, "No scenario was run.");
}

function sites() {
  if (!R.sites.length) return empty("chart-sites", "No option can do what the study asks.");
  powerBySite();
  table("sites", ["Site", "Jurisdiction", "Ready", "IT MW at the end", "Cap MW (facility)", "PUE", "USD/kWh", "gCO2e/kWh", "USD per chip-hour"],
    R.sites.map((s) => [s.name, text("td", s.jurisdiction, "text"), monthName(s.ready_month), trim(s.it_mw), s.cap_mw === null ? "none" : trim(s.cap_mw), trim(s.pue), trim(s.usd_per_kwh), trim(s.g_per_kwh), dollars(s.usd_per_chip_hour)]));
}

// Facility power by month where a plan says it, else IT power at the end.
function powerBySite() {
  const used = ((R.planner || {}).power || []).filter(([, , mw]) => mw.some((v) => v > 0));
  const mw = (v) => trim(v) + " MW";
  if (!used.length) {
    el("sites-note").textContent = "IT power by site at the end of the study";
    return chart("chart-sites", { grid: { left: 190, right: 60, top: 6, bottom: 30 }, xAxis: { type: "value", axisLabel: { formatter: mw, hideOverlap: true } },
      yAxis: { type: "category", inverse: true, data: R.sites.map((s) => s.name), axisTick: { show: false }, axisLabel: { width: 180, overflow: "truncate" } },
      series: [{ type: "bar", barMaxWidth: 24, itemStyle: { color: HUES.today }, data: R.sites.map((s) => s.it_mw), label: { show: true, position: "right", color: INK, formatter: (p) => trim(p.value) } }] }, R.sites.map((s) => `${s.name} ${mw(s.it_mw)}`).join(", "));
  }
  const hue = (i) => [HUES.today, HUES.build, HUES.other, "#8a6fb0", "#b56576", HUES.rest][i % 6];
  // A cap far above all that is used would flatten the lines; the table has it.
  const most = Math.max(...used.flatMap(([, , data]) => data));
  const near = (cap) => cap !== null && cap < 2 * most;
  el("sites-note").textContent = `Facility power of Build by month, cooling and losses included${used.some(([, cap]) => near(cap)) ? "; dashed: caps" : ""}. Rented GPUs stand elsewhere.`;
  const line = (name, i, data, look) => ({ name, type: "line", step: "middle", showSymbol: false, lineStyle: { width: 2, color: hue(i), ...look }, itemStyle: { color: hue(i) }, data });
  chart("chart-sites", { grid: { left: 70, right: 16, top: 40, bottom: 30 }, legend: { top: 0, data: used.map((s) => s[0]), icon: "roundRect", itemWidth: 14, itemHeight: 8 }, tooltip: { trigger: "axis", confine: true, valueFormatter: mw },
    xAxis: { type: "category", data: used[0][2].map((_, i) => monthName(i + 1)) }, yAxis: { type: "value", axisLabel: { formatter: mw } },
    series: used.flatMap(([name, cap, data], i) => [line(name, i, data, {}), ...(!near(cap) ? [] : [line(name + ", cap", i, data.map(() => cap), { width: 1, type: "dashed" })])]) },
  `Facility power at the end: ${used.map(([name, , data]) => `${name} ${mw(data[data.length - 1])}`).join(", ")}`);
}

function numbers() {
  list("limits", R.not_modelled, "–");
  const order = new Map(R.sources.map((s, i) => [s.key, i + 1]));
  table("numbers", ["Row", "Value", "P10", "P90", "Unit", "Source"], R.numbers.map((n) =>
    [n.key + (n.overridden ? " (set by the study)" : ""), ...[n.value, n.low, n.high].map((v) => (n.unit === "year" ? String(v) : v.toLocaleString("en", { maximumSignificantDigits: 4 }))), text("td", n.unit, "text"), "[" + (order.get(n.source) || "?") + "]"]));
  el("sources").replaceChildren(...R.sources.map((s) => {
    const li = document.createElement("li");
    li.append(s.title + (s.date ? `, ${s.date}` : "") + " ", text("span", `(${s.kind}) `, "kind"));
    if (/^https?:/.test(s.url)) { const a = text("a", s.url); a.href = s.url.split(" ")[0]; li.append(a); } else if (s.url) li.append(s.url);
    return li;
  }));
}

[answer, headline, months, risk, scenarios, options, moneyFlow, cash, plan, sites, planner, search, scaling, floor, architect, modelError, numbers].forEach((part) => part());
// What scrolls sideways can be reached and moved with the keyboard.
document.querySelectorAll(".scroll").forEach((n) => { n.tabIndex = 0; n.setAttribute("role", "group"); n.setAttribute("aria-label", "table or chart, scrolls sideways"); });
// The picture's own frame lets the print style scale it to the paper.
const framed = (c) => { c.getZr().flush(); c.getDom().querySelector("svg").setAttribute("viewBox", `0 0 ${c.getWidth()} ${c.getHeight()}`); };
drawn.forEach(framed);
addEventListener("resize", () => drawn.forEach((c) => { c.resize(); framed(c); }));
document.body.dataset.charts = String(drawn.filter((c) => c.getDom().querySelectorAll("svg path, svg rect").length > 1).length);
document.body.dataset.expected = String(document.querySelectorAll(".chart").length);
