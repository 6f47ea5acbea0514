"""Whole layers: training, sequence parallelism, decoding, models, on every algorithm of one host."""


from harness import E2eTest, main

HALVES = ["forward_compute", "backward_compute", "forward_communication", "backward_communication"]
TRAINED = ["column_linear", "row_linear", "mlp", "attention", "block"]


class Layers(E2eTest):
    def run_valid(self, sweep, cases, ranks=2):
        self.run_tpbench("--config", sweep, "--output", "out", ranks=ranks)
        records = self.assert_valid(self.folder / "out", cases=cases)
        self.assert_summary(self.folder / "out")
        return records

    def test_training_in_rows_and_not(self):
        sweep = self.sweep(workload=TRAINED + ["gemm"], hidden_size=48, num_heads=8, num_kv_heads=4, batch_size=2,
                           sequence_length=6, num_layers=2, tp_degree=[1, 2], algorithm=["mpi", "shm"],
                           **{"pass": ["forward", "forward_backward"]}, sequence_parallel=[False, True])
        # A probe has no other pass and no rows to split, and gemm has no collective either.
        records = self.run_valid(sweep, cases=5 * 2 * 2 * 2 * 2 + 2)
        self.assert_all(records, "ok")
        for record in records.values():
            self.check_memory_and_halves(record)
            self.check_collectives(record)

    def check_memory_and_halves(self, record):
        memory, time, trained = record["memory_bytes"], record["time_s"], record["case"]["pass"] == "forward_backward"
        self.assertEqual(memory["peak"], memory["predicted_peak"], record["id"])
        self.assertEqual(memory["gradients"] > 0, trained)
        for half in HALVES:
            self.assertEqual(time[half] is not None, trained)
        if not trained:
            return
        samples = record["samples_s"]
        for part in ("compute", "communication"):
            for whole, forward, backward in zip(samples[part], samples["forward_" + part], samples["backward_" + part]):
                self.assertAlmostEqual(whole, forward + backward, delta=1e-9)

    def check_collectives(self, record):
        case = record["case"]
        collectives = [c for c in record["communication"]["collectives"] if c["calls_per_step"] > 0]
        self.assertEqual(bool(collectives), case["tp_degree"] > 1 and case["workload"] != "gemm")
        for collective in collectives:
            self.assertGreater(collective["busbw_gb_per_s"], 0)
            self.assertEqual(collective["ranks"], 2)
        if case["sequence_parallel"] and case["workload"] in ("mlp", "attention", "row_linear"):
            self.assertNotIn("all_reduce", [c["op"] for c in collectives])

    def test_key_value_heads_fewer_than_ranks(self):
        sweep = self.sweep(workload=["attention", "block"], hidden_size=48, num_heads=8, num_kv_heads=1, tp_degree=[1, 4],
                           batch_size=2, sequence_length=4, **{"pass": "forward_backward"})
        records = self.run_valid(sweep, cases=4, ranks=4)
        self.assert_all(records, "ok")
        for record in records.values():
            replicated = record["memory_bytes"]["replicated_weights"]
            if record["case"]["tp_degree"] == 4:
                # Wk and Wv [48, 6] in f32, and in a block two norms of two rows
                self.assertEqual(replicated, (2 * 48 * 6 + (4 * 48 if record["case"]["workload"] == "block" else 0)) * 4)

    def test_decoding_behind_a_cache(self):
        sweep = self.sweep(workload=["attention", "block", "mlp"], hidden_size=48, num_heads=8, num_kv_heads=2,
                           batch_size=3, sequence_length=1, context_length=[0, 40], tp_degree=[1, 2])
        records = self.run_valid(sweep, cases=2 * 2 * 2 + 2)
        self.assert_all(records, "ok")
        for record in records.values():
            case, memory = record["case"], record["memory_bytes"]
            if case["workload"] == "mlp":
                self.assertIsNone(case["context_length"])
            cached = 2 * 3 * 41 * 12 * 4 // case["tp_degree"] if case["context_length"] else 0
            self.assertEqual(memory["kv_cache"], cached)

    def test_overlap_says_what_it_is_worth(self):
        sweep = self.sweep(workload=["row_linear", "mlp", "gemm"], hidden_size=64, batch_size=32, tp_degree=[1, 2],
                           overlap_chunks=[1, 4], algorithm=["mpi", "shm"], measure={"epochs": 2})
        records = self.run_valid(sweep, cases=2 * 2 * 2 * 2 + 2)
        self.assert_all(records, "ok")
        for record in records.values():
            case, overlap = record["case"], record["overlap"]
            self.assertEqual(overlap is not None, case["overlap_chunks"] > 1 and case["tp_degree"] > 1)
            if overlap is None:
                continue
            hidden = overlap["compute_s"] + overlap["communication_s"] - overlap["overlapped_s"]
            shorter = min(overlap["compute_s"], overlap["communication_s"])
            self.assertAlmostEqual(overlap["hidden_fraction"], hidden / shorter, delta=1e-6)
            self.assertEqual("overlap_loses" in [warning["code"] for warning in record["quality"]["warnings"]],
                             overlap["overlapped_s"] > overlap["serial_s"])
            self.assertIsNone(record["communication"]["collectives"][0]["busbw_gb_per_s"])

    def test_what_makes_no_sense_is_skipped(self):
        sweep = self.sweep(workload="block", hidden_size=[48, 50], num_heads=8, num_kv_heads=[4, 3], tp_degree=[1, 2],
                           context_length=[0, 8], batch_size=3, sequence_parallel=True,
                           **{"pass": ["forward", "forward_backward"]})
        records = self.run_valid(sweep, cases=32)
        reasons = {}
        for record in records.values():
            reasons.setdefault(record["reason_code"], record["reason"])
            if record["status"] == "ok":
                self.assertEqual((record["case"]["hidden_size"], record["case"]["num_kv_heads"]), (48, 4))
        self.assertEqual(set(reasons), {None, "combination", "divisibility"})
        self.assertIn("tokens (batch_size x sequence_length) 3 is not divisible by tp_degree 2", reasons["divisibility"])

    def test_a_model(self):
        sweep = self.sweep(workload=["row_linear"], model="llama3-8b", hidden_size=None, tp_degree=[1, 2])
        records = self.run_valid(sweep, cases=2)
        self.assert_all(records, "ok")
        for record in records.values():
            self.assertEqual(record["case"]["hidden_size"], 4096)
            self.assertEqual(record["model_memory"]["layers"], 32)


if __name__ == "__main__":
    main()
