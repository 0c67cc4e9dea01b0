#!/usr/bin/env bash
# The main job by one command: builds Tidewheel, lets simulated shoppers write events into an
# embedded log, runs all of queries/ over it into an embedded store, and shows the shoppers'
# features as they change. No server, no Docker. Ctrl-C ends it.
#
#   ./up.sh [--rate N] [--shoppers N] [--seconds N]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/common.sh

rate=200 shoppers=300 seconds=()
while [ $# -gt 0 ]; do
  case "$1" in
    --rate) rate="${2:?--rate needs a number of events per second}"; shift 2 ;;
    --shoppers) shoppers="${2:?--shoppers needs a number}"; shift 2 ;;
    --seconds) seconds=(--seconds "${2:?--seconds needs a number}"); shift 2 ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option '$1'; see ./up.sh --help" ;;
  esac
done

need_build_tools
say "building (the first time takes a while: DataFusion and librdkafka are compiled)"
cargo build --release -p tidewheel
tidewheel="$CARGO_TARGET_DIR/release/tidewheel"

data="${TIDEWHEEL_DATA:-$PWD/.tidewheel}/demo"
rm -rf "$data"
mkdir -p "$data"
pids=()
stop() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  say "stopped; what was computed stands in $data/store: $tidewheel features $data/store"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$tidewheel" simulate --rate "$rate" --shoppers "$shoppers" --disorder 800 --repeats 0.01 \
  --broken 0.002 --out "log:$data/log" 2>"$data/simulate.txt" &
pids+=($!)
BAD_EVENTS="$data/bad_events.jsonl" "$tidewheel" run queries --from "log:$data/log" \
  --into "store:$data/store" --quiet 2>"$data/run.txt" &
pids+=($!)

# The store appears with the first value.
for _ in $(seq 100); do
  [ -d "$data/store" ] && break
  for name in simulate run; do
    pid="${pids[$([ $name = simulate ] && echo 0 || echo 1)]}"
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$data/$name.txt" >&2; fail "tidewheel $name ended"; }
  done
  sleep 0.1
done
"$tidewheel" features "$data/store" --watch "${seconds[@]}"
