"""Two libraries on the host: onednn beside openblas, with weights as they lie and packed, and without the plug-in."""

import json
import pathlib
import re
import unittest

from harness import BUILD_DIR, E2eTest

FLAGS = set(pathlib.Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
HAS_AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= FLAGS
LAYERS = ["gemm", "column_linear", "row_linear", "mlp", "attention", "block", "lm_head"]
SIZES = {"hidden_size": 64, "num_heads": 4, "vocab_size": 100, "batch_size": 2, "sequence_length": 8}


class Library(E2eTest):
    def run_sweep(self, ranks=2, out="out", cases=None, variables=None, status=0, wrapper=(), **keys):
        """Runs a sweep; returns its records in a list, and its environment.json."""
        self.run_tpbench("--config", self.sweep(**(SIZES | keys)), "--output", out, ranks=ranks, status=status,
                         wrapper=wrapper, **(variables or {}))
        records = self.assert_valid(self.folder / out, cases=cases)
        self.assert_summary(self.folder / out)
        return list(records.values()), json.loads((self.folder / out / "environment.json").read_text())

    def assert_skipped(self, records, words):
        for record in records:
            self.assertEqual((record["status"], record["reason_code"]), ("skipped", "combination"), record["id"])
            self.assertIn(words, record["reason"])

    def test_without_the_plug_in_the_rest_runs(self):
        records, environment = self.run_sweep(library=["openblas", "onednn"], workload=["mlp", "all_reduce"],
                                              dtype=["f32", "bf16"], tp_degree=2, cases=6,
                                              variables={"TPBENCH_PLUGIN_DIR": str(self.folder)})
        by_library = {}
        for record in records:
            by_library.setdefault((record["case"]["library"], record["case"]["dtype"]), []).append(record)
        self.assert_skipped(by_library["onednn", "f32"] + by_library["onednn", "bf16"], "library onednn is not there")
        self.assert_skipped(by_library["openblas", "bf16"], "library openblas does not multiply matrices in bf16")
        # What multiplies nothing is one case for all libraries, and runs in bf16 too.
        for key in (("openblas", "f32"), (None, "f32"), (None, "bf16")):
            self.assertEqual([record["status"] for record in by_library[key]], ["ok"])
        self.assertIn("missing", environment["onednn"]["missing"])

    def test_a_default_leaves_ids_and_files_as_they_were(self):
        named, _ = self.run_sweep(library="openblas", weight_layout="plain", out="named", ranks=None)
        unnamed, environment = self.run_sweep(out="unnamed", ranks=None)
        self.assertEqual([r["id"] for r in named], [r["id"] for r in unnamed])
        self.assertIsNone(environment["onednn"])
        self.assertEqual(unnamed[0]["compute"]["kernels"], [])
        self.assertIsNone(unnamed[0]["compute"]["packing"])

    def test_a_library_that_is_none_is_refused(self):
        for key, word in (("library", "mkl"), ("weight_layout", "blocked")):
            job = self.run_tpbench("validate", self.sweep(**{key: word}), status=2)
            self.assertIn(f"/{key}", job.stderr)

    def test_openblas_packs_nothing(self):
        records, _ = self.run_sweep(weight_layout="packed", ranks=None)
        self.assert_skipped(records, "weight_layout plain runs, and library onednn packs")


@unittest.skipUnless((BUILD_DIR / "libtpbench_onednn.so").is_file(), "this build has no oneDNN")
class Onednn(Library):
    def test_both_libraries_in_one_sweep(self):
        records, environment = self.run_sweep(library=["openblas", "onednn"], dtype=["f32", "bf16"], workload=LAYERS,
                                              tp_degree=[1, 2], cases=8 * len(LAYERS), verify="full")
        for record in records:
            case = record["case"]
            cannot = case["dtype"] == "bf16" and (case["library"] == "openblas" or not HAS_AVX512)
            self.assertEqual(record["status"], "skipped" if cannot else "ok", (record["id"], record["reason"]))
            if cannot:
                continue
            self.assertEqual(record["verification"]["passed"], True)
            kernels = record["compute"]["kernels"]
            self.assertEqual(len(kernels) > 0, case["library"] == "onednn")
            if kernels:
                self.assertAlmostEqual(sum(kernel["share"] for kernel in kernels), 1)
            self.assertNotIn("prediction_differs", [w["code"] for w in record["quality"]["warnings"]])
        self.assertEqual(environment["onednn"]["library"], "oneDNN")
        self.assertEqual(environment["onednn"]["wait_policy"], "passive")

    def test_training_overlap_rows_and_cold_caches(self):
        records, _ = self.run_sweep(
            library="onednn", dtype=["f32", "bf16"] if HAS_AVX512 else "f32", workload=["mlp", "block"], tp_degree=2,
            num_layers=2, **{"pass": "forward_backward"}, sequence_parallel=[False, True], overlap_chunks=[1, 2],
            algorithm=["mpi", "shm"], measure={"cache": "cold", "max_samples": 8})
        ran = [record for record in records if record["status"] != "skipped"]
        self.assert_all({record["id"]: record for record in ran}, "ok")
        self.assertGreaterEqual(len(ran), len(records) // 2)

    def test_stages(self):
        records, _ = self.run_sweep(library="onednn", dtype=["f32", "bf16"] if HAS_AVX512 else "f32", workload="block",
                                    num_layers=2, pp_degree=2, microbatches=2, **{"pass": "forward_backward"})
        self.assert_all({record["id"]: record for record in records}, "ok")

    def test_packed_weights(self):
        records, _ = self.run_sweep(library="onednn", weight_layout=["plain", "packed"], workload=LAYERS, tp_degree=[1, 2],
                                    dtype=["f32", "bf16"] if HAS_AVX512 else "f32", verify="sampled")
        plain = {r["id"]: r for r in records if r["case"]["weight_layout"] == "plain"}
        packed = {r["id"]: r for r in records if r["case"]["weight_layout"] == "packed"}
        self.assertEqual(len(plain), len(packed))
        self.assert_all(plain | packed, "ok")
        key = lambda r: json.dumps({k: v for k, v in r["case"].items() if k != "weight_layout"})
        of_plain = {key(r): r for r in plain.values()}
        for record in packed.values():
            alone, packing = of_plain[key(record)]["memory_bytes"], record["compute"]["packing"]
            # Packed weights stand in the place of the rows.
            added = packing["added_bytes"]
            self.assertEqual(record["memory_bytes"]["peak"] - alone["peak"], added, record["id"])
            self.assertEqual(packing["seconds"] > 0, packing["bytes"] > 0)
            self.assertEqual(record["memory_bytes"]["predicted_peak"], alone["predicted_peak"])
            if packing["bytes"] > 0:
                self.assertLess(added, packing["bytes"])
            self.assertNotIn("prediction_differs", [w["code"] for w in record["quality"]["warnings"]])
        self.assertTrue(all(r["compute"]["packing"]["bytes"] for r in packed.values() if r["case"]["workload"] in ("gemm", "mlp")))

    def test_packed_weights_of_stages_and_of_a_tied_table(self):
        records, _ = self.run_sweep(library="onednn", weight_layout="packed", workload="model", num_layers=2, pp_degree=[1, 2],
                                    tie_embeddings=[False, True], microbatches=2, vocab_size=128)
        self.assert_all({record["id"]: record for record in records}, "ok")
        for record in records:
            self.assertNotIn("prediction_differs", [w["code"] for w in record["quality"]["warnings"]])
            # A table that is looked up too stays in rows beside its packed copy; a stage with the head alone has its own.
            table = 128 * 64 * 4 if record["case"]["tie_embeddings"] and record["case"]["pp_degree"] == 1 else 0
            self.assertGreaterEqual(record["compute"]["packing"]["added_bytes"], table)

    @unittest.skipUnless(HAS_AVX512, "which kernels pack is the library's choice for each CPU")
    def test_packing_that_packs_nothing_is_recorded(self):
        records, _ = self.run_sweep(library="onednn", weight_layout=["plain", "packed"], workload=LAYERS, tp_degree=[1, 2],
                                    verify="full", variables={"ONEDNN_MAX_CPU_ISA": "SSE41"})
        self.assert_all({record["id"]: record for record in records}, "ok")
        nothing = {"seconds": 0, "bytes": 0, "added_bytes": 0}
        for record in records:
            packing = record["compute"]["packing"]
            self.assertEqual(packing is not None, record["case"]["weight_layout"] == "packed", record["id"])
            if packing and record["case"]["workload"] in ("gemm", "mlp", "block"):
                self.assertEqual(packing, nothing, record["id"])
            self.assertNotIn("prediction_differs", [w["code"] for w in record["quality"]["warnings"]])

    def test_rows_in_whose_place_packed_weights_stand_keep_their_addresses(self):
        keys = {"library": "onednn", "workload": "block", "hidden_size": 1024, "verify": "off", "ranks": None}
        bytes_of_layer = 12 * 1024 ** 2 * 4
        def run(limit, out, **more):
            limited = ["sh", "-c", f'ulimit -v {limit // 1024} && exec "$@"', "limited"]
            return self.run_sweep(**keys, **more, out=out, wrapper=limited)[0]
        (record,) = run(1536 << 20, "much", num_layers=64)
        left = re.search(r"leaves it ([0-9.]+) ([MG])B", record["reason"])
        taken = (1536 << 20) - float(left[1]) * {"M": 1e6, "G": 1e9}[left[2]]
        # For the rows of 8 layers, and half as much.
        for record in run(int(taken + 1.5 * 8 * bytes_of_layer), "little", num_layers=8, weight_layout=["plain", "packed"]):
            if record["case"]["weight_layout"] == "plain":
                self.assertEqual(record["status"], "ok", record["reason"])
            else:
                self.assertEqual((record["status"], record["reason_code"]), ("skipped", "memory"), record["reason"])
                self.assertRegex(record["reason"], r"needs .* and ulimit -v \d+ leaves it")

    def test_packed_weights_are_not_trained(self):
        records, _ = self.run_sweep(library="onednn", weight_layout="packed", ranks=None, **{"pass": "forward_backward"})
        self.assert_skipped(records, "weight_layout packed is for pass forward")

    def test_f16_is_skipped_with_the_reason(self):
        records, _ = self.run_sweep(library="onednn", dtype="f16", ranks=None)
        self.assert_skipped(records, f"does not multiply matrices in f16{'; dtype bf16 runs' if HAS_AVX512 else ''}")
        self.assertNotIn("on this CPU", records[0]["reason"])

    def test_a_wait_policy_of_the_user_stays(self):
        _, environment = self.run_sweep(library="onednn", ranks=None, variables={"OMP_WAIT_POLICY": "active"})
        self.assertEqual(environment["onednn"]["wait_policy"], "active")

    def test_ranks_at_rest_cost_nothing_unless_their_workers_spin(self):
        found = {}
        for policy in (None, "active"):
            # Two ranks of two threads on two cores: who spins takes one from who computes.
            job = self.run_tpbench("selfcheck", "--json", "--threads-per-rank", 2, ranks=2, OMP_WAIT_POLICY=policy,
                                   OMPI_MCA_hwloc_base_binding_policy="none", OPENBLAS_NUM_THREADS=None)
            check = json.loads(job.stdout)
            resting = found[policy] = check["resting_ranks"]
            self.assertEqual(resting["threads"], 2)
            self.assertAlmostEqual(resting["cost"], resting["beside_s"] / resting["alone_s"] - 1)
            self.assertEqual(resting["free"], resting["cost"] <= resting["bound"])
            self.assertEqual(any("OMP_WAIT_POLICY" in problem for problem in check["problems"]), not resting["free"])
        self.assertLess(found[None]["cost"], found["active"]["cost"])
        self.assertFalse(found["active"]["free"], found)

    def test_one_rank_has_none_at_rest(self):
        self.assertIsNone(json.loads(self.run_tpbench("selfcheck", "--json", ranks=1).stdout)["resting_ranks"])
        job = self.run_tpbench("selfcheck", "--threads-per-rank", "0", status=2)
        self.assertIn("--threads-per-rank", job.stderr)

    @unittest.skipUnless(HAS_AVX512, "oneDNN multiplies in bf16 with AVX-512 alone")
    def test_bf16_without_its_instructions_is_said(self):
        variables = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
        records, environment = self.run_sweep(library="onednn", dtype=["f32", "bf16"], ranks=None, variables=variables)
        self.assertEqual(environment["onednn"]["cpu_isa"], "avx512_core")
        for record in records:
            codes = [warning["code"] for warning in record["quality"]["warnings"]]
            self.assertEqual("emulated_dtype" in codes, record["case"]["dtype"] == "bf16")
            if "emulated_dtype" in codes:
                said = record["quality"]["warnings"][codes.index("emulated_dtype")]["message"]
                capped = "ONEDNN_MAX_CPU_ISA=AVX512_CORE keeps library onednn from this CPU's instructions"
                self.assertIn(capped if "avx512_bf16" in FLAGS else "this CPU has no instructions", said)
            self.assertEqual(record["verification"]["passed"], True)

    @unittest.skipUnless(HAS_AVX512, "kernels of SSE are half as fast as those of AVX")
    def test_kernels_that_are_slow_are_said(self):
        for name, variables in (("fit", {}), ("unfit", {"ONEDNN_MAX_CPU_ISA": "SSE41"})):
            records, _ = self.run_sweep(library="onednn", tp_degree=[1, 2], variables=variables, out=name)
            for record in records:
                said = [w["message"] for w in record["quality"]["warnings"] if w["code"] == "slow_compute"]
                self.assertEqual(len(said), 1 if name == "unfit" else 0, said)
                if said:
                    self.assertRegex(said[0], r"^rank \d+ \(.+\): .*unfit kernels of library onednn")

    def test_a_cpu_that_cannot_is_said(self):
        for variable in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
            records, _ = self.run_sweep(library="onednn", dtype="bf16", ranks=None, variables={variable: "AVX2"}, out=variable)
            self.assert_skipped(records, f"does not multiply matrices in bf16 with {variable}=AVX2, which keeps it from "
                                "instructions of this CPU; unset that variable" if HAS_AVX512 else "on this CPU (avx2)")

    def test_its_own_lines_stay_off_stdout(self):
        job = self.run_tpbench("--config", self.sweep(**SIZES, library="onednn"), "--output", "out", "--format", "json",
                               DNNL_VERBOSE="1")
        self.assertEqual(len(json.loads(job.stdout)["cases"]), 1)
        self.assertEqual(job.stderr.count("DNNL_VERBOSE=1 was switched off"), 1)

    def test_variables_that_steer_its_threads_are_recorded(self):
        variables = {"GOMP_SPINCOUNT": "infinity", "GOMP_CPU_AFFINITY": "0-1", "OMP_THREAD_LIMIT": "64"}
        _, environment = self.run_sweep(library="onednn", threads_per_rank=2, ranks=None, variables=variables)
        recorded = [environment["onednn"][key] for key in ("spin_count", "cpu_affinity", "thread_limit")]
        self.assertEqual(recorded, list(variables.values()))
        self.assertIn("GOMP_SPINCOUNT=infinity: threads of library onednn spin", " ".join(environment["problems"]))
        _, environment = self.run_sweep(library="onednn", threads_per_rank=1, ranks=None, variables=variables, out="one")
        self.assertNotIn("spin", " ".join(environment["problems"]))

    def test_two_threads(self):
        records, _ = self.run_sweep(library="onednn", workload="block", threads_per_rank=2, ranks=None)
        self.assert_all({record["id"]: record for record in records}, "ok")

    # oneDNN leaves out what falls to threads that do not come.
    TWO_THREADS = {"library": "onednn", "hidden_size": 512, "sequence_length": 256, "threads_per_rank": 2, "ranks": None}

    def test_threads_that_openmp_would_save_come(self):
        for name, value in (("OMP_DYNAMIC", "true"), ("OMP_MAX_ACTIVE_LEVELS", "0"), ("OMP_NUM_THREADS", "1")):
            records, _ = self.run_sweep(**self.TWO_THREADS, variables={name: value}, out=name, verify="full")
            self.assert_all({record["id"]: record for record in records}, "ok")

    def test_a_limit_on_threads_is_said_and_nothing_is_timed(self):
        limit = {"OMP_THREAD_LIMIT": "1"}
        for verify in ("full", "off"):
            (record,), _ = self.run_sweep(**self.TWO_THREADS, variables=limit, out=verify, status=1, verify=verify)
            self.assertEqual((record["status"], record["reason_code"]), ("failed", "error"))
            self.assertIn("got 1 of 2 threads: OMP_THREAD_LIMIT=1 allows no more", record["reason"])
            self.assertIn("unset that variable, or set threads_per_rank to 1", record["reason"])
        (record,), _ = self.run_sweep(**self.TWO_THREADS | {"threads_per_rank": 1}, variables=limit, out="one")
        self.assertEqual(record["status"], "ok")
        job = self.run_tpbench("selfcheck", "--json", "--threads-per-rank", 2, ranks=2, **limit)
        self.assertRegex(" ".join(json.loads(job.stdout)["problems"]), "OMP_THREAD_LIMIT=1 allows no more")


if __name__ == "__main__":
    unittest.main()
