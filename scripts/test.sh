#!/usr/bin/env bash
# Installs what is missing, builds the program of scripts/quickstart.sh and its tests, and runs them all.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test.sh [--all] [--sanitize address|thread] [--werror] [CTEST-ARGUMENT...]

Installs what is missing (as root; otherwise it says what to install), builds the release preset and runs the tests: all
but those that build hosts, a Slurm or PyTorch's layers beside tpbench (label ci), which --all and CI run too. Further
arguments are given to ctest: scripts/test.sh -R sweep. Safe to run again; what scripts/quickstart.sh has compiled is
not compiled again.

  --all               also the tests with the label ci; what they need is installed by
                      scripts/install-dependencies.sh --ci, and without it they say that they were skipped

  --sanitize address  the preset asan (AddressSanitizer and UndefinedBehaviorSanitizer) in place of release: unit tests,
                      and the MPI tests of 1, 2 and 4 ranks
  --sanitize thread   the preset tsan (ThreadSanitizer): unit tests of rooms with threads, and the MPI tests of 2 ranks
  --werror            warnings are errors, as in CI; they stay so in this build folder
TEXT
}

preset=release
chosen=(--label-exclude '^ci$')
options=(-D TPBENCH_TESTS=ON)
while (($# > 0)); do
  case "$1" in
    --sanitize)
      case "${2:-}" in
        address) preset=asan ;;
        thread) preset=tsan ;;
        *) printf 'test.sh: --sanitize %s: must be address or thread\n' "${2:-}" >&2; exit 2 ;;
      esac
      shift
      ;;
    --all) chosen=() ;;
    --werror) options+=(-D TPBENCH_WERROR=ON) ;;
    -h | --help) usage; exit 0 ;;
    -L | --label-regex | -R | --tests-regex) chosen=(); break ;;
    *) break ;;
  esac
  shift
done

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

scripts/install-dependencies.sh --tests

say "$preset: building"
configure "$preset" "${options[@]}"
build "$preset"
say "$preset: testing"
# Tests say how many processors they take, so that ctest never runs two sets of ranks on one core.
exec ctest --preset "$preset" --parallel "$(nproc)" --no-tests=error "${chosen[@]}" "$@"
