"""Optimum that AccelForge finds for one GEMM on T128, twice in one process; a JSON line per run. usage: run.py M N K [E|L|EDP] [RUNS]"""
import json, pathlib, resource, sys, time

started = time.process_time()
import accelforge as af
from accelforge.mapper.FFM.mappings import Mappings
from importlib.metadata import version

here = pathlib.Path(__file__).resolve().parent
m, n, k = (int(x) for x in sys.argv[1:4])
objective = sys.argv[4] if len(sys.argv) > 4 else "EDP"
runs = int(sys.argv[5]) if len(sys.argv) > 5 else 2
metric = {"E": af.mapper.Metrics.ENERGY, "L": af.mapper.Metrics.LATENCY, "EDP": af.mapper.Metrics.ENERGY_DELAY_PRODUCT}[objective]
importing = time.process_time() - started
af.set_n_parallel_jobs(1)
# The picture of the mapping (it needs Graphviz) is not part of the search: it is neither drawn nor timed.
Mappings.render = lambda self, **_: ""


def cpu():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in both)


for i in range(runs):
    spec = af.Spec.from_yaml(here / "t128_arch.yaml", here / "gemm.yaml", jinja_parse_data={"M": m, "N": n, "K": k, "MIB": 16})
    spec.mapper.explore_imperfect_temporal_loops = False
    spec.mapper.explore_imperfect_spatial_loops = False
    spec.mapper.metrics = metric
    wall, before = time.time(), cpu()
    best = spec.map_workload_to_arch(print_progress=False)
    took, wall = cpu() - before, time.time() - wall
    row = {"tool": "accelforge", "version": version("accelforge"), "m": m, "n": n, "k": k, "objective": objective, "run": "cold" if i == 0 else "warm",
           "energy_j": float(best.energy()), "cycles": float(best.latency()) * 1e9, "cpu_s": round(took, 3), "wall_s": round(wall, 3), "import_cpu_s": round(importing, 3)}
    print(json.dumps(row), flush=True)
