#!/usr/bin/env bash
# Holds the API against its own description with schemathesis (PyPI): thousands of requests made
# from /openapi.json, valid and not; no answer may be a 5xx, and each must be one the description
# has. Streams are left out: they do not end.
#
#   schemathesis.sh TIDEWHEEL [EXAMPLES]
#
# TIDEWHEEL is the binary. Schemathesis is installed into a folder of its own, which is kept for the
# next run: $SCHEMATHESIS_VENV, or ~/.cache/tidewheel/schemathesis.
set -euo pipefail

tidewheel=$(realpath "${1:?name the tidewheel binary}")
examples=${2:-100}
venv=${SCHEMATHESIS_VENV:-$HOME/.cache/tidewheel/schemathesis}
queries=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../queries")

if [ ! -x "$venv/bin/st" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q schemathesis
fi

work=$(mktemp -d)
pid=
stop() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT

cd "$work"
mkdir queries
cp "$queries"/*.sql queries/
"$tidewheel" simulate --events 5000 --shoppers 50 --per-second 50 --out events.jsonl
TIDEWHEEL_PREVIEW_TIME="1 s" "$tidewheel" serve queries --from file:events.jsonl --into store:store \
  --listen 127.0.0.1:0 >out.txt 2>log.txt &
pid=$!
for _ in $(seq 200); do
  url=$(grep -o 'http://[0-9.:]*' out.txt | head -1) && [ -n "$url" ] && break
  kill -0 "$pid" 2>/dev/null || { cat log.txt >&2; exit 1; }
  sleep 0.1
done

"$venv/bin/st" run "$url/openapi.json" --url "$url" --workers 2 --max-examples "$examples" \
  --exclude-path-regex '/(changes|preview)$' --request-timeout 30 --suppress-health-check all \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
kill -0 "$pid" || { echo "the service ended" >&2; tail -n 20 log.txt >&2; exit 1; }
if grep -E '"level":"ERROR".*(defect|panic)' log.txt; then
  echo "the service met a defect" >&2
  exit 1
fi
