//! Layers on a real kernel: unpacking against GNU tar, attacks, whiteouts against overlayfs, differences, image archives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod attacks;
mod diffs;
mod images;
mod overlays;
mod support;
