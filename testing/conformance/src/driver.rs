//! The contract of a snapshot driver: six verbs on numbered directories, with real mounts.

use kernel::mount::{Detach, Mount, mount_all, unmount_recursive};
use model::Labels;
use model::snapshots::{Driver, Kind, Layer};
use std::path::Path;

/// Runs the suite.
///
/// # Panics
/// With the promise that was not kept.
pub fn run(open: impl Fn(&Path) -> Box<dyn Driver>) {
    for case in [
        layers_show_through,
        a_view_is_read_only,
        siblings_do_not_meet,
        numbers_are_listed,
        removal_is_final,
        usage_counts,
    ] {
        let dir = tempfile::tempdir().expect("tempdir");
        let driver = open(dir.path());
        driver.probe().expect("probe");
        case(&*driver, &dir.path().join("at"));
    }
}

fn layer(id: u64, kind: Kind, parents: &[u64]) -> Layer {
    Layer { id, kind, parents: parents.into(), labels: Labels::new() }
}

/// Makes an active snapshot, writes one file into it and commits it.
fn committed(driver: &dyn Driver, at: &Path, (id, parents): (u64, &[u64]), name: &str) {
    let active = layer(id, Kind::Active, parents);
    driver.create(&active).expect("create");
    mounted(driver, &active, at, |root| std::fs::write(root.join(name), name).expect("write"));
    driver.commit(&active).expect("commit");
}

fn mounted<T>(driver: &dyn Driver, layer: &Layer, at: &Path, see: impl FnOnce(&Path) -> T) -> T {
    std::fs::create_dir_all(at).expect("mkdir");
    let mounts = driver.mounts(layer).expect("mounts");
    let mounts: Vec<Mount> = mounts
        .into_iter()
        .map(|m| Mount { kind: m.kind, source: m.source, target: m.target, options: m.options })
        .collect();
    mount_all(&mounts, at).expect("mount");
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| see(at)));
    unmount_recursive(at, Detach::Yes).expect("unmount");
    match seen {
        Ok(seen) => seen,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(root)
        .expect("read")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn layers_show_through(driver: &dyn Driver, at: &Path) {
    committed(driver, at, (1, &[]), "one");
    committed(driver, at, (2, &[1]), "two");
    let top = layer(3, Kind::Active, &[2, 1]);
    driver.create(&top).expect("create");
    mounted(driver, &top, at, |root| {
        assert_eq!(names(root), ["one", "two"], "an active snapshot shows its parents");
        std::fs::remove_file(root.join("one")).expect("remove");
        std::fs::write(root.join("three"), "").expect("write");
    });
    mounted(driver, &top, at, |root| assert_eq!(names(root), ["three", "two"], "changes stay"));
    let view = layer(4, Kind::View, &[2, 1]);
    driver.create(&view).expect("view");
    mounted(driver, &view, at, |root| {
        assert_eq!(names(root), ["one", "two"], "a committed layer never changes")
    });
}

fn a_view_is_read_only(driver: &dyn Driver, at: &Path) {
    committed(driver, at, (1, &[]), "one");
    committed(driver, at, (2, &[1]), "two");
    for (id, parents) in [(3, &[][..]), (4, &[1][..]), (5, &[2, 1][..])] {
        let view = layer(id, Kind::View, parents);
        driver.create(&view).expect("view");
        mounted(driver, &view, at, |root| {
            let error = std::fs::write(root.join("x"), "").expect_err("a view is read-only");
            assert_eq!(error.raw_os_error(), Some(30), "EROFS");
        });
    }
}

fn siblings_do_not_meet(driver: &dyn Driver, at: &Path) {
    committed(driver, at, (1, &[]), "one");
    for id in [2, 3] {
        let sibling = layer(id, Kind::Active, &[1]);
        driver.create(&sibling).expect("create");
        mounted(driver, &sibling, at, |root| {
            assert_eq!(names(root), ["one"]);
            std::fs::write(root.join("mine"), "").expect("write");
        });
    }
}

fn numbers_are_listed(driver: &dyn Driver, _: &Path) {
    assert!(driver.list().expect("list").is_empty(), "nothing at first");
    for id in [7, 5] {
        driver.create(&layer(id, Kind::Active, &[])).expect("create");
    }
    let mut listed = driver.list().expect("list");
    listed.sort_unstable();
    assert_eq!(listed, [5, 7]);
}

fn removal_is_final(driver: &dyn Driver, at: &Path) {
    committed(driver, at, (1, &[]), "one");
    driver.remove(1).expect("remove");
    driver.remove(1).expect("removing what is gone is no error");
    assert!(driver.list().expect("list").is_empty());
    // The ledger never asks for a parent that is not there; a driver may look or not, but leaves nothing that cannot go.
    let missing = layer(2, Kind::Active, &[99]);
    match driver.create(&missing) {
        Err(_) => assert!(driver.list().expect("list").is_empty(), "a failed create leaves nothing"),
        Ok(()) => {
            assert_eq!(driver.list().expect("list"), [2], "what was made is listed");
            driver.remove(2).expect("and goes");
            assert!(driver.list().expect("list").is_empty());
        }
    }
}

fn usage_counts(driver: &dyn Driver, at: &Path) {
    let active = layer(1, Kind::Active, &[]);
    driver.create(&active).expect("create");
    let before = driver.usage(&active).expect("usage");
    mounted(driver, &active, at, |root| std::fs::write(root.join("big"), vec![1; 1 << 20]).expect("write"));
    let after = driver.usage(&active).expect("usage");
    assert!(after.size >= before.size + (1 << 20), "{before:?} {after:?}");
    assert_eq!(after.inodes, before.inodes + 1);
    assert_eq!(driver.commit(&active).expect("commit"), after, "commit tells the usage");
}
