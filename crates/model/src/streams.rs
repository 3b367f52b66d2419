//! Streams: named two-way pipes of messages between a client and the service that looks their name up.
//!
//! Bytes cross a stream in frames of at most 32 KiB. The receiver grants a window of bytes and the sender never exceeds
//! it; the end is the close of the stream. [`Sink`] and [`Source`] are the two ends of that.

use crate::transfer::Progress;
use crate::{Any, Error, Result, Scope};
use async_trait::async_trait;
use bytes::Bytes;

/// The largest frame, in bytes.
pub const FRAME: usize = 32 << 10;
/// The window that a receiver keeps granted, in bytes.
pub const WINDOW: u32 = 64 << 10;

/// What crosses a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes.
    Data(Bytes),
    /// The receiver takes this many bytes more.
    Window(u32),
    /// Progress of a transfer.
    Progress(Box<Progress>),
    /// Anything else.
    Any(Any),
}

/// One end of a stream.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Sends a message; waits while the peer is slow. Errors: `Unavailable` once the peer is gone.
    async fn send(&self, message: Message) -> Result<()>;
    /// The next message; `None` when the peer has closed its side.
    async fn receive(&self) -> Result<Option<Message>>;
    /// Ends the stream.
    async fn close(&self);
    /// Whether it is known that the peer takes nothing any more.
    fn is_abandoned(&self) -> bool {
        false
    }
}

/// The streaming service, from the side of those who open streams.
#[async_trait]
pub trait Streams: Send + Sync {
    /// Opens a stream under a name; the peer has acknowledged it when this returns. Errors: `AlreadyExists`.
    async fn open(&self, scope: &Scope, id: &str) -> Result<Box<dyn Stream>>;
}

/// Sends bytes into a stream, within the window the peer grants.
pub struct Sink<'a> {
    stream: &'a dyn Stream,
    window: u64,
}

impl<'a> Sink<'a> {
    /// A sink with nothing granted yet.
    pub fn new(stream: &'a dyn Stream) -> Self {
        Self { stream, window: 0 }
    }

    /// Sends all of it; waits for the peer's window.
    ///
    /// # Errors
    /// `Unavailable` when the peer is gone before it took everything.
    pub async fn write(&mut self, mut data: Bytes) -> Result<()> {
        while !data.is_empty() {
            while self.window == 0 {
                match self.stream.receive().await? {
                    Some(Message::Window(bytes)) => self.window += u64::from(bytes),
                    Some(_) => {}
                    None => {
                        return Err(Error::unavailable("stream closed by the peer before it took all data"));
                    }
                }
            }
            let most = FRAME.min(usize::try_from(self.window).unwrap_or(FRAME));
            let frame = data.split_to(most.min(data.len()));
            self.window -= frame.len() as u64;
            self.stream.send(Message::Data(frame)).await?;
        }
        Ok(())
    }
}

/// Receives bytes from a stream, granting windows as they are used up.
pub struct Source<'a> {
    stream: &'a dyn Stream,
    window: u32,
}

impl<'a> Source<'a> {
    /// A source that has granted nothing yet.
    pub fn new(stream: &'a dyn Stream) -> Self {
        Self { stream, window: 0 }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// What the stream answers.
    pub async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.window < WINDOW {
                // A peer that has sent everything is gone and needs no window; what it sent is still to be received.
                self.stream.send(Message::Window(WINDOW)).await.ok();
                self.window += WINDOW;
            }
            match self.stream.receive().await? {
                Some(Message::Data(data)) if data.is_empty() => {}
                Some(Message::Data(data)) => {
                    self.window = self.window.saturating_sub(data.len() as u32);
                    return Ok(Some(data));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

/// A stream that a client opened.
pub struct Accepted {
    /// The namespace; may be empty.
    pub namespace: String,
    /// The lease it was opened under, or empty.
    pub lease: String,
    /// Its name: free text.
    pub id: String,
    /// The daemon's end.
    pub stream: std::sync::Arc<dyn Stream>,
}

/// The streaming service, from the daemon's side: streams wait here until somebody takes them.
pub trait Accept: Send + Sync {
    /// Keeps a stream under its name. Errors: the name is taken.
    fn accept(&self, accepted: Accepted) -> Result<()>;
    /// Hands a stream over, once. Errors: `NotFound`.
    fn take(&self, namespace: &str, id: &str) -> Result<std::sync::Arc<dyn Stream>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    /// A stream whose peer has said these things and then closed its side, or said nothing more.
    struct Peer {
        says: Mutex<VecDeque<Message>>,
        closes: bool,
        heard: Mutex<Vec<Message>>,
    }

    impl Peer {
        fn saying(says: impl IntoIterator<Item = Message>, closes: bool) -> Self {
            let says = Mutex::new(says.into_iter().collect());
            Self { says, closes, heard: Mutex::default() }
        }

        fn says(&self, message: Message) {
            self.says.lock().expect("no panic holds it").push_back(message);
        }

        /// The lengths of the frames that came since the last look.
        fn frames(&self) -> Vec<usize> {
            let heard = std::mem::take(&mut *self.heard.lock().expect("no panic holds it"));
            let length = |message: &Message| match message {
                Message::Data(data) => Some(data.len()),
                _ => None,
            };
            heard.iter().filter_map(length).collect()
        }

        /// What was granted since the last look.
        fn granted(&self) -> Vec<u32> {
            let heard = std::mem::take(&mut *self.heard.lock().expect("no panic holds it"));
            let window = |message: &Message| match message {
                Message::Window(bytes) => Some(*bytes),
                _ => None,
            };
            heard.iter().filter_map(window).collect()
        }
    }

    #[async_trait]
    impl Stream for Peer {
        async fn send(&self, message: Message) -> Result<()> {
            self.heard.lock().expect("no panic holds it").push(message);
            Ok(())
        }

        async fn receive(&self) -> Result<Option<Message>> {
            let next = || self.says.lock().expect("no panic holds it").pop_front();
            std::future::poll_fn(|_| match next() {
                None if !self.closes => Poll::Pending,
                said => Poll::Ready(Ok(said)),
            })
            .await
        }

        async fn close(&self) {}
    }

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        match poll(std::pin::pin!(future)) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn no_more_is_sent_than_was_granted() {
        let peer = Peer::saying([Message::Window(5)], false);
        let mut sink = Sink::new(&peer);
        let mut writing = std::pin::pin!(sink.write(Bytes::from_static(b"0123456789ab")));
        assert!(poll(writing.as_mut()).is_pending());
        assert_eq!(peer.frames(), [5]);
        peer.says(Message::Window(3));
        peer.says(Message::Window(3));
        assert!(poll(writing.as_mut()).is_pending());
        assert_eq!(peer.frames(), [3, 3]);
        peer.says(Message::Window(100));
        assert!(matches!(poll(writing.as_mut()), Poll::Ready(Ok(()))));
        assert_eq!(peer.frames(), [1]);
    }

    #[test]
    fn frames_have_a_size() {
        let peer = Peer::saying([Message::Window(u32::MAX)], false);
        ready(Sink::new(&peer).write(Bytes::from(vec![0; 2 * FRAME + 1]))).expect("granted");
        assert_eq!(peer.frames(), [FRAME, FRAME, 1]);
    }

    #[test]
    fn a_peer_that_closes_too_early_is_an_error() {
        let peer = Peer::saying([Message::Window(5)], true);
        let error = ready(Sink::new(&peer).write(Bytes::from_static(b"0123456789"))).expect_err("closed");
        assert_eq!(error.kind(), crate::Kind::Unavailable);
    }

    #[test]
    fn windows_are_granted_as_they_are_used_up() {
        let data = |length: usize| Message::Data(Bytes::from(vec![0; length]));
        let peer = Peer::saying([data(FRAME), data(0), data(1), data(FRAME)], true);
        let mut source = Source::new(&peer);
        let mut seen = Vec::new();
        while let Some(bytes) = ready(source.read()).expect("data") {
            seen.push((bytes.len(), peer.granted()));
        }
        assert_eq!(seen, [(FRAME, vec![WINDOW]), (1, vec![WINDOW]), (FRAME, vec![])]);
        assert_eq!(peer.granted(), [WINDOW], "before the end, which may not be it");
    }
}
