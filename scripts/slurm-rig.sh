#!/usr/bin/env bash
# A Slurm of two nodes on one machine, for as long as a command runs.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/slurm-rig.sh [--task none|affinity|cgroup] [--cpus N] [--folder DIR] COMMAND [ARGUMENT...]
       scripts/slurm-rig.sh --check

Runs COMMAND on the first of two Slurm nodes, n0 and n1, and ends with its exit status. Each node has a network, a
process table and a host name of its own, on this machine; they reach each other by a bridge, and share its files and
its cores. All of it goes with the command, however that ends. A Slurm that is really here is never
talked to. Several rigs may run side by side.

  --task WORD   Slurm's task plugin: none binds nothing [none]; affinity binds ranks to CPUs (srun --cpu-bind);
                cgroup holds them to their memory as well (srun --mem), where control groups of version 1 can be written
  --cpus N      CPUs of a node, which jobs and steps share out [2]; more than this machine has: they are only counted
  --folder DIR  where the rig keeps its files and logs: new, or to be replaced [a temporary one, removed at the end]
  --check       run nothing: succeed when this machine can do it, else say why not, and exit with 3

Inside COMMAND, which finds the rig's folder in $SLURM_RIG:
  scripts/slurm-rig.sh --power-off   n1 stops as if it had lost power: all its processes are killed at once
  scripts/slurm-rig.sh --power-on    n1 comes back
  scripts/slurm-rig.sh --unplug      n1 runs on, and nothing reaches it or comes from it any more
  scripts/slurm-rig.sh --plug        until now

Needs root, iproute2, util-linux and the Debian packages slurmctld slurmd slurm-client munge libpmi2-0.
Exit status: that of COMMAND; 2 the command line is wrong; 3 this machine cannot do it.
TEXT
}

readonly me="$(readlink -f -- "${BASH_SOURCE[0]}")"
readonly network=10.79.0

fail() {
  printf 'slurm-rig.sh: %s\n' "$2" >&2
  exit "$1"
}

# Waits for what takes a moment; says what the daemons said when it never comes.
until_ok() {
  local tries
  for ((tries = 0; tries < 200; ++tries)); do
    "$@" &>/dev/null && return
    sleep 0.1
  done
  tail -n 5 "$SLURM_RIG"/*.log >&2 || true
  fail 3 "gave up waiting for: $*"
}

# Namespaces that end with the process that made them, and take all that runs in them with them.
in_spaces() {
  exec setpriv --pdeathsig KILL unshare --net --uts --mount --pid --fork --kill-child --mount-proc "$me" "$@"
}

# What is a host's own; /dev/shm as well, or ranks of two nodes would find each other's shared memory.
become_host() {
  hostname "$1"
  ip link set lo up
  # A /sys that shows this network; the control groups of the machine are below the old one.
  [[ ! -d $SLURM_RIG/cgroups ]] || mount --rbind /sys/fs/cgroup "$SLURM_RIG/cgroups"
  mount -t sysfs sysfs /sys
  [[ ! -d $SLURM_RIG/cgroups ]] || mount --rbind "$SLURM_RIG/cgroups" /sys/fs/cgroup
  mount -t tmpfs tmpfs /dev/shm
  mount --bind "$SLURM_RIG/hosts" /etc/hosts
}

second_node() {
  become_host n1
  touch "$SLURM_RIG/n1.ready"
  until_ok ip link show fab0
  ip address add "$network.2/24" dev fab0
  ip link set fab0 up
  slurmd -D -N n1 &
  wait
}

# The cable is laid by n0, whose end is a port of its bridge.
start_second_node() {
  rm -rf "$SLURM_RIG"/n1.ready "$SLURM_RIG"/n1/*pmix*
  (in_spaces --as-n1) &
  local outer=$! init
  until_ok test -e "$SLURM_RIG/n1.ready"
  init="$(pgrep -P "$outer")"
  printf '%s\n' "$init" >"$SLURM_RIG/n1.init"
  ip link add port1 type veth peer name fab0 netns "$init"
  ip link set port1 master fab0 up
  wait
}

first_node() {
  become_host n0
  # A bridge: the address of n0 outlives n1.
  ip link add fab0 type bridge
  ip address add "$network.1/24" dev fab0
  ip link set fab0 up
  munged --foreground --force --socket "$SLURM_RIG/munge" --key-file "$SLURM_RIG/key" \
    --pid-file "$SLURM_RIG/munged.pid" --log-file "$SLURM_RIG/munged.log" --seed-file "$SLURM_RIG/seed" &>/dev/null &
  "$me" --start-n1 &>"$SLURM_RIG/n1.out" &
  until_ok munge --no-input --socket "$SLURM_RIG/munge"
  slurmctld -D &>"$SLURM_RIG/ctld.out" &
  slurmd -D -N n0 &>"$SLURM_RIG/n0.out" &
  until_ok sh -c 'test "$(sinfo --noheader --states=idle --format=%D)" = 2'
  trap 'exit 143' TERM INT
  "$@" &
  wait $!
}

write_settings() {
  local task="$1" cpus="$2"
  mkdir -p "$SLURM_RIG"/{ctld,n0,n1}
  (umask 077 && head -c 1024 /dev/urandom >"$SLURM_RIG/key")
  printf '%s\n' '127.0.0.1 localhost' "$network.1 n0" "$network.2 n1" >"$SLURM_RIG/hosts"
  {
    printf 'CgroupPlugin=cgroup/v1\n'
    [[ $task != cgroup ]] || printf 'CgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes\nConstrainSwapSpace=no\n'
  } >"$SLURM_RIG/cgroup.conf"
  cat >"$SLURM_CONF" <<CONF
ClusterName=rig
SlurmctldHost=n0($network.1)
SlurmUser=root
AuthInfo=socket=$SLURM_RIG/munge
StateSaveLocation=$SLURM_RIG/ctld
SlurmdSpoolDir=$SLURM_RIG/%n
TmpFS=$SLURM_RIG/%n
SlurmctldPidFile=$SLURM_RIG/ctld.pid
SlurmdPidFile=$SLURM_RIG/%n.pid
SlurmctldLogFile=$SLURM_RIG/ctld.log
SlurmdLogFile=$SLURM_RIG/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/$task
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
KillWait=5
SlurmdParameters=config_overrides
SlurmdTimeout=15
SchedulerParameters=defer_batch,sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
NodeName=n0 NodeAddr=$network.1 CPUs=$cpus RealMemory=4000
NodeName=n1 NodeAddr=$network.2 CPUs=$cpus RealMemory=4000
PartitionName=main Nodes=ALL Default=YES State=UP DefMemPerCPU=1000
CONF
}

require_tools() {
  ((EUID == 0)) || fail 3 'namespaces and munge need root'
  local tool
  for tool in ip setpriv unshare hostname munged munge slurmctld slurmd srun; do
    command -v "$tool" >/dev/null 2>&1 ||
      fail 3 "no program $tool: install iproute2 util-linux slurmctld slurmd slurm-client munge libpmi2-0"
  done
  # Inside: a cluster's own variables would be taken for the rig's.
  local variable
  for variable in $(compgen -e | grep --extended-regexp '^(SLURM|SBATCH|SALLOC|SRUN|PMI|PMIX)_' || true); do
    unset "$variable"
  done
}

run_rig() {
  local task="$1" cpus="$2" folder="$3" status=0
  shift 3
  if [[ -z $folder ]]; then
    folder="$(mktemp --directory --tmpdir slurm-rig.XXXXXX)"
    trap 'rm -rf -- "$SLURM_RIG"' EXIT
  else
    rm -rf -- "$folder"
    mkdir -p -- "$folder"
  fi
  SLURM_RIG="$(readlink -f -- "$folder")"
  export SLURM_RIG SLURM_CONF="$SLURM_RIG/slurm.conf"
  [[ $SLURM_RIG != *[[:space:]]* ]] || fail 2 "--folder $folder: Slurm takes no blanks in a path"
  write_settings "$task" "$cpus"
  [[ $task != cgroup ]] || hold_cgroups
  # Not as the last thing of this shell, which would be replaced: the folder is to be removed.
  (in_spaces --as-n0 "$@") &
  local rig=$!
  trap 'kill -s KILL $rig 2>/dev/null || true; exit 143' TERM INT HUP
  wait "$rig" || status=$?
  return "$status"
}

hold_cgroups() {
  [[ -d /sys/fs/cgroup/memory && -d /sys/fs/cgroup/freezer && -w /sys/fs/cgroup/memory ]] ||
    fail 3 'no control groups of version 1 that can be written: --task cgroup needs them'
  mkdir "$SLURM_RIG/cgroups"
}

task=none
cpus=2
folder=
while (($# > 0)); do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --task)
      [[ ${2:-} =~ ^(none|affinity|cgroup)$ ]] || fail 2 "--task ${2:-}: must be none, affinity or cgroup"
      task="$2"
      shift
      ;;
    --cpus)
      [[ ${2:-} =~ ^[1-9][0-9]?$ ]] || fail 2 "--cpus ${2:-}: must be from 1 to 99"
      cpus="$2"
      shift
      ;;
    --folder) folder="${2:?}"; shift ;;
    --check)
      require_tools
      # As a program of its own: `set -e` does not hold inside a condition.
      problem="$("$me" true 2>&1)" || fail 3 "this kernel, or this container, does not let a Slurm run: ${problem//$'\n'/; }"
      exit 0
      ;;
    --as-n0) shift; first_node "$@"; exit ;;
    --as-n1) second_node; exit ;;
    --start-n1) start_second_node; exit ;;
    --power-off) kill -s KILL "$(cat "${SLURM_RIG:?}/n1.init")"; exit ;;
    --power-on) "$me" --start-n1 &>>"${SLURM_RIG:?}/n1.out" & exit ;;
    --unplug) ip link set port1 down; exit ;;
    --plug) ip link set port1 up; exit ;;
    -*) fail 2 "unknown option $1" ;;
    *) break ;;
  esac
  shift
done
(($# > 0)) || { usage >&2; exit 2; }
require_tools
run_rig "$task" "$cpus" "$folder" "$@"
