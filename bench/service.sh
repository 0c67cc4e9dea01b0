#!/usr/bin/env bash
# Measures the service: how soon a new query has its first value, in the embedded store and in a
# real Redis, and how fast it reads a day of history beside the live flow, against runs of one
# query over the same events.
#   bench/service.sh [EVENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
events="${1:-1000000}"
cargo build --release -p tidewheel
tidewheel="$CARGO_TARGET_DIR/release/tidewheel"
folder="$(mktemp -d)"
redis_port="${REDIS_PORT:-16390}"
pids=()
finish() {
  kill "${pids[@]}" 2>/dev/null || true
  tests/services/redis.sh stop "$folder/redis" || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
tests/services/redis.sh start "$redis_port" "$folder/redis"
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

query() { # NAME SLIDE SIZE OPTIONS
  cat <<SQL
CREATE TABLE $1 (user_key STRING, n BIGINT, PRIMARY KEY (user_key) NOT ENFORCED) WITH ($4);
INSERT INTO $1 SELECT user_key, COUNT(*)
FROM TABLE(HOP(TABLE shopper_events, DESCRIPTOR(\`timestamp\`), INTERVAL $2, INTERVAL $3))
GROUP BY user_key, window_start, window_end;
SQL
}
into_store() { echo "'connector' = 'store', 'path' = '$folder/store', 'layout' = 'string', 'key' = '$1:{user_key}', 'ttl' = '1 h'"; }
into_redis="'connector' = 'redis', 'url' = 'redis://127.0.0.1:$redis_port', 'layout' = 'string', 'key' = 'first:{user_key}', 'ttl' = '1 h'"
mkdir "$folder/alike" "$folder/queries"
query short "'1' SECOND" "'1' MINUTE" "$(into_store short)" >"$folder/short.sql"
query first "'1' SECOND" "'1' MINUTE" "$into_redis" >"$folder/first.sql"
query long "'1' MINUTE" "'24' HOUR" "$(into_store long)" >"$folder/long.sql"
cp queries/events.sql "$folder/alike/"
query long "'1' MINUTE" "'24' HOUR" "'connector' = 'blackhole'" >"$folder/alike/long.sql"

# Each timed from start to exit of the process; once before, so that the files are in memory.
run() { BAD_EVENTS="$folder/bad.jsonl" EVENTS="$folder/events.jsonl" "$tidewheel" run "$@" --quiet; }
timed() { local begin; begin="$(now)"; run "$@"; seconds_since "$begin"; }
run bench/queries/hop_24h.sql
file="$(timed bench/queries/hop_24h.sql)"
alike="$(timed "$folder/alike" --from "file:$folder/events.jsonl")"
log="$(timed "$folder/alike" --from "log:$folder/log" --set shopper_events.scan.bounded.mode=latest-offset)"

cp queries/events.sql queries/products.sql "$folder/queries/"
# Without --into, which would hold for the queries of the API too.
REDIS_URL="redis://127.0.0.1:$redis_port" BAD_EVENTS="$folder/bad.jsonl" \
  "$tidewheel" serve "$folder/queries" --listen 127.0.0.1:0 --from "log:$folder/log" >"$folder/serve.txt" 2>"$folder/serve.log" &
pids+=($!)
until api="$(grep -o 'http://[0-9.:]*' "$folder/serve.txt" | head -1)" && [ -n "$api" ]; do sleep 0.1; done
until curl -sf "$api/metrics" | grep -q "tidewheel_source_rows_total{table=\"shopper_events\"} $events"; do sleep 0.5; done
"$tidewheel" simulate --rate 500 --shoppers 300 --quiet --out "log:$folder/log" &
pids+=($!)
sleep 2

begin="$(now)"
curl -sf --data-binary "@$folder/short.sql" "$api/api/v1/queries?name=short" >/dev/null
# curl is cut off at the first change, which is no failure.
{ curl -sN "$api/api/v1/queries/short/changes" || true; } | grep -m 1 -q upsert
printf 'submit to first change, a minute of history     %6.2f s\n' "$(seconds_since "$begin")"

begin="$(now)"
curl -sf --data-binary "@$folder/first.sql" "$api/api/v1/queries?name=first" >/dev/null
until redis-cli -p "$redis_port" --scan --pattern 'first:*' | grep -q first; do sleep 0.005; done
printf 'submit to first value in Redis, the same        %6.2f s\n' "$(seconds_since "$begin")"

begin="$(now)"
curl -sf --data-binary "@$folder/long.sql" "$api/api/v1/queries?name=long" >/dev/null
until [ "$(state long)" = '"state":"running"' ]; do sleep 0.05; done
history="$(seconds_since "$begin")"
line() { printf '%-44s %8.2f s  %8.0f events/s\n' "$1" "$2" "$(echo "$events / $2" | bc -l)"; }
line "a day of history, $events events" "$history"
line 'a query like it from a file, a leaner table' "$file"
line 'the same query over the same table, file' "$alike"
line 'the same, from the log' "$log"
printf 'ratio of the rates to these three: %.2f %.2f %.2f\n' "$(echo "$file / $history" | bc -l)" \
  "$(echo "$alike / $history" | bc -l)" "$(echo "$log / $history" | bc -l)"
