#!/usr/bin/env python3
"""Prints what it costs to start: seconds and resident memory of two programs, or of one with a library preloaded, in turns.

  startup_figures.py PROGRAM [OTHER | LIBRARY.so] [STARTS]

Each start runs one case of the CPU backend and library openblas, alone. With a library, the other side is the program as
if it were linked with it.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SWEEP = {"hidden_size": 64, "measure": {"warmup_steps": 1, "min_samples": 6, "max_samples": 6, "max_seconds": 0.01}}


def start(program, folder, number, variables):
    """Seconds of `tpbench --version` and of a run, and the resident bytes of the run before its case."""
    environment = os.environ | variables
    begin = time.perf_counter()
    subprocess.run([program, "--version"], check=True, capture_output=True, env=environment)
    version_s = time.perf_counter() - begin
    out = folder / f"out{number}"
    begin = time.perf_counter()
    subprocess.run([program, "--config", folder / "sweep.json", "--output", out, "--quiet"], check=True, capture_output=True,
                   env=environment)
    run_s = time.perf_counter() - begin
    record = json.loads(next((out / "records").iterdir()).read_text())
    return version_s * 1e3, run_s * 1e3, record["memory_bytes"]["process_base_rss"] / 1e6


def main():
    program, other = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "libdnnl.so.2"
    starts = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    preload = ".so" in pathlib.Path(other).name
    sides = {program: (program, {}), other: (program if preload else other, {"LD_PRELOAD": other} if preload else {})}
    found = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "sweep.json").write_text(json.dumps(SWEEP))
        for number in range(starts):
            for index, (side, (path, variables)) in enumerate(sides.items()):
                found[side].append(start(path, folder, 2 * number + index, variables))
    for side, rows in found.items():
        version_ms, run_ms, rss = (statistics.median(column) for column in zip(*rows))
        print(f"{side}: --version {version_ms:.1f} ms, a run {run_ms:.1f} ms, {rss:.1f} MB resident before the case "
              f"(medians of {starts})")


if __name__ == "__main__":
    main()
