#!/usr/bin/env python3
"""Prints how fast messages go between stages on one host, beside the probe's ping-pong of as many bytes, in turns.

Usage: boundary_figures.py TPBENCH [ROUNDS]

Target: at least 90 % of the probe's rate from 1 MiB.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

MIB = 1 << 20
SIZES = (1, 4, 16)  # MiB
# A sequence is a message of 256 KiB in f32. Half as many microbatches as sequences: messages that are waited for.
SWEEP = {"workload": "block", "hidden_size": 1024, "ffn_hidden_size": 1024, "num_heads": 8, "num_layers": 2,
         "sequence_length": 64, "pp_degree": 2, "tp_degree": 1, "verify": "sampled",
         "measure": {"min_samples": 5, "max_samples": 30, "max_seconds": 1.5}}


def run(*command):
    return subprocess.run(["mpirun", "-n", "2", *map(str, command)], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout


def probe(tpbench):
    (path,) = [path for path in json.loads(run(tpbench, "probe", "--json"))["paths"]
               if path["operation"] == "ping_pong"]
    return {point["bytes"] // MIB: point["bytes"] / point["time_s"]["median"] for point in path["points"] if point["bytes"] >= MIB}


def pipeline(tpbench, folder):
    config = folder.with_suffix(".json")
    cases = [{"batch_size": 4 * size * 4, "microbatches": 4} for size in SIZES]
    config.write_text(json.dumps(SWEEP | {"batch_size": 16, "microbatches": 4, "cases": cases[1:]}))
    run(tpbench, "--config", config, "--output", folder, "--format", "none", "--quiet")
    rates = {}
    for path in (folder / "records").glob("*.json"):
        pipe = json.loads(path.read_text())["pipeline"]
        transfer_s = pipe["ranks"][1]["input_transfer_s"]
        if transfer_s:
            rates[pipe["message_bytes"] // MIB] = pipe["message_bytes"] / transfer_s
    return rates


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ratios, seen = {size: [] for size in SIZES}, {size: ([], []) for size in SIZES}
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(rounds):
            before = probe(sys.argv[1])
            between = pipeline(sys.argv[1], pathlib.Path(scratch) / str(i))
            after = probe(sys.argv[1])
            for size, rate in between.items():
                beside = (before[size] * after[size]) ** 0.5
                ratios[size].append(rate / beside)
                seen[size][0].append(rate / 1e9)
                seen[size][1].append(beside / 1e9)
    print("messages between stages of one host against the probe's ping-pong (target: at least 0.90 from 1 MiB)")
    for size, values in ratios.items():
        if not values:
            print(f"  {size:>3} MiB: no message was waited for")
            continue
        stages, pingpong = (statistics.median(of) for of in seen[size])
        print(f"  {size:>3} MiB: {stages:.2f} GB/s, probe {pingpong:.2f} GB/s: {statistics.median(values):.2f}"
              f" ({min(values):.2f} to {max(values):.2f} over {len(values)} rounds)")


if __name__ == "__main__":
    main()
