//! From a blob's bytes to tar bytes: gzip (several members), zstd (several frames), or as they are.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// Read size from the blob, in bytes.
const BUFFER: usize = 128 << 10;

/// How a stream is packed, as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not packed.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// How many first bytes [`Packing::detect`] wants to see.
pub const MAGIC_LEN: usize = 10;

impl Packing {
    /// Looks at the first bytes of a stream.
    pub fn detect(start: &[u8]) -> Packing {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            // A zstd skippable frame: one of 16 magic numbers, little endian.
            [n, 0x2a, 0x4d, 0x18, ..] if n & 0xf0 == 0x50 => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// A stream of unpacked bytes.
pub struct Decompressor<'a>(Inner<'a>);

type Source<'a> = BufReader<Chain<Cursor<Vec<u8>>, &'a mut (dyn Read + Send)>>;

enum Inner<'a> {
    Plain(Source<'a>),
    Gzip(Box<MultiGzDecoder<Source<'a>>>),
    Zstd(zstd::stream::read::Decoder<'static, Source<'a>>),
}

impl<'a> Decompressor<'a> {
    /// Unpacks a stream by its first bytes.
    pub fn detect(stream: &'a mut (dyn Read + Send)) -> io::Result<Decompressor<'a>> {
        let start = peek(stream)?;
        let packing = Packing::detect(&start);
        Decompressor::unpack(start, stream, packing)
    }

    /// Passes the stream on as it is.
    pub fn plain(stream: &'a mut (dyn Read + Send)) -> Decompressor<'a> {
        Decompressor(Inner::Plain(source(Vec::new(), stream)))
    }

    fn unpack(
        start: Vec<u8>,
        stream: &'a mut (dyn Read + Send),
        packing: Packing,
    ) -> io::Result<Decompressor<'a>> {
        let source = source(start, stream);
        Ok(Decompressor(match packing {
            Packing::Plain => Inner::Plain(source),
            Packing::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(source))),
            Packing::Zstd => Inner::Zstd(zstd::stream::read::Decoder::with_buffer(source)?),
        }))
    }

    /// How the stream is packed.
    pub fn packing(&self) -> Packing {
        match self.0 {
            Inner::Plain(_) => Packing::Plain,
            Inner::Gzip(_) => Packing::Gzip,
            Inner::Zstd(_) => Packing::Zstd,
        }
    }
}

fn source(start: Vec<u8>, stream: &mut (dyn Read + Send)) -> Source<'_> {
    BufReader::with_capacity(BUFFER, Cursor::new(start).chain(stream))
}

fn peek(stream: &mut (dyn Read + Send)) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(MAGIC_LEN);
    stream.take(MAGIC_LEN as u64).read_to_end(&mut start)?;
    Ok(start)
}

impl Read for Decompressor<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(source) => source.read(out),
            Inner::Gzip(decoder) => decoder.read(out),
            Inner::Zstd(decoder) => decoder.read(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Compression, Compressor};
    use std::io::Write;

    fn pack(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        compressor.write_all(bytes).unwrap();
        compressor.finish().unwrap()
    }

    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = bytes;
        let mut out = Vec::new();
        Decompressor::detect(&mut stream)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_packing_is_known_by_its_first_bytes() {
        let data: Vec<u8> = (0..600_000u32).map(|i| (i / 3) as u8).collect();
        for (compression, packing) in [
            (Compression::None, Packing::Plain),
            (Compression::Gzip, Packing::Gzip),
            (Compression::Zstd, Packing::Zstd),
        ] {
            let packed = pack(compression, &data);
            assert_eq!(Packing::detect(&packed), packing);
            assert!(unpack(&packed).unwrap() == data, "{packing:?}");
            let twice = [packed.clone(), packed.clone()].concat();
            assert_eq!(unpack(&twice).unwrap().len(), 2 * data.len(), "{packing:?} twice");
            if packing != Packing::Plain {
                assert!(unpack(&packed[..packed.len() - 3]).is_err(), "{packing:?} torn");
            }
        }
        assert!(unpack(b"").unwrap().is_empty());
        assert_eq!(unpack(b"abc").unwrap(), b"abc");
    }

    #[test]
    fn skippable_frames_are_skipped() {
        let mut bytes = vec![0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        bytes.extend(pack(Compression::Zstd, b"hello"));
        assert_eq!(unpack(&bytes).unwrap(), b"hello");
    }
}
