# shellcheck shell=bash disable=SC2034,SC2154
# Waiting until services are healthy, with a display of how far they are. Sourced, not run.

WAIT_SECONDS="${TIDEWHEEL_WAIT:-180}"

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# http_ok PORT PATH: true if it answers with what was asked for, or where it is. It needs no client.
http_ok() {
  local status
  status="$( (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3 \
    && read -r -t 5 line <&3 && printf '%s' "$line") 2>/dev/null)" || return 1
  [[ "$status" == HTTP/1.?\ [23]??* ]]
}

# wait_for KIND NAME...: asks `KIND_probe NAME` of each until it prints `healthy` for all. It prints `waiting`,
# or a reason after `failed `; then, or when time is over, `KIND_explain NAME REASON` is called and this fails.
wait_for() {
  local kind="$1"; shift
  local begin=$SECONDS name state drawn=no
  local -A states=()
  for name in "$@"; do states[$name]=waiting; done
  while true; do
    local waiting=0
    for name in "$@"; do
      [ "${states[$name]%% *}" = healthy ] && continue
      state="$("${kind}_probe" "$name")"
      case "$state" in
        healthy) states[$name]="healthy after $((SECONDS - begin)) s"; [ -t 2 ] || say "  $name: ${states[$name]}" ;;
        failed*) draw "$@"; "${kind}_explain" "$name" "${state#failed }"; return 1 ;;
        *) states[$name]=waiting; waiting=$((waiting + 1)) ;;
      esac
    done
    draw "$@"
    [ $waiting -gt 0 ] || return 0
    if [ $((SECONDS - begin)) -ge "$WAIT_SECONDS" ]; then
      for name in "$@"; do
        [ "${states[$name]}" = waiting ] && { "${kind}_explain" "$name" "not healthy after $WAIT_SECONDS s"; return 1; }
      done
    fi
    sleep 0.2
  done
}

# One line a service, drawn over the lines before; on a terminal only.
draw() {
  [ -t 2 ] || return 0
  [ "$drawn" = no ] || printf '\033[%dA' $# >&2
  drawn=yes
  for name in "$@"; do
    local mark=$'\033[33m…\033[0m'
    [ "${states[$name]%% *}" = healthy ] && mark=$'\033[32m✓\033[0m'
    printf '\033[2K  %s %-20s %s\n' "$mark" "$name" "${states[$name]}" >&2
  done
}

# address NAME PORT PATH WHAT SHOWN: a line of the list at the end; PATH is asked, SHOWN is printed.
unanswered=0
address() {
  local mark="✓"
  http_ok "$2" "$3" || { mark="✗ does not answer"; unanswered=$((unanswered + 1)); }
  printf '  %-14s %-34s %s  %s\n' "$1" "http://localhost:$2$5" "$mark" "$4" >&2
}
