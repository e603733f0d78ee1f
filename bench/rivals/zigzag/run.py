"""Best mapping that ZigZag (LOMA) finds for one GEMM on T128; a JSON line. usage: run.py M N K [energy|latency|EDP] [LPF_LIMIT]

Its levels are fixed per operand, so that weights pass through the SRAM.
"""
import contextlib, json, logging, os, resource, sys, tempfile, time
from importlib.metadata import version

import yaml
from zigzag import api
from zigzag.cost_model import cost_model

m, n, k = (int(x) for x in sys.argv[1:4])
objective = sys.argv[4] if len(sys.argv) > 4 else "EDP"
lpf = int(sys.argv[5]) if len(sys.argv) > 5 else 6
logging.disable(logging.CRITICAL)


PREFIX = {"read": "r", "write": "w", "read_write": "rw"}


def port(kind, most, allocation, least=8):
    return {"name": PREFIX[kind] + "_port_1", "type": kind, "bandwidth_min": least, "bandwidth_max": most, "allocation": allocation}


def memory(bits, cost, operands, ports, served):
    return {"size": bits, "r_cost": cost, "w_cost": cost, "area": 0, "latency": 1, "operands": operands, "ports": ports, "served_dimensions": served}


SRAM_BITS_PER_CYCLE, DRAM_BITS_PER_CYCLE = 8 * 1024, 8 * 614
machine = {
    "name": "t128",
    "memories": {
        "weight_register": memory(8, 0.0, ["I2"], [port("write", 8, ["I2, fh"]), port("read", 8, ["I2, tl"])], []),
        "sram": memory(8 * 16 * 1024 * 1024, 0.2 * SRAM_BITS_PER_CYCLE, ["I1", "I2", "O"], [
            port("read", SRAM_BITS_PER_CYCLE, ["I1, tl", "I2, tl", "O, tl", "O, th"]),
            port("write", SRAM_BITS_PER_CYCLE, ["I1, fh", "I2, fh", "O, fh", "O, fl"])], ["D1", "D2"]),
        "dram": memory(10**12, 7.0 * DRAM_BITS_PER_CYCLE, ["I1", "I2", "O"], [
            port("read_write", DRAM_BITS_PER_CYCLE, [f"{o}, {d}" for o in ("I1", "I2") for d in ("fh", "tl")] + [f"O, {d}" for d in ("fh", "tl", "fl", "th")])], ["D1", "D2"]),
    },
    "operational_array": {"unit_energy": 0.084, "unit_area": 1, "dimensions": ["D1", "D2"], "sizes": [128, 128]},
}
mapping = [{"name": "default", "spatial_mapping": {"D1": [f"D1, {min(n, 128)}"], "D2": [f"D2, {min(k, 128)}"]}, "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}]
gemm = [{"id": 0, "operator_type": "Gemm", "equation": "O[d0][d1]+=I[d0][d2]*W[d2][d1]", "dimension_relations": [], "loop_dims": ["D0", "D1", "D2"], "loop_sizes": [m, n, k],
         "operand_precision": {"W": 8, "I": 8, "O": 8, "O_final": 8}, "operand_source": {"I": 0, "W": 0}}]

evaluated = 0
plain_init = cost_model.CostModelEvaluation.__init__


def counting_init(self, *args, **words):
    global evaluated
    evaluated += 1
    plain_init(self, *args, **words)


cost_model.CostModelEvaluation.__init__ = counting_init


def cpu():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in both)


with tempfile.TemporaryDirectory() as where:
    os.chdir(where)
    for name, content in (("machine.yaml", machine), ("mapping.yaml", mapping)):
        with open(name, "w") as f:
            yaml.safe_dump(content, f, sort_keys=False)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        wall, before = time.time(), cpu()
        energy, latency, _ = api.get_hardware_performance_zigzag(workload=gemm, accelerator="machine.yaml", mapping="mapping.yaml", opt=objective, lpf_limit=lpf,
                                                                 temporal_mapping_type="uneven", dump_folder="out", loma_show_progress_bar=False)
        took, wall = cpu() - before, time.time() - wall
    os.chdir("/")
print(json.dumps({"tool": "zigzag", "version": version("zigzag-dse"), "m": m, "n": n, "k": k, "objective": objective, "lpf": lpf, "energy_j": float(energy) * 1e-12,
                  "cycles": float(latency), "evaluated": evaluated, "cpu_s": round(took, 3), "wall_s": round(wall, 3)}))
