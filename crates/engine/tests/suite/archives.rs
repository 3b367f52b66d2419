//! Archives: what goes in and out by a stream, also when the stream stands still and the documents are made to be read
//! for ever.

use crate::World;
use crate::transfers::transfers;
use archive::compress::{Compression, Compressor};
use archive::tar::{Entry, Kind, Writer};
use async_trait::async_trait;
use bytes::Bytes;
use engine::streams::Streams;
use model::content::{Commit, Ingest};
use model::images::Image;
use model::streams::{Accept, Accepted, Message, Stream};
use model::transfer::{Endpoint, Export, ImageReference, ImageStore, Import, Request, Transfer, Unpack};
use model::{Labels, Result, labels};
use oci::{Descriptor, Digest, Platform, media_type};
use serde_json::json;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What comes after the last byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    End,
    Silence,
}

/// A client's end of a stream: what it sends, and what it got.
struct Line {
    sends: Mutex<VecDeque<Message>>,
    then: Then,
    got: Mutex<Vec<u8>>,
    is_closed: AtomicBool,
}

#[async_trait]
impl Stream for Line {
    async fn send(&self, message: Message) -> Result<()> {
        if let Message::Data(data) = message {
            self.got.lock().expect("no panic holds it").extend_from_slice(&data);
        }
        Ok(())
    }

    async fn receive(&self) -> Result<Option<Message>> {
        let next = self.sends.lock().expect("no panic holds it").pop_front();
        match (next, self.then) {
            (None, Then::Silence) => std::future::pending().await,
            (next, _) => Ok(next),
        }
    }

    async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

/// Runs a transfer over a stream called `s`; what cannot be over soon is a failure.
async fn run(world: &World, line: Line, request: Request) -> (Result<()>, Vec<u8>) {
    let (streams, line) = (Arc::new(Streams::default()), Arc::new(line));
    let accepted = Accepted {
        namespace: world.scope.namespace.to_string(),
        lease: String::new(),
        id: "s".into(),
        stream: line.clone(),
    };
    streams.accept(accepted).expect("a free name");
    let transfers = transfers(world, streams);
    let work = transfers.transfer(&world.scope, request);
    // Two thousand documents take their time where all disks and processors are busy.
    let done = tokio::time::timeout(Duration::from_secs(300), work).await.expect("an answer");
    assert!(line.is_closed.load(Ordering::Relaxed), "the stream is left open");
    let got = line.got.lock().expect("no panic holds it").clone();
    (done, got)
}

async fn import(world: &World, bytes: &[u8], then: Then, store: ImageStore) -> Result<()> {
    let sends = bytes.chunks(32 << 10).map(|piece| Message::Data(Bytes::copy_from_slice(piece))).collect();
    let line =
        Line { sends: Mutex::new(sends), then, got: Mutex::default(), is_closed: AtomicBool::default() };
    let source = Endpoint::Import(Import { stream: "s".into(), ..Import::default() });
    let request = Request { source, destination: Endpoint::ImageStore(Box::new(store)), progress: None };
    run(world, line, request).await.0
}

fn named(name: &str) -> ImageStore {
    ImageStore { name: name.into(), ..ImageStore::default() }
}

/// An archive of files.
fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, bytes) in files {
        let entry = Entry { size: bytes.len() as u64, ..Entry::new(Kind::Regular, name.as_str(), 0o644) };
        writer.append_bytes(&entry, bytes).expect("memory");
    }
    writer.finish().expect("memory")
}

/// An archive in the making.
struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    fn new() -> Self {
        Self(vec![("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())])
    }

    fn put(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &bytes);
        self.0.push((format!("blobs/sha256/{}", descriptor.digest.hex()), bytes));
        descriptor
    }

    fn index(&mut self, manifests: &[Descriptor]) -> Descriptor {
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
        self.put(media_type::OCI_INDEX, index.to_string().into_bytes())
    }

    /// An image of one layer, which is not among the blobs unless it is put there.
    fn image(&mut self, platform: &str, layer: &Descriptor) -> Descriptor {
        let platform = Platform::parse(platform).expect("a platform");
        let config = json!({ "os": platform.os, "architecture": platform.architecture,
            "rootfs": { "type": "layers", "diff_ids": [layer.digest] } });
        let config = self.put(media_type::OCI_CONFIG, config.to_string().into_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": config, "layers": [layer] });
        let manifest = self.put(media_type::OCI_MANIFEST, manifest.to_string().into_bytes());
        Descriptor { platform: Some(platform), ..manifest }
    }

    fn bytes(mut self, manifests: &[Descriptor]) -> Vec<u8> {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        self.0.push(("index.json".into(), index.to_string().into_bytes()));
        tar(&self.0)
    }
}

/// Forty indexes that each list the next one twice are forty documents.
#[tokio::test]
async fn documents_are_read_once() {
    let world = World::new().await;
    let mut layout = Layout::new();
    let layer = layout.put(media_type::OCI_LAYER, b"x".to_vec());
    let mut next = layout.image("linux/s390x", &layer);
    for _ in 0..40 {
        next = layout.index(&[next.clone(), next]);
    }
    let unpacks = vec![Unpack { platform: None, snapshotter: "dirs".into() }];
    let store = ImageStore { unpacks, ..named("h/a:1") };
    import(&world, &layout.bytes(&[next]), Then::End, store).await.expect("imported");

    let mut layout = Layout::new();
    let config = layout.put(media_type::OCI_CONFIG, b"{}".to_vec());
    let many: Vec<_> = (0..2001)
        .map(|n| {
            let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [], "annotations": { "n": n.to_string() } });
            layout.put(media_type::OCI_MANIFEST, manifest.to_string().into_bytes())
        })
        .collect();
    let error = import(&world, &layout.bytes(&many), Then::End, named("h/a:2")).await.expect_err("refused");
    assert!(error.text().contains("more than 2000 documents"), "{error:?}");
}

/// A mistake is answered though the client sends no more; and so is what cannot be done at all.
#[tokio::test]
async fn a_mistake_is_answered_at_once() {
    let world = World::new().await;
    let bytes = tar(&[("oci-layout".into(), b"{".to_vec())]);
    let error = import(&world, &bytes[..1024], Then::Silence, named("h/a:1")).await.expect_err("refused");
    assert!(error.text().contains("untar oci-layout"), "{error:?}");
    let unpacks = vec![Unpack { platform: None, snapshotter: "other".into() }];
    let store = ImageStore { unpacks, ..named("h/a:1") };
    let error = import(&world, &[], Then::Silence, store).await.expect_err("refused");
    assert_eq!(error.kind(), model::Kind::InvalidArgument);
    assert!(
        error.text().contains("no unpack platforms defined") && error.text().contains("other"),
        "{error:?}"
    );
}

/// A name belongs to a prefix only where a separator follows it.
#[tokio::test]
async fn a_prefix_is_whole_words() {
    let world = World::new().await;
    let mut layout = Layout::new();
    let layer = layout.put(media_type::OCI_LAYER, b"x".to_vec());
    let mut images = Vec::new();
    for name in ["h/ab:v1", "h/a:v1"] {
        let mut image = layout.image("linux/amd64", &layer);
        image.annotations.insert("io.containerd.image.name".into(), name.into());
        images.push(image);
    }
    let reference = ImageReference { name: "h/a".into(), is_prefix: true, ..ImageReference::default() };
    let store = ImageStore { extra_references: vec![reference], ..ImageStore::default() };
    import(&world, &layout.bytes(&images), Then::End, store).await.expect("imported");
    let listed = world.engine.images.list(&world.scope, &[]).await.expect("lists");
    assert_eq!(listed.into_iter().map(|image| image.name).collect::<Vec<_>>(), ["h/a:v1"]);
}

async fn write(world: &World, bytes: Vec<u8>, labels: Labels) -> Digest {
    let ingest = Ingest { reference: "w".into(), ..Ingest::default() };
    let mut writer = world.engine.content.writer(&world.scope, ingest).await.expect("opened");
    writer.write(bytes.into()).await.expect("written");
    writer.commit(Commit { labels, ..Commit::default() }).await.expect("committed")
}

/// What a pull brought packed is not kept a second time because an archive has it plain.
#[tokio::test]
async fn a_packed_layer_that_is_known_is_taken() {
    let mut world = World::new().await;
    let plain = tar(&[("a".into(), b"1".to_vec())]);
    let mut packer = Compressor::new(Vec::new(), Compression::Gzip).expect("memory");
    packer.write_all(&plain).expect("memory");
    let packed = packer.finish().expect("memory");
    let known = Labels::from([(labels::UNCOMPRESSED.into(), Digest::of(&plain).to_string())]);
    let packed = write(&world, packed, known).await;
    let config = json!({ "os": "linux", "architecture": "amd64",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&plain)] } });
    let list = json!([{ "Config": "c", "RepoTags": ["h/a:1"], "Layers": ["l"] }]);
    let bytes = tar(&[
        ("l".into(), plain),
        ("c".into(), config.to_string().into_bytes()),
        ("manifest.json".into(), list.to_string().into_bytes()),
    ]);
    world.scope = world.leased("l", &[]).await;
    let reference = ImageReference {
        name: "x".into(),
        is_prefix: true,
        allow_overwrite: true,
        ..ImageReference::default()
    };
    let store = ImageStore { extra_references: vec![reference], ..ImageStore::default() };
    import(&world, &bytes, Then::End, store).await.expect("imported");
    let listed = world.engine.images.list(&world.scope, &[]).await.expect("lists");
    let digest = listed[0].target.parse_digest().expect("a digest");
    let reader = world.engine.content.reader(&world.scope, &digest).await.expect("opened");
    let manifest = reader.read_at(0, 1 << 20).await.expect("read");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["layers"][0]["digest"], packed.as_str(), "{manifest}");
    assert_eq!(manifest["layers"][0]["mediaType"], media_type::DOCKER_LAYER_GZIP);
    // Until the manifest holds it the lease does.
    let held = world.engine.leases.list_resources(&world.scope, "l").await.expect("lists");
    assert!(held.iter().any(|held| held.id == packed.as_str()), "{held:?}");
}

/// Of an index with two platforms that this machine runs, the one that is here goes out.
#[tokio::test]
async fn the_host_s_platform_goes_out() {
    let world = World::new().await;
    let mut layout = Layout::new();
    let here = layout.put(media_type::OCI_LAYER, b"here".to_vec());
    let host = Platform::host("").to_string();
    let own = layout.image(&host, &here);
    let other = layout.image("linux/386", &Descriptor::of(media_type::OCI_LAYER, b"absent"));
    let index = layout.index(&[other, own]);
    import(&world, &layout.bytes(std::slice::from_ref(&index)), Then::End, named("h/all:1"))
        .await
        .expect("imported");
    let target = model::images::Target {
        media_type: index.media_type.clone(),
        digest: index.digest.to_string(),
        size: index.size,
        annotations: index.annotations.clone(),
    };
    let all = world.engine.images.get(&world.scope, "h/all:1").await.expect("there");
    let image = Image { name: "h/a:1".into(), target, ..all };
    world.engine.images.create(&world.scope, image, None).await.expect("made");

    let sends = (0..64).map(|_| Message::Window(1 << 20)).collect();
    let line = Line {
        sends: Mutex::new(sends),
        then: Then::Silence,
        got: Mutex::default(),
        is_closed: AtomicBool::default(),
    };
    let request = Request {
        source: Endpoint::ImageStore(Box::new(named("h/a:1"))),
        destination: Endpoint::Export(Export { stream: "s".into(), ..Export::default() }),
        progress: None,
    };
    let (done, got) = run(&world, line, request).await;
    done.expect("exported");
    assert!(String::from_utf8_lossy(&got).contains(here.digest.hex()), "the layer is not in it");
}
