//! The engine over a real store, with small honest things behind its traits.

mod archives;
mod collector;
mod content;
mod events;
mod fakes;
mod fetches;
mod pulls;
mod records;
mod snapshots;
mod stalls;
mod transfers;

use engine::events::Exchange;
use engine::{Engine, Parts};
use fakes::{Directories, Idle, Memory, Plain};
use model::events::{Events, Subscription};
use model::leases::Lease;
use model::{Labels, Namespace, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tempfile::TempDir;

/// An engine in a directory of its own.
struct World {
    directory: TempDir,
    engine: Engine,
    blobs: Arc<Memory>,
    driver: Arc<Directories>,
    scope: Scope,
}

impl World {
    async fn new() -> Self {
        Self::with_sharing(engine::content::Sharing::Shared).await
    }

    async fn with_sharing(sharing: engine::content::Sharing) -> Self {
        let directory = tempfile::tempdir().expect("temp dir");
        let (blobs, driver) =
            (Arc::new(Memory::default()), Arc::new(Directories::new(&directory.path().join("snapshots"))));
        let engine = open(&directory, (&blobs, &driver), sharing).await;
        let scope = Scope::new(Namespace::new("ns").expect("an identifier"));
        Self { directory, engine, blobs, driver, scope }
    }

    /// The same after a restart.
    async fn reopened(self) -> Self {
        let Self { directory, engine, blobs, driver, scope } = self;
        engine.close().await;
        drop(engine);
        let engine = open(&directory, (&blobs, &driver), engine::content::Sharing::Shared).await;
        Self { directory, engine, blobs, driver, scope }
    }

    /// A lease and a scope under it.
    async fn leased(&self, id: &str, labels: &[(&str, &str)]) -> Scope {
        let lease: Lease =
            self.engine.leases.create(&self.scope, id, map(labels)).await.expect("a fresh lease");
        self.scope.with_lease(lease.id)
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        self.engine.events.subscribe(&[]).await.expect("no filter")
    }

    fn snapshots(&self) -> &dyn model::snapshots::Snapshotter {
        &*self.engine.snapshotters["dirs"]
    }
}

async fn open(
    directory: &TempDir,
    (blobs, driver): (&Arc<Memory>, &Arc<Directories>),
    sharing: engine::content::Sharing,
) -> Engine {
    let store = Arc::new(Store::open(&directory.path().join("meta.redb")).expect("a fresh store"));
    let drivers =
        BTreeMap::from([(String::from("dirs"), driver.clone() as Arc<dyn model::snapshots::Driver>)]);
    // The clock alone never collects in these tests.
    let gc = engine::gc::Config {
        startup_delay: Duration::from_secs(3600),
        pause_threshold: 1e-9,
        ..Default::default()
    };
    let parts = Parts {
        store,
        blobs: blobs.clone(),
        drivers,
        runtime: Arc::new(Idle),
        events: Exchange::new(Arc::new(Plain)),
        sharing,
        gc,
    };
    let engine = Engine::open(parts).await.expect("an engine");
    // The first collection looks at everything; it is over when the tests begin, and the next one is far away.
    engine.collector.collect().await.expect("collects");
    engine
}

fn map(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// The topics and payloads that are waiting.
async fn told(subscription: &mut dyn Subscription) -> Vec<String> {
    let mut seen = Vec::new();
    // Events are queued before the answer of the write that caused them: what is not there now does not come.
    while let Ok(Some(Ok(envelope))) = tokio::time::timeout(Duration::ZERO, subscription.next()).await {
        let payload =
            envelope.event.map(|e| String::from_utf8_lossy(&e.value).into_owned()).unwrap_or_default();
        seen.push(format!("{} {payload}", envelope.topic));
    }
    seen
}

/// The text of an error.
fn text<T: std::fmt::Debug>(result: model::Result<T>) -> String {
    let error = result.expect_err("refused");
    format!("{:?}: {error}", error.kind())
}
