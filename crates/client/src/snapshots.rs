//! One snapshotter over gRPC.

use crate::connect::{answer, refusal};
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::snapshots::{self, Commit, Info, Prepare, Usage};
use model::{Mask, Mount, Result, Scope};
use wire::api::snapshots::*;
use wire::fields::{list, required};

/// A daemon's snapshotter of one name.
#[derive(Clone, Debug)]
pub struct Snapshotter {
    client: Client,
    name: String,
}

impl Client {
    /// The snapshotter of this name; whether the daemon has it shows with the first call.
    pub fn snapshotter(&self, name: &str) -> Snapshotter {
        Snapshotter { client: self.clone(), name: name.into() }
    }
}

impl Snapshotter {
    fn stub(&self) -> snapshots_client::SnapshotsClient<tonic::transport::Channel> {
        stub!(self.client, snapshots::snapshots_client::SnapshotsClient)
    }
}

#[async_trait]
impl snapshots::Snapshotter for Snapshotter {
    async fn stat(&self, scope: &Scope, key: &str) -> Result<Info> {
        let message = StatSnapshotRequest { snapshotter: self.name.clone(), key: key.into() };
        let found = answer(self.stub().stat(scoped(scope, message)?).await)?;
        required(found.info, "info")?.try_into()
    }

    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info> {
        let message = UpdateSnapshotRequest::from((self.name.clone(), info, mask));
        let made = answer(self.stub().update(scoped(scope, message)?).await)?;
        required(made.info, "info")?.try_into()
    }

    async fn usage(&self, scope: &Scope, key: &str) -> Result<Usage> {
        let message = UsageRequest { snapshotter: self.name.clone(), key: key.into() };
        Ok(answer(self.stub().usage(scoped(scope, message)?).await)?.into())
    }

    async fn mounts(&self, scope: &Scope, key: &str) -> Result<Vec<Mount>> {
        let message = MountsRequest { snapshotter: self.name.clone(), key: key.into() };
        Ok(list(answer(self.stub().mounts(scoped(scope, message)?).await)?.mounts))
    }

    async fn prepare(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>> {
        let message = PrepareSnapshotRequest::from((self.name.clone(), prepare));
        Ok(list(answer(self.stub().prepare(scoped(scope, message)?).await)?.mounts))
    }

    async fn view(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>> {
        let message = ViewSnapshotRequest::from((self.name.clone(), prepare));
        Ok(list(answer(self.stub().view(scoped(scope, message)?).await)?.mounts))
    }

    async fn commit(&self, scope: &Scope, commit: Commit) -> Result<()> {
        let message = CommitSnapshotRequest::from((self.name.clone(), commit));
        answer(self.stub().commit(scoped(scope, message)?).await)
    }

    async fn remove(&self, scope: &Scope, key: &str) -> Result<()> {
        let message = RemoveSnapshotRequest { snapshotter: self.name.clone(), key: key.into() };
        answer(self.stub().remove(scoped(scope, message)?).await)
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>> {
        let message = ListSnapshotsRequest { snapshotter: self.name.clone(), filters: filters.to_vec() };
        let mut messages = answer(self.stub().list(scoped(scope, message)?).await)?;
        let mut infos = Vec::new();
        while let Some(message) = messages.message().await.map_err(refusal)? {
            for info in message.info {
                infos.push(info.try_into()?);
            }
        }
        Ok(infos)
    }

    async fn cleanup(&self, scope: &Scope) -> Result<()> {
        let message = CleanupRequest { snapshotter: self.name.clone() };
        answer(self.stub().cleanup(scoped(scope, message)?).await)
    }
}
