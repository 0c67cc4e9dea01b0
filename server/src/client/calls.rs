//! Requests to a server, and what its answers mean.

use crate::error::CliError;
use crate::serve::body::encoded;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

/// There is no such thing.
pub(super) const CODE_NOT_FOUND: u8 = 3;
const CODE_CONFLICT: u8 = 4;
const CODE_NOT_ALLOWED: u8 = 5;
const CODE_UNREACHABLE: u8 = 6;
const CODE_AWAY: u8 = 7;
/// The longest that a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest that an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(60);

/// A server.
pub(super) struct Server {
    url: String,
    token: Option<String>,
    agent: Agent,
}

/// Events of a stream, as they come: kind and data.
pub(super) struct Events(Box<dyn BufRead>);

impl Server {
    /// # Errors
    /// The URL is none.
    pub(super) fn new(url: &str, token: Option<String>) -> Result<Self, CliError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(CliError::Usage(format!(
                "the server '{url}' is no URL; write http://HOST:PORT"
            )));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .build()
            .new_agent();
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            token: token.filter(|token| !token.is_empty()),
            agent,
        })
    }

    fn bearer(&self) -> String {
        self.token
            .as_ref()
            .map(|token| format!("Bearer {token}"))
            .unwrap_or_default()
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        CliError::Server {
            message: format!(
                "cannot reach {}: {error}; is it running (tidewheel serve), and is --server right?",
                self.url
            ),
            problem: None,
            code: CODE_UNREACHABLE,
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, CliError> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bearer = self.bearer();
        if !bearer.is_empty() {
            request = request.header("authorization", bearer);
        }
        let wrong = |error: ureq::http::Error| CliError::Usage(format!("no request: {error}"));
        let response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(body.to_string()).map_err(wrong)?)
            }
            None => self.agent.run(request.body(()).map_err(wrong)?),
        };
        let response = response.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response))
    }

    fn json(&self, mut response: Response<Body>) -> Result<Value, CliError> {
        let text = response.body_mut().read_to_string();
        let text = text.map_err(|error| self.unreachable(&error))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|_| CliError::Server {
            message: format!("{} is no Tidewheel server", self.url),
            problem: None,
            code: CODE_UNREACHABLE,
        })
    }

    /// # Errors
    /// What the server says.
    pub(super) fn get(&self, path: &str) -> Result<Value, CliError> {
        self.json(self.send("GET", path, None, &[])?)
    }

    /// # Errors
    /// What the server says.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.json(self.send("POST", path, Some(body), &[])?)
    }

    /// Replaces just the text that is there now.
    ///
    /// # Errors
    /// What the server says.
    pub(super) fn replace(&self, name: &str, sql: &str) -> Result<Value, CliError> {
        let path = format!("/api/v1/queries/{}", encoded(name));
        let now = self.get(&path)?;
        let tag = now["etag"].as_str().unwrap_or("*");
        let body = json!({ "sql": sql });
        self.json(self.send("PUT", &path, Some(&body), &[("if-match", tag)])?)
    }

    /// # Errors
    /// What the server says.
    pub(super) fn delete(&self, path: &str) -> Result<(), CliError> {
        self.send("DELETE", path, None, &[]).map(|_| ())
    }

    /// # Errors
    /// What the server says.
    pub(super) fn get_events(&self, path: &str) -> Result<Events, CliError> {
        let response = self.send("GET", path, None, &[("accept", "text/event-stream")])?;
        Ok(Events::new(response))
    }

    /// # Errors
    /// What the server says.
    pub(super) fn post_events(&self, path: &str, body: &Value) -> Result<Events, CliError> {
        let accept = [("accept", "text/event-stream")];
        Ok(Events::new(self.send("POST", path, Some(body), &accept)?))
    }
}

impl Events {
    fn new(response: Response<Body>) -> Self {
        Self(Box::new(BufReader::new(response.into_body().into_reader())))
    }
}

impl Iterator for Events {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (mut kind, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if !data.is_empty() {
                    return Some((kind, data));
                }
                kind.clear();
            } else if let Some(text) = line.strip_prefix("event:") {
                text.trim().clone_into(&mut kind);
            } else if let Some(text) = line.strip_prefix("data:") {
                data.push_str(text.trim_start());
            }
        }
    }
}

/// What an answer means that is no success.
fn refused(response: Response<Body>) -> CliError {
    let status = response.status();
    let mut text = String::new();
    let _ = response
        .into_body()
        .into_reader()
        .take(1 << 20)
        .read_to_string(&mut text);
    let problem: Option<Value> = serde_json::from_str(&text).ok();
    let code = match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => 2,
        StatusCode::PAYLOAD_TOO_LARGE => 2,
        StatusCode::NOT_FOUND => CODE_NOT_FOUND,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => CODE_CONFLICT,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => CODE_NOT_ALLOWED,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => CODE_AWAY,
        _ => 1,
    };
    let message = match &problem {
        Some(problem) => super::show::problem(problem),
        None => format!("the server answered {status}"),
    };
    CliError::Server {
        message,
        problem,
        code,
    }
}
