#!/usr/bin/env bash
# Prints how tpbench does over two hosts and a link of a known rate. Needs root; takes some ten minutes.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/fabric-figures.sh [EPOCHS [PART...]]

Builds the release preset and two hosts (scripts/fabric-rig.sh), and prints splits of four ranks over
tensor and pipeline parallelism, what the thread that moves messages costs, communication against a link's delay, the stated error of the hosts' common clock against the true one, bandwidth against the link's rate, what
`tpbench compare` says of 1 Gbit/s and 200 Mbit/s, hierarchical against mpi, and the bytes on the wire. Takes the hosts
down again. Wants a quiet machine with two cores, and root.

  EPOCHS  times that each sweep is repeated [3]
  PART    pipeline, thread, delay, clock, rate, compare, algorithms, wire [all of them]
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  '' | [1-9]*) ;;
  *) usage >&2; exit 2 ;;
esac

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

scripts/install-dependencies.sh --tests
configure release -D TPBENCH_TESTS=ON
build release tpbench all_reduce_loop clock_figures tpbench_skewed_clock tpbench_single_threaded_mpi
python3 tests/bench/fabric_figures.py build/release/tpbench "$@"
