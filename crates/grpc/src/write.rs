//! The write stream of the content service: one ingest, message by message.
//!
//! The first message opens the ingest and acts like every later one. `STAT` tells where it stands, `WRITE` appends (at
//! offset 0 it starts over), `COMMIT` does the same and ends the stream. One response message lives as long as the
//! stream: what `STAT` filled in stays. A stream that ends well sends its last response twice, as containerd does.

use crate::status;
use crate::texts::known;
use model::content::{Commit, Content, Ingest, Writer};
use model::{Error, Kind, Scope};
use oci::Digest;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use wire::api::content::{WriteAction, WriteContentRequest, WriteContentResponse};

/// A write stream.
pub struct Session {
    pub content: Arc<dyn Content>,
    pub scope: Scope,
    pub incoming: Streaming<WriteContentRequest>,
    pub outgoing: mpsc::Sender<Result<WriteContentResponse, Status>>,
}

/// The ingest, and what the client has said of it so far.
struct Open {
    writer: Box<dyn Writer>,
    offset: i64,
    total: i64,
    expected: String,
    response: WriteContentResponse,
}

/// Whether more is to come.
enum Next {
    Message,
    End,
}

impl Session {
    /// Runs it to its end. An error ends the stream; the ingest stays, to be resumed.
    pub async fn run(mut self) {
        let last = match self.serve().await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => return,
            Err(status) => Err(status),
        };
        // The client may be gone; then nobody is there to be told.
        self.outgoing.send(last).await.ok();
    }

    /// The last response, or nothing if the client is gone.
    async fn serve(&mut self) -> Result<Option<WriteContentResponse>, Status> {
        let Some(first) = self.incoming.message().await.map_err(known)? else {
            return Err(Status::unknown("EOF"));
        };
        let mut open = self.open(&first).await.map_err(status)?;
        let mut message = first;
        loop {
            let next = Self::act(&mut open, message).await.map_err(status)?;
            if self.outgoing.send(Ok(open.response.clone())).await.is_err() {
                return Ok(None);
            }
            if matches!(next, Next::End) {
                return Ok(Some(open.response));
            }
            match self.incoming.message().await.map_err(known)? {
                Some(next) => message = next,
                None => return Ok(Some(open.response)),
            }
        }
    }

    async fn open(&self, first: &WriteContentRequest) -> Result<Open, Error> {
        if first.r#ref.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "first message must have a reference"));
        }
        let mut writer = self.content.writer(&self.scope, Ingest::from(first)).await?;
        let at = writer.status().await?;
        Ok(Open {
            writer,
            offset: at.offset as i64,
            total: first.total,
            expected: first.expected.clone(),
            response: WriteContentResponse::default(),
        })
    }

    async fn act(open: &mut Open, message: WriteContentRequest) -> Result<Next, Error> {
        if message.total != 0 {
            open.total = message.total;
        }
        if !message.expected.is_empty() {
            open.expected.clone_from(&message.expected);
            if let Ok(digest) = Digest::parse(&open.expected) {
                open.writer.expect(&digest).await?;
            }
        }
        open.response.action = message.action;
        match WriteAction::try_from(message.action) {
            Ok(WriteAction::Stat) => open.stat().await.map(|()| Next::Message),
            Ok(WriteAction::Write) => {
                let digest = match open.append(message).await? {
                    Some(digest) => digest,
                    None => open.writer.digest().await?,
                };
                open.response.digest = digest.to_string();
                Ok(Next::Message)
            }
            Ok(WriteAction::Commit) => {
                let labels = message.labels.clone();
                open.append(message).await?;
                let commit = Commit { size: open.total, expected: open.expected.clone(), labels };
                open.response.digest = open.writer.commit(commit).await?.to_string();
                Ok(Next::End)
            }
            Err(_) => Ok(Next::Message),
        }
    }
}

impl Open {
    async fn stat(&mut self) -> Result<(), Error> {
        let at = self.writer.status().await?;
        self.offset = at.offset as i64;
        self.response.offset = self.offset;
        self.response.total = at.total;
        self.response.started_at = wire::fields::wire_time(at.started_at);
        self.response.updated_at = wire::fields::wire_time(at.updated_at);
        self.response.digest = match at.expected.is_empty() || self.offset == 0 || self.offset != at.total {
            true => self.writer.digest().await?.to_string(),
            false => at.expected,
        };
        Ok(())
    }

    /// Appends the message's data; returns the digest so far if there was any.
    async fn append(&mut self, message: WriteContentRequest) -> Result<Option<Digest>, Error> {
        if message.offset > 0 && message.offset != self.offset {
            let text = format!("write @{} must occur at current offset {}", message.offset, self.offset);
            return Err(Error::new(Kind::OutOfRange, text));
        }
        if message.offset == 0 && self.offset > 0 {
            self.writer.truncate().await?;
            self.offset = 0;
        }
        let mut digest = None;
        if !message.data.is_empty() {
            let length = message.data.len() as i64;
            digest = Some(self.writer.write(message.data).await?);
            self.offset += length;
        }
        self.response.offset = self.offset;
        Ok(digest)
    }
}
