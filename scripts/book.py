"""Tables of the book and blocks of README.md; called by scripts/book, from the root of the repository."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TETRA = os.environ["TETRA"]
MODE = sys.argv[1] if len(sys.argv) > 1 else ""
GENERATED = pathlib.Path("book/src/generated")
SCORE = pathlib.Path("validation/score.json")
FIGURES = ["mape_pct", "median_ape_pct", "p90_ape_pct", "max_ape_pct", "bias_pct", "interval80_coverage_pct", "interval80_halfwidth_pct"]
# Groups with fewer rows say little; they are in score.json.
FEWEST_ROWS = 5
CRATES = ["quantity", "workload", "chip", "foundry", "cluster", "site", "plan", "study"]
SAMPLES = {
    "model": ["model", "DeepSeek-V3"],
    "chip": ["chip", "H100", "--model", "Meta-Llama-3.1-8B", "--batch", "8"],
    "train": ["train", "--model", "GPT-3-175B", "--chip", "A100", "--n", "512", "--tp", "8", "--pp", "8", "--global-batch", "512", "--seq", "2048"],
    "serve": ["serve", "--model", "Meta-Llama-3.1-70B", "--chip", "H100", "--input", "2048", "--output", "512", "--tpot", "30 ms"],
    "foundry": ["foundry", "H100"],
}
stale = []


def tetra(*args, cwd=None):
    program = str(pathlib.Path(TETRA).resolve())
    done = subprocess.run([program, *args], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"tetra {' '.join(args)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def write(path, text):
    path = pathlib.Path(path)
    old = path.read_text() if path.exists() else None
    if old == text:
        return
    if MODE == "--check":
        stale.append(str(path))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path}")


def cell(value):
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").strip()


def table(head, rows, right=()):
    line = lambda cells: "| " + " | ".join(cells) + " |\n"
    rule = ["---:" if h in right else "---" for h in head]
    return line(head) + line(rule) + "".join(line([cell(c) for c in row]) for row in rows)


def number(value):
    if value is None:
        return ""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-3:
        return f"{value:.3e}"
    return f"{value:,.0f}" if size >= 10_000 else f"{value:.4g}"


def percent(value):
    return "" if value is None else f"{value:.1f}"


def flat_toml(path):
    """Sections of a TOML file of plain `key = value` lines; lists of texts stay one line."""
    sections, current = {"": {}}, ""
    for line in pathlib.Path(path).read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            current = line.strip("[] ")
            sections[current] = {}
        elif "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            value = value.strip()
            texts = re.findall(r'"((?:[^"\\]|\\.)*)"', value)
            if value.startswith("["):
                sections[current][key.strip()] = texts or [v.strip() for v in value[1 : value.index("]")].split(",") if v.strip()]
            else:
                sections[current][key.strip()] = texts[0] if value.startswith('"') else value.split("#")[0].strip()
    return sections


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 1) + 0.0 if isinstance(value, float) else value


def score():
    """The committed score, made anew unless only checking: one group per line."""
    if MODE == "--check":
        return json.loads(SCORE.read_text())
    fresh = rounded(json.loads(tetra("validate", "--json")))
    tables = []
    for t in fresh["tables"]:
        parts = []
        for key, value in t.items():
            if isinstance(value, list) and value:
                inner = ",\n".join("   " + json.dumps(v, ensure_ascii=False) for v in value)
                parts.append(f'  "{key}": [\n{inner}\n  ]')
            else:
                parts.append(f'  "{key}": {json.dumps(value, ensure_ascii=False)}')
        tables.append(" {\n" + ",\n".join(parts) + "\n }")
    power = [json.dumps(row) for row in fresh["full_rate"]]
    write(SCORE, '{"tables": [\n' + ",\n".join(tables) + '\n], "full_rate": [\n' + ",\n".join(power) + "\n]}\n")
    return fresh


FIGURE_HEAD = ["rows", "scored", "refused", "MAPE %", "median %", "p90 %", "max %", "bias %", "in 80 % interval", "half-width %"]


def figures(f):
    return [f["rows"], f["scored"], f["refused"]] + [percent(f[k]) for k in FIGURES]


def score_summary(scores):
    return table(["table", *FIGURE_HEAD], [[f"`{t['file']}`", *figures(t)] for t in scores["tables"]], FIGURE_HEAD)


def score_pages(scores):
    write(GENERATED / "score.md", score_summary(scores))
    text = ""
    for t in scores["tables"]:
        text += f"### {t['file']}\n\n"
        for by in ["metric", "op", "accelerator", "model", "source"]:
            groups = [g for g in t["groups"] if g[by] is not None and g["rows"] >= FEWEST_ROWS]
            name = lambda g: g[by].split("://")[-1][:70] if by == "source" else g[by]
            if groups:
                text += table([by, *FIGURE_HEAD], [[name(g), *figures(g)] for g in groups], FIGURE_HEAD) + "\n"
        if t["refusals"]:
            text += table(["refused because", "rows"], [[r["reason"], r["rows"]] for r in t["refusals"]], ["rows"]) + "\n"
    write(GENERATED / "score-groups.md", text)


def chip_page():
    sources = flat_toml("data/sources.toml")
    rows = []
    for path in sorted(pathlib.Path("data/chips").glob("*.toml")):
        chip = flat_toml(path)
        top, compute, memory, links = chip[""], chip["compute"], chip["memory"], chip["links"]
        macs = int(compute["cores"]) * int(compute["arrays_per_core"]) * int(compute["array_rows"]) * int(compute["array_columns"])
        clock, prefix = compute["clock"].split()
        tflops = 2 * macs * float(clock) * {"GHz": 1e9, "MHz": 1e6}[prefix] / 1e12
        url = sources.get(top["source"], {}).get("url", "")
        source = f"[{top['source']}]({url})" if url.startswith("http") else top["source"]
        rows.append([f"`{path.stem}`", top["name"], top["year"], chip["silicon"]["node"], f"{tflops:,.0f}", memory["hbm"],
                     memory["hbm_bandwidth"], links["scale_up"], links["scale_up_domain"], chip["power"]["cap"], top["kind"], source])
    head = ["file", "name", "year", "node", "dense 16-bit TFLOPS", "memory", "bandwidth", "scale-up per direction", "domain", "cap", "kind", "source"]
    right = ["dense 16-bit TFLOPS", "memory", "bandwidth", "scale-up per direction", "domain", "cap"]
    write(GENERATED / "chips.md", table(head, rows, right))


def model_pages():
    origins = {}
    for line in pathlib.Path("models/sources.csv").read_text().splitlines()[1:]:
        name, url, origin = line.split(",", 2)
        origins[name] = (url, origin.strip('"'))
    rows = []
    for path in sorted(pathlib.Path("models").glob("*.json"), key=lambda p: p.stem.lower()):
        d = json.loads(tetra("model", path.stem, "--json"))
        url, origin = origins.get(path.stem, ("", ""))
        kv = next((t["kv_bytes"] for t in d["token"] if t["context"] > 1), None)
        context = next((t["context"] for t in d["token"] if t["context"] > 1), 1)
        per_token = f"{kv / context / 1e3:,.1f}" if kv else ""
        kind = "assumption" if origin.startswith("assumption") else "as published"
        rows.append([f"`{path.stem}`", d["family"], d["layers"], f"{d['parameters_total'] / 1e9:,.3f}", f"{d['parameters_active'] / 1e9:,.3f}",
                     per_token, f"[{kind}]({url})"])
    head = ["name", "family", "layers", "parameters, billion", "active, billion", "KV cache per token of 1,024, kB", "config"]
    write(GENERATED / "models.md", table(head, rows, ["layers", "parameters, billion", "active, billion", "KV cache per token of 1,024, kB"]))
    families = re.findall(r'^    \("(\w+)", "(\w+)", \w+::\w+\),$', pathlib.Path("crates/tetra-workload/src/hf/mod.rs").read_text(), re.M)
    write(GENERATED / "families.md", table(["`model_type`", "`architectures[0]`"], [[f"`{a}`", f"`{b}`"] for a, b in families]))


def data_pages():
    sources = flat_toml("data/sources.toml")
    rows = all_rows()
    def source_rows(chosen):
        return [[f"`{r['item']}.{r['parameter']}`", number(r["value"]), f"{number(r['low'])} to {number(r['high'])}", r["unit"], r["source"], r["note"]]
                for r in chosen]
    head = ["row", "value", "P10 to P90", "unit", "source", "note"]
    fitted = json.loads(tetra("data", "--fitted", "--json"))
    write(GENERATED / "calibration.md", f"{len(fitted)} rows.\n\n" + table(head, source_rows(fitted), ["value"]))
    write(GENERATED / "discrepancy.md", table(head, source_rows(r for r in rows if r["table"] == "discrepancy.csv"), ["value"]))
    write(GENERATED / "kinds.md", table(["kind", "half-width where a row states none", "why"],
        [[r["parameter"], f"{100 * r['value']:.0f} %", r["note"]] for r in rows if r["item"] == "source_kind"]))
    kinds = sorted({s["kind"] for k, s in sources.items() if k})
    by_table = {}
    for r in rows:
        counts = by_table.setdefault(r["table"], dict.fromkeys(kinds, 0))
        counts[sources[r["source"]]["kind"]] += 1
    lines = [[f"`{t}`", sum(c.values()), *[c[k] or "" for k in kinds]] for t, c in sorted(by_table.items())]
    lines.append(["all", len(rows), *[sum(c[k] for c in by_table.values()) for k in kinds]])
    write(GENERATED / "tables.md", table(["table", "rows", *kinds], lines, ["rows", *kinds]))
    listed = [[f"`{k}`", f"[{s['title']}]({s['url']})" if s.get("url", "").startswith("http") else s["title"], s.get("author", ""), s.get("date", ""), s["kind"]]
              for k, s in sorted(sources.items()) if k]
    write(GENERATED / "sources.md", table(["key", "work", "by", "date", "kind"], listed))


def all_rows():
    """Every row of the tables: an item is a part of a row's name, and every name holds a point."""
    return json.loads(tetra("data", ".", "--json"))


def place_pages():
    sites = [s for k, s in flat_toml("data/sites.toml").items() if k]
    write(GENERATED / "sites.md", table(["name", "country", "jurisdiction", "regions"],
        [[f"`{s['name']}`", s["country"], s["jurisdiction"], ", ".join(s["regions"])] for s in sites]))
    outages = {k: o for k, o in flat_toml("data/outages.toml").items() if k}
    write(GENERATED / "outages.md", table(["scenario", "what happens"], [[f"`{k}`", o["name"]] for k, o in outages.items()]))
    suppliers = [s for k, s in flat_toml("data/suppliers.toml").items() if k]
    write(GENERATED / "suppliers.md", table(["supplier", "stage", "country", "nodes", "must be qualified first"],
        [[s["name"], s["stage"], s["country"], ", ".join(s.get("nodes", [])), "yes" if s.get("second_source") == "true" else ""] for s in suppliers]))
    text = ""
    for name, axes in flat_toml("data/grids.toml").items():
        if not name:
            continue
        size = 1
        for values in axes.values():
            size *= len(values)
        text += f"**{name}**: {size:,} chips\n\n" + table(["axis", "values"], [[f"`{k}`", ", ".join(v)] for k, v in axes.items()]) + "\n"
    write(GENERATED / "grids.md", text)


def verb_page():
    verbs = re.findall(r"^  (\w+) ", tetra("--help").split("Commands:")[1].split("Options:")[0], re.M)
    text = ""
    for verb in verbs:
        if verb != "help":
            text += f"## {verb}\n\n```text\n{tetra(verb, '--help').rstrip()}\n```\n\n"
    write(GENERATED / "flags.md", text)


def sample_pages():
    quoted = lambda word: f'"{word}"' if " " in word else word
    for name, args in SAMPLES.items():
        command = " ".join(["tetra", *map(quoted, args)])
        lines = [line.rstrip() for line in tetra(*args).rstrip().splitlines()]
        write(GENERATED / f"sample-{name}.md", f"```console\n$ {command}\n" + "\n".join(lines) + "\n```\n")


def crate_pages():
    for crate in CRATES:
        root = pathlib.Path(f"crates/tetra-{crate}/src")
        text = ""
        for path in sorted(root.rglob("*.rs")):
            head = []
            for line in path.read_text().splitlines():
                if not line.startswith("//!"):
                    break
                head.append(line[3:].strip())
            name = str(path.relative_to(root)).removesuffix(".rs").removesuffix("/mod")
            if name != "lib" and len(head) > 1:
                # A link to an item means nothing outside of the crate's own documentation.
                body = re.sub(r"\[(`[^`\]]+`)\]", r"\1", "\n".join(head))
                text += f"**`{name}`.** {body}\n\n"
        write(GENERATED / f"crate-{crate}.md", text)


def block(text, name, content):
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = text.split(start, 1)
    return before + start + "\n" + content.rstrip("\n") + "\n" + end + rest.split(end, 1)[1]


def answer():
    """What the study of the repository answers, from a copy of it: the run leaves nothing behind. None without the planner."""
    with tempfile.TemporaryDirectory() as folder:
        study = pathlib.Path(folder) / "studies" / "first"
        study.mkdir(parents=True)
        shutil.copy("studies/first/study.toml", study)
        text = tetra("run", "studies/first", cwd=folder)
        planned = json.loads((study / "out" / "report.json").read_text())["plan"]
        return text if planned else None


def readme(scores):
    path = pathlib.Path("README.md")
    text = block(path.read_text(), "validation", score_summary(scores))
    if MODE == "":
        found = answer()
        if found is None:
            print("the answer stays as it is: this program was built without the planner")
        else:
            text = block(text, "answer", "```text\n" + found.rstrip() + "\n```")
    write(path, text)


def main():
    scores = score()
    score_pages(scores)
    chip_page()
    model_pages()
    data_pages()
    place_pages()
    verb_page()
    sample_pages()
    crate_pages()
    readme(scores)
    if stale:
        sys.exit("run scripts/book: not as the program says: " + ", ".join(stale))


main()
