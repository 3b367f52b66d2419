//! The streams of a process: where they go, how they are opened, who takes them.

pub mod console;
pub mod logger;
pub mod open;
pub mod target;
