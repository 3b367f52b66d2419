//! What a request carries: nothing, a few bytes, or a blob that is read while it is sent.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use model::content::Reader;
use model::registries::Sent;
use model::{Error, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// How much of a blob is read at a time, in bytes.
const PIECE: usize = 512 << 10;
/// How many pieces are read ahead.
const AHEAD: usize = 2;

/// A request's payload; it can be sent again from the beginning.
#[derive(Clone, Default)]
pub enum Payload {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A blob, and where to count what was sent of it.
    Blob(Arc<dyn Reader>, Sent),
}

impl Payload {
    /// A body that sends it all, from the beginning.
    pub fn body(&self) -> Outgoing {
        match self {
            Payload::Empty => Outgoing::Whole(Bytes::new()),
            Payload::Bytes(bytes) => Outgoing::Whole(bytes.clone()),
            Payload::Blob(reader, sent) => {
                sent.reset();
                let (sender, pieces) = mpsc::channel(AHEAD);
                // It ends with the blob, or when nobody takes the pieces any more.
                tokio::spawn(feed(reader.clone(), sender));
                Outgoing::Pieces { pieces, left: reader.size(), sent: sent.clone() }
            }
        }
    }

    /// What was sent of it so far, where that is counted.
    pub fn sent(&self) -> u64 {
        match self {
            Payload::Blob(_, sent) => sent.get(),
            _ => 0,
        }
    }
}

async fn feed(reader: Arc<dyn Reader>, pieces: mpsc::Sender<Result<Bytes>>) {
    let mut offset = 0;
    while offset < reader.size() {
        let piece = match reader.read_at(offset, PIECE).await {
            Ok(piece) if piece.is_empty() => {
                Err(Error::data_loss(format!("the blob ends after {offset} bytes")))
            }
            other => other,
        };
        offset += piece.as_ref().map_or(reader.size(), |piece| piece.len() as u64);
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

/// A payload on its way.
pub enum Outgoing {
    /// All at once.
    Whole(Bytes),
    /// Piece by piece.
    Pieces {
        /// What was read.
        pieces: mpsc::Receiver<Result<Bytes>>,
        /// How many bytes are still to come.
        left: u64,
        /// Where to count.
        sent: Sent,
    },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Outgoing::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Outgoing::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outgoing::Pieces { pieces, left, sent } => pieces.poll_recv(context).map_ok(|piece| {
                *left = left.saturating_sub(piece.len() as u64);
                sent.add(piece.len() as u64);
                Frame::data(piece)
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Pieces { left, .. } => SizeHint::with_exact(*left),
        }
    }
}
