#!/usr/bin/env bash
# Shows what `tpbench compare` sees over alternated launches on this machine, and what the reference work is worth.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/launches.sh [--look N] [--most N] [--percent N] [--keep DIR]

Builds the release preset with its tests and runs a sweep of 200 cases on two ranks, in turn with itself slowed by the
test build, for as many rounds as the tool asks for after a first look, and as many rounds against itself. Prints which
share of the cells is marked, and how much of the launches' scatter the reference work explains. A round takes about
a minute; wants a quiet machine with two cores.

  --look N     rounds of the first look [4]
  --most N     rounds that are never exceeded [40]
  --percent N  how much longer a slowed call takes [10]
  --keep DIR   leave the result folders there, and go on in them
TEXT
}

arguments=()
while (($# > 0)); do
  case "$1" in
    --look | --most | --percent | --keep)
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
python3 tests/bench/launch_figures.py "$PWD/build/release/tpbench" "$PWD/build/release/tests/support/tpbench_faulty" \
  "${arguments[@]}"
