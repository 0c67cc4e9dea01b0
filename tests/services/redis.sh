#!/usr/bin/env bash
# Makes sure that redis-server is installed, and starts or stops one.
#
#   redis.sh install          quiet when it is there already
#   redis.sh start PORT DIR [OPTION...]
#                             on 127.0.0.1, data in DIR, nothing saved unless the server's options
#                             say so; waits until it answers
#   redis.sh stop DIR         ends it in order; `kill DIR` ends it at once
set -euo pipefail

fail() { echo "redis.sh: $*" >&2; exit 1; }

install() {
  command -v redis-server >/dev/null && return
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  [ -z "$sudo" ] || command -v sudo >/dev/null || fail "redis-server is missing; install it as root"
  { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends redis-server; } >&2 \
    || fail "redis-server could not be installed by apt-get"
  # The tests start their own; the system's would only take its port.
  if [ -d /run/systemd/system ]; then
    $sudo systemctl disable --now redis-server >/dev/null 2>&1 || true
  fi
}

start() {
  local port=$1 dir=$2
  shift 2
  install
  mkdir -p "$dir"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$dir" --save "" --appendonly no \
    --daemonize yes --pidfile "$dir/redis.pid" --logfile "$dir/redis.log" "$@" >/dev/null
  for _ in $(seq 100); do
    [ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ] && return
    sleep 0.1
  done
  tail -n 20 "$dir/redis.log" >&2 || true
  fail "redis-server on port $port does not answer"
}

end() {
  local signal=$1 pid_file="$2/redis.pid" pid
  [ -f "$pid_file" ] || return 0
  pid=$(cat "$pid_file")
  # A number from before the machine was started anew may be a stranger's by now.
  grep -qa redis-server "/proc/$pid/cmdline" 2>/dev/null || { rm -f "$pid_file"; return 0; }
  kill "-$signal" "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || { rm -f "$pid_file"; return 0; }
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$pid_file"
}

case "${1:-}" in
  install) install ;;
  start) [ $# -ge 3 ] || fail "usage: redis.sh start PORT DIR [OPTION...]"; shift; start "$@" ;;
  stop) [ $# = 2 ] || fail "usage: redis.sh stop DIR"; end TERM "$2" ;;
  kill) [ $# = 2 ] || fail "usage: redis.sh kill DIR"; end KILL "$2" ;;
  *) fail "usage: redis.sh install | start PORT DIR [OPTION...] | stop DIR | kill DIR" ;;
esac
