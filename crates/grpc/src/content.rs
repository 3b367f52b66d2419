//! `containerd.services.content.v1.Content`; the write stream is in `write.rs`.

use crate::write::Session;
use crate::{Answer, Messages, answer, scope, status, stream};
use model::{Error, Mask, content as noun};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};
use wire::api::content::*;
use wire::content::{delete_digest, info_digest, read_digest};

/// How many blobs a message of a list holds.
const BATCH: usize = 100;
/// How many bytes a message of a read holds at most.
const CHUNK: usize = 1 << 20;

pub struct Service(pub Arc<dyn noun::Content>);

#[tonic::async_trait]
impl content_server::Content for Service {
    type ListStream = Messages<ListContentResponse>;
    type ReadStream = Messages<ReadContentResponse>;
    type WriteStream = Messages<WriteContentResponse>;

    async fn info(&self, request: Request<InfoRequest>) -> Answer<InfoResponse> {
        let digest = info_digest(&request.get_ref().digest).map_err(status)?;
        let info = self.0.info(&scope(&request)?, &digest).await.map_err(status)?;
        answer(InfoResponse { info: Some(info.into()) })
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Answer<UpdateResponse> {
        let scope = scope(&request)?;
        let (info, mask) = <(noun::Info, Mask)>::try_from(request.into_inner()).map_err(status)?;
        let info = self.0.update(&scope, info, mask).await.map_err(status)?;
        answer(UpdateResponse { info: Some(info.into()) })
    }

    async fn list(&self, request: Request<ListContentRequest>) -> Answer<Self::ListStream> {
        let infos = self.0.list(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        let batch = |infos: &[noun::Info]| ListContentResponse { info: wire::fields::list(infos.to_vec()) };
        stream(infos.chunks(BATCH).map(batch).collect())
    }

    async fn delete(&self, request: Request<DeleteContentRequest>) -> Answer<()> {
        let digest = delete_digest(&request.get_ref().digest).map_err(status)?;
        self.0.delete(&scope(&request)?, &digest).await.map_err(status)?;
        answer(())
    }

    async fn read(&self, request: Request<ReadContentRequest>) -> Answer<Self::ReadStream> {
        let wanted = request.get_ref();
        let digest = read_digest(&wanted.digest).map_err(status)?;
        let reader = self.0.reader(&scope(&request)?, &digest).await.map_err(status)?;
        let start = wanted.offset.max(0) as u64;
        if start > reader.size() {
            return Err(status(Error::out_of_range(format!(
                "read past object length {} bytes",
                reader.size()
            ))));
        }
        let rest = reader.size() - start;
        let length = if wanted.size <= 0 { rest } else { rest.min(wanted.size as u64) };
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let mut sent = 0;
            while sent < length {
                let most = CHUNK.min((length - sent) as usize);
                let message = match reader.read_at(start + sent, most).await {
                    Ok(data) if data.is_empty() => Err(status(Error::data_loss(format!(
                        "blob {digest} ends after {} bytes",
                        start + sent
                    )))),
                    Ok(data) => Ok(ReadContentResponse { offset: sent as i64, data }),
                    Err(error) => Err(status(error)),
                };
                sent += message.as_ref().map_or(length, |m| m.data.len() as u64);
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let reference = &request.get_ref().r#ref;
        let found = self.0.status(&scope(&request)?, reference).await;
        let found = found
            .map_err(|e| status(e.during(format_args!("could not get status for ref {reference:?}"))))?;
        answer(StatusResponse { status: Some(found.into()) })
    }

    async fn list_statuses(&self, request: Request<ListStatusesRequest>) -> Answer<ListStatusesResponse> {
        let statuses =
            self.0.statuses(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        answer(ListStatusesResponse { statuses: wire::fields::list(statuses) })
    }

    async fn write(&self, request: Request<Streaming<WriteContentRequest>>) -> Answer<Self::WriteStream> {
        let scope = scope(&request)?;
        let (sender, receiver) = mpsc::channel(4);
        let session =
            Session { content: self.0.clone(), scope, incoming: request.into_inner(), outgoing: sender };
        tokio::spawn(session.run());
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn abort(&self, request: Request<AbortRequest>) -> Answer<()> {
        self.0.abort(&scope(&request)?, &request.get_ref().r#ref).await.map_err(status)?;
        answer(())
    }
}
