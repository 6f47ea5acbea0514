#!/usr/bin/env bash
# The acceptance of the GPU backend, on a machine with at least one GPU.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/gpu-check.sh BUILD_DIR [--output DIR] [--quick]

Checks the backend cuda of a build (a build folder, or a bundle made by scripts/bundle.sh) on this machine's GPUs, in
less than 8 minutes, and prints a table at the end:
  - every workload and element type at degrees 1, 2 and 4, forward and backward, against the reference that is computed
    on the CPU; ranks share the GPU where they must
  - products against a plain loop over cuBLASLt in the same process, and against what the device can do at best
  - counted memory against the device's own figure, and the empty step
Wants python3, and an mpirun in BUILD_DIR/bin or in PATH.

  --output DIR  keep results there [a temporary folder, removed]
  --quick       small products only: to try the check itself

Exit status: 0 all results are right, whatever the figures; 1 a result is wrong; 2 the command line is wrong; 3 there is
no GPU, or something is missing; 4 what was run is right, and the time was over before all was.
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  "" | -*) usage >&2; exit 2 ;;
esac

if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
  printf 'gpu-check.sh: python3, version 3.9 or later, is missing\n' >&2
  exit 3
fi
exec python3 "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/gpu_check.py" "$@"
