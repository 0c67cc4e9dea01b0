//! Values as text, and arithmetic that is exact where features.md asks for it.

/// A double in its shortest form, with at least one decimal and no exponent.
pub(super) fn double(value: f64) -> String {
    let text = format!("{}", if value == 0.0 { 0.0 } else { value });
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

/// A time as RFC 3339 with milliseconds and Z.
pub(super) fn time(ms: i64) -> String {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days = ms.div_euclid(86_400_000);
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += 365 + i64::from(leap(year));
    }
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [
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
    ] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let ms = ms.rem_euclid(86_400_000);
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        days + 1,
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

/// The sum of doubles, rounded once: summed as whole multiples of 2^-80. Amounts of money fit;
/// values of 2^30 and more, or with bits below 2^-80, are summed as they come.
pub(super) fn sum(values: &[f64]) -> f64 {
    const SCALE: i32 = 80;
    let mut total = 0_i128;
    for value in values {
        let scaled = *value * 2_f64.powi(SCALE);
        if value.abs() >= 2_f64.powi(30) || scaled.fract() != 0.0 {
            return values.iter().sum();
        }
        total += scaled as i128;
    }
    total as f64 * 2_f64.powi(-SCALE)
}

/// Half even to two decimals, on the exact value of the double.
pub(super) fn round_half_even(value: f64) -> f64 {
    // The standard formatter works on the exact value and takes ties to even; a test pins that.
    format!("{value:.2}").parse().unwrap_or(value)
}

/// What kind of device a user agent is, by a few words in it.
pub(super) fn device_class(user_agent: Option<&str>) -> &'static str {
    let Some(agent) = user_agent else {
        return "Unknown";
    };
    let lower = agent.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["bot", "crawler", "spider"]) {
        "Robot"
    } else if has(&[
        "smart-tv", "smarttv", "hbbtv", "appletv", "apple tv", "googletv",
    ]) {
        "TV"
    } else if has(&["ipad", "tablet"]) || (has(&["android"]) && !has(&["mobile"])) {
        "Tablet"
    } else if has(&["iphone", "ipod", "mobile"]) {
        "Mobile"
    } else if has(&["windows nt", "macintosh", "x11", "cros"]) {
        "Desktop"
    } else {
        "Unknown"
    }
}
