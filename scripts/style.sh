#!/usr/bin/env bash
# Holds the sources against .clang-format, and what has changed against .clang-tidy.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/style.sh [--fix] [--since COMMIT]

Names every place that clang-format 14 would write otherwise, and what clang-tidy 16 finds in the lines of src/ that have
changed. Both come with scripts/install-dependencies.sh --ci; another version has other opinions.

  --fix           write the files as clang-format would
  --since COMMIT  changed since then, committed or not (default HEAD^: the last commit, or all that the last merge brought)

Exit status: 0 nothing found; 1 something found; 2 the command line is wrong; 3 a tool is missing.
TEXT
}

fix=false
since="HEAD^"
while (($# > 0)); do
  case "$1" in
    --fix) fix=true ;;
    --since) since="${2:?--since needs a commit}"; shift ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'style.sh: unknown option %s\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

for tool in clang-format-14 clang-tidy-16 clang-tidy-diff-16.py git; do
  command -v "$tool" >/dev/null 2>&1 ||
    { printf 'style.sh: %s is missing; scripts/install-dependencies.sh --ci brings it\n' "$tool" >&2; exit 3; }
done
# A shallow clone has no commit before the last: everything is new there.
git rev-parse --quiet --verify "$since^{commit}" >/dev/null || since="$(git hash-object -t tree /dev/null)"

failed=false
mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.cpp' '*.hpp' '*.cu' '*.cuh' '*.c')
if [[ $fix == true ]]; then
  clang-format-14 -i "${sources[@]}"
else
  clang-format-14 --dry-run --Werror "${sources[@]}" || failed=true
fi

# The preset debug compiles each source alone; its folder need not be built for that. CUDA is nvcc's.
left_out=(':!src/cuda')
[[ -f /usr/include/oneapi/dnnl/dnnl.hpp ]] || left_out+=(':!src/onednn')
changes="$(git diff --unified=0 --diff-filter=d "$since" -- 'src/*.cpp' 'src/*.hpp' "${left_out[@]}")"
# clang has no omp.h of its own here, and does not know attributes with arguments that g++'s has.
omp_args=("-extra-arg=-idirafter$(g++ -print-file-name=include)" '-extra-arg=-D__malloc__(...)=')
if [[ -n $changes ]]; then
  cmake --preset debug -B build/tidy -D TPBENCH_CUDA=OFF -D TPBENCH_TESTS=OFF -D TPBENCH_WERROR=OFF >&2
  cmake --build build/tidy --target tpbench_revision >&2
  clang-tidy-diff-16.py -clang-tidy-binary "$(command -v clang-tidy-16)" -p1 -path build/tidy -j "$(build_jobs)" -quiet \
    -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-unused-command-line-argument "${omp_args[@]}" <<<"$changes" || failed=true
fi

[[ $failed == false ]]
