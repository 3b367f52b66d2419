//! Putting the engine together, and taking it down.

use crate::content::{self, Content, Sharing};
use crate::database::Database;
use crate::disk::{Gate, Pace};
use crate::events::Exchange;
use crate::gc::{self, Collector, Disks, Pressure};
use crate::snapshots::{self, Snapshotter};
use crate::tasks::Tasks;
use crate::{containers, images, leases, namespaces, sandboxes};
use model::Result;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What an engine is made from.
pub struct Parts {
    /// The metadata.
    pub store: Arc<Store>,
    /// The blobs' disk.
    pub blobs: Arc<dyn model::content::Blobs>,
    /// The snapshot drivers by name, probed.
    pub drivers: BTreeMap<String, Arc<dyn model::snapshots::Driver>>,
    /// Whoever runs shims.
    pub runtime: Arc<dyn model::tasks::Runtime>,
    /// The exchange; whoever runs shims tells it of tasks.
    pub events: Arc<Exchange>,
    /// Which blobs namespaces share.
    pub sharing: Sharing,
    /// When to collect.
    pub gc: gc::Config,
}

/// The nouns of the daemon: what is kept in its store, and the tasks behind its containers.
pub struct Engine {
    /// Namespaces.
    pub namespaces: Arc<dyn model::namespaces::Namespaces>,
    /// Containers.
    pub containers: Arc<dyn model::containers::Containers>,
    /// Images.
    pub images: Arc<dyn model::images::Images>,
    /// Content.
    pub content: Arc<dyn model::content::Content>,
    /// Snapshotters by name.
    pub snapshotters: BTreeMap<String, Arc<dyn model::snapshots::Snapshotter>>,
    /// Leases.
    pub leases: Arc<dyn model::leases::Leases>,
    /// Sandbox records.
    pub sandboxes: Arc<dyn model::sandboxes::Sandboxes>,
    /// Tasks: not in the store, but behind its containers.
    pub tasks: Arc<dyn model::tasks::Tasks>,
    /// The exchange.
    pub events: Arc<Exchange>,
    /// The collector.
    pub collector: Arc<Collector>,
    database: Arc<Database>,
    running: Mutex<Option<Running>>,
}

/// The collector's task.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Engine {
    /// Puts the nouns together and starts the collector. Must be called inside of a runtime.
    ///
    /// # Errors
    /// Those of the store and of a driver that cannot list its directories.
    pub async fn open(parts: Parts) -> Result<Self> {
        let pressure = Arc::new(Pressure::at_start());
        let database = Database::new(parts.store.clone(), pressure.clone());
        let exchange = parts.events.clone();
        parts.store.on_commit(move |happened| {
            for (namespace, event) in happened {
                exchange.emit(&namespace, &event);
            }
        });
        let (collector, requests) = Collector::new(pressure.clone());
        let content = Content::new(content::Parts {
            blobs: parts.blobs,
            database: database.clone(),
            pressure: pressure.clone(),
            sharing: parts.sharing,
        });
        let snapshotters = open_snapshotters(parts.drivers, &database, &pressure).await?;
        let (stop, stopped) = oneshot::channel();
        let task = gc::Task {
            config: parts.gc,
            database: database.clone(),
            disks: Disks { content: content.clone(), snapshotters: snapshotters.clone() },
            collector: collector.clone(),
            requests,
        };
        let running = Running { stop, task: tokio::spawn(task.run(stopped)) };
        let containers = Arc::new(containers::Containers { database: database.clone() });
        let as_trait = |(name, s)| (name, Arc::new(s) as Arc<dyn model::snapshots::Snapshotter>);
        Ok(Self {
            namespaces: Arc::new(namespaces::Namespaces { database: database.clone() }),
            tasks: Arc::new(Tasks::new(containers.clone(), parts.runtime)),
            containers,
            images: Arc::new(images::Images { database: database.clone(), collector: collector.clone() }),
            content: Arc::new(content),
            snapshotters: snapshotters.into_iter().map(as_trait).collect(),
            leases: Arc::new(leases::Leases { database: database.clone(), collector: collector.clone() }),
            sandboxes: Arc::new(sandboxes::Sandboxes { database: database.clone() }),
            events: parts.events,
            collector,
            database,
            running: Mutex::new(Some(running)),
        })
    }

    /// Ends the collector, the subscriptions and the store, in this order. Writes that wait come to their end first; work
    /// on the other disks goes on without anybody waiting for it.
    pub async fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, task }) = running {
            // The task may have ended by itself.
            let _ = stop.send(());
            if let Err(error) = task.await {
                tracing::error!(%error, "the collector's task ended early");
            }
        }
        self.events.close();
        let database = self.database.clone();
        let gate = Gate::new("metadata database", Pace::Disk);
        let closed = gate.run("close", move || {
            database.close();
            Ok(())
        });
        if let Err(error) = closed.await {
            tracing::error!(?error, "closing the metadata database");
        }
    }
}

async fn open_snapshotters(
    drivers: BTreeMap<String, Arc<dyn model::snapshots::Driver>>,
    database: &Arc<Database>,
    pressure: &Arc<Pressure>,
) -> Result<BTreeMap<String, Snapshotter>> {
    let mut opened = BTreeMap::new();
    for (name, driver) in drivers {
        let gate = Gate::new(format!("snapshotter {name}"), Pace::Disk);
        let (database, pressure) = (database.clone(), pressure.clone());
        let parts = snapshots::Parts { driver, database, pressure, gate: gate.clone() };
        let opening = name.clone();
        let snapshotter = gate.run("open", move || {
            Snapshotter::open(&opening, parts).map_err(|e| e.during(format!("open snapshotter {opening}")))
        });
        opened.insert(name, snapshotter.await?);
    }
    Ok(opened)
}
