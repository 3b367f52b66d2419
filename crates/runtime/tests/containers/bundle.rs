//! A bundle with a busybox root, and the verbs on its container.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// No test takes longer; a hanging container is killed.
const LIMIT: &str = "60";

/// Programs of the root file system.
const PROGRAMS: [&str; 31] = [
    "sh", "true", "false", "sleep", "cat", "ls", "mount", "id", "env", "ps", "echo", "touch", "hostname",
    "stat", "grep", "wc", "mkdir", "readlink", "test", "kill", "ip", "dd", "pwd", "tty", "stty", "head",
    "sort", "umask", "df", "chroot", "sysctl",
];

pub struct Bundle {
    pub directory: tempfile::TempDir,
    pub id: String,
    pub spec: Value,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    /// The error text of a command that must have failed.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_ne!(self.status, 0, "{self:?}");
        self.err
    }
}

impl Bundle {
    /// A bundle whose process runs a shell script.
    pub fn script(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub fn new(args: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new().permissions(open_mode()).tempdir().unwrap();
        let rootfs = directory.path().join("rootfs");
        for name in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir_all(rootfs.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
        for program in PROGRAMS {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(program)).unwrap();
        }
        std::fs::write(rootfs.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nu:x:7:8::/home/u:/bin/sh\n")
            .unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = format!("gantry-rt-{}-{number}", std::process::id());
        let spec = spec(args, &id);
        Self { directory, id, spec }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// Changes the configuration.
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.spec);
        self
    }

    /// Adds a mount.
    pub fn mount(self, mount: Value) -> Self {
        self.with(|spec| spec["mounts"].as_array_mut().unwrap().push(mount))
    }

    /// Runs the container to its end.
    pub fn run(&self) -> Said {
        self.save();
        self.verb(&["run", "--bundle", self.path().to_str().unwrap(), &self.id])
    }

    /// Creates the container with its output in files, which [`Bundle::output`] reads.
    pub fn create(&self) -> Said {
        self.save();
        let mut command = self.command(&["create", "--bundle", self.path().to_str().unwrap(), &self.id]);
        let out = std::fs::File::create(self.path().join("out")).unwrap();
        let err = std::fs::File::create(self.path().join("err")).unwrap();
        let status = command.stdout(out).stderr(err).status().unwrap();
        let err = std::fs::read_to_string(self.path().join("err")).unwrap();
        Said { status: status.code().unwrap_or(-1), out: String::new(), err }
    }

    /// What the container's process has written so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.path().join("out")).unwrap()
    }

    pub fn save(&self) {
        std::fs::write(self.path().join("config.json"), self.spec.to_string()).unwrap();
    }

    pub fn verb(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said {
            status: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", LIMIT]).arg(program()).arg("--root").arg(self.root()).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    pub fn root(&self) -> PathBuf {
        self.path().join("state")
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&self.verb(&["state", &self.id]).ok()).unwrap()
    }

    /// Waits for the end of the first process.
    pub fn wait(&self) {
        let pid = self.state()["pid"].as_i64().unwrap() as i32;
        if let Ok(process) = kernel::pidfd::open(pid) {
            assert!(kernel::pidfd::wait_end(&process, Some(std::time::Duration::from_secs(60))).unwrap());
        }
    }

    /// Whether nothing is left of the container: no state, no control group, no mount.
    pub fn is_gone(&self) -> bool {
        let groups = std::fs::read_dir("/sys/fs/cgroup").unwrap();
        let left = Path::new("/sys/fs/cgroup").join(&self.id).exists()
            || groups.flatten().any(|entry| entry.path().join(&self.id).exists());
        let mounts = kernel::mountinfo::read().unwrap();
        let mounted = mounts.iter().any(|mount| mount.mount_point.starts_with(self.path()));
        !left && !mounted && !self.root().join(&self.id).exists()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = self.verb(&["delete", "--force", &self.id]);
    }
}

/// Whether this machine has nothing but version 2 of control groups.
pub fn only_version_2() -> bool {
    kernel::cgroup::version().unwrap() == kernel::cgroup::Version::V2
}

fn open_mode() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

/// The example beside this test's own program.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples/gantry-oci");
    assert!(program.exists(), "build it with: cargo test -p runtime --examples");
    program
}

fn spec(args: &[&str], id: &str) -> Value {
    let capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"];
    json!({
        "ociVersion": "1.3.0",
        "process": {
            "args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "noNewPrivileges": true,
            "capabilities": {"bounding": capabilities, "permitted": capabilities, "effective": capabilities}
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/nosuch"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/nosuch"]
        }
    })
}
