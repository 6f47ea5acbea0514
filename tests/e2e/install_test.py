"""The examples are valid, and what `cmake --install` puts in place works."""

import os
import re
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
