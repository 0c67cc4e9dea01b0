//! Sessions, and what stands under their keys.

use super::row::Row;
use super::{Counts, SESSION_GAP, Value, distinct_list, in_order, of_types, text};
use std::collections::BTreeMap;

/// The rows of the key's newest session, in order; rows that came too late for theirs are left
/// out.
pub(super) fn newest_session<'a>(rows: &[&'a Row], counts: &mut Counts) -> Vec<&'a Row> {
    let mut accepted: Vec<&Row> = Vec::new();
    for row in rows {
        let (_, last) = session_of(row.time, &accepted);
        let closed = row
            .watermark
            .is_some_and(|watermark| watermark >= last + SESSION_GAP - 1);
        if closed {
            counts.late += 1;
        } else {
            accepted.push(row);
        }
    }
    let Some(newest) = accepted.iter().map(|row| row.time).max() else {
        return accepted;
    };
    let (first, last) = session_of(newest, &accepted);
    accepted.retain(|row| (first..=last).contains(&row.time));
    in_order(accepted)
}

/// First and last time of the session that a row at `time` makes or joins.
fn session_of(time: i64, rows: &[&Row]) -> (i64, i64) {
    let (mut first, mut last) = (time, time);
    loop {
        let near: Vec<i64> = rows
            .iter()
            .map(|row| row.time)
            .filter(|time| (first - SESSION_GAP..=last + SESSION_GAP).contains(time))
            .collect();
        let lowest = near.iter().copied().fold(first, i64::min);
        let highest = near.iter().copied().fold(last, i64::max);
        if (lowest, highest) == (first, last) {
            return (first, last);
        }
        (first, last) = (lowest, highest);
    }
}

pub(super) fn session(id: &str, rows: &[&Row], values: &mut BTreeMap<String, Value>) {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return;
    };
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.insert(format!("session:{id}:{name}"), Value::String(value));
        }
    };
    let pages = of_types(rows, &["page_view"]);
    let adds = of_types(rows, &["add_to_cart"]).len();
    let views = of_types(rows, &["product_view"]).len();
    let searches = pages.iter().filter(|row| {
        row.page_url
            .as_ref()
            .is_some_and(|url| url.contains("/search?q="))
    });
    let ratio = if views == 0 {
        0.0
    } else {
        adds as f64 / views as f64
    };
    let devices: Vec<String> = rows
        .iter()
        .map(|row| text::device_class(row.user_agent.as_deref()).to_owned())
        .collect();
    put(
        "session_duration",
        Some((last.time - first.time).to_string()),
    );
    put("session_page_count", Some(pages.len().to_string()));
    put("session_bounce", Some((pages.len() < 2).to_string()));
    put(
        "session_marketing_campaign",
        rows.iter().find_map(|row| row.campaign.clone()),
    );
    put("session_cart_ratio", Some(text::double(ratio)));
    put("session_search_count", Some(searches.count().to_string()));
    put(
        "shopper_device_types",
        Some(distinct_list(&devices.iter().collect::<Vec<_>>())),
    );
    put("shopper_latest_platform", last.platform.clone());
}
