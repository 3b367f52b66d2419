//! What hangs holds up nobody else: stalled clients, slow differs, a directory that cannot be removed.

use crate::fakes::Door;
use crate::transfers::transfers;
use crate::{World, map};
use async_trait::async_trait;
use bytes::Bytes;
use engine::diff::{Diffs, Durability};
use engine::disk::LIMIT;
use engine::streams::Streams;
use model::content::{Commit, Ingest};
use model::diff::{Applied, Apply, Compare, Diff, Driver};
use model::leases::Delete;
use model::snapshots::{self, Prepare};
use model::streams::{Accept, Accepted, Message, Stream};
use model::transfer::{Endpoint, Import, Request, Transfer};
use model::{Result, snapshots::Driver as _};
use oci::Digest;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// More than there is room for at a time.
const MANY: usize = LIMIT + 12;

fn prepare(key: &str) -> Prepare {
    Prepare { key: key.into(), ..Prepare::default() }
}

/// What must come soon, on the slowest machine.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect(what)
}

/// What others do: a blob, a look at it, a snapshot.
async fn others_go_on(world: &World) {
    let (content, scope) = (&world.engine.content, &world.scope);
    let work = async {
        let ingest = Ingest { reference: "w".into(), ..Ingest::default() };
        let mut writer = content.writer(scope, ingest).await.expect("opened");
        writer.write(Bytes::from_static(b"x")).await.expect("written");
        let digest = writer.commit(Commit::default()).await.expect("committed");
        let reader = content.reader(scope, &digest).await.expect("opened");
        assert_eq!(&reader.read_at(0, 9).await.expect("read")[..], b"x");
        world.snapshots().prepare(scope, prepare("s")).await.expect("prepared");
    };
    soon("others go on", work).await;
}

/// A client that sends nothing until it goes.
struct Stalled {
    gone: watch::Receiver<bool>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Stream for Stalled {
    async fn send(&self, _: Message) -> Result<()> {
        Ok(())
    }
    async fn receive(&self) -> Result<Option<Message>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.gone.clone().wait_for(|gone| *gone).await.expect("the test lives");
        Ok(None)
    }
    async fn close(&self) {}
}

#[tokio::test]
async fn clients_that_send_nothing() {
    let world = World::new().await;
    let streams = Arc::new(Streams::default());
    let transfers = transfers(&world, streams.clone());
    let (go, gone) = watch::channel(false);
    let asked = Arc::new(AtomicUsize::new(0));
    let mut imports = tokio::task::JoinSet::new();
    for id in 0..MANY {
        let stream = Arc::new(Stalled { gone: gone.clone(), asked: asked.clone() });
        let (namespace, id) = (world.scope.namespace.to_string(), id.to_string());
        let accepted = Accepted { namespace, lease: String::new(), id: id.clone(), stream };
        streams.accept(accepted).expect("a free name");
        let source = Import { stream: id, ..Import::default() };
        let request = Request {
            source: Endpoint::Import(source),
            destination: Endpoint::ImageStore(Box::default()),
            progress: None,
        };
        let (transfers, scope) = (transfers.clone(), world.scope.clone());
        imports.spawn(async move { transfers.transfer(&scope, request).await });
    }
    let all = async {
        while asked.load(Ordering::Relaxed) < MANY {
            tokio::task::yield_now().await;
        }
    };
    soon("all are being asked", all).await;
    others_go_on(&world).await;
    go.send_replace(true);
    while let Some(ended) = soon("they end", imports.join_next()).await {
        ended.expect("no panic").expect_err("an archive without bytes");
    }
}

/// A differ behind a door.
struct Slow(Arc<Door>, Arc<AtomicUsize>);

impl Driver for Slow {
    fn apply(&self, _: &Apply, _: &mut (dyn Read + Send)) -> Result<Applied> {
        Err(model::Error::not_implemented("apply"))
    }
    fn compare(&self, compare: &Compare, out: &mut (dyn Write + Send)) -> Result<Applied> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.pass();
        out.write_all(compare.reference.as_bytes()).expect("somebody reads");
        Ok(Applied { diff_id: Digest::of(b"layer"), size: 5 })
    }
}

#[tokio::test]
async fn differs_that_take_their_time() {
    let world = World::new().await;
    let (door, begun) = (Arc::new(Door::default()), Arc::new(AtomicUsize::new(0)));
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(Slow(door.clone(), begun.clone()))];
    let diffs = Diffs::new(drivers, world.engine.content.clone(), world.blobs.clone(), Durability::Asked);
    door.shut();
    let mut compares = tokio::task::JoinSet::new();
    for id in 0..MANY {
        let compare = Compare { reference: format!("diff {id}"), ..Compare::default() };
        let (diffs, scope) = (diffs.clone(), world.scope.clone());
        compares.spawn(async move { diffs.compare(&scope, compare).await });
    }
    let full = async {
        while begun.load(Ordering::Relaxed) < LIMIT {
            tokio::task::yield_now().await;
        }
    };
    soon("there is room for some", full).await;
    others_go_on(&world).await;
    door.open();
    while let Some(ended) = soon("they end", compares.join_next()).await {
        ended.expect("no panic").expect("a layer");
    }
}

/// What a differ had made of a diff goes when its caller does: nobody else knows its name.
#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_diff() {
    let world = World::new().await;
    let (door, begun) = (Arc::new(Door::default()), Arc::new(AtomicUsize::new(0)));
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(Slow(door.clone(), begun.clone()))];
    let diffs = Diffs::new(drivers, world.engine.content.clone(), world.blobs.clone(), Durability::Asked);
    let _shut = door.shut_for_now();
    let statuses = || world.engine.content.statuses(&world.scope, &[]);
    {
        let compare = diffs.compare(&world.scope, Compare::default());
        let under_way = async {
            while begun.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = compare => panic!("the differ waits: {ended:?}"),
            () = soon("it begins", under_way) => {}
        }
    }
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    let gone = async {
        while !statuses().await.expect("listed").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon("the ingest goes", gone).await;
}

/// A directory whose removal hangs does not keep the daemon from ending.
#[tokio::test]
async fn the_end_waits_for_no_disk() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    snapshots.prepare(scope, prepare("a")).await.expect("prepared");
    snapshots.remove(scope, "a").await.expect("removed");
    let exit = &world.driver.exit;
    let _shut = exit.shut_for_now();
    let collector = world.engine.collector.clone();
    let collecting = tokio::spawn(async move { collector.collect().await });
    let hangs = async {
        while exit.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon("the removal hangs", hangs).await;
    soon("the end", world.engine.close()).await;
    let error = soon("an answer", collecting).await.expect("no panic").expect_err("stopped");
    assert_eq!(error.kind(), model::Kind::Unavailable);
}

#[tokio::test]
async fn a_directory_that_cannot_be_removed() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    for key in ["a", "b", "c"] {
        snapshots.prepare(scope, prepare(key)).await.expect("prepared");
    }
    world.driver.stuck.lock().expect("lock").insert(1);
    for key in ["a", "b", "c"] {
        snapshots.remove(scope, key).await.expect("removed");
    }
    world.leased("l", &[]).await;
    world.engine.leases.delete(scope, Delete { id: "l".into(), sync: true }).await.expect("deleted");
    assert_eq!(world.driver.list().expect("listed"), [1]);
    world.driver.stuck.lock().expect("lock").clear();
    // Nobody asks for another collection.
    let tried_again = async {
        while !world.driver.list().expect("listed").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon("it is tried again", tried_again).await;
}

#[tokio::test]
async fn a_snapshot_being_committed_can_be_looked_at() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), world.scope.clone());
    snapshots.prepare(&scope, prepare("a")).await.expect("prepared");
    world.driver.door.shut();
    let commit = snapshots::Commit { name: "c".into(), key: "a".into(), ..snapshots::Commit::default() };
    let commit = snapshots.commit(&scope, commit);
    let look = async {
        tokio::task::yield_now().await;
        let mounts = soon("mounts", snapshots.mounts(&scope, "a")).await.expect("active");
        assert!(mounts[0].source.ends_with("/1"));
        assert_eq!(soon("usage", snapshots.usage(&scope, "a")).await.expect("active").inodes, 1);
        world.driver.door.open();
    };
    let (committed, ()) = tokio::join!(commit, look);
    committed.expect("committed");
}

#[tokio::test]
async fn drivers_add_labels_that_are_not_stored() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    *world.driver.labels.lock().expect("lock") = map(&[("dir", "at "), ("own", "hidden")]);
    let own = Prepare { labels: map(&[("own", "mine")]), ..prepare("a") };
    snapshots.prepare(scope, own).await.expect("prepared");
    let expected = map(&[("dir", "at 1"), ("own", "mine")]);
    let info = snapshots.stat(scope, "a").await.expect("there");
    assert_eq!(info.labels, expected);
    let listed = snapshots.list(scope, &["labels.dir==\"at 1\"".into()]).await.expect("listed");
    assert_eq!(listed, [info]);
    world.driver.labels.lock().expect("lock").clear();
    assert_eq!(snapshots.stat(scope, "a").await.expect("there").labels, map(&[("own", "mine")]));
}
