"""Cases that go wrong: a wrong result, an allocation that fails on one rank, an exception in a timed step."""

import pathlib
import unittest

from harness import FAULTY, E2eTest, each, main


def free_bytes():
    words = pathlib.Path("/proc/meminfo").read_text().split()
    return int(words[words.index("MemAvailable:") + 1]) * 1024


class Verification(E2eTest):
    def run_wrong(self, fault, **keys):
        keys = {"workload": ["row_linear", "column_linear", "mlp"], "tp_degree": 2, "measure": {"order": "given"}} | keys
        job = self.run_tpbench("--config", self.sweep(**keys), "--output", "out", ranks=2, status=1, program=FAULTY,
                               TPBENCH_TEST_FAULT=fault)
        records = self.assert_valid(self.folder / "out")
        self.assert_summary(self.folder / "out")
        return job, {r["case"]["workload"]: r for r in records.values()}

    def assert_wrong(self, record):
        self.assertEqual((record["status"], record["reason_code"]), ("failed", "verification"))
        self.assertFalse(record["verification"]["passed"])
        self.assertIsNone(record["time_s"])
        self.assertIsNone(record["compute"]["gflops_per_rank"])
        for collective in record["communication"]["collectives"]:
            self.assertIsNone(collective["algbw_gb_per_s"])

    @each(0, 1)
    def test_wrong_shard_on_one_rank(self, rank):
        job, records = self.run_wrong(f"wrong_weight:rank={rank}:case=2")
        self.assert_wrong(records["column_linear"])
        self.assertEqual((records["row_linear"]["status"], records["mlp"]["status"]), ("ok", "ok"))
        self.assertIn("relative error", job.stdout)

    @each("wrong_sum:rank=1", "no_collective")
    def test_wrong_collective(self, fault):
        workloads = ["all_reduce", "all_gather", "reduce_scatter", "column_linear", "row_linear", "mlp"]
        _, records = self.run_wrong(fault, workload=workloads)
        self.assertEqual(sorted(records), sorted(workloads))
        for record in records.values():
            self.assert_wrong(record)

    def test_gemm_that_does_nothing(self):
        _, records = self.run_wrong("no_gemm", workload=["gemm", "row_linear"], tp_degree=1)
        for record in records.values():
            self.assert_wrong(record)
            self.assertIn("not a number", record["reason"])

    # With two cases in the given order, the first of the second epoch is the third case of a rank.
    @each(1, 3)
    def test_failure_in_one_epoch_fails_the_case(self, case):
        _, records = self.run_wrong(f"wrong_weight:rank=1:case={case}", workload=["row_linear", "mlp"],
                                    measure={"order": "given", "epochs": 2})
        self.assert_wrong(records["row_linear"])
        self.assertEqual(records["mlp"]["status"], "ok")

    def test_without_verification_nothing_is_claimed(self):
        self.run_tpbench("--config", self.sweep(), "--output", "out", "--no-verify", program=FAULTY,
                         TPBENCH_TEST_FAULT="wrong_weight")
        (record,) = self.assert_valid(self.folder / "out").values()
        self.assertEqual((record["status"], record["verification"]["passed"]), ("ok", None))


class OneRankFails(E2eTest):
    def test_allocation_under_a_limit(self):
        """A rank that may not have as much address space as the case takes."""
        if free_bytes() < 9e9:
            self.skipTest("needs 9 GB of free memory: with less the case is skipped before it is tried")
        limit_kb = 3_000_000
        wrapper = self.folder / "limited.sh"
        wrapper.write_text(f'#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] && ulimit -v {limit_kb}\nexec "$@"\n')
        wrapper.chmod(0o755)
        # 3.4 GB of weights on each rank at degree 2.
        sweep = self.sweep(hidden_size=[48, 41216], batch_size=1, tp_degree=2, num_layers=1, verify="off",
                           cases=[{"hidden_size": 96}], measure={"order": "given"})
        self.run_tpbench("--config", sweep, "--output", "out", ranks=2, wrapper=[wrapper])
        by_size = {r["case"]["hidden_size"]: r for r in self.assert_valid(self.folder / "out", cases=3).values()}
        self.assertEqual((by_size[48]["status"], by_size[96]["status"]), ("ok", "ok"))
        # What bounds one rank is known before anything is allocated.
        limited = by_size[41216]
        self.assertEqual((limited["status"], limited["reason_code"]), ("skipped", "memory"), limited["reason"])
        self.assertRegex(limited["reason"], r"needs 3\.\d+ GB and ulimit -v 3000000 leaves it")

    @each(("setup", "case_error"), ("setup", "bad_alloc"), ("fill", "case_error"), ("fill", "bad_alloc"))
    def test_exception_where_ranks_can_agree(self, place, what):
        sweep = self.sweep(workload=["row_linear", "mlp"], tp_degree=2, measure={"order": "given"})
        self.run_tpbench("--config", sweep, "--output", "out", ranks=2, status=1, program=FAULTY,
                         TPBENCH_TEST_FAULT=f"throw:rank=1:case=1:at={place}:what={what}")
        by_workload = {r["case"]["workload"]: r for r in
                       self.assert_valid(self.folder / "out", cases=2).values()}
        self.assertEqual(by_workload["row_linear"]["status"], "failed")
        self.assertIn("rank 1: ", by_workload["row_linear"]["reason"])
        self.assertEqual(by_workload["mlp"]["status"], "ok")

    def test_exception_before_a_collective_of_verification(self):
        sweep = self.sweep(workload=["row_linear", "mlp"], tp_degree=2, measure={"order": "given"})
        self.run_tpbench("--config", sweep, "--output", "out", ranks=2, status=1, program=FAULTY,
                         TPBENCH_TEST_FAULT="throw:rank=1:case=1:step=1")
        records = {r["case"]["workload"]: r for r in self.assert_valid(self.folder / "out", cases=2).values()}
        self.assertEqual((records["row_linear"]["status"], records["row_linear"]["reason_code"]), ("failed", "error"))
        self.assertEqual(records["mlp"]["status"], "ok")

    @each(0, 1)
    def test_exception_in_a_timed_step_ends_the_job(self, rank):
        sweep = self.sweep(workload=["row_linear", "mlp"], tp_degree=2, measure={"order": "given"})
        job = self.run_tpbench("--config", sweep, "--output", "out", ranks=2, status=1, program=FAULTY,
                               TPBENCH_TEST_FAULT=f"throw:rank={rank}:case=2:step=7")
        self.assertRegex(job.stderr, rf"case mlp-\S+ cannot be ended in order on rank {rank}: ")
        self.assertIn("continue with --resume out", job.stderr)
        records = self.assert_valid(self.folder / "out")
        self.assertEqual([r["status"] for id, r in records.items() if id.startswith("row_linear")], ["ok"])
        if rank == 0:
            self.assertEqual([r["reason_code"] for id, r in records.items() if id.startswith("mlp")], ["error"])
        self.run_tpbench("--resume", "out", ranks=2)
        self.assert_all(self.assert_valid(self.folder / "out", cases=2), "ok")


if __name__ == "__main__":
    main()
