"""The examples are valid, and what `cmake --install` puts in place works."""

import os
import re
import shutil
import subprocess
import unittest

from harness import BUILD_DIR, LIMIT_S, SOURCE_DIR, E2eTest

CONFIGS = sorted((SOURCE_DIR / "configs").glob("*.json"))


class Configs(E2eTest):
    def test_each_is_valid_and_can_be_planned(self):
        self.assertIn("quickstart.json", [path.name for path in CONFIGS])
        for path in CONFIGS:
            with self.subTest(path.name):
                valid = self.run_tpbench("validate", path)
                cases, ranks = map(int, re.search(r": valid, (\d+) cases?, up to (\d+) ranks?", valid.stdout).groups())
                plan = self.run_tpbench("--config", path, "--dry-run", "--format", "csv")
                self.assertEqual(len(plan.stdout.splitlines()), 1 + cases)
                self.assertGreaterEqual(ranks, 1)
                self.assertEqual(plan.stderr, "")
        self.assertEqual(list(self.folder.iterdir()), [])


class Described(E2eTest):
    """The manual page and completion, as they are installed."""

    def described(self, form):
        return self.run_tpbench("describe", form).stdout

    def complete(self, *words):
        (self.folder / "completion").write_text(self.described("bash"))
        script = ('source completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tpbench; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash(self):
        self.assertIn("compare", self.complete("tpbench", ""))
        self.assertEqual(self.complete("tpbench", "rep"), ["report"])
        self.assertEqual(self.complete("tpbench", "compare", "a", "b", "--fail-a"), ["--fail-above"])
        self.assertEqual(self.complete("tpbench", "export", "a", "--to", "t"), ["table", "trace"])
        self.assertEqual(self.complete("tpbench", "--format", "js"), ["json", "jsonl"])
        (self.folder / "results").mkdir()
        self.assertEqual(self.complete("tpbench", "report", "res"), ["results"])

    def test_zsh(self):
        if shutil.which("zsh"):
            done = subprocess.run(["zsh", "-n"], input=self.described("zsh"), capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(self.described("zsh").startswith("#compdef tpbench"))

    def test_man(self):
        page = self.described("man")
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS"):
            self.assertIn(f".SH {section}", page)
        if shutil.which("man"):
            done = subprocess.run(["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True,
                                  env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("tpbench compare results/eth-1g results/eth-10g", done.stdout)


class Install(E2eTest):
    def test_prefix(self):
        prefix = self.folder / "prefix"
        done = subprocess.run([os.environ["CMAKE_COMMAND"], "--install", str(BUILD_DIR), "--prefix", str(prefix)],
                              capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
        for path in CONFIGS:
            self.assertIn(f"share/tpbench/configs/{path.name}", installed)
        for schema in (SOURCE_DIR / "docs").glob("*.schema.json"):
            self.assertIn(f"share/tpbench/schemas/{schema.name}", installed)
        for document in (SOURCE_DIR / "docs").rglob("*.md"):
            self.assertIn(f"share/doc/tpbench/{document.relative_to(SOURCE_DIR / 'docs')}", installed)
        self.assertLessEqual({"share/man/man1/tpbench.1.gz", "share/bash-completion/completions/tpbench",
                              "share/zsh/vendor-completions/_tpbench"}, installed)
        self.assertLessEqual({"bin/tpbench", "share/doc/tpbench/README.md", "share/doc/tpbench/CHANGELOG.md"}, installed)
        self.assertEqual([str(path) for path in prefix.rglob("*") if path.is_dir() and not any(path.iterdir())], [])
        # Nothing of the tests.
        self.assertEqual({path for path in installed if path.startswith("bin/")}, {"bin/tpbench", "bin/tpbench-alternate"})
        self.run_tpbench("--config", prefix / "share/tpbench/configs/quickstart.json", "--output", "out", "--filter",
                         "hidden_size=1024", "--set", "measure.max_seconds=0.05", ranks=2, program=str(prefix / "bin/tpbench"))
        self.assert_all(self.assert_valid(self.folder / "out"), "ok")


if __name__ == "__main__":
    unittest.main()
