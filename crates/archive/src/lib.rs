//! Layers as tar: apply, diff, whiteouts; image archives: import and export layouts.
//!
//! Everything here is synchronous and works on streams and directory descriptors. [`apply`] turns a layer into a
//! directory, [`diff`] two directories into a layer, [`import`] and [`export`] speak image archives. A stranger wrote what
//! we unpack: every name is resolved beneath the target, component by component.
//!
//! Not here: mounting, blob storage, media type policy, names of images in a database.

pub mod apply;
pub mod compress;
pub mod decompress;
pub mod diff;
mod error;
pub mod export;
pub mod import;
pub mod layout;
mod merged;
mod stream;
pub mod tar;
mod xattr;

pub use error::{Error, Result};
