//! What queries over one table share: the probe of a key, and slices.

use super::nodes::{input_of, length, names_of, show_window};
use super::{KeyGroup, SharedSlices};
use crate::plan::{NodeKind, PlanNode, Query};
use tidewheel_kernel::spec::{WindowKind, WindowSpec};

/// The queries by the keys of their first keyed operator.
pub(super) fn key_groups(queries: &[&Query]) -> Vec<KeyGroup> {
    let mut groups: Vec<(KeyGroup, Vec<(String, First)>)> = Vec::new();
    for query in queries {
        let Some((key, first)) = first_keyed(&query.root) else {
            continue;
        };
        let at = match groups.iter().position(|(group, _)| group.key == key) {
            Some(at) => at,
            None => {
                let group = KeyGroup {
                    key,
                    queries: Vec::new(),
                    slices: Vec::new(),
                };
                groups.push((group, Vec::new()));
                groups.len() - 1
            }
        };
        if let Some((group, firsts)) = groups.get_mut(at) {
            group.queries.push(query.name.clone());
            firsts.push((query.name.clone(), first));
        }
    }
    groups
        .into_iter()
        .map(|(mut group, firsts)| {
            group.slices = slices(firsts);
            group
        })
        .collect()
}

/// The first keyed operator of a chain.
enum First {
    Window(WindowSpec),
    Other(&'static str),
}

fn first_keyed(node: &PlanNode) -> Option<(Vec<String>, First)> {
    if let Some(found) = input_of(node).and_then(first_keyed) {
        return Some(found);
    }
    let (input, keys, first) = match &node.kind {
        NodeKind::Window {
            input,
            keys,
            window,
            ..
        } => (input, keys, First::Window(*window)),
        NodeKind::Group { input, keys, .. } => (input, keys, First::Other("lifetime values")),
        NodeKind::Latest { input, keys, .. } => (input, keys, First::Other("newest rows")),
        NodeKind::TopN {
            input, partition, ..
        } => (input, partition, First::Other("first rows")),
        NodeKind::Over {
            input, partition, ..
        } => (input, partition, First::Other("OVER")),
        NodeKind::Scan { .. } | NodeKind::Filter { .. } | NodeKind::Project { .. } => return None,
    };
    let names = names_of(input);
    let keys = keys
        .iter()
        .filter_map(|key| names.get(*key).cloned())
        .collect();
    Some((keys, first))
}

/// How far apart a window's edges are, and where they begin; `None` for sessions.
fn edges(window: &WindowSpec) -> Option<(i64, i64)> {
    let every = match window.kind {
        WindowKind::Tumble { size } => size,
        WindowKind::Hop { slide, size } if size % slide == 0 => slide,
        // Starts and ends lie at different places: nothing else joins.
        WindowKind::Hop { .. } => return None,
        WindowKind::Cumulate { step, .. } => step,
        WindowKind::Session { .. } => return None,
    };
    Some((every, window.offset.rem_euclid(every)))
}

/// How far a window's edges lie apart, and where the first is; none for sessions.
type Edges = Option<(i64, i64)>;

/// A window joins the slices of another where all of its edges are edges there.
fn slices(firsts: Vec<(String, First)>) -> Vec<SharedSlices> {
    let mut windows: Vec<(Edges, String, String)> = firsts
        .into_iter()
        .map(|(query, first)| match first {
            First::Window(window) => (edges(&window), show_window(&window), query),
            First::Other(what) => (None, what.to_owned(), query),
        })
        .collect();
    windows.sort_by_key(|(edges, _, _)| edges.map_or(i64::MAX, |(every, _)| every));
    let mut made: Vec<(Edges, SharedSlices)> = Vec::new();
    for (edges, window, query) in windows {
        let joins = |(known, slices): &(Edges, SharedSlices)| match (known, edges) {
            (Some((every, offset)), Some((own, own_offset))) => {
                own % every == 0 && own_offset.rem_euclid(*every) == *offset
            }
            (None, None) => slices.windows.contains(&window),
            _ => false,
        };
        if let Some((_, slices)) = made.iter_mut().find(|known| joins(known)) {
            if !slices.windows.contains(&window) {
                slices.windows.push(window);
            }
            slices.queries.push(query);
        } else {
            let slices = SharedSlices {
                every: edges.map(|(every, _)| length(every)),
                windows: vec![window],
                queries: vec![query],
            };
            made.push((edges, slices));
        }
    }
    made.into_iter().map(|(_, slices)| slices).collect()
}
