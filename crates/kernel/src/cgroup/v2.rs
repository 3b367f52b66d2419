//! Version 2: one directory, limits in its own measures.

mod apply;
mod convert;
mod enable;
mod filter;
mod stats;

pub(super) use apply::apply;
pub(super) use enable::enable;
#[cfg(test)]
pub(super) use filter::attach;
pub(super) use stats::read as stats;

#[cfg(test)]
mod tests;
