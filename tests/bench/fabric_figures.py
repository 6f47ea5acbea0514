#!/usr/bin/env python3
"""Prints how tpbench does over two hosts and a link of a known rate (scripts/fabric-rig.sh): bandwidth against the
rate, what `compare` says of two rates, `hierarchical` against `mpi`, and the bytes on the wire. Asserts nothing.

    fabric_figures.py TPBENCH [EPOCHS] [PART...]    epochs: times that each sweep is repeated; 3 unless given
                                                    PART: pipeline, thread, delay, clock, rate, compare, algorithms, wire; all unless given
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fabric"))

from rig import Rig, end_orderly, why_not  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
COLUMNS = 1024  # f32: 4 KiB a row
BITS_PER_S = {"1gbit": 1e9, "200mbit": 2e8}


class Bench:
    """Runs sweeps over both hosts; every result folder is new."""

    def __init__(self, rig, tpbench, epochs, scratch):
        self.rig, self.tpbench, self.epochs, self.scratch = rig, tpbench, epochs, pathlib.Path(scratch)
        self.folders = 0

    def run(self, ranks_per_host, rate, **sweep):
        self.rig.set_rate(rate)
        self.folders += 1
        folder = self.scratch / str(self.folders)
        config = folder.with_suffix(".json")
        defaults = {"hidden_size": COLUMNS, "threads_per_rank": 1}
        config.write_text(json.dumps(defaults | sweep))
        subprocess.run([*self.rig.mpirun(ranks_per_host), self.tpbench, "--config", config, "--output", folder,
                        "--label", rate, "--format", "none", "--quiet"], check=True)
        return folder

    def records(self, *arguments, **sweep):
        records = [json.loads(path.read_text()) for path in (self.run(*arguments, **sweep) / "records").glob("*.json")]
        for record in records:
            if record["status"] != "ok":
                sys.exit(f"{record['id']}: {record['status']}: {record['reason']}")
        return sorted(records, key=lambda record: array_bytes(record))


def array_bytes(record):
    return record["communication"]["collectives"][0]["bytes"]


def readable(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def rows(*sizes):
    return [size // (4 * COLUMNS) for size in sizes]


def print_rate(bench):
    """busbw of an all-reduce between two hosts of one rank each; target: within 12 % of the rate."""
    measure = {"epochs": bench.epochs, "warmup_steps": 1, "min_samples": 6, "max_samples": 8, "max_seconds": 60}
    for rate, bits in BITS_PER_S.items():
        for record in bench.records(1, rate, workload="all_reduce", tp_degree=2, measure=measure,
                                    batch_size=rows(MIB, 16 * MIB, 64 * MIB)):
            share = record["communication"]["collectives"][0]["busbw_gb_per_s"] * 8e9 / bits
            epochs = record["time_s"]["communication"]["epoch_medians"]
            spread = max(epochs) / min(epochs) - 1
            print(f"  {rate:>7} {readable(array_bytes(record)):>7}   busbw {share * bits / 8e6:6.1f} MB/s"
                  f" = {100 * share:5.1f} % of the rate   (epochs differ by {100 * spread:.0f} %)")


def print_comparison(bench):
    """`compare` of the two rates, twice; targets: communication within 15 % of 5, compute called equal."""
    # Fixed steps and many epochs: what compare judges by.
    measure = {"epochs": max(8, bench.epochs), "warmup_steps": 1, "min_samples": 4, "max_samples": 4, "max_seconds": 60}
    sweep = {"workload": ["all_reduce", "row_linear"], "batch_size": rows(MIB, 4 * MIB, 8 * MIB), "tp_degree": [1, 2],
             "measure": measure}
    for _ in range(2):
        folders = [bench.run(1, rate, **sweep) for rate in BITS_PER_S]
        done = subprocess.run([bench.tpbench, "compare", *folders, "--format", "json"], check=True,
                              stdout=subprocess.PIPE)
        comparison = json.loads(done.stdout)["comparisons"][0]
        for case in comparison["cases"]:
            parts = [f"{part} {case[part]['ratio']:.2f} {case[part]['verdict']}" for part in ("compute", "communication")
                     if case[part]["ratio"] is not None]
            print(f"  {case['id']:<44} {'; '.join(parts)}")
        for part in ("compute", "communication"):
            summary = comparison["summary"][part]
            print(f"  {part}: geometric mean {summary['geometric_mean']:.2f},"
                  f" slower {summary['slower']}, faster {summary['faster']}")


def print_algorithms(bench):
    """`hierarchical` against `mpi`, two ranks on each host at 1 Gbit/s; target: faster from 1 MiB up."""
    measure = {"epochs": bench.epochs, "warmup_steps": 2, "min_samples": 6, "max_samples": 30, "max_seconds": 2}
    records = bench.records(2, "1gbit", workload="all_reduce", algorithm=["mpi", "hierarchical"],
                            placement=["packed", "spread"], tp_degree=4, measure=measure,
                            batch_size=rows(64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB))
    times = {(r["case"]["placement"], array_bytes(r), r["case"]["algorithm"]): r["time_s"]["communication"]["median"]
             for r in records}
    for placement, size in sorted({key[:2] for key in times}):
        mpi, hierarchical = (times[placement, size, algorithm] for algorithm in ("mpi", "hierarchical"))
        wire = size * 8 / BITS_PER_S["1gbit"]
        print(f"  {placement} {readable(size):>8}   mpi {mpi * 1e3:8.2f} ms   hierarchical {hierarchical * 1e3:8.2f} ms"
              f"   mpi / hierarchical {mpi / hierarchical:5.2f}   (the array takes {wire * 1e3:.2f} ms on the wire)")


def print_wire(bench):
    """Arrays that each host sends in a step; target: hierarchical at most 1.1 x 2 (H - 1) / H = 1.1."""
    for placement in ("packed", "spread"):
        for algorithm in ("mpi", "hierarchical"):
            for size in (MIB, 16 * MIB):
                sent, counts = [], (3, 13)
                for count in counts:
                    measure = {"warmup_steps": 1, "min_samples": count, "max_samples": count, "max_seconds": 600}
                    before = bench.rig.sent_bytes()
                    bench.records(2, "1gbit", workload="all_reduce", algorithm=algorithm, placement=placement,
                                  tp_degree=4, batch_size=rows(size), measure=measure)
                    sent.append([after - earlier for after, earlier in zip(bench.rig.sent_bytes(), before)])
                arrays = [(most - least) / (counts[1] - counts[0]) / size for least, most in zip(*sent)]
                print(f"  {placement} {readable(size):>7} {algorithm:>12}   {arrays[0]:.3f} and {arrays[1]:.3f} arrays"
                      " a step")


def median_us(record, quantity):
    return record["time_s"][quantity]["median"] * 1e6


class Delayed:
    """Two hosts whose link takes a millisecond, with programs that stand beside tpbench in the build folder."""

    def __init__(self, bench, link):
        self.tpbench, self.scratch, self.link, self.folders = bench.tpbench, bench.scratch, link, 0

    def say(self, ranks_per_host, *command):
        done = subprocess.run([*self.link.mpirun(ranks_per_host), *map(str, command)], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        return done.stdout.strip()

    def program(self, name):
        return pathlib.Path(self.tpbench).parent / "tests" / "bench" / name

    def records(self, ranks_per_host, *variables, **sweep):
        self.folders += 1
        folder = self.scratch / f"late-{self.folders}"
        config = folder.with_suffix(".json")
        config.write_text(json.dumps({"threads_per_rank": 1, "tp_degree": 2, "batch_size": 1} | sweep))
        self.say(ranks_per_host, "env", *variables, self.tpbench, "--config", config, "--output", folder, "--format", "none",
                 "--quiet")
        found = [json.loads(path.read_text()) for path in (folder / "records").glob("*.json")]
        return sorted(found, key=lambda record: (record["case"]["tp_degree"], record["case"]["hidden_size"]))

    def one_way_us(self):
        document = json.loads(self.say(1, self.tpbench, "probe", "--quick", "--json", "--max-bytes", 1024))
        (pair,) = [path for path in document["paths"] if path["operation"] == "ping_pong"]
        return pair["points"][0]["time_s"]["median"] * 1e6


def print_delay(bench):
    """A link of 1 ms one way. Targets: communication of two ranks 0.95 to 1.25 of the probe's ping-pong; of three and
    four never less than it, and within 15 % of a loop of 200 calls where that is the larger; a decoding block: parts
    at least 0.9 of the step, at least 8 latencies of communication, which is what stops it; late starts under 1 %"""
    ring_off = ["OMPI_MCA_coll_tuned_use_dynamic_rules=1", "OMPI_MCA_coll_tuned_allreduce_algorithm=3"]
    starts = late = 0
    with Rig("none", delay="1ms", word="late") as link:
        hosts = Delayed(bench, link)
        one_way_us = hosts.one_way_us()
        print(f"  ping-pong, one way: {one_way_us:.0f} us")
        for name, variables in [("Open MPI's choice", []), ("recursive doubling", ring_off)]:
            for record in hosts.records(1, *variables, workload="all_reduce", hidden_size=[2, 1024]):
                ratio = median_us(record, "communication") / one_way_us
                print(f"  all_reduce {array_bytes(record):>5} B, {name}: communication {ratio:.2f} one-way, least"
                      f" {record['time_s']['communication']['min'] * 1e6 / one_way_us:.2f}")
        for record in hosts.records(2, workload="all_reduce", hidden_size=[2, 1024], tp_degree=[3, 4]):
            ranks, us = record["case"]["tp_degree"], median_us(record, "communication")
            loop_us = float(hosts.say(2, hosts.program("all_reduce_loop"), array_bytes(record), 200, ranks)) * 1e6
            print(f"  all_reduce {array_bytes(record):>5} B on {ranks} ranks: communication {us / one_way_us:.2f} one-way;"
                  f" a loop / 200 takes {loop_us / one_way_us:.2f}: ratio {us / loop_us:.2f}")
            starts, late = starts + record["clock"]["starts"], late + record["clock"]["late_starts"]
        floor = {"efficiency_floor": 0.9}
        one, two = hosts.records(1, workload="block", tp_degree=[1, 2], hidden_size=256, num_layers=4, context_length=64, **floor)
        step, parts = median_us(two, "step"), [median_us(two, part) for part in ("compute", "communication", "wait")]
        print(f"  decode block, 8 all-reduces: step {step:.0f} us; compute {parts[0]:.0f}, communication {parts[1]:.0f} ="
              f" {parts[1] / one_way_us:.1f} one-way, wait {parts[2]:.0f}; compute + communication"
              f" {(parts[0] + parts[1]) / step:.2f} of the step; warnings"
              f" {','.join(warning['code'] for warning in two['quality']['warnings']) or 'none'}")
        for record in (one, two):
            starts, late = starts + record["clock"]["starts"], late + record["clock"]["late_starts"]
        print("  " + subprocess.run([hosts.tpbench, "export", bench.scratch / f"late-{hosts.folders}", "--to", "table"],
                                    stdout=subprocess.PIPE, text=True, check=True).stdout.strip().splitlines()[-1])
    print(f"  late starts: {late} of {starts} = {100 * late / starts:.2f} %")


def print_clock(bench):
    """The stated error of the common clock against the true one. Targets: covered in 99 % of 1000 without delay and of
    100 with 1 ms, without and with a drift of 50 ppm; stated at most 2 us and 100 us"""
    skew = pathlib.Path(bench.tpbench).parent / "tests" / "support" / "libtpbench_skewed_clock.so"
    for name, delay, count in [("veth", None, 1000), ("1 ms", "1ms", 100)]:
        with Rig("none", delay=delay, word="clock") as link:
            hosts = Delayed(bench, link)
            for ppm in (0, 50):
                said = hosts.say(1, "env", f"LD_PRELOAD={skew}", f"TPBENCH_SKEWED_CLOCK=1:-7.5:{ppm}",
                                 hosts.program("clock_figures"), count)
                print(f"  {name}, {ppm} ppm: {said}", flush=True)


def replayed_s(record):
    """A step on paper; of one stage what it is made of."""
    if record["pipeline"]:
        return record["pipeline"]["replayed_step_s"]
    return sum(record["time_s"][part]["median"] for part in ("compute", "communication"))


def print_pipeline(bench):
    """Four ranks on two hosts, 1 ms and 1 Gbit/s between them: TP 4, TP 2 x PP 2, PP 4. Targets: the order of their steps
    is that of the replay wherever it differs by 20 % and more; gpipe before 1f1b where a message takes about F/4"""
    block = {"workload": "block", "pass": ["forward", "forward_backward"], "num_heads": 8, "num_layers": 8, "batch_size": 8,
             "microbatches": 8, "hidden_size": 512, "sequence_length": 64, "schedule": ["gpipe", "1f1b", "zb_h1"],
             "exclude": [{"tp_degree": 1, "pp_degree": [1, 2]}, {"tp_degree": 2, "pp_degree": [1, 4]},
                         {"tp_degree": 4, "pp_degree": [2, 4]}],
             "measure": {"epochs": bench.epochs, "min_samples": 6, "max_samples": 20, "max_seconds": 4}}
    with Rig("1gbit", delay="1ms", word="pipe") as link:
        hosts = Delayed(bench, link)
        records = hosts.records(2, **block | {"tp_degree": [1, 2, 4], "pp_degree": [1, 2, 4]})
    wrong = 0
    for kind in ("forward", "forward_backward"):
        of_kind = sorted((r for r in records if r["case"]["pass"] == kind), key=replayed_s)
        for record in of_kind:
            case, pipeline = record["case"], record["pipeline"]
            step = record["time_s"]["step"]["median"]
            words = (f"bubble {pipeline['bubble']:.3f}, replayed {pipeline['replayed_bubble']:.3f}" if pipeline else
                     f"communication {record['time_s']['communication']['median'] / step:.2f} of the step")
            print(f"  {kind:>16} TP {case['tp_degree']} PP {case['pp_degree']} {case['schedule'] or '':>5}: step"
                  f" {step * 1e3:7.1f} ms, on paper {replayed_s(record) * 1e3:7.1f} ms; {words}")
        for i, sooner in enumerate(of_kind):
            for later in of_kind[i + 1:]:
                if replayed_s(later) >= 1.2 * replayed_s(sooner):
                    wrong += later["time_s"]["step"]["median"] < sooner["time_s"]["step"]["median"]
    print(f"  pairs that the replay puts 20 % apart and that came the other way round: {wrong}")


def print_thread(bench):
    """Two stages on two hosts and 1 Gbit/s: what the thread that moves messages costs the compute of the ranks, and what it
    brings; in turns with an MPI library that lets one thread call it, so that messages move in the ranks' own calls"""
    single = pathlib.Path(bench.tpbench).resolve().parent / "tests" / "support" / "libtpbench_single_threaded_mpi.so"
    block = {"workload": "block", "pass": "forward", "num_heads": 8, "num_layers": 4, "tp_degree": 1, "pp_degree": 2,
             "microbatches": 8, "batch_size": 8, "hidden_size": 1024, "sequence_length": [16, 64, 256],
             "measure": {"min_samples": 10, "max_samples": 40, "max_seconds": 3}}
    seen = {}
    with Rig("1gbit", word="thread") as link:
        hosts = Delayed(bench, link)
        for _ in range(max(3, bench.epochs)):
            for preload in ((), (f"LD_PRELOAD={single}",)):
                for record in hosts.records(1, *preload, **block):
                    pipeline, step = record["pipeline"], record["time_s"]["step"]["median"]
                    of = seen.setdefault((record["case"]["sequence_length"], pipeline["progress"]), [])
                    of.append((sum(rank["compute_s"] for rank in pipeline["ranks"]) / 2, step))
    for tokens in sorted({tokens for tokens, _ in seen}):
        thread, calls = ([statistics.median(column) for column in zip(*seen[tokens, how])] for how in ("thread", "calls"))
        size = readable(tokens * 1024 * 4)
        print(f"  messages of {size:>7}: compute of a rank {thread[0] * 1e3:.2f} ms with the thread, {calls[0] * 1e3:.2f}"
              f" without: {thread[0] / calls[0]:.3f}; step {thread[1] * 1e3:.2f} ms, {calls[1] * 1e3:.2f}:"
              f" {thread[1] / calls[1]:.3f}")


PARTS = {"pipeline": print_pipeline, "thread": print_thread, "delay": print_delay, "clock": print_clock, "rate": print_rate, "compare": print_comparison, "algorithms": print_algorithms, "wire": print_wire}


def main():
    arguments = sys.argv[1:]
    if not arguments or any(part not in PARTS for part in arguments[2:]):
        sys.exit(__doc__)
    if reason := why_not():
        sys.exit(f"fabric_figures.py: {reason}")
    end_orderly()
    epochs = int(arguments[1]) if len(arguments) > 1 else 3
    with Rig("1gbit") as rig, tempfile.TemporaryDirectory() as scratch:
        bench = Bench(rig, arguments[0], epochs, scratch)
        for part in arguments[2:] or PARTS:
            print(f"{part}: {PARTS[part].__doc__}", flush=True)
            PARTS[part](bench)


if __name__ == "__main__":
    main()
