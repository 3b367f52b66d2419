//! The write stream of the content service, from the client's side.
//!
//! One stream per writer. The first message is a `STAT` that opens or resumes the ingest and tells where it stands.
//! Every message is answered before the next is sent. A refusal ends the stream, not the ingest: to go on, open
//! another writer.

use crate::connect::{answer, refusal};
use crate::scoped;
use async_trait::async_trait;
use bytes::Bytes;
use model::content::{self, Commit, Ingest, Status};
use model::{Error, Result, Scope};
use oci::Digest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use wire::api::content::content_client::ContentClient;
use wire::api::content::{WriteAction, WriteContentRequest, WriteContentResponse};
use wire::content::{read_digest, signed};
use wire::fields::time;

/// The most bytes in a message.
const CHUNK: usize = 8 << 20;

/// An open ingest of a daemon.
pub struct Writer {
    reference: String,
    expected: String,
    offset: u64,
    outgoing: mpsc::Sender<WriteContentRequest>,
    incoming: Streaming<WriteContentResponse>,
}

impl Writer {
    /// Opens or resumes an ingest.
    pub async fn open(mut stub: ContentClient<Channel>, scope: &Scope, ingest: Ingest) -> Result<Self> {
        let Ingest { reference, total, expected } = ingest;
        let (outgoing, messages) = mpsc::channel(1);
        let first = WriteContentRequest {
            action: WriteAction::Stat.into(),
            r#ref: reference.clone(),
            total,
            expected: expected.clone(),
            ..WriteContentRequest::default()
        };
        let full = |e| Error::internal(format!("queue of ingest {reference:?}: {e}"));
        outgoing.try_send(first).map_err(full)?;
        let request = scoped(scope, ReceiverStream::new(messages))?;
        let incoming = answer(stub.write(request).await)?;
        let mut writer = Self { reference, expected, offset: 0, outgoing, incoming };
        writer.offset = writer.next().await?.offset.max(0).cast_unsigned();
        Ok(writer)
    }

    async fn exchange(&mut self, message: WriteContentRequest) -> Result<WriteContentResponse> {
        if self.outgoing.send(message).await.is_err() {
            // What ended the stream is the last thing on it.
            self.next().await?;
            return Err(self.ended());
        }
        self.next().await
    }

    async fn next(&mut self) -> Result<WriteContentResponse> {
        match self.incoming.message().await.map_err(refusal)? {
            Some(response) => Ok(response),
            None => Err(self.ended()),
        }
    }

    fn ended(&self) -> Error {
        Error::unavailable(format!("write stream of ingest {:?} has ended", self.reference))
    }

    async fn stat(&mut self) -> Result<WriteContentResponse> {
        let action = WriteAction::Stat.into();
        self.exchange(WriteContentRequest { action, ..WriteContentRequest::default() }).await
    }

    fn at_offset(&self, action: WriteAction) -> WriteContentRequest {
        let offset = signed(self.offset);
        WriteContentRequest { action: action.into(), offset, ..WriteContentRequest::default() }
    }
}

#[async_trait]
impl content::Writer for Writer {
    async fn status(&mut self) -> Result<Status> {
        let at = self.stat().await?;
        Ok(Status {
            reference: self.reference.clone(),
            offset: at.offset.max(0).cast_unsigned(),
            total: at.total,
            expected: self.expected.clone(),
            started_at: time(at.started_at),
            updated_at: time(at.updated_at),
        })
    }

    async fn digest(&mut self) -> Result<Digest> {
        read_digest(&self.stat().await?.digest)
    }

    async fn write(&mut self, mut data: Bytes) -> Result<Digest> {
        let mut digest = None;
        while !data.is_empty() {
            let part = data.split_to(CHUNK.min(data.len()));
            let end = self.offset + part.len() as u64;
            let message = WriteContentRequest { data: part, ..self.at_offset(WriteAction::Write) };
            let answer = self.exchange(message).await?;
            let reached = answer.offset;
            if reached != signed(end) {
                let reference = &self.reference;
                return Err(Error::data_loss(format!(
                    "ingest {reference:?}: stands at {reached} after a write up to {end}"
                )));
            }
            self.offset = end;
            digest = Some(answer.digest);
        }
        match digest {
            Some(digest) => read_digest(&digest),
            None => self.digest().await,
        }
    }

    /// The daemon drops the bytes with the next message, which begins at 0.
    async fn truncate(&mut self) -> Result<()> {
        self.offset = 0;
        Ok(())
    }

    async fn commit(&mut self, commit: Commit) -> Result<Digest> {
        let Commit { size: total, expected, labels } = commit;
        let message = WriteContentRequest { total, expected, labels, ..self.at_offset(WriteAction::Commit) };
        read_digest(&self.exchange(message).await?.digest)
    }
}
