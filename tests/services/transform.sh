#!/usr/bin/env bash
# Holds Snowbridge's transform against what queries/ reads: enriched events in TSV go through Snowplow's
# own SDK (as Snowbridge's spEnrichedToJson does) and infra/snowplow/transform.js under Node; the records must be
# those that the simulator writes for the same events.
#
#   transform.sh TIDEWHEEL
#
# The SDK comes from PyPI into a folder of its own: $TRANSFORM_VENV, or ~/.cache/tidewheel/transform.
set -euo pipefail
tidewheel=$(realpath "${1:?name the tidewheel binary}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/common.sh

command -v node >/dev/null || fail "node is missing; the transform runs under it: https://nodejs.org"
venv=${TRANSFORM_VENV:-$HOME/.cache/tidewheel/transform}
if [ ! -f "$venv/complete" ]; then
  need_packages python3-venv
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q snowplow-analytics-sdk
  touch "$venv/complete"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

node --test tests/services/transform/edges.test.mjs
same=(--events 3000 --shoppers 40 --per-second 20 --untidy 0)
"$tidewheel" simulate "${same[@]}" --out "$work/records.jsonl"
"$tidewheel" simulate "${same[@]}" --format tsv --out "$work/events.tsv"
"$venv/bin/python" tests/services/transform/compare.py "$work/events.tsv" "$work/records.jsonl" tests/services/transform/lines.mjs
