//! The content store on a real disk: what clients may rely on, and what is on disk when they look.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use content::Store;
use model::Kind;
use model::content::{Blobs, Ingest};
use oci::{Algorithm, Digest};
use proptest::prelude::*;

fn ingest(reference: &str) -> Ingest {
    Ingest { reference: reference.into(), ..Ingest::default() }
}

fn put(store: &Store, bytes: &[u8]) -> Digest {
    let mut writer = store.ingest(&ingest("put")).unwrap();
    writer.write(bytes).unwrap();
    writer.commit(0, "").unwrap()
}

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("content")).unwrap();
    (dir, store)
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn a_blob_is_what_was_written() {
    let (dir, store) = open();
    let digest = put(&store, b"hello");
    assert_eq!(digest, Digest::of(b"hello"));
    let info = store.info(&digest).unwrap();
    assert_eq!((info.size, &info.digest), (5, &digest));
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&info));
    let path = dir.path().join("content/blobs/sha256").join(digest.hex());
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o444);
    assert_eq!((meta.mtime(), meta.atime()), (info.created_at.seconds, info.updated_at.seconds));
    assert_eq!(count(&dir.path().join("content/ingest")), 0, "the ingest is gone");
    let blob = store.open(&digest).unwrap();
    let mut buffer = [0; 3];
    for (offset, want) in [(0, &b"hel"[..]), (3, b"lo"), (5, b""), (99, b"")] {
        let got = blob.read_at(&mut buffer, offset).unwrap();
        assert_eq!(&buffer[..got], want);
    }
    store.delete(&digest).unwrap();
    assert_eq!(blob.read_at(&mut buffer, 0).unwrap(), 3, "an open blob outlives its name");
    let missing = format!("content {digest}: not found");
    assert_eq!(store.info(&digest).unwrap_err().text(), missing);
    assert_eq!(store.delete(&digest).unwrap_err().text(), missing);
    assert_eq!(store.open(&digest).err().unwrap().text(), missing);
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn an_ingest_lies_where_others_look_for_it() {
    let (dir, store) = open();
    let mut writer = store.ingest(&Ingest { total: 10, ..ingest("ns/1/layer") }).unwrap();
    writer.write(b"12345").unwrap();
    let entry = dir.path().join("content/ingest").join(Digest::of(b"ns/1/layer").hex());
    let read = |name: &str| fs::read_to_string(entry.join(name)).unwrap();
    assert_eq!(
        (read("ref"), read("total"), read("data")),
        ("ns/1/layer".into(), "10".into(), "12345".into())
    );
    assert!(read("startedat").ends_with('Z') && read("updatedat").ends_with('Z'));
    let status = store.status("ns/1/layer").unwrap();
    assert_eq!((status.offset, status.total, status.expected.as_str()), (5, 10, ""));
    assert!(status.updated_at >= status.started_at);
    let open = writer.status();
    assert_eq!((open.offset, open.started_at), (5, status.started_at));
    assert_eq!(store.ingests().unwrap(), [store.ingest_name("ns/1/layer")]);
    drop(writer);
    store.abort("ns/1/layer").unwrap();
    for error in [store.abort("ns/1/layer").unwrap_err(), store.status("ns/1/layer").unwrap_err()] {
        assert_eq!(error.kind(), Kind::NotFound);
    }
    assert_eq!(store.abort("x").unwrap_err().text(), "reference x: not found");
    assert!(store.ingests().unwrap().is_empty());
}

#[test]
fn one_writer_at_a_time_and_the_next_goes_on() {
    let (_dir, store) = open();
    let mut first = store.ingest(&ingest("r")).unwrap();
    first.write(b"abc").unwrap();
    assert_eq!(store.ingest(&ingest("r")).err().unwrap().kind(), Kind::Unavailable);
    let started = first.status().started_at;
    drop(first);
    let mut second = store.ingest(&ingest("r")).unwrap();
    assert_eq!((second.status().offset, second.status().started_at), (3, started));
    assert_eq!(second.digest(), Digest::of(b"abc"));
    second.write(b"def").unwrap();
    assert_eq!(second.commit(6, Digest::of(b"abcdef").as_str()).unwrap(), Digest::of(b"abcdef"));
}

#[test]
fn another_total_begins_anew() {
    let (_dir, store) = open();
    for (total, next, offset) in [(10, 0, 3), (0, 10, 3), (10, 10, 3), (10, 11, 0)] {
        let reference = format!("{total}-{next}");
        let with = |total| Ingest { total, ..ingest(&reference) };
        store.ingest(&with(total)).unwrap().write(b"abc").unwrap();
        let writer = store.ingest(&with(next)).unwrap();
        assert_eq!(writer.status().offset, offset, "{total} {next}");
        assert_eq!(writer.status().total, if next == 0 { total } else { next });
    }
}

#[test]
fn a_commit_checks_size_then_digest_and_keeps_the_ingest() {
    let (_dir, store) = open();
    let mut writer = store.ingest(&ingest("r")).unwrap();
    writer.write(b"ab").unwrap();
    let (right, wrong) = (Digest::of(b"ab"), Digest::of(b"x"));
    for (size, expected, text) in [
        (5, wrong.as_str(), "\"r\" failed size validation: 2 != 5: failed precondition".to_string()),
        (
            2,
            wrong.as_str(),
            format!("unexpected commit digest {right}, expected {wrong}: failed precondition"),
        ),
        (0, "x", format!("unexpected commit digest {right}, expected x: failed precondition")),
    ] {
        let error = writer.commit(size, expected).unwrap_err();
        assert_eq!((error.kind(), error.text()), (Kind::FailedPrecondition, text.as_str()));
    }
    writer.write(b"c").unwrap();
    assert_eq!(writer.commit(3, "").unwrap(), Digest::of(b"abc"));
}

#[test]
fn the_same_blob_twice_is_refused_and_the_ingest_gone() {
    let (_dir, store) = open();
    let digest = put(&store, b"x");
    let mut writer = store.ingest(&ingest("again")).unwrap();
    writer.write(b"x").unwrap();
    let error = writer.commit(1, "").unwrap_err();
    assert_eq!(
        (error.kind(), error.text()),
        (Kind::AlreadyExists, format!("content {digest}: already exists").as_str())
    );
    drop(writer);
    assert!(store.ingests().unwrap().is_empty());
}

#[test]
fn other_algorithms_name_the_blob_if_expected() {
    let (_dir, store) = open();
    for opened_for in [true, false] {
        for algorithm in [Algorithm::Sha384, Algorithm::Sha512] {
            let bytes = format!("{algorithm} {opened_for}");
            let want = algorithm.digest(bytes.as_bytes());
            let expected = if opened_for { want.to_string() } else { String::new() };
            let mut writer = store.ingest(&Ingest { expected, ..ingest("r") }).unwrap();
            writer.write(bytes.as_bytes()).unwrap();
            assert_eq!(writer.digest().algorithm(), Algorithm::Sha256);
            assert_eq!(writer.commit(0, want.as_str()).unwrap(), want);
            assert_eq!(store.info(&want).unwrap().size, bytes.len() as u64);
        }
    }
    assert_eq!(store.list().unwrap().len(), 4);
}

#[test]
fn an_aborted_ingest_cannot_be_committed_by_its_writer() {
    let (_dir, store) = open();
    let mut writer = store.ingest(&ingest("r")).unwrap();
    writer.write(b"a").unwrap();
    store.abort("r").unwrap();
    writer.write(b"b").unwrap();
    assert_eq!(writer.commit(0, "").unwrap_err().kind(), Kind::Unknown);
    drop(writer);
    assert_eq!(store.ingest(&ingest("r")).unwrap().status().offset, 0);
}

#[test]
fn a_write_that_a_full_disk_cuts_short_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let small = kernel::mount::Mount {
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        options: vec!["size=64k".into()],
        ..kernel::mount::Mount::default()
    };
    small.mount(dir.path()).unwrap();
    let result = std::panic::catch_unwind(|| {
        let store = Store::open(dir.path().join("content")).unwrap();
        let mut writer = store.ingest(&ingest("r")).unwrap();
        writer.write(b"a").unwrap();
        assert_eq!(writer.write(&[0; 256 << 10]).unwrap_err().kind(), Kind::ResourceExhausted);
        assert_eq!(store.status("r").unwrap().offset, 1);
        writer.write(b"b").unwrap();
        let digest = writer.commit(2, Digest::of(b"ab").as_str()).unwrap();
        assert_eq!(store.open(&digest).unwrap().size(), 2);
    });
    kernel::mount::unmount(dir.path(), kernel::mount::Detach::Yes).unwrap();
    result.unwrap();
}

#[test]
fn torn_ingests_and_strange_names_do_no_harm() {
    let (dir, store) = open();
    let root = dir.path().join("content");
    put(&store, b"x");
    fs::write(root.join("blobs/sha256/notes.txt"), "x").unwrap();
    fs::create_dir_all(root.join("blobs/md5")).unwrap();
    fs::create_dir_all(root.join("ingest/rubbish")).unwrap();
    fs::write(root.join("ingest").join(store.ingest_name("file")), "x").unwrap();
    assert_eq!((store.list().unwrap().len(), store.ingests().unwrap().len()), (1, 0));
    for emptied in ["ref", "startedat"] {
        drop(store.ingest(&ingest("e")).map(|mut w| w.write(b"abc")).unwrap());
        fs::write(root.join("ingest").join(store.ingest_name("e")).join(emptied), "").unwrap();
        assert_eq!(store.status("e").unwrap_err().kind(), Kind::NotFound, "{emptied}");
        assert_eq!(store.ingests().unwrap(), [store.ingest_name("e")], "{emptied}");
        assert_eq!(store.ingest(&ingest("e")).unwrap().status().offset, 0, "{emptied}");
        store.discard(&store.ingest_name("e")).unwrap();
        assert_eq!(store.discard(&store.ingest_name("e")).unwrap_err().kind(), Kind::NotFound);
    }
    for torn in ["ref", "startedat", "data"] {
        drop(store.ingest(&ingest("r")).map(|mut w| w.write(b"abc")).unwrap());
        let entry = root.join("ingest").join(Digest::of(b"r").hex());
        fs::remove_file(entry.join(torn)).unwrap();
        assert_eq!(store.status("r").unwrap_err().kind(), Kind::NotFound, "{torn}");
        let mut writer = store.ingest(&ingest("r")).unwrap();
        assert_eq!(writer.status().offset, 0, "{torn}");
        writer.write(torn.as_bytes()).unwrap();
        writer.commit(0, "").unwrap();
    }
    let entry = root.join("ingest").join(Digest::of(b"r").hex());
    drop(store.ingest(&ingest("r")).unwrap());
    fs::write(entry.join("ref"), "other").unwrap();
    assert_eq!(store.ingest(&ingest("r")).err().unwrap().kind(), Kind::DataLoss);
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<u8>),
    Truncate,
    Reopen,
    Commit(bool),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_ends_with_the_bytes_of_a_naive_buffer(steps in prop::collection::vec(prop_oneof![
        5 => prop::collection::vec(any::<u8>(), 0..2000).prop_map(Step::Write),
        1 => Just(Step::Truncate),
        2 => Just(Step::Reopen),
        1 => any::<bool>().prop_map(Step::Commit),
    ], 1..30)) {
        let (_dir, store) = open();
        let mut writer = store.ingest(&ingest("r")).unwrap();
        let mut naive: Vec<u8> = Vec::new();
        let mut blobs = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    writer.write(&bytes).unwrap();
                    naive.extend(bytes);
                }
                Step::Truncate => {
                    writer.truncate().unwrap();
                    naive.clear();
                }
                Step::Reopen => {
                    drop(writer);
                    writer = store.ingest(&ingest("r")).unwrap();
                }
                Step::Commit(right) => {
                    let digest = if right { Digest::of(&naive) } else { Digest::of(b"no such bytes") };
                    match writer.commit(0, digest.as_str()) {
                        Ok(got) => {
                            prop_assert!(right && got == digest && blobs.insert(got.clone()));
                            let blob = store.open(&got).unwrap();
                            let mut bytes = vec![0; blob.size() as usize];
                            blob.read_at(&mut bytes, 0).unwrap();
                            prop_assert!(bytes == naive);
                        }
                        Err(e) if right => prop_assert!(e.is_already_exists() && blobs.contains(&digest)),
                        Err(e) => {
                            prop_assert_eq!(e.kind(), Kind::FailedPrecondition);
                            continue;
                        }
                    }
                    drop(writer);
                    naive.clear();
                    writer = store.ingest(&ingest("r")).unwrap();
                }
            }
            prop_assert_eq!(writer.status().offset, naive.len() as u64);
            prop_assert_eq!(writer.digest(), Digest::of(&naive));
        }
        prop_assert_eq!(store.list().unwrap().len(), blobs.len());
    }
}
