#!/usr/bin/env bash
# Starts the demo natively on free ports, walks through the shop in a real browser at desktop and phone
# size, holds every feature of the visitor against the catalogue's definition and the shop's reactions
# against what they should be, and stops it.
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
say "pictures: $SCREENSHOTS"
