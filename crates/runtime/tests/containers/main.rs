//! Real containers of busybox, run through the command line in a process of its own.
//!
//! The program is the example `gantry-oci`, which `cargo test -p runtime` builds along.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod bundle;
mod errors;
mod exec;
mod hooks;
mod identity;
mod life;
mod mounts;
mod security;
mod terminal;
mod userns;
