"""What the end-to-end tests share: starting tpbench as a user would, finding its ranks, holding its results up."""

import concurrent.futures
import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

TPBENCH = os.environ["TPBENCH"]
FAULTY = os.environ["TPBENCH_FAULTY"]
CHECK_RECORDS = os.environ["TPBENCH_CHECK_RECORDS"]
SOURCE_DIR = pathlib.Path(os.environ["TPBENCH_SOURCE_DIR"])
BUILD_DIR = pathlib.Path(os.environ["TPBENCH_BUILD_DIR"])
MPIRUN = os.environ.get("TPBENCH_MPIEXEC") or "mpirun"

# Only to end what hangs: no test asks how long anything takes.
LIMIT_S = 120

QUICK = {"warmup_steps": 1, "min_samples": 8, "max_samples": 10, "max_seconds": 0.2}
# What one launcher's variables would make of the tests, should they run inside a job themselves.
LAUNCHER_PREFIXES = ("OMPI_COMM_WORLD", "PMIX_", "PMI_", "SLURM_", "MPI_LOCAL")


def environment(**extra):
    """The environment of a job; None removes a variable."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER_PREFIXES)}
    variables.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    for key, value in extra.items():
        if value is None:
            variables.pop(key, None)
        else:
            variables[key] = value
    return variables


def launcher(ranks):
    return [MPIRUN, "--oversubscribe", "-n", str(ranks)] if ranks else []


class Job:
    """A tpbench that runs, under mpirun when it has ranks, alone when `ranks` is None."""

    def __init__(self, arguments, ranks, folder, program=TPBENCH, wrapper=(), stdout=subprocess.PIPE, **variables):
        self.mark = "TPBENCH_E2E_JOB=" + uuid.uuid4().hex
        # Killed ranks leave shared memory behind: in a folder that goes with the test.
        self.shared = tempfile.mkdtemp(prefix="tpbench-e2e-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        key, value = self.mark.split("=")
        variables = {key: value, "TMPDIR": self.shared, "OMPI_MCA_btl_vader_backing_directory": self.shared,
                     "OMPI_MCA_osc_sm_backing_directory": self.shared} | variables
        self.command = [*launcher(ranks), *wrapper, program, *map(str, arguments)]
        self.process = subprocess.Popen(self.command, cwd=folder, env=environment(**variables), stdin=subprocess.DEVNULL,
                                        stdout=stdout, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def rank_pids(self):
        """Process ids of the ranks that live, by rank (0 for a process that was started alone)."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.process.pid and "mpirun" in self.command[0]:
                continue
            try:
                words = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if self.mark in words:
                rank = next((w.split("=")[1] for w in words if w.startswith("OMPI_COMM_WORLD_RANK=")), "0")
                found[int(rank)] = int(entry.name)
        return found

    def signal_rank(self, rank, number):
        os.kill(self.rank_pids()[rank], number)

    def wait(self, limit_s=LIMIT_S):
        """Returns once the job has ended and its output is read; fails the test when it does not end."""
        try:
            self.stdout, self.stderr = self.process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {limit_s} s: {self.command}\n{self.stderr}") from None
        finally:
            if self.process.poll() is not None:
                shutil.rmtree(self.shared, ignore_errors=True)
        self.status = self.process.returncode
        return self

    def kill(self):
        """SIGKILL to the launcher and to every rank at once."""
        pids = [self.process.pid, *self.rank_pids().values()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # A rank that mpirun forked in between is found the second time.
        for pid in self.rank_pids().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.stdout, self.stderr = self.process.communicate()
        self.status = self.process.returncode
        shutil.rmtree(self.shared, ignore_errors=True)


def read_records(folder):
    return {path.stem: json.loads(path.read_text()) for path in sorted(pathlib.Path(folder, "records").glob("*.json"))}


def without_scaling(record):
    """A record but for the part that a later case completes: the scaling, and what is to be said about its baseline."""
    rest = {key: value for key, value in record.items() if key != "scaling"}
    warnings = [warning for warning in rest["quality"]["warnings"] if not warning["code"].startswith("baseline_")]
    rest["quality"] = {**rest["quality"], "warnings": warnings}
    return rest


def each(*cases):
    """Makes of a method of an E2eTest one test for each case: what it takes beside `self`, one thing or a tuple."""
    def mark(method):
        method.cases = [case if isinstance(case, tuple) else (case,) for case in cases]
        return method
    return mark


class SideBySide(unittest.TestSuite):
    """Runs several tests at a time, two for each processor: they wait more than they compute, for limits, signals and
    starts of mpirun."""

    def run(self, result, debug=False):
        with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
            list(pool.map(lambda test: test(result), tests_of(self)))
        return result


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def main():
    """unittest.main() for tests that do not mind each other: a rank that waits lets those of others compute."""
    os.environ["OMPI_MCA_mpi_yield_when_idle"] = "1"
    loader = unittest.TestLoader()
    loader.suiteClass = SideBySide
    unittest.main(testLoader=loader)


class E2eTest(unittest.TestCase):
    maxDiff = None

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name, method in list(vars(cls).items()):
            if not hasattr(method, "cases"):
                continue
            delattr(cls, name)
            for case in method.cases:
                setattr(cls, "_".join(map(str, (name, *case))), lambda self, method=method, case=case: method(self, *case))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tpbench-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.jobs = []
        self.addCleanup(self.end_jobs)

    def end_jobs(self):
        for job in self.jobs:
            if job.process.poll() is None:
                job.kill()
            for stream in (job.process.stdout, job.process.stderr):
                if stream:
                    stream.close()

    def sweep(self, name="sweep.json", **keys):
        """Writes a sweep file of tiny cases and returns its path; `measure` adds to the quick settings."""
        measure = QUICK | keys.pop("measure", {})
        path = self.folder / name
        path.write_text(json.dumps({"hidden_size": 48, "batch_size": 3, "measure": measure} | keys, indent=1))
        return path

    def start(self, *arguments, ranks=None, **options):
        job = Job(arguments, ranks, self.folder, **options)
        self.jobs.append(job)
        return job

    def run_tpbench(self, *arguments, ranks=None, status=0, limit_s=LIMIT_S, **options):
        """Runs tpbench to its end and holds its exit status (mpirun's, with ranks) against `status`; None: any."""
        job = self.start(*arguments, ranks=ranks, **options).wait(limit_s)
        if status is not None:
            self.assertEqual(job.status, status, f"{job.command}\n{job.stdout}\n{job.stderr}")
        return job

    def wait_for_records(self, job, folder, count):
        """Returns once `count` records are there, with the job still running."""
        deadline = time.monotonic() + LIMIT_S
        records = pathlib.Path(folder, "records")
        while len(list(records.glob("*.json"))) < count:
            if job.process.poll() is not None or time.monotonic() > deadline:
                job.kill()
                self.fail(f"no {count} records came from {job.command}:\n{job.stdout}\n{job.stderr}")
            time.sleep(0.02)

    def assert_valid(self, folder, cases=None, temporaries=False):
        """What must be true of every result folder; returns its records by id."""
        checked = subprocess.run([CHECK_RECORDS, str(folder)], capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        records = read_records(folder)
        if cases is not None:
            self.assertEqual(len(records), cases)
        if not temporaries:
            self.assertEqual([str(p) for p in pathlib.Path(folder).rglob("*.tmp.*")], [])
        return records

    def assert_summary(self, folder):
        """summary.csv has one row for each record, which says the same."""
        records = read_records(folder)
        with open(pathlib.Path(folder, "summary.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(sorted(row["id"] for row in rows), sorted(records))
        for row in rows:
            record = records[row["id"]]
            self.assertEqual(row["status"], record["status"])
            self.assertEqual(row["reason"], record["reason"] or "")
            self.assertEqual(row["tp_degree"], str(record["case"]["tp_degree"]))
            median = record["time_s"] and record["time_s"]["step"]["median"]
            self.assertEqual(float(row["step_median_s"]) if row["step_median_s"] else None, median)

    def assert_all(self, records, status):
        self.assertEqual({id: (r["status"], r["reason"]) for id, r in records.items() if r["status"] != status}, {})
