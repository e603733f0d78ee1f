"use strict";
// The parts of the argument that rest on draws, scenarios and questions. Each says in one sentence why it is missing when it is.
const known = (v) => v !== null && v !== undefined && isFinite(v);
const ranged = (f) => f.low !== f.high;
const range = (f, show) => show(f.value) + (ranged(f) ? ` (${show(f.low)} to ${show(f.high)})` : "");

const share = (p) => (known(p) ? (p > 0 && p < 0.0005 ? "< 0.1" : p > 0 && p < 0.0095 ? (p * 100).toFixed(1) : Math.round(p * 100)) + " %" : "–");

function headline() {
  const v = R.verdict;
  const error = known(v.probability_error) ? ` ± ${trim(Number((v.probability_error * 100).toPrecision(1)))}` : "";
  const volume = (x) => (known(x) ? `${trim(x)} ×` : "no multiple");
  const spread = (f, show) => (ranged(f) ? ` (P10 ${show(f.low)}, P90 ${show(f.high)})` : "");
  const times = (x) => trim(x) + " ×";
  const facts = [
    [known(v.probability_build_cheaper), () => Math.round(v.probability_build_cheaper * 100) + error + " %", "probability that building is cheaper"],
    [known(v.probability_40_percent_cheaper), () => share(v.probability_40_percent_cheaper), "probability that it is 40 % cheaper"],
    [known(v.training_speed_up.value), () => times(v.training_speed_up.value), "as fast in training for the same spend" + spread(v.training_speed_up, times)],
    [known(v.break_even_volume.value) || R.risk, () => volume(v.break_even_volume.value), "this demand makes building as cheap" + spread(v.break_even_volume, volume)],
    [known(v.break_even_month.value) || R.risk, () => monthName(v.break_even_month.value), "building has paid back" + spread(v.break_even_month, monthName)],
  ].filter(([there]) => there);
  el("facts").replaceChildren(...facts.map(([, show, what]) => { const d = document.createElement("div"); d.append(text("b", show()), text("span", what)); return d; }));
  const one = (a) => `${a.option} (cheapest of the ${a.group}) at ${dollars(a.usd_per_million_output_tokens.value)}` + (known(a.probability_build_cheaper) ? `: ${share(a.probability_build_cheaper)}` : "");
  const against = v.against.filter((a) => known(a.usd_per_million_output_tokens.value));
  el("against").textContent = against.length ? `How likely building is cheaper than ${against.map(one).join("; ")}.` : "";
}

function risk() {
  const r = R.risk;
  if (!r) return empty("chart-even", "No draws were made, so no probability is given.");
  el("risk-note").textContent = `${r.draws.toLocaleString("en")} draws (seed ${r.seed}) over the ranges of all inputs. Building costs ${range(r.cost_ratio, trim)} times as much as ${r.other}.`;
  const ends = [Math.min(...r.break_even.map((p) => p[0])), Math.max(...r.break_even.map((p) => p[0]))];
  const line = (y) => ({ type: "line", silent: true, showSymbol: false, lineStyle: { type: "dashed", width: 1, color: HUES.rest }, data: ends.map((x) => [x, y]) });
  chart("chart-even", { grid: { left: 62, right: 20, top: 14, bottom: 52 }, tooltip: { trigger: "item", confine: true, formatter: (p) => `demand × ${trim(p.value[0])}: ${share(p.value[1])}` },
    xAxis: { type: "log", min: ends[0], max: ends[1], ...axisName("demand as a multiple of the study's"), axisLabel: { formatter: (x) => "× " + trim(x) } },
    yAxis: { type: "value", min: 0, max: 1, interval: 0.2, ...axisName("building is cheaper"), nameGap: 46, axisLabel: { formatter: (p) => Math.round(p * 100) + " %" } },
    series: [{ type: "line", symbolSize: 6, lineStyle: { color: HUES.build, width: 3 }, itemStyle: { color: HUES.build }, data: r.break_even }, line(0.2), line(0.8)] },
  `How likely building is cheaper: ${r.break_even.filter((_, i) => i % 5 === 0).map(([x, p]) => `${share(p)} at ${trim(x)} times the demand`).join(", ")}`);
  list("recourse", r.recourse, "Nothing is decided anew within a draw.");
  if (r.limits_held.length) table("held", ["Service", "Limit", "Held in draws"], r.limits_held.map(([s, l, p]) => [s, text("td", l, "text"), share(p)]));
  else el("held-part").remove();
  tornado(r);
}

// One row per input: a bar from the base to the difference at its P10, another to that at its P90.
function tornado(r) {
  const rows = r.tornado.slice(0, 12);
  if (!rows.length) return el("tornado-part").remove();
  const at = (name) => (R.options.find((o) => o.name === name) || { usd_per_million_output_tokens: {} }).usd_per_million_output_tokens.value;
  const base = known(at("Build")) && known(at(r.other)) ? at("Build") - at(r.other) : 0;
  const all = [base, 0, ...rows.flatMap((t) => [t.at_low, t.at_high])];
  const [lo, hi] = [Math.min(...all), Math.max(...all)];
  const place = (v) => ((v - lo) / (hi - lo || 1)) * 100;
  const signed = (v) => (v > 0 ? "+" : v < 0 ? "−" : "") + dollars(Math.abs(v));
  const bar = (t) => {
    const track = text("div", "", "track");
    const part = (to, cls) => { const i = text("i", "", cls); i.style.left = Math.min(place(base), place(to)) + "%"; i.style.width = Math.abs(place(to) - place(base)) + "%"; return i; };
    const mark = (x, cls) => { const i = text("i", "", cls); i.style.left = place(x) + "%"; return i; };
    const ends = [part(t.at_low, "low"), part(t.at_high, "high")];
    // Where both ends lie on one side the shorter bar is drawn last.
    if (Math.abs(t.at_low - base) < Math.abs(t.at_high - base)) ends.reverse();
    track.append(...ends, mark(base, "rule"), mark(0, "nil"));
    const cell = text("td", "", "text"); cell.append(track); return cell;
  };
  const input = (t) => { const cell = text("td", t.words || t.input, "text wide"); if (t.reach) cell.append(text("span", t.reach, "range")); return cell; };
  const total = rows.some((t) => known(t.sobol_total));
  el("tornado-note").replaceChildren(`Building less ${r.other}, USD per million output tokens: ${signed(base)} at the base case (solid line); left of the dashed line, at 0, building is cheaper. One input at a time, all others at their base values: `, text("span", "", "key low"), "at its P10", text("span", "", "key high"), "at its P90. What knowing an input is worth is the gain from deciding after it is known.");
  table("tornado", ["Input", "Build less the other option", "At P10", "At P90", "Share of variance alone", ...(total ? ["with interactions"] : []), "Worth of knowing it"],
    rows.map((t) => [input(t), bar(t), signed(t.at_low), signed(t.at_high), share(t.sobol_first), ...(total ? [share(t.sobol_total)] : []), t.worth_usd > 0 ? money(t.worth_usd) : "nothing"]));
}

function scenarios() {
  if (!R.scenarios.length) return empty("scenarios", "No other world was worked out.");
  const usd = (v) => (known(v) ? dollars(v) : "does not fit");
  // The base case, as in the worlds beside it: nothing is drawn in them.
  const fits = R.scenarios.some((s) => known(s.build_usd_per_million) || known(s.other_usd_per_million));
  if (!fits) return empty("scenarios", `No option can do what the study asks in any of ${R.scenarios.length} other worlds.`);
  const wins = (build, other) => known(build) && !(build >= other);
  const at = (name) => (R.options.find((o) => o.name === name) || { usd_per_million_output_tokens: {} }).usd_per_million_output_tokens.value;
  const base = wins(at("Build"), at(OTHER));
  const differs = (s) => wins(s.build_usd_per_million, s.other_usd_per_million) !== base;
  const turned = R.scenarios.filter(differs).length;
  el("scenarios-note").textContent = `The same study with one thing changed from the first month on, worked out anew: chip, sites, purchases and plan are chosen again, and nothing is drawn. At the base case of the study ${base ? "building" : `${OTHER || "another option"}`} is cheaper; that differs in ${turned} of these ${R.scenarios.length} worlds. Dollars per million output tokens; differences below 1 % may come from how exactly plans are solved.`;
  const parts = (design) => design.split(", ");
  const built = parts(R.scenarios[0].design);
  const chip = (design) => (design ? parts(design).filter((p) => !built.includes(p)).join(", ") || "the same" : "none");
  const verdict = (s) => s.sentence.split(":")[0] + (s.sentence.includes(";") ? ";" + s.sentence.slice(s.sentence.lastIndexOf(";") + 1) : "");
  table("scenarios", ["World", "Changed", "Build", "Best other", "its cost", "Verdict there", "Chip built"], R.scenarios.map((s, i) => ({
    cls: differs(s) ? "turned" : "",
    cells: [text("td", s.name), text("td", s.changed, "text"), text("td", usd(s.build_usd_per_million), wins(s.build_usd_per_million, s.other_usd_per_million) ? "win" : ""), text("td", s.other, "text"), usd(s.other_usd_per_million), text("td", verdict(s), "text wide"), text("td", i ? chip(s.design) : s.design, "text wide")] })));
}

function cash() {
  const c = R.cash;
  if (!c || !c.quarters.length || !c.peak_quarter) return el("cash")?.replaceWith(text("p", "No payments by quarter were worked out.", "note"));
  el("cash-note").textContent = `The dearest quarter, ${c.peak_quarter[0]}, asks ${money(c.peak_quarter[1])}. ${c.own_month ? `Until own chips serve in ${monthName(c.own_month)},` : "Over the horizon, as own chips never serve,"} ${range(c.peak_funding_usd, money)} are paid, of which ${money(c.at_risk_usd)} are lost if the programme is stopped then. If demand halves in that month, ${money(c.stranded_usd)} are stranded: ${c.stranded.map(([what, usd]) => `${money(usd)} of ${what}`).join("; ")}.`;
  chart("chart-cash", { grid: { left: 74, right: 16, top: 12, bottom: 34 }, tooltip: { trigger: "axis", confine: true, valueFormatter: money },
    xAxis: { type: "category", data: c.quarters.map((q) => q[0]), axisTick: { show: false }, axisLabel: { hideOverlap: true } }, yAxis: { type: "value", axisLabel: { formatter: money } },
    series: [{ type: "bar", barMaxWidth: 26, itemStyle: { color: HUES.build }, data: c.quarters.map((q) => q[1]) }] }, `Payments by quarter: ${c.quarters.map(([q, usd]) => `${q} ${money(usd)}`).join(", ")}`);
}

function planner() {
  const p = R.planner;
  if (!p || !R.sites.length) return el("planner")?.remove();
  // What the plan's bottlenecks say already is not said again.
  list("rules", p.limits.filter((l) => !R.plan || !R.plan.bottlenecks.includes(l)), "No rule on where data may be costs anything.");
  const rank = (o) => RANKED.findIndex((r) => r.name === o);
  p.efficiency.sort((a, b) => rank(a[0]) - rank(b[0]));
  table("efficiency", ["Option", "tokens/s per MW", "tokens per USD", "g CO2e per M tokens"], p.efficiency.map(([o, mw, usd, g]) => [o, short(mw), short(usd), short(g)]));
  if (!p.tenure.length) return el("tenure-part").remove();
  table("tenure", ["USD per M tokens", "Owned", "Rented"], p.tenure.map(([l, a, b]) => [l, a ? dollars(a) : "–", b ? dollars(b) : "–"]));
  list("tenure-notes", p.tenure_notes, "–");
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
      { type: "bar", stack: "a", barMaxWidth: 16, itemStyle: { color: HUES.today }, data: [...rows.map((r) => r[1]), { value: total, itemStyle: { color: HUES.build } }], label: { show: true, position: "right", color: INK, formatter: (p) => "$" + Math.round(p.value).toLocaleString("en") } }] },
  `Unit cost: ${rows.map(([k, v]) => `${k} $${Math.round(v).toLocaleString("en")}`).join(", ")}; one chip $${Math.round(total).toLocaleString("en")}`);
}

function architect() {
  const a = R.architect;
  if (!a) return el("architect")?.replaceWith(text("p", "The questions of an architect were not worked out.", "note"));
  const usd = (v) => (known(v) ? dollars(v) : "does not fit");
  const sign = (v) => (known(v) ? (Math.abs(v) < 0.0005 ? "" : v > 0 ? "+" : "−") + Math.abs(v * 100).toFixed(1) + "\u00a0%" : "–");
  const regret = (r) => (known(r.chosen_usd_per_million) && known(r.best_usd_per_million) ? sign(r.chosen_usd_per_million / r.best_usd_per_million - 1) : "–");
  table("regret", ["Model outside the study", "Chosen chip", "Best chip of the grid", "Regret", "Proven", "That chip"], a.regret.map((r) => [r.model, usd(r.chosen_usd_per_million), usd(r.best_usd_per_million), (r.proven ? "" : "at least ") + regret(r), r.proven ? "yes" : "no", text("td", r.best, "text wide")]));
  const misfits = a.marginal.some((m) => m.misfit);
  table("marginal", ["10 % more of", "Cost", "Training time", ...(misfits ? ["Why it does not fit"] : [])], a.marginal.map((m) => [m.resource, sign(m.cost_change), sign(m.training_change), ...(misfits ? [text("td", m.misfit || "", "text wide")] : [])]));
  list("architect-notes", a.notes, "–");
  pairs("lost", ["Next-best design", "Why it lost"], a.lost.map(([d, w]) => [d, text("td", w, "text wide")]));
}

function modelError() {
  if (!R.model_error.length) return empty("errors", "No model error was measured.");
  table("errors", ["Mechanism", "Error, 80 % lie within", "Measured on"], R.model_error.map((m) => [m.mechanism, `÷ or × ${trim(1 + m.half_width)}`, text("td", m.basis, "text wide")]));
}
