"""--resume: loses no finished record, repeats none, and refuses what is not its own."""

import json
import random
import time

from harness import E2eTest, main, read_records, without_scaling


class KilledAtRandom(E2eTest):
    def test_nothing_is_lost_or_repeated(self):
        seed = 11
        moments = random.Random(seed)
        cases = 3 * 2 * 8
        # A case samples for all of max_seconds: target_ci cannot be met.
        self.sweep(workload=["row_linear", "mlp", "all_reduce"], tp_degree=[1, 2], batch_size=list(range(1, 9)),
                   measure={"max_samples": 1000000, "max_seconds": 0.15, "target_ci": 1e-9})
        finished, kills = {}, 0
        folder = self.folder / "out"
        for round in range(10):
            arguments = ["--resume", "out"] if (folder / "sweep.json").exists() else ["--config", "sweep.json", "--output", "out"]
            job = self.start(*arguments, ranks=2)
            while len(job.rank_pids()) < 2 and job.process.poll() is None:
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 1.4))
            if job.process.poll() is None:
                kills += 1
            job.kill()
            with self.subTest(round=round, seed=seed):
                now = read_records(folder)  # each is whole: it parses
                for id, record in finished.items():
                    self.assertEqual(without_scaling(now[id]), without_scaling(record))
                # A case that a kill cut short is a failed one, which is run again.
                finished = {id: record for id, record in now.items() if record["status"] == "ok"}
        self.assertGreaterEqual(kills, 8)
        self.assertLess(len(finished), cases)
        self.run_tpbench("--resume", "out", ranks=2)
        records = self.assert_valid(folder, cases=cases)
        self.assert_all(records, "ok")
        self.assert_summary(folder)
        for id, record in finished.items():
            self.assertEqual(without_scaling(records[id]), without_scaling(record))
        for record in records.values():
            if record["case"]["tp_degree"] == 2:
                self.assertIsNotNone(record["scaling"]["baseline_id"])


class Epochs(E2eTest):
    def test_go_on_where_they_were(self):
        # Killed in the middle of many short epochs: what is done is kept, and the rest follows.
        self.sweep(workload=["row_linear"], tp_degree=[1, 2], measure={"epochs": 60, "max_samples": 6, "min_samples": 6})
        folder = self.folder / "out"
        job = self.start("--config", "sweep.json", "--output", "out", "--quiet", ranks=2)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and job.process.poll() is None:
            records = read_records(folder) if (folder / "records").exists() else {}
            if len(records) == 2 and all(record["epochs"]["done"] >= 3 for record in records.values()):
                break
            time.sleep(0.01)
        job.kill()
        before = read_records(folder)
        # Another environment: the record names both.
        self.run_tpbench("--resume", "out", ranks=2, OMP_DYNAMIC="false")
        after = self.assert_valid(folder, cases=2)
        for id, record in after.items():
            done = before[id]["epochs"]["done"]
            self.assertEqual(record["epochs"], {"done": 60, "planned": 60})
            self.assertEqual((record["earlier_environments"], record["environment"]),
                             (["environment.json"], "environment-2.json"))
            self.assertIn("mixed_launches", [warning["code"] for warning in record["quality"]["warnings"]])
            self.assertEqual(len(record["samples_s"]["step"]), 360)
            self.assertEqual(record["samples_s"]["step"][:6 * done], before[id]["samples_s"]["step"])
            self.assertEqual(record["time_s"]["step"]["epoch_medians"][:done], before[id]["time_s"]["step"]["epoch_medians"])


class Resume(E2eTest):
    def run_first_half(self):
        self.sweep(workload=["row_linear", "mlp"], tp_degree=[1, 2])
        self.run_tpbench("--config", "sweep.json", "--output", "out", "--filter", "tp_degree=1", "--label", "eth", ranks=2)
        return self.assert_valid(self.folder / "out", cases=2)

    def test_without_config(self):
        before = self.run_first_half()
        job = self.run_tpbench("--resume", "out", "--filter", "all", ranks=2)
        after = self.assert_valid(self.folder / "out", cases=4)
        self.assert_all(after, "ok")
        self.assert_summary(self.folder / "out")
        for id, record in before.items():
            self.assertEqual(after[id], record)
        self.assertEqual({r["label"] for r in after.values()}, {"eth"})
        self.assertIn("2 of 4 cases are finished already", job.stderr)
        # All is done: once more runs nothing and shows everything.
        again = self.run_tpbench("--resume", "out", "--format", "csv", ranks=2)
        self.assertEqual(again.stdout, (self.folder / "out" / "summary.csv").read_text())
        self.assertEqual(self.assert_valid(self.folder / "out"), after)

    def test_with_the_same_config(self):
        self.run_first_half()
        self.run_tpbench("--resume", "out", "--config", "sweep.json", "--filter", "all", ranks=2)
        self.assert_all(self.assert_valid(self.folder / "out", cases=4), "ok")

    def test_keeps_to_the_filters(self):
        before = self.run_first_half()
        (self.folder / "out" / "records" / f"{sorted(before)[0]}.json").unlink()
        job = self.run_tpbench("--resume", "out", ranks=2)
        self.assertIn("only the cases of the earlier run: --filter tp_degree=1 (--filter all runs every case)", job.stderr)
        self.assertEqual(sorted(self.assert_valid(self.folder / "out")), sorted(before))
        plan = self.run_tpbench("--resume", "out", "--dry-run", "--format", "jsonl")
        self.assertEqual(len(plan.stdout.splitlines()), 2)
        # Others count from then on, as the hint to go on is about them.
        self.run_tpbench("--resume", "out", "--filter", "tp_degree=2", "--filter", "workload=mlp", ranks=2)
        self.assertEqual(len(self.assert_valid(self.folder / "out")), 3)
        self.run_tpbench("--resume", "out", ranks=2)
        run = json.loads((self.folder / "out" / "run.json").read_text())
        self.assertEqual(run["filters"], ["tp_degree=2", "workload=mlp"])
        self.assertTrue(run["command"].endswith(" --resume out"), run["command"])
        self.assertEqual(len(self.assert_valid(self.folder / "out")), 3)
        (self.folder / "out" / "run.json").write_text('{"filters": 3}')
        job = self.run_tpbench("--resume", "out", ranks=2, status=2)
        self.assertIn("out/run.json: is not a tpbench.run/1 document", job.stderr)

    def test_folder_of_a_version_without_run_json(self):
        self.run_first_half()
        (self.folder / "out" / "run.json").unlink()
        self.run_tpbench("--resume", "out", ranks=2)
        self.assert_all(self.assert_valid(self.folder / "out", cases=4), "ok")

    def test_label_of_a_run_that_left_no_record(self):
        before = self.run_first_half()
        for id in before:
            (self.folder / "out" / "records" / f"{id}.json").unlink()
        job = self.run_tpbench("--resume", "out", "--label", "ib", ranks=2, status=2)
        self.assertIn('holds results labelled "eth"', job.stderr)
        self.run_tpbench("--resume", "out", ranks=2)
        self.assertEqual({r["label"] for r in self.assert_valid(self.folder / "out").values()}, {"eth"})

    def test_filters_do_not_hide_what_is_there(self):
        """The other half by a filter: its baselines lie in the folder, and the summary is that of the folder."""
        self.run_first_half()
        job = self.run_tpbench("--resume", "out", "--filter", "tp_degree=2", ranks=2)
        records = self.assert_valid(self.folder / "out", cases=4)
        self.assert_summary(self.folder / "out")
        for record in records.values():
            self.assertIsNotNone(record["scaling"]["speedup"])
        self.assertIn("Verdict", job.stdout)

    def test_another_sweep_is_refused(self):
        before = self.run_first_half()
        for override, pointer, values in [("dtype=f64", "/dtype", '["f32"] in the folder, ["f64"] now'),
                                          ("measure.max_samples=9", "/measure/max_samples", "10 in the folder, 9 now")]:
            with self.subTest(override):
                job = self.run_tpbench("--resume", "out", "--config", "sweep.json", "--set", override, ranks=2, status=2)
                self.assertEqual(job.stderr.count("the folder was made from another sweep"), 1, job.stderr)
                self.assertIn(f"{pointer}: {values}", job.stderr)
        self.assertEqual(self.assert_valid(self.folder / "out"), before)

    def test_another_label_is_refused(self):
        self.run_first_half()
        job = self.run_tpbench("--resume", "out", "--label", "ib", ranks=2, status=2)
        self.assertIn('holds results labelled "eth"', job.stderr)

    def test_folder_without_sweep(self):
        (self.folder / "empty").mkdir()
        for folder, words in (("empty", "there is no sweep.json in this folder; to start there, use --output"),
                              ("nowhere", "there is no such folder")):
            job = self.run_tpbench("--resume", folder, ranks=2, status=2)
            self.assertEqual(job.stderr.count(f"--resume {folder}: {words}"), 1, job.stderr)
        self.assertEqual(list((self.folder / "empty").iterdir()), [])

    def test_record_that_is_broken_is_run_again(self):
        before = self.run_first_half()
        id = sorted(before)[0]
        (self.folder / "out" / "records" / f"{id}.json").write_text('{"schema": "tpbench.rec')
        (self.folder / "out" / "records" / "left.json.tmp.123").write_text("half")
        job = self.run_tpbench("--resume", "out", "--filter", "all", ranks=2)
        self.assertEqual(job.stderr.count(f"warning: out/records/{id}.json is ignored, as it is not a valid record: "), 1)
        self.assert_all(self.assert_valid(self.folder / "out", cases=4), "ok")

    def test_scaling_that_a_kill_left_out_is_completed(self):
        self.sweep(tp_degree=[1, 2])
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=2)
        whole = self.assert_valid(self.folder / "out", cases=2)
        for id, record in whole.items():
            cut = record | {"scaling": {key: None for key in record["scaling"]}}
            (self.folder / "out" / "records" / f"{id}.json").write_text(json.dumps(cut))
        self.run_tpbench("--resume", "out", ranks=2)
        self.assertEqual({id: r["scaling"] for id, r in self.assert_valid(self.folder / "out").items()},
                         {id: r["scaling"] for id, r in whole.items()})

    def test_epochs_are_added(self):
        self.sweep(measure={"epochs": 2})
        self.run_tpbench("--config", "sweep.json", "--output", "out", ranks=2)
        before = read_records(self.folder / "out")
        fewer = self.run_tpbench("--resume", "out", "--set", "measure.epochs=1", ranks=2, status=2)
        self.assertIn("/measure/epochs", fewer.stderr)
        self.run_tpbench("--resume", "out", "--set", "measure.epochs=4", ranks=2)
        for id, record in self.assert_valid(self.folder / "out").items():
            self.assertEqual(record["epochs"], {"done": 4, "planned": 4})
            samples = before[id]["samples_s"]["step"]
            self.assertEqual(record["samples_s"]["step"][:len(samples)], samples)
        # The folder is one of four epochs from now on.
        self.assertEqual(json.loads((self.folder / "out" / "sweep.json").read_text())["measure"]["epochs"], 4)
        self.run_tpbench("--resume", "out", ranks=2)

    def test_epochs_that_are_missing_are_run(self):
        self.sweep(measure={"epochs": 2})
        self.run_tpbench("--config", "sweep.json", "--output", "out")
        (path,) = (self.folder / "out" / "records").glob("*.json")
        record = json.loads(path.read_text())
        record["epochs"]["done"] = 1
        path.write_text(json.dumps(record))
        self.run_tpbench("--resume", "out")
        (record,) = self.assert_valid(self.folder / "out").values()
        self.assertEqual(record["epochs"], {"done": 2, "planned": 2})


class TwoAtOnce(E2eTest):
    def test_second_run_into_the_folder_is_refused(self):
        self.sweep(measure={"min_samples": 1000000, "max_samples": 1000000, "max_seconds": 600}, batch_size=4096)
        first = self.start("--config", "sweep.json", "--output", "out")
        deadline = time.monotonic() + 60
        while not (self.folder / "out" / "environment.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        second = self.run_tpbench("--resume", "out", status=2)
        self.assertIn("another run is writing to this folder", second.stderr)
        self.assertIsNone(first.process.poll())


if __name__ == "__main__":
    main()
