"""A file system that fills up: a clear error, exit status 3, and nothing half-written under its final name."""

import os
import subprocess
import unittest

from harness import E2eTest, read_records, without_scaling


class SmallDisk(E2eTest):
    def mount(self, megabytes):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a small file system")
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("cannot mount here: " + mounted.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        return disk

    def test_too_small_before_the_first_case(self):
        disk = self.mount(4)
        job = self.run_tpbench("--config", self.sweep(), "--output", disk / "out", status=3)
        self.assertRegex(job.stderr, r"disk/out: only \S+ \w+ are free on this file system; tpbench wants \S+ \w+")

    def test_full_in_mid_sweep(self):
        for ranks in (None, 2):
            with self.subTest(ranks=ranks):
                self.setUp()
                disk = self.mount(24)
                self.sweep(workload=["row_linear", "mlp", "gemm"], batch_size=list(range(1, 31)))
                job = self.start("--config", "sweep.json", "--output", disk / "out", ranks=ranks)
                self.wait_for_records(job, disk / "out", 3)
                with open(disk / "ballast", "wb", buffering=0) as ballast:
                    try:
                        while job.process.poll() is None:
                            ballast.write(bytes(65536))
                    except OSError:
                        pass
                job.wait()
                self.assertEqual(job.status, 3, job.stderr)
                self.assertEqual(job.stderr.count("No space left on device"), 1, job.stderr)
                self.assertEqual(job.stderr.count(f"continue with --resume {disk}/out"), 1, job.stderr)
                finished = self.assert_valid(disk / "out")
                self.assert_all(finished, "ok")
                self.assertGreaterEqual(len(finished), 3)
                self.assertLess(len(finished), 90)
                (disk / "ballast").unlink()
                self.run_tpbench("--resume", disk / "out", ranks=ranks)
                records = self.assert_valid(disk / "out", cases=90)
                self.assert_summary(disk / "out")
                for id, record in finished.items():
                    self.assertEqual(without_scaling(records[id]), without_scaling(record))


if __name__ == "__main__":
    unittest.main()
