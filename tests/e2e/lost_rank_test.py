"""A rank that dies, stops or hangs in mid-sweep: the job ends with words, what is finished stays, --resume goes on."""

import os
import random
import re
import signal
import time

from harness import FAULTY, E2eTest, each, main, read_records, without_scaling

# Two quick cases, one that is to be met in the middle, one more quick one; in this order.
LONG_SWEEP = dict(workload="mlp", hidden_size=[48, 96, 512], batch_size=64, tp_degree=2,
                  cases=[{"hidden_size": 48, "tp_degree": 1}],
                  measure={"order": "given", "min_samples": 250, "max_samples": 250, "max_seconds": 600})
# It takes seconds as its products are slow: ranks that sleep leave the processors to the other tests.
SLOW = {"program": FAULTY, "TPBENCH_TEST_FAULT": "slow:case=3:ms=20"}


class LostRank(E2eTest):
    def start_and_wait_for_the_long_case(self, *arguments, **keys):
        self.sweep(**LONG_SWEEP | keys)
        job = self.start("--config", "sweep.json", "--output", "out", *arguments, ranks=2, **SLOW)
        self.wait_for_records(job, self.folder / "out", 2)
        time.sleep(1.5)  # into the sampling of the long case, with other tests beside it
        self.before = read_records(self.folder / "out")
        return job

    def assert_finished_stay(self, records, left_behind=()):
        self.assertEqual(len(self.before), 2)
        for id, record in self.before.items():
            self.assertEqual(records[id], record)
        self.assertEqual({id[:8] for id in set(records) - set(self.before)}, set(left_behind))

    def assert_resume_finishes(self, cases=4):
        job = self.run_tpbench("--resume", "out", ranks=2)
        records = self.assert_valid(self.folder / "out", cases=cases)
        self.assert_all(records, "ok")
        self.assert_summary(self.folder / "out")
        for id, record in self.before.items():
            self.assertEqual(without_scaling(records[id]), without_scaling(record))
            self.assertNotIn(f"{id}: step", job.stderr)
        self.assertIn(f"2 of {cases} cases are finished already", job.stderr)

    @each((1, "mpi"), (0, "mpi"), (1, "shm"), (0, "shm"))
    def test_killed(self, rank, algorithm):
        job = self.start_and_wait_for_the_long_case(algorithm=algorithm)
        job.signal_rank(rank, signal.SIGKILL)
        job.wait()
        self.assertNotEqual(job.status, 0)
        self.assertRegex(job.stderr, rf"case mlp-h512-\S+ is given up: .*rank {rank} \(process \d+ on \S+\) has died in "
                                     r"\w+ of sampling step \d+")
        self.assertEqual(len(re.findall("has died", job.stderr)), 1 + job.stderr.count("a rank has died"))
        self.assertIn("finished records are kept in out; continue with --resume out", job.stderr)
        records = self.assert_valid(self.folder / "out", temporaries=rank == 0)
        self.assert_finished_stay(records, left_behind=["mlp-h512"])
        (failed,) = (r for r in records.values() if r["status"] != "ok")
        self.assertEqual((failed["status"], failed["reason_code"]), ("failed", "lost"))
        self.assertRegex(failed["reason"], rf"rank {rank} \(process \d+ on \S+\) has died in ")
        self.assert_resume_finishes()

    @each("mpi", "shm")
    def test_stopped(self, algorithm):
        job = self.start_and_wait_for_the_long_case("--watchdog", "3", algorithm=algorithm)
        job.signal_rank(1, signal.SIGSTOP)
        job.wait()
        self.assertNotEqual(job.status, 0)
        words = r"nothing has moved for \d s \(watchdog limit 3 s\): rank 1 \(process \d+ on \S+\) is stopped in \w+ of sampling"
        self.assertRegex(job.stderr, r"case mlp-h512-\S+ is given up: " + words)
        self.assertIn("continue with --resume out", job.stderr)
        self.assertNotIn("has died", job.stderr)
        records = self.assert_valid(self.folder / "out")
        self.assert_finished_stay(records, left_behind=["mlp-h512"])
        (failed,) = (r for r in records.values() if r["status"] != "ok")
        self.assertEqual((failed["status"], failed["reason_code"]), ("failed", "watchdog"))
        self.assertRegex(failed["reason"], words)
        self.assertEqual(failed["ranks"]["group"], [0, 1])
        self.assert_resume_finishes()

    def test_first_rank_stopped(self):
        job = self.start_and_wait_for_the_long_case("--watchdog", "3")
        job.signal_rank(0, signal.SIGSTOP)
        job.wait()
        self.assertNotEqual(job.status, 0)
        self.assertRegex(job.stderr, r"rank 1: error: case mlp-h512-\S+ is given up: nothing has moved for \d s \(watchdog "
                                     r"limit 3 s\): rank 0 \(process \d+ on \S+\) is stopped in \w+ of sampling step")
        self.assertEqual(job.stderr.count("is given up"), 1, job.stderr)
        self.assertIn("continue with --resume out", job.stderr)
        self.assert_finished_stay(self.assert_valid(self.folder / "out", temporaries=True))
        self.assert_resume_finishes()

    @each(0, 1, 2, 3)
    def test_stopped_anywhere(self, round):
        """Rank 0 writes files for much of a sweep of tiny cases: it must be missed there too."""
        moments = random.Random(20 + round)
        self.sweep(workload=["row_linear", "mlp", "all_reduce"], tp_degree=[1, 2], batch_size=list(range(1, 60)))
        job = self.start("--config", "sweep.json", "--output", "out", "--watchdog", "1", ranks=2)
        self.wait_for_records(job, self.folder / "out", 3)
        time.sleep(moments.uniform(0, 0.5))
        before = read_records(self.folder / "out")
        job.signal_rank(round % 2, signal.SIGSTOP)
        job.wait()
        self.assertNotEqual(job.status, 0)
        self.assertRegex(job.stderr, rf"is given up: .*rank {round % 2} \(process \d+ on \S+\) is stopped in")
        after = self.assert_valid(self.folder / "out", temporaries=True)
        for id, record in before.items():
            self.assertEqual(without_scaling(after[id]), without_scaling(record))

    @each("mpi", "shm")
    def test_hangs_in_compute(self, algorithm):
        """The other rank spins in its collective, in which the watchdog must find it."""
        self.sweep(**LONG_SWEEP | {"algorithm": algorithm})
        job = self.start("--config", "sweep.json", "--output", "out", "--watchdog", "2", ranks=2, program=FAULTY,
                         TPBENCH_TEST_FAULT="hang:rank=1:case=3:step=40")
        job.wait()
        self.assertNotEqual(job.status, 0)
        self.assertRegex(job.stderr, r"case mlp-h512-\S+ is given up: .*: rank 1 \(process \d+ on \S+\) does not leave compute of "
                                     r"sampling step \d+; waiting: rank 0 in all_reduce of sampling step")
        records = self.assert_valid(self.folder / "out")
        self.before = {id: r for id, r in records.items() if r["status"] == "ok"}
        self.assert_finished_stay(records, left_behind=["mlp-h512"])
        self.assertEqual([r["reason_code"] for r in records.values() if r["status"] != "ok"], ["watchdog"])
        self.assert_resume_finishes()

    def test_a_pause_of_the_whole_job_is_no_fault(self):
        """Ctrl-Z and fg: all ranks rest longer than the watchdog's limit."""
        self.sweep(**LONG_SWEEP | {"measure": LONG_SWEEP["measure"] | {"min_samples": 80, "max_samples": 80}})
        job = self.start("--config", "sweep.json", "--output", "out", "--watchdog", "2", ranks=2, **SLOW)
        self.wait_for_records(job, self.folder / "out", 2)
        pids = job.rank_pids().values()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(4)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        job.wait()
        self.assertEqual(job.status, 0, job.stderr)
        self.assert_all(self.assert_valid(self.folder / "out", cases=4), "ok")


if __name__ == "__main__":
    main()
