#!/usr/bin/env bash
# Measures recovery: one HOP(30 s, 5 min) by user with so many live keys, from an embedded log into a
# real Redis, with checkpoints; killed by kill -9 and started again at once. Prints the time from the kill
# to the first value in Redis that holds an event from after the kill, and until every live key was
# written again.
#   bench/recovery.sh [KEYS] [ROUNDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
keys="${1:-1000000}" rounds="${2:-3}"
build_tidewheel
folder="$(mktemp -d)"
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
pid=""
finish() {
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  tests/services/redis.sh stop "$folder/redis" || true
  rm -rf "$folder"
}
trap finish EXIT
tests/services/redis.sh start "$port" "$folder/redis"

# Lines of a file become records of the log.
columns='user_key STRING, `timestamp` TIMESTAMP(3)'
append() { # FILE
  cat >"$folder/append.sql" <<SQL
CREATE TABLE lines ($columns) WITH ('connector' = 'file', 'path' = '$1', 'format' = 'json');
CREATE TABLE log ($columns) WITH ('connector' = 'log', 'path' = '$folder/log', 'format' = 'json');
INSERT INTO log SELECT user_key, \`timestamp\` FROM lines;
SQL
  "$tidewheel" run "$folder/append.sql" --quiet
}
mkdir "$folder/queries"
cat >"$folder/queries/users.sql" <<SQL
CREATE TABLE events ($columns, WATERMARK FOR \`timestamp\` AS \`timestamp\` - INTERVAL '5' SECOND)
WITH ('connector' = 'log', 'path' = '$folder/log', 'format' = 'json');
CREATE TABLE users (user_key STRING, n BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)
WITH ('connector' = 'redis', 'url' = 'redis://127.0.0.1:$port', 'layout' = 'string', 'key' = 'n:{user_key}', 'ttl' = '1 h');
INSERT INTO users SELECT user_key, COUNT(*)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(\`timestamp\`), INTERVAL '30' SECOND, INTERVAL '5' MINUTE))
GROUP BY user_key, window_start, window_end;
SQL
serve() {
  : >"$folder/serve.txt"
  "$tidewheel" serve "$folder/queries" --listen 127.0.0.1:0 --checkpoints "$folder/state" >"$folder/serve.txt" 2>>"$folder/serve.log" &
  pid=$!
}
api() { until grep -o 'http://[0-9.:]*' "$folder/serve.txt" | head -1 | grep .; do sleep 0.01; done; }
metric() { curl -sf "$(api)/metrics" | sed -n "s/^$1\({[^}]*}\)\{0,1\} //p" | head -1; }
dbsize() { redis-cli -p "$port" dbsize; }

# Live keys: 30 s of event time that end now, so that none of them runs out while this measures.
python3 - "$keys" >"$folder/lines.jsonl" <<'PYTHON'
import sys, time, datetime
keys, end = int(sys.argv[1]), time.time()
for key in range(keys):
    at = datetime.datetime.fromtimestamp(end - 30 + 30 * key / keys, datetime.UTC)
    print('{"user_key":"user-%07d","timestamp":"%s"}' % (key, at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]))
PYTHON
append "$folder/lines.jsonl"
serve
until [ "$(dbsize)" -ge "$keys" ]; do sleep 0.2; done
for round in $(seq "$rounds"); do
  written="$(metric tidewheel_checkpoint_writes_total)"
  until [ "$(metric tidewheel_checkpoint_writes_total | cut -d. -f1)" -ge "$((${written%.*} + 2))" ]; do sleep 0.2; done
  state="$(metric tidewheel_checkpoint_state_bytes)"
  # The event from after the kill is ready to be appended.
  python3 -c 'import datetime, sys; print("{\"user_key\":\"%s\",\"timestamp\":\"%s\"}" % (sys.argv[1], datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]))' \
    "fresh-$round" >"$folder/fresh.jsonl"
  begin="$(date +%s.%N)"
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  serve
  append "$folder/fresh.jsonl" &
  until [ "$(redis-cli -p "$port" exists "n:fresh-$round")" = 1 ]; do sleep 0.005; done
  fresh="$(echo "$(date +%s.%N) - $begin" | bc)"
  wait $! || true
  restore="$(metric tidewheel_checkpoint_restore_seconds)"
  until [ "$(metric tidewheel_query_writes_total | cut -d. -f1)" -ge "$keys" ]; do sleep 0.05; done
  all="$(echo "$(date +%s.%N) - $begin" | bc)"
  printf 'round %d: %d keys, %.0f MB of state: kill to first fresh value %.2f s (of that %.2f s to read the checkpoint), to all keys written again %.2f s\n' \
    "$round" "$keys" "$(echo "$state / 1000000" | bc -l)" "$fresh" "$restore" "$all"
  [ "$(dbsize)" -ge "$keys" ] || fail "keys are missing in Redis"
done
