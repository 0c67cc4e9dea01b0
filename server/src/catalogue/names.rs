//! Names of queries: what may become a file's name.

/// Longest name of a query, in bytes: file systems allow 255, and a suffix follows.
pub(crate) const NAME_BYTES_MAX: usize = 100;
/// Names that the API's own paths have below `/queries/`.
const RESERVED: &[&str] = &["preview", "validate"];

/// Checks the name of a new query.
///
/// # Errors
/// What is wrong with it and what to write.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name is empty; write letters, digits, '-' and '_'".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "the name has {} bytes; write at most {NAME_BYTES_MAX}",
            name.len()
        ));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.chars().all(fine) || name.starts_with('-') {
        return Err(format!(
            "'{}' is no name of a query; write letters, digits, '-' and '_' only",
            name.escape_debug()
        ));
    }
    check_reserved(name)
}

/// Checks the name of a file that stands in the folder: anything goes that the engine and the
/// API can tell apart.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_file(name: &str) -> Result<(), String> {
    if name.contains(['#', '/']) || name.chars().any(char::is_control) {
        return Err("the file's name holds '#', '/' or a control character; rename it".to_owned());
    }
    check_reserved(name)
}

fn check_reserved(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err(format!(
            "'{name}' is a word of the API; choose another name"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in [
            "", ".", "..", "../x", "a/b", "a\\b", "a.sql", ".hidden", "a b", "ä", "a\0", "a#2",
            "-rf", "validate", "preview", "x\n",
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
        assert!(check(&"a".repeat(NAME_BYTES_MAX + 1)).is_err());
        for name in ["cart", "user_views-5m", "_x", "7"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }
}
