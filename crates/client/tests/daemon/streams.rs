//! Events, streams and what runs over them.

use super::{Stage, refused};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use e2e::samples::BUSYBOX;
use model::events::{Envelope, Events};
use model::images::Images;
use model::leases::{self, Leases};
use model::streams::{Sink, Source, Streams};
use model::transfer::{
    Endpoint, Export, ImageStore, Import, Progress, ProgressSink, Request, Transfer, Unpack,
};
use model::{Any, Timestamp};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn events() -> Result<()> {
    let stage = Stage::open().await?;
    let client: &dyn Events = &stage.client;
    let mut subscription = client.subscribe(&["topic~=^/test/".into()]).await?;
    let payload = Any { type_url: "x.Y".into(), value: "1".into() };
    client.publish(&stage.scope.namespace, "/test/published", Some(payload.clone())).await?;
    let envelope = Envelope {
        timestamp: Timestamp { seconds: 5, nanos: 6 },
        namespace: "elsewhere".into(),
        topic: "/test/forwarded".into(),
        event: Some(payload.clone()),
    };
    client.forward(envelope.clone()).await?;
    let deadline = e2e::program::DEADLINE;
    let first = tokio::time::timeout(deadline, subscription.next()).await?.context("ended")??;
    assert_eq!((first.topic.as_str(), first.event), ("/test/published", Some(payload)));
    assert_eq!(first.namespace, stage.scope.namespace.as_str());
    let second = tokio::time::timeout(deadline, subscription.next()).await?.context("ended")??;
    assert_eq!(second, envelope);
    let error = refused(client.publish(&stage.scope.namespace, "no-slash", None).await)?;
    assert!(error.text().contains("must start with '/'"), "{error}");
    stage.finish().await
}

#[derive(Default)]
struct Seen(Mutex<Vec<Progress>>);

impl ProgressSink for Seen {
    fn report(&self, progress: Progress) {
        self.0.lock().expect("no panic while it is held").push(progress);
    }
}

#[tokio::test]
async fn an_image_goes_in_and_out() -> Result<()> {
    let stage = Stage::open().await?;
    let client = &stage.client;
    let archive = Bytes::from(e2e::samples::busybox(BUSYBOX)?.bytes());

    let scope = stage.leased().await?;
    let stream = client.open(&scope, "in").await?;
    let platform = Some(oci::Platform::host(""));
    let store = ImageStore {
        platforms: platform.clone().into_iter().collect(),
        extra_references: vec![model::transfer::ImageReference {
            name: "import".into(),
            is_prefix: true,
            allow_overwrite: true,
            ..Default::default()
        }],
        unpacks: vec![Unpack { platform, snapshotter: "overlayfs".into() }],
        ..ImageStore::default()
    };
    let seen = Arc::new(Seen::default());
    let request = Request {
        source: Endpoint::Import(Import { stream: "in".into(), ..Import::default() }),
        destination: Endpoint::ImageStore(Box::new(store)),
        progress: Some(seen.clone()),
    };
    let feed = async {
        // A daemon that has seen the archive's end need not take the blocks that fill it up.
        let _ = Sink::new(&*stream).write(archive).await;
        stream.close().await;
    };
    tokio::join!(client.transfer(&scope, request), feed).0?;
    let image = Images::get(client, &scope, BUSYBOX).await?;
    let told: Vec<String> = seen.0.lock().expect("no panic").iter().map(|p| p.event.clone()).collect();
    assert!(told.iter().any(|event| event == "saved"), "{told:?}");

    let stream = client.open(&scope, "out").await?;
    let request = Request {
        source: Endpoint::ImageStore(Box::new(ImageStore { name: BUSYBOX.into(), ..ImageStore::default() })),
        destination: Endpoint::Export(Export { stream: "out".into(), ..Export::default() }),
        progress: None,
    };
    let transfer = async {
        client.transfer(&scope, request).await?;
        // The stream ends when the collector finds the lease gone.
        let id = scope.lease.clone().unwrap_or_default();
        Leases::delete(client, &stage.scope, leases::Delete { id, sync: true }).await
    };
    let drain = async {
        let (mut source, mut bytes) = (Source::new(&*stream), Vec::new());
        while let Some(data) = source.read().await? {
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    let ((), exported) = tokio::try_join!(transfer, drain)?;
    let digest = image.target.digest.replace(':', "/");
    assert!(exported.windows(digest.len()).any(|part| part == digest.as_bytes()), "no {digest}");

    let request = Request {
        source: Endpoint::ImageStore(Box::default()),
        destination: Endpoint::ImageStore(Box::default()),
        progress: None,
    };
    let error = refused(client.transfer(&stage.scope, request).await)?;
    assert!(!error.text().is_empty());
    stage.finish().await
}

#[tokio::test]
async fn a_stream_has_one_name() -> Result<()> {
    let stage = Stage::open().await?;
    // Without a lease a collection may take the first one away.
    let scope = stage.leased().await?;
    let first = stage.client.open(&scope, "same").await?;
    let error = refused(stage.client.open(&scope, "same").await)?;
    assert!(error.text().contains("already exists"), "{error}");
    first.close().await;
    stage.finish().await
}
