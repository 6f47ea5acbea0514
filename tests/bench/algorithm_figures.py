#!/usr/bin/env python3
"""Holds algorithm `shm` against `mpi`: the all_reduce workload of two ranks from 8 B to 256 MiB, both algorithms in
one sweep whose cases run interleaved in random order, and prints the median times and their ratio for each size.

    algorithm_figures.py TPBENCH [EPOCHS]       epochs: times that the whole sweep is repeated; 3 unless given
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

RANKS = 2
# As tokens x hidden_size; f32.
SIZES = [8 << i for i in range(0, 26)]
TARGETS = {4 << 10: 2, 64 << 10: 3, 256 << 10: 3, 1 << 20: 3, 4 << 20: 3, 16 << 20: 2}


def shape(size):
    elements = size // 4
    columns = min(elements, 1 << 16)
    return {"hidden_size": columns, "batch_size": elements // columns}


def run(tpbench, epochs, folder):
    sweep = {"workload": "all_reduce", "algorithm": ["mpi", "shm"], "tp_degree": RANKS, "cases": [shape(size) for size in SIZES],
             "measure": {"epochs": epochs, "min_samples": 50, "max_samples": 1000, "max_seconds": 1, "warmup_steps": 20}}
    config = folder.with_suffix(".json")
    config.write_text(json.dumps(sweep))
    subprocess.run(["mpirun", "-n", str(RANKS), tpbench, "--config", config, "--output", folder, "--format", "none", "--quiet"],
                   check=True)
    return [json.loads(path.read_text()) for path in (folder / "records").glob("*.json")]


def readable(size):
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GiB"


def print_table(records):
    medians = {(r["communication"]["collectives"][0]["bytes"], r["case"]["algorithm"]): r["time_s"]["communication"]["median"]
               for r in records if r["status"] == "ok"}
    print(f"all_reduce f32 on {RANKS} ranks, median seconds of one call (target: never slower, and the ratio stated)")
    missed = 0
    for size in SIZES:
        mpi, shm = medians[size, "mpi"], medians[size, "shm"]
        target = TARGETS.get(size, 1)
        missed += mpi / shm < target
        print(f"  {readable(size):>8}   mpi {mpi:9.2e}   shm {shm:9.2e}   mpi / shm {mpi / shm:6.2f}   at least {target}"
              + ("" if mpi / shm >= target else "   MISSED"))
    print(f"sizes that miss their target: {missed} of {len(SIZES)}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as scratch:
        print_table(run(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 3, pathlib.Path(scratch) / "algorithms"))


if __name__ == "__main__":
    main()
