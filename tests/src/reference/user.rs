//! What stands under a shopper's keys.

use super::row::Row;
use super::{Counts, distinct_list, in_order, json, of_types, text};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn products(rows: &[&Row], w: &str, mut put: impl FnMut(&str, Option<String>)) {
    let rows = of_types(rows, &["product_view"]);
    if rows.is_empty() {
        return;
    }
    let ids: Vec<&String> = rows.iter().filter_map(|row| row.product.as_ref()).collect();
    let distinct: BTreeSet<&String> = ids.iter().copied().collect();
    put(
        &format!("product_view_count_{w}"),
        Some(distinct.len().to_string()),
    );
    put(&format!("return_view_count_{w}"), Some(histogram(&ids)));

    let first_prices: Vec<f64> = distinct
        .iter()
        .filter_map(|id| {
            rows.iter()
                .filter(|row| row.product.as_ref() == Some(id))
                .find_map(|row| row.price)
        })
        .collect();
    let mean = match first_prices.len() {
        0 => 0.0,
        count => text::sum(&first_prices) / count as f64,
    };
    put(&format!("avg_viewed_price_{w}"), Some(text::double(mean)));

    let prices: Vec<f64> = rows.iter().filter_map(|row| row.price).collect();
    let lowest = prices.iter().copied().reduce(f64::min).unwrap_or(0.0);
    let highest = prices.iter().copied().reduce(f64::max).unwrap_or(0.0);
    let range = format!("{}-{}", text::double(lowest), text::double(highest));
    put(&format!("price_range_viewed_{w}"), Some(range));

    let brands: Vec<&String> = rows.iter().filter_map(|row| row.brand.as_ref()).collect();
    put(&format!("most_viewed_brand_{w}"), most_frequent(&brands));
}

pub(super) fn categories(rows: &[&Row], w: &str, mut put: impl FnMut(&str, Option<String>)) {
    let rows = of_types(rows, &["list_view", "product_view"]);
    if rows.is_empty() {
        return;
    }
    let seen: Vec<&String> = rows
        .iter()
        .filter_map(|row| row.category.as_ref())
        .collect();
    put(&format!("top_category_{w}"), most_frequent(&seen));
    let distinct: BTreeSet<&String> = seen.iter().copied().collect();
    put(
        &format!("unique_categories_{w}"),
        Some(distinct.len().to_string()),
    );
    put(&format!("category_view_count_{w}"), Some(histogram(&seen)));
}

pub(super) fn cart(rows: &[&Row], w: &str, mut put: impl FnMut(&str, Option<String>)) {
    let (adds, removes) = (
        of_types(rows, &["add_to_cart"]),
        of_types(rows, &["remove_from_cart"]),
    );
    let both = of_types(rows, &["add_to_cart", "remove_from_cart"]);
    let Some(newest) = both.last() else { return };
    put(&format!("cart_add_count_{w}"), Some(adds.len().to_string()));
    put(
        &format!("cart_remove_count_{w}"),
        Some(removes.len().to_string()),
    );
    put(
        &format!("cart_update_frequency_{w}"),
        Some(both.len().to_string()),
    );
    put(
        &format!("cart_value_{w}"),
        newest.cart_value.map(text::double),
    );
}

pub(super) fn shopper(rows: &[&Row], w: &str, mut put: impl FnMut(&str, Option<String>)) {
    if rows.is_empty() {
        return;
    }
    if w == "1h" {
        let steps = of_types(rows, &["checkout_step"]);
        let highest = steps.iter().filter_map(|row| row.step).max();
        put(
            "checkout_furthest_step_1h",
            highest.map(|step| step.to_string()),
        );
    }
    if w == "24h" {
        let locations: Vec<&String> = rows
            .iter()
            .filter_map(|row| row.location.as_ref())
            .collect();
        put("shopper_locations_24h", Some(distinct_list(&locations)));
        let changes = locations
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count();
        put("shopper_region_changes_24h", Some(changes.to_string()));
        let clicks = of_types(rows, &["promo_click"]).len();
        put("promotions_clicked_24h", Some(clicks.to_string()));
    }
}

/// For each transaction, the revenue of its first event; 0.0 where that has none.
pub(super) fn first_revenues(rows: &[&Row]) -> Vec<f64> {
    let rows = of_types(rows, &["transaction"]);
    let mut seen = BTreeSet::new();
    rows.iter()
        .filter(|row| {
            row.order
                .as_ref()
                .is_some_and(|order| seen.insert(order.clone()))
        })
        .map(|row| row.revenue.unwrap_or(0.0))
        .collect()
}

pub(super) fn orders(amounts: &[f64], mut put: impl FnMut(&str, Option<String>)) {
    if amounts.is_empty() {
        return;
    }
    let value = text::sum(amounts);
    put("orders_count_24h", Some(amounts.len().to_string()));
    put("order_value_24h", Some(text::double(value)));
    let mean = text::round_half_even(value / amounts.len() as f64);
    put("avg_order_value_24h", Some(text::double(mean)));
}

/// At each checkout step 2: if a cart event came since the last order, its value, as it stood
/// after that event. Time and amount.
pub(super) fn inferred_orders(rows: &[&Row], counts: &mut Counts) -> Vec<(i64, f64)> {
    let mut relevant = of_types(rows, &["add_to_cart", "remove_from_cart"]);
    relevant.extend(
        of_types(rows, &["checkout_step"])
            .iter()
            .filter(|row| row.step == Some(2)),
    );
    let before = relevant.len();
    relevant.retain(|row| row.watermark.is_none_or(|watermark| row.time > watermark));
    counts.late += before - relevant.len();

    let mut found = Vec::new();
    let mut cart = None;
    for row in in_order(relevant) {
        let (total, price) = (row.cart_value.unwrap_or(0.0), row.price.unwrap_or(0.0));
        match row.event_type.as_str() {
            "add_to_cart" => cart = Some(total + price),
            "remove_from_cart" => cart = Some(total - price),
            _ => found.extend(cart.take().map(|amount| (row.time, amount))),
        }
    }
    found
}

/// The most frequent value; of several, the one seen latest. Values in the order of events.
fn most_frequent(values: &[&String]) -> Option<String> {
    let mut best: Option<(usize, &String)> = None;
    for value in values {
        let count = values.iter().filter(|other| other == &value).count();
        if best.is_none_or(|(highest, _)| count >= highest) {
            best = Some((count, value));
        }
    }
    best.map(|(_, value)| value.clone())
}

fn histogram(values: &[&String]) -> String {
    let mut counts = BTreeMap::<&String, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    json(&counts)
}
