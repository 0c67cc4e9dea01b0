#!/usr/bin/env bash
# Real Snowplow trackers against the collector, and Snowplow's own SDK over what it writes.
#
#   trackers.sh TIDEWHEEL [python] [browser] [rust]
#
# TIDEWHEEL is the binary; without a further word all three are run. What they need is installed into
# folders of their own, which are kept for the next run, below $TRACKERS_CACHE, or
# ~/.cache/tidewheel/trackers:
# - python: snowplow-tracker sends, snowplow-analytics-sdk reads the TSV (PyPI)
# - browser: the browser tracker and its e-commerce plugin, in jsdom (npm)
# - rust: the crate snowplow_tracker (crates.io)
set -euo pipefail

tidewheel=$(realpath "${1:?name the tidewheel binary}")
shift
[ $# -gt 0 ] || set -- python browser rust
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/trackers
cache=${TRACKERS_CACHE:-$HOME/.cache/tidewheel/trackers}
mkdir -p "$cache"

work=$(mktemp -d)
pid=
stop() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  pid=
}
trap 'stop; rm -rf "$work"' EXIT

# Starts a collector that writes lines to files.
start() {
  stop
  rm -f "$work"/*
  "$tidewheel" collect --listen 127.0.0.1:0 --format both --out "$work/events.jsonl" --tsv-out "$work/events.tsv" \
    --bad "$work/bad.jsonl" --path com.shop/events >"$work/out.txt" 2>"$work/log.txt" &
  pid=$!
  for _ in $(seq 200); do
    url=$(grep -o 'http://[0-9.:]*' "$work/out.txt" | head -1) && [ -n "$url" ] && return
    kill -0 "$pid" 2>/dev/null || { cat "$work/log.txt" >&2; exit 1; }
    sleep 0.1
  done
  echo "the collector does not start" >&2
  exit 1
}

for client in "$@"; do
  start
  case $client in
    python)
      if [ ! -f "$cache/python/ready" ]; then
        python3 -m venv "$cache/python"
        "$cache/python/bin/pip" install -q 'snowplow-tracker>=1.1,<2' 'snowplow-analytics-sdk>=0.2.3,<0.3'
        touch "$cache/python/ready"
      fi
      "$cache/python/bin/python" "$here/python.py" "$url" "$work"
      ;;
    browser)
      if [ ! -f "$cache/browser/ready" ]; then
        mkdir -p "$cache/browser"
        (cd "$cache/browser" && npm init -y >/dev/null 2>&1 && npm install --silent --no-audit --no-fund jsdom@24 \
          @snowplow/browser-tracker@4.10.1 @snowplow/browser-plugin-snowplow-ecommerce@4.10.1 >/dev/null)
        touch "$cache/browser/ready"
      fi
      cp "$here/browser.cjs" "$cache/browser/browser.cjs"
      node "$cache/browser/browser.cjs" "$url" "$work"
      ;;
    rust)
      # Built elsewhere, so that its lock file is not left in the checkout.
      mkdir -p "$cache/rust-client"
      cp -r "$here/rust/." "$cache/rust-client"
      CARGO_TARGET_DIR="$cache/rust" cargo run --quiet --manifest-path "$cache/rust-client/Cargo.toml" -- "$url" "$work"
      "$here/rust/check.sh" "$work"
      ;;
    *)
      echo "there is no client '$client'" >&2
      exit 2
      ;;
  esac
  kill -0 "$pid" || { echo "the collector ended" >&2; tail -n 20 "$work/log.txt" >&2; exit 1; }
  if [ -s "$work/bad.jsonl" ]; then
    echo "$client: there are bad rows" >&2
    head -n 3 "$work/bad.jsonl" >&2
    exit 1
  fi
  echo "$client: fine"
done
