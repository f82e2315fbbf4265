//! The desk and the runner over a real store.
