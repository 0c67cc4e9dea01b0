//! Sends a few events with the crate snowplow_tracker.

use serde_json::json;
use snowplow_tracker::{
    ScreenViewEvent, SelfDescribingEvent, SelfDescribingJson, Snowplow, StructuredEvent, Subject,
};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("name the collector's URL");
    let subject = Subject::builder()
        .user_id("a@example.com")
        .language("de")
        .build()
        .expect("a subject");
    let mut tracker = Snowplow::create_tracker("ns", "shop", &url, Some(subject));
    let screen = ScreenViewEvent::builder()
        .id(uuid::Uuid::new_v4())
        .name("home")
        .build()
        .expect("an event");
    tracker.track(screen, None).expect("tracked");
    let search = SelfDescribingEvent::builder()
        .schema("iglu:com.acme/site_search/jsonschema/1-0-0")
        .data(json!({ "terms": ["ü", "b"] }))
        .build()
        .expect("an event");
    let entity = SelfDescribingJson::new("iglu:com.acme/shelf/jsonschema/1-0-0", json!({ "id": 1 }));
    tracker.track(search, Some(vec![entity])).expect("tracked");
    let play = StructuredEvent::builder()
        .category("video")
        .action("play")
        .value(2.5)
        .build()
        .expect("an event");
    tracker.track(play, None).expect("tracked");
    // Sends what waits and returns when it is acknowledged.
    tracker.close_emitter().expect("closes");
}
