#!/usr/bin/env python3
"""Prints what it costs to start, in turns: seconds and resident memory of a program with and without its plug-ins, or of two.

  startup_figures.py PROGRAM [OTHER | LIBRARY.so] [STARTS]

Each start runs one case of the CPU backend and library openblas, alone: by the program where it is, by a copy that has no
plug-ins beside it, and by the program as if it were linked with the library (libdnnl.so.2); or by the program and another.
"""

import json
import os
import pathlib
import shutil
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


def sides_of(program, other, folder):
    """What is compared with the program, by name: program and variables of each."""
    if other and ".so" not in pathlib.Path(other).name:
        return {program: (program, {}), other: (other, {})}
    alone = folder / "alone"
    alone.mkdir()
    shutil.copy(program, alone)
    sides = {program: (program, {}), "the same without plug-ins beside it": (alone / pathlib.Path(program).name, {})}
    library = other or "libdnnl.so.2"
    return sides | {f"linked with {library}": (program, {"LD_PRELOAD": library})}


def main():
    program, other = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 and not sys.argv[2].isdigit() else None
    starts = int(sys.argv[-1]) if sys.argv[-1].isdigit() else 30
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "sweep.json").write_text(json.dumps(SWEEP))
        sides = sides_of(program, other, folder)
        found = {side: [] for side in sides}
        for number in range(starts):
            for index, (side, (path, variables)) in enumerate(sides.items()):
                found[side].append(start(path, folder, len(sides) * number + index, variables))
    medians = {side: [statistics.median(column) for column in zip(*rows)] for side, rows in found.items()}
    first = medians[program]
    print(f"medians of {starts} starts, in turns; in brackets what the program takes more")
    for side, values in medians.items():
        texts = [f"{value:.1f} {unit}" + ("" if side == program else f" [{own - value:+.1f}]")
                 for value, own, unit in zip(values, first, ("ms", "ms", "MB"))]
        print(f"{side}: --version {texts[0]}, a run {texts[1]}, {texts[2]} resident before the case")


if __name__ == "__main__":
    main()
