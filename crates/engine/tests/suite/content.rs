//! Content: ingests, sharing, leases, and what the collector leaves alone.

use crate::{World, map, text, told};
use bytes::Bytes;
use engine::content::Sharing;
use model::content::{Commit, Ingest, Writer};
use model::{Error, Mask, Namespace, Result, Scope};
use oci::Digest;

fn ingest(reference: &str, expected: &str) -> Ingest {
    Ingest { reference: reference.into(), total: 0, expected: expected.into() }
}

async fn open(world: &World, scope: &Scope, ingest: Ingest) -> Result<Box<dyn Writer>> {
    world.engine.content.writer(scope, ingest).await
}

fn refused(result: Result<Box<dyn Writer>>) -> String {
    let error: Error = result.err().expect("refused");
    format!("{:?}: {error}", error.kind())
}

async fn write(world: &World, scope: &Scope, data: &'static [u8]) -> Digest {
    let mut writer = open(world, scope, ingest("w", "")).await.expect("opened");
    writer.write(Bytes::from_static(data)).await.expect("written");
    writer.commit(Commit::default()).await.expect("committed")
}

fn other() -> Scope {
    Scope::new(Namespace::new("other").expect("an identifier"))
}

#[tokio::test]
async fn an_ingest_becomes_a_blob() {
    let world = World::new().await;
    let (content, scope) = (&world.engine.content, &world.scope);
    let mut seen = world.subscribe().await;
    assert_eq!(
        refused(open(&world, scope, ingest("", "")).await),
        "InvalidArgument: ref must not be empty: invalid argument"
    );
    let mut writer = open(&world, scope, Ingest { total: 9, ..ingest("a/b", "") }).await.expect("opened");
    assert!(
        refused(open(&world, scope, ingest("a/b", "")).await).starts_with("Unavailable: ref ns/1/a/b locked")
    );
    writer.write(Bytes::from_static(b"hel")).await.expect("written");
    drop(writer);
    let status = content.status(scope, "a/b").await.expect("resumable");
    assert_eq!((status.reference.as_str(), status.offset, status.total), ("a/b", 3, 9));
    assert_eq!(text(content.status(scope, "x").await), "NotFound: reference x: not found");
    assert_eq!(content.statuses(scope, &[String::from("ref~=a")]).await.expect("listed").len(), 1);
    assert!(content.statuses(&other(), &[]).await.expect("listed").is_empty());
    let mut writer = open(&world, scope, ingest("a/b", "")).await.expect("resumed");
    writer.write(Bytes::from_static(b"lo")).await.expect("written");
    let digest = Digest::of(b"hello");
    let bad = Commit { size: 4, ..Commit::default() };
    assert_eq!(
        text(writer.commit(bad).await),
        "FailedPrecondition: \"a/b\" failed size validation: 5 != 4: failed precondition"
    );
    let bad = Commit { expected: "x".into(), ..Commit::default() };
    assert_eq!(
        text(writer.commit(bad).await),
        format!("FailedPrecondition: unexpected commit digest {digest}, expected x: failed precondition")
    );
    let good = Commit { size: 5, expected: digest.to_string(), labels: map(&[("a", "1"), ("b", "")]) };
    assert_eq!(writer.commit(good).await.expect("committed"), digest);
    let info = content.info(scope, &digest).await.expect("there");
    assert_eq!((info.size, info.labels), (5, map(&[("a", "1")])));
    assert!(content.statuses(scope, &[]).await.expect("listed").is_empty());
    let reader = content.reader(scope, &digest).await.expect("opened");
    assert_eq!(&reader.read_at(1, 3).await.expect("read")[..], b"ell");
    assert!(reader.read_at(5, 3).await.expect("the end").is_empty());
    assert_eq!(
        refused(open(&world, scope, ingest("n", digest.as_str())).await),
        format!("AlreadyExists: content {digest}: already exists")
    );
    let mut again = open(&world, scope, ingest("again", "")).await.expect("opened");
    again.write(Bytes::from_static(b"hello")).await.expect("written");
    assert_eq!(
        text(again.commit(Commit::default()).await),
        format!("AlreadyExists: content {digest}: already exists")
    );
    assert!(world.blobs.refs().is_empty());
    let missing = other();
    assert_eq!(
        text(content.info(&missing, &digest).await),
        format!("NotFound: content digest {digest}: not found")
    );
    assert!(content.reader(&missing, &digest).await.is_err());
    content.delete(scope, &digest).await.expect("deleted");
    assert_eq!(
        told(&mut *seen).await,
        [
            format!("/content/create ContentCreate {{ digest: \"{digest}\", size: 5 }}"),
            format!("/content/delete ContentDelete {{ digest: \"{digest}\" }}"),
        ]
    );
}

#[tokio::test]
async fn labels() {
    let world = World::new().await;
    let (content, scope) = (&world.engine.content, &world.scope);
    let digest = write(&world, scope, b"x").await;
    let mut info = content.info(scope, &digest).await.expect("there");
    info.labels = map(&[("a", "1"), ("b", "2")]);
    content.update(scope, info.clone(), Mask::default()).await.expect("whole");
    info.labels = map(&[("b", "3")]);
    let masked = content.update(scope, info.clone(), Mask(vec!["labels.a".into()])).await.expect("masked");
    assert_eq!(masked.labels, map(&[("b", "2")]));
    let e = text(content.update(scope, info.clone(), Mask(vec!["size".into()])).await);
    assert_eq!(
        e,
        format!(
            "InvalidArgument: cannot update \"size\" field on content info \"{digest}\": invalid argument"
        )
    );
    info.labels = map(&[("", "v")]);
    let e = text(content.update(scope, info, Mask::default()).await);
    assert_eq!(
        e,
        format!("Unknown: writing labels for info {digest}: failed to set label \"\"=\"v\": key required")
    );
}

#[tokio::test]
async fn a_shared_blob_needs_no_bytes() {
    let world = World::new().await;
    let digest = write(&world, &other(), b"shared").await;
    let (content, scope) = (&world.engine.content, &world.scope);
    let mut writer = open(&world, scope, ingest("s", digest.as_str())).await.expect("share-pending");
    let status = writer.status().await.expect("status");
    assert_eq!((status.offset, status.total, status.expected.as_str()), (6, 6, digest.as_str()));
    assert_eq!(text(content.status(scope, "s").await), "NotFound: reference s: not found");
    content.delete(&other(), &digest).await.expect("the other one lets go");
    world.engine.collector.collect().await.expect("collects");
    let bad = Commit { size: 4, ..Commit::default() };
    assert_eq!(
        text(writer.commit(bad).await),
        "FailedPrecondition: \"s\" failed size validation: 6 != 4: failed precondition"
    );
    writer.commit(Commit::default()).await.expect("the ingest kept the blob");
    assert_eq!(content.info(scope, &digest).await.expect("there").size, 6);

    let mut appended = open(&world, &other(), ingest("a", digest.as_str())).await.expect("share-pending");
    appended.write(Bytes::from_static(b"!")).await.expect("copied, then written");
    assert_eq!(appended.digest().await.expect("digest"), Digest::of(b"shared!"));
    appended.truncate().await.expect("truncated");
    assert_eq!(appended.status().await.expect("status").offset, 0);
    let wrong_size = Ingest { total: 5, ..ingest("z", digest.as_str()) };
    let mut own = open(&world, &other(), wrong_size).await.expect("an ordinary ingest");
    assert_eq!(own.status().await.expect("status").offset, 0);
}

#[tokio::test]
async fn isolated_namespaces_supply_their_bytes() {
    let world = World::with_sharing(Sharing::Isolated).await;
    let digest = write(&world, &other(), b"mine").await;
    let mut writer = open(&world, &world.scope, ingest("i", digest.as_str())).await.expect("opened");
    assert_eq!(writer.status().await.expect("status").offset, 0);
    writer.write(Bytes::from_static(b"mine")).await.expect("written");
    assert_eq!(writer.commit(Commit::default()).await.expect("deduplicated"), digest);

    let open_one = model::namespaces::NamespaceInfo {
        name: "third".into(),
        labels: map(&[("containerd.io/namespace.shareable", "true")]),
    };
    world.engine.namespaces.create(open_one).await.expect("made");
    let third = Scope::new(Namespace::new("third").expect("an identifier"));
    let public = write(&world, &third, b"public").await;
    let mut writer = open(&world, &world.scope, ingest("p", public.as_str())).await.expect("opened");
    assert_eq!(writer.status().await.expect("status").offset, 6);
}

#[tokio::test]
async fn abort_and_leases() {
    let world = World::new().await;
    let (content, scope) = (&world.engine.content, &world.scope);
    drop(open(&world, scope, ingest("r", "")).await.expect("opened"));
    content.abort(scope, "r").await.expect("aborted");
    assert_eq!(text(content.abort(scope, "r").await), "NotFound: reference r: not found");
    assert!(world.blobs.refs().is_empty());
    assert_eq!(
        refused(open(&world, &scope.with_lease("gone"), ingest("r", "")).await),
        "NotFound: lease does not exist: not found"
    );

    let leased = world.leased("l", &[]).await;
    let held = async || {
        world
            .engine
            .leases
            .list_resources(scope, "l")
            .await
            .expect("held")
            .into_iter()
            .map(|r| format!("{} {}", r.kind, r.id))
            .collect::<Vec<_>>()
    };
    let mut writer = open(&world, &leased, ingest("r", "")).await.expect("opened");
    writer.write(Bytes::from_static(b"x")).await.expect("written");
    assert_eq!(held().await, ["ingests r"]);
    let digest = writer.commit(Commit::default()).await.expect("committed");
    assert_eq!(held().await, [format!("content {digest}")]);
    content.delete(&leased, &digest).await.expect("deleted");
    assert!(held().await.is_empty());
    let unleased = write(&world, scope, b"y").await;
    assert!(
        refused(open(&world, &leased, ingest("r", unleased.as_str())).await).starts_with("AlreadyExists")
    );
    assert_eq!(held().await, [format!("content {unleased}")]);
}

#[tokio::test]
async fn the_collector_takes_what_nobody_names_and_nothing_else() {
    let world = World::new().await;
    let (content, scope) = (&world.engine.content, &world.scope);
    let garbage = write(&world, scope, b"garbage").await;
    let leased = world.leased("l", &[]).await;
    let kept = write(&world, &leased, b"kept").await;
    let mut open_ingest = open(&world, &leased, ingest("half", "")).await.expect("opened");
    open_ingest.write(Bytes::from_static(b"half")).await.expect("written");
    let unleased_ingest = open(&world, scope, ingest("fresh", "")).await.expect("opened");
    world.engine.collector.collect().await.expect("collects");
    assert_eq!(world.blobs.digests(), std::slice::from_ref(&kept));
    assert_eq!(world.blobs.refs().len(), 2);
    assert!(content.info(scope, &garbage).await.is_err());
    world
        .engine
        .leases
        .delete(scope, model::leases::Delete { id: "l".into(), sync: true })
        .await
        .expect("deleted");
    assert!(world.blobs.digests().is_empty());
    assert_eq!(world.blobs.refs().len(), 1, "an ingest without a lease lives for a day");
    drop((open_ingest, unleased_ingest));
}

#[tokio::test]
async fn a_commit_and_the_collector_do_not_meet() {
    let world = World::new().await;
    let leased = world.leased("l", &[]).await;
    for round in 0..20_u8 {
        let mut writer = open(&world, &leased, ingest("w", "")).await.expect("opened");
        writer.write(Bytes::from(vec![round; 10])).await.expect("written");
        world.engine.collector.notice_removal();
        let (digest, collected) =
            tokio::join!(writer.commit(Commit::default()), world.engine.collector.collect());
        collected.expect("collects");
        let digest = digest.expect("committed");
        assert!(world.blobs.digests().contains(&digest), "round {round}");
        if round % 2 == 0 {
            world.engine.content.delete(&leased, &digest).await.expect("deleted");
        }
    }
}

#[tokio::test]
async fn a_blob_that_came_by_another_way_ends_the_ingest() {
    let world = World::new().await;
    let leased = world.leased("l", &[]).await;
    let digest = Digest::of(b"hello");
    let mut writer = open(&world, &leased, ingest("r", "")).await.expect("opened");
    writer.write(Bytes::from_static(b"hel")).await.expect("written");
    writer.expect(&digest).await.expect("nobody has it");
    write(&world, &world.scope, b"hello").await;
    assert_eq!(
        text(writer.expect(&digest).await),
        format!("AlreadyExists: blob with expected digest {digest} exists")
    );
    assert!(world.blobs.refs().is_empty(), "the bytes are gone");
    assert_eq!(text(world.engine.content.status(&leased, "r").await), "NotFound: reference r: not found");
    let held = world.engine.leases.list_resources(&leased, "l").await.expect("listed");
    assert!(held.is_empty(), "{held:?}");
}

#[tokio::test]
async fn bytes_that_a_shared_blob_makes_needless_are_dropped() {
    let world = World::new().await;
    let mut writer = open(&world, &world.scope, ingest("r", "")).await.expect("opened");
    writer.write(Bytes::from_static(b"hel")).await.expect("written");
    drop(writer);
    let digest = write(&world, &other(), b"hello").await;
    let mut writer = open(&world, &world.scope, ingest("r", digest.as_str())).await.expect("shared");
    assert_eq!(writer.commit(Commit::default()).await.expect("committed"), digest);
    assert!(world.blobs.refs().is_empty(), "{:?}", world.blobs.refs());
}
