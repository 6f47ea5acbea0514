#!/usr/bin/env bash
# Installs what is missing, builds and runs the whole test suite, plain and with sanitizers.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/test.sh [--no-asan] [--only-asan] [--werror] [CTEST-ARGUMENT...]

Installs what is missing (as root; otherwise it says what to install), then
  1. builds the release preset and runs every test;
  2. builds the asan preset (AddressSanitizer and UndefinedBehaviorSanitizer) and runs the unit tests and the MPI tests of 1, 2 and 4 ranks.
Further arguments are given to ctest: scripts/test.sh -R sweep. Safe to run again.

  --no-asan    leave out the second part
  --only-asan  leave out the first part
  --werror     warnings are errors, as in CI
TEXT
}

parts=(release asan)
strictness=()
while (($# > 0)); do
  case "$1" in
    --no-asan) parts=(release) ;;
    --only-asan) parts=(asan) ;;
    --werror) strictness=(-D TPBENCH_WERROR=ON) ;;
    -h | --help) usage; exit 0 ;;
    *) break ;;
  esac
  shift
done

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

scripts/install-dependencies.sh --tests

# Open MPI keeps memory until the process ends, on purpose, and has one definition in several shared objects.
export ASAN_OPTIONS="detect_leaks=0:detect_odr_violation=0:abort_on_error=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"

verdict=()
failed=false

# run_part PRESET error|ignore [CTEST-ARGUMENT...]: the second word is for ctest when nothing is selected
run_part() {
  local preset="$1" no_tests="$2" started=$SECONDS
  shift 2
  say "$preset: building"
  local options=(-D TPBENCH_TESTS=ON "${strictness[@]}")
  # Kernels in the emulation take a sanitizer minutes; guards around every row see most of what it would see.
  [[ $preset != asan ]] || options+=(-D TPBENCH_CUDA=OFF)
  if ! configure "$preset" "${options[@]}" || ! build "$preset"; then
    verdict+=("$preset does not build")
    failed=true
    return
  fi
  say "$preset: testing"
  # Tests say how many processors they take, so that ctest never runs two sets of ranks on one core.
  if ctest --preset "$preset" --parallel "$(nproc)" --no-tests="$no_tests" "$@"; then
    verdict+=("$preset passed in $((SECONDS - started)) s")
  else
    verdict+=("$preset FAILED")
    failed=true
  fi
}

# A selection by the user may well leave nothing of the second part.
asan_no_tests=error
[[ ${#parts[@]} -eq 1 || $# -eq 0 ]] || asan_no_tests=ignore
for part in "${parts[@]}"; do
  case "$part" in
    release) run_part release error "$@" ;;
    # Three ranks and eight find what two and four do.
    asan) run_part asan "$asan_no_tests" --label-regex '^(unit|mpi)$' --label-exclude '^ranks[38]$' "$@" ;;
  esac
done

printf -v summary '%s; ' "${verdict[@]}"
if [[ $failed == true ]]; then
  printf '\nTESTS FAILED: %s\n' "${summary%; }"
  exit 1
fi
printf '\nALL TESTS PASSED: %s\n' "${summary%; }"
