//! `containerd.services.snapshots.v1.Snapshots`

use crate::{Answer, Messages, answer, scope, status, stream};
use model::{Error, Kind, Mask, snapshots as noun};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Request, Status};
use wire::api::snapshots::*;

/// How many snapshots a message of a list holds.
const BATCH: usize = 100;

pub struct Service(pub BTreeMap<String, Arc<dyn noun::Snapshotter>>);

impl Service {
    fn find(&self, name: &str) -> Result<&Arc<dyn noun::Snapshotter>, Status> {
        if name.is_empty() {
            return Err(status(Error::invalid("snapshotter argument missing")));
        }
        self.0.get(name).ok_or_else(|| status(Error::invalid(format!("snapshotter not loaded: {name}"))))
    }
}

#[tonic::async_trait]
impl snapshots_server::Snapshots for Service {
    type ListStream = Messages<ListSnapshotsResponse>;

    async fn prepare(&self, request: Request<PrepareSnapshotRequest>) -> Answer<PrepareSnapshotResponse> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let scope = scope(&request)?;
        let mounts = snapshotter.prepare(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(PrepareSnapshotResponse { mounts: wire::fields::list(mounts) })
    }

    async fn view(&self, request: Request<ViewSnapshotRequest>) -> Answer<ViewSnapshotResponse> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let scope = scope(&request)?;
        let mounts = snapshotter.view(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(ViewSnapshotResponse { mounts: wire::fields::list(mounts) })
    }

    async fn mounts(&self, request: Request<MountsRequest>) -> Answer<MountsResponse> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let mounts = snapshotter.mounts(&scope(&request)?, &request.get_ref().key).await.map_err(status)?;
        answer(MountsResponse { mounts: wire::fields::list(mounts) })
    }

    async fn commit(&self, request: Request<CommitSnapshotRequest>) -> Answer<()> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let scope = scope(&request)?;
        snapshotter.commit(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }

    async fn remove(&self, request: Request<RemoveSnapshotRequest>) -> Answer<()> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        snapshotter.remove(&scope(&request)?, &request.get_ref().key).await.map_err(status)?;
        answer(())
    }

    async fn stat(&self, request: Request<StatSnapshotRequest>) -> Answer<StatSnapshotResponse> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let info = snapshotter.stat(&scope(&request)?, &request.get_ref().key).await.map_err(status)?;
        answer(StatSnapshotResponse { info: Some(info.into()) })
    }

    async fn update(&self, request: Request<UpdateSnapshotRequest>) -> Answer<UpdateSnapshotResponse> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let scope = scope(&request)?;
        let (info, mask) = <(noun::Info, Mask)>::try_from(request.into_inner()).map_err(status)?;
        let info = snapshotter.update(&scope, info, mask).await.map_err(status)?;
        answer(UpdateSnapshotResponse { info: Some(info.into()) })
    }

    async fn list(&self, request: Request<ListSnapshotsRequest>) -> Answer<Self::ListStream> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        // What is wrong with a list's request has no class, unlike everywhere else.
        let unclassed = |e: Error| status(e.with_kind(Kind::Unknown));
        let scope = wire::headers::from_metadata(request.metadata()).map_err(unclassed)?;
        let infos = snapshotter.list(&scope, &request.get_ref().filters).await.map_err(unclassed)?;
        let batch = |infos: &[noun::Info]| ListSnapshotsResponse { info: wire::fields::list(infos.to_vec()) };
        stream(infos.chunks(BATCH).map(batch).collect())
    }

    async fn usage(&self, request: Request<UsageRequest>) -> Answer<UsageResponse> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        let usage = snapshotter.usage(&scope(&request)?, &request.get_ref().key).await.map_err(status)?;
        answer(usage.into())
    }

    async fn cleanup(&self, request: Request<CleanupRequest>) -> Answer<()> {
        let snapshotter = self.find(&request.get_ref().snapshotter)?;
        // Not to have it comes before the namespace.
        if !snapshotter.has_cleanup() {
            return Err(status(noun::no_cleanup()));
        }
        snapshotter.cleanup(&scope(&request)?).await.map_err(status)?;
        answer(())
    }
}
