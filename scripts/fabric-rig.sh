#!/usr/bin/env bash
# Two hosts on one machine: network namespaces, each with its host name and clock, joined by a link of a given rate and
# latency.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/fabric-rig.sh [--name NAME] COMMAND

Builds two hosts on this machine, joined by a link whose rate and latency are set, to try out what tpbench does over a
network. Ranks of different hosts reach each other by TCP over that link alone. The second host has a boot id and a
monotonic clock of its own, as another machine would. Needs root, and ip and tc (package iproute2); with --delay also
a C++ compiler (CXX, or c++) and /dev/net/tun.

  up RATE [--delay TIME]      make the two hosts; RATE as tc writes it (1gbit, 200mbit), or "none": not limited.
                              TIME: what each frame is held on its way, in each direction, 100us to 1000ms
  rate RATE                   another rate for the hosts that are there; the delay stays
  run RANKS [MPIRUN-ARGUMENT...] PROGRAM [ARGUMENT...]
                              mpirun over both hosts, RANKS ranks on each; what comes next is given to mpirun
  bytes                       bytes that each host has sent over the link so far, a line each
  down                        end what runs on the two hosts, and remove them
  down --stale                remove rigs named pid-N or pid-N-WORD whose process N is gone: left by a killed program
  check [--delay TIME]        can this machine do it? Makes two hosts, removes them, and says why not on stderr

  --name NAME                 several rigs may stand side by side [main]; a-z, 0-9 and -

Only namespaces called tpbench-rig-NAME-... are ever touched, and what runs in them. TPBENCH_MPIEXEC names another
mpirun than the one that is found.
Exit status: 0 done; 2 the command line is wrong; 3 this machine cannot do it; run: that of mpirun.
TEXT
}

scripts="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
readonly scripts
readonly prefix=tpbench-rig
readonly device=fabric0  # in both namespaces, and never in the machine's own
readonly network=10.77.0
readonly clock_ahead_s=123456  # of the second host's monotonic clock
name=main
delay_us=''

fail() {
  printf 'fabric-rig.sh: %s\n' "$2" >&2
  exit "$1"
}

host() { printf '%s-%s-%s\n' "$prefix" "$name" "$1"; }

exists() { ip netns list 2>/dev/null | grep --quiet --extended-regexp "^$1( |\$)"; }

require_tools() {
  ((EUID == 0)) || fail 3 'network namespaces need root'
  local tool
  for tool in ip tc unshare hostname; do
    command -v "$tool" >/dev/null 2>&1 || fail 3 "no program $tool: install iproute2, util-linux and hostname"
  done
}

require_up() {
  if ! exists "$(host 0)" || ! exists "$(host 1)"; then
    fail 3 "rig $name is not up; --name $name up 1gbit makes it"
  fi
  ip -n "$(host 0)" link show dev "$device" >/dev/null 2>&1 ||
    fail 3 "the link of rig $name is gone: the program that delayed its frames has ended; down, and up again"
}

check_rate() {
  [[ $1 =~ ^([1-9][0-9]*[kmg]bit|none)$ ]] ||
    fail 2 "rate $1: must be a whole number with kbit, mbit or gbit (1gbit, 200mbit), or none"
}

# read_delay [--delay TIME]: into delay_us, which is left empty when nothing is given.
read_delay() {
  (($# > 0)) || return 0
  (($# == 2)) && [[ $1 == --delay ]] || { usage >&2; exit 2; }
  if [[ $2 =~ ^([1-9][0-9]{0,6})(us|ms)$ ]]; then
    delay_us="${BASH_REMATCH[1]}"
    [[ $2 == *us ]] || delay_us=$((delay_us * 1000))
  fi
  ((delay_us >= 100 && delay_us <= 1000000)) ||
    fail 2 "delay $2: must be a whole number with us or ms (500us, 1ms), from 100us to 1000ms"
}

# A burst passes at full speed whatever the rate.
shape() {
  local i
  for i in 0 1; do
    if [[ $1 == none ]]; then
      tc -n "$(host "$i")" qdisc del dev "$device" root 2>/dev/null || true
    else
      tc -n "$(host "$i")" qdisc replace dev "$device" root tbf rate "$1" burst 256k latency 50ms
    fi
  done
}

# A link that holds every frame for delay_us. The program that does it lives in the second host, and so ends
# with it; its file is gone as soon as it runs.
join_delayed() {
  local compiler="${CXX:-c++}" folder status=0
  command -v "$compiler" >/dev/null 2>&1 || fail 3 "no program $compiler: --delay needs a C++ compiler"
  folder="$(mktemp --directory)"
  "$compiler" -std=c++20 -O2 -Wall -Wextra -Wconversion -Wshadow -o "$folder/fabric-delay" "$scripts/fabric-delay.cpp" &&
    "$folder/fabric-delay" "$(host 0)" "$(host 1)" "$device" "$delay_us" || status=3
  rm --recursive "$folder"
  return "$status"
}

# The namespaces are made first, the link inside them: it goes with them, and no name of the machine's is used.
up() {
  exists "$(host 0)" || exists "$(host 1)" && fail 3 "rig $name is there already; --name $name down removes it"
  trap down EXIT
  local i
  for i in 0 1; do
    ip netns add "$(host "$i")"
  done
  if [[ -n $delay_us ]]; then
    join_delayed
  else
    ip link add "$device" netns "$(host 0)" type veth peer name "$device" netns "$(host 1)"
  fi
  for i in 0 1; do
    ip -n "$(host "$i")" address add "$network.$((i + 1))/24" dev "$device"
    ip -n "$(host "$i")" link set lo up
    ip -n "$(host "$i")" link set "$device" up
  done
  shape "$1"
  for i in 0 1; do
    (on_host "$i" true)
  done
  trap - EXIT
}

# Ends what runs on a host: asked first, then killed. A namespace lives on in its processes.
end_processes() {
  local pids tries
  for ((tries = 0; tries < 100; ++tries)); do
    pids="$(ip netns pids "$1")"
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086  # several ids
    kill -s "$( ((tries < 30)) && printf TERM || printf KILL)" $pids 2>/dev/null || true
    sleep 0.1
  done
}

down() {
  local i
  for i in 0 1; do
    exists "$(host "$i")" || continue
    end_processes "$(host "$i")"
    ip netns delete "$(host "$i")"
  done
}

down_stale() {
  local rigs rig owner names="s/^$prefix-(pid-[0-9]+(-[a-z]+)?)-[01]( .*)?\$/\\1/p"
  mapfile -t rigs < <(ip netns list | sed --quiet --regexp-extended "$names" | sort --unique)
  for rig in "${rigs[@]}"; do
    owner="${rig#pid-}"
    [[ -d /proc/${owner%%-*} ]] && continue
    name="$rig"
    down
  done
}

check() {
  local problem
  name="pid-$$"
  # As a program of its own: `set -e` does not hold inside a condition.
  if ! problem="$("${BASH_SOURCE[0]}" --name "$name" up 1gbit "$@" 2>&1)"; then
    fail 3 "this kernel, or this container, does not let two such hosts be joined: ${problem//$'\n'/; }"
  fi
  down
}

# A boot id for the second host, the same in all that runs there.
boot_id() {
  md5sum <<<"$(</proc/sys/kernel/random/boot_id) $(host 1)" |
    sed --regexp-extended 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/'
}

# on_host I COMMAND...: with the network and the host name of that host, on the second with its boot id and clock too;
# replaces this process.
on_host() {
  local at own=(--uts) id=''
  at="$(host "$1")"
  if [[ $1 == 1 ]]; then
    own+=(--mount --time --monotonic "$clock_ahead_s" --boottime "$clock_ahead_s")
    id="$(boot_id)"
  fi
  shift
  # What stays mounted needs no name.
  # shellcheck disable=SC2016  # expanded there
  exec ip netns exec "$at" unshare "${own[@]}" sh -c '
    hostname "$0" || exit 3
    id="$1"
    shift
    if [ -n "$id" ]; then
      file="$(mktemp)" && echo "$id" >"$file" && chmod a+r "$file" || exit 3
      mount --bind "$file" /proc/sys/kernel/random/boot_id || { rm "$file"; exit 3; }
      rm "$file"
    fi
    exec "$@"' "$at" "$id" "$@"
}

# What mpirun calls in place of ssh: ADDRESS WORD..., where the words are for a shell.
agent() {
  local address="$1"
  shift
  on_host $((${address##*.} - 1)) sh -c "$*"
}

run() {
  local ranks="$1"
  shift
  # As variables, so that --mca and variables of the user go before them. Ranks poll while they wait, and those of
  # both hosts share the cores of one machine. One TCP connection would carry a whole message in one piece, and what
  # the other side has to say before it sends its own waits behind it: half of the link would be used.
  local setting variable settings=('btl=tcp,vader,self' "btl_tcp_if_include=$network.0/24"
    "oob_tcp_if_include=$network.0/24" btl_tcp_links=2 mpi_yield_when_idle=1
    "plm_rsh_agent=fabric-rig.sh --name $name agent")
  for setting in "${settings[@]}"; do
    variable="OMPI_MCA_${setting%%=*}"
    export "$variable=${!variable:-${setting#*=}}"
  done
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  # By its name: mpirun cuts the agent at blanks, and a folder may have some in it.
  PATH="$scripts:$PATH"
  local hosts="$network.1:$ranks,$network.2:$ranks"
  on_host 0 "${TPBENCH_MPIEXEC:-mpirun}" --host "$hosts" -n $((2 * ranks)) --bind-to none "$@"
}

sent_bytes() {
  local i
  for i in 0 1; do
    ip netns exec "$(host "$i")" cat "/sys/class/net/$device/statistics/tx_bytes"
  done
}

# need LEAST MOST GIVEN
need() {
  (($3 >= $1 && $3 <= $2)) || { usage >&2; exit 2; }
}

if [[ ${1:-} == --name ]]; then
  (($# >= 2)) || { usage >&2; exit 2; }
  [[ $2 =~ ^[a-z0-9-]{1,40}$ ]] || fail 2 "name $2: must be 1 to 40 of a-z, 0-9 and -"
  name="$2"
  shift 2
fi
command="${1:-}"
(($# == 0)) || shift

case "$command" in
  -h | --help) usage; exit 0 ;;
  up | rate | run | bytes | down | check) require_tools ;;
esac

case "$command" in
  up) need 1 3 $#; check_rate "$1"; read_delay "${@:2}"; up "$1" ;;
  rate) need 1 1 $#; check_rate "$1"; require_up; shape "$1" ;;
  run)
    need 2 999999 $#
    [[ $1 =~ ^[1-9][0-9]{0,3}$ ]] || fail 2 "run $1: the ranks on each host must be a whole number from 1 to 9999"
    require_up
    run "$@"
    ;;
  bytes) need 0 0 $#; require_up; sent_bytes ;;
  down)
    need 0 1 $#
    case "${1:-}" in
      '') down ;;
      --stale) down_stale ;;
      *) usage >&2; exit 2 ;;
    esac
    ;;
  check) need 0 2 $#; read_delay "$@"; check "$@" ;;
  agent) agent "$@" ;;
  *) usage >&2; exit 2 ;;
esac
