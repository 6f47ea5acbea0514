"""Machines and launches that make numbers wrong, made here for real; each must be named in the records.

Slow kernels are in kernels_test.py, several rank 0 by other launchers in exit_status_test.py, a network of two hosts
that are one in tests/fabric, a debug build in tests/unit/bench/warnings_test.cpp where that is built so.
"""

import contextlib
import os
import pathlib
import subprocess
import unittest

from harness import E2eTest

CPUS = sorted(os.sched_getaffinity(0))
CORES = len({pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text() for cpu in CPUS})


def for_each_rank(script):
    """The words before a program that have a shell run `script` first, in the rank's place."""
    return ["sh", "-c", script + '; exec "$@"', "sh"]


@contextlib.contextmanager
def cpu_quota(share):
    """A cgroup with that share of one CPU; yields the file that takes its members."""
    for top, version in ((pathlib.Path("/sys/fs/cgroup/cpu"), 1), (pathlib.Path("/sys/fs/cgroup"), 2)):
        folder = top / f"tpbench-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            period_us = 100000
            if version == 1:
                (folder / "cpu.cfs_quota_us").write_text(str(int(share * period_us)))
            else:
                (folder / "cpu.max").write_text(f"{int(share * period_us)} {period_us}")
            yield folder / "cgroup.procs"
            return
        except OSError:
            continue  # the controller is not there
        finally:
            folder.rmdir()
    raise unittest.SkipTest("no cgroup can be made here")


class Hostile(E2eTest):
    def codes(self, ranks=2, degree=2, options=(), status="ok", wrapper=(), **keys):
        """Runs one case; returns its record and, by code, its warnings."""
        keys = {"hidden_size": 512, "batch_size": 128, "tp_degree": degree} | keys
        keys["measure"] = {"warmup_steps": 2} | keys.get("measure", {})
        self.job = self.run_tpbench("--config", self.sweep(**keys), "--output", "out", *options, ranks=ranks,
                                    wrapper=wrapper)
        (record,) = self.assert_valid(self.folder / "out").values()
        self.assertEqual(record["status"], status, record["reason"])
        return record, {w["code"]: w["message"] for w in record["quality"]["warnings"]}

    def test_shared_core(self):
        if CORES < 2:
            self.skipTest("needs two cores")
        _, warnings = self.codes(wrapper=["taskset", "-c", str(CPUS[0])])
        self.assertIn("2 ranks are bound to 1 CPU(s)", warnings["shared_core"])

    def test_oversubscription(self):
        _, warnings = self.codes(ranks=CORES + 1, degree=CORES + 1, hidden_size=48 * (CORES + 1))
        self.assertIn(f"{CORES + 1} ranks on {CORES} cores", warnings["oversubscribed"])

    def test_wrong_threads(self):
        _, warnings = self.codes(degree=1, ranks=1, threads_per_rank=2, wrapper=["taskset", "-c", str(CPUS[0])])
        self.assertIn("2 BLAS threads", warnings["thread_mismatch"])

    def test_slow_rank(self):
        if CORES < 2:
            self.skipTest("needs two cores")
        pinned = for_each_rank(f'set -- taskset -c $((OMPI_COMM_WORLD_RANK == 0 ? {CPUS[0]} : {CPUS[1]})) "$@"')
        # Programs beside rank 1 that live as long as it does: of its own session and for it less politely, as the
        # kernel shares a CPU between sessions first.
        beside = for_each_rank("if [ $OMPI_COMM_WORLD_RANK = 1 ]; then rank=$$; for hog in 1 2 3; do"
                               " while kill -0 $rank; do :; done >/dev/null 2>&1 & done; set -- nice -n 5 \"$@\"; fi")
        _, warnings = self.codes(wrapper=[*pinned, *beside],
                                 measure={"min_samples": 50, "max_samples": 50, "max_seconds": 20})
        self.assertRegex(warnings["slow_rank"], r"rank 1 \(.*\) computed \d+ % longer than the other ranks did")

    def test_quota(self):
        with cpu_quota(0.1) as members:
            record, warnings = self.codes(ranks=1, degree=1, wrapper=for_each_rank(f"echo $$ > {members}"),
                                          measure={"min_samples": 200, "max_samples": 200, "max_seconds": 20})
        self.assertRegex(warnings["throttled_cpu"], r"the CPU quota of a cgroup stopped the ranks in \d+ periods?")
        self.assertEqual(record["case"]["threads_per_rank"], 1)

    def test_no_quota_no_warning(self):
        _, warnings = self.codes()
        self.assertNotIn("throttled_cpu", warnings)

    @unittest.skipUnless(os.geteuid() == 0, "needs a host name of its own")
    def test_loopback(self):
        if subprocess.run(["unshare", "-u", "true"], capture_output=True).returncode != 0:
            self.skipTest("this machine gives no host names")
        _, warnings = self.codes(wrapper=["unshare", "-u", *for_each_rank("hostname n$OMPI_COMM_WORLD_RANK")])
        self.assertIn("2 host names are one running machine", warnings["loopback"])

    def test_all_ranks_are_0(self):
        # mpirun's own ranks that cannot reach it: each is alone in its MPI_COMM_WORLD.
        cut_off = for_each_rank("for name in $(env | sed -n 's/^\\(PMIX_[A-Za-z0-9_]*\\|OMPI_MCA_[A-Za-z0-9_]*\\)=.*/\\1/p');"
                                " do unset $name; done")
        job = self.run_tpbench("--config", self.sweep(tp_degree=[1, 2]), "--output", "out", ranks=2, status=3,
                               wrapper=cut_off)
        self.assertIn("each of the 2 processes thinks it is rank 0 of 1", job.stderr)
        self.assertFalse((self.folder / "out").exists())

    def test_memory_short_for_a_case(self):
        record, _ = self.codes(ranks=1, degree=1, status="skipped", hidden_size=16384,
                               wrapper=for_each_rank("ulimit -v 1500000"))
        self.assertEqual(record["reason_code"], "memory")
        self.assertRegex(record["reason"], r"needs 1\.\d+ GB and ulimit -v 1500000 leaves it")

    def test_memory_short_for_the_library(self):
        record, _ = self.codes(ranks=1, degree=1, status="skipped",
                               wrapper=["taskset", "-c", str(CPUS[0]), *for_each_rank("ulimit -d 150000")])
        self.assertEqual(record["reason_code"], "memory")
        self.assertIn("ulimit -d 150000 leaves", record["reason"])
        self.assertIn("nothing was measured", self.job.stderr)

    def test_memory_short_for_mpi(self):
        job = self.run_tpbench("--config", self.sweep(), "--output", "out", status=3, wrapper=for_each_rank("ulimit -d 30000"))
        self.assertIn("ulimit -d 30000 leaves this process", job.stderr)


if __name__ == "__main__":
    unittest.main()
