# shellcheck shell=bash disable=SC2034,SC2154
# Settings of up.sh: .env, and the environment over it. Sourced, not run.

# Makes .env from the example, once, owned by whoever owns queries/.
make_env() {
  [ -f .env ] && return
  local owner group
  read -r _ _ owner group _ < <(ls -nd queries)
  sed -e "s/^HOST_UID=.*/HOST_UID=$owner/" -e "s/^HOST_GID=.*/HOST_GID=$group/" .env.example >.env
  say "made .env from .env.example"
}

# setting NAME: the environment's value, else that of .env, else that of the example. Files are read, not run.
setting() {
  local name="$1" file value
  if [ -n "${!name:-}" ]; then printf '%s' "${!name}"; return; fi
  for file in .env .env.example; do
    [ -f "$file" ] || continue
    value="$(sed -n "s/^$name=//p" "$file" | tail -n 1)"
    if [ -n "$value" ]; then printf '%s' "$value"; return; fi
  done
}

# traffic_rate GIVEN: events a second of the simulated shoppers, as given or as set; 0 is none. To the
# simulator 0 would mean as fast as it goes, so it must not be told.
traffic_rate() {
  local rate="${1:-$(setting TRAFFIC_RATE)}"
  [[ "$rate" =~ ^[0-9]+([.][0-9]+)?$ ]] || fail "TRAFFIC_RATE is '$rate'; write events a second, 0 for none"
  if [[ "$rate" =~ ^[0.]+$ ]]; then rate=0; fi
  printf '%s' "$rate"
}

# Fails unless a port is free.
need_port() {
  local port="$1" name="$2" variable="$3" who=""
  { [[ "$port" =~ ^[0-9]{1,5}$ ]] && ((10#$port > 0 && 10#$port < 65536)); } || fail "$variable is '$port', which is no port; set a number from 1 to 65535 in .env"
  port_open "$port" || return 0
  if command -v ss >/dev/null; then
    who="$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*users:((\("[^"]*"\),pid=\([0-9]*\).*/ by \1, process \2/p' | head -n 1)"
  fi
  fail "port $port, which $name needs, is taken$who; end that, or set $variable in .env"
}
