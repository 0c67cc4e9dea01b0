#!/usr/bin/env bash
# Measures the service: how soon a new query has its first value, and how fast it reads a day of
# history beside the live flow, against a run of the same query over a file.
#   bench/service.sh [EVENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-1000000}"
cargo build --release -p tidewheel
tidewheel="$CARGO_TARGET_DIR/release/tidewheel"
folder="$(mktemp -d)"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
now() { date +%s.%N; }
seconds_since() { echo "$(now) - $1" | bc; }
state() { curl -sf "$api/api/v1/queries/$1" | grep -o '"state":"[a-z_]*"' | head -1; }

# A day of events that ends about now, as a file and as a log.
day=86400
rate="$(echo "scale=6; $events / $day" | bc)"
start="$(( ($(date +%s) - day) * 1000 ))"
simulate=("$tidewheel" simulate -n "$events" --start "$start" --per-second "$rate" --shoppers 10000 --quiet)
"${simulate[@]}" --out "$folder/events.jsonl"
"${simulate[@]}" --out "log:$folder/log"

begin="$(now)"
EVENTS="$folder/events.jsonl" BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" run bench/queries/hop_24h.sql --quiet
file="$(seconds_since "$begin")"

mkdir "$folder/queries"
cp queries/events.sql queries/products.sql "$folder/queries/"
BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" serve "$folder/queries" --listen 127.0.0.1:0 \
  --from "log:$folder/log" --into "store:$folder/store" >"$folder/serve.txt" 2>"$folder/serve.log" &
pids+=($!)
until api="$(grep -o 'http://[0-9.:]*' "$folder/serve.txt" | head -1)" && [ -n "$api" ]; do sleep 0.1; done
until curl -sf "$api/metrics" | grep -q "tidewheel_source_rows_total{table=\"shopper_events\"} $events"; do sleep 0.5; done
"$tidewheel" simulate --rate 500 --shoppers 300 --quiet --out "log:$folder/log" &
pids+=($!)
sleep 2

query() { # NAME SLIDE SIZE
  cat <<SQL
CREATE TABLE $1 (user_key STRING, n BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)
WITH ('connector' = 'store', 'path' = '$folder/store', 'layout' = 'string', 'key' = '$1:{user_key}', 'ttl' = '1 h');
INSERT INTO $1 SELECT user_key, COUNT(*)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(\`timestamp\`), INTERVAL $2, INTERVAL $3))
GROUP BY user_key, window_start, window_end;
SQL
}
query short "'1' SECOND" "'1' MINUTE" >"$folder/short.sql"
query long "'1' MINUTE" "'24' HOUR" >"$folder/long.sql"

begin="$(now)"
curl -sf --data-binary "@$folder/short.sql" "$api/api/v1/queries?name=short" >/dev/null
# curl is cut off at the first change, which is no failure.
{ curl -sN "$api/api/v1/queries/short/changes" || true; } | grep -m 1 -q upsert
printf 'submit to first change, a minute of history     %6.2f s\n' "$(seconds_since "$begin")"

begin="$(now)"
curl -sf --data-binary "@$folder/long.sql" "$api/api/v1/queries?name=long" >/dev/null
until [ "$(state long)" = '"state":"running"' ]; do sleep 0.05; done
history="$(seconds_since "$begin")"
printf 'a day of history, %8d events               %6.2f s  %8.0f events/s\n' "$events" "$history" "$(echo "$events / $history" | bc -l)"
printf 'one query over the same events from a file      %6.2f s  %8.0f events/s\n' "$file" "$(echo "$events / $file" | bc -l)"
printf 'ratio of the rates %.2f\n' "$(echo "$file / $history" | bc -l)"
