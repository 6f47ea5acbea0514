#!/usr/bin/env bash
# Installs what tpbench needs to be built and run on Debian 12, and only what is missing.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/install-dependencies.sh [--tests] [--ci] [--bundle] [--check] [--help]

Installs the Debian packages that tpbench needs, when they are missing. As root it does so; as another user it
names the command that root has to type, and fails. With everything in place it changes nothing and needs no root.

  --tests   also what the test suite needs
  --ci      also what CI needs: Slurm
  --bundle  also what scripts/bundle.sh needs
  --check   install nothing: succeed when nothing is missing, otherwise say what is, and fail
TEXT
}

packages=(g++ cmake ninja-build git pkg-config openmpi-bin libopenmpi-dev libopenblas-dev libcli11-dev
          nlohmann-json3-dev libspdlog-dev libfmt-dev libvalijson-dev libhwloc-dev)
bundle_packages=(patchelf binutils)
test_packages=(libgtest-dev python3 iproute2 "${bundle_packages[@]}")
ci_packages=(slurmctld slurmd slurm-client munge libpmi2-0 procps)
check_only=false

while (($# > 0)); do
  case "$1" in
    --tests) packages+=("${test_packages[@]}") ;;
    --ci) packages+=("${test_packages[@]}" "${ci_packages[@]}") ;;
    --bundle) packages+=("${bundle_packages[@]}") ;;
    --check) check_only=true ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'install-dependencies.sh: unknown option %s\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

if ! command -v dpkg-query >/dev/null 2>&1; then
  printf 'This is no Debian system. Install the like of these packages, then configure with CMake:\n  %s\n' \
    "${packages[*]}" >&2
  exit 3
fi

missing=()
for package in "${packages[@]}"; do
  status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
  [[ $status == installed ]] || missing+=("$package")
done

if ((${#missing[@]} == 0)); then
  exit 0
fi
if [[ $check_only == true || $EUID -ne 0 ]]; then
  printf 'Packages are missing. As root, type:\n  apt-get update && apt-get install --yes --no-install-recommends %s\n' \
    "${missing[*]}" >&2
  exit 3
fi

printf 'Installing %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
install_missing() {
  apt-get install --yes --no-install-recommends "${missing[@]}" >&2
}
# A fresh container has no package lists; an old one has lists that name files which are gone. Either way the lists
# are renewed once, and only when it turns out to be needed.
if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || ! install_missing; then
  apt-get update >&2
  install_missing
fi
