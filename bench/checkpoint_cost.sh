#!/usr/bin/env bash
# Measures what checkpoints every ten seconds cost at full rate: all of queries/ over generated events
# from a file into blackhole, with and without them, in turns. Prints the ratio of each pair and the median.
#   bench/checkpoint_cost.sh [EVENTS] [PAIRS]
# A run must take well over ten seconds, or there is no checkpoint in it: raise EVENTS where it does not.
# PAIR_WITH names a command that each pair is run under, such as one that waits for an idle machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-3000000}" pairs="${2:-5}"
build_tidewheel
export tidewheel
folder="$(mktemp -d)"
export folder
trap 'rm -rf "$folder"' EXIT
"$tidewheel" simulate -n "$events" --per-second 2000 --shoppers 100000 --disorder 2000 --quiet --out "$folder/events.jsonl"

pair() {
  seconds() {
    local begin
    begin=$(date +%s.%N)
    BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" run queries --from "file:$folder/events.jsonl" --into blackhole: --quiet "$@"
    echo "$(date +%s.%N) - $begin" | bc
  }
  rm -rf "$folder/state"
  without=$(seconds)
  with=$(seconds --checkpoints "$folder/state")
  # The kept ones say how many there were: their numbers go up by one.
  count=$(find "$folder/state" -name 'manifest-*' | sed 's/.*-0*//' | sort -n | tail -1)
  echo "$without $with ${count:-0}" >>"$folder/pairs"
  printf 'without %6.2f s, with %6.2f s (%d checkpoints): %+.1f %%\n' "$without" "$with" "${count:-0}" \
    "$(echo "100 * ($with / $without - 1)" | bc -l)"
}
export -f pair
for _ in $(seq "$pairs"); do
  ${PAIR_WITH:-} bash -c pair
done
awk '{ print 100 * ($2 / $1 - 1); if ($3 < 1) none = 1 } END { if (none) print "NONE" }' "$folder/pairs" | sort -n >"$folder/costs"
! grep -q NONE "$folder/costs" || fail "a run was too short for a checkpoint: raise EVENTS"
printf 'median of %d pairs: checkpoints every 10 s cost %.1f %% of the time\n' "$pairs" \
  "$(awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }' "$folder/costs")"
