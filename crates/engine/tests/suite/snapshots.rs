//! The ledger of snapshots: texts, leases, directories, and a naive map beside it.

use crate::{World, map, text, told};
use model::snapshots::{Commit, Driver, Info, Kind, Prepare, Usage};
use model::{Kind as ErrorKind, Mask};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn prepare(key: &str, parent: &str) -> Prepare {
    Prepare { key: key.into(), parent: parent.into(), labels: map(&[]) }
}

fn commit(name: &str, key: &str) -> Commit {
    Commit { name: name.into(), key: key.into(), ..Commit::default() }
}

#[tokio::test]
async fn from_prepare_to_remove() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    let mut seen = world.subscribe().await;
    let mounts = snapshots.prepare(scope, prepare("a", "")).await.expect("prepared");
    assert!(mounts[0].source.ends_with("/1") && mounts[0].options.is_empty());
    assert_eq!(snapshots.usage(scope, "a").await.expect("usage").inodes, 1);
    std::fs::write(format!("{}/f", mounts[0].source), "x").expect("write");
    let labelled = Commit { labels: map(&[("x", "1"), ("e", "")]), ..commit("base", "a") };
    snapshots.commit(scope, labelled).await.expect("committed");
    let info = snapshots.stat(scope, "base").await.expect("there");
    assert_eq!((info.kind, info.labels), (Kind::Committed, map(&[("x", "1")])));
    assert_eq!(snapshots.usage(scope, "base").await.expect("stored"), Usage { size: 0, inodes: 2 });
    let view = snapshots.view(scope, prepare("v", "base")).await.expect("view");
    assert_eq!((view[0].source.ends_with("/2"), &view[0].options[..]), (true, &[String::from("1")][..]));
    assert_eq!(snapshots.usage(scope, "v").await.expect("none"), Usage::default());
    snapshots.prepare(scope, prepare("b", "base")).await.expect("prepared");
    snapshots.commit(scope, commit("top", "b")).await.expect("committed");
    let mounts = snapshots.prepare(scope, prepare("c", "top")).await.expect("prepared");
    assert_eq!(mounts[0].options, ["3", "1"], "nearest parent first");
    assert_eq!(snapshots.mounts(scope, "c").await.expect("again"), mounts);
    let names = async |f: &str| {
        snapshots.list(scope, &[f.to_owned()]).await.expect(f).into_iter().map(|i| i.name).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["base", "c", "top", "v"]);
    assert_eq!(names("kind==committed,parent==\"\"").await, ["base"]);
    assert_eq!(
        text(snapshots.remove(scope, "top").await),
        "FailedPrecondition: cannot remove snapshot with child: failed precondition"
    );
    for key in ["c", "top", "v", "base"] {
        snapshots.remove(scope, key).await.expect(key);
    }
    world.engine.collector.collect().await.expect("collects");
    assert!(world.driver.list().expect("list").is_empty());
    let seen: Vec<String> =
        told(&mut *seen).await.into_iter().map(|s| s.chars().take_while(|c| *c != '{').collect()).collect();
    let expected = [
        "/snapshot/prepare SnapshotPrepare ",
        "/snapshot/commit SnapshotCommit ",
        "/snapshot/prepare SnapshotPrepare ",
        "/snapshot/commit SnapshotCommit ",
        "/snapshot/prepare SnapshotPrepare ",
        "/snapshot/remove SnapshotRemove ",
        "/snapshot/remove SnapshotRemove ",
        "/snapshot/remove SnapshotRemove ",
        "/snapshot/remove SnapshotRemove ",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn refusals() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    snapshots.prepare(scope, prepare("a", "")).await.expect("prepared");
    snapshots.view(scope, prepare("v", "")).await.expect("view");
    snapshots.prepare(scope, prepare("b", "")).await.expect("prepared");
    snapshots.commit(scope, commit("base", "b")).await.expect("committed");
    let prepared = async |p: Prepare| text(snapshots.prepare(scope, p).await);
    let target = |target: &str, parent: &str| Prepare {
        labels: map(&[("containerd.io/snapshot.ref", target)]),
        ..prepare("n", parent)
    };
    assert_eq!(prepared(prepare("a", "none")).await, "AlreadyExists: snapshot \"a\": already exists");
    assert_eq!(
        prepared(target("base", "none")).await,
        "AlreadyExists: target snapshot \"base\": already exists"
    );
    assert_eq!(
        prepared(target("new", "none")).await,
        "NotFound: parent snapshot none does not exist: not found"
    );
    assert_eq!(
        prepared(prepare("n", "a")).await,
        "InvalidArgument: failed to create snapshot: parent \"ns/1/a\" is not committed snapshot: invalid argument"
    );
    assert_eq!(prepared(prepare("", "")).await, "Unknown: bucket name required");
    let long = "x".repeat(4096);
    let labelled = Prepare { labels: map(&[("k", &long)]), ..prepare("n", "") };
    assert!(
        prepared(labelled)
            .await
            .starts_with("InvalidArgument: info.Labels: label key and value length (4097 bytes)")
    );
    let committed = async |c: Commit| text(snapshots.commit(scope, c).await);
    assert_eq!(committed(commit("base", "a")).await, "AlreadyExists: snapshot \"base\": already exists");
    assert_eq!(committed(commit("n", "none")).await, "NotFound: snapshot none does not exist: not found");
    assert_eq!(committed(commit("", "a")).await, "Unknown: bucket name required");
    assert!(committed(commit("n", "v")).await.starts_with(
        "FailedPrecondition: failed to commit snapshot ns/2/v: snapshot \"ns/2/v\" is not active"
    ));
    let rebase = |parent: &str| Commit { parent: parent.into(), ..commit("n", "a") };
    assert_eq!(committed(rebase("none")).await, "NotFound: parent snapshot none does not exist: not found");
    assert!(committed(rebase("v")).await.starts_with("FailedPrecondition: "));
    assert_eq!(
        text(snapshots.mounts(scope, "base").await),
        "FailedPrecondition: failed to get active mount: requested snapshot ns/3/base not active or view: failed precondition"
    );
    for e in [
        text(snapshots.stat(scope, "").await),
        text(snapshots.remove(scope, "").await),
        text(snapshots.usage(scope, "").await),
    ] {
        assert_eq!(e, "NotFound: snapshot  does not exist: not found");
    }
    let info = |name: &str| Info {
        name: name.into(),
        ..Info {
            name: String::new(),
            parent: String::new(),
            kind: Kind::Active,
            created_at: model::Timestamp::NEVER,
            updated_at: model::Timestamp::NEVER,
            labels: map(&[("a", "1")]),
        }
    };
    assert_eq!(
        text(snapshots.update(scope, info(""), Mask::default()).await),
        "InvalidArgument: invalid argument"
    );
    assert_eq!(
        text(snapshots.update(scope, info("a"), Mask(vec!["kind".into()])).await),
        "InvalidArgument: cannot update \"kind\" field on snapshot \"a\": invalid argument"
    );
    assert_eq!(
        snapshots.update(scope, info("a"), Mask(vec!["labels.a".into()])).await.expect("masked").labels,
        map(&[("a", "1")])
    );
    assert_eq!(
        text(snapshots.cleanup(scope).await),
        "NotImplemented: snapshotter does not implement Cleanup method: not implemented"
    );
}

#[tokio::test]
async fn rebase_sets_the_parent_at_commit() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    for (key, name, parent) in [("k1", "base", ""), ("k2", "top", "base")] {
        snapshots.prepare(scope, prepare(key, "")).await.expect("prepared");
        snapshots
            .commit(scope, Commit { parent: parent.into(), ..commit(name, key) })
            .await
            .expect("committed");
    }
    assert_eq!(snapshots.stat(scope, "top").await.expect("there").parent, "base");
    assert_eq!(
        snapshots.remove(scope, "base").await.expect_err("has a child").kind(),
        ErrorKind::FailedPrecondition
    );
    snapshots.prepare(scope, prepare("k3", "base")).await.expect("prepared");
    snapshots
        .commit(scope, Commit { parent: "none".into(), ..commit("ignored", "k3") })
        .await
        .expect("it has a parent");
}

#[tokio::test]
async fn leases_hold_what_is_made_and_what_was_there() {
    let world = World::new().await;
    let (snapshots, scope) = (world.snapshots(), &world.scope);
    assert_eq!(
        text(snapshots.prepare(&scope.with_lease("gone"), prepare("a", "")).await),
        "NotFound: lease does not exist: not found"
    );
    assert!(world.driver.list().expect("list").is_empty(), "nothing is made for a lease that is not there");
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
    snapshots.prepare(&leased, prepare("a", "")).await.expect("prepared");
    assert_eq!(held().await, ["snapshots/dirs a"]);
    snapshots.commit(&leased, commit("base", "a")).await.expect("committed");
    assert_eq!(held().await, ["snapshots/dirs base"]);
    let other = world.leased("m", &[]).await;
    assert!(snapshots.prepare(&other, prepare("base", "")).await.is_err());
    snapshots.remove(&leased, "base").await.expect("removed");
    assert!(held().await.is_empty());
    assert_eq!(
        world.engine.leases.list_resources(scope, "m").await.expect("held").len(),
        1,
        "another lease keeps the key"
    );
}

#[tokio::test]
async fn a_driver_that_fails_leaves_no_row_and_numbers_are_never_used_twice() {
    let world = World::new().await;
    *world.driver.refuse.lock().expect("lock") = true;
    assert_eq!(
        text(world.snapshots().prepare(&world.scope, prepare("a", "")).await),
        "ResourceExhausted: no space: resource exhausted"
    );
    assert!(world.snapshots().stat(&world.scope, "a").await.is_err());
    *world.driver.refuse.lock().expect("lock") = false;
    world.snapshots().prepare(&world.scope, prepare("a", "")).await.expect("prepared");
    assert_eq!(world.driver.list().expect("list"), [2]);
    world.snapshots().remove(&world.scope, "a").await.expect("removed");
    world.engine.collector.collect().await.expect("collects");
    let world = world.reopened().await;
    world.snapshots().prepare(&world.scope, prepare("a", "")).await.expect("prepared");
    assert_eq!(world.driver.list().expect("list"), [3]);
    assert!(world.directory.path().exists());
}

#[tokio::test]
async fn the_first_collection_removes_directories_without_a_row() {
    let world = World::new().await;
    let leased = world.leased("l", &[]).await;
    world.snapshots().prepare(&leased, prepare("a", "")).await.expect("prepared");
    std::fs::create_dir(world.directory.path().join("snapshots/77")).expect("rubbish");
    let world = world.reopened().await;
    assert_eq!(world.driver.list().expect("list"), [1]);
    world.snapshots().prepare(&leased, prepare("b", "")).await.expect("prepared");
    assert_eq!(world.driver.list().expect("list"), [1, 78]);
}

#[tokio::test]
async fn one_of_many_wins_a_key_and_the_others_leave_nothing() {
    let world = World::new().await;
    let leased = world.leased("l", &[]).await;
    let attempts = (0..8).map(|_| world.snapshots().prepare(&leased, prepare("k", "")));
    let mut won = 0;
    let mut set = Vec::new();
    for attempt in attempts {
        set.push(attempt);
    }
    for result in join_all(set).await {
        match result {
            Ok(_) => won += 1,
            Err(e) => assert_eq!(e.kind(), ErrorKind::AlreadyExists),
        }
    }
    assert_eq!((won, world.driver.list().expect("list").len()), (1, 1));
}

/// Polls all futures until each is done.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(move |cx| {
        running.retain_mut(|future| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() {
            std::task::Poll::Ready(std::mem::take(&mut done))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[derive(Clone, Debug)]
enum Step {
    Prepare(String, String),
    View(String, String),
    Commit(String, String),
    Remove(String),
    Collect,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || "[a-d]";
    prop_oneof![
        4 => (key(), "[a-d]?").prop_map(|(k, p)| Step::Prepare(k, p)),
        1 => (key(), "[a-d]?").prop_map(|(k, p)| Step::View(k, p)),
        4 => (key(), key()).prop_map(|(n, k)| Step::Commit(n, k)),
        3 => key().prop_map(Step::Remove),
        1 => Just(Step::Collect),
        1 => Just(Step::Reopen),
    ]
}

/// key → kind and parent.
type Naive = BTreeMap<String, (Kind, String)>;

/// Whether the naive map lets a step through; if so, it takes it.
fn naive(map: &mut Naive, step: &Step) -> bool {
    let has_parent =
        |map: &Naive, p: &str| p.is_empty() || map.get(p).is_some_and(|(kind, _)| *kind == Kind::Committed);
    match step {
        Step::Prepare(k, p) | Step::View(k, p) => {
            let free = !map.contains_key(k) && has_parent(map, p);
            let kind = if matches!(step, Step::Prepare(..)) { Kind::Active } else { Kind::View };
            if free {
                map.insert(k.clone(), (kind, p.clone()));
            }
            free
        }
        Step::Commit(n, k) => {
            let fine = !map.contains_key(n) && map.get(k).is_some_and(|(kind, _)| *kind == Kind::Active);
            if fine && let Some((_, parent)) = map.remove(k) {
                map.insert(n.clone(), (Kind::Committed, parent));
            }
            fine
        }
        Step::Remove(k) => {
            let fine = map.contains_key(k) && !map.values().any(|(_, parent)| parent == k);
            if fine {
                map.remove(k);
            }
            fine
        }
        Step::Collect | Step::Reopen => true,
    }
}

async fn run(steps: Vec<Step>) {
    let mut world = World::new().await;
    // Roots by label, so that the collector has nothing to say.
    let labels = || map(&[("containerd.io/gc.root", "x")]);
    let mut beside = Naive::new();
    for step in steps {
        let expected = naive(&mut beside, &step);
        let (s, scope) = (world.snapshots(), &world.scope);
        let result = match step.clone() {
            Step::Prepare(key, parent) => {
                s.prepare(scope, Prepare { key, parent, labels: labels() }).await.map(drop)
            }
            Step::View(key, parent) => {
                s.view(scope, Prepare { key, parent, labels: labels() }).await.map(drop)
            }
            Step::Commit(name, key) => {
                s.commit(scope, Commit { name, key, labels: labels(), parent: String::new() }).await
            }
            Step::Remove(key) => s.remove(scope, &key).await,
            Step::Collect => world.engine.collector.collect().await.map(drop),
            Step::Reopen => {
                world = world.reopened().await;
                Ok(())
            }
        };
        assert_eq!(result.is_ok(), expected, "{step:?}: {result:?}");
        let found = world.snapshots().list(&world.scope, &[]).await.expect("list");
        let found: Naive = found.into_iter().map(|i| (i.name, (i.kind, i.parent))).collect();
        assert_eq!(found, beside);
        if matches!(step, Step::Collect | Step::Reopen) {
            let directories: BTreeSet<u64> = world.driver.list().expect("list").into_iter().collect();
            assert_eq!(directories.len(), beside.len(), "a directory for each snapshot and no other");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run(steps));
    }
}
