#!/usr/bin/env bash
# Measures the format snowplow-tsv on generated events of about 1.5 KB: the decoder beside a scan that
# only counts tabs, then six fields of 131 from a file to blackhole, each process timed from start to exit.
#   bench/tsv.sh [EVENTS] [ROUNDS]
# TIDEWHEEL_BINARY names a binary that is built already: then nothing is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-1000000}" rounds="${2:-5}"
# Together, so that both share every compiled dependency.
[ -n "${TIDEWHEEL_BINARY:-}" ] || cargo build --release -p tidewheel -p tidewheel-bench --bin tidewheel --bin tsv
tidewheel="${TIDEWHEEL_BINARY:-$CARGO_TARGET_DIR/release/tidewheel}"
if [ -x "$CARGO_TARGET_DIR/release/tsv" ]; then
  "$CARGO_TARGET_DIR/release/tsv"
else
  say "the decoder's own bench is not built; without TIDEWHEEL_BINARY this script builds it"
fi
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$tidewheel" simulate --format tsv --lean -n "$events" --per-second 111 --shoppers 10000 --disorder 2000 --out "$folder/events.tsv"
say "$events events of $(($(stat -c %s "$folder/events.tsv") / events)) bytes, $rounds rounds"

seconds() {
  local begin end
  begin=$(date +%s.%N)
  EVENTS="$folder/events.tsv" "$tidewheel" run "$@" --quiet
  end=$(date +%s.%N)
  echo "$end - $begin" | bc
}
for _ in $(seq "$rounds"); do
  for name in tsv_rows tsv_hop; do seconds "bench/queries/$name.sql" >>"$folder/$name"; done
done
for name in tsv_rows tsv_hop; do
  sort -n "$folder/$name" | awk -v name="$name" -v n="$events" '
    { a[NR] = $1 }
    END { m = a[int((NR + 1) / 2)]; printf "%-9s %7.2f s  %9.0f events/s (fastest %.0f)\n", name, m, n / m, n / a[1] }'
done
