//! The overlayfs snapshot driver.
//!
//! ```text
//! <root>/snapshots/<id>/fs      the layer: the upper directory while active, a lower one once committed
//! <root>/snapshots/<id>/work    overlayfs' own, for active snapshots
//! <root>/snapshots/new-<id>     a snapshot being made; rubbish if the daemon died meanwhile
//! ```
//!
//! Committing changes nothing on the disk. Keys, parents and labels are the engine's.

mod config;
mod driver;
mod probe;

pub use config::Config;
pub use driver::open;
