//! A layer in and out again, by every kind of place, with real mounts.

use diff_walking::Walking;
use model::Mount;
use model::diff::{Applied, Apply, Compare, Driver};
use model::images::Target;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn bind(dir: &Path) -> Mount {
    Mount {
        kind: "bind".into(),
        source: dir.display().to_string(),
        options: vec!["rw".into(), "rbind".into()],
        ..Mount::default()
    }
}

fn overlay(root: &Path, lower: &Path) -> Mount {
    for name in ["upper", "work"] {
        std::fs::create_dir_all(root.join(name)).expect("mkdir");
    }
    let options = vec![
        format!("workdir={}", root.join("work").display()),
        format!("upperdir={}", root.join("upper").display()),
        format!("lowerdir={}", lower.display()),
    ];
    Mount { kind: "overlay".into(), source: "overlay".into(), target: String::new(), options }
}

fn compare(driver: &Walking, lower: &[Mount], upper: &[Mount]) -> (Vec<u8>, Applied) {
    let mut out = Vec::new();
    let compare =
        Compare { lower: lower.into(), upper: upper.into(), media_type: GZIP.into(), ..Compare::default() };
    let applied = driver.compare(&compare, &mut out).expect("compare");
    (out, applied)
}

fn apply(driver: &Walking, layer: &[u8], mounts: Vec<Mount>) -> model::Result<Applied> {
    let diff = Target { media_type: GZIP.into(), ..Target::default() };
    driver.apply(&Apply { diff, mounts, ..Apply::default() }, &mut &*layer)
}

#[test]
fn layers_go_there_and_back() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = |name: &str| dir.path().join(name);
    let driver = Walking::new(path("tmp"));
    for name in ["base", "copy", "changed"] {
        std::fs::create_dir(path(name)).expect("mkdir");
    }
    std::fs::write(path("base/kept"), "kept").expect("write");
    std::fs::write(path("base/gone"), "gone").expect("write");
    let (first, measured) = compare(&driver, &[], &[bind(&path("base"))]);
    assert_eq!(apply(&driver, &first, vec![bind(&path("copy"))]).expect("apply"), measured);
    assert_eq!(std::fs::read_to_string(path("copy/kept")).expect("read"), "kept");

    apply(&driver, &first, vec![bind(&path("changed"))]).expect("apply");
    std::fs::remove_file(path("changed/gone")).expect("remove");
    std::fs::write(path("changed/new"), "new").expect("write");
    let (second, diff) = compare(&driver, &[bind(&path("copy"))], &[bind(&path("changed"))]);

    let top = overlay(&path("top"), &path("copy"));
    assert_eq!(apply(&driver, &second, vec![top.clone()]).expect("apply"), diff);
    let whiteout = path("top/upper/gone").symlink_metadata().expect("whiteout");
    assert!(whiteout.file_type().is_char_device());
    assert_eq!(std::fs::read_to_string(path("top/upper/new")).expect("read"), "new");
    let (_, again) = compare(&driver, &[bind(&path("copy"))], &[top]);
    assert_eq!(again.diff_id, diff.diff_id, "the upper directory says the same as the trees");
    assert!(std::fs::read_dir(path("tmp")).map_or(true, |mut d| d.next().is_none()), "nothing stays mounted");
}

#[test]
fn what_is_not_a_layer_is_left_to_the_next_differ() {
    let dir = tempfile::tempdir().expect("tempdir");
    let driver = Walking::new(dir.path().join("tmp"));
    for media_type in [
        "text/plain",
        "application/vnd.oci.image.layer.v1.tar+encrypted",
        "application/vnd.erofs.layer.v1",
        "application/vnd.erofs.layer.v1+zstd",
    ] {
        let diff = Target { media_type: media_type.into(), ..Target::default() };
        let apply = Apply { diff, mounts: vec![bind(dir.path())], ..Apply::default() };
        assert_eq!(
            driver.apply(&apply, &mut &b""[..]).expect_err(media_type).kind(),
            model::Kind::NotImplemented
        );
    }
    let mut read_only = bind(dir.path());
    read_only.options = vec!["ro".into()];
    assert!(apply(&driver, b"", vec![read_only]).is_err());
}

/// The ways of looking at one change: the upper directory alone, mounted, and with an option that forbids the shortcut.
#[test]
fn every_way_of_looking_sees_the_same_while_a_container_writes() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = |name: &str| dir.path().join(name);
    let driver = Walking::new(path("tmp"));
    for name in ["base", "other", "at"] {
        std::fs::create_dir(path(name)).expect("mkdir");
    }
    std::fs::create_dir_all(path("base/dir/below")).expect("mkdir");
    std::fs::write(path("base/dir/gone"), "gone").expect("write");
    let top = overlay(&path("top"), &path("base"));
    let running = kernel::mount::Mount {
        kind: top.kind.clone(),
        source: top.source.clone(),
        target: String::new(),
        options: top.options.clone(),
    };
    running.mount(&path("at")).expect("mount");
    std::fs::remove_dir_all(path("at/dir")).expect("remove");
    std::fs::create_dir(path("at/dir")).expect("mkdir");
    std::fs::write(path("at/dir/new"), "new").expect("write");
    let lower = [bind(&path("base"))];
    let (_, short) = compare(&driver, &lower, std::slice::from_ref(&top));
    let mut long = top.clone();
    long.options.push("redirect_dir=nofollow".into());
    let (_, mounted) = compare(&driver, &lower, &[long]);
    let (_, seen) = compare(&driver, &lower, &[bind(&path("at"))]);
    std::fs::write(path("at/dir/later"), "still writable").expect("write");
    kernel::mount::unmount(&path("at"), kernel::mount::Detach::Yes).expect("unmount");
    assert_eq!(short, seen, "the upper directory alone");
    assert_eq!(mounted, seen, "mounted beside the running one");
}
