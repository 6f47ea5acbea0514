"""The Debian packages that cpack makes: complete, without an error of lintian's, and installed, run and removed in a root
that holds what they depend on and nothing else."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD_DIR, LIMIT_S, SOURCE_DIR, E2eTest

VERSION = re.search(r"project\(tpbench VERSION ([\d.]+)", (SOURCE_DIR / "CMakeLists.txt").read_text())[1]


def run(*command, status=0, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_S, **options)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{command}\n{done.stdout}\n{done.stderr}")
    return done


def field(package, name):
    return run("dpkg-deb", "--field", package, name).stdout.strip()


def contents(package):
    return [line.split()[5].removeprefix(".") for line in run("dpkg-deb", "--contents", package).stdout.splitlines()]


class Status:
    """What dpkg knows of the packages of this machine."""

    def __init__(self):
        self.packages, self.provided = {}, {}
        for text in pathlib.Path("/var/lib/dpkg/status").read_text(errors="replace").split("\n\n"):
            fields = dict(re.findall(r"^([\w-]+): (.*(?:\n[ \t].*)*)", text, re.MULTILINE))
            if not fields.get("Status", "").endswith(" installed"):
                continue
            self.packages[fields["Package"]] = fields | {"text": text}
            for name in re.findall(r"([\w.+-]+)(?: \([^)]*\))?", fields.get("Provides", "")):
                self.provided.setdefault(name, fields["Package"])

    def named(self, relation):
        """The installed packages that a Depends names, the first alternative that there is of each."""
        for alternatives in filter(None, map(str.strip, relation.split(","))):
            names = [re.match(r"[\w.+-]+", word.strip())[0] for word in alternatives.split("|")]
            found = next((name for name in names if name in self.packages or name in self.provided), None)
            if found is None:
                raise AssertionError(f"{alternatives} is not installed here")
            yield found if found in self.packages else self.provided[found]

    def closure(self, relation):
        found, ahead = set(), list(self.named(relation))
        while ahead:
            name = ahead.pop()
            if name in found:
                continue
            found.add(name)
            fields = self.packages[name]
            ahead += self.named(f"{fields.get('Depends', '')},{fields.get('Pre-Depends', '')}")
        return found


@unittest.skipUnless(all(map(shutil.which, ("cpack", "dpkg-deb", "dpkg-shlibdeps"))), "needs cpack and dpkg-dev")
class Packages(E2eTest):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="tpbench-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        run(pathlib.Path(os.environ["CMAKE_COMMAND"]).parent / "cpack", "-G", "DEB", "-B", cls.place, cwd=BUILD_DIR)
        cls.packages = sorted(cls.place.glob("*.deb"))
        cls.program = next(path for path in cls.packages if path.name.startswith("tpbench_"))

    def test_names(self):
        architecture = run("dpkg", "--print-architecture").stdout.strip()
        expected = [f"tpbench_{VERSION}-1_{architecture}.deb"]
        if (BUILD_DIR / "libtpbench_cuda.so").exists():
            expected.insert(0, f"tpbench-cuda_{VERSION}-1_{architecture}.deb")
        if (BUILD_DIR / "libtpbench_onednn.so").exists():
            expected.insert(-1, f"tpbench-onednn_{VERSION}-1_{architecture}.deb")
        self.assertEqual([path.name for path in self.packages], expected)

    def test_contents(self):
        files = contents(self.program)
        self.assertIn("/usr/bin/tpbench", files)
        for path in ("man/man1/tpbench.1.gz", "bash-completion/completions/tpbench", "zsh/vendor-completions/_tpbench"):
            self.assertIn(f"/usr/share/{path}", files)
        for path in [*(SOURCE_DIR / "configs").glob("*.json")]:
            self.assertIn(f"/usr/share/tpbench/configs/{path.name}", files)
        for path in (SOURCE_DIR / "docs").glob("*.schema.json"):
            self.assertIn(f"/usr/share/tpbench/schemas/{path.name}", files)
        for path in (SOURCE_DIR / "scripts" / "slurm").glob("*.sbatch"):
            self.assertIn(f"/usr/share/tpbench/slurm/{path.name}", files)
        for path in (SOURCE_DIR / "docs").rglob("*.md"):
            self.assertIn(f"/usr/share/doc/tpbench/{path.relative_to(SOURCE_DIR / 'docs')}", files)
        for name in ("copyright", "changelog.Debian.gz", "README.md", "CHANGELOG.md"):
            self.assertIn(f"/usr/share/doc/tpbench/{name}", files)
        self.assertEqual([name for name in files if "cuda.so" in name or "onednn.so" in name], [])
        depends = field(self.program, "Depends")
        for library in ("openmpi-bin", "libopenmpi3", "libc6 (>=", "libhwloc15", "libfmt9", "libspdlog1.10"):
            self.assertIn(library, depends)
        self.assertRegex(depends, r"libopenblas0")

    def test_plug_in(self):
        for package in self.packages:
            if package != self.program:
                self.assertIn(f"tpbench (= {VERSION}-1)", field(package, "Depends"))
                plugin = re.match(r"tpbench-(\w+)_", package.name).group(1)
                self.assertIn(f"/usr/lib/tpbench/libtpbench_{plugin}.so", [re.sub("/lib/[^/]*linux-gnu/", "/lib/", name)
                                                                    for name in contents(package)])

                if plugin == "onednn":
                    self.assertRegex(field(package, "Depends"), r"libdnnl2.*libgomp1")

    @unittest.skipUnless(shutil.which("lintian"), "needs lintian")
    def test_lintian(self):
        done = run("lintian", "--allow-root", "--fail-on", "error", *self.packages, status=None)
        self.assertEqual(done.returncode, 0, done.stdout)


    @unittest.skipUnless(os.geteuid() == 0, "another root needs root")
    def test_installed_run_and_removed(self):
        root = self.folder / "root"
        # A shell for maintainer scripts of others, and what mpirun calls.
        self.make_root(root, f"{field(self.program, 'Depends')}, dash, coreutils, libc-bin, mawk, sed, grep, findutils")
        dpkg = ["dpkg", f"--root={root}", "--log=/dev/null"]
        before = self.files(root)
        run(*dpkg, "--install", self.program)
        self.assertIn("install ok installed", run(*dpkg, "--status", "tpbench").stdout)
        self.sweep(tp_degree=[1, 2], workload=["mlp", "all_reduce"])
        shutil.copy(self.folder / "sweep.json", root / "tmp")
        done = self.inside(root, "mpirun", "--oversubscribe", "-n", "2", "tpbench", "--config", "/tmp/sweep.json", "--output",
                           "/tmp/out")
        self.assertIn("Verdict", done.stdout)
        self.assert_all(self.assert_valid(root / "tmp" / "out", cases=4), "ok")
        self.assertIn("valid, ", self.inside(root, "tpbench", "validate", "/usr/share/tpbench/configs/quickstart.json").stdout)
        run(*dpkg, "--purge", "tpbench")
        shutil.rmtree(root / "tmp")
        (root / "tmp").mkdir()
        self.assertEqual(self.files(root), before)

    def test_without_what_it_needs_it_is_refused(self):
        root = self.folder / "root"
        self.make_root(root, "libc6", copy=False)
        done = run("dpkg", f"--root={root}", "--log=/dev/null", "--install", self.program, status=1)
        self.assertIn("tpbench depends on", done.stdout + done.stderr)

    def make_root(self, root, relation, copy=True):
        """A root with the packages that `relation` wants, as they are on this machine, in dpkg's books as well."""
        status = Status()
        for name in ("updates", "info", "triggers"):
            (root / "var/lib/dpkg" / name).mkdir(parents=True)
        for name in ("tmp", "proc", "dev", "etc"):
            (root / name).mkdir(parents=True)
        closure = sorted(status.closure(relation))
        (root / "var/lib/dpkg/status").write_text("".join(status.packages[name]["text"] + "\n\n" for name in closure))
        if not copy:
            return
        for name in ("bin", "sbin", "lib", "lib64"):
            link = pathlib.Path("/", name)
            if link.is_symlink():  # a merged /usr
                (root / os.readlink(link)).mkdir(parents=True)
                (root / name).symlink_to(os.readlink(link))
        paths = []
        for name in closure:
            for list_file in (f"{name}.list", f"{name}:{status.packages[name]['Architecture']}.list"):
                books = pathlib.Path("/var/lib/dpkg/info", list_file)
                if books.exists():
                    shutil.copy(books, root / "var/lib/dpkg/info")
                    paths += books.read_text().splitlines()
        # Alternatives are links that no package lists.
        paths += [str(path) for path in pathlib.Path("/etc/alternatives").iterdir()]
        paths += [str(path) for path in [*pathlib.Path("/usr/bin").iterdir(), *pathlib.Path("/usr/lib").rglob("lib*.so*")]
                  if path.is_symlink() and os.readlink(path).startswith("/etc/alternatives/")]
        wanted = [path.lstrip("/") for path in dict.fromkeys(paths) if os.path.islink(path) or os.path.isfile(path)]
        archive = subprocess.run(["tar", "--create", "--directory=/", "--no-recursion", "--files-from=-", "--file=-"],
                                 input="\n".join(wanted).encode(), capture_output=True)
        run("mkdir", "-p", root)
        unpacked = subprocess.run(["tar", "--extract", f"--directory={root}", "--keep-directory-symlink", "--file=-"],
                                  input=archive.stdout, capture_output=True)
        self.assertEqual(unpacked.returncode, 0, unpacked.stderr.decode()[-500:])
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        run("chroot", root, "/sbin/ldconfig")
        for name in ("null", "urandom", "zero"):
            run("mknod", root / "dev" / name, "c", "1", {"null": 3, "urandom": 9, "zero": 5}[name])
        (root / "dev/shm").mkdir()

    @staticmethod
    def inside(root, *command):
        variables = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                     "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return run("unshare", "--mount", "sh", "-c", script, root, *command, env=variables)

    @staticmethod
    def files(root):
        """All but what dpkg keeps for itself."""
        return sorted(str(path) for path in root.rglob("*") if "var/lib/dpkg" not in str(path) and "/dev/shm/" not in str(path))


if __name__ == "__main__":
    unittest.main()
