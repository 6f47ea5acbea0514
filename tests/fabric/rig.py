"""Two hosts with a shaped link, for as long as a `with` lasts: scripts/fabric-rig.sh, held from Python."""

import os
import pathlib
import signal
import subprocess

SCRIPT = str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "fabric-rig.sh")


def script(*arguments, check=True):
    done = subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"fabric-rig.sh {' '.join(map(str, arguments))}: {done.stderr}")
    return done


def why_not(*delay):
    """Why this machine cannot have the two hosts, with "--delay", TIME between them; empty when it can."""
    done = script("check", *delay, check=False)
    return "" if done.returncode == 0 else done.stderr.strip()


def interrupt(number, frame):
    raise KeyboardInterrupt  # unlike SystemExit, unittest does not take it for an error of one test


def end_orderly():
    """A signal that asks this program to end lets every `with` and `finally` do its work first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


class Rig:
    """Named after this process, so that what a killed one leaves can be told from what is in use. `delay` as the script
    takes it; `word` tells several rigs of one process apart."""

    def __init__(self, rate, delay=None, word=None):
        self.name = f"pid-{os.getpid()}" + (f"-{word}" if word else "")
        self.hosts = [f"tpbench-rig-{self.name}-{i}" for i in (0, 1)]
        self.link = [rate, "--delay", delay] if delay else [rate]

    def __enter__(self):
        script("down", "--stale")
        try:
            self("up", *self.link)
        except BaseException:
            self("down")
            raise
        return self

    def __exit__(self, *_):
        self("down")

    def __call__(self, *arguments):
        return script("--name", self.name, *arguments)

    def set_rate(self, rate):
        self("rate", rate)

    def mpirun(self, ranks_per_host):
        """The words before a program that start it on both hosts."""
        return [SCRIPT, "--name", self.name, "run", str(ranks_per_host)]

    def programs(self, host):
        """Process ids of what runs on a host; on the second of a rig with delay also the link itself."""
        done = subprocess.run(["ip", "netns", "pids", self.hosts[host]], capture_output=True, text=True, check=True)
        return [int(pid) for pid in done.stdout.split()]

    def sent_bytes(self):
        """What each host has sent over the link, as the interface counts it."""
        return [int(line) for line in self("bytes").stdout.split()]
