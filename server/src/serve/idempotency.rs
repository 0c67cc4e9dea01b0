//! Requests that may come again: a client that got no answer sends the same `Idempotency-Key`.

use super::problem::Problem;
use axum::http::HeaderMap;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Answers that are remembered.
const ANSWERS_MAX: usize = 1_000;
/// How long each is.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// An answer that was given.
#[derive(Debug, Clone)]
struct Given {
    at: Instant,
    request: (Option<String>, String),
    name: String,
}

#[derive(Debug, Default)]
struct Known {
    answers: HashMap<String, Given>,
    order: VecDeque<String>,
}

/// The answers of this process; a restart forgets them.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Known>);

/// The key that a request carries.
///
/// # Errors
/// It is empty, too long, or no plain text.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= KEY_BYTES_MAX => Ok(Some(text.to_owned())),
        _ => Err(Problem::bad_request(format!(
            "Idempotency-Key must be 1 to {KEY_BYTES_MAX} plain characters"
        ))),
    }
}

impl Answers {
    /// Runs `work` once for each key, one at a time; a repetition gets the same name. The flag
    /// says whether it was one.
    ///
    /// # Errors
    /// What `work` says; or the key was used with another request.
    pub(crate) async fn once<F>(
        &self,
        key: String,
        request: (Option<String>, String),
        work: F,
    ) -> Result<(String, bool), Problem>
    where
        F: Future<Output = Result<String, Problem>>,
    {
        let mut known = self.0.lock().await;
        if let Some(given) = known.answers.get(&key)
            && given.at.elapsed() < REMEMBERED_FOR
        {
            if given.request == request {
                return Ok((given.name.clone(), true));
            }
            return Err(Problem::unfit(
                "this Idempotency-Key came with another request before; send a new one",
            ));
        }
        let name = work.await?;
        let given = Given {
            at: Instant::now(),
            request,
            name: name.clone(),
        };
        if known.answers.insert(key.clone(), given).is_none() {
            known.order.push_back(key);
        }
        while known.order.len() > ANSWERS_MAX {
            if let Some(oldest) = known.order.pop_front() {
                known.answers.remove(&oldest);
            }
        }
        Ok((name, false))
    }
}
