//! `run -d` and everything that can be done to what then runs.

use anyhow::{Context, Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon, Kind};

scenarios!(
    a_task_and_its_life,
    exec,
    created_then_started,
    attach,
    kill_all,
    a_process_exits_by_itself,
    containers
);

/// Detached: list, ps, metrics, pause, resume, kill, remove; each state shown by its name.
fn a_task_and_its_life(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    let mut events = daemon.events()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sleep", "1000"])?;
    let pid = daemon.task_pid("one")?;
    becomes(pid, "sleep\x001000\0")?;
    ensure!(daemon.ok(&["tasks", "ls", "-q"])?.lines() == ["one"]);
    daemon.ok(&["tasks", "ps", "one"])?.row(&pid.to_string())?;
    daemon.ok(&["tasks", "metrics", "one"])?.says(&["METRIC", "pids.current"])?;
    let tree = daemon.ok(&["snapshots", "tree"])?;
    ensure!(tree.stdout.lines().any(|l| l == "    \\_ one"), "{tree}");

    daemon.ok(&["tasks", "pause", "one"])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.row("one")?.last() == Some(&"PAUSED"));
    daemon.refuses(&["tasks", "exec", "--exec-id", "x", "one", "true"], &["paused"])?;
    daemon.ok(&["tasks", "resume", "one"])?;
    ensure!(daemon.task_pid("one")? == pid);

    daemon.refuses(&["tasks", "rm", "one"], &["one"])?;
    daemon.refuses(&["containers", "rm", "one"], &["one"])?;
    daemon.refuses(&["run", "-d", BUSYBOX, "one", "true"], &["already exists"])?;
    daemon.ok(&["tasks", "kill", "-s", "SIGKILL", "one"])?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":137"])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.row("one")?.last() == Some(&"STOPPED"));
    daemon.client(&["tasks", "rm", "one"]).run()?;
    ensure!(daemon.ok(&["tasks", "ls"])?.rows().is_empty());
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.refuses(&["tasks", "kill", "one"], &["not found"])?;
    daemon.nothing_since(&before)?;
    events.kill()?;
    daemon.finish()
}

/// Waits until a first process has this command line. A task counts as started when its program is about to be executed,
/// so for a moment it is still that of the shim or the runtime.
fn becomes(pid: i32, expected: &str) -> Result<()> {
    let late = std::time::Instant::now() + e2e::program::DEADLINE;
    loop {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        if command == expected {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < late, "{pid} is {command:?}");
        std::thread::yield_now();
    }
}

/// More processes in one container: their codes, users, directories and output; side by side.
fn exec(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sleep", "1000"])?;
    let exec = |id: &str, flags: &[&str], script: &str| {
        let mut args = vec!["tasks", "exec", "--exec-id", id];
        args.extend(flags);
        args.extend(["one", "sh", "-c", script]);
        daemon.client(&args).run()
    };
    let ran = exec("a", &[], "echo out; echo err >&2; exit 3")?.with_code(3)?;
    ensure!(ran.stdout == "out\n" && ran.stderr == "err\n", "{ran}");
    ensure!(exec("b", &["--cwd", "/home"], "pwd")?.with_code(0)?.stdout == "/home\n");
    ensure!(exec("c", &["--user", "1000"], "id -u")?.with_code(0)?.stdout == "1000\n");
    let ran = exec(
        "d",
        &[],
        "echo $GREETING; tr '\\0' ' ' < /proc/1/cmdline; echo; readlink /proc/self/ns/net; readlink /proc/1/ns/net",
    )?;
    let lines = ran.lines();
    ensure!(lines[..2] == ["hello", "sleep 1000"] && lines[2] == lines[3], "{ran}");
    if daemon.whose_client() == Client::Gantry {
        let environment = "tr '\\0' '\\n' < /proc/$$/environ | grep GREETING";
        let ran = exec("f", &["--env", "GREETING=bye"], environment)?.with_code(0)?;
        ensure!(ran.stdout == "GREETING=bye\n", "{ran}");
    }
    let missing = daemon.client(&["tasks", "exec", "--exec-id", "e", "one", "/no/such"]).run()?;
    ensure!(missing.code != 0 && missing.stderr.contains("/no/such"), "{missing}");
    ensure!(exec("e", &[], "echo the same id again")?.with_code(0)?.stdout == "the same id again\n");

    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|n| {
                let exec = &exec;
                scope.spawn(move || exec(&format!("p{n}"), &[], &format!("echo {n}; exit {n}"))?.with_code(n))
            })
            .collect();
        for (n, run) in runs.into_iter().enumerate() {
            let ran = run.join().ok().context("an exec's thread")??;
            ensure!(ran.stdout == format!("{n}\n"), "{ran}");
        }
        Ok(())
    })?;

    daemon.ok(&["tasks", "exec", "-d", "--exec-id", "stays", "one", "sleep", "2000"])?;
    ensure!(daemon.ok(&["tasks", "ps", "one"])?.rows().len() == 2);
    daemon.ok(&["tasks", "kill", "-s", "SIGKILL", "--exec-id", "stays", "one"])?;
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// `containers create`, then `tasks start`.
fn created_then_started(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    daemon.ok(&[
        "containers",
        "create",
        "--label",
        "colour=blue",
        BUSYBOX,
        "one",
        "sh",
        "-c",
        "echo started; exit 6",
    ])?;
    daemon.ok(&["containers", "ls"])?.says(&["one", BUSYBOX, "io.containerd.runc.v2"])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.rows().is_empty());
    let ran = daemon.client(&["tasks", "start", "one"]).run()?.with_code(6)?;
    ensure!(ran.stdout == "started\n", "{ran}");
    let again = daemon.client(&["tasks", "start", "one"]).run()?.with_code(6)?;
    ensure!(again.stdout == "started\n", "{again}");
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// A detached task's streams are picked up again.
fn attach(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let script = "while read line; do echo got $line; test $line = end && exit 9; done";
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sh", "-c", script])?;
    let mut attached = daemon.follow(&["tasks", "attach", "one"])?;
    attached.input("first\n")?;
    attached.line_with(&["got first"])?;
    attached.input("end\n")?;
    attached.line_with(&["got end"])?;
    ensure!(attached.finish()? == 9);
    daemon.client(&["tasks", "rm", "-f", "one"]).run()?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// `kill --all` reaches children too: the first process is deaf to the signal, and ends as its child does.
fn kill_all(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let mut events = daemon.events()?;
    let script = "(trap 'exit 6' USR1; sleep 1000 & wait) & wait $!; exit $?";
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sh", "-c", script])?;
    // The trap is there once the child has one of its own.
    let child = a_child_of(daemon.task_pid("one")?)?;
    a_child_of(child)?;
    daemon.ok(&["tasks", "kill", "-s", "SIGUSR1", "one"])?;
    ensure!(daemon.task_pid("one").is_ok(), "the first process is not deaf to it");
    let (sent, told) = match daemon.kind() {
        Kind::Gantry => ("SIGUSR1", "\"exit_status\":6"),
        // With a runc of today `--all` has no effect.
        _ => ("SIGKILL", "\"exit_status\":137"),
    };
    daemon.ok(&["tasks", "kill", "--all", "-s", sent, "one"])?;
    events.line_with(&["/tasks/exit", "\"one\"", told])?;
    daemon.client(&["tasks", "rm", "one"]).run()?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.ok(&[
        "run",
        "-d",
        BUSYBOX,
        "two",
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo ready; while :; do sleep 1; done",
    ])?;
    // The trap is there once the shell has a child.
    a_child_of(daemon.task_pid("two")?)?;
    daemon.ok(&["tasks", "kill", "two"])?;
    events.line_with(&["/tasks/exit", "\"two\"", "\"exit_status\":5"])?;
    daemon.client(&["tasks", "rm", "two"]).run()?;
    daemon.ok(&["containers", "rm", "two"])?;
    events.kill()?;
    daemon.finish()
}

/// Waits until a process has a child; its first one's pid.
pub(crate) fn a_child_of(pid: i32) -> Result<i32> {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let deadline = std::time::Instant::now() + e2e::program::DEADLINE;
    loop {
        let text = std::fs::read_to_string(&children).with_context(|| format!("read {children}"))?;
        if let Some(child) = text.split_whitespace().next() {
            return Ok(child.parse()?);
        }
        ensure!(std::time::Instant::now() < deadline, "{pid} has no child");
        std::thread::yield_now();
    }
}

/// A task that ended by itself stays until it is removed, with its exit code.
fn a_process_exits_by_itself(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let mut events = daemon.events()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sh", "-c", "exit 42"])?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":42"])?;
    ensure!(daemon.ok(&["tasks", "ls"])?.row("one")?.last() == Some(&"STOPPED"));
    daemon.client(&["tasks", "rm", "one"]).run()?.warns("exit code 42")?;
    daemon.ok(&["containers", "rm", "one"])?;
    events.kill()?;
    daemon.finish()
}

/// `containers`: info, labels, filters.
fn containers(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    for (id, colour) in [("one", "blue"), ("two", "red")] {
        daemon.ok(&["containers", "create", "--label", &format!("colour={colour}"), BUSYBOX, id])?;
    }
    ensure!(daemon.ok(&["containers", "ls", "-q"])?.lines() == ["one", "two"]);
    let filtered = daemon.ok(&["containers", "ls", "-q", "labels.colour==red"])?;
    ensure!(filtered.lines() == ["two"], "{filtered}");
    let info = daemon.ok(&["containers", "info", "one"])?;
    let value: serde_json::Value = serde_json::from_str(&info.stdout)?;
    ensure!(
        value["ID"] == "one" && value["Image"] == BUSYBOX && value["Labels"]["colour"] == "blue",
        "{info}"
    );
    ensure!(
        value["Runtime"]["Name"] == "io.containerd.runc.v2" && value["Snapshotter"] == "overlayfs",
        "{info}"
    );
    ensure!(value["Spec"]["process"]["args"][0] == "sh", "{info}");
    daemon.ok(&["containers", "label", "one", "colour=green"])?;
    daemon.ok(&["containers", "info", "one"])?.says(&["green"])?;
    daemon.ok(&["containers", "rm", "one", "two"])?;
    ensure!(daemon.ok(&["containers", "ls", "-q"])?.lines().is_empty());
    ensure!(daemon.ok(&["snapshots", "ls"])?.rows().len() == 2, "the containers' snapshots are left");
    daemon.finish()
}

/// The words `ctr` and `gantry` print are the same, cell by cell.
#[test]
fn both_clients_print_the_same() -> Result<()> {
    let daemon = crate::start(Client::Ctr)?;
    daemon.import_busybox()?;
    daemon.collected_census()?;
    daemon.ok(&["run", "-d", "--label", "a=b", BUSYBOX, "one", "sleep", "1000"])?;
    for args in [
        &["images", "ls"][..],
        &["images", "check"],
        &["containers", "ls"],
        &["containers", "info", "one"],
        &["tasks", "ls"],
        &["tasks", "ps", "one"],
        &["snapshots", "ls"],
        &["snapshots", "tree"],
        &["namespaces", "ls"],
        &["leases", "ls"],
        &["plugins", "ls"],
        &["content", "ls", "-q"],
    ] {
        let theirs = daemon.ok(args)?;
        let ours = daemon.client_of(Client::Gantry, args).succeed()?;
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let same = match (json(&theirs.stdout), json(&ours.stdout)) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => table(&theirs.stdout) == table(&ours.stdout),
        };
        ensure!(same, "{args:?} differ\nctr:\n{}\ngantry:\n{}", theirs.stdout, ours.stdout);
    }
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// The lines of a table without the blanks at their ends.
fn table(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}
