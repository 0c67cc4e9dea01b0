#!/bin/sh
# Makes the topics that a file lists (name, partitions, retention in hours) and leaves those alone
# that exist. KAFKA_BROKERS says where; KAFKA_TOPICS is the command, as Kafka's image has it.
set -eu

brokers=${KAFKA_BROKERS:?set KAFKA_BROKERS}
command=${KAFKA_TOPICS:-/opt/kafka/bin/kafka-topics.sh}

grep -v -e '^#' -e '^ *$' "${1:?name the file of topics}" | while read -r name partitions hours; do
  $command --bootstrap-server "$brokers" --create --if-not-exists --topic "$name" \
    --partitions "$partitions" --replication-factor 1 --config "retention.ms=$((hours * 3600000))" </dev/null
done
echo "all topics are there"
