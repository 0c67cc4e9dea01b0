#!/usr/bin/env bash
# Measures an outage of the sink: simulated events at a rate into the embedded log, all of queries/ and a
# count of each shopper's events into a real Redis, which is stopped for a while and started again. Prints
# how long it took until every acknowledged write was fresh again, the memory before, during and after,
# and whether each count is what the log says.
#   bench/redis_away.sh [RATE] [SECONDS AWAY]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh
rate="${1:-5000}" away="${2:-60}"
build_tidewheel
folder="$(mktemp -d)"
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
pids=()
finish() {
  kill "${pids[@]}" 2>/dev/null || true
  tests/services/redis.sh stop "$folder/redis" || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
tests/services/redis.sh start "$port" "$folder/redis"
cp -r queries "$folder/queries"
lifetime() { # CONNECTOR OPTIONS
  cat <<SQL
CREATE TABLE counted (user_key STRING, n BIGINT, PRIMARY KEY (user_key) NOT ENFORCED) WITH ($1);
INSERT INTO counted SELECT user_key, COUNT(*) FROM shopper_events GROUP BY user_key;
SQL
}
lifetime "'connector' = 'redis', 'url' = 'redis://127.0.0.1:$port', 'layout' = 'string', 'key' = 'counted:{user_key}'" >"$folder/queries/counted.sql"
"$tidewheel" simulate --rate "$rate" --shoppers 20000 --quiet --out "log:$folder/log" &
simulator=$!
pids+=("$simulator")
until [ -d "$folder/log" ]; do sleep 0.1; done
REDIS_URL="redis://127.0.0.1:$port" BAD_EVENTS="$folder/bad.jsonl" "$tidewheel" serve "$folder/queries" --listen 127.0.0.1:0 \
  --from "log:$folder/log" --checkpoints "$folder/state" >"$folder/serve.txt" 2>"$folder/serve.log" &
pids+=($!)
until grep -q http "$folder/serve.txt"; do sleep 0.1; done
url="$(grep -o 'http://[0-9.:]*' "$folder/serve.txt" | head -1)"

cat >"$folder/watch.py" <<'PYTHON'
"""watch.py URL memory|caught-up: the memory in MB, or the seconds until all writes of a second are fresh."""
import re, sys, time, urllib.request
url, what = sys.argv[1:]

def metrics():
    return urllib.request.urlopen(url + "/metrics", timeout=10).read().decode()

if what == "memory":
    print(round(float(re.search(r"^process_resident_memory_bytes (\S+)", metrics(), re.M)[1]) / 1e6))
    sys.exit()

def counts():
    text = metrics()
    fresh = sum(float(v) for v in re.findall(r'^tidewheel_query_freshness_seconds_bucket\{[^}]*le="1\.0"[^}]*\} (\S+)', text, re.M))
    return fresh, sum(float(v) for v in re.findall(r"^tidewheel_query_freshness_seconds_count\{[^}]*\} (\S+)", text, re.M))

begin, before = time.monotonic(), counts()
while True:
    time.sleep(1)
    now = counts()
    fresh, total = now[0] - before[0], now[1] - before[1]
    before = now
    if total > 0 and fresh == total:
        print(f"{time.monotonic() - begin - 1:.1f}")
        break
PYTHON
watch() { python3 "$folder/watch.py" "$url" "$1"; }
sleep 15
watch caught-up >/dev/null
printf 'memory before %d MB\n' "$(watch memory)"
tests/services/redis.sh stop "$folder/redis"
for _ in $(seq 6); do sleep "$(echo "$away / 6" | bc -l)"; printf 'memory while Redis is away %d MB\n' "$(watch memory)"; done
tests/services/redis.sh start "$port" "$folder/redis"
printf 'caught up %s s after Redis was back\n' "$(watch caught-up)"
printf 'memory after %d MB\n' "$(watch memory)"

# The end: no more events, and all that was read is written. The log says what the counts must be.
kill "$simulator"; wait "$simulator" 2>/dev/null || true
sleep 5
mkdir "$folder/check"
cp "$folder/queries/events.sql" "$folder/check/"
lifetime "'connector' = 'store', 'path' = '$folder/checked', 'layout' = 'string', 'key' = 'counted:{user_key}'" >"$folder/check/counted.sql"
BAD_EVENTS="$folder/bad_too.jsonl" "$tidewheel" run "$folder/check" --from "log:$folder/log" --set shopper_events.scan.bounded.mode=latest-offset --quiet
"$tidewheel" --json features "$folder/checked" --limit 10000000 >"$folder/checked.json"
python3 - "$folder/checked.json" "$port" <<'PYTHON'
import json, subprocess, sys
wanted = {}
for line in open(sys.argv[1]):
    entry = json.loads(line)
    wanted[entry["key"]] = str(entry["value"])
keys = sorted(wanted)
found = {}
for at in range(0, len(keys), 1000):
    part = keys[at:at + 1000]
    out = subprocess.run(["redis-cli", "-p", sys.argv[2], "mget", *part], capture_output=True, text=True, check=True).stdout
    found.update(zip(part, out.split("\n")))
wrong = [key for key in keys if found[key] != wanted[key]]
for key in wrong[:5]:
    print(f"{key}: {found[key]!r} instead of {wanted[key]!r}")
print(f"{len(keys)} shoppers counted, {sum(map(int, wanted.values()))} events: {len(wrong)} counts differ from the log's")
sys.exit(1 if wrong or not keys else 0)
PYTHON
