#!/usr/bin/env bash
# An S3 server for tests (moto, from PyPI, in a Python environment of its own).
#
#   s3.sh install          fetches it once, into ${TIDEWHEEL_CACHE:-~/.cache/tidewheel}
#   s3.sh start PORT DIR   on 127.0.0.1:PORT, with an empty bucket `checkpoints`; it keeps nothing
#                          when it ends. Waits until it answers.
#   s3.sh kill DIR         ends it at once
#
# Environment: S3_CHECKS_KEYS=1 lets it refuse every access key that it did not hand out itself,
# which is every one.
set -euo pipefail

MOTO_VERSION=5.1.22
HOME_DIR="${TIDEWHEEL_CACHE:-$HOME/.cache/tidewheel}/moto/$MOTO_VERSION"

fail() { echo "s3.sh: $*" >&2; exit 1; }

install() {
  [ -f "$HOME_DIR/complete" ] && return
  mkdir -p "$HOME_DIR"
  # Test binaries may ask at the same time.
  exec 9>"$HOME_DIR/lock"
  flock 9
  if [ ! -f "$HOME_DIR/complete" ]; then
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
      local sudo=""
      [ "$(id -u)" = 0 ] || sudo="sudo"
      { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive \
          apt-get install -q -y --no-install-recommends python3-venv; } >&2 \
        || fail "python3-venv could not be installed by apt-get"
    fi
    { python3 -m venv "$HOME_DIR/venv" \
        && "$HOME_DIR/venv/bin/pip" install -q --no-compile "moto[server,s3]==$MOTO_VERSION"; } >&2 \
      || fail "moto could not be installed by pip"
    touch "$HOME_DIR/complete"
  fi
  flock -u 9
  exec 9>&-
}

start() {
  local port=$1 dir=$2
  install
  mkdir -p "$dir"
  # The first request makes the bucket and needs no key; the one before it asks whether it is up.
  [ -z "${S3_CHECKS_KEYS:-}" ] || export INITIAL_NO_AUTH_ACTION_COUNT=1
  "$HOME_DIR/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$dir/s3.log" 2>&1 </dev/null &
  echo $! >"$dir/s3.pid"
  disown
  for _ in $(seq 300); do
    kill -0 "$(cat "$dir/s3.pid")" 2>/dev/null || break
    if python3 - "$port" <<'PYTHON' 2>/dev/null; then return; fi
import sys, urllib.request
url = f"http://127.0.0.1:{sys.argv[1]}/checkpoints"
urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5)
PYTHON
    sleep 0.2
  done
  tail -n 20 "$dir/s3.log" >&2 || true
  fail "the S3 server on port $port does not answer"
}

kill_it() {
  local pid_file="$1/s3.pid"
  [ -f "$pid_file" ] || return 0
  kill -9 "$(cat "$pid_file")" 2>/dev/null || true
  rm -f "$pid_file"
}

case "${1:-}" in
  install) install ;;
  start) [ $# = 3 ] || fail "usage: s3.sh start PORT DIR"; start "$2" "$3" ;;
  kill) [ $# = 2 ] || fail "usage: s3.sh kill DIR"; kill_it "$2" ;;
  *) fail "usage: s3.sh install | start PORT DIR | kill DIR" ;;
esac
