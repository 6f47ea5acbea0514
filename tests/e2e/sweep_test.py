"""A sweep that works: what is run, what is written, what is said."""

import csv
import io
import json
import pathlib
import subprocess

from harness import MPIRUN, TPBENCH, E2eTest, environment, main, read_records

LAYERS = ["gemm", "all_reduce", "all_gather", "reduce_scatter", "column_linear", "row_linear", "mlp"]


class WholeSweep(E2eTest):
    def test_every_workload_and_axis(self):
        sweep = self.sweep(workload=LAYERS, dtype=["f32", "f64"], tp_degree=[1, 2], groups=["one", "all"],
                           placement=["packed", "spread"], combine=["all_gather", "all_reduce"],
                           activation=["gelu", "swiglu"], num_layers=2, verify="full",
                           measure={"epochs": 2, "cache": "cold", "order": "given", "max_samples": 8})
        job = self.run_tpbench("--config", sweep, "--output", "out", ranks=2, limit_s=280)
        records = self.assert_valid(self.folder / "out")
        self.assert_summary(self.folder / "out")
        self.assert_all(records, "ok")
        # 2 dtypes x 2 degrees x 2 groups x 2 placements of 7 workloads, of which 2 have one axis of two more values
        self.assertEqual(len(records), 16 * 9)
        for record in records.values():
            case = record["case"]
            self.assertEqual(record["epochs"], {"done": 2, "planned": 2})
            self.assertEqual(len(record["time_s"]["step"]["epoch_medians"]), 2)
            self.assertEqual(case["cache"], "cold")
            self.assertEqual(record["verification"]["method"], "full")
            self.assertTrue(record["verification"]["passed"])
            self.assertEqual(record["ranks"]["replicas"], 2 // case["tp_degree"] if case["groups"] == "all" else 1)
            if case["tp_degree"] == 2 and case["workload"] != "gemm":
                self.assertEqual(record["communication"]["collectives"][0]["calls_per_step"],
                                 2 if case["num_layers"] else 1)
        self.assertIn("Verdict", job.stdout)
        self.assertNotIn("Verdict", job.stderr)

    def test_degrees_beyond_the_cores(self):
        sweep = self.sweep(workload=["column_linear", "row_linear", "mlp"], tp_degree=[1, 2, 3, 4], verify="sampled",
                           hidden_size=96, batch_size=50, measure={"order": "random"})
        self.run_tpbench("--config", sweep, "--output", "out", ranks=4)
        records = self.assert_valid(self.folder / "out", cases=12)
        self.assert_summary(self.folder / "out")
        self.assert_all(records, "ok")
        for record in records.values():
            degree = record["case"]["tp_degree"]
            self.assertEqual(record["scaling"]["weights_reduction"], degree)
            self.assertEqual(record["verification"]["method"], "sampled")
            self.assertEqual(len(record["ranks"]["group"]), degree)

    def test_pages_are_those_that_were_asked_for(self):
        setting = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
        kernel = setting.read_text().split("[")[1].split("]")[0] if setting.exists() else "never"
        for library in ("openblas", "onednn"):
            # Of what ranks share by shm nothing was asked for.
            sweep = self.sweep(workload=["gemm", "mlp", "all_reduce"], library=library, hidden_size=1024, batch_size=8, tp_degree=2,
                               sequence_length=64, algorithm="shm", pages=["system", "huge"])
            self.run_tpbench("--config", sweep, "--output", library, ranks=2)
            for record in self.assert_valid(self.folder / library, cases=6).values():
                if record["status"] == "skipped":
                    continue  # a build without it
                self.assertEqual(record["status"], "ok", record["reason"])
                got, asked = record["memory_bytes"]["huge_pages"], record["case"]["pages"] == "huge"
                # Weights of 2 MiB or of 16 on a rank, and no other tensor that is not shared and that a huge page fits into.
                weights = record["memory_bytes"]["weights"]
                if record["case"]["workload"] == "all_reduce":
                    self.assertIsNone(got)
                    self.assertFalse(asked and kernel != "never" and "small_pages" in str(record["quality"]["warnings"]))
                    continue
                warned = "small_pages" in [warning["code"] for warning in record["quality"]["warnings"]]
                if kernel == "madvise" and not asked:
                    self.assertEqual(got, 0)
                if kernel == "never" and got is not None:
                    self.assertEqual(got, 0)
                    self.assertTrue(warned)
                if kernel != "never" and asked and got is not None:
                    self.assertGreaterEqual(got, 0.9 * weights)
                    self.assertFalse(warned)

    def test_alone_when_every_degree_is_1(self):
        job = self.run_tpbench("--config", self.sweep(workload=LAYERS), "--output", "out")
        self.assert_all(self.assert_valid(self.folder / "out", cases=7), "ok")
        self.assertIn("7 cases on 1 rank,", job.stderr)

    def test_default_folder_is_named_after_the_sweep(self):
        job = self.run_tpbench("run", "--config", self.sweep())
        (folder,) = (self.folder / "results").iterdir()
        self.assertRegex(folder.name, r"^sweep-\d{8}-\d{6}$")
        self.assert_valid(folder, cases=1)
        self.assertIn(f"results/{folder.name}", job.stderr)

    def test_ids_are_the_same_in_a_second_run(self):
        first = self.sweep(workload=LAYERS, tp_degree=[1, 2], batch_size=[2, 3])
        text = json.loads(first.read_text())
        other_way_round = {key: value[::-1] if isinstance(value, list) else value for key, value in text.items()}
        second = self.folder / "second.json"
        second.write_text(json.dumps(other_way_round | {"name": "other", "seed": text.get("seed", 1)}))
        self.run_tpbench("--config", first, "--output", "a", ranks=2)
        self.run_tpbench("--config", second, "--output", "b", ranks=2)
        a, b = self.assert_valid(self.folder / "a", cases=28), self.assert_valid(self.folder / "b", cases=28)
        self.assertEqual(sorted(a), sorted(b))
        for id, record in a.items():
            self.assertEqual(record["case"], b[id]["case"])


class Output(E2eTest):
    def test_formats(self):
        sweep = self.sweep(workload=["row_linear", "mlp"], tp_degree=[1, 2, 5])
        jobs = {}
        for format in ("table", "csv", "jsonl", "none"):
            jobs[format] = self.run_tpbench("--config", sweep, "--output", format, "--format", format, ranks=2)
            self.assert_valid(self.folder / format, cases=6)
        for line in ("Warnings", "Verdict", "skipped: "):
            self.assertIn(line, jobs["table"].stdout)
        self.assertEqual(jobs["csv"].stdout, (self.folder / "csv" / "summary.csv").read_text())
        self.assertEqual(len(list(csv.DictReader(io.StringIO(jobs["csv"].stdout)))), 6)
        records = {r["id"]: r for r in map(json.loads, jobs["jsonl"].stdout.splitlines())}
        self.assertEqual(records, read_records(self.folder / "jsonl"))
        self.assertEqual(jobs["none"].stdout, "")
        for job in jobs.values():
            self.assertNotIn("case 1 of", job.stdout)
            # Two of the six are skipped: they are none of what is left to run.
            self.assertIn("case 1 of 4", job.stderr)
            self.assertIn("case 4 of 4", job.stderr)
            self.assertEqual(job.stderr.count("-tp5-"), job.stderr.count(": skipped: "))

    def test_what_fails_is_not_counted_in_later_epochs(self):
        sweep = self.sweep(workload=["row_linear", "mlp"], tp_degree=[1, 5], measure={"epochs": 3})
        job = self.run_tpbench("--config", sweep, "--output", "out", ranks=2)
        # Four of the cases do not run on two ranks.
        for epoch in (1, 2, 3):
            self.assertIn(f"epoch {epoch} of 3, case 2 of 2", job.stderr)
        self.assertNotIn("case 3 of", job.stderr)

    def test_standard_input(self):
        sweep = self.sweep(workload="row_linear", tp_degree=1)
        for arguments in (["--config", "-", "--dry-run"], ["validate", "-"]):
            with self.subTest(arguments), open(sweep) as text:
                done = subprocess.run([TPBENCH, *arguments], stdin=text, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        wrong = subprocess.run([TPBENCH, "--config", "-", "--dry-run"], input="{\n\"hidden_size\": -1}",
                               capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("standard input:2: /hidden_size: -1", wrong.stderr)
        sweep = pathlib.Path(sweep).read_text()
        done = subprocess.run([MPIRUN, "--oversubscribe", "-n", "2", TPBENCH, "--config", "-", "--output", "out"],
                              input=sweep, capture_output=True, text=True, env=environment(), cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_valid(self.folder / "out", cases=1)

    def test_quiet_says_nothing(self):
        job = self.run_tpbench("--config", self.sweep(tp_degree=[1, 2]), "--output", "out", "--quiet", ranks=2)
        self.assertEqual(job.stderr, "")
        self.assertIn("row_linear", self.run_tpbench("--config", self.sweep(), "-q").stdout)

    def test_verbose_says_where_the_time_went(self):
        job = self.run_tpbench("--config", self.sweep(), "--verbose")
        self.assertRegex(job.stderr, r"\d+ % of .* went into verification, warm-up and sampling")

    def test_dry_run_knows_what_can_never_run(self):
        sweep = self.sweep(workload="row_linear", tp_degree=2)
        for arguments, words in ((("dtype=tf32",), "backend cpu does not compute in dtype tf32"),
                                 (("dtype=bf16",), "library openblas does not multiply matrices in bf16"),
                                 (("weight_layout=packed",), "library openblas multiplies weights as they lie"),
                                 (("algorithm=nccl",), "algorithm nccl works on GPU memory"),
                                 (("backend=cuda", "algorithm=shm"), "algorithm shm works in host memory")):
            with self.subTest(words):
                settings = [word for each in arguments for word in ("--set", each)]
                plan = self.run_tpbench("--config", sweep, "--dry-run", *settings).stdout
                self.assertIn("skipped: ", plan)
                self.assertIn(words, " ".join(plan.split()))
                self.assertIn("nothing would run", plan)
        for settings in (["backend=cuda", "algorithm=nccl"], ["backend=cuda", "dtype=bf16"], ["algorithm=hierarchical"]):
            settings = [word for each in settings for word in ("--set", each)]
            self.assertNotIn("skipped", self.run_tpbench("--config", sweep, "--dry-run", *settings).stdout)

    def test_dry_run_runs_nothing(self):
        sweep = self.sweep(workload=["row_linear", "mlp"], tp_degree=[1, 2, 7])
        alone = self.run_tpbench("--config", sweep, "--dry-run")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["sweep.json"])
        for id in ("row_linear-h48-b3-s1-tp1-", "mlp-h48-b3-s1-tp7-"):
            self.assertIn(id, alone.stdout)
        under_mpirun = self.run_tpbench("--config", sweep, "--dry-run", ranks=2)
        self.assertEqual(under_mpirun.stdout, alone.stdout)


class Options(E2eTest):
    def run_one(self, *arguments, ranks=None, **keys):
        self.run_tpbench("--config", self.sweep(**keys), "--output", "out", *arguments, ranks=ranks)
        return list(self.assert_valid(self.folder / "out").values())

    def test_filter(self):
        records = self.run_one("--filter", "tp_degree=1,3", "--filter", "workload=mlp", ranks=3, tp_degree=[1, 2, 3],
                               workload=["mlp", "gemm"])
        self.assertEqual(sorted((r["case"]["workload"], r["case"]["tp_degree"]) for r in records),
                         [("mlp", 1), ("mlp", 3)])

    def test_set(self):
        (record,) = self.run_one("--set", "hidden_size=64", "--set", "measure.max_samples=9", "--set",
                                 "measure.min_samples=9", "--set", "dtype=f64")
        self.assertEqual((record["case"]["hidden_size"], record["case"]["dtype"]), (64, "f64"))
        self.assertEqual(record["time_s"]["step"]["samples"], 9)
        resolved = json.loads((self.folder / "out" / "sweep.json").read_text())
        self.assertEqual(resolved["measure"]["max_samples"], 9)

    def test_seed_backend_label_and_no_verify(self):
        (record,) = self.run_one("--seed", "42", "--backend", "cpu", "--label", "eth, \"1g\"", "--no-verify")
        self.assertEqual(record["case"]["seed"], 42)
        self.assertEqual(record["case"]["backend"], "cpu")
        self.assertEqual(record["label"], "eth, \"1g\"")
        self.assertEqual(record["verification"]["method"], "none")
        self.assertIsNone(record["verification"]["passed"])
        environment = json.loads((self.folder / "out" / "environment.json").read_text())
        self.assertEqual(environment["label"], "eth, \"1g\"")

    def test_seed_changes_the_id(self):
        (one,) = self.run_one("--seed", "1")
        self.run_tpbench("--config", self.folder / "sweep.json", "--output", "other", "--seed", "2")
        (two,) = self.assert_valid(self.folder / "other").values()
        self.assertNotEqual(one["id"], two["id"])

    def test_threads_are_those_asked_for(self):
        (record,) = self.run_one("--set", "threads_per_rank=1")
        self.assertEqual(record["case"]["threads_per_rank"], 1)


if __name__ == "__main__":
    main()
