#!/usr/bin/env bash
# Starts the demo natively on free ports, walks through the shop in a real browser at desktop and phone
# size, holds every feature of the visitor against the catalogue's definition and the shop's reactions
# against what they should be. Then it is stopped and started again: what was known of the visitor still is,
# and the engine has gone on from its checkpoint.
#
#   tests/demo.sh                   on the embedded log and store
#   tests/demo.sh --kafka --redis   on a real Kafka and a real Redis
#
# It needs Debian's chromium (installed if missing) and Node.js. Pictures of each step are left in
# $SCREENSHOTS, by default a temporary folder that is named at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh

need_packages chromium
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || (exec 3<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port was found"
}
STORE_PORT="$(free_port)" COLLECTOR_PORT="$(free_port)" TIDEWHEEL_PORT="$(free_port)" KAFKA_PORT="$(free_port)" REDIS_PORT="$(free_port)"
TIDEWHEEL_DATA="$(mktemp -d)"
SCREENSHOTS="${SCREENSHOTS:-$(mktemp -d)}"
export STORE_PORT COLLECTOR_PORT TIDEWHEEL_PORT KAFKA_PORT REDIS_PORT TIDEWHEEL_DATA SCREENSHOTS

stop() {
  trap - EXIT INT TERM
  ./up.sh down --clean || true
  rm -rf "$TIDEWHEEL_DATA"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

./up.sh --native "$@"
SHOP_URL="http://localhost:$STORE_PORT" COLLECTOR_URL="http://localhost:$COLLECTOR_PORT" TIDEWHEEL_URL="http://localhost:$TIDEWHEEL_PORT" \
  npm --prefix apps/ecommerce run --silent test:demo

# What is held of a visitor in windows that are longer than this test takes.
known() {
  curl -fsS "http://localhost:$TIDEWHEEL_PORT/api/v1/features?column=user_key&key=grey-heron-desktop" | python3 -c '
import json, sys
tables = json.load(sys.stdin)["features"]
long = [t for t in tables if t["found"] and t["table"].endswith(("_1h", "_24h", "_last_seen"))]
print(json.dumps({t["table"]: t["values"] for t in long}, sort_keys=True))'
}
before="$(known)"
[ "$before" != "{}" ] || fail "nothing is known of the visitor"
./up.sh down
./up.sh --native "$@"
curl -fsS "http://localhost:$TIDEWHEEL_PORT/api/v1/checkpoints" | python3 -c '
import json, sys
taken = json.load(sys.stdin)["checkpoints"] or {}
sys.exit(0 if taken.get("restored") else "the engine did not go on from a checkpoint")'
# Values that are written again and those that were never gone look alike.
for _ in $(seq 50); do
  after="$(known)"
  [ "$after" != "$before" ] || break
  sleep 0.2
done
[ "$after" = "$before" ] || fail "before the restart $before, after it $after"
say "stopped and started: nothing was lost"
say "pictures: $SCREENSHOTS"
