//! The collector: mark what is still wanted, sweep the rest, then clean up the disk.
//!
//! ```text
//!   pressure (deletions, mutations) ─┐
//!   collect() (sync deletes) ────────┴▶ schedule ──▶ one write: mark, sweep, events
//!                                                     └▶ disk: blobs, ingests, directories without a row
//! ```
//!
//! Mark and sweep are one write, so nothing is made or leased between them. The clean-up follows outside of it and
//! takes only what no row names and nobody claims. The first run after a start looks at every disk.

mod clean;
mod graph;
mod labels;
mod mark;
mod pressure;
mod schedule;
mod sweep;

pub(crate) use clean::Disks;
pub use graph::{Collectible, Resource};
pub use pressure::Pressure;
pub(crate) use pressure::{Cleaned, Gone};
pub(crate) use schedule::Task;
pub use schedule::{Collector, Config, Stats};
