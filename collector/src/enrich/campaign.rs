//! Marketing, as a page's query tells it, and the visitor's id on the site before.

use crate::bad::Failure;
use crate::columns::{self as column, Columns};
use crate::payload::{form_decode, pairs};
use crate::time::parse_millis;

/// Parameters of a query: the column, its name, its bound.
const FIELDS: [(&str, usize, &str, usize); 5] = [
    ("utm_medium", column::MKT_MEDIUM, "mkt_medium", 255),
    ("utm_source", column::MKT_SOURCE, "mkt_source", 255),
    ("utm_term", column::MKT_TERM, "mkt_term", 255),
    ("utm_content", column::MKT_CONTENT, "mkt_content", 500),
    ("utm_campaign", column::MKT_CAMPAIGN, "mkt_campaign", 255),
];

/// Parameters that hold a click's id, and the network that sets them; the first one counts.
const CLICKS: [(&str, &str); 5] = [
    ("gclid", "Google"),
    ("msclkid", "Microsoft"),
    ("dclid", "DoubleClick"),
    ("gbraid", "Google"),
    ("wbraid", "Google"),
];
/// The longest click's id.
const CLICK_MAX: usize = 1_000;

/// What a link to another domain of one's own carries: the visitor's id there and the time.
const CROSSING: &str = "_sp";
/// The longest refr_domain_userid.
const CROSSING_MAX: usize = 128;

/// Sets the columns of marketing from a page's query, and returns when the visitor left the site
/// before.
///
/// # Errors
/// A text is too long.
pub fn set(columns: &mut Columns<'_>, query: &str) -> Result<Option<i64>, Failure> {
    let mut click: Option<(usize, String)> = None;
    let mut left = None;
    for (name, value) in pairs(query) {
        // What is no UTF-8 says nothing.
        let Ok(value) = form_decode(value) else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        if let Some((_, at, name, most)) = FIELDS.iter().find(|field| field.0 == name) {
            if columns.get(*at).is_none() {
                super::set(columns, *at, name, &value, *most)?;
            }
        } else if let Some(rank) = CLICKS.iter().position(|(param, _)| *param == name) {
            if click.as_ref().is_none_or(|(before, _)| rank < *before) {
                click = Some((rank, value.into_owned()));
            }
        } else if name == CROSSING && left.is_none() {
            left = crossing(columns, &value);
        }
    }
    if let Some((rank, id)) = click {
        super::set(columns, column::MKT_CLICKID, "mkt_clickid", &id, CLICK_MAX)?;
        columns.set(column::MKT_NETWORK, CLICKS[rank].1);
    }
    Ok(left)
}

fn crossing(columns: &mut Columns<'_>, value: &str) -> Option<i64> {
    let mut parts = value.split('.');
    let id = parts.next().unwrap_or("");
    if !id.is_empty() && id.len() <= CROSSING_MAX {
        columns.set(column::REFR_DOMAIN_USERID, id.to_owned());
    }
    parts.next().and_then(parse_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (Columns<'static>, Option<i64>) {
        let mut columns = Columns::default();
        let left = set(&mut columns, query).expect(query);
        (columns, left)
    }

    #[test]
    fn campaigns_are_decoded_and_the_first_counts() {
        let (columns, _) = read(
            "utm_source=google&utm_medium=cpc&utm_campaign=winter%2Dsale&utm_term=a+b&utm_content=%C3%A9&utm_source=x&utm_medium=",
        );
        for (at, want) in [
            (column::MKT_SOURCE, "google"),
            (column::MKT_MEDIUM, "cpc"),
            (column::MKT_CAMPAIGN, "winter-sale"),
            (column::MKT_TERM, "a b"),
            (column::MKT_CONTENT, "é"),
            (column::MKT_CLICKID, ""),
        ] {
            assert_eq!(columns.text(at), want);
        }
        assert_eq!(
            read("utm_source=%ff&utm_source=b")
                .0
                .text(column::MKT_SOURCE),
            "b"
        );
        assert_eq!(read("UTM_SOURCE=a").0.get(column::MKT_SOURCE), None);
    }

    #[test]
    fn clicks_name_their_network() {
        for (query, id, network) in [
            ("gclid=1", "1", "Google"),
            ("dclid=3&msclkid=2", "2", "Microsoft"),
            ("dclid=3", "3", "DoubleClick"),
            ("wbraid=5&gclid=&gbraid=4", "4", "Google"),
            ("xclid=1", "", ""),
        ] {
            let (columns, _) = read(query);
            assert_eq!(columns.text(column::MKT_CLICKID), id, "{query}");
            assert_eq!(columns.text(column::MKT_NETWORK), network, "{query}");
        }
    }

    #[test]
    fn the_site_before_hands_over_its_visitor() {
        let (columns, left) = read("_sp=abc.1742986606033.rest");
        assert_eq!(columns.text(column::REFR_DOMAIN_USERID), "abc");
        assert_eq!(left, Some(1_742_986_606_033));
        let (columns, left) = read("_sp=.x");
        assert_eq!(
            (columns.get(column::REFR_DOMAIN_USERID), left),
            (None, None)
        );
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let mut columns = Columns::default();
        let query = format!("utm_campaign={}", "x".repeat(256));
        assert!(set(&mut columns, &query).is_err());
    }
}
