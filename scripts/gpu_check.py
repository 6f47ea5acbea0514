#!/usr/bin/env python3
"""What scripts/gpu-check.sh does."""
import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LIMIT_S = 450  # for all; one launch has LAUNCH_S at most
LAUNCH_S = 240
WORKSPACE_BYTES = 32 << 20  # cuBLASLt's, which is taken before the memory of a case is read
DTYPES = ["f32", "f64", "tf32", "f16", "bf16"]
FEW_SAMPLES = {"warmup_steps": 1, "min_samples": 3, "max_samples": 3, "max_seconds": 0.2}
MANY_SAMPLES = {"warmup_steps": 5, "min_samples": 20, "max_samples": 50, "max_seconds": 4}
LAYERS = ["gemm", "column_linear", "row_linear", "mlp", "attention", "block", "embedding", "lm_head", "model"]
SCHEDULES = ["gpipe", "1f1b", "interleaved", "zb_h1"]
COLLECTIVES = ["all_reduce", "all_gather", "reduce_scatter"]
# Heads and widths that degree 4 divides, and rows that are no multiple of a tile.
SHAPE = {"backend": "cuda", "hidden_size": 512, "ffn_hidden_size": 1536, "num_heads": 8, "num_kv_heads": 4,
         "batch_size": 2, "sequence_length": 52, "vocab_size": 999, "tp_degree": [1, 2, 4]}


def correctness_sweeps(gpus):
    """(title, sweep): all of them verified in full but the last ones, whose shapes are large."""
    small = SHAPE | {"dtype": DTYPES, "verify": "full", "measure": FEW_SAMPLES}
    two = small | {"dtype": ["f32", "bf16"]}
    both = {"pass": "forward_backward", "num_layers": 2}
    sweeps = [
        ("layers, forward", small | {"workload": LAYERS}),
        ("layers, forward and backward", small | both | {"workload": LAYERS[1:], "tp_degree": [1, 2]}),
        ("the same on 4 ranks", two | both | {"workload": LAYERS[1:], "tp_degree": [4]}),
        ("sequence parallelism", two | {"workload": LAYERS[1:], "pass": ["forward", "forward_backward"],
                                        "sequence_parallel": True, "tp_degree": [2, 4]}),
        ("swiglu and all-reduced columns", two | {"workload": ["column_linear", "mlp"], "activation": "swiglu",
                                                  "combine": "all_reduce", "pass": ["forward", "forward_backward"]}),
        ("decode behind a cache", two | {"workload": ["attention", "block"], "sequence_length": 1,
                                         "context_length": 300}),
        ("collectives", small | {"workload": COLLECTIVES}),
        ("overlap in 4 pieces", two | {"workload": ["row_linear", "mlp", "block"], "overlap_chunks": 4,
                                       "tp_degree": [2, 4]}),
        ("pipelines", two | {"workload": ["block", "model"], "num_layers": 4, "pass": ["forward", "forward_backward"],
                             "tp_degree": [1, 2], "pp_degree": 2, "microbatches": 2, "schedule": SCHEDULES,
                             "virtual_stages": [1, 2], "tie_embeddings": True}),
        ("cold caches", small | {"workload": ["mlp"], "dtype": "bf16", "measure": FEW_SAMPLES | {"cache": "cold"}}),
        ("large shapes, sampled", SHAPE | {"workload": ["mlp", "block"], "dtype": DTYPES, "hidden_size": 2048,
                                           "ffn_hidden_size": None, "num_heads": 16, "sequence_length": 320,
                                           "pass": "forward_backward", "tp_degree": [1, 2], "verify": "sampled",
                                           "measure": FEW_SAMPLES}),
    ]
    if gpus >= 2:
        # Each case starts NCCL anew, which takes a second or two: not all of them.
        nccl = {"algorithm": "nccl", "dtype": ["f32", "bf16"], "tp_degree": [4 if gpus >= 4 else 2]}
        sweeps += [(f"{title}, nccl", sweep | nccl) for title, sweep in sweeps
                   if title in ("layers, forward and backward", "sequence parallelism", "collectives", "overlap in 4 pieces")]
        sweeps += [("pipelines, nccl", sweep | nccl | {"tp_degree": [2 if gpus >= 4 else 1]}) for title, sweep in sweeps
                   if title == "pipelines"]
    return sweeps


class Check:
    def __init__(self, build, folder, quick):
        self.folder, self.quick = folder, quick
        self.tpbench = first_that_is(build / "bin/tpbench", build / "tpbench")
        self.rates = first_that_is(build / "bin/gpu_rates", build / "tests/bench/gpu_rates",
                                   build / "libexec/gpu_rates")
        mpirun = build / "bin/mpirun"
        self.mpirun = str(mpirun) if mpirun.exists() else shutil.which("mpirun")
        if self.tpbench is None or self.mpirun is None:
            leave(3, f"{build} has no tpbench, or there is no mpirun in it nor in PATH")
        self.rows, self.wrong, self.unfinished = [], 0, 0
        self.began = time.monotonic()

    def row(self, what, target, measured, verdict):
        self.rows.append((what, target, measured, verdict))
        say(f"{what}: {measured}" + (f" ({verdict})" if verdict else ""))

    def judge(self, what, target, measured, is_met):
        self.row(what, target, measured, "met" if is_met else "missed")

    def left_s(self):
        return LIMIT_S - (time.monotonic() - self.began)

    def within(self, command):
        return run_within(max(1, min(LAUNCH_S, self.left_s())), command)

    def mpi(self, ranks, *arguments):
        # Ranks may outnumber cores here, and a GPU needs no binding.
        return self.within([self.mpirun, "-n", str(ranks), "--oversubscribe", "--bind-to", "none", str(self.tpbench),
                            *arguments])

    def failed(self, what, done, words=None):
        """A row for what gave no result: too slow is not wrong."""
        if done.returncode == TOO_SLOW:
            self.unfinished += 1
            self.row(what, "run", done.stderr, "not through")
        else:
            self.wrong += 1
            self.row(what, "run", words or last_words(done), "WRONG")

    def info(self):
        done = subprocess.run([str(self.tpbench), "info", "--json"], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            leave(3, f"tpbench info failed: {done.stderr.strip()}")
        gpu = json.loads(done.stdout)["gpu"] or {}
        if not gpu.get("gpus"):
            leave(3, f"no GPU to check: {gpu.get('missing', 'none is seen')}")
        return gpu

    def sweep(self, name, sweep, ranks):
        """Runs it; returns its records and how the program ended."""
        output = self.folder / name
        config = self.folder / f"{name}.json"
        config.write_text(json.dumps(sweep | {"name": "gpu-check"}))
        done = self.mpi(ranks, "--config", str(config), "--output", str(output), "--format", "none", "--quiet")
        (self.folder / f"{name}.log").write_text(done.stderr)
        records = [json.loads(path.read_text()) for path in sorted((output / "records").glob("*.json"))]
        return records, done

    def correctness(self, index, title, sweep):
        started = time.monotonic()
        if self.left_s() < 10:
            self.unfinished += 1
            self.row(title, "all right", f"no time left of {LIMIT_S} s", "not through")
            return
        records, done = self.sweep(f"correct-{index}", sweep, max(sweep["tp_degree"]) * sweep.get("pp_degree", 1))
        is_slow = done.returncode == TOO_SLOW
        of = collections.Counter(record["status"] for record in records)
        bad = [f"{r['id']}: {r['reason']}" for r in records if r["status"] == "failed"]
        checked = [r for r in records if r["status"] == "ok"]
        worst = {}
        for record in checked:
            found = record["verification"]
            if not found["passed"]:
                bad.append(f"{record['id']}: was not verified")
            dtype = record["case"]["dtype"]
            share = (found["max_relative_error"] or 0) / (found["tolerance"] or 1)
            worst[dtype] = max(worst.get(dtype, 0), share, found["worst_operation"] or 0)
        if done.returncode != 0 and not bad and not is_slow:
            bad.append(last_words(done))
        if not checked and not is_slow:
            bad.append("nothing was run")
        self.wrong += len(bad)
        self.unfinished += is_slow
        for line in bad[:10]:
            say(f"  {line}")
        errors = ", ".join(f"{dtype} {share:.2f}" for dtype, share in sorted(worst.items()))
        self.row(title, "all right", f"{of['ok']} ok, {of['skipped']} skipped, {of['failed']} failed in "
                 f"{time.monotonic() - started:.0f} s; worst error/tolerance: {errors}",
                 "WRONG" if bad else "not through" if is_slow else "met")

    def products(self):
        if self.rates is None:
            self.row("products", "", "gpu_rates is not in this build", "not run")
            return
        sizes = ["--size", "1024", "--rounds", "6"] if self.quick else []
        done = self.within([str(self.rates), *sizes])
        if done.returncode != 0:
            return self.failed("products", done)
        rates = json.loads(done.stdout)
        (self.folder / "rates.json").write_text(done.stdout)
        for product in rates["products"]:
            title = f"gemm {product['dtype']} T={product['tokens']} h={product['hidden_size']}"
            measured = (f"{product['tpbench_tflops']:.1f} TFLOP/s; plain cuBLASLt {product['plain_tflops']:.1f}, best of "
                        f"its proposals {product['best_of_proposals_tflops']:.1f}; ratio {product['tpbench_over_plain']:.3f}")
            self.judge(title, "97 % of plain", measured, product["tpbench_over_plain"] >= 0.97)
        self.row("copy on the device", "", f"{rates['copy_gb_per_s']:.0f} GB/s read and written", "")

    def gemm_as_recorded(self):
        size = 1024 if self.quick else 8192
        records, done = self.sweep("gemm", {"backend": "cuda", "workload": "gemm", "dtype": ["bf16"], "hidden_size": size,
                                             "batch_size": size, "measure": MANY_SAMPLES}, 1)
        if done.returncode != 0 or not records or records[0]["status"] != "ok":
            return self.failed("gemm in a sweep", done, records and records[0]["reason"])
        record = records[0]
        tflops = record["compute"]["gflops_per_rank"] / 1e3
        other_us = 1e6 * record["time_s"]["other"]["median"]
        self.judge(f"gemm bf16 T=h={size} in a sweep", "700 TFLOP/s on an H200",
                   f"{tflops:.1f} TFLOP/s; verified by {record['verification']['method']}; other {other_us:.1f} us; "
                   f"clocks {record['device']['before']['sm_clock_mhz']} and {record['device']['after']['sm_clock_mhz']} MHz"
                   if record["device"] else f"{tflops:.1f} TFLOP/s", tflops >= 700)

    def memory(self):
        shape = {"hidden_size": 1024 if self.quick else 4096, "sequence_length": 2048}
        records, done = self.sweep("memory", {"backend": "cuda", "workload": ["mlp", "block"], "dtype": ["bf16", "f32"],
                                               "pass": "forward_backward", "num_layers": 4,
                                               "measure": FEW_SAMPLES | {"epochs": 2},
                                               "verify": "off"} | shape, 1)
        if done.returncode != 0 or not records:
            return self.failed("memory", done)
        for record in records:
            memory = record["memory_bytes"]
            if memory is None:
                self.failed(f"memory of {record['case']['workload']}", done, record["reason"])
                continue
            device = memory["device_in_use"] - memory["device_base"]
            counted = memory["peak"] - WORKSPACE_BYTES
            off = device / counted - 1
            self.judge(f"memory of {record['case']['workload']} {record['case']['dtype']}", "within 2 %",
                       f"{counted / 1e9:.3f} GB counted, {device / 1e9:.3f} GB by the device: {100 * off:+.2f} %; fixed cost "
                       f"{memory['device_base'] / 1e9:.3f} GB", abs(off) <= 0.02)

    def empty_step(self):
        done = self.mpi(1, "selfcheck", "--backend", "cuda", "--json")
        if done.returncode != 0:
            return self.failed("empty step", done)
        check = json.loads(done.stdout)
        device_us, host_us = (1e6 * check[key]["median"] for key in ("empty_step_s", "empty_host_step_s"))
        self.judge("empty step", "15 us", f"{device_us:.1f} us by the device's clock, {host_us:.1f} us by the host's",
                   max(device_us, host_us) <= 15)

    def run(self):
        gpu = self.info()
        gpus = len(gpu["gpus"])
        names = collections.Counter(each["name"] for each in gpu["gpus"])
        say(", ".join(f"{count} x {name}" for name, count in names.items()))
        self.row("machine", "", f"{', '.join(names)}; driver {gpu['driver']}, CUDA {gpu['cuda_runtime']}, cuBLASLt "
                 f"{gpu['cublaslt']}, NCCL {gpu['nccl']}", "")
        try:
            # Figures first: they are few, and what comes after them may be slow where ranks share a GPU.
            self.empty_step()
            self.products()
            self.gemm_as_recorded()
            self.memory()
            for index, (title, sweep) in enumerate(correctness_sweeps(gpus)):
                self.correctness(index, title, sweep)
            if gpus < 2:
                self.row("nccl", "all right", "needs two GPUs; this machine has one", "not run")
        finally:
            print_table(self.rows)
        verdict = "all results are right" if self.wrong == 0 else f"{self.wrong} results are WRONG"
        if self.unfinished:
            verdict += f"; {self.unfinished} checks were not through in time"
        missed = sum(row[3] == "missed" for row in self.rows)
        print(f"\nGPU CHECK: {verdict}; {missed} figures missed; {time.monotonic() - self.began:.0f} s")
        return 1 if self.wrong else 4 if self.unfinished else 0


TOO_SLOW = 124  # as timeout(1) says it


def last_words(done):
    """What the program itself said last; MPI's own lines stand around it."""
    lines = done.stderr.strip().splitlines() or ["no word of it"]
    return next((line for line in lines if line.startswith(("tpbench", "gpu_rates"))), lines[-1])


def run_within(seconds, command):
    """As subprocess.run; what takes longer is ended, and told as a failure."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, error = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(command, process.returncode, out, error)
    except subprocess.TimeoutExpired:
        process.terminate()  # mpirun then ends its ranks, which hold the GPU
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return subprocess.CompletedProcess(command, TOO_SLOW, "", f"was not through after {seconds:.0f} s")


def hold_driver():
    """Where nothing else keeps the driver initialised, each start of a program takes seconds to do it anew."""
    try:
        os.open("/dev/nvidia0", os.O_RDWR)
    except OSError:
        pass


def first_that_is(*paths):
    return next((path for path in paths if path.exists()), None)


def say(text):
    print(text, file=sys.stderr, flush=True)


def leave(status, text):
    say(f"gpu-check.sh: {text}")
    sys.exit(status)


def print_table(rows):
    heads = ("what", "target", "measured", "verdict")
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(prog="gpu-check.sh")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.output or pathlib.Path(scratch)).resolve()
        if folder.exists() and any(folder.iterdir()):
            leave(2, f"{folder} is not empty")
        folder.mkdir(parents=True, exist_ok=True)
        hold_driver()
        # A launcher of another job must not be taken for that of the ranks started here.
        for name in [name for name in os.environ if name.startswith(("OMPI_COMM_", "PMIX_"))]:
            del os.environ[name]
        return Check(options.build.resolve(), folder, options.quick).run()


if __name__ == "__main__":
    sys.exit(main())
