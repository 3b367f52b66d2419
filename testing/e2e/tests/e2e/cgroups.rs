//! Control groups of either version: what limits a container, counts what it uses, stops and ends it.
//!
//! `cargo xtask vm` runs these where there is nothing but version 2.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Client, Daemon, Kind};

scenarios!(devices, running_out_of_memory, limits_and_counters, one_group_for_all);

/// Whether there is nothing but version 2.
pub(crate) fn only_version_2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The directory of the container `one`: version 2's only one, or version 1's for a controller.
fn group(daemon: &Daemon, controller: &str) -> PathBuf {
    let hierarchy = if only_version_2() { "" } else { controller };
    Path::new("/sys/fs/cgroup").join(hierarchy).join(daemon.namespace()).join("one")
}

fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// A node may be made of any device, but only the usual ones may be used; a privileged container may use all.
fn devices(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let script = "head -c 1 /dev/zero | wc -c; mknod /kmsg c 1 11 && (: < /kmsg) 2>&1 && echo opened";
    let run = |flags: &[&str]| {
        let mut args = vec!["run", "--rm"];
        args.extend(flags);
        args.extend([BUSYBOX, "one", "sh", "-c", script]);
        daemon.client(&args).run()
    };
    let refused = run(&["--cap-add", "CAP_SYSLOG"])?;
    ensure!(refused.stdout.starts_with("1\n"), "{refused}");
    ensure!(
        refused.stdout.contains("Operation not permitted") && !refused.stdout.contains("opened"),
        "{refused}"
    );
    let allowed = run(&["--privileged"])?.with_code(0)?;
    ensure!(allowed.lines() == ["1", "opened"], "{allowed}");
    let given = run(&["--cap-add", "CAP_SYSLOG", "--device", "/dev/kmsg"])?.with_code(0)?;
    ensure!(given.lines() == ["1", "opened"], "{given}");
    daemon.finish()
}

/// The kill is told once, and before the exit.
fn running_out_of_memory(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let before = daemon.census();
    let mut events = daemon.events()?;
    daemon.ok(&["run", "-d", "--memory-limit", "20000000", BUSYBOX, "one", "tail", "/dev/zero"])?;
    events.line_with(&["/tasks/oom", "\"one\""])?;
    events.line_with(&["/tasks/exit", "\"one\"", "\"exit_status\":137"])?;
    daemon.client(&["tasks", "rm", "one"]).run()?.warns("137")?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.nothing_since(&before)?;
    events.kill()?;
    daemon.finish()
}

/// Flags arrive in the files; both clients show the same counters.
fn limits_and_counters(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    let limits = ["--memory-limit", "67108864", "--cpu-quota", "20000", "--cpu-period", "50000"];
    let more = ["--cpu-shares", "512", "--cpuset-cpus", "0"];
    let mut args = vec!["run", "-d"];
    args.extend(limits.iter().chain(&more));
    args.extend([BUSYBOX, "one", "sleep", "1000"]);
    daemon.ok(&args)?;
    let files: &[(&str, &str, &str)] = match only_version_2() {
        true => &[
            ("", "memory.max", "67108864"),
            ("", "cpu.max", "20000 50000"),
            ("", "cpu.weight", "59"),
            ("", "cpuset.cpus.effective", "0"),
        ],
        false => &[
            ("memory", "memory.limit_in_bytes", "67108864"),
            ("cpu", "cpu.cfs_quota_us", "20000"),
            ("cpu", "cpu.shares", "512"),
            ("cpuset", "cpuset.cpus", "0"),
        ],
    };
    for (controller, name, expected) in files {
        ensure!(read(&group(&daemon, controller).join(name))? == *expected, "{name} is not {expected}");
    }
    let names = |client: Client| -> Result<Vec<String>> {
        let shown = daemon.client_of(client, &["tasks", "metrics", "one"]).succeed()?;
        Ok(shown.lines().into_iter().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect())
    };
    let (theirs, ours) = (names(Client::Ctr)?, names(Client::Gantry)?);
    ensure!(theirs == ours && theirs.len() > 5, "ctr shows {theirs:?}, gantry {ours:?}");
    if only_version_2() {
        let shown = daemon.ok(&["tasks", "metrics", "one"])?;
        ensure!(shown.row("memory.usage_limit")?.last() == Some(&"67108864"), "{shown}");
        ensure!(shown.row("pids.current")?.last() == Some(&"1"), "{shown}");
    }
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// A process added later is in the first one's group; both are stopped, go on and are ended together; the directories
/// go with the container.
fn one_group_for_all(daemon: Daemon) -> Result<()> {
    daemon.import_busybox()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sh", "-c", "sleep 1000 & wait; exit 6"])?;
    let directory = group(&daemon, "freezer");
    daemon.ok(&["tasks", "exec", "-d", "--exec-id", "e", "one", "sleep", "2000"])?;
    let same = daemon.ok(&[
        "tasks",
        "exec",
        "--exec-id",
        "look",
        "one",
        "cat",
        "/proc/self/cgroup",
        "/proc/1/cgroup",
    ])?;
    let lines = same.lines();
    let (own, first) = lines.split_at(lines.len() / 2);
    ensure!(own == first, "{same}");
    let state = |frozen: &str, thawed: &str| match only_version_2() {
        true => (directory.join("cgroup.freeze"), frozen.to_owned()),
        false => (directory.join("freezer.state"), thawed.to_owned()),
    };
    for (verb, one, two) in [("pause", "1", "FROZEN"), ("resume", "0", "THAWED")] {
        daemon.ok(&["tasks", verb, "one"])?;
        let (file, expected) = state(one, two);
        ensure!(read(&file)? == expected, "after {verb} {} is not {expected}", file.display());
    }
    // The first process is deaf to SIGUSR1 and ends by itself once its child has ended of it.
    let (sent, one, e) = match daemon.kind() {
        Kind::Gantry => ("SIGUSR1", "\"exit_status\":6", "\"exit_status\":138"),
        // With a runc of today `--all` has no effect.
        _ => ("SIGKILL", "\"exit_status\":137", "\"exit_status\":137"),
    };
    let mut events = daemon.events()?;
    daemon.ok(&["tasks", "kill", "--all", "-s", sent, "one"])?;
    events.line_with(&["/tasks/exit", "\"id\":\"e\"", e])?;
    events.line_with(&["/tasks/exit", "\"id\":\"one\"", one])?;
    daemon.client(&["tasks", "rm", "one"]).run()?;
    ensure!(!directory.exists(), "{} is left", directory.display());
    daemon.ok(&["containers", "rm", "one"])?;
    events.kill()?;
    daemon.finish()
}
