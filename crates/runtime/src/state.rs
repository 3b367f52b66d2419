//! The state directory of a container: `<root>/<id>/` with `state.json`, `exec.fifo` until the start, and the
//! compiled filter for later execs.
//!
//! Names of files and keys are runc's, so that tools which look there find what they know. `config` holds only what
//! the verbs of this crate need again.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::cgroup::Cgroup;
use kernel::{Errno, KernelError, file, pidfd, procfs};
use oci::runtime::{
    ExecCpuAffinity, Hook, LinuxCapabilities, LinuxIoPriority, LinuxScheduler, PosixRlimit, Process, State,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Kind, Result};

/// Longest name of a container, as the file system allows it.
const LONGEST_ID: usize = 1024;

/// What a first process reads from `exec.fifo` to become the program.
pub const START: &[u8] = b"0";

/// What it reads there to end instead.
pub const END: &[u8] = b"1";

/// `state.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub id: String,
    pub init_process_pid: i32,
    pub init_process_start: u64,
    pub created: String,
    pub config: Config,
    pub rootless: bool,
    pub cgroup_paths: BTreeMap<String, PathBuf>,
    pub namespace_paths: BTreeMap<String, String>,
    pub external_descriptors: Vec<String>,
    pub intel_rdt_path: String,
}

/// What later verbs need of the bundle's configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub version: String,
    pub rootfs: String,
    /// `key=value`: the annotations, and the bundle as `bundle=`.
    pub labels: Vec<String>,
    pub namespaces: Vec<NamespaceRecord>,
    pub no_new_privileges: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<LinuxCapabilities>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<PosixRlimit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub apparmor_profile: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub process_label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<LinuxScheduler>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<LinuxIoPriority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity>,
}

impl Config {
    /// Notes of the first process what those added later take from it.
    pub fn of_process(process: &Process) -> Self {
        let process = process.clone();
        Self {
            no_new_privileges: process.no_new_privileges,
            capabilities: process.capabilities,
            rlimits: process.rlimits,
            apparmor_profile: process.apparmor_profile,
            process_label: process.selinux_label,
            umask: process.user.umask,
            oom_score_adj: process.oom_score_adj,
            scheduler: process.scheduler,
            io_priority: process.io_priority,
            exec_cpu_affinity: process.exec_cpu_affinity,
            ..Self::default()
        }
    }

    /// A process to add, with what it says nothing of as the first process has it: above all nobody is let in without
    /// the container's security labels. Only `no_new_privs` is its own affair.
    pub fn complete(&self, process: &Process) -> Process {
        let mut process = process.clone();
        let texts = [
            (&mut process.apparmor_profile, &self.apparmor_profile),
            (&mut process.selinux_label, &self.process_label),
        ];
        for (own, inherited) in texts {
            if own.is_empty() {
                own.clone_from(inherited);
            }
        }
        if process.rlimits.is_empty() {
            process.rlimits.clone_from(&self.rlimits);
        }
        process.capabilities = process.capabilities.or_else(|| self.capabilities.clone());
        process.user.umask = process.user.umask.or(self.umask);
        process.oom_score_adj = process.oom_score_adj.or(self.oom_score_adj);
        process.scheduler = process.scheduler.or_else(|| self.scheduler.clone());
        process.io_priority = process.io_priority.or_else(|| self.io_priority.clone());
        process.exec_cpu_affinity = process.exec_cpu_affinity.or_else(|| self.exec_cpu_affinity.clone());
        process
    }
}

/// A namespace of the container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NamespaceRecord {
    /// `NEWPID` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    pub path: String,
}

/// How the filter in `seccomp.bpf` is loaded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SeccompRecord {
    pub flags: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// Paths of one container's state.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub path: PathBuf,
}

impl Directory {
    /// The directory of container `id`; says whether the name is allowed.
    pub fn new(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        Ok(Self { path: root.join(id) })
    }

    /// Makes it. An existing one means that the container exists.
    pub fn make(&self) -> Result<()> {
        let failed = |error: std::io::Error, path: &Path| from_io("mkdir", path, &error);
        match make_directory(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::new(Kind::AlreadyExists, "container with given ID already exists"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if let Some(root) = self.path.parent() {
                    let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
                    made.map_err(|error| failed(error, root))?;
                }
                make_directory(&self.path).map_err(|error| failed(error, &self.path))
            }
            Err(error) => Err(failed(error, &self.path)),
        }
    }

    pub fn fifo(&self) -> PathBuf {
        self.path.join("exec.fifo")
    }

    pub fn seccomp(&self) -> PathBuf {
        self.path.join("seccomp.bpf")
    }

    fn record(&self) -> PathBuf {
        self.path.join("state.json")
    }

    fn planned_cgroup(&self) -> PathBuf {
        self.path.join("cgroup.json")
    }

    /// Notes which control group is about to be made: should the creation be cut off before there is a record, a deletion
    /// finds it here.
    pub fn plan_cgroup(&self, cgroup: &Cgroup) -> Result<()> {
        let path = self.planned_cgroup();
        let text = serde_json::to_vec(&cgroup.paths()).map_err(|error| Error::unknown(error.to_string()))?;
        std::fs::write(&path, text).map_err(|error| from_io("write", &path, &error))
    }

    /// Removes the control group of a creation that was cut off. Its first process ends by itself without the one that
    /// made it, or is told to when it waits for its start already. Whatever else is in that group is not ours.
    pub fn remove_planned_cgroup(&self) -> Result<()> {
        // Where nobody has it open there is nobody to be told.
        if let Ok(writer) = file::open_fifo_writer(&self.fifo()) {
            let _ = rustix::io::write(&writer, END);
        }
        // One that was not written whole is of a group that was not made.
        let text = std::fs::read(self.planned_cgroup()).unwrap_or_default();
        let Ok(paths) = serde_json::from_slice(&text) else { return Ok(()) };
        Ok(Cgroup::load(&paths)?.remove()?)
    }

    /// Removes the files and the directory; what is not there is no error.
    pub fn remove(&self) -> Result<()> {
        for file in [self.record(), self.planned_cgroup(), self.fifo(), self.seccomp()] {
            gone(&file, std::fs::remove_file(&file))?;
        }
        match std::fs::remove_dir(&self.path) {
            // Something else lies there, perhaps a file of a write that was cut off.
            Err(error) if error.raw_os_error() == Some(Errno::NOTEMPTY.raw_os_error()) => {
                gone(&self.path, std::fs::remove_dir_all(&self.path))
            }
            other => gone(&self.path, other),
        }
    }

    /// Writes the record in one step.
    pub fn write(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record).map_err(|error| Error::unknown(error.to_string()))?;
        replace_file_with_mode(&self.record(), &text, 0o600)
    }

    /// Reads the record; a missing one means that there is no such container.
    pub fn read(&self) -> Result<Record> {
        let path = self.record();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::not_found()),
            Err(error) => return Err(from_io("read", &path, &error)),
        };
        serde_json::from_slice(&text)
            .map_err(|error| Error::unknown(format!("parse {}: {error}", path.display())))
    }
}

impl Record {
    /// A descriptor of the first process, if it still runs.
    pub fn init(&self) -> Result<Option<OwnedFd>> {
        if self.init_process_pid <= 0 {
            return Ok(None);
        }
        let opened = match pidfd::open(self.init_process_pid) {
            Ok(opened) => opened,
            // The last two, by the kernel's version: the number is a thread's now.
            Err(error) if matches!(error.errno(), Errno::SRCH | Errno::INVAL | Errno::NOENT) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // The number is looked at after the descriptor was opened: if it is still the same process now, it was then.
        match procfs::stat(self.init_process_pid) {
            Ok(stat) if stat.is_dead() || stat.start != self.init_process_start => Ok(None),
            Ok(_) => Ok(Some(opened)),
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The container's control group.
    pub fn cgroup(&self) -> Result<Cgroup> {
        Ok(Cgroup::load(&self.cgroup_paths)?)
    }

    /// Where the container is in its life.
    pub fn status(&self, directory: &Directory) -> Result<Status> {
        if self.init()?.is_none() {
            return Ok(Status::Stopped);
        }
        if self.cgroup()?.is_frozen()? {
            return Ok(Status::Paused);
        }
        Ok(if directory.fifo().exists() { Status::Created } else { Status::Running })
    }

    /// The bundle and the annotations, from the labels.
    pub fn labels(&self) -> (String, BTreeMap<String, String>) {
        let mut bundle = String::new();
        let mut annotations = BTreeMap::new();
        for label in &self.config.labels {
            match label.split_once('=') {
                Some(("bundle", path)) => bundle = path.to_owned(),
                Some((key, value)) => drop(annotations.insert(key.to_owned(), value.to_owned())),
                None => {}
            }
        }
        (bundle, annotations)
    }

    /// The document hooks read. A stopped container has no process.
    pub fn hook_state(&self, status: &str, pid: i32) -> State {
        let (bundle, annotations) = self.labels();
        State {
            oci_version: self.config.version.clone(),
            id: self.id.clone(),
            status: status.to_owned(),
            pid,
            bundle,
            annotations,
        }
    }

    /// Whether the container has a pid namespace of its own, so that its other processes die with the first one.
    pub fn has_own_pids(&self) -> bool {
        self.config.namespaces.iter().any(|namespace| namespace.kind == "NEWPID" && namespace.path.is_empty())
    }
}

/// Writes a file that appears with its whole content or not at all.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> Result<()> {
    replace_file_with_mode(path, content, 0o666)
}

fn replace_file_with_mode(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}"));
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary);
    let written = opened.and_then(|mut file| file.write_all(content));
    written.map_err(|error| from_io("open", &temporary, &error))?;
    std::fs::rename(&temporary, path).map_err(|error| from_io("rename", path, &error))
}

/// The moment as RFC 3339 in UTC with nanoseconds.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format_time(since.as_secs(), since.subsec_nanos())
}

/// Days are counted in eras of 400 years that begin in March, so that leap days come last.
fn format_time(seconds: u64, nanoseconds: u32) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// A container's name is one path component of letters, digits and `_+-.`.
fn check_id(id: &str) -> Result<()> {
    let letters = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte));
    if id.is_empty() {
        return Err(Error::invalid("container id cannot be empty"));
    }
    if !letters || id == "." || id == ".." || id.len() > LONGEST_ID {
        return Err(Error::invalid("invalid container ID format"));
    }
    Ok(())
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o711).create(path)
}

fn gone(path: &Path, result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(from_io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// A failed file operation in the kernel's words: `open /x: permission denied`.
pub(crate) fn from_io(step: &'static str, path: &Path, error: &std::io::Error) -> Error {
    KernelError::from_io(step, path, error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(format_time(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(format_time(951_782_400, 5), "2000-02-29T00:00:00.000000005Z");
        assert_eq!(format_time(1_798_761_599, 0), "2026-12-31T23:59:59.000000000Z");
    }

    #[test]
    fn a_number_that_is_a_threads_is_no_first_process() {
        let thread = std::thread::spawn(|| {
            let init_process_pid = rustix::thread::gettid().as_raw_nonzero().get();
            Record { init_process_pid, ..Record::default() }.init().unwrap().is_none()
        });
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_number_that_is_somebody_elses_is_no_first_process() {
        let init_process_pid = std::process::id().cast_signed();
        let init_process_start = procfs::stat(init_process_pid).unwrap().start;
        let record = Record { init_process_pid, init_process_start, ..Record::default() };
        assert!(record.init().unwrap().is_some());
        let later = Record { init_process_start: init_process_start - 1, ..record };
        assert!(later.init().unwrap().is_none());
    }

    #[test]
    fn nobody_is_added_without_the_containers_labels() {
        let process = |profile: &str, label: &str| Process {
            apparmor_profile: profile.into(),
            selinux_label: label.into(),
            ..Process::default()
        };
        let config = Config::of_process(&process("first", "label"));
        assert_eq!(config.complete(&process("", "")), process("first", "label"));
        assert_eq!(config.complete(&process("own", "own")), process("own", "own"));
    }

    #[test]
    fn states_are_roots_alone() {
        use std::os::unix::fs::MetadataExt;
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("runc/ns");
        let directory = Directory::new(&root, "c").unwrap();
        directory.make().unwrap();
        directory.write(&Record::default()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&root), mode(&directory.record())), (0o700, 0o600));
    }

    #[test]
    fn ids() {
        for good in ["a", "A-b_c.d+1", "..."] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä"] {
            assert_eq!(check_id(bad).unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
    }
}
