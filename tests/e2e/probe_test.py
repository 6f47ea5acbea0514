"""tpbench probe: what it writes and prints, whom it refuses, and that a wrong sum and a rank that hangs are seen."""

import json
import pathlib
import subprocess
import unittest

from harness import CHECK_RECORDS, FAULTY, LIMIT_S, E2eTest

SMALL = ["--quick", "--max-bytes", "64KiB"]


class Probe(E2eTest):
    def assert_valid_document(self, text):
        path = self.folder / "checked.json"
        path.write_text(text)
        checked = subprocess.run([CHECK_RECORDS, "--probe", str(path)], capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        return json.loads(text)

    def test_table(self):
        job = self.run_tpbench("probe", *SMALL, ranks=2)
        for words in ("alpha", "1/beta", "median dev", "max dev", "ping_pong", "all_reduce", "64 KiB",
                      "What carried the messages"):
            self.assertIn(words, job.stdout)
        self.assertEqual(list(self.folder.iterdir()), [], "nothing is written that was not asked for")

    def test_document(self):
        job = self.run_tpbench("probe", *SMALL, "--json", "--output", "probe.json", "--label", "here", ranks=2)
        document = self.assert_valid_document(job.stdout)
        self.assertEqual((self.folder / "probe.json").read_text(), job.stdout)
        self.assertEqual(document["label"], "here")
        self.assertEqual([(p["path"], p["operation"], p["ranks"]) for p in document["paths"]],
                         [("inside_host", "ping_pong", [0, 1]), ("inside_host", "all_reduce", [0, 1])])
        for path in document["paths"]:
            self.assertEqual([point["bytes"] for point in path["points"]], [8, 32, 128, 512, 2048, 8192, 32768, 65536])
            for point in path["points"]:
                self.assertGreater(point["time_s"]["median"], 0)
                self.assertGreaterEqual(point["time_s"]["samples"], document["settings"]["passes"])
            # The pieces hold every size once.
            self.assertEqual(sum(piece["points"] for piece in path["pieces"]), len(path["points"]))
            self.assertEqual(path["pieces"][0]["from_bytes"], 8)
            self.assertEqual(path["pieces"][-1]["to_bytes"], 65536)
            for before, after in zip(path["pieces"], path["pieces"][1:]):
                self.assertLess(before["to_bytes"], after["from_bytes"])

    def test_eager_limit_is_that_of_the_btl_named(self):
        # One layer alone: then it is the one, and its limit, which is set here, is where ping-pong is cut.
        job = self.run_tpbench("probe", *SMALL, "--json", ranks=2, OMPI_MCA_pml="ob1", OMPI_MCA_btl="tcp,self",
                               OMPI_MCA_btl_tcp_eager_limit="2000", OMPI_MCA_btl_tcp_if_include="lo")
        path = self.assert_valid_document(job.stdout)["paths"][0]
        transport = path["transport"]
        self.assertEqual((transport["how"], transport["framework"], transport["component"]), ("selected", "btl", "tcp"))
        self.assertEqual(path["eager_limit_bytes"], 2000)
        self.assertEqual(path["cut"], "eager_limit")
        self.assertIn(2048, [piece["from_bytes"] for piece in path["pieces"]])

    def test_more_ranks_than_a_pair(self):
        job = self.run_tpbench("probe", "--quick", "--max-bytes", "1024", "--json", ranks=3)
        document = self.assert_valid_document(job.stdout)
        self.assertEqual([(p["operation"], p["ranks"]) for p in document["paths"]],
                         [("ping_pong", [0, 1]), ("all_reduce", [0, 1]), ("ping_pong", [0, 2]),
                          ("all_reduce", [0, 1, 2])])

    def test_one_rank_is_refused_with_the_command_to_type(self):
        for ranks in (None, 1):
            job = self.run_tpbench("probe", *SMALL, "--json", ranks=ranks, status=3)
            self.assertEqual(job.stderr.count("this launch has one; type: mpirun -n 2 "), 1, job.stderr)
            self.assertEqual(job.stdout, "")
        command = job.stderr.split("type: ")[1].splitlines()[0]
        again = self.run_tpbench("-c", command.replace("mpirun ", "mpirun --oversubscribe ", 1), program="sh")
        self.assert_valid_document(again.stdout)

    def test_bad_options_and_places(self):
        for words, arguments, status in [
            ("--max-bytes", ["--max-bytes", "7"], 2),
            ("--max-bytes", ["--max-bytes", "2GiB"], 2),
            ("--max-bytes", ["--max-bytes", "much"], 2),
            ("is a folder; name a file", ["--output", "."], 2),
            ("cannot write there", ["--output", "nowhere/probe.json"], 3),
        ]:
            with self.subTest(arguments):
                job = self.run_tpbench("probe", *arguments, ranks=2, status=status)
                self.assertIn(words, job.stderr)
                self.assertEqual(job.stdout, "")

    def test_a_wrong_sum_is_seen(self):
        job = self.run_tpbench("probe", *SMALL, "--json", ranks=2, status=1, program=FAULTY,
                               TPBENCH_TEST_FAULT="wrong_sum:rank=1")
        self.assertIn("of an all-reduce is", job.stderr)
        ping_pong, all_reduce = self.assert_valid_document(job.stdout)["paths"]
        self.assertIsNone(ping_pong["problem"])
        self.assertIn(" of the path: entry ", all_reduce["problem"])
        self.assertEqual((all_reduce["points"], all_reduce["pieces"]), ([], []))

    def test_a_rank_that_hangs_ends_the_job(self):
        job = self.run_tpbench("probe", *SMALL, "--watchdog", "2", "--output", "probe.json", ranks=2, status=1,
                               program=FAULTY, TPBENCH_TEST_FAULT="hang:rank=1:at=collective:step=9")
        self.assertIn("nothing has moved for", job.stderr)
        self.assertIn("the probe of all_reduce of ranks 0, 1 is given up", job.stderr)
        self.assertFalse(pathlib.Path(self.folder, "probe.json").exists())


if __name__ == "__main__":
    unittest.main()
