"""Kernels of OpenBLAS that are far slower than the CPU: tpbench starts itself again with others, or says so everywhere."""

import json
import os
import pathlib
import subprocess
import unittest

from harness import TPBENCH, E2eTest, environment

PRELOAD = os.environ["TPBENCH_OPENBLAS_CHOICE"]
FLAGS = set(pathlib.Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
FASTER = ("SkylakeX" if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= FLAGS else
          "Haswell" if {"avx2", "fma"} <= FLAGS else None)
# OpenBLAS chooses so by itself, and no variable tells: a CPU that is newer than the library.
CHOOSES_SLOW = {"LD_PRELOAD": PRELOAD, "TPBENCH_TEST_OPENBLAS_CHOICE": "Prescott", "OPENBLAS_CORETYPE": None}
NAMED_BY_USER = {"OPENBLAS_CORETYPE": "Prescott"}
STARTED_AGAIN = f"tpbench started itself again with OPENBLAS_CORETYPE={FASTER}"
KEEP = "--keep-blas-kernels"


@unittest.skipUnless(FASTER, "this CPU has no vectors beyond those of the slow kernels")
class Kernels(E2eTest):
    def run_sweep(self, *options, ranks=2, out="out", **variables):
        """Returns the job, its records, and its environment.json."""
        job = self.run_tpbench("--config", self.sweep(tp_degree=[1, 2] if ranks else 1), "--output", out,
                               *options, ranks=ranks, **variables)
        records = self.assert_valid(self.folder / out)
        return job, records, json.loads((self.folder / out / "environment.json").read_text())

    def messages(self, records, code):
        """That warning of each record that has it."""
        return [w["message"] for r in records.values() for w in r["quality"]["warnings"] if w["code"] == code]

    def assert_changed(self, job, records, environment):
        self.assertEqual(job.stderr.count(STARTED_AGAIN), 1, job.stderr)
        self.assertEqual(self.messages(records, "slow_blas"), [])
        for blas in (environment["blas"], environment["hosts"][0]["blas"]):
            self.assertEqual((blas["core"], blas["chosen_core"], blas["chosen_by"]), (FASTER, "Prescott", "tpbench"))
            self.assertIn("Prescott", blas["reason"])
        # What tpbench set is nobody's choice, and not left for what it starts.
        self.assertEqual({"OPENBLAS_CORETYPE", "TPBENCH_STARTED_AGAIN"} & set(environment["variables"]), set())

    def assert_slow(self, records, environment, chosen_by, remedy):
        found = self.messages(records, "slow_blas")
        self.assertEqual(len(found), len(records))
        for message in found:
            self.assertIn(f"OPENBLAS_CORETYPE={FASTER}", message)
            self.assertIn(remedy, message)
        # A cause that is known does not keep the effect from being measured.
        self.assertEqual(len(self.messages(records, "slow_compute")), len(records))
        self.assertEqual((environment["blas"]["core"], environment["blas"]["chosen_by"]), ("Prescott", chosen_by))
        self.assertTrue(any(f"OPENBLAS_CORETYPE={FASTER}" in problem for problem in environment["problems"]))

    def test_changed_under_mpirun(self):
        self.assert_changed(*self.run_sweep(ranks=2, **CHOOSES_SLOW))

    def test_changed_alone(self):
        self.assert_changed(*self.run_sweep(ranks=None, **CHOOSES_SLOW))

    def test_changed_where_the_loader_started_it(self):
        loader = next((p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if os.path.exists(p)), None)
        if loader is None:
            self.skipTest("the loader is somewhere else")
        self.assert_changed(*self.run_sweep(ranks=2, wrapper=[loader], **CHOOSES_SLOW))

    def test_kept_when_asked(self):
        job, records, environment = self.run_sweep(KEEP, **CHOOSES_SLOW)
        self.assertNotIn("started itself again", job.stderr)
        self.assert_slow(records, environment, "openblas", "mpirun -x OPENBLAS_CORETYPE=")
        self.assertEqual(environment["blas"]["chosen_core"], "Prescott")

    def test_kept_when_the_user_named_them(self):
        job, records, environment = self.run_sweep(**NAMED_BY_USER)
        self.assertNotIn("started itself again", job.stderr)
        self.assert_slow(records, environment, "user", "unset OPENBLAS_CORETYPE")
        self.assertEqual(environment["blas"]["chosen_core"], None)
        self.assertEqual(environment["variables"]["OPENBLAS_CORETYPE"], "Prescott")

    def test_an_empty_variable_names_nothing(self):
        self.assert_changed(*self.run_sweep(**(CHOOSES_SLOW | {"OPENBLAS_CORETYPE": ""})))

    def test_no_loop_where_the_library_does_not_obey(self):
        job, records, environment = self.run_sweep(ranks=2, **CHOOSES_SLOW, TPBENCH_TEST_OPENBLAS_STUBBORN="1")
        self.assertEqual(job.stderr.count(STARTED_AGAIN), 1, job.stderr)
        self.assertEqual((environment["blas"]["core"], environment["blas"]["chosen_by"]), ("Prescott", "tpbench"))
        self.assertEqual(len(self.messages(records, "slow_blas")), len(records))

    def test_a_mark_of_another_process_is_none(self):
        # Whoever inherits it, from a tpbench that started a shell say, is not that tpbench.
        self.assert_changed(*self.run_sweep(**CHOOSES_SLOW, TPBENCH_STARTED_AGAIN="1:Nehalem"))

    @unittest.skipUnless(os.geteuid() == 0, "needs a mount of its own")
    def test_warns_without_proc(self):
        hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
        if subprocess.run([*hidden, "true"], capture_output=True).returncode != 0:
            self.skipTest("this machine allows no mounts")
        job, records, environment = self.run_sweep(ranks=None, wrapper=hidden, **CHOOSES_SLOW)
        self.assertIn("could not start itself again", job.stderr)
        self.assert_slow(records, environment, "openblas", "OPENBLAS_CORETYPE=")

    def test_hosts_that_differ(self):
        other = ["sh", "-c", 'test "$OMPI_COMM_WORLD_RANK" = 0 || export OPENBLAS_CORETYPE=Prescott; exec "$@"', "sh"]
        _, records, _ = self.run_sweep(wrapper=other)
        for record in records.values():
            codes = [w["code"] for w in record["quality"]["warnings"]]
            self.assertEqual("mixed_kernels" in codes, record["case"]["tp_degree"] == 2)
            self.assertEqual("slow_blas" in codes, record["case"]["tp_degree"] == 2)

    def test_compare_says_them_first(self):
        self.run_sweep(out="a", **NAMED_BY_USER)
        self.run_sweep(out="b", OPENBLAS_CORETYPE=None)
        found = json.loads(self.run_tpbench("compare", "a", "b", "--format", "json").stdout)["comparisons"][0]["environment"]
        self.assertTrue(found[0]["key"].endswith("/blas/core"), found[0])

    def test_info_and_selfcheck(self):
        for command in ("info", "selfcheck"):
            with self.subTest(command):
                changed = self.run_tpbench(command, **CHOOSES_SLOW)
                self.assertIn(STARTED_AGAIN, changed.stderr)
                self.assertNotIn("unfit kernels", changed.stdout)
                self.assertIn(FASTER, changed.stdout)
                for kept in (self.run_tpbench(command, KEEP, **CHOOSES_SLOW), self.run_tpbench(command, **NAMED_BY_USER)):
                    self.assertIn("Prescott", kept.stdout)
                    self.assertIn(f"OPENBLAS_CORETYPE={FASTER}", kept.stdout)
                    self.assertIn("unfit kernels", kept.stdout)

    def test_what_only_reads_does_not_start_again(self):
        sweep = self.sweep()
        self.run_tpbench("--config", sweep, "--output", "out")
        for arguments in (["--config", sweep, "--dry-run"], ["validate", sweep], ["compare", "out", "out"], ["models"],
                          ["export", "out", "--to", "csv"], ["--version"]):
            # OpenBLAS says its core whenever it is loaded.
            job = self.run_tpbench(*arguments, **CHOOSES_SLOW, OPENBLAS_VERBOSE="2")
            self.assertEqual(job.stderr.count("Core: "), 1, job.stderr)
        self.assertEqual(self.run_tpbench("info", **CHOOSES_SLOW, OPENBLAS_VERBOSE="2").stderr.count("Core: "), 2)

    def test_the_process_keeps_its_name_and_arguments(self):
        script = f'"{TPBENCH}" --config "two words.json" --output out --watchdog 77 & pid=$!; sleep 0.5; ' \
                 'cat /proc/$pid/comm; tr "\\0" "|" </proc/$pid/cmdline; wait'
        self.sweep(name="two words.json", measure={"min_samples": 200, "max_samples": 200, "max_seconds": 3, "target_ci": 1e-9},
                   hidden_size=1024, batch_size=64)
        job = subprocess.run(["sh", "-c", script], cwd=self.folder, env=environment(**CHOOSES_SLOW), capture_output=True,
                             text=True, timeout=60)
        self.assertIn(STARTED_AGAIN, job.stderr)
        self.assertTrue(job.stdout.startswith(f"tpbench\n{TPBENCH}|--config|two words.json|--output|out|--watchdog|77|"),
                        job.stdout)


if __name__ == "__main__":
    unittest.main()
