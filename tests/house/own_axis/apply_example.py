"""Applies the worked example of docs/architecture.md, its one diff, to a copy of the sweep room: apply_example.py SOURCE OUTPUT"""

import pathlib
import re
import shutil
import subprocess
import sys

source, output = map(pathlib.Path, sys.argv[1:])
(example,) = re.findall(r"```diff\n(.*?)```", (source / "docs" / "architecture.md").read_text(), re.DOTALL)
files = sorted(set(re.findall(r"^\+\+\+ b/(\S+)", example, re.MULTILINE)))
if len(files) > 3:
    sys.exit(f"docs/architecture.md: the worked example touches {len(files)} files: {', '.join(files)}; three is the rule")

shutil.rmtree(output, ignore_errors=True)
shutil.copytree(source / "src" / "sweep", output / "src" / "sweep")
for name in files:
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / name, output / name)
applied = subprocess.run(["git", "apply", "--verbose", "-"], input=example, cwd=output, capture_output=True, text=True,
                         env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_CEILING_DIRECTORIES": str(output.parent)})
if applied.returncode != 0:
    sys.exit(f"docs/architecture.md: the worked example does not fit the source any more; write it anew:\n{applied.stderr}")
