//! The contract suites that every implementation of a model trait must pass.
//!
//! A suite takes a function that opens a fresh implementation below a directory. It panics with what is not kept.

pub mod driver;
