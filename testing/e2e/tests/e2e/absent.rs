//! What is not built says so by its name; what is not ours is left alone.

use anyhow::{Result, ensure};
use e2e::samples::BUSYBOX;
use e2e::{Daemon, Kind, Program};

/// A method that is not built answers UNIMPLEMENTED and names itself.
#[test]
fn checkpoint() -> Result<()> {
    let daemon = Daemon::start()?;
    if daemon.kind() != Kind::Gantry {
        return daemon.finish();
    }
    daemon.import_busybox()?;
    daemon.ok(&["run", "-d", BUSYBOX, "one", "sleep", "1000"])?;
    let refused = daemon.refuses(&["tasks", "checkpoint", "one"], &["Checkpoint"])?;
    let text = refused.stderr.to_lowercase();
    ensure!(text.contains("unimplemented") || text.contains("not implemented"), "{refused}");
    daemon.task_pid("one")?;
    daemon.ok(&["tasks", "rm", "-f", "one"])?;
    daemon.ok(&["containers", "rm", "one"])?;
    daemon.finish()
}

/// A root that belongs to containerd is refused, with what to do.
#[test]
fn a_root_of_containerds() -> Result<()> {
    let daemon = Daemon::start()?;
    if daemon.kind() != Kind::Gantry {
        return daemon.finish();
    }
    let root = daemon.dir().join("theirs");
    std::fs::create_dir_all(root.join("io.containerd.metadata.v1.bolt"))?;
    std::fs::write(root.join("io.containerd.metadata.v1.bolt/meta.db"), "not ours")?;
    let mut command = daemon.command()?;
    command.arg("--root").arg(&root).arg("--state").arg(daemon.dir().join("state2"));
    command.arg("--address").arg(daemon.dir().join("sock2"));
    Program::from(command).refuse(&[&root.to_string_lossy(), "containerd", "--root"])?;
    ensure!(std::fs::read_dir(&root)?.count() == 1, "something was written into it");
    daemon.finish()
}

/// An unknown key of the configuration is named in a warning; a wrong one ends the start.
#[test]
fn configuration() -> Result<()> {
    let mut start = e2e::Start::new();
    start.config = "[plugins.'io.containerd.snapshotter.v1.overlayfs']\nno_such_key = 1\n".to_owned();
    let daemon = Daemon::start_with(start)?;
    if daemon.kind() == Kind::Gantry {
        ensure!(daemon.log().contains("no_such_key"), "no warning in the log");
        let bad = daemon.dir().join("bad.toml");
        std::fs::write(&bad, "version = 4\n[plugins\n")?;
        let mut command =
            Program::new(Kind::Gantry.program(&e2e::daemon::dist())).arg("--config").arg(&bad).into_command();
        command.arg("--root").arg(daemon.dir().join("root3")).arg("--state").arg(daemon.dir().join("state3"));
        command.arg("--address").arg(daemon.dir().join("sock3"));
        Program::from(command).refuse(&[&bad.to_string_lossy()])?;
    }
    daemon.finish()
}
