//! Reading of lines, as plainly as can be.

use serde_json::Value as Json;

/// A row of the topic: what features.md speaks of.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) time: i64,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) id: Option<String>,
    pub(super) event_type: String,
    pub(super) user: Option<String>,
    pub(super) session: Option<String>,
    pub(super) product: Option<String>,
    pub(super) brand: Option<String>,
    pub(super) price: Option<f64>,
    pub(super) category: Option<String>,
    pub(super) cart_value: Option<f64>,
    pub(super) step: Option<i64>,
    pub(super) order: Option<String>,
    pub(super) revenue: Option<f64>,
    pub(super) location: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) campaign: Option<String>,
    pub(super) page_url: Option<String>,
    /// The watermark before this row, once there is one.
    pub(super) watermark: Option<i64>,
}

impl Row {
    /// Reads a line. `None` is a bad row: no JSON object, no time.
    pub(super) fn read(partition: u32, offset: u64, line: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(line).ok()?;
        json.as_object()?;
        let time = time(json.get("timestamp")?.as_str()?)?;
        let text = |path: &str| text(json.pointer(path));
        let number = |path: &str| number(json.pointer(path));
        let event_type = text("/type").unwrap_or_default();
        let category = match event_type.as_str() {
            "list_view" => text("/payload/list_name"),
            "product_view" => text("/payload/product/category"),
            _ => None,
        };
        Some(Self {
            time,
            partition,
            offset,
            id: text("/id"),
            user: text("/enrich/user/user_id").or_else(|| text("/enrich/user/domain_userid")),
            session: text("/session/sessionId").or_else(|| text("/session/domain_sessionid")),
            product: text("/payload/product/id"),
            brand: text("/payload/product/brand"),
            price: number("/payload/product/price"),
            category,
            cart_value: number("/payload/cart/total_value"),
            step: number("/payload/checkout_step/step").map(|step| step as i64),
            order: text("/payload/transaction/transaction_id"),
            revenue: number("/payload/transaction/revenue"),
            location: text("/enrich/client/device/os_timezone"),
            user_agent: text("/enrich/client/useragent"),
            platform: text("/enrich/platform"),
            campaign: text("/enrich/marketing/mkt_campaign"),
            page_url: text("/payload/page_url"),
            watermark: None,
            event_type,
        })
    }

    pub(super) fn is(&self, types: &[&str]) -> bool {
        types.contains(&self.event_type.as_str())
    }

    /// The order of events: time, then partition and offset.
    pub(super) fn place(&self) -> (i64, u32, u64) {
        (self.time, self.partition, self.offset)
    }
}

/// A string that is not empty, or the JSON text of a number.
fn text(value: Option<&Json>) -> Option<String> {
    match value? {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A finite number, or a string that is one.
fn number(value: Option<&Json>) -> Option<f64> {
    let number = match value? {
        Json::Number(number) => number.as_f64()?,
        Json::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Reads `2025-03-26T10:57:56.7Z`: the fraction and an offset instead of Z are optional.
pub(super) fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    for (at, mark) in [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')] {
        if bytes.get(at) != Some(&mark) {
            return None;
        }
    }
    if !matches!(bytes.get(10), Some(b'T' | b' ')) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: i64 = (1970..year)
        .map(|year| 365 + i64::from(leap(year)))
        .sum::<i64>()
        - (year..1970)
            .map(|year| 365 + i64::from(leap(year)))
            .sum::<i64>();
    let months: i64 = lengths.iter().take(month as usize - 1).sum();
    let days = years + months + day - 1;
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            (rest.get(..end)?, rest.get(end..)?)
        }
        None => ("", rest),
    };
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset = match zone {
        "" | "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)
        }
    };
    Some(((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1_000 + ms)
}
