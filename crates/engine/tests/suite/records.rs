//! Namespaces, containers, images, leases and sandboxes: texts, masks, events.

use crate::{World, map, text, told};
use model::containers::{Container, RuntimeChoice};
use model::images::{self, Image, Target};
use model::leases::{self, Resource};
use model::namespaces::NamespaceInfo;
use model::sandboxes::Sandbox;
use model::{Any, Mask, Timestamp};
use std::collections::BTreeMap;

fn mask(paths: &[&str]) -> Mask {
    Mask(paths.iter().map(|p| (*p).to_owned()).collect())
}

fn any(value: &str) -> Any {
    Any { type_url: String::from("t"), value: value.to_owned().into_bytes().into() }
}

fn container(id: &str) -> Container {
    Container {
        id: id.to_owned(),
        runtime: RuntimeChoice { name: String::from("r"), options: None },
        ..Container::default()
    }
}

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn image(name: &str) -> Image {
    let target =
        Target { media_type: "m".into(), digest: DIGEST.into(), size: 1, annotations: BTreeMap::new() };
    Image {
        name: name.to_owned(),
        labels: map(&[]),
        target,
        created_at: Timestamp::NEVER,
        updated_at: Timestamp::NEVER,
    }
}

#[tokio::test]
async fn namespaces() {
    let world = World::new().await;
    let (namespaces, mut seen) = (&world.engine.namespaces, world.subscribe().await);
    let info =
        |name: &str, labels: &[(&str, &str)]| NamespaceInfo { name: name.to_owned(), labels: map(labels) };
    let made = namespaces.create(info("a", &[("k", "v"), ("empty", "")])).await.expect("made");
    assert_eq!(made, info("a", &[("k", "v"), ("empty", "")]));
    assert_eq!(namespaces.get("a").await.expect("get"), info("a", &[("k", "v")]));
    assert_eq!(namespaces.get("../x").await.expect("any text"), info("../x", &[]));
    assert_eq!(
        text(namespaces.create(info("a", &[])).await),
        "AlreadyExists: namespace \"a\": already exists"
    );
    assert_eq!(text(namespaces.create(info("version", &[])).await), "Unknown: incompatible value");
    let long = "v".repeat(5000);
    let e = namespaces.update(info("a", &[("k", &long)]), Mask::default()).await;
    assert_eq!(
        text(e),
        "Unknown: namespace.Labels: label key and value length (5001 bytes) greater than maximum size (4096 bytes), key: k: invalid argument"
    );
    assert_eq!(
        text(namespaces.update(info("a", &[("x", "1")]), mask(&["labels.x", "labels"])).await),
        "InvalidArgument: cannot update \"labels\" field"
    );
    namespaces
        .update(info("a", &[("x", "1"), ("y", "2")]), mask(&["labels.x", "labels.k"]))
        .await
        .expect("masked");
    assert_eq!(namespaces.get("a").await.expect("get"), info("a", &[("x", "1")]));
    namespaces.update(info("b", &[]), Mask::default()).await.expect("nothing to write");
    let e = namespaces.update(info("no/id", &[("x", "1")]), Mask::default()).await;
    assert!(
        text(e).starts_with("Unknown: failed publishing event: namespace validation: identifier \"no/id\"")
    );
    world.engine.containers.create(&world.scope, container("c")).await.expect("container");
    let e = text(namespaces.delete("ns").await);
    assert_eq!(
        e,
        "FailedPrecondition: namespace \"ns\" must be empty, but it still has containers: failed precondition"
    );
    assert!(text(namespaces.delete("no/id").await).starts_with("Unknown: failed publishing event"));
    assert_eq!(text(namespaces.delete("no/id").await), "NotFound: namespace \"no/id\": not found");
    let names: Vec<String> = namespaces.list().await.expect("list").into_iter().map(|n| n.name).collect();
    assert_eq!(names, ["a", "ns"]);
    namespaces.delete("a").await.expect("deleted");
    let seen = told(&mut *seen).await;
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(seen[0].starts_with(
        "/namespaces/create NamespaceCreate { name: \"a\", labels: {\"empty\": \"\", \"k\": \"v\"}"
    ));
    assert!(seen[1].contains("\"x\": \"1\", \"y\": \"2\""), "{seen:?}");
}

/// Whatever is left in a namespace keeps it, and is named.
#[tokio::test]
async fn namespaces_that_are_not_empty() {
    let world = World::new().await;
    let (namespaces, scope) = (&world.engine.namespaces, &world.scope);
    let refused = async || text(namespaces.delete("ns").await);
    let left = |kinds: &str| {
        format!(
            "FailedPrecondition: namespace \"ns\" must be empty, but it still has {kinds}: failed precondition"
        )
    };
    world.engine.images.create(scope, image("i"), None).await.expect("image");
    assert_eq!(refused().await, left("images"));
    let delete = images::Delete { name: "i".into(), sync: false, target: None };
    world.engine.images.delete(scope, delete).await.expect("deleted");
    let prepare = model::snapshots::Prepare { key: "s".into(), parent: String::new(), labels: map(&[]) };
    world.snapshots().prepare(scope, prepare).await.expect("snapshot");
    assert_eq!(refused().await, left("snapshots on \"dirs\" snapshotter"));
    let ingest = model::content::Ingest { reference: "r".into(), ..Default::default() };
    let mut writer = world.engine.content.writer(scope, ingest).await.expect("opened");
    writer.commit(model::content::Commit::default()).await.expect("blob");
    assert_eq!(refused().await, left("blobs, snapshots on \"dirs\" snapshotter"));
    world.snapshots().remove(scope, "s").await.expect("removed");
    let empty = oci::Digest::parse(DIGEST).expect("a digest");
    world.engine.content.delete(scope, &empty).await.expect("deleted");
    namespaces.delete("ns").await.expect("empty now");
}

#[tokio::test]
async fn containers_refuse() {
    let world = World::new().await;
    let (containers, scope) = (&world.engine.containers, &world.scope);
    containers.create(scope, container("c")).await.expect("made");
    let create = async |c: Container| text(containers.create(scope, c).await);
    assert_eq!(create(container("c")).await, "AlreadyExists: container \"c\": already exists");
    assert!(
        create(container("")).await.starts_with(
            "InvalidArgument: create container failed validation: container.ID: identifier must"
        )
    );
    let no_key = Container { labels: map(&[("", "v")]), ..container("d") };
    assert_eq!(
        create(no_key).await,
        "Unknown: failed to write container \"d\": failed to set label \"\"=\"v\": key required"
    );
    let no_snapshotter = Container { snapshot_key: "k".into(), ..container("d") };
    assert_eq!(
        create(no_snapshotter).await,
        "InvalidArgument: create container failed validation: container.Snapshotter must be set if container.SnapshotKey is set: invalid argument"
    );
    assert_eq!(
        text(containers.get(scope, "x").await),
        "NotFound: container \"x\" in namespace \"ns\": not found"
    );
    assert_eq!(text(containers.delete(scope, "x").await), "NotFound: container x: not found");
    let update = async |c: Container, paths: &[&str]| text(containers.update(scope, c, mask(paths)).await);
    assert_eq!(update(container(""), &[]).await, "InvalidArgument: Container.ID required");
    assert_eq!(update(container("x"), &[]).await, "NotFound: container \"x\": not found");
    assert_eq!(
        update(container("c"), &["labels", "snapshotter"]).await,
        "InvalidArgument: cannot update \"snapshotter\" field on \"c\": invalid argument"
    );
    assert_eq!(
        update(container("c"), &["extensions."]).await,
        "InvalidArgument: update failed validation: container.Extension keys must not be zero-length: invalid argument"
    );
    let other = Container { snapshotter: "s".into(), ..container("c") };
    assert_eq!(
        update(other, &[]).await,
        "InvalidArgument: container.Snapshotter field is immutable: invalid argument"
    );
    let other = Container { runtime: RuntimeChoice::default(), ..container("c") };
    assert_eq!(
        update(other, &[]).await,
        "InvalidArgument: container.Runtime.Name field is immutable: invalid argument"
    );
    let e = text(containers.list(scope, &[String::from("id=c")]).await);
    assert_eq!(
        e,
        "InvalidArgument: filters: parse error: [id >|=|< c]: unsupported operator \"=\": invalid argument: invalid argument"
    );
}

#[tokio::test]
async fn containers_change() {
    let world = World::new().await;
    let (containers, scope) = (&world.engine.containers, &world.scope);
    let mut seen = world.subscribe().await;
    let full = Container {
        labels: map(&[("a", "1"), ("b", "2"), ("e", "")]),
        spec: Some(any("spec")),
        image: "i".into(),
        extensions: BTreeMap::from([("x".into(), any("1")), ("y".into(), any("2"))]),
        ..container("c")
    };
    let made = containers.create(scope, full.clone()).await.expect("made");
    assert_eq!(made.labels, map(&[("a", "1"), ("b", "2")]));
    assert_eq!(made.created_at, made.updated_at);
    let request = Container {
        labels: map(&[("b", "3")]),
        extensions: BTreeMap::from([("z".into(), any("3"))]),
        ..container("c")
    };
    let answer = containers
        .update(scope, request.clone(), mask(&["labels.a", "labels.b", "labels.", "extensions.q"]))
        .await
        .expect("masked");
    assert_eq!(answer.labels, map(&[("b", "3")]));
    assert_eq!(answer.extensions["q"], Any::default());
    assert_eq!(answer.extensions.len(), 3);
    let answer = containers.update(scope, request, Mask::default()).await.expect("whole");
    assert_eq!((answer.spec.clone(), answer.image.as_str()), (None, ""));
    assert_eq!(answer.extensions.keys().collect::<Vec<_>>(), ["z"]);
    let stored = containers.get(scope, "c").await.expect("stored");
    assert_eq!(stored.spec, Some(any("spec")));
    assert_eq!(stored.extensions.keys().collect::<Vec<_>>(), ["q", "x", "y", "z"]);
    assert_eq!(stored.created_at, made.created_at);
    assert!(stored.updated_at > made.updated_at);
    containers.create(scope, container("a")).await.expect("second");
    let list = async |f: &str| {
        containers.list(scope, &[f.to_owned()]).await.expect(f).into_iter().map(|c| c.id).collect::<Vec<_>>()
    };
    assert_eq!(list("").await, ["a", "c"]);
    assert_eq!(list("labels.b==3,runtime.name==r").await, ["c"]);
    containers.delete(scope, "c").await.expect("deleted");
    let seen = told(&mut *seen).await;
    let topics: Vec<&str> = seen.iter().filter_map(|s| s.split(' ').next()).collect();
    assert_eq!(
        topics,
        [
            "/containers/create",
            "/containers/update",
            "/containers/update",
            "/containers/create",
            "/containers/delete"
        ]
    );
}

#[tokio::test]
async fn images_refuse_and_change() {
    let world = World::new().await;
    let (images, scope) = (&world.engine.images, &world.scope);
    let create = async |i: Image| text(images.create(scope, i, None).await);
    assert_eq!(create(image("")).await, "InvalidArgument: Image.Name required");
    let bad =
        |digest: &str| Image { target: Target { digest: digest.into(), ..image("i").target }, ..image("i") };
    assert_eq!(
        create(bad("x")).await,
        "InvalidArgument: target.Digest \"x\" invalid: invalid checksum digest format: invalid argument"
    );
    let at = Timestamp { seconds: 7, nanos: 0 };
    let made = images.create(scope, image("i"), Some(at)).await.expect("made");
    assert_eq!((made.created_at, made.updated_at), (at, at));
    assert_eq!(create(image("i")).await, "AlreadyExists: image \"i\": already exists");
    let unknown_lease = scope.with_lease("gone");
    assert_eq!(
        text(
            images
                .create(&unknown_lease, image("j"), None)
                .await
                .map(|_| ())
                .and_then(|()| Err::<(), _>(model::Error::unknown("made")))
        ),
        "Unknown: made"
    );
    let expiring =
        Image { labels: map(&[("containerd.io/gc.expire", "2999-01-01T00:00:00Z")]), ..image("k") };
    assert_eq!(
        text(images.create(&unknown_lease, expiring.clone(), None).await),
        "NotFound: lease does not exist: not found"
    );
    let leased = world.leased("l", &[]).await;
    images.create(&leased, expiring, None).await.expect("under a lease");
    let held = world.engine.leases.list_resources(scope, "l").await.expect("held");
    assert_eq!(held, [Resource { kind: "images".into(), id: "k".into() }]);
    let change = |labels: &[(&str, &str)], paths: &[&str]| {
        let mut new = image("i");
        new.labels = map(labels);
        new.target.annotations = map(&[("n", "1"), ("e", "")]);
        images::Update { image: new, mask: mask(paths), source_date: None }
    };
    assert_eq!(
        text(images.update(scope, change(&[], &["labels", "name"])).await),
        "InvalidArgument: cannot update \"name\" field on image \"i\": invalid argument"
    );
    let updated = images
        .update(scope, change(&[("a", "1"), ("b", "")], &["labels.a", "annotations.n"]))
        .await
        .expect("masked");
    assert_eq!((updated.labels, updated.target.annotations), (map(&[("a", "1")]), map(&[("n", "1")])));
    let updated = images.update(scope, change(&[("b", "2")], &[])).await.expect("whole");
    assert_eq!(
        (updated.labels, updated.target.annotations, updated.created_at),
        (map(&[("b", "2")]), map(&[("n", "1")]), at)
    );
    let delete = |name: &str, digest: &str| images::Delete {
        name: name.into(),
        sync: false,
        target: Some(Target { digest: digest.into(), ..Target::default() }),
    };
    assert_eq!(
        text(images.delete(scope, delete("i", "other")).await),
        format!("NotFound: image \"i\" has target {DIGEST}, not other: not found")
    );
    assert_eq!(text(images.delete(scope, delete("x", "")).await), "NotFound: image \"x\": not found");
    images.delete(scope, delete("i", "")).await.expect("no digest, no condition");
    assert_eq!(text(images.get(scope, "i").await), "NotFound: image \"i\": not found");
}

#[tokio::test]
async fn leases() {
    let world = World::new().await;
    let (leases, scope) = (&world.engine.leases, &world.scope);
    let fresh = leases.create(scope, "", map(&[("a", "1"), ("b", "")])).await.expect("fresh");
    let (nanos, tail) = fresh.id.split_once('-').expect("two halves");
    assert!(nanos.parse::<u32>().is_ok() && tail.len() == 4, "{}", fresh.id);
    assert_eq!(fresh.labels, map(&[("a", "1")]));
    leases.create(scope, "l", map(&[])).await.expect("made");
    assert_eq!(text(leases.create(scope, "l", map(&[])).await), "AlreadyExists: lease \"l\": already exists");
    let resource = |kind: &str, id: &str| Resource { kind: kind.into(), id: id.into() };
    let add = async |kind: &str, id: &str| leases.add_resource(scope, "l", resource(kind, id)).await;
    let table = [
        ("content/x", "y", "InvalidArgument: invalid resource type content/x: invalid argument"),
        (
            "content",
            "x",
            "InvalidArgument: invalid content resource id x: invalid checksum digest format: invalid argument",
        ),
        ("snapshots", "x", "InvalidArgument: invalid snapshot resource type snapshots: invalid argument"),
        (
            "snapshots/a/b",
            "x",
            "InvalidArgument: invalid snapshot resource type snapshots/a/b: invalid argument",
        ),
        ("snapshots/", "x", "Unknown: bucket name required"),
        ("images", "", "Unknown: key required"),
        ("", "x", "NotImplemented: resource type  not supported yet: not implemented"),
    ];
    for (kind, id, refusal) in table {
        assert_eq!(text(add(kind, id).await), refusal);
    }
    assert_eq!(
        text(leases.add_resource(scope, "x", resource("", "")).await),
        "NotFound: lease \"x\": not found"
    );
    for (kind, id) in [
        ("snapshots/b", "k"),
        ("snapshots/a", "k"),
        ("ingests", "r"),
        ("images", "n"),
        ("content", DIGEST),
        ("images", "n"),
    ] {
        add(kind, id).await.expect(kind);
    }
    leases.delete_resource(scope, "l", resource("ingests", "gone")).await.expect("absent is no error");
    let held: Vec<String> =
        leases.list_resources(scope, "l").await.expect("held").into_iter().map(|r| r.kind).collect();
    assert_eq!(held, ["content", "images", "ingests", "snapshots/a", "snapshots/b"]);
    let found = leases.list(scope, &[String::from("labels.a==1")]).await.expect("filtered");
    assert_eq!(found, [fresh]);
    let delete = |id: &str, sync| leases::Delete { id: id.into(), sync };
    leases.delete(scope, delete("l", true)).await.expect("deleted");
    assert_eq!(text(leases.delete(scope, delete("l", false)).await), "NotFound: lease \"l\": not found");
    assert_eq!(text(leases.list_resources(scope, "l").await), "NotFound: lease \"l\": not found");
}

#[tokio::test]
async fn sandboxes() {
    let world = World::new().await;
    let (sandboxes, scope) = (&world.engine.sandboxes, &world.scope);
    let sandbox = |id: &str| Sandbox {
        id: id.into(),
        labels: map(&[("a", "1")]),
        runtime: Some(RuntimeChoice { name: "r".into(), options: None }),
        spec: Some(any("s")),
        sandboxer: "shim".into(),
        created_at: Timestamp::NEVER,
        updated_at: Timestamp::NEVER,
        extensions: BTreeMap::new(),
    };
    assert_eq!(text(sandboxes.get(scope, "s").await), "NotFound: no sandbox buckets: not found");
    sandboxes.create(scope, sandbox("s")).await.expect("made");
    assert_eq!(
        text(sandboxes.create(scope, sandbox("s")).await),
        "AlreadyExists: write error: sandbox bucket \"s\" already exists: already exists"
    );
    assert!(
        text(sandboxes.create(scope, sandbox("a/b")).await)
            .starts_with("InvalidArgument: failed to validate sandbox: invalid sandbox ID: identifier")
    );
    assert_eq!(text(sandboxes.get(scope, "x").await), "NotFound: bucket \"x\" not found: not found");
    assert_eq!(
        text(sandboxes.update(scope, sandbox("s"), mask(&["sandboxer"])).await),
        "InvalidArgument: cannot update \"sandboxer\" field on sandbox \"s\": invalid argument"
    );
    let other = Sandbox { runtime: Some(RuntimeChoice::default()), ..sandbox("s") };
    assert_eq!(
        text(sandboxes.update(scope, other.clone(), Mask::default()).await),
        "InvalidArgument: sandbox.Runtime.Name field is immutable: invalid argument"
    );
    assert_eq!(
        sandboxes.update(scope, other, mask(&["runtime"])).await.expect("by mask").runtime,
        Some(RuntimeChoice::default())
    );
    let bare = Sandbox { spec: None, ..sandbox("s") };
    assert_eq!(sandboxes.update(scope, bare, mask(&["spec", "labels"])).await.expect("no spec").spec, None);
    assert_eq!(sandboxes.get(scope, "s").await.expect("stored").spec, Some(any("s")));
    sandboxes.delete(scope, "s").await.expect("deleted");
    assert_eq!(
        text(sandboxes.delete(scope, "s").await),
        "NotFound: failed to delete sandbox \"s\": not found"
    );
}
