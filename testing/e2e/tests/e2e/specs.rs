//! Containers that cannot run: the refusal names the thing and the step, and nothing is left.

use anyhow::{Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon};

scenarios!(
    no_such_command,
    not_a_program,
    no_such_user,
    a_bad_mount,
    an_unknown_runtime,
    a_bad_directory,
    a_bad_id
);

/// `run` with these flags and this command must be refused with these words; then nothing is left.
fn refused(daemon: Daemon, flags: &[&str], command: &[&str], words: &[&str]) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    let mut args = vec!["run", "--rm"];
    args.extend(flags);
    args.extend([BUSYBOX, "one"]);
    args.extend(command);
    daemon.refuses(&args, words)?;
    ensure!(daemon.ok(&["containers", "ls", "-q"])?.lines().is_empty(), "half a container");
    ensure!(daemon.ok(&["tasks", "ls", "-q"])?.lines().is_empty(), "half a task");
    daemon.nothing_since(&before)?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    daemon.finish()
}

fn no_such_command(daemon: Daemon) -> Result<()> {
    refused(daemon, &[], &["/no/such"], &["/no/such", "no such file or directory"])
}

fn not_a_program(daemon: Daemon) -> Result<()> {
    refused(daemon, &[], &["/etc/passwd"], &["/etc/passwd", "permission denied"])
}

fn no_such_user(daemon: Daemon) -> Result<()> {
    // The real client says that no users were found, ours names the one that was asked for.
    let word = if daemon.whose_client() == Client::Ctr { "no users found" } else { "nobody-here" };
    refused(daemon, &["--user", "nobody-here"], &["true"], &[word])
}

fn a_bad_mount(daemon: Daemon) -> Result<()> {
    let mount = "type=bind,src=/no/such/source,dst=/mnt,options=rbind:ro";
    refused(daemon, &["--mount", mount], &["true"], &["/no/such/source", "no such file or directory"])
}

fn an_unknown_runtime(daemon: Daemon) -> Result<()> {
    refused(
        daemon,
        &["--runtime", "io.containerd.nosuch.v9"],
        &["true"],
        &["io.containerd.nosuch.v9", "containerd-shim-nosuch-v9"],
    )
}

fn a_bad_directory(daemon: Daemon) -> Result<()> {
    refused(daemon, &["--cwd", "/etc/passwd/x"], &["true"], &["/etc/passwd", "not a directory"])
}

fn a_bad_id(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    for id in ["../../up", "a/b", "-"] {
        let named = format!("container.ID: identifier {id:?} must match");
        daemon.refuses(&["run", "--rm", BUSYBOX, id, "true"], &["create container", &named])?;
    }
    // No client even asks.
    daemon.refuses(&["run", "--rm", BUSYBOX, "", "true"], &["container id must be provided"])?;
    daemon.nothing_since(&before)?;
    daemon.finish()
}
