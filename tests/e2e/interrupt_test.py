"""Ctrl-C and SIGTERM: the present case is abandoned, what is finished stays, exit status 130."""

import random
import signal
import time
import unittest

from harness import E2eTest, read_records, without_scaling

ENDLESS = {"order": "given", "min_samples": 1000000, "max_samples": 1000000, "max_seconds": 600}


class Interrupt(E2eTest):
    def test_alone(self):
        for number, words in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")):
            with self.subTest(words):
                self.setUp()
                # all_reduce on one rank moves nothing: a million steps are over soon, and those of mlp are not.
                sweep = self.sweep(workload="mlp", hidden_size=[8, 512], ffn_hidden_size=8, batch_size=[1, 512],
                                   exclude=[{"hidden_size": 8, "batch_size": 512}, {"hidden_size": 512, "batch_size": 1}],
                                   cases=[{"hidden_size": 16, "batch_size": 1}], measure=ENDLESS | {"max_samples": 1000000})
                job = self.start("--config", sweep, "--output", "out", "--set", "measure.min_samples=200000", "--set",
                                 "measure.max_samples=200000")
                self.wait_for_records(job, self.folder / "out", 1)
                before = read_records(self.folder / "out")
                time.sleep(0.3)
                job.process.send_signal(number)
                job.wait()
                self.assertEqual(job.status, 130, job.stderr)
                self.assertRegex(job.stderr, rf"interrupted by {words}; case mlp-h512-\S+ is abandoned")
                self.assertIn("finished records stay in out; go on with --resume out", job.stderr)
                self.assertEqual(job.stdout, "")
                self.assertEqual(self.assert_valid(self.folder / "out", cases=1), before)

    def test_at_any_moment(self):
        """Also while a record is being written: nothing half-written and no temporary file stays."""
        seed = 7
        moments = random.Random(seed)
        self.sweep(workload=["row_linear", "mlp", "gemm"], batch_size=list(range(1, 200)))
        for round in range(8):
            with self.subTest(round=round, seed=seed):
                folder = self.folder / f"out{round}"
                job = self.start("--config", "sweep.json", "--output", folder.name)
                self.wait_for_records(job, folder, 2)
                time.sleep(moments.uniform(0, 0.4))
                job.process.send_signal(signal.SIGTERM)
                job.wait()
                self.assertEqual(job.status, 130, job.stderr)
                self.assert_all(self.assert_valid(folder), "ok")

    def test_under_mpirun(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.setUp()
                self.sweep(workload="mlp", hidden_size=[8, 512], batch_size=64, tp_degree=2,
                           measure=ENDLESS | {"min_samples": 3000, "max_samples": 3000})
                job = self.start("--config", "sweep.json", "--output", "out", ranks=2)
                self.wait_for_records(job, self.folder / "out", 1)
                before = read_records(self.folder / "out")
                time.sleep(0.3)
                job.process.send_signal(number)
                job.wait()
                self.assertNotEqual(job.status, 0)
                self.assertNotIn("has died", job.stderr)
                after = self.assert_valid(self.folder / "out", cases=1)
                self.assertEqual(after, before)
                self.assertEqual(job.rank_pids(), {})


if __name__ == "__main__":
    unittest.main()
