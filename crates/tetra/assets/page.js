"use strict";
const R = JSON.parse(document.getElementById("report").textContent);
const COLORS = { Build: "#0b6e4f", H100: "#8d99ae", H200: "#6d7f9e", B200: "#3d5a80", GB300: "#22395b" };
const colour = (name, i) => COLORS[name] || ["#b56576", "#e09f3e", "#6d597a", "#355070"][i % 4];
const el = (id) => document.getElementById(id);
const text = (tag, content, cls) => { const n = document.createElement(tag); n.textContent = content; if (cls) n.className = cls; return n; };

// ---- numbers ----
const STEPS = [[1e15, "P"], [1e12, "T"], [1e9, "bn"], [1e6, "M"], [1e3, "k"]];
function short(v) {
  if (v === null || v === undefined || !isFinite(v)) return "–";
  const size = Math.abs(v);
  for (const [step, word] of STEPS) if (size >= step) return trim(v / step) + " " + word;
  return trim(v);
}
const trim = (v) => String(Number(v.toPrecision(3)));
const money = (v) => (v === null || !isFinite(v) ? "–" : (v < 0 ? "−$" : "$") + short(Math.abs(v)).replace(" ", "\u00a0"));
const monthName = (m) => {
  if (m === null || m === undefined) return "never";
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
function table(id, head, rows) {
  const t = el(id);
  const h = document.createElement("tr");
  head.forEach((c) => h.append(text("th", c, /^(Service|Training run|Layout|Jurisdiction|Unit|Changed|Best other|Chip built|Limit|That chip|Why it lost|Measured on)$/.test(c) ? "text" : "")));
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

// ---- charts ----
const FONT = "system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, sans-serif";
const drawn = [];
function chart(id, option) {
  const c = echarts.init(el(id), null, { renderer: "svg" });
  c.setOption({ animation: false, textStyle: { fontFamily: FONT }, ...option });
  drawn.push(c);
}
// A section that has nothing to show says why, without its empty charts and tables.
function empty(id, why) {
  const section = el(id).closest("section");
  section.querySelectorAll("figure, .pair, .scroll, h3, ul").forEach((n) => n.remove());
  const notes = section.querySelectorAll("p.note");
  notes.forEach((n) => n.remove());
  section.querySelectorAll("table, div[id]").forEach((n) => n.remove());
  section.append(text("p", why, "note"));
}
const axisName = (name) => ({ name, nameLocation: "middle", nameGap: 34, nameTextStyle: { color: "#5b6773" } });
const best = (key) => Math.min(...R.options.map((o) => o[key].value).filter((v) => v !== null && isFinite(v)));

function answer() {
  el("frame").textContent = `${R.frame.study}: ${R.frame.months} months from ${R.frame.start}, discount ${trim(R.frame.discount_rate * 100)} %/year, dollars of ${R.frame.currency_year}`;
  el("sentence").textContent = R.verdict.sentence;
  el("certainty").textContent = R.verdict.certainty;
  const bars = [
    ["bar-cost", "USD per million output tokens", "usd_per_million_output_tokens", (v) => (v === null ? "–" : "$" + trim(v)), (v) => "$" + trim(v)],
    ["bar-date", "Months until all demand is met", "full_month", monthName, trim],
    R.options.some((o) => ranged(o.usd_per_million_output_tokens)) ? ["bar-risk", "Risk: P10 to P90 of that cost, base case marked", "usd_per_million_output_tokens", (v) => (v === null ? "–" : "$" + trim(v)), (v) => "$" + trim(v)] :
    ["bar-carbon", "kt CO2e over the study", "kg_co2e", (v) => (v === null ? "–" : trim(v / 1e6)), (v) => trim(v / 1e6)],
  ];
  if (!R.options.some((o) => o.usd_per_million_output_tokens.value !== null)) bars.length = 0;
  const longest = Math.max(...R.options.map((o) => o.name.length));
  const left = Math.min(140, 7.2 * longest + 16);
  bars.forEach(([id, title, key, show, tick]) => {
    const f = document.createElement("figure");
    const d = document.createElement("div"); d.className = "chart"; d.id = "chart-" + id; d.style.height = Math.max(190, 30 * R.options.length + 44) + "px";
    f.append(d, text("figcaption", title)); el("bars").append(f);
    if (id === "bar-risk") return spread(d.id, left, show, tick);
    chart(d.id, {
      grid: { left, right: 70, top: 8, bottom: 24 },
      xAxis: { type: "value", axisLabel: { formatter: tick, hideOverlap: true }, splitNumber: 3 },
      yAxis: { type: "category", inverse: true, data: R.options.map((o) => o.name), axisTick: { show: false }, axisLabel: { interval: 0, width: left - 10, overflow: "break", lineHeight: 12 } },
      series: [{ type: "bar", barMaxWidth: 22, data: R.options.map((o, i) => ({ value: o[key].value, itemStyle: { color: colour(o.name, i) } })),
        label: { show: true, position: "right", formatter: (p) => show(R.options[p.dataIndex][key].value), color: "#16202b" } }],
      tooltip: { trigger: "item", formatter: (p) => `${p.name}: ${show(R.options[p.dataIndex][key].value)}` },
    });
  });
  const month = (v) => (v === null ? "never" : monthName(v));
  const columns = [
    ["USD per M output tokens", "usd_per_million_output_tokens", (v) => "$" + trim(v)], ["Capex", "capex_usd", money], ["Opex per year", "opex_usd_per_year", money],
    ["Chips", "chips", short], ["IT MW", "it_mw", trim], ["Training days", "training_days", trim], ["USD per training run", "training_usd_per_run", money],
    ["First month", "first_month", month], ["All demand met", "full_month", month], ["kt CO2e", "kg_co2e", (v) => trim(v / 1e6)], ["Export class", "export_class", String],
  ];
  const cheapest = best("usd_per_million_output_tokens");
  table("options", ["Option", ...columns.map((c) => c[0])], R.options.map((o) => ({
    cls: o.usd_per_million_output_tokens.value === cheapest ? "best" : "",
    cells: [text("td", o.name), ...columns.map(([, key, show]) => figure(o[key], (v) => ((v === null && !/month/.test(key)) || v === "" ? "–" : show(v))))],
  })));
  el("options").after(...R.options.map((o) => [o.name, [...o.misfits, ...(o.notes || [])]]).filter(([, said]) => said.length).map(([name, said]) => text("p", `${name}: ${said.join("; ")}`, "note")));
}

// The range of each option's cost as a bar from P10 to P90 with the base case marked.
function spread(id, left, show, tick) {
  const rows = R.options.map((o) => o.usd_per_million_output_tokens);
  chart(id, { grid: { left, right: 92, top: 8, bottom: 24 }, xAxis: { type: "value", axisLabel: { formatter: tick, hideOverlap: true }, splitNumber: 3 },
    yAxis: { type: "category", inverse: true, data: R.options.map((o) => o.name), axisTick: { show: false }, axisLabel: { interval: 0, width: left - 10, overflow: "break", lineHeight: 12 } },
    series: [{ type: "bar", stack: "range", silent: true, itemStyle: { color: "transparent" }, data: rows.map((f) => f.low) },
      { type: "bar", stack: "range", barMaxWidth: 12, data: rows.map((f, i) => ({ value: f.high - f.low, itemStyle: { color: colour(R.options[i].name, i), opacity: 0.7 } })),
        label: { show: true, position: "right", color: "#16202b", formatter: (p) => (rows[p.dataIndex].value === null ? "–" : `${show(rows[p.dataIndex].low)}–${trim(rows[p.dataIndex].high)}`) } },
      { type: "scatter", symbol: "rect", symbolSize: [3, 18], itemStyle: { color: "#16202b" }, data: rows.map((f, i) => [f.value, i]).filter((d) => d[0] !== null) }] });
}

function months() {
  if (!R.months.length) return empty("chart-cost", "No option can do what the study asks.");
  const n = R.frame.months;
  const x = Array.from({ length: n }, (_, i) => monthName(i + 1));
  const common = { tooltip: { trigger: "axis", valueFormatter: short }, legend: { type: "scroll", top: 0, itemGap: 22, icon: "roundRect", itemWidth: 14, itemHeight: 8 }, grid: { left: 60, right: 16, top: 40, bottom: 30 }, xAxis: { type: "category", data: x } };
  const other = R.risk ? R.risk.other : (R.options.filter((o) => o.name !== "Build" && o.usd_per_million_output_tokens.value !== null).sort((p, q) => p.usd_per_million_output_tokens.value - q.usd_per_million_output_tokens.value)[0] || {}).name;
  const banded = R.months.filter((m) => (m.option === "Build" || m.option === other) && m.cumulative_low_usd.some((v, i) => v !== m.cumulative_high_usd[i]));
  const plain = { type: "line", showSymbol: false, silent: true, lineStyle: { width: 0 }, tooltip: { show: false } };
  const bands = banded.flatMap((m) => [{ ...plain, stack: "band " + m.option, data: m.cumulative_low_usd },
    { ...plain, stack: "band " + m.option, areaStyle: { color: colour(m.option, R.months.indexOf(m)), opacity: 0.16 }, data: m.cumulative_high_usd.map((v, i) => v - m.cumulative_low_usd[i]) }]);
  chart("chart-cost", { ...common, legend: { ...common.legend, data: R.months.map((m) => m.option) }, yAxis: { type: "value", axisLabel: { formatter: money } },
    series: [...bands, ...R.months.map((m, i) => ({ name: m.option, type: "line", showSymbol: false, data: m.cumulative_usd, lineStyle: { width: m.option === "Build" ? 3 : 1.5, color: colour(m.option, i) }, itemStyle: { color: colour(m.option, i) } }))] });
  const b = R.months[0];
  el("months-note").textContent = `Left: every option${banded.length ? "; bands from P10 to P90" : ""}. Right: ${b.option}, in chips of its own kind.`;
  chart("chart-capacity", { ...common, yAxis: { type: "value", axisLabel: { formatter: short } }, series: [
    { name: "own chips", type: "line", step: "middle", stack: "have", areaStyle: { color: "#0b6e4f", opacity: 0.55 }, showSymbol: false, lineStyle: { width: 0 }, itemStyle: { color: "#0b6e4f" }, data: b.chips },
    { name: "bridge GPUs", type: "line", step: "middle", stack: "have", areaStyle: { color: "#8d99ae", opacity: 0.55 }, showSymbol: false, lineStyle: { width: 0 }, itemStyle: { color: "#8d99ae" }, data: b.bridge_chips },
    { name: "needed", type: "line", step: "middle", showSymbol: false, lineStyle: { color: "#b3261e", width: 2, type: "dashed" }, itemStyle: { color: "#b3261e" }, data: b.needed_chips },
  ] });
}

function moneyFlow() {
  if (!R.money.length) return empty("chart-money", "No chip of the grid can do what the study asks: there is nothing to pay for.");
  const names = [...new Set(R.money.flatMap((f) => [f.from, f.to]))];
  chart("chart-money", { tooltip: { trigger: "item", valueFormatter: money },
    series: [{ type: "sankey", left: 10, right: 350, top: 10, bottom: 10, nodeGap: 12, emphasis: { focus: "adjacency" }, lineStyle: { color: "gradient", opacity: 0.35 },
      data: names.map((name) => ({ name })), links: R.money.filter((f) => f.usd > 0).map((f) => ({ source: f.from, target: f.to, value: f.usd })),
      label: { formatter: (p) => `${p.name}  ${money(p.value)}` } }] });
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
      { name: "evaluated", type: "scatter", symbolSize: 4, itemStyle: { color: "#9fb3c8", opacity: 0.5 }, large: false, data: set((p) => !p.front && !p.chosen) },
      { name: "Pareto front", type: "scatter", symbolSize: 9, itemStyle: { color: "transparent", borderColor: "#0b6e4f", borderWidth: 2 }, data: set((p) => p.front && !p.chosen) },
      { name: "chosen", type: "scatter", symbol: "diamond", symbolSize: 18, itemStyle: { color: "#b3261e" }, data: set((p) => p.chosen) },
    ] });
}

function figures(id, kind, rows) {
  if (!rows.length) return el(id).remove();
  const heads = [...new Set(rows.flatMap((s) => s.figures.map(([k]) => k)))];
  table(id, ["Option", kind, "Layout", ...heads], rows.map((s) => {
    const f = new Map(s.figures.map(([k, v]) => [k, v]));
    return [s.option, text("td", s.service, "text"), text("td", s.layout, "text wide"), ...heads.map((h) => f.get(h) || "")];
  }));
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
    } }] });
  pairs("design", ["Chip", ""], c.properties);
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
  el("plan-note").textContent = p.remarks.join(" ");
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
      return { type: "rect", shape: { x: x0, y: y - h / 2, width: w, height: h, r: 3 }, style: { fill: "#0b6e4f", opacity: 0.85 },
        textContent: { style: { text: b.label, fontSize: 11, fontFamily: FONT, fill: inside ? "#fff" : "#16202b" } },
        textConfig: { position: inside ? "inside" : x1 + 6.2 * b.label.length + 10 > api.getWidth() ? "left" : "right" } };
    } }] });
  list("bottlenecks", p.bottlenecks, "No limit binds.");
  list("stress", p.stress, "No scenario was run.");
}

function sites() {
  if (!R.sites.length) return empty("chart-sites", "No option can do what the study asks.");
  chart("chart-sites", { grid: { left: 190, right: 60, top: 6, bottom: 30 }, xAxis: { type: "value", axisLabel: { formatter: (v) => trim(v) + " MW" } },
    yAxis: { type: "category", inverse: true, data: R.sites.map((s) => s.name), axisTick: { show: false } },
    series: [{ type: "bar", barMaxWidth: 24, itemStyle: { color: "#3d5a80" }, data: R.sites.map((s) => s.it_mw), label: { show: true, position: "right", formatter: (p) => trim(p.value) } }] });
  table("sites", ["Site", "Jurisdiction", "Ready", "IT MW", "Cap MW", "PUE", "USD/kWh", "gCO2e/kWh", "USD per chip-hour"],
    R.sites.map((s) => [s.name, text("td", s.jurisdiction, "text"), monthName(s.ready_month), trim(s.it_mw), s.cap_mw === null ? "none" : trim(s.cap_mw), trim(s.pue), trim(s.usd_per_kwh), trim(s.g_per_kwh), "$" + trim(s.usd_per_chip_hour)]));
  list("residency", R.residency, "No residency rule applies.");
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

[answer, headline, months, risk, scenarios, moneyFlow, cash, plan, sites, planner, search, floor, architect, modelError, numbers].forEach((part) => part());
// The picture's own frame lets the print style scale it to the paper.
const framed = (c) => { c.getZr().flush(); c.getDom().querySelector("svg").setAttribute("viewBox", `0 0 ${c.getWidth()} ${c.getHeight()}`); };
drawn.forEach(framed);
addEventListener("resize", () => drawn.forEach((c) => { c.resize(); framed(c); }));
document.body.dataset.charts = String(drawn.filter((c) => c.getDom().querySelectorAll("svg path, svg rect").length > 1).length);
document.body.dataset.expected = String(document.querySelectorAll(".chart").length);
