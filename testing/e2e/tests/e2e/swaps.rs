//! Halves swapped: their shim under our daemon, our shim and our runtime under theirs, runc under our shim.

use anyhow::{Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon, Kind, Start};

/// Runs, execs, kills and removes with these flags of `run`.
fn works(daemon: Daemon, flags: &[&str]) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    let run = |mode: &str, id: &str, command: &[&str]| {
        let mut args = vec!["run", mode];
        args.extend(flags);
        args.extend([BUSYBOX, id]);
        args.extend(command);
        daemon.client(&args).run()
    };
    let ran = run("--rm", "one", &["sh", "-c", "echo out; echo err >&2; exit 7"])?.with_code(7)?;
    ensure!(ran.stdout == "out\n" && ran.stderr == "err\n", "{ran}");
    run("-d", "two", &["sleep", "1000"])?.with_code(0)?;
    let exec =
        daemon.client(&["tasks", "exec", "--exec-id", "e", "two", "sh", "-c", "echo in; exit 3"]).run()?;
    ensure!(exec.with_code(3)?.stdout == "in\n");
    daemon.ok(&["tasks", "metrics", "two"])?.says(&["pids.current"])?;
    daemon.ok(&["tasks", "ps", "two"])?;
    daemon.ok(&["tasks", "pause", "two"])?;
    daemon.ok(&["tasks", "resume", "two"])?;
    daemon.task_pid("two")?;
    daemon.ok(&["tasks", "rm", "-f", "two"])?;
    daemon.ok(&["containers", "rm", "two"])?;
    let refused = run("--rm", "three", &["/no/such"])?;
    ensure!(refused.code != 0 && refused.stderr.contains("/no/such"), "{refused}");
    daemon.nothing_since(&before)?;
    daemon.finish()
}

fn start(kind: Kind) -> Result<Daemon> {
    Daemon::start_with(Start { kind, client: Client::Ctr, ..Start::new() })
}

fn path(folder: std::path::PathBuf, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}

/// containerd's own shim, with runc, under gantryd.
#[test]
fn their_shim_under_our_daemon() -> Result<()> {
    let shim = path(e2e::daemon::compat_dir(), "containerd-shim-runc-v2");
    let daemon = start(Kind::Gantry)?;
    // The daemon's PATH is this folder alone; their shim looks for runc there.
    std::os::unix::fs::symlink(e2e::daemon::compat_dir().join("runc"), daemon.dir().join("bin/runc"))?;
    works(daemon, &["--runtime", &shim])
}

/// gantry-shim under a real containerd.
#[test]
fn our_shim_under_their_daemon() -> Result<()> {
    let shim = path(e2e::daemon::dist(), "containerd-shim-runc-v2");
    works(start(Kind::Containerd)?, &["--runtime", &shim])
}

/// gantry-oci in runc's place, under containerd and its own shim.
#[test]
fn our_runtime_under_their_shim() -> Result<()> {
    let runtime = path(e2e::daemon::dist(), "gantry-oci");
    works(start(Kind::Containerd)?, &["--runc-binary", &runtime])
}

/// runc chosen instead of the embedded runtime.
#[test]
fn runc_under_our_shim() -> Result<()> {
    let runc = path(e2e::daemon::compat_dir(), "runc");
    works(start(Kind::Gantry)?, &["--runc-binary", &runc])
}

/// All of it theirs: shows that the scenario itself is right.
#[test]
fn nothing_swapped() -> Result<()> {
    let runc = path(e2e::daemon::compat_dir(), "runc");
    works(start(Kind::Containerd)?, &["--runc-binary", &runc])
}
