//! An OCI runtime spec from a container's configuration, its image and facts about the host; pure.
//!
//! [`default()`] is what every container begins with; [`Container::build`] lays the image's wishes and then the user's
//! upon it; [`seccomp::profile`] is what `--seccomp` allows. Whoever calls reads `/etc/passwd`, devices and capabilities
//! and passes them in.

mod container;
mod defaults;
pub mod seccomp;
mod user;

pub use container::{Container, Host, Resources, merged_env};
pub use defaults::{CAPABILITIES, DEFAULT_PATH, default};
pub use user::{Accounts, User};
