"""Far more ranks than cores: slow, and still right."""

import unittest

from harness import E2eTest


class ManyRanks(E2eTest):
    def test_64_ranks_complete_20_cases(self):
        # Few steps: each is as long as the scheduler takes to let 64 ranks meet.
        sweep = self.sweep(workload=["row_linear", "column_linear", "mlp", "all_reduce"], hidden_size=128, batch_size=4,
                           tp_degree=[1, 4, 16, 32, 64], measure={"min_samples": 3, "max_samples": 3, "max_seconds": 1})
        self.run_tpbench("--config", sweep, "--output", "out", "--watchdog", "300", ranks=64, limit_s=580)
        records = self.assert_valid(self.folder / "out", cases=20)
        self.assert_all(records, "ok")
        self.assert_summary(self.folder / "out")
        for record in records.values():
            self.assertEqual(record["ranks"]["world"], 64)
            if record["case"]["tp_degree"] > 2:
                self.assertIn("oversubscribed", [w["code"] for w in record["quality"]["warnings"]])


if __name__ == "__main__":
    unittest.main()
