"""What scripts/bundle.sh makes runs elsewhere: moved, without variables, without the system's Open MPI, without a system."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import BUILD_DIR, LIMIT_S, SOURCE_DIR, E2eTest, environment

sys.path.insert(0, str(SOURCE_DIR / "tests/fabric"))

from rig import SCRIPT, Rig, why_not  # noqa: E402

BUNDLE_SH = SOURCE_DIR / "scripts/bundle.sh"
# Whom mpirun would refuse, and nothing else: no PATH, no HOME, no LD_LIBRARY_PATH.
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
# What a bundle takes from the machine: the C library and the NVIDIA driver.
C_LIBRARY = re.compile(r"(ld-linux-x86-64|lib(c|m|mvec|dl|pthread|rt|resolv|util|anl|nss_\w+)|lib(cuda|nvidia-[\w-]+))\.so[.\d]*")


def bundle_sh(*arguments, variables=None, cwd=None):
    return subprocess.run([BUNDLE_SH, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S, cwd=cwd,
                          env=environment() if variables is None else variables)


def can_mount():
    """May this process have mounts of its own?"""
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True,
                              timeout=LIMIT_S).returncode == 0
    except OSError:
        return False


class Bundle(E2eTest):
    @classmethod
    def setUpClass(cls):
        """One bundle for all: made at one place, started at another, with a blank in its name."""
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="tpbench-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        made = cls.place / "made"
        cls.made = bundle_sh("--build-dir", BUILD_DIR, "--output", made, "--with", harness.CHECK_RECORDS, "--tar",
                             "--without-cuda-libraries")
        if cls.made.returncode != 0:
            raise AssertionError(cls.made.stderr)
        cls.bundle = cls.place / "moved to" / "a bundle"
        cls.bundle.parent.mkdir()
        made.rename(cls.bundle)

    def setUp(self):
        super().setUp()
        self.variables = AS_ROOT | {"TMPDIR": str(self.folder)}

    def run_cleared(self, *command, status=0, wrapper=(), **variables):
        """Runs a command of the bundle from / with nothing but these variables."""
        done = subprocess.run([*wrapper, str(self.bundle / command[0]), *map(str, command[1:])], cwd="/",
                              env=self.variables | variables, capture_output=True, text=True, timeout=LIMIT_S,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, f"{command}\n{done.stdout}\n{done.stderr}")
        return done

    def two_cases(self):
        return self.sweep(workload=["mlp", "all_reduce"], tp_degree=2)

    def run_sweep(self, output, wrapper=(), **variables):
        return self.run_cleared("bin/mpirun", "--oversubscribe", "-n", 2, self.bundle / "bin/tpbench", "--config",
                                self.two_cases(), "--output", self.folder / output, wrapper=wrapper, **variables)

    def assert_from_bundle(self, loaded):
        """Every shared object is the bundle's or the C library's."""
        names = {pathlib.Path(path).name for path in loaded}
        for needed in ("libmpi.so.40", "libopenblas.so.0", "libstdc++.so.6", "mca_pml_ob1.so", "libpmix.so.2"):
            self.assertIn(needed.split(".so")[0], {name.split(".so")[0] for name in names})
        strangers = [path for path in loaded if not pathlib.Path(path).resolve().is_relative_to(self.bundle)
                     and not C_LIBRARY.fullmatch(pathlib.Path(path).name)]
        self.assertEqual(strangers, [])

    def loaded_by(self, run):
        """The shared objects that the processes of `run` loaded, by the loader's own account."""
        logs = self.folder / "loader"
        logs.mkdir()
        run(LD_DEBUG="files", LD_DEBUG_OUTPUT=str(logs / "log"))
        text = "".join(path.read_text(errors="replace") for path in logs.iterdir())
        # "calling init: PATH" stands there once for each object and process.
        loaded = set(re.findall(r"calling init: (/.*)$", text, re.MULTILINE))
        # mpirun and two ranks, and none of them unseen.
        self.assertEqual(len(re.findall(r"calling init: .*/libopen-pal\.so", text)), 3)
        return loaded

    def test_alone_and_through_a_link(self):
        version = subprocess.run([harness.TPBENCH, "--version"], capture_output=True, text=True, timeout=LIMIT_S).stdout
        self.assertEqual(self.run_cleared("bin/tpbench", "--version").stdout, version)
        link = self.folder / "another name"
        link.symlink_to(self.bundle / "bin/tpbench")
        self.assertEqual(self.run_cleared(link, "--version").stdout, version)
        info = self.run_cleared("bin/tpbench", "info")
        self.assertIn("library: OpenBLAS", info.stdout)
        self.assertNotIn("no launcher", info.stdout + info.stderr)

    def test_a_sweep_loads_nothing_of_the_system(self):
        self.assert_from_bundle(self.loaded_by(lambda **variables: self.run_sweep("out", **variables)))
        self.assert_all(self.assert_valid(self.folder / "out", cases=2), "ok")

    def test_another_open_mpi_in_the_environment(self):
        """As a module of a cluster leaves it: its libraries come first, its folders are named."""
        system = pathlib.Path(next(line.split()[2] for line in subprocess.run(
            ["ldd", harness.TPBENCH], capture_output=True, text=True).stdout.splitlines() if "libmpi.so" in line)).parent
        self.assert_from_bundle(self.loaded_by(lambda **variables: self.run_sweep(
            "out", LD_LIBRARY_PATH=str(system), OPAL_PREFIX="/usr", PMIX_PREFIX="/usr", **variables)))

    def test_what_mpirun_leaves_to_others(self):
        """Programs that it starts get no libraries of the bundle, and find its tpbench by name."""
        variables = self.run_cleared("bin/mpirun", "-n", 1, "/usr/bin/env").stdout
        self.assertIn("OMPI_COMM_WORLD_RANK=0", variables)
        self.assertNotRegex(variables, "(?m)^LD_")
        self.run_cleared("bin/mpirun", "-n", 1, "tpbench", "selfcheck")

    def test_the_hint_names_this_mpirun(self):
        error = self.run_cleared("bin/tpbench", "--config", self.two_cases(), "--output", self.folder / "out", status=3).stderr
        command = re.search(r"type: (.*)$", error, re.MULTILINE).group(1)
        self.assertIn(f"'{self.bundle}/bin/mpirun' -n 2 ", command)
        done = subprocess.run(["sh", "-c", command], cwd="/", env=self.variables, capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        in_path = self.run_cleared("bin/tpbench", "probe", status=3, PATH=f"{self.bundle}/bin").stderr
        self.assertIn("type: mpirun -n 2 ", in_path)

    @unittest.skipUnless(can_mount(), "needs root and mounts of its own")
    def test_where_open_mpi_is_not_installed(self):
        self.run_sweep("out", wrapper=self.without_open_mpi())
        self.assert_all(self.assert_valid(self.folder / "out", cases=2), "ok")

    @unittest.skipUnless(can_mount(), "needs root and mounts of its own")
    def test_daemons_on_another_host(self):
        """mpirun starts its daemon there by its path in the bundle, with none of the system's about."""
        if reason := why_not():
            self.skipTest(reason)
        with Rig("1gbit") as rig:
            # As ssh, and unlike the agent of the rig: the daemon inherits nothing.
            agent = self.folder / "agent"
            agent.write_text(f'#!/bin/sh\nexec env -i PATH="{os.defpath}:/sbin:/usr/sbin" {SCRIPT} --name {rig.name} agent "$@"\n')
            agent.chmod(0o755)
            done = subprocess.run([*self.without_open_mpi(), *rig.mpirun(1), "tpbench", "--config", self.two_cases(),
                                   "--output", self.folder / "out"], capture_output=True, text=True, timeout=LIMIT_S, cwd="/",
                                  env=environment(TPBENCH_MPIEXEC=str(self.bundle / "bin/mpirun"), TMPDIR=str(self.folder),
                                                  OMPI_MCA_plm_rsh_agent=str(agent)))
            self.assertEqual(done.returncode, 0, done.stderr)
            for record in self.assert_valid(self.folder / "out", cases=2).values():
                self.assertEqual((record["status"], sorted(record["ranks"]["hosts"])), ("ok", rig.hosts))

    def without_open_mpi(self):
        """The words before a command that hide the system's Open MPI and PMIx from it."""
        hidden = []
        for line in subprocess.run(["ompi_info", "--parsable", "--path", "all"], capture_output=True, text=True).stdout.splitlines():
            key, path = line.split(":")[1:3]
            if key in ("libdir", "pkgdatadir", "sysconfdir") and pathlib.Path(path).is_dir() and path not in ("/usr/lib", "/usr/share"):
                hidden.append(path)
        hidden += map(str, pathlib.Path("/usr/lib").glob("*/pmix2"))
        self.assertNotEqual(hidden, [])
        hide = "; ".join(f"mount -t tmpfs none '{path}'" for path in hidden)
        return [shutil.which("unshare"), "-m", "/bin/sh", "-ec", f'{hide}; exec "$@"', "sh"]

    @unittest.skipUnless(can_mount(), "needs root and mounts of its own")
    def test_a_system_with_the_c_library_alone(self):
        """No shell, no tools, no package: a root folder with the loader, the C library and the bundle."""
        root = self.folder / "root"
        for folder in ("proc", "sys", "dev", "tmp", "lib64", "opt/tp bench"):
            (root / folder).mkdir(parents=True)
        for library in self.c_library():
            target = root / library.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
        shutil.copy(self.two_cases(), root / "tmp/sweep.json")
        mounts = "; ".join([f"mount --rbind /{folder} '{root}/{folder}'" for folder in ("proc", "sys", "dev")]
                           + [f"mount --bind '{self.bundle}' '{root}/opt/tp bench'"])
        inside = pathlib.Path("/opt/tp bench")
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", f'{mounts}; exec chroot "$@"', "sh", root, inside / "bin/mpirun", "--oversubscribe",
             "-n", "2", inside / "bin/tpbench", "--config", "/tmp/sweep.json", "--output", "/tmp/out"],
            cwd="/", env=AS_ROOT | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_all(self.assert_valid(root / "tmp/out", cases=2), "ok")

    def c_library(self):
        """The C library of this machine: where the loader finds it, and what it is asked for only when it runs."""
        listed = subprocess.run(["ldd", self.bundle / "libexec/tpbench"], capture_output=True, text=True).stdout
        paths = [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", listed)]
        found = [path for path in paths if C_LIBRARY.fullmatch(path.name)]
        folder = next(path.parent for path in found if path.name == "libc.so.6")
        extras = [path for name in ("mvec.so.1", "dl.so.2", "pthread.so.0", "rt.so.1", "resolv.so.2", "util.so.1")
                  if (path := folder / f"lib{name}").exists()]
        return {*found, *extras}

    def test_what_it_says_of_itself(self):
        note = (self.bundle / "BUNDLE.txt").read_text()
        version = subprocess.run([harness.TPBENCH, "--version"], capture_output=True, text=True, timeout=LIMIT_S).stdout.strip()
        self.assertIn(version, note)
        needed = re.search(r"glibc (\d+)\.(\d+) or newer", note)
        asked = set()
        for path in [*(self.bundle / "lib").rglob("*.so*"), *(self.bundle / "libexec").iterdir()]:
            asked |= set(re.findall(rb"\bGLIBC_(\d+)\.(\d+)", path.read_bytes()))
        self.assertEqual(tuple(map(int, needed.groups())), max(tuple(map(int, version)) for version in asked))
        for file in ("README.md", "configs/quickstart.json", "docs/sweep.schema.json", "etc/openmpi/openmpi-mca-params.conf"):
            self.assertTrue((self.bundle / file).is_file(), file)
        self.assertNotEqual(list((self.bundle / "licences").iterdir()), [])
        self.assertEqual((self.bundle / "libexec/libtpbench_onednn.so").is_file(),
                         (BUILD_DIR / "libtpbench_onednn.so").is_file())
        plugin = (BUILD_DIR / "libtpbench_cuda.so").is_file()
        self.assertEqual((self.bundle / "libexec/libtpbench_cuda.so").is_file(), plugin)
        self.assertEqual("without the CUDA plug-in" in self.made.stderr, not plugin)

    @unittest.skipUnless((BUILD_DIR / "libtpbench_cuda.so").is_file(), "this build has no CUDA plug-in")
    def test_the_plugin_is_found(self):
        """Beside the program, with the CUDA libraries of this machine; what it can do then is up to the driver."""
        linked = subprocess.run(["ldd", BUILD_DIR / "libtpbench_cuda.so"], capture_output=True, text=True).stdout
        cuda = pathlib.Path(re.search(r"libnccl\.so\S* => (/\S+)", linked).group(1)).parent
        sweep = self.sweep(workload=["mlp"], tp_degree=1, backend="cuda")
        done = subprocess.run([self.bundle / "bin/tpbench", "--config", sweep, "--output", self.folder / "out"], cwd="/",
                              env=self.variables | {"LD_LIBRARY_PATH": str(cuda), "LD_DEBUG": "files"}, capture_output=True,
                              text=True, timeout=LIMIT_S)
        self.assertIn(f"calling init: {self.bundle}/libexec/libtpbench_cuda.so", done.stderr)
        self.assertIn(f"calling init: {cuda}/libnccl.so", done.stderr)

    def test_no_copy_is_loaded_twice(self):
        """A plug-in that is also a library is one file: the loader would take two files for two libraries."""
        by_content = {}
        for path in (self.bundle / "lib").rglob("*.so*"):
            if not path.is_symlink():
                by_content.setdefault(path.read_bytes(), []).append(path.name)
        self.assertEqual([names for names in by_content.values() if len(names) > 1], [])

    def test_a_program_taken_along(self):
        checked = self.run_cleared("bin/check_records", self.folder, status=1)
        self.assertIn("sweep.json", checked.stdout + checked.stderr)

    def test_tar(self):
        packed = subprocess.run(["tar", "--list", "--gzip", "--file", str(self.place / "made.tar.gz")], capture_output=True,
                                text=True, timeout=LIMIT_S)
        self.assertIn("made/bin/tpbench", packed.stdout.splitlines())


class Refusals(E2eTest):
    def refused(self, status, *arguments, **options):
        done = bundle_sh(*arguments, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(list(self.folder.glob("out*")), [])
        return done.stderr

    def test_command_line(self):
        out = self.folder / "out"
        self.assertIn("unknown option --nonsense", self.refused(2, "--nonsense"))
        self.assertIn("no tpbench in the build folder", self.refused(2, "--build-dir", self.folder, "--output", out))
        self.assertIn("no such file", self.refused(2, "--build-dir", BUILD_DIR, "--output", out, "--with", "nonsense"))

    def test_a_folder_of_the_user_is_left_alone(self):
        mine = self.folder / "mine"
        mine.mkdir()
        (mine / "file").write_text("mine")
        self.assertIn("is no bundle", self.refused(2, "--build-dir", BUILD_DIR, "--output", mine))
        self.assertEqual((mine / "file").read_text(), "mine")

    def test_machine(self):
        tools = self.folder / "tools"
        tools.mkdir()
        for tool in ("bash", "dirname", "realpath", "env"):
            (tools / tool).symlink_to(shutil.which(tool))
        (tools / "uname").write_text('#!/bin/sh\n[ "$1" = -s ] && echo "${SYSTEM:-Linux}" || echo "${PROCESSOR:-x86_64}"\n')
        (tools / "uname").chmod(0o755)
        variables = environment(PATH=str(tools))
        self.assertIn("x86-64, and this is aarch64", self.refused(3, variables=variables | {"PROCESSOR": "aarch64"}))
        self.assertIn("Linux, and this is Darwin", self.refused(3, variables=variables | {"SYSTEM": "Darwin"}))
        self.assertRegex(self.refused(3, variables=variables), "not installed: .*patchelf.*--bundle")


if __name__ == "__main__":
    unittest.main()
