"""The acceptance of the GPU backend, at small sizes, where there is a GPU."""

import json
import subprocess
import sys

from harness import BUILD_DIR, SOURCE_DIR, TPBENCH, environment


def main():
    done = subprocess.run([TPBENCH, "info", "--json"], capture_output=True, text=True, check=True, env=environment())
    gpu = json.loads(done.stdout)["gpu"]
    if not gpu.get("gpus"):
        print(f"skipped: {gpu.get('missing', 'no GPU is seen')}")
        return 77
    return subprocess.run([SOURCE_DIR / "scripts/gpu-check.sh", BUILD_DIR, "--quick"], env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main())
