//! Layers that try to leave their directory.

use std::fs;
use std::path::PathBuf;

use archive::apply::Target;

use crate::support::{apply_bytes, list_untimed, tar};

/// Each must leave everything outside of the target as it is, whether it fails or not.
const ATTACKS: &[&[&str]] = &[
    &["f ../outside/victim x"],
    &["f /../../outside/victim x"],
    &["f ../../../../../../../../../../../../outside/new x"],
    &["l link ../outside", "f link/victim x"],
    &["l link ../outside", "f link/new x"],
    &["l link OUTSIDE", "f link/victim x"],
    &["l link OUTSIDE/victim", "f link x"],
    &["l link OUTSIDE/victim", "h hard link", "f hard x"],
    &["h hard ../outside/victim", "f hard x"],
    &["h hard OUTSIDE/victim", "f hard x"],
    &["l link ../outside", "h hard link/victim"],
    &["l link OUTSIDE", "d link"],
    &["l link OUTSIDE", "d link/", "f link/new x"],
    &["l a .", "l a/b ..", "f a/b/outside/new x"],
    &["l a ..", "l b a/..", "l c b/../outside", "f c/victim x"],
    &["d d", "l d/up ../..", "f d/up/outside/victim x"],
    &["l link ../outside", "f link/.wh.victim x"],
    &["l link ../outside", "f link/.wh..wh..opq x"],
    &["l link OUTSIDE", "f .wh.link x"],
    &["f .wh... x"],
    &["f d/.wh.. x"],
    &["f d/../../.wh.outside x"],
    &["d d", "f d/f x", "l d/f ../../outside/victim", "f d/f y"],
    &["d d", "f d/f x", "f .wh.d x", "l d ../outside", "f d/f y"],
    &["d d", "f d/f 1", "l d ../outside", "f d/f y", "f d/victim y"],
    &["l loop loop", "f loop/x y"],
    &["l a b", "l b a", "f a/x y"],
    &["l proc /proc/self/root", "f proc/OUTSIDE/victim x"],
    &["c dev", "f dev/x y"],
];

#[test]
fn nothing_outside_of_the_target_changes() {
    for attack in ATTACKS {
        for mode in ["plain", "upper", "upper over lower"] {
            let dir = tempfile::tempdir().unwrap();
            let outside = dir.path().join("outside");
            let (inside, lower) = (dir.path().join("inside"), dir.path().join("lower"));
            for made in [&outside, &inside, &lower] {
                fs::create_dir(made).unwrap();
            }
            fs::write(outside.join("victim"), "untouched").unwrap();
            fs::write(lower.join("base"), "lower").unwrap();
            std::os::unix::fs::symlink(&outside, lower.join("link")).unwrap();
            let before = (list_untimed(&outside), list_untimed(&lower));
            let target = match mode {
                "plain" => Target::Directory(inside.clone()),
                "upper" => Target::Upper { upper: inside.clone(), lowers: vec![] },
                _ => Target::Upper { upper: inside.clone(), lowers: vec![lower.clone()] },
            };
            let words: Vec<String> =
                attack.iter().map(|w| w.replace("OUTSIDE", &outside.display().to_string())).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let result = apply_bytes(&target, &tar(&words));
            let after = (list_untimed(&outside), list_untimed(&lower));
            assert_eq!(after, before, "{attack:?} {mode}: {result:?}");
            let beside: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
            assert_eq!(beside.len(), 3, "{attack:?} {mode}: {beside:?}");
        }
    }
}

#[test]
fn links_inside_are_followed_inside() {
    for (entries, name) in [
        (&["d real", "l link real", "f link/x 1"][..], "real/x"),
        (&["l link /made/by/link", "f link/x 1"], "made/by/link/x"),
        (&["l link ../../../made", "f link/x 1"], "made/x"),
        (&["d a/b", "l a/b/up ../..", "f a/b/up/x 1"], "x"),
        (&["l a b", "l b c", "f a/x 1"], "c/x"),
        (&["d r1", "d r2", "l a r1", "f a/x 1", "l a r2", "f a/y 1"], "r2/y"),
        (&["d r1", "l a r1", "f a/x 1", "d a", "f a/y 1"], "a/y"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        apply_bytes(&Target::Directory(dir.path().to_owned()), &tar(entries)).unwrap();
        let found = dir.path().join(name);
        assert!(fs::symlink_metadata(&found).is_ok_and(|m| m.is_file()), "{entries:?}");
    }
}

/// Longer than the kernel would take, however short it is once it is cleaned.
#[test]
fn names_have_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let name = |turns: usize| format!("f {}x 1", "a/../".repeat(turns));
    apply_bytes(&Target::Directory(dir.path().to_owned()), &tar(&[&name(800)])).unwrap();
    let error = apply_bytes(&Target::Directory(dir.path().to_owned()), &tar(&[&name(820)])).unwrap_err();
    assert!(error.to_string().contains("name too long"), "{error}");
}
