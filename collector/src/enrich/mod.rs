//! What is derived from an event and from the request that brought it.

pub mod address;
pub mod agent;
pub mod campaign;
pub mod fingerprint;
pub mod location;
pub mod referrer;

use crate::bad::Failure;
use crate::columns::{self as column, Columns};
use crate::mapping::within;

/// Sets a column from a derived text, within its bound.
///
/// # Errors
/// The text is too long.
fn set(
    columns: &mut Columns<'_>,
    at: usize,
    name: &str,
    text: &str,
    most: usize,
) -> Result<(), Failure> {
    within(name, text, most)?;
    columns.set(at, text.to_owned());
    Ok(())
}

/// Splits page and referrer, and reads campaign and referrer from them.
///
/// # Errors
/// A derived text is too long for its column.
pub fn web(columns: &mut Columns<'_>, internal: &[String]) -> Result<Option<i64>, Failure> {
    let page = columns.text(column::PAGE_URL).to_owned();
    let from = columns.text(column::PAGE_REFERRER).to_owned();
    let mut left = None;
    let page = location::split(&page);
    if let Some(page) = &page {
        location::set(columns, column::PAGE_URLSCHEME, page);
        left = campaign::set(columns, page.query)?;
    }
    if let Some(from) = location::split(&from) {
        location::set(columns, column::REFR_URLSCHEME, &from);
        referrer::set(columns, page.as_ref(), &from, internal);
    }
    Ok(left)
}
