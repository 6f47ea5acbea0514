"""tpbench compare and tpbench export, on the folders that runs leave."""

import csv
import io
import json
import shutil

from harness import FAULTY, SOURCE_DIR, E2eTest, main, read_records

SLEEP = "slow:ms=20"


OLD = SOURCE_DIR / "tests" / "corpus" / "records-1"


class OldAndNew(E2eTest):
    """Folders of the first schema, and runs of today of the same sweeps."""

    def test_cases_of_an_old_and_a_new_run_meet(self):
        for name in ("linear", "training", "collectives"):
            with self.subTest(sweep=name):
                self.run_tpbench("--config", OLD / name / "sweep.json", "--output", name, ranks=2)
                comparison, = json.loads(
                    self.run_tpbench("compare", OLD / name, name, "--format", "json").stdout)["comparisons"]
                old, new = read_records(OLD / name), read_records(self.folder / name)
                self.assertEqual(set(old), set(new))
                self.assertEqual({r["schema"] for r in new.values()}, {"tpbench.record/2"})
                timed = {id for id, r in old.items() if r["status"] == "ok"}
                self.assertEqual({c["id"] for c in comparison["cases"]}, timed)
                for case in comparison["cases"]:
                    self.assertGreater(case["step"]["ratio"], 0)

    def test_an_old_folder_goes_on(self):
        folder = self.folder / "old"
        shutil.copytree(OLD / "linear", folder)
        before = read_records(folder)
        gone = next(id for id, r in before.items() if r["case"]["tp_degree"] == 2 and r["status"] == "ok")
        (folder / "records" / f"{gone}.json").unlink()
        # A key that sweeps of that time did not have.
        sweep = json.loads((folder / "sweep.json").read_text())
        del sweep["overlap_chunks"]
        (folder / "sweep.json").write_text(json.dumps(sweep))
        self.run_tpbench("--resume", folder, ranks=2)
        after = read_records(folder)
        self.assertEqual(set(after), set(before))
        self.assertEqual(after[gone]["schema"], "tpbench.record/2")
        for id in set(before) - {gone}:
            self.assertEqual(after[id]["samples_s"], before[id]["samples_s"])
            if before[id]["status"] == "ok":  # what was skipped is looked at again
                self.assertEqual(after[id]["schema"], "tpbench.record/1")

    def test_old_folders_export(self):
        for folder in filter(lambda path: path.is_dir(), OLD.iterdir()):
            for form in ("table", "csv", "jsonl"):
                self.assertTrue(self.run_tpbench("export", folder, "--to", form).stdout)


class WithFolders(E2eTest):
    def run_sweep(self, output, ranks=2, **options):
        sweep = self.sweep(workload=["row_linear", "all_reduce", "all_gather", "reduce_scatter"], tp_degree=[1, 2, 3],
                           measure={"epochs": 2, "max_samples": 8})
        return self.run_tpbench("--config", sweep, "--output", output, ranks=ranks, **options)

    def compare(self, *arguments, status=0, **options):
        """Alone, with no launcher anywhere near: reading results needs none."""
        return self.run_tpbench("compare", *arguments, status=status, **options)


class Compare(WithFolders):
    def setUp(self):
        super().setUp()
        self.run_sweep("a")
        self.run_sweep("b", program=FAULTY, TPBENCH_TEST_FAULT=SLEEP)

    def test_every_format_says_the_same(self):
        document = json.loads(self.compare("a", "b", "--format", "json").stdout)
        self.assertEqual(document["schema"], "tpbench.comparison/1")
        comparison = document["comparisons"][0]
        a, b = read_records(self.folder / "a"), read_records(self.folder / "b")
        self.assertEqual(len(comparison["cases"]), 8)
        for case in comparison["cases"]:
            for quantity in ("step", "compute", "communication"):
                cell = case[quantity]
                self.assertEqual(cell["base_s"], a[case["id"]]["time_s"][quantity]["median"])
                self.assertEqual(cell["other_s"], b[case["id"]]["time_s"][quantity]["median"])
                if cell["base_s"] > 0 < cell["other_s"]:
                    self.assertAlmostEqual(cell["ratio"], cell["other_s"] / cell["base_s"])
                else:
                    self.assertIsNone(cell["ratio"])
        self.assertEqual([c["other_status"] for c in comparison["not_compared"]], ["skipped"] * 4)
        self.assertIn("degree 3", comparison["not_compared"][0]["other_reason"].replace("tp_degree", "degree"))
        self.assertIn({"key": "/variables/TPBENCH_TEST_FAULT", "base": "absent", "other": json.dumps(SLEEP)},
                      comparison["environment"])

        rows = list(csv.DictReader(io.StringIO(self.compare("a", "b", "--format", "csv").stdout)))
        self.assertEqual(len(rows), 12)
        by_id = {row["id"]: row for row in rows}
        for case in comparison["cases"]:
            self.assertEqual(float(by_id[case["id"]]["step_other_s"]), case["step"]["other_s"])
            self.assertEqual(by_id[case["id"]]["step_verdict"], case["step"]["verdict"])

        table = self.compare("a", "b").stdout
        for words in ("A: a;", "B: b;", "geometric mean", "Not compared", "What differs in the environments",
                      "TPBENCH_TEST_FAULT", "Useful degree"):
            self.assertIn(words, table)
        page = self.compare("a", "b", "--format", "markdown").stdout
        self.assertIn("## Not compared", page)
        self.assertIn("| step |", page)
        self.assertEqual(self.compare("a", "b", "--format", "none").stdout, "")

    def test_gate(self):
        # A sleep of 20 ms in a step of some microseconds is beyond any noise of samples; how noisy the machine was when
        # the launches began, with all that tests do at once, and which cores a hypervisor gave them, is another matter.
        for folder in ("a", "b"):
            path = self.folder / folder / "environment.json"
            environment = json.loads(path.read_text())
            environment["noise"]["worst_rank_relative"] = 0.05
            path.write_text(json.dumps(environment))
            for path in (self.folder / folder / "records").glob("*.json"):
                record = json.loads(path.read_text())
                for look in record["reference"] or ():
                    for times in look.values():
                        times.pop("core_latency_s", None)
                path.write_text(json.dumps(record))
        job = self.compare("a", "b", "--fail-above", "5%", status=1)
        self.assertRegex(job.stderr, r"\d of 8 cases (is|are) slower than in a by more than 5 %")
        self.assertIn("row_linear-", job.stderr)
        self.assertRegex(job.stdout.splitlines()[-1], r"^FAIL: \d of 8 cases (is|are) slower by more than 5 %$")
        self.compare("a", "b", "--fail-above", "0.05", status=1)
        # Two short epochs cannot show 5 %, and a gate that cannot judge is no green one.
        job = self.compare("a", "a", "--fail-above", "0%", status=4)
        self.assertRegex(job.stdout.splitlines()[-1], r"^INCONCLUSIVE: \d of 8 cases cannot be judged at 0 %$")
        job = self.compare("a", "a", "--fail-above", "0%", "--inconclusive", "pass")
        self.assertRegex(job.stdout.splitlines()[-1], r"^INCONCLUSIVE: .* \(counts as pass\)$")
        self.compare("a", "a", "--fail-above", "0%", "--inconclusive", "fail", status=1)
        job = self.compare("a", "a", "--fail-above", "1e9%")
        self.assertEqual(job.stdout.splitlines()[-1], "PASS: none of 8 cases is slower by more than 1e+09 %")
        self.compare("b", "a", "--fail-above", "5%", "--inconclusive", "pass")  # faster is no slow-down
        self.compare("a", "a", "b", "--fail-above", "5%", status=1)
        gate = json.loads(self.compare("a", "b", "--fail-above", "5%", "--format", "json", status=1).stdout)["gate"]
        self.assertEqual((gate["outcome"], gate["limit"]), ("fail", 0.05))
        quiet = self.compare("a", "b", "--fail-above", "5%", "--format", "none", status=1)
        self.assertIn("error: FAIL: ", quiet.stderr.splitlines()[-1])
        shutil.rmtree(self.folder / "b" / "records")
        (self.folder / "b" / "records").mkdir()
        record = next((self.folder / "a" / "records").glob("row_linear*tp1*"))
        shutil.copy(record, self.folder / "b" / "records")
        job = self.compare("a", "b", "--fail-above", "5%", status=4)
        self.assertIn("7 cases are ok in a and skipped or absent here, and cannot be judged", job.stderr)

    def test_gate_of_what_fails_now(self):
        records = sorted((self.folder / "a" / "records").glob("*.json"))
        ok = [path for path in records if json.loads(path.read_text())["status"] == "ok"]
        for count in (1, len(ok)):
            with self.subTest(count):
                broken = self.folder / f"broken-{count}"
                shutil.copytree(self.folder / "a", broken)
                for path in ok[:count]:
                    record = json.loads(path.read_text())
                    record |= {"status": "failed", "reason_code": "error", "reason": "it broke", "time_s": None,
                               "samples_s": None, "device": None, "overlap": None}
                    record["verification"]["passed"] = None
                    (broken / "records" / path.name).write_text(json.dumps(record))
                self.compare("a", broken.name)
                job = self.compare("a", broken.name, "--fail-above", "500%", status=1)
                self.assertIn(f"{count} case{' is' if count == 1 else 's are'} ok in a and failed here", job.stderr)
                self.assertIn(": it broke", job.stderr)
                self.assertEqual("nothing was judged" in job.stderr, count == len(ok))

    def test_gate_says_what_it_cannot_see(self):
        job = self.compare("a", "a", "--fail-above", "0.001%", status=4)
        self.assertIn("cannot be judged at 0.001 %: a step that is longer by up to", job.stderr)

    def test_three_folders_have_one_base(self):
        document = json.loads(self.compare("a", "b", "a", "--format", "json").stdout)
        self.assertEqual([(c["base"]["path"], c["other"]["path"]) for c in document["comparisons"]],
                         [("a", "b"), ("a", "a")])
        same = document["comparisons"][1]["summary"]["step"]
        self.assertEqual((same["slower"], same["faster"], same["geometric_mean"]), (0, 0, 1.0))

    def test_two_ranks_speak_once(self):
        self.assertEqual(self.compare("a", "b", ranks=2).stdout.count("Comparison\n"), 1)


class CompareRefuses(WithFolders):
    def assert_refused(self, words, *arguments, status=2):
        job = self.compare(*arguments, status=status)
        self.assertIn(words, job.stderr)
        self.assertEqual(job.stdout, "")

    def test_what_is_no_result_folder(self):
        self.run_sweep("a")
        (self.folder / "empty").mkdir()
        self.assert_refused("nowhere: no such folder", "a", "nowhere")
        self.assert_refused("sweep.json: is a file", "a", "sweep.json")
        self.assert_refused("empty: holds no records", "a", "empty")
        self.assert_refused("two result folders", "a")
        for share in ("5", "-1%", "nan", "inf", "five", "5%%", "", "%", "1e999%", "-0.1"):
            self.assert_refused("--fail-above", "a", "a", f"--fail-above={share}")
        self.assert_refused("--format", "a", "a", "--format", "xml")

    def test_records_that_are_damaged_or_newer(self):
        self.run_sweep("a")
        shutil.copytree(self.folder / "a", self.folder / "b")
        records = sorted((self.folder / "b" / "records").glob("*.json"))
        whole = records[0].read_text()
        newer = json.loads(whole) | {"schema": "tpbench.record/9"}
        renamed = json.loads(whole) | {"id": "x"}
        for text, words in [
            (whole[:100], "is not a valid record: "),
            ("", "is not a valid record: "),
            ("null", "is not a valid record: "),
            (json.dumps(newer), "tpbench.record/9"),
            (json.dumps(renamed), "is not a valid record: it holds the id x"),
            (json.dumps({k: v for k, v in json.loads(whole).items() if k != "case"}), "/case: is missing"),
        ]:
            with self.subTest(words):
                records[0].write_text(text)
                self.assert_refused(f"{records[0].relative_to(self.folder)}: ", "a", "b")
                self.assert_refused(words, "a", "b")
        records[1].write_text("[]")
        job = self.compare("a", "b", status=2)
        self.assertEqual(job.stderr.count("is not a valid record"), 2, "every file is named")
        shutil.copytree(self.folder / "a", self.folder / "c")
        environment = json.loads((self.folder / "c" / "environment.json").read_text())
        (self.folder / "c" / "environment.json").write_text(
            json.dumps(environment | {"schema": "tpbench.environment/7"}))
        self.assert_refused("c/environment.json: /schema: \"tpbench.environment/7\"", "a", "c")

    def test_folders_with_nothing_in_common(self):
        self.run_sweep("a")
        sweep = self.sweep(workload="row_linear", hidden_size=96)
        self.run_tpbench("--config", sweep, "--output", "b")
        self.assert_refused("has no case in common with a: they differ in hidden_size (48 there, 96 here)", "a", "b")


class Export(WithFolders):
    def test_nccl_tests(self):
        self.run_sweep("a")
        job = self.run_tpbench("export", "a", "--to", "nccl-tests")
        self.assertIn("3 cases on one rank left out", job.stderr)
        document = json.loads(job.stdout)
        self.assertEqual(document["version"], 3)
        records = read_records(self.folder / "a")
        self.assertEqual(len(document["results"]), 3)
        for result in document["results"]:
            record = records[result["tpbench"]["id"]]
            collective = record["communication"]["collectives"][0]
            self.assertEqual(result["size"], 48 * 3 * 4)  # the whole array, also of a gather
            self.assertEqual(result["count"], 48 * 3 if collective["op"] == "all_reduce" else 48 * 3 // 2)
            self.assertEqual((result["type"], result["redop"]),
                             ("float", "none" if collective["op"] == "all_gather" else "sum"))
            place = result["in_place"]
            self.assertAlmostEqual(place["time"], record["time_s"]["communication"]["median"] * 1e6)
            self.assertEqual(place["alg_bw"], collective["algbw_gb_per_s"])
            self.assertEqual(place["bus_bw"], collective["busbw_gb_per_s"])
            self.assertEqual(place["nwrong"], 0)
            self.assertEqual(len(result["in_place_per_iter"]["times_us"]), result["actual_iterations"])

        self.run_tpbench("export", "a", "--to", "nccl-tests", "--output", "out.json")
        self.assertEqual((self.folder / "out.json").read_text(), job.stdout)

    def test_table_csv_and_jsonl(self):
        printed = self.run_sweep("a").stdout
        self.assertEqual(self.run_tpbench("export", "a", "--to", "table").stdout, printed)
        self.assertEqual(self.run_tpbench("export", "a", "--to", "csv").stdout, (self.folder / "a/summary.csv").read_text())
        lines = self.run_tpbench("export", "a", "--to", "jsonl").stdout.splitlines()
        self.assertEqual({json.loads(line)["id"]: json.loads(line) for line in lines}, read_records(self.folder / "a"))

    def test_what_cannot_be_written(self):
        sweep = self.sweep(workload="row_linear")
        self.run_tpbench("--config", sweep, "--output", "a")
        for words, status, arguments in [
            ("holds no all_reduce, all_gather or reduce_scatter case", 2, ["a", "--to", "nccl-tests"]),
            ("no such folder", 2, ["nowhere", "--to", "csv"]),
            ("--to", 2, ["a"]),
            ("--to", 2, ["a", "--to", "xml"]),
            ("is a folder", 2, ["a", "--to", "csv", "--output", "a"]),
            ("cannot create the file", 3, ["a", "--to", "csv", "--output", "nowhere/out.csv"]),
        ]:
            with self.subTest(words):
                job = self.run_tpbench("export", *arguments, status=status)
                self.assertIn(words, job.stderr)
                self.assertEqual(job.stdout, "")


if __name__ == "__main__":
    main(yields=False)
