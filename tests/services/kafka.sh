#!/usr/bin/env bash
# A real Kafka broker of one node for tests, from Maven Central.
#
#   kafka.sh install          fetches the jars once, into ${TIDEWHEEL_CACHE:-~/.cache/tidewheel}
#   kafka.sh start PORT DIR   broker on 127.0.0.1:PORT, controller on PORT+1, data in DIR; a DIR
#                             that was used before is taken up again; waits until it is ready
#   kafka.sh stop DIR         ends it in order; `kill DIR` ends it at once
#   kafka.sh topics PORT FILE makes the topics that a file lists, as infra/kafka/topics.txt does
#
# Environment: KAFKA_HEAP (default 512m).
set -euo pipefail

KAFKA_VERSION=4.1.0
SCALA_VERSION=2.13
LOG4J_VERSION=2.24.3
HOME_DIR="${TIDEWHEEL_CACHE:-$HOME/.cache/tidewheel}/kafka/$KAFKA_VERSION"

fail() { echo "kafka.sh: $*" >&2; exit 1; }

need() {
  local missing=()
  command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
  [ "$1" = run ] || command -v mvn >/dev/null || missing+=(maven)
  [ ${#missing[@]} = 0 ] && return
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  [ -z "$sudo" ] || command -v sudo >/dev/null || fail "missing: ${missing[*]}; install as root"
  { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends "${missing[@]}"; } >&2 \
    || fail "could not be installed by apt-get: ${missing[*]}"
}

install() {
  [ -f "$HOME_DIR/complete-with-tools" ] && return
  need build
  mkdir -p "$HOME_DIR"
  # Test binaries may ask at the same time.
  exec 9>"$HOME_DIR/lock"
  flock 9
  if [ ! -f "$HOME_DIR/complete-with-tools" ]; then
    cat >"$HOME_DIR/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidewheel</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId>
      <artifactId>kafka_$SCALA_VERSION</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version></dependency>
  </dependencies>
</project>
POM
    mvn -q -B -f "$HOME_DIR/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$HOME_DIR/libs" -DincludeScope=runtime >&2 \
      || fail "the jars could not be fetched by maven"
    cat >"$HOME_DIR/log4j2.properties" <<'LOG'
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
LOG
    touch "$HOME_DIR/complete-with-tools"
  fi
  flock -u 9
  exec 9>&-
}

properties() {
  local port=$1 dir=$2 controller=$(($1 + 1))
  cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:$controller
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.retention.hours=-1
log.cleaner.backoff.ms=200
log.initial.task.delay.ms=200
log.retention.check.interval.ms=500
PROPERTIES
}

start() {
  local port=$1 dir=$2 pid
  install
  need run
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  properties "$port" "$dir"
  local classes="$HOME_DIR/libs/*"
  if [ ! -f "$dir/data/meta.properties" ]; then
    local id
    id=$(java -XX:TieredStopAtLevel=1 -cp "$classes" kafka.tools.StorageTool random-uuid 2>/dev/null)
    java -XX:TieredStopAtLevel=1 -cp "$classes" kafka.tools.StorageTool format -t "$id" \
      -c "$dir/server.properties" --standalone >"$dir/format.log" 2>&1 \
      || { cat "$dir/format.log" >&2; fail "the data folder could not be formatted"; }
  fi
  : >"$dir/server.log"
  setsid nohup java -Xms"${KAFKA_HEAP:-512m}" -Xmx"${KAFKA_HEAP:-512m}" \
    -Dlog4j2.configurationFile="$HOME_DIR/log4j2.properties" -cp "$classes" \
    kafka.Kafka "$dir/server.properties" >>"$dir/server.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/kafka.pid"
  for _ in $(seq 600); do
    grep -q "Kafka Server started" "$dir/server.log" && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 30 "$dir/server.log" >&2
  fail "the broker on port $port did not start"
}

end() {
  local signal=$1 pid_file="$2/kafka.pid" pid
  [ -f "$pid_file" ] || return 0
  pid=$(cat "$pid_file")
  # A number from before the machine was started anew may be a stranger's by now.
  grep -qa kafka.Kafka "/proc/$pid/cmdline" 2>/dev/null || { rm -f "$pid_file"; return 0; }
  kill "-$signal" "$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 "$pid" 2>/dev/null || { rm -f "$pid_file"; return 0; }
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$pid_file"
}

topics() {
  KAFKA_BROKERS="127.0.0.1:$1" \
    KAFKA_TOPICS="java -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=$HOME_DIR/log4j2.properties -cp $HOME_DIR/libs/* org.apache.kafka.tools.TopicCommand" \
    sh -f "$(dirname "${BASH_SOURCE[0]}")/../../infra/kafka/make-topics.sh" "$2"
}

case "${1:-}" in
  install) install ;;
  start) [ $# = 3 ] || fail "usage: kafka.sh start PORT DIR"; start "$2" "$3" ;;
  stop) [ $# = 2 ] || fail "usage: kafka.sh stop DIR"; end TERM "$2" ;;
  kill) [ $# = 2 ] || fail "usage: kafka.sh kill DIR"; end KILL "$2" ;;
  topics) [ $# = 3 ] || fail "usage: kafka.sh topics PORT FILE"; topics "$2" "$3" ;;
  *) fail "usage: kafka.sh install | start PORT DIR | stop DIR | kill DIR | topics PORT FILE" ;;
esac
