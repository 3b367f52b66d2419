//! A client without threads or async: the caller's epoll loop says when the socket is ready.
//!
//! Calls go out in the order they are given; answers are returned as they come. Policy (order, retries, deadlines)
//! is the caller's.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use bytes::Bytes;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::frame::{Decoder, Item, kind};
use crate::message::{Request, Response, too_long};
use crate::server_sync::Outgoing;
use crate::status::{Code, Status};

/// Bytes read at once; answers to a shim's calls are empty.
const CHUNK_BYTES: usize = 1 << 10;

/// The answer to one call.
#[derive(Debug)]
pub struct Answer {
    /// Number that [`Client::send`] returned.
    pub stream_id: u32,
    /// Payload or refusal.
    pub result: Result<Bytes, Status>,
}

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    decoder: Decoder,
    outgoing: Outgoing,
    next_stream: u32,
}

impl Client {
    /// Connects to a socket's path, never waiting: a server whose backlog is full is `WouldBlock`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self::new(UnixStream::from(socket)))
    }

    /// Takes over a connected, non-blocking socket.
    pub fn new(socket: UnixStream) -> Self {
        let (decoder, outgoing) = (Decoder::default(), Outgoing::default());
        Self { socket, decoder, outgoing, next_stream: 1 }
    }

    /// Sends a unary call and returns its number. `Ok(Err(_))` is a message over the limit: nothing was sent. An
    /// I/O error means that the connection is gone.
    pub fn send(&mut self, request: &Request) -> io::Result<Result<u32, Status>> {
        let stream_id = self.next_stream;
        let Some(next_stream) = stream_id.checked_add(2) else {
            let text = "all stream numbers of this connection are used";
            return Ok(Err(Status::new(Code::Unavailable, text)));
        };
        let frame = match request.frame(stream_id, 0) {
            Ok(frame) => frame,
            Err(status) => return Ok(Err(status)),
        };
        self.next_stream = next_stream;
        self.outgoing.push(&frame);
        self.write_ready()?;
        Ok(Ok(stream_id))
    }

    /// Reads what is there and returns the answers in it. The end of the stream is `UnexpectedEof`.
    pub fn read_ready(&mut self) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) if answers.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) => return Ok(answers),
                Ok(n) => {
                    self.decoder.push(&chunk[..n]);
                    self.take_answers(&mut answers)?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(answers),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes what the socket takes.
    pub fn write_ready(&mut self) -> io::Result<()> {
        self.outgoing.flush(&mut self.socket)
    }

    /// Whether the loop is to watch for writability.
    pub fn wants_write(&self) -> bool {
        !self.outgoing.is_empty()
    }

    fn take_answers(&mut self, answers: &mut Vec<Answer>) -> io::Result<()> {
        loop {
            match self.decoder.next_item().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))? {
                None => return Ok(()),
                Some(Item::Oversized(header)) => answers.push(Answer {
                    stream_id: header.stream_id,
                    result: Err(too_long(header.length as usize)),
                }),
                Some(Item::Frame(frame)) if frame.kind == kind::RESPONSE => {
                    answers.push(Answer { stream_id: frame.stream_id, result: Response::parse(frame.body) });
                }
                Some(Item::Frame(_)) => {}
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
