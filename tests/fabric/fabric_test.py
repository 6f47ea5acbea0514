"""tpbench on two hosts, over a link of a known rate. Exit status 77: this machine cannot have them; stdout says why."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import LIMIT_S, E2eTest  # noqa: E402
from traces import check_chrome, check_folder  # noqa: E402
from rig import SCRIPT, Rig, end_orderly, script, why_not  # noqa: E402

PEER = str(pathlib.Path(__file__).resolve().parent / "peer.py")
MIB = 1 << 20
BURST_BYTES = 256 * 1024  # passes unshaped; fabric-rig.sh
CLOCK_AHEAD_S = 123456  # the second host's; fabric-rig.sh
rig = None  # while the tests run; set below


class FabricTest(E2eTest):
    def run_on_hosts(self, ranks_per_host, sweep, output, *arguments):
        """Runs a sweep over both hosts and returns its records, which are whole."""
        self.run_tpbench("--config", sweep, "--output", output, *arguments, wrapper=rig.mpirun(ranks_per_host))
        return self.assert_valid(self.folder / output)

    def hosts_of(self, record):
        return sorted(set(record["ranks"]["hosts"]))


class TwoRates(FabricTest):
    """One rank on each host; what `compare` says of two rates."""

    BITS_PER_S = {"1gbit": 1e9, "200mbit": 2e8}

    def setUp(self):
        super().setUp()
        sweep = self.sweep(workload=["all_reduce", "row_linear"], hidden_size=1024, batch_size=[256, 1024],
                           tp_degree=[1, 2], threads_per_rank=1,
                           measure={"min_samples": 8, "max_samples": 8, "max_seconds": 20})
        self.records = {}
        for rate in self.BITS_PER_S:
            rig.set_rate(rate)
            self.records[rate] = self.run_on_hosts(1, sweep, rate, "--label", rate)

    def test_two_rates(self):
        for rate, records in self.records.items():
            with self.subTest(rate):
                self.assertEqual(len(records), 8)
                self.assert_all(records, "ok")
                self.assert_two_hosts_and_the_rate(rate, records)
        self.assert_comparison()

    def assert_two_hosts_and_the_rate(self, rate, records):
        environment = json.loads((self.folder / rate / "environment.json").read_text())
        self.assertEqual([host["name"] for host in environment["hosts"]], rig.hosts)
        self.assertIn("tcp", environment["mpi"]["components"]["btl"])
        for record in records.values():
            self.assertNotIn("loopback", [warning["code"] for warning in record["quality"]["warnings"]])
            if record["case"]["tp_degree"] == 1:
                continue
            self.assertEqual(self.hosts_of(record), rig.hosts)
            # No load makes a link faster than it is: the least that a step can take, and no time is asserted.
            collective = record["communication"]["collectives"][0]
            least_s = (collective["bytes"] - BURST_BYTES) * 8 / self.BITS_PER_S[rate]
            self.assertGreater(record["time_s"]["communication"]["min"], 0.8 * least_s, record["id"])

    def assert_comparison(self):
        job = self.run_tpbench("compare", "1gbit", "200mbit", "--format", "json")
        comparison = json.loads(job.stdout)["comparisons"][0]
        self.assertEqual((len(comparison["cases"]), comparison["not_compared"]), (8, []))
        for case in comparison["cases"]:
            medians = [self.records[rate][case["id"]]["time_s"]["communication"]["median"] for rate in self.BITS_PER_S]
            cell = case["communication"]
            self.assertEqual([cell["base_s"], cell["other_s"]], medians)
            if self.records["1gbit"][case["id"]]["case"]["tp_degree"] == 1:
                self.assertIsNone(cell["ratio"])
            else:
                self.assertAlmostEqual(cell["ratio"], medians[1] / medians[0])
        table = self.run_tpbench("compare", "1gbit", "200mbit").stdout
        self.assertIn("Useful degree", table)
        for tokens in (256, 1024):
            self.assertIn(f"row_linear h=1024 T={tokens}", table.split("Useful degree")[1])


class TwoRanksOnEach(FabricTest):
    def test_placements_and_algorithms(self):
        rig.set_rate("1gbit")
        sweep = self.sweep(workload=["all_reduce", "all_gather", "reduce_scatter", "mlp"], tp_degree=[2, 4],
                           algorithm=["mpi", "hierarchical", "shm"], placement=["packed", "spread"], threads_per_rank=1,
                           verify="full", batch_size=4)
        records = self.run_on_hosts(2, sweep, "out")
        self.assertEqual(len(records), 4 * 2 * 3 * 2)
        environment = json.loads((self.folder / "out" / "environment.json").read_text())
        self.assertEqual(environment["mpi"]["components"]["btl"], ["self", "tcp", "vader"])
        for record in records.values():
            with self.subTest(record["id"]):
                self.assert_placed(record)

    def assert_placed(self, record):
        case = record["case"]
        one_host = case["placement"] == "packed" and case["tp_degree"] == 2
        if case["algorithm"] == "shm" and not one_host:
            self.assertEqual((record["status"], record["reason_code"]), ("skipped", "placement"))
            self.assertIn(f"this group of {case['tp_degree']} is on 2", record["reason"])
            return
        self.assertEqual((record["status"], record["reason"]), ("ok", None))
        self.assertTrue(record["verification"]["passed"])
        host_of = [0, 0, 1, 1] if case["placement"] == "packed" else [0, 1, 0, 1]
        self.assertEqual(record["ranks"]["hosts"], [rig.hosts[i] for i in host_of[:case["tp_degree"]]])

    def test_two_names_of_one_kernel_are_no_network(self):
        # Without the boot id that the rig has put over it.
        bare = ["sh", "-c", "umount /proc/sys/kernel/random/boot_id; exec \"$@\"", "sh"]
        sweep = self.sweep(workload="all_reduce", tp_degree=[2, 4], placement="packed", threads_per_rank=1)
        self.run_tpbench("--config", sweep, "--output", "out", wrapper=rig.mpirun(2) + bare)
        for record in self.assert_valid(self.folder / "out", cases=2).values():
            codes = [warning["code"] for warning in record["quality"]["warnings"]]
            self.assertEqual("loopback" in codes, record["case"]["tp_degree"] == 4)


class Stages(FabricTest):
    """A pipeline with a stage on each host."""

    def test_messages_move_while_ranks_compute(self):
        # A layer takes far longer than 1 MiB on the wire. Where messages moved between layers alone, the transfer of one
        # would take as long as a layer.
        rig.set_rate("1gbit")
        sweep = self.sweep(workload="block", hidden_size=512, num_layers=4, pp_degree=2, microbatches=4, batch_size=4,
                           sequence_length=512, threads_per_rank=1, verify="off",
                           measure={"min_samples": 6, "max_samples": 6, "max_seconds": 60})
        (record,) = self.run_on_hosts(1, sweep, "out").values()
        self.assertEqual((record["status"], record["reason"]), ("ok", None))
        self.assertEqual(self.hosts_of(record), rig.hosts)
        pipeline = record["pipeline"]
        self.assertEqual((pipeline["progress"], pipeline["message_bytes"]), ("thread", MIB))
        last = pipeline["ranks"][1]
        self.assertLess(last["input_transfer_s"], last["forward_s"] / last["layers"] / 2)

    def test_a_model_over_two_hosts(self):
        sweep = self.sweep(workload="model", hidden_size=64, num_heads=4, num_layers=4, vocab_size=100, pp_degree=2,
                           microbatches=4, batch_size=4, sequence_length=8, tie_embeddings=[False, True],
                           **{"pass": "forward_backward"}, schedule=["gpipe", "1f1b", "zb_h1"], verify="full",
                           threads_per_rank=1)
        for record in self.run_on_hosts(1, sweep, "out").values():
            self.assertEqual((record["status"], record["verification"]["passed"]), ("ok", True), record["reason"])
            pipeline = record["pipeline"]
            self.assertEqual(pipeline["messages_sent"], pipeline["messages_per_step"])
            self.assertEqual(pipeline["messages_sent"], 2 * 4 + (2 if record["case"]["tie_embeddings"] else 0))


class Wire(FabricTest):
    """What crosses the link, as its own counters say."""

    def arrays_sent(self, **case):
        """Arrays that each host sends in one step: of two runs that differ in their steps alone, so that start, checks
        and end of a run do not count."""
        rig.set_rate("1gbit")
        sent, steps, starts = [], [], []
        for samples in (4, 14):
            sweep = self.sweep(workload="all_reduce", hidden_size=1024, batch_size=1024, threads_per_rank=1,
                               measure={"min_samples": samples, "max_samples": samples, "max_seconds": LIMIT_S}, **case)
            before = rig.sent_bytes()
            (record,) = self.run_on_hosts(2, sweep, f"{case['placement']}-{samples}").values()
            sent.append([after - earlier for after, earlier in zip(rig.sent_bytes(), before)])
            self.assertEqual(record["status"], "ok")
            steps.append(record["time_s"]["step"]["samples"])
            starts.append(record["clock"]["starts"])
        self.assertEqual(steps, [4, 14])
        array = record["communication"]["collectives"][0]["bytes"]
        self.assertEqual(array, 4 * MIB)
        # A step that some rank began too late has been run, as a rule, and is run again.
        return [(most - least) / (starts[1] - starts[0]) / array for least, most in zip(*sent)]

    def test_hierarchical_sends_each_array_once(self):
        for placement in ("packed", "spread"):
            with self.subTest(placement):
                for arrays in self.arrays_sent(algorithm="hierarchical", tp_degree=4, placement=placement):
                    # 2 (H - 1) / H of it, with H = 2 hosts; less would be another way round than the link.
                    self.assertLessEqual(arrays, 1.1)
                    self.assertGreaterEqual(arrays, 0.9)

    def test_mpi_between_hosts_takes_the_link(self):
        for arrays in self.arrays_sent(algorithm="mpi", tp_degree=2, placement="spread"):
            self.assertGreaterEqual(arrays, 0.9)

    def test_what_stays_on_a_host_does_not(self):
        for arrays in self.arrays_sent(algorithm="mpi", tp_degree=2, placement="packed"):
            self.assertLess(arrays, 0.02)


def peers(link, ranks_per_host, *arguments):
    """What peer.py saw on each rank, by rank."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*link.mpirun(ranks_per_host), sys.executable, PEER, folder, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return [json.loads(pathlib.Path(folder, f"{rank}.json").read_text()) for rank in range(2 * ranks_per_host)]


class TwoMachines(unittest.TestCase):
    def test_boot_ids_and_clocks(self):
        first, also_first, second, also_second = peers(rig, 2)
        for one, other in ((first, also_first), (second, also_second)):
            self.assertEqual([one[key] for key in ("host", "boot_id")], [other[key] for key in ("host", "boot_id")])
            self.assertLess(abs(one["monotonic_s"] - other["monotonic_s"]), LIMIT_S)
            self.assertLess(abs(one["boottime_s"] - other["boottime_s"]), LIMIT_S)
        self.assertEqual([first["host"], second["host"]], rig.hosts)
        self.assertEqual(first["boot_id"], pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        self.assertNotEqual(first["boot_id"], second["boot_id"])
        self.assertRegex(second["boot_id"], "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        for clock in ("monotonic_s", "boottime_s"):
            self.assertGreater(second[clock] - first[clock], 100 * LIMIT_S)
        self.assertLess(abs(second["realtime_s"] - first["realtime_s"]), LIMIT_S)


class Delayed(FabricTest):
    """A link with latency; the delay is what times are held against."""

    DELAY_S = 2e-3

    def setUp(self):
        super().setUp()
        if reason := why_not("--delay", "2ms"):
            self.skipTest(reason)
        self.link = Rig("none", delay="2ms", word="late")
        self.enterContext(self.link)

    def test_round_trips_and_rate(self):
        trip_s = peers(self.link, 1, 200)[0]["round_trip_s"]
        self.assertGreaterEqual(trip_s["min"], 2 * self.DELAY_S)
        # What other programs on these cores add is in some of them, never in all.
        self.assertLess(trip_s["min"], 2.5 * self.DELAY_S)
        self.assertLess(trip_s["median"], 4 * self.DELAY_S)
        # Both together: what takes long on the wire takes as long with the delay, which a new rate leaves alone.
        self.link.set_rate("200mbit")
        seen = peers(self.link, 1, 20, 4 * MIB)[0]
        self.assertGreaterEqual(seen["round_trip_s"]["min"], 2 * self.DELAY_S)
        self.assertGreater(seen["stream_s"], 0.8 * (4 * MIB - BURST_BYTES) * 8 / 200e6)

    def run_aligned(self, ranks_per_host, sweep):
        """The records, once the clocks of the hosts are known well enough: other programs may hold every message up."""
        for attempt in range(4):
            output = f"out-{attempt}"
            self.run_tpbench("--config", sweep, "--output", output, wrapper=self.link.mpirun(ranks_per_host))
            records = self.assert_valid(self.folder / output)
            self.assert_all(records, "ok")
            if all(record["clock"]["aligned"] for record in records.values()):
                return list(records.values())
        self.fail("the clocks of the two hosts could not be aligned in four runs")

    def assert_clocks(self, record):
        clock = record["clock"]
        self.assertEqual((clock["clocks"], clock["start"]), (2, "agreed"))
        # The second host's clock is ahead by as much as the rig says.
        self.assertEqual(clock["offsets_s"][0], 0)
        self.assertLess(abs(clock["offsets_s"][1] - CLOCK_AHEAD_S), clock["worst_case_s"] + 1e-3)
        self.assertGreaterEqual(clock["worst_case_s"], self.DELAY_S)
        self.assertLess(clock["error_s"], clock["worst_case_s"])
        self.assertGreaterEqual(clock["starts"], record["time_s"]["step"]["samples"])

    def test_a_transfer_takes_the_latency_however_small_it_is(self):
        sweep = self.sweep(workload=["all_reduce", "all_gather", "reduce_scatter"], tp_degree=2, hidden_size=[2, 1024],
                           batch_size=1, threads_per_rank=1)
        for record in self.run_aligned(1, sweep):
            with self.subTest(record["case"]["workload"], bytes=record["communication"]["bytes_per_step"]):
                self.assert_clocks(record)
                least_s = self.DELAY_S - record["clock"]["error_s"]
                self.assertGreaterEqual(record["time_s"]["communication"]["min"], least_s)
                self.assertGreaterEqual(record["time_s"]["step"]["min"], least_s)
                # Open MPI 4.1 takes its ring for sums of 4096 bytes and more, which crosses the link twice.
                crossings = 2 if record["case"]["workload"] == "all_reduce" and record["case"]["hidden_size"] > 2 else 1
                self.assertLess(record["time_s"]["communication"]["min"], (crossings + 0.5) * self.DELAY_S)

    def test_more_ranks_on_both_hosts(self):
        sweep = self.sweep(workload="all_reduce", tp_degree=[2, 3, 4], hidden_size=2, batch_size=1, threads_per_rank=1)
        for record in self.run_aligned(2, sweep):
            with self.subTest(ranks=record["case"]["tp_degree"]):
                if len(set(record["ranks"]["hosts"])) == 1:
                    self.assertEqual(record["clock"]["differences_per_step"], 0)
                    continue
                self.assert_clocks(record)
                self.assertGreaterEqual(record["time_s"]["communication"]["min"], self.DELAY_S - record["clock"]["error_s"])

    def test_latency_of_a_layer_is_no_waiting(self):
        """A block that decodes: eight all-reduces of a token, each of which crosses the link."""
        sweep = self.sweep(workload="block", tp_degree=[1, 2], hidden_size=256, batch_size=1, num_layers=4,
                           context_length=64, threads_per_rank=1, efficiency_floor=0.9)
        records = {record["case"]["tp_degree"]: record for record in self.run_aligned(1, sweep)}
        time_s, clock = records[2]["time_s"], records[2]["clock"]
        self.assertEqual(clock["differences_per_step"], 8)
        self.assertGreaterEqual(time_s["communication"]["min"], 8 * (self.DELAY_S - clock["error_s"]))
        self.assertGreater(time_s["communication"]["median"], time_s["imbalance"]["median"])

    def test_a_timeline_of_two_hosts(self):
        sweep = self.sweep(workload="mlp", tp_degree=4, hidden_size=64, batch_size=2, threads_per_rank=1)
        for record in self.run_aligned(2, sweep):
            output = max(self.folder.glob("out-*"), key=lambda path: path.stat().st_mtime)
            check_folder(self, output, {record["id"]: record})
            document = json.loads(self.run_tpbench("export", output, "--to", "trace").stdout)
            error_us = 1e6 * record["clock"]["error_s"]
            self.assertEqual(check_chrome(self, document, error_us), 3 * len(record["communication"]["collectives"]))
            self.assertEqual(len({e["pid"] for e in document["traceEvents"]}), 2, "hosts are processes")
            said = {e["args"].get("clock_error_us") for e in document["traceEvents"] if e["ph"] == "X"}
            self.assertEqual(len(said), 1)
            self.assertGreater(said.pop(), 0)

    def test_a_probe_says_the_same(self):
        job = self.run_tpbench("probe", "--quick", "--max-bytes", "1024", "--json", wrapper=self.link.mpirun(1))
        for path in json.loads(job.stdout)["paths"]:
            if path["problem"]:  # as all times are under three times what the clocks are known to on this busy machine
                self.assertEqual((path["operation"], path["points"]), ("all_reduce", []))
                self.assertIn("clocks", path["problem"])
            self.assertEqual(path["clock_error_s"] is None, path["operation"] == "ping_pong")
            for point in path["points"]:
                with self.subTest(path["operation"], bytes=point["bytes"]):
                    self.assertGreaterEqual(point["time_s"]["min"], self.DELAY_S - (path["clock_error_s"] or 0))
                    self.assertLess(point["time_s"]["min"], 1.5 * self.DELAY_S)

    def test_a_link_whose_program_has_ended_is_reported(self):
        (program,) = self.link.programs(1)
        os.kill(program, signal.SIGKILL)
        for _ in range(100):
            done = script("--name", self.link.name, "run", "1", "true", check=False)
            if "is gone" in done.stderr:
                break
            time.sleep(0.1)
        self.assertEqual(done.returncode, 3)
        self.assertIn("the link of rig", done.stderr)

    def test_nothing_is_left(self):
        (program,) = self.link.programs(1)
        self.assertEqual(self.link.programs(0), [])
        self.link("down")
        for _ in range(100):
            if not pathlib.Path(f"/proc/{program}").exists():
                break
            time.sleep(0.1)
        self.assertFalse(pathlib.Path(f"/proc/{program}").exists())
        self.assertEqual([n for n in namespaces() if self.link.name in n], [])


def namespaces():
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines()}


class TheRig(unittest.TestCase):
    def other(self, word):
        """The name of a rig beside the one of all tests; gone when the test is over."""
        name = f"pid-{os.getpid()}-{word}"
        self.addCleanup(script, "--name", name, "down", check=False)
        return name

    def test_a_name_is_used_once(self):
        done = script("--name", rig.name, "up", "1gbit", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("is there already", done.stderr)
        self.assertLessEqual(set(rig.hosts), namespaces())

    def test_a_wrong_command_line_makes_nothing(self):
        name = self.other("wrong")
        for arguments in (["up", "fast"], ["up", "-1gbit"], ["up"], ["rate", "1gbyte"], ["run", "0", "true"],
                          ["run", "2"], ["down", "all"], ["sideways"], [], ["up", "none", "--delay"],
                          ["up", "none", "--delay", "1"], ["up", "none", "--delay", "99us"],
                          ["up", "none", "--delay", "1001ms"], ["up", "none", "--late", "1ms"], ["check", "1ms"]):
            with self.subTest(arguments):
                self.assertEqual(script("--name", name, *arguments, check=False).returncode, 2)
        self.assertEqual(script("--name", "../x", "up", "1gbit", check=False).returncode, 2)
        self.assertEqual(script("--name", name, "bytes", check=False).returncode, 3)
        self.assertEqual([n for n in namespaces() if name in n], [])

    def test_half_a_rig_is_taken_down_again(self):
        # The link cannot be shaped so: by then everything else is there.
        name = self.other("half")
        done = script("--name", name, "up", "999999999999999999999gbit", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual([n for n in namespaces() if name in n], [])

    def test_down_ends_what_runs_there(self):
        name = self.other("busy")
        script("--name", name, "up", "none")
        # A job on both, and a program that does not heed the request to end.
        loop = "echo here; while :; do sleep 1; done"
        commands = {2: [SCRIPT, "--name", name, "run", "1", "sh", "-c", loop],
                    1: ["ip", "netns", "exec", f"tpbench-rig-{name}-1", "sh", "-c", "trap '' TERM; " + loop]}
        jobs = []
        for lines, command in commands.items():
            job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.addCleanup(job.stdout.close)
            self.addCleanup(job.kill)
            self.assertEqual([job.stdout.readline() for _ in range(lines)], ["here\n"] * lines)
            jobs.append(job)
        script("--name", name, "down")
        for job in jobs:
            job.wait(LIMIT_S)
        self.assertEqual([n for n in namespaces() if name in n], [])

    def test_what_a_killed_program_left_goes_with_the_next(self):
        program = ("import sys, time; sys.path.insert(0, sys.argv[1]); from rig import Rig, end_orderly; end_orderly()\n"
                   "with Rig('none', *sys.argv[3:]): print('up', flush=True); time.sleep(float(sys.argv[2]))")
        start = [sys.executable, "-c", program, str(pathlib.Path(__file__).resolve().parent)]
        delays = [[]] if why_not("--delay", "1ms") else [[], ["1ms"]]
        for number, left, delay in ((n, l, d) for n, l in ((signal.SIGKILL, 2), (signal.SIGTERM, 0)) for d in delays):
            with self.subTest(number.name, delay=delay):
                with subprocess.Popen([*start, "1000", *delay], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      text=True) as owner:
                    self.addCleanup(script, "--name", f"pid-{owner.pid}", "down")
                    self.assertEqual(owner.stdout.readline(), "up\n")
                    owner.send_signal(number)
                    owner.wait(LIMIT_S)
                hosts = {n for n in namespaces() if n.startswith(f"tpbench-rig-pid-{owner.pid}-")}
                self.assertEqual(len(hosts), left)
                subprocess.run([*start, "0"], check=True, stdout=subprocess.DEVNULL)
                self.assertEqual(hosts & namespaces(), set())
                self.assertLessEqual(set(rig.hosts), namespaces())


if __name__ == "__main__":
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    end_orderly()
    with Rig("1gbit") as rig:
        unittest.main()
