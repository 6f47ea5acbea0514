#!/usr/bin/env bash
# Prints the figures that say how good tpbench itself is. Takes a few minutes; wants a quiet machine with two cores.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  printf 'Usage: scripts/performance.sh\n\nBuilds the release preset and prints what tpbench costs beside plain loops.\n'
  exit 0
fi

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

scripts/install-dependencies.sh --tests
configure release -D TPBENCH_TESTS=ON
build release tpbench gemm_overhead all_reduce_overhead fill_rate shm_crossover plan_time tpbench_openblas_choice
programs=build/release/tests/bench

"$programs/fill_rate"
"$programs/plan_time"
mpirun -n 1 "$programs/gemm_overhead"
mpirun -n 2 "$programs/all_reduce_overhead"
python3 tests/bench/kernel_figures.py build/release/tpbench build/release/tests/support/libtpbench_openblas_choice.so
mpirun -n 1 build/release/tpbench selfcheck
mpirun -n 2 build/release/tpbench selfcheck
python3 tests/bench/sweep_figures.py build/release/tpbench
mpirun -n 2 "$programs/shm_crossover"
python3 tests/bench/algorithm_figures.py build/release/tpbench
python3 tests/bench/boundary_figures.py build/release/tpbench
if has_target release onednn_figures; then
  build release onednn_figures
  TPBENCH_PLUGIN_DIR="$PWD/build/release" mpirun -n 1 "$programs/onednn_figures"
  mpirun -n 2 "$programs/onednn_figures"
  python3 tests/bench/startup_figures.py build/release/tpbench
fi
