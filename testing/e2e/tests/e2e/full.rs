//! A full disk under the daemon's state: what needs room is refused and says where, nothing is left of it, others go on.

use anyhow::{Result, ensure};
use e2e::Program;
use e2e::samples::BUSYBOX;

use crate::crash::{nothing_since, ours, remove, run_patient};

/// `run` needs room for a bundle; what runs already needs none.
#[test]
fn a_full_state_directory() -> Result<()> {
    let Some(mut daemon) = ours()? else { return Ok(()) };
    daemon.stop()?;
    let state = daemon.dir().join("state");
    Program::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&state).succeed()?;
    daemon.launch()?;
    daemon.import_busybox()?;
    run_patient(&daemon, "two")?;
    let before = daemon.collected_census()?;
    let filler = state.join("filler");
    let fill = Program::new("dd").args(["if=/dev/zero", "bs=1k"]).arg(format!("of={}", filler.display()));
    fill.refuse(&["No space left on device"])?;

    let bundle = state.join("io.containerd.runtime.v2.task").join(daemon.namespace()).join("one");
    let refused = daemon.refuses(&["run", "--rm", BUSYBOX, "one", "true"], &["no space left on device"])?;
    ensure!(refused.stderr.contains(&*bundle.to_string_lossy()), "where is there no room? {refused}");
    ensure!(daemon.ok(&["tasks", "ls", "-q"])?.lines() == ["two"], "half a task");
    ensure!(daemon.ok(&["containers", "ls", "-q"])?.lines() == ["two"], "half a container");
    daemon.ok(&["images", "ls"])?;
    daemon.ok(&["snapshots", "ls"])?;
    daemon.ok(&["tasks", "metrics", "two"])?;
    nothing_since(&daemon, &before)?;

    std::fs::remove_file(&filler)?;
    daemon.ok(&["run", "--rm", BUSYBOX, "one", "true"])?;
    remove(&daemon, &["two"])?;
    daemon.stop()?;
    Program::new("umount").arg(&state).succeed()?;
    daemon.launch()?;
    daemon.finish()
}
