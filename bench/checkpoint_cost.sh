#!/usr/bin/env bash
# Measures what checkpoints every ten seconds cost at full rate: all of queries/ over generated events
# from a file into blackhole, with and without them, in turns, each second time the other way round. Prints
# the ratio of each pair and the median: of the time from start to exit, and of the processor time, which
# a busy disk does not change. The input is made in the folder INPUT: in memory (/dev/shm, where there is
# room for 2.8 kB an event) the disk is used for the checkpoints alone.
#   bench/checkpoint_cost.sh [EVENTS] [PAIRS]
# A run must take well over ten seconds, or there is no checkpoint in it: raise EVENTS where it does not.
# TOGETHER=1 runs both of a pair at the same time, with checkpoints every twenty seconds, since each has half
# of the machine: where its speed changes from one run to the next, processor time is comparable only so.
# RUNS=3 makes a pair of three runs with and three without, in turns, and adds up their times: for machines on which
# one run differs from the next by more than what is measured.
# PAIR_WITH names a command that each pair is run under, such as one that waits for an idle machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-3000000}" pairs="${2:-5}" every="10 s"
[ "${TOGETHER:-0}" = 0 ] || every="20 s"
export every
build_tidewheel
export tidewheel
folder="$(mktemp -d)"
export folder
input="$(mktemp -d -p "${INPUT:-$folder}")"
export input
trap 'rm -rf "$folder" "$input"' EXIT
"$tidewheel" simulate -n "$events" --per-second 2000 --shoppers 100000 --disorder 2000 --quiet --out "$input/events.jsonl"

runs="${RUNS:-1}"
export runs

pair() {
  set -euo pipefail
  # Appends the seconds from start to exit, and those of processors, to the file $1.
  seconds() {
    local into="$1" TIMEFORMAT='%R %U %S'
    shift
    { time BAD_EVENTS="$into.bad" "$tidewheel" run queries --from "file:$input/events.jsonl" \
      --into blackhole: --quiet "$@" >"$into.log" 2>&1; } 2>"$into.time" || { cat "$into.log" >&2; return 1; }
    awk '{ print $1, $2 + $3 }' "$into.time" >>"$into"
  }
  without() { seconds "$folder/without"; }
  with() {
    seconds "$folder/with" --checkpoints "$folder/state" --checkpoint-interval "$every"
    # The kept ones say how many there were: their numbers go up by one.
    { echo 0; find "$folder/state" -name 'manifest-*' | sed 's/.*-0*//'; } | sort -n | tail -1 >>"$folder/counts"
  }
  rm -f "$folder"/{with,without,counts}
  for run in $(seq "$runs"); do
    rm -rf "$folder/state"
    if [ "${TOGETHER:-0}" = 1 ]; then
      without &
      with
      wait $!
    # Each second time the other way round, so that a machine that slows down favours neither.
    elif [ $((($1 + run) % 2)) = 0 ]; then
      without
      with
    else
      with
      without
    fi
  done
  sum() { awk '{ time += $1; cpu += $2 } END { print time, cpu }' "$folder/$1"; }
  echo "$(sum without) $(sum with) $(sort -n "$folder/counts" | head -1)" | tee -a "$folder/pairs" | awk '{
    printf "without %6.2f s (%.1f s of processors), with %6.2f s (%.1f s), %d checkpoints: %+.1f %% (%+.1f %%)\n",
      $1, $2, $3, $4, $5, 100 * ($3 / $1 - 1), 100 * ($4 / $2 - 1) }'
}
export -f pair
for number in $(seq "$pairs"); do
  ${PAIR_WITH:-} bash -c "pair $number"
done
awk '$5 < 1 { exit 1 }' "$folder/pairs" || fail "a run was too short for a checkpoint: raise EVENTS"
median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.1f", a[int((NR + 1) / 2)] }'; }
say "median of $pairs pairs: checkpoints every $every cost $(awk '{ print 100 * ($3 / $1 - 1) }' "$folder/pairs" | median) % of the time," \
  "$(awk '{ print 100 * ($4 / $2 - 1) }' "$folder/pairs" | median) % of the processors' time"
