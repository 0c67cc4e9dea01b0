//! Tables for people: types as SQL has them, texts without secrets.

use arrow::datatypes::{DataType, TimeUnit};

/// What stands in place of a secret.
const MASK: &str = "***";
/// Parts of option names whose values are secrets, whatever the connector says.
const SECRET_WORDS: &[&str] = &[
    "password",
    "secret",
    "token",
    "jaas",
    "credential",
    "private",
    "key.pem",
    "apikey",
    "api-key",
];

/// An option's value as it may be shown: a URL without its login, no password at all.
pub(crate) fn masked_option(name: &str, value: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        return MASK.to_owned();
    }
    masked_text(value)
}

/// A text with the logins of all URLs in it masked, and their secret parameters.
pub(crate) fn masked_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || "/?#'\"<>,;".contains(c))
            .unwrap_or(after.len());
        let authority = &after[..end];
        // A password may hold a slash; then the login reaches beyond what looks like the end.
        let word_end = after
            .find(|c: char| c.is_whitespace() || "'\"<>,;".contains(c))
            .unwrap_or(after.len());
        let word = &after[..word_end];
        if let Some(login_end) = word
            .rfind('@')
            .filter(|at| *at < end || !word[..*at].contains('/') || word[..*at].contains(':'))
        {
            out.push_str(MASK);
            rest = &after[login_end..];
        } else {
            out.push_str(authority);
            rest = &after[end..];
        }
    }
    out.push_str(rest);
    for parameter in ["password=", "token=", "secret="] {
        if let Some(at) = out.to_ascii_lowercase().find(parameter) {
            let start = at + parameter.len();
            let end = out[start..]
                .find(|c: char| c == '&' || c.is_whitespace() || c == '\'')
                .map_or(out.len(), |length| start + length);
            out.replace_range(start..end, MASK);
        }
    }
    out
}

/// A text of SQL with the values of secret options and the logins of URLs masked. A value that
/// only names a variable (`${NAME}`) stays.
pub(crate) fn masked_sql(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut secret = false;
    while let Some(at) = rest.find('\'') {
        let between = &rest[..at];
        secret = secret && between.trim() == "=";
        out.push_str(between);
        let inner = &rest[at + 1..];
        let end = inner.find('\'').unwrap_or(inner.len());
        let literal = &inner[..end];
        out.push('\'');
        let is_reference = literal.starts_with("${") && !literal.contains(":-");
        if secret && !is_reference && !literal.is_empty() {
            out.push_str(MASK);
        } else {
            out.push_str(literal);
        }
        if end < inner.len() {
            out.push('\'');
        }
        let lower = literal.to_ascii_lowercase();
        secret = SECRET_WORDS.iter().any(|word| lower.contains(word));
        rest = inner.get(end + 1..).unwrap_or("");
    }
    out.push_str(rest);
    masked_text(&out)
}

/// True when a text holds what [`masked_sql`] puts in place of secrets.
pub(crate) fn is_masked(text: &str) -> bool {
    text.contains("'***'") || text.contains("://***@")
}

/// A type as SQL writes it.
pub(crate) fn sql_type(data_type: &DataType) -> String {
    let fields = |fields: &arrow::datatypes::Fields| -> String {
        let field =
            |f: &arrow::datatypes::FieldRef| format!("{} {}", f.name(), sql_type(f.data_type()));
        fields.iter().map(field).collect::<Vec<_>>().join(", ")
    };
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(unit, zone) => {
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            let local = if zone.is_some() { "_LTZ" } else { "" };
            format!("TIMESTAMP{local}({digits})")
        }
        DataType::List(item) | DataType::LargeList(item) => {
            format!("ARRAY<{}>", sql_type(item.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => format!(
                "MAP<{}, {}>",
                sql_type(pair[0].data_type()),
                sql_type(pair[1].data_type())
            ),
            _ => "MAP".to_owned(),
        },
        DataType::Struct(inner) => format!("ROW<{}>", fields(inner)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_login_is_shown() {
        for (name, value, wanted) in [
            (
                "url",
                "redis://user:pa@ss@host:6379/0",
                "redis://***@host:6379/0",
            ),
            ("url", "redis://:p/w@host", "redis://***@host"),
            ("url", "redis://host:6379", "redis://host:6379"),
            ("properties.sasl.password", "x", "***"),
            ("properties.sasl.jaas.config", "x y", "***"),
            (
                "url",
                "https://h/x?token=abc&y=1",
                "https://h/x?token=***&y=1",
            ),
            ("topic", "events", "events"),
            ("path", "s3://bucket/a@b", "s3://bucket/a@b"),
        ] {
            assert_eq!(masked_option(name, value), wanted, "{value}");
        }
        assert_eq!(
            masked_text("cannot connect to redis://u:secret@h:1 or 'redis://a:b@c'"),
            "cannot connect to redis://***@h:1 or 'redis://***@c'"
        );
    }

    #[test]
    fn secrets_in_sql_are_masked_and_nothing_else() {
        for (sql, wanted) in [
            (
                "('password' = 'x y', 'topic' = 't')",
                "('password' = '***', 'topic' = 't')",
            ),
            (
                "'properties.sasl.password'='a'",
                "'properties.sasl.password'='***'",
            ),
            ("'password' = '${P}'", "'password' = '${P}'"),
            ("'password' = '${P:-x}'", "'password' = '***'"),
            (
                "'url' = '${U:-redis://u:p@h}'",
                "'url' = '${U:-redis://***@h}'",
            ),
            (
                "SELECT 'password', 'x' WHERE a = 'b'",
                "SELECT 'password', 'x' WHERE a = 'b'",
            ),
            ("it's", "it's"),
        ] {
            assert_eq!(masked_sql(sql), wanted);
            assert_eq!(is_masked(wanted), wanted.contains("***"));
        }
    }

    #[test]
    fn types_read_as_sql() {
        let text = DataType::Utf8;
        assert_eq!(
            sql_type(&DataType::Timestamp(TimeUnit::Millisecond, None)),
            "TIMESTAMP(3)"
        );
        let list = DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new(
            "item", text, true,
        )));
        assert_eq!(sql_type(&list), "ARRAY<STRING>");
    }
}
