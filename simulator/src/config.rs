//! What to simulate.

/// Which form the lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// The topic as it is written today: lists carry `products`, transactions carry amounts,
    /// a cart's total is the one after the action.
    #[default]
    Today,
    /// An older transformer: lists carry an object `product`, transactions carry nothing, a
    /// cart's total is the one before the action and not rounded, pages are split into parts.
    Older,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineFormat {
    /// One JSON object, as Snowplow's enriched events reach a topic behind a transformer.
    #[default]
    Json,
    /// Snowplow's enriched TSV: 131 fields, the e-commerce events and entities as JSON in them.
    Tsv,
}

/// All settings of a simulation. The same settings give the same lines, byte for byte.
///
/// Fractions are of all lines, from 0 to 1, and together at most 1.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorConfig {
    /// Chooses among all possible runs.
    pub seed: u64,
    /// How many shoppers there are; at most about a third of them are in the shop at a time.
    pub shoppers: u32,
    /// How many products the shop has.
    pub products: u32,
    /// Event time of the first event, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Events for each second of event time.
    pub events_per_second: f64,
    /// The most milliseconds that a regular event arrives after its time; each draws its own.
    pub disorder_ms: u32,
    /// Fraction of lines that repeat an earlier event, as a tracker's second attempt does.
    pub repeat: f64,
    /// The most milliseconds after its first sighting that a repeat is sent.
    pub repeat_ms: u32,
    /// Fraction of lines that arrive late: more than `disorder_ms + late_ms / 2` after their time.
    pub late: f64,
    /// The most milliseconds, beyond `disorder_ms`, that a late event arrives after its time.
    pub late_ms: u32,
    /// Fraction of lines whose time lies `future_ms` ahead.
    pub future: f64,
    /// How far ahead, in milliseconds. The default is a century, so that it is the future for any
    /// wall clock.
    pub future_ms: i64,
    /// Fraction of lines that are broken; see [`crate::Breakage`].
    pub broken: f64,
    /// Fraction of lines with a harmless inconsistency: `{}` for a product or a cart, numbers as
    /// strings, a list without a name, an empty user id.
    pub untidy: f64,
    /// The form of the lines.
    pub shape: Shape,
    /// How they are written; TSV has but one shape.
    pub format: LineFormat,
    /// TSV of a tracker that adds no more entities than it does by default, and of a pipeline without
    /// enrichments: no browser, client session, timing or user agent. Lines are about half as long.
    pub lean: bool,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            shoppers: 10_000,
            products: 500,
            start_ms: 1_767_225_600_000, // 2026-01-01T00:00:00Z
            events_per_second: 100.0,
            disorder_ms: 0,
            repeat: 0.0,
            repeat_ms: 30_000,
            late: 0.0,
            late_ms: 600_000,
            future: 0.0,
            future_ms: 36_525 * 86_400_000,
            broken: 0.0,
            untidy: 0.01,
            shape: Shape::Today,
            format: LineFormat::Json,
            lean: false,
        }
    }
}

/// A setting cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A count is 0.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// A count is too high.
    #[error("{0} must be at most {1}")]
    TooMany(&'static str, u32),
    /// The rate is no number above 0, or too high.
    #[error("events per second must be above 0 and at most {RATE_MAX}, not {0}")]
    Rate(f64),
    /// A fraction is no number from 0 to 1.
    #[error("the fraction of {0} lines must be from 0 to 1, not {1}")]
    Fraction(&'static str, f64),
    /// The fractions leave no line.
    #[error(
        "the fractions of broken, repeated, future and late lines must add up to at most 0.99, not {0}"
    )]
    Fractions(f64),
    /// TSV was never written in the older shape.
    #[error("the older shape is one of JSON lines, not of TSV")]
    OlderTsv,
    /// A time is out of range.
    #[error("{0} must lie between the years 1970 and 2500")]
    Time(&'static str),
}

/// Most shoppers and products.
pub const COUNT_MAX: u32 = 50_000_000;
/// Highest rate, events for each second of event time.
pub const RATE_MAX: f64 = 1e9;
const TIME_MAX_MS: i64 = 16_725_225_600_000; // 2500-01-01

impl SimulatorConfig {
    /// Checks all settings.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, count) in [("shoppers", self.shoppers), ("products", self.products)] {
            if count == 0 {
                return Err(ConfigError::Zero(name));
            }
            if count > COUNT_MAX {
                return Err(ConfigError::TooMany(name, COUNT_MAX));
            }
        }
        if !(self.events_per_second > 0.0 && self.events_per_second <= RATE_MAX) {
            return Err(ConfigError::Rate(self.events_per_second));
        }
        let classes = [
            ("broken", self.broken),
            ("repeated", self.repeat),
            ("future", self.future),
            ("late", self.late),
        ];
        for (name, fraction) in classes.into_iter().chain([("untidy", self.untidy)]) {
            if !(0.0..=1.0).contains(&fraction) {
                return Err(ConfigError::Fraction(name, fraction));
            }
        }
        if self.format == LineFormat::Tsv && self.shape == Shape::Older {
            return Err(ConfigError::OlderTsv);
        }
        let sum: f64 = classes.iter().map(|(_, fraction)| fraction).sum();
        if sum > 0.99 {
            return Err(ConfigError::Fractions(sum));
        }
        let times = [
            ("start", self.start_ms),
            ("future", self.start_ms.saturating_add(self.future_ms)),
        ];
        for (name, time) in times {
            if !(0..TIME_MAX_MS).contains(&time) {
                return Err(ConfigError::Time(name));
            }
        }
        Ok(())
    }
}
