#!/usr/bin/env bash
# Installs what tpbench needs to be built and run on Debian 12, and only what is missing.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/install-dependencies.sh [--tests] [--ci] [--bundle] [--check] [--help]

Installs the Debian packages that tpbench needs, when they are missing. As root it does so; as another user it
names the command that root has to type, and fails. With everything in place it changes nothing and needs no root.
The headers of valijson are unpacked into build/valijson, where they are not installed: the package that holds them
would bring 166 others.

  --tests   also what the test suite needs
  --ci      also what CI needs: PyTorch, Slurm, Chromium, clang-format and clang-tidy (1.4 GB)
  --bundle  also what scripts/bundle.sh needs
  --check   install nothing: succeed when nothing is missing, otherwise say what is, and fail
TEXT
}

packages=(g++ cmake ninja-build git pkg-config openmpi-bin libopenmpi-dev libopenblas-dev libcli11-dev
          nlohmann-json3-dev libspdlog-dev libfmt-dev libhwloc-dev libdnnl-dev)
bundle_packages=(patchelf binutils)
test_packages=(libgtest-dev python3 iproute2 "${bundle_packages[@]}")
ci_packages=(python3-torch clang-format-14 clang-tidy-16 slurmctld slurmd slurm-client munge libpmi2-0 procps
             chromium)
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

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

if ! command -v dpkg-query >/dev/null 2>&1; then
  printf 'This is no Debian system. Install the like of these packages, then configure with CMake:\n  %s\n' \
    "${packages[*]} libvalijson-dev" >&2
  exit 3
fi

missing=()
for package in "${packages[@]}"; do
  status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
  [[ $status == installed ]] || missing+=("$package")
done

readonly valijson=build/valijson
needs_valijson=true
for folder in /usr/include /usr/local/include "$valijson/usr/include"; do
  [[ ! -f $folder/valijson/validator.hpp ]] || needs_valijson=false
done

if ((${#missing[@]} == 0)) && [[ $needs_valijson == false ]]; then
  exit 0
fi
if [[ $check_only == true ]] || { ((${#missing[@]} > 0)) && ((EUID != 0)); }; then
  ((${#missing[@]} == 0)) ||
    printf 'Packages are missing. As root, type:\n  apt-get update && apt-get install --yes --no-install-recommends %s\n' \
      "${missing[*]}" >&2
  if [[ $check_only == true && $needs_valijson == true ]]; then
    printf 'The headers of valijson are missing: scripts/install-dependencies.sh puts them into %s\n' "$valijson" >&2
  fi
  exit 3
fi

export DEBIAN_FRONTEND=noninteractive
install_missing() {
  ((${#missing[@]} == 0)) && return
  printf 'Installing %s\n' "${missing[*]}" >&2
  apt-get install --yes --no-install-recommends "${missing[@]}" >&2
}

# The package is fetched and unpacked, which needs no root, and what it depends on is left out: tpbench includes its
# adapter for nlohmann/json alone.
unpack_valijson() {
  [[ $needs_valijson == true ]] || return 0
  printf 'Unpacking the headers of valijson into %s\n' "$valijson" >&2
  local folder
  mkdir --parents build && folder="$(mktemp --directory build/valijson-XXXXXX)" || return
  if (cd -- "$folder" && apt-get --option APT::Sandbox::User=root download libvalijson-dev >&2 &&
      dpkg-deb --extract libvalijson-dev_*.deb . && rm -- libvalijson-dev_*.deb); then
    rm -rf -- "$valijson"
    mv -- "$folder" "$valijson"
    return
  fi
  rm -rf -- "$folder"
  return 1
}

# A fresh container has no package lists; an old one has lists that name files which are gone. Either way the lists
# are renewed once, and only when it turns out to be needed.
if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || ! install_missing || ! unpack_valijson; then
  if ((EUID != 0)); then
    printf 'libvalijson-dev cannot be fetched. As root, type: apt-get update; or put valijson'\''s include/ into %s/usr\n' \
      "$valijson" >&2
    exit 3
  fi
  apt-get update >&2
  install_missing
  unpack_valijson
fi
