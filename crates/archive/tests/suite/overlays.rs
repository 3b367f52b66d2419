//! Whiteouts: a stack of overlay upper directories must show what the same layers leave in a plain directory.

use std::fs;
use std::path::{Path, PathBuf};

use archive::apply::Target;
use proptest::prelude::*;

use crate::support::{Overlay, apply_bytes, list_untimed, tar};

/// Applies the layers both ways and returns what both show.
fn show(dir: &Path, layers: &[Vec<&str>]) -> (Vec<String>, Vec<String>) {
    let plain = dir.join("plain");
    fs::create_dir(&plain).unwrap();
    let bottom = dir.join("bottom");
    fs::create_dir(&bottom).unwrap();
    let mut stack: Vec<PathBuf> = vec![bottom];
    let mut failed = false;
    for (i, layer) in layers.iter().enumerate() {
        let bytes = tar(layer);
        let one = apply_bytes(&Target::Directory(plain.clone()), &bytes).map_err(|e| e.to_string());
        let upper = dir.join(i.to_string());
        fs::create_dir(&upper).unwrap();
        let target = Target::Upper { upper: upper.clone(), lowers: stack.clone() };
        let two = apply_bytes(&target, &bytes).map_err(|e| e.to_string());
        assert_eq!(one.is_ok(), two.is_ok(), "{layers:?} at {i}: {one:?} {two:?}");
        if one.is_err() {
            failed = true;
            break;
        }
        stack.insert(0, upper);
    }
    if failed {
        return (Vec::new(), Vec::new());
    }
    let mounted = Overlay::mount(&dir.join("mnt"), &stack);
    let lines = |root: &Path| list_untimed(root).into_iter().map(|(k, v)| format!("{k} {v}")).collect();
    (lines(&plain), lines(&mounted.at))
}

#[test]
fn whiteouts_hide_what_lies_below_and_nothing_of_their_own_layer() {
    let below = || vec!["d d", "f d/a 1", "f d/b 2", "d d/e", "f d/e/x 3", "f top 4", "l s d", "l t top"];
    for (layer, names) in [
        (vec!["f .wh.top -"], "d d/a d/b d/e d/e/x s t"),
        (vec!["f .wh.d -"], "s t top"),
        (vec!["f .wh.d -", "d d", "f d/n 1"], "d d/n s t top"),
        (vec!["d d", "f d/n 1", "f .wh.d -"], "d d/n s t top"),
        (vec!["f d/n 1", "f .wh.d -"], "d d/n s t top"),
        (vec!["f d/.wh.a -", "f d/a 9"], "d d/a d/b d/e d/e/x s t top"),
        (vec!["f d/a 9", "f d/.wh.a -"], "d d/a d/b d/e d/e/x s t top"),
        (vec!["f d/.wh..wh..opq -", "f d/a 9"], "d d/a s t top"),
        (vec!["f d/a 9", "f d/.wh..wh..opq -"], "d d/a s t top"),
        (vec!["f d/e/y 9", "f d/.wh..wh..opq -"], "d d/e d/e/y s t top"),
        (vec!["f .wh..wh..opq -", "f n 1"], "n"),
        (vec!["f n 1", "f d/z 1", "f .wh..wh..opq -"], "d d/z n"),
        (vec!["f .wh..wh..opq -", "f d/z 1"], "d d/z"),
        (vec!["f s/n 1"], "d d/a d/b d/e d/e/x d/n s t top"),
        (vec!["f s/.wh.a 1"], "d d/b d/e d/e/x s t top"),
        (vec!["f s 1"], "d d/a d/b d/e d/e/x s t top"),
        (vec!["d s", "f s/n 1"], "d d/a d/b d/e d/e/x s s/n t top"),
        (vec!["f d 1"], "d s t top"),
        (vec!["f d 1", "d d", "f d/n 1"], "d d/n s t top"),
        (vec!["h n d/a"], "d d/a d/b d/e d/e/x n s t top"),
        (vec!["h d/e/n s/a", "f .wh.s -"], "d d/a d/b d/e d/e/n d/e/x t top"),
        (vec!["f .wh.top -", "h n top"], ""),
        (vec!["f gone/.wh.x -"], "d d/a d/b d/e d/e/x gone s t top"),
        (vec!["f d/e/.wh.x -", "f .wh.d -"], "s t top"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (plain, mounted) = show(dir.path(), &[below(), layer.clone()]);
        assert_eq!(plain, mounted, "{layer:?}");
        let shown: Vec<&str> = plain.iter().map(|l| l.split(' ').next().unwrap()).collect();
        assert_eq!(shown.join(" "), names, "{layer:?}");
    }
}

#[test]
fn implicit_directories_look_like_those_below() {
    let dir = tempfile::tempdir().unwrap();
    let (lower, upper) = (dir.path().join("l"), dir.path().join("u"));
    fs::create_dir_all(lower.join("a/b")).unwrap();
    fs::create_dir(&upper).unwrap();
    let status = std::process::Command::new("sh")
        .args(["-c", "chown 7:8 a/b && chmod 2750 a/b && python3 -c 'import os; os.setxattr(\"a/b\", \"user.k\", b\"v\")' && touch -d @99 a/b"])
        .current_dir(&lower)
        .status()
        .unwrap();
    assert!(status.success());
    let target = Target::Upper { upper: upper.clone(), lowers: vec![lower.clone()] };
    apply_bytes(&target, &tar(&["f a/b/c 1"])).unwrap();
    let lines = |root: &Path| crate::support::list(root).remove("a/b").unwrap();
    assert_eq!(lines(&upper), lines(&lower));
}

fn any_layer() -> impl Strategy<Value = Vec<String>> {
    let name =
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|w| w.join("/"));
    let whiteout = name.clone().prop_map(|n| match n.rsplit_once('/') {
        Some((dir, last)) => format!("f {dir}/.wh.{last} -"),
        None => format!("f .wh.{n} -"),
    });
    let opaque = name.clone().prop_map(|n| format!("f {n}/.wh..wh..opq -"));
    let one = prop_oneof![
        3 => name.clone().prop_map(|n| format!("d {n}")),
        4 => (name.clone(), 0..9).prop_map(|(n, i)| format!("f {n} {i}")),
        1 => (name.clone(), name.clone()).prop_map(|(n, t)| format!("l {n} /{t}")),
        1 => (name.clone(), name).prop_map(|(n, t)| format!("h {n} {t}")),
        2 => whiteout,
        1 => opaque,
        1 => Just("f .wh..wh..opq -".to_string()),
    ];
    prop::collection::vec(one, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_stack_shows_what_a_plain_directory_holds(layers in prop::collection::vec(any_layer(), 1..4)) {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<Vec<&str>> = layers.iter().map(|l| l.iter().map(String::as_str).collect()).collect();
        let (plain, mounted) = show(dir.path(), &layers);
        // Hard links into lower layers are copies in an overlay: compare without link counts.
        let strip = |lines: Vec<String>| lines.iter().map(|l| strip_links(l)).collect::<Vec<_>>();
        prop_assert_eq!(strip(plain), strip(mounted));
    }
}

fn strip_links(line: &str) -> String {
    line.split(' ').filter(|w| !w.starts_with('x')).collect::<Vec<_>>().join(" ")
}
