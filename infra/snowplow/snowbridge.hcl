# Snowbridge: Enrich's TSV in, one JSON object a record out, as queries/events.sql reads it.
source {
  use "kafka" {
    brokers         = "kafka:9092"
    topic_name      = "snowplow-enriched"
    consumer_name   = "snowbridge"
    # The oldest record that nobody of this name has read.
    offsets_initial = -2
  }
}

transform {
  use "spEnrichedToJson" {}

  use "js" {
    script_path = "/snowplow/transform.js"
  }
}

target {
  use "kafka" {
    brokers    = "kafka:9092"
    topic_name = "snowplow-enriched-good"
  }
}

failure_target {
  use "kafka" {
    brokers    = "kafka:9092"
    topic_name = "snowplow-bridge-failed"
  }
}

disable_telemetry = true
