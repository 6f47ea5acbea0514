#!/usr/bin/env python3
"""Holds algorithm `shm` against `mpi` on two ranks, both in one sweep whose cases run interleaved in random order, and
prints the median times of the collective and their ratio for each size: the all_reduce workload from 8 B to 256 MiB,
whose array stays where the calls before have left it, and the all-reduce of row_linear, whose array a GEMM has just
written.

    algorithm_figures.py TPBENCH [EPOCHS]       epochs: times that the whole sweep is repeated; 3 unless given
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

RANKS = 2
SIZES = [8 << i for i in range(0, 26)]
TARGETS = {4 << 10: 2, 64 << 10: 3, 256 << 10: 3, 1 << 20: 3, 4 << 20: 3, 16 << 20: 2}


# Tokens x hidden_size of row_linear; f32.
LAYERS = [(4, 256), (64, 256), (128, 512), (256, 1024), (512, 2048), (1024, 4096)]


def shape(size):
    elements = size // 4
    columns = min(elements, 1 << 16)
    return {"hidden_size": columns, "batch_size": elements // columns}


def sweeps(epochs):
    common = {"algorithm": ["mpi", "shm"], "tp_degree": RANKS}
    measure = {"epochs": epochs, "min_samples": 50, "max_samples": 1000, "max_seconds": 1, "warmup_steps": 20}
    yield common | {"workload": "all_reduce", "cases": [shape(size) for size in SIZES], "measure": measure}
    yield common | {"workload": "row_linear", "cases": [{"batch_size": t, "hidden_size": h} for t, h in LAYERS],
                    "measure": measure | {"warmup_steps": 3, "min_samples": 10, "max_seconds": 3}}


def run(tpbench, sweep, folder):
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
    medians = {}
    for record in records:
        if record["status"] != "ok":
            sys.exit(f"{record['id']}: {record['status']}: {record['reason']}")
        size = record["communication"]["collectives"][0]["bytes"]
        medians.setdefault(size, {})[record["case"]["algorithm"]] = record["time_s"]["communication"]["median"]
    print(f"all-reduce f32 of {records[0]['case']['workload']} on {RANKS} ranks, median seconds of a call")
    missed = 0
    for size, median in sorted(medians.items()):
        ratio, target = median["mpi"] / median["shm"], TARGETS.get(size, 1)
        missed += ratio < target
        print(f"  {readable(size):>8}   mpi {median['mpi']:9.2e}   shm {median['shm']:9.2e}   mpi / shm {ratio:6.2f}"
              f" (target: at least {target})" + (" MISSED" if ratio < target else ""))
    print(f"  {missed} of {len(medians)} sizes miss the target")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as scratch:
        for sweep in sweeps(int(sys.argv[2]) if len(sys.argv) == 3 else 3):
            print_table(run(sys.argv[1], sweep, pathlib.Path(scratch) / sweep["workload"]))


if __name__ == "__main__":
    main()
