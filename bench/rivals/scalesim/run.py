"""Cycles of SCALE-Sim's own simulation. The package must have numpy < 2.

usage: run.py M N K ROWS COLUMNS ws|os|is     one run, a JSON line with cycles and CPU seconds
       run.py reference SEED ARRAYS LAYERS    a CSV of random GEMMs on random arrays, all three dataflows
"""
import json, pathlib, random, resource, sys, tempfile, time
from importlib.metadata import version

from scalesim.scale_sim import scalesim

CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {columns}
IfmapSramSzkB: {sram}
FilterSramSzkB: {sram}
OfmapSramSzkB: {sram}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: {flow}
Bandwidth: 614
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: {interface}
UseRamulatorTrace: False
"""


def simulate(rows, columns, flow, shapes, interface="CALC", sram=4096):
    """Runs the layers and returns (cycles with stalls, stall cycles) of each as the compute report says."""
    with tempfile.TemporaryDirectory() as where:
        where = pathlib.Path(where)
        (where / "a.cfg").write_text(CONFIG.format(rows=rows, columns=columns, flow=flow, interface=interface, sram=sram))
        lines = [f"g{i},{m},{n},{k},\n" for i, (m, n, k) in enumerate(shapes)]
        (where / "g.csv").write_text("Layer,M,N,K,\n" + "".join(lines))
        sim = scalesim(save_disk_space=True, verbose=False, config=str(where / "a.cfg"), topology=str(where / "g.csv"), layout=str(where / "g.csv"), input_type_gemm=True)
        sim.run_scale(top_path=str(where / "out"))
        report = (where / "out" / "run" / "COMPUTE_REPORT.csv").read_text().splitlines()[1:]
    return [(int(f[2]), int(f[3])) for f in (line.split(",") for line in report)]


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def reference(seed, arrays, layers):
    draw = random.Random(seed)
    print("m,n,k,rows,columns,dataflow,compute_cycles")
    for i in range(arrays):
        rows, columns, flow = draw.choice([1, 2, 3, 4, 5, 7, 8, 12, 16]), draw.choice([1, 2, 3, 4, 6, 8, 11, 16]), ("ws", "os", "is")[i % 3]
        shapes = [tuple(1 + int(draw.random() ** 2 * 40) for _ in range(3)) for _ in range(layers)]
        for (m, n, k), (total, stall) in zip(shapes, simulate(rows, columns, flow, shapes)):
            print(f"{m},{n},{k},{rows},{columns},{flow},{total - stall}", flush=True)


def main():
    if sys.argv[1] == "reference":
        return reference(*map(int, sys.argv[2:5]))
    m, n, k, rows, columns = map(int, sys.argv[1:6])
    wall, before = time.time(), cpu()
    (total, stall), = simulate(rows, columns, sys.argv[6], [(m, n, k)])
    row = {"tool": "scalesim", "version": version("scalesim"), "m": m, "n": n, "k": k, "rows": rows, "columns": columns, "dataflow": sys.argv[6],
           "compute_cycles": total - stall, "stall_cycles": stall, "cpu_s": round(cpu() - before, 3), "wall_s": round(time.time() - wall, 3)}
    print(json.dumps(row))


main()
