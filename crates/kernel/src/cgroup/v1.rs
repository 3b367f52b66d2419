//! Version 1: one set of files per controller.

mod apply;
mod cpuset;
mod stats;

pub(super) use apply::apply;
pub(super) use apply::{pids_text, reserve};
pub(super) use cpuset::inherit;
pub(super) use stats::{page_sizes, read as stats};

#[cfg(test)]
mod tests;
