//! The asynchronous client: many calls at once over one connection.
//!
//! One task owns the socket and ends when the peer goes or the last [`Client`] is dropped. Dropping a call's
//! future forgets the call and disturbs no other. A stream whose reader is slow stops the connection's reading,
//! as the protocol has no flow control of its own.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

use crate::frame::{Decoder, Frame, Item, flags, kind};
use crate::message::{KeyValue, Request, Response, timeout_nano, too_long};
use crate::server_sync::Outgoing;
use crate::status::{Code, Status};

/// Frames that may wait between callers and the connection's task.
const QUEUE_FRAMES: usize = 64;

/// Messages of one stream that may wait for its reader.
const STREAM_MESSAGES: usize = 64;

/// With more than this waiting to be written, callers wait, bytes.
const BACKLOG_BYTES: usize = 8 << 20;

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The server refused.
    #[error("{0}")]
    Status(Status),
    /// The caller's time ran out.
    #[error("context deadline exceeded")]
    Deadline,
    /// The connection is lost; whether the server acted is not known.
    #[error("ttrpc: closed")]
    Closed,
}

/// One call, as the caller states it.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Full name of the service.
    pub service: String,
    /// Name of the method.
    pub method: String,
    /// The encoded request message.
    pub payload: Bytes,
    /// Metadata; keys in lower case.
    pub metadata: Vec<KeyValue>,
    /// How long the caller waits; also told to the server. `None` is for ever.
    pub timeout: Option<Duration>,
}

/// Which sides of a streaming call send more than one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streaming {
    /// The client does; the server answers once.
    FromClient,
    /// The server does; the request is the invocation's payload.
    FromServer,
    /// Both do.
    Both,
}

/// One connection; clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Frame>,
}

impl Client {
    /// Connects to a socket's path.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::spawn)
    }

    /// Takes over a connected socket and spawns the task that serves it.
    pub fn spawn(socket: UnixStream) -> Self {
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
        let streams = Mutex::new(Streams { next: 1, open: HashMap::new(), closed: false });
        let shared = Arc::new(Shared { streams, closed: watch::Sender::new(false) });
        let connection = Connection {
            socket,
            decoder: Decoder::default(),
            outgoing: Outgoing::default(),
            shared: Arc::clone(&shared),
            stalled: None,
        };
        tokio::spawn(connection.run(frames));
        Self { shared, queue }
    }

    /// Makes a unary call. Its result is the answer's payload.
    pub async fn call(&self, invocation: Invocation) -> Result<Bytes, Error> {
        let timeout = invocation.timeout;
        within(timeout, async {
            let (sender, receiver) = oneshot::channel();
            let slot = self.open(invocation, 0, Waiter::Unary(sender)).await?;
            let result = receiver.await.map_err(|_| Error::Closed);
            drop(slot);
            result?.map_err(Error::Status)
        })
        .await
    }

    /// Opens a streaming call. The invocation's timeout bounds the whole stream on the server; here it bounds
    /// the opening only.
    pub async fn stream(&self, invocation: Invocation, streaming: Streaming) -> Result<ClientStream, Error> {
        let timeout = invocation.timeout;
        let header_flags = match streaming {
            Streaming::FromServer => flags::REMOTE_CLOSED,
            Streaming::FromClient | Streaming::Both => flags::REMOTE_OPEN,
        };
        within(timeout, async {
            let (sender, events) = mpsc::channel(STREAM_MESSAGES);
            let slot = self.open(invocation, header_flags, Waiter::Stream(sender)).await?;
            let sending = streaming != Streaming::FromServer;
            Ok(ClientStream { slot, queue: self.queue.clone(), events, sending, ended: false })
        })
        .await
    }

    /// Waits until the connection is lost.
    pub async fn closed(&self) {
        let mut closed = self.shared.closed.subscribe();
        // The sender lives in `shared`, so the wait cannot fail.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// A watch that becomes true when the connection is lost.
    pub fn watch_closed(&self) -> watch::Receiver<bool> {
        self.shared.closed.subscribe()
    }

    /// Numbers the stream and queues its first frame as one step, since numbers must rise on the wire.
    async fn open(&self, invocation: Invocation, header_flags: u8, waiter: Waiter) -> Result<Slot, Error> {
        let Invocation { service, method, payload, metadata, timeout } = invocation;
        let request = Request { service, method, payload, timeout_nano: timeout_nano(timeout), metadata };
        let mut frame = request.frame(0, header_flags).map_err(Error::Status)?;
        let permit = self.queue.reserve().await.map_err(|_| Error::Closed)?;
        let mut streams = self.shared.lock();
        let next = streams.next.checked_add(2).ok_or(Error::Closed)?;
        if streams.closed {
            return Err(Error::Closed);
        }
        let stream_id = std::mem::replace(&mut streams.next, next);
        streams.open.insert(stream_id, waiter);
        frame.stream_id = stream_id;
        permit.send(frame);
        drop(streams);
        Ok(Slot { shared: Arc::clone(&self.shared), stream_id })
    }
}

async fn within<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or(Err(Error::Deadline)),
    }
}

/// A streaming call under way; dropping it forgets the call.
#[derive(Debug)]
pub struct ClientStream {
    slot: Slot,
    queue: mpsc::Sender<Frame>,
    events: mpsc::Receiver<Event>,
    sending: bool,
    ended: bool,
}

impl ClientStream {
    /// Sends one message.
    pub async fn send(&mut self, body: Bytes) -> Result<(), Error> {
        if body.len() > crate::MESSAGE_LIMIT {
            return Err(Error::Status(too_long(body.len())));
        }
        self.send_frame(0, body).await
    }

    /// Says that no more messages come. Idempotent.
    pub async fn close_send(&mut self) -> Result<(), Error> {
        if self.sending {
            self.send_frame(flags::REMOTE_CLOSED | flags::NO_DATA, Bytes::new()).await?;
            self.sending = false;
        }
        Ok(())
    }

    /// The server's next message; `None` when it has ended the stream well.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.ended {
            match self.events.recv().await.ok_or(Error::Closed)? {
                Event::Data { header_flags, body } => {
                    self.ended = header_flags & flags::REMOTE_CLOSED != 0;
                    if header_flags & flags::NO_DATA == 0 {
                        return Ok(Some(body));
                    }
                }
                Event::End(result) => {
                    self.ended = true;
                    let body = result.map_err(Error::Status)?;
                    return Ok(Some(body).filter(|body| !body.is_empty()));
                }
            }
        }
        Ok(None)
    }

    /// Ends our side and waits for the single answer of a [`Streaming::FromClient`] call.
    pub async fn finish(mut self) -> Result<Bytes, Error> {
        self.close_send().await?;
        Ok(self.receive().await?.unwrap_or_default())
    }

    async fn send_frame(&mut self, header_flags: u8, body: Bytes) -> Result<(), Error> {
        let frame = Frame { stream_id: self.slot.stream_id, kind: kind::DATA, flags: header_flags, body };
        self.queue.send(frame).await.map_err(|_| Error::Closed)
    }
}

#[derive(Debug)]
enum Event {
    Data { header_flags: u8, body: Bytes },
    End(Result<Bytes, Status>),
}

#[derive(Debug)]
enum Waiter {
    Unary(oneshot::Sender<Result<Bytes, Status>>),
    Stream(mpsc::Sender<Event>),
}

#[derive(Debug)]
struct Streams {
    next: u32,
    open: HashMap<u32, Waiter>,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    streams: Mutex<Streams>,
    closed: watch::Sender<bool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut streams = self.lock();
        streams.closed = true;
        streams.open = HashMap::new();
        drop(streams);
        self.closed.send_replace(true);
    }
}

/// A stream's entry in the table; dropping it removes the entry.
#[derive(Debug)]
struct Slot {
    shared: Arc<Shared>,
    stream_id: u32,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut streams = self.shared.lock();
        streams.open.remove(&self.stream_id);
        if streams.open.is_empty() {
            streams.open.shrink_to_fit();
        }
    }
}

/// What the connection's task owns.
struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    outgoing: Outgoing,
    shared: Arc<Shared>,
    stalled: Option<(mpsc::Sender<Event>, Event)>,
}

impl Connection {
    async fn run(mut self, mut frames: mpsc::Receiver<Frame>) {
        while self.step(&mut frames).await.is_ok_and(|more| more) {}
        self.shared.close();
    }

    /// Waits for one thing and does it. False when the last client is gone and all is written.
    async fn step(&mut self, frames: &mut mpsc::Receiver<Frame>) -> io::Result<bool> {
        let Self { socket, outgoing, stalled, .. } = self;
        tokio::select! {
            ready = socket.writable(), if !outgoing.is_empty() => {
                ready?;
                write_some(&self.socket, &mut self.outgoing)?;
            }
            () = reserve(stalled), if stalled.is_some() => {
                self.resume();
                self.dispatch()?;
            }
            ready = socket.readable(), if stalled.is_none() => {
                ready?;
                self.read_some()?;
            }
            frame = frames.recv(), if outgoing.len() < BACKLOG_BYTES => match frame {
                Some(frame) => {
                    self.outgoing.push(&frame);
                    write_some(&self.socket, &mut self.outgoing)?;
                }
                None if self.outgoing.is_empty() => return Ok(false),
                None => {
                    self.socket.writable().await?;
                    write_some(&self.socket, &mut self.outgoing)?;
                }
            },
        }
        Ok(true)
    }

    fn read_some(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        match self.socket.try_read(&mut chunk) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.decoder.push(&chunk[..n]);
                self.dispatch()
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn resume(&mut self) {
        if let Some((sender, event)) = self.stalled.take()
            && let Err(mpsc::error::TrySendError::Full(event)) = sender.try_send(event)
        {
            self.stalled = Some((sender, event));
        }
    }

    /// Hands whole frames to their callers until one of them is not ready.
    fn dispatch(&mut self) -> io::Result<()> {
        while self.stalled.is_none() {
            let item = self.decoder.next_item().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            match item {
                None => return Ok(()),
                Some(Item::Oversized(header)) => {
                    let status =
                        Status::new(Code::ResourceExhausted, too_long(header.length as usize).message);
                    self.deliver(header.stream_id, Event::End(Err(status)));
                }
                Some(Item::Frame(frame)) => match frame.kind {
                    kind::RESPONSE => self.deliver(frame.stream_id, Event::End(Response::parse(frame.body))),
                    kind::DATA => {
                        let event = Event::Data { header_flags: frame.flags, body: frame.body };
                        self.deliver(frame.stream_id, event);
                    }
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// Answers to streams nobody waits for are dropped.
    fn deliver(&mut self, stream_id: u32, event: Event) {
        let mut streams = self.shared.lock();
        let event = match (streams.open.get(&stream_id), event) {
            (None, _) => return,
            (Some(Waiter::Stream(sender)), event) => {
                if let Err(mpsc::error::TrySendError::Full(event)) = sender.try_send(event) {
                    self.stalled = Some((sender.clone(), event));
                }
                return;
            }
            (Some(Waiter::Unary(_)), event) => event,
        };
        if let Some(Waiter::Unary(sender)) = streams.open.remove(&stream_id) {
            let result = match event {
                Event::End(result) => result,
                Event::Data { .. } => {
                    Err(Status::new(Code::Internal, "ttrpc: data frame on a stream that is not streaming"))
                }
            };
            // The caller may have gone meanwhile.
            let _ = sender.send(result);
        }
    }
}

/// Waits until the stalled stream's reader has room or is gone.
async fn reserve(stalled: &Option<(mpsc::Sender<Event>, Event)>) {
    if let Some((sender, _)) = stalled {
        // Either outcome lets the connection go on.
        let _ = sender.reserve().await;
    }
}

pub(crate) fn write_some(socket: &UnixStream, outgoing: &mut Outgoing) -> io::Result<()> {
    while !outgoing.is_empty() {
        match socket.try_write(outgoing.pending()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => outgoing.advance(n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
