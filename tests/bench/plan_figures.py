#!/usr/bin/env python3
"""Prints how far plans of a whole model are from the model run as a whole, on this machine.

Layers, embedding and head are measured at other widths than the model's; `tpbench plan` puts the model together, and
workload `model` runs it: prompts and one token more, on one rank and on two.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

MODEL = {"model_type": "llama", "hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8,
         "num_key_value_heads": 4, "num_hidden_layers": 8, "vocab_size": 8000, "hidden_act": "silu",
         "tie_word_embeddings": False}
BATCH, PROMPT = 4, 128
MEASURE = {"min_samples": 10, "max_samples": 100, "max_seconds": 0.3}


def sweeps():
    common = {"hidden_size": [256, 384, 768], "activation": "swiglu", "tp_degree": [1, 2], "batch_size": [2, 8],
              "measure": MEASURE | {"cache": "cold"}}
    yield "layers", common | {"name": "layers", "workload": "block", "num_heads": 8, "num_kv_heads": 4,
                              "sequence_length": [1, 64, 192], "context_length": [0, 160],
                              "exclude": [{"context_length": 160, "sequence_length": [64, 192]}]}
    yield "ends", common | {"name": "ends", "workload": ["embedding", "lm_head"], "vocab_size": [4000, 16000],
                            "sequence_length": [1, 192]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tpbench", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, help="for the results; else they are not kept")
    arguments = parser.parse_args()
    tpbench = str(arguments.tpbench.resolve())
    variables = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def run(command, folder):
        return subprocess.run(list(map(str, command)), cwd=folder, env=variables, check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(arguments.folder or name)
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(MODEL))
        launch = ["mpirun", "-n", 2, tpbench, "--quiet", "--format", "none", "--config"]
        for sweep, content in sweeps():
            (folder / f"{sweep}.json").write_text(json.dumps(content))
            run([*launch, f"{sweep}.json", "--output", sweep], folder)
        whole = {"name": "whole", "workload": "model", "model": "config.json", "batch_size": BATCH, "tp_degree": [1, 2],
                 "sequence_length": PROMPT, "context_length": 0, "measure": MEASURE,
                 "cases": [{"sequence_length": 1, "context_length": PROMPT, "tp_degree": tp} for tp in (1, 2)]}
        (folder / "whole.json").write_text(json.dumps(whole))
        run([*launch, "whole.json", "--output", "whole"], folder)
        measured = {}
        for path in (folder / "whole" / "records").glob("*.json"):
            record = json.loads(path.read_text())
            case = record["case"]
            measured[case["tp_degree"], case["sequence_length"] == 1] = record["time_s"]["step"]["median"]
        for ranks in (1, 2):
            plan = json.loads(run([tpbench, "plan", "layers", "ends", "--model", "config.json", "--ranks", ranks, "--batch",
                                   BATCH, "--sequence", PROMPT, "--format", "json"], folder))
            split = next(s for s in plan["splits"] if s["tp_degree"] == ranks and s["pp_degree"] == 1 and s["microbatches"] == 1)
            for words, key, is_token in (("first token", "first_token", False), ("a token more", "token", True)):
                seconds = measured[ranks, is_token]
                within = split[f"{key}_low_s"] <= seconds <= split[f"{key}_high_s"]
                print(f"TP {ranks}, {words}: measured {seconds * 1e3:.2f} ms, composed {split[f'{key}_s'] * 1e3:.2f} ms "
                      f"({split[f'{key}_low_s'] * 1e3:.2f} to {split[f'{key}_high_s'] * 1e3:.2f}), off by "
                      f"{(split[f'{key}_s'] / seconds - 1) * 100:+.0f} %, {'within' if within else 'outside'} its range")


if __name__ == "__main__":
    main()
