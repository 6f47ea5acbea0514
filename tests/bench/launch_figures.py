#!/usr/bin/env python3
"""Prints what `tpbench compare` sees over alternated launches on this machine, and what the reference work is worth.

Three runs of scripts/alternate.sh over one sweep of 200 cases: a look of a few rounds at a slow-down made by the test
build, as many rounds of it as that look asked for, and as many rounds of the program against itself.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile

SWEEP = {"name": "launches", "workload": ["gemm", "column_linear", "row_linear", "mlp", "all_reduce"],
         "hidden_size": [256, 384, 512, 640, 768], "batch_size": [8, 16, 32, 64], "tp_degree": [1, 2],
         "measure": {"min_samples": 20, "max_samples": 500, "max_seconds": 0.05}}
QUANTITIES = ("step", "compute", "communication")


class Rig:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.config = folder / "launches.json"
        self.config.write_text(json.dumps(SWEEP))
        self.script = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "alternate.sh"

    def command(self, fault=""):
        run = f"mpirun -n 2 {self.options.faulty} --config {self.config} --format none --quiet --output {{}}"
        return f"TPBENCH_TEST_FAULT={fault} {run}" if fault else run

    def alternate(self, name, rounds, first, second):
        """The comparison after so many rounds; those that were run before stay."""
        output = subprocess.run([self.script, "--root", self.folder / name, "--rounds", str(rounds), "--format", "json",
                                 "--tpbench", self.options.tpbench, first, second], check=True, stdout=subprocess.PIPE)
        return json.loads(output.stdout)["comparisons"][0]


def is_work(case):
    """What has no work in it cannot be stretched: an all-reduce on one rank is a step of nothing."""
    return case["case"]["workload"] != "all_reduce" or case["case"]["tp_degree"] > 1


def share(marked, count):
    return f"{marked} of {count} = {100 * marked / count:.1f} %" if count else "none"


def print_marks(title, comparison, wanted):
    print(title)
    for quantity in QUANTITIES:
        cells = [case[quantity] for case in comparison["cases"] if is_work(case) and case[quantity]["ratio"] is not None]
        marked = sum(cell["verdict"] in wanted for cell in cells)
        rests_on = comparison["summary"][quantity]["rests_on"]
        print(f"  {quantity:14} {share(marked, len(cells)):24} verdicts rest on: {rests_on}")


def launch_levels(folders):
    """By case, the logarithms of compute, of the reference product beside it, in each launch."""
    levels = {}
    for folder in folders:
        for path in (folder / "records").glob("*.json"):
            record = json.loads(path.read_text())
            if record["status"] != "ok" or not record["reference"] or record["time_s"]["compute"]["median"] <= 0:
                continue
            look = record["reference"][0]
            product = math.log(look["before"]["gemm_slowest_s"] * look["after"]["gemm_slowest_s"]) / 2
            levels.setdefault(record["id"], []).append((math.log(record["time_s"]["compute"]["median"]), product))
    return {case: pairs for case, pairs in levels.items() if len(pairs) == len(folders)}


def print_reference(folders):
    levels = launch_levels(folders)
    alone = statistics.median(statistics.stdev(c for c, _ in pairs) for pairs in levels.values())
    rest = statistics.median(statistics.stdev(c - r for c, r in pairs) for pairs in levels.values())
    launches = range(len(folders))
    together = statistics.stdev(statistics.mean(pairs[i][0] for pairs in levels.values()) for i in launches)
    together_rest = statistics.stdev(statistics.mean(pairs[i][0] - pairs[i][1] for pairs in levels.values())
                                     for i in launches)
    print(f"compute over {len(folders)} launches of one program, standard deviation of {len(levels)} cells")
    print(f"  a cell (median)     {100 * alone:5.1f} % as measured, {100 * rest:5.1f} % without the machine's change")
    print(f"  all cells together  {100 * together:5.1f} % as measured, {100 * together_rest:5.1f} % without "
          "(target: at least half removed)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tpbench")
    parser.add_argument("faulty")
    parser.add_argument("--look", type=int, default=4, help="rounds of the first look [4]")
    parser.add_argument("--most", type=int, default=40, help="rounds that are never exceeded [40]")
    parser.add_argument("--percent", type=int, default=10)
    parser.add_argument("--keep", type=pathlib.Path, help="go on in this folder and leave it")
    options = parser.parse_args()
    if os.geteuid() == 0:
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.keep or pathlib.Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        rig = Rig(options, folder)
        plain, slowed = rig.command(), rig.command(f"stretch:percent={options.percent}")
        key = "rounds_for_10_percent" if options.percent >= 10 else "rounds_for_5_percent"
        rounds = options.look
        comparison = rig.alternate("slowed", rounds, plain, slowed)
        while rounds < options.most:
            asked = comparison["summary"]["step"][key] or options.most
            if asked <= rounds:
                break
            print(f"after {rounds} rounds: {comparison['what_can_be_seen']}", flush=True)
            rounds = min(asked, options.most)
            comparison = rig.alternate("slowed", rounds, plain, slowed)
        print(f"after {rounds} rounds: {comparison['what_can_be_seen']}")
        print_marks(f"slowed by {options.percent} %, marked slower (target: at least 90 % of the steps)", comparison,
                    {"slower"})
        alike = rig.alternate("alike", rounds, plain, plain)
        print_marks(f"the program against itself, {rounds} rounds, marked (target: at most 5 %)", alike,
                    {"slower", "faster"})
        print_reference(sorted((folder / "alike" / "a").iterdir()) + sorted((folder / "alike" / "b").iterdir()))


if __name__ == "__main__":
    main()
