//! Requests that may come again: a client that got no answer sends the same `Idempotency-Key`.
//!
//! What was asked is written down before it is done, and that it was done afterwards, so that a
//! repetition is known also where the service ended in between.

use super::problem::Problem;
use super::wall_ms;
use crate::catalogue::folder::{Pending, STATE_FOLDER};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;
use xxhash_rust::xxh3::xxh3_128;

/// Answers that are remembered.
const ANSWERS_MAX: usize = 1_000;
/// How long each is, milliseconds.
const REMEMBERED_MS: i64 = 24 * 3_600 * 1_000;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// An answer that was given, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    at_ms: i64,
    /// Hash of the request, to know another one under the same key.
    request: String,
    /// False until the request is carried out.
    done: bool,
}

#[derive(Debug, Default)]
struct Known {
    answers: BTreeMap<String, Given>,
    /// The keys, oldest first.
    order: VecDeque<String>,
}

/// The answers that were given; a restart keeps them.
#[derive(Debug)]
pub(crate) struct Answers {
    path: PathBuf,
    known: Mutex<Known>,
}

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

impl Known {
    fn load(path: &Path) -> Self {
        let Ok(text) = std::fs::read_to_string(path) else {
            return Self::default();
        };
        let answers: BTreeMap<String, Given> = serde_json::from_str(&text).unwrap_or_else(|error| {
            let path = path.display().to_string();
            tracing::warn!(path, %error, "does not read; repeated requests before it are not known");
            BTreeMap::new()
        });
        let mut order: Vec<String> = answers.keys().cloned().collect();
        order.sort_by_key(|key| answers[key].at_ms);
        Self {
            answers,
            order: order.into(),
        }
    }

    fn put(&mut self, key: &str, given: Given) {
        self.order.retain(|known| known != key);
        self.order.push_back(key.to_owned());
        self.answers.insert(key.to_owned(), given);
        while self.order.len() > ANSWERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, key: &str) {
        self.answers.remove(key);
        self.order.retain(|known| known != key);
    }

    fn forget_old(&mut self, now_ms: i64) {
        let old = |given: &Given| now_ms.saturating_sub(given.at_ms) >= REMEMBERED_MS;
        self.answers.retain(|_, given| !old(given));
        let answers = &self.answers;
        self.order.retain(|key| answers.contains_key(key));
    }

    /// Writes all down. Where the folder does not allow it, a restart forgets them.
    fn save(&self, path: &Path) {
        let text = serde_json::to_string(&self.answers).map_err(std::io::Error::other);
        let saved = text.and_then(|text| Pending::write_at(path, &text)?.commit());
        if let Err(error) = saved {
            let path = path.display().to_string();
            tracing::warn!(path, %error, "a repeated request is not known after a restart");
        }
    }
}

impl Answers {
    /// Those that were given for a folder's catalogue.
    pub(crate) fn load(folder: &Path) -> Self {
        let path = folder.join(STATE_FOLDER).join("answers.json");
        let known = Mutex::new(Known::load(&path));
        Self { path, known }
    }

    /// Adds the query `name` by `work`, once for each key, one at a time; a repetition gets
    /// `true`. `is_there` says whether the query is there with this very text.
    ///
    /// # Errors
    /// What `work` says; or the key was used with another request.
    pub(crate) async fn once<F>(
        &self,
        key: String,
        (name, sql): (String, String),
        is_there: impl Fn() -> bool,
        work: F,
    ) -> Result<bool, Problem>
    where
        F: Future<Output = Result<(), Problem>>,
    {
        let mut known = self.known.lock().await;
        let now_ms = wall_ms();
        known.forget_old(now_ms);
        let request = format!("{:032x}", xxh3_128(format!("{name}\n{sql}").as_bytes()));
        let before = known.answers.get(&key).cloned();
        if let Some(given) = &before {
            if given.request != request {
                return Err(Problem::unfit(
                    "this Idempotency-Key came with another request before; send a new one",
                ));
            }
            if given.done {
                return Ok(true);
            }
        }
        let given = Given {
            at_ms: now_ms,
            request,
            done: false,
        };
        known.put(&key, given.clone());
        known.save(&self.path);
        let done = work.await;
        // What was begun before may have been carried out, though nobody was left to say so.
        let again = done.is_err() && before.is_some() && is_there();
        if done.is_ok() || again {
            known.put(
                &key,
                Given {
                    done: true,
                    ..given
                },
            );
        } else {
            known.remove(&key);
        }
        known.save(&self.path);
        match done {
            Err(error) if !again => Err(error),
            _ => Ok(again),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(at_ms: i64) -> Given {
        Given {
            at_ms,
            request: "1".to_owned(),
            done: true,
        }
    }

    #[test]
    fn answers_outlive_the_process_and_are_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(STATE_FOLDER).join("answers.json");
        let mut known = Known::load(&path);
        for number in 0..ANSWERS_MAX as i64 + 5 {
            known.put(&format!("key {number}"), given(number));
        }
        known.save(&path);
        let again = Known::load(&path);
        assert_eq!(again.answers, known.answers);
        assert_eq!(again.order, known.order);
        assert_eq!(again.answers.len(), ANSWERS_MAX);
        assert!(!again.answers.contains_key("key 4"));
        let mut again = again;
        again.forget_old(REMEMBERED_MS + 10);
        assert!(!again.answers.contains_key("key 10"));
        assert!(again.answers.contains_key("key 11"));
        std::fs::write(&path, "{").expect("writes");
        assert!(Known::load(&path).answers.is_empty());
    }
}
