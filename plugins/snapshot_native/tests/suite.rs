//! The conformance suite, and what only copies do.

use model::Labels;
use model::snapshots::{Driver, Kind, Layer};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

#[test]
fn conformance() {
    conformance::driver::run(|dir| Box::new(snapshot_native::open(dir.join("native")).expect("open")));
}

#[test]
fn a_copy_keeps_links_nodes_and_attributes() {
    let dir = tempfile::tempdir().expect("tempdir");
    let driver = snapshot_native::open(dir.path().to_owned()).expect("open");
    let layer = |id, parents: &[u64]| Layer {
        id,
        kind: Kind::Active,
        parents: parents.into(),
        labels: Labels::new(),
    };
    driver.create(&layer(1, &[])).expect("create");
    let base = dir.path().join("snapshots/1");
    std::fs::write(base.join("a"), "text").expect("write");
    std::fs::hard_link(base.join("a"), base.join("b")).expect("link");
    std::os::unix::fs::symlink("a", base.join("s")).expect("symlink");
    std::fs::create_dir(base.join("d")).expect("mkdir");
    kernel::file::make_node(&base.join("d/null"), 0o020_666, 1, 3).expect("mknod");
    kernel::file::set_xattr(&base.join("a"), c"user.k", b"v").expect("setxattr");
    kernel::file::set_xattr(&base, c"user.root", b"r").expect("setxattr");
    drop(std::os::unix::net::UnixListener::bind(base.join("socket")).expect("bind"));
    std::fs::hard_link(base.join("socket"), base.join("socket2")).expect("link");
    driver.create(&layer(2, &[1])).expect("copy");
    let copy = dir.path().join("snapshots/2");
    let (a, b) = (copy.join("a").metadata().expect("a"), copy.join("b").metadata().expect("b"));
    assert_eq!(a.ino(), b.ino());
    assert_ne!(a.ino(), base.join("a").metadata().expect("base").ino());
    assert_eq!(std::fs::read_link(copy.join("s")).expect("symlink").to_str(), Some("a"));
    let null = copy.join("d/null").metadata().expect("null");
    assert!(null.file_type().is_char_device());
    assert_eq!(null.rdev(), base.join("d/null").metadata().expect("null").rdev());
    let value = kernel::file::get_xattr(&copy.join("a"), c"user.k").expect("getxattr");
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
    let value = kernel::file::get_xattr(&copy, c"user.root").expect("getxattr");
    assert_eq!(value.as_deref(), Some(&b"r"[..]));
    assert!(!copy.join("socket").exists() && !copy.join("socket2").exists());
}
