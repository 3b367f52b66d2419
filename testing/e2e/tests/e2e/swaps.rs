//! Halves swapped: every daemon with every shim and every runtime. In each, a container's whole life.

use anyhow::{Context, Result, ensure};
use e2e::daemon::{compat_dir, dist};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon, Finished, Kind, Start};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::run::in_terminal;

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

/// Debian's crun refuses `ctr`'s version of the specification, under containerd too: it is told an older one. And it
/// refuses machines with cgroups of both versions: where they are, it does not see the second.
const CRUN: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
for word; do
    case "$before" in -b|--bundle) sed -i 's/"ociVersion": *"[^"]*"/"ociVersion":"1.0.2"/' "$word/config.json" ;; esac
    before=$word
done
exec unshare --mount /bin/sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"
"#;

impl Runtime {
    /// Its program, for a daemon in this directory.
    fn program(self, dir: &Path) -> Result<PathBuf> {
        Ok(match self {
            Self::Embedded => dist().join("gantry-oci"),
            Self::Runc => compat_dir().join("runc"),
            Self::Crun => {
                let script = dir.join("crun");
                std::fs::write(&script, CRUN)?;
                std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
                script
            }
        })
    }
}

/// Puts shim and runtime where the daemon finds them; gives the flags of `run` that choose them.
fn arrange(daemon: &Daemon, shim: Shim, runtime: Runtime) -> Result<Vec<String>> {
    let link = |program: PathBuf, name: &str| {
        let link = daemon.dir().join("bin").join(name);
        std::os::unix::fs::symlink(&program, &link).with_context(|| format!("link {}", link.display()))
    };
    let program = runtime.program(daemon.dir())?;
    let chosen = vec![String::from("--runc-binary"), program.to_string_lossy().into_owned()];
    match (daemon.kind(), shim) {
        // gantryd takes the shim beside it. `ctr` has --runc-binary for the usual runtime only, so another's shim gets
        // another's name and looks for runc by itself.
        (Kind::Gantry, Shim::Go23 | Shim::Go16) => {
            link(shim.program(), "containerd-shim-theirs-v2")?;
            link(program, "runc")?;
            return Ok(vec![String::from("--runtime"), String::from("io.containerd.theirs.v2")]);
        }
        (Kind::Gantry, Shim::Ours) => {}
        (Kind::Containerd | Kind::Debian, _) => link(shim.program(), "containerd-shim-runc-v2")?,
    }
    Ok(if (shim, runtime) == (Shim::Ours, Runtime::Embedded) { Vec::new() } else { chosen })
}

/// run, exit code, stdin, tty, exec, pause, stats, kill, delete, and a program that is not there.
fn works(kind: Kind, shim: Shim, runtime: Runtime) -> Result<()> {
    let daemon = Daemon::start_with(Start { kind, client: Client::Ctr, ..Start::new() })?;
    daemon.import_busybox()?;
    let flags = arrange(&daemon, shim, runtime)?;
    let before = daemon.census();
    let client = |mode: &[&str], id: &str, command: &[&str]| {
        let mut args = vec!["run"];
        args.extend(mode);
        args.extend(flags.iter().map(String::as_str));
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

    let sized = "tty; until stty size 2>/dev/null | grep 33; do :; done; exit 5";
    let ran = in_terminal(client(&["--rm", "-t"], "tty", &["sh", "-c", sized]))?.with_code(5)?;
    ensure!(ran.lines() == ["/dev/pts/0", "33 77"], "{ran}");

    client(&["-d"], "two", &["sh", "-c", "trap 'exit 9' TERM; sleep 1000 & wait"]).run()?.with_code(0)?;
    under_control(&daemon, "two")?;
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
