#!/usr/bin/env bash
# Measures Tidewheel end to end on generated events and prints rates and ratios.
#   bench/run.sh [EVENTS] [ROUNDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
# Incremental builds inline less.
export CARGO_INCREMENTAL=0
events="${1:-400000}" rounds="${2:-5}"
cargo build --release -p tidewheel -p tidewheel-bench --bin tidewheel --bin sonic
tidewheel="$CARGO_TARGET_DIR/release/tidewheel"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$tidewheel" simulate -n "$events" --per-second 111 --shoppers 10000 --disorder 2000 --out "$folder/events.jsonl"
say "$events events of $(($(stat -c %s "$folder/events.jsonl") / events)) bytes, 10000 shoppers, $rounds rounds"

# Seconds of one run, from start to exit of the process.
seconds() {
  local begin end
  begin=$(date +%s.%N)
  EVENTS="$folder/events.jsonl" BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" run "$@" --quiet
  end=$(date +%s.%N)
  echo "$end - $begin" | bc
}
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

# Interleaved, so that what else the machine does falls on all alike.
for _ in $(seq "$rounds"); do
  seconds queries --from "file:$folder/events.jsonl" --into blackhole: >>"$folder/all"
  seconds bench/queries/hop_5min.sql >>"$folder/hop_5min"
  seconds bench/queries/hop_1min.sql >>"$folder/hop_1min"
  seconds bench/queries/hop_24h.sql >>"$folder/hop_24h"
  "$CARGO_TARGET_DIR/release/sonic" "$events" >>"$folder/sonic"
done
for name in all hop_5min hop_1min hop_24h sonic; do
  middle=$(median <"$folder/$name")
  printf '%-9s %7.2f s  %9.0f events/s\n' "$name" "$middle" "$(echo "$events / $middle" | bc -l)"
done
printf 'all of queries/, whole runs, does %.2f of what sonic-rs get_many does\n' \
  "$(echo "$(median <"$folder/sonic") / $(median <"$folder/all")" | bc -l)"
printf 'HOP(1 s, 24 h) takes %.2f times as long as HOP(1 s, 1 min)\n' \
  "$(echo "$(median <"$folder/hop_24h") / $(median <"$folder/hop_1min")" | bc -l)"
