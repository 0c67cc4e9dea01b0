//! The Snowplow collector: takes events from trackers and writes them to a topic.
