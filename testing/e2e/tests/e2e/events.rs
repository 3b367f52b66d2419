//! Events: what is told, in which order, of a container's whole life.

use anyhow::{Context, Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Daemon, Kind};

scenarios!(of_a_containers_life, of_an_image);

/// Prepare, create, create, start, exec, exit, delete, delete: in this order, each once.
fn of_a_containers_life(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let mut events = daemon.events()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sleep", "1000"])?;
    daemon.ok(&["tasks", "exec", "--exec-id", "look", "one", "true"])?;
    daemon.ok(&["tasks", "pause", "one"])?;
    daemon.ok(&["tasks", "resume", "one"])?;
    let pid = daemon.task_pid("one")?;
    daemon.ok(&["tasks", "kill", "-s", "SIGKILL", "one"])?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":137"])?;
    daemon.client(&["tasks", "rm", "one"]).run()?;
    daemon.ok(&["containers", "rm", "one"])?;
    events.line_with(&["/containers/delete"])?;
    let lines: Vec<String> = events.seen().iter().filter(|l| l.contains("\"one\"")).cloned().collect();
    let topics: Vec<&str> =
        lines.iter().filter_map(|l| l.split_whitespace().find(|w| w.starts_with('/'))).collect();
    let order = [
        "/snapshot/prepare",
        "/containers/create",
        "/tasks/create",
        "/tasks/start",
        "/tasks/exec-added",
        "/tasks/exec-started",
        "/tasks/paused",
        "/tasks/resumed",
        "/tasks/delete",
        "/containers/delete",
    ];
    let mut last = 0;
    for topic in order {
        let at = topics.iter().position(|t| *t == topic);
        if topic == "/tasks/delete" && daemon.kind() != Kind::Gantry {
            // A fault of containerd (docs/differences.md): its shim tells of the deletion late, or ends before that.
            continue;
        }
        let at = at.with_context(|| format!("no {topic}: {lines:#?}"))?;
        ensure!(at >= last, "{topic} comes too early: {lines:#?}");
        last = at;
    }
    ensure!(
        topics.iter().filter(|t| **t == "/tasks/exit").count() == 2,
        "exits of exec and task: {lines:#?}"
    );
    let start = lines.iter().find(|l| l.contains("/tasks/start")).context("a start")?;
    ensure!(start.contains(&format!("\"pid\":{pid}")) && start.contains(daemon.namespace()), "{start}");
    events.kill()?;
    daemon.finish()
}

/// An import and a removal.
fn of_an_image(daemon: Daemon) -> Result<()> {
    let mut events = daemon.events()?;
    daemon.import_busybox()?;
    events.line_with(&["/content/create"])?;
    events.line_with(&["/snapshot/commit"])?;
    events.line_with(&["/images/create", BUSYBOX])?;
    daemon.ok(&["images", "rm", "--sync", BUSYBOX])?;
    events.line_with(&["/images/delete", BUSYBOX])?;
    events.kill()?;
    daemon.finish()
}
