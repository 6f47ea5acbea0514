#!/usr/bin/env python3
"""What choosing OpenBLAS's kernels brings and costs, each figure alternated: tpbench as it is against kernels that the
user names, once as OpenBLAS chooses on this machine, once with OpenBLAS made to choose those of Prescott by itself (the
preloaded library of tests/support); and what starting again adds to a start.

    kernel_figures.py TPBENCH PRELOADED [ROUNDS]
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SWEEP = {"workload": "gemm", "hidden_size": 2048, "batch_size": 512, "tp_degree": 1, "threads_per_rank": 1,
         "measure": {"max_seconds": 1, "min_samples": 20}}


def alternated(rounds, *works):
    """The results of each work, run in turn and every second time in the other order."""
    results = [[] for _ in works]
    for i in range(rounds):
        for j in range(len(works)) if i % 2 == 0 else reversed(range(len(works))):
            results[j].append(works[j]())
    return results


def gemm(tpbench, scratch, variables):
    """Median seconds of the step in a launch of its own."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch)) / "out"
    config = scratch / "sweep.json"
    config.write_text(json.dumps(SWEEP))
    subprocess.run(["mpirun", "-n", "1", tpbench, "--config", config, "--output", folder, "--format", "none", "--quiet"],
                   check=True, env=os.environ | variables)
    (record,) = [json.loads(path.read_text()) for path in (folder / "records").glob("*.json")]
    return record["time_s"]["step"]["median"], json.loads((folder / "environment.json").read_text())["blas"]["core"]


def start(tpbench, variables):
    began = time.monotonic()
    subprocess.run([tpbench, "info"], check=True, capture_output=True, env=os.environ | variables)
    return time.monotonic() - began


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    tpbench, preloaded = sys.argv[1], str(pathlib.Path(sys.argv[2]).resolve())
    rounds = int(sys.argv[3]) if len(sys.argv) == 4 else 8
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    named = {"OPENBLAS_CORETYPE": "SkylakeX" if " avx512vl" in flags else "Haswell"}
    slow = {"LD_PRELOAD": preloaded, "TPBENCH_TEST_OPENBLAS_CHOICE": "Prescott"}
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        variants = {"as OpenBLAS chooses": {}, "OpenBLAS chooses Prescott": slow, "named by the user": named,
                    "Prescott, kept": {"OPENBLAS_CORETYPE": "Prescott"}}
        results = alternated(rounds, *[lambda v=v: gemm(tpbench, scratch, v) for v in variants.values()])
    medians = {name: statistics.median(s for s, _ in found) for name, found in zip(variants, results)}
    print(f"gemm h = 2048, T = 512, one thread, {rounds} launches each, alternated (target: within 5 % of the named kernels)")
    for name, found in zip(variants, results):
        print(f"  {name:26} {1e3 * medians[name]:8.2f} ms  {medians[name] / medians['named by the user']:.3f}  "
              f"kernels of {', '.join(sorted({core for _, core in found}))}")
    plain, again = alternated(5 * rounds, lambda: start(tpbench, {"LD_PRELOAD": preloaded}), lambda: start(tpbench, slow))
    cost = statistics.median(b - a for a, b in zip(plain, again))
    print(f"starting again adds {1e3 * cost:.1f} ms to {1e3 * statistics.median(plain):.0f} ms of tpbench info (target: "
          "under 50 ms)")


if __name__ == "__main__":
    main()
