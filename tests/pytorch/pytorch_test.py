"""Outputs and all gradients of the layers against PyTorch's autograd, from the same weights and inputs.

A second opinion, by people who never saw this program: the reference that every case is verified with was written
beside the layers. Exit status 77 says that PyTorch is not installed (Debian: python3-torch).
"""

import collections
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import torch
    from torch.nn import functional
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

DUMP_LAYERS = os.environ["TPBENCH_DUMP_LAYERS"]
MPIRUN = os.environ.get("TPBENCH_MPIEXEC") or "mpirun"
LIMIT_S = 240  # only to end what hangs

NORM_EPSILON = 1e-5
# The largest difference over the largest value of a tensor. PyTorch computes in f64 from the very values that the
# layer had.
TOLERANCE = {"f64": 1e-12, "f32": 1e-5}

SWEEP = {
    "workload": ["row_linear", "column_linear", "mlp", "attention", "block", "embedding", "lm_head"],
    "pass": "forward_backward",
    "dtype": ["f32", "f64"],
    "hidden_size": 24,
    "ffn_hidden_size": 40,
    "num_heads": 4,
    "num_kv_heads": [4, 2, 1],  # with one, two ranks hold a copy each
    "num_layers": 2,
    "batch_size": 2,
    "sequence_length": 6,
    "tp_degree": [1, 2],
    "sequence_parallel": [False, True],
    "activation": ["gelu", "swiglu"],
    "norm": ["layer_norm", "rms_norm"],
    "combine": ["all_gather", "all_reduce"],
    "vocab_size": 29,  # two ranks have a row of padding
    "tie_embeddings": [False, True],
    "logits": ["last", "all"],
    "threads_per_rank": 1,
    "seed": 3,
    # Without backward layers work in place. Prefill and decode behind earlier tokens; more rows than a tile has.
    "cases": [{"pass": "forward"},
              {"pass": "forward", "context_length": 5},
              {"pass": "forward", "context_length": 5, "sequence_length": 1},
              {"workload": "attention", "sequence_length": 300, "num_kv_heads": 2, "num_layers": 1},
              {"workload": "attention", "sequence_length": 300, "num_kv_heads": 2, "num_layers": 1,
               "pass": "forward", "context_length": 30},
              # Heads that are not hidden_size / num_heads wide.
              {"workload": "attention", "head_dim": 10},
              {"workload": "block", "head_dim": 3, "num_kv_heads": 2},
              {"workload": "model", "num_kv_heads": 2},
              {"workload": "model", "num_kv_heads": 1, "head_dim": 10, "activation": "swiglu", "norm": "rms_norm"},
              {"workload": "model", "num_kv_heads": 2, "pass": "forward", "activation": "swiglu"},
              {"workload": "lm_head", "pass": "forward"},
              {"workload": "embedding", "pass": "forward"}],
}


# -- the layers as PyTorch has them; `w` are the weights of one weight set, Y = X W

def linear(case, x, w):
    return x @ w["weight"]


def mlp(case, x, w):
    if case["activation"] == "swiglu":
        return (functional.silu(x @ w["gate"]) * (x @ w["up"])) @ w["down"]
    return functional.gelu(x @ w["up"], approximate="tanh") @ w["down"]


def attention(case, x, w):
    heads, kv_heads, context = case["num_heads"], case["num_kv_heads"], case["context_length"]
    d = case["head_dim"]

    def by_head(rows, count):  # [batch tokens, heads d] -> [batch, heads, tokens, d]
        return rows.view(case["batch_size"], -1, count, d).transpose(1, 2)

    query, key, value = by_head(x @ w["query"], heads), by_head(x @ w["key"], kv_heads), by_head(x @ w["value"], kv_heads)
    if context:
        key = torch.cat([by_head(w["cached_keys"], kv_heads), key], dim=2)
        value = torch.cat([by_head(w["cached_values"], kv_heads), value], dim=2)
    key, value = (heads_of.repeat_interleave(heads // kv_heads, dim=1) for heads_of in (key, value))
    tokens, columns = query.shape[2], key.shape[2]
    visible = torch.ones(tokens, columns, dtype=torch.bool).tril(diagonal=context)
    scores = (query @ key.transpose(2, 3) / math.sqrt(d)).masked_fill(~visible, -math.inf)
    out = torch.softmax(scores, dim=3) @ value
    return out.transpose(1, 2).reshape(x.shape[0], heads * d) @ w["out"]


def norm(case, x, parameters):
    if case["norm"] == "layer_norm":
        return functional.layer_norm(x, x.shape[1:], parameters[0], parameters[1], NORM_EPSILON)
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + NORM_EPSILON) * parameters[0]


def block(case, x, w):
    before_attention, before_mlp = w["norm"].chunk(2)
    x = x + attention(case, norm(case, x, before_attention), w)
    return x + mlp(case, norm(case, x, before_mlp), w)


def head(case, x, weight, targets):
    """Logits of the last token of each sequence or of all; in training the loss of each token."""
    logits = x @ weight.T
    if case["pass"] == "forward_backward":
        return functional.cross_entropy(logits, targets, reduction="none").view(-1, 1)
    return logits if case["logits"] == "all" else logits[case["sequence_length"] - 1::case["sequence_length"]]


LAYERS = {"row_linear": linear, "column_linear": linear, "mlp": mlp, "attention": attention, "block": block}
CHAINED = {"block", "model"}  # the output of one weight set is the input of the next
KEPT = {"cached_keys", "cached_values"}  # no weights: they have no gradient


def expected_results(case, tensors):
    """(direction, layer, name) -> the whole tensor, for all that the layer must leave."""
    weights = collections.defaultdict(dict)
    ends = {}
    for tensor in tensors:
        values = torch.tensor(tensor["values"], dtype=torch.float64).view(tensor["rows"], tensor["columns"])
        if tensor["name"] in ("input", "output_gradient"):
            ends[tensor["name"]] = values
        elif tensor["name"] in ("token_ids", "targets"):
            ends[tensor["name"]] = values.long().view(-1)
        elif tensor["name"] in ("embedding", "head", "final_norm"):
            ends[tensor["name"]] = values.requires_grad_()
        else:
            weights[tensor["layer"]][tensor["name"]] = values.requires_grad_(tensor["name"] not in KEPT)

    if case["workload"] == "embedding":
        return embedding_results(case, ends)
    if case["workload"] == "lm_head":
        return lm_head_results(case, ends)
    if case["workload"] == "model":
        return model_results(case, ends, weights)
    inputs, outputs = [], []
    for layer in range(case["num_layers"]):
        chains = case["workload"] in CHAINED and layer > 0
        x = outputs[-1] if chains else ends["input"].clone().requires_grad_()
        if chains:
            x.retain_grad()
        inputs.append(x)
        outputs.append(LAYERS[case["workload"]](case, x, weights[layer]))
    results = {("forward", layer, "output"): y.detach() for layer, y in enumerate(outputs)}
    if case["pass"] == "forward":
        return results

    for y in outputs[-1:] if case["workload"] in CHAINED else outputs:
        y.backward(ends["output_gradient"])
    for layer in range(case["num_layers"]):
        results["backward", layer, "input_gradient"] = inputs[layer].grad
        for name, weight in weights[layer].items():
            results["backward", layer, "norm_gradients" if name == "norm" else name + "_gradient"] = weight.grad
    return results


def embedding_results(case, ends):
    output = ends["embedding"][ends["token_ids"]]
    results = {("forward", 0, "output"): output.detach()}
    if case["pass"] == "forward_backward":
        output.backward(ends["output_gradient"])
        results["backward", 0, "embedding_gradient"] = ends["embedding"].grad
    return results


def lm_head_results(case, ends):
    x = ends["input"].clone().requires_grad_()
    output = head(case, x, ends["head"], ends["targets"])
    results = {("forward", 0, "output"): output.detach()}
    if case["pass"] == "forward_backward":
        output.sum().backward()
        results["backward", 0, "input_gradient"] = x.grad
        results["backward", 0, "head_gradient"] = ends["head"].grad
    return results


def model_results(case, ends, weights):
    last = case["num_layers"] - 1
    inputs = [ends["embedding"][ends["token_ids"]]]
    for layer in range(case["num_layers"]):
        inputs[-1].retain_grad()
        inputs.append(block(case, inputs[-1], weights[layer]))
    results = {("forward", layer, "output"): y.detach() for layer, y in enumerate(inputs[1:])}
    output = head(case, norm(case, inputs[-1], ends["final_norm"]), ends.get("head", ends["embedding"]), ends["targets"])
    trains = case["pass"] == "forward_backward"
    results["forward", last, "loss" if trains else "logits"] = output.detach()
    if not trains:
        return results
    output.sum().backward()
    for layer in range(case["num_layers"]):
        results["backward", layer, "input_gradient"] = inputs[layer].grad
        for name, weight in weights[layer].items():
            results["backward", layer, "norm_gradients" if name == "norm" else name + "_gradient"] = weight.grad
    results["backward", last, "final_norm_gradients"] = ends["final_norm"].grad
    results["backward", 0, "embedding_gradient"] = ends["embedding"].grad
    if "head" in ends:
        results["backward", last, "head_gradient"] = ends["head"].grad
    return results


def error_of(shard, whole, covered):
    """The largest difference of a rank's shard over the largest value of the whole; marks what it covers."""
    here = (slice(shard["first_row"], shard["first_row"] + shard["rows"]),
            slice(shard["first_column"], shard["first_column"] + shard["columns"]))
    values = [math.nan if value is None else value for value in shard["values"]]
    found = torch.tensor(values, dtype=torch.float64).view(shard["rows"], shard["columns"])
    covered[here] = True
    return ((found - whole[here]).abs().max() / whole.abs().max()).item()


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tpbench-pytorch-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        sweep = cls.folder / "sweep.json"
        sweep.write_text(json.dumps(SWEEP))
        job = subprocess.run([MPIRUN, "--oversubscribe", "-n", "2", DUMP_LAYERS, str(sweep), str(cls.folder)],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)
        if job.returncode != 0:
            raise AssertionError(f"dump_layers ended with {job.returncode}:\n{job.stderr}")
        torch.set_num_threads(1)

    def check(self, workload):
        seen, worst = collections.Counter(), {dtype: 0.0 for dtype in TOLERANCE}
        for path in sorted(self.folder.glob(f"{workload}-*.tensors.json")):
            dumped = json.loads(path.read_text())
            case = dumped["case"]
            with self.subTest(id=path.name.split(".")[0],
                              **{k: v for k, v in case.items() if isinstance(SWEEP.get(k), list)}):
                error = self.check_case(case, dumped["tensors"], path)
                worst[case["dtype"]] = max(worst[case["dtype"]], error)
            seen[case["tp_degree"], case["sequence_parallel"], case["dtype"]] += 1
        self.assertEqual(len(seen), 8, "degrees 1 and 2, rows split and not, f32 and f64")
        print(f"{workload}: {seen.total()} cases, largest error",
              ", ".join(f"{error:.1e} in {dtype}" for dtype, error in worst.items()))

    def check_case(self, case, tensors, path):
        expected = expected_results(case, tensors)
        covered = {key: torch.zeros(whole.shape, dtype=torch.bool) for key, whole in expected.items()}
        largest = 0.0
        for rank in range(case["tp_degree"]):
            shards = json.loads(pathlib.Path(str(path).replace(".tensors.", f".rank{rank}.")).read_text())
            keys = [(shard["direction"], shard["layer"], shard["name"]) for shard in shards]
            self.assertEqual(sorted(keys), sorted(expected), f"what rank {rank} was left with")
            for key, shard in zip(keys, shards):
                error = error_of(shard, expected[key], covered[key])
                # Written so that NaN fails.
                self.assertTrue(error <= TOLERANCE[case["dtype"]], f"{key} of rank {rank}: relative error {error:.2e}")
                largest = max(largest, error)
        for key, mask in covered.items():
            self.assertTrue(mask.all(), f"no rank has all of {key}")
        return largest

    def test_row_linear(self):
        self.check("row_linear")

    def test_column_linear(self):
        self.check("column_linear")

    def test_mlp(self):
        self.check("mlp")

    def test_attention(self):
        self.check("attention")

    def test_block(self):
        self.check("block")

    def test_embedding(self):
        self.check("embedding")

    def test_lm_head(self):
        self.check("lm_head")

    def test_model(self):
        self.check("model")


if __name__ == "__main__":
    unittest.main()
