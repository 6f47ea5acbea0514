#!/usr/bin/env python3
"""Runs one sweep of 200 cases twice, and once slowed by the test build, and prints what `tpbench compare` marks.

A against A: no mark is right. A against slowed A: every cell of the step should be marked. How small a difference can
be seen is the machine's doing, so the second figure is given for all cells and for those that were measured as well
as the sweep asks (target_ci): every epoch converged, and the interval over the epochs within it too.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

TARGET_CI = 0.02
QUANTITIES = ("step", "compute", "communication")


def sweep(epochs):
    return {"name": "noise", "workload": ["gemm", "column_linear", "row_linear", "mlp", "all_reduce"],
            "hidden_size": [256, 384, 512, 640, 768], "batch_size": [8, 16, 32, 64], "tp_degree": [1, 2],
            "measure": {"min_samples": 50, "max_samples": 1000, "max_seconds": 0.2, "target_ci": TARGET_CI,
                        "epochs": epochs}}


def run(program, config, folder, **variables):
    subprocess.run(["mpirun", "-n", "2", program, "--config", config, "--output", folder, "--format", "none", "--quiet"],
                   check=True, env=os.environ | variables)


def compare(program, first, second):
    output = subprocess.run([program, "compare", first, second, "--format", "json"], check=True, capture_output=True)
    return json.loads(output.stdout)["comparisons"][0]


def is_on_target(record):
    """The headline interval of the step is as narrow as the sweep asked, and so was that of every epoch."""
    step = record["time_s"]["step"]
    if not record["quality"]["converged"] or step["ci95"] is None:
        return False
    return (step["ci95"][1] - step["ci95"][0]) / 2 <= TARGET_CI * step["median"]


def cases_on_target(folder):
    records = [json.loads(path.read_text()) for path in (folder / "records").glob("*.json")]
    return {r["id"] for r in records if r["status"] == "ok" and is_on_target(r)}


def share(marked, count):
    return f"{marked} of {count}" + (f" = {100 * marked / count:.1f} %" if count else "")


def print_alike(comparison):
    summary = comparison["summary"]
    marked = {q: summary[q]["slower"] + summary[q]["faster"] for q in QUANTITIES}
    print(f"A against A (noise probe {comparison['base']['noise']:.2f} and {comparison['other']['noise']:.2f}), "
          "cells marked (target: at most 5 %)")
    for quantity in QUANTITIES:
        print(f"  {quantity:14} {share(marked[quantity], summary[quantity]['ratios'])}")
    print(f"  {'all':14} {share(sum(marked.values()), sum(summary[q]['ratios'] for q in QUANTITIES))}")
    print(f"  geometric mean of the step {summary['step']['geometric_mean']:.3f}")


def print_slowed(comparison, percent, on_target):
    # What has no work in it cannot be stretched: an all-reduce on one rank is a step of nothing.
    cases = [c for c in comparison["cases"] if c["case"]["workload"] != "all_reduce" or c["case"]["tp_degree"] > 1]
    good = [c for c in cases if c["id"] in on_target]
    print(f"A against A slowed by {percent} % (noise probe {comparison['base']['noise']:.2f} and "
          f"{comparison['other']['noise']:.2f}), steps marked slower (target: at least 90 % of those on target_ci)")
    for title, group in (("on target_ci", good), ("all", cases)):
        print(f"  {title:14} {share(sum(c['step']['verdict'] == 'slower' for c in group), len(group))}")
    print(f"  marked faster  {sum(c['step']['verdict'] == 'faster' for c in cases)}")
    print(f"  geometric mean of the step {comparison['summary']['step']['geometric_mean']:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tpbench")
    parser.add_argument("faulty")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--percent", type=int, default=10)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "noise.json"
        config.write_text(json.dumps(sweep(options.epochs)))
        run(options.tpbench, config, folder / "a")
        run(options.faulty, config, folder / "slowed", TPBENCH_TEST_FAULT=f"stretch:percent={options.percent}")
        run(options.tpbench, config, folder / "again")
        print(f"200 cases, {options.epochs} epochs, two ranks")
        print_alike(compare(options.tpbench, folder / "a", folder / "again"))
        on_target = cases_on_target(folder / "a") & cases_on_target(folder / "slowed")
        print_slowed(compare(options.tpbench, folder / "a", folder / "slowed"), options.percent, on_target)


if __name__ == "__main__":
    main()
