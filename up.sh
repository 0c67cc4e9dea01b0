#!/usr/bin/env bash
# The live shop by one command: starts the shop, the collector, Tidewheel and what they need, waits
# until all of it is healthy, and prints the addresses. With a Docker engine as composed services,
# without one as processes on embedded parts.
#
#   ./up.sh                  start; what runs already as it is asked for is left alone
#   ./up.sh down [--clean]   stop; --clean removes the data too
#   ./up.sh status           what runs, and whether it is well
#   ./up.sh logs [SERVICE]   the last lines, and what follows them
#
#   --native                 without Docker, though there is an engine
#   --kafka, --redis         with --native: a real Kafka, a real Redis in place of the embedded log, store
#   --traffic [RATE]         simulated shoppers beside your own, RATE events a second (default 50)
#   --snowplow               Snowplow's own collector, Enrich and Snowbridge (asks about their licence)
#   --simulate               no shop: simulated shoppers' features in this terminal, until Ctrl-C;
#                            takes --rate N, --shoppers N, --seconds N
#
# Ports and more are in .env, made from .env.example at the first start.
set -euo pipefail
if ((BASH_VERSINFO[0] < 5)); then echo "error: up.sh needs bash 5; this is $BASH_VERSION" >&2; exit 1; fi
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/common.sh
source scripts/up/settings.sh
source scripts/up/wait.sh

action="" mode="" kafka=no redis=no traffic="" snowplow=no clean=no service="" simulate=() wants_simulate=no
starting=() # options that only a start of the shop takes
number='^[0-9]+([.][0-9]+)?$'
while [ $# -gt 0 ]; do
  case "$1" in --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;; esac
  case "$1" in
    up|down|status|logs)
      [ -z "$action" ] || fail "'$action' and '$1' are two things; ask for one at a time"
      action="$1"; shift
      if [ "$action" = logs ] && [[ "${1:--}" != -* ]]; then service="$1"; shift; fi ;;
    --native) mode=native starting+=("$1"); shift ;;
    --kafka) kafka=yes starting+=("$1"); shift ;;
    --redis) redis=yes starting+=("$1"); shift ;;
    --snowplow) snowplow=yes starting+=("$1"); shift ;;
    --clean) clean=yes; shift ;;
    --traffic) traffic=50 starting+=("$1"); shift
      if [[ "${1:-}" =~ $number ]]; then traffic="$1"; shift; fi ;;
    --simulate) wants_simulate=yes; shift ;;
    --rate|--shoppers|--seconds)
      [[ "${2:-}" =~ $number ]] || fail "$1 needs a number; see ./up.sh --help"
      simulate+=("$1" "$2"); shift 2 ;;
    -h|--help|help) sed -n '2,21s/^# \{0,1\}//p' "$0"; exit 0 ;;
    stop) fail "there is no 'stop'; ./up.sh down ends it" ;;
    start) fail "there is no 'start'; ./up.sh alone starts it" ;;
    restart) fail "there is no 'restart'; ./up.sh down, then ./up.sh" ;;
    *) fail "unknown word '$1'; see ./up.sh --help" ;;
  esac
done
[ "$clean" = no ] || [ "$action" = down ] || fail "--clean belongs to down: ./up.sh down --clean"
if [ "$wants_simulate" = yes ]; then
  [ -z "$action" ] || fail "--simulate and '$action' do not go together; Ctrl-C ends --simulate"
  [ ${#starting[@]} -eq 0 ] || fail "--simulate starts no shop, so it does not take ${starting[*]}"
  source scripts/up/simulate.sh
  simulate_shoppers ${simulate[@]+"${simulate[@]}"}
  exit
fi
[ ${#simulate[@]} -eq 0 ] || fail "${simulate[0]} belongs to --simulate; for traffic beside the shop: --traffic RATE"
action="${action:-up}"
[ "$action" = up ] || [ ${#starting[@]} -eq 0 ] || fail "'$action' does not take ${starting[*]}: it is about whatever was started here"

data="${TIDEWHEEL_DATA:-$PWD/.tidewheel}"
mkdir -p "$data"
source scripts/up/native.sh
source scripts/up/compose.sh

has_engine() { command -v docker >/dev/null && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }
started_as() { cat "$data/mode" 2>/dev/null || true; }

case "$action" in
  up)
    make_env
    if [ -z "$mode" ]; then
      mode=compose
      if ! has_engine; then
        mode=native
        say "no Docker engine with Compose here: starting natively (--native says so on purpose)"
      fi
    fi
    if [ "$mode" = native ]; then
      [ "$snowplow" = no ] || fail "--snowplow runs Snowplow's images: it needs a Docker engine with Compose"
      native_up
    else
      [ "$kafka$redis" = nono ] || fail "--kafka and --redis belong to --native; the composed services have both"
      compose_up
    fi ;;
  down) case "$(started_as)" in native) native_down ;; compose) compose_down ;; *) say "nothing was started here" ;; esac
    # What was started is remembered until its data is gone, so that a later `down --clean` finds it.
    if [ "$clean" = yes ]; then rm -rf "$folder"; rm -f "$data/mode"; fi ;;
  status) case "$(started_as)" in native) native_status ;; compose) compose_status ;; *) say "nothing was started here" ;; esac ;;
  logs) case "$(started_as)" in native) native_logs ;; compose) compose_logs ;; *) fail "nothing was started here" ;; esac ;;
esac
