"""scripts/alternate.sh: two commands in turn, what it leaves, how it goes on, what it refuses."""

import json
import os
import subprocess
import unittest

from harness import FAULTY, SOURCE_DIR, TPBENCH, E2eTest, environment

SCRIPT = SOURCE_DIR / "scripts" / "alternate.sh"


class Alternate(E2eTest):
    def setUp(self):
        super().setUp()
        self.config = self.sweep(workload=["gemm", "row_linear"], tp_degree=1, measure={"max_samples": 8})
        self.plain = f"{TPBENCH} --config {self.config} --format none --set seed=1"
        self.slow = f"TPBENCH_TEST_FAULT=slow:ms=5 {FAULTY} --config {self.config} --format none"

    def alternate(self, *arguments, status=0):
        job = subprocess.run([SCRIPT, "--tpbench", TPBENCH, *map(str, arguments)], cwd=self.folder, env=environment(),
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110)
        self.assertEqual(job.returncode, status, job.stderr)
        return job

    def launches(self, root="root"):
        text = (self.folder / root / "launches.tsv").read_text()
        return [tuple(line.split("\t")[:2]) for line in text.splitlines()]

    def test_runs_in_turn_and_compares(self):
        job = self.alternate("--root", "root", "--rounds", 3, "--format", "json", self.plain, self.slow)
        self.assertEqual(self.launches(), [("1", "a"), ("1", "b"), ("2", "b"), ("2", "a"), ("3", "b"), ("3", "a")])
        comparison = json.loads(job.stdout)["comparisons"][0]
        self.assertEqual((comparison["rounds"], comparison["design"]), (3, "alternated"))
        self.assertEqual(comparison["base"]["launches"], ["root/a/01", "root/a/02", "root/a/03"])
        # Five milliseconds in a step of microseconds.
        self.assertEqual(comparison["summary"]["step"]["slower"], 2)
        self.assertIsNotNone(comparison["machine"])
        # What was run is not run again; more rounds are added.
        before = (self.folder / "root/a/01/run.json").stat().st_mtime_ns
        self.alternate("--root", "root", "--rounds", 4, self.plain, self.slow)
        self.assertEqual(self.launches()[6:], [("4", "a"), ("4", "b")])
        self.assertEqual((self.folder / "root/a/01/run.json").stat().st_mtime_ns, before)
        job = self.alternate("--root", "root", "--rounds", 4, self.plain, self.plain, status=2)
        self.assertIn("holds launches of other commands", job.stderr)

    def test_a_round_that_was_cut_short_is_measured_anew(self):
        broken = self.folder / "broken"
        breaks = f"test ! -e {broken} && {self.plain} --output {{}}"
        self.alternate("--root", "root", "--rounds", 1, breaks, self.slow)
        broken.touch()
        job = self.alternate("--root", "root", "--rounds", 3, "--format", "csv", breaks, self.slow, status=3)
        self.assertIn("launch a of round 2 left no records", job.stderr)
        self.assertEqual(self.launches()[2:], [("2", "b")])
        broken.unlink()
        self.alternate("--root", "root", "--rounds", 2, breaks, self.slow)
        self.assertEqual(self.launches()[2:], [("2", "b"), ("2", "a")])

    def test_stops_when_intervals_are_narrow_or_the_time_is_over(self):
        job = self.alternate("--root", "narrow", "--rounds", 6, "--until", "1000%", self.plain, self.plain)
        self.assertIn("every interval is within +-1000% after 3 rounds", job.stderr)
        job = self.alternate("--root", "time", "--rounds", 500, "--time", "2s", self.plain, self.plain)
        self.assertIn("the time is over after", job.stderr)
        self.assertLess(len(self.launches("time")), 100)

    def test_dry_run_runs_nothing(self):
        job = self.alternate("--root", "a b", "--rounds", 2, "--dry-run", self.plain, "run {} here")
        lines = job.stdout.splitlines()
        self.assertEqual(lines[0], self.plain + r" --output a\ b/a/01")
        self.assertEqual(lines[1:3], [r"run a\ b/b/01 here", r"run a\ b/b/02 here"])
        self.assertFalse((self.folder / "a b").exists())

    def test_refuses_what_it_cannot_mean(self):
        for words, arguments in [
            ("takes two commands", ["--root", "r", self.plain]),
            ("--root DIR: is missing", [self.plain, self.plain]),
            ("--rounds 0: must be", ["--root", "r", "--rounds", "0", self.plain, self.plain]),
            ("--time 5: must be", ["--root", "r", "--time", "5", self.plain, self.plain]),
            ("--until wide: must be", ["--root", "r", "--until", "wide", self.plain, self.plain]),
            ("--format xml", ["--root", "r", "--format", "xml", self.plain, self.plain]),
            ("write --output {}", ["--root", "r", self.plain + " --output here", self.plain]),
            ("--turns: is not an option", ["--root", "r", "--turns", self.plain, self.plain]),
            ("needs a value", [self.plain, self.plain, "--root"]),
        ]:
            with self.subTest(words):
                self.assertIn(words, self.alternate(*arguments, status=2).stderr)


@unittest.skipUnless(os.access(SCRIPT, os.X_OK), "no script")
class CompareLaunches(E2eTest):
    def test_command_line(self):
        for words, arguments in [("--base DIR... and --with DIR... together", ["--base", "a"]),
                                 ("cannot be combined with --base and --with", ["c", "--base", "a", "--with", "b"]),
                                 ("--fail-wider", ["a", "b", "--fail-wider", "5"])]:
            with self.subTest(words):
                self.assertIn(words, self.run_tpbench("compare", *arguments, status=2).stderr)


if __name__ == "__main__":
    unittest.main()
