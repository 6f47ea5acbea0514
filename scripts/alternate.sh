#!/usr/bin/env bash
# Runs two commands in turn and compares what they leave: the way to tell two fabrics, settings or versions apart.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/alternate.sh --root DIR [options] 'COMMAND A' 'COMMAND B'

Runs two tpbench commands in turn, A B  B A  B A  A B ..., and ends with `tpbench compare` over all their launches.
Launches of one thing differ, and machines drift: only turns tell that from a difference. Each launch writes a folder
of its own, DIR/a/01, DIR/b/01, ...: {} in a command stands for it, and a command without {} gets --output FOLDER
at its end. The same line again goes on where it was stopped; a round that was cut short is measured anew.

  --root DIR      folder for all launches
  --rounds N      rounds of one launch each [10]
  --until SHARE   stop earlier, once the interval of every cell is within +-SHARE, such as 5% (from round 3 on)
  --time LIMIT    begin no round that would end later than this from now: 90s, 30m, 2h
  --format FORM   of the comparison: table, csv, json or markdown [table]
  --tpbench FILE  the tpbench that compares [the one on the PATH, or build/release/tpbench]
  --dry-run       print the launches in their order and run nothing

Example, two transports of one MPI:
  scripts/alternate.sh --root results/tcp-vader --rounds 8 \
    'mpirun -n 2 --mca btl tcp,self   tpbench --config configs/fabric.json --label tcp' \
    'mpirun -n 2 --mca btl vader,self tpbench --config configs/fabric.json --label vader'

Exit status: 0 compared, 2 wrong usage, 3 a launch or the comparison failed, 130 interrupted.
TEXT
}

fail() {
  printf 'alternate.sh: %s\n' "$2" >&2
  exit "$1"
}

say() { printf 'alternate.sh: %s\n' "$*" >&2; }

root='' rounds=10 until_share='' limit_s='' format=table tpbench='' dry_run=0 commands=()
while (($# > 0)); do
  case "$1" in
    --root | --rounds | --until | --time | --format | --tpbench)
      (($# >= 2)) || fail 2 "$1: needs a value"
      case "$1" in
        --root) root="${2%/}" ;;
        --rounds) rounds="$2" ;;
        --until) until_share="$2" ;;
        --time) limit_s="$2" ;;
        --format) format="$2" ;;
        --tpbench) tpbench="$2" ;;
      esac
      shift 2
      ;;
    --dry-run) dry_run=1; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) fail 2 "$1: is not an option of alternate.sh; see --help" ;;
    *) commands+=("$1"); shift ;;
  esac
done
((${#commands[@]} == 2)) || fail 2 "takes two commands, each one word to the shell ('mpirun ... tpbench ...'), not ${#commands[@]}; see --help"
[[ -n $root ]] || fail 2 "--root DIR: is missing; it holds all launches"
[[ $rounds =~ ^[1-9][0-9]{0,3}$ ]] || fail 2 "--rounds $rounds: must be a number from 1 to 9999"
[[ $format =~ ^(table|csv|json|markdown)$ ]] || fail 2 "--format $format: must be table, csv, json or markdown"
if [[ -n $limit_s ]]; then
  [[ $limit_s =~ ^([1-9][0-9]{0,6})([smh])$ ]] || fail 2 "--time $limit_s: must be a time such as 90s, 30m or 2h"
  case "${BASH_REMATCH[2]}" in
    s) limit_s="${BASH_REMATCH[1]}" ;;
    m) limit_s=$((BASH_REMATCH[1] * 60)) ;;
    h) limit_s=$((BASH_REMATCH[1] * 3600)) ;;
  esac
fi
if [[ -n $until_share ]]; then
  [[ $until_share =~ ^[0-9]+(\.[0-9]+)?%?$ ]] || fail 2 "--until $until_share: must be a share such as 5% or 0.05"
fi
for command in "${commands[@]}"; do
  [[ $command != *'--output'* || $command == *'{}'* ]] ||
    fail 2 "a command with an --output of its own would write all launches there; write --output {}: $command"
done
if [[ -z $tpbench ]]; then
  tpbench="$(command -v tpbench || true)"
  here="$(dirname -- "${BASH_SOURCE[0]}")"
  for candidate in "$here/tpbench" "$here/../build/release/tpbench"; do
    [[ -n $tpbench || ! -x $candidate ]] || tpbench="$candidate"
  done
fi
if [[ -z $tpbench ]] || ! command -v -- "$tpbench" >/dev/null; then
  fail 2 "${tpbench:-tpbench}: is no program; --tpbench FILE names it"
fi

journal="$root/launches.tsv" # round, side, exit status, seconds: one line per launch that ended by itself

# folder SIDE ROUND
folder() { printf '%s/%s/%02d' "$root" "$1" "$2"; }

# order ROUND: who comes first and who second. The sequence of Thue and Morse: steady and bending drifts cancel out.
order() {
  local bits=$(($1 - 1)) ones=0
  while ((bits > 0)); do
    ones=$((ones + (bits & 1)))
    bits=$((bits >> 1))
  done
  if ((ones % 2 == 0)); then printf 'a b'; else printf 'b a'; fi
}

# command_of SIDE ROUND: what is run, folder and all.
command_of() {
  local command="${commands[0]}" where
  [[ $1 == a ]] || command="${commands[1]}"
  where="$(printf '%q' "$(folder "$1" "$2")")"
  if [[ $command == *'{}'* ]]; then
    printf '%s' "${command//'{}'/"$where"}"
  else
    printf '%s --output %s' "$command" "$where"
  fi
}

# is_done ROUND: both of its launches ended.
is_done() {
  [[ -f $journal ]] && (($(awk -v round="$1" '$1 == round' "$journal" | wc -l) == 2))
}

if ((dry_run)); then
  for ((round = 1; round <= rounds; ++round)); do
    for side in $(order "$round"); do
      mark=''
      ! is_done "$round" || mark='  # done'
      printf '%s\n' "$(command_of "$side" "$round")$mark"
    done
  done
  printf '%s compare --base %s/a/* --with %s/b/* --format %s\n' "$tpbench" "$root" "$root" "$format"
  exit 0
fi

mkdir -p -- "$root/a" "$root/b" "$root/logs"
if [[ -f $root/commands.txt ]]; then
  cmp --silent -- "$root/commands.txt" <(printf '%s\n' "${commands[@]}") ||
    fail 2 "$root holds launches of other commands ($root/commands.txt); use another --root"
else
  [[ ! -f $journal ]] || fail 2 "$root has launches and no commands.txt; use another --root"
  printf '%s\n' "${commands[@]}" >"$root/commands.txt"
fi

stopped=0
trap 'stopped=1' INT TERM

# launch SIDE ROUND
launch() {
  local where command log status=0 started=$SECONDS
  where="$(folder "$1" "$2")"
  command="$(command_of "$1" "$2")"
  log="$root/logs/$1-$(printf '%02d' "$2").log"
  rm -rf -- "$where"
  bash -c "$command" </dev/null >"$log" 2>&1 || status=$?
  if ((stopped || status == 130)); then
    say "interrupted in round $2; the same line goes on from there"
    exit 130
  fi
  # 1: a case failed, which is a result too.
  if ((status > 1)) || ! compgen -G "$where/records/*.json" >/dev/null; then
    tail -n 5 -- "$log" >&2
    ((status > 1)) || fail 3 "launch $1 of round $2 left no records in $where: does the command hand {} to --output?"
    fail 3 "launch $1 of round $2 ended with status $status ($log); the same line goes on from there"
  fi
  printf '%d\t%s\t%d\t%d\n' "$2" "$1" "$status" $((SECONDS - started)) >>"$journal"
}

# compare ROUNDS ARGUMENT...: of all launches up to that round.
compare() {
  local last="$1" base=() other=() round
  shift
  for ((round = 1; round <= last; ++round)); do
    base+=("$(folder a "$round")")
    other+=("$(folder b "$round")")
  done
  "$tpbench" compare --base "${base[@]}" --with "${other[@]}" "$@"
}

# is_narrow ROUNDS: whether --until is met.
is_narrow() {
  local status=0
  [[ -n $until_share ]] && (($1 >= 3)) || return 1
  compare "$1" --format none --fail-wider "$until_share" 2>/dev/null || status=$?
  ((status <= 1)) || fail 3 "the comparison of the launches so far failed: $(compare "$1" --format none 2>&1 | tail -n 1)"
  ((status == 0))
}

begun=$SECONDS longest=0 finished=0
for ((round = 1; round <= rounds; ++round)); do
  if is_done "$round"; then
    finished=$round
    continue
  fi
  ((stopped == 0)) || exit 130
  if is_narrow "$finished"; then
    say "every interval is within +-$until_share after $finished rounds"
    break
  fi
  if [[ -n $limit_s ]] && ((SECONDS - begun + longest > limit_s)); then
    say "the time is over after $finished rounds"
    break
  fi
  # A launch whose partner is missing is too far from the one that would be made now.
  if [[ -f $journal ]]; then
    awk -v round="$round" '$1 != round' "$journal" >"$journal.new"
    mv -- "$journal.new" "$journal"
  fi
  round_began=$SECONDS
  for side in $(order "$round"); do
    say "round $round of $rounds: $(command_of "$side" "$round")"
    launch "$side" "$round"
  done
  ((SECONDS - round_began <= longest)) || longest=$((SECONDS - round_began))
  finished=$round
done

((finished > 0)) || fail 3 "no round fitted into the time"
compare "$finished" --format "$format" || fail 3 "the comparison failed"
