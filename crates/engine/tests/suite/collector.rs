//! The collector: what the labels keep, and what they do not.

use crate::{World, map, told};
use bytes::Bytes;
use engine::gc::{Collectible, Resource};
use model::containers::{Container, RuntimeChoice};
use model::content::{Commit, Ingest};
use model::images::{Image, Target};
use model::snapshots::Prepare;
use model::{Result, Timestamp};
use oci::Digest;
use std::sync::{Arc, Mutex};

const PAST: &str = "1999-01-01T00:00:00Z";

async fn blob(world: &World, data: &str, labels: &[(&str, &str)]) -> Digest {
    let ingest = Ingest { reference: data.to_owned(), ..Ingest::default() };
    let mut writer = world.engine.content.writer(&world.scope, ingest).await.expect("opened");
    writer.write(Bytes::from(data.to_owned())).await.expect("written");
    writer.commit(Commit { labels: map(labels), ..Commit::default() }).await.expect("committed")
}

async fn image(world: &World, name: &str, target: &Digest, labels: &[(&str, &str)]) {
    let target = Target { media_type: "m".into(), digest: target.to_string(), size: 1, ..Target::default() };
    let (created_at, updated_at) = (Timestamp::NEVER, Timestamp::NEVER);
    let image = Image { name: name.into(), labels: map(labels), target, created_at, updated_at };
    world.engine.images.create(&world.scope, image, None).await.expect("made");
}

async fn container(world: &World, id: &str, labels: &[(&str, &str)], snapshot: &str) {
    let runtime = RuntimeChoice { name: "r".into(), options: None };
    let (snapshotter, snapshot_key) = (String::from("dirs"), snapshot.to_owned());
    let container = Container {
        id: id.into(),
        labels: map(labels),
        runtime,
        snapshotter,
        snapshot_key,
        ..Container::default()
    };
    world.engine.containers.create(&world.scope, container).await.expect("made");
}

async fn snapshot(world: &World, key: &str, labels: &[(&str, &str)]) {
    let prepare = Prepare { key: key.into(), parent: String::new(), labels: map(labels) };
    world.snapshots().prepare(&world.scope, prepare).await.expect("prepared");
}

async fn lease(world: &World, id: &str, labels: &[(&str, &str)], resources: &[(&str, &str)]) {
    world.leased(id, labels).await;
    for (kind, id_of) in resources {
        let resource = model::leases::Resource { kind: (*kind).into(), id: (*id_of).into() };
        world.engine.leases.add_resource(&world.scope, id, resource).await.expect("added");
    }
}

/// Runs the collector and names the first bytes of the blobs, the snapshots, images and leases that are left.
async fn left(world: &World, known: &[(&str, &Digest)]) -> String {
    world.engine.collector.collect().await.expect("collects");
    let (engine, scope) = (&world.engine, &world.scope);
    let mut names: Vec<String> = Vec::new();
    for (name, digest) in known {
        let row = engine.content.info(scope, digest).await.is_ok();
        assert_eq!(row, world.blobs.digests().contains(digest), "a row has its thing: {name}");
        names.extend(row.then(|| (*name).to_owned()));
    }
    names.extend(world.snapshots().list(scope, &[]).await.expect("list").into_iter().map(|s| s.name));
    names.extend(engine.images.list(scope, &[]).await.expect("list").into_iter().map(|i| i.name));
    names.extend(engine.leases.list(scope, &[]).await.expect("list").into_iter().map(|l| l.id));
    names.join(" ")
}

#[tokio::test]
async fn references_are_followed() {
    let world = World::new().await;
    let layer = blob(&world, "layer", &[]).await;
    let config = blob(&world, "config", &[("containerd.io/gc.ref.snapshot.dirs", "snap")]).await;
    let manifest = blob(
        &world,
        "manifest",
        &[
            ("containerd.io/gc.ref.content.l.0", layer.as_str()),
            ("containerd.io/gc.ref.content.config", config.as_str()),
        ],
    )
    .await;
    let rooted = blob(&world, "rooted", &[("containerd.io/gc.roots", "any")]).await;
    let loose = blob(&world, "loose", &[("containerd.io/gc.ref.content", layer.as_str())]).await;
    snapshot(&world, "snap", &[]).await;
    snapshot(&world, "used", &[]).await;
    snapshot(&world, "loose-snap", &[]).await;
    image(&world, "image", &manifest, &[]).await;
    container(&world, "c", &[], "used").await;
    let known = [
        ("layer", &layer),
        ("config", &config),
        ("manifest", &manifest),
        ("rooted", &rooted),
        ("loose", &loose),
    ];
    let mut seen = world.subscribe().await;
    assert_eq!(left(&world, &known).await, "layer config manifest rooted snap used image");
    assert_eq!(
        told(&mut *seen).await,
        ["/snapshot/remove SnapshotRemove { key: \"loose-snap\", snapshotter: \"dirs\" }"]
    );
    world.engine.containers.delete(&world.scope, "c").await.expect("deleted");
    let delete = model::images::Delete { name: "image".into(), sync: true, target: None };
    world.engine.images.delete(&world.scope, delete).await.expect("deleted");
    assert_eq!(
        world.blobs.digests(),
        std::slice::from_ref(&rooted),
        "a synchronous delete has waited for the bytes to go"
    );
    assert_eq!(left(&world, &known).await, "rooted");
}

/// What a snapshot stands on stays as long as it does.
#[tokio::test]
async fn parents_are_kept() {
    let world = World::new().await;
    snapshot(&world, "a", &[]).await;
    let commit = model::snapshots::Commit {
        name: "base".into(),
        key: "a".into(),
        ..model::snapshots::Commit::default()
    };
    world.snapshots().commit(&world.scope, commit).await.expect("committed");
    let prepare = Prepare { key: "child".into(), parent: "base".into(), labels: map(&[]) };
    world.snapshots().prepare(&world.scope, prepare).await.expect("prepared");
    container(&world, "c", &[], "child").await;
    assert_eq!(left(&world, &[]).await, "base child");
    world.engine.containers.delete(&world.scope, "c").await.expect("deleted");
    assert_eq!(left(&world, &[]).await, "");
}

#[tokio::test]
async fn leases_and_expiry() {
    let world = World::new().await;
    let child = blob(&world, "child", &[]).await;
    let parent = blob(&world, "parent", &[("containerd.io/gc.ref.content", child.as_str())]).await;
    let flat_child = blob(&world, "flat-child", &[]).await;
    let flat = blob(&world, "flat", &[("containerd.io/gc.ref.content", flat_child.as_str())]).await;
    let target = blob(&world, "target", &[("containerd.io/gc.ref.content", flat_child.as_str())]).await;
    let expired = blob(&world, "expired", &[]).await;
    image(&world, "old", &target, &[("containerd.io/gc.expire", PAST)]).await;
    image(&world, "gone", &expired, &[("containerd.io/gc.expire", PAST)]).await;
    image(&world, "odd", &parent, &[("containerd.io/gc.expire", "1999-01-01")]).await;
    lease(&world, "flat", &[("containerd.io/gc.flat", "")], &[]).await;
    lease(&world, "f", &[("containerd.io/gc.flat", "1")], &[("content", flat.as_str()), ("images", "old")])
        .await;
    lease(&world, "late", &[("containerd.io/gc.expire", PAST)], &[("content", expired.as_str())]).await;
    let known = [
        ("child", &child),
        ("parent", &parent),
        ("flat-child", &flat_child),
        ("flat", &flat),
        ("target", &target),
        ("expired", &expired),
    ];
    let mut seen = world.subscribe().await;
    assert_eq!(left(&world, &known).await, "child parent flat target odd old f flat");
    assert_eq!(told(&mut *seen).await, ["/images/delete ImageDelete { name: \"gone\" }"]);
}

#[tokio::test]
async fn back_references_and_conditions() {
    let world = World::new().await;
    let now = engine::clock::now();
    let hour_ago = Timestamp { seconds: now.seconds - 3600, nanos: 0 }.to_rfc3339();
    let by_container = blob(&world, "by-container", &[("containerd.io/gc.bref.container", "c")]).await;
    let by_nobody = blob(&world, "by-nobody", &[("containerd.io/gc.bref.container", "gone")]).await;
    let young = blob(&world, "young", &[("containerd.io/gc.cond.snapshot.dirs", "usedat<30m|s")]).await;
    let old =
        blob(&world, "old", &[("containerd.io/gc.cond.snapshot.dirs/x", "usedat<30m,usedat>50m|s")]).await;
    snapshot(
        &world,
        "s",
        &[("containerd.io/gc.root", ""), ("containerd.io/gc.cond.value-usedat", &hour_ago)],
    )
    .await;
    image(
        &world,
        "back",
        &by_nobody,
        &[("containerd.io/gc.expire", PAST), ("containerd.io/gc.bref.container", "c")],
    )
    .await;
    container(&world, "c", &[], "").await;
    let known =
        [("by-container", &by_container), ("by-nobody", &by_nobody), ("young", &young), ("old", &old)];
    // A label with an empty value is not stored, so the root label of "s" must have one to count.
    assert_eq!(left(&world, &known).await, "by-container by-nobody back");
    snapshot(
        &world,
        "s",
        &[("containerd.io/gc.root", "1"), ("containerd.io/gc.cond.value-usedat", &hour_ago)],
    )
    .await;
    let old =
        blob(&world, "old", &[("containerd.io/gc.cond.snapshot.dirs/x", "usedat<30m,usedat>50m|s")]).await;
    let young = blob(&world, "young", &[("containerd.io/gc.cond.snapshot.dirs", "usedat<30m|s")]).await;
    let known = [("young", &young), ("old", &old)];
    assert_eq!(left(&world, &known).await, "old s back");
}

struct Streams(Mutex<Vec<Resource>>);

#[async_trait::async_trait]
impl Collectible for Streams {
    fn kind(&self) -> &'static str {
        "stream"
    }
    fn list(&self) -> Vec<Resource> {
        self.0.lock().expect("lock").clone()
    }
    async fn remove(&self, namespace: &str, id: &str) -> Result<()> {
        self.0.lock().expect("lock").retain(|r| (r.namespace.as_str(), r.id.as_str()) != (namespace, id));
        Ok(())
    }
}

#[tokio::test]
async fn things_that_live_elsewhere() {
    let world = World::new().await;
    let stream = |id: &str, lease: &str, active: bool| Resource {
        namespace: "ns".into(),
        id: id.into(),
        lease: lease.into(),
        active,
        labels: map(&[]),
    };
    let elsewhere = Resource { namespace: "unknown".into(), ..stream("s", "", false) };
    let streams = Arc::new(Streams(Mutex::new(vec![
        stream("active", "", true),
        stream("leased", "l", false),
        stream("named", "", false),
        stream("loose", "", false),
        elsewhere,
    ])));
    world.engine.collector.register(streams.clone());
    lease(&world, "l", &[], &[]).await;
    container(&world, "c", &[("containerd.io/gc.ref.stream", "named")], "").await;
    world.engine.collector.collect().await.expect("collects");
    let ids = || streams.list().into_iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(), ["active", "leased", "named"]);
    world
        .engine
        .leases
        .delete(&world.scope, model::leases::Delete { id: "l".into(), sync: true })
        .await
        .expect("deleted");
    assert_eq!(ids(), ["active", "named"]);
}

#[tokio::test]
async fn stopping_is_an_answer() {
    let world = World::new().await;
    world.engine.close().await;
    let refused = world.engine.collector.collect().await.expect_err("stopped");
    assert_eq!(refused.kind(), model::Kind::Unavailable);
    let refused = world.engine.content.list(&world.scope, &[]).await.expect_err("closed");
    assert_eq!(refused.text(), "the metadata database is closed: unavailable");
    world.engine.close().await;
}
