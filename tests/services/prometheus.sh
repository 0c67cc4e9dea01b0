#!/usr/bin/env bash
# A real Prometheus with the demo's own configuration and alert rules gathers from a real Tidewheel and
# the exporter of a real Redis. Every expression of every dashboard must then have data, every rule be
# evaluated, and the alert for a Tidewheel that is gone come up. Kafka's exporter is no package here: a
# page with what it is described to show stands in for it.
#
#   prometheus.sh TIDEWHEEL
#
# TIDEWHEEL is the binary. Debian's prometheus and prometheus-redis-exporter are installed if missing.
set -euo pipefail
tidewheel=$(realpath "${1:?name the tidewheel binary}")
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
cd "$root"
source scripts/common.sh

was_there=$(command -v prometheus || true)
need_packages prometheus prometheus-redis-exporter redis-server
# The packages start services of their own, which would only take ports.
if [ -z "$was_there" ] && [ -d /run/systemd/system ]; then
  as_root systemctl disable --now prometheus prometheus-redis-exporter >/dev/null 2>&1 || true
fi

work=$(mktemp -d)
pids=()
stop() {
  trap - EXIT
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  tests/services/redis.sh stop "$work/redis"
  rm -rf "$work"
}
trap stop EXIT
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
redis=$(port) serve=$(port) collector=$(port) redis_exporter=$(port) kafka_exporter=$(port) prometheus=$(port)

tests/services/redis.sh start "$redis" "$work/redis"
prometheus-redis-exporter --web.listen-address "127.0.0.1:$redis_exporter" --redis.addr "redis://127.0.0.1:$redis" 2>"$work/redis-exporter.log" &
pids+=($!)
mkdir "$work/kafka"
cp tests/services/prometheus/kafka_exporter.txt "$work/kafka/metrics"
(cd "$work/kafka" && exec python3 -m http.server --bind 127.0.0.1 "$kafka_exporter" >/dev/null 2>&1) &
pids+=($!)
"$tidewheel" simulate --rate 200 --shoppers 20 --broken 0.01 --out "log:$work/log" 2>"$work/simulate.log" &
pids+=($!)
cp -r queries "$work/queries"
"$tidewheel" collect --listen "127.0.0.1:$collector" --out "log:$work/log" --bad "$work/bad_requests.jsonl" >"$work/collect.log" 2>&1 &
pids+=($!)
BAD_EVENTS="$work/bad.jsonl" REDIS_URL="redis://127.0.0.1:$redis" "$tidewheel" serve "$work/queries" --from "log:$work/log" \
  --checkpoints "$work/state" --checkpoint-interval "1 s" --listen "127.0.0.1:$serve" >"$work/serve.log" 2>&1 &
tidewheel_pid=$!
pids+=("$tidewheel_pid")

# The configuration as it is, but for where the neighbours are and how often it looks.
sed -e "s/tidewheel:8080/127.0.0.1:$serve/" -e "s/collector:9090/127.0.0.1:$collector/" -e "s/kafka-exporter:9308/127.0.0.1:$kafka_exporter/" \
  -e "s/redis-exporter:9121/127.0.0.1:$redis_exporter/" -e "s/localhost:9090/127.0.0.1:$prometheus/" \
  -e 's/_interval: 5s/_interval: 1s/' infra/prometheus/prometheus.yml >"$work/prometheus.yml"
cp infra/prometheus/alerts.yml "$work/alerts.yml"
promtool check config infra/prometheus/prometheus.yml
promtool check config "$work/prometheus.yml"
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$prometheus" 2>"$work/prometheus.log" &
pids+=($!)
for _ in $(seq 200); do
  curl -sf "http://127.0.0.1:$prometheus/-/ready" >/dev/null && curl -sf "http://127.0.0.1:$serve/readyz" >/dev/null && break
  sleep 0.1
done
# Routes and streams have counters once they were asked; so has the collector: an event, and one that is none.
curl -sf "http://127.0.0.1:$collector/i?e=pv&p=web&tv=js-4.0.0&url=http%3A%2F%2Flocalhost%2F" >/dev/null
curl -sf "http://127.0.0.1:$collector/i?e=nonsense" >/dev/null
curl -sf "http://127.0.0.1:$serve/api/v1/queries" >/dev/null
python3 tests/services/prometheus/panels.py "http://127.0.0.1:$prometheus" infra/grafana/dashboards/*.json \
  || { tail -n 5 "$work"/*.log >&2; fail "Prometheus does not have what the dashboards show"; }

kill "$tidewheel_pid"
for _ in $(seq 200); do
  if curl -sf "http://127.0.0.1:$prometheus/api/v1/alerts" | grep -q '"alertname":"TidewheelDown"'; then
    echo "a Tidewheel that is gone is told of"
    exit 0
  fi
  sleep 0.1
done
fail "no alert says that Tidewheel is gone"
