//! Streams under the tar reader: one that is produced ahead by another thread, one that hashes what goes by.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use oci::{Digest, Digester};

/// Bytes per piece handed from one thread to the other.
const PIECE: usize = 256 << 10;
/// Pieces in flight.
const AHEAD: usize = 6;

struct Piece {
    bytes: Vec<u8>,
    len: usize,
    end: Option<io::Error>,
}

/// A stream that a second thread reads (and decompresses) ahead of its consumer. Memory is bounded; dropping it ends the
/// thread after at most one more read.
pub(crate) struct Ahead {
    full: Receiver<Piece>,
    empty: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    len: usize,
    end: Option<io::Error>,
    done: bool,
}

impl Ahead {
    /// Reads `source` on a thread of `scope`.
    pub(crate) fn spawn<'scope, R: Read + Send + 'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: R,
    ) -> Ahead {
        let (to_consumer, full) = sync_channel(AHEAD);
        let (empty, from_consumer) = sync_channel(AHEAD);
        scope.spawn(move || produce(source, &to_consumer, &from_consumer));
        Ahead { full, empty, current: Vec::new(), at: 0, len: 0, end: None, done: false }
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let spent = std::mem::take(&mut self.current);
        if !spent.is_empty() {
            // The producer may have ended already; then nobody needs the buffer.
            let _ = self.empty.try_send(spent);
        }
        self.at = 0;
        self.len = 0;
        if let Some(error) = self.end.take() {
            self.done = true;
            return Err(error);
        }
        match self.full.recv() {
            Ok(piece) => {
                self.len = piece.len;
                self.current = piece.bytes;
                self.end = piece.end;
            }
            Err(_) => self.done = true,
        }
        Ok(())
    }
}

/// Hands pieces over until the source ends or nobody takes them any more.
fn produce(mut source: impl Read, full: &SyncSender<Piece>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut bytes = empty.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
        let read = loop {
            match source.read(&mut bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        // What is there is handed over: the next read may wait long.
        let piece = match read {
            Ok(0) => return,
            Ok(len) => Piece { bytes, len, end: None },
            Err(e) => Piece { bytes, len: 0, end: Some(e) },
        };
        let is_last = piece.end.is_some();
        if full.send(piece).is_err() || is_last {
            return;
        }
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.len && !self.done {
            self.next_piece()?;
        }
        Ok(&self.current[self.at..self.len])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

/// A stream that hashes and counts what its consumer takes.
pub(crate) struct Hashing<R> {
    inner: R,
    digester: Digester,
    hashed: usize,
}

impl<R: BufRead> Hashing<R> {
    /// Hashes with sha256 from here on.
    pub(crate) fn new(inner: R) -> Hashing<R> {
        Hashing { inner, digester: Digester::default(), hashed: 0 }
    }

    /// Digest and length of everything taken.
    pub(crate) fn finish(self) -> (Digest, u64) {
        let size = self.digester.len();
        (self.digester.finish(), size)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    /// Hashes a whole buffer when it comes in: consumers take it in small steps, hashing likes large ones.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let have = self.inner.fill_buf()?;
        if have.len() > self.hashed {
            self.digester.update(&have[self.hashed..]);
            self.hashed = have.len();
        }
        Ok(have)
    }

    fn consume(&mut self, amount: usize) {
        self.hashed -= amount;
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

fn read_buffered(from: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    let have = from.fill_buf()?;
    let len = have.len().min(out.len());
    out[..len].copy_from_slice(&have[..len]);
    from.consume(len);
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order_and_is_hashed() {
        let data: Vec<u8> = (0..3_000_001u32).map(|i| ((i * 7) >> 3) as u8).collect();
        let mut out = Vec::new();
        let mut hashing = std::thread::scope(|scope| {
            let mut hashing = Hashing::new(Ahead::spawn(scope, &data[..]));
            hashing.read_to_end(&mut out).unwrap();
            hashing
        });
        assert!(hashing.fill_buf().unwrap().is_empty());
        assert_eq!(hashing.finish(), (Digest::of(&data), data.len() as u64));
        assert!(out == data);
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("torn"));
                }
                out[0] = 1;
                Ok(1)
            }
        }
        std::thread::scope(|scope| {
            let mut ahead = Ahead::spawn(scope, Broken(false));
            let mut out = Vec::new();
            assert_eq!(ahead.read_to_end(&mut out).unwrap_err().to_string(), "torn");
            assert_eq!(out, [1]);
        });
    }

    #[test]
    fn a_consumer_may_leave_early() {
        std::thread::scope(|scope| {
            let mut ahead = Ahead::spawn(scope, io::repeat(1));
            assert!(!ahead.fill_buf().unwrap().is_empty());
        });
    }
}
