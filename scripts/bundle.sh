#!/usr/bin/env bash
# Makes a folder with tpbench and all that it needs, to be copied to machines where nothing can be installed.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/bundle.sh [--build-dir DIR] [--output DIR] [--with PATH]... [--without-cuda-libraries] [--tar]

Makes a folder with tpbench, Open MPI and every library that they need but for the C library and the NVIDIA driver. It
runs from wherever it is put, on x86-64 Linux with the same or a newer C library. See docs/bundle.md.
Safe to run again: a bundle that is there already is replaced, any other folder is left alone.

  --build-dir DIR   the build to take tpbench from (default build/release, built without tests if it is not there)
  --output DIR      the folder to make (default build/bundle/tpbench-VERSION-linux-x86_64)
  --with PATH       another program, library or script to take along, from here or from the build; may be repeated
  --without-cuda-libraries
                    leave out cuBLASLt, NCCL and the CUDA runtime (over 700 MB), for machines that have them
  --tar             also make DIR.tar.gz

The folder's name goes to stdout.
Exit status: 0 done; 2 the command line is wrong; 3 this machine cannot do it; otherwise the build failed.
TEXT
}

fail() {
  printf 'bundle.sh: %s\n' "$2" >&2
  exit "$1"
}

build_dir=""
output=""
extras=()
with_cuda=true
make_tar=false
while (($# > 0)); do
  case "$1" in
    --build-dir) build_dir="${2:?--build-dir needs a folder}"; shift ;;
    --output) output="${2:?--output needs a folder}"; shift ;;
    --with) extras+=("${2:?--with needs a file}"); shift ;;
    --without-cuda-libraries) with_cuda=false ;;
    --tar) make_tar=true ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'bundle.sh: unknown option %s\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
# Paths that the user gave are meant from where the user stands.
[[ -z $build_dir ]] || build_dir="$(realpath --canonicalize-missing -- "$build_dir")"
[[ -z $output ]] || output="$(realpath --canonicalize-missing -- "$output")"
for i in "${!extras[@]}"; do
  [[ ! -f ${extras[i]} ]] || extras[i]="$(realpath -- "${extras[i]}")"
done

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

check_machine() {
  local system processor tool missing=()
  system="$(uname -s)"
  processor="$(uname -m)"
  [[ $system == Linux ]] || fail 3 "bundles are made on Linux, and this is $system"
  [[ $processor == x86_64 ]] || fail 3 "bundles are made on x86-64, and this is $processor"
  for tool in ldd patchelf readelf cc mpirun orted ompi_info tar gzip; do
    command -v "$tool" >/dev/null 2>&1 || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) ||
    fail 3 "not installed: ${missing[*]}; scripts/install-dependencies.sh --bundle brings what Debian has of them"
}

# The build to take from: the user's, or build/release, made here when there is none.
find_build() {
  if [[ -n $build_dir ]]; then
    [[ -x $build_dir/tpbench ]] || fail 2 "there is no tpbench in the build folder $build_dir"
    return
  fi
  build_dir="$PWD/build/release"
  [[ -x $build_dir/tpbench ]] && return
  say "building in build/release"
  scripts/install-dependencies.sh --bundle
  configure release -D TPBENCH_TESTS=OFF
  build release
}

# Of what a bundle never has. The C library goes with the loader and the kernel of each machine,
is_c_library() {
  [[ $1 =~ ^(linux-vdso|ld-linux.*|libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl|libnsl|libnss_.*|libthread_db|libBrokenLocale)\.so ]]
}
# the driver with its kernel module,
is_driver() { [[ $1 =~ ^(libcuda|libcudadebugger|libnvidia-.*)\.so ]]; }
# and this is left out on request.
is_cuda() { [[ $1 =~ ^(libcublas|libcublasLt|libcudart|libnccl|libnvrtc.*|libnvJitLink)\.so ]]; }

is_elf() { [[ $(head --bytes=4 -- "$1" | tr -d '\0') == $'\x7fELF' ]]; }

is_program() { readelf --program-headers --wide -- "$1" 2>/dev/null | grep --quiet 'INTERP'; }

declare -A libraries  # name in lib/ -> file on this machine
declare -A placed     # file on this machine -> where its copy is
plugins=()            # FOLDER:FILE of what libraries open when they find it
missing_library=""

is_not_bundled() {
  is_c_library "$1" || is_driver "$1" || { [[ $with_cuda == false ]] && is_cuda "$1"; }
}

# Asking for names is quicker than letting the loader look for them, and mostly enough.
needs_nothing_new() {
  local name
  while read -r name; do
    [[ -n ${libraries[$name]:-} ]] || is_not_bundled "$name" || return 1
  done < <(readelf --dynamic --wide -- "$1" | sed --quiet 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
}

# need_libraries FILE: adds every library that the file needs, and those that they need. Fails on a library that is
# not on this machine, with its name in missing_library.
need_libraries() {
  local name arrow path
  needs_nothing_new "$1" && return
  while read -r name arrow path _; do
    name="${name##*/}"
    if [[ $arrow != '=>' || -n ${libraries[$name]:-} ]] || is_not_bundled "$name"; then continue; fi
    if [[ $path != /* ]]; then
      missing_library="$name"
      return 1
    fi
    libraries[$name]="$(realpath -- "$path")"
  done < <(ldd "$1" 2>/dev/null || true)
}

# add FILE FOLDER [NAME]: copies what a link leads to. A file that is in the bundle already, under another name, becomes
# a link: of two copies the loader would load both.
add() {
  local from to="$2/${3:-${1##*/}}"
  from="$(realpath -- "$1")"
  [[ ! -e $stage/$to ]] || fail 2 "$1: the bundle has a $to already"
  [[ -d $stage/$2 ]] || mkdir --parents -- "$stage/$2"
  if [[ -n ${placed[$from]:-} ]]; then
    ln --symbolic --relative -- "$stage/${placed[$from]}" "$stage/$to"
  else
    cp -- "$from" "$stage/$to"
    placed[$from]="$to"
  fi
}

# add_program FILE [NAME]: into libexec/, with its libraries, and what starts it into bin/.
add_program() {
  local name="${2:-${1##*/}}"
  need_libraries "$1" || fail 3 "$1 needs $missing_library, which is not on this machine"
  add "$1" libexec "$name"
  cp -- "$launcher_file" "$stage/bin/$name"
}

# need_plugins FOLDER NAME: all shared objects of a folder go into lib/NAME. What cannot be opened here is of no use
# elsewhere. hwloc's plug-ins for displays, OpenCL and another XML library bring libraries of graphics and text along,
# and say nothing that tpbench asks for.
need_plugins() {
  local file
  for file in "$1"/*.so*; do
    [[ -f $file ]] || continue
    [[ ${file##*/} =~ ^hwloc_(gl|opencl|xml_libxml)\.so ]] && continue
    if need_libraries "$file"; then
      plugins+=("$2:$file")
    else
      say "left out: ${file##*/}, as $missing_library is not on this machine"
    fi
  done
}

# What opens plug-ins, and the name of the folder beside it where it looks. libibverbs stands last: plug-ins of the
# others need it.
readonly plugin_folders=(libpmix.so:pmix libucs.so:ucx libfabric.so:libfabric libhwloc.so:hwloc
                         libibverbs.so:libibverbs)

need_plugins_of_libraries() {
  local row name
  for row in "${plugin_folders[@]}"; do
    for name in "${!libraries[@]}"; do
      [[ $name == "${row%%:*}".* ]] || continue
      need_plugins "$(dirname -- "${libraries[$name]}")/${row##*:}" "${row##*:}"
    done
  done
}

add_libraries() {
  local name plugin
  for name in "${!libraries[@]}"; do
    [[ -e $stage/lib/$name ]] || add "${libraries[$name]}" lib "$name"
  done
  for plugin in "${plugins[@]}"; do
    add "${plugin#*:}" "lib/${plugin%%:*}"
  done
}

# libopen-rte of a program: two of them are two installations of Open MPI.
runtime_of() { ldd "$1" | awk '$1 ~ /^libopen-rte\.so/ {print $3}'; }

ompi_path() { ompi_info --parsable --path "$1" | sed --quiet "s/^path:$1://p"; }

add_open_mpi() {
  local bin mine theirs
  mine="$(runtime_of "$build_dir/tpbench")"
  theirs="$(runtime_of "$(command -v mpirun)")"
  [[ -n $mine && -n $theirs && $(realpath -- "$mine") == "$(realpath -- "$theirs")" ]] ||
    fail 3 "tpbench is linked with Open MPI's ${mine:-(none)} and mpirun with ${theirs:-(none)}: put the mpirun of that Open MPI first in PATH"
  bin="$(dirname -- "$(command -v mpirun)")"
  add_program "$bin/mpirun" mpirun
  add_program "$bin/orted" orted
  add_program "$bin/ompi_info" ompi_info
  ln --symbolic mpirun "$stage/bin/mpiexec"
  need_plugins "$(ompi_path pkglibdir)" openmpi
  copy_folder "$(ompi_path pkgdatadir)" share/openmpi
  copy_folder "$(ompi_path sysconfdir)" etc/openmpi
}

copy_folder() {
  mkdir --parents -- "$stage/$2"
  [[ ! -d $1 ]] || cp --recursive --dereference -- "$1/." "$stage/$2"
}

# Help texts and settings of PMIx lie in share/ beside its lib/ in Debian's layout and in its own.
add_pmix_texts() {
  local name share
  for name in "${!libraries[@]}"; do
    [[ $name == libpmix.so.* ]] || continue
    share="$(dirname -- "${libraries[$name]}")/../share"
    copy_folder "$share/pmix" share/pmix
    [[ ! -f $share/pmix-mca-params.conf ]] || add "$share/pmix-mca-params.conf" etc/pmix
  done
}

add_extra() {
  local file="$1"
  [[ -f $file ]] || file="$build_dir/$1"
  [[ -f $file ]] || fail 2 "--with $1: no such file, neither here nor in $build_dir"
  if ! is_elf "$file"; then
    add "$file" "$([[ -x $file ]] && printf bin || printf share)"
  elif is_program "$file"; then
    add_program "$file"
  else
    need_libraries "$file" || fail 3 "$file needs $missing_library, which is not on this machine"
    add "$file" lib
  fi
}

# Where to look for libraries: RPATH and not RUNPATH, which would give way to an LD_LIBRARY_PATH with another Open MPI
# in it, as modules on clusters set it. What has no path of its own inherits that of the program; what has one that
# leads to its own folder, as NVIDIA's libraries, is left as it is.
relocate() {
  local files
  chmod --recursive u+w -- "$stage"
  patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" "$stage"/libexec/*
  mapfile -d '' -t files < <(find "$stage/lib" -type f -name '*.so*' -print0)
  mapfile -t files < <(readelf --dynamic --wide -- "${files[@]}" 2>/dev/null |
    awk '/^File: / {file = substr($0, 7)} /\((RPATH|RUNPATH)\)/ && !/\[\$ORIGIN\]/ {print file}')
  ((${#files[@]} == 0)) || patchelf --force-rpath --set-rpath "\$ORIGIN:\$ORIGIN/.." "${files[@]}"
}

# The newest version of the C library that a symbol of a bundled file asks for.
needed_glibc() {
  find "$stage/bin" "$stage/libexec" "$stage/lib" -type f -exec readelf --version-info --wide {} + 2>/dev/null |
    grep --only-matching --extended-regexp 'Name: GLIBC_(ABI_DT_RELR|[0-9.]+)' |
    sed 's/.*GLIBC_//; s/ABI_DT_RELR/2.36/' | sort --unique --version-sort | tail --lines=1
}

# PACKAGE: FILE of the bundled files, as Debian knows them. Where /lib is a link to /usr/lib, it knows either name.
owners_of_files() {
  local files=("${!placed[@]}")
  command -v dpkg-query >/dev/null 2>&1 || return 0
  { dpkg-query --search "${files[@]}" "${files[@]#/usr}" 2>/dev/null || true; } | sed '/^diversion /d'
}

# Compiled into tpbench as headers.
readonly header_packages=(libcli11-dev nlohmann-json3-dev libspdlog-dev libvalijson-dev)

# copy_licences PACKAGE...: and the licences that their files name.
copy_licences() {
  local package text
  mkdir --parents -- "$stage/licences"
  for package in "$@"; do
    text="/usr/share/doc/${package%%:*}/copyright"
    [[ ! -f $text ]] || cp --dereference -- "$text" "$stage/licences/${package%%:*}.txt"
  done
  while read -r text; do
    [[ ! -f $text ]] || cp --dereference -- "$text" "$stage/licences/${text##*/}.txt"
  done < <(grep --recursive --only-matching --no-filename --extended-regexp \
    '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$stage/licences" | sort --unique)
}

# copy_other_licences FILE: of a library that no package brought, NVIDIA's as a rule: what the folders above it have,
# or the description of the wheel that names it.
copy_other_licences() {
  local folder text record
  folder="$(dirname -- "$1")"
  while [[ $folder != / && $folder != /usr ]]; do
    for text in "$folder"/{EULA,LICENSE,COPYING}*; do
      [[ ! -f $text ]] || cp -- "$text" "$stage/licences/${folder##*/}-${text##*/}"
    done
    for record in "$folder"/dist-info/*/RECORD; do
      [[ -f $record ]] || continue
      grep --quiet --fixed-strings "/${1##*/}," "$record" || continue
      text="$(dirname -- "$record")"
      copy_folder "$text/licenses" "licences/$(basename -- "$text" .dist-info)"
    done
    folder="$(dirname -- "$folder")"
  done
}

cuda_words() {
  if [[ ! -e $stage/libexec/libtpbench_cuda.so ]]; then
    printf 'no: this build has no libtpbench_cuda.so, so no GPU is used\n'
  elif [[ $with_cuda == true ]]; then
    printf 'yes, with the CUDA libraries\n'
  else
    printf 'yes, without the CUDA libraries: cuBLASLt, NCCL and the CUDA runtime are looked for in LD_LIBRARY_PATH and the system\n'
  fi
}

onednn_words() {
  if [[ -e $stage/libexec/libtpbench_onednn.so ]]; then
    printf 'yes\n'
  else
    printf 'no: this build has no libtpbench_onednn.so, so cases of library onednn are skipped\n'
  fi
}

write_note() {
  local version="$1" owners row packages file others=()
  local -A owned=()
  mapfile -t owners < <(owners_of_files)
  for row in "${owners[@]}"; do
    file="${row##*: }"
    owned[${file#/usr}]=yes
  done
  mapfile -t packages < <(printf '%s\n' "${owners[@]%%: /*}" | tr -d ' ' | tr ',' '\n' | sed '/^$/d' | sort --unique)
  copy_licences "${packages[@]}" "${header_packages[@]}"
  for file in "${!placed[@]}"; do
    [[ $file == "$build_dir"/* ]] && continue
    [[ -z ${owned[${file#/usr}]:-} ]] || continue
    others+=("$file")
    copy_other_licences "$file"
  done
  {
    cat <<TEXT
$version: a bundle

tpbench, Open MPI and all libraries that they need, in a folder that may lie anywhere and be moved. Nothing is to be
installed, and nobody needs to be root.

Needs              x86-64 Linux, glibc $(needed_glibc) or newer (ldd --version shows it)
CUDA plug-in       $(cuda_words)
oneDNN             $(onednn_words)
Not in it          the C library; the NVIDIA driver (libcuda, libnvidia-*): both are the machine's own
Size               $(du --summarize --block-size=1000000 -- "$stage" | cut --fields=1) MB

Start
  bin/tpbench info
  bin/mpirun -n 2 bin/tpbench --config configs/quickstart.json
  Use the mpirun of this folder, or srun --mpi=pmix; another mpirun may be of another MPI. On several hosts the folder
  must be at the same path on all of them. With bin/ in PATH: mpirun -n 2 tpbench ... More: docs/bundle.md.

Made from          $(ompi_info --version | sed --quiet '1s/ *v/ /p')
TEXT
    if ((${#packages[@]} > 0)); then
      printf '\nDebian packages that files were taken from (their copyright: licences/)\n'
      dpkg-query --show --showformat='  ${binary:Package} ${Version}\n' "${packages[@]}"
    fi
    if ((${#others[@]} > 0)); then
      printf '\nFiles of no Debian package\n'
      printf '  %s\n' "${others[@]}" | sort
    fi
  } >"$stage/BUNDLE.txt"
}

check_output() {
  [[ ! -e $output || -f $output/BUNDLE.txt ]] && return
  [[ -d $output && -z $(ls --almost-all -- "$output") ]] ||
    fail 2 "$output is there and is no bundle: name another folder"
}

check_machine
find_build
version="$("$build_dir/tpbench" --version)"
if [[ -z $output ]]; then
  number="${version#tpbench }"
  output="$PWD/build/bundle/tpbench-${number%% *}-linux-x86_64"
fi
check_output

# Made beside the place where it goes, so that no half of a bundle is ever seen there.
mkdir --parents -- "$(dirname -- "$output")"
stage="$(mktemp --directory -- "$output.XXXXXX")"
launcher_file="$(mktemp)"
trap 'rm -rf -- "$stage" "$launcher_file"' EXIT
chmod 755 "$stage"
mkdir -- "$stage/bin" "$stage/lib"
cc -std=gnu11 -O2 -o "$launcher_file" scripts/bundle-launcher.c
chmod 755 "$launcher_file"

say "copying tpbench, Open MPI and their libraries"
add_program "$build_dir/tpbench"
if [[ -f $build_dir/libtpbench_cuda.so ]]; then
  need_libraries "$build_dir/libtpbench_cuda.so" ||
    fail 3 "libtpbench_cuda.so needs $missing_library, which is not on this machine"
  # tpbench looks for it beside its own file.
  add "$build_dir/libtpbench_cuda.so" libexec
else
  say "without the CUDA plug-in: $build_dir has no libtpbench_cuda.so"
fi
# A plug-in too, with oneDNN and OpenMP's library, which are small.
if [[ -f $build_dir/libtpbench_onednn.so ]]; then
  need_libraries "$build_dir/libtpbench_onednn.so" ||
    fail 3 "libtpbench_onednn.so needs $missing_library, which is not on this machine"
  add "$build_dir/libtpbench_onednn.so" libexec
fi
add_open_mpi
for extra in "${extras[@]}"; do
  add_extra "$extra"
done
need_plugins_of_libraries
add_pmix_texts
add_libraries
relocate

cp -- README.md CHANGELOG.md "$stage"
copy_folder configs configs
copy_folder docs docs
write_note "$("$stage/bin/tpbench" --version)"

rm -rf -- "$output"
mv -- "$stage" "$output"
if [[ $make_tar == true ]]; then
  say "packing $output.tar.gz"
  tar --create --gzip --file "$output.tar.gz" --directory "$(dirname -- "$output")" -- "$(basename -- "$output")"
fi
say "done: $(sed --quiet 's/^Size  *//p' "$output/BUNDLE.txt"), needs glibc $(sed --quiet 's/^Needs .*glibc \([0-9.]*\).*/\1/p' "$output/BUNDLE.txt")"
printf '%s\n' "$output"
