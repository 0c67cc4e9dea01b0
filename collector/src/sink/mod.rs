//! Where records go, and the thread that writes them.

mod place;
mod target;
mod writer;

pub use place::{Place, PlaceError};
pub use target::SinkError;
pub use writer::{Away, Sink, Targets};
