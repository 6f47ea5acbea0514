#!/usr/bin/env bash
# Shows what `tpbench compare` calls a difference on this machine: a sweep against itself, and against itself slowed.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/noise.sh [--epochs N] [--percent N] [--keep DIR]

Builds the release preset with its tests, runs a sweep of 200 cases three times on two ranks (twice as it is, once
with every timed call stretched by the test build) and prints which share of the cells `tpbench compare` marks:
wrongly, of the first two, and rightly, of the third. Takes a few minutes; wants a quiet machine with two cores.

  --epochs N   passes over the sweep in each run [8]; 1 shows what one pass can tell
  --percent N  how much longer the slowed step takes [10]
  --keep DIR   leave the result folders there
TEXT
}

arguments=()
while (($# > 0)); do
  case "$1" in
    --epochs | --percent | --keep)
      (($# >= 2)) || { usage >&2; exit 2; }
      arguments+=("$1" "$2")
      shift 2
      ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

scripts/install-dependencies.sh --tests
configure release -D TPBENCH_TESTS=ON
build release tpbench tpbench_faulty
python3 tests/bench/noise_figures.py build/release/tpbench build/release/tests/support/tpbench_faulty "${arguments[@]}"
