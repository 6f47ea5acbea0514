"""Timelines of ranks and samples in long form: what a run keeps, and what is exported of it."""

import csv
import io
import json

from harness import FAULTY, E2eTest, main
from traces import check_chrome, check_folder


class Timelines(E2eTest):
    def export(self, *arguments, status=0):
        return self.run_tpbench("export", "out", *arguments, status=status)

    def test_slices_are_those_of_the_record(self):
        sweep = self.sweep(workload=["row_linear", "mlp", "block"], tp_degree=[1, 2, 5],
                           **{"pass": ["forward", "forward_backward"]})
        self.run_tpbench("--config", sweep, "--output", "out", ranks=2)
        records = self.assert_valid(self.folder / "out")
        check_folder(self, self.folder / "out", records)
        arrows = check_chrome(self, json.loads(self.export("--to", "trace").stdout), 0)
        self.assertGreater(arrows, 0)
        one = json.loads(self.export("--to", "trace", "--filter", "workload=mlp", "--filter", "tp_degree=2",
                                     "--filter", "pass=forward").stdout)
        names = [e["args"]["name"] for e in one["traceEvents"] if e["name"] == "process_name"]
        self.assertEqual(len(names), 1, names)
        self.assertIn("mlp", names[0])
        self.assertIn("holds no timeline", self.export("--to", "trace", "--filter", "tp_degree=5", status=2).stderr)
        # A record of its own for each rank.
        for record in records.values():
            if record["status"] != "ok":
                continue
            ranks = record["rank_results"]
            self.assertEqual(ranks["count"], record["case"]["tp_degree"])
            self.assertEqual([r["rank"] for r in ranks["listed"]], record["ranks"]["group"])
            self.assertEqual([r["cpus"] for r in ranks["listed"]], record["ranks"]["cpus"])
            collectives = sum(c["calls_per_step"] for c in record["communication"]["collectives"])
            if record["case"]["tp_degree"] == 2:
                # One of two comes last, or both at one moment.
                last = sum(sum(r["last_arrivals"].values()) for r in ranks["listed"])
                self.assertGreaterEqual(last, collectives * ranks["samples"])

    def test_replicas_and_epochs(self):
        sweep = self.sweep(workload="row_linear", tp_degree=[1, 2], groups="all", measure={"epochs": 2})
        self.run_tpbench("--config", sweep, "--output", "out", ranks=4)
        check_folder(self, self.folder / "out", self.assert_valid(self.folder / "out"))
        check_chrome(self, json.loads(self.export("--to", "trace").stdout), 0)

    def test_a_slow_rank_is_named(self):
        sweep = self.sweep(workload="row_linear", tp_degree=2)
        self.run_tpbench("--config", sweep, "--output", "out", ranks=2, program=FAULTY, TPBENCH_TEST_FAULT="slow:rank=1:ms=5")
        (record,) = self.assert_valid(self.folder / "out").values()
        warnings = {w["code"]: w["message"] for w in record["quality"]["warnings"]}
        self.assertRegex(warnings["imbalance"], r"; rank 1 \(\S+.*\) came last in \d+ % of them: it computed .* longer")
        listed = record["rank_results"]["listed"]
        self.assertGreater(listed[1]["compute_s"], listed[0]["compute_s"])
        self.assertGreater(listed[0]["wait_s"], listed[1]["wait_s"])

    def test_samples(self):
        sweep = self.sweep(workload=["row_linear", "all_reduce"], tp_degree=[1, 2, 3])
        self.run_tpbench("--config", sweep, "--output", "out", "--label", "eth", ranks=2)
        records = self.assert_valid(self.folder / "out")
        self.run_tpbench("export", "out", "--to", "samples", "--output", "samples.csv")
        rows = list(csv.DictReader(io.StringIO((self.folder / "samples.csv").read_text())))
        found = {}
        for row in rows:
            found.setdefault((row["id"], row["quantity"]), []).append(float(row["seconds"]))
            self.assertEqual((row["label"], row["world"]), ("eth", "2"))
            self.assertEqual(row["tp_degree"], str(records[row["id"]]["case"]["tp_degree"]))
        wanted = {(id, quantity): samples for id, r in records.items() if r["status"] == "ok"
                  for quantity, samples in r["samples_s"].items() if samples is not None}
        self.assertEqual(found, wanted)
        summary = {row["id"]: row for row in csv.DictReader(io.StringIO(self.run_tpbench("export", "out", "--to", "csv").stdout))}
        document = json.loads(self.run_tpbench("export", "out", "--to", "json").stdout)
        self.assertEqual(list(document["cases"][0]), list(next(iter(summary.values()))))
        for id, record in records.items():
            self.assertEqual(summary[id]["started_at"], record["started_at"])
            if record["status"] == "ok":
                self.assertEqual(float(summary[id]["step_min_s"]), record["time_s"]["step"]["min"])
                self.assertEqual([float(v) for v in summary[id]["step_epoch_medians_s"].split(";")],
                                 record["time_s"]["step"]["epoch_medians"])


if __name__ == "__main__":
    main(yields=False)
