#!/usr/bin/env bash
# Does natively what the steps of the images and of the init containers do, where no engine is at hand:
#
#   images.sh TIDEWHEEL     all of it; about two minutes
#
# - the binary, stripped, needs only libraries that the image installs, and runs from an empty folder;
# - the health check says yes, no, and no to a port where nobody is;
# - the shop's standalone build answers from its own folder alone;
# - the topics are made in a real Kafka, twice.
set -euo pipefail
tidewheel=$(realpath "${1:?name the tidewheel binary}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/common.sh

work=$(mktemp -d)
pids=()
stop() {
  trap - EXIT
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  tests/services/kafka.sh stop "$work/kafka"
  rm -rf "$work"
}
trap stop EXIT
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# until_healthy PORT PATH: waits for a service by the image's own health check.
until_healthy() {
  for _ in $(seq 300); do infra/tidewheel/healthy.sh "$1" "$2" 2>/dev/null && return; sleep 0.2; done
  tail -n 20 "$work"/*.log >&2
  fail "nothing answers at port $1, $2"
}

strip -o "$work/tidewheel" "$tidewheel"
# What Debian's slim image has, and what the Dockerfile adds: libssl3 (with libcrypto) and zlib1g.
strange=$(ldd "$work/tidewheel" | awk '{print $1}' | grep -vE '^(linux-vdso|libc|libm|libgcc_s|libssl|libcrypto|libz|/lib64/ld-linux-x86-64|/lib/ld-linux-aarch64)\.so' || true)
[ -z "$strange" ] || fail "the image lacks libraries: $strange"
mkdir "$work/empty"
serve=$(port)
"$work/tidewheel" simulate --events 100 --out "$work/events.jsonl"
queries=$(realpath queries)
(cd "$work/empty" && exec env -i "$work/tidewheel" serve "$queries" --read-only --from "file:$work/events.jsonl" \
  --into "store:$work/store" --listen "127.0.0.1:$serve" >"$work/serve.log" 2>&1) &
pids+=($!)
until_healthy "$serve" /healthz
if infra/tidewheel/healthy.sh "$serve" /nothing 2>/dev/null; then fail "the health check says yes to a 404"; fi
if infra/tidewheel/healthy.sh "$(port)" /healthz 2>/dev/null; then fail "the health check says yes to nobody"; fi
echo "image of tidewheel: $(stat -c %s "$work/tidewheel") bytes of binary, fine"

tar -C apps/ecommerce --exclude=node_modules --exclude=.next --exclude=test -cf - . | (mkdir "$work/shop" && tar -C "$work/shop" -xf -)
(cd "$work/shop" && npm ci --no-audit --no-fund && NEXT_OUTPUT=standalone npm run build) >"$work/shop.log" 2>&1 \
  || { tail -n 20 "$work/shop.log" >&2; fail "the shop's image cannot be built"; }
cp -r "$work/shop/.next/standalone" "$work/app"
mkdir -p "$work/app/.next"
cp -r "$work/shop/.next/static" "$work/app/.next/static"
rm -rf "$work/shop"
store=$(port)
(cd "$work/app" && exec env NODE_ENV=production PORT="$store" HOSTNAME=127.0.0.1 node server.js >"$work/app.log" 2>&1) &
pids+=($!)
until_healthy "$store" /api/health
page=$(curl -sf "http://127.0.0.1:$store/product/squall-coat")
style=$(grep -o '/_next/static/[^"]*\.css' <<<"$page" | head -n 1)
grep -q 'Squall Coat' <<<"$page" && curl -sf -o /dev/null "http://127.0.0.1:$store$style" || fail "the shop's image does not serve its pages"
echo "image of the shop: $(du -sb "$work/app" | cut -f 1) bytes, fine"

kafka=$(port)
tests/services/kafka.sh start "$kafka" "$work/kafka"
for _ in 1 2; do
  tests/services/kafka.sh topics "$kafka" infra/kafka/topics.txt >"$work/topics.log" 2>&1 || { cat "$work/topics.log"; fail "the topics cannot be made"; }
done
echo "topics: fine"
