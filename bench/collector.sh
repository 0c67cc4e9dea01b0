#!/usr/bin/env bash
# How many events a second the collector acknowledges on one core, into the embedded log.
#
#   bench/collector.sh [SECONDS]
#
# The collector is pinned to the first core, the load (wrk) to the others. An event counts when its
# POST was answered with 200, which means that the log holds it; afterwards the log is counted.
# TIDEWHEEL_BINARY names a binary that is built already; without it one is built first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/common.sh

seconds=${1:-10}
need_packages wrk curl util-linux
build_tidewheel

cores=$(nproc)
[ "$cores" -ge 2 ] || fail "one core is for the collector, another for the load: this machine has $cores"
work=$(mktemp -d)
pid=
stop() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  pid=
}
trap 'stop; rm -rf "$work"' EXIT

# A count of the collector's own metrics.
metric() {
  curl -fsS "$url/metrics" | sed -n "s/^tidewheel_collector_$1 //p"
}

# measure NAME FORMAT BATCH CONNECTIONS
measure() {
  rm -rf "$work/log" "$work/tsv"
  local more=()
  [ "$2" != both ] || more=(--tsv-out "log:$work/tsv")
  taskset -c 0 "$tidewheel" collect --listen 127.0.0.1:0 --threads 1 --format "$2" \
    --out "log:$work/log" "${more[@]}" >"$work/out" 2>"$work/err" &
  pid=$!
  for _ in $(seq 100); do
    url=$(grep -o 'http://[0-9.:]*' "$work/out" | head -1) && [ -n "$url" ] && break
    kill -0 "$pid" 2>/dev/null || { cat "$work/err" >&2; exit 1; }
    sleep 0.1
  done
  # The first second warms caches and grows the log's first segment.
  BATCH=$3 taskset -c "1-$((cores - 1))" wrk -t1 -c"$4" -d1s -s bench/collector.lua "$url" >/dev/null
  local good ticks
  good=$(metric 'events_total{kind="good"}')
  ticks=$(awk '{print $14 + $15}' "/proc/$pid/stat")
  BATCH=$3 taskset -c "1-$((cores - 1))" wrk -t1 -c"$4" -d"${seconds}s" -s bench/collector.lua "$url" >"$work/wrk"
  ticks=$(($(awk '{print $14 + $15}' "/proc/$pid/stat") - ticks))
  good=$(($(metric 'events_total{kind="good"}') - good))
  local requests failed time p50 p99
  read -r requests failed time p50 p99 < <(tail -n 1 "$work/wrk")
  [ "$failed" -eq 0 ] || fail "$failed requests failed"
  # What is under way at the end is stored, and not counted by wrk.
  [ "$good" -ge $((requests * $3)) ] || fail "$requests requests were acknowledged and $good events are there"
  awk -v name="$1" -v events=$((requests * $3)) -v time="$time" -v p50="$p50" -v p99="$p99" \
    -v cpu="$ticks" -v hz="$(getconf CLK_TCK)" 'BEGIN {
      printf "%-34s %8.0f events/s, %8.0f for each second of processor time, p50 %.1f ms, p99 %.1f ms\n",
        name, events / time, events / (cpu / hz), p50, p99 }'
  stop
}

measure "POSTs of 10 events, JSON" json 10 32
measure "POSTs of 10 events, JSON and TSV" both 10 32
measure "POSTs of 1 event, JSON" json 1 64
