//! The command line with real containers, and side by side with runc where that is installed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

/// A runtime's command line with a root and a bundle of its own.
struct Oci {
    program: PathBuf,
    dir: tempfile::TempDir,
    id: String,
}

/// What one command said.
#[derive(Debug, PartialEq)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Oci {
    fn new(program: impl Into<PathBuf>, name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = format!("gantry-test-{}-{name}", std::process::id());
        let oci = Self { program: program.into(), dir, id };
        let rootfs = oci.bundle().join("rootfs");
        for below in ["bin", "proc", "dev", "sys", "etc", "tmp"] {
            std::fs::create_dir_all(rootfs.join(below)).unwrap();
        }
        std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
        for name in ["sh", "sleep", "cat", "id", "true", "stty", "tty", "pwd", "echo", "grep", "kill"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name)).unwrap();
        }
        std::fs::set_permissions(oci.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        oci.configure(&["sleep", "1000"], |_| {});
        oci
    }

    fn bundle(&self) -> PathBuf {
        self.dir.path().join("bundle")
    }

    /// Writes `config.json`.
    fn configure(&self, args: &[&str], change: impl FnOnce(&mut Value)) {
        let caps = json!(["CAP_KILL", "CAP_CHOWN"]);
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin", "TERM=xterm"], "cwd": "/",
                "capabilities": {"bounding": caps, "effective": caps, "permitted": caps}, "noNewPrivileges": true
            },
            "root": {"path": "rootfs", "readonly": true},
            "hostname": "box",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}
            ],
            "linux": {
                "cgroupsPath": format!("/{}", self.id),
                "resources": {"devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 50}},
                "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}]
            }
        });
        change(&mut config);
        std::fs::write(self.bundle().join("config.json"), config.to_string()).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.dir.path().join("root")).args(args).stdin(Stdio::null());
        command
    }

    /// Runs a verb with the container's name in place of `ID`; its output goes through files, as a created container
    /// keeps the descriptors.
    fn say(&self, args: &[&str]) -> Said {
        let args: Vec<&str> = args.iter().map(|a| if *a == "ID" { self.id.as_str() } else { a }).collect();
        let (out, err) = (self.dir.path().join("out"), self.dir.path().join("err"));
        let status = self
            .command(&args)
            .current_dir(self.bundle())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&err).unwrap())
            .status()
            .unwrap();
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Said { status: status.code().unwrap_or(-1), out: read(&out), err: read(&err) }
    }

    /// The same, and it must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let said = self.say(args);
        assert_eq!(said.status, 0, "{args:?}: {said:?}");
        said.out
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.ok(&["state", "ID"])).unwrap()
    }

    /// Waits until the first process has ended.
    fn wait(&self) {
        let state = self.state();
        let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
        if let Ok(process) = kernel::pidfd::open(pid) {
            readable(&process);
        }
    }
}

impl Drop for Oci {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "-f", &self.id]).output();
    }
}

fn readable(fd: impl AsFd) -> bool {
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1..))
}

/// The example of this crate. Cargo builds it beside the tests only when all of them are wanted, so it is asked to.
fn gantry() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let arguments = ["build", "--quiet", "--package", "runtime", "--example", "gantry-oci"];
        assert!(Command::new(env!("CARGO")).args(arguments).status().unwrap().success());
        let tests = std::env::current_exe().unwrap();
        tests.parent().unwrap().parent().unwrap().join("examples/gantry-oci")
    };
    BUILT.get_or_init(build).clone()
}

/// Whether this machine has nothing but version 2 of control groups.
fn only_version_2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The container's directory in the hierarchy of a controller.
fn group_of(oci: &Oci, controller: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(if only_version_2() { "" } else { controller }).join(&oci.id)
}

/// The message of the last log line.
fn message(said: &Said) -> String {
    let line = said.err.lines().rfind(|line| line.contains("level=error")).unwrap_or_default();
    let message = line.split_once("msg=").map_or("", |(_, message)| message);
    message.trim_matches('"').replace("\\\"", "\"")
}

/// Keys of an object, in order.
fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// A container's whole life, as far as both runtimes should say the same.
fn life(oci: &Oci) -> Vec<(String, String)> {
    let mut story: Vec<(String, String)> = Vec::new();
    let mut tell = |what: &str, found: String| story.push((what.to_owned(), found.replace(&oci.id, "ID")));
    let failure = |args: &[&str]| {
        let said = oci.say(args);
        format!("{} {}", said.status, message(&said))
    };
    tell("state of none", failure(&["state", "ID"]));
    tell("list of none", oci.ok(&["list"]) + &oci.ok(&["list", "-f", "json"]) + &oci.ok(&["list", "-q"]));
    tell("delete of none", failure(&["delete", "ID"]) + &failure(&["delete", "-f", "ID"]));
    tell("exec in none", failure(&["exec", "ID", "true"]));
    oci.ok(&["create", "--pid-file", "pid", "ID"]);
    let state = oci.state();
    let pid_file = std::fs::read_to_string(oci.bundle().join("pid")).unwrap();
    tell(
        "created",
        format!(
            "{:?} {} {}",
            keys(&state),
            state["status"],
            state["rootfs"] == *oci.bundle().join("rootfs").to_string_lossy()
        ),
    );
    tell("pid file", (state["pid"].as_i64() == pid_file.parse().ok()).to_string());
    tell("create again", failure(&["create", "ID"]));
    oci.ok(&["start", "ID"]);
    tell("start again", failure(&["start", "ID"]));
    tell("running", oci.state()["status"].to_string());
    let listed: Value = serde_json::from_str(&oci.ok(&["list", "-f", "json"])).unwrap();
    tell("list", format!("{:?} {} {}", keys(&listed[0]), listed[0]["owner"], oci.ok(&["list", "-q"])));
    let table = oci.ok(&["list"]);
    let columns: Vec<usize> = ["PID", "STATUS"].iter().map(|name| table.find(name).unwrap()).collect();
    tell("table", format!("{columns:?} {}", table.lines().count()));
    tell("ps", (oci.ok(&["ps", "-f", "json", "ID"]) == format!("[{}]\n", state["pid"])).to_string());
    let ps = oci.ok(&["ps", "ID"]);
    tell("ps table", format!("{:?} {}", ps.lines().next(), ps.lines().count()));
    tell("ps without pid", failure(&["ps", "ID", "-o", "user"]));
    let said = oci.say(&[
        "exec",
        "--cwd",
        "/bin",
        "-e",
        "A=b",
        "-u",
        "1:2",
        "-g",
        "5",
        "ID",
        "sh",
        "-c",
        "pwd; echo $A; id; exit 3",
    ]);
    tell("exec", format!("{} {}", said.status, said.out));
    tell("exec of nothing", failure(&["exec", "ID", "nosuch"]));
    oci.ok(&["exec", "-d", "--pid-file", "exec-pid", "ID", "sleep", "1000"]);
    tell("exec detached", oci.ok(&["ps", "-f", "json", "ID"]).matches(',').count().to_string());
    oci.ok(&["pause", "ID"]);
    tell("paused", oci.state()["status"].to_string() + &failure(&["exec", "ID", "true"]));
    // The words differ between versions of runc.
    tell("paused again", oci.say(&["pause", "ID"]).status.to_string());
    oci.ok(&["resume", "ID"]);
    tell("resumed", oci.state()["status"].to_string() + &failure(&["resume", "ID"]));
    oci.ok(&["update", "--pids-limit", "33", "--memory", "64m", "--cpu-share", "300", "ID"]);
    tell("delete of running", failure(&["delete", "ID"]));
    oci.ok(&["kill", "ID", "KILL"]);
    oci.wait();
    story
}

#[test]
fn a_container_lives_as_with_runc() {
    let ours = life(&Oci::new(gantry(), "ours"));
    let find = |what: &str| ours.iter().find(|(name, _)| name == what).map(|(_, found)| found.as_str());
    assert_eq!(find("exec"), Some("3 /bin\nb\nuid=1 gid=2 groups=5\n"));
    assert_eq!(
        find("paused"),
        Some(
            "\"paused\"255 exec failed: cannot exec in a paused container (use --ignore-paused to override)"
        )
    );
    if !Path::new("/usr/sbin/runc").exists() {
        return;
    }
    let theirs = life(&Oci::new("/usr/sbin/runc", "runc"));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn limits_of_update_and_counters_of_events() {
    let oci = Oci::new(gantry(), "update");
    oci.ok(&["create", "ID"]);
    oci.ok(&["start", "ID"]);
    let mut command = oci.command(&["update", "-r", "-", &oci.id]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(br#"{"pids": {"limit": 44}, "memory": {"limit": 33554432}}"#)
        .unwrap();
    assert!(child.wait().unwrap().success());
    let stats: Value = serde_json::from_str(&oci.ok(&["events", "--stats", "ID"])).unwrap();
    assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!(oci.id)));
    let data = &stats["data"];
    assert_eq!(data["pids"], json!({"current": 1, "limit": 44}));
    assert_eq!(data["memory"]["usage"]["limit"], 33_554_432);
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
    if !only_version_2() {
        assert_eq!(data["memory"]["raw"]["hierarchical_memory_limit"], 33_554_432);
    }
    for key in ["blkio", "cpuset", "hugetlb", "intel_rdt", "network_interfaces"] {
        assert!(keys(data).contains(&key.to_owned()), "{key}");
    }
    if only_version_2() {
        // It takes such a limit and kills.
        return;
    }
    let refused = oci.say(&["update", "--memory", "1", "ID"]);
    assert_eq!(refused.status, 1);
    assert!(message(&refused).contains("unable to set memory limit to 1 (current usage: "), "{refused:?}");
}

#[test]
fn run_stays_until_the_end_and_leaves_nothing() {
    let oci = Oci::new(gantry(), "run");
    oci.configure(&["sh", "-c", "echo out; echo err >&2; exit 7"], |_| {});
    let said = oci.say(&["run", "ID"]);
    assert_eq!(said, Said { status: 7, out: "out\n".into(), err: "err\n".into() });
    assert_eq!(oci.ok(&["list", "-q"]), "");
    assert!(!group_of(&oci, "freezer").exists());
    assert_eq!(oci.say(&["run", "--keep", "ID"]).status, 7);
    assert_eq!(oci.state()["status"], "stopped");
    oci.ok(&["delete", "ID"]);
    oci.configure(&["sleep", "1000"], |_| {});
    oci.ok(&["run", "-d", "ID"]);
    assert_eq!(oci.state()["status"], "running");
    oci.ok(&["delete", "--force", "ID"]);
    assert_eq!(oci.say(&["run", "--detach", "ID", "extra"]).status, 1);
}

#[test]
fn run_passes_signals_on() {
    let oci = Oci::new(gantry(), "signal");
    oci.configure(&["sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 1; done"], |_| {});
    let mut child = oci
        .command(&["run", "-b", oci.bundle().to_str().unwrap(), &oci.id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    kernel::process::kill(i32::try_from(child.id()).unwrap(), 15).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

/// Our own terminal is not one, so the size stays 0 and the container's output comes through the relay.
#[test]
fn run_relays_a_terminal() {
    let oci = Oci::new(gantry(), "tty");
    oci.configure(&["sh", "-c", "tty; read line; echo got $line; exit 4"], |c| {
        c["process"]["terminal"] = true.into()
    });
    let mut command = oci.command(&["run", "-b", oci.bundle().to_str().unwrap(), &oci.id]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"word\n").unwrap();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert_eq!(status.code(), Some(4), "{text}");
    assert!(text.contains("/dev/pts/0") && text.contains("got word"), "{text}");
    drop(input);
    let refused = oci.say(&["run", "-d", "ID"]);
    assert!(
        message(&refused).ends_with("cannot allocate tty if runc will detach without setting console socket")
    );
}

#[test]
fn exec_with_a_terminal_a_file_and_a_sub_group() {
    let oci = Oci::new(gantry(), "exec");
    oci.ok(&["create", "ID"]);
    oci.ok(&["start", "ID"]);
    let said = oci.say(&["exec", "-t", "ID", "tty"]);
    assert_eq!((said.status, said.out.trim()), (0, "/dev/pts/0"));
    let process = json!({"args": ["sh", "-c", "echo $X; exit 2"], "env": ["X=y", "PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
    std::fs::write(oci.bundle().join("process.json"), process.to_string()).unwrap();
    let said = oci.say(&["exec", "-p", "process.json", "ID"]);
    assert_eq!((said.status, said.out.as_str()), (2, "y\n"));
    assert_eq!(oci.say(&["exec", "--cgroup", "nosuch", "ID", "true"]).status, 255);
    let below = group_of(&oci, "pids").join("below");
    std::fs::create_dir(&below).unwrap();
    let named = if only_version_2() { "below" } else { "pids:below" };
    oci.ok(&["exec", "-d", "--cgroup", named, "--pid-file", "pid", "ID", "sleep", "1000"]);
    let pid = std::fs::read_to_string(oci.bundle().join("pid")).unwrap();
    assert_eq!(std::fs::read_to_string(below.join("cgroup.procs")).unwrap().trim(), pid);
    oci.ok(&["kill", "-a", "ID", "9"]);
}

#[test]
fn events_end_with_the_container() {
    let oci = Oci::new(gantry(), "events");
    oci.ok(&["create", "ID"]);
    oci.ok(&["start", "ID"]);
    let mut child =
        oci.command(&["events", "--interval", "10ms", &oci.id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["type"], "stats");
    oci.ok(&["kill", "ID", "KILL"]);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn features_and_spec_have_runcs_shape() {
    let oci = Oci::new(gantry(), "shape");
    let features: Value = serde_json::from_str(&oci.ok(&["features"])).unwrap();
    std::fs::remove_file(oci.bundle().join("config.json")).unwrap();
    oci.ok(&["spec"]);
    assert_eq!(message(&oci.say(&["spec"])), "File config.json exists. Remove it first");
    let spec: Value =
        serde_json::from_slice(&std::fs::read(oci.bundle().join("config.json")).unwrap()).unwrap();
    if !Path::new("/usr/sbin/runc").exists() {
        return;
    }
    let theirs = Oci::new("/usr/sbin/runc", "shape-runc");
    let wanted: Value = serde_json::from_str(&theirs.ok(&["features"])).unwrap();
    for key in keys(&wanted) {
        assert!(!features[&key].is_null() || key == "annotations", "{key}");
    }
    for key in keys(&wanted["linux"]) {
        assert!(!features["linux"][&key].is_null(), "linux.{key}");
    }
    std::fs::remove_file(theirs.bundle().join("config.json")).unwrap();
    theirs.ok(&["spec"]);
    let wanted: Value =
        serde_json::from_slice(&std::fs::read(theirs.bundle().join("config.json")).unwrap()).unwrap();
    for key in ["mounts", "root"] {
        assert_eq!(spec[key], wanted[key], "{key}");
    }
    assert_eq!(spec["linux"]["maskedPaths"], wanted["linux"]["maskedPaths"]);
}

#[test]
fn errors_are_logged_where_and_how_they_are_asked_for() {
    let oci = Oci::new(gantry(), "log");
    let log = oci.dir.path().join("log.json");
    let said = oci.say(&["--log", log.to_str().unwrap(), "--log-format", "json", "state", "ID"]);
    assert_eq!((said.status, said.err.as_str()), (1, "container does not exist\n"));
    let line: Value = serde_json::from_slice(&std::fs::read(&log).unwrap()).unwrap();
    assert_eq!((&line["level"], &line["msg"]), (&json!("error"), &json!("container does not exist")));
    assert_eq!(line["time"].as_str().unwrap().len(), "2026-01-02T03:04:05Z".len());
}
