//! From tar bytes to a blob's bytes.

use std::io::{self, Write};

use flate2::GzBuilder;
use flate2::write::GzEncoder;

/// How to pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip at its default level.
    Gzip,
    /// zstd at its default level.
    Zstd,
}

/// gzip's own default.
const GZIP_LEVEL: u32 = 6;
/// The header byte for an unknown operating system: output must not depend on ours.
const GZIP_OS_UNKNOWN: u8 = 255;

/// A stream that packs what is written to it. [`Compressor::finish`] must be called.
pub struct Compressor<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    /// Packs into `out`.
    pub fn new(out: W, compression: Compression) -> io::Result<Compressor<W>> {
        Ok(Compressor(match compression {
            Compression::None => Inner::Plain(out),
            Compression::Gzip => {
                let builder = GzBuilder::new().mtime(0).operating_system(GZIP_OS_UNKNOWN);
                Inner::Gzip(Box::new(builder.write(out, flate2::Compression::new(GZIP_LEVEL))))
            }
            Compression::Zstd => {
                Inner::Zstd(zstd::stream::write::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
        }))
    }

    /// Writes what is still held back and gives the stream back.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Plain(out) => Ok(out),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(out) => out.write(bytes),
            Inner::Gzip(encoder) => encoder.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Plain(out) => out.flush(),
            Inner::Gzip(encoder) => encoder.flush(),
            Inner::Zstd(encoder) => encoder.flush(),
        }
    }
}
