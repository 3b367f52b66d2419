//! What the end-to-end tests and `cargo xtask demo` share: small images, a private daemon, programs run
//! under a deadline, and a census of everything a container may leave behind.
//!
//! Nothing of the product is linked in here on purpose: the harness looks at gantry from outside, with its own
//! image writer and its own eyes, so that a mistake in the product cannot hide itself. The same scenarios run
//! against a real containerd (`GANTRY_E2E_DAEMON=containerd`), which shows that the expectations are right.

pub mod census;
pub mod daemon;
pub mod follow;
pub mod image;
pub mod program;
pub mod registry;
pub mod samples;
pub mod tar;
pub mod terminal;

pub use census::Census;
pub use daemon::{Client, Daemon, Kind, Start};
pub use follow::Follower;
pub use image::{Archive, Layer};
pub use program::{Finished, Program};
