//! Windows by key: slices, sessions, timers, and the changes they make.
//!
//! [`WindowOperator`] is one shard's share of one (input, key): it finds a row's key once and
//! hands the row to its lanes. A lane is the state of one set, or of several that share their
//! slices. `moving` holds lanes with one row a key, `closing` those with a row a window,
//! `session` those of sessions. Below them: `grid` says where windows and slices lie, `slices`
//! and `tree` keep a key's slices, `cells` the aggregates (`sightings` some of them), `entries`
//! and `table` number keys, and `wheel` keeps the timers. `save` and the files of that name beside
//! the lanes write their state down and read it again.

pub(crate) mod cells;
mod closing;
pub(crate) mod entries;
mod grid;
pub(crate) mod lane;
mod moving;
mod operator;
pub(crate) mod save;
mod session;
mod sightings;
mod slices;
pub(crate) mod table;
mod tree;
pub(crate) mod wheel;

pub use operator::{LateRows, SetId, WindowOperator};
