//! The shop's pages and promotions, as JSON writes them.

use crate::catalog::{CAMPAIGNS, CATEGORIES, Catalog, PROMOTIONS, SEARCHES};
use crate::event::{Event, Page};
use crate::text::write_number;

pub(crate) const HOST: &[u8] = b"https://shop.example.com";

pub(crate) fn write_promotion(out: &mut Vec<u8>, event: &Event) {
    let (id, name, slot) = PROMOTIONS[usize::from(event.promotion)];
    for part in [
        "\"promotion\":{\"id\":\"",
        id,
        "\",\"name\":\"",
        name,
        "\",\"type\":\"banner\",\"product_ids\":[\"5\"],\"slot\":\"",
        slot,
        "\"}",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
}

pub(crate) fn write_title(out: &mut Vec<u8>, page: Page, catalog: &Catalog) {
    match page {
        Page::Product(number) => {
            out.extend_from_slice(b"Shop: ");
            out.extend_from_slice(catalog.products[number as usize].name.as_bytes());
        }
        Page::Category(_) => out.extend_from_slice(b"Shop: browse the collection"),
        Page::Search(_) => out.extend_from_slice(b"Shop: search results"),
        Page::Cart => out.extend_from_slice(b"Shop: your cart"),
        Page::SignIn => out.extend_from_slice(b"Shop: sign in"),
        Page::Payment => out.extend_from_slice(b"Shop: payment"),
        Page::None | Page::Home | Page::Landing(_) | Page::Thanks => out.extend_from_slice(b"Shop"),
    }
}

pub(crate) fn write_url(out: &mut Vec<u8>, page: Page) {
    out.extend_from_slice(HOST);
    write_path(out, page);
    write_query(out, page);
}

/// From the question mark on; nothing where the page has no query.
pub(crate) fn write_query(out: &mut Vec<u8>, page: Page) {
    match page {
        Page::Landing(campaign) => {
            let [source, medium, campaign, _, content] = CAMPAIGNS[usize::from(campaign)];
            for part in [
                "?utm_source=",
                source,
                "&utm_medium=",
                medium,
                "&utm_campaign=",
                campaign,
                "&utm_content=",
                content,
            ] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        Page::Search(term) => {
            out.extend_from_slice(b"?q=");
            out.extend_from_slice(SEARCHES[usize::from(term)].as_bytes());
        }
        Page::Thanks => out.extend_from_slice(b"?success=true"),
        _ => {}
    }
}

pub(crate) fn write_path(out: &mut Vec<u8>, page: Page) {
    match page {
        Page::Category(category) => {
            out.extend_from_slice(b"/category/");
            out.extend_from_slice(CATEGORIES[usize::from(category)].0.as_bytes());
        }
        Page::Search(_) => out.extend_from_slice(b"/search"),
        Page::Product(number) => {
            out.extend_from_slice(b"/product/");
            write_number(out, u64::from(number) + 1);
        }
        Page::Cart => out.extend_from_slice(b"/cart"),
        Page::SignIn => out.extend_from_slice(b"/sign-in"),
        Page::Payment => out.extend_from_slice(b"/payment"),
        Page::None | Page::Home | Page::Landing(_) | Page::Thanks => out.push(b'/'),
    }
}
