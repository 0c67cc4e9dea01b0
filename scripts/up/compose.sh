# shellcheck shell=bash disable=SC2034,SC2154
# The demo as composed services. Sourced by up.sh, which sets data, traffic, snowplow, clean, service.

TERMS='Snowplow'"'"'s collector, Enrich and Snowbridge are under the Snowplow Limited Use License Agreement 1.1.
In short, and not instead of its text (https://docs.snowplow.io/limited-use-license-1.1/): for testing with
synthetic data, and for use that is not commercial; not in production; not to be passed on; not for a
competing product. Without them Tidewheel'"'"'s own collector does their work in this demo.'

compose() { docker compose "${profiles[@]}" "$@"; }
profiles=()

# Sets the one line of .env that accepts the licence, after showing what it says.
accept_licence() {
  local answer
  [ "$(setting ACCEPT_LIMITED_USE_LICENSE)" = yes ] && return
  say "$TERMS"
  [ -t 0 ] || fail "to accept it without a terminal, set ACCEPT_LIMITED_USE_LICENSE=yes in .env"
  read -r -p "Do you accept it? (yes/no) " answer
  [ "$answer" = yes ] || fail "not accepted; ./up.sh without --snowplow needs no licence"
  sed 's/^ACCEPT_LIMITED_USE_LICENSE=.*/ACCEPT_LIMITED_USE_LICENSE=yes/' .env >.env.new && mv .env.new .env
}

compose_up() {
  if [ "$snowplow" = yes ]; then accept_licence; fi
  local licence names
  licence="$(setting ACCEPT_LIMITED_USE_LICENSE)"
  case "$licence" in
    yes|no) ;;
    *) fail "ACCEPT_LIMITED_USE_LICENSE in .env is '$licence'; write yes or no" ;;
  esac
  traffic="$(traffic_rate "$traffic")"
  profiles=(--profile "licence-$licence")
  if [ "$traffic" != 0 ]; then profiles+=(--profile traffic); export TRAFFIC_RATE="$traffic"; fi
  if [ "$(started_as)" = native ] && [ -n "$(native_names)" ]; then fail "the native services run; end them first: ./up.sh down"; fi
  if [ -z "$(compose ps -q 2>/dev/null)" ]; then
    local variable
    for variable in STORE TIDEWHEEL COLLECTOR KAFKA REDIS LOCALSTACK AKHQ REDIS_INSIGHT PROMETHEUS GRAFANA; do
      need_port "$(setting "${variable}_PORT")" "$variable" "${variable}_PORT"
    done
  fi
  echo compose >"$data/mode"
  say "building images and starting services (the first time takes a while)"
  compose up --detach --build --remove-orphans >&2 || fail "docker compose could not start them; its words are above. Often a port or the disk: docker system df"
  mapfile -t names < <(compose config --services | sort)
  say "waiting until all of it is healthy"
  wait_for compose "${names[@]}" || exit 1
  say ""
  address Shop "$(setting STORE_PORT)" /api/health "walk about, and open \"What the shop knows about you\"" /
  address Tidewheel "$(setting TIDEWHEEL_PORT)" / "queries, rates, a key's features" /
  address API "$(setting TIDEWHEEL_PORT)" /docs "to read and try" /docs
  address Collector "$(setting COLLECTOR_PORT)" /health "where the shop's pages send events" /health
  address Grafana "$(setting GRAFANA_PORT)" /api/health "dashboards" /
  address Prometheus "$(setting PROMETHEUS_PORT)" /-/healthy "metrics and alerts" /
  address AKHQ "$(setting AKHQ_PORT)" / "topics" /
  address RedisInsight "$(setting REDIS_INSIGHT_PORT)" / "keys of Redis" /
  [ "$unanswered" = 0 ] || fail "an address does not answer; see ./up.sh status and ./up.sh logs"
  say "  Kafka          localhost:$(setting KAFKA_PORT)"
  say "  Redis          localhost:$(setting REDIS_PORT)"
  if [ "$licence" = yes ]; then
    say "  collector: Snowplow's own, with Enrich and Snowbridge (their licence is accepted in .env)"
  else
    say "  collector: Tidewheel's own, in place of Snowplow's (./up.sh --snowplow says why)"
  fi
  say "  Stop with ./up.sh down"
}

# What Compose says of a service, as wait_for wants it. Services that end well once are done.
compose_probe() {
  local state health code
  IFS='|' read -r state health code < <(compose ps --all --format '{{.State}}|{{.Health}}|{{.ExitCode}}' "$1" 2>/dev/null | head -n 1) || true
  case "$state:$health:$code" in
    running:healthy:*|running::*|exited::0|exited:*:0) echo healthy ;;
    exited:*|dead:*) echo "failed it ended with ${code:-an error}" ;;
    *) echo waiting ;;
  esac
}

compose_explain() {
  say ""
  compose logs --no-color --tail 15 "$1" >&2 || true
  say "error: $1: $2; above are its last lines (./up.sh logs $1 has more)"
  say "when that is mended, ./up.sh again starts what is missing; ./up.sh down stops the rest"
}

all_profiles() { profiles=(--profile licence-yes --profile licence-no --profile traffic); }
compose_status() { all_profiles; compose ps --all; }
compose_logs() { all_profiles; exec docker compose "${profiles[@]}" logs --tail 20 --follow ${service:+"$service"}; }
compose_down() {
  all_profiles
  local volumes=()
  [ "$clean" = no ] || volumes=(--volumes)
  compose down --remove-orphans "${volumes[@]}"
}
