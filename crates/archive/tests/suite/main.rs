//! Layers on a real kernel: unpacking against GNU tar, attacks, whiteouts against overlayfs, differences, image archives.

mod apply;
mod attacks;
mod diffs;
mod images;
mod overlays;
mod support;
