//! The differ that walks two directory trees.
//!
//! Layers are tar, plain or packed with gzip or zstd. An encrypted or foreign layer is not its own: it answers
//! `NotImplemented`, so that the next differ is asked. Mounts that only the mount service could make are refused.

mod place;

use archive::apply::{Applied as Unpacked, Input};
use archive::compress::Compression;
use archive::diff::Options;
use model::diff::{Applied, Apply, Compare, Driver};
use model::{Error, Kind, Result};
use oci::media_type;
use std::io::{Read, Write};
use std::path::PathBuf;

/// The differ.
pub struct Walking {
    /// Where file systems are mounted that have to be.
    temporary: PathBuf,
}

impl Walking {
    /// A differ that mounts below `temporary`, which need not be there.
    pub fn new(temporary: PathBuf) -> Self {
        Self { temporary }
    }
}

impl Driver for Walking {
    fn apply(&self, apply: &Apply, layer: &mut (dyn Read + Send)) -> Result<Applied> {
        let kind = apply.diff.media_type.as_str();
        let foreign = kind.ends_with("+encrypted") || kind.starts_with(media_type::EROFS_LAYER);
        if !media_type::is_layer(kind) || foreign {
            return Err(Error::not_implemented(format!("differ walking: media type {kind:?}")));
        }
        let input = if kind == media_type::OCI_LAYER { Input::Plain } else { Input::Detect };
        place::fill(&self.temporary, &apply.mounts, |target| {
            let applied = archive::apply::apply(target, layer, input).map_err(failed)?;
            if apply.sync_fs {
                kernel::file::sync_file_system(place::directory(target)).map_err(place::system)?;
            }
            Ok(measured(applied))
        })
    }

    fn compare(&self, compare: &Compare, out: &mut (dyn Write + Send)) -> Result<Applied> {
        let compression = match compare.media_type.as_str() {
            media_type::OCI_LAYER => Compression::None,
            "" | media_type::OCI_LAYER_GZIP => Compression::Gzip,
            media_type::OCI_LAYER_ZSTD => Compression::Zstd,
            other => return Err(Error::not_implemented(format!("unsupported diff media type: {other}"))),
        };
        let options = Options { compression, latest: compare.source_date.map(|t| t.seconds) };
        place::look(&self.temporary, &compare.lower, &compare.upper, |source| {
            archive::diff::write(source, options, out).map(measured).map_err(failed)
        })
    }
}

fn measured(applied: Unpacked) -> Applied {
    Applied { diff_id: applied.diff_id, size: applied.size }
}

/// What the archive says is what clients see; nothing in it has a class but what a layer names and does not bring.
fn failed(error: archive::Error) -> Error {
    let kind = match error {
        archive::Error::Missing(_) => Kind::NotFound,
        _ => Kind::Unknown,
    };
    Error::new(kind, error.to_string()).with_source(error)
}
