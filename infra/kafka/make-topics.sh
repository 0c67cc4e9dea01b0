#!/bin/sh
# Makes the topics that files list (name, partitions, retention in hours) and leaves those alone that
# exist. KAFKA_BROKERS says where; KAFKA_TOPICS is the command, as Kafka's image has it.
#
#   make-topics.sh FILE...
set -eu

brokers=${KAFKA_BROKERS:?set KAFKA_BROKERS}
command=${KAFKA_TOPICS:-/opt/kafka/bin/kafka-topics.sh}
[ $# -gt 0 ] || { echo "name the files of topics" >&2; exit 2; }

# Each call starts a JVM: only what is missing is made.
there=$($command --bootstrap-server "$brokers" --list </dev/null)
cat "$@" | grep -v -e '^#' -e '^ *$' | while read -r name partitions hours; do
  ! echo "$there" | grep -qx "$name" || continue
  $command --bootstrap-server "$brokers" --create --if-not-exists --topic "$name" \
    --partitions "$partitions" --replication-factor 1 --config "retention.ms=$((hours * 3600000))" </dev/null
done
echo "all topics are there"
