//! The asynchronous server: one task per connection, one per call.
//!
//! A method is a function from a [`Call`] to a future of bytes or a [`Status`]. A call that outlives its deadline
//! is dropped and answered with `DeadlineExceeded`; a call that panics is answered with `Internal`; calls of a
//! connection that is lost are dropped.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Sleep;

use crate::client::write_some;
use crate::frame::{Decoder, Frame, Item, flags, kind};
use crate::message::{Call, Response, too_long};
use crate::peer::require_same_user;
use crate::server_sync::{Outgoing, check_stream_id};
use crate::status::{Code, Status};

/// Calls one connection may have under way; further ones are refused.
const CALLS: usize = 4096;

/// Messages of one stream, and frames of one connection, that may wait.
const QUEUE: usize = 64;

/// With more than this waiting to be written no request is read and no stream served, bytes.
const BACKLOG_BYTES: usize = 8 << 20;

/// How long nothing is accepted after something was lacking for it.
const PAUSE: Duration = Duration::from_millis(100);

/// The time until something that was lacking for a connection may be there.
#[expect(clippy::disallowed_methods, reason = "no event tells that a descriptor of the system is free again")]
pub fn pause() -> Sleep {
    tokio::time::sleep(PAUSE)
}

/// Whether accepting failed for want of descriptors or memory: that passes.
pub fn is_exhausted(error: &io::Error) -> bool {
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| lacking.contains(&errno))
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;
type Unary = Arc<dyn Fn(Call) -> Boxed<Bytes> + Send + Sync>;
type Stream = Arc<dyn Fn(Call, ServerStream) -> Boxed<Option<Bytes>> + Send + Sync>;

#[derive(Clone)]
enum Method {
    Unary(Unary),
    Stream(Stream),
}

/// The methods a server knows.
#[derive(Clone, Default)]
pub struct Server {
    services: HashMap<&'static str, HashMap<&'static str, Method>>,
}

impl Server {
    /// Adds a unary method.
    pub fn unary<F, R>(mut self, service: &'static str, method: &'static str, run: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Bytes, Status>> + Send + 'static,
    {
        let run: Unary = Arc::new(move |call| Box::pin(run(call)));
        self.services.entry(service).or_default().insert(method, Method::Unary(run));
        self
    }

    /// Adds a streaming method. `Ok(Some(_))` ends the stream with a single answer, `Ok(None)` without one.
    pub fn stream<F, R>(mut self, service: &'static str, method: &'static str, run: F) -> Self
    where
        F: Fn(Call, ServerStream) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Option<Bytes>, Status>> + Send + 'static,
    {
        let run: Stream = Arc::new(move |call, stream| Box::pin(run(call, stream)));
        self.services.entry(service).or_default().insert(method, Method::Stream(run));
        self
    }

    /// Serves connections of our own user until `stop` ends, then lets the calls under way finish. While there is no
    /// descriptor or memory left for a connection it waits. Fails when the listener does.
    pub async fn serve(self, listener: UnixListener, stop: impl Future<Output = ()>) -> io::Result<()> {
        let server = Arc::new(self);
        let stopping = watch::Sender::new(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let mut pause = std::pin::pin!(self::pause());
        let mut pausing = false;
        let result = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                () = &mut pause, if pausing => pausing = false,
                accepted = listener.accept(), if !pausing => match accepted {
                    Ok((socket, _)) if require_same_user(&socket).is_ok() => {
                        connections.spawn(Arc::clone(&server).serve_connection(socket, stopping.subscribe()));
                    }
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(e) if is_exhausted(&e) => {
                        tracing::warn!(error = %e, "connections wait");
                        pause.set(self::pause());
                        pausing = true;
                    }
                    Err(e) => break Err(e),
                }
            }
        };
        drop(listener);
        stopping.send_replace(true);
        while connections.join_next().await.is_some() {}
        result
    }

    /// Serves one connected socket, whoever the peer is, until it is closed or `stopping` becomes true and the
    /// calls under way have been answered.
    pub async fn serve_connection(self: Arc<Self>, socket: UnixStream, mut stopping: watch::Receiver<bool>) {
        let (sender, mut frames) = mpsc::channel(QUEUE);
        let mut connection = Connection {
            server: self,
            socket,
            decoder: Decoder::default(),
            outgoing: Outgoing::default(),
            sender,
            calls: JoinSet::new(),
            stream_of: HashMap::new(),
            inputs: HashMap::new(),
            stalled: None,
            last_stream: 0,
            stopping: false,
        };
        while !connection.is_done() {
            if connection.step(&mut frames, &mut stopping).await.is_err() {
                break;
            }
        }
        connection.calls.shutdown().await;
    }

    fn find(&self, call: &Call) -> Result<Method, Status> {
        let Some(methods) = self.services.get(call.service.as_str()) else {
            return Err(Status::new(Code::Unimplemented, format!("service {}", call.service)));
        };
        let method = methods.get(call.method.as_str()).cloned();
        method.ok_or_else(|| Status::new(Code::Unimplemented, format!("method {}", call.method)))
    }
}

/// The server's end of a streaming call.
#[derive(Debug)]
pub struct ServerStream {
    stream_id: u32,
    input: mpsc::Receiver<Bytes>,
    output: mpsc::Sender<Frame>,
}

impl ServerStream {
    /// The client's next message; `None` when it has sent its last.
    pub async fn receive(&mut self) -> Option<Bytes> {
        self.input.recv().await
    }

    /// Sends one message.
    pub async fn send(&self, body: Bytes) -> Result<(), Status> {
        if body.len() > crate::MESSAGE_LIMIT {
            return Err(too_long(body.len()));
        }
        let frame = Frame { stream_id: self.stream_id, kind: kind::DATA, flags: 0, body };
        self.output.send(frame).await.map_err(|_| Status::new(Code::Unavailable, "ttrpc: closed"))
    }
}

struct Connection {
    server: Arc<Server>,
    socket: UnixStream,
    decoder: Decoder,
    outgoing: Outgoing,
    sender: mpsc::Sender<Frame>,
    calls: JoinSet<Frame>,
    stream_of: HashMap<Id, u32>,
    inputs: HashMap<u32, mpsc::Sender<Bytes>>,
    stalled: Option<(mpsc::Sender<Bytes>, Bytes)>,
    last_stream: u32,
    stopping: bool,
}

impl Connection {
    fn is_done(&self) -> bool {
        self.stopping && self.calls.is_empty() && self.outgoing.is_empty()
    }

    /// Waits for one thing and does it; an error ends the connection.
    async fn step(
        &mut self,
        frames: &mut mpsc::Receiver<Frame>,
        stopping: &mut watch::Receiver<bool>,
    ) -> io::Result<()> {
        let Self { socket, outgoing, stalled, calls, .. } = self;
        let room = outgoing.len() < BACKLOG_BYTES;
        tokio::select! {
            ready = socket.writable(), if !outgoing.is_empty() => {
                ready?;
            }
            _ = stopping.wait_for(|stop| *stop), if !self.stopping => {
                self.stopping = true;
            }
            Some(ended) = calls.join_next_with_id(), if room && !calls.is_empty() => {
                self.drain(frames);
                self.finish(ended);
            }
            Some(frame) = frames.recv(), if room => {
                self.outgoing.push(&frame);
            }
            () = reserve(stalled), if stalled.is_some() => {
                self.resume();
                self.dispatch()?;
            }
            ready = socket.readable(), if room && stalled.is_none() => {
                ready?;
                self.read_some()?;
            }
        }
        write_some(&self.socket, &mut self.outgoing)
    }

    /// A call's own messages stand before its end.
    fn drain(&mut self, frames: &mut mpsc::Receiver<Frame>) {
        while let Ok(frame) = frames.try_recv() {
            self.outgoing.push(&frame);
        }
    }

    fn finish(&mut self, ended: Result<(Id, Frame), JoinError>) {
        let (id, frame) = match ended {
            Ok((id, frame)) => (id, Ok(frame)),
            Err(e) => (e.id(), Err(Status::new(Code::Internal, "the call ended abnormally"))),
        };
        let Some(stream_id) = self.stream_of.remove(&id) else { return };
        self.inputs.remove(&stream_id);
        self.outgoing.push(&frame.unwrap_or_else(|status| Response::frame(stream_id, Err(status))));
        if self.stream_of.is_empty() {
            self.stream_of.shrink_to_fit();
            self.inputs.shrink_to_fit();
        }
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
        if let Some((sender, body)) = self.stalled.take()
            && let Err(mpsc::error::TrySendError::Full(body)) = sender.try_send(body)
        {
            self.stalled = Some((sender, body));
        }
    }

    fn dispatch(&mut self) -> io::Result<()> {
        while self.stalled.is_none() {
            let item = self.decoder.next_item().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            let (stream_id, result) = match item {
                None => return Ok(()),
                Some(Item::Oversized(header)) => (header.stream_id, Err(too_long(header.length as usize))),
                Some(Item::Frame(frame)) => match frame.kind {
                    kind::REQUEST => (frame.stream_id, self.begin(frame)),
                    kind::DATA => (frame.stream_id, self.input(frame)),
                    _ => continue,
                },
            };
            if let Err(status) = result {
                self.outgoing.push(&Response::frame(stream_id, Err(status)));
            }
        }
        Ok(())
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Status> {
        let stream_id = frame.stream_id;
        check_stream_id(stream_id, &mut self.last_stream)?;
        let call = Call::parse(stream_id, frame.body)?;
        let method = self.server.find(&call)?;
        if self.stopping {
            return Err(Status::new(Code::Unavailable, "the server is stopping"));
        }
        if self.calls.len() >= CALLS {
            return Err(Status::new(Code::ResourceExhausted, format!("{CALLS} calls are under way already")));
        }
        let running = match method {
            Method::Unary(run) => self.calls.spawn(answer_unary(run, call)),
            Method::Stream(run) => {
                let (sender, input) = mpsc::channel(QUEUE);
                if frame.flags & flags::REMOTE_OPEN != 0 {
                    self.inputs.insert(stream_id, sender);
                }
                let stream = ServerStream { stream_id, input, output: self.sender.clone() };
                self.calls.spawn(answer_stream(run, call, stream))
            }
        };
        self.stream_of.insert(running.id(), stream_id);
        Ok(())
    }

    fn input(&mut self, frame: Frame) -> Result<(), Status> {
        let Some(sender) = self.inputs.get(&frame.stream_id) else {
            return Err(Status::new(Code::InvalidArgument, "StreamID is no longer active"));
        };
        if frame.flags & flags::NO_DATA == 0
            && let Err(mpsc::error::TrySendError::Full(body)) = sender.try_send(frame.body)
        {
            self.stalled = Some((sender.clone(), body));
        }
        if frame.flags & flags::REMOTE_CLOSED != 0 {
            self.inputs.remove(&frame.stream_id);
        }
        Ok(())
    }
}

async fn reserve(stalled: &Option<(mpsc::Sender<Bytes>, Bytes)>) {
    if let Some((sender, _)) = stalled {
        // Either outcome lets the connection go on.
        let _ = sender.reserve().await;
    }
}

async fn answer_unary(run: Unary, call: Call) -> Frame {
    let (stream_id, deadline) = (call.stream_id, call.deadline);
    Response::frame(stream_id, before(deadline, run(call)).await)
}

async fn answer_stream(run: Stream, call: Call, stream: ServerStream) -> Frame {
    let (stream_id, deadline) = (call.stream_id, call.deadline);
    match before(deadline, run(call, stream)).await {
        Ok(None) => {
            let end = flags::REMOTE_CLOSED | flags::NO_DATA;
            Frame { stream_id, kind: kind::DATA, flags: end, body: Bytes::new() }
        }
        Ok(Some(body)) => Response::frame(stream_id, Ok(body)),
        Err(status) => Response::frame(stream_id, Err(status)),
    }
}

async fn before<T>(deadline: Option<std::time::Instant>, work: Boxed<T>) -> Result<T, Status> {
    match deadline {
        None => work.await,
        Some(at) => tokio::time::timeout_at(at.into(), work)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "context deadline exceeded"))),
    }
}
