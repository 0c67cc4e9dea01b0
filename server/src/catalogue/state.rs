//! What the service remembers beside the files: which queries are paused.

use super::folder::{Pending, STATE_FOLDER};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// Names of the paused queries.
    #[serde(default)]
    pub paused: BTreeSet<String>,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(STATE_FOLDER).join("state.json")
}

/// Reads what was remembered; nothing where there is no file or it does not read.
pub(crate) fn load(folder: &Path) -> Remembered {
    let path = path(folder);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Remembered::default();
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let path = path.display().to_string();
        tracing::warn!(path, %error, "does not read; no query is paused");
        Remembered::default()
    })
}

/// Writes it.
///
/// # Errors
/// The folder does not allow it.
pub(crate) fn save(folder: &Path, remembered: &Remembered) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(remembered)?;
    let path = path(folder);
    if remembered.paused.is_empty() && !path.exists() {
        return Ok(());
    }
    Pending::write_at(&path, &text)?.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(load(folder.path()), Remembered::default());
        let mut remembered = Remembered::default();
        remembered.paused.insert("cart".to_owned());
        save(folder.path(), &remembered).expect("saves");
        assert_eq!(load(folder.path()), remembered);
        std::fs::write(path(folder.path()), "{").expect("writes");
        assert_eq!(load(folder.path()), Remembered::default());
    }
}
