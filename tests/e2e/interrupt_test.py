"""Ctrl-C and SIGTERM: the present case is abandoned, what is finished stays, exit status 130."""

import random
import signal
import time

from harness import E2eTest, each, main, read_records


class Interrupt(E2eTest):
    def start_and_wait_for_the_long_case(self, ranks, degree):
        # A quick case and one that takes seconds, in this order.
        self.sweep(workload="mlp", hidden_size=[48, 512], batch_size=64, tp_degree=degree,
                   measure={"order": "given", "min_samples": 3000, "max_samples": 3000, "max_seconds": 600})
        job = self.start("--config", "sweep.json", "--output", "out", ranks=ranks)
        self.wait_for_records(job, self.folder / "out", 1)
        time.sleep(0.3)
        return job, read_records(self.folder / "out")

    @each((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"))
    def test_alone(self, number, words):
        job, before = self.start_and_wait_for_the_long_case(ranks=None, degree=1)
        job.process.send_signal(number)
        job.wait()
        self.assertEqual(job.status, 130, job.stderr)
        self.assertRegex(job.stderr, rf"interrupted by {words}; case mlp-h512-\S+ is abandoned")
        self.assertIn("finished records are kept in out; continue with --resume out", job.stderr)
        self.assertEqual(job.stdout, "")
        self.assert_unchanged(before)

    def test_hint_is_one_that_a_shell_takes(self):
        self.sweep(measure={"min_samples": 1000000, "max_samples": 1000000, "max_seconds": 600}, batch_size=[1, 2])
        job = self.start("--config", "sweep.json", "--output", "my results")
        deadline = time.monotonic() + 60
        while not (self.folder / "my results" / "environment.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        job.process.send_signal(signal.SIGTERM)
        job.wait()
        self.assertIn("continue with --resume 'my results'", job.stderr)

    def assert_unchanged(self, before, temporaries=False):
        after = self.assert_valid(self.folder / "out", temporaries=temporaries)
        self.assertEqual(sorted(after), sorted(before))
        for id, record in before.items():
            self.assertTrue(after[id] == record, f"{id} has changed")

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

    @each(0, 2)
    def test_one_rank_alone(self, rank):
        """The launcher ends the others: who was meant must say so."""
        job, before = self.start_and_wait_for_the_long_case(ranks=3, degree=2)
        job.signal_rank(rank, signal.SIGTERM)
        job.wait()
        self.assertEqual(job.status, 130, job.stderr)
        self.assertEqual(job.stderr.count("interrupted by SIGTERM; case mlp-h512-"), 1, job.stderr)
        self.assertEqual(job.stderr.count("continue with --resume out"), 1, job.stderr)
        self.assert_unchanged(before)

    @each(signal.SIGINT, signal.SIGTERM)
    def test_under_mpirun(self, number):
        job, before = self.start_and_wait_for_the_long_case(ranks=2, degree=2)
        job.process.send_signal(number)
        job.wait()
        self.assertNotEqual(job.status, 0)
        self.assertNotIn("has died", job.stderr)
        self.assertEqual(job.rank_pids(), {})
        # A second after the signal mpirun kills what is left, in the middle of a write where the disk is slow.
        self.assert_unchanged(before, temporaries=True)


if __name__ == "__main__":
    main()
