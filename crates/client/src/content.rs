//! Blobs and ingests over gRPC; the write stream is in `write.rs`.

use crate::connect::{answer, refusal};
use crate::write::Writer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use model::content::{self, Content, Info, Ingest, Status};
use model::{Error, Mask, Result, Scope};
use oci::Digest;
use wire::api::content::*;
use wire::content::signed;
use wire::fields::{list, required};

#[async_trait]
impl Content for Client {
    async fn info(&self, scope: &Scope, digest: &Digest) -> Result<Info> {
        let request = scoped(scope, InfoRequest { digest: digest.to_string() })?;
        let found = answer(stub!(self, content::content_client::ContentClient).info(request).await)?;
        required(found.info, "info")?.try_into()
    }

    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info> {
        let request = scoped(scope, UpdateRequest::from((info, mask)))?;
        let made = answer(stub!(self, content::content_client::ContentClient).update(request).await)?;
        required(made.info, "info")?.try_into()
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>> {
        let request = scoped(scope, ListContentRequest { filters: filters.to_vec() })?;
        let mut messages = answer(stub!(self, content::content_client::ContentClient).list(request).await)?;
        let mut infos = Vec::new();
        while let Some(message) = messages.message().await.map_err(refusal)? {
            for info in message.info {
                infos.push(info.try_into()?);
            }
        }
        Ok(infos)
    }

    async fn delete(&self, scope: &Scope, digest: &Digest) -> Result<()> {
        let request = scoped(scope, DeleteContentRequest { digest: digest.to_string() })?;
        answer(stub!(self, content::content_client::ContentClient).delete(request).await)
    }

    async fn status(&self, scope: &Scope, reference: &str) -> Result<Status> {
        let request = scoped(scope, StatusRequest { r#ref: reference.into() })?;
        let found = answer(stub!(self, content::content_client::ContentClient).status(request).await)?;
        Ok(required(found.status, "status")?.into())
    }

    async fn statuses(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Status>> {
        let request = scoped(scope, ListStatusesRequest { filters: filters.to_vec() })?;
        let found = answer(stub!(self, content::content_client::ContentClient).list_statuses(request).await)?;
        Ok(list(found.statuses))
    }

    async fn abort(&self, scope: &Scope, reference: &str) -> Result<()> {
        let request = scoped(scope, AbortRequest { r#ref: reference.into() })?;
        answer(stub!(self, content::content_client::ContentClient).abort(request).await)
    }

    async fn reader(&self, scope: &Scope, digest: &Digest) -> Result<Box<dyn content::Reader>> {
        let size = self.info(scope, digest).await?.size;
        Ok(Box::new(Reader { client: self.clone(), scope: scope.clone(), digest: digest.clone(), size }))
    }

    async fn writer(&self, scope: &Scope, ingest: Ingest) -> Result<Box<dyn content::Writer>> {
        let stub = stub!(self, content::content_client::ContentClient);
        Ok(Box::new(Writer::open(stub, scope, ingest).await?))
    }
}

/// A blob of a daemon; each read is a stream of its own.
struct Reader {
    client: Client,
    scope: Scope,
    digest: Digest,
    size: u64,
}

#[async_trait]
impl content::Reader for Reader {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let length = self.size.saturating_sub(offset).min(max as u64);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let message = ReadContentRequest {
            digest: self.digest.to_string(),
            offset: signed(offset),
            size: signed(length),
        };
        let request = scoped(&self.scope, message)?;
        let mut messages =
            answer(stub!(self.client, content::content_client::ContentClient).read(request).await)?;
        let mut data = BytesMut::new();
        while let Some(message) = messages.message().await.map_err(refusal)? {
            data.extend_from_slice(&message.data);
            if data.len() as u64 > length {
                let (digest, got) = (&self.digest, data.len());
                return Err(Error::data_loss(format!("blob {digest}: {got} bytes came for {length}")));
            }
        }
        Ok(data.freeze())
    }
}
