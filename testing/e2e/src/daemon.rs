//! A private daemon: its own root, state, socket and namespace, and everything it made gone at the end.
//!
//! `GANTRY_E2E_DAEMON=containerd` puts a real containerd in gantryd's place; the tests are the same.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use crate::census::{self, Census};
use crate::follow::Follower;
use crate::image::Archive;
use crate::program::{DEADLINE, Finished, Program, wait};

/// Whose daemon it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Gantry,
    /// The reference, built in `compat/`.
    Containerd,
    /// Debian's, with its own runc; an older reference, for measurements.
    Debian,
}

/// Whose client speaks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The real one, built in `compat/`.
    Ctr,
    /// Ours.
    Gantry,
}

/// What a daemon is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Whose it is.
    pub kind: Kind,
    /// Whose client [`Daemon::client`] runs.
    pub client: Client,
    /// Where the programs of the build lie.
    pub dist: PathBuf,
    /// More lines for the configuration file, after the top-level keys.
    pub config: String,
    /// `--log-level`.
    pub log_level: &'static str,
    /// More variables for its environment.
    pub env: Vec<(&'static str, PathBuf)>,
    /// Below which folder its state goes, when not into the directory with the rest.
    pub state: Option<PathBuf>,
    /// Below which folder its root goes, when not into the directory with the rest.
    pub root: Option<PathBuf>,
}

/// A running daemon and its directory `<dir>/{root,state,s,sock,log,config.toml}`.
#[derive(Debug)]
pub struct Daemon {
    start: Start,
    dir: PathBuf,
    namespace: String,
    child: Option<Child>,
    finished: bool,
}

impl Kind {
    /// Where its program lies, given the folder of our build.
    pub fn program(self, dist: &Path) -> PathBuf {
        match self {
            Self::Gantry => dist.join("gantryd"),
            Self::Containerd => compat_dir().join("containerd"),
            Self::Debian => PathBuf::from("/usr/bin/containerd"),
        }
    }

    /// The kind the environment asks for.
    pub fn from_environment() -> Self {
        match std::env::var("GANTRY_E2E_DAEMON").as_deref() {
            Ok("containerd") => Self::Containerd,
            _ => Self::Gantry,
        }
    }
}

impl Start {
    /// The daemon the environment asks for, with no more configuration.
    pub fn new() -> Self {
        Self {
            kind: Kind::from_environment(),
            client: Client::Ctr,
            dist: dist(),
            config: String::new(),
            log_level: "debug",
            env: Vec::new(),
            state: None,
            root: None,
        }
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::new()
    }
}

impl Daemon {
    /// Starts the daemon the environment asks for and waits until it says that it is ready.
    pub fn start() -> Result<Self> {
        Self::start_with(Start::new())
    }

    /// The same with other settings.
    pub fn start_with(start: Start) -> Result<Self> {
        // Short, because a socket's path has room for 107 bytes and a shim's is 64 digits long. Everybody may pass: a
        // user namespace's root is nobody here.
        let dir = tempfile::Builder::new()
            .prefix("gantry-")
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in("/tmp")
            .context("create a daemon's directory below /tmp")?
            .keep();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(dir.join("bin")).with_context(|| format!("create {}/bin", dir.display()))?;
        let mut daemon =
            Self { start, dir, namespace: format!("e2e-{unique}"), child: None, finished: false };
        daemon.write_config()?;
        daemon.launch()?;
        Ok(daemon)
    }

    /// Whose daemon it is.
    pub fn kind(&self) -> Kind {
        self.start.kind
    }

    /// Whose client speaks to it.
    pub fn whose_client(&self) -> Client {
        self.start.client
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The namespace of this test; no other test has it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its socket.
    pub fn address(&self) -> PathBuf {
        self.dir.join("sock")
    }

    /// The daemon's pid.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the daemon does not run")?.id())
    }

    /// The client of this test with these words, pointed at this daemon and this test's namespace.
    pub fn client(&self, args: &[&str]) -> Program {
        self.client_of(self.start.client, args)
    }

    /// The same with one client or the other.
    pub fn client_of(&self, client: Client, args: &[&str]) -> Program {
        let program = match client {
            Client::Ctr if self.start.kind == Kind::Debian => PathBuf::from("/usr/bin/ctr"),
            Client::Ctr => compat_dir().join("ctr"),
            Client::Gantry => self.start.dist.join("gantry"),
        };
        let program =
            Program::new(program).arg("--address").arg(self.address()).args(["-n", &self.namespace]);
        program.env("CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS", "true").args(args)
    }

    /// Runs the client and insists on success.
    pub fn ok(&self, args: &[&str]) -> Result<Finished> {
        self.client(args).succeed()
    }

    /// Runs the client and insists on a refusal that holds `words`.
    pub fn refuses(&self, args: &[&str], words: &[&str]) -> Result<Finished> {
        self.client(args).refuse(words)
    }

    /// Starts the client and follows what it prints.
    pub fn follow(&self, args: &[&str]) -> Result<Follower> {
        Follower::spawn(self.client(args))
    }

    /// Follows the events of this daemon, from now on for sure: returns once a probe came through.
    pub fn events(&self) -> Result<Follower> {
        let mut events = self.follow(&["events"])?;
        let late = Instant::now() + DEADLINE;
        for number in 0.. {
            ensure!(Instant::now() < late, "no event came through; the daemon's log:\n{}", self.log());
            let probe = format!("probe={number}");
            self.ok(&["namespaces", "label", &self.namespace, &probe])?;
            let seen = |line: &str| line.contains("/namespaces/update");
            if events.within(Duration::from_millis(200), "probe", seen).is_ok() {
                break;
            }
        }
        Ok(events)
    }

    /// Imports the busybox image.
    pub fn import_busybox(&self) -> Result<()> {
        self.import(&crate::samples::busybox(crate::samples::BUSYBOX)?)?;
        Ok(())
    }

    /// Imports an archive.
    pub fn import(&self, archive: &Archive) -> Result<Finished> {
        let path = self.dir.join("image.tar");
        archive.write(&path)?;
        self.ok(&["images", "import", &path.to_string_lossy()])
    }

    /// The pid `tasks ls` shows for a running task.
    pub fn task_pid(&self, id: &str) -> Result<i32> {
        let listed = self.ok(&["tasks", "ls"])?;
        let row = listed.row(id)?;
        ensure!(row.last() == Some(&"RUNNING"), "{id} does not run: {listed}");
        row.get(1).and_then(|p| p.parse().ok()).with_context(|| format!("no pid of {id}: {listed}"))
    }

    /// The pid of the shim that serves a container: neither that of the process that starts it, a child of the daemon, nor
    /// that of one it forks, which have the same command line for a moment.
    pub fn shim_pid(&self, id: &str) -> Result<i32> {
        let (address, flag) = (format!("-address {} ", self.address().display()), format!("-id {id} "));
        let serves = |command: &str| command.contains(&address) && command.contains(&flag);
        let alike = census::processes().filter(|p| serves(&format!("{} ", p.command)));
        let alike: Vec<i32> = alike.map(|p| p.pid).collect();
        let daemon = i32::try_from(self.pid()?)?;
        let starts = |pid: i32| census::parent_of(pid) == Some(daemon);
        let forked = |pid: i32| census::parent_of(pid).is_none_or(|p| alike.contains(&p) && !starts(p));
        let shim = alike.iter().find(|pid| !starts(**pid) && !forked(**pid));
        shim.copied().with_context(|| format!("no process with {address}{flag} among {alike:?}"))
    }

    /// Everything it holds now.
    pub fn census(&self) -> Census {
        Census::of_daemon(&self.dir, std::slice::from_ref(&self.namespace))
    }

    /// Everything it holds once the collector has run: removing a lease with `--sync` waits for a collection.
    pub fn collected_census(&self) -> Result<Census> {
        self.client_of(Client::Ctr, &["leases", "create", "--id", "collect"]).succeed()?;
        self.client_of(Client::Ctr, &["leases", "rm", "--sync", "collect"]).succeed()?;
        Ok(self.census())
    }

    /// Insists that it holds nothing that it did not hold before, once the collector has run.
    pub fn nothing_since(&self, before: &Census) -> Result<()> {
        self.leaves_nothing(|| {
            let after = self.collected_census()?;
            Ok(after.grown_since(before).into_iter().map(str::to_owned).collect())
        })
    }

    /// Insists that nothing is left. What is in motion is given the time to go; all else of gantryd's is gone at once.
    fn leaves_nothing(&self, look: impl Fn() -> Result<Vec<String>>) -> Result<()> {
        let late = Instant::now() + DEADLINE;
        loop {
            let mut left = look()?;
            left.retain(|thing| self.removes(thing));
            if left.is_empty() {
                return Ok(());
            }
            let moves = self.start.kind != Kind::Gantry || left.iter().all(|thing| census::in_motion(thing));
            ensure!(moves && Instant::now() < late, "left behind: {left:#?}");
            std::thread::yield_now();
        }
    }

    /// Whether its removal is to be expected: the reference leaves the files of sockets of shims that were killed.
    fn removes(&self, thing: &str) -> bool {
        self.start.kind == Kind::Gantry || !thing.starts_with("socketfile ")
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill9(&mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Starts it again on the same directories.
    pub fn launch(&mut self) -> Result<()> {
        let ready = self.dir.join("ready");
        let _ = fs::remove_file(&ready);
        let notify = UnixDatagram::bind(&ready).with_context(|| format!("bind {}", ready.display()))?;
        let mut child = self.command()?.env("NOTIFY_SOCKET", &ready).spawn().context("start the daemon")?;
        let answer = wait_ready(&notify, &mut child);
        self.child = Some(child);
        answer.with_context(|| format!("the daemon did not become ready; its log:\n{}", self.log()))
    }

    /// The command that starts it, its words going to `<dir>/log`.
    pub fn command(&self) -> Result<Command> {
        let log = File::options().append(true).create(true).open(self.dir.join("log"))?;
        const SYSTEM: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
        let own = self.dir.join("bin");
        let own = own.display();
        let path = match self.start.kind {
            // No runc, no crun, no shim of anybody else's is to be found.
            Kind::Gantry => own.to_string(),
            Kind::Containerd => format!("{own}:{}:{SYSTEM}", compat_dir().display()),
            Kind::Debian => format!("{own}:{SYSTEM}"),
        };
        let mut command = Command::new(self.start.kind.program(&self.start.dist));
        command.args(["--log-level", self.start.log_level, "--config"]).arg(self.dir.join("config.toml"));
        command.arg("--root").arg(self.root()).arg("--state").arg(self.state());
        command.arg("--address").arg(self.address()).env("PATH", path);
        command.envs(self.start.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Stops it and insists that nothing is left: no mount, cgroup, process, socket, bundle or runtime state.
    /// Images and snapshots may stay; a test that removed them looks at [`Self::census`] itself.
    pub fn finish(mut self) -> Result<()> {
        self.stop()?;
        let stays = |thing: &String| ["snapshot ", "blob ", "ingest "].iter().any(|k| thing.starts_with(k));
        self.leaves_nothing(|| Ok(self.census().things.into_iter().filter(|thing| !stays(thing)).collect()))?;
        self.finished = true;
        Ok(())
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let mut child = self.child.take().context("the daemon does not run")?;
        kill_process(Pid::from_child(&child), signal).context("signal the daemon")?;
        match wait(&mut child, DEADLINE)? {
            Some(_) => Ok(()),
            None => {
                bail!("the daemon did not end within {DEADLINE:?} of {signal:?}; its log:\n{}", self.log())
            }
        }
    }

    fn state(&self) -> PathBuf {
        self.below(self.start.state.as_deref(), "state")
    }

    fn root(&self) -> PathBuf {
        self.below(self.start.root.as_deref(), "root")
    }

    fn below(&self, other: Option<&Path>, name: &str) -> PathBuf {
        other.map_or_else(|| self.dir.join(name), |above| above.join(&self.namespace))
    }

    fn write_config(&self) -> Result<()> {
        let dir = self.dir.display();
        let (version, shim) = match self.start.kind {
            Kind::Debian => (2, String::new()),
            _ => (4, format!("[plugins.'io.containerd.shim.v1.manager']\nsocket_dir = '{dir}/s'")),
        };
        let cri =
            ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri"];
        let text =
            format!("version = {version}\ndisabled_plugins = {cri:?}\n{shim}\n{}\n", self.start.config);
        fs::write(self.dir.join("config.toml"), text).context("write the daemon's configuration")
    }

    /// Kills and unmounts whatever a failed test left, then removes the directory.
    fn sweep(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // With its end: the name may be the beginning of another's.
        let text = format!("{}/", self.dir.display());
        let mut pids: Vec<i32> =
            census::processes().filter(|p| p.command.contains(&text)).map(|p| p.pid).collect();
        let cgroups = census::cgroups_of(&self.namespace);
        pids.extend(cgroups.iter().flat_map(|c| census::pids_in(c)));
        end_all(&pids);
        unmount_under(&self.dir);
        for cgroup in &cgroups {
            remove_cgroup(cgroup);
        }
        // What is empty now stays as the namespace's own cgroup and runtime folder; tests may have made `<namespace>-…`.
        let more = format!("{}-", self.namespace);
        let ours = |name: &std::ffi::OsStr| {
            name == self.namespace.as_str() || name.to_string_lossy().starts_with(&more)
        };
        for root in census::cgroup_roots() {
            for entry in fs::read_dir(root).into_iter().flatten().flatten().filter(|e| ours(&e.file_name())) {
                remove_cgroup(&entry.path());
            }
        }
        for entry in fs::read_dir("/run/containerd/runc").into_iter().flatten().flatten() {
            if ours(&entry.file_name()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.finished {
            let log = self.log();
            let lines: Vec<&str> =
                log.lines().filter(|line| !line.contains("\"garbage collected\"")).collect();
            let from = lines.len().saturating_sub(80);
            eprintln!(
                "--- end of the log of the daemon in {}:\n{}",
                self.dir.display(),
                lines[from..].join("\n")
            );
        }
        self.sweep();
    }
}

/// Where the build to be tested lies: `GANTRY_DIST`, else the debug build of this workspace.
pub fn dist() -> PathBuf {
    std::env::var_os("GANTRY_DIST").map_or_else(|| target_dir().join("dist-debug"), PathBuf::from)
}

/// Where `compat/`'s programs lie.
pub fn compat_dir() -> PathBuf {
    std::env::var_os("GANTRY_COMPAT").map_or_else(|| target_dir().join("compat"), PathBuf::from)
}

fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

fn wait_ready(notify: &UnixDatagram, child: &mut Child) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    let mut message = [0u8; 4096];
    notify.set_read_timeout(Some(Duration::from_millis(200)))?;
    while Instant::now() < end {
        if let Ok(length) = notify.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.lines().any(|l| l == "READY=1") {
                return Ok(());
            }
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
    }
    bail!("no READY=1 within {DEADLINE:?}")
}

fn end_all(pids: &[i32]) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    for pid in pids.iter().filter_map(|p| Pid::from_raw(*p)) {
        let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { continue };
        let _ = rustix::process::pidfd_send_signal(&fd, Signal::KILL);
        let timeout = Timespec { tv_sec: 5, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout));
    }
}

fn unmount_under(dir: &Path) {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points: Vec<&str> = text.lines().filter_map(|l| l.split(' ').nth(4)).collect();
    for point in points.into_iter().rev().filter(|p| Path::new(p).starts_with(dir)) {
        let _ = unmount(point, UnmountFlags::DETACH);
    }
}

fn remove_cgroup(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}
