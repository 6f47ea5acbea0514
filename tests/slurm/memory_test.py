"""Slurm that holds a step to its memory: seen before a case is tried, and told where a rank is killed for it."""

import time

import slurm
from harness import TPBENCH


class Memory(slurm.SlurmTest):
    allocation = ["--nodes=1", "--ntasks=2", "--cpus-per-task=1", "--mem=1500"]

    def test_a_case_beyond_the_limit_is_skipped(self):
        # 256 MiB of weights.
        self.sweep(hidden_size=8192, tp_degree=[1, 2], workload="gemm", batch_size=1, verify="off")
        self.run_srun("--config", "sweep.json", "--output", "out", options=["--mem=240"])
        records = self.assert_valid(self.folder / "out", cases=2)
        by_degree = {record["case"]["tp_degree"]: record for record in records.values()}
        self.assertEqual((by_degree[1]["status"], by_degree[1]["reason_code"]), ("skipped", "memory"), by_degree[1]["reason"])

    def test_a_rank_that_is_killed_for_memory(self):
        """The kernel kills rank 1, as somebody beside it takes all there is."""
        hog = self.folder / "hog.py"
        hog.write_text("import time\nheld = []\nwhile len(held) < 200:\n    held.append(b'x' * (10 << 20))\n    time.sleep(0.01)\n"
                       "time.sleep(60)\n")
        wrapper = self.folder / "wrapper.sh"
        wrapper.write_text("#!/bin/bash\nif ((SLURM_PROCID == 1)); then\n"
                           "  (until [[ -e out/running.json ]]; do sleep 0.1; done; sleep 0.5; exec python3 hog.py) &\n"
                           f"  echo 1000 >/proc/self/oom_score_adj\nfi\nexec {TPBENCH} \"$@\"\n")
        wrapper.chmod(0o700)
        self.sweep(**slurm.LONG_SWEEP | {"hidden_size": 512, "measure": {"min_samples": 3000, "max_samples": 3000,
                                                                        "max_seconds": 600}})
        step = self.srun("--config", "sweep.json", "--output", "out", program=str(wrapper), options=["--mem=900"])
        step.wait()
        self.assertEqual(step.status, 1, step.stderr)
        self.assertIn("Out Of Memory", step.stderr)
        self.assertRegex(step.stderr, r"error: case mlp-h512-\S+ is given up: a rank has died: rank 1 \(process \d+ on n0\) has died in ")
        (record,) = self.assert_valid(self.folder / "out", cases=1).values()
        self.assertEqual((record["status"], record["reason_code"]), ("failed", "lost"))


if __name__ == "__main__":
    slurm.main("cgroup")
