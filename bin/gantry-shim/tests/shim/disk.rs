//! Root file systems on a disk that takes its time.

use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::mount::{Detach, Mount, unmount_recursive};
use wire::api::task_v3 as api;

use crate::bench::{Bench, PATIENCE};

/// A file system in a file of another one. While the outer one is frozen, nothing that waits to be written to the inner
/// one gets to the disk, and whoever waits for it waits.
struct SlowDisk {
    outer: PathBuf,
    inner: PathBuf,
}

impl SlowDisk {
    fn new(dir: &Path) -> Self {
        let (outer, inner) = (dir.join("outer"), dir.join("inner"));
        make_file_system(&dir.join("outer.img"), 64, &outer);
        let disk = Self { outer, inner };
        make_file_system(&disk.outer.join("inner.img"), 32, &disk.inner);
        disk
    }

    fn freeze(&self, flag: &str) {
        let status = Command::new("fsfreeze").arg(flag).arg(&self.outer).status().expect("fsfreeze");
        assert!(status.success());
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = Command::new("fsfreeze").arg("-u").arg(&self.outer).status();
        }
        for at in [&self.inner, &self.outer] {
            unmount_recursive(at, Detach::Yes).expect("unmount");
        }
    }
}

fn make_file_system(image: &Path, megabytes: u64, at: &Path) {
    std::fs::File::create(image).and_then(|file| file.set_len(megabytes << 20)).expect("image");
    let status = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).status().expect("mkfs.ext4");
    assert!(status.success());
    std::fs::create_dir(at).expect("mkdir");
    let source = image.to_str().expect("utf-8").to_owned();
    let mount = Mount { kind: "ext4".into(), source, options: vec!["loop".into()], ..Mount::default() };
    mount.mount(at).expect("mount");
}

/// The mount is gone when Delete answers, and the shim ends when it is told to; both before the disk has all.
#[tokio::test]
async fn deleting_does_not_wait_for_the_disk() {
    let bench = Bench::start("", "dd if=/dev/zero of=/big bs=1M count=4; exit 0").await;
    let disk = SlowDisk::new(bench.dir.path());
    let option = |key: &str, path: PathBuf| format!("{key}={}", path.display());
    let [upper, work] = ["upper", "work"].map(|name| disk.inner.join(name));
    for made in [&upper, &work] {
        std::fs::create_dir(made).expect("mkdir");
    }
    let lower = option("lowerdir", bench.dir.path().join("busybox"));
    bench
        .create(|request| {
            request.rootfs[0].r#type = "overlay".into();
            request.rootfs[0].options = vec![lower, option("upperdir", upper), option("workdir", work)];
        })
        .await;
    bench.start_task().await;
    assert_eq!(bench.wait("").await.exit_status, 0);
    disk.freeze("-f");
    bench.delete("").await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    assert!(!mounts.contains(bench.bundle.to_str().expect("utf-8")));
    assert_ne!(children(bench.shim_pid), "", "somebody waits for the disk");
    bench.call::<()>("Shutdown", &api::ShutdownRequest { id: bench.id.clone(), now: false }).await;
    tokio::time::timeout(PATIENCE, bench.client.closed()).await.expect("the shim ends");
    disk.freeze("-u");
}

fn children(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children")
}
