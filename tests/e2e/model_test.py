"""Whole models and their ends: a vocabulary split over ranks, and a model that is composed from a few layers."""

import json
import pathlib

from harness import E2eTest, main

SHAPE = {"hidden_size": 48, "num_heads": 8, "num_kv_heads": 4, "vocab_size": 29, "batch_size": 2, "sequence_length": 6,
         "activation": "swiglu"}
CORPUS = pathlib.Path(__file__).resolve().parent.parent / "corpus" / "models"


class Models(E2eTest):
    def run_valid(self, sweep, cases, ranks=2, **more):
        self.run_tpbench("--config", sweep, "--output", "out", ranks=ranks, **more)
        records = self.assert_valid(self.folder / "out", cases=cases)
        self.assert_summary(self.folder / "out")
        return records

    def test_every_form_on_every_algorithm(self):
        sweep = self.sweep(workload=["embedding", "lm_head", "model"], **SHAPE, num_layers=2, tp_degree=[1, 2],
                           algorithm=["mpi", "shm"], sequence_parallel=[False, True], logits=["last", "all"],
                           tie_embeddings=[False, True], **{"pass": ["forward", "forward_backward"]})
        # Training has one kind of logits, and weights are tied in a model alone.
        records = self.run_valid(sweep, cases=2 * 2 * 2 * (2 + (2 + 1) + 2 * (2 + 1)))
        self.assert_all(records, "ok")
        for record in records.values():
            case, memory = record["case"], record["memory_bytes"]
            self.assertEqual(memory["peak"], memory["predicted_peak"], record["id"])
            self.assertEqual(record["verification"]["method"], "full")
            self.assertEqual(record["padded_vocabulary"], 29 if case["tp_degree"] == 1 else 30)
            self.assertIsNone(record["composed"])
            rate = 12 / record["time_s"]["step"]["median"] if case["workload"] == "model" else None
            if rate is None:
                self.assertIsNone(record["tokens_per_s"])
            else:
                self.assertAlmostEqual(record["tokens_per_s"] / rate, 1, delta=1e-9)
            if case["tp_degree"] == 2 and case["workload"] == "lm_head" and case["pass"] == "forward_backward":
                numbers = [c for c in record["communication"]["collectives"] if c["bytes"] == 12 * 4]
                self.assertEqual([c["calls_per_step"] for c in numbers], [3])

    def test_a_model_composed_from_a_few_layers(self):
        passes = ["forward", "forward_backward"]
        sweep = self.sweep(workload="model", **SHAPE, num_layers=7, scaled_from_layers=[None, 2, 7], tp_degree=[1, 2],
                           sequence_parallel=[False, True], **{"pass": passes})
        result = self.run_tpbench("--config", sweep, "--output", "out", ranks=2)
        # All of seven layers are no scaled model.
        records = self.assert_valid(self.folder / "out", cases=2 * 2 * 2 * 2)
        self.assert_all(records, "ok")
        self.assertIn("composed: 2 layers of a model run", result.stdout)
        whole = {self.key(record): record for record in records.values() if record["composed"] is None}
        composed = {self.key(record): record for record in records.values() if record["composed"] is not None}
        self.assertEqual(set(whole), set(composed))
        for key, record in composed.items():
            like = whole[key]
            self.assertEqual(record["case"]["scaled_from_layers"], 2)
            self.assertEqual(record["composed"]["layers"], 2)
            # What follows from shapes alone is that of the whole.
            self.assertEqual(record["memory_bytes"]["peak"], like["memory_bytes"]["peak"])
            self.assertEqual(record["memory_bytes"]["weights"], like["memory_bytes"]["weights"])
            self.assertLess(record["composed"]["peak"], record["memory_bytes"]["peak"])
            self.assertEqual(record["compute"]["flop_per_rank"], like["compute"]["flop_per_rank"])
            self.assertEqual(record["communication"]["bytes_per_step"], like["communication"]["bytes_per_step"])
            self.assertGreater(record["time_s"]["step"]["median"], record["composed"]["step_s"])
            self.assertIn("composed", [warning["code"] for warning in record["quality"]["warnings"]])
            self.assertNotIn("prediction_differs", [warning["code"] for warning in record["quality"]["warnings"]])
            samples = record["samples_s"]
            for step, compute, communication, other in zip(samples["step"], samples["compute"], samples["communication"],
                                                           samples["other"]):
                self.assertAlmostEqual(step, compute + communication + other, delta=1e-9)

    @staticmethod
    def key(record):
        case = record["case"]
        return case["tp_degree"], case["sequence_parallel"], case["pass"]

    def test_a_model_takes_its_own_number_of_layers(self):
        sweep = self.sweep(workload=["model", "block"], model=["gpt2", str(CORPUS / "llama-3.2-1b-tied.json")],
                           hidden_size=None, tp_degree=1)
        result = self.run_tpbench("--config", sweep, "--dry-run", "--format", "jsonl", ranks=None)
        cases = [json.loads(line)["case"] for line in result.stdout.splitlines()]
        layers = {(case["workload"], case["hidden_size"]): case["num_layers"] for case in cases}
        self.assertEqual(layers, {("model", 768): 12, ("model", 2048): 16, ("block", 768): 1, ("block", 2048): 1})
        tied = {case["hidden_size"]: case["tie_embeddings"] for case in cases if case["workload"] == "model"}
        self.assertEqual(tied, {768: True, 2048: True})

    def test_what_does_not_fit_says_what_would(self):
        sweep = self.sweep(workload="model", model="llama3-405b", hidden_size=None, tp_degree=1)
        records = self.run_valid(sweep, cases=1, ranks=1)
        record = next(iter(records.values()))
        self.assertEqual((record["status"], record["reason_code"]), ("skipped", "memory"))
        self.assertIn("scaled_from_layers", record["reason"])

    def test_overlap_and_composition_exclude_each_other(self):
        sweep = self.sweep(workload="model", **SHAPE, num_layers=4, scaled_from_layers=2, overlap_chunks=2)
        record = next(iter(self.run_valid(sweep, cases=1, ranks=1).values()))
        self.assertEqual(record["reason_code"], "combination")
        self.assertIn("scaled_from_layers", record["reason"])

    def test_the_dry_run_says_what_nobody_gave(self):
        sweep = self.sweep(workload=["attention", "lm_head"], hidden_size=[1000, 256], vocab_size=29, tp_degree=[1, 2])
        plan = self.run_tpbench("--config", sweep, "--dry-run", ranks=None).stdout.replace("\n  ", " ")
        self.assertIn("h=1000 has 5 of 200, as 128 does not divide it", plan)
        self.assertIn("h=256 has 2", plan)
        self.assertIn("29 to 30 at TP 2", plan)
        table = self.run_tpbench("--config", sweep, "--output", "out", ranks=2).stdout.replace("\n  ", " ")
        self.assertIn("h=1000 has 5 of 200, as 128 does not divide it", table)
        self.assertIn("29 to 30 at TP 2", table)


if __name__ == "__main__":
    main()
