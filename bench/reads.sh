#!/usr/bin/env bash
# Measures feature reads by key over REST, from the embedded store, beside a flow of events: reads
# a second and their times, and what they cost the flow.
#   bench/reads.sh [EVENTS] [SECONDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-300000}" seconds="${2:-10}"
need_packages wrk bc
cargo build --release -p tidewheel
tidewheel="$CARGO_TARGET_DIR/release/tidewheel"
folder="$(mktemp -d)"
pids=()
finish() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"; }
trap finish EXIT
now() { date +%s.%N; }
metric() { curl -sf "$api/metrics" | awk -v name="$1" 'index($0, name) == 1 { print $2; exit }'; }
rows() { metric 'tidewheel_source_rows_total{table="shopper_events"}'; }

mkdir "$folder/queries"
cp queries/events.sql queries/products.sql queries/cart.sql "$folder/queries/"
"$tidewheel" simulate -n "$events" --per-second 100 --shoppers 1000 --quiet --out "log:$folder/log"

serve() { # STORE
  rm -rf "$folder/$1"
  BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" serve "$folder/queries" --listen 127.0.0.1:0 \
    --from "log:$folder/log" --into "store:$folder/$1" >"$folder/serve.txt" 2>"$folder/serve.log" &
  service=$!
  pids+=("$service")
  api=""
  until api="$(grep -o 'http://[0-9.:]*' "$folder/serve.txt" | head -1)" && [ -n "$api" ]; do sleep 0.02; done
}
read_load() { # CONNECTIONS SECONDS
  wrk --latency -t 1 -c "$1" -d "${2}s" "$api/api/v1/features/product_features_5m/$key" >"$folder/wrk.txt"
  awk -v c="$1" '
    / 50%/ { p50 = $2 } / 99%/ { p99 = $2 } /Requests\/sec/ { rate = $2 } /Latency  / { max = $4 } /Non-2xx/ { bad = $0 }
    END { printf "  %2d connections: %8.0f reads/s, p50 %s, p99 %s, longest %s %s\n", c, rate, p50, p99, max, bad }' "$folder/wrk.txt"
}
catch_up() { # seconds until all events are read
  local begin; begin="$(now)"
  until [ "$(rows || echo 0)" = "$events" ]; do sleep 0.05; done
  echo "$(now) - $begin" | bc
}

# How fast a backlog is read, alone and beside reads.
serve first
alone="$(catch_up)"
key="$("$tidewheel" features "$folder/first" user: --limit 1 --json | sed 's/.*"key":"user:\([^:"]*\):.*/\1/')"
kill "$service"; wait "$service" || true
serve second
wrk -t 1 -c 1 -d 600s "$api/api/v1/features/product_features_5m/$key" >/dev/null 2>&1 & load=$!
pids+=("$load")
beside="$(catch_up)"
kill "$load"; wait "$load" 2>/dev/null || true
printf 'a backlog of %d events: %.0f events/s alone, %.0f beside one connection of reads: %.2f of it\n' "$events" \
  "$(echo "$events / $alone" | bc -l)" "$(echo "$events / $beside" | bc -l)" "$(echo "$alone / $beside" | bc -l)"

# Reads beside a live flow.
"$tidewheel" simulate --rate 5000 --shoppers 1000 --quiet --out "log:$folder/log" & flow=$!
pids+=("$flow")
sleep 3
rate() { local a b; a="$(rows)"; sleep "$seconds"; b="$(rows)"; echo "($b - $a) / $seconds" | bc; }
echo "a live flow of $(rate) events/s without reads; with them:"
for connections in 1 8 64; do
  (rate >"$folder/rate") & counting=$!
  read_load "$connections" "$seconds"
  wait "$counting"
  echo "     the flow meanwhile: $(cat "$folder/rate") events/s"
done
