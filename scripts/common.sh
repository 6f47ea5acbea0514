# shellcheck shell=bash
# What the scripts share; read with `source`, not run. Expects `set -euo pipefail` and the repository as cwd.

# Open MPI refuses root unless told twice; in a container there is often nobody else.
if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# Says a step on stderr.
say() { printf '\n== %s\n' "$*" >&2; }

# Compilations at a time: one per processor, and no more than one per 1.5 GB of memory that is free.
build_jobs() {
  local processors memory_kb by_memory
  processors="$(nproc)"
  memory_kb="$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null || true)"
  by_memory=$((${memory_kb:-1500000} / 1500000))
  ((by_memory >= 1)) || by_memory=1
  printf '%d\n' $((by_memory < processors ? by_memory : processors))
}

# What ccache keeps is for every clone of the repository, wherever it lies.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

# configure PRESET [CMAKE-ARGUMENT...]: keeps an existing folder, uses ccache where there is one.
configure() {
  local preset="$1" launcher=()
  shift
  if command -v ccache >/dev/null 2>&1; then
    launcher=(-D CMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$preset" "${launcher[@]}" "$@" >&2
}

# build PRESET [TARGET...]
build() {
  local preset="$1" targets=()
  shift
  (($# == 0)) || targets=(--target "$@")
  cmake --build --preset "$preset" --parallel "$(build_jobs)" "${targets[@]}" >&2
}

# has_target PRESET TARGET: whether the configured folder knows it.
has_target() {
  # Read to its end: a pipe that closes early would look like a failure.
  cmake --build --preset "$1" --target help 2>/dev/null | grep -E "(^|[[:space:]])$2(:|$)" >/dev/null
}

# Cores that mpirun counts as slots: hardware threads do not count, and a narrower affinity does.
core_slots() {
  local processors cores
  processors="$(nproc)"
  cores="$(lscpu --parse=core,socket 2>/dev/null | grep --invert-match '^#' | sort --unique | wc -l || true)"
  ((${cores:-0} >= 1 && cores < processors)) || cores="$processors"
  printf '%d\n' "$cores"
}

# run_sweep RANKS BINARY CONFIG OUTPUT [MORE...]: starts a sweep, also where there are fewer cores than ranks.
run_sweep() {
  local ranks="$1" binary="$2" config="$3" output="$4" options=()
  shift 4
  if ((ranks > $(core_slots))); then
    options=(--oversubscribe)
  fi
  mpirun -n "$ranks" "${options[@]}" "$binary" --config "$config" --output "$output" "$@"
}
