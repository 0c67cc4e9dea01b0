//! From the URIs of schemas to the names of columns.
//!
//! `iglu:com.acme/siteSearch/jsonschema/1-0-2` names, of an entity, the column
//! `contexts_com_acme_site_search_1`: only the major version enters it. The SDKs differ in how they
//! split words, so a schema has up to three names: with `_` where an uppercase letter follows one
//! that is not (Scala and Python; Scala alone writes `_` for `-`), or before every uppercase letter
//! (Go).

use std::collections::{HashMap, HashSet};

/// How the columns of self-describing events begin.
pub(crate) const EVENT: &str = "unstruct_event_";
/// How the columns of entities begin.
pub(crate) const ENTITY: &str = "contexts_";

/// Most schemas that are remembered at once.
const REMEMBERED_MAX: usize = 4_096;

/// The schemas of one kind of column.
#[derive(Debug)]
pub(crate) struct Schemas {
    prefix: &'static str,
    /// The columns that are read.
    wanted: Vec<String>,
    /// All columns of the table.
    declared: HashSet<String>,
    remembered: HashMap<Box<[u8]>, Found>,
}

/// What a schema's column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The index of the column among those that are read.
    pub(crate) wanted: Option<usize>,
    /// The table has such a column.
    pub(crate) known: bool,
}

impl Schemas {
    /// No column is read yet.
    pub(crate) fn new(prefix: &'static str, declared: &[String]) -> Self {
        Self {
            prefix,
            wanted: Vec::new(),
            declared: declared.iter().cloned().collect(),
            remembered: HashMap::new(),
        }
    }

    /// The index of a column that is read.
    pub(crate) fn want(&mut self, column: &str) -> usize {
        let known = self.wanted.iter().position(|wanted| wanted == column);
        known.unwrap_or_else(|| {
            self.wanted.push(column.to_owned());
            self.wanted.len() - 1
        })
    }

    /// True without columns that are read.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// How many columns are read.
    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// The column of a schema's URI.
    #[inline]
    pub(crate) fn find(&mut self, uri: &[u8]) -> Found {
        match self.remembered.get(uri) {
            Some(found) => *found,
            None => self.look_up(uri),
        }
    }

    #[cold]
    fn look_up(&mut self, uri: &[u8]) -> Found {
        let names = column_names(self.prefix, uri);
        let wanted = |name| self.wanted.iter().position(|wanted| wanted == name);
        let column = names.iter().find_map(wanted);
        let found = Found {
            wanted: column,
            known: column.is_some() || names.iter().any(|name| self.declared.contains(name)),
        };
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(uri.into(), found);
        found
    }
}

/// The names of a schema's column; none where the URI is no schema's.
fn column_names(prefix: &str, uri: &[u8]) -> Vec<String> {
    let Some((vendor, name, major)) = parts(uri) else {
        return Vec::new();
    };
    let vendor = vendor.replace('.', "_").to_lowercase();
    let plain = |c: char| !c.is_uppercase() && c != '_';
    let words = split_words(name, plain);
    let letters = split_words(name, |c| c != '_');
    let join = |name: &str| format!("{prefix}{vendor}_{name}_{major}");
    let mut names = vec![join(&words).replace('-', "_"), join(&words), join(&letters)];
    names.dedup();
    names
}

/// Vendor, name and major version of `iglu:vendor/name/format/1-0-0`.
fn parts(uri: &[u8]) -> Option<(&str, &str, &str)> {
    let uri = std::str::from_utf8(uri).ok()?.strip_prefix("iglu:")?;
    let mut parts = uri.split('/');
    let (vendor, name) = (parts.next()?, parts.next()?);
    let (_, version) = (parts.next()?, parts.next()?);
    let major = version.split('-').next()?;
    let digits = !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit());
    (digits && parts.next().is_none()).then_some((vendor, name, major))
}

/// Lower case, with `_` before each uppercase letter whose predecessor is `open`.
fn split_words(name: &str, open: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut before = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && open(before) {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
        before = letter;
    }
    out
}

/// What must follow the last `_` of a column's name: the major version.
pub(crate) fn has_major(column: &str) -> bool {
    column
        .rsplit_once('_')
        .is_some_and(|(_, major)| !major.is_empty() && major.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uri: &str) -> Vec<String> {
        column_names(ENTITY, uri.as_bytes())
    }

    #[test]
    fn names_are_those_of_the_sdks() {
        assert_eq!(
            names("iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0"),
            ["contexts_com_snowplowanalytics_snowplow_web_page_1"]
        );
        assert_eq!(
            names("iglu:org.w3/PerformanceNavigationTiming/jsonschema/2-0-0"),
            ["contexts_org_w3_performance_navigation_timing_2"]
        );
        assert_eq!(
            names("iglu:com.Acme/URLData/jsonschema/12-3-4"),
            [
                "contexts_com_acme_urldata_12",
                "contexts_com_acme_u_r_l_data_12"
            ]
        );
        assert_eq!(
            names("iglu:com.acme/my-thing_X/jsonschema/1"),
            [
                "contexts_com_acme_my_thing_x_1",
                "contexts_com_acme_my-thing_x_1"
            ]
        );
        for wrong in [
            "",
            "iglu:",
            "iglu:a/b/jsonschema",
            "iglu:a/b/jsonschema/x-0-0",
            "iglu:a/b/jsonschema/-0-0",
            "iglu:a/b/jsonschema/1-0-0/more",
            "http://a/b/jsonschema/1-0-0",
        ] {
            assert!(names(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn schemas_are_wanted_known_or_neither() {
        let declared = ["contexts_a_b_1".to_owned(), "contexts_a_u_r_l_1".to_owned()];
        let mut schemas = Schemas::new(ENTITY, &declared);
        assert_eq!(schemas.want("contexts_a_u_r_l_1"), 0);
        for _ in 0..2 {
            let mut find = |uri: &str| {
                let found = schemas.find(uri.as_bytes());
                (found.wanted, found.known)
            };
            assert_eq!(find("iglu:a/URL/jsonschema/1-2-3"), (Some(0), true));
            assert_eq!(find("iglu:a/b/jsonschema/1-0-0"), (None, true));
            assert_eq!(find("iglu:a/b/jsonschema/2-0-0"), (None, false));
            assert_eq!(find("no schema"), (None, false));
        }
        for n in 0..2 * REMEMBERED_MAX {
            schemas.find(n.to_string().as_bytes());
        }
        assert!(schemas.remembered.len() <= REMEMBERED_MAX);
    }
}
