//! Mounts of every special kind, made and taken away again on the real kernel.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use kernel::mount::{
    Detach, Mount, mount_all, unmount, unmount_all, unmount_mounts, unmount_recursive,
    unmount_recursive_holding,
};
use kernel::{Errno, loopdev, mountinfo};

fn mount(kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Mount {
    Mount {
        kind: kind.into(),
        source: source.as_ref().to_str().unwrap().into(),
        target: String::new(),
        options: options.iter().map(|word| (*word).to_owned()).collect(),
    }
}

/// A temporary directory whose mounts go away with it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn make(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn mounted(&self) -> Vec<mountinfo::MountInfo> {
        let all = mountinfo::read().unwrap();
        all.into_iter().filter(|info| info.mount_point.starts_with(self.directory.path())).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        unmount_recursive(self.directory.path(), Detach::Yes).unwrap();
    }
}

#[test]
fn binds_become_read_only_and_stacks_go_away() {
    let place = Place::new();
    let (source, target) = (place.make("source"), place.make("target"));
    std::fs::write(source.join("f"), "x").unwrap();
    let bind = mount("bind", &source, &["rbind", "ro", "noexec"]);
    bind.mount(&target).unwrap();
    assert_eq!(std::fs::read(target.join("f")).unwrap(), b"x");
    let error = std::fs::write(target.join("g"), "").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(place.mounted()[0].options.contains("noexec"));
    mount("tmpfs", "tmpfs", &["size=1m"]).mount(&target).unwrap();
    assert_eq!(place.mounted().len(), 2);
    unmount_all(&target, Detach::No).unwrap();
    assert_eq!(place.mounted().len(), 0);
    unmount(&target, Detach::No).unwrap();
    unmount(&place.directory.path().join("nowhere"), Detach::No).unwrap();
}

#[test]
fn a_failing_list_of_mounts_is_taken_back() {
    let place = Place::new();
    let target = place.make("target");
    let good = mount("tmpfs", "tmpfs", &[]);
    let error = mount_all(&[good.clone(), mount("nosuchfs", "none", &[])], &target).unwrap_err();
    assert_eq!(error.to_string(), format!("mount nosuchfs on {}: no such device", target.display()));
    assert_eq!(place.mounted().len(), 0);
    mount_all(&[good.clone(), good.clone()], &target).unwrap();
    unmount_mounts(&[good.clone(), good], &target).unwrap();
    assert_eq!(place.mounted().len(), 0);
}

#[test]
fn sub_paths_stay_inside() {
    let place = Place::new();
    let (root, outside) = (place.make("root"), place.make("outside"));
    std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
    for target in ["/link/deep", "../../outside"] {
        let inside = Mount { target: target.into(), ..mount("tmpfs", "tmpfs", &[]) };
        inside.mount(&root).unwrap();
    }
    assert!(place.mounted().iter().all(|info| info.mount_point.starts_with(&root)), "{:?}", place.mounted());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn overlays_with_more_layers_than_a_page_names() {
    let place = Place::new();
    let long = "a-rather-long-name-of-a-directory-that-holds-snapshots";
    let layers: Vec<PathBuf> = (0..100).map(|number| place.make(&format!("{long}/{number}/fs"))).collect();
    for (number, layer) in layers.iter().enumerate() {
        std::fs::write(layer.join(format!("f{number}")), "").unwrap();
    }
    let lower: Vec<&str> = layers.iter().map(|layer| layer.to_str().unwrap()).collect();
    let option = format!("lowerdir={}", lower.join(":"));
    assert!(option.len() > 4096);
    let target = place.make("target");
    let before = std::env::current_dir().unwrap();
    mount("overlay", "overlay", &[&option]).mount(&target).unwrap();
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 100);
    assert_eq!(std::env::current_dir().unwrap(), before);
}

/// An overlay is held, whatever lies on it or below; other file systems are not.
#[test]
fn overlays_go_out_of_sight_before_they_end() {
    let place = Place::new();
    let [lower, upper, work, target] = ["lower", "upper", "work", "target"].map(|name| place.make(name));
    std::fs::create_dir(lower.join("sub")).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let [lower, upper, work] = [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)]
        .map(|(k, p)| format!("{k}={}", text(p)));
    let two = format!("{lower}:{}", text(&place.make("second")));
    for (stacked, held) in [("", 1), ("tmpfs", 1), ("overlay", 2)] {
        mount("overlay", "overlay", &[&lower, &upper, &work]).mount(&target).unwrap();
        mount("tmpfs", "tmpfs", &[]).mount(&target.join("sub")).unwrap();
        match stacked {
            "" => {}
            "tmpfs" => mount("tmpfs", "tmpfs", &[]).mount(&target).unwrap(),
            _ => mount("overlay", "overlay", &[&two]).mount(&target).unwrap(),
        }
        let overlays = unmount_recursive_holding(&target).unwrap();
        assert_eq!((overlays.len(), place.mounted()), (held, vec![]), "{stacked}");
    }
    assert!(unmount_recursive_holding(&place.directory.path().join("nothing")).unwrap().is_empty());
}

#[test]
fn overlays_too_long_even_so_are_refused() {
    let place = Place::new();
    let option = format!("lowerdir=/x:{}", "/y".repeat(4000));
    let error = mount("overlay", "overlay", &[&option]).mount(&place.make("target")).unwrap_err();
    assert!(error.to_string().starts_with("mount options is too long"), "{error}");
}

#[test]
fn idmapped_binds_and_overlays_shift_owners() {
    let place = Place::new();
    let (lower, upper, work) = (place.make("l/lower"), place.make("upper"), place.make("work"));
    std::fs::write(lower.join("f"), "").unwrap();
    chown(lower.join("f"), Some(3), Some(4)).unwrap();
    let map = ["uidmap=0:70000:100", "gidmap=0:80000:100"];
    let bound = place.make("bound");
    mount("bind", &lower, &["rbind", "ro", map[0], map[1]]).mount(&bound).unwrap();
    let found = std::fs::metadata(bound.join("f")).unwrap();
    assert_eq!((found.uid(), found.gid()), (70_003, 80_004));
    assert!(std::fs::write(bound.join("g"), "").is_err());
    let options = [
        format!("lowerdir={}", lower.display()),
        format!("upperdir={}", upper.display()),
        format!("workdir={}", work.display()),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).chain(map).collect();
    let merged = place.make("merged");
    mount("overlay", "overlay", &options).mount(&merged).unwrap();
    let found = std::fs::metadata(merged.join("f")).unwrap();
    assert_eq!((found.uid(), found.gid()), (70_003, 80_004));
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let own = format!("ovl-idmapped{}-", std::process::id());
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&own)));
}

#[test]
fn files_become_devices() {
    let place = Place::new();
    let file = place.make("d").join("image");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let attach = loopdev::Attach { file: &file, read_only: true, direct_io: false, auto_clear: true };
    let device = loopdev::attach(&attach).unwrap();
    let name = device.path.file_name().unwrap().to_str().unwrap().to_owned();
    let size = || std::fs::read_to_string(format!("/sys/block/{name}/size")).unwrap();
    assert_eq!(size().trim(), "2048");
    let backing = std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap();
    assert_eq!(Path::new(backing.trim()), std::fs::canonicalize(&file).unwrap());
    let missing = loopdev::Attach { file: Path::new("/no/such"), ..attach };
    assert_eq!(loopdev::attach(&missing).unwrap_err().errno(), Errno::NOENT);
}

#[test]
fn a_file_system_in_a_file_is_mounted_through_a_device() {
    let place = Place::new();
    let (file, target) = (place.make("d").join("image"), place.make("target"));
    std::fs::write(&file, vec![0; 4 << 20]).unwrap();
    let made = std::process::Command::new("mkfs.ext4").arg("-q").arg(&file).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    mount("ext4", &file, &["loop", "ro"]).mount(&target).unwrap();
    assert!(target.join("lost+found").is_dir());
    let source = place.mounted()[0].source.clone();
    assert!(source.starts_with("/dev/loop"), "{source}");
    unmount(&target, Detach::No).unwrap();
}
