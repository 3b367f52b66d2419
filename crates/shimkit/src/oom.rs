//! Telling when a container runs out of memory.
//!
//! Version 1 of control groups signals an eventfd, before the kernel kills; it stirs too when the group is removed.
//! Version 2 counts the killed in a file that inotify watches, and stirs at most every 10 ms. The directories are
//! handled by their paths here: what this process opens, its forked children would have to keep.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use model::{Error, Result};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;

/// A watch on one group.
#[derive(Debug)]
pub struct OomWatch {
    stir: OwnedFd,
    counters: PathBuf,
    /// Version 2: processes killed so far.
    kills: Option<u64>,
}

impl OomWatch {
    /// Watches the group with these directories; `None` when none of them counts memory.
    pub fn open(cgroup: &str) -> Result<Option<Self>> {
        for (controller, path) in directories(cgroup) {
            let counters = match controller {
                "memory" => path.join("memory.oom_control"),
                "" => path.join("memory.events"),
                _ => continue,
            };
            if counters.exists() {
                let stir =
                    if controller.is_empty() { watch_v2(&counters)? } else { watch_v1(path, &counters)? };
                let kills = controller.is_empty().then(|| kills(&counters));
                return Ok(Some(Self { stir, counters, kills }));
            }
        }
        Ok(None)
    }

    /// Whether memory ran out since the last call.
    pub fn has_run_out(&mut self) -> bool {
        let mut buffer = [0; 512];
        let mut stirred = false;
        while let Ok(1..) = rustix::io::read(&self.stir, &mut buffer) {
            stirred = true;
        }
        let Some(before) = self.kills else { return stirred && !self.is_removed() };
        let now = kills(&self.counters);
        self.kills = Some(now.max(before));
        now > before
    }

    /// Whether the group is gone, after which nothing more comes.
    pub fn is_removed(&self) -> bool {
        !self.counters.exists()
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stir.as_fd()
    }
}

/// The lines of a group's directories: controller and path.
pub fn directories(cgroup: &str) -> impl Iterator<Item = (&str, &Path)> {
    // A version 1 hierarchy may be called `name=…`; no mount point has `=/` in its path.
    cgroup.lines().filter_map(|line| {
        let slash = line.find("=/")?;
        Some((&line[..slash], Path::new(&line[slash + 1..])))
    })
}

fn watch_v1(dir: &Path, counters: &Path) -> Result<OwnedFd> {
    let stir = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|e| Error::io("eventfd for", counters, e.into()))?;
    let file = File::open(counters).map_err(|e| Error::io("open", counters, e))?;
    let control = dir.join("cgroup.event_control");
    let line = format!("{} {}", stir.as_raw_fd(), file.as_raw_fd());
    std::fs::write(&control, line).map_err(|e| Error::io("write", &control, e))?;
    Ok(stir)
}

fn watch_v2(counters: &Path) -> Result<OwnedFd> {
    let failed = |e: rustix::io::Errno| Error::io("watch", counters, e.into());
    let stir =
        inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(failed)?;
    inotify::add_watch(&stir, counters, inotify::WatchFlags::MODIFY).map_err(failed)?;
    Ok(stir)
}

/// The count `oom_kill` of a file; 0 when the group is gone.
fn kills(counters: &Path) -> u64 {
    let mut text = String::new();
    let read = File::open(counters).and_then(|mut file| file.read_to_string(&mut text));
    if read.is_err() {
        return 0;
    }
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_directories() {
        let lines = "memory=/sys/fs/cgroup/memory/a\nname=systemd=/sys/x\n=/sys/fs/cgroup/unified/a\n";
        let found: Vec<_> = directories(lines).map(|(c, p)| (c, p.to_str().expect("utf-8"))).collect();
        let expected = [
            ("memory", "/sys/fs/cgroup/memory/a"),
            ("name=systemd", "/sys/x"),
            ("", "/sys/fs/cgroup/unified/a"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn only_more_kills_count() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("memory.events");
        std::fs::write(&file, "low 0\noom 2\noom_kill 1\n").expect("write");
        let mut watch =
            OomWatch::open(&format!("={}\n", dir.path().display())).expect("watch").expect("counts memory");
        assert!(!watch.has_run_out());
        std::fs::write(&file, "low 0\noom 3\noom_kill 2\noom_group_kill 0\n").expect("write");
        assert!(watch.has_run_out() && !watch.has_run_out());
        std::fs::remove_file(&file).expect("remove");
        assert!(!watch.has_run_out() && watch.is_removed());
    }
}
