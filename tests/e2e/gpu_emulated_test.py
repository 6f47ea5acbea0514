"""The GPU backend through the whole program, on emulated devices (tests/cuda_emulation)."""

import json
import os
import pathlib
import subprocess

from harness import TPBENCH, E2eTest, environment, main

PLUGIN = pathlib.Path(os.environ["TPBENCH_EMULATED_PLUGIN"])
LAYERS = ["gemm", "column_linear", "row_linear", "mlp", "attention", "block", "embedding", "lm_head", "model"]
COLLECTIVES = ["all_reduce", "all_gather", "reduce_scatter"]
SHAPE = {"backend": "cuda", "hidden_size": 64, "num_heads": 4, "num_kv_heads": 2, "batch_size": 2, "sequence_length": 6,
         "vocab_size": 29, "tp_degree": [1, 2], "measure": {"min_samples": 3, "max_samples": 3, "max_seconds": 0.1}}
WORKSPACE = 32 << 20


def codes(record):
    return [warning["code"] for warning in record["quality"]["warnings"]]


class Emulated(E2eTest):
    def on_gpus(self, *arguments, gpus=1, ranks=2, status=0, **variables):
        # The folder holds a libnvidia-ml.so.1 too.
        variables = {"TPBENCH_PLUGIN_DIR": str(PLUGIN), "LD_LIBRARY_PATH": str(PLUGIN),
                     "TPBENCH_EMULATED_GPUS": str(gpus)} | variables
        return self.run_tpbench(*arguments, ranks=ranks, status=status, **variables)

    def run_sweep(self, cases, gpus=1, ranks=2, **keys):
        sweep = self.sweep(**SHAPE | keys)
        self.on_gpus("--config", sweep, "--output", "out", gpus=gpus, ranks=ranks)
        return self.assert_valid(self.folder / "out", cases=cases)

    def assert_right(self, records):
        self.assert_all(records, "ok")
        for record in records.values():
            self.assertTrue(record["verification"]["passed"], record["id"])
            memory = record["memory_bytes"]
            self.assertEqual(memory["peak"], memory["predicted_peak"], record["id"])
            self.assertGreaterEqual(memory["workspace"], WORKSPACE)
            # Blocks of the emulated device are whole pages.
            on_device = memory["device_in_use"] - memory["device_base"]
            self.assertGreaterEqual(on_device, memory["peak"] - WORKSPACE)
            self.assertLess(on_device, memory["peak"] - WORKSPACE + 100 * 4096)
            self.assertEqual(len(record["samples_s"]["host_step"]), len(record["samples_s"]["step"]))

    def test_every_layer_with_ranks_that_share_a_gpu(self):
        # A forward pass is the first half of the other: by itself in one type.
        records = self.run_sweep(workload=LAYERS, dtype=["f32", "f64", "tf32", "f16", "bf16"], verify="full",
                                 exclude=[{"pass": "forward", "workload": LAYERS[1:], "dtype": ["f64", "tf32", "f16", "bf16"]}],
                                 **{"pass": ["forward", "forward_backward"]}, cases=5 * (8 * 2 + 2) + 8 * 2)
        self.assert_right(records)
        for record in records.values():
            if record["case"]["tp_degree"] == 1:
                continue
            self.assertIn("shared_gpu", codes(record))
            if record["case"]["workload"] != "gemm":
                self.assertEqual(record["communication"]["data_path"], "staged")
                self.assertIn("staged", codes(record))

    def test_every_operation_by_samples(self):
        records = self.run_sweep(workload=["mlp", "block", "model"], activation=["gelu", "swiglu"], num_layers=2,
                                 dtype=["f32", "bf16", "f16"], verify="sampled", tie_embeddings=True,
                                 **{"pass": "forward_backward"}, cases=36)
        self.assert_right(records)
        self.assertTrue(all(r["verification"]["operations_checked"] > 5 for r in records.values()))

    def test_attention_of_several_heads_or_sequences_at_once(self):
        shape = SHAPE | {"workload": "attention", "hidden_size": 32, "num_heads": 4, "num_kv_heads": [4, 2],
                         "tp_degree": 1, "verify": "full"}
        for title, sweep, cases in (
                # Three at once are more than the emulated library can do: one by one.
                ("more sequences than heads", {"batch_size": [3, 5], "num_kv_heads": 2, "dtype": "bf16",
                                               "pass": "forward_backward"}, 2),
                ("two tiles", {"batch_size": 1, "sequence_length": 260, "num_kv_heads": 2}, 1),
                ("decode", {"batch_size": [2, 5], "sequence_length": [1, 3], "context_length": 7}, 8)):
            with self.subTest(title):
                self.on_gpus("--config", self.sweep(**shape | sweep), "--output", title, ranks=1)
                self.assert_right(self.assert_valid(self.folder / title, cases=cases))

    def test_nccl_between_two_gpus(self):
        records = self.run_sweep(workload=LAYERS[1:] + COLLECTIVES, dtype=["f32", "bf16"], algorithm="nccl",
                                 exclude=[{"pass": "forward", "workload": LAYERS[1:], "dtype": "bf16"}],
                                 sequence_parallel=[False, True], **{"pass": ["forward", "forward_backward"]}, gpus=2,
                                 cases=2 * (8 * 2 * 2 + 3 * 2) + 8 * 2 * 2)
        self.assert_right(records)
        for record in records.values():
            # One rank has all logits: nothing is gathered.
            self.assertEqual(record["communication"]["data_path"],
                             "device" if record["communication"]["collectives"] else None)
            self.assertNotIn("shared_gpu", codes(record))
        gpu = self.environment_of("out")["gpu"]
        self.assertEqual([(rank["rank"], rank["device"]) for rank in gpu["ranks"]], [(0, 0), (1, 1)])

    def test_nccl_is_not_asked_to_share_a_gpu(self):
        records = self.run_sweep(workload="row_linear", algorithm=["nccl", "shm"], tp_degree=2, cases=2)
        self.assert_all(records, "skipped")
        reasons = {record["case"]["algorithm"]: record["reason"] for record in records.values()}
        self.assertIn("a GPU for each rank, and this group of 2 has 1", reasons["nccl"])
        self.assertIn("works in host memory", reasons["shm"])

    def test_four_ranks_on_three_gpus(self):
        records = self.run_sweep(workload=["row_linear", "mlp"], tp_degree=[2, 4], groups=["one", "all"], gpus=3, ranks=4,
                                 cases=8)
        self.assert_right(records)
        gpu = self.environment_of("out")["gpu"]
        self.assertEqual([rank["device"] for rank in gpu["ranks"]], [0, 1, 2, 0])
        for record in records.values():
            shared = record["case"]["tp_degree"] == 4 or record["case"]["groups"] == "all"
            self.assertEqual("shared_gpu" in codes(record), shared, record["id"])

    def test_pipelines_over_four_gpus_and_on_one(self):
        sweep = dict(workload=["block", "model"], num_layers=4, tp_degree=2, pp_degree=2, batch_size=4, microbatches=4,
                     schedule=["gpipe", "1f1b", "interleaved", "zb_h1"], virtual_stages=[1, 2], tie_embeddings=True,
                     exclude=[{"schedule": "interleaved", "virtual_stages": 1},
                              {"schedule": ["gpipe", "1f1b", "zb_h1"], "virtual_stages": 2}],
                     verify="full", **{"pass": ["forward", "forward_backward"]})
        for algorithm, gpus, path in (("nccl", 4, "device"), ("mpi", 1, "staged")):
            with self.subTest(algorithm):
                self.on_gpus("--config", self.sweep(**SHAPE | sweep | {"algorithm": algorithm}), "--output", algorithm,
                             gpus=gpus, ranks=4)
                records = self.assert_valid(self.folder / algorithm, cases=2 * (4 + 2))
                self.assert_all(records, "ok")
                for record in records.values():
                    pipeline, memory = record["pipeline"], record["memory_bytes"]
                    self.assertTrue(record["verification"]["passed"], record["id"])
                    self.assertEqual(memory["peak"], memory["predicted_peak"], record["id"])
                    self.assertEqual(pipeline["data_path"], path)
                    self.assertIsNone(pipeline["progress"])
                    self.assertEqual(pipeline["messages_sent"], pipeline["messages_per_step"], record["id"])
                    self.assertEqual("staged" in codes(record), path == "staged")

    def test_stages_by_nccl_are_not_asked_to_share_a_gpu(self):
        records = self.run_sweep(workload="block", algorithm=["nccl", "mpi"], tp_degree=1, pp_degree=2, num_layers=2, cases=2)
        states = {record["case"]["algorithm"]: record for record in records.values()}
        self.assertEqual(states["mpi"]["status"], "ok")
        self.assertIn("a GPU for each rank, and this group of 2 has 1; algorithm mpi would run here", states["nccl"]["reason"])

    def test_a_stage_that_dies_ends_the_others(self):
        sweep = self.sweep(**SHAPE | dict(workload="block", algorithm="nccl", tp_degree=1, pp_degree=2, num_layers=2,
                                          microbatches=2))
        job = self.on_gpus("--config", sweep, "--output", "dead", gpus=2, status=1,
                           TPBENCH_EMULATED_FAULT="ncclRecv:4")
        self.assertIn("ncclRecv", job.stderr)

    def test_overlap_on_a_queue_of_its_own(self):
        for algorithm, gpus in (("mpi", 1), ("nccl", 2)):
            with self.subTest(algorithm):
                sweep = self.sweep(**SHAPE | {"workload": ["row_linear", "mlp", "block"], "tp_degree": 2,
                                              "overlap_chunks": [2, 4], "algorithm": algorithm, "verify": "full"})
                self.on_gpus("--config", sweep, "--output", algorithm, gpus=gpus)
                records = self.assert_valid(self.folder / algorithm, cases=6)
                self.assert_right(records)
                self.assertTrue(all(record["overlap"] for record in records.values()))

    def test_clocks_and_cold_caches(self):
        records = self.run_sweep(workload="gemm", tp_degree=1, cases=1, ranks=1,
                                 measure=SHAPE["measure"] | {"cache": "cold"})
        self.assert_all(records, "ok")
        (record,) = records.values()
        # What pushes everything else out of the cache lies on the device too.
        memory = record["memory_bytes"]
        self.assertGreater(memory["device_in_use"] - memory["device_base"], 2 * 4194304)
        self.assertEqual(record["device"]["before"],
                         {"sm_clock_mhz": 1980, "memory_clock_mhz": 3201, "temperature_c": 41,
                          "throttle_reasons": ["sw_power_cap", "hw_thermal_slowdown"]})
        self.assertIn("throttled", codes(record))
        self.assertNotIn("cold_cache_impossible", codes(record))

    def test_what_does_not_fit_is_skipped_and_the_rest_runs(self):
        records = self.run_sweep(workload="row_linear", hidden_size=[64, 8192], tp_degree=1, ranks=1, cases=2)
        status = {record["case"]["hidden_size"]: record for record in records.values()}
        self.assertEqual(status[64]["status"], "ok")
        self.assertEqual((status[8192]["status"], status[8192]["reason_code"]), ("skipped", "memory"))
        self.assertIn("1 rank on one GPU of", status[8192]["reason"])

    def test_cpu_and_gpu_in_one_sweep(self):
        records = self.run_sweep(workload="mlp", backend=["cpu", "cuda"], dtype=["f32", "bf16"], cases=8)
        for record in records.values():
            case = record["case"]
            cannot = case["backend"] == "cpu" and case["dtype"] == "bf16"
            self.assertEqual(record["status"], "skipped" if cannot else "ok", record["id"])
            self.assertEqual(record["memory_bytes"]["device_in_use"] is not None, case["backend"] == "cuda")
            if not cannot:
                self.assertEqual(record["time_s"]["host_step"] is not None, case["backend"] == "cuda")

    def test_a_device_that_fails_ends_the_sweep_and_keeps_what_is_finished(self):
        sweep = self.sweep(**SHAPE | {"workload": ["row_linear", "column_linear", "mlp"], "hidden_size": [64, 128]})
        for fault in ("cudaMemcpyAsync:30", "cudaLaunchKernel:60", "cublasLtMatmul:100", "cudaEventRecord:600"):
            with self.subTest(fault):
                output = self.folder / fault.split(":")[0]
                job = self.on_gpus("--config", sweep, "--output", output, status=1, TPBENCH_EMULATED_FAULT=fault)
                self.assertIn("this process can no longer use the GPU", job.stderr)
                self.assertIn(f"continue with --resume {output}", job.stderr)
                before = self.statuses(output)
                self.assertEqual(before.count("failed"), 1, before)
                self.assertGreater(before.count("ok"), 0, before)
                self.on_gpus("--resume", output)
                self.assertEqual(set(self.statuses(output)), {"ok"})

    def test_what_is_missing_is_named(self):
        sweep = self.sweep(**SHAPE | {"workload": "gemm", "tp_degree": 1})
        (self.folder / "libtpbench_cuda.so").write_text("no library")
        for variables, words in (
                ({"TPBENCH_PLUGIN_DIR": "/nowhere"}, "the plug-in libtpbench_cuda.so is missing (looked for in /nowhere)"),
                ({"TPBENCH_PLUGIN_DIR": "/nowhere"}, "`cmake --build --preset release` builds it beside the program"),
                ({"TPBENCH_PLUGIN_DIR": str(self.folder)}, "cannot be loaded"),
                ({"TPBENCH_EMULATED_GPUS": "0"}, "finds no GPU"),
                ({"TPBENCH_EMULATED_GPUS": "0", "CUDA_VISIBLE_DEVICES": "7"}, "(CUDA_VISIBLE_DEVICES=7)")):
            with self.subTest(words):
                job = self.on_gpus("--config", sweep, "--output", "never", ranks=None, status=3, **variables)
                self.assertIn(words, job.stderr)
                self.assertFalse((self.folder / "never").exists())

    def test_cpu_sweeps_do_not_look_for_the_plug_in(self):
        sweep = self.sweep(**SHAPE | {"workload": "gemm", "tp_degree": 1, "backend": "cpu"})
        self.on_gpus("--config", sweep, "--output", "out", ranks=None, TPBENCH_PLUGIN_DIR="/nowhere")

    def test_the_tools_own_cost_on_a_device(self):
        job = self.on_gpus("selfcheck", "--backend", "cuda")
        self.assertIn("the same on the host", job.stdout)

    def environment_of(self, folder):
        return self.read_json(self.folder / folder / "environment.json")

    def statuses(self, folder):
        return [self.read_json(path)["status"] for path in (folder / "records").glob("*.json")]

    def read_json(self, path):
        return json.loads(path.read_text())


class RealPlugin(E2eTest):
    def test_says_that_there_is_no_driver(self):
        if not (pathlib.Path(TPBENCH).parent / "libtpbench_cuda.so").exists():
            self.skipTest("this build has no plug-in")
        done = subprocess.run([TPBENCH, "info"], capture_output=True, text=True, env=environment(), check=True)
        if "pci_bus_id" in done.stdout:
            self.skipTest("there is a GPU here")
        sweep = self.sweep(**SHAPE | {"workload": "gemm", "tp_degree": 1})
        job = self.run_tpbench("--config", sweep, "--output", "never", ranks=None, status=3)
        self.assertRegex(job.stderr, "no NVIDIA driver|NVIDIA driver")


if __name__ == "__main__":
    main()
