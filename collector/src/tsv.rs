//! The event as Snowplow's own topic has it: the columns of [`ATOMIC`], separated by tabs.

use crate::columns as column;
use crate::event::Event;
use crate::iglu::Entity;
use crate::time::write_tsv;
use tidewheel_core::snowplow::ATOMIC;

/// The versions that Snowplow's pipeline writes.
const CONTEXTS: &[u8] =
    b"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1\",\"data\":[";
const UNSTRUCT_EVENT: &[u8] =
    b"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\",\"data\":";

/// Appends an event, without a line end.
pub fn write(out: &mut Vec<u8>, event: &Event<'_>) {
    let time = |out: &mut Vec<u8>, time: Option<i64>| {
        if let Some(time) = time {
            write_tsv(out, time);
        }
    };
    let times = &event.times;
    for at in 0..ATOMIC.len() {
        if at > 0 {
            out.push(b'\t');
        }
        match at {
            column::ETL_TSTAMP => write_tsv(out, times.etl),
            column::COLLECTOR_TSTAMP => write_tsv(out, times.collector),
            column::DERIVED_TSTAMP => write_tsv(out, times.derived()),
            column::DVCE_CREATED_TSTAMP => time(out, times.created),
            column::DVCE_SENT_TSTAMP => time(out, times.sent),
            column::REFR_DVCE_TSTAMP => time(out, times.left),
            column::TRUE_TSTAMP => time(out, times.truth),
            column::CONTEXTS => contexts(out, &event.entities),
            column::UNSTRUCT_EVENT => {
                if let Some(unstruct) = &event.unstruct {
                    out.extend_from_slice(UNSTRUCT_EVENT);
                    unstruct.write(out);
                    out.push(b'}');
                }
            }
            column::DERIVED_CONTEXTS => {
                if let Some(derived) = &event.derived {
                    out.extend_from_slice(CONTEXTS);
                    out.extend_from_slice(derived.as_bytes());
                    out.extend_from_slice(b"]}");
                }
            }
            // Texts hold no tab: see `Columns::set`.
            at => out.extend_from_slice(event.columns.text(at).as_bytes()),
        }
    }
}

fn contexts(out: &mut Vec<u8>, entities: &[Entity<'_>]) {
    if entities.is_empty() {
        return;
    }
    out.extend_from_slice(CONTEXTS);
    for (at, entity) in entities.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        entity.write(out);
    }
    out.extend_from_slice(b"]}");
}
