//! Halves swapped: every daemon with every shim and every runtime. In each, a container's whole life, and proof of who
//! served it: the program of the shim's process, and the calls that each runtime wrote down.

use anyhow::{Context, Result, ensure};
use e2e::daemon::{compat_dir, dist};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon, Finished, Kind, Start};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::run::in_terminal;
use crate::tasks::a_child_of;

/// Who serves a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shim {
    Ours,
    Go23,
    Go16,
}

/// Who makes its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    /// Ours: within our shim, as `gantry-oci` under another.
    Embedded,
    Runc,
    Crun,
}

impl Shim {
    fn program(self) -> PathBuf {
        match self {
            Self::Ours => dist().join("containerd-shim-runc-v2"),
            Self::Go23 => compat_dir().join("containerd-shim-runc-v2"),
            Self::Go16 => PathBuf::from("/usr/bin/containerd-shim-runc-v2"),
        }
    }
}

/// What stands before a runtime: it writes down how it was called.
const RUNTIME: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
echo "$@" >> CALLS
exec PROGRAM "$@"
"#;

/// Debian's crun refuses `ctr`'s version of the specification, under containerd too: it is told an older one. And it
/// refuses machines with cgroups of both versions: where they are, it does not see the second.
const CRUN: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
echo "$@" >> CALLS
for word; do
    case "$before" in -b|--bundle) sed -i 's/"ociVersion": *"[^"]*"/"ociVersion":"1.0.2"/' "$word/config.json" ;; esac
    before=$word
done
exec unshare --mount /bin/sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"
"#;

impl Runtime {
    /// Writes a script at `path` that calls this runtime and writes down each call in `<path>.calls`.
    fn script(self, path: &Path) -> Result<()> {
        let (text, program) = match self {
            Self::Embedded => (RUNTIME, dist().join("gantry-oci")),
            Self::Runc => (RUNTIME, compat_dir().join("runc")),
            Self::Crun => (CRUN, PathBuf::new()),
        };
        let text = text.replace("CALLS", &calls_of(path).to_string_lossy());
        std::fs::write(path, text.replace("PROGRAM", &program.to_string_lossy()))
            .with_context(|| format!("write {}", path.display()))?;
        Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
    }
}

/// The calls of a runtime.
fn calls_of(script: &Path) -> PathBuf {
    script.with_extension("calls")
}

/// Shim and runtime of one daemon.
struct Arranged {
    shim: Shim,
    /// The flags of `run` that choose them.
    flags: Vec<String>,
    /// The runtime's script; `None` when it is within the shim.
    chosen: Option<PathBuf>,
    /// The script that lies in the daemon's PATH as `runc`, when that is not the chosen one.
    decoy: Option<PathBuf>,
}

/// Puts shim and runtime where the daemon finds them.
fn arrange(daemon: &Daemon, shim: Shim, runtime: Runtime) -> Result<Arranged> {
    let bin = daemon.dir().join("bin");
    let link = |name: &str| {
        let link = bin.join(name);
        std::os::unix::fs::symlink(shim.program(), &link).with_context(|| format!("link {}", link.display()))
    };
    let (decoy, chosen) = (bin.join("runc"), daemon.dir().join("chosen"));
    let words = |words: [&str; 2]| words.map(String::from).to_vec();
    // gantryd takes the shim beside it. `ctr` has --runc-binary for the usual runtime only, so another's shim gets
    // another's name and looks for runc by itself.
    if daemon.kind() == Kind::Gantry && shim != Shim::Ours {
        link("containerd-shim-theirs-v2")?;
        runtime.script(&decoy)?;
        let flags = words(["--runtime", "io.containerd.theirs.v2"]);
        return Ok(Arranged { shim, flags, chosen: Some(decoy), decoy: None });
    }
    if daemon.kind() != Kind::Gantry {
        link("containerd-shim-runc-v2")?;
    }
    Runtime::Runc.script(&decoy)?;
    if (shim, runtime) == (Shim::Ours, Runtime::Embedded) {
        return Ok(Arranged { shim, flags: Vec::new(), chosen: None, decoy: Some(decoy) });
    }
    runtime.script(&chosen)?;
    let flags = words(["--runc-binary", &chosen.to_string_lossy()]);
    Ok(Arranged { shim, flags, chosen: Some(chosen), decoy: Some(decoy) })
}

impl Arranged {
    /// Insists that it is this shim that serves a running container.
    fn serves(&self, daemon: &Daemon, id: &str) -> Result<()> {
        // Not by its path: ours runs from a mount of its own, without a name.
        let file = |path: &Path| -> Result<(u64, u64)> {
            let found = std::fs::metadata(path).with_context(|| format!("look at {}", path.display()))?;
            Ok((found.dev(), found.ino()))
        };
        let (pid, wanted) = (daemon.shim_pid(id)?, self.shim.program());
        let serves = file(Path::new(&format!("/proc/{pid}/exe")))?;
        ensure!(serves == file(&wanted)?, "{id} is served by {pid}, which is not {}", wanted.display());
        Ok(())
    }

    /// Insists that the runtime that was chosen did all the work, and no other did any.
    fn worked(&self) -> Result<()> {
        if let Some(decoy) = &self.decoy {
            let calls = std::fs::read_to_string(calls_of(decoy)).unwrap_or_default();
            ensure!(calls.is_empty(), "the runtime in PATH was called:\n{calls}");
        }
        let Some(chosen) = &self.chosen else { return Ok(()) };
        let calls = calls_of(chosen);
        let calls = std::fs::read_to_string(&calls).with_context(|| format!("read {}", calls.display()))?;
        for verb in ["create", "start", "exec", "pause", "resume", "kill", "delete"] {
            let called = calls.lines().any(|line| line.split(' ').any(|word| word == verb));
            ensure!(called, "no {verb} among the calls of the chosen runtime:\n{calls}");
        }
        Ok(())
    }
}

/// run, exit code, stdin, tty, exec, pause, stats, kill, delete, and a program that is not there.
fn works(kind: Kind, shim: Shim, runtime: Runtime) -> Result<()> {
    let daemon = Daemon::start_with(Start { kind, client: Client::Ctr, ..Start::new() })?;
    daemon.import_busybox()?;
    let arranged = arrange(&daemon, shim, runtime)?;
    let before = daemon.census();
    let client = |mode: &[&str], id: &str, command: &[&str]| {
        let mut args = vec!["run"];
        args.extend(mode);
        args.extend(arranged.flags.iter().map(String::as_str));
        args.extend([BUSYBOX, id]);
        args.extend(command);
        daemon.client(&args)
    };
    let script = "readlink /proc/1/exe; echo out; echo err >&2; exit 7";
    let ran = client(&["--rm"], "one", &["sh", "-c", script]).run()?.with_code(7)?;
    ensure!(ran.stdout == "/bin/busybox\nout\n" && ran.stderr.contains("err\n"), "{ran}");

    let mut cat = e2e::Follower::spawn(client(&["--rm"], "input", &["sh", "-c", "cat; echo end"]))?;
    cat.input("first\n")?;
    cat.line_with(&["first"])?;
    cat.close_input();
    cat.line_with(&["end"])?;
    ensure!(cat.finish()? == 0);

    let run = |script: &str| client(&["--rm", "-t"], "tty", &["sh", "-c", script]);
    let sized = "tty; until stty size 2>/dev/null | grep 33; do :; done";
    in_terminal(Client::Ctr, run, (sized, 5), &["/dev/pts/0", "33 77"])?;

    client(&["-d"], "two", &["sh", "-c", "trap 'exit 9' TERM; sleep 1000 & wait"]).run()?.with_code(0)?;
    // With a child the shell has set its trap.
    a_child_of(daemon.task_pid("two")?)?;
    arranged.serves(&daemon, "two")?;
    under_control(&daemon, "two")?;
    arranged.worked()?;
    let refused: Finished = client(&["--rm"], "three", &["/no/such"]).run()?;
    ensure!(refused.code != 0 && refused.stderr.contains("/no/such"), "{refused}");
    daemon.nothing_since(&before)?;
    println!(
        "{kind:?} | {shim:?} | {runtime:?} | run, exit code, stdin, tty, exec, pause, stats, kill, delete"
    );
    daemon.finish()
}

/// exec, stats, pause, kill and delete of a running task that ends with 9 when asked.
fn under_control(daemon: &Daemon, id: &str) -> Result<()> {
    let words = ["tasks", "exec", "--exec-id", "e", id, "sh", "-c", "echo in; exit 3"];
    ensure!(daemon.client(&words).run()?.with_code(3)?.stdout == "in\n");
    let status = || -> Result<String> {
        let listed = daemon.ok(&["tasks", "ls"])?;
        Ok(listed.row(id)?.last().map(|&s| s.to_owned()).unwrap_or_default())
    };
    daemon.ok(&["tasks", "metrics", id])?.says(&["pids.current"])?;
    daemon.ok(&["tasks", "ps", id])?;
    daemon.ok(&["tasks", "pause", id])?;
    ensure!(status()? == "PAUSED");
    daemon.ok(&["tasks", "resume", id])?;
    ensure!(status()? == "RUNNING");
    let mut events = daemon.events()?;
    daemon.ok(&["tasks", "kill", id])?;
    events.line_with(&["/tasks/exit", "\"exit_status\":9"])?;
    events.kill()?;
    ensure!(status()? == "STOPPED");
    daemon.client(&["tasks", "rm", id]).run()?.warns("exit code 9")?;
    daemon.ok(&["containers", "rm", id]).map(drop)
}

macro_rules! matrix {
    ($($name:ident: $kind:ident, $shim:ident, $runtime:ident;)+) => {$(
        #[test]
        fn $name() -> Result<()> {
            works(Kind::$kind, Shim::$shim, Runtime::$runtime)
        }
    )+};
}

matrix! {
    gantryd_ours_embedded: Gantry, Ours, Embedded;
    gantryd_ours_runc: Gantry, Ours, Runc;
    gantryd_ours_crun: Gantry, Ours, Crun;
    gantryd_go_embedded: Gantry, Go23, Embedded;
    gantryd_go_runc: Gantry, Go23, Runc;
    gantryd_go16_runc: Gantry, Go16, Runc;
    containerd_ours_embedded: Containerd, Ours, Embedded;
    containerd_ours_runc: Containerd, Ours, Runc;
    containerd_go_embedded: Containerd, Go23, Embedded;
    containerd_go_runc: Containerd, Go23, Runc;
    containerd16_ours_embedded: Debian, Ours, Embedded;
    containerd16_ours_runc: Debian, Ours, Runc;
}
