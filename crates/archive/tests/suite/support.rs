//! Building tars and looking at trees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::apply::{Applied, Input, Target, apply};
use archive::tar::{Entry, Kind, Time, Writer};

/// One entry in few words: `d name`, `f name content`, `l name target` (symlink), `h name target` (hard link),
/// `p name` (pipe), `c name` (device 1:3).
pub fn entry(words: &str) -> (Entry, Vec<u8>) {
    let mut parts = words.split(' ');
    let (kind, name, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(""));
    let mut entry = match kind {
        "d" => Entry::new(Kind::Directory, name, 0o755),
        "f" => Entry::new(Kind::Regular, name, 0o644),
        "l" => Entry::new(Kind::Symlink, name, 0o777),
        "h" => Entry::new(Kind::Link, name, 0o644),
        "p" => Entry::new(Kind::Fifo, name, 0o600),
        "c" => Entry { major: 1, minor: 3, ..Entry::new(Kind::Char, name, 0o666) },
        other => panic!("no such kind: {other}"),
    };
    entry.mtime = Time { secs: 1_000_000_000, nanos: 0 };
    if matches!(kind, "l" | "h") {
        entry.link = rest.into();
        return (entry, Vec::new());
    }
    entry.size = if kind == "f" { rest.len() as u64 } else { 0 };
    (entry, rest.as_bytes().to_vec())
}

/// A tar of such entries.
pub fn tar(entries: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for words in entries {
        let (entry, data) = entry(words);
        let data = if entry.kind == Kind::Regular { &data[..] } else { b"" };
        writer.append_bytes(&entry, data).unwrap();
    }
    writer.finish().unwrap()
}

pub fn apply_bytes(target: &Target, bytes: &[u8]) -> archive::Result<Applied> {
    let mut stream = bytes;
    apply(target, &mut stream, Input::Detect)
}

pub fn apply_plain(dir: &Path, bytes: &[u8]) -> archive::Result<Applied> {
    apply_bytes(&Target::Directory(dir.to_owned()), bytes)
}

/// What a tree shows: a line per name.
pub fn list(root: &Path) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    list_into(root, root, &mut lines, true);
    lines
}

/// As [`list`], without times.
pub fn list_untimed(root: &Path) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    list_into(root, root, &mut lines, false);
    lines
}

fn list_into(root: &Path, dir: &Path, lines: &mut BTreeMap<String, String>, timed: bool) {
    for child in fs::read_dir(dir).unwrap() {
        let path = child.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let what = if kind.is_dir() {
            "dir".to_string()
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_file() {
            let content = fs::read(&path).unwrap();
            let shown = if content.len() < 40 {
                String::from_utf8_lossy(&content).into_owned()
            } else {
                oci::Digest::of(&content).to_string()
            };
            format!("file x{} {shown:?}", meta.nlink())
        } else {
            format!("special {}{} {:x}", kind.is_char_device(), kind.is_fifo(), meta.rdev())
        };
        let time = if timed { format!(" {}.{}", meta.mtime(), meta.mtime_nsec()) } else { String::new() };
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
        lines.insert(
            String::from_utf8_lossy(name).into_owned(),
            format!("{:o} {}:{} {what}{time}{}", meta.mode() & 0o7777, meta.uid(), meta.gid(), xattrs(&path)),
        );
        if kind.is_dir() {
            list_into(root, &path, lines, timed);
        }
    }
}

fn xattrs(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut shown = Vec::new();
    for name in names[..len].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let mut value = vec![0; 4096];
        let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap_or(0);
        shown.push(format!(" {}={:?}", String::from_utf8_lossy(name), &value[..len]));
    }
    shown.sort();
    shown.concat()
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// An overlay mount that goes away with the value.
pub struct Overlay {
    pub at: PathBuf,
}

impl Overlay {
    /// Mounts directories, top first, read-only.
    pub fn mount(at: &Path, layers: &[PathBuf]) -> Overlay {
        fs::create_dir_all(at).unwrap();
        let words: Vec<String> = layers.iter().map(|l| l.display().to_string()).collect();
        if let [only] = words.as_slice() {
            run(Command::new("mount").args(["--bind", only]).arg(at));
        } else {
            let options = format!("ro,lowerdir={}", words.join(":"));
            run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(at));
        }
        Overlay { at: at.to_owned() }
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // A process that another test is about to start may hold a descriptor in it still.
        run(Command::new("umount").arg("-l").arg(&self.at));
    }
}
