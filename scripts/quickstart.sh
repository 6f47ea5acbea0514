#!/usr/bin/env bash
# From a fresh clone to a table of results: installs what is missing, builds, runs the quickstart sweep.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/quickstart.sh [--ranks N] [--output DIR] [-- ARGUMENT...]

Installs what is missing (as root; otherwise it says what to install), builds tpbench in build/release, and runs
configs/quickstart.json under mpirun. The table goes to stdout, the records to a new folder below results/.
Safe to run again.

  --ranks N     processes to start (default 2)
  --output DIR  where the records go (default results/quickstart-TIME)
  --            what follows is given to tpbench
TEXT
}

ranks=2
output=""
while (($# > 0)); do
  case "$1" in
    --ranks) ranks="${2:?--ranks needs a number}"; shift ;;
    --output) output="${2:?--output needs a folder}"; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) printf 'quickstart.sh: unknown option %s\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ $ranks =~ ^[1-9][0-9]{0,5}$ ]] ||
  { printf 'quickstart.sh: --ranks %s: must be a whole number of processes, 1 or more\n' "$ranks" >&2; exit 2; }
# A path that the user gave is meant from where the user stands.
[[ -z $output ]] || output="$(realpath --canonicalize-missing -- "$output")"

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh
[[ -n $output ]] || output="results/quickstart-$(date -u +%Y%m%d-%H%M%S)"

scripts/install-dependencies.sh

say "building in build/release"
# A folder that scripts/test.sh has made is kept as it is; its tests are not built here. A new one does without what
# they need, and they will be added to it: nothing is compiled twice.
fresh=()
[[ -f build/release/CMakeCache.txt ]] || fresh=(-D TPBENCH_TESTS=OFF)
configure release "${fresh[@]}"
build release tpbench

# A GPU backend stands between nobody and the first result, unless that is to be on a GPU.
build_gpu_backend() {
  has_target release tpbench_cuda || return 0
  say "building the GPU backend, as the CUDA toolkit is here"
  build release tpbench_cuda || say "the GPU backend does not build here: all but --backend cuda works"
}
wants_gpu=false
[[ "$*" != *cuda* ]] || wants_gpu=true
[[ $wants_gpu == false ]] || build_gpu_backend

say "mpirun -n $ranks tpbench --config configs/quickstart.json --output $output"
status=0
run_sweep "$ranks" build/release/tpbench configs/quickstart.json "$output" "$@" || status=$?

if [[ -d $output/records ]]; then
  say "one JSON record per case: $output/records/"
  printf '   the same as a table:      %s\n   the machine they tell of: %s\n' \
    "$output/summary.csv" "$output/environment.json" >&2
fi
[[ $wants_gpu == true ]] || build_gpu_backend
say "to type tpbench by itself:"
printf '   export PATH=%q:"%s"\n' "$PWD/build/release" "\$PATH" >&2
# What this script has set for itself, a shell of root's lacks.
((EUID != 0)) || printf '   export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n' >&2
exit "$status"
