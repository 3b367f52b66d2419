//! Nouns that are records: namespaces, containers, images, leases, sandboxes; and what the daemon tells of itself.

use super::{Stage, refused};
use anyhow::Result;
use model::containers::{Container, Containers, RuntimeChoice};
use model::images::{self, Image, Images, Target, Update};
use model::leases::{self, Leases, Resource};
use model::namespaces::{NamespaceInfo, Namespaces};
use model::plugins::Introspection;
use model::sandboxes::{Sandbox, Sandboxes};
use model::{Any, Kind, Labels, Mask, Timestamp};

fn labels(entries: &[(&str, &str)]) -> Labels {
    entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test]
async fn namespaces() -> Result<()> {
    let stage = Stage::open().await?;
    let client: &dyn Namespaces = &stage.client;
    let info = |labels| NamespaceInfo { name: "one".into(), labels };
    assert_eq!(client.create(info(labels(&[("a", "b")]))).await?, info(labels(&[("a", "b")])));
    assert_eq!(refused(client.create(info(Labels::new())).await)?.kind(), Kind::AlreadyExists);
    client.update(info(labels(&[("c", "d")])), Mask(vec!["labels.c".into()])).await?;
    assert_eq!(client.get("one").await?, info(labels(&[("a", "b"), ("c", "d")])));
    assert!(client.list().await?.iter().any(|n| n.name == "one"));
    client.delete("one").await?;
    assert!(refused(client.delete("one").await)?.is_not_found());
    stage.finish().await
}

#[tokio::test]
async fn containers() -> Result<()> {
    let stage = Stage::open().await?;
    let (client, scope): (&dyn Containers, _) = (&stage.client, &stage.scope);
    let spec = Any { type_url: model::any::SPEC_URL.into(), value: "{\"ociVersion\":\"1.3.0\"}".into() };
    let container = Container {
        id: "one".into(),
        labels: labels(&[("a", "b")]),
        image: "img".into(),
        runtime: RuntimeChoice { name: "io.containerd.runc.v2".into(), options: None },
        spec: Some(spec),
        extensions: [("x".to_owned(), Any { type_url: "x.Y".into(), value: "1".into() })].into(),
        ..Container::default()
    };
    let made = client.create(scope, container.clone()).await?;
    assert!(!made.created_at.is_never());
    let same = |c: Container| Container { created_at: Timestamp::NEVER, updated_at: Timestamp::NEVER, ..c };
    assert_eq!(same(client.get(scope, "one").await?), container);
    let update = Container { labels: labels(&[("c", "d")]), ..container.clone() };
    let updated = client.update(scope, update, Mask(vec!["labels.c".into()])).await?;
    assert_eq!(updated.labels, labels(&[("a", "b"), ("c", "d")]));
    assert_eq!(client.list(scope, &["labels.c==d".into()]).await?.len(), 1);
    assert!(client.list(scope, &["labels.c==e".into()]).await?.is_empty());
    assert_eq!(refused(client.list(scope, &["(".into()]).await)?.kind(), Kind::InvalidArgument);
    client.delete(scope, "one").await?;
    let error = refused(client.get(scope, "one").await)?;
    assert!(error.is_not_found() && error.text().contains("\"one\""), "{error}");
    stage.finish().await
}

#[tokio::test]
async fn images() -> Result<()> {
    let stage = Stage::open().await?;
    let (client, scope): (&dyn Images, _) = (&stage.client, &stage.scope);
    let target = |last: char| Target {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest: format!("sha256:{}{last}", "0".repeat(63)),
        size: 7,
        annotations: labels(&[("k", "v")]),
    };
    let image = Image {
        name: "example.org/a:1".into(),
        labels: labels(&[("a", "b"), ("containerd.io/gc.expire", "2100-01-01T00:00:00Z")]),
        target: target('1'),
        created_at: Timestamp::NEVER,
        updated_at: Timestamp::NEVER,
    };
    let date = Timestamp { seconds: 1_000_000_000, nanos: 5 };
    let made = client.create(scope, image.clone(), Some(date)).await?;
    assert_eq!((made.created_at, &made.target), (date, &image.target));
    let moved = Image { target: target('2'), ..image.clone() };
    let update = Update { image: moved, mask: Mask(vec!["target".into()]), source_date: None };
    assert_eq!(client.update(scope, update).await?.target, target('2'));
    assert_eq!(client.list(scope, &["name~=example".into()]).await?.len(), 1);
    let delete = |target| images::Delete { name: image.name.clone(), sync: false, target };
    assert!(refused(client.delete(scope, delete(Some(target('1')))).await)?.is_not_found());
    client.delete(scope, delete(Some(target('2')))).await?;
    assert!(refused(client.get(scope, &image.name).await)?.is_not_found());
    stage.finish().await
}

#[tokio::test]
async fn leases() -> Result<()> {
    let stage = Stage::open().await?;
    let (client, scope): (&dyn Leases, _) = (&stage.client, &stage.scope);
    let lease = client.create(scope, "mine", labels(&[("a", "b")])).await?;
    assert_eq!((lease.id.as_str(), &lease.labels), ("mine", &labels(&[("a", "b")])));
    assert!(!client.create(scope, "", Labels::new()).await?.id.is_empty());
    assert_eq!(refused(client.create(scope, "mine", Labels::new()).await)?.kind(), Kind::AlreadyExists);
    let resource = Resource { kind: "snapshots/overlayfs".into(), id: "key".into() };
    client.add_resource(scope, "mine", resource.clone()).await?;
    assert_eq!(client.list_resources(scope, "mine").await?, std::slice::from_ref(&resource));
    client.delete_resource(scope, "mine", resource).await?;
    assert!(client.list_resources(scope, "mine").await?.is_empty());
    assert_eq!(client.list(scope, &["id==mine".into()]).await?.len(), 1);
    client.delete(scope, leases::Delete { id: "mine".into(), sync: true }).await?;
    assert!(refused(client.list_resources(scope, "mine").await)?.is_not_found());
    stage.finish().await
}

#[tokio::test]
async fn sandboxes() -> Result<()> {
    let stage = Stage::open().await?;
    let (client, scope): (&dyn Sandboxes, _) = (&stage.client, &stage.scope);
    let sandbox = Sandbox {
        id: "pod".into(),
        labels: labels(&[("a", "b")]),
        runtime: Some(RuntimeChoice { name: "io.containerd.runc.v2".into(), options: None }),
        spec: None,
        sandboxer: "shim".into(),
        created_at: Timestamp::NEVER,
        updated_at: Timestamp::NEVER,
        extensions: Default::default(),
    };
    client.create(scope, sandbox.clone()).await?;
    let found = client.get(scope, "pod").await?;
    assert_eq!((&found.labels, &found.runtime), (&sandbox.labels, &sandbox.runtime));
    let update = Sandbox { labels: labels(&[("c", "d")]), ..sandbox };
    client.update(scope, update, Mask(vec!["labels".into()])).await?;
    assert_eq!(client.list(scope, &["labels.c==d".into()]).await?.len(), 1);
    client.delete(scope, "pod").await?;
    assert!(refused(client.get(scope, "pod").await)?.is_not_found());
    stage.finish().await
}

#[tokio::test]
async fn introspection() -> Result<()> {
    let stage = Stage::open().await?;
    let client: &dyn Introspection = &stage.client;
    assert_eq!(client.server().await?.pid, u64::from(stage.daemon.pid()?));
    assert!(!client.version().await?.0.is_empty());
    let filter = "type==io.containerd.snapshotter.v1,id==overlayfs".to_owned();
    let plugins = client.plugins(&[filter]).await?;
    assert_eq!(plugins.len(), 1);
    assert!(plugins[0].error.is_none() && !plugins[0].platforms.is_empty(), "{plugins:?}");
    assert!(client.plugins(&[]).await?.len() > 10);
    let error = refused(client.plugin_info("io.containerd.snapshotter.v1", "none", None).await)?;
    assert!(error.is_not_found(), "{error:?}");
    stage.finish().await
}
