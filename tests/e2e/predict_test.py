"""tpbench predict on folders of a machine that never was, and on what a real launch leaves."""

import csv
import io
import json
import os
import shutil
import subprocess
import unittest

from harness import SOURCE_DIR, E2eTest

SAMPLE_FOLDERS = os.environ["TPBENCH_SAMPLE_FOLDERS"]
CORPUS = SOURCE_DIR / "tests" / "corpus" / "records-1"


class PredictTest(E2eTest):
    def measured(self, label="eth", bytes_per_s=1e9, shapes=8, degrees=4, seed=1):
        path = self.folder / label
        subprocess.run([SAMPLE_FOLDERS, path, label, str(bytes_per_s), str(shapes), str(degrees), str(seed)], check=True)
        return path

    def predict(self, *arguments, status=0):
        return self.run_tpbench("predict", *arguments, status=status)

    def document(self, *arguments):
        return json.loads(self.predict(*arguments, "--format", "json").stdout)

    def test_a_degree_that_was_held_back(self):
        """Within a tenth of the machine's own formula: compute is 12 % longer on 8 ranks, which no smaller one shows."""
        whole = self.measured()
        held = self.folder / "held"
        shutil.copytree(whole, held)
        measured = {}
        for file in (held / "records").iterdir():
            record = json.loads(file.read_text())
            if record["case"]["tp_degree"] == 8:
                measured[record["id"]] = record["time_s"]["step"]["median"]
                file.unlink()
        cases = {c["id"]: c for c in self.document(held, "--degree", "8")["cases"] if c["status"] != "measured"}
        self.assertEqual(set(cases) & set(measured), set(measured) - {i for i in measured if i.startswith("all_reduce")})
        for name, case in cases.items():
            if name not in measured:
                continue
            self.assertAlmostEqual(case["step_s"] / measured[name], 1, delta=0.25, msg=name)
            self.assertLessEqual(case["step_low_s"], case["step_s"])
            self.assertLessEqual(case["step_s"], case["step_high_s"])

    def test_check_holds_its_ranges(self):
        cases = [c for c in self.document(self.measured(), "--check")["cases"] if c["within"]]
        self.assertGreater(len(cases), 20)
        self.assertGreaterEqual(sum(c["within"] == "yes" for c in cases) / len(cases), 0.85)

    def test_a_calibration_is_kept_and_read_back(self):
        folder, file = self.measured(), self.folder / "machine.json"
        fitted = self.document(folder, "--degree", "16", "--save-calibration", file)
        kept = self.document(folder, "--calibration", file, "--degree", "16")
        self.assertEqual(fitted["cases"], kept["cases"])
        alone = self.document(file, "--shape", "workload=row_linear,hidden_size=1024,batch_size=1,sequence_length=128", "--degree", "4")
        self.assertEqual([c["status"] for c in alone["cases"]], ["predicted"])
        damaged = json.loads(file.read_text())
        damaged["compute"][0]["rates"][0]["s_per_flop"] = -1
        file.write_text(json.dumps(damaged))
        refused = self.predict(file, "--degree", "2", status=2)
        self.assertIn("/compute/0/rates/0/s_per_flop: must be at least 0", refused.stderr)

    def test_another_network(self):
        folder = self.measured()
        fast = "between:alpha=1us,bandwidth=100GB/s"
        refused = self.predict(folder, "--degree", "4", "--fabric", fast, status=2)
        self.assertIn("no predicted case crosses hosts", refused.stderr)
        refused = self.predict(folder, "--degree", "8", "--fabric", "alpha=3,bandwidth=1GB/s", status=2)
        self.assertIn("alpha=20us", refused.stderr)
        slow, quick = (self.document(folder, "--degree", "16", "--ranks-per-host", "1", "--fabric", f"alpha=5us,bandwidth={rate}")
                       for rate in ("1GB/s", "10GB/s"))
        for one, other in zip(slow["cases"], quick["cases"]):
            if one["communication_s"]:
                self.assertGreater(one["communication_s"], other["communication_s"])
        self.assertEqual(slow["fabric"]["between"], "alpha=5us,bandwidth=1GB/s")

    def test_what_crosses_hosts_is_not_told_from_what_does_not(self):
        cases = self.document(self.measured(), "--degree", "16", "--ranks-per-host", "8")["cases"]
        refused = [c for c in cases if c["status"] == "refused"]
        self.assertTrue(refused)
        self.assertIn("between hosts", refused[0]["reason"])

    def test_what_is_left_out_is_named(self):
        document = self.document(CORPUS / "trouble", CORPUS / "linear", CORPUS / "collectives", "--degree", "4")
        whys = {(entry["key"], entry["why"].split(":")[0]) for entry in document["left_out"]}
        self.assertIn(("/status", "failed"), whys)
        self.assertIn(("/status", "skipped"), whys)
        text = self.predict(CORPUS / "linear", "--degree", "4").stdout
        self.assertIn("Left out", text)
        self.assertIn("/status", text)

    def test_too_little_is_refused_with_what_to_measure(self):
        folder = self.measured(shapes=10, degrees=1)
        files = sorted((folder / "records").iterdir())
        for file in files[1:]:
            file.unlink()
        refused = self.predict(folder, "--degree", "2", status=2)
        self.assertIn("Measure at least two sizes", refused.stderr)

    def test_formats_agree(self):
        folder = self.measured()
        document = self.document(folder, "--degree", "16")
        rows = list(csv.DictReader(io.StringIO(self.predict(folder, "--degree", "16", "--format", "csv").stdout)))
        self.assertEqual([row["id"] for row in rows], [case["id"] for case in document["cases"]])
        self.assertIn("| TP |", self.predict(folder, "--degree", "16", "--format", "markdown").stdout)
        self.assertEqual(self.predict(folder, "--degree", "16", "--format", "none").stdout, "")
        first = self.predict(folder, "--degree", "16").stdout.splitlines()[0]
        self.assertIn("takes", first)

    def test_mistakes_of_the_command_line(self):
        folder = self.measured()
        for arguments, words in (((), "a result folder"), ((folder, "--degree", "0"), "whole number from 1"),
                                 ((folder, "--check", "--degree", "4"), "takes no --degree"),
                                 ((folder, "--shape", "hiden_size=3"), "did you mean"),
                                 ((self.folder / "nowhere",), "no such folder"),
                                 ((folder, "--save-calibration", folder), "is a folder"),
                                 ((folder / "environment.json",), "no result folder and no document of tpbench probe")):
            self.assertIn(words, self.predict(*arguments, status=2).stderr)

    def test_a_real_launch(self):
        sweep = self.sweep(workload=["row_linear", "mlp"], hidden_size=[64, 128], batch_size=[8, 64], tp_degree=[1, 2])
        run = self.folder / "run"
        self.run_tpbench("--config", sweep, "--output", run, ranks=2)
        document = self.document(run, "--degree", "4")
        self.assertEqual({c["status"] for c in document["cases"]} & {"predicted", "extrapolated", "measured"},
                         {c["status"] for c in document["cases"]})
        self.assertTrue(any(c["status"] != "measured" for c in document["cases"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
