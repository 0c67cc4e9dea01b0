//! DEVICE_CLASS: what kind of device a user agent names.

use super::device_rules::RULES;
use super::scalar::{Function, Kind, rows_of, text_at};
use arrow::array::StringViewArray;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::Arc;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceClass {
    /// A computer.
    Desktop,
    /// A telephone.
    Mobile,
    /// A tablet or reader.
    Tablet,
    /// A television, set-top box or console.
    Tv,
    /// A crawler, monitor or library.
    Robot,
    /// Anything else, and nothing at all.
    Unknown,
}

impl DeviceClass {
    /// The name that DEVICE_CLASS gives.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Desktop => "Desktop",
            Self::Mobile => "Mobile",
            Self::Tablet => "Tablet",
            Self::Tv => "TV",
            Self::Robot => "Robot",
            Self::Unknown => "Unknown",
        }
    }
}

/// The class of a user agent, by the first rule that it meets.
#[must_use]
pub fn device_class(user_agent: &str) -> DeviceClass {
    matching(user_agent).map_or(DeviceClass::Unknown, |rule| RULES[rule].class)
}

/// The number of the first rule that a user agent meets.
fn matching(user_agent: &str) -> Option<usize> {
    let text = user_agent.to_ascii_lowercase();
    RULES.iter().position(|rule| {
        rule.holds.iter().all(|part| text.contains(part))
            && !rule.lacks.iter().any(|part| text.contains(part))
    })
}

/// DEVICE_CLASS(useragent); Unknown for NULL.
pub(super) fn function() -> ScalarUDF {
    Function::new(
        "device_class",
        &[Kind::Text],
        0,
        DataType::Utf8View,
        |args| {
            // A batch names few devices, each many times.
            let mut known: HashMap<&str, &'static str, FixedState> = HashMap::default();
            let classes = (0..rows_of(args)).map(|row| {
                let text = text_at(&args[0], row).unwrap_or_default();
                Some(
                    *known
                        .entry(text)
                        .or_insert_with(|| device_class(text).name()),
                )
            });
            Arc::new(classes.collect::<StringViewArray>())
        },
    )
    .udf()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::scalar::call;
    use super::*;
    use datafusion::common::ScalarValue;

    #[test]
    fn every_rule_is_met_by_its_example_and_by_no_rule_before() {
        for (at, rule) in RULES.iter().enumerate() {
            assert_eq!(matching(rule.example), Some(at), "{}", rule.example);
            for part in rule.holds.iter().chain(rule.lacks) {
                assert_eq!(*part, part.to_ascii_lowercase(), "rules are in lower case");
            }
        }
    }

    #[test]
    fn every_class_has_a_rule() {
        use DeviceClass::{Desktop, Mobile, Robot, Tablet, Tv};
        for class in [Desktop, Mobile, Tablet, Tv, Robot] {
            assert!(RULES.iter().any(|rule| rule.class == class), "{class:?}");
        }
    }

    #[test]
    fn nothing_is_unknown() {
        for given in [ScalarValue::Utf8(None), "".into(), "-".into(), "ü".into()] {
            let class = call(&function(), &[given]).unwrap();
            assert_eq!(class, ScalarValue::Utf8View(Some("Unknown".to_owned())));
        }
    }
}
