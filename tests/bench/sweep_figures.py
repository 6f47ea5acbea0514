#!/usr/bin/env python3
"""Runs two sweeps with the given tpbench and prints what the records say of the tool itself: resident memory against
counted memory, prediction against count, reduction of weights, and the share of wall time that goes into measuring.

    sweep_figures.py TPBENCH
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

MEASURING = ("verification", "warm_up", "sampling")


def run(tpbench, sweep, folder):
    config = folder.with_suffix(".json")
    config.write_text(json.dumps(sweep))
    start = time.monotonic()
    subprocess.run(["mpirun", "-n", "2", tpbench, "--config", config, "--output", folder, "--format", "none", "--quiet"],
                   check=True)
    wall_s = time.monotonic() - start
    return [json.loads(path.read_text()) for path in sorted((folder / "records").glob("*.json"))], wall_s


def memory(tpbench, scratch):
    sweep = {"workload": ["row_linear", "column_linear", "mlp", "gemm"], "hidden_size": [8, 4096, 6144], "batch_size": [64],
             "tp_degree": [1, 2], "measure": {"max_seconds": 0.2, "warmup_steps": 1}}
    records, _ = run(tpbench, sweep, scratch / "memory")
    print("process peak of a case less that of the smallest case, over the tracked peak (target: at most 1.05)")
    empty = {r["case"]["tp_degree"]: r["memory_bytes"]["process_peak_rss"] for r in records if r["case"]["hidden_size"] == 8}
    worst = 0
    for record in records:
        m = record["memory_bytes"]
        if m["peak"] < 100e6:
            continue
        ratio = (m["process_peak_rss"] - empty[record["case"]["tp_degree"]]) / m["peak"]
        worst = max(worst, ratio)
        print(f"  {record['id']:52} tracked {m['peak'] / 1e6:8.1f} MB   ratio {ratio:.4f}")
    print(f"  largest ratio {worst:.4f}")
    exact = all(r["memory_bytes"]["peak"] == r["memory_bytes"]["predicted_peak"] for r in records)
    print(f"prediction equals tracked bytes in all {len(records)} cases: {'yes' if exact else 'NO'}")
    sharded = [r for r in records if r["case"]["tp_degree"] > 1 and r["scaling"]["weights_reduction"] is not None]
    exact = all(r["scaling"]["weights_reduction"] == r["case"]["tp_degree"] for r in sharded)
    print(f"weights fall by exactly t in all {len(sharded)} sharded cases: {'yes' if exact else 'NO'}")


def share(tpbench, scratch):
    sweep = {"workload": ["row_linear", "mlp"], "hidden_size": [1024, 2048], "batch_size": [1, 16], "sequence_length": [1, 16],
             "tp_degree": [1, 2]}
    records, wall_s = run(tpbench, sweep, scratch / "share")
    measuring_s = sum(r["phases_s"].get(phase, 0) for r in records for phase in MEASURING)
    print(f"share of wall time in warm-up, sampling and verification, {len(records)} cases with the default settings, "
          f"start and end of mpirun included (target: at least 80 %): {100 * measuring_s / wall_s:.0f} % of {wall_s:.1f} s")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as scratch:
        memory(sys.argv[1], pathlib.Path(scratch))
        share(sys.argv[1], pathlib.Path(scratch))


if __name__ == "__main__":
    main()
