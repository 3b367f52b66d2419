//! The daemon dies or stops, a shim dies: what runs goes on, what is dead is told, nothing is left.

use anyhow::{Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Daemon, Follower, Kind, Program};
use rustix::process::Signal;

use crate::crash::end;
use crate::tasks::a_child_of;

scenarios!(
    killed_and_started_again,
    stopped_and_started_again,
    exits_while_the_daemon_is_away,
    a_shim_is_killed
);

fn survives(mut daemon: Daemon, end: impl Fn(&mut Daemon) -> Result<()>) -> Result<()> {
    daemon.import_busybox()?;
    for id in ["one", "two"] {
        daemon.ok(&[
            "run",
            "-d",
            BUSYBOX,
            id,
            "sh",
            "-c",
            "trap 'exit 5' TERM; while :; do sleep 1; done",
        ])?;
    }
    let pids = [daemon.task_pid("one")?, daemon.task_pid("two")?];
    // With a child the shell has set its trap.
    a_child_of(pids[0])?;
    end(&mut daemon)?;
    for pid in pids {
        ensure!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} died with the daemon");
    }
    daemon.launch()?;
    ensure!([daemon.task_pid("one")?, daemon.task_pid("two")?] == pids, "other pids after the restart");
    let exec = daemon.ok(&["tasks", "exec", "--exec-id", "look", "one", "echo", "still here"])?;
    ensure!(exec.stdout == "still here\n", "{exec}");
    daemon.ok(&["tasks", "metrics", "one"])?.says(&["METRIC"])?;
    daemon.ok(&["run", "--rm", BUSYBOX, "three", "true"])?;
    let mut events = daemon.events()?;
    daemon.ok(&["tasks", "kill", "one"])?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":5"])?;
    events.kill()?;
    daemon.client(&["tasks", "rm", "one"]).run()?.warns("exit code 5")?;
    daemon.ok(&["tasks", "rm", "-f", "two"])?;
    daemon.ok(&["containers", "rm", "one", "two"])?;
    daemon.finish()
}

/// SIGKILL: nothing could be prepared.
fn killed_and_started_again(daemon: Daemon) -> Result<()> {
    survives(daemon, Daemon::kill9)
}

/// SIGTERM: a graceful stop leaves containers alone.
fn stopped_and_started_again(daemon: Daemon) -> Result<()> {
    survives(daemon, Daemon::stop)
}

/// A container that ended in between does not run any more, and its name is free again.
fn exits_while_the_daemon_is_away(mut daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 1; done"])?;
    let pid = daemon.task_pid("one")?;
    daemon.kill9()?;
    end(pid, Signal::KILL)?;
    daemon.launch()?;
    let listed = daemon.ok(&["tasks", "ls"])?;
    // The reference takes a shim without processes for a leak and removes the task; to keep it is better.
    if let Ok(row) = listed.row("one") {
        ensure!(row.last() == Some(&"STOPPED"), "{listed}");
        daemon.client(&["tasks", "rm", "one"]).run()?.warns("exit code 137")?;
    } else {
        ensure!(daemon.kind() == Kind::Containerd, "the exit code is lost: {listed}");
    }
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// SIGKILL to a shim: its container is told dead with 137, is gone, and its name is free again.
fn a_shim_is_killed(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    daemon.ok(&["run", "-d", BUSYBOX, "bystander", "sleep", "1000"])?;
    let before = daemon.census();
    let mut events = daemon.events()?;
    daemon.ok(&["containers", "create", BUSYBOX, "one", "sleep", "1000"])?;
    daemon.ok(&["tasks", "start", "-d", "one"])?;
    let shim = daemon.shim_pid("one")?;
    Program::new("kill").args(["-KILL", &shim.to_string()]).succeed()?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":137"])?;
    events.line_with(&["/tasks/delete", "\"one\""])?;
    let listed = daemon.ok(&["tasks", "ls"])?;
    ensure!(listed.row("one").is_err() && listed.row("bystander").is_ok(), "{listed}");
    daemon.refuses(&["tasks", "kill", "one"], &["one", "not found"])?;
    daemon.ok(&["tasks", "start", "-d", "one"])?;
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    events.kill()?;
    daemon.nothing_since(&before)?;
    daemon.ok(&["tasks", "rm", "-f", "bystander"])?;
    daemon.ok(&["containers", "rm", "bystander"])?;
    daemon.finish()
}

/// A second daemon on the same root says so and ends; the first goes on.
#[test]
fn a_second_daemon_is_refused() -> Result<()> {
    let daemon = Daemon::start()?;
    if daemon.kind() == Kind::Containerd {
        // The reference waits for the lock without an end.
        return daemon.finish();
    }
    let root = daemon.dir().join("root");
    let mut command = daemon.command()?;
    command.arg("--state").arg(daemon.dir().join("state2")).arg("--address").arg(daemon.dir().join("sock2"));
    let (root, pid) = (root.display(), daemon.pid()?);
    let refusal = format!(
        "root {root} is in use by another gantryd (pid {pid}); stop it, or start with another --root"
    );
    Program::from(command).refuse(&[&refusal])?;
    daemon.ok(&["version"])?;
    daemon.finish()
}

/// SIGUSR1 asks what is going on: the log tells, and all goes on. A stop then waits for nobody who waits for an exit.
#[test]
fn waiting_for_an_exit_holds_up_no_stop() -> Result<()> {
    let mut daemon = Daemon::start()?;
    if daemon.kind() == Kind::Containerd {
        // The reference tells of its goroutines.
        return daemon.finish();
    }
    daemon.import_busybox()?;
    let mut waits = daemon.follow(&["run", BUSYBOX, "one", "sh", "-c", "echo up; sleep 1000"])?;
    waits.line_with(&["up"])?;
    let log = daemon.dir().join("log").display().to_string();
    let mut words = Follower::spawn(Program::new("tail").args(["-f", "-n", "+1", &log]))?;
    Program::new("kill").args(["-USR1", &daemon.pid()?.to_string()]).succeed()?;
    let one = format!("task {}/one Live", daemon.namespace());
    words.line_with(&["what is going on", "Tasks/Wait", &one, "thread "])?;
    words.kill()?;
    daemon.ok(&["version"])?;
    daemon.stop()?;
    ensure!(!daemon.log().contains("cut off"), "the stop waited:\n{}", daemon.log());
    ensure!(waits.finish()? != 0, "whoever waited was told nothing");
    daemon.launch()?;
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// A directory for sockets whose paths would be too long, and a plugin that there is not, are refused by name.
#[test]
fn configurations_that_cannot_work_are_refused() -> Result<()> {
    let daemon = Daemon::start()?;
    if daemon.kind() == Kind::Containerd {
        return daemon.finish();
    }
    let config = daemon.dir().join("wrong.toml");
    let long = "/x".repeat(30);
    for (lines, words) in [
        (format!("[plugins.'io.containerd.shim.v1.manager']\nsocket_dir = '{long}'\n"), "socket_dir"),
        ("required_plugins = ['io.containerd.grpc.v1.cri']\n".to_owned(), "io.containerd.grpc.v1.cri"),
    ] {
        std::fs::write(&config, format!("version = 4\n{lines}"))?;
        let mut command = daemon.command()?;
        // The last word counts.
        command.arg("--root").arg(daemon.dir().join("root2")).arg("--state").arg(daemon.dir().join("state2"));
        command.arg("--address").arg(daemon.dir().join("sock2")).arg("--config").arg(&config);
        command.stderr(std::process::Stdio::piped());
        Program::from(command).refuse(&[words])?;
    }
    daemon.finish()
}
