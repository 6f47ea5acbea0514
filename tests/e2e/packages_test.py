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
        self.assertEqual([path.name for path in self.packages], expected)

    def test_contents(self):
        files = contents(self.program)
        self.assertIn("/usr/bin/tpbench", files)
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
        self.assertEqual([name for name in files if "cuda.so" in name], [])
        depends = field(self.program, "Depends")
        for library in ("openmpi-bin", "libopenmpi3", "libc6 (>=", "libhwloc15", "libfmt9", "libspdlog1.10"):
            self.assertIn(library, depends)
        self.assertRegex(depends, r"libopenblas0")

    def test_plug_in(self):
        for package in self.packages:
            if package != self.program:
                self.assertIn(f"tpbench (= {VERSION}-1)", field(package, "Depends"))
                self.assertIn("/usr/lib/tpbench/libtpbench_cuda.so", [re.sub("/lib/[^/]*linux-gnu/", "/lib/", name)
                                                                    for name in contents(package)])

    @unittest.skipUnless(shutil.which("lintian"), "needs lintian")
    def test_lintian(self):
        done = run("lintian", "--allow-root", "--fail-on", "error", *self.packages, status=None)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
