//! A server's connection without threads or async: the caller's epoll loop says when the socket is ready.
//!
//! Reading yields calls; answers are given at any time and in any order and leave when the socket takes them.
//! Only unary methods: a request that announces more data is refused. An idle connection holds no buffers.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use bytes::Bytes;

use crate::frame::{Decoder, Frame, Item, flags, kind};
use crate::message::{Call, Response, too_long};
use crate::peer::require_same_user;
use crate::status::{Code, Status};

/// Bytes read at once.
const CHUNK_BYTES: usize = 4 << 10;

/// With more than this waiting to be written the connection asks for no more requests, bytes.
const BACKLOG_BYTES: usize = 8 << 20;

/// Takes the next waiting connection of a non-blocking listener; `None` when there is none. A peer of another
/// user is dropped and the next one is tried.
pub fn accept(listener: &UnixListener) -> io::Result<Option<Connection>> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                continue;
            }
            Err(e) => return Err(e),
        };
        if require_same_user(&socket).is_ok() {
            return Connection::new(socket).map(Some);
        }
    }
}

/// One client.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    outgoing: Outgoing,
    last_stream: u32,
    ended: bool,
}

impl Connection {
    /// Takes over a connected socket and makes it non-blocking. Does not look at who the peer is.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let (decoder, outgoing) = (Decoder::default(), Outgoing::default());
        Ok(Self { socket, decoder, outgoing, last_stream: 0, ended: false })
    }

    /// Reads what is there and returns the calls in it. An error, or [`Connection::is_ended`] afterwards, means
    /// that the connection is to be dropped.
    pub fn read_ready(&mut self) -> io::Result<Vec<Call>> {
        let mut calls = Vec::new();
        let mut chunk = [0; CHUNK_BYTES];
        while self.wants_read() {
            match self.socket.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    self.decoder.push(&chunk[..n]);
                    self.take_frames(&mut calls)?;
                    if n < CHUNK_BYTES {
                        break;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(calls)
    }

    /// Queues an answer and writes what the socket takes now. An error means that the connection is to be dropped.
    pub fn respond(&mut self, stream_id: u32, result: Result<Bytes, Status>) -> io::Result<()> {
        self.outgoing.push(&Response::frame(stream_id, result));
        self.write_ready()
    }

    /// Writes what the socket takes.
    pub fn write_ready(&mut self) -> io::Result<()> {
        self.outgoing.flush(&mut self.socket)
    }

    /// Whether the loop is to watch for writability.
    pub fn wants_write(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the loop is to watch for readability: not while the peer leaves too many answers unread.
    pub fn wants_read(&self) -> bool {
        !self.ended && self.outgoing.len() < BACKLOG_BYTES
    }

    /// Whether the peer has closed its side.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    fn take_frames(&mut self, calls: &mut Vec<Call>) -> io::Result<()> {
        loop {
            let item = self.decoder.next_item().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            let (stream_id, answer) = match item {
                None => return self.write_ready(),
                Some(Item::Oversized(header)) => (header.stream_id, Err(too_long(header.length as usize))),
                Some(Item::Frame(frame)) => (frame.stream_id, self.open(frame)),
            };
            match answer {
                Ok(call) => calls.extend(call),
                Err(status) => self.outgoing.push(&Response::frame(stream_id, Err(status))),
            }
        }
    }

    /// The call in a frame; `None` for a frame type that is to be ignored.
    fn open(&mut self, frame: Frame) -> Result<Option<Call>, Status> {
        match frame.kind {
            kind::REQUEST => {}
            kind::DATA => return Err(Status::new(Code::InvalidArgument, "StreamID is no longer active")),
            _ => return Ok(None),
        }
        check_stream_id(frame.stream_id, &mut self.last_stream)?;
        if frame.flags & flags::REMOTE_OPEN != 0 {
            return Err(Status::new(Code::Unimplemented, "streaming calls are not served here"));
        }
        Call::parse(frame.stream_id, frame.body).map(Some)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Refuses a new stream's number that is even or not above `last`, and remembers it.
pub(crate) fn check_stream_id(stream_id: u32, last: &mut u32) -> Result<(), Status> {
    if stream_id.is_multiple_of(2) {
        return Err(Status::new(Code::InvalidArgument, "StreamID must be odd for client initiated streams"));
    }
    if stream_id <= *last {
        return Err(Status::new(Code::InvalidArgument, "StreamID cannot be re-used and must increment"));
    }
    *last = stream_id;
    Ok(())
}

/// Bytes waiting for a socket to take them; holds no memory when there are none.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Outgoing {
    pub(crate) fn push(&mut self, frame: &Frame) {
        frame.encode(&mut self.bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The unwritten bytes.
    #[cfg(feature = "tokio")]
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Notes that the first `count` unwritten bytes are gone.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            *self = Self::default();
        }
    }

    fn flush_once(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        match socket.write(&self.bytes[self.written..]) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.advance(n);
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while !self.is_empty() && self.flush_once(socket)? {}
        Ok(())
    }
}
