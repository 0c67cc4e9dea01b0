//! Checkpoints: the state of a pipeline at one barrier, kept in an object store.
