"""Cases that cannot run here become skipped records that say what would work; the sweep goes on."""


from harness import E2eTest, main


class Skipped(E2eTest):
    def run_skipping(self, ranks=2, **keys):
        job = self.run_tpbench("--config", self.sweep(**keys), "--output", "out", ranks=ranks)
        records = self.assert_valid(self.folder / "out")
        self.assert_summary(self.folder / "out")
        return job, records

    def test_degree_beyond_the_launch(self):
        job, records = self.run_skipping(tp_degree=[1, 2, 4])
        by_degree = {r["case"]["tp_degree"]: r for r in records.values()}
        self.assertEqual([by_degree[t]["status"] for t in (1, 2, 4)], ["ok", "ok", "skipped"])
        self.assertEqual(by_degree[4]["reason_code"], "ranks")
        self.assertIn("needs 4 ranks and this launch has 2; start it with mpirun -n 4", by_degree[4]["reason"])
        self.assertIn("skipped: tp_degree 4 needs 4 ranks", job.stdout)
        self.assertIsNotNone(by_degree[4]["memory_bytes"]["predicted_peak"])

    def test_dimension_that_does_not_divide(self):
        _, records = self.run_skipping(ranks=3, workload=["row_linear", "mlp"], hidden_size=64, ffn_hidden_size=100,
                                       tp_degree=[1, 3])
        skipped = {r["case"]["workload"]: r for r in records.values() if r["status"] == "skipped"}
        self.assertEqual(sorted(skipped), ["mlp", "row_linear"])
        for record in skipped.values():
            self.assertEqual(record["reason_code"], "divisibility")
            self.assertIsNone(record["memory_bytes"]["predicted_peak"])
        self.assertIn("hidden_size 64 is not divisible by tp_degree 3; 2 and 4 would be", skipped["row_linear"]["reason"])
        self.assertIn("2 and 4 would be", skipped["mlp"]["reason"])

    def test_more_memory_than_the_node_has(self):
        # 275 GB of weights for each of 64 layers: no node holds it, and nobody should try.
        _, records = self.run_skipping(hidden_size=[48, 262144], num_layers=64, tp_degree=[1, 2], placement="spread")
        by_size = {}
        for record in records.values():
            by_size.setdefault(record["case"]["hidden_size"], []).append(record)
        self.assert_all({r["id"]: r for r in by_size[48]}, "ok")
        for record in by_size[262144]:
            self.assertEqual((record["status"], record["reason_code"]), ("skipped", "memory"))
            self.assertRegex(record["reason"], r"needs? \S+ TB and \S+ [kMGT]B are free")
            self.assertNotIn("fill", record["phases_s"])
            self.assertIsNone(record["memory_bytes"]["peak"])
            self.assertEqual(record["quality"]["warnings"], [])  # nothing was timed

    def test_everything_skipped_is_no_failure(self):
        job, records = self.run_skipping(ranks=2, tp_degree=5)
        self.assert_all(records, "skipped")
        self.assertIn("skipped", job.stdout)
        self.assertIn("warning: nothing was measured: the only case was skipped: row_linear-", job.stderr)
        self.assertIn(": hidden_size 48 is not divisible by tp_degree 5", job.stderr)

    def test_resume_with_more_ranks_runs_what_was_skipped(self):
        _, before = self.run_skipping(ranks=1, tp_degree=[1, 2])
        self.run_tpbench("--resume", "out", ranks=2)
        after = self.assert_valid(self.folder / "out", cases=2)
        self.assert_all(after, "ok")
        degree_1 = next(id for id, r in before.items() if r["status"] == "ok")
        self.assertEqual(after[degree_1]["started_at"], before[degree_1]["started_at"])
        self.assertEqual(after[degree_1]["environment"], "environment.json")
        self.assertEqual({r["environment"] for r in after.values()}, {"environment.json", "environment-2.json"})


if __name__ == "__main__":
    main()
