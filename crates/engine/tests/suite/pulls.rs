//! Transfers side by side: what one waits for does not keep the others, and all together keep to the limits.

use crate::World;
use crate::stalls::soon;
use crate::transfers::Plain;
use async_trait::async_trait;
use bytes::Bytes;
use engine::diff::{Diffs, Durability};
use engine::streams::Streams;
use engine::transfer::{Limits, Parts, Transfers};
use model::diff::{Applied, Apply, Compare, Driver};
use model::registries::{Access, Body, Push, Pushed, Registries, Repository};
use model::snapshots::{Commit, Info, Prepare, Snapshotter, Usage};
use model::transfer::{Endpoint, ImageStore, Registry, Request, Transfer, Unpack};
use model::{Error, Mask, Mount, Result, Scope};
use oci::{Descriptor, Digest, Platform, media_type};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often whoever moves bytes lets the others go on.
const STEPS: usize = 100;

/// How many objects move, and how many did at most.
#[derive(Default)]
struct Traffic {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// An object that moves.
struct Moving(Arc<Traffic>);

impl Moving {
    fn begin(traffic: &Arc<Traffic>) -> Self {
        traffic.most.fetch_max(traffic.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self(traffic.clone())
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A registry that holds images, and holds one blob back.
struct Shelf {
    images: BTreeMap<String, Descriptor>,
    blobs: BTreeMap<Digest, Bytes>,
    held_back: Option<Digest>,
    released: watch::Receiver<bool>,
    down: Arc<Traffic>,
    up: Arc<Traffic>,
}

impl Shelf {
    fn new(released: watch::Receiver<bool>) -> Self {
        let (images, blobs, held_back, down, up) = Default::default();
        Self { images, blobs, held_back, released, down, up }
    }

    fn put(&mut self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        self.blobs.insert(descriptor.digest.clone(), Bytes::copy_from_slice(bytes));
        descriptor
    }

    /// An image for this machine; every layer says to become the same.
    fn image(&mut self, name: &str, layers: &[String]) -> Vec<Descriptor> {
        let host = Platform::host("");
        let diff_ids: Vec<_> = layers.iter().map(|_| Digest::of(b"same")).collect();
        let config = json!({ "os": host.os, "architecture": host.architecture,
            "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = self.put(media_type::OCI_CONFIG, config.to_string().as_bytes());
        let layers: Vec<_> =
            layers.iter().map(|layer| self.put(media_type::OCI_LAYER, layer.as_bytes())).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": config, "layers": layers });
        let manifest = self.put(media_type::OCI_MANIFEST, manifest.to_string().as_bytes());
        self.images.insert(name.into(), manifest);
        layers
    }
}

/// The shelf, as those see it who pull and push.
struct Shop(Arc<Shelf>);

#[async_trait]
impl Registries for Shop {
    async fn open(&self, access: Access) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(Place(self.0.clone(), access.registry.reference)))
    }
}

struct Place(Arc<Shelf>, String);

#[async_trait]
impl Repository for Place {
    fn source(&self) -> (String, String) {
        ("source".into(), "repository".into())
    }

    async fn resolve(&self) -> Result<Descriptor> {
        self.0.images.get(&self.1).cloned().ok_or_else(|| Error::not_found(&self.1))
    }

    async fn fetch(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Body>> {
        let Self(shelf, _) = self;
        let is_held = shelf.held_back.as_ref() == Some(&descriptor.digest);
        Ok(Box::new(Coming {
            bytes: Some(shelf.blobs[&descriptor.digest].slice(offset as usize..)),
            release: is_held.then(|| shelf.released.clone()),
            _moving: Moving::begin(&shelf.down),
        }))
    }

    async fn push(&self, _: Push) -> Result<Pushed> {
        let _moving = Moving::begin(&self.0.up);
        for _ in 0..STEPS {
            tokio::task::yield_now().await;
        }
        Ok(Pushed::Sent)
    }
}

/// A blob on its way.
struct Coming {
    bytes: Option<Bytes>,
    release: Option<watch::Receiver<bool>>,
    _moving: Moving,
}

#[async_trait]
impl Body for Coming {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(mut release) = self.release.take() {
            release.wait_for(|released| *released).await.expect("the test lives");
        }
        for _ in 0..STEPS {
            tokio::task::yield_now().await;
        }
        Ok(self.bytes.take())
    }
}

/// A differ to which all layers are the same.
struct Same;

impl Driver for Same {
    fn apply(&self, _: &Apply, layer: &mut (dyn Read + Send)) -> Result<Applied> {
        let size = std::io::copy(layer, &mut std::io::sink()).expect("memory");
        Ok(Applied { diff_id: Digest::of(b"same"), size })
    }
    fn compare(&self, _: &Compare, _: &mut (dyn Write + Send)) -> Result<Applied> {
        Err(Error::not_implemented("compare"))
    }
}

fn transfers(world: &World, shelf: &Arc<Shelf>, limits: Limits) -> Transfers {
    let (content, blobs) = (world.engine.content.clone(), world.blobs.clone());
    let parts = Parts {
        diff: Arc::new(Diffs::new(vec![Arc::new(Same)], content, blobs, Durability::Asked)),
        streams: Arc::new(Streams::default()),
        registries: Arc::new(Shop(shelf.clone())),
        phrases: Arc::new(Plain),
        limits,
    };
    Transfers::new(&world.engine, parts)
}

fn registry(name: &str) -> Endpoint {
    Endpoint::Registry(Box::new(Registry { reference: name.into(), ..Registry::default() }))
}

fn store(name: &str, unpacks: Vec<Unpack>) -> Endpoint {
    Endpoint::ImageStore(Box::new(ImageStore { name: name.into(), unpacks, ..ImageStore::default() }))
}

fn transfer(source: Endpoint, destination: Endpoint) -> Request {
    Request { source, destination, progress: None }
}

/// However many transfers there are, no more objects move than are allowed for all together.
#[tokio::test]
async fn limits_are_for_all_transfers_together() {
    let world = World::new().await;
    let (_release, released) = watch::channel(true);
    let mut shelf = Shelf::new(released);
    let names: Vec<String> = (0..8).map(|n| format!("h/{n}:1")).collect();
    for name in &names {
        shelf.image(name, &[0, 1, 2].map(|layer| format!("{name} {layer}")));
    }
    let shelf = Arc::new(shelf);
    let transfers = transfers(&world, &shelf, Limits { downloads: 2, uploads: 2 });
    let all = async |requests: Vec<Request>| {
        let mut running = JoinSet::new();
        for request in requests {
            let (transfers, scope) = (transfers.clone(), world.scope.clone());
            running.spawn(async move { transfers.transfer(&scope, request).await });
        }
        while let Some(done) = soon("they end", running.join_next()).await {
            done.expect("no panic").expect("transferred");
        }
    };
    all(names.iter().map(|name| transfer(registry(name), store(name, Vec::new()))).collect()).await;
    all(names.iter().map(|name| transfer(store(name, Vec::new()), registry(name))).collect()).await;
    for (way, traffic) in [("down", &shelf.down), ("up", &shelf.up)] {
        let most = traffic.most.load(Ordering::Relaxed);
        assert!((1..=2).contains(&most), "{most} objects at a time {way}");
    }
}

/// A snapshotter that counts how often it is asked for a snapshot.
struct Watched(Arc<dyn Snapshotter>, Arc<AtomicUsize>);

#[async_trait]
impl Snapshotter for Watched {
    async fn stat(&self, scope: &Scope, key: &str) -> Result<Info> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.stat(scope, key).await
    }
    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info> {
        self.0.update(scope, info, mask).await
    }
    async fn usage(&self, scope: &Scope, key: &str) -> Result<Usage> {
        self.0.usage(scope, key).await
    }
    async fn mounts(&self, scope: &Scope, key: &str) -> Result<Vec<Mount>> {
        self.0.mounts(scope, key).await
    }
    async fn prepare(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>> {
        self.0.prepare(scope, prepare).await
    }
    async fn view(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>> {
        self.0.view(scope, prepare).await
    }
    async fn commit(&self, scope: &Scope, commit: Commit) -> Result<()> {
        self.0.commit(scope, commit).await
    }
    async fn remove(&self, scope: &Scope, key: &str) -> Result<()> {
        self.0.remove(scope, key).await
    }
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>> {
        self.0.list(scope, filters).await
    }
    async fn cleanup(&self, scope: &Scope) -> Result<()> {
        self.0.cleanup(scope).await
    }
}

/// Two images have the same layer, packed in two ways. While one of them waits for its registry the other gets on.
#[tokio::test]
async fn a_layer_on_its_way_has_no_turn() {
    let mut world = World::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let plain = world.engine.snapshotters.remove("dirs").expect("there");
    let watched = Watched(plain, asked.clone());
    world.engine.snapshotters.insert("dirs".into(), Arc::new(watched));
    let (release, released) = watch::channel(false);
    let mut shelf = Shelf::new(released);
    shelf.held_back = shelf.image("h/slow:1", &["one way".into()]).pop().map(|layer| layer.digest);
    shelf.image("h/fast:1", &["another way".into()]);
    let transfers = transfers(&world, &Arc::new(shelf), Limits { downloads: 3, uploads: 3 });
    let pull = |name: &'static str| {
        let (transfers, scope) = (transfers.clone(), world.scope.clone());
        let unpacks = vec![Unpack { platform: None, snapshotter: "dirs".into() }];
        async move { transfers.transfer(&scope, transfer(registry(name), store(name, unpacks))).await }
    };
    let slow = tokio::spawn(pull("h/slow:1"));
    let waits = async {
        // The first time it is what to fetch; after the second nothing is missing but the layer.
        while asked.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
    };
    soon("it waits for its layer", waits).await;
    soon("the other one is done", pull("h/fast:1")).await.expect("pulled");
    assert!(!slow.is_finished());
    release.send_replace(true);
    soon("it goes on", slow).await.expect("no panic").expect("pulled");
}
