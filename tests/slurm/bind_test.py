"""Slurm that binds ranks to CPUs: srun --cpu-bind, and what is said of a bad one."""

import slurm
from harness import read_records


class Bind(slurm.SlurmTest):
    def cpus(self, *options, ranks=2, **keys):
        self.sweep(tp_degree=[ranks], **keys)
        self.setUp()
        self.sweep(tp_degree=[ranks], **keys)
        self.run_srun("--config", "sweep.json", "--output", "out", options=options, ranks=ranks)
        (record,) = self.assert_valid(self.folder / "out", cases=1).values()
        self.assertEqual(record["status"], "ok")
        return record

    def test_kinds(self):
        for options, cpus in [(["--cpu-bind=cores"], [[0], [1]]), (["--cpu-bind=threads"], [[0], [1]]),
                              (["--cpu-bind=map_cpu:1,0"], [[1], [0]]), (["--cpu-bind=mask_cpu:0x1,0x2"], [[0], [1]]),
                              (["--cpu-bind=rank"], [[0], [1]])]:
            with self.subTest(options):
                record = self.cpus(*options)
                self.assertEqual(record["ranks"]["cpus"], cpus)
                self.assertEqual(record["case"]["threads_per_rank"], 1)
                self.assertNotIn("shared_core", [warning["code"] for warning in record["quality"]["warnings"]])

    def test_two_cpus_a_task(self):
        record = self.cpus("-c2", "--cpu-bind=cores", ranks=1)
        self.assertEqual(record["ranks"]["cpus"], [[0, 1]])
        self.assertEqual(record["case"]["threads_per_rank"], 2)

    def test_a_shared_core_is_named_in_sruns_words(self):
        record = self.cpus("--cpu-bind=map_cpu:0,0")
        (warning,) = [warning for warning in record["quality"]["warnings"] if warning["code"] == "shared_core"]
        self.assertIn("start them with srun --cpu-bind=none or srun --cpu-bind=cores", warning["message"])

    def test_more_threads_than_the_binding_has(self):
        record = self.cpus("--cpu-bind=cores", threads_per_rank=2)
        (warning,) = [warning for warning in record["quality"]["warnings"] if warning["code"] == "thread_mismatch"]
        self.assertIn("bind wider (srun --cpu-bind=none)", warning["message"])


if __name__ == "__main__":
    slurm.main("affinity")
