//! Differences: applied to the old tree they make the new one; both ways of comparing agree; bytes are known.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::apply::{Applied, Target};
use archive::compress::Compression;
use archive::diff::{Options, Source, write};
use proptest::prelude::*;

use crate::apply::rich_tree;
use crate::support::{Overlay, apply_bytes, apply_plain, list, list_untimed, run, tar};

const PLAIN: Options = Options { compression: Compression::None, latest: None };

fn diff(source: &Source) -> (Applied, Vec<u8>) {
    let mut out = Vec::new();
    let applied = write(source, PLAIN, &mut out).unwrap();
    assert_eq!((&applied.diff_id, applied.size), (&oci::Digest::of(&out), out.len() as u64));
    (applied, out)
}

fn trees(lower: Option<&Path>, upper: &Path) -> Source {
    Source::Trees { lower: lower.map(Path::to_owned), upper: upper.to_owned() }
}

#[test]
fn everything_survives_diff_and_apply() {
    let dir = tempfile::tempdir().unwrap();
    let (source, copy) = (dir.path().join("s"), dir.path().join("c"));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&copy).unwrap();
    rich_tree(&source);
    let (_, bytes) = diff(&trees(None, &source));
    apply_plain(&copy, &bytes).unwrap();
    let mut want = list_untimed(&source);
    // Only file capabilities travel in layers we write.
    for line in want.values_mut() {
        *line = line.split(" user.note").next().unwrap().to_string();
    }
    assert_eq!(list_untimed(&copy), want);
    assert_eq!(fs::metadata(copy.join("empty")).unwrap().mtime(), 5);
    assert_eq!(fs::metadata(copy.join("etc/passwd")).unwrap().mtime_nsec(), 0);
    assert_eq!(diff(&trees(None, &source)).1, bytes, "twice the same");
    let listed = Command::new("tar").args(["-tf", "-"]).stdin(pipe(&bytes)).output().unwrap();
    assert!(listed.status.success(), "GNU tar reads it");
}

fn pipe(bytes: &[u8]) -> fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn packed_differences_have_the_plain_digest() {
    let dir = tempfile::tempdir().unwrap();
    rich_tree(dir.path());
    let source = trees(None, dir.path());
    let (plain, _) = diff(&source);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut out = Vec::new();
        let applied = write(&source, Options { compression, latest: None }, &mut out).unwrap();
        assert_eq!(applied, plain);
        let target = tempfile::tempdir().unwrap();
        assert_eq!(apply_plain(target.path(), &out).unwrap(), plain);
    }
}

/// Names in a tar, in its order.
fn names(bytes: &[u8]) -> Vec<String> {
    let mut reader = archive::tar::Reader::new(bytes);
    let mut entry = archive::tar::Entry::default();
    let mut names = Vec::new();
    while reader.next_entry(&mut entry).unwrap() {
        names.push(String::from_utf8(entry.path.clone()).unwrap());
    }
    names
}

#[test]
fn only_changes_and_the_way_to_them_are_written() {
    let base = ["d d", "f d/a 1", "f d/b 2", "d d/e", "f d/e/x 3", "f top 4", "l s d", "d z", "f z/y 1"];
    for (script, want) in [
        ("true", ""),
        ("touch d", ""),
        ("python3 -c \"import os; os.setxattr('d/a', 'user.x', b'1')\"", ""),
        ("echo 9 > d/a", "d/ d/a"),
        ("chmod 600 d/e/x", "d/ d/e/ d/e/x"),
        ("rm d/a", "d/ d/.wh.a"),
        ("rm -r d", ".wh.d"),
        ("rm top s; echo > t", ".wh.s t .wh.top"),
        ("rm -r d; echo > d", "d"),
        ("rm top; mkdir top; echo > top/n", "top/ top/n"),
        ("chmod 700 z", "z/"),
        ("ln -sfn e s", "s"),
        ("ln d/a z/l", "z/ z/l d/ d/a"),
        ("mkfifo z/p", "z/ z/p"),
        ("python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('z/s')\"", ""),
        ("echo > z/.wh.q", "z/ z/.wh.q"),
        ("chown 5 z/y", "z/ z/y"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for made in [&a, &b] {
            fs::create_dir(made).unwrap();
            apply_plain(made, &tar(&base)).unwrap();
        }
        run(Command::new("sh").args(["-ec", script]).current_dir(&b));
        let (_, bytes) = diff(&trees(Some(&a), &b));
        assert_eq!(names(&bytes).join(" "), want, "{script}");
        if script.contains(".wh.q") || script.contains("socket") || script.contains("setxattr") {
            continue;
        }
        apply_plain(&a, &bytes).unwrap();
        assert_eq!(list_untimed(&a), list_untimed(&b), "{script}");
    }
}

#[test]
fn the_empty_difference_and_deletions_are_known_bytes() {
    let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (applied, bytes) = diff(&trees(None, empty.path()));
    assert_eq!(bytes, [0; 1024]);
    assert!(applied.diff_id.as_str().starts_with("sha256:5f70bf18"));
    apply_plain(full.path(), &tar(&["d d", "f d/a 1", "f b 1"])).unwrap();
    let (_, bytes) = diff(&trees(Some(full.path()), empty.path()));
    assert_eq!(names(&bytes), [".wh.b", ".wh.d"]);
    assert_eq!(&bytes[100..108], b"0000000\0");
    assert_eq!(&bytes[136..148], b"00000000000\0");
}

#[test]
fn no_time_is_later_than_asked() {
    let dir = tempfile::tempdir().unwrap();
    apply_plain(dir.path(), &tar(&["f a 1"])).unwrap();
    let mut out = Vec::new();
    write(&trees(None, dir.path()), Options { compression: Compression::None, latest: Some(77) }, &mut out)
        .unwrap();
    let mut entry = archive::tar::Entry::default();
    archive::tar::Reader::new(&out[..]).next_entry(&mut entry).unwrap();
    assert_eq!(entry.mtime.secs, 77);
}

/// Changes that a container could make, as shell words run inside of a mounted overlay.
fn any_change() -> impl Strategy<Value = String> {
    let name =
        || prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|w| w.join("/"));
    prop_oneof![
        name().prop_map(|n| format!("mkdir -p {n}")),
        (name(), 0..9).prop_map(|(n, i)| format!("mkdir -p $(dirname {n}); echo {i} > {n}")),
        name().prop_map(|n| format!("rm -rf {n}")),
        name().prop_map(|n| format!("rm -rf {n}; mkdir -p {n}")),
        name().prop_map(|n| format!("chmod 700 {n}")),
        (name(), name()).prop_map(|(n, t)| format!("ln -sfn {t} {n}")),
        (name(), name()).prop_map(|(n, t)| format!("ln {t} {n}")),
        (name(), name()).prop_map(|(n, t)| format!("mv {t} {n}")),
        name().prop_map(|n| format!("test -f {n} && : >> {n}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn looking_at_the_upper_directory_only_gives_the_same_bytes(
        one in prop::collection::vec(any_change(), 0..6), two in prop::collection::vec(any_change(), 1..8)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["base", "u1", "w1", "u2", "w2", "mnt", "copy"] {
            fs::create_dir(path(name)).unwrap();
        }
        apply_plain(&path("base"), &tar(&["d a", "f a/b 1", "d a/c", "f a/c/a 2", "d b", "f b/a 3", "f c 4"])).unwrap();
        change(&path("mnt"), &[path("base")], (&path("u1"), &path("w1")), &one);
        let lowers = [path("u1"), path("base")];
        change(&path("mnt"), &lowers, (&path("u2"), &path("w2")), &two);
        let stack: Vec<PathBuf> = std::iter::once(path("u2")).chain(lowers.clone()).collect();
        let (old, new) = (Overlay::mount(&path("old"), &lowers), Overlay::mount(&path("new"), &stack));
        let (_, slow) = diff(&trees(Some(&old.at), &new.at));
        let (_, fast) = diff(&Source::Upper { upper: path("u2"), lowers: lowers.to_vec() });
        prop_assert_eq!(names(&slow), names(&fast));
        prop_assert!(slow == fast);
        run(Command::new("cp").args(["-a", "--"]).arg(old.at.join(".")).arg(path("copy")));
        apply_bytes(&Target::Directory(path("copy")), &slow).unwrap();
        let strip = |lines: std::collections::BTreeMap<String, String>| lines.into_iter()
            .map(|(k, v)| format!("{k} {}", v.split(' ').filter(|w| !w.starts_with('x')).collect::<Vec<_>>().join(" ")))
            .collect::<Vec<_>>();
        prop_assert_eq!(strip(list_untimed(&path("copy"))), strip(list_untimed(&new.at)));
    }
}

/// Mounts an overlay to be written and runs the changes in it; those that fail change nothing.
fn change(at: &Path, lowers: &[PathBuf], (upper, work): (&Path, &Path), changes: &[String]) {
    let lower: Vec<String> = lowers.iter().map(|l| l.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off",
        lower.join(":"),
        upper.display(),
        work.display()
    );
    run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(at));
    let guard = Overlay { at: at.to_owned() };
    for change in changes {
        let _ = Command::new("sh").args(["-c", change]).current_dir(at).output().unwrap();
    }
    drop(guard);
}

#[test]
fn times_of_directories_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir_all(&a).unwrap();
    fs::create_dir_all(&b).unwrap();
    apply_plain(&a, &tar(&["d d", "f d/x 1", "d d/e", "f d/e/y 2"])).unwrap();
    let (_, bytes) = diff(&trees(None, &a));
    apply_plain(&b, &bytes).unwrap();
    assert_eq!(list(&a), list(&b));
}

/// A tree with a bit of everything, all times set.
const TREE: &str = r#"
umask 022
mkdir -p etc/deep empty; echo root > etc/passwd; : > etc/none; head -c 700001 /dev/zero > etc/deep/big
ln etc/passwd etc/deep/p2; ln -s ../etc/passwd etc/link; ln -s /nowhere dangling
L=$(printf 'n%.0s' $(seq 120)); echo long > etc/$L; ln -s $(printf 't%.0s' $(seq 150)) etc/longlink
A=$(printf 'a%.0s' $(seq 90)); B=$(printf 'b%.0s' $(seq 90)); mkdir -p $A/$B/cc; echo deep > $A/$B/cc/file
echo u > grüße; mkfifo pipe; mknod null c 1 3; mknod lo b 7 9; chown 1000:2000 etc/none; chown -h 12:13 etc/link
chown 3000000:3000001 etc/deep/big; chmod 4755 etc/deep/big; chmod 2770 etc/deep; chmod 1777 empty
find . -exec touch -h -d @1234567890.5 {} +
"#;

/// What a container did to it.
const CHANGE: &str = r#"
umask 022
echo new > etc/new; chmod 700 empty; ln etc/passwd etc/again; echo x >> etc/none; mkdir -p a/b; echo 1 > a/b/c
rm lo; rm -r etc/deep; find . -newermt @1300000000 -exec touch -h -d @1444444444.25 {} +
"#;

#[test]
fn layers_have_the_digests_that_containerd_gives_them() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir(&a).unwrap();
    run(Command::new("sh").args(["-ec", TREE]).current_dir(&a));
    let mut capability = [0u8; 20];
    (capability[0], capability[3], capability[5]) = (1, 2, 0x20);
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(a.join("etc/deep/big"), "security.capability", &capability, flags).unwrap();
    rustix::fs::setxattr(a.join("etc/passwd"), "user.x", b"1", flags).unwrap();
    run(Command::new("cp").arg("-a").args([&a, &b]));
    run(Command::new("sh").args(["-ec", CHANGE]).current_dir(&b));
    // Taken from containerd 2.3.4 for the same trees as overlayfs snapshots.
    for (source, digest) in [
        (trees(None, &a), "sha256:de3a446857f26bafd2b82b98c3a7b66206ce531d5d5a5acf46a5adb79fe8d231"),
        (trees(Some(&a), &b), "sha256:649835ee26b4f192755a26d191af720963a022bb0edd472809edebc54dd8252f"),
    ] {
        assert_eq!(diff(&source).0.diff_id.as_str(), digest);
    }
}
