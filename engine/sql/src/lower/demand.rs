//! Which results each windowed operator must emit, from the sink downwards.

use super::ir::{Node, Op};
use tidewheel_kernel::spec::{Emit, WindowKind, WindowSpec};

/// Sets the emit modes of a tree whose outermost windowed operator must emit `emit`.
/// `lateness` (microseconds) is what inner windows wait for late rows.
pub(crate) fn assign(node: &mut Node, emit: Emit, lateness: i64) {
    match &mut node.op {
        Op::Scan { .. } => {}
        Op::Filter { input, .. }
        | Op::Project { input, .. }
        | Op::Latest { input, .. }
        | Op::Over { input, .. } => assign(input, emit, lateness),
        Op::Window {
            input,
            emit: own,
            window,
            ..
        } => {
            *own = emit;
            assign(input, below_window(emit, window, lateness), lateness);
        }
        Op::Group {
            input,
            window: Some(_),
            emit: own,
            ..
        } => {
            *own = emit;
            assign(input, within_window(emit, lateness), lateness);
        }
        Op::Group {
            input,
            window: None,
            emit: own,
            ..
        } => {
            // Over all windows that ever were: each of them counts, open ones too.
            *own = Emit::Current;
            assign(
                input,
                Emit::EveryChange {
                    allowed_lateness: lateness,
                },
                lateness,
            );
        }
        Op::TopN {
            input, per_window, ..
        } => {
            *per_window = is_per_window(emit);
            assign(input, emit, lateness);
        }
    }
}

/// True where results are rows of windows, each with its window's columns.
pub(crate) fn is_per_window(emit: Emit) -> bool {
    match emit {
        Emit::Current | Emit::LastClosed => false,
        Emit::Closed { .. } | Emit::Final { .. } | Emit::EveryChange { .. } => true,
    }
}

/// What an inner window of a cascade emits. A current value takes every row that is still inside
/// its window, so the inner windows stay open for late rows as long as the outer one can hold
/// them: its size more than the outer one itself waits.
fn below_window(outer: Emit, window: &WindowSpec, lateness: i64) -> Emit {
    let reach = match window.kind {
        WindowKind::Tumble { size }
        | WindowKind::Hop { size, .. }
        | WindowKind::Cumulate { size, .. } => size,
        // Of sessions the order matters only for rows that are not late.
        WindowKind::Session { .. } => 0,
    };
    match outer {
        Emit::Current => Emit::EveryChange {
            allowed_lateness: lateness.max(reach),
        },
        Emit::EveryChange { allowed_lateness } => Emit::EveryChange {
            allowed_lateness: allowed_lateness.saturating_add(reach),
        },
        Emit::LastClosed | Emit::Closed { .. } | Emit::Final { .. } => Emit::Closed {
            allowed_lateness: lateness,
        },
    }
}

/// What an operator emits whose rows are grouped again within their window.
fn within_window(outer: Emit, lateness: i64) -> Emit {
    match outer {
        Emit::Final { .. } => Emit::Closed {
            allowed_lateness: lateness,
        },
        other => other,
    }
}
