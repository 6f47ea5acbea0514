"""Ranks that are killed or told to end, nodes that are lost: noticed within seconds, named, recorded, and gone on from."""

import json
import re
import signal
import subprocess
import time

import slurm
from harness import read_records


class LostRank(slurm.SlurmTest):
    def assert_lost(self, words):
        """The one record there is says what was lost, and --resume makes it good."""
        (record,) = self.assert_valid(self.folder / "out", cases=1, temporaries=True).values()
        self.assertEqual((record["status"], record["reason_code"]), ("failed", "lost"))
        self.assertRegex(record["reason"], words)
        self.assertFalse((self.folder / "out" / "running.json").exists())
        self.assert_summary(self.folder / "out")

    def test_killed(self):
        for nodes in (1, 2):
            for rank in (0, 1):
                with self.subTest(nodes=nodes, rank=rank):
                    self.setUp()
                    step = self.start_and_meet_the_long_case(nodes=nodes)
                    self.kill_rank(rank)
                    self.wait_and_time(step)
                    self.assertEqual(step.status, 1, step.stderr)
                    host = f"n{rank}" if nodes == 2 else r"n\d"
                    where = "has ended without a word" if nodes == 2 else r"has died in \w+ of \S+"
                    words = rf"a rank has died: rank {rank} \(process \d+ on {host}\) {where}"
                    self.assertRegex(step.stderr, r"error: case mlp-h512-\S+ is given up: " + words)
                    self.assertEqual(step.stderr.count("is given up"), 1, step.stderr)
                    self.assertEqual(step.stderr.count("finished records are kept in out; continue with --resume out"), 1, step.stderr)
                    self.assert_lost(words)

    def test_one_of_several_on_another_node(self):
        """A rank beside the one that talks to rank 0: its host tells rank 0, which writes."""
        for rank in (2, 3):
            with self.subTest(rank=rank):
                self.setUp()
                step = self.start_and_meet_the_long_case("--set", "groups=all", nodes=2, ranks=4)
                self.kill_rank(rank)
                self.wait_and_time(step)
                self.assertEqual(step.status, 1, step.stderr)
                self.assertEqual(step.stderr.count("is given up"), 1, step.stderr)
                self.assert_lost(rf"a rank has died: rank {rank} \(process \d+ on n1\) has (died in|ended without a word)")

    def test_all_killed(self):
        """Nobody is left to write anything: the next start does."""
        step = self.start_and_meet_the_long_case(nodes=2)
        self.scancel("KILL")
        self.wait_and_time(step)
        self.assertIn(step.status, (1, 137), step.stderr)
        left = self.folder / "out" / "running.json"
        # Ranks die one after the other, and one may have had time to write.
        if left.exists():
            document = json.loads(left.read_text())
            self.assertEqual((document["status"], document["reason_code"]), ("failed", "lost"))
            self.assertRegex(document["reason"], r"left no word: rank 0 \(process \d+ on n0\) was killed, or its host was lost")
        words = r"case (mlp-h512-\S+) was running when the earlier run ended: " if left.exists() else "is given up: a rank has died"
        again = self.srun("--resume", "out", nodes=2)
        # The marker of the killed run stands there until it has become a record.
        record = self.folder / "out" / "records"
        self.wait_for("the case", lambda: left.exists() and list(record.glob("*.json")) and self.rank_pids())
        time.sleep(0.5)
        self.kill_rank(0, signal.SIGTERM)
        again.wait()
        self.assertEqual(again.status, 143, again.stderr)
        self.assertRegex(step.stderr + again.stderr, words)
        self.assert_lost(".")

    def step_id(self):
        steps = subprocess.run(["squeue", "--steps", "--noheader", "--format=%i", f"--job={self.job}"], capture_output=True, text=True)
        return re.search(rf"{self.job}\.(\d+)", steps.stdout)[1]

    def test_told_to_end(self):
        """One rank alone, or all by Slurm: 143, one message, the case abandoned and no record of it."""
        for nodes in (1, 2):
            signals = ["USR1", "USR2", "HUP", "TERM"] if nodes == 2 else ["TERM"]
            for name, send in [("SIGTERM", lambda: self.kill_rank(0, signal.SIGTERM)),
                               ("SIGTERM", lambda: self.kill_rank(1, signal.SIGTERM)),
                               *((f"SIG{name}", lambda name=name: self.scancel(name)) for name in signals)]:
                with self.subTest(nodes=nodes, name=name):
                    self.setUp()
                    step = self.start_and_meet_the_long_case(nodes=nodes)
                    send()
                    self.wait_and_time(step)
                    self.assertEqual(step.status, 143, step.stderr)
                    self.assertEqual(len(re.findall(rf"interrupted by {name}; case mlp-h512-\S+ is abandoned", step.stderr)), 1,
                                     step.stderr)
                    self.assertEqual(step.stderr.count("finished records are kept in out; continue with --resume out"), 1, step.stderr)
                    self.assertEqual(read_records(self.folder / "out"), {})
                    self.assertFalse((self.folder / "out" / "running.json").exists())
                    self.assertNotIn("MPI_ABORT", step.stderr)

    def scancel(self, name):
        # Where a step is smaller than its job, scancel complains of the node that has none of it.
        subprocess.run(["scancel", f"--signal={name}", f"{self.job}.{self.step_id()}"], capture_output=True)

    def test_a_rank_that_stands_still_is_the_watchdogs(self):
        step = self.start_and_meet_the_long_case("--watchdog", "2", nodes=2)
        self.kill_rank(1, signal.SIGSTOP)
        step.wait()
        self.assertEqual(step.status, 1, step.stderr)
        self.assertIn("all ranks of n0 wait: the cause is on another host", step.stderr)
        (record,) = read_records(self.folder / "out").values()
        self.assertEqual((record["status"], record["reason_code"]), ("failed", "watchdog"))

    def test_a_pause_of_the_job_is_no_loss(self):
        """Slurm suspends what it wants to make room for."""
        step = self.start_and_meet_the_long_case(nodes=2)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in self.rank_pids().values():
                slurm.os.kill(pid, number)
            time.sleep(9 if number == signal.SIGSTOP else 2)
        self.assertIsNone(step.process.poll(), "the pause ended it")
        self.kill_rank(0, signal.SIGTERM)
        self.assertEqual(step.wait().status, 143, step.stderr)


class LostNode(slurm.SlurmTest):
    allocation = None

    def test_cable(self):
        """Nothing of n1 arrives any more, not even its end."""
        step = self.start_and_meet_the_long_case(nodes=2)
        self.addCleanup(slurm.rig, "--plug")
        slurm.rig("--unplug")
        # Slurm keeps the step until it has heard of n1: what tpbench does is what counts here.
        folder = self.folder / "out" / "records"
        self.wait_for("the record", lambda: list(folder.glob("mlp-h512*.json")), limit_s=10)
        slurm.rig("--plug")
        step.wait()
        self.assertEqual(step.status, 1, step.stderr)
        words = r"n1 no longer answers: rank 1 \(process \d+ on n1\) is lost; waiting: rank 0 in "
        self.assertRegex(step.stderr, r"error: case mlp-h512-\S+ is given up: " + words)
        (record,) = self.assert_valid(self.folder / "out", cases=1).values()
        self.assertEqual((record["status"], record["reason_code"]), ("failed", "lost"))
        self.assertRegex(record["reason"], words)
        self.wait_for("both nodes", lambda: subprocess.run(["sinfo", "-h", "-t", "idle", "-o", "%D"], capture_output=True,
                                                           text=True).stdout.strip() == "2")

    def test_power(self):
        """n1 goes and comes back: the job is put into the queue again, and nothing is lost or measured twice."""
        self.sweep(workload=["mlp", "row_linear"], tp_degree=[1, 2], batch_size=[1, 2, 3, 4],
                   measure={"max_samples": 1000000, "max_seconds": 0.3, "target_ci": 1e-9})
        job = self.sbatch(slurm.SCRIPTS / "requeue.sbatch", "sweep.json")
        out = self.folder / "results" / f"tpbench-{job}"
        self.wait_for("some records", lambda: len(list((out / "records").glob("*.json"))) >= 5)
        slurm.rig("--power-off")
        self.wait_for("the end of the step", lambda: "is given up: a rank has died: rank 1 (process" in self.log(job), limit_s=10)
        self.wait_for_job(job, states=("PENDING",))
        before = {id: record for id, record in read_records(out).items() if record["status"] == "ok"}
        slurm.rig("--power-on")
        subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now+2"], check=True)
        self.finish_job(job)
        after = self.assert_valid(out, cases=16)
        self.assert_all(after, "ok")
        for id, record in before.items():
            self.assertEqual(after[id]["samples_s"], record["samples_s"])
        self.assertEqual(self.state(job)["Restarts"], "1")

    def log(self, job):
        return (self.folder / f"tpbench-{job}.log").read_text()


if __name__ == "__main__":
    slurm.main()
