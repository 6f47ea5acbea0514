"""What the tests under Slurm share: a rig around the whole program, steps, jobs, and their ranks."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from harness import LIMIT_S, TPBENCH, E2eTest, read_records  # noqa: E402

RIG = str(ROOT / "scripts" / "slurm-rig.sh")
SCRIPTS = ROOT / "scripts" / "slurm"

# One quick case, then one that takes long enough to be met in the middle of its sampling.
LONG_SWEEP = dict(workload="mlp", hidden_size=[48, 512], batch_size=64, tp_degree=2,
                  measure={"order": "given", "min_samples": 20, "max_samples": 20, "max_seconds": 600})


def main(task="none", cpus=2, run=unittest.main):
    """Runs the tests of a program on n0 of a rig; where there can be none, says why and reports them as skipped."""
    if "SLURM_RIG" in os.environ:
        run()
    check = subprocess.run([RIG, "--check"], capture_output=True, text=True)
    if check.returncode != 0:
        print(check.stderr.strip())
        sys.exit(77)
    keep = ["--folder", os.environ["TPBENCH_RIG_FOLDER"]] if "TPBENCH_RIG_FOLDER" in os.environ else []
    os.execv(RIG, [RIG, *keep, "--task", task, "--cpus", str(cpus), sys.executable, "-B", *sys.argv])


def environment(**extra):
    """That of steps and jobs. The nodes share cores: a rank that waits lets the others compute."""
    variables = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1",
                     PATH=f"{pathlib.Path(TPBENCH).parent}:{os.environ['PATH']}")
    return {key: value for key, value in (variables | extra).items() if value is not None}


def rig(*arguments):
    subprocess.run([RIG, *arguments], check=True)


class Step:
    """An srun that runs."""

    def __init__(self, command, folder, **variables):
        self.command = command
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, cwd=folder, env=environment(**variables), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def wait(self):
        try:
            self.stdout, self.stderr = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.stdout, self.stderr = self.process.communicate()
            raise AssertionError(f"did not end: {self.command}\n{self.stderr}") from None
        self.took_s = time.monotonic() - self.started
        self.status = self.process.returncode
        return self


class SlurmTest(E2eTest):
    """An allocation of both nodes stands for all tests of a class: its steps begin at once."""

    allocation = ["--nodes=2", "--ntasks=4", "--cpus-per-task=1"]
    job = None

    @classmethod
    def setUpClass(cls):
        if cls.allocation:
            granted = subprocess.run(["salloc", "--no-shell", *cls.allocation], capture_output=True, text=True, timeout=LIMIT_S)
            cls.job = re.search(r"Granted job allocation (\d+)", granted.stderr)[1]

    @classmethod
    def tearDownClass(cls):
        if cls.job:
            subprocess.run(["scancel", cls.job], check=True)

    def srun(self, *arguments, options=(), nodes=1, ranks=2, mpi="pmix", program=TPBENCH, **variables):
        inside = [f"--jobid={self.job}"] if self.job else []
        step = Step(["srun", *inside, f"--mpi={mpi}", f"-N{nodes}", f"-n{ranks}", *options, program, *map(str, arguments)],
                    self.folder, **variables)
        self.addCleanup(self.end, step)
        return step

    def run_srun(self, *arguments, status=0, **options):
        step = self.srun(*arguments, **options).wait()
        self.assertEqual(step.status, status, f"{step.command}\n{step.stdout}\n{step.stderr}")
        return step

    @staticmethod
    def end(step):
        if step.process.poll() is None:
            step.process.kill()
        step.process.communicate()

    def sbatch(self, script, *arguments, options=()):
        """Submits a script with tpbench in its PATH; returns the number of the job."""
        done = subprocess.run(["sbatch", "--parsable", *options, str(script), *map(str, arguments)], cwd=self.folder,
                              env=environment(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        job = done.stdout.strip()
        self.addCleanup(subprocess.run, ["scancel", "--quiet", job])
        return job

    @staticmethod
    def state(job):
        """What Slurm says of a job: JobState, ExitCode, Restarts, ..."""
        said = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True).stdout
        return dict(word.split("=", 1) for word in said.split() if "=" in word)

    def wait_for(self, what, condition, limit_s=LIMIT_S):
        deadline = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"waited in vain for {what}")
            time.sleep(0.05)

    def wait_for_job(self, job, states=("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")):
        self.wait_for(f"job {job}: {states}", lambda: self.state(job)["JobState"] in states)
        return self.state(job)

    def finish_job(self, job):
        """Waits for a job that must end well; returns what it wrote."""
        state = self.wait_for_job(job)
        said = "".join(path.read_text() for path in sorted(self.folder.glob(f"*-{job}*.log")))
        self.assertEqual((state["JobState"], state["ExitCode"]), ("COMPLETED", "0:0"), said)
        return said

    @staticmethod
    def rank_pids():
        """Processes of tpbench in Slurm steps, by rank: those of n1 too, as its process table is below that of n0."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "exe") == os.path.realpath(TPBENCH):
                    words = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
                    found[next(int(word.split("=")[1]) for word in words if word.startswith("SLURM_PROCID="))] = int(entry.name)
            except (OSError, StopIteration):
                continue
        return found

    def start_and_meet_the_long_case(self, *arguments, **options):
        """A step in the middle of its second case, and the one record that is there."""
        self.sweep(**LONG_SWEEP | {"measure": LONG_SWEEP["measure"] | {"min_samples": 3000, "max_samples": 3000}})
        step = self.srun("--config", "sweep.json", "--output", "out", "--filter", "hidden_size=512", *arguments, **options)
        marker = self.folder / "out" / "running.json"
        self.wait_for("the long case", lambda: marker.exists() or step.process.poll() is not None)
        time.sleep(0.5)
        self.assertIsNone(step.process.poll(), "it has ended already")
        step.met = time.monotonic()
        return step

    def wait_and_time(self, step):
        """Waits for a step that something has happened to, which must end it within ten seconds."""
        step.wait()
        self.assertLess(time.monotonic() - step.met, 10, step.stderr)
        return step

    def kill_rank(self, rank, number=signal.SIGKILL):
        os.kill(self.rank_pids()[rank], number)
