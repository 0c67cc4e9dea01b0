//! What a request brings: SQL as JSON or plainly, names and keys out of the address.

use super::problem::Problem;
use crate::tables::is_masked;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

/// A query as it is submitted. The same goes plainly: the SQL as the body, the name as `?name=`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submitted {
    /// The query's name: letters, digits, `-` and `_`. Not needed where the address has it.
    #[schema(example = "brand_views", pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$")]
    pub name: Option<String>,
    /// The statements.
    #[schema(
        min_length = 1,
        example = "CREATE TABLE views (user_key STRING, views BIGINT, PRIMARY KEY (user_key) NOT ENFORCED)\nWITH ('connector' = 'blackhole');\nINSERT INTO views SELECT user_key, COUNT(*) FROM shopper_events GROUP BY user_key;"
    )]
    pub sql: String,
}

/// The body of a request with SQL, in any of the ways it may come.
#[derive(Debug)]
pub(crate) struct SqlBody {
    /// The name in the body or in `?name=`.
    pub name: Option<String>,
    /// The statements.
    pub sql: String,
}

impl<S: Send + Sync> FromRequest<S> for SqlBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let of_address = query_values(request.uri().query().unwrap_or(""), "name").pop();
        let kind = content_type(request.headers());
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    too_large()
                } else {
                    Problem::bad_request(format!("the body cannot be read: {rejection}"))
                }
            })?;
        let body = match kind.as_str() {
            "application/json" => json(&bytes)?,
            // curl --data-binary says application/x-www-form-urlencoded, whatever it sends.
            ""
            | "application/sql"
            | "application/x-www-form-urlencoded"
            | "application/octet-stream" => plain(&bytes)?,
            text if text.starts_with("text/") => plain(&bytes)?,
            other => {
                return Err(Problem::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported-media-type",
                    "The body is of an unknown kind",
                    format!(
                        "'{other}' is not read; send application/json with {{\"name\", \"sql\"}}, \
                         or the SQL as text/plain"
                    ),
                ));
            }
        };
        let name = match (body.name, of_address) {
            (Some(a), Some(b)) if a != b => {
                return Err(Problem::bad_request(
                    "the name in the body and the one in ?name= differ; send one of them",
                ));
            }
            (a, b) => a.or(b),
        };
        if body.sql.trim().is_empty() {
            return Err(Problem::unfit(
                "the SQL is empty; send CREATE TABLE and INSERT statements",
            ));
        }
        if is_masked(&body.sql) {
            return Err(Problem::unfit(
                "the SQL holds '***' in place of a secret, as it was read from here; write \
                 ${NAME} and give the secret in the environment",
            ));
        }
        if body.sql.contains('\0') {
            return Err(Problem::unfit("the SQL holds a NUL character; remove it"));
        }
        Ok(Self {
            name,
            sql: body.sql,
        })
    }
}

/// 413.
pub(crate) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The body is too large",
        "the setting limits.request-bytes says how large a body may be",
    )
}

fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("");
    kind.trim().to_ascii_lowercase()
}

fn json(bytes: &[u8]) -> Result<Submitted, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not {{\"name\": …, \"sql\": …}}: {error}"
        ))
    })
}

fn plain(bytes: &[u8]) -> Result<Submitted, Problem> {
    let sql = std::str::from_utf8(bytes)
        .map_err(|_| Problem::bad_request("the SQL is not UTF-8"))?
        .to_owned();
    // `curl -d @file` takes the line ends out, and every comment swallows the rest.
    if !sql.contains('\n') && sql.contains("--") && sql.len() > 200 {
        return Err(Problem::bad_request(
            "the SQL is one line with a comment in it; with curl, write --data-binary @FILE, \
             since -d removes the line ends",
        ));
    }
    Ok(Submitted { name: None, sql })
}

/// The decoded values of a parameter, in order.
pub(crate) fn query_values(query: &str, name: &str) -> Vec<String> {
    raw_values(query, name)
        .map(|raw| decoded(&raw.replace('+', " ")))
        .collect()
}

/// The values of a parameter as they stand in the address.
pub(crate) fn raw_values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// The text with `%XX` replaced; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The text so that it can stand in an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_carry_any_text() {
        for text in ["a b", "ü/%?&=+,", "", "100%"] {
            assert_eq!(decoded(&encoded(text)), text);
        }
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(
            query_values("a=1&name=x%20y+z&name=", "name"),
            ["x y z", ""]
        );
    }
}
