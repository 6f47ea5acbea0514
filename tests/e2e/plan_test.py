"""tpbench plan: all ways to split a whole model over ranks, from what was measured or described; no MPI."""

import csv
import io
import json

from harness import SOURCE_DIR, E2eTest, main

DESCRIPTIONS = SOURCE_DIR / "docs" / "calibrations"
SELENE = DESCRIPTIONS / "a100-80gb-selene.json"
GPT = {"model_type": "gpt2", "vocab_size": 51200, "n_positions": 2048, "activation_function": "gelu"}


class Plan(E2eTest):
    def plan(self, *arguments, status=0, calibration=SELENE):
        return self.run_tpbench("plan", calibration, *arguments, status=status)

    def document(self, *arguments, **options):
        return json.loads(self.plan(*arguments, "--format", "json", **options).stdout)

    def test_answers_in_words_first(self):
        job = self.plan("--model", "llama3-70b", "--ranks", 16, "--memory-per-rank", "80GB")
        self.assertRegex(job.stdout, r"\ATP \d+.* per token \(.* to .*\), composed from the description of a machine")
        self.assertIn("its collectives cross hosts", " ".join(job.stdout.split()))
        self.assertIn("Measure next: ", job.stdout)
        self.assertEqual(job.stderr, "")

    def test_a_plan_of_what_was_measured(self):
        sweep = self.sweep(workload="block", **{"pass": ["forward", "forward_backward"]}, hidden_size=[64, 96], num_heads=4,
                           batch_size=[2, 8], sequence_length=[8, 16], tp_degree=[1, 2], pages="huge")
        self.run_tpbench("--config", sweep, "--output", "out", "--quiet", "--format", "none", ranks=2)
        (self.folder / "config.json").write_text(json.dumps(GPT | {"n_embd": 96, "n_head": 4, "n_layer": 4, "vocab_size": 100}))
        for more in ([], ["--training"]):
            plan = self.document("--model", "config.json", "--ranks", 2, "--batch", 8, "--sequence", 16,
                                 "--write-sweep", "next.json", *more, calibration="out")
            self.assertEqual(plan["measured_cases"], 32)
            self.assertTrue(plan["splits"][0]["fits"])
            self.assertIn("composed from 32 measured cases", plan["answer"][0])
            self.run_tpbench("validate", "next.json")
            self.assertEqual(json.loads((self.folder / "next.json").read_text())["pages"], "huge")
            dry = self.run_tpbench("--config", "next.json", "--dry-run", "--format", "jsonl")
            for line in dry.stdout.splitlines():
                self.assertIsNone(json.loads(line)["skip_reason"], line)

    def test_published_training_times(self):
        # arXiv 2205.05198, table 5: h, heads, layers, stages, v, batch, microbatch, seconds.
        for width, heads, layers, pp, v, batch, size, full, selective in (
                (6144, 64, 48, 1, 1, 4, 4, 1.42, 1.10), (12288, 96, 96, 8, 3, 64, 1, 18.13, 13.75)):
            (self.folder / "config.json").write_text(json.dumps(GPT | {"n_embd": width, "n_head": heads, "n_layer": layers}))
            common = ["--model", "config.json", "--ranks", 8 * pp, "--training", "--batch", batch, "--sequence", 2048]
            for more, seconds in ((["--recompute", "full"], full),
                                  (["--recompute", "selective", "--sequence-parallel"], selective)):
                splits = self.document(*common, *more)["splits"]
                found = [s for s in splits if (s["tp_degree"], s["pp_degree"], s["virtual_stages"], s["microbatch_size"]) ==
                         (8, pp, v, size) and s["placement"] != "pp_inside" and s["schedule"] in (None, "interleaved")]
                self.assertEqual(len(found), 1)
                self.assertAlmostEqual(found[0]["step_s"] / seconds, 1, delta=0.05)

    def test_formats_carry_the_same(self):
        question = ["--model", "llama3-8b", "--ranks", 8, "--goal", "throughput", "--batch", 16, "--memory-per-rank", "9GB"]
        plan = self.document(*question)
        rows = list(csv.DictReader(io.StringIO(self.plan(*question, "--format", "csv").stdout)))
        lines = [json.loads(line) for line in self.plan(*question, "--format", "jsonl").stdout.splitlines()]
        self.assertEqual(len(rows), len(plan["splits"]))
        self.assertEqual(len(lines), len(plan["splits"]))
        self.assertEqual(list(rows[0]), list(plan["splits"][0]))
        for row, split in zip(rows, plan["splits"]):
            self.assertEqual(int(row["memory_bytes"]), split["memory_bytes"])
        rates = [split["tokens_per_s"] for split in plan["splits"] if split["fits"]]
        self.assertEqual(rates, sorted(rates, reverse=True))
        for split in plan["splits"]:
            self.assertEqual(split["fits"], split["memory_bytes"] <= 9e9)
            parts = sum(split[f"{name}_bytes"] for name in ("weights", "gradients", "optimizer", "kv_cache", "activations",
                                                            "buffers"))
            self.assertEqual(parts, split["memory_bytes"])
        markdown = self.plan(*question, "--format", "markdown").stdout
        self.assertIn("| TP | PP |", markdown)
        self.assertIn("too large", markdown.lower())
        self.assertEqual(self.plan(*question, "--format", "none").stdout, "")

    def test_what_nothing_fits_in(self):
        job = self.plan("--model", "llama3-405b", "--ranks", 8, "--memory-per-rank", "24GB", "--write-sweep", "next.json")
        self.assertRegex(" ".join(job.stdout.split()), r"\ANothing fits in 24.0 GB per rank: TP \d+.* too much\.")
        self.assertFalse((self.folder / "next.json").exists())

    def test_what_is_wrong_is_said(self):
        usual = ["--model", "llama3-8b", "--ranks", "8"]
        (self.folder / "broken.json").write_text('{"schema": "tpbench.calibration/1", "sources": 3}')
        (self.folder / "config.json").write_text('{"model_type": "mixtral"}')
        for arguments, words in (
                (["--model", "llama3-8b"], "--ranks is required"),
                (["--ranks", "8"], "--model is required"),
                (["--model", "llama3-8", "--ranks", "8"], "--model llama3-8: is not a preset (did you mean"),
                (["--model", "config.json", "--ranks", "8"], "config.json"),
                (["--model", "nowhere.json", "--ranks", "8"], "nowhere.json"),
                (["--model", "llama3-8b", "--ranks", "0"], "--ranks: 0: must be a whole number from 1 to"),
                (["--model", "llama3-8b", "--ranks", "8.5"], "--ranks: 8.5: must be a whole number"),
                ([*usual, "--memory-per-rank", "24"], None),
                ([*usual, "--memory-per-rank", "-1"], "--memory-per-rank: -1: must be a whole number of bytes above 0"),
                ([*usual, "--memory-per-rank", "lots"], "--memory-per-rank: lots: must be"),
                ([*usual, "--goal", "fun"], "--goal: fun: must be latency or throughput"),
                ([*usual, "--recompute", "full"], "--recompute: full: is for --training"),
                ([*usual, "--training"], "--batch"),
                ([*usual, "--training", "--batch", "8", "--goal", "latency"], "--goal: latency: is for inference"),
                ([*usual, "--training", "--batch", "8", "--context", "9"], "--context: 9: is for inference"),
                ([*usual, "--context", "9"], "--context: 9: must be at least --sequence 2048"),
                ([*usual, "--batch", "1000000", "--sequence", "1000000"], "--sequence: 1000000: times --batch 1000000"),
                ([*usual, "--dtype", "f32"], "f32"),
                ([*usual, "--dtype", "f128"], "--dtype: f128: must be"),
                ([*usual, "--algorithm", "mpi"], "--algorithm mpi: was not measured; measured was nccl"),
                ([*usual, "--format", "xml"], "--format: xml: must be"),
                ([*usual, "--write-sweep", "."], "--write-sweep .: is a folder; name a file")):
            with self.subTest(arguments):
                job = self.plan(*arguments, status=0 if words is None else 2)
                if words is not None:
                    self.assertIn(words, job.stderr)
                    self.assertEqual(job.stdout, "")
        for path, words in (("broken.json", "/sources"), ("missing", "missing"), (SOURCE_DIR / "configs", "configs")):
            job = self.plan(*usual, status=2, calibration=path)
            self.assertIn(words, job.stderr)

    def test_the_dry_run_marks_what_fits(self):
        sweep = self.sweep(workload="mlp", hidden_size=[64, 1024], tp_degree=1)
        job = self.run_tpbench("--config", sweep, "--dry-run", "--memory-per-rank", "2MB")
        self.assertRegex(job.stdout, r" yes\b")
        self.assertRegex(job.stdout, r"MB over")
        self.assertIn("1 of 2 cases does not fit in 2.00 MB per rank", job.stdout)
        # A dtype that the backend lacks: what it would hold is shown all the same.
        job = self.run_tpbench("--config", sweep, "--dry-run", "--memory-per-rank", "2MB", "--set", "dtype=bf16")
        self.assertIn("dtype=bf16", job.stdout)
        self.assertRegex(job.stdout, r"MB over +skipped: |MB over\s+skipped: ")
        job = self.run_tpbench("--config", sweep, "--memory-per-rank", "2MB", status=2)
        self.assertIn("--dry-run", job.stderr)


if __name__ == "__main__":
    main()
