# shellcheck shell=bash disable=SC2034,SC2154
# The demo as processes of this machine, on embedded parts or a real local Kafka and Redis. Sourced by
# up.sh, which sets data, kafka, redis, traffic, clean, service.

folder="$data/native"
log_of() {
  case "$1" in
    kafka) printf '%s/kafka/server.log' "$folder" ;;
    redis) printf '%s/redis/redis.log' "$folder" ;;
    *) printf '%s/%s.log' "$folder" "$1" ;;
  esac
}

# ---- processes: a file holds a process's id and its start time, so that no stranger is ever ended

# The name of a process, in parentheses, may hold blanks: it is cut off before fields are counted.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

running() {
  local pid began
  [ -f "$folder/$1.pid" ] || return 1
  read -r pid began <"$folder/$1.pid"
  kill -0 "$pid" 2>/dev/null && [ "$(start_time "$pid")" = "$began" ]
}

# holds NAME PORT: whether a process of ours has the port already.
holds() { running "$1" && grep -qE "(:|--port )$2( |\$)" "$folder/$1.command" 2>/dev/null; }

# start NAME COMMAND...: leaves a process alone that runs with the same command and the same build.
start() {
  local name="$1" wanted pid; shift
  wanted="$* $(stat -c '%Y %s' "$tidewheel" apps/ecommerce/.next/BUILD_ID 2>/dev/null | tr '\n' ' ')"
  if running "$name"; then
    [ "$(cat "$folder/$name.command" 2>/dev/null)" = "$wanted" ] && return
    stop "$name"
  fi
  printf '%s\n' "$wanted" >"$folder/$name.command"
  setsid nohup "$@" >"$(log_of "$name")" 2>&1 </dev/null 9>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$folder/$name.pid"
}

stop() {
  local name="$1" pid began
  if running "$name"; then
    read -r pid began <"$folder/$name.pid"
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do running "$name" || break; sleep 0.1; done
    ! running "$name" || kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$folder/$name.pid" "$folder/$name.command"
}

# ---- what is built

build_store() {
  local shop=apps/ecommerce
  if ! command -v node >/dev/null || ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 9) ? 0 : 1)'; then
    fail "the shop needs Node.js 20.9 or newer, and npm: https://nodejs.org"
  fi
  command -v npm >/dev/null || fail "npm is missing; it comes with Node.js: https://nodejs.org"
  if [ ! -f $shop/node_modules/.package-lock.json ] || [ $shop/package-lock.json -nt $shop/node_modules/.package-lock.json ]; then
    say "fetching the shop's packages"
    quietly store-packages "try it by hand: cd $shop && npm ci" npm --prefix $shop ci --no-audit --no-fund
  fi
  if [ ! -f $shop/.next/BUILD_ID ] || [ -n "$(find $shop/src $shop/next.config.ts $shop/package-lock.json -newer $shop/.next/BUILD_ID -print -quit)" ]; then
    say "building the shop (about a minute)"
    quietly store-build "try it by hand: cd $shop && npm run build" npm --prefix $shop run build
  fi
}

# quietly NAME ADVICE COMMAND...: output goes to a file; its end is shown if the command fails.
quietly() {
  local name="$1" advice="$2"; shift 2
  "$@" >"$(log_of "$name")" 2>&1 && return
  tail -n 20 "$(log_of "$name")" >&2
  fail "$name failed; all of its output: $(log_of "$name"); $advice"
}

# ---- up

native_services() {
  [ "$kafka" = no ] || echo kafka
  [ "$redis" = no ] || echo redis
  echo collector
  echo tidewheel
  echo store
  [ -z "$traffic" ] || echo traffic
}

native_up() {
  mkdir -p "$folder"
  exec 9>"$data/lock"
  flock -n 9 || fail "another up.sh is at work here; wait until it has ended"
  if [ "$(started_as)" = compose ] && [ -n "$(docker compose ps -q 2>/dev/null)" ]; then
    fail "the composed services run; end them first: ./up.sh down"
  fi
  local store_port tidewheel_port collector_port kafka_port redis_port tidewheel name
  store_port="$(setting STORE_PORT)" tidewheel_port="$(setting TIDEWHEEL_PORT)" collector_port="$(setting COLLECTOR_PORT)"
  kafka_port="$(setting KAFKA_PORT)" redis_port="$(setting REDIS_PORT)"
  traffic="$(traffic_rate "$traffic")"
  [ "$traffic" != 0 ] || traffic=""

  holds store "$store_port" || need_port "$store_port" "the shop" STORE_PORT
  holds tidewheel "$tidewheel_port" || need_port "$tidewheel_port" Tidewheel TIDEWHEEL_PORT
  holds collector "$collector_port" || need_port "$collector_port" "the collector" COLLECTOR_PORT
  build_tidewheel
  build_store
  echo native >"$data/mode"

  local from=(--from "log:$folder/log") into=(--into "store:$folder/store") out="log:$folder/log" simulated="log:$folder/log"
  local environment=("BAD_EVENTS=$folder/bad_events.jsonl")
  if [ "$kafka" = yes ]; then
    start_kafka
    from=() out="kafka:127.0.0.1:$kafka_port/snowplow-enriched-good" simulated="kafka:127.0.0.1:$kafka_port/snowplow-enriched-good"
    environment+=("KAFKA_BROKERS=127.0.0.1:$kafka_port")
  fi
  if [ "$redis" = yes ]; then
    start_redis
    into=() environment+=("REDIS_URL=redis://127.0.0.1:$redis_port")
  fi
  start collector env "${environment[@]}" "$tidewheel" collect --listen "127.0.0.1:$collector_port" --out "$out" --bad "$folder/bad_requests.jsonl"
  start tidewheel env "${environment[@]}" "TIDEWHEEL_LINKS=Shop=http://localhost:$store_port" \
    "$tidewheel" serve queries --listen "127.0.0.1:$tidewheel_port" --checkpoints "$folder/checkpoints" "${from[@]}" "${into[@]}"
  start store env NEXT_TELEMETRY_DISABLED=1 "COLLECTOR_URL=http://localhost:$collector_port" "TIDEWHEEL_URL=http://127.0.0.1:$tidewheel_port" \
    node apps/ecommerce/node_modules/next/dist/bin/next start apps/ecommerce --hostname "$(setting BIND_ADDRESS)" --port "$store_port"
  if [ -n "$traffic" ]; then
    start traffic "$tidewheel" simulate --rate "$traffic" --shoppers 300 --disorder 800 --out "$simulated"
  else
    stop traffic
  fi
  # What ran before and is not asked for any more.
  if [ "$kafka" = no ] && [ -f "$folder/kafka/kafka.pid" ]; then tests/services/kafka.sh stop "$folder/kafka"; fi
  if [ "$redis" = no ] && [ -f "$folder/redis/redis.pid" ]; then tests/services/redis.sh stop "$folder/redis"; fi

  local names
  mapfile -t names < <(native_services)
  say "waiting until all of it is healthy"
  wait_for native "${names[@]}" || exit 1
  say ""
  address Shop "$store_port" /api/health "walk about, and open \"What the shop knows about you\"" /
  address Tidewheel "$tidewheel_port" / "queries, rates, a key's features" /
  address API "$tidewheel_port" /docs "to read and try" /docs
  address Collector "$collector_port" /health "where the shop's pages send events" /health
  [ "$unanswered" = 0 ] || fail "an address does not answer; see ./up.sh status and ./up.sh logs"
  if [ "$kafka" = yes ]; then say "  Kafka          127.0.0.1:$kafka_port"; fi
  if [ "$redis" = yes ]; then say "  Redis          127.0.0.1:$redis_port"; else say "  Features       $(printf '%q features %q --watch' "$tidewheel" "$folder/store")"; fi
  say "  collector: Tidewheel's own. Stop with ./up.sh down"
}

start_kafka() {
  if ! port_open "$kafka_port" || [ ! -f "$folder/kafka/kafka.pid" ]; then
    need_port "$kafka_port" Kafka KAFKA_PORT
    say "starting Kafka (its jars are fetched once)"
    quietly kafka-start "see tests/services/kafka.sh" tests/services/kafka.sh start "$kafka_port" "$folder/kafka" 9>&-
  fi
  quietly kafka-topics "see infra/kafka/make-topics.sh" tests/services/kafka.sh topics "$kafka_port" infra/kafka/topics.txt
}

start_redis() {
  if [ ! -f "$folder/redis/redis.pid" ] || ! port_open "$redis_port"; then
    need_port "$redis_port" Redis REDIS_PORT
    say "starting Redis"
    quietly redis-start "see tests/services/redis.sh" tests/services/redis.sh start "$redis_port" "$folder/redis" 9>&-
  fi
}

# ---- how it is

native_probe() {
  case "$1" in
    kafka) port_open "$(setting KAFKA_PORT)" && echo healthy || echo waiting; return ;;
    redis) port_open "$(setting REDIS_PORT)" && echo healthy || echo waiting; return ;;
  esac
  running "$1" || { echo "failed it has ended"; return; }
  local ok=yes
  case "$1" in
    collector) http_ok "$(setting COLLECTOR_PORT)" /health || ok=no ;;
    tidewheel) http_ok "$(setting TIDEWHEEL_PORT)" /readyz || ok=no ;;
    store) http_ok "$(setting STORE_PORT)" /api/health || ok=no ;;
  esac
  [ $ok = yes ] && echo healthy || echo waiting
}

native_explain() {
  say ""
  tail -n 15 "$(log_of "$1")" >&2 2>/dev/null || true
  say "error: $1: $2; above are the last lines of $(log_of "$1")"
  say "when that is mended, ./up.sh again starts what is missing; ./up.sh down stops the rest"
}

native_names() {
  local file
  for file in "$folder"/*.command; do [ -f "$file" ] && basename "$file" .command; done
  [ ! -f "$folder/kafka/kafka.pid" ] || echo kafka
  [ ! -f "$folder/redis/redis.pid" ] || echo redis
}

native_status() {
  local name names
  names="$(native_names)"
  [ -n "$names" ] || { say "nothing runs here; ./up.sh starts it"; return; }
  for name in $names; do printf '%-12s %s\n' "$name" "$(native_probe "$name")"; done
}

native_logs() {
  local files=() name
  if [ -n "$service" ]; then
    [ -f "$(log_of "$service")" ] || fail "there is no log of '$service'; what runs: $(native_names | tr '\n' ' ')"
    files=("$(log_of "$service")")
  else
    for name in $(native_names); do files+=("$(log_of "$name")"); done
    [ ${#files[@]} -gt 0 ] || fail "nothing runs here; what was said before is in $folder"
  fi
  if [ -t 1 ]; then exec tail -n 20 -F "${files[@]}"; else tail -n 20 "${files[@]}"; fi
}

native_down() {
  local name
  for name in traffic store collector tidewheel; do stop "$name"; done
  tests/services/kafka.sh stop "$folder/kafka"
  tests/services/redis.sh stop "$folder/redis"
  if [ "$clean" = yes ]; then rm -rf "$folder"; say "stopped; the data is gone"; else say "stopped; the data stays in $folder (./up.sh down --clean removes it)"; fi
}
