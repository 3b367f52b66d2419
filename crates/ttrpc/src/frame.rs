//! Frames: the ten byte header and an incremental decoder. Pure.

use bytes::Bytes;

/// Length of a frame's header, bytes.
pub const HEADER_BYTES: usize = 10;

/// Longest body a peer may send, bytes.
pub const MESSAGE_LIMIT: usize = 4 << 20;

/// Frame types; any other value is ignored on receipt.
pub mod kind {
    /// Opens a stream; the body is a [`crate::Request`].
    pub const REQUEST: u8 = 1;
    /// Ends a stream; the body is a [`crate::Response`].
    pub const RESPONSE: u8 = 2;
    /// One message of a streaming call.
    pub const DATA: u8 = 3;
}

/// Flag bits of a header.
pub mod flags {
    /// The sender sends nothing more on this stream.
    pub const REMOTE_CLOSED: u8 = 0x1;
    /// The sender goes on with data frames.
    pub const REMOTE_OPEN: u8 = 0x2;
    /// A data frame that carries no message.
    pub const NO_DATA: u8 = 0x4;
}

/// What stands before every body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the body, bytes.
    pub length: u32,
    /// Number of the stream; odd when a client opened it.
    pub stream_id: u32,
    /// One of [`kind`], or something newer.
    pub kind: u8,
    /// Bits of [`flags`].
    pub flags: u8,
}

impl Header {
    /// The header as it stands on the wire.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..4].copy_from_slice(&self.length.to_be_bytes());
        out[4..8].copy_from_slice(&self.stream_id.to_be_bytes());
        out[8] = self.kind;
        out[9] = self.flags;
        out
    }

    /// Reads a header; every ten bytes are one.
    pub fn decode(raw: [u8; HEADER_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, kind, flags] = raw;
        Self {
            length: u32::from_be_bytes([a, b, c, d]),
            stream_id: u32::from_be_bytes([e, f, g, h]),
            kind,
            flags,
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Number of the stream.
    pub stream_id: u32,
    /// One of [`kind`].
    pub kind: u8,
    /// Bits of [`flags`].
    pub flags: u8,
    /// The body.
    pub body: Bytes,
}

impl Frame {
    /// Appends the frame to `out`. The body must not be longer than [`MESSAGE_LIMIT`]; callers check when they
    /// build it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = self.body.len() as u32;
        let header = Header { length, stream_id: self.stream_id, kind: self.kind, flags: self.flags };
        out.reserve(HEADER_BYTES + self.body.len());
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(&self.body);
    }
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A whole frame.
    Frame(Frame),
    /// A frame over the limit; its body is skipped as it arrives and the connection stays usable.
    Oversized(Header),
}

/// The bytes cannot be ttrpc; the connection is to be closed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a ttrpc frame: type {kind}, length {length}")]
pub struct Garbage {
    /// The type byte.
    pub kind: u8,
    /// The announced length, bytes.
    pub length: u32,
}

/// Cuts a byte stream into frames. Holds no more than one unfinished frame, and no memory when it holds none.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    skip: usize,
}

/// A buffer larger than this is given back once it is empty, bytes.
const KEEP_BYTES: usize = 1 << 10;

impl Decoder {
    /// Takes the next bytes of the stream. Ask [`Decoder::next_item`] until it has none before pushing more.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = &bytes[skipped..];
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if its last byte is here.
    pub fn next_item(&mut self) -> Result<Option<Item>, Garbage> {
        let pending = &self.buffer[self.start..];
        let Some(raw) = pending.first_chunk::<HEADER_BYTES>() else {
            self.release();
            return Ok(None);
        };
        let header = Header::decode(*raw);
        let length = header.length as usize;
        if length > MESSAGE_LIMIT {
            return self.oversized(header).map(Some);
        }
        let Some(body) = pending.get(HEADER_BYTES..HEADER_BYTES + length) else {
            return Ok(None);
        };
        let body = Bytes::copy_from_slice(body);
        self.start += HEADER_BYTES + length;
        let Header { stream_id, kind, flags, .. } = header;
        Ok(Some(Item::Frame(Frame { stream_id, kind, flags, body })))
    }

    /// Whether a frame has begun and not ended: the end of the stream now is a broken peer.
    pub fn is_midway(&self) -> bool {
        self.skip > 0 || self.start < self.buffer.len()
    }

    fn oversized(&mut self, header: Header) -> Result<Item, Garbage> {
        if !(kind::REQUEST..=kind::DATA).contains(&header.kind) {
            return Err(Garbage { kind: header.kind, length: header.length });
        }
        self.start += HEADER_BYTES;
        let here = (self.buffer.len() - self.start).min(header.length as usize);
        self.start += here;
        self.skip = header.length as usize - here;
        Ok(Item::Oversized(header))
    }

    fn release(&mut self) {
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEEP_BYTES {
                self.buffer = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream_id: u32, body: &'static [u8]) -> Frame {
        Frame { stream_id, kind: kind::REQUEST, flags: flags::REMOTE_OPEN, body: Bytes::from_static(body) }
    }

    #[test]
    fn header_golden() {
        let header = Header { length: 0x0102, stream_id: 3, kind: kind::DATA, flags: 5 };
        assert_eq!(header.encode(), [0, 0, 1, 2, 0, 0, 0, 3, 3, 5]);
        assert_eq!(Header::decode(header.encode()), header);
    }

    #[test]
    fn every_split_gives_the_same_frames() {
        let frames = [frame(1, b"abc"), frame(3, b""), frame(5, b"0123456789abcdef")];
        let mut wire = Vec::new();
        frames.iter().for_each(|f| f.encode(&mut wire));
        for step in 1..wire.len() {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for chunk in wire.chunks(step) {
                decoder.push(chunk);
                while let Some(item) = decoder.next_item().expect("frames") {
                    seen.push(item);
                }
            }
            assert_eq!(seen, frames.clone().map(Item::Frame), "step {step}");
            assert!(!decoder.is_midway());
        }
    }

    #[test]
    fn oversized_is_reported_and_skipped() {
        let length = MESSAGE_LIMIT as u32 + 7;
        let header = Header { length, stream_id: 9, kind: kind::REQUEST, flags: 0 };
        let mut wire = header.encode().to_vec();
        wire.resize(HEADER_BYTES + length as usize, 0xff);
        frame(11, b"after").encode(&mut wire);
        for step in [1 << 10, 1 << 20, wire.len()] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for chunk in wire.chunks(step) {
                decoder.push(chunk);
                while let Some(item) = decoder.next_item().expect("frames") {
                    seen.push(item);
                }
                assert!(decoder.buffer.len() <= wire.len());
            }
            assert_eq!(seen, [Item::Oversized(header), Item::Frame(frame(11, b"after"))]);
        }
    }

    #[test]
    fn garbage_is_refused_and_memory_is_given_back() {
        let mut decoder = Decoder::default();
        decoder.push(b"GET / HTTP/1.1\r\n");
        assert!(decoder.next_item().is_err());
        let mut decoder = Decoder::default();
        let mut wire = Vec::new();
        Frame { body: Bytes::from(vec![0; 1 << 20]), ..frame(1, b"") }.encode(&mut wire);
        decoder.push(&wire);
        assert!(decoder.next_item().expect("frame").is_some());
        assert!(decoder.next_item().expect("none").is_none());
        assert_eq!(decoder.buffer.capacity(), 0);
    }
}
