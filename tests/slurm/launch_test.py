"""Ways to start ranks under Slurm, and what is said where they cannot be."""

import json
import re
import subprocess
import time
import unittest

import slurm
from harness import TPBENCH, read_records


class Launch(slurm.SlurmTest):
    def hosts_of(self, folder, cases):
        records = self.assert_valid(self.folder / folder, cases=cases)
        self.assert_all(records, "ok")
        return [record["ranks"]["hosts"] for record in records.values() if record["case"]["tp_degree"] == 4]

    def test_nodes_and_distributions(self):
        self.sweep(tp_degree=[1, 2, 4], workload=["mlp", "all_reduce"])
        for number, (options, hosts) in enumerate([
                (["-m", "block"], ["n0", "n0", "n1", "n1"]),
                (["-m", "cyclic"], ["n0", "n1", "n0", "n1"])]):
            with self.subTest(options):
                self.run_srun("--config", "sweep.json", "--output", f"out{number}", nodes=2, ranks=4, options=options)
                placed = self.hosts_of(f"out{number}", cases=6)
                # Packed fills one host before the next, however the ranks were dealt out.
                self.assertEqual(placed, [["n0", "n0", "n1", "n1"]] * 2)
                environment = json.loads((self.folder / f"out{number}" / "environment.json").read_text())
                self.assertEqual([rank["host"] for rank in environment["ranks"]], hosts)
                self.assertEqual(environment["launcher"], {"name": "srun", "size": 4})
                self.assertEqual([host["name"] for host in environment["hosts"]], ["n0", "n1"])
                self.assertIn("2 hosts: messages between them go over TCP (btl tcp)", environment["data_path"])
                self.assertEqual([path["loopback"] for path in environment["transports"] if path["path"] == "between_hosts"],
                                 [True])

    def test_one_node(self):
        self.sweep(tp_degree=[1, 2])
        step = self.run_srun("--config", "sweep.json", "--output", "out")
        self.assertIn("Verdict", step.stdout)
        records = self.assert_valid(self.folder / "out", cases=2)
        self.assert_all(records, "ok")
        for record in records.values():
            self.assertNotIn("loopback", [warning["code"] for warning in record["quality"]["warnings"]])

    def test_output_to_files(self):
        """Rank 0 alone writes results; what it says stays out of them."""
        self.sweep(tp_degree=[1, 2])
        self.run_srun("--config", "sweep.json", "--output", "out", options=["-o", "%t.out", "-e", "%t.err"])
        self.assertIn("Verdict", (self.folder / "0.out").read_text())
        self.assertIn("results in out", (self.folder / "0.err").read_text())
        for name in ("1.out", "1.err"):
            self.assertEqual((self.folder / name).read_text(), "")

    def test_a_closed_output_is_an_error_with_words(self):
        """As `srun tpbench | head` makes one, but for sure."""
        self.sweep()
        step = self.run_srun("-c", f"exec {TPBENCH} --config sweep.json --output out | true; exit ${{PIPESTATUS[0]}}", ranks=1,
                             program="/bin/bash", status=3)
        self.assertIn("stdout: cannot write the results: Broken pipe; they are in out", step.stderr)
        self.assert_valid(self.folder / "out", cases=1)

    def test_a_result_is_continued_or_begun_by_one_line(self):
        self.sweep(tp_degree=[1, 2])
        line = ["--config", "sweep.json", "--continue", "out"]
        self.run_srun(*line)
        before = self.assert_valid(self.folder / "out", cases=2)
        next((self.folder / "out" / "records").iterdir()).unlink()
        step = self.run_srun(*line)
        self.assertIn("1 of 2 cases is finished already", step.stderr)
        self.assertEqual(sorted(self.assert_valid(self.folder / "out", cases=2)), sorted(before))
        # Two launches of a job that are equal in all that matters have one environment.
        self.assertEqual([path.name for path in (self.folder / "out").glob("environment*")], ["environment.json"])
        self.assertIn("the folder was made from another sweep",
                      self.run_srun(*line, "--set", "batch_size=4", status=2).stderr)


class Refusals(slurm.SlurmTest):
    def assert_refused(self, words, *arguments, status=2, **options):
        """All ranks end within five seconds, with one message and one status."""
        step = self.run_srun(*arguments, status=status, **options)
        self.assertEqual(step.stderr.count(words), 1, step.stderr)
        self.assertEqual(step.stdout, "")
        self.assertLess(step.took_s, 5, step.stderr)
        return step

    def test_usage_errors(self):
        self.sweep(tp_degree=[1, 2])
        # Each fault on two nodes, and each way to start with one that is found before MPI starts and one behind.
        faults = [("nope.json: cannot be opened", ["--config", "nope.json"]), ("--bogus: is not an option", ["--bogus"]),
                  ('(did you mean "hidden_size"?)', ["--config", "sweep.json", "--set", "hidden_siz=3"]),
                  ("--filter nokey=3", ["--config", "sweep.json", "--filter", "nokey=3"]),
                  ("--resume nofolder: there is no such folder", ["--resume", "nofolder"])]
        for nodes, options, some in [(2, ["-K"], faults), (2, [], faults[:2]), (1, ["-K"], faults[:2]), (1, [], faults[:2])]:
            for words, arguments in some:
                with self.subTest(nodes=nodes, options=options, words=words):
                    self.assert_refused(words, *arguments, nodes=nodes, options=options)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["sweep.json"])

    def test_what_cannot_be_done(self):
        self.sweep(tp_degree=[1, 2])
        for options in ([], ["-K"]):
            self.assert_refused("cannot create the folder", "--config", "sweep.json", "--output", "sweep.json/out", status=3,
                                nodes=2, options=options)

    def test_a_step_without_pmix(self):
        self.sweep(tp_degree=[1, 2])
        for mpi, nodes in (("none", 2), ("pmi2", 1)):
            with self.subTest(mpi=mpi, nodes=nodes):
                step = self.assert_refused("srun did not offer PMIx to Open MPI, which cannot start without; type: ",
                                           "--config", "sweep.json", "--output", "out", status=3, mpi=mpi, nodes=nodes)
                command = re.search("type: (.*)", step.stderr)[1]
                self.assertEqual(command, f"srun --mpi=pmix {'-N 2 ' if nodes == 2 else ''}-n 2 {TPBENCH} --config sweep.json "
                                          "--output out")
                self.assertNotIn("OPAL", step.stderr)
        self.assertFalse((self.folder / "out").exists())
        self.assert_refused("srun did not offer PMIx", "probe", status=3, mpi="none")


class Allocation(slurm.SlurmTest):
    allocation = None

    def salloc(self, *command, options=("-N2", "-n2")):
        return slurm.Step(["salloc", *options, *map(str, command)], self.folder).wait()

    def test_alone_inside_an_allocation(self):
        self.sweep(tp_degree=[1, 2])
        step = self.salloc(TPBENCH, "--config", "sweep.json", "--output", "out")
        self.assertEqual(step.status, 3, step.stderr)
        command = re.search("started alone; type: (.*)", step.stderr)[1]
        self.assertEqual(command, f"srun --mpi=pmix -n 2 {TPBENCH} --config sweep.json --output out")
        again = self.salloc("sh", "-c", command)
        self.assertEqual(again.status, 0, again.stderr)
        self.assert_all(self.assert_valid(self.folder / "out", cases=2), "ok")

    def test_mpirun_inside_an_allocation(self):
        self.sweep(tp_degree=[1, 2, 4])
        step = self.salloc("mpirun", TPBENCH, "--config", "sweep.json", "--output", "out")
        self.assertEqual(step.status, 0, step.stderr)
        records = self.assert_valid(self.folder / "out", cases=3)
        self.assertEqual([record["ranks"]["hosts"] for record in records.values() if record["case"]["tp_degree"] == 2],
                         [["n0", "n1"]])
        # Who typed mpirun reads of mpirun.
        self.assertIn("start it with mpirun -n 4", next(r["reason"] for r in records.values() if r["status"] == "skipped"))
        refused = self.salloc("mpirun", TPBENCH, "--config", "nope.json")
        self.assertEqual(refused.status, 2, refused.stderr)
        self.assertEqual(refused.stderr.count("nope.json: cannot be opened"), 1)

    def test_hints_name_srun(self):
        self.sweep(tp_degree=[2, 4])
        step = slurm.Step(["srun", "--mpi=pmix", "-n2", TPBENCH, "--config", "sweep.json", "--output", "out"], self.folder).wait()
        self.assertEqual(step.status, 0, step.stderr)
        records = read_records(self.folder / "out")
        self.assertIn("start it with srun --mpi=pmix -n 4", next(r["reason"] for r in records.values() if r["status"] == "skipped"))
        alone = slurm.Step(["srun", "--mpi=pmix", "-n1", TPBENCH, "probe"], self.folder).wait()
        self.assertEqual(alone.status, 3, alone.stderr)
        self.assertIn("this launch has one; type: srun --mpi=pmix -n 2 ", alone.stderr)

    def test_threads_follow_the_allocation_where_nothing_binds(self):
        self.sweep(tp_degree=1)
        for cpus in (1, 2):
            with self.subTest(cpus=cpus):
                step = slurm.Step(["srun", "--mpi=pmix", "-n1", f"-c{cpus}", TPBENCH, "--config", "sweep.json", "--output",
                                   f"out{cpus}"], self.folder).wait()
                self.assertEqual(step.status, 0, step.stderr)
                (record,) = read_records(self.folder / f"out{cpus}").values()
                self.assertEqual(record["case"]["threads_per_rank"], cpus)


class Jobs(slurm.SlurmTest):
    allocation = None

    def test_two_jobs_below_one_folder(self):
        """Each has a folder of its own, also by the default name; one folder takes one job at a time."""
        self.sweep(tp_degree=[1, 2], measure={"min_samples": 300, "max_samples": 300, "max_seconds": 20})
        script = self.folder / "job.sbatch"
        script.write_text("#!/bin/bash\n#SBATCH -N1 -n1 -o job-%j.log\nsrun --mpi=pmix tpbench --config sweep.json \"$@\"\n")
        jobs = [self.sbatch(script) for _ in range(2)] + [self.sbatch(script, "--output", "results/one") for _ in range(2)]
        states = [self.wait_for_job(job)["ExitCode"] for job in jobs]
        self.assertEqual(states[:2], ["0:0", "0:0"])
        self.assertEqual(sorted(states[2:]), ["0:0", "2:0"])
        folders = sorted((self.folder / "results").iterdir())
        self.assertEqual(len(folders), 3)
        for folder in folders:
            self.assert_valid(folder, cases=2)

    def test_sweep_script(self):
        self.sweep(tp_degree=[1, 2])
        job = self.sbatch(slurm.SCRIPTS / "sweep.sbatch", "sweep.json", "--label", "rig")
        self.assertIn("Verdict", self.finish_job(job))
        records = self.assert_valid(self.folder / "results" / f"tpbench-{job}", cases=2)
        self.assert_all(records, "ok")
        self.assertEqual({record["label"] for record in records.values()}, {"rig"})

    def test_a_comparison_does_not_name_the_job(self):
        self.sweep(tp_degree=[1, 2])
        for name in ("a", "b"):
            job = self.sbatch(slurm.SCRIPTS / "sweep.sbatch", "sweep.json")
            self.finish_job(job)
            (self.folder / "results" / f"tpbench-{job}").rename(self.folder / name)
        done = subprocess.run([TPBENCH, "compare", "a", "b", "--format", "json"], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        variables = [json.loads((self.folder / name / "environment.json").read_text())["variables"] for name in ("a", "b")]
        self.assertNotEqual(variables[0]["SLURM_JOB_ID"], variables[1]["SLURM_JOB_ID"])
        self.assertNotIn("SLURM_", done.stdout)

    def test_fabrics_script(self):
        self.sweep(tp_degree=[2], workload="all_reduce")
        (self.folder / "fabrics").write_text("one OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_links=1\n"
                                             "two OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_links=2\n")
        job = self.sbatch(slurm.SCRIPTS / "fabrics.sbatch", "sweep.json", "fabrics", options=["--array=0-2"])
        self.wait_for("the array", lambda: subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True).stdout == "")
        for label, links in (("one", "1"), ("two", "2")):
            folder = self.folder / "results" / job / label
            (record,) = self.assert_valid(folder, cases=1).values()
            self.assertEqual((record["status"], record["label"]), ("ok", label))
            variables = json.loads((folder / "environment.json").read_text())["variables"]
            self.assertEqual(variables["OMPI_MCA_btl_tcp_links"], links)
        self.assertIn("fabrics has no line 3", (self.folder / f"fabrics-{job}-2.log").read_text())
        done = subprocess.run([TPBENCH, "compare", f"results/{job}/one", f"results/{job}/two", "--format", "json"],
                              cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(re.findall(r"SLURM_\w+", done.stdout), [])
        self.assertIn("OMPI_MCA_btl_tcp_links", done.stdout)

    def test_gate_script(self):
        self.sweep(tp_degree=[1, 2])
        base = self.sbatch(slurm.SCRIPTS / "sweep.sbatch", "sweep.json", "--set", "measure.epochs=6")
        self.finish_job(base)
        folder = f"results/tpbench-{base}"
        # A gate that fails is a job that failed.
        for path in (self.folder / folder / "records").glob("*.json"):
            record = json.loads(path.read_text())
            self.assertEqual(record["epochs"]["done"], 6)
        gate = self.sbatch(slurm.SCRIPTS / "gate.sbatch", folder)
        state = self.wait_for_job(gate)
        said = (self.folder / f"gate-{gate}.log").read_text()
        self.assertIn(state["ExitCode"], ("0:0", "1:0", "4:0"), said)  # two runs on a noisy machine may differ
        self.assertIn("mlp" if "mlp" in said else "row_linear", said)
        self.assertEqual(len(read_records(self.folder / "results" / f"gate-{gate}")), 2)


if __name__ == "__main__":
    slurm.main()
