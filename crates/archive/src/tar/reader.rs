//! Reads tar entries from a stream, without copying file data.

use std::io::{self, BufRead, Read};

use crate::error::{Error, Result};
use crate::tar::header::{self, BLOCK, Entry, Kind};
use crate::tar::pax;
use crate::tar::sparse::{self, SparseKeys};

/// Longest PAX header or GNU long name, in bytes.
const LONGEST_EXTRA: u64 = 1 << 20;

/// A tar stream. After [`Reader::next_entry`] the entry's stored data is read from [`Reader::data`]; what is left of it is
/// skipped by the next call.
pub struct Reader<R> {
    inner: R,
    remaining: u64,
    padding: u64,
    ended: bool,
}

/// What stands between a header and the one before: long names and PAX records for the next entry.
#[derive(Default)]
struct Extras {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads from the stream's present position.
    pub fn new(inner: R) -> Reader<R> {
        Reader { inner, remaining: 0, padding: 0, ended: false }
    }

    /// Reads the next header into `entry`; `false` at the end of the archive. A stream that ends where a header could
    /// begin is a whole archive.
    pub fn next_entry(&mut self, entry: &mut Entry) -> Result<bool> {
        let mut extras = Extras::default();
        loop {
            self.skip_data()?;
            if self.ended || !self.read_header(entry)? {
                return Ok(false);
            }
            let stored = if entry.kind.is_header_only() { 0 } else { entry.size };
            self.begin(stored);
            match entry.kind {
                Kind::Other(b'x') => extras.pax = Some(self.read_extra()?),
                Kind::Other(b'g') => drop(self.read_extra()?),
                Kind::Other(b'L') => extras.path = Some(self.read_long_name()?),
                Kind::Other(b'K') => extras.link = Some(self.read_long_name()?),
                _ => {
                    self.merge(entry, extras)?;
                    return Ok(true);
                }
            }
        }
    }

    /// The stored data of the entry just read.
    pub fn data(&mut self) -> Data<'_, R> {
        Data { reader: self }
    }

    /// Reads whatever follows the archive, to the end of the stream.
    pub fn drain(&mut self) -> Result<()> {
        loop {
            let len = self.inner.fill_buf().map_err(Error::Stream)?.len();
            if len == 0 {
                return Ok(());
            }
            self.inner.consume(len);
        }
    }

    /// The stream itself.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn begin(&mut self, stored: u64) {
        self.remaining = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64).wrapping_sub(stored) % BLOCK as u64;
    }

    fn merge(&mut self, entry: &mut Entry, extras: Extras) -> Result<()> {
        if let Some(path) = extras.path {
            entry.path = path;
        }
        if let Some(link) = extras.link {
            entry.link = link;
        }
        if let Some(records) = extras.pax {
            let mut keys = SparseKeys::default();
            pax::apply(&records, entry, &mut keys)?;
            let stored = if entry.kind.is_header_only() { 0 } else { entry.size };
            self.begin(stored);
            if entry.kind == Kind::Regular {
                if keys.is_in_data() {
                    keys.set_map(sparse::read_map(|| self.read_data_block())?);
                }
                keys.finish(entry, self.remaining)?;
            }
        }
        if entry.kind.is_header_only() {
            entry.size = 0;
        }
        Ok(())
    }

    fn read_data_block(&mut self) -> Result<[u8; BLOCK]> {
        if self.remaining < BLOCK as u64 {
            return Err(Error::header("sparse map"));
        }
        let mut block = [0; BLOCK];
        self.inner.read_exact(&mut block).map_err(Error::Stream)?;
        self.remaining -= BLOCK as u64;
        Ok(block)
    }

    fn read_long_name(&mut self) -> Result<Vec<u8>> {
        let mut name = self.read_extra()?;
        if let Some(end) = name.iter().position(|b| *b == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn read_extra(&mut self) -> Result<Vec<u8>> {
        if self.remaining > LONGEST_EXTRA {
            return Err(Error::header("extended header too long"));
        }
        let mut bytes = vec![0; self.remaining as usize];
        self.inner.read_exact(&mut bytes).map_err(Error::Stream)?;
        self.remaining = 0;
        Ok(bytes)
    }

    fn skip_data(&mut self) -> Result<()> {
        let mut left = self.remaining + self.padding;
        while left > 0 {
            let have = self.inner.fill_buf().map_err(Error::Stream)?.len() as u64;
            if have == 0 {
                return Err(Error::Stream(io::ErrorKind::UnexpectedEof.into()));
            }
            let step = have.min(left);
            self.inner.consume(step as usize);
            left -= step;
        }
        self.remaining = 0;
        self.padding = 0;
        Ok(())
    }

    /// Reads one header; `false` at the end mark or at the end of the stream.
    fn read_header(&mut self, entry: &mut Entry) -> Result<bool> {
        let mut block = [0; BLOCK];
        if !self.read_block(&mut block)? {
            self.ended = true;
            return Ok(false);
        }
        if block.iter().all(|b| *b == 0) {
            if self.read_block(&mut block)? && block.iter().any(|b| *b != 0) {
                return Err(Error::header("a lone zero block"));
            }
            self.ended = true;
            return Ok(false);
        }
        header::parse(&block, entry)?;
        Ok(true)
    }

    /// Reads a whole block; `false` if the stream ended right before it.
    fn read_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            let have = self.inner.fill_buf().map_err(Error::Stream)?;
            if have.is_empty() {
                if filled == 0 {
                    return Ok(false);
                }
                return Err(Error::Stream(io::ErrorKind::UnexpectedEof.into()));
            }
            let step = have.len().min(BLOCK - filled);
            block[filled..filled + step].copy_from_slice(&have[..step]);
            self.inner.consume(step);
            filled += step;
        }
        Ok(true)
    }
}

/// The stored data of one entry: a view into the stream's own buffer.
pub struct Data<'r, R> {
    reader: &'r mut Reader<R>,
}

impl<R> Data<'_, R> {
    /// Bytes left.
    pub fn remaining(&self) -> u64 {
        self.reader.remaining
    }
}

impl<R: BufRead> BufRead for Data<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let remaining = self.reader.remaining;
        if remaining == 0 {
            return Ok(&[]);
        }
        let have = self.reader.inner.fill_buf()?;
        if have.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&have[..have.len().min(usize::try_from(remaining).unwrap_or(usize::MAX))])
    }

    fn consume(&mut self, amount: usize) {
        self.reader.remaining -= amount as u64;
        self.reader.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let have = self.fill_buf()?;
        let len = have.len().min(out.len());
        out[..len].copy_from_slice(&have[..len]);
        self.consume(len);
        Ok(len)
    }
}
