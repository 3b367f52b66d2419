//! The store against a naive map, against failing and panicking writes, and against a killed process.

use model::events::Event;
use model::images::{Image, Target};
use model::leases::{Lease, Resource};
use model::{Error, Kind, Labels, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use store::{Store, WriteTx};

fn image(name: &str, size: i64) -> Image {
    Image {
        name: name.to_owned(),
        labels: Labels::new(),
        target: Target { size, ..Target::default() },
        created_at: Timestamp { seconds: size, nanos: 1 },
        updated_at: Timestamp::NEVER,
    }
}

fn open(directory: &Path) -> Store {
    Store::open(&directory.join("meta.redb")).expect("open")
}

#[derive(Clone, Debug)]
enum Step {
    Put(String, String, i64),
    Delete(String, String),
    DeleteNamespace(String),
}

fn text() -> impl Strategy<Value = String> {
    "[ab\0\u{1}\u{ff}]{0,3}"
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (text(), text(), any::<i64>()).prop_map(|(ns, name, size)| Step::Put(ns, name, size)),
        2 => (text(), text()).prop_map(|(ns, name)| Step::Delete(ns, name)),
        1 => text().prop_map(Step::DeleteNamespace),
    ]
}

type Naive = BTreeMap<(String, String), i64>;

fn apply(tx: &mut WriteTx<'_>, step: &Step) -> model::Result<()> {
    match step {
        Step::Put(ns, name, size) => store::images::put(tx, ns, &image(name, *size)),
        Step::Delete(ns, name) => store::images::delete(tx, ns, name),
        Step::DeleteNamespace(ns) => store::namespaces::delete(tx, ns),
    }
}

fn apply_naive(naive: &mut Naive, step: &Step) {
    match step {
        Step::Put(ns, name, size) => drop(naive.insert((ns.clone(), name.clone()), *size)),
        Step::Delete(ns, name) => drop(naive.remove(&(ns.clone(), name.clone()))),
        Step::DeleteNamespace(ns) => naive.retain(|(n, _), _| n != ns),
    }
}

fn contents(tx: &dyn store::Rows) -> model::Result<Vec<((String, String), i64)>> {
    let mut found = Vec::new();
    for ns in store::namespaces::list(tx)? {
        let images = store::images::list(tx, &ns.name)?;
        found.extend(images.into_iter().map(|i| ((ns.name.clone(), i.name), i.target.size)));
    }
    Ok(found)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Groups of writes; each write is a few steps, and some fail at their end.
    #[test]
    fn behaves_like_a_map(groups in prop::collection::vec(prop::collection::vec((prop::collection::vec(step(), 0..5), prop::bool::weighted(0.3)), 1..6), 1..6)) {
        let directory = tempfile::tempdir().expect("temp dir");
        let mut naive = Naive::new();
        let mut store = open(directory.path());
        for group in groups {
            let (go, wait) = channel::<()>();
            store.write(move |_| { let _ = wait.recv(); Ok(()) }, |_| ());
            let (done, results) = channel();
            for (steps, fails) in group.clone() {
                let done = done.clone();
                let seen = {
                    let mut after = naive.clone();
                    steps.iter().for_each(|s| apply_naive(&mut after, s));
                    if !fails { naive = after.clone(); }
                    after
                };
                store.write(move |tx| {
                    steps.iter().try_for_each(|s| apply(tx, s))?;
                    let inside = contents(tx)?;
                    if inside != seen.into_iter().collect::<Vec<_>>() { return Err(Error::internal("sees something else")); }
                    if fails { Err(Error::unknown("on purpose")) } else { Ok(()) }
                }, move |r| { let _ = done.send(r); });
            }
            go.send(()).expect("the writer waits");
            for (_, fails) in &group {
                let result = results.recv().expect("an answer").map_err(|e| e.to_string());
                prop_assert_eq!(result, if *fails { Err(String::from("on purpose")) } else { Ok(()) });
            }
            let outside = store.read(|tx| contents(tx)).expect("read");
            prop_assert_eq!(&outside, &naive.clone().into_iter().collect::<Vec<_>>());
            drop(store);
            store = open(directory.path());
            let reopened = store.read(|tx| contents(tx)).expect("read");
            prop_assert_eq!(reopened, outside);
        }
    }
}

#[test]
fn events_leave_after_their_commit_in_order_and_only_then() {
    let directory = tempfile::tempdir().expect("temp dir");
    let store = Arc::new(open(directory.path()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sink, reader) = (seen.clone(), Arc::downgrade(&store));
    store.on_commit(move |events| {
        let committed = reader.upgrade().map(|s| s.read(|tx| contents(tx)).expect("read").len());
        sink.lock().expect("lock").push((committed, events));
    });
    let (go, wait) = channel::<()>();
    store.write(
        move |_| {
            let _ = wait.recv();
            Ok(())
        },
        |_| (),
    );
    for n in 0..3 {
        let write = move |tx: &mut WriteTx<'_>| {
            store::images::put(tx, "ns", &image(&n.to_string(), n))?;
            tx.emit("ns", Event::ImageDelete { name: n.to_string() });
            if n == 1 { Err(Error::unknown("on purpose")) } else { Ok(()) }
        };
        store.write(write, |_| ());
    }
    store.write(
        |_: &mut WriteTx<'_>| -> model::Result<()> { panic!("on purpose") },
        |r| {
            assert_eq!(r.expect_err("panicked").kind(), Kind::Internal);
        },
    );
    go.send(()).expect("the writer waits");
    store.write_sync(|_| Ok(())).expect("the writer lives");
    let seen = seen.lock().expect("lock");
    let event = |n: &str| (String::from("ns"), Event::ImageDelete { name: n.to_owned() });
    let all: Vec<_> = seen.iter().flat_map(|(_, events)| events.clone()).collect();
    assert_eq!(all, vec![event("0"), event("2")]);
    assert_eq!(seen.last().expect("one").0, Some(2));
}

#[test]
fn leases_know_what_they_hold_and_things_know_who_holds_them() {
    let directory = tempfile::tempdir().expect("temp dir");
    let store = open(directory.path());
    let resource = |kind: &str, id: &str| Resource { kind: kind.to_owned(), id: id.to_owned() };
    let write = move |tx: &mut WriteTx<'_>| {
        for id in ["l1", "l2"] {
            store::leases::put(
                tx,
                "ns",
                &Lease { id: id.to_owned(), created_at: Timestamp::NEVER, labels: Labels::new() },
            )?;
            store::leases::add_resource(tx, "ns", id, &resource("snapshots/overlayfs", "k/e\0y"));
        }
        store::leases::add_resource(tx, "ns", "l1", &resource("content", "sha256:x"));
        store::leases::delete(tx, "ns", "l2")
    };
    store.write_sync(write).expect("write");
    store
        .read(|tx| {
            let held = store::leases::resources(tx, "ns", "l1")?;
            assert_eq!(
                held,
                vec![resource("content", "sha256:x"), resource("snapshots/overlayfs", "k/e\0y")]
            );
            assert!(store::leases::resources(tx, "ns", "l2")?.is_empty());
            Ok(())
        })
        .expect("read");
}

#[test]
fn says_why_it_cannot_open() {
    let directory = tempfile::tempdir().expect("temp dir");
    let held = open(directory.path());
    let error = Store::open(held.path()).err().expect("held");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(
        error.text().contains(&format!("meta.redb is in use by process {} (", std::process::id())),
        "{error}"
    );

    let foreign = directory.path().join("foreign");
    std::fs::write(&foreign, vec![b'x'; 10_000]).expect("write");
    let error = Store::open(&foreign).err().expect("foreign");
    assert_eq!(error.kind(), Kind::DataLoss);
    assert!(error.text().contains("foreign is damaged or not a database"), "{error}");

    held.close();
    let closed = held.write_sync(|_| Ok(())).expect_err("closed");
    assert_eq!(closed.kind(), Kind::Unavailable);
}

/// The child of the next test: writes one image after the other and prints each that is durable.
#[test]
#[ignore = "run by survives_kill_9"]
fn child_writes_until_killed() {
    let Some(directory) = std::env::var_os("STORE_TEST_DIRECTORY") else { return };
    let store = open(Path::new(&directory));
    for n in 0.. {
        store.write_sync(move |tx| store::images::put(tx, "ns", &image(&n.to_string(), n))).expect("write");
        println!("\nwritten {n}");
        std::io::stdout().flush().expect("flush");
    }
}

#[test]
fn survives_kill_9() {
    let directory = tempfile::tempdir().expect("temp dir");
    for round in 1..=3_usize {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child_writes_until_killed", "--ignored", "--nocapture"])
            .env("STORE_TEST_DIRECTORY", directory.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("spawn");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let last = lines
            .filter_map(|l| l.strip_prefix("written ")?.parse::<i64>().ok())
            .nth(20 * round)
            .expect("writes");
        child.kill().expect("kill");
        child.wait().expect("wait");
        let store = open(directory.path());
        for n in 0..=last {
            let found = store.read(|tx| store::images::find(tx, "ns", &n.to_string())).expect("read");
            assert_eq!(found, Some(image(&n.to_string(), n)));
        }
    }
}

/// A small disk of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Self {
        let disk = Self(tempfile::tempdir().expect("dir"));
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(disk.0.path());
        assert!(mount.status().expect("mount").success());
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// What is there can be removed although the disk is full.
#[test]
fn a_full_disk_lets_rows_go() {
    let disk = Disk::mount();
    let store = open(disk.0.path());
    // Enough for the file to grow.
    let names: Vec<String> = (0..100).map(|n| format!("image-{n}-{}", "n".repeat(20_000))).collect();
    let all = names.clone();
    let put = move |tx: &mut WriteTx<'_>| {
        all.iter().try_for_each(|name| store::images::put(tx, "ns", &image(name, 1)))
    };
    store.write_sync(put).expect("there is room");
    let mut filler = std::fs::File::create(disk.0.path().join("filler")).expect("create");
    while filler.write_all(&[1; 4096]).is_ok() {}
    for name in names {
        store.write_sync(move |tx| store::images::delete(tx, "ns", &name)).expect("it needs no room");
    }
    let left = store.read(|tx| store::images::list(tx, "ns")).expect("list");
    assert!(left.is_empty());
    store.close();
}

/// A write that fails for want of room fails alone: as soon as there is room the next one succeeds, and the rows are
/// those that were written.
#[test]
fn a_disk_that_was_full() {
    let disk = Disk::mount();
    let store = open(disk.0.path());
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    store.on_commit(move |events| sink.lock().expect("lock").extend(events));
    let path = disk.0.path().join("filler");
    for round in 0..2 {
        let mut filler = std::fs::File::create(&path).expect("create");
        while filler.write_all(&[1; 4096]).is_ok() {}
        let name = format!("{round}-{}", "n".repeat(20_000));
        let large = name.clone();
        let put = move |tx: &mut WriteTx<'_>| {
            tx.emit("ns", Event::ImageDelete { name: String::from("never") });
            (0..100).try_for_each(|n| store::images::put(tx, "ns", &image(&format!("{n}-{large}"), n)))
        };
        let error = store.write_sync(put.clone()).expect_err("there is no room for two megabytes");
        assert!(error.to_string().contains("meta.redb"), "{error}");
        store.read(|tx| store::images::list(tx, "ns")).expect("what is there can be read");
        drop(filler);
        std::fs::remove_file(&path).expect("remove");
        let small = move |tx: &mut WriteTx<'_>| store::images::put(tx, "ns", &image(&name, 1));
        store.write_sync(small).expect("there is room again");
        let names = store.read(|tx| store::images::list(tx, "ns")).expect("list").len();
        assert_eq!(names, round + 1);
    }
    store.close();
    assert!(told.lock().expect("lock").is_empty(), "what never became true is told to nobody");
}
