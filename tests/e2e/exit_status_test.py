"""What the shell learns: 2 for what the user typed, 3 for what the machine cannot do, and each thing said once."""

import json
import os
import pathlib
import pty
import shutil
import subprocess
import unittest

from harness import FAULTY, SOURCE_DIR, TPBENCH, E2eTest, environment, main, read_records


class BadUsage(E2eTest):
    def assert_refused(self, words, *arguments):
        """Alone and under mpirun: status 2, the message once, nothing on stdout, nothing written."""
        before = sorted(self.folder.rglob("*"))
        for ranks in (None, 3):
            job = self.run_tpbench(*arguments, ranks=ranks, status=2)
            self.assertEqual(job.stderr.count(words), 1, job.stderr)
            self.assertEqual(job.stdout, "")
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_command_line(self):
        sweep = self.sweep(tp_degree=[1, 2])
        (self.folder / "empty").mkdir()
        for words, arguments in [
            ("--bogus", ["--config", sweep, "--bogus"]),
            ("--config FILE", []),
            ("--format", ["--config", sweep, "--format", "xml"]),
            ("--watchdog", ["--config", sweep, "--watchdog", "0"]),
            ("--resume", ["--config", sweep, "--output", "x", "--resume", "y"]),
            ("cannot be opened", ["--config", "nowhere.json"]),
            ("there is no sweep.json", ["--config", sweep, "--set", "tp_degree=1", "--resume", "empty"]),
        ]:
            with self.subTest(words):
                self.assert_refused(words, *arguments)

    def test_sweep_file(self):
        sweep = self.sweep(tp_degre=2)
        line = next(i for i, text in enumerate(sweep.read_text().splitlines(), 1) if "tp_degre" in text)
        self.assert_refused(f'sweep.json:{line}: /tp_degre: 2: is not a key of a sweep (did you mean "tp_degree"?)',
                            "--config", sweep, "--output", "out")

    def test_overrides_and_filters(self):
        sweep = self.sweep(tp_degree=[1, 2])
        self.assert_refused("--set dtype=f8: /dtype: ", "--config", sweep, "--set", "dtype=f8")
        self.assert_refused("must be cpu or cuda", "--config", sweep, "--backend", "gpu")
        self.assert_refused("--filter", "--config", sweep, "--filter", "tp_degree=9")

    def test_all_faults_are_named(self):
        sweep = self.sweep(hidden_size=-1, tp_degree=[0, 2], dtype="f33")
        job = self.run_tpbench("validate", sweep, status=2)
        for pointer in ("/hidden_size", "/tp_degree/0", "/dtype"):
            self.assertIn(f": {pointer}: ", job.stderr)

    def test_folder_that_has_results(self):
        sweep = self.sweep(tp_degree=[1, 2])
        self.run_tpbench("--config", sweep, "--output", "out", ranks=2)
        before = {path: path.read_bytes() for path in (self.folder / "out").rglob("*.json")}
        job = self.run_tpbench("--config", sweep, "--output", "out", ranks=2, status=2)
        self.assertEqual(job.stderr.count("out already holds results; use --resume out"), 1, job.stderr)
        self.assertEqual({path: path.read_bytes() for path in (self.folder / "out").rglob("*.json")}, before)

    def test_folder_that_holds_something_else(self):
        sweep = self.sweep()
        for name in ("thesis.tex", "b", "c", "d"):
            (self.folder / "home").mkdir(exist_ok=True)
            (self.folder / "home" / name).write_text("")
        self.assert_refused("--output home: the folder holds something else (b, c, d and 1 more)", "--config", sweep,
                            "--output", "home")
        (self.folder / "new").mkdir()
        self.run_tpbench("--config", sweep, "--output", "new")

    def test_two_in_one_second(self):
        sweep = self.sweep(measure={"max_seconds": 0.01})
        jobs = [self.start("--config", sweep) for _ in range(4)]
        for job in jobs:
            self.assertEqual(job.wait().status, 0, job.stderr)
        self.assertEqual(len(list((self.folder / "results").iterdir())), 4)

    def test_validate_speaks_once(self):
        job = self.run_tpbench("validate", self.sweep(tp_degree=[1, 4]), ranks=3)
        self.assertEqual(job.stdout.count("valid, 2 cases, up to 4 ranks"), 1)

    def test_models_need_no_launch_and_speak_once(self):
        for ranks in (None, 3):
            self.assertEqual(self.run_tpbench("models", ranks=ranks).stdout.count("llama3-8b  "), 1)
        self.assertIn("llama3-8b", [model["model"] for model in json.loads(self.run_tpbench("models", "--json").stdout)])


class Quickstart(E2eTest):
    def test_arguments_are_checked_before_anything_is_done(self):
        scripts = self.folder / "scripts"
        scripts.mkdir()
        for name in ("quickstart.sh", "common.sh"):
            shutil.copy(SOURCE_DIR / "scripts" / name, scripts)
        (scripts / "install-dependencies.sh").write_text("#!/bin/sh\nexit 9\n")
        (scripts / "install-dependencies.sh").chmod(0o700)
        for ranks, status in (("abc", 2), ("0", 2), ("-2", 2), ("2x", 2), ("2", 9)):
            ended = subprocess.run([scripts / "quickstart.sh", "--ranks", ranks], capture_output=True, text=True, timeout=60)
            self.assertEqual(ended.returncode, status, ended.stderr)
            self.assertEqual(f"--ranks {ranks}: must be a whole number" in ended.stderr, status == 2)


class Colours(E2eTest):
    def on_a_terminal(self, **variables):
        """What stands on stderr when that is a terminal."""
        ours, theirs = pty.openpty()
        try:
            subprocess.run([TPBENCH, "--config", "nowhere.json"], stderr=theirs,
                           env=environment(TERM="xterm", COLORTERM=None, **variables))
            return os.read(ours, 4096).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    def test_no_color(self):
        self.assertIn("\x1b[", self.on_a_terminal(NO_COLOR=None))
        self.assertIn("\x1b[", self.on_a_terminal(NO_COLOR=""))
        self.assertNotIn("\x1b[", self.on_a_terminal(NO_COLOR="1"))


class Help(E2eTest):
    def test_help_and_version_come_once_on_stdout(self):
        for option, words in (("--help", "Exit status: 0"), ("--version", "tpbench 0")):
            for ranks in (None, 2):
                job = self.run_tpbench(option, ranks=ranks)
                self.assertEqual(job.stdout.count(words), 1)
                self.assertEqual(job.stderr, "")


class Environment(E2eTest):
    def assert_cannot(self, words, *arguments, ranks=None, **options):
        job = self.run_tpbench(*arguments, ranks=ranks, status=3, **options)
        self.assertEqual(job.stderr.count(words), 1, job.stderr)
        self.assertEqual(job.stdout, "")
        return job

    def test_alone_where_ranks_are_needed(self):
        sweep = self.sweep(name="two words.json", tp_degree=[1, 3])
        job = self.assert_cannot("this process was started alone; type: mpirun -n 3 ", "--config", sweep, "--output",
                                 "out", "--set", "hidden_size=[48,96]")
        self.assertFalse((self.folder / "out").exists())
        # The command to type is one that works.
        command = job.stderr.split("type: ")[1].strip()
        self.assertIn(f"--config '{sweep}' --output out --set 'hidden_size=[48,96]'", command)
        again = self.run_tpbench("-c", command.replace("mpirun ", "mpirun --oversubscribe ", 1), program="sh")
        self.assertIn("Verdict", again.stdout)
        self.assert_valid(self.folder / "out", cases=4)

    def test_several_processes_that_each_are_rank_0_of_1(self):
        launchers = {
            "mpiexec.hydra": ("each of the 2 processes thinks it is rank 0 of 1", "mpirun",
                              {"PMI_RANK": "{}", "PMI_SIZE": "2"}),
            "srun": ("srun did not offer PMIx", "srun --mpi=pmix -n 2",
                     {"SLURM_STEP_ID": "0", "SLURM_PROCID": "{}", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "{}"}),
        }
        sweep = self.sweep(tp_degree=[1, 2])
        for launcher, (words, remedy, variables) in launchers.items():
            with self.subTest(launcher):
                first = self.assert_cannot(words, "--config", sweep,
                                           **{key: value.format(0) for key, value in variables.items()})
                self.assertIn(remedy, first.stderr)
                second = self.run_tpbench("--config", sweep, status=3,
                                          **{key: value.format(1) for key, value in variables.items()})
                self.assertEqual(second.stderr, "")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["sweep.json"])

    def test_output_below_a_file(self):
        sweep = self.sweep(tp_degree=[1, 2])
        self.assert_cannot("sweep.json/out: cannot create the folder", "--config", sweep, "--output",
                           self.folder / "sweep.json" / "out", ranks=2)

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_output_that_may_not_be_written(self):
        (self.folder / "closed").mkdir(mode=0o500)
        self.assert_cannot("Permission denied", "--config", self.sweep(), "--output", "closed/out")

    @unittest.skipUnless(pathlib.Path("/dev/full").exists(), "needs /dev/full")
    def test_table_that_cannot_be_printed(self):
        for ranks in (None, 2):
            with open("/dev/full", "w") as full:
                job = self.run_tpbench("--config", self.sweep(), "--output", f"out{ranks}", ranks=ranks, stdout=full,
                                       status=3 if ranks is None else None)
            # mpirun reads the ranks' stdout itself: only alone can the program know.
            if ranks is None:
                self.assertIn("stdout: cannot write the results: No space left on device; they are in out", job.stderr)
            self.assert_valid(self.folder / f"out{ranks}", cases=1)

    @unittest.skipUnless(pathlib.Path("/dev/full").exists(), "needs /dev/full")
    def test_selfcheck_that_cannot_be_printed(self):
        for options in ([], ["--json"]):
            with open("/dev/full", "w") as full:
                job = self.run_tpbench("selfcheck", *options, stdout=full, status=3)
            self.assertIn("stdout: cannot write the results: No space left on device", job.stderr)


class Failed(E2eTest):
    def test_a_failed_case_is_1(self):
        sweep = self.sweep(workload=["row_linear", "gemm"], tp_degree=[1, 2], measure={"order": "given"})
        job = self.run_tpbench("--config", sweep, "--output", "out", ranks=2, status=1, program=FAULTY,
                               TPBENCH_TEST_FAULT="wrong_weight:rank=0:case=2")
        self.assertIn("failed: ", job.stdout)
        failed = next(id for id, r in read_records(self.folder / "out").items() if r["status"] == "failed")
        self.assertEqual(job.stderr.count(f"error: 1 of 4 cases failed: {failed}: "), 1, job.stderr)
        quiet = self.run_tpbench("--config", sweep, "--output", "quiet", "-q", "--format", "none", ranks=2, status=1,
                                 program=FAULTY, TPBENCH_TEST_FAULT="wrong_weight:rank=0:case=2")
        self.assertIn(f"error: 1 of 4 cases failed: {failed}: ", quiet.stderr)
        self.assertEqual(sorted(r["status"] for r in self.assert_valid(self.folder / "out", cases=4).values()),
                         ["failed", "ok", "ok", "ok"])


if __name__ == "__main__":
    main()
