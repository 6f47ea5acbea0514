"""Jobs that are put into the queue again, by people or at their time limit: nothing is lost, nothing measured twice."""

import os
import random
import subprocess
import time

import slurm
from harness import main, read_records, without_scaling

# scripts/test.sh has no time for twenty; TPBENCH_REQUEUES=20 has.
REQUEUES = int(os.environ.get("TPBENCH_REQUEUES", "3"))


class Requeue(slurm.SlurmTest):
    allocation = None

    def start(self, script_options=(), **keys):
        self.sweep(workload=["row_linear", "mlp", "all_reduce"], tp_degree=[1, 2], **keys)
        job = self.sbatch(slurm.SCRIPTS / "requeue.sbatch", "sweep.json", options=script_options)
        return job, self.folder / "results" / f"tpbench-{job}"

    def start_again(self, job, *settings):
        """Slurm keeps a job that was put into the queue again for two minutes, until its credentials have expired; a job
        that starts within the second of its end it refuses for good."""
        self.wait_for_job(job, states=("PENDING",))
        asked = None

        def has_started():
            # A node that ends the job late has it wait anew, whatever was asked for before.
            nonlocal asked
            if self.state(job)["JobState"] != "PENDING":
                return True
            if asked is None or time.monotonic() - asked > 5:  # later it may be starting, and refuse
                subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now+2", *settings], check=asked is None)
                asked = time.monotonic()
            return False

        self.wait_for(f"job {job} to start again", has_started)

    def assert_kept(self, before, now):
        for id, record in before.items():
            self.assertEqual(without_scaling(now[id]), without_scaling(record))

    @staticmethod
    def finished(out):
        return {id: record for id, record in read_records(out).items() if record["status"] == "ok"}

    def test_at_random_moments(self):
        seed = 14
        moments = random.Random(seed)
        cases = 6 * 4 * REQUEUES
        # A case samples for all of max_seconds.
        job, out = self.start(batch_size=list(range(1, 4 * REQUEUES + 1)),
                              measure={"max_samples": 1000000, "max_seconds": 0.1, "target_ci": 1e-9})
        before = {}
        for number in range(REQUEUES):
            with self.subTest(number=number, seed=seed):
                self.wait_for_job(job, states=("RUNNING",))
                time.sleep(moments.uniform(0, 4))
                subprocess.run(["scontrol", "requeue", job], check=True)
                self.start_again(job)
                now = self.finished(out)
                self.assert_kept(before, now)
                before = now
        self.assertLess(len(before), cases, "it was over before it was interrupted so often")
        log = self.finish_job(job)
        self.assertEqual(self.state(job)["Restarts"], str(REQUEUES))
        after = self.assert_valid(out, cases=cases)
        self.assert_all(after, "ok")
        self.assert_summary(out)
        self.assert_kept(before, after)
        self.assertNotIn("died", log)
        self.assertEqual(len({record["started_at"] for record in before.values()} - {r["started_at"] for r in after.values()}), 0)

    def test_time_limit(self):
        """Slurm's own signal ahead of the limit: a minute is the shortest, and it looks twice a minute."""
        job, out = self.start(["--time=1", "--signal=USR1@55"], batch_size=list(range(1, 21)),
                              measure={"max_samples": 1000000, "max_seconds": 0.35, "target_ci": 1e-9})
        log = self.folder / f"tpbench-{job}.log"
        self.wait_for("the signal", lambda: log.exists() and "interrupted by SIGUSR1" in log.read_text())
        self.wait_for_job(job, states=("PENDING",))
        before = self.finished(out)
        self.assertEqual(len(read_records(out)), len(before))
        self.start_again(job, "timelimit=10")
        self.finish_job(job)
        after = self.assert_valid(out, cases=120)
        self.assert_all(after, "ok")
        self.assert_kept(before, after)

    def test_statuses_in_the_job(self):
        """What a script ends with is what Slurm lists: each kind of end has its own."""
        self.sweep(tp_degree=[1, 2], measure={"min_samples": 100000, "max_samples": 100000, "max_seconds": 60})
        script = self.folder / "job.sbatch"
        script.write_text("#!/bin/bash\n#SBATCH -N1 -n2 -o job-%j.log\nsrun --mpi=pmix tpbench --config \"$@\"\n")
        ends = {}
        for name, arguments, number in [("usage", ["nope.json"], None), ("environment", ["sweep.json", "--output", "sweep.json/x"], None),
                                        ("interrupted", ["sweep.json", "--output", "a"], "TERM"),
                                        ("killed", ["sweep.json", "--output", "b"], "KILL")]:
            job = self.sbatch(script, *arguments)
            if number:
                self.wait_for("a case", lambda: (self.folder / arguments[2] / "running.json").exists())
                time.sleep(0.3)
                subprocess.run(["scancel", f"--signal={number}", f"{job}.0"], check=True)
            ends[name] = self.wait_for_job(job)["ExitCode"]
        self.assertEqual(ends["usage"], "2:0")
        self.assertEqual(ends["environment"], "3:0")
        self.assertEqual(ends["interrupted"], "143:0")
        self.assertIn(ends["killed"], ("137:0", "1:0"))


if __name__ == "__main__":
    # They wait for Slurm: beside each other, on two CPUs of a node each.
    slurm.main(cpus=6, run=main)
