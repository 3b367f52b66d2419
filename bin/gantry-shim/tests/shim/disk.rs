//! Root file systems on a disk that takes its time.

use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::mount::{Detach, Mount, unmount_recursive};
use wire::api::task_v3 as api;

use crate::bench::{Bench, PATIENCE, config, unique};
use crate::races::until;

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
    let bench = Bench::start("", "exit 0").await;
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
    std::fs::write(disk.inner.join("backlog"), [1; 1 << 16]).expect("write");
    bench.delete("").await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    assert!(!mounts.contains(bench.bundle.to_str().expect("utf-8")));
    bench.call::<()>("Shutdown", &api::ShutdownRequest { id: bench.id.clone(), now: false }).await;
    tokio::time::timeout(PATIENCE, bench.client.closed()).await.expect("the shim ends");
    disk.freeze("-u");
}

/// A log on a disk that does not answer holds up only who writes to it.
#[tokio::test]
async fn a_log_that_hangs_holds_up_nobody() {
    for (scheme, terminal) in [("file://", false), ("", false), ("", true)] {
        let id = unique();
        let mut config = config(&id, "echo one");
        config["process"]["terminal"] = terminal.into();
        let bench = Bench::start_with("", id, config).await;
        let disk = SlowDisk::new(bench.dir.path());
        let log = disk.outer.join("log");
        std::fs::write(&log, "").expect("write");
        let path = format!("{scheme}{}", log.display());
        let stderr = if terminal { String::new() } else { path.clone() };
        bench.create(|r| (r.stdout, r.stderr, r.terminal) = (path, stderr, terminal)).await;
        disk.freeze("-f");
        bench.start_task().await;
        assert_eq!(bench.wait("").await.exit_status, 0, "{scheme} {terminal}");
        disk.freeze("-u");
        bench.delete("").await;
        let text = std::fs::read_to_string(&log).expect("log");
        assert_eq!(text.trim_end(), "one", "{scheme} {terminal}");
        drop(disk);
        bench.finish().await;
    }
}

/// What does not fit on a full disk is lost; the container lives, and what it says later arrives.
#[tokio::test]
async fn a_full_disk_ends_nobody() {
    for scheme in ["file://", ""] {
        let script = "dd if=/dev/zero bs=64k count=16; echo > /done; read go < /go; echo later";
        let bench = Bench::start("", script).await;
        let place = bench.dir.path().join("small");
        std::fs::create_dir(&place).expect("mkdir");
        let options = vec!["size=256k".into()];
        let small = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), options, ..Mount::default() };
        small.mount(&place).expect("mount");
        let (log, filler) = (place.join("log"), place.join("filler"));
        std::fs::write(&log, "").expect("write");
        std::fs::write(&filler, vec![0; 1 << 20]).expect_err("full");
        let path = format!("{scheme}{}", log.display());
        let go = bench.fifo("busybox/go");
        let mut go = std::fs::OpenOptions::new().read(true).write(true).open(go).expect("open");
        bench.create(|r| (r.stdout, r.stderr) = (path.clone(), path)).await;
        bench.start_task().await;
        // A megabyte does not fit in the pipe: at the end of dd most of it is lost.
        let done = bench.dir.path().join("busybox/done");
        until(&bench, || done.exists()).await;
        std::fs::remove_file(&filler).expect("remove");
        std::io::Write::write_all(&mut go, b"go\n").expect("write");
        assert_eq!(bench.wait("").await.exit_status, 0, "{scheme}");
        bench.delete("").await;
        let text = std::fs::read(&log).expect("log");
        assert!(text.len() < 200 << 10 && text.ends_with(b"later\n"), "{scheme}: {}", text.len());
        unmount_recursive(&place, Detach::Yes).expect("unmount");
        bench.finish().await;
    }
}

/// Layers whose names fill more than a page leave the process that creates the container as it was.
#[tokio::test]
async fn a_root_of_many_layers() {
    let bench = Bench::start("", "true").await;
    let top = bench.dir.path().join("a-rather-long-name-of-a-directory-that-holds-snapshots");
    let mut lower = vec![top.join("busybox")];
    lower.extend((0..80).map(|number| top.join(number.to_string()).join("fs")));
    lower[1..].iter().for_each(|layer| std::fs::create_dir_all(layer).expect("mkdir"));
    std::os::unix::fs::symlink("../busybox", &lower[0]).expect("symlink");
    let lower: Vec<_> = lower.iter().map(|layer| layer.to_str().expect("utf-8")).collect();
    let option = format!("lowerdir={}", lower.join(":"));
    assert!(option.len() > 4096);
    for _ in 0..20 {
        bench
            .create(|request| {
                request.rootfs[0].r#type = "overlay".into();
                request.rootfs[0].options = vec![option.clone()];
            })
            .await;
        bench.delete("").await;
    }
    bench.finish().await;
}
