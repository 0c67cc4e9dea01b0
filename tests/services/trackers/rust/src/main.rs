//! Sends a few events with the crate snowplow_tracker, and waits until the collector has written them.
//!
//!     tracker-client URL FOLDER

use serde_json::json;
use snowplow_tracker::{
    ScreenViewEvent, SelfDescribingEvent, SelfDescribingJson, Snowplow, StructuredEvent, Subject,
};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("name the collector's URL");
    let folder = std::env::args().nth(2).expect("name the collector's folder");
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
    let own = Subject::builder()
        .timezone("Europe/Berlin")
        .build()
        .expect("a subject");
    let search = SelfDescribingEvent::builder()
        .schema("iglu:com.acme/site_search/jsonschema/1-0-0")
        .data(json!({ "terms": ["ü", "b"] }))
        // The crate sends the tracker's subject only beside one of the event's own.
        .subject(own)
        .build()
        .expect("an event");
    let entity = SelfDescribingJson::new("iglu:com.acme/shelf/jsonschema/1-0-0", json!({ "id": 1 }));
    tracker.track(search, Some(vec![entity])).expect("tracked");
    // No value: this tracker sends it as a number, and the protocol knows texts only.
    let play = StructuredEvent::builder()
        .category("video")
        .action("play")
        .build()
        .expect("an event");
    tracker.track(play, None).expect("tracked");
    tracker.flush().expect("flushes");
    // The emitter sends on its own.
    let written = || {
        let text = std::fs::read_to_string(format!("{folder}/events.jsonl")).unwrap_or_default();
        text.lines().count()
    };
    let begin = std::time::Instant::now();
    while written() < 3 {
        assert!(begin.elapsed().as_secs() < 60, "the events do not come");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    tracker.close_emitter().expect("closes");
}
