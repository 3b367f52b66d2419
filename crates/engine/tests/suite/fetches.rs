//! One object at a time from a registry that breaks off, lies, or is asked for what is here in part.

use crate::World;
use crate::stalls::soon;
use crate::transfers::Plain;
use async_trait::async_trait;
use bytes::Bytes;
use engine::diff::{Diffs, Durability};
use engine::streams::Streams;
use engine::transfer::{Limits, Parts, Transfers};
use model::content::Ingest;
use model::diff::{Applied, Apply, Compare, Driver};
use model::registries::{Access, Body, Push, Pushed, Registries, Repository};
use model::transfer::{Endpoint, ImageStore, Progress, ProgressSink, Registry, Request, Transfer, Unpack};
use model::{Error, Kind, Result};
use oci::{Descriptor, Digest, Platform, media_type};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What is sent of an object.
#[derive(Clone)]
struct Sent {
    bytes: Bytes,
    /// It breaks off after so many bytes, the first time.
    breaks: Option<usize>,
    /// The second half waits for this.
    waits: Option<watch::Receiver<bool>>,
}

/// A registry of one image.
#[derive(Clone)]
struct Shelf {
    root: Descriptor,
    objects: Arc<Mutex<BTreeMap<Digest, Sent>>>,
    /// What was asked for, and from where on.
    asked: Arc<Mutex<Vec<(Digest, u64)>>>,
}

#[async_trait]
impl Registries for Shelf {
    async fn open(&self, _: Access) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Repository for Shelf {
    fn source(&self) -> (String, String) {
        ("source".into(), "repository".into())
    }

    async fn resolve(&self) -> Result<Descriptor> {
        Ok(self.root.clone())
    }

    async fn fetch(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Body>> {
        let digest = &descriptor.digest;
        self.asked.lock().expect("no panic holds it").push((digest.clone(), offset));
        let mut objects = self.objects.lock().expect("no panic holds it");
        let sent = objects.get_mut(digest).ok_or_else(|| Error::not_found(digest.as_str()))?;
        let end = sent.breaks.unwrap_or(sent.bytes.len());
        let bytes = sent.bytes.slice(offset as usize..end);
        let half = bytes.len() / 2;
        let most = half.saturating_sub(1);
        Ok(Box::new(Coming {
            pieces: vec![bytes.slice(half..), bytes.slice(most..half), bytes.slice(..most)],
            breaks: sent.breaks.take().is_some(),
            waits: sent.waits.clone(),
        }))
    }

    async fn push(&self, _: Push) -> Result<Pushed> {
        Err(Error::not_implemented("push"))
    }
}

struct Coming {
    pieces: Vec<Bytes>,
    breaks: bool,
    waits: Option<watch::Receiver<bool>>,
}

#[async_trait]
impl Body for Coming {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.pieces.len() == 1
            && let Some(waits) = &mut self.waits
        {
            waits.wait_for(|goes_on| *goes_on).await.expect("the test lives");
        }
        match self.pieces.pop() {
            None if self.breaks => Err(Error::unknown("the line broke")),
            piece => Ok(piece),
        }
    }
}

/// A differ to which every layer becomes the same.
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

/// Pieces are taken together up to this size, so that half of an object is more.
const LARGE: usize = 5 << 20;

/// A shelf with an image of one layer, which becomes `diff_id`.
fn shelf(layer: &[u8], diff_id: &[u8]) -> (Shelf, Descriptor) {
    let host = Platform::host("");
    let config = json!({ "os": host.os, "architecture": host.architecture,
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(diff_id)] } });
    let config = config.to_string().into_bytes();
    let (config_of, layer_of) =
        (Descriptor::of(media_type::OCI_CONFIG, &config), Descriptor::of(media_type::OCI_LAYER, layer));
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": config_of, "layers": [layer_of] });
    let manifest = manifest.to_string().into_bytes();
    let root = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
    let sent = |of: &Descriptor, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        (of.digest.clone(), Sent { bytes, breaks: None, waits: None })
    };
    let objects = [sent(&root, &manifest), sent(&config_of, &config), sent(&layer_of, layer)].into();
    (Shelf { root, objects: Arc::new(Mutex::new(objects)), asked: Arc::default() }, layer_of)
}

impl Shelf {
    fn change(&self, of: &Descriptor, change: impl FnOnce(&mut Sent)) {
        change(self.objects.lock().expect("no panic holds it").get_mut(&of.digest).expect("known"));
    }

    /// From where on an object was asked for, each time.
    fn asked(&self, of: &Descriptor) -> Vec<u64> {
        let asked = self.asked.lock().expect("no panic holds it");
        asked.iter().filter(|(digest, _)| *digest == of.digest).map(|(_, offset)| *offset).collect()
    }

    async fn pull_telling(&self, world: &World, progress: Option<Arc<dyn ProgressSink>>) -> Result<()> {
        let (content, blobs) = (world.engine.content.clone(), world.blobs.clone());
        let parts = Parts {
            diff: Arc::new(Diffs::new(vec![Arc::new(Same)], content, blobs, Durability::Asked)),
            streams: Arc::new(Streams::default()),
            registries: Arc::new(self.clone()),
            phrases: Arc::new(Plain),
            limits: Limits { downloads: 3, uploads: 3 },
        };
        let registry = Registry { reference: "h/r:1".into(), ..Registry::default() };
        let store = ImageStore {
            name: "h/r:1".into(),
            unpacks: vec![Unpack { platform: None, snapshotter: "dirs".into() }],
            ..ImageStore::default()
        };
        let request = Request {
            source: Endpoint::Registry(Box::new(registry)),
            destination: Endpoint::ImageStore(Box::new(store)),
            progress,
        };
        soon("it ends", Transfers::new(&world.engine, parts).transfer(&world.scope, request)).await
    }

    async fn pull(&self, world: &World) -> Result<()> {
        self.pull_telling(world, None).await
    }
}

/// The references of the ingests that are there.
async fn ingests(world: &World) -> Vec<String> {
    let found = world.engine.content.statuses(&world.scope, &[]).await.expect("lists");
    found.into_iter().map(|status| status.reference).collect()
}

/// What came before a line broke is not asked for again.
#[tokio::test]
async fn a_broken_fetch_is_resumed() {
    let world = World::new().await;
    let (shelf, layer) = shelf(&vec![7; LARGE], b"same");
    shelf.change(&layer, |sent| sent.breaks = Some(4 << 20));
    let error = shelf.pull(&world).await.expect_err("it breaks");
    assert!(error.text().ends_with("the line broke"), "{error:?}");
    assert_eq!(ingests(&world).await, [layer.ref_key()]);
    shelf.pull(&world).await.expect("the rest");
    let asked = shelf.asked(&layer);
    assert!(asked.len() == 2 && asked[0] == 0 && asked[1] >= 2 << 20, "{asked:?}");
    assert!(ingests(&world).await.is_empty());
}

/// Bytes that an earlier transfer left and that are none of the object are fetched anew.
#[tokio::test]
async fn a_damaged_rest_is_fetched_anew() {
    let world = World::new().await;
    let (shelf, layer) = shelf(b"0123456789", b"same");
    let ingest = Ingest { reference: layer.ref_key(), total: 10, ..Ingest::default() };
    let mut writer = world.engine.content.writer(&world.scope, ingest).await.expect("opened");
    writer.write(Bytes::from_static(b"0x2")).await.expect("written");
    drop(writer);
    shelf.pull(&world).await.expect("pulled");
    assert_eq!(shelf.asked(&layer), [3, 0]);
}

/// Other bytes than were promised, more or less, come to nothing, and nothing of them is kept.
#[tokio::test]
async fn lies_are_not_kept() {
    for (bytes, kind, words) in [
        (&b"0123456780"[..], Kind::FailedPrecondition, "unexpected commit digest"),
        (b"01234567890", Kind::FailedPrecondition, "more than 10 bytes came"),
        (b"012345678", Kind::Unknown, "expected 10 bytes but got 9"),
    ] {
        let world = World::new().await;
        let (shelf, layer) = shelf(b"0123456789", b"same");
        shelf.change(&layer, |sent| sent.bytes = Bytes::from_static(bytes));
        let error = shelf.pull(&world).await.expect_err(words);
        assert!(error.kind() == kind && error.text().contains(words), "{words}: {error:?}");
        // What is too short may still become whole.
        assert_eq!(ingests(&world).await.is_empty(), kind == Kind::FailedPrecondition, "{words}");
        assert!(world.snapshots().list(&world.scope, &[]).await.expect("lists").is_empty());
        assert!(world.engine.images.list(&world.scope, &[]).await.expect("lists").is_empty());
    }
}

/// What cannot be, by its descriptor, is not even asked for.
#[tokio::test]
async fn sizes_that_cannot_be() {
    for (size, words) in [(0, "content size of zero"), (1 << 40, "bytes are read")] {
        let world = World::new().await;
        let (mut shelf, _) = shelf(b"0123456789", b"same");
        let config = Descriptor { size, ..Descriptor::of(media_type::OCI_CONFIG, b"{}") };
        let manifest = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": config, "layers": [] });
        let manifest = manifest.to_string().into_bytes();
        shelf.root = Descriptor::of(media_type::OCI_MANIFEST, &manifest);
        let sent = Sent { bytes: manifest.into(), breaks: None, waits: None };
        shelf.objects.lock().expect("no panic holds it").insert(shelf.root.digest.clone(), sent);
        let error = shelf.pull(&world).await.expect_err(words);
        assert!(error.kind() == Kind::InvalidArgument && error.text().contains(words), "{error:?}");
        assert!(shelf.asked(&config).is_empty());
    }
}

/// A layer that becomes something else than the config says is no snapshot, and leaves none half made.
#[tokio::test]
async fn a_wrong_diff_id_leaves_no_snapshot() {
    let world = World::new().await;
    let (shelf, _) = shelf(b"layer", b"other");
    let error = shelf.pull(&world).await.expect_err("another diff id");
    assert!(error.text().contains("wrong diff id"), "{error:?}");
    assert!(world.snapshots().list(&world.scope, &[]).await.expect("lists").is_empty());
}

/// Lets a download go on when so many bytes of it were told of.
struct Told(i64, watch::Sender<bool>);

impl ProgressSink for Told {
    fn report(&self, progress: Progress) {
        if progress.event == "downloading" && progress.progress == self.0 {
            self.1.send_replace(true);
        }
    }
}

/// The bytes that were here before count, and those that have just come.
#[tokio::test]
async fn progress_counts_every_byte() {
    let world = World::new().await;
    let (shelf, layer) = shelf(b"0123456789", b"same");
    let ingest = Ingest { reference: layer.ref_key(), total: 10, ..Ingest::default() };
    let mut writer = world.engine.content.writer(&world.scope, ingest).await.expect("opened");
    writer.write(Bytes::from_static(b"01")).await.expect("written");
    drop(writer);
    let (go_on, waits) = watch::channel(false);
    shelf.change(&layer, |sent| sent.waits = Some(waits));
    shelf.pull_telling(&world, Some(Arc::new(Told(6, go_on)))).await.expect("pulled");
}
