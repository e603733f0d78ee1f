"""Widths of the 80 % interval by mechanism; called by scripts/widths, from the root of the repository.

With r = |ln(measured/predicted)|, every source left out in turn and the rows of each other source sharing the weight 1, the width is the largest of
the 80 % quantiles of r so found (with one source that source's quantile), times sqrt(1 + 1/n), by which the interval for the next of n normal
observations is wider than theirs: n sources say little of the next one where they are few. Training is skewed: the sides of its
interval are P10 and P90 of ln(measured/predicted) of the time, over all rows alike, since a tenth of a source of three rows is not known. Rows of chips that are only announced or designed count with r
divided by the factor of their interval.

`between_chips` is the 80 % quantile of the error of a ratio: the time per output token of one configuration on two chips, measured over predicted, over
all pairs of chips that one configuration was measured on in one worker.
"""

import csv
import itertools
import math
import os
import pathlib
import subprocess
import tempfile

INSIDE = 0.8
RUNS = ["mlperf_time_to_train", "accel_hours"]
TIMES = ["iteration_time", *RUNS]
SKEWED = ["training", "time_to_train"]
VECTOR_OPS = ["softmax", "layernorm", "rmsnorm", "gelu", "silu", "rope", "add", "gather", "embedding"]
COLLECTIVES = ["all-reduce", "all_reduce", "allreduce", "all-gather", "reduce-scatter", "all-to-all", "send"]
PATH = pathlib.Path("data/discrepancy.csv")


def mechanism(kind, record, metric):
    if kind == "training":
        return "time_to_train" if metric in RUNS else "training"
    if kind == "training_memory":
        return kind
    if kind == "kernel":
        op = record["op"].lower()
        if any(c in op for c in COLLECTIVES):
            return "collective"
        part = op.split("layer:")[-1]
        if "layer:" not in op and ("attention" in op or "attn" in op):
            return "attention"
        return "vector" if any(part.replace("_", "").startswith(v) for v in VECTOR_OPS) else "gemm"
    if "first_token" in metric or metric.startswith("ttft"):
        return "ttft"
    return "tpot" if metric.startswith("tpot") else "throughput"


def predictions(kind):
    """Every row of a table that was not refused, with its prediction."""
    program = str(pathlib.Path(os.environ["TETRA"]).resolve())
    path = f"validation/{kind}_measured.csv"
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder) / "rows.csv"
        subprocess.run([program, "validate", path, "--data", "data", "--rows", str(rows)], check=True, capture_output=True)
        predicted = list(csv.DictReader(rows.open()))
    records = list(csv.DictReader(open(path)))
    each = len(predicted) // len(records)
    for i, row in enumerate(predicted):
        record = records[i // each]
        assert record["id"] == row["id"], f"{path}: rows are not in the order of the table"
        if not row["refused_because"]:
            yield record, row


def residuals(tables, widths):
    """|ln(measured/predicted)| by mechanism and source."""
    out = {}
    for kind, rows in tables.items():
        for record, row in rows:
            name = mechanism(kind, record, row["metric"])
            value = float(row["predicted"])
            place = record["source_url"]
            late = math.log(float(row["measured"]) / value)
            if name in SKEWED:
                time = row["metric"] in TIMES
                slow = math.log(float(row["high"]) / value) if time else math.log(value / float(row["low"]))
                late = (late if time else -late) / max(1.0, slow / widths[f"{name}_slow"])
                out.setdefault(f"{name}_slow", {}).setdefault(place, []).append(late)
                out.setdefault(f"{name}_fast", {}).setdefault(place, []).append(-late)
            else:
                late /= max(1.0, math.log(float(row["high"]) / value) / widths[name])
            out.setdefault(name, {}).setdefault(place, []).append(abs(late))
    return out


CONFIGURATION = ["model", "engine", "precision", "input_len", "output_len", "batch_size", "tp_size"]


def between_chips(rows):
    """The width of a ratio of two chips, the number of pairs, and of chips."""
    found = {}
    for record, row in rows:
        if row["metric"].startswith("tpot") and record["mode"].strip() in ("", "aggregated"):
            of = found.setdefault(tuple(record[c] for c in CONFIGURATION), {})
            of.setdefault(record["accelerator"], []).append(math.log(float(row["measured"]) / float(row["predicted"])))
    means = [{chip: sum(r) / len(r) for chip, r in by_chip.items()} for by_chip in found.values()]
    apart = sorted(abs(a - b) for by_chip in means for a, b in itertools.combinations(by_chip.values(), 2))
    return apart[int(INSIDE * len(apart))], len(apart), len({chip for by_chip in means for chip in by_chip})


def quantile(sources):
    """The value below which lies the share INSIDE, each source with weight 1."""
    points = sorted((r, 1.0 / len(rows)) for rows in sources for r in rows)
    total = 0.0
    for r, weight in points:
        total += weight
        if total >= INSIDE * len(sources) - 1e-9:
            return r
    return 0.0


def width(by_source):
    """The width, and the share of the rows of a source, in the mean over sources, that the quantile of the other sources covers."""
    sources = [sorted(rows) for _, rows in sorted(by_source.items())]
    few = math.sqrt(1 + 1 / len(sources))
    if len(sources) < 2:
        return quantile(sources) * few, None
    left_out = [quantile(sources[:i] + sources[i + 1 :]) for i in range(len(sources))]
    covered = sum(sum(r <= w for r in rows) / len(rows) for rows, w in zip(sources, left_out)) / len(sources)
    return max(left_out) * few, covered


def main():
    lines = list(csv.reader(PATH.open()))
    widths = {line[1]: float(line[2]) for line in lines[1:]}
    tables = {kind: list(predictions(kind)) for kind in ["kernel", "training", "training_memory", "inference", "serving"]}
    found = residuals(tables, widths)
    ratio, pairs, chips = between_chips(tables["serving"])
    for line in lines[1:]:
        if line[1] == "between_chips":
            line[2] = line[3] = line[4] = f"{ratio:.3f}"
            line[9] = f"time per output token of one configuration on two chips, measured ratio over predicted: {pairs} pairs of {chips} chips"
        by_source = found.get(line[1])
        if by_source is None:
            continue
        if line[1].endswith(("_fast", "_slow")):
            # A side leaves out half of what an interval does.
            late = sorted(r for rows in by_source.values() for r in rows)
            line[2] = line[3] = line[4] = f"{late[int((1 + INSIDE) / 2 * len(late))]:.3f}"
            line[9] = f"{len(late)} rows of {len(by_source)} sources"
            continue
        value, covered = width(by_source)
        rows = sum(map(len, by_source.values()))
        shown = f"{value:.3f}"
        line[2] = line[3] = line[4] = shown
        of = f"{rows} rows of {len(by_source)} sources" if covered is not None else f"{rows} rows of one source"
        line[9] = of + ("" if covered is None else f"; a source left out is covered to {100 * covered:.0f} % by the others")
    with PATH.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    print(PATH.read_text(), end="")


main()
