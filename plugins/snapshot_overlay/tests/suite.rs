//! The conformance suite, and what only overlay does.

use model::Labels;
use model::snapshots::{Driver, Kind, Layer};

fn open(dir: &std::path::Path) -> impl Driver + use<> {
    snapshot_overlay::open(dir.join("overlay"), snapshot_overlay::Config::default()).expect("open")
}

fn layer(id: u64, kind: Kind, parents: &[u64]) -> Layer {
    Layer { id, kind, parents: parents.into(), labels: Labels::new() }
}

#[test]
fn conformance() {
    conformance::driver::run(|dir| Box::new(open(dir)));
}

#[test]
fn mounts_are_containerds() {
    let dir = tempfile::tempdir().expect("tempdir");
    let driver = open(dir.path());
    for (id, parents) in [(1, &[][..]), (2, &[1][..]), (3, &[2, 1][..])] {
        driver.create(&layer(id, Kind::Active, parents)).expect("create");
    }
    let base = dir.path().join("overlay/snapshots").display().to_string();
    let text = |layer: &Layer| {
        let mounts = driver.mounts(layer).expect("mounts");
        assert_eq!(mounts.len(), 1);
        format!("{} {} {}", mounts[0].kind, mounts[0].source, mounts[0].options.join(",")).replace(&base, "B")
    };
    assert_eq!(text(&layer(1, Kind::Active, &[])), "bind B/1/fs rw,rbind");
    assert_eq!(text(&layer(1, Kind::View, &[])), "bind B/1/fs ro,rbind");
    assert_eq!(text(&layer(2, Kind::View, &[1])), "bind B/1/fs ro,rbind");
    let overlay = text(&layer(3, Kind::Active, &[2, 1]));
    assert!(
        overlay.starts_with("overlay overlay workdir=B/3/work,upperdir=B/3/fs,lowerdir=B/2/fs:B/1/fs"),
        "{overlay}"
    );
    let view = text(&layer(3, Kind::View, &[2, 1]));
    assert!(view.starts_with("overlay overlay lowerdir=B/2/fs:B/1/fs"), "{view}");
}

#[test]
fn what_clients_are_told() {
    let dir = tempfile::tempdir().expect("tempdir");
    let silent = open(dir.path());
    assert!(silent.labels(7).is_empty());
    let config = snapshot_overlay::Config { upperdir_label: true, ..snapshot_overlay::Config::default() };
    let driver = snapshot_overlay::open(dir.path().join("overlay"), config).expect("open");
    let upper = dir.path().join("overlay/snapshots/7/fs").display().to_string();
    let label = ("containerd.io/snapshot/overlay.upperdir".to_owned(), upper);
    assert_eq!(driver.labels(7), Labels::from([label]));
    driver.probe().expect("probe");
    let capabilities = driver.capabilities();
    assert!(capabilities.ends_with(&["only-remap-ids", "rebase"]), "{capabilities:?}");
    assert_eq!(std::fs::read_dir(dir.path().join("overlay")).expect("read").count(), 1, "nothing is left");
}

#[test]
fn id_mappings_decide_the_owner() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("tempdir");
    let driver = open(dir.path());
    let mut mapped = layer(1, Kind::Active, &[]);
    for key in ["uidmapping", "gidmapping"] {
        mapped.labels.insert(format!("containerd.io/snapshot/{key}"), "0:1000:65536".into());
    }
    driver.create(&mapped).expect("create");
    let metadata = dir.path().join("overlay/snapshots/1/fs").metadata().expect("stat");
    assert_eq!((metadata.uid(), metadata.gid()), (1000, 1000));
    let options = &driver.mounts(&mapped).expect("mounts")[0].options;
    assert_eq!(options[..2], ["uidmap=0:1000:65536", "gidmap=0:1000:65536"]);
    mapped.labels.insert("containerd.io/snapshot/uidmapping".into(), "x".into());
    mapped.id = 2;
    assert!(
        driver
            .create(&mapped)
            .expect_err("bad label")
            .text()
            .starts_with("failed to unmarshal snapshot ID mapped")
    );
    assert!(!dir.path().join("overlay/snapshots/new-2").exists());
}
