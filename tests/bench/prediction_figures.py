#!/usr/bin/env python3
"""Prints how far `tpbench predict` is off where its answer can be measured. Asserts nothing.

    prediction_figures.py TPBENCH machine [LAUNCH LAUNCH...]   this machine: a third of the shapes is fitted, the rest
                                                               predicted for another launch, against what launches
                                                               differ by and against one rate for all products
    prediction_figures.py TPBENCH network                      two hosts (scripts/fabric-rig.sh): fitted at 1 Gbit/s,
                                                               200 Mbit/s predicted from its probe alone

LAUNCH: result folders of one sweep with degrees 1 and 2, two or more; without them configs/scaling.json with more sizes is
launched three times.
"""
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fabric"))
MIB = 1 << 20


def ok_records(folder):
    records = {path: json.loads(path.read_text()) for path in sorted((pathlib.Path(folder) / "records").glob("*.json"))}
    return {path: record for path, record in records.items() if record["status"] == "ok"}


def shape_of(record):
    case = record["case"]
    return tuple(case[key] for key in ("workload", "pass", "dtype", "hidden_size", "batch_size", "sequence_length"))


def predict(tpbench, *arguments):
    done = subprocess.run([tpbench, "predict", *map(str, arguments), "--format", "json"], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def share(value):
    return f"{100 * value:.1f} %"


def part_of(folder, target, keeps):
    """A copy of the folder with those of its records that `keeps`."""
    (target / "records").mkdir(parents=True)
    for path, record in ok_records(folder).items():
        if keeps(record):
            shutil.copy(path, target / "records")
    shutil.copy(pathlib.Path(folder) / "environment.json", target)
    return target


def one_rate_errors(fitted, rest, predicted):
    """Steps by one rate of FLOP for all products of the fitted cases, beside the same communication."""
    rates = [r["compute"]["flop_per_rank"] / r["time_s"]["compute"]["median"] for r in fitted if r["compute"]["flop_per_rank"]]
    rate = statistics.median(rates)
    errors = []
    for record in rest:
        communication_s = predicted[record["id"]]["communication_s"]
        step_s = record["compute"]["flop_per_rank"] / rate + communication_s
        errors.append(abs(step_s / record["time_s"]["step"]["median"] - 1))
    return errors


def machine(tpbench, launches, scratch):
    shapes = sorted({shape_of(record) for record in ok_records(launches[0]).values()}, key=str)
    random.Random(1).shuffle(shapes)
    ours, one_rate, launch, inside = [], [], [], []
    fits = [(first, second) for first in launches for second in launches if first != second]
    for third in range(3):
        fitted_shapes = set(shapes[third::3])
        for first, second in fits:
            name = scratch / f"{third}-{len(ours)}"
            fit = part_of(first, name / "fit", lambda record: shape_of(record) in fitted_shapes)
            rest = part_of(second, name / "rest", lambda record: shape_of(record) not in fitted_shapes)
            predict(tpbench, fit, "--save-calibration", name / "calibration.json")
            document = predict(tpbench, rest, "--calibration", name / "calibration.json", "--check")
            cases = {case["id"]: case for case in document["cases"]
                     if (case["compute_s"] or 0) + (case["communication_s"] or 0) > 0}  # else a probe on one rank
            ours += [abs(case["step_error"]) for case in cases.values()]
            inside += [case["within"] == "yes" for case in cases.values()]
            measured = [r for r in ok_records(rest).values() if r["id"] in cases]
            one_rate += one_rate_errors(list(ok_records(fit).values()), measured, cases)
            again = {r["id"]: r["time_s"]["step"]["median"] for r in ok_records(first).values()}
            launch += [abs(again[r["id"]] / r["time_s"]["step"]["median"] - 1) for r in measured]
    ours_median, launch_median, one_median = map(statistics.median, (ours, launch, one_rate))
    print(f"  {len(shapes)} shapes, a third of them fitted on degrees 1 and 2 of one launch, the rest predicted for another:"
          f" {len(ours)} predictions, {len(fits) * 3} fits")
    print(f"  step off by {share(ours_median)} (median), nine of ten by {share(statistics.quantiles(ours, n=10)[8])}")
    print(f"  two launches differ by {share(launch_median)}: ratio {ours_median / launch_median:.2f} (target: at most 1.5)")
    print(f"  one rate is off by {share(one_median)}: ratio {ours_median / one_median:.2f} (target: at most 0.5)")
    print(f"  {sum(inside)} of {len(inside)} lie within their range: {share(sum(inside) / len(inside))} (target: at least 85 %)")


def launched(tpbench, scratch):
    folders = []
    for launch in range(3):
        folders.append(scratch / f"launch-{launch}")
        subprocess.run(["mpirun", "-n", "2", tpbench, "--config", ROOT / "configs" / "scaling.json", "--set", "tp_degree=1,2",
                        "--set", "hidden_size=1024,2048,4096", "--set", "sequence_length=1,128", "--set",
                        "measure.max_seconds=0.5", "--output", folders[-1], "--format", "none", "--quiet"], check=True)
    return folders


def network(tpbench, scratch):
    from rig import Rig, end_orderly, why_not
    if reason := why_not():
        sys.exit(reason)
    end_orderly()
    measure = {"warmup_steps": 1, "min_samples": 6, "max_samples": 8, "max_seconds": 20}
    sweep = {"workload": ["all_reduce", "row_linear"], "hidden_size": 1024, "threads_per_rank": 1, "tp_degree": [1, 2],
             "batch_size": [256, 512, 1024, 2048, 4096], "measure": measure}
    config = scratch / "sweep.json"
    config.write_text(json.dumps(sweep))
    with Rig("1gbit") as rig:
        for rate in ("1gbit", "200mbit"):
            rig.set_rate(rate)
            start = rig.mpirun(1)
            subprocess.run([*start, tpbench, "--config", config, "--output", scratch / rate, "--label", rate, "--format",
                            "none", "--quiet"], check=True)
            subprocess.run([*start, tpbench, "probe", "--quick", "--output", scratch / f"{rate}.json", "--label", rate,
                            "--quiet"], check=True, stdout=subprocess.DEVNULL)
    document = predict(tpbench, scratch / "1gbit", scratch / "1gbit.json", "--fabric", scratch / "200mbit.json")
    measured = {record["id"]: record for record in ok_records(scratch / "200mbit").values()}
    worst = {"communication": 0, "step": 0}
    for case in document["cases"]:
        record = measured.get(case["id"])
        if not record or not case["communication_s"]:
            continue
        size = record["communication"]["collectives"][0]["bytes"]
        errors = {part: case[f"{part}_s"] / record["time_s"][part]["median"] - 1 for part in worst}
        print(f"  {case['id']:<44} {size / MIB:5.1f} MiB   " +
              "   ".join(f"{part} {case[f'{part}_s'] * 1e3:7.2f} ms, {100 * error:+5.1f} %" for part, error in errors.items()))
        if size >= MIB:
            worst = {part: max(worst[part], abs(error)) for part, error in errors.items()}
    print("  worst of 1 MiB and more: " + ", ".join(f"{part} {share(error)}" for part, error in worst.items()) +
          " (target: within 10 %)")


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in ("machine", "network"):
        sys.exit(__doc__)
    tpbench = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="tpbench-prediction-") as folder:
        scratch = pathlib.Path(folder)
        if sys.argv[2] == "network":
            return network(tpbench, scratch)
        launches = [pathlib.Path(path) for path in sys.argv[3:]] or launched(tpbench, scratch)
        if len(launches) < 2:
            sys.exit("prediction_figures.py: two launches or more")
        return machine(tpbench, launches, scratch)


if __name__ == "__main__":
    main()
