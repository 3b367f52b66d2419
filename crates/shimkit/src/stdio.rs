//! The streams of a process.

pub mod target;
