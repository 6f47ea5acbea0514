"""Tensor x pipeline parallelism: the executable on several ranks, its records and table, and a message that is lost."""

import json
import subprocess

from harness import FAULTY, SOURCE_DIR, TPBENCH, E2eTest, environment, main, read_records

BLOCK = dict(workload="block", hidden_size=64, num_heads=4, ffn_hidden_size=96, num_layers=4, batch_size=4,
             sequence_length=8)


class Pipeline(E2eTest):
    def by_split(self, records):
        return {(r["case"]["tp_degree"], r["case"]["pp_degree"], r["case"]["microbatches"], r["case"]["schedule"]): r
                for r in records.values()}

    def test_splits_of_four_ranks(self):
        self.sweep(**BLOCK, **{"pass": "forward_backward"}, tp_degree=[1, 2, 4], pp_degree=[1, 2, 4], microbatches=[2, 4],
                   schedule=["gpipe", "zb_h1"], verify="full")
        job = self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=4)
        records = self.assert_valid(self.folder / "out")
        splits = self.by_split(records)
        for (tp, pp, m, schedule), record in splits.items():
            if tp * pp > 4:
                self.assertEqual((record["status"], record["reason_code"]), ("skipped", "ranks"))
                continue
            self.assertEqual(record["status"], "ok", record["reason"])
            self.assertEqual(record["verification"]["passed"], True)
            self.assertEqual(schedule is None, pp == 1)
            if pp > 1:  # all forwards of gpipe come first: what lies between two is no microbatch's time
                self.assertEqual(record["pipeline"]["microbatch_s"] is None, schedule == "gpipe")
            self.assertEqual(record["case"]["placement"], "packed" if pp == 1 else "tp_inside")
            if pp == 1:
                self.assertIsNone(record["pipeline"])
                continue
            pipeline = record["pipeline"]
            self.assertEqual(pipeline["messages_sent"], 2 * m * (pp - 1))
            self.assertEqual(pipeline["messages_sent"], pipeline["messages_per_step"])
            self.assertEqual(pipeline["bytes_sent"], pipeline["bytes_per_step"])
            self.assertEqual(pipeline["bytes_sent"], 2 * m * (pp - 1) * 4 // m * 8 * 64 * 4)
            self.assertEqual([rank["peak"] for rank in pipeline["ranks"]],
                             [rank["predicted_peak"] for rank in pipeline["ranks"]])
            self.assertEqual(max(rank["peak"] for rank in pipeline["ranks"]), record["memory_bytes"]["peak"])
            self.assertTrue(0 < pipeline["bubble"] < 1)
            self.assertTrue(0 <= pipeline["replayed_bubble"] < 1)
            self.assertEqual(record["scaling"]["baseline_id"], splits[1, 1, m, None]["id"])
        again = self.run_tpbench("--resume", "out", ranks=4)
        self.assertIn("are finished already", again.stderr)
        self.assertEqual(read_records(self.folder / "out"), records)
        self.run_tpbench("compare", "out", "out")
        self.assert_summary(self.folder / "out")
        one = self.run_tpbench("--config", "sweep.json", "--output", "one", "--filter", "pp_degree=2", "--filter",
                               "schedule=zb_h1", "--filter", "microbatches=4", "--filter", "tp_degree=1", ranks=2)
        self.assertEqual(len(self.assert_valid(self.folder / "one")), 1, one.stdout)
        self.assertIn("Best split", job.stdout)
        self.assertIn("bubble", job.stdout)

    def test_placement_and_groups(self):
        self.sweep(**BLOCK, tp_degree=[1, 2], pp_degree=2, microbatches=2, groups="all",
                   placement=["tp_inside", "pp_inside", "spread"])
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=4)
        records = self.assert_valid(self.folder / "out", cases=5)
        kinds = {(r["case"]["tp_degree"], r["case"]["placement"]): r for r in records.values()}
        # With one rank a layer there is nothing to choose.
        self.assertEqual(set(kinds), {(1, "tp_inside"), (1, "spread"), (2, "tp_inside"), (2, "pp_inside"), (2, "spread")})
        for (tp, placement), record in kinds.items():
            if placement == "spread":
                self.assertEqual((record["status"], record["reason_code"]), ("skipped", "combination"))
                continue
            self.assertEqual(record["status"], "ok", record["reason"])
            self.assertEqual(record["ranks"]["replicas"], 4 // (2 * tp))
        self.assertEqual(kinds[2, "tp_inside"]["ranks"]["group"], [0, 1, 2, 3])
        self.assertEqual(kinds[2, "pp_inside"]["ranks"]["group"], [0, 2, 1, 3])

    def test_what_cannot_be(self):
        self.sweep(**BLOCK | dict(num_layers=6), **{"pass": "forward_backward"}, pp_degree=[2, 4], microbatches=[2, 3],
                   schedule=["1f1b", "interleaved"], cases=[
                       {"workload": "mlp", "pp_degree": 2, "microbatches": 2, "schedule": "1f1b"},
                       {"pp_degree": 2, "microbatches": 2, "schedule": "1f1b", "overlap_chunks": 2, "tp_degree": 2}])
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=2)
        reasons = {r["reason"] for r in self.assert_valid(self.folder / "out").values() if r["status"] == "skipped"}
        for words in ("num_layers 6 is not divisible by pp_degree 4; pp_degree 3 and 6 would do",
                      "batch_size 4 is not divisible by microbatches 3; microbatches 2 and 4 would do",
                      "schedule interleaved needs virtual_stages of 2 or more; with 1 it is 1f1b",
                      "workload mlp has no stages", "overlap_chunks 2 is for pp_degree 1"):
            self.assertTrue(any(words in reason for reason in reasons), (words, reasons))

    def test_model(self):
        """Embedding on the first stage, norm and head on the last: prefill, decoding and training."""
        model = BLOCK | dict(workload="model", vocab_size=100, microbatches=4)
        self.sweep(**model, pp_degree=[1, 2], verify="full", schedule="1f1b", **{"pass": ["forward", "forward_backward"]},
                   cases=[{"pass": "forward", "pp_degree": 2, "sequence_length": 1, "context_length": 16},
                          {"pass": "forward_backward", "pp_degree": 2, "schedule": "1f1b", "tie_embeddings": True},
                          {"pass": "forward", "pp_degree": 2, "tie_embeddings": True},
                          {"pass": "forward", "pp_degree": 2, "scaled_from_layers": 2}])
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=2)
        records = self.assert_valid(self.folder / "out").values()
        ran = [r for r in records if r["status"] == "ok"]
        self.assertEqual(len(ran), 7)
        for record in ran:
            self.assertEqual(record["verification"]["passed"], True)
            tokens = record["case"]["batch_size"] * record["case"]["sequence_length"]
            self.assertAlmostEqual(record["tokens_per_s"] * record["time_s"]["step"]["median"], tokens, places=6)
            if record["case"]["pp_degree"] == 2:
                self.assertEqual([rank["peak"] for rank in record["pipeline"]["ranks"]],
                                 [rank["predicted_peak"] for rank in record["pipeline"]["ranks"]])
                self.assertIsNone(record["pipeline"]["progress"])  # on one host
                self.assertEqual(record["pipeline"]["data_path"], "host")
                exchanges = record["case"]["tie_embeddings"] and record["case"]["pass"] == "forward_backward"
                self.assertEqual(record["pipeline"]["exchange_s"] is not None, exchanges, record["id"])
        reasons = "\n".join(r["reason"] for r in records if r["status"] == "skipped")
        self.assertIn("scaled_from_layers composes a step", reasons)

    def test_work_is_that_of_the_stage_whose_times_they_are(self):
        """A head that is most of a model: the last stage is the busiest, in the record and in a dry run."""
        self.sweep(**BLOCK | dict(workload="model", num_layers=2, vocab_size=8000), logits="all", microbatches=2, schedule="1f1b",
                   tp_degree=[1, 2], pp_degree=[1, 2], boundary=["whole", "scattered"], **{"pass": ["forward", "forward_backward"]})
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=4)
        records = self.assert_valid(self.folder / "out")
        self.assert_all(records, "ok")
        work = {(r["case"]["pass"], r["case"]["tp_degree"]): r["compute"]["flop_per_rank"]
                for r in records.values() if r["case"]["pp_degree"] == 1}
        for record in records.values():
            case = record["case"]
            if case["pp_degree"] == 1:
                continue
            share = record["compute"]["flop_per_rank"] / work[case["pass"], case["tp_degree"]]
            # Four ranks may share two cores, and then the first stage waits longest in its collectives.
            self.assertTrue(0.9 < share < 1 if record["pipeline"]["busiest"] == 1 else 0 < share < 0.1, (record["id"], share))
            self.assertTrue(record["pipeline"]["busiest"] == 1 or case["tp_degree"] == 2)
            if case["tp_degree"] == 1:  # nobody else has the work of either stage
                self.assertNotIn("slow_rank", [warning["code"] for warning in record["quality"]["warnings"]])
            collectives = record["communication"]["collectives"]
            for collective in collectives if case["tp_degree"] == 2 else []:
                self.assertGreater(collective["busbw_gb_per_s"], 0, (record["id"], collective))
            if case["tp_degree"] == 2 and case["boundary"] == "whole" and record["pipeline"]["busiest"] == 1:
                ops = {collective["op"] for collective in collectives}  # of logits, which the first stage has none of
                self.assertEqual("all_gather" in ops, case["pass"] == "forward")
        dry = self.run_tpbench("--config", "sweep.json", "--dry-run", "--format", "jsonl")
        for plan in map(json.loads, dry.stdout.splitlines()):
            case = plan["case"]
            if case["pp_degree"] == 2:
                self.assertGreater(plan["flop_per_rank"], 0.9 * work[case["pass"], case["tp_degree"]])

    def test_dry_run_replays_what_was_measured(self):
        training = {"pass": "forward_backward", "pp_degree": 2, "microbatches": [2, 4]}
        self.sweep(**BLOCK, **training, schedule="1f1b")
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=2)
        measured = self.by_split(self.assert_valid(self.folder / "out"))
        self.sweep(**BLOCK, **training, schedule=["gpipe", "1f1b", "zb_h1"])
        before = sorted(path.name for path in (self.folder / "out").rglob("*"))
        plan = [json.loads(line) for line in self.run_tpbench(
            "--config", "sweep.json", "--output", "out", "--dry-run", "--format", "jsonl").stdout.splitlines()]
        self.assertEqual(before, sorted(path.name for path in (self.folder / "out").rglob("*")))
        self.assertEqual(len(plan), 6)
        for line in plan:
            case = line["case"]
            if case["schedule"] == "zb_h1":  # a backward in one does not say what its parts take
                self.assertIsNone(line["replayed_step_s"])
                continue
            record = measured[1, 2, case["microbatches"], "1f1b"]
            self.assertEqual(line["replayed_from"], record["id"])
            if case["schedule"] == "1f1b":
                self.assertAlmostEqual(line["replayed_bubble"], record["pipeline"]["replayed_bubble"], delta=0.05)

    def test_dry_run_and_the_published_sweep(self):
        job = subprocess.run([TPBENCH, "--config", SOURCE_DIR / "configs" / "tp-pp.json", "--dry-run"], text=True,
                             capture_output=True, env=environment())
        self.assertEqual(job.returncode, 0, job.stderr)
        self.assertIn("mem of each stage", job.stdout)
        lines = subprocess.run([TPBENCH, "--config", SOURCE_DIR / "configs" / "tp-pp.json", "--dry-run", "--format",
                                "jsonl"], text=True, capture_output=True, env=environment()).stdout.splitlines()
        for line in map(json.loads, lines):
            stages = line["case"]["pp_degree"]
            if stages > 1 and line["skip_reason"] is None:
                self.assertEqual(len(line["stage_peaks"]), stages)
                self.assertEqual(max(line["stage_peaks"]), line["predicted_peak_bytes"])
                self.assertGreater(line["messages_per_step"], 0)

    def test_message_that_is_lost(self):
        """Verification has sent its four; the 7th goes missing in the warm-up."""
        self.sweep(**BLOCK, pp_degree=2, microbatches=4)
        job = self.start("--config", "sweep.json", "--output", "out", "--watchdog", "3", ranks=2, program=FAULTY,
                         TPBENCH_TEST_FAULT="no_message:rank=0:step=7")
        job.wait()
        self.assertNotEqual(job.status, 0)
        self.assertRegex(job.stderr, r"a message between stages has not come")
        self.assertRegex(job.stderr, r"rank 1 in receive of \S+ step \d+ on stage 1")
        (record,) = self.assert_valid(self.folder / "out").values()
        self.assertEqual((record["status"], record["reason_code"]), ("failed", "watchdog"))


if __name__ == "__main__":
    main(yields=False)
